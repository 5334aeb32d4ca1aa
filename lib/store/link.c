/*  link - see link.h
 *
 *  A call is tried until its deadline. Whether a failed try was carried out cannot be known (the
 *  answer may be what got lost), and need not be: every function of functions.lua gives the same
 *  result when it is called twice. So the only question after a failure is whether it may pass: a
 *  broken connection, a Redis that starts or that refuses to write just now may; a wrong address,
 *  a Redis that is too old or a mistake of ours will not.
 *
 *  Deadlines follow what was measured. What the caller grants is meant for a Redis nearby. Where
 *  answers take longer, connecting and asking again would fail in the same way for ever, so a call
 *  gets at least LINK_ROUNDS times what the slowest of the last answers took, and after one that
 *  never came twice as long.
 */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/accounts.h"

EMBED (store_functions, "lib/store/functions.lua")

/*  A Redis that restarts is back within milliseconds; one that loads its data takes seconds. So
 *  the pauses double, up to a quarter of a second. */
#define LINK_BACKOFF_MS     10
#define LINK_BACKOFF_MAX_MS 250
#define LINK_HOST_MAX       256
#define LINK_PARTS_MAX      8
#define LINK_ROUNDS         5    /* an address, a connection, an account, functions and the call */
#define LINK_SLOW_MAX_MS    8000 /* a slow Redis is granted no more than this by itself */
#define LINK_VERSION_DIGITS 16
#define LINK_FUNCTION_MAX   64
#define LINK_NUMERIC_MAX    64 /* an address in digits */

struct link {
    char *address, *keys;     /* as given, for messages */
    char *path;               /* of a unix socket; NULL: tcp */
    char host[LINK_HOST_MAX]; /* of tcp */
    int port;
    account_t account;    /* user "": none */
    struct gaicb *lookup; /* of the host, under way; NULL: none. Never moves while it is */
    redisContext *redis;  /* NULL: not connected */
    bool met;             /* it has answered a call once */
    bool troubled;        /* said in the log that Redis cannot be reached */
    int64_t slow_ms;      /* the slowest of the last answers took this long */
    buf_t functions;      /* functions.lua under the name of its version */
    char version[LINK_VERSION_DIGITS + 1];
    store_bytes_t parts[LINK_PARTS_MAX];
};

/*  What one try came to. */
typedef enum { LINK_DONE, LINK_AGAIN, LINK_FAILED } link_outcome_t;

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
    /* The last colon: an IPv6 address has others. */
    long port = colon ? strtol (colon + 1, &end, 10) : 0;
    if (n == 0 || n >= LINK_HOST_MAX || !end || *end || port < 1 || port > 65535)
        return err_set (err, ERR_CONFIG, "Redis address '%s': expected unix:PATH or tcp:HOST:PORT",
                        link->address);
    memcpy (link->host, text, n);
    link->port = (int) port;
    return 0;
}

/*  The library is named after a hash of its text, and so is every function in it. So a program of
 *  another build that shares this Redis loads and calls its own, and neither changes what the
 *  other one calls. */
static int link_name_functions (link_t *link, err_t *err)
{
    char hex[HASH_HEX_SIZE];
    hash_t hash = hash_of (store_functions, store_functions_size ());
    snprintf (link->version, sizeof link->version, "%s", hash_hex (&hash, hex));
    buf_printf (&link->functions, "#!lua name=quintet_%s\nlocal VERSION = '%s'\n", link->version,
                link->version);
    /* The file's own first line names the library for those who load it by hand. */
    buf_text (&link->functions, strchr (store_functions, '\n') + 1);
    return buf_failed (&link->functions) ? err_set (err, ERR_LIMIT, "no memory") : 0;
}

link_t *link_new (const char *address, const char *keys, err_t *err)
{
    link_t *link = calloc (1, sizeof *link);
    int rc = link && (link->address = strdup (address)) && (link->keys = strdup (keys))
                 ? 0
                 : err_set (err, ERR_LIMIT, "no memory");
    if (rc == 0)
        rc = accounts_load (keys, &link->account, err) == 0 ? link_name_functions (link, err) : -1;
    if (rc == 0 && strncmp (address, "unix:", 5) == 0 && address[5])
        rc = (link->path = strdup (address + 5)) ? 0 : err_set (err, ERR_LIMIT, "no memory");
    else if (rc == 0)
        rc = strncmp (address, "tcp:", 4) == 0
                 ? link_parse_tcp (link, address + 4, err)
                 : err_set (err, ERR_CONFIG,
                            "Redis address '%s': expected unix:PATH or tcp:HOST:PORT", address);
    if (rc != 0)
        link_destroy (&link);
    return link;
}

