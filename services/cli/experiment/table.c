/*  table - see table.h */
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../report/page.h"
#include "base/decimal.h"
#include "base/printable.h"
#include "results.h"

#define COLUMNS_MAX 24

typedef struct {
    const char *key;
    char title[64];
    int digits;
} column_t;

/*  What stands in the main table, where any arm has it. */
static const column_t table_columns[] = {{"quality", "", 3},
                                         {"pass@", "", 3},
                                         {"greedy", "greedy", 3},
                                         {"success", "pass rate", 3},
                                         {"agreement", "agreement", 3},
                                         {"checks", "quality", 3},
                                         {"critical_path_tokens", "critical path, tokens", 1},
                                         {"shorter_path", "times shorter", 2},
                                         {"tokens", "tokens", 1},
                                         {"cost", "cost", 3},
                                         {"tasks_per_s", "tasks/s", 1},
                                         {"speed", "times faster", 2},
                                         {"speed_writing", "times faster, writing alone", 2},
                                         {"steps_to_best", "steps to 90% of its best", 0},
                                         {"zero_spread", "groups without spread", 3},
                                         {"steps", "steps", 0},
                                         {"sampled_tokens", "tokens sampled in training", 0}};

/*  What an arm may do otherwise than another one. */
static const column_t table_changes[] = {{"quality", "", 3},
                                         {"reward", "reward", 3},
                                         {"agreement", "agreement", 3},
                                         {"critical_path_tokens", "critical path, tokens", 1},
                                         {"tokens", "tokens", 1},
                                         {"cost", "cost", 3}};

static const char *table_string (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}

/*  Text of a plan in a table: a bar would be a border in Markdown. */
static void table_text (const char *text, table_kind_t kind, buf_t *out)
{
    buf_t safe = {0};
    printable_text (&safe, text, strlen (text), PRINTABLE_LINE);
    if (kind == TABLE_HTML)
        page_escape (safe.data, out);
    for (const char *at = safe.data; kind == TABLE_MARKDOWN && at && *at; at++)
        buf_printf (out, "%s%c", *at == '|' ? "\\" : "", *at);
    buf_free (&safe);
}

static void table_row_begin (table_kind_t kind, buf_t *out)
{
    buf_text (out, kind == TABLE_HTML ? "<tr>" : "|");
}

static void table_cell (table_kind_t kind, bool head, const char *text, buf_t *out)
{
    buf_text (out, kind != TABLE_HTML ? " " : head ? "<th>" : "<td>");
    table_text (text, kind, out);
    buf_text (out, kind != TABLE_HTML ? " |" : head ? "</th>" : "</td>");
}

/*  Below the head of a Markdown table stands a rule. */
static void table_row_end (table_kind_t kind, size_t columns, buf_t *out)
{
    buf_text (out, kind == TABLE_HTML ? "</tr>\n" : "\n");
    for (size_t i = 0; kind == TABLE_MARKDOWN && columns && i <= columns; i++)
        buf_text (out, i < columns ? "|---" : "|\n");
}

static void table_open (table_kind_t kind, const char *title, buf_t *out)
{
    buf_text (out, kind == TABLE_HTML ? "<h2>" : "\n## ");
    table_text (title, kind, out);
    buf_text (out, kind == TABLE_HTML ? "</h2>\n<div class=\"wide\"><table>\n" : "\n\n");
}

static void table_close (table_kind_t kind, buf_t *out)
{
    buf_text (out, kind == TABLE_HTML ? "</table></div>\n" : "");
}

static void table_paragraph (table_kind_t kind, const char *text, buf_t *out)
{
    buf_text (out, kind == TABLE_HTML ? "<p class=\"faint\">" : "\n");
    table_text (text, kind, out);
    buf_text (out, kind == TABLE_HTML ? "</p>\n" : "\n");
}

/*  ---- columns -------------------------------------------------------------------------------- */

/*  What people call a plan's quality, and how many samples are behind it. */
static void table_quality_title (const json_t *results, char title[64])
{
    const char *of = table_string (results, "quality");
    long long samples = json_integer_value (json_object_get (results, "samples"));
    char avg[32] = "";
    if (samples > 1)
        snprintf (avg, sizeof avg, ", avg@%lld", samples);
    snprintf (title, 64, "%.32s%s", strcmp (of, "success") == 0 ? "pass rate" : of, avg);
}

