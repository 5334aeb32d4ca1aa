/*  publish - see publish.h
 *
 *  Objects first, the manifest last: whoever reads a manifest finds at the bus all that it names.
 *  Each object has a call of its own; an answer that brings a policy's last one makes its manifest
 *  go out. The bus keeps nothing over a restart, so a bus that is another one (BUS_PEER), or that
 *  misses what it had taken before, gets everything again; objects that it has are not sent twice,
 *  they are named by their hashes.
 */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/*  The objects of a version. BASE stands last: it is shared by all adapters and uploaded once. */
enum { CONFIG, TOKENIZER, WEIGHTS, DELTA, ADAPTER, BASE, OBJECTS };

typedef struct {
    const policy_t *policy;
    uint64_t offers[OBJECTS]; /* bus calls under way; 0: the bus holds it */
    uint64_t manifest;        /* bus call under way, or the one that retires it */
    wire_version_t version;   /* that is uploaded */
    bool announced;           /* the bus has the manifest */
} upload_t;

/*  What adapters stand on. */
typedef struct {
    const policy_t *policy;
    uint64_t call; /* offer under way; 0: the bus has it */
} base_t;

struct publish {
    bus_t *bus;
    const char *run;
    uint64_t epoch;
    upload_t uploads[CONF_LIST_MAX];
    size_t n;
    buf_t extra;
    uint64_t extra_call;
    base_t bases[CONF_LIST_MAX]; /* each goes to the bus once */
    size_t bases_n;
    bool retiring;
};

publish_t *publish_new (bus_t *bus, const char *run, uint64_t epoch, err_t *err)
{
    publish_t *publish = calloc (1, sizeof *publish);
    if (!publish) {
        err_set (err, ERR_LIMIT, "no memory to publish policies");
        return NULL;
    }
    *publish = (publish_t){.bus = bus, .run = run, .epoch = epoch, .extra.max = SIZE_MAX};
    return publish;
}

void publish_destroy (publish_t **publish)
{
    if (*publish)
        buf_free (&(*publish)->extra);
    free (*publish);
    *publish = NULL;
}

/*  The offer that an upload waits for until the bus has the base; 0 when it does. */
static uint64_t publish_offer_base (publish_t *publish, const policy_t *base)
{
    for (size_t b = 0; b < publish->bases_n; b++)
        if (publish->bases[b].policy == base)
            return publish->bases[b].call;
    if (!base)
        return 0;
    base_t added = {base, bus_lend (publish->bus, &base->version.hash, base->bytes, base->bytes_n)};
    if (added.call) /* else there was no memory: with the next version */
        publish->bases[publish->bases_n++] = added;
    return added.call;
}

/*  Copied, unlike the weights: texts are small, and the caller may change them. */
static uint64_t publish_offer_text (publish_t *publish, const char *text)
{
    return text ? bus_offer (publish->bus, text, strlen (text)) : 0;
}

/*  Weights are lent, not copied: they stay as they are until publish_done says that the bus has
 *  them, and only then the next update may change them. */
static void publish_start (publish_t *publish, upload_t *upload)
{
    const policy_t *p = upload->policy;
    bus_t *bus = publish->bus;
    for (size_t o = 0; o < BASE; o++)
        /* Cancelling waits until the courier has let go of the lent weights; only then they may
           change. */
        if (upload->offers[o])
            bus_cancel (bus, upload->offers[o]); /* of weights that are no more */
    *upload = (upload_t){
        .policy = p,
        .version = p->version,
        .offers = {[CONFIG] = publish_offer_text (publish, p->config_text),
                   [TOKENIZER] = publish_offer_text (publish, p->tokenizer_text),
                   [WEIGHTS] = bus_lend (bus, &p->version.hash, p->bytes, p->bytes_n),
                   [DELTA] = p->delta.size ? bus_offer (bus, p->delta.data, p->delta.size) : 0,
                   [ADAPTER] = publish_offer_text (publish, p->adapter_text),
                   [BASE] = publish_offer_base (publish, p->base)}};
}

