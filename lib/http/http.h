/*  http - questions to servers of others: many at once, each with a deadline, asked again as long
 *  as that may help.
 *
 *      http_t *http = http_new (64, &err);
 *      http_post (http, &question, answered, context, &err);     from any thread
 *      http_destroy (&http);                                 what is under way is given up
 *
 *  A thread of its own runs libcurl's multi interface, over connections that are kept. What a
 *  second try may mend is tried again until the deadline: no connection, a broken one, 408, 429 and
 *  5xx, after twice the time of the try before, or after what the server says (Retry-After).
 *  Certificates are checked, no redirection is followed, and a key goes to the server and nowhere
 *  else.
 */
#ifndef QUINTET_HTTP_HTTP_H
#define QUINTET_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_ANSWER_MAX ((size_t) 16 << 20) /* bytes */

typedef struct http http_t;

typedef struct {
    const char *url; /* http:// or https:// */
    const char *key; /* sent as "Authorization: Bearer"; "" for none */
    const char *body;
    size_t size;
    int64_t deadline_ms; /* of clock_ms, for all tries together */
} http_question_t;

/*  An answer of a status of 2xx has err.code ERR_NONE. Else err says why there is none: ERR_TIMEOUT
 *  until the deadline, with what the last try came to; ERR_CONFIG for 401, 403, 404 and 405, which
 *  no other question would change; ERR_INPUT for any other status of the question's doing;
 *  ERR_NETWORK for a server whose certificate is wrong. body is what the server said, in either
 *  case. */
typedef struct {
    int status; /* 0: none came */
    const char *body;
    size_t size;
    err_t err;
} http_answer_t;

/*  Called once for each question, on the thread of http_t, which waits meanwhile, or for what is
 *  given up (ERR_STALE) by http_destroy. The answer is borrowed. */
typedef void (*http_fn) (void *context, const http_answer_t *answer);

/*  concurrency: of questions that a server is asked at once; others wait in line. */
http_t *http_new (size_t concurrency, err_t *err);
void http_destroy (http_t **http);

/*  Copies the question. ERR_INPUT: no URL; ERR_LIMIT: no memory. */
int http_post (http_t *http, const http_question_t *question, http_fn done, void *context,
               err_t *err);

#endif
