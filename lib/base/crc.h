/*  crc - CRC-32C (Castagnoli; RFC 3720, appendix B.4): tells bytes that were damaged on their way.
 *
 *      uint32_t crc = crc_of (crc_of (0, head, head_n), tail, tail_n);      of both in a row
 *
 *  It finds every burst of up to 32 flipped bits. No name for content: that is hash.h. The
 *  processor's own instruction is used where there is one.
 */
#ifndef QUINTET_BASE_CRC_H
#define QUINTET_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/*  crc: of the bytes before, 0 at the start. */
uint32_t crc_of (uint32_t crc, const void *data, size_t size);
/*  The same without the instruction: its twin, for processors that lack it. */
uint32_t crc_plain (uint32_t crc, const void *data, size_t size);

#endif
