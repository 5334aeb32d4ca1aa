/*  quintet play - a trained team at a task: what each role writes, what the team hands in, and what
 *  that is worth. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/printable.h"
#include "base/rng.h"
#include "cli.h"
#include "play/judge.h"
#include "play/played.h"
#include "play/remote.h"
#include "play/seats.h"
#include "play/stream.h"
#include "play/tasks.h"
#include "play/verdict.h"
#include "program/session.h"
#include "task/episode.h"
#include "watch/folder.h"

static const args_option_t options[] = {
    {"--model", "DIR", "",
     "a run's folder, a checkpoint (of adapters too); else the model to start "
     "from"},
    {"--task", "FILE|TEXT", "", "a task file, a line of one, or a brief; else the held-out tasks"},
    {"--index", "I", "0", "the first task of a file or of the held-out ones"},
    {"--tasks", "N", "1", "how many of them"},
    SAMPLING_OPTIONS ("", "", ""),
    {"--seat", "ROLE", "",
     "a person writes what this role says: lines, and an empty one behind them"},
    {"--json", NULL, NULL, "one JSON object per task, with the seconds that it took"},
    {"--set", "SECTION.KEY=VALUE...", NULL, "override a key"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet play",
    .about =
        "Lets the team of CONFIG work at a task, shows what each role writes, what they hand in,\n"
        "and what the reward service says of it. A run's folder in place of CONFIG means its\n"
        "configuration and its newest checkpoint. Sampling is that of the configuration's "
        "evaluation\nsection where no flag says otherwise. At a terminal further briefs are asked "
        "for.\n\n"
        "  quintet play runs/coding --temperature 0\n"
        "  quintet play deploy/config/coding.yml --model runs/coding --task 'Return the sum of "
        "xs.'\n",
    .positional = "CONFIG",
    .options = options};

typedef struct {
    conf_t *conf;
    sampling_t sampling, sampling_of[CONF_LIST_MAX]; /* of all, and of each role */
    seats_t seats;
    judge_t *judge;
    session_t *program; /* that plays the episodes, or NULL */
    const char *person; /* the role of whoever sits at the terminal, or "" */
    pool_t *pool;
    stream_show_t show;
    stream_count_t count;
    bool json;
} cmd_play_t;

static volatile sig_atomic_t interrupted;
static session_t *volatile asked; /* a program, which may take long to answer */

static void cmd_play_on_signal (int number)
{
    (void) number;
    interrupted = 1;
    if (asked)
        session_stop (asked);
}

static int cmd_play_count (void *context, size_t role, const char *text, size_t size,
                           size_t *tokens, err_t *err)
{
    const seats_t *seats = context;
    tokenizer_ids_t ids = {0};
    int rc = 0;
    if (!seats->server[role]) /* whose tokenizer nobody here has */
        rc = opened_encode (seats->folder[role], &seats->format[role], text, size, &ids, err);
    *tokens = ids.n;
    tokenizer_ids_free (&ids);
    return rc;
}

/*  ---- one episode ---------------------------------------------------------------------------- */

/*  One episode under way. */
typedef struct {
    const char *task;
    size_t index; /* of the task: a coordinate of the random numbers */
    episode_t *episode;
    tokenizer_ids_t prompt[CONF_LIST_MAX];
    chat_answer_t answer[CONF_LIST_MAX]; /* to it; its ids are owned, NULL: none yet */
    double write_s, score_s;             /* that its turns took, and its score */
} cmd_play_episode_t;

/*  With which numbers a role draws: those of an evaluation's sampled episode of the same task
 *  (services/agent/acts.c). */
static uint64_t cmd_play_key (const cmd_play_t *play, const cmd_play_episode_t *e, size_t role)
{
    uint64_t key[] = {play->sampling.seed,      WIRE_EVAL_SAMPLED, 0, e->index, 0, role,
                      episode_turn (e->episode)};
    return rng_key (key, 7);
}

/*  What a role reads in this turn. full: it is not asked, as in an environment
 *  (services/environment/asks.c). */
