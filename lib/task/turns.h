/*  turns - what stands before the seats of a team of two in their later turns, for a corpus, and
 *  what they make of it.
 *
 *      turns_situate (&turns, task, role, rng, &prompt);      a family's situate (family.h)
 *      size_t convention = turns_convention (task);      and what its imagine writes by
 *
 *  Two that follow each other never meet, so one of them yields: once both have written, it follows
 *  the text of the other, which stays as it is. Where one wrote alone, as in a pipeline, the one
 *  behind it follows. Both follow a plan. A reviewer accepts the text of who stays; the other one's
 *  it accepts if the two fit, and else returns it with what it should be.
 *
 *  Half of the texts of both are first drafts, which have nothing before them.
 */
#ifndef QUINTET_TASK_TURNS_H
#define QUINTET_TASK_TURNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/rng.h"

typedef struct {
    const char *yields, *stays; /* roles, in the order of the team */
    size_t conventions;
    const char *const *names; /* of the conventions: a plan, and the reason of a return */
    /* Of a role that has seen nothing of the others. */
    size_t (*draw) (const char *role, rng_t *rng);
    /* Appends what one of the two writes. */
    void (*write) (const json_t *task, const char *role, size_t convention, rng_t *rng, buf_t *out);
    bool (*fit) (const json_t *task, size_t yields, size_t stays);
    /* Appends what a failed test finds. NULL: the family has no tests. */
    void (*fail) (const json_t *task, rng_t *rng, buf_t *out);
} turns_t;

/*  Appends what a role has before it, in the words of task/prompt.h, of a seat that sees all turns;
 *  and notes in the task what its text makes of it. */
void turns_situate (const turns_t *turns, json_t *task, const char *role, rng_t *rng,
                    buf_t *prompt);
/*  What was noted: a convention, and what a planner or a reviewer says; "": the role is neither. */
size_t turns_convention (const json_t *task);
const char *turns_said (const json_t *task);

#endif
