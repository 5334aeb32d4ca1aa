/*  publish - see publish.h */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { CONFIG, TOKENIZER, WEIGHTS, DELTA, OBJECTS };

typedef struct {
    const policy_t *policy;
    uint64_t offers[OBJECTS]; /* bus calls under way; 0: the bus holds it */
    uint64_t manifest;        /* bus call under way */
    bool announced;           /* the bus has the manifest */
} upload_t;

struct publish {
    bus_t *bus;
    const char *run;
    uint64_t epoch;
    upload_t uploads[CONF_LIST_MAX];
    size_t n;
    buf_t extra;
    uint64_t extra_call;
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

static void start (publish_t *publish, upload_t *upload)
{
    const policy_t *p = upload->policy;
    bus_t *bus = publish->bus;
    for (size_t o = 0; o < OBJECTS; o++)
        if (upload->offers[o])
            bus_cancel (bus, upload->offers[o]); /* of weights that are no more */
    *upload = (upload_t){
        .policy = p,
        .offers = {
            [CONFIG] = bus_offer (bus, publish->run, p->config_text, strlen (p->config_text)),
            [TOKENIZER] =
                bus_offer (bus, publish->run, p->tokenizer_text, strlen (p->tokenizer_text)),
            [WEIGHTS] = bus_lend (bus, &p->version.hash, p->bytes, p->bytes_n),
            [DELTA] =
                p->delta.size ? bus_offer (bus, publish->run, p->delta.data, p->delta.size) : 0}};
}

int publish_versions (publish_t *publish, policy_t *const *policies, size_t n, err_t *err)
{
    if (n > CONF_LIST_MAX)
        return err_set (err, ERR_LIMIT, "%zu policies; at most %d", n, CONF_LIST_MAX);
    publish->n = n;
    for (size_t i = 0; i < n; i++) {
        publish->uploads[i].policy = policies[i];
        start (publish, &publish->uploads[i]);
    }
    return 0;
}

int publish_extra (publish_t *publish, const void *data, size_t size, err_t *err)
{
    buf_clear (&publish->extra);
    buf_append (&publish->extra, data, size);
    if (buf_failed (&publish->extra))
        return err_set (err, ERR_LIMIT, "no memory for an object of %zu bytes", size);
    publish->extra_call = bus_offer (publish->bus, publish->run, data, size);
    return 0;
}

static int announce (publish_t *publish, upload_t *upload, err_t *err)
{
    const policy_t *p = upload->policy;
    hash_t objects[OBJECTS] = {p->config_hash, p->tokenizer_hash, p->version.hash};
    bool short_cut = p->delta.size > 0;
    if (short_cut)
        objects[DELTA] = hash_object (p->delta.data, p->delta.size);
    wire_manifest_t manifest = {.run = publish->run,
                                .version = p->version,
                                .config = p->config_hash,
                                .tokenizer = p->tokenizer_hash,
                                .dtype = policy_dtype (p),
                                .compute = policy_dtype (p),
                                .size = p->bytes_n,
                                .before = short_cut ? p->before : (hash_t){{0}},
                                .delta = objects[DELTA],
                                .delta_size = p->delta.size};
    buf_t bytes = {0};
    wire_manifest_pack (&manifest, &bytes);
    int rc = buf_failed (&bytes)
                 ? err_set (err, ERR_LIMIT, "no memory for the manifest of policy %s", p->name)
                 : 0;
    if (rc == 0)
        upload->manifest =
            bus_manifest (publish->bus, publish->run, publish->epoch, p->name, bytes.data,
                          bytes.size, objects, short_cut ? OBJECTS : DELTA);
    buf_free (&bytes);
    return rc;
}

static void start_again (publish_t *publish)
{
    for (size_t i = 0; i < publish->n; i++)
        start (publish, &publish->uploads[i]);
    if (publish->extra.size)
        publish->extra_call =
            bus_offer (publish->bus, publish->run, publish->extra.data, publish->extra.size);
    log_info ("policies.again", "policies=%zu text=\"the bus was restarted\"", publish->n);
}

/*  An answer for one of this upload's calls: 1 when it was, else 0. */
static int take (publish_t *publish, upload_t *upload, uint64_t call, err_t *err)
{
    if (upload->manifest == call) {
        upload->manifest = 0;
        upload->announced = true;
        return 1;
    }
    size_t missing = 0, ours = 0;
    for (size_t o = 0; o < OBJECTS; o++) {
        if (upload->offers[o] == call) {
            upload->offers[o] = 0;
            ours = 1;
        }
        missing += upload->offers[o] != 0;
    }
    if (ours && missing == 0 && announce (publish, upload, err) != 0)
        return -1;
    return (int) ours;
}

static bool waits_for (const publish_t *publish, uint64_t call)
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
    if (item->kind == BUS_PEER) {
        start_again (publish);
        return 1;
    }
    if ((item->kind != BUS_OBJECT && item->kind != BUS_REPLY) || item->call == 0 ||
        !waits_for (publish, item->call))
        return 0;
    if (item->code != ERR_NONE)
        return err_set (err, item->code, "uploading to the bus: %s", item->text);
    if (item->call == publish->extra_call) {
        publish->extra_call = 0;
        return 1;
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < publish->n; i++)
        rc = take (publish, &publish->uploads[i], item->call, err);
    return rc;
}

bool publish_done (const publish_t *publish)
{
    bool done = publish->extra_call == 0;
    for (size_t i = 0; i < publish->n; i++)
        done = done && publish->uploads[i].announced;
    return done;
}