/*  What is still under way of the version before is cancelled first (publish_start). */
int publish_versions (publish_t *publish, policy_t *const *policies, size_t n, err_t *err)
{
    if (n > CONF_LIST_MAX)
        return err_set (err, ERR_LIMIT, "%zu policies; at most %d", n, CONF_LIST_MAX);
    publish->n = n;
    for (size_t i = 0; i < n; i++) {
        upload_t *upload = &publish->uploads[i];
        const wire_version_t *version = &policies[i]->version;
        /* One that does not learn is there for good. */
        if (upload->announced && upload->policy == policies[i] &&
            upload->version.number == version->number &&
            hash_equal (&upload->version.hash, &version->hash))
            continue;
        upload->policy = policies[i];
        publish_start (publish, upload);
    }
    return 0;
}

/*  The copy is for a bus that restarts: it gets this, too, once more. */
int publish_extra (publish_t *publish, const void *data, size_t size, err_t *err)
{
    buf_clear (&publish->extra);
    buf_append (&publish->extra, data, size);
    if (buf_failed (&publish->extra))
        return err_set (err, ERR_LIMIT, "no memory for an object of %zu bytes", size);
    publish->extra_call = bus_offer (publish->bus, data, size);
    return 0;
}

/*  The objects that a manifest names. The bus takes a manifest only when it holds all of these,
 *  and keeps them as long as the manifest. */
static size_t publish_needed (const wire_manifest_t *m, hash_t objects[OBJECTS])
{
    const hash_t *named[OBJECTS] = {
        [CONFIG] = &m->config, [TOKENIZER] = &m->tokenizer, [WEIGHTS] = &m->version.hash,
        [DELTA] = &m->delta,   [ADAPTER] = &m->adapter,     [BASE] = &m->base};
    size_t n = 0;
    for (size_t o = 0; o < OBJECTS; o++)
        if (!hash_is_zero (named[o]))
            objects[n++] = *named[o];
    return n;
}

static wire_manifest_t publish_manifest_of (const publish_t *publish, const policy_t *p)
{
    /* An agent that has the version before may take the delta; any other takes the whole
       weights. */
    bool short_cut = p->delta.size > 0;
    wire_manifest_t manifest = {.run = publish->run,
                                .version = p->version,
                                .config = p->config_hash,
                                .tokenizer = p->tokenizer_hash,
                                .dtype = policy_dtype (p),
                                .compute = policy_compute (p),
                                .size = p->bytes_n,
                                .before = short_cut ? p->before : (hash_t){{0}},
                                .delta_size = p->delta.size,
                                .numerics = model_isa ()};
    if (short_cut)
        manifest.delta = hash_object (p->delta.data, p->delta.size);
    if (p->base) {
        manifest.base = p->base->version.hash;
        manifest.base_size = p->base->bytes_n;
        manifest.adapter = p->adapter_hash;
    }
    return manifest;
}

/*  Until the bus has answered for this as well, nobody can sample the version, and publish_done
 *  stays false. */
static int publish_announce (publish_t *publish, upload_t *upload, err_t *err)
{
    const policy_t *p = upload->policy;
    wire_manifest_t manifest = publish_manifest_of (publish, p);
    hash_t objects[OBJECTS];
    size_t n = publish_needed (&manifest, objects);
    buf_t bytes = {0};
    wire_manifest_pack (&manifest, &bytes);
    int rc = buf_failed (&bytes)
                 ? err_set (err, ERR_LIMIT, "no memory for the manifest of policy %s", p->name)
                 : 0;
    if (rc == 0)
        upload->manifest = bus_manifest (publish->bus, publish->run, publish->epoch, p->name,
                                         bytes.data, bytes.size, objects, n);
    buf_free (&bytes);
    return rc;
}

static void publish_start_again (publish_t *publish)
{
    if (publish->retiring) { /* a new bus knows nothing of this run: that is what was wanted */
        for (size_t i = 0; i < publish->n; i++)
            publish->uploads[i].announced = true;
        return;
    }
    for (size_t b = 0; b < publish->bases_n; b++)
        if (publish->bases[b].call)
            bus_cancel (publish->bus, publish->bases[b].call);
    publish->bases_n = 0;
    for (size_t i = 0; i < publish->n; i++)
        publish_start (publish, &publish->uploads[i]);
    if (publish->extra.size)
        publish->extra_call = bus_offer (publish->bus, publish->extra.data, publish->extra.size);
    log_info ("policies.again", "policies=%zu text=\"the bus was restarted\"", publish->n);
}

