/*  seats - what the sandbox is to look for in what each seat wrote. See coding.h */
#include <string.h>

#include "task/coding/coding.h"

/*  NULL where there is no turn yet. */
static const json_t *coding_last_actions (const json_t *state)
{
    const json_t *turns = json_object_get (state, "turns");
    size_t n = json_array_size (turns);
    return n ? json_object_get (json_array_get (turns, n - 1), "actions") : NULL;
}

/*  Whether the artifact is what the seats wrote. An episode that somebody puts to the scorer by
 *  hand may hold another one, and then that is what the team hands in. */
static bool coding_is_merged (const json_t *state, const json_t *actions)
{
    const char *roles[EPISODE_ROLES_MAX], *texts[EPISODE_ROLES_MAX];
    size_t n = json_array_size (actions);
    buf_t whole = {.max = SIZE_MAX};
    if (n == 0 || n > EPISODE_ROLES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        roles[i] = family_text (json_array_get (actions, i), "role");
        texts[i] = family_text (json_array_get (actions, i), "text");
    }
    coding_merge (json_object_get (state, "task"), roles, texts, n, &whole);
    bool same = !buf_failed (&whole) &&
                strcmp (whole.data ? whole.data : "", family_text (state, "artifact")) == 0;
    buf_free (&whole);
    return same;
}

/*  A HumanEval prompt is a file's beginning, with which a model goes on or begins again; other
 *  tasks only say what is wanted. A helper is always called aux: so the prompts say. */
static json_t *coding_seat (const json_t *task, bool helper, const char *text)
{
    bool human = json_is_string (json_object_get (task, "prompt"));
    const json_t *test = json_array_get (json_object_get (task, "tests"), 0);
    json_t *arguments =
        human || helper
            ? json_null ()
            : json_integer ((json_int_t) json_array_size (json_object_get (test, "args")));
    const char *before = !human ? "" : helper ? "def aux(" : family_text (task, "prompt");
    return json_pack ("{s:s, s:s, s:s, s:o}", "text", text, "name",
                      helper ? "aux" : family_text (task, "entry_point"), "before", before,
                      "arguments", arguments);
}

/*  Helpers first, as the artifact has them and as the score reads the answer. Where the artifact is
 *  not the seats' own, it counts as the text of a single seat. */
json_t *coding_seats (const json_t *state)
{
    const json_t *task = json_object_get (state, "task"), *actions = coding_last_actions (state),
                 *action;
    json_t *seats = json_array ();
    size_t i;
    if (!coding_is_merged (state, actions)) {
        json_array_append_new (seats, coding_seat (task, false, family_text (state, "artifact")));
        return seats;
    }
    for (int helpers = 1; helpers >= 0; helpers--)
        json_array_foreach (actions, i, action)
            if (coding_is_helper (family_text (action, "role")) == (helpers == 1))
                json_array_append_new (
                    seats, coding_seat (task, helpers == 1, family_text (action, "text")));
    return seats;
}
