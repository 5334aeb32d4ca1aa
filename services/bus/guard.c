/*  guard - see guard.h */
#include "guard.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "bus/czmq_clean.h"
#include "bus/endpoint.h"

#define GUARD_TEST_MS 5000
/*  So often the files are read although the folder says that none came or went: somebody may have
 *  written into one. */
#define GUARD_READ_MS 5000
/*  A folder that changed so lately may change again without another time. */
#define GUARD_FRESH_S 1
/*  How a greeting fails: with a reason, or, when the other end has closed before it was read,
 *  without one. */
#define GUARD_TURNED_AWAY                                                                          \
    (ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |                       \
     ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)

typedef struct {
    guard_holder_t holder;
    _Atomic int64_t minute; /* of which are the frames that were denied */
    _Atomic uint64_t denied;
} known_t;

struct guard {
    keys_t keys;
    guard_limits_t limits;
    zactor_t *auth, *watch;
    pthread_rwlock_t
        lock;       /* of those that are known: one thread writes, those of the actors read */
    known_t *known; /* sorted by key, so that a frame's is found in a few steps */
    size_t n;
    atomic_bool ended; /* whoever destroys it sees all that its thread wrote */
    /* The watch's own: what the table was made from, when it was read, and when the folder had
       changed by then. */
    hash_t seen;
    int64_t read_ms;
    struct timespec changed;
    _Atomic uint64_t changes, revoked, denied, beyond, hasty;
};

/*  ---- the table ------------------------------------------------------------------------------ */

static int guard_by_key (const void *a, const void *b)
{
    return strcmp (((const known_t *) a)->holder.key, ((const known_t *) b)->holder.key);
}

static void guard_on_bad (const char *path, const char *why)
{
    log_warn ("certificate.bad", "path=%s text=\"%s\"", path, why);
}

/*  Takes peers. */
static int guard_take (guard_t *g, authority_peer_t *peers, size_t n, err_t *err)
{
    known_t *known = calloc (n + 1, sizeof *known);
    for (size_t i = 0; known && i < n; i++) {
        guard_holder_t *holder = &known[i].holder;
        memcpy (holder->key, peers[i].key, sizeof holder->key);
        holder->rights = rights_of (peers[i].kind);
        memcpy (holder->name, peers[i].name, sizeof holder->name);
    }
    free (peers);
    if (!known)
        return err_set (err, ERR_LIMIT, "no memory for certificates");
    qsort (known, n, sizeof *known, guard_by_key);
    pthread_rwlock_wrlock (&g->lock);
    known_t *old = g->known;
    g->known = known;
    g->n = n;
    pthread_rwlock_unlock (&g->lock);
    atomic_fetch_add (&g->changes, 1);
    free (old);
    return 0;
}

/*  Whether the files need to be read: thousands of them, four times a second, would be work. Files
 *  come by renaming and go by unlinking, and the folder's time says so. */
static bool guard_stale (guard_t *g, const char *path)
{
    struct stat folder;
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    bool known = stat (path, &folder) == 0;
    bool same = known && folder.st_ctim.tv_sec == g->changed.tv_sec &&
                folder.st_ctim.tv_nsec == g->changed.tv_nsec &&
                now.tv_sec - folder.st_ctim.tv_sec > GUARD_FRESH_S &&
                clock_left_ms (g->read_ms + GUARD_READ_MS) > 0;
    if (same)
        return false;
    /* As it was before it is read: what comes meanwhile is another time. */
    g->changed = known ? folder.st_ctim : (struct timespec){0};
    g->read_ms = clock_ms ();
    return true;
}

/*  Reads the folder when it is another one than before. zauth is told to read it as well, for it
 *  looks at times in whole seconds. A folder that cannot be read changes nothing: who was let in
 *  stays. */
