/*  quintet tap - prints what happens on a bus. */
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/printable.h"
#include "bus/bus.h"
#include "cli.h"
#include "tap/format.h"
#include "tap/join.h"
#include "tap/recording.h"
#include "tap/replay.h"
#include "tap/topics.h"
#include "wire/wire.h"
#include "watch/line.h"

#define QUIET_MS     3000    /* without an event, until everything is looked at */
#define TAP_LAST_MAX 1000000 /* whatever is kept */
#define LOOK_MS      2000    /* services tell their status twice a second */

static const args_option_t options[] = {
    {"--bus", "ADDRESS", "tcp://127.0.0.1:5550", "the bus to listen to"},
    {"--keys", "DIR", "", "certificate of kind tap, for a bus that has keys (see: quintet keys)"},
    {"--json", NULL, NULL, "one JSON object per event"},
    {"--format", "LINE", "", "lines of your own, such as '%t %s %n %m' (below)"},
    {"--last", "N", "0", "first the last N events of each topic, as far as the bus keeps them"},
    {"--record", "FILE", "",
     "keep the events in a new file; print them only with --json, --format"},
    {"--replay", "FILE", "",
     "events of a recording, on a bus of their own, or with --bus on that one"},
    {"--speed", "X", "1", "replay so many times as fast as it was; 0: as fast as it goes"},
    {"--from", "SECONDS", "0", "leave out the recording's first seconds"},
    {"--viewers", "N", "0", "replay once N others listen"},
    {"--grep", "EXPR", "", "only lines in which this extended regular expression is found"},
    {"--topics", NULL, NULL,
     "no events; at the end each topic, how many there were, how many a second"},
    {"--count", "N", "0", "end after so many events; 0: never"},
    {"--for", "SECONDS", "0", "end after so many seconds; 0: never"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet tap",
    .about =
        "Prints every event whose topic begins with one of the PREFIXes: \"coding/\" for a run,\n"
        "\"service/\" for the services, nothing for all. A line has the time, who, what, and a "
        "few\n"
        "numbers; --json has everything. A tap never slows a run; it says how many events it "
        "lost,\n"
        "at the end by sender.\n\n"
        "  quintet tap --bus tcp://127.0.0.1:5550 coding/\n"
        "  quintet tap --topics --for 10\n"
        "  quintet tap --json --grep 'step.done' --count 5 coding/ writing/\n"
        "  quintet tap --last 20 --format '%t %s %n %m' coding/step\n"
        "  quintet tap --record run.rec\n"
        "  quintet tap --replay run.rec --speed 10 --viewers 1\n\n"
        "A replay says at which address others can watch it, as with quintet top.\n"
        "In a --format stand for\n" FORMAT_HELP,
    .positional = "[PREFIX...]",
    .options = options,
    .environment = true};

static volatile sig_atomic_t interrupted;

static void cmd_tap_on_signal (int number)
{
    (void) number;
    interrupted = 1;
}

static int64_t cmd_tap_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static double cmd_tap_now_s (void)
{
    return (double) (cmd_tap_now_us () / 1000) / 1000;
}

typedef struct {
    const char *const *prefixes;
    size_t prefixes_n;
    bool json, counts;    /* counts: topics instead of events */
    const char *format;   /* "": none */
    bool prints;          /* events, as lines */
    uint32_t last;        /* events of each topic that are wanted first */
    recorder_t *recorder; /* NULL: nothing is recorded */
    uint64_t recorded;
    replay_t *replay; /* NULL: events are those of a bus that lives */
    regex_t *grep;    /* NULL: every line */
    long long left;   /* events to print; 0: without end */
    bool looks, said; /* at everything, to find what there is; and it was told */
    bool ended;
    bool heard;                 /* something that is wanted */
    int64_t since_ms, until_ms; /* until_ms 0: without end */
    topics_t wanted, all;
} tap_t;

/*  Said once, on stderr, so that a program that reads the events is not disturbed. */
static void cmd_tap_print_hint (const tap_t *tap)
{
    buf_t line = {0};
    buf_text (&line, "nothing under ");
    for (size_t i = 0; i < tap->prefixes_n; i++)
        buf_printf (&line, "%s'%s'", i ? ", " : "", tap->prefixes[i]);
    if (tap->prefixes_n == 0)
        buf_text (&line, "''");
    if (!tap->replay)
        buf_printf (&line, " for %d s", (QUIET_MS + LOOK_MS) / 1000);
    buf_text (&line, tap->all.topics ? "; there is:" : "; nothing else is sent here either");
    topics_roots (&tap->all, &line);
    printable_print (stderr, line.data, line.size, PRINTABLE_LINE);
    fputc ('\n', stderr);
    buf_free (&line);
}

/*  A prefix that nothing begins with is most likely misspelt: after a while the tap looks at what
 *  else there is, and says it. */
static int cmd_tap_look_around (tap_t *tap, bus_t *bus, err_t *err)
{
    int64_t quiet_ms = clock_ms () - tap->since_ms;
    if (tap->heard || tap->said)
        return 0;
    if (!tap->looks && quiet_ms >= QUIET_MS) {
        tap->looks = true;
        return bus_subscribe (bus, "", err);
    }
    if (tap->looks && quiet_ms >= QUIET_MS + LOOK_MS) {
        cmd_tap_print_hint (tap);
        tap->said = true;
    }
    return 0;
}

static bool cmd_tap_wants (const tap_t *tap, const char *topic)
{
    bool wanted = tap->prefixes_n == 0;
    for (size_t i = 0; i < tap->prefixes_n; i++)
        wanted = wanted || strncmp (topic, tap->prefixes[i], strlen (tap->prefixes[i])) == 0;
    return wanted;
}

/*  Lines come one by one, as the events do, also through a pipe. */
static void cmd_tap_print (tap_t *tap, const bus_item_t *item, const wire_event_t *event)
{
    buf_t line = {0};
    if (*tap->format)
        format_line (tap->format, item, event, cmd_tap_now_s (), &line);
    else
        (tap->json ? line_json : line_text) (item, event, cmd_tap_now_s (), &line);
    bool found = line.data && (!tap->grep || regexec (tap->grep, line.data, 0, NULL, 0) == 0);
    if (found) {
        fwrite (line.data, 1, line.size, stdout);
        putchar ('\n');
        fflush (stdout);
        tap->ended = tap->left > 0 && --tap->left == 0;
    }
    buf_free (&line);
}

/*  Manifests of policies travel as events, too, but are no wire_event_t. What cannot be decoded is
 *  left out. */
static void cmd_tap_show (tap_t *tap, arena_t *arena, const bus_item_t *item)
{
    if (strncmp (item->name, "policy/", 7) == 0)
        return;
    arena_reset (arena);
    const wire_event_t *event = wire_event_unpack (arena, item->payload, item->size, NULL);
    if (event)
        cmd_tap_print (tap, item, event);
}

static int cmd_tap_take (tap_t *tap, arena_t *arena, const bus_item_t *item, err_t *err)
{
    if (tap->replay && !replay_hear (tap->replay, item))
        return 0;                  /* what the bus itself says */
    if (!tap->heard && !tap->said) /* for the hint */
        topics_note (&tap->all, item);
    if (!cmd_tap_wants (tap, item->name))
        return 0;
    tap->heard = true;
    (tap->counts ? topics_note : topics_note_lost) (&tap->wanted, item);
    if (tap->recorder &&
        recorder_add (tap->recorder, cmd_tap_now_us (), item->frame, item->frame_size, err) != 0)
        return -1;
    tap->recorded += tap->recorder != NULL;
    if (tap->prints)
        cmd_tap_show (tap, arena, item);
    else
        tap->ended = tap->left > 0 && --tap->left == 0;
    return 0;
}

/*  What is to be done while nothing comes. How many ms it may sleep, or -1. */
static int cmd_tap_turn (tap_t *tap, bus_t *bus, err_t *err)
{
    if (tap->recorder && recorder_turn (tap->recorder, cmd_tap_now_us (), err) != 0)
        return -1;
    if (tap->replay) {
        tap->ended = replay_ended (tap->replay);
        if (tap->ended && !tap->heard)
            cmd_tap_print_hint (tap);
        return replay_turn (tap->replay, err);
    }
    /* So often a tap that hears nothing looks at the clock and at Ctrl-C. */
    return cmd_tap_look_around (tap, bus, err) == 0 ? 200 : -1;
}

static int cmd_tap_listen (tap_t *tap, bus_t *bus, err_t *err)
{
    arena_t *arena = arena_new (16 << 20);
    int rc = arena ? 0 : err_set (err, ERR_LIMIT, "no memory for events");
    while (rc >= 0 && !interrupted && !tap->ended &&
           (!tap->until_ms || clock_left_ms (tap->until_ms) > 0)) {
        bus_item_t item;
        int wait_ms = cmd_tap_turn (tap, bus, err);
        rc = wait_ms < 0 ? -1 : bus_next (bus, &item, wait_ms, err);
        if (rc > 0 && item.kind == BUS_EVENT)
            rc = cmd_tap_take (tap, arena, &item, err);
    }
    arena_destroy (&arena);
    return rc < 0 ? -1 : 0;
}

/*  Overlapping prefixes are no trouble: the bus sends an event once. */
static int cmd_tap_subscribe (const tap_t *tap, bus_t *bus, err_t *err)
{
    bool all = tap->prefixes_n == 0 || tap->replay;
    int rc = !all ? 0 : bus_subscribe_last (bus, "", tap->last, err);
    for (size_t i = 0; rc == 0 && !all && i < tap->prefixes_n; i++)
        rc = bus_subscribe_last (bus, tap->prefixes[i], tap->last, err);
    return rc;
}

static int cmd_tap_read (tap_t *tap, const args_t *args, regex_t *grep, err_t *err)
{
    const char *expression = args_value (args, "--grep");
    double seconds;
    long long last;
    tap->format = args_value (args, "--format");
    if (args_number (args, "--last", 0, TAP_LAST_MAX, &last, err) != 0 ||
        format_check (tap->format, err) != 0)
        return -1;
    tap->last = (uint32_t) last;
    if (tap->json && *tap->format)
        return err_set (err, ERR_CONFIG,
                        "--json and --format both say what a line is: leave one out");
    if (args_number (args, "--count", 0, 1LL << 53, &tap->left, err) != 0 ||
        args_real (args, "--for", 0, 1e9, &seconds, err) != 0)
        return -1;
    tap->since_ms = clock_ms ();
    tap->until_ms = seconds > 0 ? tap->since_ms + (int64_t) (seconds * 1000) : 0;
    int rc = *expression ? regcomp (grep, expression, REG_EXTENDED | REG_NOSUB) : 0;
    if (rc != 0) {
        char why[128];
        regerror (rc, grep, why, sizeof why);
        return err_set (err, ERR_CONFIG, "--grep '%.100s': %s", expression, why);
    }
    tap->grep = *expression ? grep : NULL;
    return 0;
}

static int cmd_tap_open_replay (tap_t *tap, const args_t *args, err_t *err)
{
    replay_options_t how = {.path = args_value (args, "--replay")};
    keys_t keys;
    long long viewers;
    if (args_real (args, "--speed", 0, 1e6, &how.speed, err) != 0 ||
        args_real (args, "--from", 0, 1e9, &how.from_s, err) != 0 ||
        args_number (args, "--viewers", 0, 1000, &viewers, err) != 0 ||
        keys_load (args_value (args, "--keys"), &keys, err) != 0)
        return -1;
    how.viewers = (uint64_t) viewers;
    /* An address in the environment is that of the bus where runs are. */
    if (args_typed (args, "--bus")) {
        how.address = args_value (args, "--bus");
        how.keys = &keys;
    }
    tap->replay = replay_new (&how, err);
    if (!tap->replay)
        return -1;
    recording_summary_t summary = replay_summary (tap->replay);
    fprintf (stderr, "%s: %llu events in %.1f s; watch with --bus %s\n", how.path,
             (unsigned long long) summary.events,
             (double) (summary.last_us - summary.first_us) / 1e6, replay_address (tap->replay));
    return 0;
}

/*  The bus to listen to: the replay's, or that of --bus. */
static bus_t *cmd_tap_open (tap_t *tap, const args_t *args, err_t *err)
{
    const char *record = args_value (args, "--record"), *replay = args_value (args, "--replay");
    tap->prints = !tap->counts && (!*record || tap->json || *tap->format);
    if (*replay && cmd_tap_open_replay (tap, args, err) != 0)
        return NULL;
    if (*record && !(tap->recorder = recorder_new (record, err)))
        return NULL;
    bus_t *bus = tap->replay ? join_bus_at (replay_address (tap->replay), args, "tap", err)
                             : join_bus (args, "tap", err);
    if (bus && (cmd_tap_subscribe (tap, bus, err) != 0 ||
                (tap->replay && replay_begin (tap->replay, err) != 0)))
        bus_destroy (&bus);
    return bus;
}

/*  What was recorded counts as long as it could be written. */
static int cmd_tap_close (tap_t *tap, const args_t *args, int rc, err_t *err)
{
    if (tap->recorder && recorder_close (&tap->recorder, rc == 0 ? err : NULL) != 0)
        rc = -1;
    if (*args_value (args, "--record") && tap->recorded)
        fprintf (stderr, "%s: %llu events\n", args_value (args, "--record"),
                 (unsigned long long) tap->recorded);
    replay_destroy (&tap->replay);
    topics_free (&tap->wanted);
    topics_free (&tap->all);
    if (tap->grep)
        regfree (tap->grep);
    return rc;
}

static int cmd_tap_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    struct sigaction action = {.sa_handler = cmd_tap_on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    tap_t tap = {.json = args_flag (args, "--json"), .counts = args_flag (args, "--topics")};
    tap.prefixes = args_positionals (args, &tap.prefixes_n);
    regex_t grep;
    int rc = cmd_tap_read (&tap, args, &grep, &err);
    bus_t *bus = rc == 0 ? cmd_tap_open (&tap, args, &err) : NULL;
    rc = bus ? cmd_tap_listen (&tap, bus, &err) : -1;
    if (rc == 0 && tap.counts)
        topics_print (&tap.wanted, (double) (clock_ms () - tap.since_ms) / 1000, tap.json, stdout);
    topics_print_lost (&tap.wanted, stderr);
    bus_destroy (&bus);
    rc = cmd_tap_close (&tap, args, rc, &err);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("tap", &err);
}

const cli_command_t cli_tap = {"tap", "[PREFIX...]", "print what happens on a bus", cmd_tap_run};
