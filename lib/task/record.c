/*  record - see record.h */
#include "task/record.h"

#include "task/family.h"
#include "team/state.h"

#define RECORD_COUNT_MAX ((json_int_t) 1 << 30) /* so that no sum of counts overflows */

/*  A count that is missing counts 0. */
static bool record_is_count (const json_t *count)
{
    json_int_t n = json_integer_value (count);
    return n >= 0 && n <= RECORD_COUNT_MAX;
}

int record_check (const json_t *turns, const json_t *roles, bool observed, err_t *err)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (turns, t, turn) {
        const json_t *actions = json_object_get (turn, "actions");
        if (!json_is_array (actions))
            return err_set (err, ERR_INPUT, "turn %zu has no \"actions\"", t);
        if (observed && !json_is_object (json_object_get (turn, "observed")))
            return err_set (err, ERR_INPUT, "turn %zu has no \"observed\"", t);
        json_array_foreach (actions, a, action)
            if (!state_lists (roles, family_text (action, "role")) ||
                !json_is_string (json_object_get (action, "text")) ||
                !record_is_count (json_object_get (action, "tokens")) ||
                !record_is_count (json_object_get (action, "tokens_read")))
                return err_set (err, ERR_INPUT,
                                "turn %zu, action %zu: a role of the team, text and tokens are "
                                "wanted",
                                t, a);
    }
    return 0;
}
