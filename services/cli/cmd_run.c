/*  quintet run - trains a team and shows how it learns.
 *
 *  The story: everything is checked before anything starts (check/); a suite is started
 *  (suite/); a trainer runs for the team, and one more for the single agent when the
 *  configuration asks to compare; events of the bus become the view (view/); the result is read
 *  from the folders that the trainers leave (report/).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/printable.h"
#include "check/check.h"
#include "check/place.h"
#include "cli.h"
#include "report/ending.h"
#include "report/lost.h"
#include "report/report.h"
#include "report/result.h"
#include "suite/presence.h"
#include "suite/suite.h"
#include "svc/svc.h"
#include "watch/folder.h"
#include "watch/history.h"
#include "watch/lines.h"
#include "view/live.h"
#include "view/style.h"

#define CMD_RUN_STOPPED 130 /* status after a signal, as a shell would give it */

#define SETS_MAX    80
#define TURN_MS     50    /* of events, until processes and signals are looked at */
#define REPORT_MS   5000  /* between two versions of the page while the run goes on, */
#define REPORT_PART 20    /* and so many times what one took: it must not hold up the view */
#define SAY_END_MS  700   /* an end that is shorter needs no word */
#define SAY_MS      1500  /* until missing services are named: status comes twice a second */
#define PARTS_MS    60000 /* until they are given up: who starts a suite starts it in any order */

