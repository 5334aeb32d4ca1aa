/*  quintet score - scores finished episodes again: what a scorer says, without a run. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/printable.h"
#include "bus/bus.h"
#include "cli.h"
#include "suite/supervisor.h"
#include "wire/wire.h"

#define STATES_MAX 65536
#define WAIT_MS    600000

static const args_option_t options[] = {
    {"--command", "PROGRAM", "", "scorer program of your own; else the family's"},
    {"--quality", "W", "1", "weight of quality"},
    {"--speed", "W", "0.3", "weight of speed"},
    {"--cost", "W", "0.1", "weight of coordination cost"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet score",
    .about = "Scores every episode of a JSONL file (a run's episodes.jsonl, for example) and "
             "prints one\n"
             "JSON line for each: the way to try a scorer before a run.\n\n"
             "  quintet score runs/coding/episodes.jsonl\n"
             "  quintet score runs/coding/episodes.jsonl --command 'python3 my_scorer.py'\n",
    .positional = "FILE",
    .options = options};

typedef struct {
    char **states;
    size_t n;
    char family[64];
} file_t;

static int cmd_score_read_file (const char *path, file_t *file, err_t *err)
{
    FILE *lines = fopen (path, "re");
    char *text = NULL;
    size_t capacity = 0;
    int rc = lines ? 0 : err_errno (err, ERR_INPUT, "%s", path);
    file->states = calloc (STATES_MAX, sizeof *file->states);
    for (size_t number = 1; rc == 0 && file->states && getline (&text, &capacity, lines) > 0;
         number++) {
        json_t *state = json_loads (text, 0, NULL);
        const char *family =
            json_string_value (json_object_get (json_object_get (state, "task"), "family"));
        if (!family || file->n == STATES_MAX)
            rc = err_set (err, ERR_INPUT, "%s:%zu: a global state with \"task\" is wanted", path,
                          number);
        else
            snprintf (file->family, sizeof file->family, "%s", family);
        json_decref (state);
        if (rc == 0)
            file->states[file->n++] = strdup (text);
    }
    free (text);
    if (lines)
        fclose (lines);
    return rc == 0 && file->n == 0 ? err_set (err, ERR_INPUT, "%s: no episode in it", path) : rc;
}

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
        json_t *line =
            json_pack ("{s:f, s:f, s:f, s:f, s:b, s:s, s:o}", "reward", r->reward, "quality",
                       r->quality, "speed", r->speed, "cost", r->cost, "success", (int) r->success,
                       "verdict", verdict.data ? verdict.data : "", "parts", parts);
        char *text = json_dumps (line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION (9));
        puts (text ? text : "{}");
        free (text);
        buf_free (&verdict);
        json_decref (line);
    }
    int rc = reply ? 0 : -1;
    arena_destroy (&arena);
    return rc;
}

static volatile sig_atomic_t interrupted;

static void cmd_score_on_signal (int number)
{
    (void) number;
    interrupted = 1;
}

static int cmd_score_ask (supervisor_t *supervisor, const char *address, const file_t *file,
                          const args_t *args, const wire_weights_t *weights, err_t *err)
{
    bus_options_t bus_options = {.address = address, .name = "score"};
    bus_t *bus = bus_new (&bus_options, err);
    buf_t bytes = {.max = WIRE_PAYLOAD_MAX};
    wire_score_request_t request = {.run = "score",
                                    .family = file->family,
                                    .command = args_value (args, "--command"),
                                    .weights = *weights,
                                    .states = (const char *const *) file->states,
                                    .states_n = file->n};
    wire_score_request_pack (&request, &bytes);
    int rc = !bus ? -1
             : buf_failed (&bytes)
                 ? err_set (err, ERR_LIMIT, "the file is too large for one request of %d bytes",
                            WIRE_PAYLOAD_MAX)
                 : 0;
    if (rc == 0)
        bus_call (bus, "score", NULL, bytes.data, bytes.size, WAIT_MS);
    for (bool done = false; rc == 0 && !done;) {
        bus_item_t item;
        rc = interrupted ? err_set (err, ERR_NONE, "stopped") : supervisor_turn (supervisor, err);
        if (rc == 0 && bus_next (bus, &item, 100, err) > 0 && item.kind == BUS_REPLY) {
            done = true;
            if (item.code != ERR_NONE)
                rc = err_set (err, item.code, "%s", item.text);
            else
                rc = cmd_score_print_rewards (item.payload, item.size, err);
        }
    }
    bus_destroy (&bus);
    buf_free (&bytes);
    return rc;
}

static int cmd_score_weights (const args_t *args, wire_weights_t *weights, err_t *err)
{
    return args_real (args, "--quality", 0, 100, &weights->quality, err) == 0 &&
                   args_real (args, "--speed", 0, 100, &weights->speed, err) == 0 &&
                   args_real (args, "--cost", 0, 100, &weights->cost, err) == 0
               ? 0
               : -1;
}

static int cmd_score_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    file_t file = {0};
    char dir[] = "/tmp/quintet-XXXXXX", address[64], bus[FS_PATH_MAX], reward[FS_PATH_MAX];
    supervisor_t *supervisor = NULL;
    struct sigaction action = {.sa_handler = cmd_score_on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    wire_weights_t weights;
    int rc = cmd_score_weights (args, &weights, &err);
    if (rc == 0)
        rc = cmd_score_read_file (args_positional (args), &file, &err);
    if (rc == 0 && !mkdtemp (dir))
        rc = err_errno (&err, ERR_IO, "/tmp");
    snprintf (address, sizeof address, "ipc://%s/bus", dir);
    if (rc == 0)
        rc = (supervisor = supervisor_new (dir, &err)) ? 0 : -1;
    const char *services[][8] = {
        {supervisor_program ("quintet-bus", bus, sizeof bus), "--bus", address, NULL},
        {supervisor_program ("quintet-reward", reward, sizeof reward), "--bus", address,
         "--command", args_value (args, "--command"), NULL}};
    static const char *const names[] = {"bus", "reward"};
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = supervisor_add (supervisor, names[i], services[i], NULL, SUPERVISE_ALWAYS, &err);
    if (rc == 0)
        rc = cmd_score_ask (supervisor, address, &file, args, &weights, &err);
    supervisor_destroy (&supervisor);
    fs_remove (dir, NULL);
    for (size_t i = 0; i < file.n; i++)
        free (file.states[i]);
    free (file.states);
    args_destroy (&args);
    if (rc != 0)
        status = interrupted ? 130 : cli_fail ("score", &err);
    return status;
}

const cli_command_t cli_score = {"score", "FILE", "score finished episodes again", cmd_score_run};
