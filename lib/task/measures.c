/*  measures - what is counted in an episode, and what of it may be shown. See episode.h */
#include <stdint.h>

#include "task/episode.h"

/*  A list of what may be seen, rather than of what may not: a family's next hidden check is hidden
 *  by default. */
json_t *episode_public (const episode_t *e)
{
    static const char *const seen[] = {"id", "family", "style", "brief"};
    const json_t *task = json_object_get (episode_json (e), "task");
    json_t *shown = json_object (), *state = json_copy ((json_t *) (uintptr_t) episode_json (e));
    bool ok = shown && state;
    for (size_t i = 0; ok && i < sizeof seen / sizeof *seen; i++) {
        json_t *value = json_object_get (task, seen[i]);
        ok = !value || json_object_set (shown, seen[i], value) == 0;
    }
    ok = ok && json_object_set (state, "task", shown) == 0;
    json_decref (shown);
    if (!ok)
        json_decref (state);
    return ok ? state : NULL;
}

/*  Counts were checked when the state came in; one that is missing counts 0. */
static json_int_t episode_count (const json_t *action, const char *key)
{
    return json_integer_value (json_object_get (action, key));
}

size_t episode_tokens (const episode_t *e)
{
    const json_t *turn, *action;
    size_t t, a;
    json_int_t sum = 0;
    json_array_foreach (json_object_get (episode_json (e), "turns"), t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            sum += episode_count (action, "tokens");
    return (size_t) sum;
}

/*  Roles of a turn write at the same time, so only the slowest of them counts. */
size_t episode_critical_path (const episode_t *e)
{
    const json_t *turn, *action;
    size_t t, a;
    json_int_t sum = 0;
    json_array_foreach (json_object_get (episode_json (e), "turns"), t, turn) {
        json_int_t longest = 0;
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            if (episode_count (action, "tokens") > longest)
                longest = episode_count (action, "tokens");
        sum += longest;
    }
    return (size_t) sum;
}
