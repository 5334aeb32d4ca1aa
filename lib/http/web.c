/*  web - see web.h */
#include "http/web.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "http/clients.h"

#define WEB_REQUEST_MAX ((size_t) 32 << 10) /* bytes of a request's head, and of our buffers */
#define WEB_BLOCK       ((size_t) 16 << 10)
#define WEB_BACKLOG     32
#define WEB_LEAVING     16 /* connections that were cut off and are not gone yet, at most */
#define COOKIE          "quintet"
#define SESSION         32 /* characters of what the cookie holds */

/*  A browser that streams. It has a copy of what it sends, so a slow one holds up nobody. */
typedef struct stream {
    web_t *web;
    struct MHD_Connection *connection;
    buf_t text;
    size_t sent;
    unsigned long said; /* number of what it sends, or has sent */
    bool asleep;        /* has sent all there is */
    struct stream *next;
} stream_t;

struct web {
    web_options_t options;
    struct MHD_Daemon *daemon;
    clients_t *clients;
    char address[128], token[256], session[SESSION + 1];
    char *hosts;
    pthread_mutex_t lock; /* of what follows */
    stream_t *streams;
    size_t streams_n;
    char *newest;
    unsigned long number; /* of the newest, from 1 */
    bool ends;
};

struct web_request {
    struct MHD_Connection *connection;
    const char *path;
};

const char *web_path (const web_request_t *request)
{
    return request->path;
}

const char *web_query (const web_request_t *request, const char *key)
{
    return MHD_lookup_connection_value (request->connection, MHD_GET_ARGUMENT_KIND, key);
}

void web_refuse (web_answer_t *answer, int status, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    json_t *object = json_pack ("{s:s}", "error", text);
    char *line = json_dumps (object, JSON_COMPACT);
    buf_free (&answer->body);
    *answer = (web_answer_t){.status = status};
    buf_text (&answer->body, line ? line : "{\"error\":\"the words for it are no UTF-8\"}");
    free (line);
    json_decref (object);
}

/*  ---- who is let in -------------------------------------------------------------------------- */

static bool web_listed (const char *list, const char *name, size_t n)
{
    for (const char *at = list; *at;) {
        size_t length = strcspn (at, " ,");
        if (length == n && strncasecmp (at, name, n) == 0)
            return true;
        at += length;
        at += strspn (at, " ,");
    }
    return false;
}

/*  Another site's name is no address, so a browser that was led here by it is told nothing. */
static bool web_host_allowed (const web_t *web, const char *host)
{
    char name[256];
    struct in6_addr address;
    size_t n = !host ? 0 : *host == '[' ? strcspn (host + 1, "]") : strcspn (host, ":");
    if (n == 0 || n >= sizeof name)
        return false;
    snprintf (name, sizeof name, "%.*s", (int) n, host + (*host == '['));
    return inet_pton (AF_INET, name, &address) == 1 || inet_pton (AF_INET6, name, &address) == 1 ||
           strcasecmp (name, "localhost") == 0 || web_listed (web->hosts, name, n);
}

/*  In a time that does not tell how much of it is right. */
static bool web_same (const char *given, const char *wanted)
{
    size_t n = strlen (wanted);
    return given && n && strlen (given) == n && sodium_memcmp (given, wanted, n) == 0;
}

static bool web_bears_token (const web_t *web, const web_request_t *request)
{
    const char *header = MHD_lookup_connection_value (request->connection, MHD_HEADER_KIND,
                                                      MHD_HTTP_HEADER_AUTHORIZATION);
    return header && strncasecmp (header, "Bearer ", 7) == 0 && web_same (header + 7, web->token);
}

static bool web_has_cookie (const web_t *web, const web_request_t *request)
{
    return web_same (MHD_lookup_connection_value (request->connection, MHD_COOKIE_KIND, COOKIE),
                     web->session);
}

