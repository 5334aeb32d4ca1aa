/*  primitive - see primitive.h
 *
 *  Every function here reads and writes the global state and nothing else. What fails has changed
 *  nothing: effects come last.
 */
#include "team/primitive.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "team/state.h"

/*  ---- what they look at ---------------------------------------------------------------------- */

static json_t *primitive_slot (const primitive_act_t *act)
{
    return json_object_get (state_artifacts (act->state), act->slot);
}

static bool primitive_is (const json_t *artifact, const char *status)
{
    const char *is = json_string_value (json_object_get (artifact, "status"));
    return is && strcmp (is, status) == 0;
}

static bool primitive_blank (const char *text)
{
    return !text[strspn (text, " \t\r\n")];
}

static const char *primitive_may_always (const primitive_act_t *act)
{
    (void) act;
    return NULL;
}

static const char *primitive_may_plan (const primitive_act_t *act)
{
    return *state_text (state_shared (act->state), "plan") ? "there is a plan already" : NULL;
}

static const char *primitive_may_draft (const primitive_act_t *act)
{
    return primitive_is (primitive_slot (act), "accepted") ? "the slot is accepted" : NULL;
}

static const char *primitive_may_retrieve (const primitive_act_t *act)
{
    return primitive_blank (act->text) ? "nothing is asked" : NULL;
}

static const char *primitive_may_use (const primitive_act_t *act)
{
    return json_object_size (state_artifacts (act->state)) ? NULL : "nobody has written anything";
}

static const char *primitive_may_integrate (const primitive_act_t *act)
{
    const json_t *slots = json_object_get (act->state, "slots"), *slot;
    size_t i;
    json_array_foreach (slots, i, slot)
        if (!json_object_get (state_artifacts (act->state), json_string_value (slot)))
            return "a slot has no text yet";
    return NULL;
}

static const char *primitive_may_review (const primitive_act_t *act)
{
    return primitive_is (primitive_slot (act), "proposed") ? NULL : "the slot has no proposed text";
}

static const char *primitive_may_repair (const primitive_act_t *act)
{
    const json_t *artifact = primitive_slot (act);
    if (!artifact)
        return "the slot has no text";
    return primitive_is (artifact, "returned") || state_failed (act->state)
               ? NULL
               : "the text was not returned, and no test has failed";
}

/*  ---- what they do --------------------------------------------------------------------------- */

/*  The slot's text is the seat's from here on. */
static void primitive_propose (const primitive_act_t *act)
{
    json_object_set_new (state_artifacts (act->state), act->slot,
                         json_pack ("{s:s, s:s, s:I, s:s}", "text", act->text, "by", act->role,
                                    "turn", (json_int_t) act->turn, "status", "proposed"));
}

static const char *primitive_draft (const primitive_act_t *act)
{
    if (primitive_blank (act->text))
        return "the text is empty";
    primitive_propose (act);
    return NULL;
}

static const char *primitive_repair (const primitive_act_t *act)
{
    if (primitive_blank (act->text))
        return "the text is empty";
    if (strcmp (state_text (primitive_slot (act), "text"), act->text) == 0)
        return "the text is the same as before";
    primitive_propose (act);
    return NULL;
}

/*  The length of "role:" where a line of a plan begins with the name of a role; 0: it does not. A
 *  list's mark may stand before it. */
static size_t primitive_names_role (const primitive_act_t *act, const char **line, size_t size,
                                    const char **role)
{
    const json_t *roles = json_object_get (act->state, "roles"), *name;
    size_t mark = strspn (*line, " \t-*"), i;
    *line += mark < size ? mark : size;
    size -= mark < size ? mark : size;
    json_array_foreach (roles, i, name) {
        size_t n = json_string_length (name);
        *role = json_string_value (name);
        if (n < size && strncasecmp (*line, *role, n) == 0 && (*line)[n] == ':')
            return n + 1;
    }
    return 0;
}

/*  Calls each for every line of the text that is not blank; returns how many there are. */
static size_t primitive_each_line (const primitive_act_t *act,
                                   void (*each) (const primitive_act_t *act, const char *line,
                                                 size_t size))
{
    size_t n = 0;
    for (const char *line = act->text; *line;) {
        size_t size = strcspn (line, "\n");
        if (strspn (line, " \t\r") < size) {
            each (act, line, size);
            n++;
        }
        line += size + (line[size] == '\n');
    }
    return n;
}

static void primitive_todo (const primitive_act_t *act, const char *line, size_t size)
{
    const char *role, *end = line + size;
    size_t named = primitive_names_role (act, &line, size, &role);
    if (!named)
        return;
    line += named;
    line += strspn (line, " \t");
    if (line < end)
        json_array_append_new (state_private (act->state, role, "todo"),
                               json_stringn (line, (size_t) (end - line)));
}

/*  "role: what to do" goes on that role's list. */
static const char *primitive_plan (const primitive_act_t *act)
{
    if (primitive_blank (act->text))
        return "the plan has no item";
    json_t *shared = state_shared (act->state);
    json_object_set_new (shared, "plan", json_string (act->text));
    json_object_set_new (shared, "planned_by", json_string (act->role));
    json_object_set_new (shared, "planned_turn", json_integer ((json_int_t) act->turn));
    primitive_each_line (act, primitive_todo);
    return NULL;
}

