/*  adopt - writing tasks from users' files. See family.h */
#include "task/writing/writing.h"

/*  A file may call the brief "prompt", as many data sets do. */
int writing_adopt (json_t *task, err_t *err)
{
    if (!*family_text (task, "brief") && *family_text (task, "prompt"))
        json_object_set (task, "brief", json_object_get (task, "prompt"));
    if (!*family_text (task, "id") || !*family_text (task, "brief"))
        return err_set (err, ERR_INPUT, "needs \"id\" and \"brief\" (what to write about)");
    const json_t *terms = json_object_get (task, "terms");
    if (terms && !json_is_array (terms))
        return err_set (err, ERR_INPUT, "\"terms\" is a list of words that must occur");
    return 0;
}
