/*  vault - see vault.h
 *
 *  Chunks. An object comes as chunks of 1 MiB, each in a frame that says which one it is. The
 *  uploader sends chunk 0 unasked; every other one is asked for by WANT, a few at a time, so that
 *  neither side holds more than a few in its sockets. How many grows as they come fast: on a slow
 *  link one is enough, and whatever is asked for twice is sent twice. An uploader that lost its
 *  connection begins again with chunk 0, perhaps in place of another that died: then what is
 *  missing is wanted again, and what is there is not.
 *
 *  Epochs. A trainer holds its run under an epoch; manifests of an older one are refused, so a
 *  trainer that was taken for dead and comes back cannot undo what its successor published.
 */
#include "vault.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "blobs.h"
#include "bus/endpoint.h"
#include "bus/envelope.h"
#include "connections.h"
#include "peers.h"

#define VAULT_HWM     1000 /* messages that wait for one peer */
#define VAULT_BATCH   64
#define VAULT_TICK_MS 1000
#define VAULT_WINDOW  8 /* chunks wanted at once of one object, at most */
/* a chunk that comes within this time doubles what is wanted at once */
#define VAULT_FAST_MS       250
#define VAULT_RUNS_MAX      256
#define VAULT_NEEDS_MAX     64 /* objects of one manifest */
#define VAULT_MANIFESTS_MAX 4096

/*  What an agent reads to learn that a version is there: opaque bytes, and the objects that must
 *  be here as long as it is. */
typedef struct manifest {
    struct manifest *next;
    char run[ENVELOPE_NAME_MAX + 1];
    char name[2 * ENVELOPE_NAME_MAX + 1];
    void *data;
    size_t size;
    blob_t *objects[VAULT_NEEDS_MAX];
    size_t n;
    uint64_t announced; /* events of this topic so far */
} manifest_t;

/*  The trainers that were seen, by the run that they hold; see "Epochs" above. */
typedef struct {
    char run[ENVELOPE_NAME_MAX + 1];
    char
        holder[KEYS_NAME_MAX + 1]; /* whose certificate spoke for it first; "": there are no keys */
    uint64_t epoch;                /* greatest seen */
} run_t;

struct vault {
    zsock_t *socket, *publish;
    connections_t *connections;
    guard_t *guard; /* borrowed */
    void *raw, *raw_publish;
    uint64_t boot;
    blobs_t *blobs;
    manifest_t *manifests; /* newest first */
    size_t manifests_n;
    run_t runs[VAULT_RUNS_MAX];
    size_t runs_n;
    int64_t ticked_ms;
    atomic_bool ended; /* whoever destroys it sees all that its thread wrote */
    /* the message under way: who sent it */
    char identity[PEER_IDENTITY_MAX + 1];
    size_t identity_n;
    guard_holder_t holder;
    _Atomic uint64_t objects, bytes, unfinished_bytes, manifests_count, chunks_in, chunks_out,
        refused, malformed, damaged;
};

static void vault_add (_Atomic uint64_t *count)
{
    atomic_fetch_add_explicit (count, 1, memory_order_relaxed);
}

vault_t *vault_new (const vault_options_t *options, err_t *err)
{
    vault_t *v = calloc (1, sizeof *v);
    if (!v) {
        err_set (err, ERR_LIMIT, "no memory for the policies actor");
        return NULL;
    }
    v->boot = options->boot;
    v->guard = options->guard;
    /* What fails here is found below: nothing is used before all of it is there. */
    v->blobs = blobs_new (options->bytes_max);
    v->socket = zsock_new (ZMQ_ROUTER);
    v->publish = zsock_new (ZMQ_PUB);
    v->raw = zsock_resolve (v->socket);
    v->raw_publish = zsock_resolve (v->publish);
    endpoint_options_t bound = {
        .hwm = VAULT_HWM, .payload_max = WIRE_PAYLOAD_MAX, .keys = guard_keys (v->guard)};
    if (v->blobs && v->socket && v->publish)
        v->connections =
            connections_new (v->socket, options->endpoint, &bound, options->peers_max, err);
    else
        err_set (err, ERR_LIMIT, "no memory for the policies actor");
    if (!v->connections || endpoint_connect (v->raw_publish, options->publish, &bound, err) != 0)
        vault_destroy (&v);
    return v;
}

