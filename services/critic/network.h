/*  network - the value network and its optimiser: one state, learnt from one to the next.
 *
 *      network_t *network = network_new (&shape, seed, pool, &err);
 *      network_values (network, records, values, &err);
 *      network_learn (network, records, returns, lr, &learnt, &err);
 *      network_bytes (network, &bytes);             the state as one object; network_parse reads it
 *      network_destroy (&network);
 *
 *  A transformer of lib/model with a scalar head reads each record's text; the value is the head's
 *  output at the last id. Learning is one AdamW step on the mean squared error against the
 *  episodes' joint rewards: a pure function of state, records and returns.
 */
#ifndef QUINTET_CRITIC_NETWORK_H
#define QUINTET_CRITIC_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/pool.h"
#include "records.h"

typedef struct {
    uint32_t width, layers, heads, context;
} network_shape_t;

typedef struct {
    double explained_variance; /* of the values before the update */
    double loss;               /* mean squared error before the update */
} network_learnt_t;

typedef struct network network_t;

network_t *network_new (const network_shape_t *shape, uint64_t seed, pool_t *pool, err_t *err);
/*  Everything is checked: the bytes come from the network. */
network_t *network_parse (const void *data, size_t size, pool_t *pool, err_t *err);
network_t *network_copy (const network_t *network, pool_t *pool, err_t *err);
void network_destroy (network_t **network);

size_t network_context (const network_t *network);
/*  Appends the state: shape, step count, weights, moments. */
void network_bytes (const network_t *network, buf_t *bytes);

/*  values: one per record. */
int network_values (network_t *network, const records_t *records, double *values, err_t *err);
/*  returns: one per record. */
int network_learn (network_t *network, const records_t *records, const double *returns, double lr,
                   network_learnt_t *learnt, err_t *err);

#endif
