/*  What seed models are trained on is what the seats of a team are asked, byte by byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/corpus.h"
#include "task/episode.h"
#include "task_fixture.h"
#include "team/protocol.h"

#define SEATS_MAX 4

/*  Teams whose seats the corpora have texts of. */
static const struct {
    const char *protocol;
    size_t turns;
    const char *before, *after; /* the authors; NULL: nobody */
    enum { AUTHORS, BACKWARDS, ALONE } order;
} teams[] = {{"parallel", 0, "solo", NULL, ALONE},   {"parallel", 0, NULL, NULL, AUTHORS},
             {"plan", 0, "planner", NULL, AUTHORS},  {"pipeline", 0, NULL, NULL, AUTHORS},
             {"pipeline", 0, NULL, NULL, BACKWARDS}, {"discussion", 3, NULL, NULL, AUTHORS},
             {"repair", 0, NULL, "tester", AUTHORS}, {"review", 0, NULL, "reviewer", AUTHORS}};

#define TEAMS (sizeof teams / sizeof *teams)

typedef struct {
    const char *family;
    const char *authors[SEATS_MAX]; /* NULL ends */
    size_t lines;                   /* of the brief of who is no author */
    bool tests;
    const char *task; /* with a brief for each % */
} family_case_t;

#define SECTION(name) "{\"name\":\"" name "\",\"brief\":\"%\",\"terms\":[\"dawn\"]}"

static const family_case_t families[] = {
    {"coding",
     {"aux", "main"},
     1,
     true,
     "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"%\",\"parts\":[0,0,0],"
     "\"entry_point\":\"main\",\"tests\":[{\"args\":[[1]],\"result\":1}]}"},
    {"writing",
     {"summary", "details"},
     1,
     false,
     "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"%\",\"terms\":[\"harbor\",\"dawn\"]}"},
    {"article",
     {"opening", "middle", "closing"},
     3,
     false,
     "{\"id\":\"a\",\"family\":\"article\",\"brief\":\"%\",\"terms\":[\"mill\"],\"sections\":"
     "[" SECTION ("opening") "," SECTION ("middle") "," SECTION ("closing") "]}"}};

#define FAMILIES (sizeof families / sizeof *families)

/*  A prompt taken apart: the blocks before it, the brief, and who is asked. */
typedef struct {
    char *head, brief[400], role[32];
} asked_t;

static size_t authors (const family_case_t *family)
{
    size_t n = 0;
    while (family->authors[n])
        n++;
    return n;
}

static bool is_author (const family_case_t *family, const char *role)
{
    bool found = false;
    for (size_t a = 0; family->authors[a]; a++)
        found = found || strcmp (family->authors[a], role) == 0;
    return found;
}

static asked_t take_apart (const family_case_t *family, const char *prompt)
{
    asked_t asked = {.head = strdup (prompt)};
    char *end = asked.head + strlen (asked.head) - 1, *role, *brief;
    *end = 0;
    role = strrchr (asked.head, '\n') + 1;
    snprintf (asked.role, sizeof asked.role, "%s", role + 2);
    role[-1] = 0;
    brief = role - 1;
    for (size_t lines = is_author (family, asked.role) ? 1 : family->lines; lines > 0; lines--)
        while (brief > asked.head && *--brief != '\n')
            ;
    brief += *brief == '\n';
    snprintf (asked.brief, sizeof asked.brief, "%s", brief);
    *brief = 0;
    return asked;
}

/*  What stands under a line; false: there is no such line. */
static bool under (const asked_t *asked, const char *line, buf_t *text)
{
    const char *at = strstr (asked->head, line);
    buf_clear (text);
    if (!at)
        return false;
    at += strlen (line);
    buf_append (text, at, (size_t) (strstr (at, "\n\n") - at));
    return true;
}

