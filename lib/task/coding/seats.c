/*  seats - what the sandbox is to look for in what each seat wrote. See coding.h */
#include <string.h>

#include "task/coding/coding.h"
#include "team/state.h"

/*  Whether the artifact is what the seats wrote. An episode that somebody puts to the scorer by
 *  hand may hold another one, and then that is what the team hands in. */
static bool coding_is_merged (const json_t *state)
{
    const char *roles[EPISODE_ROLES_MAX], *texts[EPISODE_ROLES_MAX];
    size_t n = state_slots (state, roles, texts, EPISODE_ROLES_MAX);
    buf_t whole = {.max = SIZE_MAX};
    if (json_object_size (state_artifacts (state)) == 0)
        return false;
    coding_merge (json_object_get (state, "task"), roles, texts, n, &whole);
    bool same = !buf_failed (&whole) &&
                strcmp (whole.data ? whole.data : "", family_text (state, "artifact")) == 0;
    buf_free (&whole);
    return same;
}

/*  Helpers first, as the artifact has them and as the score reads the answer. */
size_t coding_slots (const json_t *state, const char *names[EPISODE_ROLES_MAX])
{
    const json_t *slots = json_object_get (state, "slots"), *slot;
    size_t n = 0, i;
    if (!coding_is_merged (state))
        return 0;
    for (int helpers = 1; helpers >= 0; helpers--)
        json_array_foreach (slots, i, slot)
            if (coding_is_helper (json_string_value (slot)) == (helpers == 1) &&
                n < EPISODE_ROLES_MAX)
                names[n++] = json_string_value (slot);
    return n;
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

/*  Where the artifact is not the seats' own, it counts as the text of a single seat. */
json_t *coding_seats (const json_t *state)
{
    const json_t *task = json_object_get (state, "task");
    const char *names[EPISODE_ROLES_MAX];
    size_t n = coding_slots (state, names);
    json_t *seats = json_array ();
    for (size_t i = 0; i < n; i++)
        json_array_append_new (seats, coding_seat (task, coding_is_helper (names[i]),
                                                   state_slot_text (state, names[i])));
    if (n == 0)
        json_array_append_new (seats, coding_seat (task, false, family_text (state, "artifact")));
    return seats;
}
