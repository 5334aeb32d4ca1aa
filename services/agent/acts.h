/*  acts - the act requests that an agent has in hand, from arrival to reply.
 *
 *      acts_t *acts = acts_new (bus, versions, engines, &err);
 *      acts_request (acts, item);                  a request arrived: starts, waits or is refused
 *      acts_step (acts);                           one decode step; replies to what is complete
 *      acts_cancel (acts, id);
 *      acts_destroy (&acts);
 *
 *  A reply is a pure function of its request: (weights of the named version, prompt ids, sampling
 *  parameters, coordinates) -> tokens and log-probabilities. Nothing is ever computed under
 *  another version than the named one: a request waits for it until its deadline, then is refused.
 *  What a server of others answers is a function of its request as far as that server makes it one.
 */
#ifndef QUINTET_AGENT_ACTS_H
#define QUINTET_AGENT_ACTS_H

#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"
#include "engines.h"
#include "versions.h"

typedef struct acts acts_t;

/*  All are borrowed. */
acts_t *acts_new (bus_t *bus, versions_t *versions, engines_t *engines, err_t *err);
void acts_destroy (acts_t **acts);

void acts_request (acts_t *acts, const bus_item_t *item);
void acts_cancel (acts_t *acts, uint64_t id);
/*  Starts waiting requests whose version came; refuses those whose deadline passed. */
void acts_waiting (acts_t *acts);
/*  One token for every active row. Returns how many ms may pass until the next call: 0 while
 *  something decodes, -1 when nothing is in hand. */
int acts_step (acts_t *acts);

typedef struct {
    size_t decoding, waiting, asked; /* requests; asked of servers */
    uint64_t requests, tokens;       /* since the start; tokens as they are decoded */
    uint64_t engine_tokens;          /* that servers wrote */
    uint64_t busy_us;                /* spent in decode steps */
} acts_status_t;
acts_status_t acts_status (const acts_t *acts);
/*  The longest that rows in hand waited from one decode step to the next since the last call: for
 *  new requests, policy versions on their way, and everything else that the loop does. */
uint64_t acts_pause_us (acts_t *acts);

#endif
