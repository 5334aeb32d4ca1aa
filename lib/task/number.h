/*  number - numbers of JSON that no C type holds: whole ones of any size, and NaN and Infinity as
 *  Python writes them.
 *
 *      number_escape (line, &escaped);
 *      number_restore (escaped.data, &restored);
 *
 *  354224848179261915075 becomes {"$number":"354224848179261915075"}, and itself again.
 *  What is read with Python in mind may have them; our parser (jansson) refuses them. So they
 *  travel as objects of this one form, which the sandbox's Python makes numbers again (values.py).
 */
#ifndef QUINTET_TASK_NUMBER_H
#define QUINTET_TASK_NUMBER_H

#include <jansson.h>

#include "base/buf.h"

/*  Appends the text with every such number in its place. What is no JSON stays what it is. */
void number_escape (const char *json, buf_t *escaped);
/*  Parses a text, as written by anybody, with its numbers in this form. ERR_INPUT says what is
 *  wrong, and in which column. */
json_t *number_parse (const char *json, err_t *err);
/*  The reverse, of compact JSON (no white space). */
void number_restore (const char *json, buf_t *restored);

#endif
