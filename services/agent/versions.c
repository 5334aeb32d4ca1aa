/*  versions - see versions.h */
#include "versions.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "build.h"
#include "model/past.h"
#include "shapes.h"

#define FETCH_MS       120000 /* for one object; the bus resumes after a reconnect */
#define NAME_MAX_CHARS 64
#define CONFIG_MAX     ((size_t) 1 << 20)

struct version {
    version_t *next; /* newest first */
    char run[NAME_MAX_CHARS + 1], policy[NAME_MAX_CHARS + 1];
    wire_version_t name; /* its policy points at this struct's */
    hash_t config;
    hash_t adapter;  /* zero: the weights are all, not adapters */
    version_t *base; /* held: what the adapters go on */
    bool is_base;    /* of others, nobody's version */
    uint64_t size;
    bool halves; /* weights travel as bf16 */
    model_compute_t compute;
    uint64_t config_call, weights_call; /* fetches under way; 0: none */
    char *config_text;
    void *bytes; /* fetched: the weights, or the delta */
    uint64_t bytes_n;
    version_t *before; /* held: bytes are, or will be, what changed since */
    build_t *build;
    model_t *model; /* complete: the version is usable */
    shape_t *shape;
    size_t holders;
    bool retired;
    err_t refused; /* why it was not fetched; ERR_NONE: it was */
};

struct versions {
    bus_t *bus;
    pool_t *pool;
    size_t rows, kept;
    past_t *past;
    version_t *first;
    shape_t *shapes;
    uint64_t deltas;
};

versions_t *versions_new (bus_t *bus, pool_t *pool, size_t rows, size_t kept, size_t past,
                          err_t *err)
{
    versions_t *versions = calloc (1, sizeof *versions);
    if (!versions) {
        err_set (err, ERR_LIMIT, "no memory for the table of policy versions");
        return NULL;
    }
    *versions = (versions_t){
        .bus = bus, .pool = pool, .rows = rows, .kept = kept, .past = past_new (past, err)};
    if (!versions->past)
        versions_destroy (&versions);
    return versions;
}

/*  ---- shapes --------------------------------------------------------------------------------- */

static shape_key_t versions_key_of (const version_t *v)
{
    return (shape_key_t){.config = v->config, .adapter = v->adapter, .compute = v->compute};
}

static shape_t *versions_find_shape (const versions_t *versions, const version_t *v)
{
    shape_key_t key = versions_key_of (v);
    return shapes_find (versions->shapes, &key);
}

static shape_t *versions_shape_of (versions_t *versions, const version_t *v, err_t *err)
{
    shape_key_t key = versions_key_of (v);
    shape_t *shape = versions_find_shape (versions, v);
    return shape ? shape
                 : shapes_add (&versions->shapes, &key, v->model, versions->rows, versions->pool,
                               err);
}

/*  The shape whose room is for such versions: adapters are small, and stand on a base that may go
 *  as well. */
static shape_t *versions_roomy_shape (const versions_t *versions, const version_t *v)
{
    return v->is_base || v->base ? NULL : versions_find_shape (versions, v);
}

/*  Frees shapes that no version has. */
static void versions_sweep_shapes (versions_t *versions)
{
    for (shape_t **at = &versions->shapes; *at;) {
        shape_t *shape = *at;
        const version_t *v = versions->first;
        while (v && (v->is_base || versions_find_shape (versions, v) != shape))
            v = v->next;
        if (v) {
            at = &shape->next;
            continue;
        }
        *at = shape->next;
        shape_destroy (shape);
    }
}

/*  ---- a version's life ----------------------------------------------------------------------- */

static void versions_free_bytes (version_t *v)
{
    free (v->bytes);
    v->bytes = NULL;
    v->bytes_n = 0;
}

/*  A delta needs the version before until its model is made, adapters need their base as long as
 *  they live. Both are held, so that neither is freed under them. */
static void versions_leave_before (version_t *v)
{
    if (v->before)
        v->before->holders--;
    v->before = NULL;
}

static void versions_leave_base (version_t *v)
{
    if (v->base)
        v->base->holders--;
    v->base = NULL;
}

