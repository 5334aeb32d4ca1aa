/*  rollout - the finished groups of one step, as they came from the store, checked and indexed.
 *
 *      rollout_t *rollout = rollout_new (groups, &err);
 *      rollout_add (rollout, group, data, size, reason, &limits, &err);    in order of id
 *      rollout_index (rollout, &err);
 *      rollout_destroy (&rollout);
 *
 *  Episodes and completions get flat numbers over the whole step, in the order (group, episode,
 *  turn, role): rewards, advantages and losses are arrays over them. A dead group has no episodes.
 */
#ifndef QUINTET_TRAINER_ROLLOUT_H
#define QUINTET_TRAINER_ROLLOUT_H

#include "base/arena.h"
#include "wire/wire.h"

typedef struct {
    size_t groups;
    const wire_episodes_t **group; /* NULL: dead, or not there yet */
    char **reason;                 /* why it is dead; NULL otherwise */
    const char **task;             /* JSON, with the hidden checks; borrowed; NULL: not said */
    size_t *first_episode;         /* groups + 1: flat number of each group's first episode */
    size_t episodes;
    const wire_episode_t **episode; /* by flat number */
    size_t *first_completion; /* episodes + 1: flat number of each episode's first completion */
    size_t completions;
    double *rewards; /* joint reward, by flat number of the episode */
    arena_t *arena;
} rollout_t;

/*  What a committed group must look like. */
typedef struct {
    size_t episodes; /* G */
    size_t others;   /* teams that were not played (task/mates.h) */
    size_t roles;
    const size_t *vocab; /* of each role's policy */
    const size_t *context;
} rollout_limits_t;

rollout_t *rollout_new (size_t groups, err_t *err);
void rollout_destroy (rollout_t **rollout);

/*  data NULL: dead, with its reason. ERR_INPUT names what is wrong with a group. */
int rollout_add (rollout_t *rollout, uint64_t group, const void *data, size_t size,
                 const char *reason, const rollout_limits_t *limits, err_t *err);
int rollout_index (rollout_t *rollout, err_t *err);

/*  A role's local part; NAN: nobody told it. */
double rollout_local (const wire_reward_t *reward, const char *role);
/*  That of an episode; of one that was not scored, the mean of those of its group that were. */
double rollout_local_of (const rollout_t *rollout, size_t episode, const char *role);

/*  Of all completions: what agents sampled. */
size_t rollout_tokens_all (const rollout_t *rollout);

#endif
