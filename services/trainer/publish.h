/*  publish - puts the policies' versions on the bus, again when the bus was restarted.
 *
 *      publish_t *publish = publish_new (bus, run, epoch, &err);
 *      publish_versions (publish, policies, n, &err);          uploads what they are now
 *      publish_item (publish, item, &err);                       every item from the bus
 *      if (publish_done (publish)) ...                           the bus holds everything
 *      publish_retire (publish);                           and forgets it, done when publish_done
 *      publish_destroy (&publish);
 *
 *  A version is three objects (config.json, tokenizer.json, weights) and a manifest that names
 *  them; the manifest goes out when the bus has answered for all three. Adapters have two more
 *  (adapter_config.json, the base), and the base goes to the bus once. A new version's manifest
 *  takes the place of the old one: in synchronous mode nobody needs that any more.
 */
#ifndef QUINTET_TRAINER_PUBLISH_H
#define QUINTET_TRAINER_PUBLISH_H

#include <stdbool.h>

#include "bus/bus.h"
#include "conf/conf.h"
#include "policy.h"

typedef struct publish publish_t;

publish_t *publish_new (bus_t *bus, const char *run, uint64_t epoch, err_t *err);
void publish_destroy (publish_t **publish);

/*  The policies are borrowed until the next call: their bytes are read again when the bus
 *  restarts. */
int publish_versions (publish_t *publish, policy_t *const *policies, size_t n, err_t *err);
/*  One object more that the bus must hold (the critic's state, on resume); copied. */
int publish_extra (publish_t *publish, const void *data, size_t size, err_t *err);

/*  The run is over: agents forget its versions, then the bus does. */
void publish_retire (publish_t *publish);

/*  1: the item was about an upload, or the bus restarted and all is uploaded again; 0: not ours;
 *  -1: an upload was refused. */
int publish_item (publish_t *publish, const bus_item_t *item, err_t *err);
bool publish_done (const publish_t *publish);

#endif
