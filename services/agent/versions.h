/*  versions - the policy versions that an agent holds, and those on their way.
 *
 *      versions_t *versions = versions_new (bus, pool, rows, kept, past, &err);
 *      versions_manifest (versions, manifest, &err);   announced on the bus: fetch it, or forget it
 *      versions_object (versions, item);                 an object arrived
 *      version_t *v = versions_find (versions, run, &version);
 *      versions_destroy (&versions);
 *
 *  A version is usable only when every object of it was verified by hash and its model is
 *  complete: it is made aside, by a thread, while others decode, and put in place by one pointer.
 *  Where the version before is held, only what changed is fetched. Versions of one shape share a
 *  sampler. Versions that are adapters share their base, which is fetched once and stays as long
 *  as one of them does.
 */
#ifndef QUINTET_AGENT_VERSIONS_H
#define QUINTET_AGENT_VERSIONS_H

#include <stdbool.h>

#include "base/pool.h"
#include "bus/bus.h"
#include "model/sampler.h"
#include "wire/wire.h"

typedef struct versions versions_t;
typedef struct version version_t;

/*  rows: completions that a sampler decodes at once. kept: versions of one policy that are held at
 *  most, the newest. past: bytes of sequences that go on. bus and pool are borrowed. */
versions_t *versions_new (bus_t *bus, pool_t *pool, size_t rows, size_t kept, size_t past,
                          err_t *err);
void versions_destroy (versions_t **versions);

/*  ERR_NONE, or why a manifest was not taken (logged by the caller). */
int versions_manifest (versions_t *versions, const wire_manifest_t *manifest, err_t *err);
/*  True when the item was a fetch of ours. A version that cannot be made is dropped and logged. */
bool versions_object (versions_t *versions, const bus_item_t *item);
/*  Puts versions in place whose models are complete, forgets retired ones that nobody uses. True
 *  when there is a new one. */
bool versions_tidy (versions_t *versions);

/*  The version when it is usable, else NULL. The content hash must agree. */
version_t *versions_find (versions_t *versions, const char *run, const wire_version_t *version);
/*  Whether it was announced. */
bool versions_expected (const versions_t *versions, const char *run, const wire_version_t *version);
/*  Why it will not be usable here, ever, or NULL. */
const err_t *versions_refused (const versions_t *versions, const char *run,
                               const wire_version_t *version);

/*  A usable version stays while it is held. */
void version_hold (version_t *version);
void version_release (version_t *version);
const model_t *version_model (const version_t *version);
sampler_t *version_sampler (const version_t *version);
const wire_version_t *version_name (const version_t *version);

/*  What was computed of sequences that go on; those of a version go with it. */
past_t *versions_past (const versions_t *versions);

/*  Calls each for all samplers with decoding to do. */
void versions_each_busy (versions_t *versions, void (*each) (void *context, sampler_t *sampler),
                         void *context);

typedef struct {
    size_t held, expected, bytes;
    uint64_t deltas;   /* versions that were put together from a delta */
    uint64_t computed; /* ids of prompts, by the samplers that there are */
} versions_status_t;
versions_status_t versions_status (const versions_t *versions);
/*  Newest usable number of every policy, for the status event. */
void versions_newest (const versions_t *versions,
                      void (*each) (void *context, const char *run, const wire_version_t *version),
                      void *context);

#endif
