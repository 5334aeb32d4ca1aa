/*  live_fixture - a view on a terminal of a given size, with a clock that the test turns.
 *
 *      screen_t s = terminal (80, 24);
 *      live_t *live = begin (LIVE_SCREEN);
 *      check_frame (look (&s), 80);
 */
#ifndef QUINTET_LIVE_FIXTURE_H
#define QUINTET_LIVE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "../../services/cli/view/live.h"
#include "../../services/cli/view/style.h"
#include "base/buf.h"
#include "base/clock.h"

/*  ---- a clock that the test turns ------------------------------------------------------------ */

static int64_t now_ms = 1000000;

int64_t clock_ms (void)
{
    return now_ms;
}

double clock_s (void)
{
    return (double) now_ms / 1e3;
}

/*  ---- where the view is drawn ---------------------------------------------------------------- */

typedef struct {
    int shown, old; /* what the view wrote is read from `shown`; the test's own stdout */
    buf_t text;     /* all that was read so far */
} screen_t;

/*  Puts `fd` in place of stdout. */
static void divert (screen_t *s, int fd)
{
    fflush (stdout);
    s->old = dup (1);
    assert_true (s->old >= 0 && dup2 (fd, 1) == 1);
    close (fd);
}

static screen_t terminal (unsigned short columns, unsigned short rows)
{
    screen_t s = {.shown = posix_openpt (O_RDWR | O_NOCTTY)};
    assert_true (s.shown >= 0 && grantpt (s.shown) == 0 && unlockpt (s.shown) == 0);
    int slave = open (ptsname (s.shown), O_RDWR | O_NOCTTY);
    assert_true (slave >= 0);
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    assert_int_equal (ioctl (slave, TIOCSWINSZ, &size), 0);
    fcntl (s.shown, F_SETFL, O_NONBLOCK);
    divert (&s, slave);
    return s;
}

/*  What was written since the last look. */
static const char *look (screen_t *s)
{
    char block[4096];
    ssize_t n;
    fflush (stdout);
    buf_clear (&s->text);
    buf_text (&s->text, "");
    while ((n = read (s->shown, block, sizeof block)) > 0)
        buf_append (&s->text, block, (size_t) n);
    return s->text.data;
}

static void restore (screen_t *s)
{
    fflush (stdout);
    dup2 (s->old, 1);
    close (s->old);
    close (s->shown);
    buf_free (&s->text);
}

/*  ---- events --------------------------------------------------------------------------------- */

static live_t *begin (live_mode_t mode)
{
    err_t err = {0};
    live_t *live = live_new (mode, &err);
    assert_non_null (live);
    live_begin (live, "team", "demo", 9, 0);
    return live;
}

static void step (live_t *live, const char *run, uint64_t number, double reward)
{
    wire_part_t metrics[] = {{"reward_mean", reward},
                             {"quality_mean", 0.75},
                             {"speed_mean", 0.5},
                             {"cost_mean", 0.25},
                             {"success", 0.625},
                             {"critical_path_tokens", 33.5},
                             {"sampled_tokens_per_s", 12345},
                             {"trained_tokens_per_s", 6789}};
    live_event (live, &(wire_event_t){.kind = WIRE_STEP_DONE,
                                      .run = run,
                                      .step = number,
                                      .text = "",
                                      .metrics = metrics,
                                      .metrics_n = sizeof metrics / sizeof *metrics});
}

static void evaluate (live_t *live)
{
    wire_part_t metrics[] = {{"sampled", 0.875}, {"greedy", 0.9375}, {"n", 152}};
    live_event (live, &(wire_event_t){.kind = WIRE_EVAL_DONE,
                                      .run = "demo",
                                      .step = 3,
                                      .text = "",
                                      .metrics = metrics,
                                      .metrics_n = 3});
}

static void open_groups (live_t *live, wire_phase_t phase, double groups)
{
    wire_part_t metric = {"groups", groups};
    live_event (live, &(wire_event_t){.kind = WIRE_STEP_OPENED,
                                      .run = "demo",
                                      .phase = phase,
                                      .text = "",
                                      .metrics = &metric,
                                      .metrics_n = 1});
}

/*  An episode whose roles wrote these words. */
static void show (live_t *live, const char *aux, const char *main_)
{
    json_t *episode =
        json_pack ("{s:{s:s}, s:[{s:[{s:s,s:s},{s:s,s:s}]}], s:{s:s, s:f, s:f, s:f, s:f}}", "task",
                   "brief", "Return the sum of xs.", "turns", "actions", "role", "aux", "text", aux,
                   "role", "main", "text", main_, "reward", "verdict", "3 of 5 tests", "reward",
                   0.5, "quality", 0.6, "speed", 0.1, "cost", 0.2);
    assert_non_null (episode);
    char *text = json_dumps (episode, 0);
    live_event (live, &(wire_event_t){.kind = WIRE_EPISODE_SHOWN, .run = "demo", .text = text});
    free (text);
    json_decref (episode);
}

/*  ---- checks --------------------------------------------------------------------------------- */

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("no '%s' in:\n%s", wanted, text);
}

/*  The length of the escape sequence at text, if it is one that the view itself uses; else 0. */
static size_t own_sequence (const char *text)
{
    static const char *const fixed[] = {"\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[J",
                                        "\x1b[0m",   "\x1b[1m",   "\x1b[2m", "\x1b[31m",
                                        "\x1b[32m",  "\x1b[33m"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strncmp (text, fixed[i], strlen (fixed[i])) == 0)
            return strlen (fixed[i]);
    size_t digits = strncmp (text, "\x1b[", 2) == 0 ? strspn (text + 2, "0123456789") : 0;
    return digits && text[2 + digits] == 'A' ? digits + 3 : 0;
}

/*  No line is wider than the terminal, and no byte that it would obey is a stranger's. Counts the
 *  lines. */
static size_t check_frame (const char *text, size_t columns)
{
    size_t column = 0, lines = 0;
    for (const char *c = text; *c;) {
        size_t own = own_sequence (c);
        utf8proc_int32_t character;
        utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) c, -1, &character);
        if (own) {
            c += own;
            continue;
        }
        if (n <= 0)
            fail_msg ("byte 0x%02x is no UTF-8", (unsigned char) *c);
        bool ends = *c == '\n' || *c == '\r';
        if (!ends && utf8proc_category (character) == UTF8PROC_CATEGORY_CC)
            fail_msg ("control character U+%04X", (unsigned) character);
        column = ends ? 0 : column + (size_t) utf8proc_charwidth (character);
        lines += *c == '\n';
        if (column > columns)
            fail_msg ("more than %zu columns in:\n%s", columns, text);
        c += n;
    }
    return lines;
}

#endif
