/*  call - see call.h */
#include "call.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define CALL_AGAIN_MS  100 /* doubled with every refusal, up to */
#define CALL_AGAIN_MAX 2000
#define CALL_DOUBLED   6 /* times, at most */

#define DEADLINES_SPARE 4 /* times the longest answer seen */

void call_send (call_t *call, bus_t *bus, const group_ask_t *ask, int64_t deadline_ms)
{
    const buf_t *payload = &ask->payload;
    call->sent_ms = clock_ms ();
    call->number = *call->avoid ? bus_call_avoiding (bus, ask->service, ask->id, payload->data,
                                                     payload->size, deadline_ms, call->avoid)
                                : bus_call (bus, ask->service, ask->id, payload->data,
                                            payload->size, deadline_ms);
    if (!call->number) /* the machine has no memory for it just now */
        call->again_ms = call->sent_ms + CALL_AGAIN_MS;
}

/*  Whether two have said so, or the only one there is: a worker that is to be avoided gets the
 *  request all the same when no other serves. */
static bool call_agreed (call_t *call, const char *peer, const err_t *err)
{
    bool second = *call->judge != 0;
    if (!second) {
        snprintf (call->judge, sizeof call->judge, "%s", peer);
        call->verdict = *err;
    }
    return second;
}

call_outcome_t call_refused (call_t *call, const char *peer, const err_t *err)
{
    int64_t now = clock_ms ();
    call->number = 0;
    if (*peer && !*call->judge) /* whoever judged it is not asked again while another is there */
        snprintf (call->avoid, sizeof call->avoid, "%s", peer);
    if (err->code == ERR_INPUT && *peer) {
        if (call_agreed (call, peer, err))
            return CALL_DECIDED;
        call->again_ms = now; /* the second one is asked at once */
        return CALL_AGAIN;
    }
    unsigned doubled = call->refusals < CALL_DOUBLED ? call->refusals : CALL_DOUBLED;
    int64_t pause = (int64_t) CALL_AGAIN_MS << doubled;
    call->again_ms = now + (pause < CALL_AGAIN_MAX ? pause : CALL_AGAIN_MAX);
    call->refusals++;
    return CALL_AGAIN;
}

/*  ---- deadlines ------------------------------------------------------------------------------ */

static int64_t *deadlines_of (deadlines_t *deadlines, const char *service)
{
    return strcmp (service, "act") == 0 ? &deadlines->act_ms : &deadlines->score_ms;
}

int64_t deadlines_ms (const deadlines_t *deadlines, const char *service, int64_t patience_ms)
{
    deadlines_t copy = *deadlines;
    int64_t ms = *deadlines_of (&copy, service);
    return ms < patience_ms ? ms : patience_ms;
}

static void deadlines_raise (int64_t *deadline, int64_t ms)
{
    if (*deadline < ms)
        *deadline = ms;
}

void deadlines_answered (deadlines_t *deadlines, const char *service, int64_t took_ms)
{
    deadlines_raise (deadlines_of (deadlines, service), DEADLINES_SPARE * took_ms);
}

void deadlines_missed (deadlines_t *deadlines, const char *service, int64_t patience_ms)
{
    deadlines_raise (deadlines_of (deadlines, service), patience_ms);
}