/*  Plays a turn as the prompt tells it; false: it does not tell all of it. */
static bool play_turn (episode_t *e, const asked_t *asked, const char *const *roles, size_t n)
{
    const char *tool, *query;
    char line[80];
    buf_t text = {0};
    err_t err = {0};
    size_t turn = episode_turn (e) + 1, r;
    bool told = true;
    for (r = 0; r < n && told; r++) {
        snprintf (line, sizeof line, "# %s wrote in turn %zu:\n", roles[r], turn);
        if (!episode_acts (e, r))
            continue;
        told = under (asked, line, &text);
        if (told)
            assert_int_equal (
                episode_act (e, r,
                             &(episode_action_t){.text = text.data, .size = text.size, .tokens = 1},
                             &err),
                0);
    }
    snprintf (line, sizeof line, "# found in turn %zu:\n", turn);
    while (told && (r = episode_tool (e, 0, &tool, &query)) != EPISODE_ROLES_MAX) {
        told = under (asked, line, &text);
        if (told)
            assert_int_equal (episode_found (e, r, false, 0, text.data, &err), 0);
    }
    if (told && episode_step (e, &err) != 0)
        fail_msg ("%s", err.text);
    buf_free (&text);
    return told;
}

/*  The family's task with this brief for everybody. */
static void write_task (const family_case_t *family, const char *brief, buf_t *task)
{
    json_t *said = json_string (brief);
    char *quoted = json_dumps (said, JSON_ENCODE_ANY);
    for (const char *at = family->task; *at; at++)
        if (*at == '%')
            buf_append (task, quoted + 1, strlen (quoted) - 2);
        else
            buf_char (task, *at);
    free (quoted);
    json_decref (said);
}

static size_t seat (const family_case_t *family, size_t team, const char *roles[SEATS_MAX])
{
    size_t n = 0, of = teams[team].order == ALONE ? 0 : authors (family);
    if (teams[team].before)
        roles[n++] = teams[team].before;
    for (size_t a = 0; a < of; a++)
        roles[n++] = family->authors[teams[team].order == BACKWARDS ? of - 1 - a : a];
    if (teams[team].after)
        roles[n++] = teams[team].after;
    return n;
}