static int cmd_play_prepare (cmd_play_t *play, cmd_play_episode_t *e, size_t role,
                             stream_part_t *part, bool *full, err_t *err)
{
    const opened_t *folder = play->seats.folder[role];
    buf_t text = {0};
    const chat_answer_t *before =
        conf_remembers (play->conf, play->conf->team.roles.item[role]) && e->answer[role].ids
            ? &e->answer[role]
            : NULL;
    if (!before) {
        tokenizer_ids_free (&e->prompt[role]);
        e->prompt[role] = (tokenizer_ids_t){0};
    }
    size_t asked_n = e->prompt[role].n;
    buf_text (&text, "");
    int rc = episode_observe (e->episode, role, &text, err);
    if (rc == 0)
        rc = buf_check (&text, "a prompt", err);
    if (rc == 0 && before)
        rc = chat_go_on (folder->tokenizer, play->seats.format[role].next, before, text.data,
                         text.size, &e->prompt[role], err);
    else if (rc == 0)
        rc = opened_encode (folder, &play->seats.format[role], text.data, text.size,
                            &e->prompt[role], err);
    buf_free (&text);
    bool grown = episode_turn (e->episode) > 0 && (before || !*play->conf->task.program);
    *full = rc == 0 && grown &&
            e->prompt[role].n + play->sampling_of[role].max_tokens >
                model_config (play->seats.model[role])->context;
    if (*full)
        e->prompt[role].n = asked_n;
    *part = (stream_part_t){.sampler = play->seats.sampler[role],
                            .model = play->seats.model[role],
                            .tokenizer = folder->tokenizer,
                            .prompt = &e->prompt[role],
                            .sampling = &play->sampling_of[role],
                            .stops = folder->stops,
                            .stops_n = folder->stops_n,
                            .key = cmd_play_key (play, e, role)};
    return rc == 0 ? 0 : err_wrap (err, "role %s", play->conf->team.roles.item[role]);
}

static int cmd_play_remote (cmd_play_t *play, cmd_play_episode_t *e, size_t role,
                            const char *heading, err_t *err)
{
    const char *name = play->conf->team.roles.item[role];
    remote_turn_t turn = {
        &play->seats.server[role],          conf_words (play->conf, name, CONF_SYSTEM),
        &play->sampling_of[role],           cmd_play_key (play, e, role),
        (double) play->conf->run.timeout_s, heading};
    return remote_act (&turn, e->episode, role, &play->show, err);
}

/*  What a role wrote becomes its action, as an environment makes it one. */
static int cmd_play_act (cmd_play_episode_t *e, size_t role, stream_part_t *part, err_t *err)
{
    free ((int32_t *) (uintptr_t) e->answer[role].ids);
    e->answer[role] = (chat_answer_t){part->ids, part->ids_n, part->end == STREAM_TOKEN};
    part->ids = NULL;
    episode_action_t action = {.text = part->text.data,
                               .size = part->text.size,
                               .tokens = part->ids_n,
                               .truncated = part->end == STREAM_CUT};
    return episode_act (e->episode, role, &action, err);
}

/*  A role whose prompt leaves no room says nothing. */
static int cmd_play_skip (cmd_play_t *play, cmd_play_episode_t *e, size_t role, const char *heading,
                          err_t *err)
{
    const episode_action_t nothing = {.text = "", .full = true};
    if (play->show.to) {
        stream_heading (&play->show, heading);
        fputs ("(is not asked: its prompt leaves no room for an answer in its model's context)\n",
               play->show.to);
    }
    return episode_act (e->episode, role, &nothing, err);
}

/*  What each role is told by a program that plays the episode. */
static void cmd_play_print_observed (const cmd_play_t *play, const json_t *observed)
{
    const char *role;
    const json_t *text;
    char heading[96];
    json_object_foreach ((json_t *) (uintptr_t) observed, role, text) {
        snprintf (heading, sizeof heading, "%.60s is told", role);
        stream_heading (&play->show, heading);
        stream_print (&play->show, json_string_value (text), json_string_length (text));
        fputc ('\n', play->show.to);
    }
}

