/*  observe - what each seat of a coding team is asked. See family.h */
#include <string.h>

#include "task/coding/coding.h"

/*  "helper" is another word for the same seat; the function is called aux in either case. */
bool coding_is_helper (const char *role)
{
    return strcmp (role, "aux") == 0 || strcmp (role, "helper") == 0;
}

/*  Built-in and own tasks are put in the words of the corpus that seed models were trained on. */
void coding_observe (const json_t *task, const char *role, buf_t *prompt)
{
    if (!json_is_string (json_object_get (task, "prompt"))) {
        buf_printf (prompt, "%s\n# %s\n", family_text (task, "brief"), role);
        return;
    }
    /* HumanEval: a model that was trained on code goes on with the file. */
    if (coding_is_helper (role))
        buf_printf (prompt,
                    "# Write only one short helper function aux(...) that the function below may "
                    "call.\n\n%s\n\n# The helper:\ndef aux(",
                    family_text (task, "brief"));
    else if (strcmp (role, "main") == 0)
        buf_printf (prompt,
                    "# A helper function aux(...) is already defined and may be called.\n\n%s",
                    family_text (task, "brief"));
    else
        buf_text (prompt, family_text (task, "brief"));
}
