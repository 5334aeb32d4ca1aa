/*  figure - the results of an experiment as bars: figure.svg.
 *
 *      figure_draw (results, &out);
 *
 *  A panel each for quality, critical path and speed; a bar per arm with its interval, and a mark
 *  where the published value is. A whole file, which a page can hold as it is.
 */
#ifndef QUINTET_CLI_FIGURE_H
#define QUINTET_CLI_FIGURE_H

#include <jansson.h>

#include "base/buf.h"

void figure_draw (const json_t *results, buf_t *out);

#endif