/*  A program that plays the episode says how it goes on, as it does in an environment. */
static int cmd_play_told (cmd_play_t *play, cmd_play_episode_t *e, err_t *err)
{
    buf_t record = {0}, line = {0};
    int rc = 0;
    if (!play->program && !(play->program = session_new (play->conf->task.program, err)))
        return -1;
    asked = play->program;
    rc = episode_so_far (e->episode, "play", &record, err);
    if (rc == 0)
        rc = session_play (play->program, record.data, record.size, play->conf->task.program_s,
                           &line, err);
    json_t *answer = rc == 0 ? json_loadb (line.data, line.size, 0, NULL) : NULL;
    if (rc == 0)
        rc = episode_told (e->episode, answer, err);
    if (rc == 0 && play->show.to)
        cmd_play_print_observed (play, json_object_get (answer, "observe"));
    json_decref (answer);
    buf_free (&record);
    buf_free (&line);
    return rc;
}

/*  A person's lines, up to an empty one or the end of the input. */
static int cmd_play_person (cmd_play_t *play, cmd_play_episode_t *e, size_t role, err_t *err)
{
    buf_t seen = {0}, said = {0};
    char *line = NULL, heading[96];
    size_t capacity = 0, tokens = 0;
    buf_text (&seen, "");
    buf_text (&said, "");
    int rc = episode_observe (e->episode, role, &seen, err);
    if (rc == 0 && play->show.to) {
        /* What a program says is shown already. */
        snprintf (heading, sizeof heading, "%.60s (you)", play->person);
        stream_heading (&play->show, heading);
        if (!play->program)
            stream_print (&play->show, seen.data, seen.size);
        fflush (play->show.to);
    }
    for (ssize_t n; rc == 0 && (n = getline (&line, &capacity, stdin)) > 0 && *line != '\n';)
        buf_append (&said, line, (size_t) n);
    free (line);
    while (said.size && said.data[said.size - 1] == '\n')
        said.size--;
    if (rc == 0)
        rc = buf_check (&said, "what you said", err);
    if (rc == 0)
        rc = cmd_play_count (&play->seats, role, said.data, said.size, &tokens, err);
    episode_action_t action = {.text = said.data, .size = said.size, .tokens = tokens};
    if (rc == 0)
        rc = episode_act (e->episode, role, &action, err);
    buf_free (&seen);
    buf_free (&said);
    return rc;
}

/*  tool: as judge_score. NULL: err, or interrupted. */
static const wire_reward_t *cmd_play_judge (cmd_play_t *play, cmd_play_episode_t *e,
                                            const judge_tool_t *tool, err_t *err)
{
    const judge_played_t played = {e->episode, e->task, e->index, play->sampling.seed};
    /* Started for the first task that can be scored, and kept for the next. */
    if (!play->judge && !(play->judge = judge_new (play->conf, &play->seats, err)))
        return NULL;
    double started = clock_s ();
    const wire_reward_t *reward = judge_score (play->judge, tool, &played, &interrupted, err);
    e->score_s = clock_s () - started;
    return reward;
}

/*  A task that nobody can score has nothing to test either. */
static int cmd_play_tools (cmd_play_t *play, cmd_play_episode_t *e, const err_t *unscored,
                           err_t *err)
{
    judge_tool_t tool;
    for (size_t r = 0;
         (r = episode_tool (e->episode, r, &tool.name, &tool.query)) < EPISODE_ROLES_MAX; r++) {
        static const wire_reward_t nothing = {.verdict = ""};
        bool known = unscored->code == ERR_NONE;
        const wire_reward_t *found = known ? cmd_play_judge (play, e, &tool, err) : &nothing;
        const char *verdict = found && known ? found->verdict : "nothing to test it with";
        if (!found ||
            episode_found (e->episode, r, found->success, found->quality, verdict, err) != 0)
            return -1;
        if (play->show.to) {
            stream_heading (&play->show, tool.name);
            stream_print (&play->show, verdict, strlen (verdict));
            fputc ('\n', play->show.to);
        }
    }
    return 0;
}

