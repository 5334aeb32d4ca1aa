/*  judge - see judge.h */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite/suite.h"
#include "base/fs.h"
#include "base/rng.h"
#include "bus/bus.h"
#include "stream.h"
#include "task/grade.h"

#define JUDGE_WAIT_MS 600000             /* a scorer of one's own may be slow */
#define JUDGE_POLL_MS 50                 /* between two looks at the services and at Ctrl-C */
#define JUDGE_BUDGET  ((size_t) 1 << 28) /* of a reply */
#define JUDGE_SAMPLES 64                 /* as lib/conf/keys.h has it */

struct judge {
    const conf_t *conf;         /* borrowed */
    const seats_t *seats;       /* borrowed: a policy that judges is among them */
    char dir[SUITE_FOLDER_MAX]; /* "": none was made */
    supervisor_t *supervisor;   /* of bus and scorer */
    bus_t *bus;
    buf_t modules;
    arena_t *arena;         /* of the last reply */
    stream_part_t *answers; /* the last ones of a policy that judges */
    bool asked;             /* for them: there was room */
};

/*  ---- a policy that judges ------------------------------------------------------------------- */

static void judge_forget (judge_t *j)
{
    if (j->answers)
        stream_free (j->answers, (size_t) j->conf->judge.samples);
    free (j->answers);
    j->answers = NULL;
}

/*  One place of the random numbers for each answer. */
static int judge_decode (judge_t *j, const judge_played_t *played, const tokenizer_ids_t *ids,
                         const volatile sig_atomic_t *interrupted, err_t *err)
{
    const seats_t *s = j->seats;
    const sampling_t sampling = {.temperature = j->conf->judge.temperature,
                                 .max_tokens = (size_t) j->conf->judge.max_tokens};
    const stream_show_t show = {.interrupted = interrupted};
    stream_count_t count = {0};
    size_t n = (size_t) j->conf->judge.samples;
    for (size_t i = 0; i < n; i++) {
        uint64_t key[] = {
            played->seed, WIRE_EVAL_SAMPLED, 0, played->index, i, j->conf->team.roles.n, 0};
        j->answers[i] = (stream_part_t){.sampler = s->judge_sampler,
                                        .model = s->judge_model,
                                        .tokenizer = s->judge->tokenizer,
                                        .prompt = ids,
                                        .sampling = &sampling,
                                        .stops = s->judge->stops,
                                        .stops_n = s->judge->stops_n,
                                        .key = rng_key (key, 7)};
    }
    return stream_run (j->answers, n, &show, &count, err);
}

/*  Asks it as an environment does (services/environment/judging.c): what leaves no room for an
 *  answer is not asked, and has no number. */
static int judge_ask (judge_t *j, const judge_played_t *played,
                      const volatile sig_atomic_t *interrupted, err_t *err)
{
    buf_t prompt = {0};
    tokenizer_ids_t ids = {0};
    grade_t *grade = grade_read (j->conf->grade, err);
    judge_forget (j);
    j->answers = calloc ((size_t) j->conf->judge.samples, sizeof *j->answers);
    int rc = !grade        ? -1
             : !j->answers ? err_set (err, ERR_LIMIT, "no memory for a judge's answers")
                           : grade_ask (grade, played->episode, &prompt, err);
    if (rc == 0)
        rc = opened_encode (j->seats->judge, &j->seats->judge_format, prompt.data, prompt.size,
                            &ids, err);
    j->asked =
        ids.n + (size_t) j->conf->judge.max_tokens <= model_config (j->seats->judge_model)->context;
    if (rc == 0 && j->asked)
        rc = judge_decode (j, played, &ids, interrupted, err);
    tokenizer_ids_free (&ids);
    buf_free (&prompt);
    grade_destroy (&grade);
    return rc == 0 ? 0 : err_wrap (err, "judge %s", j->conf->judge.policy);
}

/*  ---- life ----------------------------------------------------------------------------------- */

/*  Nobody is waited for: the scorer tries until the bus answers, and judge_score until there is
 *  room. */
static int judge_start (judge_t *j, const char *address, err_t *err)
{
    char bus[FS_PATH_MAX], reward[FS_PATH_MAX];
    buf_t judge = {0};
    conf_join (&j->conf->reward.python_modules, ",", &j->modules);
    conf_judge (j->conf, &judge);
    const char *first[] = {supervisor_program ("quintet-bus", bus, sizeof bus), "--bus", address,
                           NULL};
    const char *second[] = {supervisor_program ("quintet-reward", reward, sizeof reward),
                            "--bus",
                            address,
                            "--command",
                            j->conf->reward.command,
                            "--modules",
                            j->modules.data ? j->modules.data : "",
                            "--judge",
                            judge.data ? judge.data : "",
                            "--passages",
                            j->conf->task.passages,
                            NULL};
    int rc = supervisor_add (j->supervisor, "bus", first, NULL, SUPERVISE_ALWAYS, err);
    if (rc == 0)
        rc = supervisor_add (j->supervisor, "reward", second, NULL, SUPERVISE_ALWAYS, err);
    buf_free (&judge);
    if (rc != 0)
        return -1;
    bus_options_t options = {.address = address, .name = "play"};
    return (j->bus = bus_new (&options, err)) ? 0 : -1;
}