/*  Where a line of notes goes: "todo: ..." and "hypothesis: ..." on lists of their own. */
static void primitive_note_line (const primitive_act_t *act, const char *line, size_t size)
{
    static const struct {
        const char *begins, *list;
    } lists[] = {{"todo:", "todo"}, {"hypothesis:", "hypotheses"}, {"", "scratchpad"}};
    size_t i = 0;
    while (strncasecmp (line, lists[i].begins, strlen (lists[i].begins)) != 0)
        i++;
    size_t skip = strlen (lists[i].begins);
    skip += strspn (line + skip, " \t");
    skip = skip < size ? skip : size;
    json_array_append_new (state_private (act->state, act->role, lists[i].list),
                           json_stringn (line + skip, size - skip));
}

static const char *primitive_note (const primitive_act_t *act)
{
    return primitive_each_line (act, primitive_note_line) ? NULL : "the note is empty";
}

static const char *primitive_integrate (const primitive_act_t *act)
{
    const char *slot;
    json_t *artifact;
    json_object_foreach (state_artifacts (act->state), slot, artifact)
        json_object_set_new (artifact, "status", json_string ("accepted"));
    return NULL;
}

/*  The word that a text begins with decides, in any case: "accept", or "return: why". */
static const char *primitive_review (const primitive_act_t *act)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const words[] = {"accept", "accepted", "return", "returned"};
    const char *text = act->text + strspn (act->text, " \t\r\n");
    size_t size = strspn (text, letters), word = 0;
    while (word < 4 && (strlen (words[word]) != size || strncasecmp (text, words[word], size) != 0))
        word++;
    if (word == 4)
        return "a review begins with accept or return";
    json_t *artifact = primitive_slot (act);
    bool accepted = word < 2;
    json_object_set_new (artifact, "status", json_string (accepted ? "accepted" : "returned"));
    json_object_set_new (artifact, "reviewed_by", json_string (act->role));
    json_object_set_new (artifact, "reviewed_turn", json_integer ((json_int_t) act->turn));
    text += size;
    if (!accepted)
        json_object_set_new (artifact, "reason", json_string (text + strspn (text, ": \t\n")));
    return NULL;
}

static const char *primitive_use (const primitive_act_t *act)
{
    return act->outcome ? NULL : "the tool was not used";
}

/*  Each line is a passage with its source; what is known already is no new fact. */
static const char *primitive_retrieve (const primitive_act_t *act)
{
    json_t *shared = state_shared (act->state);
    if (!act->outcome)
        return "the tool was not used";
    if (!json_object_get (shared, "facts"))
        json_object_set_new (shared, "facts", json_array ());
    json_t *facts = json_object_get (shared, "facts");
    const char *line = state_text (act->outcome, "verdict");
    while (*line && json_is_true (json_object_get (act->outcome, "success"))) {
        size_t n = strcspn (line, "\n");
        json_t *fact = json_stringn (line, n);
        if (fact && !state_lists (facts, json_string_value (fact)))
            json_array_append (facts, fact);
        json_decref (fact);
        line += n + (line[n] == '\n');
    }
    return NULL;
}

/*  Until the next turn is over. */
static const char *primitive_route (const primitive_act_t *act)
{
    json_object_set_new (state_shared (act->state), "next", json_string (act->slot));
    return NULL;
}

static const char *primitive_finalize (const primitive_act_t *act)
{
    json_object_set_new (act->state, "end", json_string ("finalized"));
    return NULL;
}

static const char *primitive_hand_off (const primitive_act_t *act)
{
    json_object_set_new (act->state, "end", json_string ("handed_off"));
    json_object_set_new (state_shared (act->state), "handed_off", json_string (act->text));
    return NULL;
}

/*  ---- the table ------------------------------------------------------------------------------ */

#define PRIMITIVES(P)                                                                              \
    P ("plan", true, false, false, false, primitive_may_plan, primitive_plan)                      \
    P ("draft", true, true, false, false, primitive_may_draft, primitive_draft)                    \
    P ("integrate", false, false, false, false, primitive_may_integrate, primitive_integrate)      \
    P ("lint", false, false, false, true, primitive_may_use, primitive_use)                        \
    P ("test", false, false, false, true, primitive_may_use, primitive_use)                        \
    P ("review", true, true, false, false, primitive_may_review, primitive_review)                 \
    P ("repair", true, true, false, false, primitive_may_repair, primitive_repair)                 \
    P ("retrieve", true, false, false, true, primitive_may_retrieve, primitive_retrieve)           \
    P ("note", true, false, false, false, primitive_may_always, primitive_note)                    \
    P ("route", false, false, true, false, primitive_may_always, primitive_route)                  \
    P ("finalize", false, false, false, false, primitive_may_use, primitive_finalize)              \
    P ("hand_off", true, false, false, false, primitive_may_always, primitive_hand_off)

#define PRIMITIVE_ROW(name, words, slot, seat, tool, may, does)                                    \
    {name, words, slot, seat, tool, may, does},
#define PRIMITIVE_NAME(name, ...) ", " name

static const primitive_t primitives[] = {PRIMITIVES (PRIMITIVE_ROW)};

const primitive_t *primitive_find (const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
        if (strlen (primitives[i].name) == size && strncmp (primitives[i].name, name, size) == 0)
            return &primitives[i];
    return NULL;
}

const char *primitive_names (void)
{
    return PRIMITIVES (PRIMITIVE_NAME) + 2;
}