/*  The roles of a turn write at the same time and do not see each other. */
static int cmd_play_turn (cmd_play_t *play, cmd_play_episode_t *e, const err_t *unscored,
                          err_t *err)
{
    stream_part_t parts[CONF_LIST_MAX];
    size_t role_of[CONF_LIST_MAX], n = 0, turn = episode_turn (e->episode);
    char heading[CONF_LIST_MAX][96];
    int rc = 0;
    for (size_t r = 0; rc == 0 && r < play->conf->team.roles.n; r++) {
        bool full = false;
        if (!episode_acts (e->episode, r) ||
            strcmp (play->person, play->conf->team.roles.item[r]) == 0)
            continue;
        snprintf (heading[n], sizeof heading[n], turn ? "%.40s, turn %zu" : "%.40s",
                  play->conf->team.roles.item[r], turn + 1);
        rc = play->seats.server[r] ? cmd_play_remote (play, e, r, heading[n], err)
                                   : cmd_play_prepare (play, e, r, &parts[n], &full, err);
        parts[n].heading = heading[n];
        if (rc == 0 && full)
            rc = cmd_play_skip (play, e, r, heading[n], err);
        else if (!play->seats.server[r])
            role_of[n++] = r;
    }
    if (rc == 0 && n > 0)
        rc = stream_run (parts, n, &play->show, &play->count, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = cmd_play_act (e, role_of[i], &parts[i], err);
    stream_free (parts, n);
    for (size_t r = 0; rc == 0 && r < play->conf->team.roles.n; r++)
        if (episode_acts (e->episode, r) &&
            strcmp (play->person, play->conf->team.roles.item[r]) == 0)
            rc = cmd_play_person (play, e, r, err);
    if (rc == 0)
        rc = cmd_play_tools (play, e, unscored, err);
    return rc == 0 ? episode_step (e->episode, err) : -1;
}

/*  ---- what came of it ------------------------------------------------------------------------ */

/*  reward NULL: why says why there is none. */
static void cmd_play_print_json (const cmd_play_episode_t *e, const wire_reward_t *r,
                                 const char *why)
{
    json_t *line = episode_public (e->episode);
    json_object_set_new (line, "write_s", json_real (e->write_s));
    if (r) {
        json_t *parts = json_object ();
        for (size_t i = 0; i < r->parts_n; i++)
            json_object_set_new (parts, r->parts[i].name, json_real (r->parts[i].value));
        json_t *reward =
            json_pack ("{s:f, s:f, s:f, s:f, s:s, s:o}", "reward", r->reward, "quality", r->quality,
                       "speed", r->speed, "cost", r->cost, "verdict", r->verdict, "parts", parts);
        if (!r->success_unknown)
            json_object_set_new (reward, "success", json_boolean (r->success));
        if (!r->agreement_unknown)
            json_object_set_new (reward, "agreement", json_real (r->agreement));
        json_object_set_new (line, "score_s", json_real (e->score_s));
        json_object_set_new (line, "reward", reward);
    } else {
        json_object_set_new (line, "not_scored", json_string (why));
    }
    cli_print_json (line, 9);
}

/*  What the team hands in, and what a reward service says of it. A task that cannot be scored was
 *  played all the same. */
static int cmd_play_finish (cmd_play_t *play, cmd_play_episode_t *e, const err_t *unscored,
                            err_t *err)
{
    const char *artifact =
        json_string_value (json_object_get (episode_json (e->episode), "artifact"));
    const wire_reward_t *reward = NULL;
    if (play->show.to && artifact) {
        stream_heading (&play->show, "what the team hands in");
        stream_print (&play->show, artifact, strlen (artifact));
        fputc ('\n', play->show.to);
        fflush (play->show.to);
    }
    if (unscored->code == ERR_NONE && !(reward = cmd_play_judge (play, e, NULL, err)))
        return -1;
    if (play->json)
        cmd_play_print_json (e, reward, unscored->text);
    else if (reward)
        verdict_show (play->conf, reward, &play->show);
    else
        fprintf (play->show.to, "(not scored: the task %s)\n", unscored->text);
    fflush (stdout);
    return 0;
}

/*  A task's name and brief, above what is written for it. */
static void cmd_play_print_task (const cmd_play_t *play, const episode_t *episode)
{
    const json_t *task = json_object_get (episode_json (episode), "task");
    static const char *const keys[] = {"id", "brief"};
    for (size_t i = 0; play->show.to && i < 2; i++) {
        const char *text = json_string_value (json_object_get (task, keys[i]));
        if (text)
            printable_print (play->show.to, text, strlen (text), PRINTABLE_LINES);
        fputs (i ? "\n" : ": ", play->show.to);
    }
}

static int cmd_play_task (cmd_play_t *play, const tasks_t *tasks, size_t index, err_t *err)
{
    const conf_t *conf = play->conf;
    cmd_play_episode_t e = {.task = tasks_get (tasks, index), .index = index};
    const char *const *roles = (const char *const *) conf->team.roles.item;
    conf_episode_t episode;
    conf_episode (conf, roles, conf->team.roles.n, &episode);
    episode.limits.tokens = play->sampling.max_tokens;
    e.episode = episode_new (e.task, roles, conf->team.roles.n, &episode.limits, err);
    int rc = e.episode ? 0 : -1;
    if (rc == 0)
        cmd_play_print_task (play, e.episode);
    double started = clock_s ();
    while (rc == 0 && !episode_done (e.episode))
        rc = episode_waits (e.episode) ? cmd_play_told (play, &e, err)
                                       : cmd_play_turn (play, &e, &tasks->unscored, err);
    e.write_s = clock_s () - started;
    if (rc == 0)
        rc = cmd_play_finish (play, &e, &tasks->unscored, err);
    for (size_t r = 0; r < CONF_LIST_MAX; r++) {
        tokenizer_ids_free (&e.prompt[r]);
        free ((int32_t *) (uintptr_t) e.answer[r].ids);
    }
    episode_destroy (&e.episode);
    return rc;
}

/*  ---- the command ---------------------------------------------------------------------------- */

static int cmd_play_given (cmd_play_t *play, const char *given, size_t first, size_t n, err_t *err)
{
    tasks_t tasks = {0};
    size_t room[CONF_LIST_MAX];
    const char *const *roles = (const char *const *) play->conf->team.roles.item;
    conf_episode_t episode;
    conf_episode (play->conf, roles, play->conf->team.roles.n, &episode);
    task_fit_t fit = {.roles = roles,
                      .roles_n = play->conf->team.roles.n,
                      .limits = episode.limits,
                      .room = room,
                      .count = cmd_play_count,
                      .context = &play->seats};
    for (size_t r = 0; r < fit.roles_n; r++)
        room[r] = play->seats.server[r] ? SIZE_MAX / 2
                                        : hf_config (play->seats.folder[r]->hf)->model.context;
    int rc = tasks_open (&tasks, play->conf, given, &fit, err);
    if (rc == 0 && (first >= tasks.n || n > tasks.n - first))
        rc = err_set (err, ERR_CONFIG, "--index %zu --tasks %zu: there are %zu, from 0 to %zu",
                      first, n, tasks.n, tasks.n - 1);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (i && play->show.to)
            fputc ('\n', play->show.to);
        rc = cmd_play_task (play, &tasks, first + i, err);
    }
    tasks_close (&tasks);
    return rc;
}