static int guard_look (guard_t *g, err_t *err)
{
    size_t n = 0;
    char path[FS_PATH_MAX];
    if (fs_join (path, g->keys.dir, KEYS_PEERS, err) != 0)
        return -1;
    if (!guard_stale (g, path))
        return 0;
    authority_peer_t *peers = authority_list (g->keys.dir, &n, g->known ? NULL : guard_on_bad, err);
    if (!peers) {
        g->read_ms = 0; /* it is tried again at once */
        return -1;
    }
    hash_t seen = hash_of (peers, n * sizeof *peers);
    if (g->known && memcmp (&seen, &g->seen, sizeof seen) == 0) {
        free (peers);
        return 0;
    }
    g->seen = seen;
    /* The table is the narrower of the two at any moment: first out of it, then out of zauth. */
    if (guard_take (g, peers, n, err) != 0)
        return -1;
    zstr_sendx (g->auth, "CURVE", path, NULL);
    if (zsock_wait (g->auth) != 0)
        return err_set (err, ERR_INTERNAL, "zauth does not take %s", path);
    log_info ("certificates", "dir=%s n=%zu", path, n);
    return 0;
}

static void guard_watch (zsock_t *pipe, void *guard)
{
    guard_t *g = guard;
    zpoller_t *poller = zpoller_new (pipe, NULL);
    zsock_signal (pipe, 0);
    bool failed = false; /* and logged */
    while (poller && !zpoller_wait (poller, GUARD_LOOK_MS) && !zpoller_terminated (poller)) {
        err_t err = {0};
        bool fails = guard_look (g, &err) != 0;
        if (fails && !failed)
            log_err ("certificates", &err);
        failed = fails;
    }
    zpoller_destroy (&poller);
    atomic_store (&g->ended, true);
}

/*  ---- life ----------------------------------------------------------------------------------- */

static int guard_start (guard_t *g, err_t *err)
{
    if (strcmp (g->keys.kind, KEYS_BUS) != 0)
        return err_set (err, ERR_CONFIG, "%s is the certificate of '%s', of kind %s, and no bus's",
                        g->keys.dir, g->keys.name, g->keys.kind);
    g->auth = zactor_new (zauth, NULL);
    if (!g->auth)
        return err_set (err, ERR_LIMIT, "no thread to ask about certificates");
    if (guard_look (g, err) != 0)
        return -1;
    g->watch = zactor_new (guard_watch, g);
    return g->watch ? 0 : err_set (err, ERR_LIMIT, "no thread to watch certificates");
}

guard_t *guard_new (const keys_t *keys, const guard_limits_t *limits, err_t *err)
{
    guard_t *g = calloc (1, sizeof *g);
    if (!g || pthread_rwlock_init (&g->lock, NULL) != 0) {
        free (g);
        err_set (err, ERR_LIMIT, "no memory for certificates");
        return NULL;
    }
    g->keys = *keys;
    g->limits = *limits;
    if (!g->limits.frames)
        g->limits.frames = GUARD_FRAMES;
    if (guard_start (g, err) != 0)
        guard_destroy (&g);
    return g;
}

/*  Without certificates nobody knows whose a connection is, nor of which kind. */
int guard_none (const guard_limits_t *limits, err_t *err)
{
    bool frames = limits->frames && limits->frames != GUARD_FRAMES;
    if (!frames && !limits->connections)
        return 0;
    return err_set (err, ERR_CONFIG,
                    "%s is for a bus with keys, which alone tells one sender from another: give "
                    "--keys DIR (quintet keys init DIR makes them), or leave it out",
                    frames ? "--frames" : "--connections");
}

void guard_destroy (guard_t **self)
{
    guard_t *g = *self;
    if (!g)
        return;
    zactor_destroy (&g->watch);
    (void) atomic_load (&g->ended);
    zactor_destroy (&g->auth);
    pthread_rwlock_destroy (&g->lock);
    free (g->known);
    sodium_memzero (&g->keys, sizeof g->keys);
    free (g);
    *self = NULL;
}

const keys_t *guard_keys (const guard_t *g)
{
    return g ? &g->keys : NULL;
}

/*  ---- frames --------------------------------------------------------------------------------- */

/*  Fills in the rest of the holder of that key. denied: also counts a frame, and says by its return
 *  whether there were too many in this minute. */
