/*  quintet tap - prints what happens on a bus. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/printable.h"
#include "bus/bus.h"
#include "cli.h"
#include "tap/line.h"
#include "wire/wire.h"

#define TOPICS_MAX 16
#define QUIET_MS   3000 /* without an event, until everything is looked at */
#define LOOK_MS    2000 /* services tell their status twice a second */

static const args_option_t options[] = {
    {"--bus", "ADDRESS", "tcp://127.0.0.1:5550", "the bus to listen to"},
    {"--json", NULL, NULL, "one JSON object per event"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet tap",
    .about =
        "Prints every event whose topic begins with PREFIX: \"coding/\" for a run, \"service/\"\n"
        "for the services, nothing for all. A line has the time, who, what, and a few numbers;\n"
        "--json has everything. A tap never slows a run; it says how many events it lost.\n\n"
        "  quintet tap --bus tcp://127.0.0.1:5550 coding/\n",
    .positional = "[PREFIX]",
    .options = options,
    .environment = true};

static volatile sig_atomic_t interrupted;

static void cmd_tap_on_signal (int number)
{
    (void) number;
    interrupted = 1;
}

static double cmd_tap_now_s (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (double) now.tv_sec + (double) (now.tv_nsec / 1000000) / 1000;
}

/*  What there is on the bus, when nothing of it is wanted: the first part of every topic. */
typedef struct {
    char name[TOPICS_MAX][64];
    size_t n;
} topics_t;

/*  Topics are for a hint alone: a few are enough. */
static void cmd_tap_note_topic (topics_t *topics, const char *topic)
{
    size_t n = strcspn (topic, "/");
    for (size_t i = 0; i < topics->n; i++)
        if (strncmp (topics->name[i], topic, n) == 0 && !topics->name[i][n])
            return;
    if (topics->n < TOPICS_MAX && n < sizeof topics->name[0])
        snprintf (topics->name[topics->n++], sizeof topics->name[0], "%.*s", (int) n, topic);
}

/*  Said once, on stderr, so that a program that reads the events is not disturbed. */
static void cmd_tap_print_hint (const char *prefix, const topics_t *topics)
{
    buf_t line = {0};
    buf_printf (&line, "nothing under '%s' for %d s; ", prefix, (QUIET_MS + LOOK_MS) / 1000);
    buf_text (&line, topics->n ? "there is:" : "nothing else is sent on this bus either");
    for (size_t i = 0; i < topics->n; i++)
        buf_printf (&line, " %s/", topics->name[i]);
    printable_print (stderr, line.data, line.size, PRINTABLE_LINE);
    fputc ('\n', stderr);
    buf_free (&line);
}

typedef struct {
    const char *prefix;
    bool json;
    bool heard;       /* something that is wanted */
    bool looks, said; /* at everything, to find what there is; and it was told */
    int64_t since_ms;
    topics_t topics;
} tap_t;

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
        cmd_tap_print_hint (tap->prefix, &tap->topics);
        tap->said = true;
    }
    return 0;
}

/*  Manifests of policies travel as events, too, but are no wire_event_t. What cannot be decoded is
 *  left out. */
static void cmd_tap_print (tap_t *tap, arena_t *arena, const bus_item_t *item)
{
    buf_t line = {0};
    cmd_tap_note_topic (&tap->topics, item->name);
    if (strncmp (item->name, tap->prefix, strlen (tap->prefix)) != 0 ||
        strncmp (item->name, "policy/", 7) == 0)
        return;
    arena_reset (arena);
    const wire_event_t *e = wire_event_unpack (arena, item->payload, item->size, NULL);
    if (!e)
        return;
    tap->heard = true;
    (tap->json ? line_json : line_text) (item, e, cmd_tap_now_s (), &line);
    fwrite (line.data, 1, line.size, stdout);
    putchar ('\n');
    /* Lines come one by one, as the events do, also through a pipe. */
    fflush (stdout);
    buf_free (&line);
}

static int cmd_tap_listen_to (tap_t *tap, bus_t *bus, err_t *err)
{
    arena_t *arena = arena_new (16 << 20);
    int rc = arena ? 0 : err_set (err, ERR_LIMIT, "no memory for events");
    tap->since_ms = clock_ms ();
    while (rc >= 0 && !interrupted) {
        bus_item_t item;
        /* So often a tap that hears nothing looks at the clock and at Ctrl-C. */
        rc = bus_next (bus, &item, 200, err);
        if (rc > 0 && item.kind == BUS_EVENT)
            cmd_tap_print (tap, arena, &item);
        if (rc >= 0)
            rc = cmd_tap_look_around (tap, bus, err);
    }
    arena_destroy (&arena);
    return rc < 0 ? -1 : 0;
}

static int cmd_tap_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    char name[48];
    snprintf (name, sizeof name, "tap-%ld", (long) getpid ());
    struct sigaction action = {.sa_handler = cmd_tap_on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    bus_options_t bus_options = {.address = args_value (args, "--bus"), .name = name};
    const char *prefix = args_positional (args);
    tap_t tap = {.prefix = prefix ? prefix : "", .json = args_flag (args, "--json")};
    bus_t *bus = bus_new (&bus_options, &err);
    /* A bus that is not there would otherwise look like a quiet one. */
    int rc = bus ? bus_ready (bus, 3000, &err) : -1;
    if (rc == 0)
        rc = bus_subscribe (bus, tap.prefix, &err);
    if (rc == 0)
        rc = cmd_tap_listen_to (&tap, bus, &err);
    bus_destroy (&bus);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("tap", &err);
}

const cli_command_t cli_tap = {"tap", "[PREFIX]", "print what happens on a bus", cmd_tap_run};
