/*  hash - names for content: BLAKE2b with 32 bytes (libsodium's generichash).
 *
 *      hash_t hash = hash_of (data, size);
 *      char hex[HASH_HEX_SIZE];
 *      log_info ("file.read", "hash=%s", hash_hex (&hash, hex));
 */
#ifndef QUINTET_BASE_HASH_H
#define QUINTET_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

#define HASH_SIZE     32
#define HASH_HEX_SIZE (2 * HASH_SIZE + 1)

typedef struct {
    uint8_t bytes[HASH_SIZE];
} hash_t;

hash_t hash_of (const void *data, size_t size);

/*  Names an object that travels in chunks of HASH_CHUNK bytes, so that each is hashed once:
 *  hash_of its content when it is one chunk, else of the hashes of its chunks, one after the
 *  other. */
#define HASH_CHUNK ((size_t) 1 << 20)
hash_t hash_object (const void *data, size_t size);
/*  The same on all threads of a pool. */
hash_t hash_object_on (pool_t *pool, const void *data, size_t size);
/*  The same of content that comes in pieces of any sizes, in order. NULL: no memory. */
typedef struct hash_stream hash_stream_t;
hash_stream_t *hash_stream_new (void);
void hash_stream_add (hash_stream_t *stream, const void *data, size_t size);
/*  The name of what was added. The stream is gone. */
hash_t hash_stream_end (hash_stream_t **stream);
/*  The same from the hashes of the chunks, n >= 1. */
hash_t hash_root (const hash_t *chunks, size_t n);

bool hash_equal (const hash_t *a, const hash_t *b);
bool hash_is_zero (const hash_t *hash);
/*  Lower-case hexadecimal with a 0 at its end. Returns out. */
const char *hash_hex (const hash_t *hash, char out[HASH_HEX_SIZE]);

#endif
