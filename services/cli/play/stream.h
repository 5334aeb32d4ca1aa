/*  stream - decodes completions together and shows them while they grow.
 *
 *      stream_part_t parts[] = {{.sampler = sampler, .model = model,
 *                                .tokenizer = tokenizer, .prompt = &ids, .sampling = &sampling}};
 *      stream_run (parts, 1, &show, &count, &err);
 *      fwrite (parts[0].text.data, 1, parts[0].text.size, stdout);
 *      stream_free (parts, 1);
 *
 *  All parts are decoded at once and shown one after the other: the first grows before the eyes,
 *  the others appear when those before them are at their end. Only whole characters are shown, and
 *  nothing of a stop text.
 */
#ifndef QUINTET_CLI_STREAM_H
#define QUINTET_CLI_STREAM_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "model/sampler.h"
#include "sampling.h"
#include "text/tokenizer.h"

typedef enum { STREAM_CUT, STREAM_TOKEN, STREAM_TEXT } stream_end_t; /* by length, token, text */

typedef struct {
    sampler_t *sampler; /* made for the model's shape; has a row for each part */
    const model_t *model;
    const tokenizer_t *tokenizer;
    const tokenizer_ids_t *prompt; /* neighbours with the same one share its computation */
    const int32_t *stops;
    size_t stops_n;
    const sampling_t *sampling; /* neighbours with one prompt have one, too */
    uint64_t key;
    const char *heading; /* NULL: none */
    /* what came of it */
    buf_t text;
    int32_t *ids; /* once it is done */
    size_t ids_n; /* the end token, or those of a stop text, included */
    stream_end_t end;
    bool done;
    size_t ready, shown; /* bytes of text that cannot change any more; that were written */
} stream_part_t;

typedef struct {
    FILE *to;                                 /* NULL: nothing is shown */
    bool terminal;                            /* it obeys control characters, so none reach it */
    const volatile sig_atomic_t *interrupted; /* NULL: never */
} stream_show_t;

typedef struct {
    size_t prompts, tokens; /* ids */
    double seconds;
} stream_count_t;

/*  How a file is to be shown to. It becomes the one that style.h speaks of. */
stream_show_t stream_to (FILE *to);
/*  A line above something, as above every part. */
void stream_heading (const stream_show_t *show, const char *heading);
void stream_print (const stream_show_t *show, const char *text, size_t size);

/*  Adds to count. ERR_INPUT: a prompt is too long for its model. ERR_NONE: interrupted. The parts
 *  are for stream_free in any case. */
int stream_run (stream_part_t *parts, size_t n, const stream_show_t *show, stream_count_t *count,
                err_t *err);
void stream_free (stream_part_t *parts, size_t n);
/*  "end", "stop" or "length". */
const char *stream_end_name (stream_end_t end);

/*  Writes how much that was to the standard error, unless that goes where the text went: a file
 *  that has both would have it between texts. */
void stream_say_count (const stream_count_t *count);

#endif
