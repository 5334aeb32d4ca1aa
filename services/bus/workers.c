/*  workers - see workers.h */
#include "workers.h"

#include <string.h>

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

void workers_remove (workers_t *workers, worker_t *worker)
{
    *worker = workers->worker[--workers->n];
}

static bool workers_doubted (const worker_t *w)
{
    return w->doubt >= WORKER_DOUBTED;
}

/*  What holds for all of them together: whether there is anybody to prefer. */
typedef struct {
    bool trusted;  /* somebody is not doubted */
    bool answered; /* somebody who is not doubted has answered before */
} workers_state_t;

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
    uint32_t allowed = w->credit < WORKER_CREDIT_MAX ? w->credit : WORKER_CREDIT_MAX;
    uint32_t most = allowed;
    if (workers_doubted (w) && state.trusted)
        most = now - w->failed_ms >= WORKER_PROBE_MS;
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

void workers_answered (worker_t *w, int64_t now)
{
    w->answered = true;
    w->answered_ms = now;
    w->doubt -= w->doubt > 0;
}

void workers_failed (worker_t *w, unsigned weight, int64_t now)
{
    w->doubt = w->doubt + weight < WORKER_DOUBT_MAX ? w->doubt + weight : WORKER_DOUBT_MAX;
    w->failed_ms = now;
}
