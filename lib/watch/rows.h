/*  rows - what `quintet top` shows: each service by its statuses, each run by its events.
 *
 *      rows_t rows = {0};
 *      rows_note (&rows, event);                                  every event of the bus
 *      rows_sort (&rows, ROWS_BY_CPU, "agent");
 *      for (size_t i = 0; i < rows.shown; i++) show (rows.row[rows.order[i]]);
 *      rows_free (&rows);
 *
 *  A rate is of the last ROWS_SPAN_MS; a number that a service does not have is NAN.
 */
#ifndef QUINTET_WATCH_ROWS_H
#define QUINTET_WATCH_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "bus/bus.h"
#include "wire/wire.h"

#define ROWS_MAX      4096 /* names are a peer's: more are not shown, and counted */
#define ROWS_RUNS_MAX 16
#define ROWS_SPAN_MS  5000
#define ROWS_QUIET_MS 3000  /* without a status for so long it says "silent" */
#define ROWS_GONE_MS  60000 /* and for so long it is not shown any more */

typedef enum {
    ROWS_BY_NAME,
    ROWS_BY_CPU,
    ROWS_BY_MEMORY,
    ROWS_BY_DONE,
    ROWS_BY_SLOWEST,
    ROWS_BY_TOKENS,
    ROWS_ORDERS
} rows_order_t;

/*  Totals at a time. */
typedef struct {
    int64_t at_ms;
    double done, cpu_s, took[BUS_TOOK];
} rows_totals_t;

typedef struct {
    char name[96], kind[24], host[48], doing[24];
    uint64_t pid, restarts;
    int64_t seen_ms;
    rows_totals_t now, before, older; /* before: at least ROWS_SPAN_MS ago, where there is such */
    double in_flight, queue, tokens_per_s, version, rss, drops, uptime_s;
    /* by rows_sort */
    double done_per_s, cpu, p50_ms, p99_ms, lag; /* lag: versions behind the newest */
    bool silent;
} row_t;

typedef struct {
    char run[64], state[64];
    double step, steps, reward, steps_per_h, sampled_per_s, trained_per_s;
    int64_t step_ms; /* when the last step ended */
    bool ended;
} run_row_t;

typedef struct {
    row_t *row;
    size_t n, capacity, beyond; /* beyond ROWS_MAX */
    run_row_t run[ROWS_RUNS_MAX];
    size_t runs;
    size_t order[ROWS_MAX], shown;
} rows_t;

void rows_note (rows_t *rows, const wire_event_t *event);
/*  Which rows are shown, in which order: those whose name or kind holds the filter ("": all), the
 *  greatest first, or by name. */
void rows_sort (rows_t *rows, rows_order_t order, const char *filter);
/*  Who waits for whom, in a few words. */
const char *rows_waits (const rows_t *rows);
/*  The table: at most `lines` lines (0: all), `columns` wide (0: as wide as it is). */
void rows_print (const rows_t *rows, size_t lines, size_t columns, buf_t *out);
/*  {"runs": [...], "services": [...]}: all that the table has; a number that is not there is
 *  null. */
json_t *rows_json (const rows_t *rows);
void rows_free (rows_t *rows);

#endif
