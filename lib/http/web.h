/*  web - pages, JSON and one stream of events for browsers; read-only.
 *
 *      web_options_t options = {.listen = "127.0.0.1:8080", .answer = answer, .context = &state};
 *      web_t *web = web_new (&options, &err);
 *      web_tell (web, "{\"step\": 7}");                   to every browser that streams
 *      web_destroy (&web);
 *
 *  A thread of its own runs libmicrohttpd. GET and HEAD are all there is. Connections, streams, and
 *  the bytes of a request are bounded. Cut off is whoever is silent for WEB_IDLE_S, or takes
 *  nothing of what it is sent for so long; and whoever, however busily, takes WEB_HEAD_S for a
 *  request or WEB_ANSWER_S for its answer. One who comes when there are WEB_CONNECTIONS gets the
 *  place of another: of the address that has most, first of those that have not asked yet.
 *
 *  Who is let in: a Host that is an address, localhost, or one of options.hosts, since another
 *  site's name that leads here (DNS rebinding) would make a browser show that site what we say. And
 *  with a token whoever has it: as "Authorization: Bearer", as "?token=" once, or by the cookie
 *  that either gives. Pages are for all; they have no data in them.
 */
#ifndef QUINTET_HTTP_WEB_H
#define QUINTET_HTTP_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define WEB_CONNECTIONS  64
#define WEB_STREAMS      32
#define WEB_STREAMS_EACH 24 /* of one address */
#define WEB_IDLE_S       20
#define WEB_HEAD_S       30
#define WEB_ANSWER_S     300
#define WEB_TOKEN_MIN    16 /* characters: a shorter one could be guessed */

typedef struct web web_t;
typedef struct web_request web_request_t;

/*  A file that is served as it is, to all. */
typedef struct {
    const char *path, *type; /* "/app.js", "text/javascript"; path NULL ends a list */
    const char *data, *end;  /* as long as the web_t */
} web_page_t;

typedef struct {
    int status;       /* 200 unless it is set */
    const char *type; /* application/json unless it is set */
    buf_t body;       /* taken over */
    bool stream;      /* instead of a body: what web_tell says, from now on */
} web_answer_t;

/*  Answers a GET that is no page, on the thread of web_t; others wait meanwhile. */
typedef void (*web_fn) (void *context, const web_request_t *request, web_answer_t *answer);

typedef struct {
    const char *listen;      /* HOST:PORT, [::1]:PORT, PORT, or *:PORT; port 0: any */
    const char *token;       /* NULL, "": none is asked for */
    const char *hosts;       /* names by which it may be called, a blank between two; or NULL */
    bool open;               /* without a token also for other hosts */
    const web_page_t *pages; /* or NULL */
    web_fn answer;
    void *context;
} web_options_t;

/*  ERR_CONFIG: an address that is none, or that other hosts reach, without token or open; a token
 *  that is too short. ERR_NETWORK: it cannot be bound. */
web_t *web_new (const web_options_t *options, err_t *err);
void web_destroy (web_t **web);

/*  Where it listens: "127.0.0.1:8080". */
const char *web_address (const web_t *web);
/*  What every stream says next, as one event. One that has not sent the last yet skips what comes
 *  in between. text: one line, copied. From any thread; once a second or so, since that is also
 *  when who takes too long is cut off. */
void web_tell (web_t *web, const char *text);
/*  Browsers that stream now. */
size_t web_streams (web_t *web);

const char *web_path (const web_request_t *request);
/*  NULL: it is not in the query. */
const char *web_query (const web_request_t *request, const char *key);
/*  Sets status and {"error": text}. */
void web_refuse (web_answer_t *answer, int status, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

#endif
