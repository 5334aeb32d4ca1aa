/*  transfers - policy objects under way: the one list that the caller's thread and the courier
 *  share. Private to bus.
 *
 *      transfers_add (transfers, transfer);                     caller: hands a transfer over
 *      for (t = NULL; (t = transfers_next (transfers, t));) ...     courier: claims each
 *      t = transfers_claim (transfers, number);
 *      transfers_release (transfers, t);
 *      transfers_take (transfers);                              caller: one that is finished
 *
 *  A transfer crosses twice: the caller fills it in and adds it, the courier works on it, and when
 *  it is finished the caller takes it out. In between only the courier looks into it, and only
 *  while it has claimed it; that is done without the lock, for a chunk takes a while to hash. A
 *  claimed transfer stays in the list until it is released, so removing one waits for as long as a
 *  chunk takes. After that the caller may free what it lent.
 */
#ifndef QUINTET_BUS_TRANSFERS_H
#define QUINTET_BUS_TRANSFERS_H

#include "bus/node.h"

typedef enum {
    TRANSFER_UPLOAD,
    TRANSFER_DOWNLOAD,
    TRANSFER_MESSAGE, /* a packed envelope that is answered */
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
    int64_t patience_ms; /* how long it may go without progress */
    /* the courier's */
    uint32_t chunks, asked, have;
    uint32_t window;     /* DOWNLOAD: chunks asked for at once */
    hash_t *chunk_hash;  /* DOWNLOAD: of each chunk */
    uint8_t *got;        /* DOWNLOAD: flags per chunk */
    char *topic;         /* NOTICE */
    int64_t progress_ms; /* when it last went on */
    int64_t sent_ms;     /* when it was last begun, or begun again */
    int64_t stall_ms;    /* without progress for so long: begin again */
    bool begun, finished;
    err_t err;
} transfer_t;

void transfer_fail (transfer_t *transfer, err_code_t code, const char *text);
void transfer_free (transfer_t *transfer);

typedef struct transfers transfers_t;

transfers_t *transfers_new (const node_t *node);
void transfers_free (transfers_t **transfers);

/*  The caller's thread. */
void transfers_add (transfers_t *transfers, transfer_t *transfer);
/*  One that is finished, out of the list; NULL: none is. */
transfer_t *transfers_take (transfers_t *transfers);
/*  Takes this one out, finished or not; NULL: there is none. */
transfer_t *transfers_remove (transfers_t *transfers, uint64_t number);
void transfers_ask_manifests (transfers_t *transfers);
/*  Ends the courier's wait; it may ask whether that was for good. */
void transfers_stop (transfers_t *transfers);

/*  The courier's thread. */
bool transfers_stopped (const transfers_t *transfers);
/*  Readable when there is something new for the courier. */
int transfers_fd (const transfers_t *transfers);
void transfers_seen (transfers_t *transfers); /* what made it readable */
/*  Claims the unfinished one with this number; NULL: there is none. */
transfer_t *transfers_claim (transfers_t *transfers, uint64_t number);
void transfers_release (transfers_t *transfers, transfer_t *transfer);
/*  Releases previous and claims the next unfinished one; with NULL the first; NULL: no more. */
transfer_t *transfers_next (transfers_t *transfers, transfer_t *previous);
/*  Adds a notice, which is finished as it comes. False: too many wait already; it is still the
 *  courier's. */
bool transfers_notice (transfers_t *transfers, transfer_t *notice);
/*  True once for each time that manifests were asked for. */
bool transfers_manifests_asked (transfers_t *transfers);

#endif
