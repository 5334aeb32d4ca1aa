/*  style - colours of a terminal, where one wants them.
 *
 *      style_choose (style_terminal (stdout), refused);
 *      printf ("%s3 of 5 tests%s\n", style (STYLE_BAD), style (STYLE_NONE));
 */
#ifndef QUINTET_CLI_STYLE_H
#define QUINTET_CLI_STYLE_H

#include <stdbool.h>
#include <stdio.h>

typedef enum { STYLE_NONE, STYLE_GOOD, STYLE_BAD, STYLE_NOTE, STYLE_HEAD, STYLE_FAINT } style_t;

/*  Whether a file is a terminal that obeys (not TERM=dumb). */
bool style_terminal (FILE *file);
/*  Of the terminal that a file is; 0: it is none, or does not say. */
size_t style_columns (FILE *file);
/*  terminal: output goes to such a one. Colours are left out besides when
 *  refused says so, or NO_COLOR (no-color.org) does. */
void style_choose (bool terminal, bool refused);
/*  What to print before such a text, and STYLE_NONE behind it; "" without colours. */
const char *style (style_t style);

#endif
