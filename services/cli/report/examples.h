/*  examples - held-out tasks as the team solved them before and after its training.
 *
 *      json_t *pairs = examples_read (out);                 arrays of two episodes: before, after
 *      json_decref (pairs);
 */
#ifndef QUINTET_CLI_EXAMPLES_H
#define QUINTET_CLI_EXAMPLES_H

#include <jansson.h>
#include <stdbool.h>

/*  Of the evaluations' episodes that OUT/episodes.jsonl holds: each task's first and last, same
 *  phase, sampled before greedy. Tasks that failed before and pass after come first. Empty when
 *  there are none. */
json_t *examples_read (const char *out);

/*  The newest episode of the training, NULL: none. */
json_t *examples_newest (const char *out);

/*  Whether the pair's task failed before and passes after. */
bool examples_learned (const json_t *pair);

#endif
