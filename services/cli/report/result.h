/*  result - what a run came to: read from its folder, shown as a table, as JSON, as a page.
 *
 *      result_t result = {0};
 *      result_read (&result, out, with_solo, &err);
 *      result_print (&result, stdout);
 *      result_free (&result);
 */
#ifndef QUINTET_CLI_RESULT_H
#define QUINTET_CLI_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

typedef struct {
    char out[1024];
    json_t *team, *solo;         /* result.json of each; solo NULL without a baseline */
    double first_step_s, wall_s; /* from the start of the command */
    bool passing;                /* the folder is about to be removed */
    size_t columns;              /* of the terminal that it is printed on; 0: none, or any */
} result_t;

int result_read (result_t *result, const char *out, bool with_solo, err_t *err);
void result_free (result_t *result);

/*  The table, and one held-out task before -> after in full. */
void result_print (const result_t *result, FILE *to);
/*  The last line of --json. */
void result_json (const result_t *result, FILE *to);

/*  Whether the same seed would give the same weights; else this is said. */
#define RESULT_NOT_REPRODUCIBLE                                                                    \
    "reproducible: no (a program of your own, or a server of others, takes part)"
bool result_reproducible (const result_t *result);
/*  The 95% interval of a rate "before" or "after": "[0.389, 0.611]"; "" when there is none.
 *  Returns text. */
#define RESULT_INTERVAL 32
const char *result_interval (const json_t *result, const char *when, const char *key,
                             char text[RESULT_INTERVAL]);

#endif
