/*  link - see link.h */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/log.h"

EMBED (store_functions, "lib/store/functions.lua")

#define LINK_BACKOFF_MS     10
#define LINK_BACKOFF_MAX_MS 250
#define LINK_HOST_MAX       256
#define LINK_PARTS_MAX      8

struct link {
    char *address;            /* as given, for messages */
    char *path;               /* of a unix socket; NULL: tcp */
    char host[LINK_HOST_MAX]; /* of tcp */
    int port;
    redisContext *redis; /* NULL: not connected */
    bool met;            /* it has answered once */
    bool troubled;       /* said in the log that Redis cannot be reached */
    store_bytes_t parts[LINK_PARTS_MAX];
};

/*  What one try came to. */
typedef enum { TRY_DONE, TRY_AGAIN, TRY_FAILED } try_t;

static int link_parse_tcp (link_t *link, const char *text, err_t *err)
{
    if (strncmp (text, "//", 2) == 0)
        text += 2;
    const char *colon = strrchr (text, ':');
    size_t n = colon ? (size_t) (colon - text) : 0;
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++; /* an IPv6 address stands in brackets */
        n -= 2;
    }
    char *end = NULL;
    long port = colon ? strtol (colon + 1, &end, 10) : 0;
    if (n == 0 || n >= LINK_HOST_MAX || !end || *end || port < 1 || port > 65535)
        return err_set (err, ERR_CONFIG, "Redis address '%s': expected unix:PATH or tcp:HOST:PORT",
                        link->address);
    memcpy (link->host, text, n);
    link->port = (int) port;
    return 0;
}

