/*  call - one request of a group on the bus: asked, asked again, asked of another.
 *
 *      call_send (&call, bus, ask, deadlines_ms (&deadlines, ask->service, patience));
 *      call_outcome_t outcome = call_refused (&call, item->name, &err);   CALL_DECIDED: for good
 *      deadlines_answered (&deadlines, ask->service, took_ms);
 *
 *  Peers fail in two ways. What is wrong with the machinery (no time, no memory, an answer that
 *  does not fit) says nothing of the request: it is asked again, of another worker where there is
 *  one. "Bad input" says that nobody can ever answer it, and would end the group; "bad
 *  configuration" that these workers never will, and would end the run. A broken worker may say
 *  either of anything, so a second one is asked, and only when it says the same the matter is
 *  decided. A service's only worker decides alone.
 */
#ifndef QUINTET_ENVIRONMENT_CALL_H
#define QUINTET_ENVIRONMENT_CALL_H

#include "bus/bus.h"
#include "group.h"

#define CALL_PEER_MAX 128

typedef struct {
    uint64_t number; /* 0: not under way */
    int64_t sent_ms, sent_us, again_ms;
    unsigned refusals;
    char avoid[CALL_PEER_MAX]; /* who failed it last; "": nobody */
    char judge[CALL_PEER_MAX]; /* who gave the last verdict; "": nobody */
    err_t verdict;             /* what that one said */
} call_t;

typedef enum {
    CALL_AGAIN,  /* later, at again_ms */
    CALL_DECIDED /* verdict: two have given it, or the only one there is */
} call_outcome_t;

/*  Sends it, not to the worker that failed it last as long as there is another. */
void call_send (call_t *call, bus_t *bus, const group_ask_t *ask, int64_t deadline_ms);
/*  A peer ("": nobody, the bus itself) refused it, or answered what does not fit. */
call_outcome_t call_refused (call_t *call, const char *peer, const err_t *err);

/*  How long peers may take. It begins with a guess and follows what was seen: four times the
 *  longest answer so far, and all that the run has after a request that was not answered in time,
 *  since whoever is asked again begins anew. */
typedef struct {
    int64_t act_ms, score_ms;
} deadlines_t;

/*  patience_ms: how long the run waits for a step at most; no deadline is longer. */
int64_t deadlines_ms (const deadlines_t *deadlines, const char *service, int64_t patience_ms);
void deadlines_answered (deadlines_t *deadlines, const char *service, int64_t took_ms);
void deadlines_missed (deadlines_t *deadlines, const char *service, int64_t patience_ms);

#endif
