/*  vault - see vault.h */
#include "vault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/log.h"
#include "bus/endpoint.h"
#include "bus/envelope.h"
#include "peers.h"

#define OBJECT_MAX ((uint64_t) 16 << 30)
/*  Objects that no manifest needs yet: how many, and how many bytes of those of more than one chunk, though as
 *  many of these as a team of eight policies has published at once. */
#define LOOSE_MAX   64
#define LOOSE_BYTES ((uint64_t) 64 << 20)
#define LOOSE_LARGE 20
/*  Bytes of objects that no manifest needs any more: somebody may be fetching them. */
#define PAST_BYTES ((uint64_t) 8 << 20)
#define WINDOW     8 /* chunks wanted at once from an uploader */
#define RUNS_MAX   256
#define NEEDS_MAX  64 /* objects of one manifest */
#define MANIFESTS  4096
#define HWM        20000 /* messages that wait for one peer */

typedef struct object {
    struct object *next; /* newest first */
    hash_t hash;
    uint64_t size;
    uint32_t chunks, have, wanted;
    char *data;
    uint8_t *got;
    hash_t *chunk_hash;
    uint32_t needs; /* manifests */
    bool needed;    /* by a manifest, now or before */
} object_t;

typedef struct manifest {
    struct manifest *next;
    char run[ENVELOPE_NAME_MAX + 1];
    char name[2 * ENVELOPE_NAME_MAX + 1];
    void *data;
    size_t size;
    object_t *objects[NEEDS_MAX];
    size_t n;
} manifest_t;

typedef struct {
    char run[ENVELOPE_NAME_MAX + 1];
    uint64_t epoch; /* greatest seen */
} run_t;

struct vault {
    void *socket, *publish;
    uint64_t boot, announced;
    object_t *objects;
    manifest_t *manifests; /* newest first */
    run_t runs[RUNS_MAX];
    size_t runs_n;
    /* the message under way */
    char identity[PEER_IDENTITY_MAX];
    size_t identity_n;
    _Atomic uint64_t count[8]; /* in the order of vault_status_t */
};

enum { OBJECTS, BYTES, MANIFEST_COUNT, CHUNKS_IN, CHUNKS_OUT, REFUSED, MALFORMED, DAMAGED };

static void add (vault_t *v, int what, uint64_t n)
{
    atomic_fetch_add_explicit (&v->count[what], n, memory_order_relaxed);
}

vault_t *vault_new (void *context, const char *endpoint, const char *publish, uint64_t boot,
                    err_t *err)
{
    vault_t *v = calloc (1, sizeof *v);
    if (!v) {
        err_set (err, ERR_LIMIT, "no memory for the policies actor");
        return NULL;
    }
    v->boot = boot;
    v->socket = zmq_socket (context, ZMQ_ROUTER);
    v->publish = zmq_socket (context, ZMQ_PUB);
    int linger = 0;
    endpoint_options_t options = {.hwm = HWM, .payload_max = WIRE_PAYLOAD_MAX};
    int rc = v->socket && v->publish ? endpoint_bind (v->socket, endpoint, &options, err)
                                     : err_set (err, ERR_LIMIT, "no memory for the policies actor");
    if (rc == 0) {
        zmq_setsockopt (v->publish, ZMQ_LINGER, &linger, sizeof linger);
        zmq_connect (v->publish, publish);
    } else {
        vault_destroy (&v);
    }
    return v;
}

