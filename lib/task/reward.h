/*  reward - the joint reward of a finished episode, with every component.
 *
 *      reward_weights_t weights = {.quality = 1, .speed = 0.1, .cost = 0.1};
 *      reward_join (episode, &weights, &score, &reward, &err);
 *
 *    R = w_q quality + w_s speed - w_c cost                       each component in [0, 1]
 *    speed = quality x (1 - critical path / limit)       limit: max tokens x turns with words
 *    cost  = mean of the parts that apply:
 *      tokens_read  of the tokens that others could have written before, those that were read
 *      redundancy   of a seat's 4-grams of words, those that others had written before
 *      unused       artifacts that nobody used, as the scorer says
 *      turns        (turns - least) / (all - least), where the protocol can end early
 *      invalid      of all actions, those without effect, where the protocol has more than drafts
 *      tools        of the uses of tools that the protocol allows, those that were made
 *
 *  Quality comes from the family's scorer (family.h). Everything else is derived here from the
 *  global state.
 */
#ifndef QUINTET_TASK_REWARD_H
#define QUINTET_TASK_REWARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "task/episode.h"

#define REWARD_PARTS_MAX 24 /* of the quality */
#define REWARD_COSTS_MAX 6  /* of the cost */
#define REWARD_ALL_MAX   (REWARD_PARTS_MAX + REWARD_COSTS_MAX)
#define REWARD_NAME_MAX  32

#define REWARD_VERDICT_MAX 2048

typedef struct {
    double quality, speed, cost; /* weights w_q, w_s, w_c; all >= 0 */
} reward_weights_t;

typedef struct {
    char name[REWARD_NAME_MAX];
    double value; /* in [0, 1] */
} reward_part_t;

/*  What a scorer says of an episode. */
typedef struct {
    double quality;   /* in [0, 1] */
    bool success;     /* the pass rate counts these: all tests passed; all checks at their best */
    double agreement; /* writing: mean of the cross-agent style checks; coding: equals success */
    bool success_unknown, agreement_unknown; /* a scorer of the user's need not say them */
    reward_part_t parts[REWARD_PARTS_MAX];   /* of the quality: "syntax", "tests", ... */
    size_t parts_n;
    /* what a role's own part is worth by itself, in [0, 1], by the role's name; "local parts" */
    reward_part_t local[EPISODE_ROLES_MAX];
    size_t local_n;
    double unused; /* share of artifacts that nobody used, or -1: does not apply */
    /* one line for people: "7 of 8 tests; [1, 2] gave 5, not 9" */
    char verdict[REWARD_VERDICT_MAX];
} reward_score_t;

typedef struct {
    double reward, quality, speed, cost;
    bool success;
    double agreement;
    bool success_unknown, agreement_unknown;
    bool unscored; /* a judge named no number: the verdict says what it said */
    reward_part_t parts[REWARD_ALL_MAX]; /* of quality and of cost */
    size_t parts_n;
    reward_part_t local[EPISODE_ROLES_MAX];
    size_t local_n;
    char verdict[REWARD_VERDICT_MAX];
} reward_t;

/*  Copies a text of any length into size bytes, 4 at least: one that is longer ends in "..." behind
 *  a whole character. */
void reward_cut (char *to, size_t size, const char *text);
/*  Takes a verdict of any length. */
void reward_set_verdict (reward_score_t *score, const char *verdict);
/*  The verdict of a family of checks. It names the weakest: that is what whoever looks at an
 *  episode wants to know first. */
void reward_tell_checks (reward_score_t *score);

/*  Adds a local part; of another role than the first EPISODE_ROLES_MAX: left out. */
void reward_add_local (reward_score_t *score, const char *role, double value);

/*  Joins a score with what the global state says about speed and cost. */
int reward_join (const episode_t *episode, const reward_weights_t *weights,
                 const reward_score_t *score, reward_t *reward, err_t *err);

#endif
