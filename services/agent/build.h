/*  build - makes a policy version's model from what was fetched, in a thread of its own: decoding
 *  goes on.
 *
 *      build_t *build = build_start (&parts, &err);
 *      ... build_done (build) ...                          the bus is woken when it is
 *      model_t *model = build_finish (&build, &err);
 */
#ifndef QUINTET_AGENT_BUILD_H
#define QUINTET_AGENT_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "bus/bus.h"
#include "model/model.h"

typedef struct {
    char *config; /* text of config.json, or with a base of adapter_config.json; taken over */
    model_compute_t compute;
    const model_t
        *base;   /* that the weights are adapters of, or NULL. Must stay while the model does */
    bool halves; /* weights travel as bf16, else as f32 */
    void *bytes; /* the weights, or what changed since `before`; taken over */
    uint64_t size;
    const model_t *before; /* NULL: bytes are the whole. Must stay as it is until the end */
    model_t *room;         /* of that configuration, no longer in use; taken over. NULL: none */
    hash_t hash;           /* of the whole, when it is put together from a delta */
    bus_t *bus;            /* woken at the end */
} build_parts_t;

typedef struct build build_t;

/*  Takes its parts over, also when it fails. */
build_t *build_start (const build_parts_t *parts, err_t *err);
bool build_done (const build_t *build);
/*  Waits for the end. The model is the caller's; NULL and why when the parts make none. */
model_t *build_finish (build_t **build, err_t *err);

#endif
