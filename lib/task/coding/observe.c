/*  observe - what each seat of a coding team is asked. See family.h */
#include <string.h>

#include "task/asks.h"
#include "task/coding/coding.h"

/*  "helper" is another word for the same seat; the function is called aux in either case. */
bool coding_is_helper (const char *role)
{
    return strcmp (role, "aux") == 0 || strcmp (role, "helper") == 0;
}

/*  HumanEval's tasks are files that a model goes on with; built-in and own ones are put in the
 *  words of the corpus that seed models were trained on. */
void coding_observe (const json_t *task, const char *role, buf_t *prompt)
{
    bool file = json_is_string (json_object_get (task, "prompt"));
    asks_brief (file ? "coding_file" : "coding", role, family_text (task, "brief"), prompt);
}
