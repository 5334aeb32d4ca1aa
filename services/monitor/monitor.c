/*  monitor - see monitor.h */
#include "monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/printable.h"
#include "wire/wire.h"

#define MONITOR_LOOK_MS  2000 /* at folders */
#define MONITOR_TELL_MS  1000 /* browsers */
#define MONITOR_HEARD_MS 5000 /* without an event for so long there is no bus */
#define MONITOR_TOKEN    ((size_t) 4096)
#define MONITOR_WORDS    200 /* columns of why a bus refuses */

/*  The first word of the file: editors end lines. */
static int monitor_read_token (const char *path, buf_t *token, err_t *err)
{
    if (!*path)
        return 0;
    if (fs_read (path, MONITOR_TOKEN, token, err) != 0)
        return err_wrap (err, "--token-file");
    size_t n = token->data ? strcspn (token->data, " \t\r\n") : 0;
    if (n == 0)
        return err_set (err, ERR_CONFIG, "--token-file %.600s: it is empty", path);
    token->data[n] = 0;
    return 0;
}

static int monitor_open_web (monitor_t *m, const args_t *args, err_t *err)
{
    buf_t token = {0};
    int rc = monitor_read_token (args_value (args, "--token-file"), &token, err);
    if (rc == 0) {
        web_options_t options = {.listen = args_value (args, "--listen"),
                                 .token = token.data,
                                 .hosts = args_value (args, "--hosts"),
                                 .open = args_flag (args, "--insecure"),
                                 .pages = pages,
                                 .answer = api_answer,
                                 .context = m};
        m->web = web_new (&options, err);
    }
    buf_free (&token);
    if (m->web)
        log_info ("listening", "address=http://%s/ runs=%s", web_address (m->web), m->folder);
    return m->web ? 0 : -1;
}

int monitor_open (svc_run_t *run, void **state, err_t *err)
{
    const args_t *args = svc_args (run);
    monitor_t *m = *state = calloc (1, sizeof *m);
    if (!m)
        return err_set (err, ERR_LIMIT, "no memory for a monitor");
    pthread_mutex_init (&m->lock, NULL);
    snprintf (m->folder, sizeof m->folder, "%s", args_value (args, "--runs"));
    m->runs = runs_new (m->folder);
    m->tally = tally_new ();
    m->arena = arena_new (16 << 20);
    if (!m->runs || !m->tally || !m->arena)
        return err_set (err, ERR_LIMIT, "no memory for a monitor");
    /* The default need not be there yet; a folder that was named and is not is most likely
       misspelt. */
    if (args_given (args, "--runs") && *m->folder && !fs_exists (m->folder))
        return err_set (err, ERR_CONFIG, "--runs %.600s: there is no such folder", m->folder);
    /* Before the first question, so that it is answered in full. */
    runs_look (m->runs);
    return monitor_open_web (m, args, err);
}

int monitor_joined (svc_run_t *run, err_t *err)
{
    return bus_subscribe (svc_bus (run), "", err);
}

/*  The web first: it asks for what is freed after it. */
void monitor_close (svc_run_t *run, void **state)
{
    monitor_t *m = *state;
    (void) run;
    *state = NULL;
    if (!m)
        return;
    web_destroy (&m->web);
    runs_destroy (&m->runs);
    tally_destroy (&m->tally);
    arena_destroy (&m->arena);
    bodies_free (&m->kept);
    rows_free (&m->rows);
    pthread_mutex_destroy (&m->lock);
    free (m);
}

/*  Manifests of policies travel as events, too, and are none. What cannot be decoded is left
 *  out. */
void monitor_on_item (svc_run_t *run, const bus_item_t *item)
{
    monitor_t *m = svc_state (run);
    if (item->kind != BUS_EVENT || strncmp (item->name, "policy/", 7) == 0)
        return;
    arena_reset (m->arena);
    const wire_event_t *event = wire_event_unpack (m->arena, item->payload, item->size, NULL);
    if (!event)
        return;
    pthread_mutex_lock (&m->lock);
    rows_note (&m->rows, event);
    m->events++;
    m->lost += item->missed;
    m->heard_ms = clock_ms ();
    m->refused[0] = 0;
    pthread_mutex_unlock (&m->lock);
    runs_note (m->runs, event);
    tally_note (m->tally, event);
}

/*  A bus that nobody named happens to be where one usually is, and is none of ours; and one that
 *  has no room may have some later. It is asked again every few seconds: what it says is told once.
 */
bool monitor_refused (svc_run_t *run, const err_t *why)
{
    monitor_t *m = svc_state (run);
    bool named = args_given (svc_args (run), "--bus") || args_given (svc_args (run), "--keys");
    if (named && why->code != ERR_BUSY)
        return false;
    /* In part the words of whatever answers there. */
    buf_t words = {0};
    printable_cut (&words, why->text, strlen (why->text), MONITOR_WORDS);
    const char *text = words.data ? words.data : "no memory";
    bool same = strcmp (m->refused, text) == 0;
    snprintf (m->refused, sizeof m->refused, "%s", text);
    buf_free (&words);
    if (!same)
        log_warn ("bus.refused", "text=\"%s\" shown=\"what the runs' folders hold\"", m->refused);
    return true;
}

/*  All that a page shows without asking, but the numbers of runs: whose changed, it asks for. */
static void monitor_tell (monitor_t *m)
{
    uint32_t list;
    size_t silent = 0;
    json_t *now = runs_now (m->runs, &list);
    pthread_mutex_lock (&m->lock);
    rows_sort (&m->rows, ROWS_BY_NAME, "");
    for (size_t i = 0; i < m->rows.shown; i++)
        silent += m->rows.row[m->rows.order[i]].silent;
    bool heard = m->heard_ms && clock_ms () - m->heard_ms < MONITOR_HEARD_MS;
    json_t *line = json_pack (
        "{s:o, s:I, s:b, s:I, s:I, s:s, s:I, s:s}", "runs", now, "list", (json_int_t) list, "bus",
        (int) heard, "services", (json_int_t) m->rows.shown, "silent", (json_int_t) silent, "waits",
        rows_waits (&m->rows), "lost", (json_int_t) m->lost, "refused", m->refused);
    pthread_mutex_unlock (&m->lock);
    char *text = line ? json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (12)) : NULL;
    if (text)
        web_tell (m->web, text);
    free (text);
    json_decref (line);
}

int monitor_work (svc_run_t *run)
{
    monitor_t *m = svc_state (run);
    int64_t now = clock_ms ();
    if (now - m->looked_ms >= MONITOR_LOOK_MS) {
        runs_look (m->runs);
        /* From its end, so that a slow disk leaves time for the rest. */
        m->looked_ms = clock_ms ();
    }
    if (now - m->told_ms >= MONITOR_TELL_MS) {
        m->told_ms = now;
        monitor_tell (m);
    }
    return (int) clock_left_ms (m->told_ms + MONITOR_TELL_MS);
}

void monitor_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                     void *to)
{
    monitor_t *m = svc_state (run);
    metric (to, "streams", (double) web_streams (m->web));
}
