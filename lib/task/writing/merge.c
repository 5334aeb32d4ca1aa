/*  merge - the text that a writing team hands in. See family.h */
#include <string.h>

#include "task/writing/writing.h"

/*  The summary comes first and the details behind it, whatever the order of the seats. */
void writing_merge (const json_t *task, const char *const *roles, const char *const *texts,
                    size_t n, buf_t *artifact)
{
    (void) task;
    for (int last = 0; last <= 1; last++)
        for (size_t i = 0; i < n; i++)
            if ((strcmp (roles[i], "details") == 0) == (last == 1))
                buf_printf (artifact, "%s%s", artifact->size ? "\n\n" : "", texts[i]);
}
