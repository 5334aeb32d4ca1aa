/*  keys - see keys.h */
#include "task/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*  Whether one letter more makes the one of the other. */
static bool keys_lacks_one (const char *shorter, const char *longer)
{
    size_t same = 0;
    while (shorter[same] && shorter[same] == longer[same])
        same++;
    return longer[same] && strcmp (shorter + same, longer + same + 1) == 0;
}

static bool keys_are_swapped (const char *a, const char *b)
{
    size_t same = 0;
    while (a[same] && a[same] == b[same])
        same++;
    return a[same] && b[same] && a[same] == b[same + 1] && a[same + 1] == b[same] &&
           strcmp (a + same + 2, b + same + 2) == 0;
}

/*  NULL: it is one of the known, or like none of those that the object lacks. */
static const char *keys_meant (const json_t *object, const char *key, const char *const *known)
{
    const char *meant = NULL;
    for (; *known; known++) {
        if (strcmp (key, *known) == 0)
            return NULL;
        if (!json_object_get (object, *known) &&
            (keys_lacks_one (key, *known) || keys_lacks_one (*known, key) ||
             keys_are_swapped (key, *known)))
            meant = *known;
    }
    return meant;
}

/*  Objects of the task, and those in its lists: deeper stand the values of tests, whose keys are
 *  the user's own. */
static int keys_check_object (const json_t *object, const char *const *known, int depth, err_t *err)
{
    const char *key;
    json_t *value, *element;
    size_t i;
    json_object_foreach ((json_t *) (uintptr_t) object, key, value) {
        const char *meant = keys_meant (object, key, known);
        if (meant)
            return err_set (err, ERR_INPUT, "\"%.60s\": no such key; did you mean \"%s\"?", key,
                            meant);
        json_array_foreach (value, i, element)
            if (depth > 0 && keys_check_object (element, known, depth - 1, err) != 0)
                return -1;
    }
    return 0;
}

int task_keys_check (const json_t *task, const char *const *known, err_t *err)
{
    return keys_check_object (task, known, 1, err);
}
