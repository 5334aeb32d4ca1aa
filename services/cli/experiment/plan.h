/*  plan - what an experiment compares: a YAML file of arms and seeds.
 *
 *      plan_t *plan = plan_load ("deploy/experiments/coding.yml", &err);
 *      plan_count_seeds (plan, 3);
 *      plan_check (plan, &plan->arms[0], &err);
 *      plan_destroy (&plan);
 *
 *  Keys of the file:
 *    name, title    of the experiment; name: its folder. Left out: the file's own name
 *    base           configuration of every arm that names none; beside this file
 *    seeds          [1, 2, 3]: each arm runs once with every run.seed
 *    set            [section.key=value ...] of every arm
 *    budget_tokens  trainer.budget_tokens of every trained arm
 *    quality        which value of a held-out episode is an arm's quality: success, quality,
 *                   agreement, or part/NAME
 *    relative_to    the arm that speed and critical path are compared with; left out: the first
 *    clock_tasks    tasks that each arm is timed at, one at a time; 0: not timed
 *    published      where the published values come from, in words
 *    arms           {NAME: {title, base, set, train, weights, compare_to, published}}
 *  Of an arm:
 *    set            [section.key=value ...], after those of every arm
 *    train          false: evaluated as it begins
 *    weights        begins with what an arm above has learnt: NAME; or {POLICY: NAME/POLICY ...}
 *    compare_to     an arm: a table tells what differs, task by task
 *    published      {quality: 0.98, speed: 3.0 ...}, shown beside ours: keys as in results.json
 */
#ifndef QUINTET_CLI_PLAN_H
#define QUINTET_CLI_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"

#define PLAN_ARMS_MAX    64
#define PLAN_SEEDS_MAX   64
#define PLAN_SETS_MAX    48
#define PLAN_WEIGHTS_MAX CONF_LIST_MAX

/*  Weights that an arm begins with: those of a policy of another one. */
typedef struct {
    char *policy; /* NULL: of all of them */
    size_t arm;
    char *of; /* the other arm's policy; NULL: all that it has */
} plan_weights_t;

typedef struct {
    char *name, *title;
    char *base;               /* path of a configuration */
    char *set[PLAN_SETS_MAX]; /* everything that is set, but the seed */
    size_t set_n;
    bool train;
    plan_weights_t weights[PLAN_WEIGHTS_MAX];
    size_t weights_n;
    char *compare_to;  /* NULL: none */
    json_t *published; /* object, or NULL */
    size_t line;       /* in the file */
} plan_arm_t;

typedef struct {
    char *file, *name, *title, *base, *quality, *relative_to, *published;
    uint64_t seeds[PLAN_SEEDS_MAX];
    size_t seeds_n, clock_tasks, budget_tokens;
    char *set[PLAN_SETS_MAX];
    size_t set_n;
    plan_arm_t arms[PLAN_ARMS_MAX];
    size_t arms_n;
    buf_t text; /* the file's */
} plan_t;

/*  ERR_CONFIG: "coding.yml:12: arms.team.set ...". */
plan_t *plan_load (const char *path, err_t *err);
void plan_destroy (plan_t **plan);
/*  The first n seeds; where fewer are given, those that follow the last one. */
void plan_count_seeds (plan_t *plan, size_t n);
/*  Sets more for every arm, after what the file sets for all and before what an arm sets. */
int plan_set (plan_t *plan, const char *const *sets, size_t n, err_t *err);

/*  The configuration of an arm under a seed, without the weights of others: they may not be there
 *  yet. Errors begin with the arm's line. */
conf_t *plan_conf (const plan_t *plan, const plan_arm_t *arm, uint64_t seed, err_t *err);
/*  The overrides of an arm under a seed, in order; the caller frees words and array. */
char **plan_words (const plan_t *plan, const plan_arm_t *arm, uint64_t seed, size_t *n);
/*  An arm's configuration, model, tasks and prompts, before anything starts. */
int plan_check (const plan_t *plan, const plan_arm_t *arm, err_t *err);

#endif