/*  Whether any arm has this column, and it is not the quality once more: where agreement is defined
 *  as success, say. */
static bool table_any (const json_t *results, const char *key)
{
    const json_t *arm;
    bool quality = strcmp (key, "quality") == 0;
    size_t i;
    json_array_foreach (json_object_get (results, "arms"), i, arm) {
        const json_t *cell = results_cell (arm, key);
        if (cell && (quality || !json_equal (cell, results_cell (arm, "quality"))))
            return true;
    }
    return false;
}

/*  pass_key: of pass@K. */
static size_t table_choose (const json_t *results, const column_t *from, size_t n,
                            column_t columns[COLUMNS_MAX], char pass_key[32])
{
    size_t kept = 0;
    snprintf (pass_key, 32, "pass@%lld",
              (long long) json_integer_value (json_object_get (results, "samples")));
    for (size_t i = 0; i < n; i++) {
        column_t column = from[i];
        if (strcmp (column.key, "quality") == 0)
            table_quality_title (results, column.title);
        if (strcmp (column.key, "pass@") == 0) {
            column.key = pass_key;
            snprintf (column.title, sizeof column.title, "%s", pass_key);
        }
        if (table_any (results, column.key))
            columns[kept++] = column;
    }
    return kept;
}

/*  ---- one row per arm ------------------------------------------------------------------------ */

/*  Where nothing is measured of the tasks but a seed or two, an interval would be of one number. */
static const char *table_value (const json_t *results, const json_t *cell, const column_t *column,
                                char text[RESULTS_TEXT])
{
    static const char *const of_seeds[] = {"steps_to_best", "zero_spread", "steps",
                                           "sampled_tokens"};
    bool one = json_array_size (json_object_get (results, "seeds")) == 1;
    for (size_t i = 0; cell && one && i < sizeof of_seeds / sizeof *of_seeds; i++)
        if (strcmp (column->key, of_seeds[i]) == 0) {
            snprintf (
                text, RESULTS_TEXT, "%s",
                DECIMAL (json_number_value (json_object_get (cell, "value")), column->digits));
            return text;
        }
    return results_text (cell, column->digits, text);
}

static void table_arms (const json_t *results, table_kind_t kind, buf_t *out)
{
    column_t columns[COLUMNS_MAX];
    char pass_key[32], text[RESULTS_TEXT];
    size_t n = table_choose (results, table_columns, sizeof table_columns / sizeof *table_columns,
                             columns, pass_key),
           i;
    const json_t *arm;
    table_open (kind, "Arms", out);
    table_row_begin (kind, out);
    table_cell (kind, true, "arm", out);
    for (size_t c = 0; c < n; c++)
        table_cell (kind, true, columns[c].title, out);
    table_row_end (kind, n + 1, out);
    json_array_foreach (json_object_get (results, "arms"), i, arm) {
        table_row_begin (kind, out);
        table_cell (kind, false, table_string (arm, "title"), out);
        for (size_t c = 0; c < n; c++)
            table_cell (
                kind, false,
                table_value (results, results_cell (arm, columns[c].key), &columns[c], text), out);
        table_row_end (kind, 0, out);
    }
    table_close (kind, out);
}

/*  ---- what differs --------------------------------------------------------------------------- */

/*  How soon an arm is where the other one ended; "-" where their rewards cannot be compared. */
static const char *table_reached (const json_t *results, const json_t *differs,
                                  char text[RESULTS_TEXT])
{
    const json_t *columns = json_object_get (differs, "columns");
    const json_t *cell = json_object_get (columns, "tokens_to_reach"),
                 *seeds = json_object_get (columns, "seeds_that_reach");
    size_t n = json_array_size (json_object_get (results, "seeds"));
    if (cell && n == 1)
        snprintf (text, RESULTS_TEXT, "%s",
                  DECIMAL (json_number_value (json_object_get (cell, "value")), 2));
    else if (!cell && seeds)
        snprintf (text, RESULTS_TEXT, "by %lld of %zu seeds",
                  (long long) json_integer_value (seeds), n);
    else
        return results_text (cell, 2, text);
    return text;
}

