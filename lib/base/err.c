/*  err - see err.h */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*  Returns -1, so that callers can fail in one line; without an err_t nobody wants to know why. */
int err_set (err_t *err, err_code_t code, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start (args, fmt);
        err->code = code;
        vsnprintf (err->text, sizeof err->text, fmt, args);
        va_end (args);
    }
    return -1;
}

/*  The outer text comes first ("the tokenizer of policy 'main': merge 12 is no pair"); what does
 *  not fit is cut at the end. */
int err_wrap (err_t *err, const char *fmt, ...)
{
    if (err) {
        char inner[ERR_TEXT_MAX];
        /* Copied, since the new text is written where the old one stands. */
        memcpy (inner, err->text, sizeof inner);
        va_list args;
        va_start (args, fmt);
        int n = vsnprintf (err->text, sizeof err->text, fmt, args);
        va_end (args);
        if (n >= 0 && (size_t) n < sizeof err->text)
            snprintf (err->text + n, sizeof err->text - (size_t) n, ": %.*s",
                      (int) (sizeof err->text - (size_t) n - 3), inner);
    }
    return -1;
}

/*  A full disk has a code of its own whatever the caller was doing: it is not worth another try. */
int err_errno (err_t *err, err_code_t code, const char *fmt, ...)
{
    /* First of all: what comes below may change it. */
    int number = errno;
    if (err) {
        va_list args;
        va_start (args, fmt);
        bool full = number == ENOSPC || number == EDQUOT;
        err->code = full ? ERR_FULL : code;
        int n = vsnprintf (err->text, sizeof err->text, fmt, args);
        va_end (args);
        if (n >= 0 && (size_t) n < sizeof err->text)
            snprintf (err->text + n, sizeof err->text - (size_t) n, ": %s%s", strerror (number),
                      full ? "; make room there and try again" : "");
    }
    return -1;
}

const char *err_name (err_code_t code)
{
#define ERR_X(value, name) [value] = name,
    static const char *const names[] = {ERR_CODES (ERR_X)};
#undef ERR_X
    return (unsigned) code < ERR_COUNT ? names[code] : "unknown";
}
