/*  versions - see versions.h */
#include "versions.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/hf.h"

#define FETCH_MS       120000 /* for one object; the bus resumes after a reconnect */
#define NAME_MAX_CHARS 64
#define CONFIG_MAX     ((size_t) 1 << 20)

/*  What decodes a version; goes to the next version of the same shape when this one retires. */
typedef struct engine {
    struct engine *next;
    hash_t config;
    model_t *model;
    sampler_t *sampler;
} engine_t;

struct version {
    version_t *next; /* newest first */
    char run[NAME_MAX_CHARS + 1], policy[NAME_MAX_CHARS + 1];
    wire_version_t name; /* its policy points at this struct's */
    hash_t config;
    uint64_t size;
    bool widen; /* weights come as bf16 */
    model_compute_t compute;
    uint64_t config_call, weights_call; /* fetches under way; 0: none */
    buf_t config_text;
    bool have_config;
    float *weights; /* verified and widened, until the model has them */
    engine_t *engine;
    bool retired;
};

struct versions {
    bus_t *bus;
    pool_t *pool;
    size_t rows, kept;
    version_t *first;
    engine_t *spare; /* engines without a version */
    int64_t swap_us;
};

versions_t *versions_new (bus_t *bus, pool_t *pool, size_t rows, size_t kept, err_t *err)
{
    versions_t *versions = calloc (1, sizeof *versions);
    if (!versions) {
        err_set (err, ERR_LIMIT, "no memory for the table of policy versions");
        return NULL;
    }
    *versions = (versions_t){.bus = bus, .pool = pool, .rows = rows, .kept = kept};
    return versions;
}

static void engine_destroy (engine_t *engine)
{
    sampler_destroy (&engine->sampler);
    model_destroy (&engine->model);
    free (engine);
}

/*  Keeps at most one spare engine: enough for one version to follow another. */
static void engine_spare (versions_t *versions, engine_t *engine)
{
    if (versions->spare)
        engine_destroy (versions->spare);
    versions->spare = engine;
}

static void version_destroy (versions_t *versions, version_t *version)
{
    if (version->config_call)
        bus_cancel (versions->bus, version->config_call);
    if (version->weights_call)
        bus_cancel (versions->bus, version->weights_call);
    if (version->engine)
        engine_spare (versions, version->engine);
    buf_free (&version->config_text);
    free (version->weights);
    free (version);
}

void versions_destroy (versions_t **versions)
{
    if (!*versions)
        return;
    for (version_t *v = (*versions)->first, *next; v; v = next) {
        next = v->next;
        version_destroy (*versions, v);
    }
    if ((*versions)->spare)
        engine_destroy ((*versions)->spare);
    free (*versions);
    *versions = NULL;
}

static version_t *lookup (const versions_t *versions, const char *run, const wire_version_t *name)
{
    for (version_t *v = versions->first; v; v = v->next)
        if (v->name.number == name->number && strcmp (v->policy, name->policy) == 0 &&
            strcmp (v->run, run) == 0 && hash_equal (&v->name.hash, &name->hash))
            return v;
    return NULL;
}

version_t *versions_find (versions_t *versions, const char *run, const wire_version_t *name)
{
    version_t *v = lookup (versions, run, name);
    return v && v->engine ? v : NULL;
}

bool versions_expected (const versions_t *versions, const char *run, const wire_version_t *name)
{
    return lookup (versions, run, name) != NULL;
}

sampler_t *version_sampler (const version_t *version)
{
    return version->engine->sampler;
}

const wire_version_t *version_name (const version_t *version)
{
    return &version->name;
}

static void unlink_version (versions_t *versions, version_t *version)
{
    for (version_t **at = &versions->first; *at; at = &(*at)->next)
        if (*at == version) {
            *at = version->next;
            return;
        }
}

/*  Retires what lies more than `kept` versions of the same policy back. A version with another hash and
 *  the same number is of an earlier life of the trainer. */
static void retire_old (versions_t *versions, const version_t *newest)
{
    size_t same = 0;
    for (version_t *v = versions->first; v; v = v->next)
        if (strcmp (v->run, newest->run) == 0 && strcmp (v->policy, newest->policy) == 0 &&
            ++same > versions->kept)
            v->retired = true;
}

static int version_new (versions_t *versions, const wire_manifest_t *manifest, err_t *err)
{
    if (strlen (manifest->run) > NAME_MAX_CHARS ||
        strlen (manifest->version.policy) > NAME_MAX_CHARS)
        return err_set (err, ERR_INPUT, "names of run and policy have at most %d characters",
                        NAME_MAX_CHARS);
    bool bf16 = strcmp (manifest->dtype, "bf16") == 0;
    if (!bf16 && strcmp (manifest->dtype, "f32") != 0)
        return err_set (err, ERR_INPUT, "weights of type '%s'; known: f32, bf16", manifest->dtype);
    version_t *v = calloc (1, sizeof *v);
    if (!v)
        return err_set (err, ERR_LIMIT, "no memory for a policy version");
    memcpy (v->run, manifest->run, strlen (manifest->run));
    memcpy (v->policy, manifest->version.policy, strlen (manifest->version.policy));
    v->name = manifest->version;
    v->name.policy = v->policy;
    v->config = manifest->config;
    v->size = manifest->size;
    v->widen = bf16;
    v->compute = strcmp (manifest->compute, "bf16") == 0 ? COMPUTE_BF16 : COMPUTE_F32;
    v->config_call = bus_fetch (versions->bus, &manifest->config, 0, FETCH_MS);
    v->weights_call = bus_fetch (versions->bus, &v->name.hash, v->size, FETCH_MS);
    v->next = versions->first;
    versions->first = v;
    retire_old (versions, v);
    return 0;
}