/*  The thread that builds reads the version before and the base, so it has ended before those are
 *  let go. */
static void version_destroy (versions_t *versions, version_t *v)
{
    if (v->config_call)
        bus_cancel (versions->bus, v->config_call);
    if (v->weights_call)
        bus_cancel (versions->bus, v->weights_call);
    if (v->build)
        v->model = build_finish (&v->build, &(err_t){0});
    past_forget (versions->past, v->model);
    shape_leave_room (versions_roomy_shape (versions, v), &v->model);
    model_destroy (&v->model);
    versions_leave_before (v);
    versions_leave_base (v);
    versions_free_bytes (v);
    free (v->config_text);
    free (v);
}

void versions_destroy (versions_t **self)
{
    versions_t *versions = *self;
    if (!versions)
        return;
    for (version_t *v = versions->first; v; v = v->next) {
        versions_leave_before (v);
        versions_leave_base (v);
    }
    for (version_t *v = versions->first, *next; v; v = next) {
        next = v->next;
        version_destroy (versions, v);
    }
    versions->first = NULL;
    versions_sweep_shapes (versions);
    past_destroy (&versions->past);
    free (versions);
    *self = NULL;
}

/*  The hash as well: a run that began anew counts from the same numbers. */
static version_t *versions_lookup (const versions_t *versions, const char *run,
                                   const wire_version_t *name)
{
    for (version_t *v = versions->first; v; v = v->next)
        if (!v->is_base && v->name.number == name->number &&
            strcmp (v->policy, name->policy) == 0 && strcmp (v->run, run) == 0 &&
            hash_equal (&v->name.hash, &name->hash))
            return v;
    return NULL;
}

version_t *versions_find (versions_t *versions, const char *run, const wire_version_t *name)
{
    version_t *v = versions_lookup (versions, run, name);
    return v && v->model ? v : NULL;
}

bool versions_expected (const versions_t *versions, const char *run, const wire_version_t *name)
{
    return versions_lookup (versions, run, name) != NULL;
}

const err_t *versions_refused (const versions_t *versions, const char *run,
                               const wire_version_t *name)
{
    const version_t *v = versions_lookup (versions, run, name);
    return v && v->refused.code ? &v->refused : NULL;
}

void version_hold (version_t *version)
{
    version->holders++;
}

void version_release (version_t *version)
{
    version->holders--;
}

const model_t *version_model (const version_t *version)
{
    return version->model;
}

sampler_t *version_sampler (const version_t *version)
{
    return version->shape->sampler;
}

const wire_version_t *version_name (const version_t *version)
{
    return &version->name;
}

static void versions_unlink_version (versions_t *versions, version_t *version)
{
    for (version_t **at = &versions->first; *at; at = &(*at)->next)
        if (*at == version) {
            *at = version->next;
            return;
        }
}

/*  With a base go those that were to stand on it. */
static void versions_drop (versions_t *versions, version_t *v, err_t *err)
{
    for (version_t *o = versions->first, *next; v->is_base && o; o = next) {
        err_t why = *err;
        next = o->next;
        if (o->base == v)
            versions_drop (versions, o, &why);
    }
    if (v->is_base)
        err_wrap (err, "a base of adapters");
    else
        err_wrap (err, "policy %s version %llu of run %s", v->policy,
                  (unsigned long long) v->name.number, v->run);
    log_err ("policy.dropped", err);
    versions_unlink_version (versions, v);
    version_destroy (versions, v);
    versions_sweep_shapes (versions);
}

/*  ---- manifests ------------------------------------------------------------------------------ */

/*  Retires what lies more than `kept` versions of the same policy back. A version with another
 *  hash and the same number is of an earlier life of the trainer. */
static void versions_retire_old (versions_t *versions, const version_t *newest)
{
    size_t same = 0;
    for (version_t *v = versions->first; v; v = v->next)
        if (strcmp (v->run, newest->run) == 0 && strcmp (v->policy, newest->policy) == 0 &&
            ++same > versions->kept)
            v->retired = true;
}

