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
    char key[32];       /* in the evaluation */
    char label[48];     /* for people */
    const char *format; /* of its number */
} row_t;

/*  evaluation: as metrics.jsonl and result.json have it. What it does not hold is a row all the
 *  same: another evaluation in the same table may. */
size_t rows_of (const json_t *evaluation, row_t rows[ROWS_MAX]);

#endif
