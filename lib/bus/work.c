/*  work - see work.h
 *
 *  Delivery is at least once, so the same request may come twice: because its client lost patience,
 *  because the bus forgot who had it, or because the reply got lost. Computing it twice would be
 *  waste, not a fault, since every operation is a function of its request. So replies are kept
 *  while WORK_REPLY_BYTES last, the oldest dropped first.
 */
#include "bus/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WORK_SLOT_BITS 20
#define WORK_SLOT_MASK (((uint64_t) 1 << WORK_SLOT_BITS) - 1)
#define WORK_NO_MEMORY "the worker has no memory for its reply"
#define WORK_TARGETS   8 /* that wait for one request */
/*  Requests that are kept are small mostly, and may be many: tens of thousands fit into
 *  WORK_REPLY_BYTES. */
#define WORK_BUCKETS 16384
#define WORK_FIRST   64 /* slots; doubled when they are all in use */

/*  Where an answer goes. */
typedef struct {
    uint64_t ticket, sequence; /* the bus's number of the request, and the client's */
} work_target_t;

typedef struct work_item {
    struct work_item *chain;         /* of the bucket of its id */
    struct work_item *older, *newer; /* of those that were answered */
    char *id, *trace;                /* trace: NULL where there is none */
    int64_t since_us;                /* when it came, */
    uint32_t left_ms;                /* with so much time until its deadline, */
    uint64_t took_us;                /* and how long it took */
    uint64_t handle; /* what the service knows it by: generation << 20 | slot; 0 once answered */
    /* Who waits for it: one, or two clients that ask the same. Each has a ticket, and with it
       credit that only its own answer gives back. */
    work_target_t targets[WORK_TARGETS];
    size_t targets_n;
    uint32_t code;
    void *reply; /* payload, or with a code the reason */
    size_t size;
} work_item_t;

typedef struct {
    char service[ENVELOPE_NAME_MAX + 1];
    uint32_t credit;
} work_service_t;

struct work {
    const node_t *node;
    work_service_t services[WORK_SERVICES_MAX];
    size_t services_n;
    work_item_t *buckets[WORK_BUCKETS]; /* by id */
    work_item_t **in_hand;              /* by handle's slot */
    size_t in_hand_n;
    uint64_t generation;
    work_item_t *oldest, *newest; /* answered */
    size_t reply_bytes;
    uint64_t served, repeated, open, took[BUS_TOOK], took_us;
};

work_t *work_new (const node_t *node)
{
    work_t *work = calloc (1, sizeof *work);
    if (work)
        work->node = node;
    return work;
}

static void work_free_item (work_item_t *item)
{
    free (item->id);
    free (item->trace);
    free (item->reply);
    free (item);
}

void work_free (work_t **self)
{
    work_t *work = *self;
    if (!work)
        return;
    for (size_t i = 0; i < WORK_BUCKETS; i++)
        for (work_item_t *item = work->buckets[i], *next; item; item = next) {
            next = item->chain;
            work_free_item (item);
        }
    free (work->in_hand);
    free (work);
    *self = NULL;
}

/*  ---- by id ---------------------------------------------------------------------------------- */

static work_item_t **work_bucket (work_t *work, const char *id)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (; *id; id++)
        hash = (hash ^ (unsigned char) *id) * 1099511628211u;
    return &work->buckets[(hash ^ hash >> 32) % WORK_BUCKETS];
}

/*  By the client's id, whatever its ticket: a resent request has another ticket and the same id. */
static work_item_t *work_find (work_t *work, const char *id)
{
    work_item_t *item = *work_bucket (work, id);
    while (item && strcmp (item->id, id) != 0)
        item = item->chain;
    return item;
}

static void work_remove (work_t *work, work_item_t *item)
{
    work_item_t **at = work_bucket (work, item->id);
    while (*at != item)
        at = &(*at)->chain;
    *at = item->chain;
    work_free_item (item);
}

/*  ---- by handle ------------------------------------------------------------------------------ */

static work_item_t *work_of_handle (const work_t *work, uint64_t handle)
{
    size_t slot = handle & WORK_SLOT_MASK;
    work_item_t *item = handle && slot < work->in_hand_n ? work->in_hand[slot] : NULL;
    return item && item->handle == handle ? item : NULL;
}

