/*  err - what went wrong, in words that name the thing.
 *
 *  Functions that can fail take an err_t * as their last parameter and return -1 or NULL:
 *
 *      err_t err = {0};
 *      if (fs_read (path, 1 << 20, &content, &err) != 0)
 *          return err_wrap (&err, "the tokenizer of policy '%s'", name);
 */
#ifndef QUINTET_BASE_ERR_H
#define QUINTET_BASE_ERR_H

/*  One line per code: enumerator, short name (in logs and on the wire). Append only: codes
 *  travel. */
#define ERR_CODES(X)                                                                               \
    X (ERR_NONE, "none")                                                                           \
    X (ERR_INPUT, "bad-input")          /* the user's or a peer's data is wrong; never retried */  \
    X (ERR_CONFIG, "bad-configuration") /* ends a service with EXIT_CONFIG; never restarted */     \
    X (ERR_IO, "io")                    /* a file, a disk, a pipe */                               \
    X (ERR_NETWORK, "network")          /* a peer or a server cannot be reached */                 \
    X (ERR_TIMEOUT, "timeout")          /* a deadline passed */                                    \
    X (ERR_BUSY, "busy")                /* a bounded queue is full; try again */                   \
    X (ERR_STALE, "stale")              /* a fence, epoch or version is no longer valid */         \
    X (ERR_MISSING, "missing")          /* what was asked for is not there */                      \
    X (ERR_LIMIT, "limit")              /* a size or budget would be exceeded */                   \
    X (ERR_INTERNAL, "internal")        /* should not happen */                                    \
    X (ERR_FULL, "disk-full")           /* somebody must make room first; never retried */

#define ERR_X(code, name) code,
typedef enum { ERR_CODES (ERR_X) ERR_COUNT } err_code_t;
#undef ERR_X

#define ERR_TEXT_MAX 1024

typedef struct {
    err_code_t code;
    char text[ERR_TEXT_MAX]; /* one line, no newline at its end */
} err_t;

/*  Sets code and text and returns -1, so that `return err_set (...)` reads well. err may be
 *  NULL. */
int err_set (err_t *err, err_code_t code, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/*  Puts "prefix: " before the text that is there, keeps the code, returns -1. */
int err_wrap (err_t *err, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/*  As err_set, with ": " and the text of errno at the end. When that is a full disk or quota, the
 *  code becomes ERR_FULL and the text says what to do. */
int err_errno (err_t *err, err_code_t code, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/*  The short name of a code; "unknown" for anything else. */
const char *err_name (err_code_t code);

#endif
