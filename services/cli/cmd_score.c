/*  quintet score - scores finished episodes again: what a scorer says, without a run. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/printable.h"
#include "bus/bus.h"
#include "cli.h"
#include "conf/conf.h"
#include "suite/suite.h"
#include "task/episode.h"
#include "task/number.h"
#include "wire/wire.h"

#define EPISODES_MAX  65536 /* of a file: all are in memory together */
#define IN_FLIGHT_MAX 64
#define WAIT_MS       600000
#define SAID_MAX      40

static const args_option_t options[] = {
    {"--config", "CONFIG", "",
     "take its reward section for what no option says; of a run's folder its config.yml is taken"},
    {"--command", "PROGRAM", "", "scorer program of your own; else the family's"},
    {"--seconds", "N", "", "that the program has for one episode (reward.command_s)"},
    {"--modules", "NAMES", "", "what programs may import besides Python's own: a,b"},
    {"--quality", "W", "", "weight of quality"},
    {"--speed", "W", "", "weight of speed"},
    {"--cost", "W", "", "weight of coordination cost"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet score",
    .about =
        "Scores every episode of a JSONL file, or of a run's folder, and prints one JSON line\n"
        "for each: the way to try a scorer before a run. A run's episodes are scored as that\n"
        "run did, but for what an option says; of a file with the defaults of the reward\n"
        "section, or those of --config.\n\n"
        "  quintet score runs/coding\n"
        "  quintet score runs/coding --command 'python3 my_scorer.py'\n",
    .positional = "FILE|RUN",
    .options = options};

/*  One episode of the file: what its group has in common, and its history. */
typedef struct {
    json_t *state;
    char *task, *history, *protocol; /* NULL: all draft in parallel */
    const char *roles[EPISODE_ROLES_MAX];
    size_t roles_n, line;
    uint32_t max_tokens, max_turns;
    double cpu_s, cpu_total_s;
    uint64_t call; /* under way */
    buf_t reply;   /* kept until those before it are printed */
    bool asked, answered;
} cmd_score_episode_t;

typedef struct {
    const char *path;
    cmd_score_episode_t *episodes;
    size_t n;
} cmd_score_file_t;

/*  What a reward service is asked with: task, roles and limits, which a group has in common, and
 *  the episode's own history. */
static int cmd_score_split (json_t *state, cmd_score_episode_t *e, err_t *err)
{
    const json_t *roles = json_object_get (state, "roles"), *role;
    const json_t *limits = json_object_get (state, "limits");
    json_int_t tokens = json_integer_value (json_object_get (limits, "tokens"));
    json_int_t turns = json_integer_value (json_object_get (limits, "turns"));
    json_t *history = json_object ();
    static const char *const parts[] = {"turns", "artifact", "outcome"};
    size_t i;
    e->state = state;
    /* Names are borrowed from the state, which lives as long as the episode. */
    json_array_foreach (roles, i, role)
        if (i < EPISODE_ROLES_MAX && json_is_string (role))
            e->roles[e->roles_n++] = json_string_value (role);
    for (i = 0; i < sizeof parts / sizeof *parts; i++)
        if (json_object_get (state, parts[i]))
            json_object_set (history, parts[i], json_object_get (state, parts[i]));
    e->task = json_dumps (json_object_get (state, "task"), JSON_COMPACT);
    e->history = json_dumps (history, JSON_COMPACT);
    json_decref (history);
    if (json_object_get (state, "protocol"))
        e->protocol = json_dumps (json_object_get (state, "protocol"), JSON_COMPACT);
    if (!e->task || !e->history || e->roles_n == 0 || e->roles_n != json_array_size (roles) ||
        tokens < 1 || tokens > UINT32_MAX || turns < 0 || turns > UINT32_MAX)
        return err_set (err, ERR_INPUT,
                        "a global state is wanted: \"task\", \"roles\", \"limits\" and \"turns\"");
    e->max_tokens = (uint32_t) tokens;
    e->max_turns = (uint32_t) turns;
    e->cpu_s = json_number_value (json_object_get (limits, "cpu_s"));
    e->cpu_total_s = json_number_value (json_object_get (limits, "cpu_total_s"));
    return 0;
}

static int cmd_score_read_file (const char *path, cmd_score_file_t *file, err_t *err)
{
    FILE *lines = fopen (path, "re");
    char *text = NULL;
    size_t capacity = 0;
    file->path = path;
    file->episodes = calloc (EPISODES_MAX, sizeof *file->episodes);
    int rc = !lines            ? err_errno (err, ERR_INPUT, "%s", path)
             : !file->episodes ? err_set (err, ERR_LIMIT, "no memory for %s", path)
                               : 0;
    for (size_t number = 1; rc == 0 && getline (&text, &capacity, lines) > 0; number++) {
        if (file->n == EPISODES_MAX) {
            rc = err_set (err, ERR_LIMIT, "%s: more than %d episodes", path, EPISODES_MAX);
            break;
        }
        bool marked = number == 1 && strncmp (text, "\xef\xbb\xbf", 3) == 0; /* as UTF-8 */
        /* Counted before it is read, so that one that cannot be read is freed with the others. */
        cmd_score_episode_t *e = &file->episodes[file->n++];
        json_t *state = number_parse (text + (marked ? 3 : 0), err);
        e->line = number;
        rc = state ? cmd_score_split (state, e, err) : -1;
        if (rc != 0)
            err_wrap (err, "%s:%zu", path, number);
    }
    free (text);
    if (lines)
        fclose (lines);
    return rc == 0 && file->n == 0 ? err_set (err, ERR_INPUT, "%s: no episode in it", path) : rc;
}

static void cmd_score_free_file (cmd_score_file_t *file)
{
    for (size_t i = 0; i < file->n; i++) {
        cmd_score_episode_t *e = &file->episodes[i];
        json_decref (e->state);
        free (e->task);
        free (e->history);
        free (e->protocol);
        buf_free (&e->reply);
    }
    free (file->episodes);
}

/*  One line of JSON per reward; words of a verdict come from programs and are made harmless
 *  first. */
static int cmd_score_print_rewards (const void *payload, size_t size, err_t *err)
{
    arena_t *arena = arena_new ((size_t) 1 << 30);
    if (!arena)
        return err_set (err, ERR_LIMIT, "no memory for the rewards");
    const wire_score_reply_t *reply = wire_score_reply_unpack (arena, payload, size, err);
    for (size_t i = 0; reply && i < reply->rewards_n; i++) {
        const wire_reward_t *r = &reply->rewards[i];
        json_t *parts = json_object ();
        buf_t verdict = {0};
        printable_text (&verdict, r->verdict, strlen (r->verdict), PRINTABLE_LINE);
        for (size_t p = 0; p < r->parts_n; p++)
            json_object_set_new (parts, r->parts[p].name, json_real (r->parts[p].value));
        json_t *line = json_pack ("{s:f, s:f, s:f, s:f, s:s, s:o}", "reward", r->reward, "quality",
                                  r->quality, "speed", r->speed, "cost", r->cost, "verdict",
                                  verdict.data ? verdict.data : "", "parts", parts);
        if (!r->success_unknown)
            json_object_set_new (line, "success", json_boolean (r->success));
        if (!r->agreement_unknown)
            json_object_set_new (line, "agreement", json_real (r->agreement));
        cli_print_json (line, 9);
        buf_free (&verdict);
    }
    int rc = reply ? 0 : -1;
    arena_destroy (&arena);
    return rc;
}

/*  What the scorer wrote to standard error, which its service has put into a log that goes away:
 *  who tries a scorer wants to read that, whether it died or not. The last SAID_MAX lines. */
static void cmd_score_print_said (const char *dir)
{
    static const char mark[] = " scorer.says text=\"";
    const char *said[SAID_MAX];
    char path[FS_PATH_MAX];
    size_t n = 0;
    buf_t log = {0};
    if (fs_join (path, dir, "reward.log", NULL) != 0 || !fs_exists (path) ||
        fs_read (path, (size_t) 64 << 20, &log, NULL) != 0)
        return;
    for (char *rest = log.data, *line; rest && (line = strsep (&rest, "\n"));) {
        char *at = strstr (line, mark);
        if (!at)
            continue;
        at += sizeof mark - 1;
        if (*at)
            at[strlen (at) - 1] = 0; /* the closing mark */
        said[n++ % SAID_MAX] = at;
    }
    if (n > SAID_MAX)
        fprintf (stderr, "scorer says: (%zu lines before these)\n", n - SAID_MAX);
    for (size_t i = n > SAID_MAX ? n - SAID_MAX : 0; i < n; i++)
        fprintf (stderr, "scorer says: %s\n", said[i % SAID_MAX]);
    buf_free (&log);
}

static volatile sig_atomic_t interrupted;

static void cmd_score_on_signal (int number)
{
    (void) number;
    interrupted = 1;
}

/*  What is asked and with what; the episodes are asked for one by one, since their tasks differ. */
typedef struct {
    bus_t *bus;
    const char *command, *modules, *judge;
    double command_s;
    wire_weights_t weights;
} cmd_score_asker_t;

static int cmd_score_send (const cmd_score_asker_t *asker, cmd_score_episode_t *e, err_t *err)
{
    buf_t bytes = {.max = WIRE_PAYLOAD_MAX};
    const char *history = e->history;
    wire_score_request_t request = {.run = "score",
                                    .command = asker->command,
                                    .command_s = asker->command_s,
                                    .weights = asker->weights,
                                    .task = e->task,
                                    .roles = e->roles,
                                    .roles_n = e->roles_n,
                                    .max_tokens = e->max_tokens,
                                    .max_turns = e->max_turns,
                                    .modules = asker->modules,
                                    .cpu_s = e->cpu_s,
                                    .cpu_total_s = e->cpu_total_s,
                                    .protocol = e->protocol,
                                    .judge = asker->judge,
                                    .histories = &history,
                                    .histories_n = 1};
    wire_score_request_pack (&request, &bytes);
    int rc = buf_failed (&bytes)
                 ? err_set (err, ERR_LIMIT, "more than the %d bytes of a request", WIRE_PAYLOAD_MAX)
                 : 0;
    if (rc == 0) {
        e->call = bus_call (asker->bus, "score", NULL, bytes.data, bytes.size, WAIT_MS);
        e->asked = e->call != 0;
    }
    buf_free (&bytes);
    return rc;
}

/*  A reply belongs to the episode whose call it answers; late ones to calls that are over are left
 *  out. */
static int cmd_score_take (cmd_score_file_t *file, const bus_item_t *item, err_t *err)
{
    for (size_t i = 0; i < file->n; i++) {
        cmd_score_episode_t *e = &file->episodes[i];
        if (!e->asked || e->answered || e->call != item->call)
            continue;
        e->answered = true;
        if (item->code != ERR_NONE) {
            err_set (err, item->code, "%s", item->text);
            return err_wrap (err, "%s:%zu", file->path, e->line);
        }
        buf_append (&e->reply, item->payload, item->size);
        return buf_failed (&e->reply) ? err_set (err, ERR_LIMIT, "no memory for a reply") : 0;
    }
    return 0;
}

/*  A few at a time, printed in the order of the file, whichever answer comes first. */
static int cmd_score_ask_all (const cmd_score_asker_t *asker, supervisor_t *supervisor,
                              cmd_score_file_t *file, err_t *err)
{
    size_t asked = 0, printed = 0;
    int rc = 0;
    while (rc == 0 && printed < file->n) {
        /* Counted from what is printed, so that few replies wait in memory for an earlier one. */
        while (rc == 0 && asked < file->n && asked < printed + IN_FLIGHT_MAX) {
            rc = cmd_score_send (asker, &file->episodes[asked], err);
            if (rc != 0)
                err_wrap (err, "%s:%zu", file->path, file->episodes[asked].line);
            else if (!file->episodes[asked].asked)
                break; /* the bus is full: again after the next replies */
            asked++;
        }
        bus_item_t item;
        if (rc == 0)
            rc = interrupted ? err_set (err, ERR_NONE, "stopped")
                             : supervisor_turn (supervisor, err);
        if (rc == 0 && bus_next (asker->bus, &item, 100, err) > 0 && item.kind == BUS_REPLY)
            rc = cmd_score_take (file, &item, err);
        for (; rc == 0 && printed < asked && file->episodes[printed].answered; printed++) {
            const buf_t *reply = &file->episodes[printed].reply;
            rc = cmd_score_print_rewards (reply->data, reply->size, err);
        }
    }
    return rc;
}

static int cmd_score_ask (supervisor_t *supervisor, const char *address, cmd_score_file_t *file,
                          const cmd_score_asker_t *how, err_t *err)
{
    bus_options_t bus_options = {.address = address, .name = "score"};
    cmd_score_asker_t asker = *how;
    asker.bus = bus_new (&bus_options, err);
    int rc = asker.bus ? cmd_score_ask_all (&asker, supervisor, file, err) : -1;
    bus_destroy (&asker.bus);
    return rc;
}

/*  Where the episodes are, and the configuration that they are scored under: that of --config, or
 *  of the run, or else the defaults. */
static int cmd_score_find (const args_t *args, char path[FS_PATH_MAX], conf_t **conf, err_t *err)
{
    char found[FS_PATH_MAX];
    const char *given = args_positional (args), *config = args_value (args, "--config");
    struct stat st;
    bool folder = stat (given, &st) == 0 && S_ISDIR (st.st_mode);
    snprintf (path, FS_PATH_MAX, "%s", given);
    if (folder && (fs_join (path, given, "episodes.jsonl", err) != 0 ||
                   fs_join (found, given, "config.yml", err) != 0))
        return -1;
    /* Who names a pipe means it; in a run's folder there is none. */
    int fd = folder ? fs_open (path, err) : -1;
    if (folder && fd < 0)
        return -1;
    if (fd >= 0)
        close (fd);
    if (*config || folder)
        *conf = conf_load (*config ? config : found, NULL, 0, err);
    else if (!(*conf = conf_defaults ()))
        err_set (err, ERR_LIMIT, "no memory for a configuration");
    return *conf ? 0 : -1;
}

/*  A number of the reward section: the option's, else the configuration's. */
static int cmd_score_number (const args_t *args, const char *option, double low, double high,
                             double configured, double *value, err_t *err)
{
    *value = configured;
    return *args_value (args, option) ? args_real (args, option, low, high, value, err) : 0;
}

static int cmd_score_choose (const args_t *args, const conf_t *conf, buf_t *modules,
                             cmd_score_asker_t *how, err_t *err)
{
    wire_weights_t *w = &how->weights;
    if (cmd_score_number (args, "--quality", 0, 100, conf->reward.quality, &w->quality, err) != 0 ||
        cmd_score_number (args, "--speed", 0, 100, conf->reward.speed, &w->speed, err) != 0 ||
        cmd_score_number (args, "--cost", 0, 100, conf->reward.cost, &w->cost, err) != 0 ||
        cmd_score_number (args, "--seconds", 0.1, 86400, conf->reward.command_s, &how->command_s,
                          err) != 0)
        return -1;
    if (args_given (args, "--modules"))
        buf_text (modules, args_value (args, "--modules"));
    else
        conf_join (&conf->reward.python_modules, ",", modules);
    how->modules = modules->data ? modules->data : "";
    const conf_policy_t *judge = conf_judge_policy (conf);
    if (judge && !conf_is_remote (judge))
        return err_set (err, ERR_CONFIG,
                        "policy %s judges these episodes (judge.policy), and no policy is asked "
                        "here: quintet play and quintet eval ask it",
                        judge->name);
    how->judge = conf->grade ? conf->grade : "";
    how->command =
        args_given (args, "--command") ? args_value (args, "--command") : conf->reward.command;
    return 0;
}

/*  A bus and a reward service of its own, in a folder that goes away with them: no run is
 *  needed. */
static int cmd_score_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    cmd_score_file_t file = {0};
    char dir[SUITE_FOLDER_MAX] = "", address[SUITE_FOLDER_MAX + 16];
    char bus[FS_PATH_MAX], reward[FS_PATH_MAX];
    supervisor_t *supervisor = NULL;
    struct sigaction action = {.sa_handler = cmd_score_on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    char path[FS_PATH_MAX];
    conf_t *conf = NULL;
    buf_t modules = {0}, judge = {0};
    cmd_score_asker_t how = {.command = "", .modules = ""};
    int rc = cmd_score_find (args, path, &conf, &err);
    if (rc == 0)
        rc = cmd_score_choose (args, conf, &modules, &how, &err);
    if (rc == 0)
        rc = cmd_score_read_file (path, &file, &err);
    if (rc == 0)
        conf_judge (conf, &judge);
    if (rc == 0)
        rc = suite_folder (dir, &err);
    snprintf (address, sizeof address, "ipc://%s/bus", dir);
    if (rc == 0)
        rc = (supervisor = supervisor_new (dir, &err)) ? 0 : -1;
    if (supervisor)
        supervisor_forget_logs (supervisor);
    const char *services[][12] = {
        {supervisor_program ("quintet-bus", bus, sizeof bus), "--bus", address, NULL},
        {supervisor_program ("quintet-reward", reward, sizeof reward), "--bus", address,
         "--command", how.command, "--modules", how.modules, "--judge",
         judge.data ? judge.data : "", NULL}};
    static const char *const names[] = {"bus", "reward"};
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = supervisor_add (supervisor, names[i], services[i], NULL, SUPERVISE_ALWAYS, &err);
    if (rc == 0)
        rc = cmd_score_ask (supervisor, address, &file, &how, &err);
    /* The services end first: only then has their log all that the scorer said. */
    supervisor_destroy (&supervisor);
    if (*dir) {
        cmd_score_print_said (dir);
        fs_remove (dir, NULL);
    }
    cmd_score_free_file (&file);
    buf_free (&judge);
    buf_free (&modules);
    conf_destroy (&conf);
    args_destroy (&args);
    if (rc != 0)
        status = interrupted ? 130 : cli_fail ("score", &err);
    return status;
}

const cli_command_t cli_score = {"score", "FILE|RUN", "score finished episodes again",
                                 cmd_score_run};
