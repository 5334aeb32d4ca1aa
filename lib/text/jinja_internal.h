/*  jinja_internal - the inside of the template reader. Private to jinja*.c.
 *
 *      jinja.c           tags and text
 *      jinja_blocks.c    set, filter, macro, with and call
 *      jinja_express.c   expressions
 *      jinja_operators.c values combined: sums, comparisons, slices
 *      jinja_values.c    values themselves, names, functions
 *      jinja_filters.c   filters and tests
 *      jinja_methods.c   methods of texts and objects
 *      jinja_write.c     values as text
 *      jinja_format.c    filters that make text of a wanted form
 *
 *  Values are jansson's, NULL is undefined; all are borrowed from the pool, which lives as long as
 *  the reader. Expressions are evaluated as they are read; while `dead`, they are read only.
 */
#ifndef QUINTET_TEXT_JINJA_INTERNAL_H
#define QUINTET_TEXT_JINJA_INTERNAL_H

#include <stdbool.h>

#include "text/jinja.h"

#define JINJA_WORD       64      /* names are of at most 63 characters */
#define JINJA_SPECIAL    "\x01"  /* key of a function: its name */
#define JINJA_LAZY       "items" /* of a function that is none: see jinja_lazy */
#define JINJA_DEPTH_MAX  64
#define JINJA_WORK_MAX   ((size_t) 16 << 20) /* bytes read and made */
#define JINJA_SCOPES_MAX 64
#define JINJA_NAMES_MAX  4 /* of a for or a set */
#define JINJA_ARGS_MAX   16
#define JINJA_MACROS_MAX 64

typedef struct {
    const char *template, *at;
    json_t *pool;   /* array of all values made here */
    json_t *tuples; /* those of the pool that are tuples: lists, but for how they are written */
    json_t *opaque; /* and those that are not written at all: namespaces and ranges */
    json_t *marked; /* texts of escape and safe, which escape what is added to them */
    json_t *scope[JINJA_SCOPES_MAX];
    size_t scopes;
    const struct tm *date; /* today, or NULL */
    buf_t *out;
    err_t *err;
    size_t depth, work;
    size_t dead; /* above 0: nothing is evaluated */
    bool failed;
    enum { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE } jump; /* out of the innermost loop */
    struct {
        const char *at; /* its parameters, behind "(" */
        char name[64];
    } macro[JINJA_MACROS_MAX];
    size_t macros, loops; /* loops around what is read */
    /*  Of the tag that ended last, for the text behind it. */
    bool strip, newline, line_start;
} jinja_t;

