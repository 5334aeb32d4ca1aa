/*  prompt - what a role is asked, in words of the user's own: a text with places.
 *
 *      prompt_parts_t parts = {.brief = text, .ask = "", .role = "main"};
 *      prompt_expand ("{brief}\n# main\n", &parts, &out);
 *
 *  {brief} is the task's own text, {ask} what the family would have asked, {role} the role's name.
 *  A word in braces that is none of these is not known; all other braces stand for themselves.
 */
#ifndef QUINTET_TASK_PROMPT_H
#define QUINTET_TASK_PROMPT_H

#include <stdbool.h>

#include "base/buf.h"

#define PROMPT_NAMES    "{brief}, {ask} and {role}"
#define PROMPT_NAME_MAX 64

typedef struct {
    const char *brief, *ask, *role;
} prompt_parts_t;

/*  Places that are not known stay as they are. */
void prompt_expand (const char *words, const prompt_parts_t *parts, buf_t *out);
/*  Whether there is a place that is not known; unknown: its name, cut where it is long. */
bool prompt_unknown (const char *words, char unknown[PROMPT_NAME_MAX]);

#endif
