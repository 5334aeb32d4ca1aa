/*  fit - which tasks of a set a model can play at all: their prompts leave room for a completion.
 *
 *      task_fit_t fit = {.roles = roles, .roles_n = n, .limits = limits, .room = rooms,
 *                        .count = count, .context = tokenizer};
 *      task_fitted_t fitted;
 *      task_fit (set, &fit, &fitted, &err);
 *
 *  Decided by what every role reads first, before anybody has written anything: a task that does
 *  not fit then never will. All who open a run's tasks leave out the same ones.
 */
#ifndef QUINTET_TASK_FIT_H
#define QUINTET_TASK_FIT_H

#include "task/episode.h"
#include "task/task.h"

typedef struct {
    const char *const *roles;
    size_t roles_n;
    episode_limits_t limits; /* of its episodes; a completion may have limits.tokens */
    const size_t *room;      /* by role: tokens of its model's context */
    /* Adds nothing: sets the tokens of a role's prompt as an agent would be sent it. */
    int (*count) (void *context, size_t role, const char *text, size_t size, size_t *tokens,
                  err_t *err);
    void *context;
} task_fit_t;

typedef struct {
    size_t n[2], long_n[2]; /* by split: tasks, and those of them that do not fit */
    char id[96];            /* of the task whose prompt leaves least room, */
    const char *role;       /* who reads it, */
    size_t most, room;      /* its tokens, and the room that there is */
} task_fitted_t;

/*  Finds the tasks that do not fit. */
int task_fit_count (const task_set_t *set, const task_fit_t *fit, task_fitted_t *fitted,
                    err_t *err);
/*  Leaves them out of the set; the others keep their order. */
int task_fit (task_set_t *set, const task_fit_t *fit, task_fitted_t *fitted, err_t *err);

#endif
