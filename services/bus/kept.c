/*  kept - see kept.h */
#include "kept.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*  An event, as it came: topic, zero byte, envelope. A copy, since a reference to a received
 *  message may hold on to the whole buffer that it was received in. */
typedef struct {
    uint64_t age; /* the higher, the younger */
    size_t size;
    char frame[];
} event_t;

typedef struct {
    event_t *event[KEPT_EACH]; /* a ring */
    size_t first, n, bytes, topic_n;
    bool lasting;
} topic_t;

struct kept {
    topic_t *topic[KEPT_TOPICS];
    uint32_t hash[KEPT_TOPICS]; /* of their names: side by side, so looking through all is cheap */
    size_t n;
    uint64_t age;
    _Atomic size_t bytes;
};

kept_t *kept_new (void)
{
    return calloc (1, sizeof (kept_t));
}

static size_t kept_cost (const event_t *event)
{
    return sizeof *event + event->size;
}

static event_t *kept_event (const topic_t *topic, size_t i)
{
    return topic->event[(topic->first + i) % KEPT_EACH];
}

static const char *kept_name (const topic_t *topic)
{
    return kept_event (topic, 0)->frame;
}

static void kept_drop_first (kept_t *kept, topic_t *topic)
{
    event_t *event = kept_event (topic, 0);
    topic->first = (topic->first + 1) % KEPT_EACH;
    topic->n--;
    topic->bytes -= kept_cost (event);
    kept->bytes -= kept_cost (event);
    free (event);
}

/*  The order of topics has no meaning, so the last one takes the place. */
static void kept_remove (kept_t *kept, size_t at)
{
    topic_t *topic = kept->topic[at];
    while (topic->n)
        kept_drop_first (kept, topic);
    free (topic);
    kept->n--;
    kept->topic[at] = kept->topic[kept->n];
    kept->hash[at] = kept->hash[kept->n];
}

void kept_destroy (kept_t **self)
{
    kept_t *kept = *self;
    if (!kept)
        return;
    while (kept->n)
        kept_remove (kept, 0);
    free (kept);
    *self = NULL;
}

size_t kept_bytes (const kept_t *kept)
{
    return atomic_load_explicit (&kept->bytes, memory_order_relaxed);
}

/*  ---- keeping -------------------------------------------------------------------------------- */

/*  FNV-1a. */
static uint32_t kept_hash (const char *name, size_t n)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char) name[i]) * 16777619u;
    return hash;
}

/*  Behind the last slash of a name, or its beginning. */
static size_t kept_last_part (const char *name, size_t n)
{
    while (n > 0 && name[n - 1] != '/')
        n--;
    return n;
}

static bool kept_begins (const char *name, size_t n, const char *with, size_t with_n)
{
    return with_n <= n && memcmp (name, with, with_n) == 0;
}

/*  The topic that has been silent for longest goes; a lasting one only when all are. */
static void kept_forget_topic (kept_t *kept)
{
    size_t at = 0;
    for (size_t i = 1; i < kept->n; i++) {
        const topic_t *a = kept->topic[i], *b = kept->topic[at];
        bool older = kept_event (a, a->n - 1)->age < kept_event (b, b->n - 1)->age;
        if (a->lasting == b->lasting ? older : b->lasting)
            at = i;
    }
    kept_remove (kept, at);
}

/*  Makes room for so many bytes. */
static void kept_make_room (kept_t *kept, size_t bytes)
{
    while (kept->bytes + bytes > KEPT_BYTES) {
        size_t at = 0, most = 0;
        for (size_t i = 0; i < kept->n; i++) {
            const topic_t *topic = kept->topic[i];
            if (topic->bytes > most && (!topic->lasting || topic->n > 1)) {
                at = i;
                most = topic->bytes;
            }
        }
        /* Nothing but last words of lasting topics, or a topic of one event. */
        if (!most)
            kept_forget_topic (kept);
        else if (kept->topic[at]->n > 1)
            kept_drop_first (kept, kept->topic[at]);
        else
            kept_remove (kept, at);
    }
}

