/*  jinja_internal - the inside of the template reader. Private to jinja*.c.
 *
 *      jinja.c           tags and text
 *      jinja_express.c   expressions
 *      jinja_values.c    what can be done with values: filters, tests, functions, methods
 *
 *  Values are jansson's, NULL is undefined; all are borrowed from the pool, which lives as long as
 *  the reader. Expressions are evaluated as they are read; while `dead`, they are read only.
 */
#ifndef QUINTET_TEXT_JINJA_INTERNAL_H
#define QUINTET_TEXT_JINJA_INTERNAL_H

#include <stdbool.h>

#include "text/jinja.h"

#define JINJA_DEPTH_MAX  64
#define JINJA_WORK_MAX   ((size_t) 16 << 20) /* bytes read and made */
#define JINJA_SCOPES_MAX 32
#define JINJA_ARGS_MAX   8

typedef struct {
    const char *template, *at;
    json_t *pool; /* array of all values made here */
    json_t *scope[JINJA_SCOPES_MAX];
    size_t scopes;
    buf_t *out;
    err_t *err;
    size_t depth, work;
    size_t dead; /* above 0: nothing is evaluated */
    bool failed;
    /*  Of the tag that ended last, for the text behind it. */
    bool strip, newline, line_start;
} jinja_t;

typedef struct {
    json_t *value[JINJA_ARGS_MAX];
    size_t n;
    json_t *named; /* object, or NULL */
} jinja_args_t;

/*  Sets the error once, with the line; returns NULL. While dead nothing fails but the syntax. */
json_t *jinja_fail (jinja_t *j, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
json_t *jinja_unless_dead (jinja_t *j, const char *what, const char *name);

/*  Counts work; false, with an error, when it is too much. */
bool jinja_spend (jinja_t *j, size_t work);

/*  Gives a new value to the pool. */
json_t *jinja_keep (jinja_t *j, json_t *value);
json_t *jinja_text (jinja_t *j, const char *text, size_t size);
size_t jinja_length (const json_t *value); /* characters, items or keys */
bool jinja_truth (const json_t *value);
/*  Appends what {{ value }} writes. */
void jinja_write (jinja_t *j, const json_t *value, buf_t *out);

json_t *jinja_lookup (const jinja_t *j, const char *name);
json_t *jinja_filter (jinja_t *j, const char *name, json_t *value, const jinja_args_t *args);
json_t *jinja_test (jinja_t *j, const char *name, const json_t *value);
json_t *jinja_function (jinja_t *j, const char *name, const jinja_args_t *args);
json_t *jinja_method (jinja_t *j, json_t *self, const char *name, const jinja_args_t *args);

/*  Reading. Words are names of at most 63 characters. */
#define JINJA_WORD 64
void jinja_space (jinja_t *j);
bool jinja_take (jinja_t *j, const char *symbol);
bool jinja_word (jinja_t *j, char word[JINJA_WORD]);
/*  A keyword, if it is next. */
bool jinja_key (jinja_t *j, const char *word);
json_t *jinja_expression (jinja_t *j);
json_t *jinja_operand (jinja_t *j); /* an expression without x if y else z of its own */

#endif
