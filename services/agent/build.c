/*  build - see build.h */
#include "build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

/*  Only these were taken over; the other models are borrowed. */
static void build_free_parts (build_parts_t *parts)
{
    model_destroy (&parts->room);
    free (parts->config);
    free (parts->bytes);
}

static model_t *build_new (const build_parts_t *p, err_t *err)
{
    hf_config_t config;
    lora_config_t lora;
    if (p->base)
        return peft_parse (p->config, &lora, err) == 0 ? lora_new (p->base, &lora, err) : NULL;
    return hf_config_parse (p->config, NULL, &config, err) == 0
               ? model_new (&config.model, p->compute, err)
               : NULL;
}

/*  A model of the shape that the config says, of any weights. Memory that was touched before is
 *  there at once; to get as much anew would take longer than to fill it. */
static model_t *build_shaped (build_parts_t *p, err_t *err)
{
    model_t *model = p->room;
    p->room = NULL;
    return model ? model : build_new (p, err);
}

/*  Weights pass by once, in pieces that stay in the cache: as they were, changed, hashed,
 *  packed. */
typedef struct {
    delta_t *delta;
    hash_stream_t *hash;
    size_t width;
} change_t;

static int build_change_piece (void *context, size_t n, char *bytes, err_t *err)
{
    change_t *c = context;
    if (delta_change (c->delta, n, bytes, err) != 0)
        return -1;
    hash_stream_add (c->hash, bytes, n * c->width);
    return 0;
}

/*  The bus verified the delta's bytes only. Whether they were applied to the right ones shows in
 *  the hash of the whole alone. */
static int build_from_before (build_t *b, model_t *model, err_t *err)
{
    build_parts_t *p = &b->parts;
    change_t c = {.width = p->halves ? 2 : 4};
    c.delta = delta_new (&(delta_layout_t){p->before, c.width}, p->bytes, p->size, err);
    c.hash = hash_stream_new ();
    int rc = c.delta && c.hash ? 0 : err_set (err, ERR_LIMIT, "no memory for a delta");
    if (rc == 0)
        rc = model_change (model, p->before, c.width, build_change_piece, &c, err);
    if (rc == 0)
        rc = delta_end (c.delta, err);
    hash_t hash = c.hash ? hash_stream_end (&c.hash) : (hash_t){{0}};
    if (rc == 0 && !hash_equal (&hash, &p->hash))
        rc = err_set (err, ERR_INPUT, "the delta leads to other weights than it should");
    delta_destroy (&c.delta);
    return rc;
}

/*  The number of bytes is compared with what the configuration needs before they are read: the two
 *  come as separate objects, and nothing else says that they belong together. */
static int build_from_whole (const build_parts_t *p, model_t *model, err_t *err)
{
    size_t width = p->halves ? 2 : 4, wanted = model_params (model) * width;
    /* No pool: its threads are the ones that decode meanwhile. */
    return p->size == wanted ? model_fill_bytes (model, p->bytes, width, NULL, err)
                             : err_set (err, ERR_INPUT,
                                        "its weights have %llu bytes, its configuration needs %zu",
                                        (unsigned long long) p->size, wanted);
}

static void build_make_model (build_t *b)
{
    model_t *model = build_shaped (&b->parts, &b->err);
    int rc = !model            ? -1
             : b->parts.before ? build_from_before (b, model, &b->err)
                               : build_from_whole (&b->parts, model, &b->err);
    if (rc != 0)
        model_destroy (&model);
    b->model = model;
}

/*  The thread. Until `done` is set, all of build_t is its own; after that only build_finish reads
 *  it. */
static void *build_run (void *context)
{
    build_t *b = context;
    build_make_model (b);
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
    build_free_parts (
        &(build_parts_t){.config = parts->config, .bytes = parts->bytes, .room = parts->room});
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