/*  Connections are made anew whenever anything is wrong with one: after a time-out the answer to
 *  the call before would be taken for the next one's. */
static void link_disconnect (link_t *link)
{
    if (link->redis)
        redisFree (link->redis);
    link->redis = NULL;
}

/*  A lookup that cannot be called off still writes into its block when it ends, so the block is
 *  left to it. */
static void link_forget_lookup (link_t *link)
{
    struct gaicb *lookup = link->lookup;
    link->lookup = NULL;
    if (!lookup || (gai_error (lookup) == EAI_INPROGRESS && gai_cancel (lookup) == EAI_NOTCANCELED))
        return;
    if (gai_error (lookup) == 0)
        freeaddrinfo (lookup->ar_result);
    free ((void *) (uintptr_t) lookup->ar_name);
    free (lookup);
}

void link_destroy (link_t **link)
{
    if (!*link)
        return;
    link_disconnect (*link);
    link_forget_lookup (*link);
    buf_free (&(*link)->functions);
    free ((*link)->path);
    free ((*link)->address);
    free ((*link)->keys);
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

/*  Begins to look the host up, unless an earlier call's lookup is still under way: that one is
 *  waited for. */
static int link_start_lookup (link_t *link, err_t *err)
{
    if (link->lookup)
        return 0;
    link->lookup = calloc (1, sizeof *link->lookup);
    if (link->lookup)
        link->lookup->ar_name = strdup (link->host);
    if (!link->lookup || !link->lookup->ar_name ||
        getaddrinfo_a (GAI_NOWAIT, &link->lookup, 1, NULL) != 0) {
        if (link->lookup)
            free ((void *) (uintptr_t) link->lookup->ar_name);
        free (link->lookup);
        link->lookup = NULL;
        return err_set (err, ERR_LIMIT, "no memory to look up '%s'", link->host);
    }
    return 0;
}

/*  getaddrinfo waits for name servers as long as it likes, so it runs in a thread of the C
 *  library's, and only the wait for it has a deadline. */
static int link_resolve (link_t *link, int64_t end_ms, err_t *err)
{
    if (link_start_lookup (link, err) != 0)
        return -1;
    const struct gaicb *const list[] = {link->lookup};
    int why;
    while ((why = gai_error (link->lookup)) == EAI_INPROGRESS && clock_left_ms (end_ms) > 0) {
        int64_t left = clock_left_ms (end_ms);
        /* Woken early it asks again; the deadline is what ends it. */
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        gai_suspend (list, 1, &wait);
    }
    if (why == 0)
        return 0;
    if (why != EAI_INPROGRESS)
        link_forget_lookup (link);
    return err_set (err, ERR_NETWORK, "Redis at %s: the address of '%s' is not known: %s",
                    link->address, link->host,
                    why == EAI_INPROGRESS ? "no name server answers" : gai_strerror (why));
}

/*  To the first of the host's addresses that takes the connection. */
static int link_connect_tcp (link_t *link, int64_t end_ms, err_t *err)
{
    if (link_resolve (link, end_ms, err) != 0)
        return -1;
    /* A name may have addresses of both families, of which this machine may reach only one. */
    for (const struct addrinfo *at = link->lookup->ar_result; at; at = at->ai_next) {
        char numeric[LINK_NUMERIC_MAX];
        if (at->ai_socktype != SOCK_STREAM ||
            getnameinfo (at->ai_addr, at->ai_addrlen, numeric, sizeof numeric, NULL, 0,
                         NI_NUMERICHOST) != 0)
            continue;
        link_disconnect (link);
        link->redis =
            redisConnectWithTimeout (numeric, link->port, link_timeout_of (clock_left_ms (end_ms)));
        if (link->redis && !link->redis->err)
            break;
    }
    link_forget_lookup (link); /* addresses change: looked up anew for every connection */
    return !link->redis || link->redis->err ? link_is_broken (link, err) : 0;
}

static int link_connect (link_t *link, int64_t end_ms, err_t *err)
{
    if (link->path) {
        link->redis =
            redisConnectUnixWithTimeout (link->path, link_timeout_of (clock_left_ms (end_ms)));
        if (!link->redis || link->redis->err)
            return link_is_broken (link, err);
    } else if (link_connect_tcp (link, end_ms, err) != 0) {
        return -1;
    }
    /* hiredis does not set it: a sandboxed program must not inherit a connection to the store. */
    fcntl (link->redis->fd, F_SETFD, FD_CLOEXEC);
    if (!link->path)
        redisEnableKeepAlive (link->redis);
    return 0;
}

static int link_connected (link_t *link, int64_t end_ms, err_t *err)
{
    if (!link->redis && link_connect (link, end_ms, err) != 0)
        return -1;
    /* For every call anew: it bounds each single wait for the socket, and what is left gets
       less. */
    if (redisSetTimeout (link->redis, link_timeout_of (clock_left_ms (end_ms))) != REDIS_OK)
        return link_is_broken (link, err);
    return 0;
}

static bool link_begins (const char *text, const char *with)
{
    return strncmp (text, with, strlen (with)) == 0;
}

/*  Whether Redis wants a password, or grants less than we need. What is long it refuses before it
 *  looks at the command. */
static bool link_is_locked (const char *text)
{
    return link_begins (text, "NOAUTH") || link_begins (text, "WRONGPASS") ||
           link_begins (text, "NOPERM") ||
           link_begins (text, "ERR Protocol error: unauthenticated");
}

/*  Whether Redis refuses in a state that it may leave by itself, or that somebody may end: it
 *  starts, has no room on its disk or in its memory, is a replica for a while, has lost its own. A
 *  password is such a state only when there was none before: else it is our configuration that is
 *  wrong. */
static bool link_may_pass (const link_t *link, const char *text)
{
    static const char *const states[] = {"LOADING",     "BUSY ",    "MISCONF",    "OOM",
                                         "READONLY",    "TRYAGAIN", "MASTERDOWN", "NOREPLICAS",
                                         "CLUSTERDOWN", NULL};
    for (const char *const *state = states; *state; state++)
        if (link_begins (text, *state))
            return true;
    return link->met && link_is_locked (text);
}

/*  What somebody can do about it. */
static const char *link_advice (const char *text)
{
    return link_begins (text, "MISCONF") ? "it cannot write to its disk; make room there, or look "
                                           "at its log"
           : link_begins (text, "OOM")   ? "it is at its memory limit; raise maxmemory"
           : link_begins (text, "READONLY") ? "it takes no writes; name its primary, or end this"
           : link_is_locked (text)          ? "it wants a password or grants us too little"
                                            : "it is busy";
}

/*  As whom we came, and what to do so that it lets us in. Redis's own word is left out where it is
 *  about its protocol: before a password it refuses what is long. */
static link_outcome_t link_refused (const link_t *link, const char *text, err_t *err)
{
    const char *at = link->address, *keys = link->keys;
    if (link_begins (text, "ERR Protocol error"))
        text = "it wants a password";
    if (link_begins (text, "WRONGPASS"))
        text = "that user has another password there, or is off (ACL LIST says which)";
    if (*link->account.user)
        err_set (err, ERR_CONFIG,
                 "Redis at %s refuses us as its user '%s', with the password of %s/" ACCOUNTS_FILE
                 ": %s. Start it with --aclfile KEYS/" ACCOUNTS_SERVER "/" ACCOUNTS_USERS
                 " of the folder that this one is from, and again when accounts have changed",
                 at, link->account.user, keys, text);
    else
        err_set (
            err, ERR_CONFIG,
            "Redis at %s refuses us without an account, %s%s: %s. `quintet keys` makes accounts "
            "for environments, trainers and operators: --keys with such a one's folder",
            at, *keys ? "which is missing in " : "since no --keys were given", keys, text);
    return LINK_FAILED;
}

/*  Redis's own errors, as opposed to those that our functions answer. */
static link_outcome_t link_redis_error (const link_t *link, const char *text, err_t *err)
{
    const char *at = link->address;
    if (link_may_pass (link, text)) {
        err_set (err, ERR_BUSY, "Redis at %s: %s: %s", at, link_advice (text), text);
        return LINK_AGAIN;
    }
    if (link_is_locked (text))
        return link_refused (link, text, err);
    if (link_begins (text, "ERR unknown command"))
        err_set (err, ERR_CONFIG, "Redis at %s is too old, version 7 is needed: %s", at, text);
    else
        err_set (err, ERR_INTERNAL, "Redis at %s: %s", at, text);
    return LINK_FAILED;
}

static link_outcome_t link_load_functions (link_t *link, err_t *err)
{
    /* REPLACE: the same text under the same name, however often it is loaded. */
    const char *argv[] = {"FUNCTION", "LOAD", "REPLACE", link->functions.data};
    size_t sizes[] = {8, 4, 7, link->functions.size};
    redisReply *reply = redisCommandArgv (link->redis, 4, argv, sizes);
    if (!reply) {
        link_is_broken (link, err);
        return LINK_AGAIN;
    }
    link_outcome_t outcome = LINK_DONE;
    if (reply->type == REDIS_REPLY_ERROR)
        outcome = link_redis_error (link, reply->str, err);
    freeReplyObject (reply);
    return outcome;
}

/*  Translates {"none", part...} or {code, text}. */
static link_outcome_t link_take_answer (link_t *link, redisReply *reply, link_reply_t *answer,
                                        err_t *err)
{
    /* Every function answers with a list of strings; anything else did not come from
       functions.lua. */
    const char *code = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                               reply->elements <= LINK_PARTS_MAX + 1
                           ? reply->element[0]->str
                           : NULL;
    bool whole = code != NULL;
    for (size_t i = 0; whole && i < reply->elements; i++)
        whole = reply->element[i]->type == REDIS_REPLY_STRING;
    if (!whole) {
        err_set (err, ERR_INTERNAL, "Redis at %s: an answer of unknown form", link->address);
        return LINK_FAILED;
    }
    /* Names, not numbers, stand in the Lua text: whoever reads it in Redis's monitor understands
       them. */
    for (int c = ERR_NONE + 1; c < ERR_COUNT; c++)
        if (strcmp (code, err_name ((err_code_t) c)) == 0) {
            err_set (err, (err_code_t) c, "%s",
                     reply->elements > 1 ? reply->element[1]->str : "(no text)");
            return LINK_FAILED;
        }
    for (size_t i = 1; i < reply->elements; i++)
        link->parts[i - 1] = (store_bytes_t){reply->element[i]->str, reply->element[i]->len};
    *answer = (link_reply_t){reply, link->parts, reply->elements - 1};
    return LINK_DONE;
}

static link_outcome_t link_try_once (link_t *link, const char **argv, const size_t *sizes, size_t n,
                                     link_reply_t *answer, err_t *err)
{
    redisReply *reply = redisCommandArgv (link->redis, (int) n, argv, sizes);
    /* Functions are lost with a flush, a restart without persistence, or a fail-over. They are
       loaded when one is missed, not before every call. */
    if (reply && reply->type == REDIS_REPLY_ERROR &&
        link_begins (reply->str, "ERR Function not found")) {
        freeReplyObject (reply);
        link_outcome_t outcome = link_load_functions (link, err);
        if (outcome != LINK_DONE)
            return outcome;
        reply = redisCommandArgv (link->redis, (int) n, argv, sizes);
    }
    if (!reply) {
        link_is_broken (link, err);
        return LINK_AGAIN;
    }
    link_outcome_t outcome = reply->type == REDIS_REPLY_ERROR
                                 ? link_redis_error (link, reply->str, err)
                                 : link_take_answer (link, reply, answer, err);
    if (outcome != LINK_DONE)
        freeReplyObject (reply);
    return outcome;
}

/*  Says who we are, once for each connection. */
static link_outcome_t link_log_in (link_t *link, err_t *err)
{
    if (!*link->account.user)
        return LINK_DONE;
    const char *argv[] = {"AUTH", link->account.user, link->account.password};
    redisReply *reply = redisCommandArgv (link->redis, 3, argv, NULL);
    link_outcome_t outcome = LINK_DONE;
    if (!reply) {
        link_is_broken (link, err);
        return LINK_AGAIN;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        outcome = link_redis_error (link, reply->str, err);
        link_disconnect (link); /* a new one logs in again */
    }
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

/*  One try that ends at end_ms; n 0: only loads the functions. */
static link_outcome_t link_try (link_t *link, int64_t end_ms, const char **argv,
                                const size_t *sizes, size_t n, link_reply_t *answer, err_t *err)
{
    int64_t start = clock_ms ();
    bool fresh = !link->redis;
    if (link_connected (link, end_ms, err) != 0)
        return LINK_AGAIN;
    int64_t asked = clock_ms ();
    link_outcome_t outcome = fresh ? link_log_in (link, err) : LINK_DONE;
    if (outcome == LINK_DONE)
        outcome =
            n ? link_try_once (link, argv, sizes, n, answer, err) : link_load_functions (link, err);
    int64_t took = clock_ms () - asked;
    /* The slowest answer counts, and fades by an eighth with each that is faster: one slow
       answer is remembered for a dozen calls. */
    if (link->redis) /* else the connection broke: at the deadline because the answer is late */
        link->slow_ms = took > link->slow_ms * 7 / 8 ? took : link->slow_ms * 7 / 8;
    else if (clock_left_ms (end_ms) == 0)
        link->slow_ms = 2 * (clock_ms () - start) / LINK_ROUNDS;
    return outcome;
}

/*  What a call may take: as asked for, or longer where answers are slow. */
static int64_t link_grant (const link_t *link, int64_t deadline_ms)
{
    /* A call that finds no connection needs several answers in a row. */
    int64_t slow = link->slow_ms * LINK_ROUNDS;
    slow = slow < LINK_SLOW_MAX_MS ? slow : LINK_SLOW_MAX_MS;
    return deadline_ms > slow ? deadline_ms : slow;
}

static link_outcome_t link_try_until (link_t *link, int64_t deadline_ms, const char **argv,
                                      const size_t *sizes, size_t n, link_reply_t *answer,
                                      err_t *err)
{
    int64_t end = clock_ms () + link_grant (link, deadline_ms), backoff = LINK_BACKOFF_MS;
    for (;;) {
        /* Of this try alone; the caller gets the last one's. */
        err_t why = {0};
        link_outcome_t outcome = link_try (link, end, argv, sizes, n, answer, &why);
        link_note_trouble (link, outcome == LINK_AGAIN, &why);
        if (outcome != LINK_DONE && err)
            *err = why;
        /* A try in the last moment would end for lack of time, and hide why the one before
         * failed. */
        if (outcome != LINK_AGAIN || clock_left_ms (end) <= backoff)
            return outcome;
        clock_sleep_ms (backoff);
        backoff = backoff * 2 < LINK_BACKOFF_MAX_MS ? backoff * 2 : LINK_BACKOFF_MAX_MS;
    }
}

/*  hiredis writes with write (): a peer that is gone raises SIGPIPE in this thread, whose default
 *  ends the process. It is held back for the time of a call and thrown away, so that the process's
 *  own handling of it stays as it is. */
static link_outcome_t link_try_quietly (link_t *link, int64_t deadline_ms, const char **argv,
                                        const size_t *sizes, size_t n, link_reply_t *answer,
                                        err_t *err)
{
    sigset_t pipe, old, waiting;
    sigemptyset (&pipe);
    sigaddset (&pipe, SIGPIPE);
    /* One that waits already is somebody else's, and must not be thrown away with ours. */
    sigpending (&waiting);
    bool theirs = sigismember (&waiting, SIGPIPE) == 1;
    pthread_sigmask (SIG_BLOCK, &pipe, &old);
    link_outcome_t outcome = link_try_until (link, deadline_ms, argv, sizes, n, answer, err);
    while (!theirs && sigtimedwait (&pipe, NULL, &(struct timespec){0}) < 0 && errno == EINTR) {
    }
    pthread_sigmask (SIG_SETMASK, &old, NULL);
    return outcome;
}

int link_call (link_t *link, int64_t deadline_ms, const char *function, const store_bytes_t *args,
               size_t n, link_reply_t *reply, err_t *err)
{
    *reply = (link_reply_t){0};
    char name[LINK_FUNCTION_MAX];
    snprintf (name, sizeof name, "quintet_%s_%s", function, link->version);
    const char **argv = calloc (n + 3, sizeof *argv);
    size_t *sizes = calloc (n + 3, sizeof *sizes);
    link_outcome_t outcome = LINK_FAILED;
    if (argv && sizes) {
        argv[0] = "FCALL", sizes[0] = 5;
        argv[1] = name, sizes[1] = strlen (name);
        /* No keys are named: they are made inside the functions, of the run's name. A Redis
           cluster would need them; this is for a single one (functions.lua). */
        argv[2] = "0", sizes[2] = 1;
        for (size_t i = 0; i < n; i++) {
            argv[i + 3] = args[i].size ? args[i].data : "";
            sizes[i + 3] = args[i].size;
        }
        outcome = link_try_quietly (link, deadline_ms, argv, sizes, n + 3, reply, err);
    } else {
        err_set (err, ERR_LIMIT, "no memory for a call of %zu arguments", n);
    }
    free (argv);
    free (sizes);
    return outcome == LINK_DONE ? 0 : -1;
}

void link_reply_free (link_reply_t *reply)
{
    if (reply->reply)
        freeReplyObject (reply->reply);
    *reply = (link_reply_t){0};
}

int link_load (link_t *link, int64_t deadline_ms, err_t *err)
{
    return link_try_quietly (link, deadline_ms, NULL, NULL, 0, NULL, err) == LINK_DONE ? 0 : -1;
}
