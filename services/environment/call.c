/*  call - see call.h */
#include "call.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define CALL_AGAIN_MS  100 /* doubled with every refusal, up to */
#define CALL_AGAIN_MAX 2000
#define CALL_DOUBLED   6 /* times, at most */

/*  An answer that takes four times as long as any before is not slow but lost. */
#define DEADLINES_SPARE 4 /* times the longest answer seen */

void call_send (call_t *call, bus_t *bus, const group_ask_t *ask, int64_t deadline_ms)
{
    const buf_t *payload = &ask->payload;
    call->sent_us = clock_us ();
    call->sent_ms = call->sent_us / 1000;
    call->number = *call->avoid ? bus_call_avoiding (bus, ask->service, ask->id, payload->data,
                                                     payload->size, deadline_ms, call->avoid)
                                : bus_call (bus, ask->service, ask->id, payload->data,
                                            payload->size, deadline_ms);
    if (!call->number) /* the machine has no memory for it just now */
        call->again_ms = call->sent_ms + CALL_AGAIN_MS;
}

/*  Two codes say that asking is of no use: of this request, and of any request of this run. */
static bool call_is_verdict (const err_t *err)
{
    return err->code == ERR_INPUT || err->code == ERR_CONFIG;
}

/*  Whether a verdict is the second one of its kind. It may come from the first one's author, when
 *  no other serves: a worker that is to be avoided then gets the request all the same. */
static bool call_agreed (call_t *call, const char *peer, const err_t *err)
{
    /* Two that say the same. A different code of the second one is a new first opinion. */
    if (*call->judge && call->verdict.code == err->code)
        return true;
    snprintf (call->judge, sizeof call->judge, "%s", peer);
    snprintf (call->avoid, sizeof call->avoid, "%s", peer);
    call->verdict = *err;
    return false;
}

call_outcome_t call_refused (call_t *call, const char *peer, const err_t *err)
{
    int64_t now = clock_ms ();
    unsigned doubled = call->refusals < CALL_DOUBLED ? call->refusals : CALL_DOUBLED;
    int64_t pause = (int64_t) CALL_AGAIN_MS << doubled;
    /* Without a name the refusal came from the bus or from ourselves, and is nobody's opinion. */
    bool verdict = *peer && call_is_verdict (err), first = verdict && !*call->judge;
    call->number = 0;
    call->refusals++;
    if (*peer && !*call->judge) /* whoever judged it is not asked again while another is there */
        snprintf (call->avoid, sizeof call->avoid, "%s", peer);
    bool agreed = verdict && call_agreed (call, peer, err);
    /* A second opinion is asked for at once; everything else may need time to pass. */
    call->again_ms = first ? now : now + (pause < CALL_AGAIN_MAX ? pause : CALL_AGAIN_MAX);
    return agreed ? CALL_DECIDED : CALL_AGAIN;
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
    /* Never beyond the run's own patience: nobody would read the answer. */
    return ms < patience_ms ? ms : patience_ms;
}

/*  Only upwards: a deadline that falls again would throw away answers that were about to come. */
static void deadlines_raise (int64_t *deadline, int64_t ms)
{
    if (*deadline < ms)
        *deadline = ms;
}

void deadlines_answered (deadlines_t *deadlines, const char *service, int64_t took_ms)
{
    deadlines_raise (deadlines_of (deadlines, service), DEADLINES_SPARE * took_ms);
}

/*  Nothing was measured then but that it was too short, so the next try has all the time there
 *  is. */
void deadlines_missed (deadlines_t *deadlines, const char *service, int64_t patience_ms)
{
    deadlines_raise (deadlines_of (deadlines, service), patience_ms);
}
