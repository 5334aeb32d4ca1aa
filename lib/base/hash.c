/*  hash - see hash.h */
#include "base/hash.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BATCH 128 /* chunks */

/*  BLAKE2b, by libsodium. */
hash_t hash_of (const void *data, size_t size)
{
    hash_t hash;
    crypto_generichash (hash.bytes, HASH_SIZE, data, size, NULL, 0);
    return hash;
}

/*  What fits into one chunk is named by its own hash: small objects need no second one. */
hash_t hash_root (const hash_t *chunks, size_t n)
{
    return n == 1 ? chunks[0] : hash_of (chunks, n * sizeof *chunks);
}

typedef struct {
    const char *data;
    size_t size;
    hash_t *chunks; /* of as many pieces as the pool runs */
} piece_t;

static void hash_piece (void *context, size_t index, size_t thread)
{
    const piece_t *p = context;
    size_t at = index * HASH_CHUNK, left = p->size - at;
    (void) thread;
    p->chunks[index] = hash_of (p->data + at, left < HASH_CHUNK ? left : HASH_CHUNK);
}

/*  A transfer checks each chunk as it arrives and needs no second pass over the whole: the name is
 *  a hash of the hashes. They are taken in batches that fit on the stack. */
hash_t hash_object_on (pool_t *pool, const void *data, size_t size)
{
    hash_t chunks[HASH_BATCH], root;
    if (size <= HASH_CHUNK)
        return hash_of (data, size);
    crypto_generichash_state state;
    crypto_generichash_init (&state, NULL, 0, HASH_SIZE);
    for (size_t at = 0; at < size; at += HASH_BATCH * HASH_CHUNK) {
        piece_t piece = {(const char *) data + at, size - at, chunks};
        size_t n = (piece.size + HASH_CHUNK - 1) / HASH_CHUNK;
        n = n < HASH_BATCH ? n : HASH_BATCH;
        pool_run (pool, hash_piece, &piece, n);
        crypto_generichash_update (&state, (const uint8_t *) chunks, n * sizeof *chunks);
    }
    crypto_generichash_final (&state, root.bytes, HASH_SIZE);
    return root;
}

hash_t hash_object (const void *data, size_t size)
{
    return hash_object_on (NULL, data, size);
}

/*  ---- in pieces ---- */

struct hash_stream {
    crypto_generichash_state chunk, root;
    size_t of_chunk; /* bytes of the chunk at work */
    size_t chunks;   /* whole ones before it */
    hash_t first;    /* names an object of one chunk alone */
};

static void hash_begin (crypto_generichash_state *state)
{
    crypto_generichash_init (state, NULL, 0, HASH_SIZE);
}

hash_stream_t *hash_stream_new (void)
{
    /* Of a whole number of cache lines, as libsodium aligns its state. */
    hash_stream_t *s = aligned_alloc (64, (sizeof *s + 63) / 64 * 64);
    if (!s)
        return NULL;
    s->of_chunk = s->chunks = 0;
    hash_begin (&s->chunk);
    hash_begin (&s->root);
    return s;
}

static void hash_end_chunk (hash_stream_t *s)
{
    hash_t hash;
    crypto_generichash_final (&s->chunk, hash.bytes, HASH_SIZE);
    crypto_generichash_update (&s->root, hash.bytes, HASH_SIZE);
    if (s->chunks++ == 0)
        s->first = hash;
    hash_begin (&s->chunk);
    s->of_chunk = 0;
}

void hash_stream_add (hash_stream_t *s, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        /* A full chunk ends when more comes, so that the last one is never empty. */
        if (s->of_chunk == HASH_CHUNK)
            hash_end_chunk (s);
        size_t room = HASH_CHUNK - s->of_chunk, n = size < room ? size : room;
        crypto_generichash_update (&s->chunk, bytes, n);
        s->of_chunk += n;
        bytes += n;
        size -= n;
    }
}

hash_t hash_stream_end (hash_stream_t **stream)
{
    hash_stream_t *s = *stream;
    hash_t root;
    hash_end_chunk (s);
    crypto_generichash_final (&s->root, root.bytes, HASH_SIZE);
    root = s->chunks == 1 ? s->first : root;
    free (s);
    *stream = NULL;
    return root;
}

bool hash_equal (const hash_t *a, const hash_t *b)
{
    return memcmp (a->bytes, b->bytes, HASH_SIZE) == 0;
}

bool hash_is_zero (const hash_t *hash)
{
    return sodium_is_zero (hash->bytes, HASH_SIZE) == 1;
}

const char *hash_hex (const hash_t *hash, char out[HASH_HEX_SIZE])
{
    return sodium_bin2hex (out, HASH_HEX_SIZE, hash->bytes, HASH_SIZE);
}
