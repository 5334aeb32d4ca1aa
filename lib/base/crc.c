/*  crc - see crc.h */
#include "base/crc.h"

#include <pthread.h>
#include <string.h>

#define CRC_POLYNOMIAL 0x82F63B78u /* of Castagnoli, the lowest bit first */
#define CRC_SLICES     8           /* bytes that one step of the plain form takes */

static uint32_t crc_table[CRC_SLICES][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

/*  Table k holds what a byte does to the sum after k further bytes of zeros, so that eight bytes
 *  can be looked up at once and added ("slicing by eight", Kounavis and Berry, 2005). */
static void crc_fill_table (void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
        crc_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < CRC_SLICES; k++) {
            uint32_t before = crc_table[k - 1][i];
            crc_table[k][i] = before >> 8 ^ crc_table[0][before & 0xFF];
        }
}

uint32_t crc_plain (uint32_t crc, const void *data, size_t size)
{
    pthread_once (&crc_once, crc_fill_table);
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= CRC_SLICES; size -= CRC_SLICES, at += CRC_SLICES) {
        uint32_t low = crc ^ ((uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 |
                              (uint32_t) at[3] << 24);
        crc = crc_table[7][low & 0xFF] ^ crc_table[6][low >> 8 & 0xFF] ^
              crc_table[5][low >> 16 & 0xFF] ^ crc_table[4][low >> 24] ^ crc_table[3][at[4]] ^
              crc_table[2][at[5]] ^ crc_table[1][at[6]] ^ crc_table[0][at[7]];
    }
    for (; size; size--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *at++) & 0xFF];
    return ~crc;
}

#ifdef __x86_64__
/*  The processor's instruction computes this very polynomial, eight bytes at a time. */
__attribute__ ((target ("sse4.2"))) static uint32_t crc_sse42 (uint32_t crc, const void *data,
                                                               size_t size)
{
    const uint8_t *at = data;
    uint64_t sum = (uint32_t) ~crc, word;
    for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
        memcpy (&word, at, sizeof word);
        sum = __builtin_ia32_crc32di (sum, word);
    }
    for (; size; size--)
        sum = __builtin_ia32_crc32qi ((uint32_t) sum, *at++);
    return ~(uint32_t) sum;
}
#endif

/*  Both forms give the same sums: peers may have other processors. */
uint32_t crc_of (uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports ("sse4.2"))
        return crc_sse42 (crc, data, size);
#endif
    return crc_plain (crc, data, size);
}