link_t *link_new (const char *address, err_t *err)
{
    link_t *link = calloc (1, sizeof *link);
    int rc = link && (link->address = strdup (address)) ? 0 : err_set (err, ERR_LIMIT, "no memory");
    if (rc == 0 && strncmp (address, "unix:", 5) == 0 && address[5])
        rc = (link->path = strdup (address + 5)) ? 0 : err_set (err, ERR_LIMIT, "no memory");
    else if (rc == 0)
        rc = strncmp (address, "tcp:", 4) == 0
                 ? link_parse_tcp (link, address + 4, err)
                 : err_set (err, ERR_CONFIG,
                            "Redis address '%s': expected unix:PATH or tcp:HOST:PORT", address);
    if (rc != 0) {
        link_destroy (&link);
        return NULL;
    }
    /* hiredis writes with write (): a peer that is gone would end the process. */
    struct sigaction old;
    if (sigaction (SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal (SIGPIPE, SIG_IGN);
    return link;
}

static void link_disconnect (link_t *link)
{
    if (link->redis)
        redisFree (link->redis);
    link->redis = NULL;
}

void link_destroy (link_t **link)
{
    if (!*link)
        return;
    link_disconnect (*link);
    free ((*link)->path);
    free ((*link)->address);
    free (*link);
    *link = NULL;
}

static struct timeval link_timeout_of (int64_t ms)
{
    ms = ms < 1 ? 1 : ms;
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/*  Why the connection is of no use; says it in words and drops it. */
static int link_is_broken (link_t *link, err_t *err)
{
    int code = errno;
    char why[160];
    if (!link->redis)
        snprintf (why, sizeof why, "no memory");
    else if (link->redis->err == REDIS_ERR_IO && (code == EAGAIN || code == EWOULDBLOCK))
        snprintf (why, sizeof why, "it does not answer");
    else
        snprintf (why, sizeof why, "%s", link->redis->errstr);
    link_disconnect (link);
    return err_set (err, ERR_NETWORK,
                    "Redis at %s: %s; check that it runs there and that this machine reaches it",
                    link->address, why);
}

static int link_connected (link_t *link, int64_t left_ms, err_t *err)
{
    struct timeval timeout = link_timeout_of (left_ms);
    if (!link->redis) {
        link->redis = link->path ? redisConnectUnixWithTimeout (link->path, timeout)
                                 : redisConnectWithTimeout (link->host, link->port, timeout);
        if (!link->redis || link->redis->err)
            return link_is_broken (link, err);
        fcntl (link->redis->fd, F_SETFD, FD_CLOEXEC);
        if (!link->path)
            redisEnableKeepAlive (link->redis);
    }
    if (redisSetTimeout (link->redis, timeout) != REDIS_OK)
        return link_is_broken (link, err);
    return 0;
}

static bool link_is_loading (const char *text, const char *with)
{
    return strncmp (text, with, strlen (with)) == 0;
}

/*  Redis's own errors, as opposed to those that our functions answer. */
static try_t link_redis_error (const link_t *link, const char *text, err_t *err)
{
    const char *at = link->address;
    if (link_is_loading (text, "LOADING") || link_is_loading (text, "BUSY ")) {
        err_set (err, ERR_NETWORK, "Redis at %s is busy: %s", at, text);
        return TRY_AGAIN;
    }
    if (link_is_loading (text, "MISCONF")) {
        err_set (err, ERR_IO,
                 "Redis at %s cannot write to its disk and takes nothing more: make room or look "
                 "at its log: %s",
                 at, text);
        return TRY_AGAIN;
    }
    if (link_is_loading (text, "OOM"))
        err_set (err, ERR_LIMIT, "Redis at %s is at its memory limit: raise maxmemory: %s", at,
                 text);
    else if (link_is_loading (text, "NOAUTH") || link_is_loading (text, "WRONGPASS") ||
             link_is_loading (text, "NOPERM"))
        err_set (err, ERR_CONFIG, "Redis at %s refuses us: %s", at, text);
    else if (link_is_loading (text, "ERR unknown command"))
        err_set (err, ERR_CONFIG, "Redis at %s is too old, version 7 is needed: %s", at, text);
    else
        err_set (err, ERR_INTERNAL, "Redis at %s: %s", at, text);
    return TRY_FAILED;
}

static try_t link_load_functions (link_t *link, err_t *err)
{
    const char *argv[] = {"FUNCTION", "LOAD", "REPLACE", store_functions};
    size_t sizes[] = {8, 4, 7, store_functions_size ()};
    redisReply *reply = redisCommandArgv (link->redis, 4, argv, sizes);
    if (!reply) {
        link_is_broken (link, err);
        return TRY_AGAIN;
    }
    try_t outcome = TRY_DONE;
    if (reply->type == REDIS_REPLY_ERROR)
        outcome = link_redis_error (link, reply->str, err);
    freeReplyObject (reply);
    return outcome;
}

/*  Translates {"none", part...} or {code, text}. */
static try_t link_take_answer (link_t *link, redisReply *reply, link_reply_t *answer, err_t *err)
{
    const char *code = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                               reply->elements <= LINK_PARTS_MAX + 1
                           ? reply->element[0]->str
                           : NULL;
    bool whole = code != NULL;
    for (size_t i = 0; whole && i < reply->elements; i++)
        whole = reply->element[i]->type == REDIS_REPLY_STRING;
    if (!whole) {
        err_set (err, ERR_INTERNAL, "Redis at %s: an answer of unknown form", link->address);
        return TRY_FAILED;
    }
    for (int c = ERR_NONE + 1; c < ERR_COUNT; c++)
        if (strcmp (code, err_name ((err_code_t) c)) == 0) {
            err_set (err, (err_code_t) c, "%s",
                     reply->elements > 1 ? reply->element[1]->str : "(no text)");
            return TRY_FAILED;
        }
    for (size_t i = 1; i < reply->elements; i++)
        link->parts[i - 1] = (store_bytes_t){reply->element[i]->str, reply->element[i]->len};
    *answer = (link_reply_t){reply, link->parts, reply->elements - 1};
    return TRY_DONE;
}

static try_t link_try_once (link_t *link, const char **argv, const size_t *sizes, size_t n,
                            link_reply_t *answer, err_t *err)
{
    redisReply *reply = redisCommandArgv (link->redis, (int) n, argv, sizes);
    if (reply && reply->type == REDIS_REPLY_ERROR &&
        link_is_loading (reply->str, "ERR Function not found")) {
        freeReplyObject (reply);
        try_t outcome = link_load_functions (link, err);
        if (outcome != TRY_DONE)
            return outcome;
        reply = redisCommandArgv (link->redis, (int) n, argv, sizes);
    }
    if (!reply) {
        link_is_broken (link, err);
        return TRY_AGAIN;
    }
    try_t outcome = reply->type == REDIS_REPLY_ERROR ? link_redis_error (link, reply->str, err)
                                                     : link_take_answer (link, reply, answer, err);
    if (outcome != TRY_DONE)
        freeReplyObject (reply);
    return outcome;
}

/*  One line when trouble starts and one when it ends, however many calls it takes. A server that
 *  is still starting is no trouble yet. */
static void link_note_trouble (link_t *link, bool trouble, const err_t *err)
{
    link->met = link->met || !trouble;
    if (!link->met)
        return;
    if (trouble && !link->troubled)
        log_warn ("redis.lost", "address=%s text=\"%s\"", link->address, err->text);
    else if (!trouble && link->troubled)
        log_info ("redis.back", "address=%s", link->address);
    link->troubled = trouble;
}

/*  n 0: only loads the functions. */
static try_t link_try_until (link_t *link, int64_t deadline_ms, const char **argv,
                             const size_t *sizes, size_t n, link_reply_t *answer, err_t *err)
{
    int64_t end = clock_ms () + deadline_ms, backoff = LINK_BACKOFF_MS;
    for (;;) {
        err_t why = {0};
        try_t outcome = TRY_AGAIN;
        if (link_connected (link, clock_left_ms (end), &why) == 0)
            outcome = n ? link_try_once (link, argv, sizes, n, answer, &why)
                        : link_load_functions (link, &why);
        link_note_trouble (link, outcome == TRY_AGAIN, &why);
        if (outcome != TRY_DONE && err)
            *err = why;
        if (outcome != TRY_AGAIN || clock_left_ms (end) == 0)
            return outcome;
        int64_t left = clock_left_ms (end);
        clock_sleep_ms (backoff < left ? backoff : left);
        backoff = backoff * 2 < LINK_BACKOFF_MAX_MS ? backoff * 2 : LINK_BACKOFF_MAX_MS;
    }
}

int link_call (link_t *link, int64_t deadline_ms, const char *function, const store_bytes_t *args,
               size_t n, link_reply_t *reply, err_t *err)
{
    *reply = (link_reply_t){0};
    const char **argv = calloc (n + 3, sizeof *argv);
    size_t *sizes = calloc (n + 3, sizeof *sizes);
    try_t outcome = TRY_FAILED;
    if (argv && sizes) {
        argv[0] = "FCALL", sizes[0] = 5;
        argv[1] = function, sizes[1] = strlen (function);
        argv[2] = "0", sizes[2] = 1;
        for (size_t i = 0; i < n; i++) {
            argv[i + 3] = args[i].size ? args[i].data : "";
            sizes[i + 3] = args[i].size;
        }
        outcome = link_try_until (link, deadline_ms, argv, sizes, n + 3, reply, err);
    } else {
        err_set (err, ERR_LIMIT, "no memory for a call of %zu arguments", n);
    }
    free (argv);
    free (sizes);
    return outcome == TRY_DONE ? 0 : -1;
}

void link_reply_free (link_reply_t *reply)
{
    if (reply->reply)
        freeReplyObject (reply->reply);
    *reply = (link_reply_t){0};
}

int link_load (link_t *link, int64_t deadline_ms, err_t *err)
{
    return link_try_until (link, deadline_ms, NULL, NULL, 0, NULL, err) == TRY_DONE ? 0 : -1;
}
