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

/*  Teams whose seats the corpora have texts of; first and last stand for the two authors. */
static const struct {
    const char *protocol;
    size_t turns;
    const char *roles[3];
} teams[] = {{"parallel", 0, {"solo"}},
             {"parallel", 0, {"first", "last"}},
             {"plan", 0, {"planner", "first", "last"}},
             {"pipeline", 0, {"first", "last"}},
             {"pipeline", 0, {"last", "first"}},
             {"discussion", 3, {"first", "last"}},
             {"repair", 0, {"first", "last", "tester"}},
             {"review", 0, {"first", "last", "reviewer"}}};

#define TEAMS (sizeof teams / sizeof *teams)

typedef struct {
    const char *family, *first, *last, *task; /* task: with %s for a brief */
    bool tests;
} family_case_t;

static const family_case_t families[] = {
    {"coding", "aux", "main",
     "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"%s\",\"parts\":[0,0,0],"
     "\"entry_point\":\"main\",\"tests\":[{\"args\":[[1]],\"result\":1}]}",
     true},
    {"writing", "summary", "details",
     "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"%s\",\"terms\":[\"harbor\",\"dawn\"]}",
     false}};

/*  A prompt taken apart: the blocks before it, the brief, and who is asked. */
typedef struct {
    char *head, brief[200], role[32];
} asked_t;

static asked_t take_apart (const char *prompt)
{
    asked_t asked = {.head = strdup (prompt)};
    char *end = asked.head + strlen (asked.head) - 1, *role, *brief;
    *end = 0;
    role = strrchr (asked.head, '\n') + 1;
    snprintf (asked.role, sizeof asked.role, "%s", role + 2);
    role[-1] = 0;
    brief = strrchr (asked.head, '\n');
    brief = brief ? brief + 1 : asked.head;
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

static episode_t *begin (const family_case_t *family, size_t team, const char *brief,
                         const char *roles[3], size_t *n)
{
    err_t err = {0};
    char task[512];
    for (*n = 0; *n < 3 && teams[team].roles[*n]; ++*n)
        roles[*n] = strcmp (teams[team].roles[*n], "first") == 0  ? family->first
                    : strcmp (teams[team].roles[*n], "last") == 0 ? family->last
                                                                  : teams[team].roles[*n];
    protocol_team_t playing = {.roles = roles, .n = *n, .max_turns = teams[team].turns};
    json_t *protocol = protocol_make (teams[team].protocol, &playing, &err);
    if (!protocol)
        fail_msg ("%s", err.text);
    char *text = json_dumps (protocol, JSON_COMPACT);
    episode_limits_t limits = {.tokens = 72, .protocol = text};
    snprintf (task, sizeof task, family->task, brief);
    episode_t *e = episode_new (task, roles, *n, &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    free (text);
    json_decref (protocol);
    return e;
}

/*  The turn, counted from 1, in which a team asks a seat in just these bytes; 0: in none. */
static size_t asks (const family_case_t *family, size_t team, const asked_t *asked,
                    const char *prompt)
{
    const char *roles[3];
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
    for (size_t f = 0; f < 2; f++) {
        err_t err = {0};
        task_options_t options = builtin_options (families[f].family, "plain");
        corpus_t *corpus = corpus_new (&options, &err);
        size_t seen[TEAMS][6] = {{0}};
        for (uint64_t i = 0; i < 1500; i++) {
            buf_t prompt = {0}, text = {0};
            assert_int_equal (corpus_get (corpus, i, &prompt, &text, &err), 0);
            asked_t asked = take_apart (prompt.data);
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
            const char *roles[3];
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
        asked_t asked = take_apart (prompt.data);
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