/*  ---- answers -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *value;
} web_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}};

/*  Takes the response. */
static enum MHD_Result web_send (const web_request_t *request, int status,
                                 struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < sizeof web_headers / sizeof *web_headers; i++)
        MHD_add_response_header (response, web_headers[i].name, web_headers[i].value);
    enum MHD_Result rc = MHD_queue_response (request->connection, (unsigned) status, response);
    MHD_destroy_response (response);
    return rc;
}

/*  Takes the answer's body. */
static struct MHD_Response *web_respond (web_answer_t *answer)
{
    size_t size = answer->body.size;
    bool failed = buf_failed (&answer->body);
    char *text = buf_take (&answer->body);
    if (failed || !text) {
        free (text);
        return NULL;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer (size, text, MHD_RESPMEM_MUST_FREE);
    if (response) {
        MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                 answer->type ? answer->type : "application/json");
        MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
    return response;
}

static enum MHD_Result web_send_error (const web_request_t *request, int status, const char *text)
{
    web_answer_t answer = {0};
    web_refuse (&answer, status, "%s", text);
    struct MHD_Response *response = web_respond (&answer);
    if (response && status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header (response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    return web_send (request, status, response);
}

/*  The cookie in place of the token, which then stands in no address and no history. */
static enum MHD_Result web_welcome (const web_t *web, const web_request_t *request, bool redirect)
{
    char cookie[128];
    struct MHD_Response *response =
        MHD_create_response_from_buffer (0, NULL, MHD_RESPMEM_PERSISTENT);
    snprintf (cookie, sizeof cookie, COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict", web->session);
    if (response) {
        MHD_add_response_header (response, MHD_HTTP_HEADER_SET_COOKIE, cookie);
        MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
    if (response && redirect)
        MHD_add_response_header (response, MHD_HTTP_HEADER_LOCATION, "/");
    return web_send (request, redirect ? MHD_HTTP_SEE_OTHER : MHD_HTTP_NO_CONTENT, response);
}

/*  A browser that has it already is told so: the tag changes with the file. */
static enum MHD_Result web_send_page (const web_request_t *request, const web_page_t *page)
{
    char tag[32];
    size_t size = (size_t) (page->end - page->data);
    const char *has = MHD_lookup_connection_value (request->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_IF_NONE_MATCH);
    snprintf (tag, sizeof tag, "\"%08x\"", (unsigned) crc_of (0, page->data, size));
    bool same = has && strcmp (has, tag) == 0;
    struct MHD_Response *response = MHD_create_response_from_buffer (
        same ? 0 : size, (void *) (uintptr_t) page->data, MHD_RESPMEM_PERSISTENT);
    if (response) {
        MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
        MHD_add_response_header (response, MHD_HTTP_HEADER_ETAG, tag);
        MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    }
    return web_send (request, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
}

/*  ---- connections ---------------------------------------------------------------------------- */

static void web_on_connection (void *context, struct MHD_Connection *connection, void **client,
                               enum MHD_ConnectionNotificationCode code)
{
    const web_t *web = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *client = clients_add (
            web->clients,
            MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    else if (*client)
        clients_remove (web->clients, *client);
}

/*  NULL: there was no memory for it. */
static client_t *web_client (struct MHD_Connection *connection)
{
    return MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void web_on_completed (void *context, struct MHD_Connection *connection, void **mark,
                              enum MHD_RequestTerminationCode code)
{
    const web_t *web = context;
    (void) mark;
    (void) code;
    if (web_client (connection))
        clients_ask (web->clients, web_client (connection));
}

/*  ---- the stream ----------------------------------------------------------------------------- */

/*  What a stream has not said yet, up to max bytes. Without anything it sleeps until web_tell: a
 *  reader that says "nothing now" would be asked again at once. */
static ssize_t web_read_stream (void *context, uint64_t position, char *to, size_t max)
{
    stream_t *s = context;
    web_t *web = s->web;
    ssize_t n = 0;
    (void) position;
    pthread_mutex_lock (&web->lock);
    if (s->sent == s->text.size && s->said != web->number) {
        buf_clear (&s->text);
        buf_printf (&s->text, "data: %s\n\n", web->newest);
        s->sent = 0;
        s->said = web->number;
    }
    if (web->ends || buf_failed (&s->text)) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (s->sent < s->text.size) {
        size_t left = s->text.size - s->sent;
        n = (ssize_t) (left < max ? left : max);
        memcpy (to, s->text.data + s->sent, (size_t) n);
        s->sent += (size_t) n;
    } else {
        s->asleep = true;
        MHD_suspend_connection (s->connection);
    }
    pthread_mutex_unlock (&web->lock);
    return n;
}

static void web_end_stream (void *context)
{
    stream_t *s = context;
    web_t *web = s->web;
    pthread_mutex_lock (&web->lock);
    stream_t **at = &web->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    web->streams_n--;
    pthread_mutex_unlock (&web->lock);
    buf_free (&s->text);
    free (s);
}

static enum MHD_Result web_send_stream (web_t *web, const web_request_t *request)
{
    stream_t *s = calloc (1, sizeof *s);
    if (!s)
        return MHD_NO;
    *s = (stream_t){.web = web, .connection = request->connection};
    pthread_mutex_lock (&web->lock);
    bool room = web->streams_n < WEB_STREAMS &&
                clients_stream (web->clients, web_client (request->connection));
    if (room) {
        s->next = web->streams;
        web->streams = s;
        web->streams_n++;
    }
    pthread_mutex_unlock (&web->lock);
    if (!room) {
        free (s);
        return web_send_error (request, MHD_HTTP_SERVICE_UNAVAILABLE,
                               "too many browsers stream already: close one");
    }
    struct MHD_Response *response = MHD_create_response_from_callback (
        MHD_SIZE_UNKNOWN, WEB_BLOCK, web_read_stream, s, web_end_stream);
    if (!response) {
        web_end_stream (s);
        return MHD_NO;
    }
    MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return web_send (request, MHD_HTTP_OK, response);
}

/*  With the lock. */
static void web_wake_all (web_t *web)
{
    for (stream_t *s = web->streams; s; s = s->next)
        if (s->asleep) {
            s->asleep = false;
            MHD_resume_connection (s->connection);
        }
}

void web_tell (web_t *web, const char *text)
{
    char *copy = strdup (text);
    if (!copy)
        return;
    pthread_mutex_lock (&web->lock);
    free (web->newest);
    web->newest = copy;
    web->number++;
    web_wake_all (web);
    pthread_mutex_unlock (&web->lock);
    clients_cut_late (web->clients);
}

size_t web_streams (web_t *web)
{
    pthread_mutex_lock (&web->lock);
    size_t n = web->streams_n;
    pthread_mutex_unlock (&web->lock);
    return n;
}

/*  ---- requests ------------------------------------------------------------------------------- */

static const web_page_t *web_page (const web_t *web, const char *path)
{
    const web_page_t *page = web->options.pages;
    while (page && page->path && strcmp (page->path, path) != 0)
        page++;
    return page && page->path ? page : NULL;
}

static enum MHD_Result web_answer (web_t *web, const web_request_t *request)
{
    web_answer_t answer = {0};
    web->options.answer (web->options.context, request, &answer);
    if (answer.stream) {
        buf_free (&answer.body);
        return web_send_stream (web, request);
    }
    int status = answer.status ? answer.status : MHD_HTTP_OK;
    struct MHD_Response *response = web_respond (&answer);
    return response ? web_send (request, status, response)
                    : web_send_error (request, MHD_HTTP_INSUFFICIENT_STORAGE,
                                      "the answer is too large: ask for less");
}

static bool web_has_body (struct MHD_Connection *connection)
{
    const char *size =
        MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (size && strspn (size, "0") != strlen (size)) ||
           MHD_lookup_connection_value (connection, MHD_HEADER_KIND,
                                        MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/*  A Bearer token is nothing that a browser sends by itself, so it needs no Host of ours. */
static enum MHD_Result web_on_request (void *context, struct MHD_Connection *connection,
                                       const char *url, const char *method, const char *version,
                                       const char *upload, size_t *upload_n, void **mark)
{
    static int seen;
    web_t *web = context;
    const web_request_t request = {connection, url};
    (void) version;
    (void) upload;
    (void) upload_n;
    if (!web_client (connection))
        return MHD_NO;
    clients_answer (web->clients, web_client (connection));
    if (strcmp (method, MHD_HTTP_METHOD_GET) != 0 && strcmp (method, MHD_HTTP_METHOD_HEAD) != 0)
        return web_send_error (&request, MHD_HTTP_METHOD_NOT_ALLOWED,
                               "only GET and HEAD: nothing can be changed from here");
    /* First comes the head alone. */
    if (!*mark) {
        *mark = &seen;
        return web_has_body (connection)
                   ? web_send_error (&request, MHD_HTTP_CONTENT_TOO_LARGE,
                                     "no body is wanted: the address says it all")
                   : MHD_YES;
    }
    bool bears = web_bears_token (web, &request);
    if (!bears && !web_host_allowed (web, MHD_lookup_connection_value (connection, MHD_HEADER_KIND,
                                                                       MHD_HTTP_HEADER_HOST)))
        return web_send_error (&request, MHD_HTTP_MISDIRECTED_REQUEST,
                               "this name is not one of ours: --hosts NAME makes it one");
    const char *token = web_query (&request, "token");
    if (*web->token && web_same (token, web->token))
        return web_welcome (web, &request, true);
    if (bears && strcmp (url, "/login") == 0)
        return web_welcome (web, &request, false);
    const web_page_t *page = web_page (web, url);
    if (page)
        return web_send_page (&request, page);
    if (*web->token && !bears && !web_has_cookie (web, &request))
        return web_send_error (&request, MHD_HTTP_UNAUTHORIZED, "a token is needed, or another");
    return web_answer (web, &request);
}

/*  ---- where it listens ----------------------------------------------------------------------- */

/*  "HOST:PORT" in two; the host "" is this host alone, "*" any address. */
static int web_split (const char *listen, char host[256], char port[16], err_t *err)
{
    const char *colon = strrchr (listen, ':'), *number = colon ? colon + 1 : listen;
    size_t n = colon ? (size_t) (colon - listen) : 0;
    bool bracketed = n >= 2 && listen[0] == '[' && listen[n - 1] == ']';
    char *end;
    long value = strtol (number, &end, 10);
    if (!*number || *end || value < 0 || value > 65535 || n >= 256 ||
        (!bracketed && memchr (listen, ':', n)))
        return err_set (
            err, ERR_CONFIG,
            "--listen %.200s: wanted is HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080", listen);
    snprintf (host, 256, "%.*s", (int) (bracketed ? n - 2 : n), listen + bracketed);
    snprintf (port, 16, "%ld", value);
    return 0;
}

static bool web_is_loopback (const struct addrinfo *at)
{
    if (at->ai_family == AF_INET)
        return ntohl (((const struct sockaddr_in *) (const void *) at->ai_addr)->sin_addr.s_addr) >>
                   24 ==
               127;
    return IN6_IS_ADDR_LOOPBACK (
        &((const struct sockaddr_in6 *) (const void *) at->ai_addr)->sin6_addr);
}

static int web_bind (web_t *web, const struct addrinfo *at, err_t *err)
{
    int one = 1, fd = socket (at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char host[80], port[16];
    if (fd >= 0)
        setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind (fd, at->ai_addr, at->ai_addrlen) != 0 || listen (fd, WEB_BACKLOG) != 0) {
        err_errno (err, ERR_NETWORK, "--listen %.200s: cannot be bound", web->options.listen);
        if (fd >= 0)
            close (fd);
        return -1;
    }
    if (getsockname (fd, (struct sockaddr *) &bound, &size) == 0 &&
        getnameinfo ((struct sockaddr *) &bound, size, host, sizeof host, port, sizeof port,
                     NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf (web->address, sizeof web->address,
                  at->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return fd;
}

/*  The socket, or -1. Refused before it is bound: others must not reach it for a moment either. */
static int web_listen (web_t *web, err_t *err)
{
    const web_options_t *o = &web->options;
    char host[256], port[16];
    struct addrinfo *at = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    if (web_split (o->listen, host, port, err) != 0)
        return -1;
    bool any = strcmp (host, "*") == 0;
    if (any)
        hints.ai_family = AF_INET;
    int rc = getaddrinfo (any ? NULL : *host ? host : "127.0.0.1", port, &hints, &at);
    if (rc != 0)
        return err_set (err, ERR_CONFIG, "--listen %.200s: %s", o->listen, gai_strerror (rc));
    int fd = -1;
    if (!web_is_loopback (at) && !*web->token && !o->open)
        err_set (err, ERR_CONFIG,
                 "--listen %.200s: other hosts reach this address, and there is no token: give it "
                 "--token-file FILE, or --insecure where nobody else can reach it",
                 o->listen);
    else
        fd = web_bind (web, at, err);
    freeaddrinfo (at);
    buf_t hosts = {0};
    buf_printf (&hosts, "%s %s", any ? "" : host, o->hosts ? o->hosts : "");
    web->hosts = buf_take (&hosts);
    return fd;
}

static int web_start (web_t *web, err_t *err)
{
    unsigned char random[SESSION / 2];
    const char *token = web->options.token ? web->options.token : "";
    size_t n = strlen (token);
    if (sodium_init () < 0)
        return err_set (err, ERR_INTERNAL, "libsodium does not start");
    if (n && (n < WEB_TOKEN_MIN || n >= sizeof web->token))
        return err_set (err, ERR_CONFIG, "a token has %d to %zu characters, this one %zu",
                        WEB_TOKEN_MIN, sizeof web->token - 1, n);
    memcpy (web->token, token, n);
    randombytes_buf (random, sizeof random);
    sodium_bin2hex (web->session, sizeof web->session, random, sizeof random);
    int fd = web_listen (web, err);
    if (fd < 0 || !web->hosts)
        return -1;
    web->daemon = MHD_start_daemon (
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, web_on_request,
        web, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned) (WEB_CONNECTIONS + WEB_LEAVING), MHD_OPTION_NOTIFY_CONNECTION, web_on_connection,
        web, MHD_OPTION_NOTIFY_COMPLETED, web_on_completed, web, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned) WEB_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, WEB_REQUEST_MAX, MHD_OPTION_END);
    if (web->daemon)
        return 0;
    close (fd);
    return err_set (err, ERR_INTERNAL, "libmicrohttpd does not start");
}

web_t *web_new (const web_options_t *options, err_t *err)
{
    web_t *web = calloc (1, sizeof *web);
    if (!web)
        return err_set (err, ERR_LIMIT, "no memory for a web server"), NULL;
    web->options = *options;
    web->newest = strdup ("{}");
    web->clients = clients_new ();
    pthread_mutex_init (&web->lock, NULL);
    if (!web->newest || !web->clients)
        err_set (err, ERR_LIMIT, "no memory for a web server");
    if (!web->newest || !web->clients || web_start (web, err) != 0)
        web_destroy (&web);
    return web;
}

/*  Streams that sleep are woken, or libmicrohttpd would not end. */
void web_destroy (web_t **self)
{
    web_t *web = *self;
    if (!web)
        return;
    pthread_mutex_lock (&web->lock);
    web->ends = true;
    web_wake_all (web);
    pthread_mutex_unlock (&web->lock);
    if (web->daemon)
        MHD_stop_daemon (web->daemon);
    clients_destroy (&web->clients);
    pthread_mutex_destroy (&web->lock);
    sodium_memzero (web->token, sizeof web->token);
    free (web->newest);
    free (web->hosts);
    free (web);
    *self = NULL;
}

const char *web_address (const web_t *web)
{
    return web->address;
}
