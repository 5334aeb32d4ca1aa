/*  jinja - the part of the Jinja language that chat templates need to write out a conversation.
 *
 *      json_t *variables = json_pack ("{s:[{s:s, s:s}], s:b}", "messages", "role", "user",
 *                                     "content", "Hi", "add_generation_prompt", 1);
 *      jinja_render (template, variables, NULL, &out, &err);
 *
 *  What is reached and not known here is an error that names it, never left out: a text that comes
 *  out is the one that Jinja writes (jinja2 3.1 with trim_blocks and lstrip_blocks, as
 *  transformers sets it up). Templates are untrusted: steps, depth and output are bounded.
 *
 *  Known: text, comments, whitespace control, raw; if, for (pairs, conditions, else, loop, break,
 *  continue), set (names, pairs, namespaces, blocks), macro, filter, with; literals, attributes,
 *  indices, slices, arithmetic, ~, comparisons and chains of them, in, not, and, or, x if y else
 *  z; the filters and tests of jinja_filters.c, the methods of jinja_methods.c, the functions of
 *  jinja_values.c.
 */
#ifndef QUINTET_TEXT_JINJA_H
#define QUINTET_TEXT_JINJA_H

#include <jansson.h>

#include "base/buf.h"
#include "base/date.h"
#include "base/err.h"

/*  Appends to out. variables: an object; what is not in it is undefined. date: the day, at whose
 *  midnight strftime_now stands still; NULL: a template that asks is refused, since what it writes
 *  would change from day to day. ERR_INPUT gives the line. */
int jinja_render (const char *template, const json_t *variables, const struct tm *date, buf_t *out,
                  err_t *err);

/*  Bytes of the white space at text, or 0: what Python's strip takes, of any script. And of that
 *  which stands before end: of `characters` instead, unless NULL. */
size_t jinja_white (const char *text);
size_t jinja_white_before (const char *from, const char *end, const char *characters);

#endif
