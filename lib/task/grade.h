/*  grade - a judge's part of the quality: what it is asked, and how its answer is read. A server
 *  judges, or a policy of the run that is not trained.
 *
 *      grade_t *grade = grade_read (json, &err);
 *      grade_ask (grade, episode, &prompt, &err);
 *      if (grade_of (grade, answer, &value))
 *          grade_join (grade, value, &score);
 *      grade_destroy (&grade);
 *
 *    quality = (1 - weight) q + weight j,   j = (number - lowest) / (highest - lowest)
 *
 *  q is what the family or the user's own scorer says. As text, which travels with the group:
 *  {"policy"} or {"url", "model", "temperature", "max_tokens", "seconds"}, and {"system", "prompt",
 *  "weight", "lowest", "highest", "samples"}.
 */
#ifndef QUINTET_TASK_GRADE_H
#define QUINTET_TASK_GRADE_H

#include "task/reward.h"

#define GRADE_PART "judge" /* of the quality: j */
/*  What stands in the place of an answer, and names no number, where none could be asked for. */
#define GRADE_UNASKED "(nothing: the prompt leaves no room for an answer in its context)"

typedef struct {
    char *policy;      /* who is asked: its name, or "" */
    char *url, *model; /* where there is none, the server */
    char *system;      /* "" for none */
    char *prompt;      /* with places (task/prompt.h) */
    double weight;
    double lowest, highest;
    size_t samples; /* answers, of which the mean counts */
    double temperature;
    size_t max_tokens;
    double seconds; /* for one answer, all tries together */
} grade_t;

/*  ERR_INPUT: what is missing or out of range. */
grade_t *grade_read (const char *json, err_t *err);
void grade_destroy (grade_t **grade);
/*  Appends. */
void grade_write (const grade_t *grade, buf_t *json);

/*  Appends what the judge is asked of a finished episode. It sees brief and artifact, whatever its
 *  prompt places. */
int grade_ask (const grade_t *grade, const episode_t *episode, buf_t *prompt, err_t *err);
/*  The first number in the last line that has one: j in [0, 1]. false: none, or not from lowest to
 *  highest. */
bool grade_of (const grade_t *grade, const char *answer, double *value);
/*  The mean over all samples. ERR_INPUT: what the one said that named no number. */
int grade_mean (const grade_t *grade, const char *const *answers, double *value, err_t *err);
/*  Sets err to what a judge said who named no number, so many times. */
void grade_without (const grade_t *grade, const char *answer, int times, err_t *err);
void grade_join (const grade_t *grade, double value, reward_score_t *score);

#endif
