/*  turns - what stands before the seats of a team in their later turns, for a corpus, and what they
 *  make of it.
 *
 *      turns_situate (&turns, task, role, rng, &prompt);      a family's situate (family.h)
 *      size_t convention = turns_convention (task);      and what its imagine writes by
 *
 *  Authors that follow each other never meet, so one of them stays, the team's last: once all have
 *  written, the others yield and follow its text. In a pipeline, in the order of the team or the
 *  other way round, each follows those before it. All follow a plan. A reviewer accepts the text of
 *  who stays; another one's it accepts if the two fit, and else returns it with what it should be.
 *
 *  Half of the texts of authors are first drafts, which have nothing before them.
 */
#ifndef QUINTET_TASK_TURNS_H
#define QUINTET_TASK_TURNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/rng.h"

#define TURNS_AUTHORS_MAX 3

typedef struct {
    const char *const *authors; /* in the order of the team; NULL ends; the last one stays */
    size_t conventions;
    const char *const *names; /* of the conventions: a plan, and the reason of a return */
    /* Of a role that has seen nothing of the others. */
    size_t (*draw) (const char *role, rng_t *rng);
    /* Appends what an author writes. */
    void (*write) (const json_t *task, const char *role, size_t convention, rng_t *rng, buf_t *out);
    /* Whether the text of one who yields fits that of who stays, by their conventions. NULL: those
     * of one convention fit. */
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
