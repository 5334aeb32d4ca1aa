/*  grader - asks the judge: a server that says how good an episode is.
 *
 *      grader_t *grader = grader_new ("http://HOST:8000/v1 NAME KEY_ENV", &err);
 *      grader_ask (grader, grade, episode, graded, context, &err);            from any thread
 *      grader_destroy (&grader);
 *
 *  The server is the one that the service was started with; a request only says which one it counts
 *  on. Many episodes are asked for at once. An answer without a number is asked for again, with
 *  another seed, before it is an error of the episode.
 */
#ifndef QUINTET_REWARD_GRADER_H
#define QUINTET_REWARD_GRADER_H

#include "task/grade.h"

#define GRADER_TRIES 3 /* of an answer that has no number */

typedef struct grader grader_t;

/*  The mean over the answers, or why there is none: ERR_INPUT when it is the episode's, ERR_CONFIG
 *  when it is everybody's. Called once, on another thread, also for what grader_destroy gives
 *  up. */
typedef void (*grader_fn) (void *context, double value, const err_t *err);

/*  server: "URL MODEL KEY_ENV", the last may be left out; "" for a grader that has none. */
grader_t *grader_new (const char *server, err_t *err);
void grader_destroy (grader_t **grader);

/*  ERR_CONFIG: another server than this service was started with. */
int grader_check (const grader_t *grader, const grade_t *grade, err_t *err);
/*  The episode is needed until this returns, the grade until graded is called. */
int grader_ask (grader_t *grader, const grade_t *grade, const episode_t *episode, grader_fn graded,
                void *context, err_t *err);

#endif
