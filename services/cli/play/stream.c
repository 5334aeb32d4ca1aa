/*  stream - see stream.h */
#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/printable.h"
#include "../view/style.h"

#define STREAM_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD: a character that is not whole yet, or never */

/*  ---- showing -------------------------------------------------------------------------------- */

stream_show_t stream_to (FILE *to)
{
    style_choose (style_terminal (to), false);
    return (stream_show_t){.to = to, .terminal = isatty (fileno (to))};
}

void stream_heading (const stream_show_t *show, const char *heading)
{
    if (show->to)
        fprintf (show->to, "%s--- %s ---%s\n", style (STYLE_HEAD), heading, style (STYLE_NONE));
}

/*  What goes through a pipe goes as it is. */
void stream_print (const stream_show_t *show, const char *text, size_t size)
{
    if (!show->to || !size)
        return;
    if (show->terminal)
        printable_print (show->to, text, size, PRINTABLE_LINES);
    else
        fwrite (text, 1, size, show->to);
}

/*  Shows what is new of the first part that is not at its end; *at: which that is. */
static void stream_show_parts (const stream_show_t *show, stream_part_t *parts, size_t n,
                               size_t *at)
{
    for (; show->to && *at < n; ++*at) {
        stream_part_t *p = &parts[*at];
        /* A heading waits for the first words below it. */
        if (p->heading && p->shown == 0 && (p->ready > 0 || p->done))
            stream_heading (show, p->heading);
        stream_print (show, p->text.data + p->shown, p->ready - p->shown);
        p->shown = p->ready;
        if (!p->done)
            break;
        fputc ('\n', show->to);
    }
    if (show->to)
        fflush (show->to);
}

/*  ---- growing -------------------------------------------------------------------------------- */

/*  Reads a part again with the ids that it has now. What could still change is not ready: the bytes
 *  of a character that is not whole, and what may become a stop text. */
static void stream_grow (stream_part_t *p, const sampler_result_t *result, bool last)
{
    p->ids_n = result->n;
    buf_clear (&p->text);
    buf_text (&p->text, "");
    bool found = stops_cut (&p->sampling->stops, p->tokenizer, p->prompt->data, p->prompt->n,
                            result->ids, &p->ids_n, &p->text);
    p->done = found || last;
    if (p->done && (p->ids = malloc (p->ids_n * sizeof *p->ids + 1)))
        memcpy (p->ids, result->ids, p->ids_n * sizeof *p->ids);
    p->end = found ? STREAM_TEXT : result->stopped ? STREAM_TOKEN : STREAM_CUT;
    size_t ready = p->text.size;
    if (!p->done) {
        size_t mark = strlen (STREAM_REPLACEMENT);
        while (ready >= mark && memcmp (p->text.data + ready - mark, STREAM_REPLACEMENT, mark) == 0)
            ready -= mark;
        ready -= stops_held (&p->sampling->stops, p->text.data, ready);
    }
    /* What was shown cannot be taken back. */
    if (ready > p->ready || p->done)
        p->ready = ready > p->shown ? ready : p->shown;
}

/*  Neighbours with one prompt become one job, which computes it once. tag and sample then say which
 *  part a row is. */
static int stream_add (stream_part_t *parts, size_t n, uint64_t *keys, err_t *err)
{
    for (size_t first = 0, next; first < n; first = next) {
        const stream_part_t *p = &parts[first];
        for (next = first; next < n && parts[next].prompt == p->prompt; next++)
            keys[next] = parts[next].key;
        sampler_job_t job = {.model = p->model,
                             .prompt = p->prompt->data,
                             .prompt_n = p->prompt->n,
                             .samples = next - first,
                             .keys = keys + first,
                             .temperature = (float) p->sampling->temperature,
                             .filter = p->sampling->filter,
                             .max_tokens = p->sampling->max_tokens,
                             .stops_n = p->stops_n,
                             .tag = first};
        memcpy (job.stops, p->stops, p->stops_n * sizeof *job.stops);
        if (sampler_add (p->sampler, &job, err) != 0)
            return p->heading ? err_wrap (err, "%s", p->heading) : -1;
    }
    return 0;
}

/*  One token for all, then what the rows have, and those that are at their end. A row whose text
 *  has met a stop is ended: nobody reads on. */
static void stream_step (sampler_t *sampler, stream_part_t *parts, size_t n)
{
    sampler_result_t result;
    sampler_step (sampler);
    for (size_t row = 0; row < n; row++) {
        if (!sampler_look (sampler, row, &result))
            continue;
        stream_part_t *p = &parts[result.tag + result.sample];
        stream_grow (p, &result, false);
        if (p->done)
            sampler_end (sampler, row);
    }
    while (sampler_take (sampler, &result)) {
        stream_part_t *p = &parts[result.tag + result.sample];
        if (!p->done)
            stream_grow (p, &result, true);
    }
}

/*  A step of every sampler that still has a row. False: none has. */
static bool stream_steps (stream_part_t *parts, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        bool first = true;
        for (size_t before = 0; before < i; before++)
            first = first && parts[before].sampler != parts[i].sampler;
        if (!first || sampler_pending (parts[i].sampler) == 0)
            continue;
        stream_step (parts[i].sampler, parts, n);
        any = true;
    }
    return any;
}

int stream_run (stream_part_t *parts, size_t n, const stream_show_t *show, stream_count_t *count,
                err_t *err)
{
    uint64_t *keys = calloc (n, sizeof *keys);
    int64_t started = clock_us ();
    size_t at = 0;
    int rc = keys ? stream_add (parts, n, keys, err)
                  : err_set (err, ERR_LIMIT, "no memory for %zu completions", n);
    while (rc == 0 && stream_steps (parts, n)) {
        stream_show_parts (show, parts, n, &at);
        if (show->interrupted && *show->interrupted)
            rc = err_set (err, ERR_NONE, "stopped");
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = buf_check (&parts[i].text, "a completion", err);
        if (rc == 0 && !parts[i].ids)
            rc = err_set (err, ERR_LIMIT, "no memory for a completion");
        count->tokens += parts[i].ids_n;
        /* A shared prompt was computed once and counts once. */
        if (i == 0 || parts[i].prompt != parts[i - 1].prompt)
            count->prompts += parts[i].prompt->n;
    }
    count->seconds += (double) (clock_us () - started) / 1e6;
    free (keys);
    return rc;
}

void stream_free (stream_part_t *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_free (&parts[i].text);
        free (parts[i].ids);
    }
}

const char *stream_end_name (stream_end_t end)
{
    return end == STREAM_TOKEN ? "end" : end == STREAM_TEXT ? "stop" : "length";
}

void stream_say_count (const stream_count_t *count)
{
    struct stat out, error;
    bool together = fstat (STDOUT_FILENO, &out) == 0 && fstat (STDERR_FILENO, &error) == 0 &&
                    out.st_dev == error.st_dev && out.st_ino == error.st_ino;
    if (together && !isatty (STDERR_FILENO))
        return;
    /* On one terminal the count belongs below the text. */
    fflush (stdout);
    fprintf (stderr, "%zu prompt tokens; %zu tokens in %.2f s, %.0f tokens/s\n", count->prompts,
             count->tokens, count->seconds,
             count->seconds > 0 ? (double) count->tokens / count->seconds : 0);
}