static const args_option_t options[] = {
    {"--out", "DIR", "", "folder of the run (runs/NAME, or the next free runs/NAME-2 ...)"},
    {"--resume", NULL, NULL, "go on where the run in --out (or the last one of that name) stopped"},
    {"--continue", NULL, NULL,
     "resume what is unfinished in --out, else begin in the next free --out-2 ..."},
    {"--set", "SECTION.KEY=VALUE...", NULL, "override a key, such as trainer.lr=3e-4"},
    {"--json", NULL, NULL, "one JSON object per line instead of the view"},
    {"--no-color", NULL, NULL, "no colours (as with NO_COLOR set)"},
    {"--print-config", NULL, NULL, "print what is in force, and the objective; start nothing"},
    {"--agents", "N", "", "agent processes, in place of run.agents"},
    {"--environments", "N", "", "environment processes, in place of run.environments"},
    {"--bus", "ADDRESS", "", "use the suite on this bus; needs --redis"},
    {"--redis", "ADDRESS", "", "Redis of that suite"},
    {"--keys", "DIR", "", "certificate of kind operator, where that bus has keys"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet run",
    .about = "Trains the team that CONFIG describes and shows how it learns. Starts everything it\n"
             "needs, privately: two runs can go on side by side. Ctrl-C stops it within 2 s, or\n"
             "when the step under way is saved (a second one: at once); --resume goes on.\n\n"
             "  quintet run deploy/config/coding.yml\n"
             "  quintet run deploy/config/coding.yml --set trainer.steps=20 --out runs/short\n",
    .positional = "CONFIG",
    .options = options,
    .environment = true};

typedef struct {
    const char *name; /* of the command */
    bool passing;     /* OUT is removed afterwards */
    const char *config;
    const char *sets[SETS_MAX];
    size_t sets_n;
    char more[4][64];                /* overrides made here */
    const char *alone[SETS_MAX + 8]; /* those of the single agent, all of them */
    size_t alone_n;
    conf_t *conf;
    place_t place;
    char folder[FS_PATH_MAX], id[96]; /* of the trainer that runs, or ran last */
    const char *who;
    bool json, print;
    bool plain; /* --no-color */
    const char *bus, *redis;
    keys_t keys; /* for that bus; name "": none */
    suite_t *suite;
    live_t *live;
    arena_t *arena;
    presence_t presence;
    double started_s, first_step_s;
    buf_t command;     /* that started it */
    bool began;        /* the folder is ours: before, nothing is written there */
    int history;       /* history_begin, -1: none */
    int64_t report_ms; /* when the page is written again */
    int asked;         /* how many signals had come when the end began */
    int64_t ending_ms; /* since when everything is ended; 0: not yet */
    bool said_saving;
    check_t check;
} run_t;

static volatile sig_atomic_t interrupted;

/*  Counted, since a second one ends at once what the first one ends in order. */
static void cmd_run_on_signal (int number)
{
    (void) number;
    interrupted++;
}

/*  As long as nothing is started there is nothing to end either: only the last line of --json is
 *  owed. */
static void cmd_run_on_early_signal (int number)
{
    static const char line[] = "{\"event\":\"stopped\"}\n";
    (void) number;
    _exit (write (1, line, sizeof line - 1) < 0 ? EXIT_FAILURE : CMD_RUN_STOPPED);
}

static void cmd_run_catch (void (*handler) (int number))
{
    /* A terminal that is closed ends a run in order, too. */
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaction (ends[i], &action, NULL);
}

/*  An option that was not given is an empty text. */
static const char *cmd_run_given (const args_t *args, const char *key)
{
    const char *value = args_value (args, key);
    return *value ? value : NULL;
}

/*  The single agent is a team of one seat, which has nobody to take turns with, and so none that
 *  looks into texts: everything else stays as configured, for a fair comparison. It is read here
 *  already, since its own training begins when the team's has ended. */
static int cmd_run_read_alone (run_t *run, err_t *err)
{
    char *tokens = run->more[2];
    snprintf (tokens, sizeof run->more[2], "task.max_tokens=%zu", conf_alone_tokens (run->conf));
    const char *const own[] = {"team.roles=solo",        "policies=",   "team.policies=shared",
                               "team.protocol=parallel", "team.turns=", tokens,
                               "task.passages="};
    memcpy (run->alone, run->sets, run->sets_n * sizeof *run->sets);
    memcpy (run->alone + run->sets_n, own, sizeof own);
    run->alone_n = run->sets_n + sizeof own / sizeof *own;
    conf_t *alone = conf_load (run->config, run->alone, run->alone_n, err);
    if (!alone)
        return err_wrap (err, "the single agent of run.baseline");
    conf_destroy (&alone);
    return 0;
}

/*  --agents and --environments are overrides under shorter names. */
static int cmd_run_read_arguments (run_t *run, const args_t *args, err_t *err)
{
    size_t n;
    const char *const *sets = args_repeated (args, "--set", &n);
    run->config = args_positional (args);
    /* Some places are kept for the overrides that are made below. */
    for (size_t i = 0; i < n && run->sets_n < SETS_MAX - 4; i++)
        run->sets[run->sets_n++] = sets[i];
    static const char *const counts[] = {"agents", "environments"};
    for (size_t i = 0; i < 2; i++) {
        char key[32];
        long long number;
        snprintf (key, sizeof key, "--%s", counts[i]);
        if (!cmd_run_given (args, key))
            continue;
        /* Here already, so that an error names what was typed; keys.h has the same bounds. */
        if (args_number (args, key, 1, 64, &number, err) != 0)
            return -1;
        snprintf (run->more[i], sizeof run->more[i], "run.%s=%lld", counts[i], number);
        run->sets[run->sets_n++] = run->more[i];
    }
    run->conf = conf_load (run->config, run->sets, run->sets_n, err);
    if (!run->conf ||
        (strcmp (run->conf->run.baseline, "solo") == 0 && cmd_run_read_alone (run, err) != 0) ||
        suite_read_keys (cmd_run_given (args, "--bus"), args_value (args, "--keys"), &run->keys,
                         err) != 0)
        return -1;
    run->place.resume = args_flag (args, "--resume");
    run->plain = args_flag (args, "--no-color");
    run->print = args_flag (args, "--print-config");
    run->bus = cmd_run_given (args, "--bus");
    run->redis = cmd_run_given (args, "--redis");
    run->place.going_on = args_flag (args, "--continue");
    run->place.named = cmd_run_given (args, "--out") != NULL;
    if (run->place.named)
        snprintf (run->place.out, sizeof run->place.out, "%s", args_value (args, "--out"));
    else
        snprintf (run->place.out, sizeof run->place.out, "runs/%s", run->conf->run.name);
    return 0;
}

/*  What can be known to be wrong before anything starts. */
static int cmd_run_check (run_t *run, err_t *err)
{
    place_find (&run->place, run->conf);
    return place_check (&run->place, run->conf, run->name, &run->check.notes, err) == 0
               ? check_run (&run->check, run->conf, run->bus != NULL, err)
               : -1;
}

static void cmd_run_print_config (const run_t *run)
{
    buf_t text = {0};
    conf_print (run->conf, true, &text);
    fwrite (text.data, 1, text.size, stdout);
    buf_free (&text);
}

/*  A trainer in an update does not hear that it shall end, and keeps the step when it does: it
 *  says in its status how long that may take. */
static void cmd_run_note_end (run_t *run, const wire_event_t *event)
{
    const char *who = suite_trainer (event->text);
    if (event->kind != WIRE_SERVICE_STATUS || !who)
        return;
    for (size_t i = 0; i < event->metrics_n; i++)
        if (strcmp (event->metrics[i].name, "end_s") == 0)
            supervisor_allow (suite_supervisor (run->suite), who,
                              (int64_t) (event->metrics[i].value * 1e3));
}

/*  While a trainer takes its time to end: said once, when that is longer than a moment. The next
 *  Ctrl-C is final. */
static bool cmd_run_hurries (void *context, const char *name, int64_t left_ms)
{
    run_t *run = context;
    if (interrupted > run->asked)
        return true;
    if (!run->ending_ms || !suite_trainer (name) || run->said_saving ||
        clock_ms () - run->ending_ms < SAY_END_MS)
        return false;
    fprintf (stderr, "\nsaving the last whole step, up to %lld s; Ctrl-C again ends now\n",
             (long long) (left_ms + 999) / 1000);
    run->said_saving = true;
    return false;
}

/*  The page of a run that goes on. It is for looking in between: what hinders it is said at the
 *  end, when it is written for good. */
static void cmd_run_refresh_report (run_t *run)
{
    int64_t now = clock_ms ();
    if (run->passing || now < run->report_ms)
        return;
    report_write (run->place.out, NULL, NULL);
    run->report_ms = clock_ms () + REPORT_MS + REPORT_PART * (clock_ms () - now);
}

/*  Takes events for TURN_MS and passes them on to the view. What cannot be decoded is left out: a
 *  view must not end a run. */
static int cmd_run_watch (run_t *run, err_t *err)
{
    bus_item_t item;
    int64_t until = clock_ms () + TURN_MS;
    int rc;
    while ((rc = bus_next (suite_bus (run->suite), &item, (int) clock_left_ms (until), err)) > 0) {
        if (item.kind != BUS_EVENT || strncmp (item.name, "policy/", 7) == 0)
            continue;
        arena_reset (run->arena);
        const wire_event_t *event = wire_event_unpack (run->arena, item.payload, item.size, NULL);
        if (!event || !suite_concerns (run->suite, event, run->id, run->who))
            continue;
        if (event->kind == WIRE_STEP_DONE && run->first_step_s <= 0)
            run->first_step_s = clock_s () - run->started_s;
        presence_event (&run->presence, event);
        cmd_run_note_end (run, event);
        live_event (run->live, event);
        if (event->kind == WIRE_STEP_DONE || event->kind == WIRE_EVAL_DONE)
            cmd_run_refresh_report (run);
        /* The trainer says in its state what it waits for (a bus, a store). */
        if (event->kind == WIRE_RUN_STATE && strncmp (event->text, "waiting:", 8) == 0)
            live_waits (run->live, event->text);
    }
    live_draw (run->live);
    return rc;
}

/*  The supervisor is about to start a process again. A trainer goes on from its newest
 *  checkpoint. */
static void cmd_run_on_restart (void *context, const char *name, const char *why)
{
    run_t *run = context;
    size_t step = folder_step (run->folder);
    live_restart (run->live, name, why, suite_trainer (name) ? &step : NULL);
}

/*  Waits until every service that the run needs has sent its status. Who starts a suite by hand
 *  starts it in any order. */
static int cmd_run_wait_for_services (run_t *run, err_t *err)
{
    int64_t started = clock_ms ();
    const char *text;
    while ((text = presence_lacks (&run->presence, run->conf, run->bus, run->redis))) {
        int64_t waited = clock_ms () - started;
        if (interrupted)
            return err_set (err, ERR_NONE, "interrupted");
        if (cmd_run_watch (run, err) < 0)
            return -1;
        if (waited > PARTS_MS)
            return err_set (err, ERR_TIMEOUT, "%s (waited %d s)", text, PARTS_MS / 1000);
        if (waited > SAY_MS)
            live_waits (run->live, text);
    }
    return 0;
}

/*  One trainer from start to end. solo: the single agent, in OUT/solo, which may write as many
 *  tokens as those whose work it does. */
static int cmd_run_train (run_t *run, bool solo, err_t *err)
{
    char program[FS_PATH_MAX], out[FS_PATH_MAX];
    const char *argv[2 * SETS_MAX + 32] = {0};
    size_t n = 0;
    const char *who = run->who = solo ? "solo" : "team";
    snprintf (run->id, sizeof run->id, "%s%s", run->conf->run.name, solo ? "-solo" : "");
    if (fs_join (out, run->place.out, solo ? "solo" : ".", err) != 0)
        return -1;
    snprintf (run->folder, sizeof run->folder, "%s", solo ? out : run->place.out);
    argv[n++] = supervisor_program ("quintet-trainer", program, sizeof program);
    argv[n++] = run->config;
    const char *fixed[] = {"--bus",   suite_bus_address (run->suite),
                           "--redis", suite_redis_address (run->suite),
                           "--keys",  run->keys.dir,
                           "--name",  who,
                           "--run",   run->id,
                           "--out",   run->folder};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        argv[n++] = fixed[i];
    const char *const *sets = solo ? run->alone : run->sets;
    for (size_t i = 0; i < (solo ? run->alone_n : run->sets_n); i++) {
        argv[n++] = "--set";
        argv[n++] = sets[i];
    }
    /* The run may have been stopped before the single agent's training began. */
    bool resumes = run->place.resume && folder_holds_run (run->folder);
    argv[n++] = resumes ? "--resume" : NULL;
    live_parts (run->live, solo ? 2 : 1, strcmp (run->conf->run.baseline, "solo") == 0 ? 2 : 1);
    live_begin (run->live, who, run->id, (size_t) run->conf->trainer.steps,
                resumes ? folder_step (run->folder) : 0);
    if (resumes)
        lines_each (run->folder, "metrics.jsonl", live_past, run->live);
    supervisor_t *supervisor = suite_supervisor (run->suite);
    if (supervisor_add (supervisor, who, argv, resumes ? NULL : "--resume", SUPERVISE_UNTIL, err) !=
        0)
        return -1;
    while (!supervisor_done (supervisor, who)) {
        if (interrupted)
            return err_set (err, ERR_NONE, "interrupted");
        if (supervisor_turn (supervisor, err) != 0 || cmd_run_watch (run, err) < 0)
            return -1;
        const char *lacks = presence_lacks (&run->presence, run->conf, run->bus, run->redis);
        if (lacks)
            live_waits (run->live, lacks);
    }
    supervisor_remove (supervisor, who);
    return 0;
}

/*  The team, then for comparison the single agent. */
static int cmd_run_train_all (run_t *run, err_t *err)
{
    bool solo = strcmp (run->conf->run.baseline, "solo") == 0;
    int64_t deadline = clock_ms () + 10000;
    while (bus_ready (suite_bus (run->suite), 20, err) != 0)
        if (interrupted || supervisor_turn (suite_supervisor (run->suite), err) != 0 ||
            clock_ms () > deadline)
            return -1;
    if (run->bus && cmd_run_wait_for_services (run, err) != 0)
        return -1;
    live_ready (run->live, clock_s () - run->started_s, suite_bus_address (run->suite));
    if (cmd_run_train (run, false, err) != 0 || (solo && cmd_run_train (run, true, err) != 0))
        return -1;
    return 0;
}

/*  Writes down how the run ended, and the page for good. Closed once: if something fails
 *  afterwards, the first word stands. */
static int cmd_run_close (run_t *run, history_end_t how, const char *text, err_t *err)
{
    history_end (run->history, how, text);
    run->history = -1;
    if (run->passing || !run->began || !folder_holds_run (run->place.out))
        return 0;
    return report_write (run->place.out, NULL, err);
}

/*  A run that was resumed has its times from its own files: the command's are of its last part. */
static void cmd_run_take_times (const run_t *run, result_t *result)
{
    result->first_step_s = run->first_step_s;
    result->wall_s = clock_s () - run->started_s;
    if (!run->place.resume)
        return;
    result->first_step_s = json_number_value (json_object_get (result->team, "first_step_s"));
    result->wall_s = json_number_value (json_object_get (result->team, "wall_s")) +
                     json_number_value (json_object_get (result->solo, "wall_s"));
}

/*  The result is printed also when the page could not be written. */
static int cmd_run_finish (run_t *run, err_t *err)
{
    result_t result = {.passing = run->passing, .columns = style_columns (stdout)};
    bool solo = strcmp (run->conf->run.baseline, "solo") == 0;
    int rc = result_read (&result, run->place.out, solo, err);
    if (rc == 0) {
        cmd_run_take_times (run, &result);
        lost_t lost = lost_count (&result);
        /* With too many lost it has a result, and failed: the caller writes down how it ended. */
        rc = lost_check (&lost, run->conf->run.lost_share, err);
        if (rc == 0)
            rc = cmd_run_close (run, HISTORY_FINISHED, "", err);
        if (run->json)
            result_json (&result, stdout);
        else
            result_print (&result, stdout);
        if (!run->json)
            lost_print (&lost, stdout);
    }
    result_free (&result);
    return rc;
}

/*  Where everything will be, and, when another folder had been the first choice, the command that
 *  goes on with what is there. */
static void cmd_run_print_folder (const run_t *run)
{
    buf_t line = {0};
    buf_printf (&line, "Folder: %s", run->place.out);
    if (run->place.resume)
        buf_text (&line, ", going on with the run there");
    if (*run->place.taken) {
        buf_printf (&line, "; %s holds a run, to go on with that one:\n  ", run->place.taken);
        ending_resume (run->place.taken, run->bus, run->redis, run->keys.dir, &line);
    }
    printable_print (stdout, line.data, line.size, PRINTABLE_LINES);
    putchar ('\n');
    buf_free (&line);
}

/*  The lines before the view: first what is trained and where it lies, last what only those read
 *  who know the field. */
static void cmd_run_print_opening (const run_t *run)
{
    const conf_t *conf = run->conf;
    buf_t formulas = {0}, roles = {0};
    conf_join (&conf->team.roles, ", ", &roles);
    printf ("Team: %s; tasks: %s%s\n", roles.data ? roles.data : "", conf->task.family,
            strcmp (conf->run.baseline, "solo") == 0 ? "; then a single agent, to compare" : "");
    if (conf->trainer.steps)
        printf ("Training: %lld steps of %lld groups of %lld episodes\n",
                (long long) conf->trainer.steps, (long long) conf->trainer.groups,
                (long long) conf->trainer.group_size);
    if (conf->trainer.steps && conf->trainer.budget_tokens)
        printf ("Budget: %lld sampled tokens; the step that reaches them is the last\n",
                (long long) conf->trainer.budget_tokens);
    if (!run->passing)
        cmd_run_print_folder (run);
    if (!run->bus)
        fit_print (&run->check.fit, stdout);
    fputs (run->check.notes.data ? run->check.notes.data : "", stdout);
    conf_objective (conf, &formulas);
    for (char *rest = formulas.data, *line; rest && (line = strsep (&rest, "\n"));)
        if (*line)
            printf ("Objective: %s\n", line);
    fflush (stdout);
    buf_free (&formulas);
    buf_free (&roles);
}

/*  From here on the folder is ours, or the command ends. A passing run's folder goes away, and its
 *  history with it. */
static int cmd_run_take_folder (void *context, err_t *err)
{
    run_t *run = context;
    if (!run->passing &&
        (fs_mkdirs (run->place.out, err) != 0 ||
         history_begin (run->place.out, run->command.data, &run->history, err) != 0))
        return -1;
    run->began = true;
    return 0;
}

static int cmd_run_start (run_t *run, err_t *err)
{
    char logs[FS_PATH_MAX];
    bool screen = style_terminal (stdout);
    live_mode_t mode = run->json ? LIVE_JSON : screen ? LIVE_SCREEN : LIVE_LINES;
    style_choose (screen && !run->json, run->plain);
    if (cmd_run_check (run, err) != 0 || fs_join (logs, run->place.out, "logs", err) != 0)
        return -1;
    cmd_run_catch (cmd_run_on_signal);
    /* Another machine has another python3; and what a run began with, it has tried. */
    if (!run->bus && !run->place.resume &&
        check_solutions (&run->check, run->conf, &interrupted, err) != 0)
        return -1;
    if (!run->json)
        cmd_run_print_opening (run);
    /* `quintet run | head` must end as any other run, with its services. */
    signal (SIGPIPE, SIG_IGN);
    suite_options_t suite = {.bus = run->bus,
                             .redis = run->redis,
                             .keys = &run->keys,
                             .logs = logs,
                             .take = cmd_run_take_folder,
                             .context = run};
    run->suite = suite_new (run->conf, &suite, err);
    run->arena = arena_new (16 << 20);
    if (!run->suite || !run->arena || !(run->live = live_new (mode, err)))
        return -1;
    supervisor_watch (suite_supervisor (run->suite), cmd_run_on_restart, run);
    supervisor_hurry (suite_supervisor (run->suite), cmd_run_hurries, run);
    if (!run->json) {
        const char *tap = getenv ("QUINTET_TAP"); /* set where the address means nothing outside */
        if (tap && *tap)
            printf ("Tap: %s\n", tap);
        else
            printf ("Tap: %s tap --bus %s%s%s\n", program_invocation_name,
                    suite_bus_address (run->suite), *run->keys.dir ? " --keys " : "",
                    run->keys.dir);
        fflush (stdout);
    }
    return cmd_run_train_all (run, err);
}

/*  Everything that was started is gone when it returns, in whatever way the run ended. */
static int cmd_run_execute (run_t *run, err_t *err)
{
    int rc = cmd_run_start (run, err);
    /* The view first: what the end of the suite has to say comes below it. */
    if (run->live)
        live_leave (run->live);
    live_destroy (&run->live);
    run->asked = interrupted;
    run->ending_ms = clock_ms ();
    /* Before the result is read and the page is written: then nobody writes to the folder any
       more. */
    suite_destroy (&run->suite);
    ending_t ending = {.out = run->place.out,
                       .folder = run->folder,
                       .bus = run->bus,
                       .redis = run->redis,
                       .keys = run->keys.dir,
                       /* A training that came to its end has nothing to go on with. */
                       .resumes = rc != 0 && !run->passing && strcmp (run->name, "run") == 0};
    if (interrupted) {
        cmd_run_close (run, HISTORY_STOPPED, "", NULL);
        ending_stopped (&ending, run->json);
        return CMD_RUN_STOPPED;
    }
    if (rc == 0)
        rc = cmd_run_finish (run, err);
    if (rc == 0)
        return EXIT_SUCCESS;
    cmd_run_close (run, HISTORY_FAILED, err->text, NULL);
    int status = cli_fail (run->name, err);
    ending_failed (&ending, err->text, run->json);
    return status;
}

int cli_run_for (const char *name, bool passing, int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    run_t run = {.name = name, .passing = passing, .started_s = clock_s (), .history = -1};
    ending_command (argc, argv, &run.command);
    run.json = args_flag (args, "--json");
    if (run.json)
        cmd_run_catch (cmd_run_on_early_signal);
    if (cmd_run_read_arguments (&run, args, &err) != 0) {
        status = cli_fail (name, &err);
        if (run.json)
            ending_error (err.text);
    } else if (run.print)
        cmd_run_print_config (&run);
    else
        status = cmd_run_execute (&run, &err);
    check_free (&run.check);
    buf_free (&run.command);
    arena_destroy (&run.arena);
    conf_destroy (&run.conf);
    args_destroy (&args);
    return status;
}

static int cmd_run_command (int argc, char **argv)
{
    return cli_run_for ("run", false, argc, argv);
}

const cli_command_t cli_run = {"run", "CONFIG", "train a team and watch it learn", cmd_run_command};
