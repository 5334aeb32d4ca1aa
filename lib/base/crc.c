/*  crc - see crc.h */
#include "base/crc.h"

#include <pthread.h>
#include <string.h>

#define CRC_POLYNOMIAL 0x82F63B78u     /* of Castagnoli, the lowest bit first */
#define CRC_BLOCK      ((size_t) 2048) /* bytes; three of them at a time */
#define CRC_SLICES     8               /* bytes that one step of the plain form takes */

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
    /* The sum begins with ones, so that zeros in front of a message count; it is turned back at
       the end, so sums can be continued. */
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
static uint32_t crc_shift_table[4][256];
static pthread_once_t crc_shift_once = PTHREAD_ONCE_INIT;

/*  What a sum becomes by CRC_BLOCK zeros behind it: a linear function, so what it does to each bit
 *  says what it does to each byte of a sum. */
static void crc_fill_shift_table (void)
{
    uint32_t of_bit[32];
    pthread_once (&crc_once, crc_fill_table);
    for (int bit = 0; bit < 32; bit++) {
        uint32_t sum = 1u << bit;
        for (size_t n = 0; n < CRC_BLOCK; n++)
            sum = sum >> 8 ^ crc_table[0][sum & 0xFF];
        of_bit[bit] = sum;
    }
    for (int k = 0; k < 4; k++)
        for (uint32_t byte = 0; byte < 256; byte++)
            for (int bit = 0; bit < 8; bit++)
                crc_shift_table[k][byte] ^= byte >> bit & 1 ? of_bit[8 * k + bit] : 0;
}

static uint64_t crc_shift (uint64_t sum)
{
    return crc_shift_table[0][sum & 0xFF] ^ crc_shift_table[1][sum >> 8 & 0xFF] ^
           crc_shift_table[2][sum >> 16 & 0xFF] ^ crc_shift_table[3][sum >> 24 & 0xFF];
}

/*  Copied, since a frame's bytes may lie anywhere. */
static uint64_t crc_word (const uint8_t *at)
{
    uint64_t word;
    memcpy (&word, at, sizeof word);
    return word;
}

/*  The processor's instruction computes this very polynomial, eight bytes at a time. It can begin
 *  one every cycle, but its result comes after three: so three blocks are summed side by side, and
 *  then put together. */
__attribute__ ((target ("sse4.2"))) static uint32_t crc_sse42 (uint32_t crc, const void *data,
                                                               size_t size)
{
    const uint8_t *at = data;
    uint64_t sum = (uint32_t) ~crc;
    if (size >= 3 * CRC_BLOCK)
        pthread_once (&crc_shift_once, crc_fill_shift_table);
    for (; size >= 3 * CRC_BLOCK; size -= 3 * CRC_BLOCK, at += 3 * CRC_BLOCK) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < CRC_BLOCK; i += 8) {
            sum = __builtin_ia32_crc32di (sum, crc_word (at + i));
            second = __builtin_ia32_crc32di (second, crc_word (at + CRC_BLOCK + i));
            third = __builtin_ia32_crc32di (third, crc_word (at + 2 * CRC_BLOCK + i));
        }
        /* Sums are linear: a block's sum, moved over what follows, adds to the sum of that. */
        sum = crc_shift (crc_shift (sum) ^ second) ^ third;
    }
    for (; size >= 8; size -= 8, at += 8)
        sum = __builtin_ia32_crc32di (sum, crc_word (at));
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
