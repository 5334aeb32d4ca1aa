/*  rows - what a table shows of an evaluation, one row each, in this order.
 *
 *      row_t rows[ROWS_MAX];
 *      size_t n = rows_of (evaluation, rows);
 */
#ifndef QUINTET_CLI_ROWS_H
#define QUINTET_CLI_ROWS_H

#include <jansson.h>

#define ROWS_MAX 24

typedef struct {
    char key[32];   /* in the evaluation */
    char label[48]; /* for people */
    int digits;     /* behind the point */
} row_t;

/*  evaluation: as metrics.jsonl and result.json have it. What it does not hold is a row all the
 *  same: another evaluation in the same table may. */
size_t rows_of (const json_t *evaluation, row_t rows[ROWS_MAX]);
/*  Said beside a table: pass rates count lost tasks as failed, all else is of those that were
 *  played. "" where none was lost in either. Returns text. */
#define ROWS_LOST 200
const char *rows_lost (const json_t *before, const json_t *after, char text[ROWS_LOST]);

#endif
