/*  build - see build.h */
#include "build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "formats/hf.h"
#include "formats/peft.h"
#include "model/delta.h"
#include "model/lora.h"

struct build {
    build_parts_t parts;
    pthread_t thread;
    model_t *model;
    err_t err;
    atomic_bool done;
};

/*  Only these two were taken over; the models are borrowed. */
static void build_free_parts (build_parts_t *parts)
{
    free (parts->config);
    free (parts->bytes);
}

static int build_no_memory (const build_t *b, err_t *err)
{
    return err_set (err, ERR_LIMIT, "no memory for %llu bytes of weights",
                    (unsigned long long) b->parts.size);
}

/*  The weights as they travel: a delta changes the published bytes, and not the model's own layout
 *  of them. */
static char *build_bytes_of (const model_t *model, size_t width, err_t *err)
{
    char *bytes = pages_alloc (model_params (model) * width);
    /* No pool: its threads are the ones that decode meanwhile. */
    if (bytes && model_pour_bytes (model, bytes, width, NULL, err) == 0)
        return bytes;
    free (bytes);
    return NULL;
}

/*  Puts the whole in the delta's place. */
static int build_assemble (build_t *b, err_t *err)
{
    build_parts_t *p = &b->parts;
    size_t width = p->halves ? 2 : 4, size = model_params (p->before) * width;
    char *whole = build_bytes_of (p->before, width, err);
    if (!whole)
        return build_no_memory (b, err);
    int rc = delta_apply (&(delta_layout_t){p->before, width}, whole, p->bytes, p->size, err);
    hash_t hash = rc == 0 ? hash_object (whole, size) : (hash_t){{0}};
    /* The bus verified the delta's bytes only. Whether they were applied to the right ones shows in
     * the hash of the whole alone. */
    if (rc == 0 && !hash_equal (&hash, &p->hash))
        rc = err_set (err, ERR_INPUT, "the delta leads to other weights than it should");
    free (p->bytes);
    p->bytes = whole;
    p->size = size;
    return rc;
}

/*  A model of the shape that the config says, without weights. */
static model_t *build_shaped (const build_parts_t *p, err_t *err)
{
    hf_config_t config;
    lora_config_t lora;
    if (p->base)
        return peft_parse (p->config, &lora, err) == 0 ? lora_new (p->base, &lora, err) : NULL;
    return hf_config_parse (p->config, NULL, &config, err) == 0
               ? model_new (&config.model, p->compute, err)
               : NULL;
}

/*  The number of bytes is compared with what the configuration needs before they are read: the two
 *  come as separate objects, and nothing else says that they belong together. */
static int build_make_model (build_t *b, err_t *err)
{
    build_parts_t *p = &b->parts;
    model_t *model = build_shaped (p, err);
    if (!model)
        return -1;
    size_t width = p->halves ? 2 : 4, wanted = model_params (model) * width;
    int rc =
        p->size == wanted
            ? model_fill_bytes (model, p->bytes, width, NULL, err)
            : err_set (err, ERR_INPUT, "its weights have %llu bytes, its configuration needs %zu",
                       (unsigned long long) p->size, wanted);
    if (rc != 0)
        model_destroy (&model);
    b->model = model;
    return rc;
}

/*  The thread. Until `done` is set, all of build_t is its own; after that only build_finish reads
 *  it. */
static void *build_run (void *context)
{
    build_t *b = context;
    if (!b->parts.before || build_assemble (b, &b->err) == 0)
        build_make_model (b, &b->err);
    build_free_parts (
        &b->parts); /* large ones take milliseconds, which decoding need not wait for */
    /* First the flag, then the wake: whoever is woken must find it set, or would go back to
     * sleep. */
    atomic_store (&b->done, true);
    bus_wake (b->parts.bus);
    return NULL;
}

/*  The caller's parts are gone in any case, so it need not know how far this came. */
build_t *build_start (const build_parts_t *parts, err_t *err)
{
    build_t *b = calloc (1, sizeof *b);
    if (b) {
        b->parts = *parts;
        if (pthread_create (&b->thread, NULL, build_run, b) == 0)
            return b;
    }
    err_set (err, ERR_LIMIT, "no memory, or no thread, to make a model");
    build_free_parts (&(build_parts_t){.config = parts->config, .bytes = parts->bytes});
    free (b);
    return NULL;
}

bool build_done (const build_t *build)
{
    return atomic_load (&build->done);
}

model_t *build_finish (build_t **build, err_t *err)
{
    build_t *b = *build;
    /* Also makes what the thread wrote visible here. */
    pthread_join (b->thread, NULL);
    model_t *model = b->model;
    if (!model)
        *err = b->err;
    free (b);
    *build = NULL;
    return model;
}
