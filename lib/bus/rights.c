/*  rights - see rights.h */
#include "bus/rights.h"

#include <stdio.h>
#include <string.h>

/*  Everybody may publish its own status and ask whether somebody is alive (BUS_ALIVE). */
const rights_t rights_table[] = {
    /* kind, serve, ask, publish, subscribe, objects */
    {"agent", {"act", "alive", "service", "policy/", "get"}},
    {"environment", {"", "alive act score", "service group.", "/step.", "get"}},
    {"reward", {"score", "alive", "service", "", ""}},
    {"critic", {"value learn", "alive", "service", "", "get put"}},
    {"trainer",
     {"", "alive value learn score", "service run. step. eval. episode. policy.", "*",
      "get put manifest"}},
    {"operator",
     {"", "alive value learn score", "service run. step. eval. episode. policy.", "*",
      "get put manifest"}},
    {"tap", {"", "alive", "", "*", ""}},
    {"monitor", {"", "alive", "service", "*", ""}},
    {"bus", {"", "alive", "service policy/", "", ""}},
    {NULL, {0}},
};

static const char *const acts[RIGHTS_COUNT] = {"serve", "ask for", "publish", "subscribe to",
                                               "handle objects by"};

const char *rights_act_name (rights_act_t act)
{
    return (unsigned) act < RIGHTS_COUNT ? acts[act] : "";
}

const rights_t *rights_of (const char *kind)
{
    const rights_t *r = rights_table;
    while (r->kind && strcmp (r->kind, kind) != 0)
        r++;
    return r->kind ? r : NULL;
}

static bool rights_begins (slice_t text, slice_t with)
{
    return text.size >= with.size && memcmp (text.data, with.data, with.size) == 0;
}

static slice_t rights_behind (slice_t text, size_t n)
{
    return (slice_t){text.data + n, text.size - n};
}

/*  What follows the last slash. */
static slice_t rights_last (slice_t topic)
{
    size_t at = topic.size;
    while (at > 0 && topic.data[at - 1] != '/')
        at--;
    return rights_behind (topic, at);
}

static bool rights_publish (slice_t word, slice_t topic, slice_t sender)
{
    const slice_t service = slice_of ("service"), slash = slice_of ("service/");
    if (slice_equal (word, service))
        return rights_begins (topic, slash) &&
               slice_equal (rights_behind (topic, slash.size), sender);
    /* Of a topic that the bus alone makes, such as policy/RUN/NAME. */
    if (word.data[word.size - 1] == '/')
        return rights_begins (topic, word);
    /* Else a run could be called so, and its events be taken for the bus's. */
    return !rights_begins (topic, slash) && !rights_begins (topic, slice_of ("policy/")) &&
           rights_begins (rights_last (topic), word);
}

static bool rights_subscribe (slice_t word, slice_t prefix)
{
    if (slice_equal (word, slice_of ("*")))
        return true;
    if (word.data[0] == '/') /* of any run, but of this event alone */
        return prefix.size > rights_last (prefix).size &&
               rights_begins (rights_last (prefix), rights_behind (word, 1));
    return rights_begins (prefix, word);
}

bool rights_allow (const rights_t *rights, rights_act_t act, slice_t what, slice_t sender)
{
    for (const char *at = act < RIGHTS_COUNT ? rights->may[act] : ""; *at;) {
        slice_t word = {at, strcspn (at, " ")};
        if (act == RIGHTS_PUBLISH     ? rights_publish (word, what, sender)
            : act == RIGHTS_SUBSCRIBE ? rights_subscribe (word, what)
                                      : slice_equal (word, what))
            return true;
        at += word.size;
        at += strspn (at, " ");
    }
    return act == RIGHTS_BE;
}

const char *rights_tell (const rights_t *rights, char *text, size_t size)
{
    int n = snprintf (text, size, "%s %s may", strchr ("aeiou", *rights->kind) ? "an" : "a",
                      rights->kind);
    const char *between = "";
    for (unsigned act = 0; act < RIGHTS_COUNT && n >= 0 && (size_t) n < size; act++)
        if (*rights->may[act]) {
            n += snprintf (text + n, size - (size_t) n, "%s %s %s", between, acts[act],
                           rights->may[act]);
            between = ";";
        }
    return text;
}
