/*  courier - the thread of a bus_t that carries policy objects. Private to bus.
 *
 *  It alone uses the socket of the policies actor: neither does a decode step wait for chunks, nor an upload for a
 *  training step. The caller's thread (objects.c) puts transfers into the list and takes out what is done; the
 *  courier (courier.c) claims one at a time, and works on it without the lock. A claimed transfer stays where it
 *  is until it is released.
 */
#ifndef QUINTET_BUS_COURIER_H
#define QUINTET_BUS_COURIER_H

#include "bus/internal.h"

typedef enum {
    TRANSFER_UPLOAD,
    TRANSFER_DOWNLOAD,
    TRANSFER_MESSAGE, /* a packed envelope, sent again when it stalls until it is answered */
    TRANSFER_NOTICE   /* a manifest that came */
} transfer_kind_t;

typedef struct transfer {
    struct transfer *next;
    transfer_kind_t kind;
    uint64_t number;
    hash_t hash;
    char *data; /* content, message or manifest, or where the content is put together */
    bool lent;  /* data is the caller's */
    uint64_t size;
    uint32_t chunks, asked, have;
    hash_t *chunk_hash; /* DOWNLOAD: of each chunk */
    uint8_t *got;       /* DOWNLOAD: flags per chunk */
    char *topic;        /* NOTICE */
    int64_t moved_ms, deadline_ms;
    bool begun, finished;
    err_t err;
} transfer_t;

struct courier {
    bus_t *bus;
    pthread_t thread;
    int stir;              /* eventfd: there is something new in the list, or the end */
    void *socket;          /* the thread's */
    uint64_t numbers;      /* of transfers; the caller's thread counts */
    transfer_t *delivered; /* what bus_next returned last */
    atomic_bool stop;
    atomic_size_t done; /* transfers that wait to be taken */
    pthread_mutex_t lock;
    pthread_cond_t released;
    /* under the lock: */
    transfer_t *first, **end;  /* in the order in which they came */
    const transfer_t *claimed; /* by the thread */
    size_t notices;
    bool ask_manifests;
};

/*  The thread's work until stop is set; context: the courier. */
void *courier_run (void *context);

/*  Under the lock. */
void courier_append (courier_t *courier, transfer_t *transfer);

void transfer_fail (transfer_t *transfer, err_code_t code, const char *text);
void transfer_free (transfer_t *transfer);
/*  A copy with room for one byte more; NULL: no memory. */
char *transfer_copy (slice_t bytes);

#endif