/*  Gives the item a handle. -1: no memory. */
static int work_take_in_hand (work_t *work, work_item_t *item)
{
    /* The first free one; there are about as many as the credit that was promised. */
    size_t slot = 0;
    while (slot < work->in_hand_n && work->in_hand[slot])
        slot++;
    if (slot == work->in_hand_n) {
        size_t n = work->in_hand_n ? 2 * work->in_hand_n : WORK_FIRST;
        work_item_t **grown =
            n > WORK_SLOT_MASK ? NULL : realloc (work->in_hand, n * sizeof *grown);
        if (!grown)
            return -1;
        memset (grown + work->in_hand_n, 0, (n - work->in_hand_n) * sizeof (work_item_t *));
        work->in_hand = grown;
        work->in_hand_n = n;
    }
    work->in_hand[slot] = item;
    item->handle = ++work->generation << WORK_SLOT_BITS | slot;
    return 0;
}

/*  ---- requests and answers ------------------------------------------------------------------- */

static int work_send (const work_t *work, void *socket, const work_item_t *item, work_target_t to,
                      uint32_t code, slice_t data)
{
    slice_t none = {"", 0};
    envelope_t e = {.kind = ENVELOPE_REPLY,
                    .id = slice_of (item->id),
                    .trace = slice_of (item->trace),
                    .ticket = to.ticket,
                    .sequence = to.sequence,
                    .code = code,
                    .size = item->took_us,
                    .index = item->left_ms,
                    .text = code ? data : none,
                    .payload = code ? none : data};
    return node_send (work->node, socket, &e);
}

/*  The same ticket again is another try of the same request. Of too many the oldest is dropped: its
 *  client asks again. */
static void work_add_target (work_item_t *item, work_target_t target)
{
    for (size_t i = 0; i < item->targets_n; i++)
        if (item->targets[i].ticket == target.ticket)
            return;
    if (item->targets_n == WORK_TARGETS)
        memmove (item->targets, item->targets + 1, --item->targets_n * sizeof target);
    item->targets[item->targets_n++] = target;
}

int work_request (work_t *work, void *socket, const envelope_t *e, bus_item_t *to)
{
    char id[ENVELOPE_ID_MAX + 1];
    work_target_t target = {e->ticket, e->sequence};
    slice_text (e->id, id, sizeof id);
    work_item_t *item = work_find (work, id);
    /* It is being computed. Both tickets are answered when it is done. */
    if (item && item->handle) {
        work_add_target (item, target);
        return 0;
    }
    /* It was answered before, and the answer was kept. */
    if (item) {
        work_send (work, socket, item, target, item->code, (slice_t){item->reply, item->size});
        work->repeated++;
        return 0;
    }
    item = calloc (1, sizeof *item);
    if (!item || !(item->id = strdup (id)) || work_take_in_hand (work, item) != 0) {
        /* The client is told, and asks again or asks another. */
        work_send (work, socket, &(work_item_t){.id = id}, target, ERR_LIMIT,
                   slice_of ("the worker has no memory for this request"));
        if (item)
            work_free_item (item);
        return 0;
    }
    item->since_us = clock_us ();
    item->left_ms = e->left_ms;
    /* Without memory it is lost, as a hint may be. */
    item->trace = e->trace.size ? strndup (e->trace.data, e->trace.size) : NULL;
    work->open++;
    work_add_target (item, target);
    work_item_t **bucket = work_bucket (work, id);
    item->chain = *bucket;
    *bucket = item;
    /* New to us: the service gets it. The other fields are what bus.c has filled in. */
    to->kind = BUS_REQUEST;
    to->id = item->handle;
    return 1;
}

/*  Takes the ticket out of whatever it is in; NULL: nothing waits under it any more. A walk over
 *  what is in hand: cancels are rare. */
static work_item_t *work_drop_target (const work_t *work, uint64_t ticket)
{
    for (size_t slot = 0; slot < work->in_hand_n; slot++) {
        work_item_t *item = work->in_hand[slot];
        for (size_t i = 0; item && i < item->targets_n; i++)
            if (item->targets[i].ticket == ticket) {
                item->targets[i] = item->targets[--item->targets_n];
                return item;
            }
    }
    return NULL;
}

