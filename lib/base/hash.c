/*  hash - see hash.h */
#include "base/hash.h"

#include <sodium.h>
#include <string.h>

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

/*  A transfer checks each chunk as it arrives and needs no second pass over the whole: the name is
 *  a hash of the hashes. */
hash_t hash_object (const void *data, size_t size)
{
    if (size <= HASH_CHUNK)
        return hash_of (data, size);
    crypto_generichash_state state;
    crypto_generichash_init (&state, NULL, 0, HASH_SIZE);
    for (size_t at = 0; at < size; at += HASH_CHUNK) {
        size_t n = size - at < HASH_CHUNK ? size - at : HASH_CHUNK;
        hash_t chunk = hash_of ((const char *) data + at, n);
        crypto_generichash_update (&state, chunk.bytes, HASH_SIZE);
    }
    hash_t root;
    crypto_generichash_final (&state, root.bytes, HASH_SIZE);
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
