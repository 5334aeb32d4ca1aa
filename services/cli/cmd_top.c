/*  quintet top - what every service of a bus does right now, as a table that goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "watch/rows.h"
#include "cli.h"
#include "tap/join.h"
#include "view/style.h"

#define DRAW_MS 1000
/* Three statuses, of which a service sends two a second: then rates are known. */
#define ONCE_MS    1700
#define FILTER_MAX 40

static const args_option_t top_options[] = {
    {"--bus", "ADDRESS", "tcp://127.0.0.1:5550", "the bus to look at"},
    {"--keys", "DIR", "", "certificate of kind tap, for a bus that has keys (see: quintet keys)"},
    {"--once", NULL, NULL, "print the table once, and end"},
    {"--json", NULL, NULL, "one JSON object a second, or with --once one"},
    {0}};

static const args_spec_t top_spec = {
    .program = "quintet top",
    .about =
        "Shows what the services of a bus do, and who waits for whom, once a second. It only\n"
        "listens. Keys: n by name, c CPU, m memory, d done a second, p 99th percentile, t tokens;\n"
        "/ then text and Enter shows only services of such a name or kind; space halts; q "
        "quits.\n\n"
        "  quintet top --bus tcp://127.0.0.1:5550\n"
        "  quintet top --bus ipc:///run/user/0/quintet-x/bus --once --json\n\n"
        "FLY: requests, or groups, in hand. QUEUE: that wait. DONE/s: answers, groups, steps.\n"
        "P50ms, P99ms: how long a request takes in the service, at most. LAG: versions behind the\n"
        "newest. DROPS: events lost, frames damaged or denied. RE: starts again under that name.\n",
    .options = top_options,
    .environment = true};

static volatile sig_atomic_t interrupted;

static void cmd_top_on_signal (int number)
{
    (void) number;
    interrupted = 1;
}

typedef struct {
    rows_t rows;
    rows_order_t order;
    char filter[FILTER_MAX + 1];
    bool typing, halted; /* typing: what is typed is the filter's */
    bool json, once, terminal;
    struct termios before; /* of the terminal, to be put back */
    int64_t since_ms, drawn_ms;
} top_t;

/*  ---- the terminal --------------------------------------------------------------------------- */

/*  Keys come one by one and are not shown; Ctrl-C stays a signal. */
static void cmd_top_enter (top_t *top)
{
    struct termios raw;
    top->terminal = !top->once && !top->json && style_terminal (stdout) &&
                    tcgetattr (STDIN_FILENO, &top->before) == 0;
    if (!top->terminal)
        return;
    raw = top->before;
    raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr (STDIN_FILENO, TCSANOW, &raw);
    fputs ("\x1b[?1049h\x1b[?25l", stdout); /* a screen of its own, without a cursor */
}

static void cmd_top_leave (top_t *top)
{
    if (!top->terminal)
        return;
    fputs ("\x1b[?25h\x1b[?1049l", stdout);
    fflush (stdout);
    tcsetattr (STDIN_FILENO, TCSANOW, &top->before);
}

/*  False: it is to end. */
static bool cmd_top_key (top_t *top, char key)
{
    static const char orders[ROWS_ORDERS + 1] = "ncmdpt";
    const char *at = strchr (orders, key);
    size_t n = strlen (top->filter);
    if (top->typing && (key == '\n' || key == '\x1b'))
        top->typing = false;
    else if (top->typing && (key == '\x7f' || key == '\b'))
        top->filter[n ? n - 1 : 0] = 0;
    else if (top->typing && key >= ' ' && n < FILTER_MAX)
        top->filter[n] = key;
    else if (top->typing)
        return true;
    else if (key == '/')
        top->typing = true;
    else if (key == ' ')
        top->halted = !top->halted;
    else if (key && at)
        top->order = (rows_order_t) (at - orders);
    top->drawn_ms = 0;
    return top->typing || key != 'q';
}

static bool cmd_top_keys (top_t *top)
{
    char key;
    while (top->terminal && read (STDIN_FILENO, &key, 1) == 1)
        if (!cmd_top_key (top, key))
            return false;
    return true;
}

/*  ---- what is shown -------------------------------------------------------------------------- */

static void cmd_top_print_screen (top_t *top, buf_t *out)
{
    struct winsize size = {0};
    ioctl (STDOUT_FILENO, TIOCGWINSZ, &size);
    size_t lines = size.ws_row ? size.ws_row : 24, columns = style_columns (stdout);
    buf_text (out, "\x1b[H\x1b[J");
    rows_print (&top->rows, lines - 1, columns, out);
    if (top->typing || *top->filter)
        buf_printf (out, "/%s%s", top->filter, top->typing ? "_" : "");
    if (top->halted)
        buf_text (out, "  halted (space goes on)");
}

static void cmd_top_draw (top_t *top)
{
    buf_t out = {0};
    if (top->halted && top->drawn_ms)
        return;
    rows_sort (&top->rows, top->order, top->filter);
    top->drawn_ms = clock_ms ();
    if (top->json) {
        cli_print_json (rows_json (&top->rows), 6);
    } else {
        if (top->terminal)
            cmd_top_print_screen (top, &out);
        else
            rows_print (&top->rows, 0, 0, &out);
        fwrite (out.data, 1, out.size, stdout);
    }
    fflush (stdout);
    buf_free (&out);
}

static int cmd_top_listen (top_t *top, bus_t *bus, err_t *err)
{
    arena_t *arena = arena_new (16 << 20);
    int rc = arena ? 0 : err_set (err, ERR_LIMIT, "no memory for events");
    bool goes_on = true;
    while (rc >= 0 && goes_on && !interrupted) {
        bus_item_t item;
        rc = bus_next (bus, &item, 50, err);
        if (rc > 0 && item.kind == BUS_EVENT && strncmp (item.name, "policy/", 7) != 0) {
            arena_reset (arena);
            const wire_event_t *e = wire_event_unpack (arena, item.payload, item.size, NULL);
            if (e && !top->halted)
                rows_note (&top->rows, e);
        }
        goes_on = cmd_top_keys (top);
        bool first = clock_ms () - top->since_ms < ONCE_MS;
        if (top->once ? !first : clock_ms () - top->drawn_ms >= DRAW_MS) {
            cmd_top_draw (top);
            goes_on = goes_on && !top->once && !ferror (stdout);
        }
    }
    arena_destroy (&arena);
    return rc < 0 ? -1 : 0;
}

static int cmd_top_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&top_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    top_t *top = calloc (1, sizeof *top);
    bus_t *bus = top ? join_bus (args, "top", &err) : NULL;
    int rc = bus ? bus_subscribe (bus, "", &err) : -1;
    if (rc == 0) {
        struct sigaction action = {.sa_handler = cmd_top_on_signal};
        sigaction (SIGINT, &action, NULL);
        sigaction (SIGTERM, &action, NULL);
        sigaction (SIGHUP, &action, NULL);
        top->json = args_flag (args, "--json");
        top->once = args_flag (args, "--once");
        /* The first time when statuses have come. */
        top->since_ms = top->drawn_ms = clock_ms ();
        cmd_top_enter (top);
        rc = cmd_top_listen (top, bus, &err);
        cmd_top_leave (top);
    }
    bus_destroy (&bus);
    if (top)
        rows_free (&top->rows);
    free (top);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("top", &err);
}

const cli_command_t cli_top = {"top", "", "what the services of a bus do right now", cmd_top_run};
