/*  bytes - see bytes.h */
#include "base/bytes.h"

uint8_t *bytes_varint (uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t) (value | 0x80);
    *to++ = (uint8_t) value;
    return to;
}

uint8_t *bytes_little (uint8_t *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        *to++ = (uint8_t) (value >> (8 * i));
    return to;
}

size_t bytes_varint_size (uint64_t value)
{
    size_t n = 1;
    while (value >>= 7)
        n++;
    return n;
}