static void vault_answer (vault_t *v, const envelope_t *to, envelope_t e)
{
    e.sender = slice_of ("bus");
    e.boot = v->boot;
    /* The sender's own number for its transfer: by it the courier finds what the answer is
       about. */
    e.sequence = to->sequence;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        return;
    /* Not sent is lost: the uploader or agent asks again when nothing comes for a while. */
    if (zmq_send (v->raw, v->identity, v->identity_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send (&frame, v->raw, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

static void vault_answer_code (vault_t *v, const envelope_t *to, envelope_kind_t kind,
                               err_code_t code, const char *text)
{
    if (code != ERR_NONE)
        vault_add (&v->refused);
    vault_answer (v, to, (envelope_t){.kind = kind, .code = code, .text = slice_of (text)});
}

/*  For vault_status, which other threads call. */
static void vault_count (vault_t *v)
{
    blobs_status_t status = blobs_status (v->blobs);
    atomic_store (&v->objects, status.objects);
    atomic_store (&v->bytes, status.bytes);
    atomic_store (&v->unfinished_bytes, status.unfinished_bytes);
    atomic_store (&v->manifests_count, v->manifests_n);
}

/*  ---- objects -------------------------------------------------------------------------------- */

/*  Uploaders are told apart by their connections' identities, which, unlike a boot id, nobody
 *  else can take. */
static uint64_t vault_owner (const vault_t *v)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < v->identity_n; i++)
        hash = (hash ^ (unsigned char) v->identity[i]) * 1099511628211u;
    return hash;
}

/*  Chunks are asked for one by one; each WANT lets the uploader send one frame of 1 MiB. */
static void vault_want (vault_t *v, const envelope_t *e, uint32_t index)
{
    vault_answer (v, e, (envelope_t){.kind = ENVELOPE_WANT, .index = index});
}

/*  again: the uploader began anew, so what was wanted and has not come will not come by itself.
 *  The window moves with what has come: `have` counts chunks, wherever they stand, so a lost one
 *  keeps one place of the window until it is asked for again. */
static void vault_want_more (vault_t *v, const envelope_t *e, blob_t *b, bool again)
{
    for (uint32_t i = 0, n = 0; again && i < b->wanted && n < b->window; i++)
        if (!b->got[i]) {
            vault_want (v, e, i);
            n++;
        }
    while (b->wanted < b->chunks && b->wanted < b->have + b->window)
        vault_want (v, e, b->wanted++);
}

/*  A chunk for an object that is not complete. */
static void vault_take_chunk (vault_t *v, const envelope_t *e, blob_t *b)
{
    int64_t now = clock_ms ();
    /* Chunk 0 a second time: nobody asked for it, so the uploader has begun anew, or another one
       has. */
    bool again = e->index == 0 && b->got[0], fast = now - b->progress_ms <= VAULT_FAST_MS;
    /* A frame that says another size is of another upload, or of a broken one. A chunk that came
       twice changes nothing. */
    if (e->size == b->size && blob_put (b, e->index, e->payload.data, e->payload.size, now)) {
        vault_add (&v->chunks_in);
        if (fast && b->window < VAULT_WINDOW)
            b->window *= 2;
    }
    /* Only the whole can be checked against its name, and only what was checked is ever handed
       out. */
    if (!blob_complete (b)) {
        vault_want_more (v, e, b, again);
    } else if (blob_genuine (b)) {
        blobs_finished (v->blobs, b);
        vault_count (v); /* the uploader may look at it as soon as it is answered */
        vault_answer_code (v, e, ENVELOPE_HELD, ERR_NONE, "");
    } else {
        blobs_drop (v->blobs, b);
        vault_answer_code (v, e, ENVELOPE_HELD, ERR_INPUT,
                           "the content does not have the hash that names the object");
    }
}

static void vault_on_put (vault_t *v, const envelope_t *e)
{
    hash_t hash;
    err_t err = {0};
    if (!envelope_hash (e, &hash))
        return;
    blob_t *b = blobs_find (v->blobs, &hash);
    blobs_touch (v->blobs, vault_owner (v), clock_ms ());
    /* Without chunk 0 there is no telling what the uploader thinks it has sent. */
    if (!b && e->index > 0) { /* it was dropped meanwhile: begin again */
        vault_want (v, e, 0);
        return;
    }
    if (!b)
        b = blobs_begin (v->blobs, &hash, e->size, vault_owner (v), clock_ms (), &err);
    if (!b)
        vault_answer_code (v, e, ENVELOPE_HELD, err.code, err.text);
    else if (blob_complete (b))
        vault_answer_code (v, e, ENVELOPE_HELD, ERR_NONE, "");
    else
        vault_take_chunk (v, e, b);
}

/*  Wants the chunk again that a damaged frame says it is. If that, too, is wrong, the uploader
 *  begins again when nothing comes any more. */
static void vault_on_damaged (vault_t *v, const envelope_t *e)
{
    hash_t hash;
    vault_add (&v->damaged);
    if (e->kind != ENVELOPE_PUT || !envelope_hash (e, &hash))
        return;
    const blob_t *b = blobs_find (v->blobs, &hash);
    if (b ? e->index < b->chunks && !b->got[e->index] : e->index == 0)
        vault_want (v, e, e->index);
}

/*  A chunk is copied once, into the frame. Whoever fetches keeps its own window, so what waits
 *  here for a slow agent is a few chunks. */
static void vault_on_get (vault_t *v, const envelope_t *e)
{
    hash_t hash;
    const blob_t *b = envelope_hash (e, &hash) ? blobs_find (v->blobs, &hash) : NULL;
    if (!b || !blob_complete (b) || e->index >= b->chunks) {
        vault_answer (v, e, (envelope_t){.kind = ENVELOPE_MISSING});
        return;
    }
    uint64_t at = (uint64_t) e->index * HASH_CHUNK;
    slice_t chunk = {.data = b->data + at,
                     .size = b->size - at < HASH_CHUNK ? b->size - at : HASH_CHUNK};
    vault_answer (
        v, e,
        (envelope_t){.kind = ENVELOPE_CHUNK, .index = e->index, .size = b->size, .payload = chunk});
    vault_add (&v->chunks_out);
}

/*  ---- manifests ------------------------------------------------------------------------------ */

/*  Why its sender does not hold the run; NULL: it does. */
static const char *vault_check_hold (vault_t *v, const envelope_t *e)
{
    size_t i = 0;
    /* A run that is not remembered is taken at its word: after a restart of the bus the first
       trainer that speaks for it sets the epoch. */
    while (i < v->runs_n && !slice_equal (slice_of (v->runs[i].run), e->text))
        i++;
    if (i == VAULT_RUNS_MAX) { /* the run that came first is forgotten */
        memmove (v->runs, v->runs + 1, (VAULT_RUNS_MAX - 1) * sizeof *v->runs);
        i = --v->runs_n;
    }
    if (i == v->runs_n) {
        v->runs[v->runs_n++] = (run_t){.epoch = e->epoch};
        slice_text (e->text, v->runs[i].run, sizeof v->runs[i].run);
        slice_text (slice_of (v->holder.name), v->runs[i].holder, sizeof v->runs[i].holder);
    }
    if (strcmp (v->holder.name, v->runs[i].holder) != 0)
        return "this run is of another certificate";
    if (e->epoch < v->runs[i].epoch)
        return "a newer trainer holds this run";
    v->runs[i].epoch = e->epoch;
    return NULL;
}

/*  Its objects are needed by one manifest fewer; blobs.c decides what that means. */
static void vault_drop_manifest (vault_t *v, manifest_t **at)
{
    manifest_t *m = *at;
    *at = m->next;
    for (size_t i = 0; i < m->n; i++)
        blobs_release (v->blobs, m->objects[i]);
    free (m->data);
    free (m);
    v->manifests_n--;
}

static manifest_t **vault_find_manifest (vault_t *v, const envelope_t *e)
{
    manifest_t **at = &v->manifests;
    while (*at && (!slice_equal (slice_of ((*at)->run), e->text) ||
                   !slice_equal (slice_of ((*at)->name), e->service)))
        at = &(*at)->next;
    return at;
}

/*  Events are numbered by topic, so that with two policies nobody takes every other one for
 *  lost. Whoever misses the event asks for all manifests when it connects; so this may be lost. */
static void vault_announce (vault_t *v, manifest_t *m)
{
    char topic[512];
    int n = snprintf (topic, sizeof topic, "policy/%s/%s", m->run, m->name);
    envelope_t e = {.kind = ENVELOPE_EVENT,
                    .sender = slice_of ("bus"),
                    .boot = v->boot,
                    .sequence = ++m->announced,
                    .payload = {.data = m->data, .size = m->size}};
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){topic, (size_t) n + 1}, &frame) == 0 &&
        zmq_msg_send (&frame, v->raw_publish, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

/*  Fills in the objects that the manifest needs. -1: not all are here. */
static int vault_find_objects (const vault_t *v, const envelope_t *e, manifest_t *m)
{
    for (size_t at = 0; at + HASH_SIZE <= e->objects.size; at += HASH_SIZE) {
        hash_t hash;
        memcpy (hash.bytes, e->objects.data + at, HASH_SIZE);
        blob_t *b = blobs_find (v->blobs, &hash);
        if (!b || !blob_complete (b))
            return -1;
        m->objects[m->n++] = b;
    }
    return 0;
}

/*  Why a manifest cannot be taken, whatever objects are here; ERR_NONE: nothing is in the way. */
static err_code_t vault_check_manifest (vault_t *v, const envelope_t *e, const char **text)
{
    *text = vault_check_hold (v, e);
    if (*text)
        return ERR_STALE;
    *text = "a manifest is larger than an event may be";
    if (e->payload.size > ENVELOPE_EVENT_MAX)
        return ERR_LIMIT;
    *text = "a manifest of more than 64 objects";
    if (e->objects.size > (size_t) VAULT_NEEDS_MAX * HASH_SIZE)
        return ERR_LIMIT;
    *text = "the bus is full: it holds 4096 manifests";
    return v->manifests_n < VAULT_MANIFESTS_MAX || *vault_find_manifest (v, e) ? ERR_NONE
                                                                               : ERR_LIMIT;
}

/*  In this order: the new one's objects are needed before the old one's are released, for they
 *  share most of them, and a shared one must not be dropped in between. */
static void vault_on_manifest (vault_t *v, const envelope_t *e)
{
    const char *text;
    err_code_t code = vault_check_manifest (v, e, &text);
    manifest_t *m = code == ERR_NONE ? calloc (1, sizeof *m) : NULL;
    void *data = m ? malloc (e->payload.size + 1) : NULL;
    if (code == ERR_NONE && !data) {
        code = ERR_LIMIT;
        text = "the bus has no memory for a manifest";
    } else if (code == ERR_NONE && vault_find_objects (v, e, m) != 0) {
        code = ERR_MISSING;
        text = "the bus does not hold every object of this manifest";
    }
    if (code != ERR_NONE) {
        free (data);
        free (m);
        vault_answer_code (v, e, ENVELOPE_DONE, code, text);
        return;
    }
    for (size_t i = 0; i < m->n; i++)
        blob_need (m->objects[i]);
    manifest_t **old = vault_find_manifest (v, e);
    if (*old) {
        /* Events of one topic go on counting, or whoever listens would take the next for a loss. */
        m->announced = (*old)->announced;
        vault_drop_manifest (v, old);
    }
    slice_text (e->text, m->run, sizeof m->run);
    slice_text (e->service, m->name, sizeof m->name);
    memcpy (data, e->payload.data, e->payload.size);
    m->data = data;
    m->size = e->payload.size;
    m->next = v->manifests;
    v->manifests = m;
    v->manifests_n++;
    vault_announce (v, m);
    vault_answer_code (v, e, ENVELOPE_DONE, ERR_NONE, "");
}

/*  Retiring what is not there is no error: a repeated message finds it done. */
static void vault_on_retire (vault_t *v, const envelope_t *e)
{
    const char *why = vault_check_hold (v, e);
    if (why) {
        vault_answer_code (v, e, ENVELOPE_DONE, ERR_STALE, why);
        return;
    }
    manifest_t **m = vault_find_manifest (v, e);
    if (*m)
        vault_drop_manifest (v, m);
    vault_answer_code (v, e, ENVELOPE_DONE, ERR_NONE, "");
}

/*  An agent asks when it connects. It gets each in a frame of its own, as if it had just been
 *  published. */
static void vault_on_manifests (vault_t *v, const envelope_t *e)
{
    for (const manifest_t *m = v->manifests; m; m = m->next)
        vault_answer (v, e,
                      (envelope_t){.kind = ENVELOPE_MANIFEST,
                                   .service = slice_of (m->name),
                                   .text = slice_of (m->run),
                                   .payload = {.data = m->data, .size = m->size}});
}

/*  ---- the loop ------------------------------------------------------------------------------- */

/*  What may be said here, what one needs to be allowed for it (bus/rights.h), and the answer that
 *  would come of it. */
static const struct {
    envelope_kind_t kind, answer;
    const char *word;
    void (*take) (vault_t *v, const envelope_t *e);
} vault_kinds[] = {
    {ENVELOPE_PUT, ENVELOPE_HELD, "put", vault_on_put},
    {ENVELOPE_GET, ENVELOPE_MISSING, "get", vault_on_get},
    {ENVELOPE_MANIFEST, ENVELOPE_DONE, "manifest", vault_on_manifest},
    {ENVELOPE_RETIRE, ENVELOPE_DONE, "manifest", vault_on_retire},
    {ENVELOPE_MANIFESTS, ENVELOPE_MISSING, "get", vault_on_manifests},
};

/*  Every kind that only others send is passed over without a word. */
static void vault_on_whole (vault_t *v, const envelope_t *e, zmq_msg_t *frame, bool admitted,
                            char why[GUARD_WHY_SIZE])
{
    for (size_t i = 0; i < sizeof vault_kinds / sizeof *vault_kinds; i++) {
        if (vault_kinds[i].kind != e->kind)
            continue;
        if (admitted && guard_allow (v->guard, &v->holder, frame, RIGHTS_OBJECTS,
                                     slice_of (vault_kinds[i].word), e->sender, why))
            vault_kinds[i].take (v, e);
        else if (*why)
            vault_answer_code (v, e, vault_kinds[i].answer, admitted ? ERR_CONFIG : ERR_BUSY, why);
    }
}

static void vault_on_frame (vault_t *v, zmq_msg_t *frame)
{
    envelope_t e;
    envelope_state_t state = envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e);
    char why[GUARD_WHY_SIZE];
    bool admitted = guard_admit (v->guard, v->connections, frame, &v->holder, why);
    if (!admitted && (!*why || state != ENVELOPE_WHOLE))
        return;
    if (state == ENVELOPE_MALFORMED)
        vault_add (&v->malformed);
    else if (state == ENVELOPE_DAMAGED)
        vault_on_damaged (v, &e);
    else
        vault_on_whole (v, &e, frame, admitted, why);
}

/*  Takes what is there, at most VAULT_BATCH messages. The identity comes first and says who is
 *  to be answered; it stays in the vault for as long as the message is looked at. */
static void vault_take (vault_t *v)
{
    for (int i = 0; i < VAULT_BATCH; i++) {
        int n = zmq_recv (v->raw, v->identity, sizeof v->identity, ZMQ_DONTWAIT);
        if (n < 0)
            return;
        v->identity_n = (size_t) n;
        while (zsock_rcvmore (v->socket)) {
            zmq_msg_t frame;
            zmq_msg_init (&frame);
            if (zmq_msg_recv (&frame, v->raw, ZMQ_DONTWAIT) >= 0 && n <= PEER_IDENTITY_MAX)
                vault_on_frame (v, &frame);
            zmq_msg_close (&frame);
            n = PEER_IDENTITY_MAX + 1; /* further frames of a message are not looked at */
        }
    }
}

void vault_actor (zsock_t *pipe, void *vault)
{
    vault_t *v = vault;
    int fd;
    zpoller_t *poller = zpoller_new (pipe, connections_monitor (v->connections), v->socket, NULL);
    zsock_signal (pipe, 0);
    while (poller) {
        const void *ready = zpoller_wait (poller, VAULT_TICK_MS);
        if (ready == pipe || (!ready && zpoller_terminated (poller)))
            break; /* $TERM is all that is ever sent */
        while (connections_next_broken (v->connections, &fd))
            ; /* only counted */
        vault_take (v);
        int64_t now = clock_ms ();
        if (now - v->ticked_ms >= VAULT_TICK_MS) {
            v->ticked_ms = now;
            /* Uploads whose uploader is gone are the only thing here that ends by time. */
            blobs_expire (v->blobs, now);
        }
        vault_count (v);
    }
    zpoller_destroy (&poller);
    atomic_store (&v->ended, true);
}

void vault_destroy (vault_t **self)
{
    vault_t *v = *self;
    if (!v)
        return;
    (void) atomic_load (&v->ended);
    while (v->manifests)
        vault_drop_manifest (v, &v->manifests);
    blobs_destroy (&v->blobs);
    connections_destroy (&v->connections);
    zsock_destroy (&v->socket);
    zsock_destroy (&v->publish);
    free (v);
    *self = NULL;
}

void vault_status (const vault_t *v, vault_status_t *status)
{
    *status = (vault_status_t){.connections = connections_count (v->connections),
                               .objects = atomic_load (&v->objects),
                               .bytes = atomic_load (&v->bytes),
                               .unfinished_bytes = atomic_load (&v->unfinished_bytes),
                               .manifests = atomic_load (&v->manifests_count),
                               .chunks_in = atomic_load (&v->chunks_in),
                               .chunks_out = atomic_load (&v->chunks_out),
                               .refused = atomic_load (&v->refused),
                               .malformed = atomic_load (&v->malformed),
                               .damaged = atomic_load (&v->damaged)};
}