/*  An answer, for one of this upload's calls or not. Returns -1 only when a manifest could not be
 *  packed. */
static int publish_take (publish_t *publish, upload_t *upload, uint64_t call, err_t *err)
{
    /* The last answer of an upload: agents can have this version now. */
    if (upload->manifest == call) {
        upload->manifest = 0;
        upload->announced = true;
        return 0;
    }
    size_t missing = 0;
    bool ours = false;
    for (size_t o = 0; o < OBJECTS; o++) {
        if (upload->offers[o] == call) {
            upload->offers[o] = 0;
            ours = true;
        }
        /* The base may be one of them, which several uploads wait for. */
        missing += upload->offers[o] != 0;
    }
    return ours && missing == 0 ? publish_announce (publish, upload, err) : 0;
}

/*  Whether an answer is for one of our calls: the critic's and others' come through here, too. */
static bool publish_waits_for (const publish_t *publish, uint64_t call)
{
    bool ours = call == publish->extra_call;
    for (size_t i = 0; i < publish->n; i++) {
        const upload_t *u = &publish->uploads[i];
        ours = ours || u->manifest == call;
        for (size_t o = 0; o < OBJECTS; o++)
            ours = ours || u->offers[o] == call;
    }
    return ours;
}

int publish_item (publish_t *publish, const bus_item_t *item, err_t *err)
{
    bool ours = (item->kind == BUS_OBJECT || item->kind == BUS_REPLY) && item->call != 0 &&
                publish_waits_for (publish, item->call);
    /* A bus that was restarted in between has not the objects that it answered for before. */
    if (item->kind == BUS_PEER || (ours && item->code == ERR_MISSING)) {
        publish_start_again (publish);
        return 1;
    }
    if (!ours)
        return 0;
    /* A bus without room says the same to whoever starts anew: the run ends, with the bus's
     * reason. */
    if (item->code != ERR_NONE && !publish->retiring)
        return err_set (err, item->code == ERR_LIMIT ? ERR_CONFIG : item->code,
                        "uploading to the bus: %s", item->text);
    if (item->call == publish->extra_call) {
        publish->extra_call = 0;
        return 1;
    }
    for (size_t b = 0; b < publish->bases_n; b++)
        if (item->call == publish->bases[b].call)
            /* Manifests name it, so the bus keeps it from version to version. */
            publish->bases[b].call = 0;
    for (size_t i = 0; i < publish->n; i++) /* a base is waited for by all */
        if (publish_take (publish, &publish->uploads[i], item->call, err) != 0)
            return -1;
    return 1;
}

/*  The manifest that says so needs no objects; the bus tells it to the agents, and then drops
 *  it. */
void publish_retire (publish_t *publish)
{
    static const hash_t none = {{0}};
    publish->retiring = true;
    for (size_t i = 0; i < publish->n; i++) {
        upload_t *upload = &publish->uploads[i];
        wire_manifest_t manifest = publish_manifest_of (publish, upload->policy);
        buf_t bytes = {0};
        manifest.retired = true;
        wire_manifest_pack (&manifest, &bytes);
        if (!buf_failed (&bytes))
            bus_manifest (publish->bus, publish->run, publish->epoch, upload->policy->name,
                          bytes.data, bytes.size, &none, 0);
        buf_free (&bytes);
        upload->manifest =
            bus_retire (publish->bus, publish->run, publish->epoch, upload->policy->name);
        /* From now on: the bus has answered that it is retired. Without memory for the question
           there is no answer to wait for. */
        upload->announced = upload->manifest == 0;
    }
}

bool publish_done (const publish_t *publish)
{
    /* The critic's state counts as well: a critic that was restarted would ask for it. */
    bool done = publish->extra_call == 0;
    for (size_t i = 0; i < publish->n; i++)
        done = done && publish->uploads[i].announced;
    return done;
}