/*  Only when the last one that waits has given up does the service hear of it. */
int work_cancelled (work_t *work, const envelope_t *e, bus_item_t *to)
{
    work_item_t *item = work_drop_target (work, e->ticket);
    if (!item || item->targets_n > 0)
        return 0; /* somebody else still waits */
    to->kind = BUS_CANCELLED;
    to->id = item->handle;
    work->open--;
    /* The service may still answer under this handle; it is nobody's then. */
    work->in_hand[item->handle & WORK_SLOT_MASK] = NULL;
    work_remove (work, item);
    return 1;
}

/*  Keeps an answer that was just sent, and drops the oldest ones that are too much. */
static void work_keep (work_t *work, work_item_t *item)
{
    /* A list by age: the newest at one end, what is dropped first at the other. */
    item->older = work->newest;
    *(work->newest ? &work->newest->newer : &work->oldest) = item;
    work->newest = item;
    work->reply_bytes += item->size + sizeof *item;
    while (work->reply_bytes > WORK_REPLY_BYTES && work->oldest != item) {
        work_item_t *oldest = work->oldest;
        work->oldest = oldest->newer;
        oldest->newer->older = NULL;
        work->reply_bytes -= oldest->size + sizeof *oldest;
        work_remove (work, oldest);
    }
}

static void work_note_time (work_t *work, int64_t us)
{
    size_t k = 0;
    while (k + 1 < BUS_TOOK && (double) us > 1e3 * BUS_TOOK_MS (k))
        k++;
    work->took[k]++;
    work->took_us += us > 0 ? (uint64_t) us : 0;
}

int work_answer (work_t *work, void *socket, uint64_t handle, err_code_t code, const void *data,
                 size_t size)
{
    work_item_t *item = work_of_handle (work, handle);
    /* Cancelled while it was computed. */
    if (!item)
        return -1;
    work->in_hand[handle & WORK_SLOT_MASK] = NULL;
    item->took_us = (uint64_t) (clock_us () - item->since_us);
    for (size_t i = 0; i < item->targets_n; i++)
        if (work_send (work, socket, item, item->targets[i], code, (slice_t){data, size})) {
            /* An answer without content would be taken for an empty success. */
            code = ERR_LIMIT;
            data = WORK_NO_MEMORY;
            size = strlen (data);
            work_send (work, socket, item, item->targets[i], code, (slice_t){data, size});
        }
    work->served++;
    work->open--;
    work_note_time (work, (int64_t) item->took_us);
    /* What failed for a reason that may pass is computed again when it is asked again; and what
       there is no memory to keep is, too. */
    bool keeps = code == ERR_NONE || code == ERR_INPUT;
    if (!keeps || !(item->reply = malloc (size + 1))) {
        work_remove (work, item);
        return 0;
    }
    if (size)
        memcpy (item->reply, data, size);
    item->size = size;
    item->code = code;
    item->handle = 0;
    work_keep (work, item);
    return 0;
}

/*  ---- services ------------------------------------------------------------------------------- */

static void work_register (const work_t *work, void *socket, const work_service_t *service)
{
    envelope_t e = {.kind = ENVELOPE_READY,
                    .service = slice_of (service->service),
                    .credit = service->credit,
                    .text = slice_of (work->node->numerics)};
    node_send (work->node, socket, &e);
}

/*  Called again with another credit, it changes the credit. */
int work_serve (work_t *work, void *socket, const char *service, size_t credit, err_t *err)
{
    size_t i = 0;
    while (i < work->services_n && strcmp (work->services[i].service, service) != 0)
        i++;
    if (i == WORK_SERVICES_MAX)
        return err_set (err, ERR_LIMIT, "more than %d services", WORK_SERVICES_MAX);
    if (strlen (service) > ENVELOPE_NAME_MAX)
        return err_set (err, ERR_CONFIG, "service '%s': at most %d bytes are wanted", service,
                        ENVELOPE_NAME_MAX);
    work_service_t *served = &work->services[i];
    memcpy (served->service, service, strlen (service) + 1);
    served->credit = (uint32_t) credit;
    if (i == work->services_n)
        work->services_n++;
    work_register (work, socket, served);
    return 0;
}

/*  The bus has forgotten us, or is another one. */
void work_again (work_t *work, void *socket)
{
    for (size_t i = 0; i < work->services_n; i++)
        work_register (work, socket, &work->services[i]);
}

void work_count (const work_t *work, bus_counters_t *counters)
{
    counters->served = work->served;
    counters->repeated = work->repeated;
    counters->in_hand = work->open;
    memcpy (counters->took, work->took, sizeof counters->took);
    counters->took_us = work->took_us;
}
