/*  table - the results of an experiment as tables: table.md, the page's, and a short one for a
 *  terminal.
 *
 *      table_write (results, TABLE_MARKDOWN, &out);
 *      table_print (results, stdout);
 */
#ifndef QUINTET_CLI_TABLE_H
#define QUINTET_CLI_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"

typedef enum { TABLE_MARKDOWN, TABLE_HTML } table_kind_t;

/*  results: as results_read has them. One row per arm; then what arms with compare_to change, and
 *  published values beside ours; last how to read them. */
void table_write (const json_t *results, table_kind_t kind, buf_t *out);
/*  Quality, critical path and speed of each arm. */
void table_print (const json_t *results, FILE *to);

#endif
