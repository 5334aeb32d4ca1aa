/*  family - what a task family is: who observes what, and what the team hands in.
 *
 *      const family_t *family = family_find ("coding");
 *      family->observe (task, "aux", &prompt, &err);
 *      family->merge (task, roles, texts, n, &artifact);
 *
 *  A family is one constant struct of pure functions; a new one is a new file and a line in family.c.
 */
#ifndef QUINTET_TASK_FAMILY_H
#define QUINTET_TASK_FAMILY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"

#define FAMILY_ROLES_MAX 4

typedef struct {
    const char *name;
    const char *roles[FAMILY_ROLES_MAX + 1]; /* seats that it knows; NULL ends */
    size_t turns;                            /* that an episode needs */
    /*  The built-in set: number of tasks, and task i as a new object; content alone decides. */
    size_t (*builtin) (const char *style);
    json_t *(*generate) (const char *style, uint64_t seed, size_t i);
    /*  Checks a task and brings it into the family's form (in place); file formats of others too. */
    int (*adopt) (json_t *task, err_t *err);
    /*  What a role is asked; a later turn's prompt ends with it. */
    void (*observe) (const json_t *task, const char *role, buf_t *prompt);
    void (*merge) (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact);
    /*  Says the same task in other words, for the corpus; NULL: there is one wording. */
    void (*reword) (json_t *task, rng_t *rng);
    /*  A text of the corpus for a task and role: what an untrained agent would write. */
    void (*imagine) (const json_t *task, const char *role, rng_t *rng, buf_t *completion);
    const char *const *corpus_roles; /* of which the corpus has texts, NULL ends */
} family_t;

extern const family_t family_coding, family_writing;

/*  NULL when there is none. */
const family_t *family_find (const char *name);
bool family_knows (const family_t *family, const char *role);

/*  A string member, or "". */
const char *family_text (const json_t *object, const char *key);

#endif