static episode_t *begin (const family_case_t *family, size_t team, const char *brief,
                         const char *roles[SEATS_MAX], size_t *n)
{
    err_t err = {0};
    buf_t task = {0};
    *n = seat (family, team, roles);
    protocol_team_t playing = {.roles = roles, .n = *n, .max_turns = teams[team].turns};
    json_t *protocol = protocol_make (teams[team].protocol, &playing, &err);
    if (!protocol)
        fail_msg ("%s", err.text);
    char *text = json_dumps (protocol, JSON_COMPACT);
    episode_limits_t limits = {.tokens = 72, .protocol = text};
    write_task (family, brief, &task);
    episode_t *e = episode_new (task.data, roles, *n, &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    free (text);
    buf_free (&task);
    json_decref (protocol);
    return e;
}

/*  The turn, counted from 1, in which a team asks a seat in just these bytes; 0: in none. */
static size_t asks (const family_case_t *family, size_t team, const asked_t *asked,
                    const char *prompt)
{
    const char *roles[SEATS_MAX];
    size_t n, found = 0;
    episode_t *e = begin (family, team, asked->brief, roles, &n);
    for (bool told = true; told && !found && !episode_done (e);) {
        for (size_t r = 0; r < n; r++) {
            buf_t said = {0};
            err_t err = {0};
            if (!episode_acts (e, r) || strcmp (roles[r], asked->role) != 0)
                continue;
            assert_int_equal (episode_observe (e, r, &said, &err), 0);
            if (strcmp (said.data, prompt) == 0)
                found = episode_turn (e) + 1;
            buf_free (&said);
        }
        told = !found && play_turn (e, asked, roles, n);
    }
    episode_destroy (&e);
    return found;
}

/*  And in every turn of every protocol there are such texts, of each seat that speaks in it. */
static void prompts_are_those_of_teams (void **state)
{
    (void) state;
    for (size_t f = 0; f < FAMILIES; f++) {
        err_t err = {0};
        task_options_t options = builtin_options (families[f].family, "plain");
        corpus_t *corpus = corpus_new (&options, &err);
        size_t seen[TEAMS][6] = {{0}};
        for (uint64_t i = 0; i < 1500; i++) {
            buf_t prompt = {0}, text = {0};
            assert_int_equal (corpus_get (corpus, i, &prompt, &text, &err), 0);
            asked_t asked = take_apart (&families[f], prompt.data);
            size_t found = 0;
            for (size_t t = 0; t < TEAMS; t++) {
                if (strcmp (teams[t].protocol, "repair") == 0 && !families[f].tests)
                    continue;
                size_t turn = asks (&families[f], t, &asked, prompt.data);
                seen[t][turn]++;
                found += turn > 0;
            }
            if (!found)
                fail_msg ("no team asks this: %s", prompt.data);
            free (asked.head);
            buf_free (&prompt);
            buf_free (&text);
        }
        for (size_t t = 0; t < TEAMS; t++) {
            const char *roles[SEATS_MAX];
            size_t n;
            if (strcmp (teams[t].protocol, "repair") == 0 && !families[f].tests)
                continue;
            episode_t *e = begin (&families[f], t, "x", roles, &n);
            const json_t *protocol = episode_protocol (e);
            for (size_t turn = 0; turn < json_array_size (protocol); turn++) {
                bool speaks = false;
                for (size_t r = 0; r < n; r++)
                    speaks = speaks || protocol_speaks (protocol_turn (protocol, turn), roles[r]);
                if (speaks && !seen[t][turn + 1])
                    fail_msg ("%s: no text of turn %zu of %s", families[f].family, turn + 1,
                              teams[t].protocol);
            }
            episode_destroy (&e);
        }
        corpus_destroy (&corpus);
    }
}

static bool begins (const char *text, const char *with)
{
    return strncmp (text, with, strlen (with)) == 0;
}

/*  Half of what the two authors write has nothing before it; who has a plan keeps to it; a reviewer
 *  says what the primitive takes (team/primitive.h). */
static void texts_follow_what_stands_before_them (void **state)
{
    (void) state;
    err_t err = {0};
    task_options_t options = builtin_options ("coding", "plain");
    corpus_t *corpus = corpus_new (&options, &err);
    size_t n[2] = {0}, planned = 0, accepted = 0, returned = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        buf_t prompt = {0}, text = {0};
        assert_int_equal (corpus_get (corpus, i, &prompt, &text, &err), 0);
        asked_t asked = take_apart (&families[0], prompt.data);
        bool aux = strcmp (asked.role, "aux") == 0;
        if (aux || strcmp (asked.role, "main") == 0)
            n[*asked.head != 0]++;
        if (aux && begins (asked.head, "# planner wrote in turn 1:\naux(")) {
            bool list = strstr (asked.head, "\naux(xs)"), one = strchr ("xn", text.data[8]);
            assert_true (begins (text.data, "def aux(") && one);
            if ((text.data[9] == 's') != list)
                fail_msg ("%s%s", asked.head, text.data);
            planned++;
        }
        if (strcmp (asked.role, "reviewer") == 0) {
            bool accepts = strcmp (text.data, "accept") == 0;
            assert_true (accepts || begins (text.data, "return: aux("));
            accepted += accepts;
            returned += !accepts;
        }
        free (asked.head);
        buf_free (&prompt);
        buf_free (&text);
    }
    corpus_destroy (&corpus);
    double share = (double) n[0] / (double) (n[0] + n[1]);
    if (share < 0.47 || share > 0.53 || planned < 50 || accepted < 100 || returned < 100)
        fail_msg ("first drafts: %g; %zu with a plan; %zu accepted, %zu returned", share, planned,
                  accepted, returned);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (prompts_are_those_of_teams),
        cmocka_unit_test (texts_follow_what_stands_before_them),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