int versions_manifest (versions_t *versions, const wire_manifest_t *manifest, err_t *err)
{
    version_t *v = lookup (versions, manifest->run, &manifest->version);
    if (v) {
        v->retired = v->retired || manifest->retired;
        return 0;
    }
    if (manifest->retired)
        return 0;
    return version_new (versions, manifest, err);
}

/*  An engine of this shape: the spare one when it fits, else a new one. */
static engine_t *engine_for (versions_t *versions, const version_t *v, err_t *err)
{
    engine_t *engine = versions->spare;
    if (engine && hash_equal (&engine->config, &v->config) &&
        model_compute (engine->model) == v->compute) {
        versions->spare = NULL;
        return engine;
    }
    hf_config_t config;
    if (hf_config_parse (v->config_text.data, NULL, &config, err) != 0)
        return NULL;
    engine = calloc (1, sizeof *engine);
    if (!engine) {
        err_set (err, ERR_LIMIT, "no memory for a model");
        return NULL;
    }
    engine->config = v->config;
    engine->model = model_new (&config.model, v->compute, err);
    if (engine->model)
        engine->sampler = sampler_new (engine->model, versions->rows, versions->pool, err);
    if (!engine->sampler) {
        engine_destroy (engine);
        return NULL;
    }
    return engine;
}

static int version_ready (versions_t *versions, version_t *v, err_t *err)
{
    int64_t start = clock_us ();
    engine_t *engine = engine_for (versions, v, err);
    if (!engine)
        return -1;
    size_t params = model_params (engine->model);
    if (v->size != params * (v->widen ? 2 : 4)) {
        engine_spare (versions, engine);
        return err_set (err, ERR_INPUT, "its weights have %llu bytes, its config.json needs %zu",
                        (unsigned long long) v->size, params * (v->widen ? 2 : 4));
    }
    model_set (engine->model, v->weights, versions->pool);
    free (v->weights);
    v->weights = NULL;
    v->engine = engine;
    versions->swap_us = clock_us () - start;
    log_debug ("policy.held", "run=%s policy=%s version=%llu us=%lld", v->run, v->policy,
               (unsigned long long) v->name.number, (long long) versions->swap_us);
    return 0;
}

static float *widened (const void *data, size_t size, bool bf16)
{
    float *weights = malloc (bf16 ? size * 2 : size);
    if (!weights || !bf16)
        return weights ? memcpy (weights, data, size) : NULL;
    for (size_t i = 0; i < size / 2; i++) {
        uint16_t half;
        memcpy (&half, (const char *) data + 2 * i, sizeof half);
        uint32_t word = (uint32_t) half << 16;
        memcpy (&weights[i], &word, sizeof word);
    }
    return weights;
}

static int take_object (versions_t *versions, version_t *v, const bus_item_t *item, err_t *err)
{
    bool is_config = v->config_call == item->call;
    *(is_config ? &v->config_call : &v->weights_call) = 0;
    if (item->code != ERR_NONE)
        return err_set (err, item->code, "%s", item->text);
    if (is_config) {
        if (item->size > CONFIG_MAX)
            return err_set (err, ERR_LIMIT, "its config.json has %zu bytes", item->size);
        buf_append (&v->config_text, item->payload, item->size);
        v->have_config = true;
    } else {
        v->weights = widened (item->payload, item->size, v->widen);
        if (!v->weights)
            return err_set (err, ERR_LIMIT, "no memory for %zu bytes of weights", item->size);
    }
    return v->have_config && v->weights ? version_ready (versions, v, err) : 0;
}

bool versions_object (versions_t *versions, const bus_item_t *item)
{
    for (version_t *v = versions->first; v; v = v->next) {
        if (v->config_call != item->call && v->weights_call != item->call)
            continue;
        err_t err = {0};
        if (take_object (versions, v, item, &err) != 0) {
            err_wrap (&err, "policy %s version %llu of run %s", v->policy,
                      (unsigned long long) v->name.number, v->run);
            log_err ("policy.dropped", &err);
            unlink_version (versions, v);
            version_destroy (versions, v);
        }
        return true;
    }
    return false;
}

void versions_each_busy (versions_t *versions, void (*each) (void *context, version_t *version),
                         void *context)
{
    for (version_t *v = versions->first, *next; v; v = next) {
        next = v->next;
        if (v->engine && sampler_pending (v->engine->sampler) > 0) {
            each (context, v);
        } else if (v->retired) {
            unlink_version (versions, v);
            version_destroy (versions, v);
        }
    }
}

versions_status_t versions_status (const versions_t *versions)
{
    versions_status_t status = {.swap_us = versions->swap_us};
    for (const version_t *v = versions->first; v; v = v->next) {
        if (!v->engine) {
            status.expected++;
            continue;
        }
        status.held++;
        status.bytes += model_bytes (v->engine->model) + sampler_bytes (v->engine->sampler);
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
            newer = o != v && o->engine && o->name.number > v->name.number &&
                    strcmp (o->run, v->run) == 0 && strcmp (o->policy, v->policy) == 0;
        if (v->engine && !newer)
            each (context, v->run, &v->name);
    }
}