/*  The version that a delta starts from, when it is here and computes with the bits that were
 *  published. */
static version_t *versions_held_before (const versions_t *versions, const wire_manifest_t *manifest,
                                        const version_t *v)
{
    for (version_t *b = versions->first; !hash_is_zero (&manifest->delta) && b; b = b->next)
        if (b->model && b->base == v->base && b->halves == v->halves && b->compute == v->compute &&
            hash_equal (&b->config, &v->config) && hash_equal (&b->name.hash, &manifest->before))
            return b;
    return NULL;
}

static void versions_fetch_whole (versions_t *versions, version_t *v)
{
    versions_leave_before (v);
    v->weights_call = bus_fetch (versions->bus, &v->name.hash, v->size, FETCH_MS);
}

static void versions_fetch_weights (versions_t *versions, version_t *v,
                                    const wire_manifest_t *manifest)
{
    v->before = versions_held_before (versions, manifest, v);
    if (!v->before) {
        versions_fetch_whole (versions, v);
        return;
    }
    version_hold (v->before);
    v->weights_call = bus_fetch (versions->bus, &manifest->delta, manifest->delta_size, FETCH_MS);
}

/*  Before anything else, since a version's own fields for the names are of a fixed size. */
static int versions_check_names (const wire_manifest_t *m, err_t *err)
{
    if (strlen (m->run) > NAME_MAX_CHARS || strlen (m->version.policy) > NAME_MAX_CHARS)
        return err_set (err, ERR_INPUT, "names of run and policy have at most %d characters",
                        NAME_MAX_CHARS);
    return 0;
}

static int versions_check_manifest (const wire_manifest_t *m, err_t *err)
{
    const char *ours = model_isa ();
    if (strcmp (m->numerics, ours) != 0)
        return err_set (err, ERR_CONFIG,
                        "policy %s of run %s is trained with the kernels '%s', here they are '%s': "
                        "a run's machines must compute alike (QUINTET_ISA=%s picks kernels)",
                        m->version.policy, m->run, m->numerics, ours,
                        *m->numerics ? m->numerics : ours);
    if (strcmp (m->dtype, "bf16") != 0 && strcmp (m->dtype, "f32") != 0)
        return err_set (err, ERR_INPUT, "weights of type '%s'; known: f32, bf16", m->dtype);
    return 0;
}

/*  The base that a manifest names, when it is held or on its way. */
static version_t *versions_find_base (const versions_t *versions, const version_t *wanted)
{
    version_t *b = versions->first;
    while (b && !(b->is_base && b->compute == wanted->compute &&
                  hash_equal (&b->config, &wanted->config) &&
                  hash_equal (&b->name.hash, &wanted->name.hash)))
        b = b->next;
    return b;
}

/*  A base comes whole, belongs to no run, and is retired from the beginning: it stays while it is
 *  held. */
static int versions_hold_base (versions_t *versions, version_t *v, const wire_manifest_t *manifest,
                               err_t *err)
{
    version_t wanted = {.name = {.policy = "", .hash = manifest->base},
                        .config = manifest->config,
                        .size = manifest->base_size,
                        .halves = v->compute == COMPUTE_BF16,
                        .compute = v->compute,
                        .is_base = true,
                        .retired = true};
    v->base = versions_find_base (versions, &wanted);
    if (!v->base) {
        v->base = calloc (1, sizeof *v->base);
        if (!v->base)
            return err_set (err, ERR_LIMIT, "no memory for a policy's base");
        *v->base = wanted;
        v->base->config_call = bus_fetch (versions->bus, &manifest->config, 0, FETCH_MS);
        versions_fetch_whole (versions, v->base);
        v->base->next = versions->first;
        versions->first = v->base;
    }
    version_hold (v->base);
    return 0;
}

