/*  tokenizers - see tokenizers.h */
#include "tokenizers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define KEPT     16 /* unused ones are let go beyond that */
#define FETCH_MS 10000
#define AGAIN_MS 250 /* pause after a fetch that failed */

/*  One tokenizer, here or on its way. Groups that name the same hash share it. */
typedef struct entry {
    struct entry *next;
    hash_t hash;
    tokenizer_t *tokenizer; /* NULL: not here, err says why */
    err_t err;
    size_t users;
    uint64_t call;    /* fetch under way */
    int64_t again_ms; /* not to be fetched before */
} entry_t;

struct tokenizers {
    bus_t *bus;
    entry_t *first; /* newest first */
    size_t n;
};

tokenizers_t *tokenizers_new (bus_t *bus)
{
    tokenizers_t *tokenizers = calloc (1, sizeof *tokenizers);
    if (tokenizers)
        tokenizers->bus = bus;
    return tokenizers;
}

static void tokenizers_entry_free (tokenizers_t *tokenizers, entry_t *e)
{
    /* Nobody is left who waits for it. */
    if (e->call)
        bus_cancel (tokenizers->bus, e->call);
    tokenizer_destroy (&e->tokenizer);
    free (e);
    tokenizers->n--;
}

void tokenizers_destroy (tokenizers_t **tokenizers)
{
    if (!*tokenizers)
        return;
    for (entry_t *e = (*tokenizers)->first, *next; e; e = next) {
        next = e->next;
        tokenizers_entry_free (*tokenizers, e);
    }
    free (*tokenizers);
    *tokenizers = NULL;
}

static void tokenizers_drop_unused (tokenizers_t *tokenizers)
{
    for (entry_t **at = &tokenizers->first; *at;) {
        entry_t *e = *at;
        if (e->users) {
            at = &e->next;
        } else {
            *at = e->next;
            tokenizers_entry_free (tokenizers, e);
        }
    }
}

/*  Its entry, made when there is none. Entries that nobody uses are kept for the next step, up to a
 *  number: every policy of a run names the same few tokenizers again and again. */
static entry_t *tokenizers_find (tokenizers_t *tokenizers, const hash_t *hash)
{
    for (entry_t *e = tokenizers->first; e; e = e->next)
        if (hash_equal (&e->hash, hash))
            return e;
    /* Those in use stay, however many they are: groups point to them. */
    if (tokenizers->n >= KEPT)
        tokenizers_drop_unused (tokenizers);
    entry_t *e = calloc (1, sizeof *e);
    if (!e)
        return NULL;
    e->hash = *hash;
    /* What a group is told until it is here. */
    err_set (&e->err, ERR_BUSY, "its tokenizer is being fetched");
    e->next = tokenizers->first;
    tokenizers->first = e;
    tokenizers->n++;
    return e;
}

/*  What is not there is fetched, once however many groups ask for it, and again after a pause. */
const tokenizer_t *tokenizers_take (tokenizers_t *tokenizers, const hash_t *hash, err_t *err)
{
    entry_t *e = tokenizers_find (tokenizers, hash);
    if (!e) {
        err_set (err, ERR_BUSY, "no memory for a tokenizer");
        return NULL;
    }
    if (e->tokenizer) {
        e->users++;
        return e->tokenizer;
    }
    if (!e->call && e->err.code != ERR_INPUT && clock_ms () >= e->again_ms)
        e->call = bus_fetch (tokenizers->bus, hash, 0, FETCH_MS);
    if (err)
        *err = e->err;
    return NULL;
}

void tokenizers_release (tokenizers_t *tokenizers, const tokenizer_t *tokenizer)
{
    for (entry_t *e = tokenizers->first; e && tokenizer; e = e->next)
        if (e->tokenizer == tokenizer) {
            e->users--;
            return;
        }
}

bool tokenizers_item (tokenizers_t *tokenizers, const bus_item_t *item)
{
    entry_t *e = tokenizers->first;
    /* Not ours: the environment fetches nothing else, but an answer may come to a call that was
       cancelled. */
    while (e && e->call != item->call)
        e = e->next;
    if (!e)
        return false;
    char name[HASH_HEX_SIZE];
    hash_hex (&e->hash, name);
    e->call = 0;
    e->again_ms = clock_ms () + AGAIN_MS;
    if (item->code != ERR_NONE) {
        /* A damaged download has code ERR_INPUT too; the next one may be whole. */
        err_set (&e->err, item->code == ERR_INPUT ? ERR_NETWORK : item->code,
                 "tokenizer %.12s from the bus: %s", name, item->text);
        return true;
    }
    /* The bytes have the hash that names them: the bus's library has checked that. */
    e->tokenizer = tokenizer_parse (item->payload, item->size, &e->err);
    if (!e->tokenizer) {
        /* Bytes that were verified are none: nobody can read them. Without memory we could not
         * tell. */
        if (e->err.code != ERR_LIMIT)
            e->err.code = ERR_INPUT;
        err_wrap (&e->err, "tokenizer %.12s", name);
        log_err ("tokenizer.refused", &e->err);
    }
    return true;
}