static bool guard_find (guard_t *g, guard_holder_t *who, bool denied)
{
    known_t wanted = {.holder = *who};
    int64_t minute = clock_ms () / 60000;
    pthread_rwlock_rdlock (&g->lock);
    known_t *known = bsearch (&wanted, g->known, g->n, sizeof wanted, guard_by_key);
    bool found = known;
    if (known && denied) {
        if (atomic_exchange (&known->minute, minute) != minute)
            atomic_store (&known->denied, 0);
        found = atomic_fetch_add (&known->denied, 1) >= GUARD_DENIED_MAX;
    } else if (known) {
        *who = known->holder;
    }
    pthread_rwlock_unlock (&g->lock);
    return found;
}

bool guard_knows (guard_t *g, const guard_holder_t *who)
{
    guard_holder_t wanted = *who;
    return !g || guard_find (g, &wanted, false);
}

uint64_t guard_changes (const guard_t *g)
{
    return g ? atomic_load (&g->changes) : 0;
}

/*  The first, the second, the fourth ... of a number that was counted. */
static bool guard_worth_a_line (uint64_t n)
{
    return (n & (n - 1)) == 0;
}

/*  What `why` says was not allowed: counted, now and then logged, and the end of the connection
 *  when it happens all the time. */
static void guard_deny (guard_t *g, const guard_holder_t *who, zmq_msg_t *frame, const char *why)
{
    uint64_t n = atomic_fetch_add_explicit (&g->denied, 1, memory_order_relaxed) + 1;
    if (guard_worth_a_line (n))
        log_warn ("denied", "certificate=%s frames=%llu text=\"%s\"", who->name,
                  (unsigned long long) n, why);
    guard_holder_t again = *who;
    if (guard_find (g, &again, true))
        connections_end (zmq_msg_get (frame, ZMQ_SRCFD));
}

/*  Whether a connection may send one more. Told once in each second in which it may not. */
static bool guard_in_time (guard_t *g, connection_t *c, const guard_holder_t *who, int fd,
                           char why[GUARD_WHY_SIZE])
{
    int64_t second = clock_ms () / 1000;
    if (c->second != second) {
        if (c->frames <= g->limits.frames && c->hasty)
            c->hasty--;
        c->second = second;
        c->frames = 0;
    }
    if (++c->frames <= g->limits.frames)
        return true;
    atomic_fetch_add_explicit (&g->beyond, 1, memory_order_relaxed);
    if (c->frames > g->limits.frames + 1)
        return false;
    snprintf (why, GUARD_WHY_SIZE,
              "'%s' sends more than %zu frames in a second on one connection (--frames of the bus)",
              who->name, g->limits.frames);
    uint64_t n = atomic_fetch_add_explicit (&g->hasty, 1, memory_order_relaxed) + 1;
    if (guard_worth_a_line (n))
        log_warn ("hasty", "certificate=%s seconds=%llu text=\"%s\"", who->name,
                  (unsigned long long) n, why);
    if (++c->hasty > GUARD_HASTY_MAX)
        connections_end (fd);
    return false;
}

/*  Counts a connection among those of its kind, with its first frame. One kind leaves room for the
 *  others: with the keys of many agents nobody keeps the trainer out. */
static bool guard_has_room (const guard_t *g, connections_t *from, connection_t *c,
                            const rights_t *kind, char why[GUARD_WHY_SIZE])
{
    size_t all = connections_max (from), most = g->limits.connections;
    if (!most || most > all)
        most = all - all / 8;
    if (c->kind != kind && connections_of (from, kind) >= most) {
        snprintf (why, GUARD_WHY_SIZE,
                  "there are %zu connections of the kind '%s' already, and may be no more "
                  "(--connections of the bus)",
                  most, kind->kind);
        return false;
    }
    c->kind = kind;
    return true;
}

bool guard_admit (guard_t *g, connections_t *from, zmq_msg_t *frame, guard_holder_t *who,
                  char why[GUARD_WHY_SIZE])
{
    *who = (guard_holder_t){0};
    *why = 0;
    if (!g)
        return true;
    /* Which zauth set, and nobody else can: the key that the connection was made with. */
    const char *key = zmq_msg_gets (frame, "User-Id");
    if (key)
        memcpy (who->key, key, strnlen (key, sizeof who->key - 1));
    int fd = zmq_msg_get (frame, ZMQ_SRCFD);
    if (!guard_find (g, who, false)) {
        atomic_fetch_add_explicit (&g->revoked, 1, memory_order_relaxed);
        connections_end (fd);
        return false;
    }
    connection_t *c = connections_at (from, fd);
    if (c && !guard_in_time (g, c, who, fd, why))
        return false;
    if (!c || guard_has_room (g, from, c, who->rights, why))
        return true;
    guard_deny (g, who, frame, why);
    return false;
}

