/*  jinja - the part of the Jinja language that chat templates need to write out a conversation.
 *
 *      json_t *variables = json_pack ("{s:[{s:s, s:s}], s:b}", "messages", "role", "user",
 *                                     "content", "Hi", "add_generation_prompt", 1);
 *      jinja_render (template, variables, &out, &err);
 *
 *  What is reached and not known here is an error that names it, never left out: a text that comes
 *  out is the one that Jinja writes (jinja2 3.1 with trim_blocks and lstrip_blocks, as
 *  transformers sets it up). Templates are untrusted: steps, depth and output are bounded.
 *
 *  Known: text, comments, whitespace control; if, for with loop, set, namespace; literals,
 *  attributes, indices, slices, + - % ~, comparisons, in, not, and, or, x if y else z; the
 *  filters, tests, functions and methods listed in jinja_values.c.
 */
#ifndef QUINTET_TEXT_JINJA_H
#define QUINTET_TEXT_JINJA_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/*  Appends to out. variables: an object; what is not in it is undefined. ERR_INPUT gives the
 *  line. */
int jinja_render (const char *template, const json_t *variables, buf_t *out, err_t *err);

#endif
