/*  number - see number.h */
#include "task/number.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_OPEN  "{\"$number\":\""
#define NUMBER_CLOSE "\"}"
#define NUMBER_BYTES "+-.0123456789eE"

/*  The bytes of a string, with its quotes: digits in it are text. */
static size_t number_string (const char *at)
{
    size_t n = 1;
    while (at[n] && at[n] != '"')
        n += at[n] == '\\' && at[n + 1] ? 2 : 1;
    return at[n] ? n + 1 : n;
}

/*  The bytes of a number that begins here, or 0. */
static size_t number_length (const char *at)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp (at, words[i], strlen (words[i])) == 0)
            return strlen (words[i]);
    return strchr ("-0123456789", *at) ? strspn (at, NUMBER_BYTES) : 0;
}

/*  Whether jansson holds it: as 64 bits where it is whole, else as a finite double. */
static bool number_fits (const char *at, size_t n)
{
    errno = 0;
    /* NaN and Infinity: no number of JSON has these letters. */
    if (memchr (at, 'N', n) || memchr (at, 'I', n))
        return false;
    if (memchr (at, '.', n) || memchr (at, 'e', n) || memchr (at, 'E', n))
        return isfinite (strtod (at, NULL));
    /* Called for errno alone: the value is jansson's to read. */
    strtoll (at, NULL, 10);
    return errno != ERANGE;
}

/*  Walks over the text without parsing it: strings are skipped as wholes, numbers are looked at,
 *  everything else is copied. */
void number_escape (const char *json, buf_t *escaped)
{
    for (size_t n; *json; json += n) {
        if (*json == '"') {
            n = number_string (json);
            buf_append (escaped, json, n);
        } else if ((n = number_length (json)) == 0) {
            n = 1;
            buf_char (escaped, *json);
        } else if (number_fits (json, n)) {
            buf_append (escaped, json, n);
        } else {
            buf_text (escaped, NUMBER_OPEN);
            buf_append (escaped, json, n);
            buf_text (escaped, NUMBER_CLOSE);
        }
    }
}

/*  A key that stands twice has two meanings, of which a reader would see one. */
json_t *number_parse (const char *json, err_t *err)
{
    json_error_t problem = {.text = ""};
    buf_t text = {0};
    json_t *root = NULL;
    number_escape (json, &text);
    if (buf_check (&text, "a text", err) == 0) {
        root = json_loads (text.data ? text.data : "", JSON_REJECT_DUPLICATES, &problem);
        if (!root && json_error_code (&problem) == json_error_null_character)
            err_set (err, ERR_INPUT,
                     "column %d: \\u0000 in it, which texts cannot hold here: take it out",
                     problem.column);
        else if (!root)
            err_set (err, ERR_INPUT, "column %d: %s", problem.column, problem.text);
    }
    buf_free (&text);
    return root;
}

/*  The number in an object of our form that begins here, or NULL: an object of the user's. */
static const char *number_inside (const char *at, size_t *n)
{
    if (strncmp (at, NUMBER_OPEN, strlen (NUMBER_OPEN)) != 0)
        return NULL;
    at += strlen (NUMBER_OPEN);
    *n = number_length (at);
    return *n && strncmp (at + *n, NUMBER_CLOSE, strlen (NUMBER_CLOSE)) == 0 ? at : NULL;
}

/*  Only objects of exactly our form are changed: one of a user's that merely has such a key
 *  stays. */
void number_restore (const char *json, buf_t *restored)
{
    for (size_t n; *json; json += n) {
        const char *number = number_inside (json, &n);
        if (number) {
            buf_append (restored, number, n);
            n += strlen (NUMBER_OPEN) + strlen (NUMBER_CLOSE);
        } else {
            n = *json == '"' ? number_string (json) : 1;
            buf_append (restored, json, n);
        }
    }
}