bool guard_allow (guard_t *g, const guard_holder_t *who, zmq_msg_t *frame, rights_act_t act,
                  slice_t what, slice_t sender, char why[GUARD_WHY_SIZE])
{
    if (!g)
        return true;
    bool own = keys_admit (who->name, sender.data, sender.size);
    if (own && rights_allow (who->rights, act, what, sender))
        return true;
    char may[GUARD_WHY_SIZE / 2];
    if (!own)
        snprintf (why, GUARD_WHY_SIZE, "'%.*s' is not a name of the certificate '%s'",
                  sender.size < ENVELOPE_NAME_MAX ? (int) sender.size : ENVELOPE_NAME_MAX,
                  sender.data, who->name);
    else
        snprintf (why, GUARD_WHY_SIZE, "'%s' may not %s '%.*s': %s", who->name,
                  rights_act_name (act), what.size < 100 ? (int) what.size : 100, what.data,
                  rights_tell (who->rights, may, sizeof may));
    guard_deny (g, who, frame, why);
    return false;
}

void guard_status (const guard_t *g, guard_status_t *status)
{
    *status = (guard_status_t){0};
    if (!g)
        return;
    pthread_rwlock_rdlock ((pthread_rwlock_t *) (uintptr_t) &g->lock);
    status->certificates = g->n;
    pthread_rwlock_unlock ((pthread_rwlock_t *) (uintptr_t) &g->lock);
    status->revoked = atomic_load (&g->revoked);
    status->denied = atomic_load (&g->denied);
    status->beyond = atomic_load (&g->beyond);
}

/*  ---- the test at the start ------------------------------------------------------------------ */

/*  How a stranger's greeting ends: ZMQ_EVENT_HANDSHAKE_...; 0: not in time. */
static int guard_greet (const char *endpoint, const keys_t *keys, err_t *err)
{
    int ended = 0;
    void *context = zmq_ctx_new ();
    void *socket = context ? zmq_socket (context, ZMQ_DEALER) : NULL;
    void *monitor = socket ? endpoint_watch (context, socket, "inproc://greeting",
                                             ZMQ_EVENT_HANDSHAKE_SUCCEEDED | GUARD_TURNED_AWAY)
                           : NULL;
    endpoint_options_t options = {.hwm = 1, .keys = keys};
    if (monitor && endpoint_connect (socket, endpoint, &options, err) == 0)
        ended = endpoint_event (monitor, GUARD_TEST_MS, NULL);
    endpoint_unwatch (socket, &monitor);
    if (socket)
        zmq_close (socket);
    if (context)
        zmq_ctx_term (context);
    return ended;
}

/*  Fails closed: what is neither let in nor turned away in time is an error as well. */
int guard_test (const guard_t *g, const char *endpoint, err_t *err)
{
    keys_t stranger = {0};
    zcert_t *cert = g ? zcert_new () : NULL;
    if (!g)
        return 0;
    if (!cert)
        return err_set (err, ERR_LIMIT, "no memory for a certificate");
    memcpy (stranger.public_key, zcert_public_key (cert), KEYS_SIZE);
    memcpy (stranger.secret_key, zcert_secret_key (cert), KEYS_SIZE);
    memcpy (stranger.bus_key, g->keys.public_key, KEYS_SIZE);
    zcert_destroy (&cert);
    int made_up = guard_greet (endpoint, &stranger, err), none = guard_greet (endpoint, NULL, err);
    if ((made_up & GUARD_TURNED_AWAY) && (none & GUARD_TURNED_AWAY))
        return 0;
    return err_set (err, ERR_INTERNAL,
                    "%s does not turn away who has no certificate of this bus (greetings ended in "
                    "0x%x and 0x%x)",
                    endpoint, (unsigned) made_up, (unsigned) none);
}