/*  At a terminal: one brief after the other, until the end of the input. What is wrong with one is
 *  said, and the next is asked for. */
static int cmd_play_ask (cmd_play_t *play, err_t *err)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n = 0;
    while (!interrupted) {
        fputs ("\ntask> ", stdout);
        fflush (stdout);
        if ((n = getline (&line, &capacity, stdin)) <= 0)
            break;
        line[strcspn (line, "\n")] = 0;
        if (!line[strspn (line, " \t\r")])
            continue;
        if (cmd_play_given (play, line, 0, 1, err) == 0)
            continue;
        if (interrupted || (err->code != ERR_CONFIG && err->code != ERR_INPUT))
            break;
        cli_fail ("play", err);
        *err = (err_t){0};
    }
    free (line);
    fputc ('\n', stdout);
    return interrupted || err->code == ERR_NONE ? 0 : -1;
}

/*  What the configuration says of evaluations, then the flags. The longest completion is a limit of
 *  the episode too, which speed is measured by. */
static int cmd_play_sampling (cmd_play_t *play, const args_t *args, err_t *err)
{
    conf_t *conf = play->conf;
    play->sampling = (sampling_t){
        .temperature = conf->evaluation.temperature,
        .filter = {.top_k = (size_t) conf->evaluation.top_k,
                   .top_p = (float) conf->evaluation.top_p,
                   .min_p = (float) conf->evaluation.min_p,
                   .repetition = (float) conf->evaluation.repetition_penalty},
        .max_tokens = (size_t) conf->task.max_tokens,
        .seed = (uint64_t) conf->run.seed,
        .stops = {(const char *const *) conf->evaluation.stop.item, conf->evaluation.stop.n}};
    if (sampling_read (args, &play->sampling, err) != 0)
        return -1;
    conf->task.max_tokens = (int64_t) play->sampling.max_tokens;
    /* What a seat says of itself, where no flag says otherwise. */
    for (size_t r = 0; r < conf->team.roles.n; r++) {
        const char *role = conf->team.roles.item[r];
        sampling_t *own = &play->sampling_of[r];
        size_t most = conf_max_tokens (conf, role);
        const conf_list_t *stop = conf_stop (conf, role, NULL);
        *own = play->sampling;
        if (most < own->max_tokens)
            own->max_tokens = most;
        if (!args_given (args, "--temperature"))
            own->temperature = conf_temperature (conf, role, own->temperature);
        if (stop && !args_given (args, "--stop"))
            own->stops = (stops_t){(const char *const *) stop->item, stop->n};
    }
    return 0;
}

