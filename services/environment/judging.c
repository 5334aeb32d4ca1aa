/*  judging - a policy of the run's that is not trained says how good finished episodes are. See
 *  internal.h
 *
 *  It is asked once for the whole group, of the teams that were not played as well, and whatever it
 *  says goes on to the reward service, which reads the numbers. Its place is the one behind the
 *  roles: so its random numbers are nobody else's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "prompt.h"
#include "task/grade.h"
#include "text/stops.h"

bool group_is_judged (const group_t *group)
{
    return group->message->judged_by != NULL;
}

void group_forget_judging (group_t *group)
{
    for (size_t i = 0; i < group->judging_n; i++) {
        free (group->judging[i].text);
        free (group->judging[i].samples);
        tokenizer_ids_free (&group->judging[i].ids);
    }
    free (group->judging);
    free (group->judging_of);
    group->judging = NULL;
    group->judging_of = NULL;
    group->judging_n = 0;
}

/*  What is asked of a history. A team that was not played is put together from it. */
static int judging_write (const group_t *group, const grade_t *grade, size_t i, const char *history,
                          buf_t *text, err_t *err)
{
    if (i < group->n)
        return grade_ask (grade, group->tables[i].episode, text, err);
    episode_t *episode = episode_again (group->tables[0].episode, err);
    int rc = episode ? episode_replay (episode, history, strlen (history), err) : -1;
    if (rc == 0)
        rc = grade_ask (grade, episode, text, err);
    episode_destroy (&episode);
    return rc;
}

/*  The prompt that equals text, or a new one; text is taken over. NULL: see err. */
static judging_t *judging_find (group_t *group, buf_t *text, err_t *err)
{
    for (size_t i = 0; i < group->judging_n; i++)
        if (strcmp (group->judging[i].text, text->data) == 0)
            return &group->judging[i];
    judging_t *judging = &group->judging[group->judging_n++];
    if (!(judging->text = buf_take (text))) {
        err_set (err, ERR_LIMIT, "no memory for what a judge is asked");
        return NULL;
    }
    return prompt_encode (group->seats[group->message->roles_n].tokenizer,
                          group->message->judged_by, judging->text, strlen (judging->text),
                          &judging->ids, err) == 0
               ? judging
               : NULL;
}

/*  The answers to a prompt that are of a history. */
static int judging_add (judging_t *judging, size_t history, size_t samples, err_t *err)
{
    uint32_t *all = realloc (judging->samples, (judging->n + samples) * sizeof *all);
    if (!all)
        return err_set (err, ERR_LIMIT, "no memory for what a judge is asked");
    judging->samples = all;
    for (size_t s = 0; s < samples; s++)
        judging->samples[judging->n++] = (uint32_t) (history * samples + s);
    return 0;
}

static int judging_gather (group_t *group, const grade_t *grade, const char *const *histories,
                           err_t *err)
{
    size_t n = group->n + group->others_n;
    group_forget_judging (group);
    group->judging = calloc (n, sizeof *group->judging);
    group->judging_of = calloc (n, sizeof *group->judging_of);
    if (!group->judging || !group->judging_of)
        return err_set (err, ERR_LIMIT, "no memory for what a judge is asked");
    for (size_t i = 0; i < n; i++) {
        buf_t text = {0};
        int rc = judging_write (group, grade, i, histories[i], &text, err);
        judging_t *judging = rc == 0 ? judging_find (group, &text, err) : NULL;
        buf_free (&text);
        if (!judging || judging_add (judging, i, grade->samples, err) != 0)
            return -1;
        group->judging_of[i] = (size_t) (judging - group->judging);
    }
    return 0;
}

/*  Longer than the model's context: nothing is asked. */
static bool judging_fits (const group_t *group, const judging_t *judging)
{
    const wire_role_t *judge = group->message->judged_by;
    return judge->context == 0 || judging->ids.n + judge->max_tokens <= judge->context;
}

static size_t judging_prompts (const group_t *group, wire_prompt_t *prompts)
{
    size_t n = 0;
    for (size_t i = 0; i < group->judging_n; i++) {
        const judging_t *judging = &group->judging[i];
        if (judging_fits (group, judging))
            prompts[n++] = (wire_prompt_t){.ids = {.data = judging->ids.data, .n = judging->ids.n},
                                           .episodes = judging->samples,
                                           .episodes_n = judging->n};
    }
    return n;
}