typedef struct {
    json_t *value[JINJA_ARGS_MAX];
    size_t n;
    json_t *named; /* object, or NULL */
    bool blank;    /* what is undefined was given by a name */
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
bool jinja_test (jinja_t *j, const char *name, const json_t *value, const jinja_args_t *args);
json_t *jinja_function (jinja_t *j, const char *name, const jinja_args_t *args);
/*  What stands behind a dot: a method of Python's (as a function that is not called), else what an
 *  object has under that name. */
json_t *jinja_attribute (jinja_t *j, json_t *self, const char *name);
json_t *jinja_method (jinja_t *j, json_t *self, const char *name, const jinja_args_t *args);

/*  An argument by its place or by its name (NULL: by its place alone). */
json_t *jinja_arg (const jinja_args_t *args, size_t place, const char *name);
/*  A function or a macro, which are values too; and what is called by that name, or NULL. */
bool jinja_special (const json_t *value);
/*  Keys of objects are texts; a whole number is one with a sign in front that no text begins with.
 *  NULL: a value that is no key here. */
#define JINJA_NUMBER '\x02'
const char *jinja_key_of (const json_t *value, char number[32]);
json_t *jinja_key_value (const char *key);            /* a new one */
json_t *jinja_list (jinja_t *j, const json_t *value); /* what iteration gives */
/*  What Python makes of a list on the way: a generator, which is true and can be gone through
 *  once, or a view of an object, which can be gone through again. Neither has items by number, nor
 *  is it written. */
json_t *jinja_lazy (jinja_t *j, json_t *items, bool once);
bool jinja_is_opaque (const jinja_t *j, const json_t *value);
bool jinja_is_tuple (const jinja_t *j, const json_t *value);
bool jinja_is_marked (const jinja_t *j, const json_t *value);
/*  A text without what HTML reads, unless it is marked. */
const json_t *jinja_escape (jinja_t *j, const json_t *text);
json_t *jinja_braces (jinja_t *j, const char *text, const jinja_args_t *args);
json_t *jinja_percent (jinja_t *j, const char *text, const jinja_args_t *args);
json_t *jinja_format_filter (jinja_t *j, const char *name, json_t *value, const jinja_args_t *args,
                             bool *known);
json_t *jinja_items (jinja_t *j, const json_t *value);
json_t *jinja_to_json (jinja_t *j, const json_t *value, const jinja_args_t *args);
/*  'u' upper, 'l' lower, 'w' the first of every word upper. */
json_t *jinja_change_case (jinja_t *j, const json_t *value, char how);
/*  Of any of the characters, or of white space (NULL). */
json_t *jinja_strip (jinja_t *j, const json_t *value, const char *characters, bool left,
                     bool right);

/*  Python's ==: numbers by value, true is 1. */
bool jinja_equal (const json_t *a, const json_t *b);
bool jinja_compare (jinja_t *j, const char *symbol, const json_t *a, const json_t *b);
bool jinja_contains (jinja_t *j, const json_t *list, const json_t *item);
json_t *jinja_add (jinja_t *j, const json_t *left, const json_t *right, bool minus);
json_t *jinja_multiply (jinja_t *j, const char *symbol, json_t *left, json_t *right);
json_t *jinja_join (jinja_t *j, const json_t *left, const json_t *right);
json_t *jinja_slice (jinja_t *j, json_t *self, json_t *const bound[3]);
json_t *jinja_index (jinja_t *j, json_t *self, const json_t *index);

/*  What ended a run of text and tags. */
typedef enum {
    AT_END,
    AT_ELIF,
    AT_ELSE,
    AT_ENDIF,
    AT_ENDFOR,
    AT_ENDMACRO,
    AT_ENDSET,
    AT_ENDFILTER,
    AT_ENDWITH,
    AT_ENDCALL
} jinja_end_t;

/*  The names of a for: one, or several for the parts of each item. */
typedef struct {
    char name[JINJA_NAMES_MAX][JINJA_WORD];
    size_t n;
} jinja_names_t;

/*  Text and tags up to one that ends or divides the block around them. */
jinja_end_t jinja_run (jinja_t *j, bool run);
void jinja_tag_ended (jinja_t *j, const char *end, bool block);
void jinja_skip_tag (jinja_t *j, const char *end, bool block);
bool jinja_open_scope (jinja_t *j);
bool jinja_read_names (jinja_t *j, jinja_names_t *names);
void jinja_bind (jinja_t *j, const jinja_names_t *names, json_t *value);
void jinja_run_set (jinja_t *j, bool live);
void jinja_run_filter (jinja_t *j, bool live);
void jinja_run_macro (jinja_t *j, bool live);
void jinja_run_with (jinja_t *j, bool live);
void jinja_run_call (jinja_t *j, bool live);

/*  Runs a macro: what it writes. NULL value of *found: there is none of that name. */
json_t *jinja_call_macro (jinja_t *j, const char *name, const jinja_args_t *args, bool *found);

/*  Reading. */
void jinja_space (jinja_t *j);
bool jinja_take (jinja_t *j, const char *symbol);
bool jinja_word (jinja_t *j, char word[JINJA_WORD]);
/*  A keyword, if it is next. */
bool jinja_key (jinja_t *j, const char *word);
json_t *jinja_read_string (jinja_t *j);
json_t *jinja_expression (jinja_t *j);
json_t *jinja_operand (jinja_t *j); /* an expression without x if y else z of its own */

#endif
