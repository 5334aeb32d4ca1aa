/*  topics - see topics.h */
#include "topics.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

#define LOSSES_MAX 256

/*  The place of a name, or how many there are. */
static size_t topics_find (const topics_t *t, const char *name)
{
    size_t i = 0;
    while (i < t->topics && strcmp (t->topic[i].name, name) != 0)
        i++;
    return i;
}

void topics_note_lost (topics_t *t, const bus_item_t *item)
{
    size_t i = 0;
    if (!item->missed)
        return;
    while (i < t->losses && strcmp (t->loss[i].name, item->sender) != 0)
        i++;
    if (i == t->losses && i < LOSSES_MAX) {
        loss_t *grown = realloc (t->loss, (i + 1) * sizeof *grown);
        char *name = grown ? strdup (item->sender) : NULL;
        t->loss = grown ? grown : t->loss;
        if (name)
            t->loss[t->losses++] = (loss_t){.name = name};
    }
    if (i < t->losses)
        t->loss[i].missed += item->missed;
}

void topics_note (topics_t *t, const bus_item_t *item)
{
    size_t i = topics_find (t, item->name);
    topics_note_lost (t, item);
    if (i == t->topics && i < TOPICS_MAX) {
        topic_t *grown = realloc (t->topic, (i + 1) * sizeof *grown);
        char *name = grown ? strdup (item->name) : NULL;
        t->topic = grown ? grown : t->topic;
        if (name)
            t->topic[t->topics++] = (topic_t){.name = name};
    }
    ++*(i < t->topics ? &t->topic[i].events : &t->others);
}

static int topics_by_name (const void *a, const void *b)
{
    return strcmp (((const topic_t *) a)->name, ((const topic_t *) b)->name);
}

static void topics_print_one (const char *name, uint64_t events, double seconds, bool json,
                              FILE *to)
{
    double rate = seconds > 0 ? (double) events / seconds : 0;
    if (json) {
        json_t *line = json_pack ("{s:s, s:I, s:f}", "topic", name, "events", (json_int_t) events,
                                  "per_s", rate);
        json_dumpf (line, to, JSON_COMPACT | JSON_REAL_PRECISION (4));
        fputc ('\n', to);
        json_decref (line);
        return;
    }
    fprintf (to, "%10" PRIu64 " %10.1f/s  ", events, rate);
    printable_print (to, name, strlen (name), PRINTABLE_LINE);
    fputc ('\n', to);
}

void topics_print (topics_t *t, double seconds, bool json, FILE *to)
{
    if (t->topics)
        qsort (t->topic, t->topics, sizeof *t->topic, topics_by_name);
    for (size_t i = 0; i < t->topics; i++)
        topics_print_one (t->topic[i].name, t->topic[i].events, seconds, json, to);
    if (t->others)
        topics_print_one ("(others)", t->others, seconds, json, to);
}

void topics_print_lost (const topics_t *t, FILE *to)
{
    buf_t line = {0};
    for (size_t i = 0; i < t->losses; i++)
        buf_printf (&line, "%s%s %" PRIu64, i ? ", " : "lost: ", t->loss[i].name,
                    t->loss[i].missed);
    if (line.size) {
        printable_print (to, line.data, line.size, PRINTABLE_LINE);
        fputc ('\n', to);
    }
    buf_free (&line);
}

/*  A name whose beginning stood before is left out. */
void topics_roots (const topics_t *t, buf_t *out)
{
    for (size_t i = 0; i < t->topics; i++) {
        size_t n = strcspn (t->topic[i].name, "/"), k = 0;
        while (k < i && (strncmp (t->topic[k].name, t->topic[i].name, n) != 0 ||
                         (t->topic[k].name[n] && t->topic[k].name[n] != '/')))
            k++;
        if (k == i)
            buf_printf (out, " %.*s/", (int) n, t->topic[i].name);
    }
}

void topics_free (topics_t *t)
{
    for (size_t i = 0; i < t->topics; i++)
        free (t->topic[i].name);
    for (size_t i = 0; i < t->losses; i++)
        free (t->loss[i].name);
    free (t->topic);
    free (t->loss);
    *t = (topics_t){0};
}