/*  A version that is refused stays known, with the reason, until it is retired. */
static int version_new (versions_t *versions, const wire_manifest_t *manifest, err_t *err)
{
    if (versions_check_names (manifest, err) != 0)
        return -1;
    version_t *v = calloc (1, sizeof *v);
    if (!v)
        return err_set (err, ERR_LIMIT, "no memory for a policy version");
    /* The manifest lies in its item's arena, so names are copied; their lengths were checked
     * above. */
    memcpy (v->run, manifest->run, strlen (manifest->run));
    memcpy (v->policy, manifest->version.policy, strlen (manifest->version.policy));
    v->name = manifest->version;
    v->name.policy = v->policy;
    v->config = manifest->config;
    v->size = manifest->size;
    v->halves = strcmp (manifest->dtype, "bf16") == 0;
    v->compute = strcmp (manifest->compute, "bf16") == 0 ? COMPUTE_BF16 : COMPUTE_F32;
    v->adapter = manifest->adapter;
    bool adapts = !hash_is_zero (&manifest->base);
    int rc = versions_check_manifest (manifest, &v->refused);
    if (rc == 0 && adapts && versions_hold_base (versions, v, manifest, err) != 0) {
        free (v);
        return -1;
    }
    if (rc == 0) {
        v->config_call =
            bus_fetch (versions->bus, adapts ? &v->adapter : &manifest->config, 0, FETCH_MS);
        versions_fetch_weights (versions, v, manifest);
    } else {
        *err = v->refused;
    }
    v->next = versions->first;
    versions->first = v;
    versions_retire_old (versions, v);
    return rc;
}

int versions_manifest (versions_t *versions, const wire_manifest_t *manifest, err_t *err)
{
    version_t *v = versions_lookup (versions, manifest->run, &manifest->version);
    if (v && v->refused.code && versions_check_manifest (manifest, &(err_t){0}) == 0) {
        versions_unlink_version (versions, v); /* the run began anew, under another trainer */
        version_destroy (versions, v);
        v = NULL;
    }
    if (v) {
        /* Also set by versions_retire_old, of which a manifest that comes again knows nothing. */
        v->retired = v->retired || manifest->retired;
        return 0;
    }
    if (manifest->retired)
        return 0;
    return version_new (versions, manifest, err);
}

/*  ---- from objects to a model ---------------------------------------------------------------- */

static int versions_start_build (versions_t *versions, version_t *v, err_t *err)
{
    build_parts_t parts = {.config = v->config_text,
                           .compute = v->compute,
                           .halves = v->halves,
                           .bytes = v->bytes,
                           .size = v->bytes_n,
                           .base = v->base ? v->base->model : NULL,
                           .before = v->before ? v->before->model : NULL,
                           .hash = v->name.hash,
                           .bus = versions->bus};
    if (v->before && !(parts.config = strdup (v->config_text)))
        return err_set (err, ERR_LIMIT, "no memory for its configuration");
    /* A delta may fail in the build, and the whole that is fetched then needs the text again. */
    v->config_text = v->before ? v->config_text : NULL;
    v->bytes = NULL;
    parts.room = shape_take_room (versions_roomy_shape (versions, v));
    v->build = build_start (&parts, err);
    return v->build ? 0 : -1;
}

/*  Whether all is here that a build takes. */
static bool versions_is_ready (const version_t *v)
{
    return v->config_text && v->bytes && (!v->base || v->base->model);
}

static int versions_take_config (version_t *v, const bus_item_t *item, err_t *err)
{
    if (item->size > CONFIG_MAX)
        return err_set (err, ERR_LIMIT, "its configuration has %zu bytes", item->size);
    v->config_text = strndup (item->payload, item->size);
    return v->config_text ? 0 : err_set (err, ERR_LIMIT, "no memory for its configuration");
}

static int versions_take_object (versions_t *versions, version_t *v, const bus_item_t *item,
                                 err_t *err)
{
    bool is_config = v->config_call == item->call;
    /* Over, whatever came: a call that has its answer must not be cancelled later. */
    *(is_config ? &v->config_call : &v->weights_call) = 0;
    if (item->code != ERR_NONE && !is_config && v->before) {
        versions_fetch_whole (versions, v); /* the bus keeps a delta for a while only */
        return 0;
    }
    if (item->code != ERR_NONE)
        return err_set (err, item->code, "%s", item->text);
    if (is_config && versions_take_config (v, item, err) != 0)
        return -1;
    if (!is_config) {
        v->bytes_n = item->size;
        v->bytes = bus_keep (versions->bus);
    }
    return versions_is_ready (v) ? versions_start_build (versions, v, err) : 0;
}

