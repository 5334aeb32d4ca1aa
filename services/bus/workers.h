/*  workers - who serves one service, how much each may have in hand, and how far each is trusted.
 *
 *      worker_t *worker = workers_add (&workers, peer);
 *      worker = workers_pick (&workers, &wish, clock_ms ());
 *      workers_answered (worker, now);         workers_failed (worker, 1, now);
 *
 *  Pure: nothing here knows sockets. A worker says how many requests it holds at once: its credit.
 *  The bus never gives it more, and takes credit away where it is not earned. Each failure (a
 *  request that ran out of time while nothing else came back, a reply that says the machine failed,
 *  a reply that its client did not take for an answer) adds to a worker's doubt; each answer takes
 *  from it. While there is anybody who is not doubted, a doubted worker gets one request at a time,
 *  and not before WORKER_PROBE_MS after its last failure. Beside workers that have answered, one
 *  that never has may hold WORKER_NEW_CREDIT requests until its first answer. When all are doubted
 *  nobody is: a run must not stop because its workers are slow.
 */
#ifndef QUINTET_BUS_WORKERS_H
#define QUINTET_BUS_WORKERS_H

#include "peers.h"

#define WORKERS_MAX       2048 /* of one service */
#define WORKER_CREDIT_MAX 4096 /* whatever it says */
#define WORKER_NEW_CREDIT 2
#define WORKER_DOUBTED    3 /* from so much doubt on */
#define WORKER_DOUBT_MAX  8
#define WORKER_PROBE_MS   10000
#define WORKERS_WISH_MAX  4

typedef struct {
    peer_t *peer;
    uint32_t credit, used;
    unsigned doubt;
    bool answered;       /* ever */
    int64_t answered_ms; /* when it last answered anything */
    int64_t failed_ms;
} worker_t;

typedef struct {
    worker_t worker[WORKERS_MAX];
    size_t n, turn;
} workers_t;

/*  Who shall not get a request. */
typedef struct {
    const char *avoid; /* a name: not this one while there is another; "" for nobody */
    const peer_t * not [WORKERS_WISH_MAX]; /* these never */
    size_t not_n;
} workers_wish_t;

worker_t *workers_find (workers_t *workers, const peer_t *peer);
/*  NULL when there are too many. */
worker_t *workers_add (workers_t *workers, peer_t *peer);
void workers_remove (workers_t *workers, worker_t *worker);
/*  The one with the most room among those that may have it; ties go round. NULL: none has any. */
worker_t *workers_pick (workers_t *workers, const workers_wish_t *wish, int64_t now);
/*  Whether anybody has room, whoever may have what. */
bool workers_free (const workers_t *workers, int64_t now);

void workers_answered (worker_t *worker, int64_t now);
void workers_failed (worker_t *worker, unsigned weight, int64_t now);

#endif