static bool table_beyond (const json_t *cell)
{
    return json_number_value (json_object_get (cell, "low")) > 0 ||
           json_number_value (json_object_get (cell, "high")) < 0;
}

/*  An arm against the one that it is compared with. Whatever the interval does not tell from 0 is
 *  said to be none. */
static void table_change (const json_t *results, const json_t *arm, const column_t *columns,
                          size_t n, table_kind_t kind, buf_t *out)
{
    const json_t *differs = json_object_get (arm, "differs");
    const json_t *other = results_arm (results, table_string (differs, "from"));
    char text[RESULTS_TEXT];
    buf_t effect = {0};
    table_row_begin (kind, out);
    table_cell (kind, false, table_string (arm, "title"), out);
    table_cell (kind, false, table_string (other, "title"), out);
    for (size_t c = 0; c < n; c++) {
        const json_t *cell = results_cell (differs, columns[c].key);
        table_cell (kind, false, results_text (cell, columns[c].digits, text), out);
        if (cell && table_beyond (cell))
            buf_printf (&effect, "%s%s %s", effect.size ? "; " : "", columns[c].title,
                        json_number_value (json_object_get (cell, "value")) > 0 ? "up" : "down");
    }
    table_cell (kind, false, table_reached (results, differs, text), out);
    table_cell (kind, false, effect.size ? effect.data : "none beyond its interval", out);
    table_row_end (kind, 0, out);
    buf_free (&effect);
}

static void table_differences (const json_t *results, table_kind_t kind, buf_t *out)
{
    column_t columns[COLUMNS_MAX];
    char pass_key[32];
    size_t n = table_choose (results, table_changes, sizeof table_changes / sizeof *table_changes,
                             columns, pass_key),
           i;
    const json_t *arm;
    bool any = false;
    json_array_foreach (json_object_get (results, "arms"), i, arm) {
        if (!json_object_get (arm, "differs"))
            continue;
        if (!any) {
            table_open (kind, "What differs, task by task", out);
            table_row_begin (kind, out);
            table_cell (kind, true, "arm", out);
            table_cell (kind, true, "less", out);
            for (size_t c = 0; c < n; c++)
                table_cell (kind, true, columns[c].title, out);
            table_cell (kind, true, "tokens until its final reward", out);
            table_cell (kind, true, "effect", out);
            table_row_end (kind, n + 4, out);
        }
        any = true;
        table_change (results, arm, columns, n, kind, out);
    }
    if (!any)
        return;
    table_close (kind, out);
    table_paragraph (kind,
                     "\"Tokens until its final reward\": until the arm's joint reward in training "
                     "(mean of five steps) is where the other's ended, as a share of all that the "
                     "other sampled; where both have one reward.",
                     out);
}

/*  ---- published values ----------------------------------------------------------------------- */

static int table_digits (const char *key)
{
    for (size_t i = 0; i < sizeof table_columns / sizeof *table_columns; i++)
        if (strcmp (table_columns[i].key, key) == 0)
            return table_columns[i].digits;
    return 3;
}

static const char *table_title (const json_t *results, const char *key, char title[64])
{
    snprintf (title, 64, "%.60s", key);
    for (size_t i = 0; i < sizeof table_columns / sizeof *table_columns; i++)
        if (strcmp (table_columns[i].key, key) == 0)
            snprintf (title, 64, "%s", table_columns[i].title);
    if (strcmp (key, "quality") == 0)
        table_quality_title (results, title);
    return title;
}

static void table_published (const json_t *results, table_kind_t kind, buf_t *out)
{
    const json_t *arm;
    char text[RESULTS_TEXT], title[64];
    bool any = false;
    size_t i;
    json_array_foreach (json_object_get (results, "arms"), i, arm) {
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get (arm, "published"), key, value) {
            if (!any) {
                table_open (kind, "Beside published values", out);
                table_row_begin (kind, out);
                static const char *const heads[] = {"arm", "column", "published", "here"};
                for (size_t h = 0; h < 4; h++)
                    table_cell (kind, true, heads[h], out);
                table_row_end (kind, 4, out);
            }
            any = true;
            table_row_begin (kind, out);
            table_cell (kind, false, table_string (arm, "title"), out);
            table_cell (kind, false, table_title (results, key, title), out);
            table_cell (kind, false, DECIMAL (json_number_value (value), table_digits (key)), out);
            table_cell (kind, false,
                        results_text (results_cell (arm, key), table_digits (key), text), out);
            table_row_end (kind, 0, out);
        }
    }
    if (any)
        table_close (kind, out);
    if (any && *table_string (results, "published"))
        table_paragraph (kind, table_string (results, "published"), out);
}

