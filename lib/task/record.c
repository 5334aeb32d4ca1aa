/*  record - see record.h */
#include "task/record.h"

#include <string.h>

#include "task/family.h"

#define RECORD_COUNT_MAX ((json_int_t) 1 << 30) /* so that no sum of counts overflows */

/*  Teams have a few roles, so looking through them costs less than a table would. */
static bool record_has_role (const json_t *roles, const char *name)
{
    const json_t *role;
    size_t r;
    json_array_foreach (roles, r, role)
        if (strcmp (json_string_value (role), name) == 0)
            return true;
    return false;
}

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
            if (!record_has_role (roles, family_text (action, "role")) ||
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
