/*  buf - a growing run of bytes with a stated maximum.
 *
 *      buf_t text = {.max = 1 << 20};
 *      buf_printf (&text, "%s: %zu\n", name, n);     every call may fail: buf_failed (&text)
 *      buf_free (&text);
 *
 *  data always carries a 0 byte after size (once anything was written), so it also reads as a
 *  string.
 */
#ifndef QUINTET_BASE_BUF_H
#define QUINTET_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BUF_MAX_DEFAULT ((size_t) 64 << 20)

typedef struct {
    char *data; /* NULL until something is written */
    size_t size;
    size_t capacity;
    size_t max;  /* 0 means BUF_MAX_DEFAULT; a write that would pass it writes nothing and fails */
    bool failed; /* sticky: some write did not fit or memory ran out */
    bool full;   /* sticky: it did not fit */
} buf_t;

void buf_append (buf_t *buf, const void *data, size_t size);
void buf_text (buf_t *buf, const char *text);
void buf_char (buf_t *buf, char c);
/*  A number as bytes.h writes it. */
void buf_varint (buf_t *buf, uint64_t value);
void buf_little (buf_t *buf, uint64_t value, size_t size);
void buf_printf (buf_t *buf, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
bool buf_failed (const buf_t *buf);
/*  0, or -1 and why it failed: ERR_INPUT when its maximum was too small, which is a property of
 *  what was written; ERR_LIMIT when the machine had no memory, and another try may work. what: "the
 *  observation". */
int buf_check (const buf_t *buf, const char *what, err_t *err);
/*  Forgets the content, keeps the memory. */
void buf_clear (buf_t *buf);
void buf_free (buf_t *buf);
/*  Hands the string over to the caller (free), never NULL unless memory ran out; buf becomes
 *  empty. */
char *buf_take (buf_t *buf);

#endif