static void judging_send (group_t *group, const wire_prompt_t *prompts, size_t n)
{
    const wire_group_t *m = group->message;
    const wire_role_t *judge = m->judged_by;
    const wire_act_request_t request = {.run = m->run,
                                        .version = judge->version,
                                        .seed = m->seed,
                                        .phase = m->phase,
                                        .step = m->phase == WIRE_TRAIN ? m->step : 0,
                                        .group = m->group,
                                        .role = (uint32_t) m->roles_n,
                                        .temperature = judge->temperature,
                                        .max_tokens = judge->max_tokens,
                                        .stops = judge->stops,
                                        .prompts = prompts,
                                        .prompts_n = n,
                                        .engine = "",
                                        .system = ""};
    group_ask_t *ask = group_new_ask (group, "act");
    snprintf (ask->what, sizeof ask->what, "judge %.60s: ", judge->name);
    snprintf (ask->who, sizeof ask->who, "%.60s", judge->name);
    wire_act_request_pack (&request, &ask->payload);
    group_finish_ask (group, ask, "/judge");
}

/*  Where nothing fits, nobody is asked. */
static int judging_ask (group_t *group, const grade_t *grade, const char *const *histories,
                        err_t *err)
{
    if (judging_gather (group, grade, histories, err) != 0)
        return -1;
    group->graded_n = (group->n + group->others_n) * grade->samples;
    group->graded = calloc (group->graded_n, sizeof *group->graded);
    wire_prompt_t *prompts = calloc (group->judging_n, sizeof *prompts);
    bool fine = group->graded && prompts;
    for (size_t i = 0; fine && i < group->graded_n; i++)
        fine = (group->graded[i] = strdup (GRADE_UNASKED)) != NULL;
    size_t n = fine ? judging_prompts (group, prompts) : 0;
    group_forget_asks (group);
    group->state = GROUP_ASKING;
    group->stage = STAGE_JUDGE;
    if (n)
        judging_send (group, prompts, n);
    else if (fine)
        group_ask_score (group);
    free (prompts);
    return fine ? 0 : err_set (err, ERR_LIMIT, "no memory for a judge's answers");
}

void group_ask_judge (group_t *group)
{
    err_t err = {0};
    grade_t *grade = grade_read (group->message->judge, &err);
    const char **histories = grade ? group_histories (group, &err) : NULL;
    if (!histories || judging_ask (group, grade, histories, &err) != 0)
        group_fail (group, err.code, "judge %s: %s", group->message->judged_by->name, err.text);
    free (histories);
    grade_destroy (&grade);
}

/*  Which prompt an answer is to; NULL: to none that was asked. */
static const judging_t *judging_of (const group_t *group, uint32_t sample)
{
    size_t each = group->graded_n / (group->n + group->others_n);
    if (sample >= group->graded_n)
        return NULL;
    const judging_t *judging = &group->judging[group->judging_of[sample / each]];
    return judging_fits (group, judging) ? judging : NULL;
}

/*  Samples ascend (wire.h), so as many as were asked for, each of them asked for, are all. */
int group_check_judged (const group_t *group, const wire_act_reply_t *reply, err_t *err)
{
    const wire_role_t *judge = group->message->judged_by;
    size_t asked = 0;
    if (group_check_version (&judge->version, reply, err) != 0)
        return -1;
    for (size_t i = 0; i < group->judging_n; i++)
        asked += judging_fits (group, &group->judging[i]) ? group->judging[i].n : 0;
    if (reply->samples_n != asked)
        return err_set (err, ERR_INTERNAL, "the agent answered %zu samples, asked were %zu",
                        reply->samples_n, asked);
    for (size_t i = 0; i < reply->samples_n; i++) {
        const wire_sample_t *sample = &reply->samples[i];
        if (!judging_of (group, sample->episode) || sample->ids.n == 0 ||
            sample->ids.n > judge->max_tokens)
            return err_set (err, ERR_INTERNAL, "the agent's sample %u has %zu ids", sample->episode,
                            sample->ids.n);
    }
    return 0;
}

void group_end_judging (group_t *group, const wire_act_reply_t *reply)
{
    const tokenizer_t *tokenizer = group->seats[group->message->roles_n].tokenizer;
    for (size_t i = 0; i < reply->samples_n; i++) {
        const wire_sample_t *sample = &reply->samples[i];
        const tokenizer_ids_t *prompt = &judging_of (group, sample->episode)->ids;
        size_t n = sample->ids.n;
        buf_t text = {0};
        buf_text (&text, "");
        stops_cut (&(stops_t){0}, tokenizer, prompt->data, prompt->n, sample->ids.data, &n, &text);
        free (group->graded[sample->episode]);
        group->graded[sample->episode] = buf_take (&text);
        buf_free (&text);
        if (!group->graded[sample->episode]) {
            group_fail (group, ERR_LIMIT, "no memory for a judge's answers");
            return;
        }
    }
    group_forget_judging (group);
    group_ask_score (group);
}
