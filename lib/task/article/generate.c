/*  generate - the article family's built-in set: three aspects of a place, one for each section. */
#include <stdio.h>
#include <string.h>

#include "task/article/article.h"

#define ARTICLE_SUBJECTS 12
#define ARTICLE_TIMES    12
#define ARTICLE_ROUNDS   3 /* articles with one subject and one time of the opening */

static const char *const article_subjects[ARTICLE_SUBJECTS] = {
    "lighthouse", "orchard", "mill",     "fountain", "monastery", "ferry",
    "windmill",   "canal",   "fortress", "vineyard", "island",    "square"};
static const char *const article_times[ARTICLE_TIMES] = {
    "at dawn", "in winter", "after rain",  "by night",   "in summer", "in autumn",
    "at noon", "in spring", "before dusk", "during fog", "in storms", "at midnight"};
static const char *const article_asks[ARTICLE_SECTIONS] = {
    "Open an article about the %s: how it looks %s.", "Go on about the %s: what happens there %s.",
    "End the article about the %s: what stays of it %s."};

const char *const article_names[ARTICLE_SECTIONS + 1] = {"opening", "middle", "closing", NULL};

size_t article_number (const char *name)
{
    size_t k = 0;
    while (k < ARTICLE_SECTIONS && strcmp (article_names[k], name) != 0)
        k++;
    return k;
}

const json_t *article_section (const json_t *task, size_t k)
{
    return json_array_get (json_object_get (task, "sections"), k);
}

const char *article_term (const json_t *object, size_t n)
{
    return json_string_value (json_array_get (json_object_get (object, "terms"), n));
}

size_t article_builtin (const char *style)
{
    (void) style;
    return (size_t) ARTICLE_ROUNDS * ARTICLE_SUBJECTS * ARTICLE_TIMES;
}

/*  Each section has another time: the second is 1 to 11 behind the first, the third one of those
 *  that are left. */
static void article_draw_times (const task_options_t *options, size_t i,
                                size_t times[ARTICLE_SECTIONS])
{
    rng_t rng = {.key = rng_key ((uint64_t[]){options->seed, 0xa271, i}, 3)};
    times[0] = i / ARTICLE_SUBJECTS % ARTICLE_TIMES;
    times[1] = (times[0] + 1 + rng_below (&rng, ARTICLE_TIMES - 1)) % ARTICLE_TIMES;
    do
        times[2] = rng_below (&rng, ARTICLE_TIMES);
    while (times[2] == times[0] || times[2] == times[1]);
}

json_t *article_generate (const task_options_t *options, size_t i)
{
    const char *subject = article_subjects[i % ARTICLE_SUBJECTS];
    size_t times[ARTICLE_SECTIONS];
    json_t *sections = json_array ();
    buf_t all = {0};
    article_draw_times (options, i, times);
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        char brief[160];
        const char *time = article_times[times[k]];
        snprintf (brief, sizeof brief, article_asks[k], subject, time);
        buf_printf (&all, "%s%s: %s", k ? "\n" : "", article_names[k], brief);
        json_array_append_new (sections, json_pack ("{s:s, s:s, s:s, s:[s]}", "name",
                                                    article_names[k], "brief", brief, "when", time,
                                                    "terms", strchr (time, ' ') + 1));
    }
    json_t *task =
        json_pack ("{s:o, s:s, s:s, s:[s], s:o}", "id",
                   json_sprintf ("article/%s/%zu-%zu-%zu", subject, times[0], times[1], times[2]),
                   "family", "article", "brief", all.data, "terms", subject, "sections", sections);
    buf_free (&all);
    return task;
}
