/*  merge - the text that a writing team hands in. See family.h */
#include "task/writing/writing.h"

void writing_merge (const json_t *task, const char *const *roles, const char *const *texts,
                    size_t n, buf_t *artifact)
{
    (void) task;
    (void) roles;
    for (size_t i = 0; i < n; i++)
        buf_printf (artifact, "%s%s", i ? "\n\n" : "", texts[i]);
}
