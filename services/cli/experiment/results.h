/*  results - what an experiment came to: results.json, from the folders of its arms.
 *
 *      json_t *results = results_read (plan, "runs/coding-arms", &err);
 *      const json_t *pass = results_cell (arm, "quality");        {"value", "low", "high"}
 *      json_decref (results);
 *
 *  {"name", "title", "quality", "relative_to", "seeds": [..], "tasks", "samples", "arms": [{"name",
 *  "title", "trained", "steps": {..}, "sampled_tokens": {..}, "columns": {KEY: {"value", "low",
 *  "high"}}, "times": {KEY: {..}}, "differs": {"from": ARM, "columns": {KEY: {..}}}, "published":
 *  {KEY: number}}]}
 *
 *  Values of columns are means over held-out tasks, a task's value being the mean over its samples
 *  and the seeds; the interval is the bootstrap's, over tasks (learn/bootstrap.h). What has no
 *  value per task is a mean over the seeds, from the lowest to the highest of them. "differs" has
 *  "tokens_to_reach" where all seeds come to the reward at which the other arm ended, as a share of
 *  the tokens that it took, and in "seeds_that_reach" how many do. Everything that
 *  a clock measured is in "times" alone: the rest follows from the seeds.
 */
#ifndef QUINTET_CLI_RESULTS_H
#define QUINTET_CLI_RESULTS_H

#include <jansson.h>

#include "plan.h"

/*  All arms must be finished. */
json_t *results_read (const plan_t *plan, const char *out, err_t *err);
/*  Borrowed; NULL: it was not measured. */
const json_t *results_cell (const json_t *arm, const char *key);
/*  "0.991 [0.980, 0.998]"; "-" for NULL. Returns text. */
#define RESULTS_TEXT 96
const char *results_text (const json_t *cell, int digits, char text[RESULTS_TEXT]);
/*  The arm of that name, borrowed. */
const json_t *results_arm (const json_t *results, const char *name);

/*  The first step at which the mean of this and up to four steps before reaches 90% of the highest
 *  such mean; 0: it never is above 0. */
size_t results_steps_to_best (const double *values, size_t n);
/*  The mean of the last steps, as many as above; and the first step at which such a mean is at
 *  least `goal`, 0: at none. */
double results_final (const double *values, size_t n);
size_t results_steps_to (const double *values, size_t n, double goal);

#endif