static int cmd_play_open (cmd_play_t *play, const args_t *args, err_t *err)
{
    size_t n;
    const char *const *sets = args_repeated (args, "--set", &n);
    char policies[FOLDER_SET];
    folder_plays_t plays;
    if (folder_plays (args_positional (args), args_value (args, "--model"), &plays, err) != 0)
        return -1;
    play->conf = played_load ("play", &plays, sets, n, policies, err);
    if (!play->conf || cmd_play_sampling (play, args, err) != 0)
        return -1;
    play->json = args_flag (args, "--json");
    play->person = args_value (args, "--seat");
    bool seated = !*play->person;
    for (size_t r = 0; r < play->conf->team.roles.n; r++)
        seated = seated || strcmp (play->person, play->conf->team.roles.item[r]) == 0;
    if (!seated)
        return err_set (err, ERR_CONFIG, "--seat %.60s: the team has no such role", play->person);
    play->show = stream_to (stdout);
    play->show.interrupted = &interrupted;
    /* An object comes when its episode is over; nothing is shown before. */
    if (play->json)
        play->show.to = NULL;
    play->pool = opened_pool ();
    if (seats_open (&play->seats, play->conf, plays.weights, play->pool, err) != 0)
        return -1;
    if (play->seats.folder[0] && !sampling_given (args) && !conf_samples (play->conf))
        sampling_note (play->seats.folder[0]->dir, play->seats.folder[0]->hf);
    return 0;
}

static int cmd_play_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    cmd_play_t play = {0};
    long long first = 0, n = 1;
    struct sigaction action = {.sa_handler = cmd_play_on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    int rc = args_number (args, "--index", 0, 1LL << 40, &first, &err);
    if (rc == 0)
        rc = args_number (args, "--tasks", 1, 1LL << 40, &n, &err);
    /* An empty variable of a shell, say: the held-out tasks are not what is meant. */
    if (rc == 0 && args_given (args, "--task") && !*args_value (args, "--task"))
        rc = err_set (&err, ERR_CONFIG,
                      "--task '': a task file, a line of one, or a brief is wanted");
    if (rc == 0)
        rc = cmd_play_open (&play, args, &err);
    if (rc == 0)
        rc = cmd_play_given (&play, args_value (args, "--task"), (size_t) first, (size_t) n, &err);
    if (rc == 0 && !play.json && isatty (STDIN_FILENO) && isatty (STDOUT_FILENO))
        rc = cmd_play_ask (&play, &err);
    if (rc == 0)
        stream_say_count (&play.count);
    /* These two borrow the configuration and the pool, which therefore go last. */
    judge_destroy (&play.judge);
    asked = NULL;
    session_destroy (&play.program);
    seats_close (&play.seats);
    pool_destroy (&play.pool);
    conf_destroy (&play.conf);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : interrupted ? 130 : cli_fail ("play", &err);
}

const cli_command_t cli_play = {"play", "CONFIG", "let a trained team work at a task",
                                cmd_play_run};
