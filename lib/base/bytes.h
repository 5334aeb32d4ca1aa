/*  bytes - numbers as bytes, little end first: what our formats and protobuf write.
 *
 *      uint8_t room[BYTES_VARINT_MAX];
 *      size_t n = (size_t) (bytes_varint (room, 300) - room);        2: ac 02
 *
 *  A varint is 7 bits a byte, the lowest first, the high bit set in all but the last (protobuf's
 *  developers' guide, "Encoding"). buf.h appends both to a buf_t.
 */
#ifndef QUINTET_BASE_BYTES_H
#define QUINTET_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#define BYTES_VARINT_MAX 10

/*  Each writes at `to` and returns where the next byte goes. */
uint8_t *bytes_varint (uint8_t *to, uint64_t value);
uint8_t *bytes_little (uint8_t *to, uint64_t value, size_t size);

size_t bytes_varint_size (uint64_t value);

#endif