static topic_t *kept_find (kept_t *kept, const char *name, size_t n, uint32_t hash)
{
    for (size_t i = 0; i < kept->n; i++)
        if (kept->hash[i] == hash && kept->topic[i]->topic_n == n &&
            memcmp (kept_name (kept->topic[i]), name, n) == 0)
            return kept->topic[i];
    return NULL;
}

static topic_t *kept_add_topic (kept_t *kept, const char *name, size_t n, uint32_t hash)
{
    size_t part = kept_last_part (name, n);
    if (kept->n == KEPT_TOPICS)
        kept_forget_topic (kept);
    topic_t *topic = calloc (1, sizeof *topic);
    if (!topic)
        return NULL;
    topic->topic_n = n;
    topic->lasting = part > 0 && kept_begins (name + part, n - part, "run.", 4);
    kept->hash[kept->n] = hash;
    return kept->topic[kept->n++] = topic;
}

void kept_add (kept_t *kept, const void *frame, size_t size, size_t n)
{
    const char *name = frame;
    size_t part = kept_last_part (name, n);
    /* A run that is opened begins anew: what was kept of it, such as that it failed, is over. */
    if (part > 0 && n - part == strlen ("run.opened") &&
        memcmp (name + part, "run.opened", n - part) == 0)
        for (size_t i = kept->n; i-- > 0;)
            if (kept_begins (kept_name (kept->topic[i]), kept->topic[i]->topic_n, name, part))
                kept_remove (kept, i);
    event_t *event = malloc (sizeof *event + size);
    if (!event)
        return;
    *event = (event_t){.age = ++kept->age, .size = size};
    memcpy (event->frame, frame, size);
    kept_make_room (kept, kept_cost (event));
    uint32_t hash = kept_hash (name, n);
    topic_t *topic = kept_find (kept, name, n, hash);
    if (!topic)
        topic = kept_add_topic (kept, name, n, hash);
    if (!topic) {
        free (event);
        return;
    }
    if (topic->n == KEPT_EACH)
        kept_drop_first (kept, topic);
    topic->event[(topic->first + topic->n++) % KEPT_EACH] = event;
    topic->bytes += kept_cost (event);
    kept->bytes += kept_cost (event);
}

/*  ---- giving --------------------------------------------------------------------------------- */

static int kept_by_age (const void *a, const void *b)
{
    uint64_t x = (*(event_t *const *) a)->age, y = (*(event_t *const *) b)->age;
    return (x > y) - (x < y);
}

static size_t kept_wanted (const topic_t *topic, slice_t prefix, size_t last)
{
    if (!kept_begins (kept_name (topic), topic->topic_n, prefix.data, prefix.size))
        return 0;
    last = last || !topic->lasting ? last : 1;
    return last < topic->n ? last : topic->n;
}

void kept_give (const kept_t *kept, slice_t prefix, size_t last,
                bool (*give) (void *context, const void *frame, size_t size), void *context)
{
    size_t n = 0;
    for (size_t i = 0; i < kept->n; i++)
        n += kept_wanted (kept->topic[i], prefix, last);
    const event_t **event = n ? malloc (n * sizeof (event_t *)) : NULL;
    if (!event)
        return;
    n = 0;
    for (size_t i = 0; i < kept->n; i++) {
        const topic_t *topic = kept->topic[i];
        for (size_t k = kept_wanted (topic, prefix, last); k > 0; k--)
            event[n++] = kept_event (topic, topic->n - k);
    }
    qsort (event, n, sizeof *event, kept_by_age);
    for (size_t i = n > KEPT_BURST ? n - KEPT_BURST : 0; i < n; i++)
        if (!give (context, event[i]->frame, event[i]->size))
            break;
    free (event);
}
