/*  transfers - see transfers.h */
#include "bus/transfers.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TRANSFERS_NOTICES_MAX 4096 /* manifests that wait to be taken */

struct transfers {
    const node_t *node;
    int courier_wake; /* eventfd */
    atomic_bool stop;
    atomic_bool manifests_asked;
    atomic_size_t done; /* finished ones in the list: asked for often, so without the lock */
    pthread_mutex_t lock;
    pthread_cond_t released;
    /* under the lock: */
    transfer_t *first, **end; /* in the order in which they came */
    const transfer_t *claimed;
    size_t notices;
};

void transfer_fail (transfer_t *t, err_code_t code, const char *text)
{
    err_set (&t->err, code, "%s", text);
    t->finished = true;
}

void transfer_free (transfer_t *t)
{
    if (!t)
        return;
    if (!t->lent)
        free (t->data);
    free (t->chunk_hash);
    free (t->got);
    free (t->topic);
    free (t);
}

transfers_t *transfers_new (const node_t *node)
{
    transfers_t *list = calloc (1, sizeof *list);
    if (!list)
        return NULL;
    list->node = node;
    list->end = &list->first;
    /* The courier polls sockets, so what wakes it must be a file descriptor as well. */
    list->courier_wake = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init (&list->lock, NULL);
    pthread_cond_init (&list->released, NULL);
    if (list->courier_wake < 0)
        transfers_free (&list);
    return list;
}

void transfers_free (transfers_t **self)
{
    transfers_t *list = *self;
    if (!list)
        return;
    for (transfer_t *t = list->first, *next; t; t = next) {
        next = t->next;
        transfer_free (t);
    }
    if (list->courier_wake >= 0)
        close (list->courier_wake);
    pthread_cond_destroy (&list->released);
    pthread_mutex_destroy (&list->lock);
    free (list);
    *self = NULL;
}

static void transfers_wake_courier (transfers_t *list)
{
    uint64_t one = 1;
    ssize_t n = write (list->courier_wake, &one, sizeof one);
    (void) n; /* a full counter means that it is awake already */
}

/*  Under the lock. */
static void transfers_append (transfers_t *list, transfer_t *t)
{
    t->next = NULL;
    *list->end = t;
    list->end = &t->next;
    if (t->finished)
        atomic_fetch_add (&list->done, 1);
}

/*  Under the lock. */
static void transfers_unlink (transfers_t *list, const transfer_t *t)
{
    transfer_t **at = &list->first;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    /* It was the last one: the next is appended where it stood. */
    if (!*at)
        list->end = at;
    if (t->finished)
        atomic_fetch_sub (&list->done, 1);
    list->notices -= t->kind == TRANSFER_NOTICE;
}

/*  ---- the caller's thread -------------------------------------------------------------------- */

/*  The lock is what hands the transfer's fields over: the courier sees them all. */
void transfers_add (transfers_t *list, transfer_t *t)
{
    pthread_mutex_lock (&list->lock);
    transfers_append (list, t);
    pthread_mutex_unlock (&list->lock);
    transfers_wake_courier (list);
}

/*  Called for every item that the caller asks for, and mostly there is nothing: the count is
 *  looked at without the lock. It may be behind by one; then the wake that follows it brings the
 *  caller back. */
transfer_t *transfers_take (transfers_t *list)
{
    if (atomic_load (&list->done) == 0)
        return NULL;
    pthread_mutex_lock (&list->lock);
    transfer_t *t = list->first;
    /* A claimed one may be finished already, but then the courier still looks at it. */
    while (t && (t == list->claimed || !t->finished))
        t = t->next;
    if (t)
        transfers_unlink (list, t);
    pthread_mutex_unlock (&list->lock);
    return t;
}

/*  When it is claimed the courier is reading or writing its data right now. It does not take
 *  long, and must not be interrupted: the caller may be about to free what it lent. */
transfer_t *transfers_remove (transfers_t *list, uint64_t number)
{
    pthread_mutex_lock (&list->lock);
    transfer_t *t = list->first;
    while (t && (t->number != number || t->kind == TRANSFER_NOTICE))
        t = t->next;
    while (t && list->claimed == t)
        pthread_cond_wait (&list->released, &list->lock);
    if (t)
        transfers_unlink (list, t);
    pthread_mutex_unlock (&list->lock);
    return t;
}

void transfers_ask_manifests (transfers_t *list)
{
    atomic_store (&list->manifests_asked, true);
    transfers_wake_courier (list);
}

/*  The courier sees it after the step that it is at. */
void transfers_stop (transfers_t *list)
{
    atomic_store (&list->stop, true);
    transfers_wake_courier (list);
}

/*  ---- the courier's thread ------------------------------------------------------------------- */

bool transfers_stopped (const transfers_t *list)
{
    return atomic_load (&list->stop);
}

int transfers_fd (const transfers_t *list)
{
    return list->courier_wake;
}

void transfers_seen (transfers_t *list)
{
    uint64_t count;
    ssize_t n = read (list->courier_wake, &count, sizeof count);
    (void) n; /* nothing there is as good */
}

transfer_t *transfers_claim (transfers_t *list, uint64_t number)
{
    pthread_mutex_lock (&list->lock);
    /* The courier holds one at a time: it is a single thread. */
    assert (!list->claimed);
    transfer_t *t = list->first;
    while (t && (t->number != number || t->kind == TRANSFER_NOTICE))
        t = t->next;
    /* One that is finished belongs to the caller, who may take it at any moment. */
    t = t && !t->finished ? t : NULL;
    list->claimed = t;
    pthread_mutex_unlock (&list->lock);
    return t;
}

/*  Under the lock. From here on the transfer may be taken or removed, and freed. */
static bool transfers_unclaim (transfers_t *list, const transfer_t *t)
{
    assert (list->claimed == t);
    list->claimed = NULL;
    if (t->finished)
        atomic_fetch_add (&list->done, 1);
    pthread_cond_broadcast (&list->released);
    return t->finished;
}

void transfers_release (transfers_t *list, transfer_t *t)
{
    pthread_mutex_lock (&list->lock);
    bool finished = transfers_unclaim (list, t);
    pthread_mutex_unlock (&list->lock);
    if (finished)
        node_wake (list->node);
}

transfer_t *transfers_next (transfers_t *list, transfer_t *previous)
{
    bool finished = false;
    pthread_mutex_lock (&list->lock);
    /* From here on the previous one may go: so first the one behind it. */
    transfer_t *t = previous ? previous->next : list->first;
    if (previous)
        finished = transfers_unclaim (list, previous);
    while (t && t->finished)
        t = t->next;
    list->claimed = t;
    pthread_mutex_unlock (&list->lock);
    if (finished)
        node_wake (list->node);
    return t;
}

/*  Manifests that nobody takes must not pile up without end; who needs them asks again. */
bool transfers_notice (transfers_t *list, transfer_t *notice)
{
    pthread_mutex_lock (&list->lock);
    bool taken = list->notices < TRANSFERS_NOTICES_MAX;
    if (taken) {
        transfers_append (list, notice);
        list->notices++;
    }
    pthread_mutex_unlock (&list->lock);
    if (taken)
        node_wake (list->node);
    return taken;
}

bool transfers_manifests_asked (transfers_t *list)
{
    return atomic_exchange (&list->manifests_asked, false);
}
