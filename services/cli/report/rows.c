/*  rows - see rows.h */
#include "rows.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void rows_add (row_t *rows, size_t *n, const char *key, const char *label, int digits)
{
    if (*n == ROWS_MAX)
        return;
    row_t *row = &rows[(*n)++];
    snprintf (row->key, sizeof row->key, "%s", key);
    snprintf (row->label, sizeof row->label, "%s", label);
    row->digits = digits;
}

size_t rows_of (const json_t *evaluation, row_t rows[ROWS_MAX])
{
    const json_t *value;
    const char *key;
    char label[48] = "pass rate, sampled";
    size_t n = 0;
    /* Of several samples a task the rate is the mean; which others there are the names say. */
    double samples = json_number_value (json_object_get (evaluation, "samples"));
    if (samples > 1)
        snprintf (label, sizeof label, "pass rate, sampled (avg@%.0f)", samples);
    rows_add (rows, &n, "sampled", label, 3);
    json_object_foreach ((json_t *) (uintptr_t) evaluation, key, value) {
        if (strncmp (key, "pass@", 5) != 0)
            continue;
        snprintf (label, sizeof label, "%s, sampled", key);
        rows_add (rows, &n, key, label, 3);
    }
    rows_add (rows, &n, "greedy", "pass rate, greedy", 3);
    rows_add (rows, &n, "quality", "quality", 3);
    rows_add (rows, &n, "agreement", "agreement of the roles", 3);
    rows_add (rows, &n, "completion_tokens", "tokens per completion", 1);
    rows_add (rows, &n, "tokens", "tokens per episode", 1);
    rows_add (rows, &n, "critical_path_tokens", "decode steps on the critical path", 1);
    return n;
}

static long rows_lost_of (const json_t *evaluation)
{
    return (long) (json_number_value (json_object_get (evaluation, "dead_groups")) +
                   json_number_value (json_object_get (evaluation, "greedy_dead_groups")));
}

const char *rows_lost (const json_t *before, const json_t *after, char text[ROWS_LOST])
{
    long was = rows_lost_of (before), is = rows_lost_of (after);
    text[0] = 0;
    if (was || is)
        snprintf (text, ROWS_LOST,
                  "Lost, which nobody could play or score: %ld before, %ld after. Pass rates count "
                  "them as failed; the other rows are of what was played.",
                  was, is);
    return text;
}
