/*  observe - what each seat of a writing team is asked. See family.h */
#include <string.h>

#include "task/writing/writing.h"

/*  A story goes on from its opening; a brief is put in the words that the corpus has, with the
 *  seat's name behind the mark. */
void writing_observe (const json_t *task, const char *role, buf_t *prompt)
{
    const char *brief = family_text (task, "brief");
    if (writing_is_story (family_text (task, "style")))
        buf_printf (prompt, "%s%s", brief, strcmp (role, "details") == 0 ? " One day," : "");
    else
        buf_printf (prompt, "%s\n@ %s\n", brief, role);
}
