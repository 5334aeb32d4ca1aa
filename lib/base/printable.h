/*  printable - text of a model, a peer or a file, made fit for a terminal or a log.
 *
 *      printable_text (&out, text, strlen (text), PRINTABLE_LINE);   one line, whatever was in it
 *      printable_print (stdout, text, size, PRINTABLE_LINES);           newlines and tabs stay
 *
 *  A terminal obeys what it is sent: sampled bytes could clear it, retitle it, or type into it. So
 *  every control character (C0, DEL, C1, line and paragraph separators), every character that
 *  reverses the direction of what follows, and every byte that is not UTF-8 becomes U+FFFD. All
 *  that is shown of such text comes through printable_next.
 */
#ifndef QUINTET_BASE_PRINTABLE_H
#define QUINTET_BASE_PRINTABLE_H

#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

typedef enum {
    PRINTABLE_LINE, /* newlines and tabs become spaces */
    PRINTABLE_LINES /* newlines and tabs stay */
} printable_t;

typedef struct {
    char bytes[4]; /* UTF-8, not terminated */
    size_t size;
    size_t columns; /* that a terminal takes for it: 0, 1 or 2 */
} printable_char_t;

/*  What to show for the first character of text (size > 0). Returns how many bytes of text it
 *  was. */
size_t printable_next (const char *text, size_t size, printable_t how, printable_char_t *shown);

void printable_text (buf_t *out, const char *text, size_t size, printable_t how);
/*  As one line of at most that many columns; what is cut ends with an ellipsis. Returns the columns
 *  that it took. */
size_t printable_cut (buf_t *out, const char *text, size_t size, size_t columns);
void printable_print (FILE *to, const char *text, size_t size, printable_t how);

#endif