bool versions_object (versions_t *versions, const bus_item_t *item)
{
    for (version_t *v = versions->first; v; v = v->next) {
        if (v->config_call != item->call && v->weights_call != item->call)
            continue;
        err_t err = {0};
        if (versions_take_object (versions, v, item, &err) != 0)
            versions_drop (versions, v, &err);
        return true;
    }
    return false;
}

/*  A base is complete: those that waited for it go on. */
static void versions_start_waiting (versions_t *versions, const version_t *base)
{
    for (version_t *v = versions->first, *next; v; v = next) {
        err_t err = {0};
        next = v->next;
        if (v->base == base && versions_is_ready (v) &&
            versions_start_build (versions, v, &err) != 0)
            versions_drop (versions, v, &err);
    }
}

/*  A delta that does not lead to the version gives way to the whole. */
static int versions_finish_build (versions_t *versions, version_t *v, err_t *err)
{
    v->model = build_finish (&v->build, err);
    if (!v->model && v->before) {
        log_err ("policy.delta", err);
        *err = (err_t){0};
        versions_fetch_whole (versions, v);
        return 0;
    }
    if (v->model && v->is_base) {
        versions_start_waiting (versions, v);
        return 0;
    }
    if (!v->model || !(v->shape = versions_shape_of (versions, v, err)))
        return -1;
    versions->deltas += v->before != NULL;
    versions_leave_before (v);
    log_debug ("policy.held", "run=%s policy=%s version=%llu", v->run, v->policy,
               (unsigned long long) v->name.number);
    return 0;
}

bool versions_tidy (versions_t *versions)
{
    /* Retired versions wait here until their builds have ended and nobody holds them. */
    bool fresh = false;
    for (version_t *v = versions->first, *next; v; v = next) {
        err_t err = {0};
        next = v->next;
        if (v->build && build_done (v->build)) {
            if (versions_finish_build (versions, v, &err) != 0)
                versions_drop (versions, v, &err);
            else
                fresh = fresh || (v->model && !v->is_base);
        } else if (v->retired && !v->build && v->holders == 0) {
            versions_unlink_version (versions, v);
            version_destroy (versions, v);
            versions_sweep_shapes (versions);
        }
    }
    return fresh;
}

/*  ---- looking -------------------------------------------------------------------------------- */

past_t *versions_past (const versions_t *versions)
{
    return versions->past;
}

void versions_each_busy (versions_t *versions, void (*each) (void *context, sampler_t *sampler),
                         void *context)
{
    for (shape_t *shape = versions->shapes; shape; shape = shape->next)
        if (sampler_pending (shape->sampler) > 0)
            each (context, shape->sampler);
}

versions_status_t versions_status (const versions_t *versions)
{
    versions_status_t status = {.bytes = past_bytes (versions->past), .deltas = versions->deltas};
    for (const version_t *v = versions->first; v; v = v->next) {
        status.held += v->model && !v->is_base;
        status.expected += !v->model && !v->is_base;
        status.bytes += v->model ? model_bytes (v->model) : 0;
    }
    for (const shape_t *shape = versions->shapes; shape; shape = shape->next) {
        status.bytes += shape_bytes (shape);
        status.computed += sampler_computed (shape->sampler);
    }
    return status;
}

void versions_newest (const versions_t *versions,
                      void (*each) (void *context, const char *run, const wire_version_t *version),
                      void *context)
{
    for (const version_t *v = versions->first; v; v = v->next) {
        bool newer = false;
        for (const version_t *o = versions->first; o && !newer; o = o->next)
            newer = o != v && o->model && o->name.number > v->name.number &&
                    strcmp (o->run, v->run) == 0 && strcmp (o->policy, v->policy) == 0;
        if (v->model && !v->is_base && !newer)
            each (context, v->run, &v->name);
    }
}
