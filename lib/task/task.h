/*  task - what teams work at: families of cooperative tasks, and sets of them.
 *
 *      task_set_t *set = task_set_open (&options, &err);
 *      const char *json = task_set_get (set, TASK_TRAIN, i);     one task as a line of JSON
 *      task_set_destroy (&set);
 *
 *  A task travels as JSON: {"id": "...", "family": "coding", "brief": "...", ...hidden checks...}.
 *  A family is one struct of functions (family.h): what each role observes, what its action does to
 *  the shared state, and how an episode is scored. Everything here is pure: no clock, no sockets,
 *  no global state.
 */
#ifndef QUINTET_TASK_TASK_H
#define QUINTET_TASK_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

typedef enum { TASK_TRAIN, TASK_HELDOUT } task_split_t;

typedef struct {
    const char *family; /* of families.h */
    const char *path; /* JSONL, plain or .gz: own tasks or HumanEval's format; NULL: built-in set */
    uint64_t seed;    /* of the generated set and of the split */
    double heldout; /* share held out, by content: a task is on the same side in every set; 0: both
                       sides are all tasks */
    const char *style; /* which of the family's built-in sets; NULL: its first */
    size_t seeds;      /* tasks of a program's built-in set; 0: as many as it has by itself */
} task_options_t;

typedef struct task_set task_set_t;

/*  Whether a task is held out, which follows from its id and the options' seed and share alone; of
 *  a built-in one that is made of "functions", from their ids. */
bool task_is_heldout (const task_options_t *options, const json_t *task);

/*  ERR_INPUT names file and line: a task that is none, an id that stands twice; or a split with an
 *  empty side. */
task_set_t *task_set_open (const task_options_t *options, err_t *err);
void task_set_destroy (task_set_t **set);
size_t task_set_size (const task_set_t *set, task_split_t split);
/*  Whether evaluation is on the tasks of training. */
bool task_set_shared (const task_set_t *set);
/*  One task as one line of JSON, valid as long as the set; index < size. */
const char *task_set_get (const task_set_t *set, task_split_t split, size_t index);
/*  The line of the file that has this id, from 1; 0: none has. */
size_t task_set_line (const task_set_t *set, const char *id);
/*  Leaves out the tasks whose place in keep, which is as long as the split, is false. */
void task_set_keep (task_set_t *set, task_split_t split, const bool *keep);
/*  The index that group `group` of step `step` trains on: a permutation of the train split per pass
 *  over it, pure in (seed, step, group). */
size_t task_set_pick (const task_set_t *set, uint64_t seed, uint64_t first_group_of_step,
                      uint64_t group);

#endif
