/*  quintet tap - prints what happens on a bus. */
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "cli.h"
#include "wire/wire.h"
#include "bus/bus.h"

static const args_option_t options[] = {
    {"--bus", "ADDRESS", "tcp://127.0.0.1:5550", "the bus to listen to"},
    {"--json", NULL, NULL, "one JSON object per event"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet tap",
    .about =
        "Prints every event whose topic begins with PREFIX: \"coding/\" for a run, \"service/\"\n"
        "for the services, nothing for all. A tap never slows a run; it says how many it lost.\n\n"
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

static void cmd_tap_print_json (const bus_item_t *item, const wire_event_t *e)
{
    buf_t words = {0};
    printable_text (&words, e->text, strlen (e->text), PRINTABLE_LINES);
    json_t *metrics = json_object ();
    for (size_t i = 0; i < e->metrics_n; i++)
        if (isfinite (e->metrics[i].value))
            json_object_set_new (metrics, e->metrics[i].name, json_real (e->metrics[i].value));
    json_t *line =
        json_pack ("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:o}", "topic", item->name,
                   "sender", item->sender, "event", wire_event_name (e->kind), "run", e->run,
                   "step", (json_int_t) e->step, "group", (json_int_t) e->group, "phase",
                   wire_phase_name (e->phase), "missed", (json_int_t) item->missed, "text",
                   words.data ? words.data : "", "metrics", metrics);
    char *text = json_dumps (line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION (9));
    if (text)
        puts (text);
    free (text);
    buf_free (&words);
    json_decref (line);
}

/*  A tap that is slow loses events; their number is part of the next line. */
static void cmd_tap_print_text (const bus_item_t *item, const wire_event_t *e)
{
    buf_t line = {0};
    if (item->missed)
        buf_printf (&line, "(%llu events of %s lost here) ", (unsigned long long) item->missed,
                    item->sender);
    buf_printf (&line, "%-32s step %llu", item->name, (unsigned long long) e->step);
    for (size_t i = 0; i < e->metrics_n; i++)
        buf_printf (&line, "  %s=%.6g", e->metrics[i].name, e->metrics[i].value);
    buf_printf (&line, "%s%.300s", *e->text ? "  " : "", e->text);
    printable_print (stdout, line.data, line.size, PRINTABLE_LINE);
    putchar ('\n');
    buf_free (&line);
}

/*  Manifests of policies travel as events, too, but are no wire_event_t. What cannot be decoded is
 *  left out. */
static int cmd_tap_listen_to (bus_t *bus, bool json, err_t *err)
{
    arena_t *arena = arena_new (16 << 20);
    int rc = 0;
    while (arena && rc >= 0 && !interrupted) {
        bus_item_t item;
        rc = bus_next (bus, &item, 200, err);
        if (rc <= 0 || item.kind != BUS_EVENT || strncmp (item.name, "policy/", 7) == 0)
            continue;
        arena_reset (arena);
        const wire_event_t *e = wire_event_unpack (arena, item.payload, item.size, NULL);
        if (e)
            (json ? cmd_tap_print_json : cmd_tap_print_text) (&item, e);
        fflush (stdout);
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
    bus_t *bus = bus_new (&bus_options, &err);
    int rc = bus ? bus_ready (bus, 3000, &err) : -1;
    if (rc == 0)
        rc = bus_subscribe (bus, prefix ? prefix : "", &err);
    if (rc == 0)
        rc = cmd_tap_listen_to (bus, args_flag (args, "--json"), &err);
    bus_destroy (&bus);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("tap", &err);
}

const cli_command_t cli_tap = {"tap", "[PREFIX]", "print what happens on a bus", cmd_tap_run};