static void answer (vault_t *v, const envelope_t *to, envelope_t e)
{
    e.sender = slice_of ("bus");
    e.boot = v->boot;
    e.sequence = to->sequence;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        return;
    if (zmq_send (v->socket, v->identity, v->identity_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send (&frame, v->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

static void answer_code (vault_t *v, const envelope_t *to, envelope_kind_t kind, err_code_t code,
                         const char *text)
{
    if (code != ERR_NONE)
        add (v, REFUSED, 1);
    answer (v, to, (envelope_t){.kind = kind, .code = code, .text = slice_of (text)});
}

/*  ---- objects ------------------------------------------------------------------------------------------- */

static object_t *object_find (vault_t *v, const hash_t *hash)
{
    object_t *o = v->objects;
    while (o && !hash_equal (&o->hash, hash))
        o = o->next;
    return o;
}

static bool complete (const object_t *o)
{
    return o->have == o->chunks;
}

static void object_free (vault_t *v, object_t *o)
{
    object_t **at = &v->objects;
    while (*at && *at != o)
        at = &(*at)->next;
    if (*at)
        *at = o->next;
    add (v, OBJECTS, (uint64_t) -1);
    add (v, BYTES, -o->size);
    free (o->data);
    free (o->got);
    free (o->chunk_hash);
    free (o);
}

/*  Of the objects without a manifest only the newest stay. */
static void drop_loose (vault_t *v)
{
    size_t loose = 0, large = 0;
    uint64_t past = 0, bytes = 0;
    for (object_t *o = v->objects, *next; o; o = next) {
        next = o->next;
        if (o->needs > 0)
            continue;
        bool drop;
        if (o->needed) {
            drop = (past += o->size) > PAST_BYTES;
        } else if (o->chunks > 1) {
            bytes += o->size;
            drop = ++loose > LOOSE_MAX || (++large > LOOSE_LARGE && bytes > LOOSE_BYTES);
        } else {
            drop = ++loose > LOOSE_MAX;
        }
        if (drop)
            object_free (v, o);
    }
}

static object_t *object_new (vault_t *v, const hash_t *hash, uint64_t size)
{
    object_t *o = size <= OBJECT_MAX ? calloc (1, sizeof *o) : NULL;
    if (!o)
        return NULL;
    o->hash = *hash;
    o->size = size;
    o->chunks = size ? (uint32_t) ((size + HASH_CHUNK - 1) / HASH_CHUNK) : 1;
    o->wanted = 1;
    o->data = malloc (size + 1);
    o->got = calloc (o->chunks, 1);
    o->chunk_hash = calloc (o->chunks, sizeof *o->chunk_hash);
    add (v, OBJECTS, 1);
    add (v, BYTES, size);
    o->next = v->objects;
    v->objects = o;
    if (!o->data || !o->got || !o->chunk_hash) {
        object_free (v, o);
        return NULL;
    }
    drop_loose (v);
    return o;
}

static void want (vault_t *v, const envelope_t *e, uint32_t index)
{
    answer (v, e, (envelope_t){.kind = ENVELOPE_WANT, .index = index});
}

/*  An upload that stalled, or that another uploader takes over, begins again with chunk 0: then everything
 *  still missing is wanted. */
static void want_more (vault_t *v, const envelope_t *e, object_t *o, bool again)
{
    if (again)
        for (uint32_t i = 0, n = 0; i < o->wanted && n < WINDOW; i++)
            if (!o->got[i]) {
                want (v, e, i);
                n++;
            }
    while (o->wanted < o->chunks && o->wanted < o->have + WINDOW)
        want (v, e, o->wanted++);
}

static void take_chunk (vault_t *v, const envelope_t *e, object_t *o)
{
    uint64_t at = (uint64_t) e->index * HASH_CHUNK;
    uint64_t size = o->size - at < HASH_CHUNK ? o->size - at : HASH_CHUNK;
    if (e->size != o->size || e->index >= o->chunks || e->payload.size != size || o->got[e->index])
        return;
    memcpy (o->data + at, e->payload.data, size);
    o->chunk_hash[e->index] = hash_of (e->payload.data, size);
    o->got[e->index] = 1;
    o->have++;
    add (v, CHUNKS_IN, 1);
}

static void on_put (vault_t *v, const envelope_t *e)
{
    hash_t hash;
    if (!envelope_hash (e, &hash))
        return;
    object_t *o = object_find (v, &hash);
    if (!o && e->index == 0)
        o = object_new (v, &hash, e->size);
    if (!o) {
        answer_code (v, e, ENVELOPE_HELD, ERR_LIMIT, "the bus has no memory for this object");
        return;
    }
    if (!complete (o)) {
        bool again = e->index == 0 && o->got[0];
        take_chunk (v, e, o);
        if (!complete (o)) {
            want_more (v, e, o, again);
            return;
        }
        hash_t root = hash_root (o->chunk_hash, o->chunks);
        if (!hash_equal (&root, &o->hash)) {
            object_free (v, o);
            answer_code (v, e, ENVELOPE_HELD, ERR_INPUT,
                         "the content does not have the hash that names the object");
            return;
        }
    }
    answer_code (v, e, ENVELOPE_HELD, ERR_NONE, "");
}

/*  Wants the chunk again that a damaged frame says it is. If that, too, is wrong, the uploader begins again when
 *  nothing comes any more. */
static void on_damaged (vault_t *v, const envelope_t *e)
{
    hash_t hash;
    object_t *o =
        e->kind == ENVELOPE_PUT && envelope_hash (e, &hash) ? object_find (v, &hash) : NULL;
    add (v, DAMAGED, 1);
    if (o ? e->index < o->chunks && !o->got[e->index] : e->kind == ENVELOPE_PUT && e->index == 0)
        want (v, e, e->index);
}

static void on_get (vault_t *v, const envelope_t *e)
{
    hash_t hash;
    object_t *o = envelope_hash (e, &hash) ? object_find (v, &hash) : NULL;
    if (!o || !complete (o) || e->index >= o->chunks) {
        answer (v, e, (envelope_t){.kind = ENVELOPE_MISSING});
        return;
    }
    uint64_t at = (uint64_t) e->index * HASH_CHUNK;
    slice_t chunk = {.data = o->data + at,
                     .size = o->size - at < HASH_CHUNK ? o->size - at : HASH_CHUNK};
    answer (
        v, e,
        (envelope_t){.kind = ENVELOPE_CHUNK, .index = e->index, .size = o->size, .payload = chunk});
    add (v, CHUNKS_OUT, 1);
}

/*  ---- manifests ------------------------------------------------------------------------------------------ */

/*  False when the sender's epoch is older than one that was seen for its run. */
static bool current (vault_t *v, const envelope_t *e)
{
    size_t i = 0;
    while (i < v->runs_n && !slice_equal (slice_of (v->runs[i].run), e->text))
        i++;
    if (i == RUNS_MAX) {
        memmove (v->runs, v->runs + 1, (RUNS_MAX - 1) * sizeof *v->runs);
        i = --v->runs_n;
    }
    if (i == v->runs_n) {
        v->runs[v->runs_n++] = (run_t){.epoch = e->epoch};
        slice_text (e->text, v->runs[i].run, sizeof v->runs[i].run);
    }
    if (e->epoch < v->runs[i].epoch)
        return false;
    v->runs[i].epoch = e->epoch;
    return true;
}

static void manifest_free (vault_t *v, manifest_t **at)
{
    manifest_t *m = *at;
    *at = m->next;
    for (size_t i = 0; i < m->n; i++)
        m->objects[i]->needs--;
    free (m->data);
    free (m);
    add (v, MANIFEST_COUNT, (uint64_t) -1);
    drop_loose (v);
}

static manifest_t **manifest_find (vault_t *v, const envelope_t *e)
{
    manifest_t **at = &v->manifests;
    while (*at && (!slice_equal (slice_of ((*at)->run), e->text) ||
                   !slice_equal (slice_of ((*at)->name), e->service)))
        at = &(*at)->next;
    return at;
}

static void announce (vault_t *v, const manifest_t *m)
{
    char topic[512];
    int n = snprintf (topic, sizeof topic, "policy/%s/%s", m->run, m->name);
    envelope_t e = {.kind = ENVELOPE_EVENT,
                    .sender = slice_of ("bus"),
                    .boot = v->boot,
                    .sequence = ++v->announced,
                    .payload = {.data = m->data, .size = m->size}};
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){topic, (size_t) n + 1}, &frame) == 0 &&
        zmq_msg_send (&frame, v->publish, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

/*  Fills in the objects that the manifest needs; all must be here. */
static int need (vault_t *v, const envelope_t *e, manifest_t *m)
{
    for (size_t at = 0; at + HASH_SIZE <= e->objects.size && m->n < NEEDS_MAX; at += HASH_SIZE) {
        hash_t hash;
        memcpy (hash.bytes, e->objects.data + at, HASH_SIZE);
        object_t *o = object_find (v, &hash);
        if (!o || !complete (o))
            return -1;
        m->objects[m->n++] = o;
    }
    return 0;
}

static void on_manifest (vault_t *v, const envelope_t *e)
{
    if (!current (v, e)) {
        answer_code (v, e, ENVELOPE_DONE, ERR_STALE, "a newer trainer holds this run");
        return;
    }
    if (e->payload.size > ENVELOPE_EVENT_MAX) {
        answer_code (v, e, ENVELOPE_DONE, ERR_LIMIT, "a manifest is larger than an event may be");
        return;
    }
    manifest_t *m = calloc (1, sizeof *m);
    void *data = malloc (e->payload.size + 1);
    if (!m || !data || need (v, e, m) != 0 || v->count[MANIFEST_COUNT] >= MANIFESTS) {
        free (m);
        free (data);
        answer_code (v, e, ENVELOPE_DONE, ERR_MISSING,
                     "the bus does not hold every object of this manifest");
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        m->objects[i]->needs++;
        m->objects[i]->needed = true;
    }
    manifest_t **old = manifest_find (v, e);
    if (*old)
        manifest_free (v, old);
    slice_text (e->text, m->run, sizeof m->run);
    slice_text (e->service, m->name, sizeof m->name);
    memcpy (data, e->payload.data, e->payload.size);
    m->data = data;
    m->size = e->payload.size;
    m->next = v->manifests;
    v->manifests = m;
    add (v, MANIFEST_COUNT, 1);
    announce (v, m);
    answer_code (v, e, ENVELOPE_DONE, ERR_NONE, "");
}

static void on_retire (vault_t *v, const envelope_t *e)
{
    if (!current (v, e)) {
        answer_code (v, e, ENVELOPE_DONE, ERR_STALE, "a newer trainer holds this run");
        return;
    }
    manifest_t **m = manifest_find (v, e);
    if (*m)
        manifest_free (v, m);
    answer_code (v, e, ENVELOPE_DONE, ERR_NONE, "");
}

static void on_manifests (vault_t *v, const envelope_t *e)
{
    for (const manifest_t *m = v->manifests; m; m = m->next)
        answer (v, e,
                (envelope_t){.kind = ENVELOPE_MANIFEST,
                             .service = slice_of (m->name),
                             .text = slice_of (m->run),
                             .payload = {.data = m->data, .size = m->size}});
}

/*  ---- the loop --------------------------------------------------------------------------------------------- */

static void on_frame (vault_t *v, zmq_msg_t *frame)
{
    envelope_t e;
    envelope_state_t state = envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e);
    if (state == ENVELOPE_MALFORMED)
        add (v, MALFORMED, 1);
    else if (state == ENVELOPE_DAMAGED)
        on_damaged (v, &e);
    else if (e.kind == ENVELOPE_PUT)
        on_put (v, &e);
    else if (e.kind == ENVELOPE_GET)
        on_get (v, &e);
    else if (e.kind == ENVELOPE_MANIFEST)
        on_manifest (v, &e);
    else if (e.kind == ENVELOPE_MANIFESTS)
        on_manifests (v, &e);
    else if (e.kind == ENVELOPE_RETIRE)
        on_retire (v, &e);
}

void vault_run (vault_t *v)
{
    for (;;) {
        zmq_msg_t identity, frame;
        zmq_msg_init (&identity);
        if (zmq_msg_recv (&identity, v->socket, 0) < 0) {
            zmq_msg_close (&identity);
            if (errno == EINTR)
                continue;
            return;
        }
        v->identity_n = zmq_msg_size (&identity);
        bool known = v->identity_n <= PEER_IDENTITY_MAX;
        if (known)
            memcpy (v->identity, zmq_msg_data (&identity), v->identity_n);
        for (bool first = true; zmq_msg_more (&identity); first = false) {
            zmq_msg_init (&frame);
            if (zmq_msg_recv (&frame, v->socket, 0) < 0) {
                zmq_msg_close (&frame);
                break;
            }
            if (first && known)
                on_frame (v, &frame);
            zmq_msg_move (&identity, &frame); /* its "more" flag goes on */
            zmq_msg_close (&frame);
        }
        zmq_msg_close (&identity);
    }
}

void vault_destroy (vault_t **self)
{
    vault_t *v = *self;
    if (!v)
        return;
    while (v->manifests)
        manifest_free (v, &v->manifests);
    while (v->objects)
        object_free (v, v->objects);
    if (v->socket)
        zmq_close (v->socket);
    if (v->publish)
        zmq_close (v->publish);
    free (v);
    *self = NULL;
}

void vault_status (const vault_t *v, vault_status_t *status)
{
    uint64_t *to[] = {&status->objects,    &status->bytes,   &status->manifests, &status->chunks_in,
                      &status->chunks_out, &status->refused, &status->malformed, &status->damaged};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        *to[i] = atomic_load_explicit (&v->count[i], memory_order_relaxed);
}
