/*  asks - the prompts of the built-in teams: templates, which stand in asks.yml beside this file.
 *
 *      asks_place_t places[] = {{"brief", brief}, {"role", role}};
 *      asks_write ("coding", role, places, 2, &prompt);
 *
 *  A template is a text in a set, by name; where the set has none of that name, "others" stands for
 *  it. Places are names in braces; all other braces stand for themselves.
 */
#ifndef QUINTET_TASK_ASKS_H
#define QUINTET_TASK_ASKS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct {
    const char *name, *text;
} asks_place_t;

/*  Appends the template with its places filled. A set or name that is not there is the caller's
 *  bug. */
void asks_write (const char *set, const char *name, const asks_place_t *places, size_t n,
                 buf_t *out);
/*  The most common: a brief for a role. */
void asks_brief (const char *set, const char *role, const char *brief, buf_t *out);
/*  Whether a set has a template of that name, "others" not counted. False also without the set. */
bool asks_knows (const char *set, const char *name);
/*  Appends the lines of all sets whose names begin so, for people, each behind `before`. */
void asks_show (const char *family, const char *before, buf_t *out);
/*  Whether a file of templates is one: known places alone, and every set with what it needs.
 *  ERR_CONFIG names line and key. NULL: our own. */
int asks_check (const char *text, const char *file, err_t *err);

#endif
