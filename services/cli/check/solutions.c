/*  solutions - see solutions.h */
#include "solutions.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "../play/judge.h"
#include "base/clock.h"
#include "task/episode.h"
#include "task/family.h"

/*  A file of thousands of tasks must not keep a run from beginning: the first ones that fit into
 *  this time are tried. */
#define SOLUTIONS_MS    60000
#define SOLUTIONS_NAMED 5 /* that the error names */

typedef struct {
    const conf_t *conf; /* with one seat, as a solution is one text */
    const task_set_t *tasks;
    const volatile sig_atomic_t *interrupted;
    judge_t *judge;         /* started for the first solution */
    seats_t nobody;         /* whether tests pass, no policy is asked */
    size_t given, tried, n; /* tasks with a solution; tried; failed */
    buf_t failed;           /* what the error names */
    int64_t deadline;
} solutions_t;

/*  The solutions of a task: HumanEval's goes on behind the prompt, and is also tried as one text
 *  with it, since the rules for answers of models need not find what a file means. */
static const char *solutions_text (const json_t *task, const char **before)
{
    bool human = *family_text (task, "test");
    *before = human ? family_text (task, "prompt") : "";
    return family_text (task, human ? "canonical_solution" : "solution");
}

static const wire_reward_t *solutions_score (solutions_t *s, const char *line, const char *before,
                                             const char *text, err_t *err)
{
    static const char *const seats[] = {"solo"};
    const episode_limits_t limits = {.tokens = (size_t) s->conf->task.max_tokens};
    const wire_reward_t *reward = NULL;
    buf_t whole = {0};
    buf_printf (&whole, "%s%s", before, text);
    episode_t *episode = episode_new (line, seats, 1, &limits, err);
    int rc = episode ? buf_check (&whole, "a solution", err) : -1;
    if (rc == 0)
        rc = episode_act (episode, 0,
                          &(episode_action_t){.text = whole.data, .size = whole.size, .tokens = 1},
                          err);
    if (rc == 0)
        rc = episode_step (episode, err);
    if (rc == 0 && !s->judge)
        rc = (s->judge = judge_new (s->conf, &s->nobody, err)) ? 0 : -1;
    const judge_played_t played = {.episode = episode, .task = line};
    if (rc == 0)
        reward = judge_score (s->judge, NULL, &played, s->interrupted, err);
    episode_destroy (&episode);
    buf_free (&whole);
    return reward;
}

static int solutions_try (solutions_t *s, const char *line, const json_t *task, err_t *err)
{
    const char *prompt, *text = solutions_text (task, &prompt);
    const wire_reward_t *reward = solutions_score (s, line, "", text, err);
    if (reward && !reward->success && *prompt)
        reward = solutions_score (s, line, prompt, text, err);
    if (!reward)
        return -1;
    s->tried++;
    if (reward->success)
        return 0;
    const char *id = family_text (task, "id");
    if (s->n < SOLUTIONS_NAMED)
        buf_printf (&s->failed, "%s%.80s in line %zu: %.120s", s->n ? "; " : "", id,
                    task_set_line (s->tasks, id), reward->verdict);
    s->n++;
    return 0;
}

/*  Counts the tasks with a solution, or tries them. */
static int solutions_walk (solutions_t *s, bool try, err_t *err)
{
    int rc = 0;
    bool screen = try && isatty (STDERR_FILENO);
    /* Where nothing is held out, both sides are the same tasks. */
    task_split_t last = task_set_shared (s->tasks) ? TASK_TRAIN : TASK_HELDOUT;
    for (task_split_t split = TASK_TRAIN; split <= last; split++)
        for (size_t i = 0; rc == 0 && i < task_set_size (s->tasks, split); i++) {
            const char *line = task_set_get (s->tasks, split, i), *before;
            json_t *task = json_loads (line, 0, NULL);
            bool has = *solutions_text (task, &before);
            s->given += has && !try;
            if (has && try && clock_ms () < s->deadline) {
                if (screen)
                    fprintf (stderr, "\rtrying the tasks' own solutions: %zu of %zu", s->tried + 1,
                             s->given);
                rc = solutions_try (s, line, task, err);
            }
            json_decref (task);
        }
    if (screen && s->tried)
        fputs ("\r\033[K", stderr);
    return rc;
}

static int solutions_refuse (const solutions_t *s, const conf_t *conf, err_t *err)
{
    return conf_refuse (conf, "task.path", err,
                        "%zu of %zu tasks of %s cannot be passed, as their own solutions fail "
                        "(%s%s): mend them or leave them out, or set task.try_solutions: false",
                        s->n, s->tried, conf->task.path, s->failed.data ? s->failed.data : "",
                        s->n > SOLUTIONS_NAMED ? "; ..." : "");
}

bool solutions_wanted (const conf_t *conf)
{
    return conf->task.try_solutions && *conf->task.path && !*conf->reward.command &&
           family_find (conf->task.family)->runs_programs;
}

int solutions_check (const conf_t *conf, const task_set_t *tasks,
                     const volatile sig_atomic_t *interrupted, buf_t *notes, err_t *err)
{
    conf_t alone = *conf;
    alone.team.roles = (conf_list_t){.n = 1, .item = {(char *) (uintptr_t) "solo"}};
    alone.task.max_turns = 0;
    alone.protocol = NULL;
    alone.grade = NULL; /* nor is a server */
    alone.judge.url = alone.judge.policy = (char[]){""};
    solutions_t s = {.conf = &alone,
                     .tasks = tasks,
                     .interrupted = interrupted,
                     .deadline = clock_ms () + SOLUTIONS_MS};
    int rc = solutions_walk (&s, false, err);
    if (rc == 0 && s.given)
        rc = solutions_walk (&s, true, err);
    judge_destroy (&s.judge);
    if (rc == 0 && s.n)
        rc = solutions_refuse (&s, conf, err);
    if (rc == 0 && s.tried < s.given)
        buf_printf (notes,
                    "Note: of %zu solutions in task.path the first %zu were tried, all that %d s "
                    "were enough for\n",
                    s.given, s.tried, SOLUTIONS_MS / 1000);
    buf_free (&s.failed);
    return rc;
}
