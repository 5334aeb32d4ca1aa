/*  hash - see hash.h */
#include "base/hash.h"

#include <sodium.h>
#include <string.h>

hash_t hash_of (const void *data, size_t size)
{
    hash_t hash;
    crypto_generichash (hash.bytes, HASH_SIZE, data, size, NULL, 0);
    return hash;
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