judge_t *judge_new (const conf_t *conf, const seats_t *seats, err_t *err)
{
    judge_t *j = calloc (1, sizeof *j);
    char address[SUITE_FOLDER_MAX + 16];
    if (!j) {
        err_set (err, ERR_LIMIT, "no memory for a scorer");
        return NULL;
    }
    j->conf = conf;
    j->seats = seats;
    int rc = suite_folder (j->dir, err);
    snprintf (address, sizeof address, "ipc://%s/bus", j->dir);
    if (rc == 0)
        rc = (j->supervisor = supervisor_new (j->dir, err)) ? 0 : -1;
    if (rc == 0)
        rc = judge_start (j, address, err);
    if (rc != 0)
        judge_destroy (&j);
    return j;
}

/*  Processes first, then our connection, then the folder with their sockets and logs. */
void judge_destroy (judge_t **self)
{
    judge_t *j = *self;
    if (!j)
        return;
    supervisor_destroy (&j->supervisor);
    bus_destroy (&j->bus);
    if (*j->dir)
        fs_remove (j->dir, NULL);
    judge_forget (j);
    buf_free (&j->modules);
    arena_destroy (&j->arena);
    free (j);
    *self = NULL;
}

/*  ---- a reward ------------------------------------------------------------------------------- */

/*  The request of a group with one episode. *call stays 0 where the bus has no room. */
static int judge_send (judge_t *j, const judge_tool_t *tool, const char *task, const char *history,
                       uint64_t *call, err_t *err)
{
    const conf_t *conf = j->conf;
    size_t graded_n = tool || !j->answers ? 0 : (size_t) conf->judge.samples;
    const char *graded[JUDGE_SAMPLES];
    buf_t bytes = {.max = WIRE_PAYLOAD_MAX};
    for (size_t i = 0; i < graded_n; i++)
        graded[i] = !j->asked                 ? GRADE_UNASKED
                    : j->answers[i].text.data ? j->answers[i].text.data
                                              : "";
    wire_score_request_t request = {
        .run = "play",
        .command = conf->reward.command,
        .command_s = conf->reward.command_s,
        .weights = {conf->reward.quality, conf->reward.speed, conf->reward.cost},
        .task = task,
        .roles = (const char *const *) conf->team.roles.item,
        .roles_n = conf->team.roles.n,
        .max_tokens = (uint32_t) conf->task.max_tokens,
        .max_turns = (uint32_t) conf->task.max_turns,
        .modules = j->modules.data ? j->modules.data : "",
        .cpu_s = conf->task.cpu_s,
        .cpu_total_s = conf->task.cpu_total_s,
        .protocol = conf->protocol,
        .judge = conf->grade,
        .graded = graded,
        .graded_n = graded_n,
        .tool = tool ? tool->name : "",
        .queries = tool ? &tool->query : NULL,
        .passages = conf->task.passages,
        .histories = &history,
        .histories_n = 1};
    wire_score_request_pack (&request, &bytes);
    int rc = buf_check (&bytes, "the request for a score", err);
    if (rc == 0)
        *call = bus_call (j->bus, "score", NULL, bytes.data, bytes.size, JUDGE_WAIT_MS);
    buf_free (&bytes);
    return rc;
}

/*  The one reward of a reply. */
static const wire_reward_t *judge_read (judge_t *j, const bus_item_t *item, err_t *err)
{
    if (item->code != ERR_NONE) {
        err_set (err, item->code, "%s", item->text);
        return NULL;
    }
    /* The reward of the last call lies in it, and is valid until now. */
    arena_destroy (&j->arena);
    j->arena = arena_new (JUDGE_BUDGET);
    const wire_score_reply_t *reply =
        j->arena ? wire_score_reply_unpack (j->arena, item->payload, item->size, err) : NULL;
    if (reply && reply->rewards_n == 1)
        return reply->rewards;
    if (reply || !j->arena)
        err_set (err, ERR_INTERNAL, "the scorer gave no reward");
    return NULL;
}

/*  A bus that has just begun may have no room for the request yet: it is sent until it has. */
static const wire_reward_t *judge_wait (judge_t *j, const judge_tool_t *tool, const char *task,
                                        const char *history,
                                        const volatile sig_atomic_t *interrupted, err_t *err)
{
    uint64_t call = 0;
    while (!*interrupted) {
        bus_item_t item;
        if ((call == 0 && judge_send (j, tool, task, history, &call, err) != 0) ||
            supervisor_turn (j->supervisor, err) != 0)
            return NULL;
        int got = bus_next (j->bus, &item, JUDGE_POLL_MS, err);
        if (got < 0)
            return NULL;
        /* Anything else on this connection is none of ours. */
        if (got > 0 && item.kind == BUS_REPLY && item.call == call)
            return judge_read (j, &item, err);
    }
    err_set (err, ERR_NONE, "stopped");
    return NULL;
}

const wire_reward_t *judge_score (judge_t *j, const judge_tool_t *tool,
                                  const judge_played_t *played,
                                  const volatile sig_atomic_t *interrupted, err_t *err)
{
    const wire_reward_t *reward = NULL;
    buf_t history = {0};
    int rc = episode_history (played->episode, &history, err);
    if (rc == 0)
        rc = buf_check (&history, "what was played", err);
    if (rc == 0 && !tool && j->seats->judge)
        rc = judge_ask (j, played, interrupted, err);
    if (rc == 0)
        reward = judge_wait (j, tool, played->task, history.data, interrupted, err);
    buf_free (&history);
    return reward;
}
