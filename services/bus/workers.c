/*  workers - see workers.h */
#include "workers.h"

#include <string.h>

/*  Few workers serve one service, and they lie side by side: a walk is faster than a table. */
worker_t *workers_find (workers_t *workers, const peer_t *peer)
{
    for (size_t i = 0; i < workers->n; i++)
        if (workers->worker[i].peer == peer)
            return &workers->worker[i];
    return NULL;
}

worker_t *workers_add (workers_t *workers, peer_t *peer)
{
    if (workers->n == WORKERS_MAX)
        return NULL;
    worker_t *w = &workers->worker[workers->n++];
    *w = (worker_t){.peer = peer};
    return w;
}

/*  The order of workers has no meaning but for ties, so the last one takes the place. */
void workers_remove (workers_t *workers, worker_t *worker)
{
    *worker = workers->worker[--workers->n];
}

/*  One failure may be chance, and so may two; three in a row without an answer in between are
 *  not. */
static bool workers_doubted (const worker_t *w)
{
    return w->doubt >= WORKER_DOUBTED;
}

/*  What holds for all of them together: whether there is anybody to prefer. */
typedef struct {
    bool trusted;  /* somebody is not doubted */
    bool answered; /* somebody who is not doubted has answered before */
} workers_state_t;

/*  Doubt and novelty count only against somebody better: they are looked at for all before any. */
static workers_state_t workers_state (const workers_t *workers)
{
    workers_state_t state = {0};
    for (size_t i = 0; i < workers->n; i++) {
        const worker_t *w = &workers->worker[i];
        state.trusted = state.trusted || !workers_doubted (w);
        state.answered = state.answered || (!workers_doubted (w) && w->answered);
    }
    return state;
}

/*  How many requests more the worker may have. */
static uint32_t workers_room (const worker_t *w, workers_state_t state, int64_t now)
{
    /* What a worker says is believed up to a bound: with a credit of a million it would have the
       most room of all, whatever it holds already. */
    uint32_t allowed = w->credit < WORKER_CREDIT_MAX ? w->credit : WORKER_CREDIT_MAX;
    uint32_t most = allowed;
    /* A doubted one is tried now and then with one request, or it could never show that it
       answers again. It costs that request a third of its deadline at most: then it is handed
       on. */
    if (workers_doubted (w) && state.trusted)
        most = now - w->failed_ms >= WORKER_PROBE_MS;
    /* A newcomer beside others that have proven themselves. At the start of a run nobody has,
       and everybody gets all its credit: else the first batch of every agent would be a batch of
       two. */
    else if (!w->answered && state.answered)
        most = WORKER_NEW_CREDIT;
    allowed = most < allowed ? most : allowed;
    return allowed > w->used ? allowed - w->used : 0;
}

static bool workers_excluded (const worker_t *w, const workers_wish_t *wish)
{
    for (size_t i = 0; i < wish->not_n; i++)
        if (wish->not [i] == w->peer)
            return true;
    return false;
}

worker_t *workers_pick (workers_t *workers, const workers_wish_t *wish, int64_t now)
{
    workers_state_t state = workers_state (workers);
    worker_t *best = NULL;
    uint32_t most = 0;
    bool others = false; /* than the one to avoid, be they ever so busy */
    /* To avoid is a wish about opinions, not about time: as long as there is another, the
       request waits for it. */
    for (size_t i = 0; *wish->avoid && i < workers->n; i++)
        others = others || strcmp (workers->worker[i].peer->name, wish->avoid) != 0;
    for (size_t i = 0; i < workers->n; i++) {
        worker_t *w = &workers->worker[(workers->turn + i) % workers->n];
        uint32_t room = workers_room (w, state, now);
        bool avoided = others && strcmp (w->peer->name, wish->avoid) == 0;
        if (room > most && !avoided && !workers_excluded (w, wish)) {
            best = w;
            most = room;
        }
    }
    if (best)
        workers->turn = (size_t) (best - workers->worker) + 1;
    return best;
}

bool workers_free (const workers_t *workers, int64_t now)
{
    workers_state_t state = workers_state (workers);
    for (size_t i = 0; i < workers->n; i++)
        if (workers_room (&workers->worker[i], state, now) > 0)
            return true;
    return false;
}

/*  One step at a time: who fails half of what it is asked stays doubted. */
void workers_answered (worker_t *w, int64_t now)
{
    w->answered = true;
    w->answered_ms = now;
    w->doubt -= w->doubt > 0;
}

/*  Bounded, so that a worker that is repaired needs no more than a few answers. */
void workers_failed (worker_t *w, unsigned weight, int64_t now)
{
    w->doubt = w->doubt + weight < WORKER_DOUBT_MAX ? w->doubt + weight : WORKER_DOUBT_MAX;
    w->failed_ms = now;
}