/*  ---- how to read them ----------------------------------------------------------------------- */

/*  A bootstrap knows only what it drew from: where all tasks are alike it has no width. */
static bool table_without_width (const json_t *results)
{
    const json_t *arm;
    size_t i;
    json_array_foreach (json_object_get (results, "arms"), i, arm) {
        const json_t *cell = results_cell (arm, "quality");
        if (cell && json_number_value (json_object_get (cell, "high")) -
                            json_number_value (json_object_get (cell, "low")) <=
                        0)
            return true;
    }
    return false;
}

static void table_notes (const json_t *results, table_kind_t kind, buf_t *out)
{
    buf_t text = {0};
    const json_t *seed, *base = results_arm (results, table_string (results, "relative_to"));
    long long tasks = json_integer_value (json_object_get (results, "tasks")),
              budget = json_integer_value (json_object_get (results, "budget_tokens"));
    size_t i;
    buf_printf (&text, "%lld held-out tasks x %lld samples, seeds", tasks,
                (long long) json_integer_value (json_object_get (results, "samples")));
    json_array_foreach (json_object_get (results, "seeds"), i, seed)
        buf_printf (&text, "%s%lld", i ? ", " : " ", (long long) json_integer_value (seed));
    buf_printf (
        &text,
        ". In brackets the 95%% interval by bootstrap over the tasks, a task's value being "
        "the mean over its samples and the seeds; of steps, spread and sampled tokens, the "
        "lowest and the highest of the seeds. \"times\" are relative to: %s. tasks/s are by "
        "the clock, one task at a time, scoring included, on the same cores for every arm, each "
        "task's shortest of three times.",
        table_string (base, "title"));
    if (budget)
        buf_printf (&text,
                    " Every trained arm had a budget of %lld sampled tokens, and ended with "
                    "the step that reached it.",
                    budget);
    else
        buf_text (&text, " Arms were trained for so many steps as the table says, not for so many "
                         "tokens.");
    if (table_without_width (results))
        buf_printf (&text,
                    " An interval without width means that all tasks had one value: of what "
                    "happens to one task in %lld it says nothing (at 95%%, up to 3 in %lld may be "
                    "otherwise).",
                    tasks, tasks);
    table_paragraph (kind, text.data ? text.data : "", out);
    buf_free (&text);
}

void table_write (const json_t *results, table_kind_t kind, buf_t *out)
{
    if (kind == TABLE_MARKDOWN) {
        buf_text (out, "# ");
        table_text (table_string (results, "title"), kind, out);
        buf_char (out, '\n');
    }
    table_arms (results, kind, out);
    table_differences (results, kind, out);
    table_published (results, kind, out);
    table_notes (results, kind, out);
}

void table_print (const json_t *results, FILE *to)
{
    const json_t *arm;
    size_t i;
    char title[64], quality[RESULTS_TEXT], path[RESULTS_TEXT], speed[RESULTS_TEXT];
    table_quality_title (results, title);
    fprintf (to, "\n%-34s %-22s %-20s %s\n", "arm", title, "critical path", "times faster");
    json_array_foreach (json_object_get (results, "arms"), i, arm) {
        buf_t name = {0};
        const char *of = table_string (arm, "title");
        size_t wide = printable_cut (&name, of, strlen (of), 34);
        fprintf (to, "%s%*s %-22s %-20s %s\n", name.data ? name.data : "", (int) (34 - wide), "",
                 results_text (results_cell (arm, "quality"), 3, quality),
                 results_text (results_cell (arm, "critical_path_tokens"), 1, path),
                 results_text (results_cell (arm, "speed"), 2, speed));
        buf_free (&name);
    }
}
