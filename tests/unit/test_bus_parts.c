/* with: services/bus/ */
/*  What the bus decides, without sockets and clocks: who gets what, who is doubted, what is kept.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "../../services/bus/blobs.h"
#include "../../services/bus/peers.h"
#include "../../services/bus/queue.h"
#include "../../services/bus/workers.h"
#include "base/clock.h"
#include "bus/address.h"
#include "bus/authority.h"
#include "bus/node.h"

/*  ---- queue ---------------------------------------------------------------------------------- */

static request_t request (uint64_t sequence, size_t size)
{
    request_t r = {.sequence = sequence, .deadline_ms = 1000};
    assert_int_equal (zmq_msg_init_size (&r.frame, size), 0);
    return r;
}

static int push (queue_t *queue, peer_t *client, uint64_t sequence, size_t size)
{
    request_t r = request (sequence, size);
    int rc = queue_push (queue, client, &r);
    if (rc != 0)
        zmq_msg_close (&r.frame);
    return rc;
}

static uint64_t pop (queue_t *queue, const peer_t **client)
{
    request_t r;
    line_t *line = queue_next (queue, NULL);
    *client = queue_client (line);
    queue_pop (queue, line, &r);
    zmq_msg_close (&r.frame);
    return r.sequence;
}

/*  One client asks as much as it can, another once: it is second, not last. */
static void clients_take_turns (void **state)
{
    (void) state;
    static peer_t greedy, modest, third;
    queue_t queue = {0};
    size_t taken = 0;
    for (uint64_t i = 0; i < 616000; i++)
        taken += push (&queue, &greedy, i, 10) == 0;
    assert_int_equal (taken, QUEUE_CLIENT_MAX);
    assert_int_equal (push (&queue, &modest, 7, 10), 0);
    assert_int_equal (push (&queue, &third, 8, 10), 0);
    const peer_t *client;
    assert_int_equal (pop (&queue, &client), 0);
    assert_ptr_equal (client, &greedy);
    assert_int_equal (pop (&queue, &client), 7);
    assert_ptr_equal (client, &modest);
    assert_int_equal (pop (&queue, &client), 8);
    assert_ptr_equal (client, &third);
    assert_int_equal (pop (&queue, &client), 1);
    assert_int_equal (queue_remove_client (&queue, &greedy), QUEUE_CLIENT_MAX - 2);
    assert_int_equal (queue.n, 0);
    assert_int_equal (queue.bytes, 0);
    assert_int_equal (greedy.queued, 0);
    assert_int_equal (greedy.queued_bytes, 0);
}

static void what_waits_is_bounded_in_bytes_by_client (void **state)
{
    (void) state;
    static peer_t large, other;
    queue_t queue = {0};
    size_t size = 8 << 20, taken = 0;
    for (uint64_t i = 0; i < 20; i++)
        taken += push (&queue, &large, i, size) == 0;
    assert_int_equal (taken, QUEUE_CLIENT_BYTES / size);
    assert_int_equal (push (&queue, &other, 1, size), 0);
    queue_clear (&queue);
    assert_int_equal (large.queued_bytes, 0);
}

static void requests_expire_and_are_cancelled_wherever_they_stand (void **state)
{
    (void) state;
    static peer_t client, other;
    queue_t queue = {0};
    for (uint64_t i = 0; i < 5; i++) {
        request_t r = request (i, 4);
        r.deadline_ms = i % 2 ? 100 : 1000;
        assert_int_equal (queue_push (&queue, &client, &r), 0);
    }
    push (&queue, &other, 9, 4);
    assert_true (queue_holds (&queue, &client, 4));
    assert_true (queue_cancel (&queue, &client, 4)); /* the last */
    assert_false (queue_cancel (&queue, &client, 4));
    assert_false (queue_cancel (&queue, &other, 0));
    assert_int_equal (queue_expire (&queue, 100), 2);
    assert_int_equal (push (&queue, &client, 10, 4), 0); /* the end of the line is where it was */
    const peer_t *of;
    assert_int_equal (pop (&queue, &of), 0);
    assert_int_equal (pop (&queue, &of), 9);
    assert_int_equal (pop (&queue, &of), 2);
    assert_int_equal (pop (&queue, &of), 10);
    assert_int_equal (queue.n, 0);
    assert_null (queue_next (&queue, NULL));
}

/*  ---- workers -------------------------------------------------------------------------------- */

static peer_t peers[4];
static const workers_wish_t anybody = {.avoid = ""};

static worker_t *worker (workers_t *workers, size_t i, uint32_t credit)
{
    snprintf (peers[i].name, sizeof peers[i].name, "worker-%zu", i);
    worker_t *w = workers_add (workers, &peers[i]);
    w->credit = credit;
    return w;
}

/*  One that takes everything and never answers, however much it says it can take. */
static void who_never_answers_gets_next_to_nothing (void **state)
{
    (void) state;
    static workers_t workers;
    worker_t *black_hole = worker (&workers, 0, 1000000), *good = worker (&workers, 1, 4);
    good->answered = true;
    int64_t now = 5000;
    for (worker_t *w; (w = workers_pick (&workers, &anybody, now));)
        w->used++;
    assert_int_equal (black_hole->used, WORKER_NEW_CREDIT); /* until its first answer */
    assert_int_equal (good->used, 4);
    workers_failed (black_hole, 1, now);
    workers_failed (black_hole, 1, now);
    workers_failed (black_hole, 1, now);
    black_hole->used = good->used = 0;
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal (workers_pick (&workers, &anybody, now), good);
        good->used++;
    }
    assert_null (workers_pick (&workers, &anybody, now)); /* rather wait for the good one */
    assert_false (workers_free (&workers, now));
    now += WORKER_PROBE_MS;
    assert_ptr_equal (workers_pick (&workers, &anybody, now), black_hole);
    black_hole->used++;
    assert_null (workers_pick (&workers, &anybody, now)); /* one at a time */
    workers_answered (black_hole, now);
    black_hole->used = 0;
    for (int i = 0; i < 3; i++) { /* it answers again: its credit comes back */
        workers_pick (&workers, &anybody, now)->used++;
        assert_int_equal (black_hole->used, i + 1);
    }
}

static void when_all_are_doubted_nobody_is (void **state)
{
    (void) state;
    static workers_t workers;
    for (size_t i = 0; i < 2; i++)
        workers_failed (worker (&workers, i, 3), WORKER_DOUBT_MAX, 0);
    for (int i = 0; i < 6; i++)
        workers_pick (&workers, &anybody, 1)->used++;
    assert_null (workers_pick (&workers, &anybody, 1));
}

static void wishes_are_heeded (void **state)
{
    (void) state;
    static workers_t workers;
    worker_t *w0 = worker (&workers, 0, 1), *w1 = worker (&workers, 1, 1);
    workers_wish_t wish = {.avoid = "worker-0"};
    assert_ptr_equal (workers_pick (&workers, &wish, 0), w1);
    w1->used = 1;
    assert_null (workers_pick (&workers, &wish, 0)); /* it waits for the other */
    wish.avoid = "";
    wish.not [wish.not_n++] = w0->peer;
    assert_null (workers_pick (&workers, &wish, 0));
    w1->used = 0;
    assert_ptr_equal (workers_pick (&workers, &wish, 0), w1);
    workers_remove (&workers, w1);
    assert_null (workers_pick (&workers, &wish, 0));
    wish = (workers_wish_t){.avoid = "worker-0"}; /* the only one there is */
    assert_ptr_equal (workers_pick (&workers, &wish, 0), workers_find (&workers, &peers[0]));
}

/*  ---- peers ---------------------------------------------------------------------------------- */

static peer_t *come (peers_t *all, const char *identity, uint64_t boot, peers_refusal_t *refusal)
{
    envelope_t e = {.boot = boot, .sender = slice_of ("peer")};
    return peers_of (all, identity, strlen (identity), &e, refusal);
}

static void a_boot_id_belongs_to_one_connection (void **state)
{
    (void) state;
    peers_t *all = peers_new (3);
    peers_refusal_t refusal;
    /* 24 bytes: what the connection is for, the secret of its owner, when it was made */
    peer_t *owner = come (all, "\1a secret of 15. made at", 77, &refusal);
    assert_non_null (owner);
    assert_ptr_equal (come (all, "\2a secret of 15. made at", 77, &refusal), owner);
    assert_ptr_equal (come (all, "\1a secret of 15. made at", 77, &refusal), owner);
    assert_null (come (all, "\1another secret. made at", 77, &refusal));
    assert_int_equal (refusal, PEERS_IMPOSTOR);
    assert_null (come (all, "\2another secret. made at", 77, &refusal));
    assert_int_equal (refusal, PEERS_IMPOSTOR);
    assert_null (come (all, "short", 77, &refusal));
    assert_int_equal (refusal, PEERS_IMPOSTOR);
    assert_null (come (all, "\1a secret of 15. made at", 78, &refusal));
    assert_int_equal (refusal, PEERS_IMPOSTOR);
    assert_int_equal (owner->identity_n, NODE_IDENTITY_SIZE);
    assert_memory_equal (owner->identity, "\1a secret of 15. made at", NODE_IDENTITY_SIZE);
    /* Its newest socket gets the answers, whichever is heard last. */
    assert_ptr_equal (come (all, "\1a secret of 15. made_by", 77, &refusal), owner);
    assert_memory_equal (owner->identity, "\1a secret of 15. made_by", NODE_IDENTITY_SIZE);
    assert_ptr_equal (come (all, "\1a secret of 15. made at", 77, &refusal), owner);
    assert_ptr_equal (come (all, "\2a secret of 15. made_to", 77, &refusal), owner);
    assert_memory_equal (owner->identity, "\1a secret of 15. made_by", NODE_IDENTITY_SIZE);
    assert_non_null (come (all, "second", 1, &refusal));
    assert_non_null (come (all, "third", 2, &refusal));
    assert_null (come (all, "fourth", 3, &refusal));
    assert_int_equal (refusal, PEERS_FULL);
    owner->dead = true;
    while (peers_next_dead (all, 0))
        ;
    assert_non_null (come (all, "fourth", 77, &refusal)); /* nothing of the owner is left */
    peers_destroy (&all);
}

/*  Else the bus would keep the connection of the two that is greeted last, which may be that of a
 *  socket which is about to be closed. */
static void a_socket_has_an_identity_of_its_own (void **state)
{
    (void) state;
    const bus_options_t options = {.address = "ipc:///tmp/quintet-nobody-listens", .name = "node"};
    unsigned char identity[2][NODE_IDENTITY_SIZE + 1];
    err_t err = {0};
    node_t node;
    assert_int_equal (node_open (&node, &options, &err), 0);
    for (size_t i = 0; i < 2; i++) {
        void *socket = node_connect (&node, ZMQ_DEALER, ADDRESS_POLICIES, NODE_POLICIES, &err);
        size_t size = sizeof identity[i];
        assert_non_null (socket);
        assert_int_equal (zmq_getsockopt (socket, ZMQ_ROUTING_ID, identity[i], &size), 0);
        assert_int_equal (size, NODE_IDENTITY_SIZE);
        zmq_close (socket);
    }
    assert_memory_equal (identity[0], identity[1], 1 + NODE_SECRET_SIZE);
    assert_true (memcmp (identity[0], identity[1], NODE_IDENTITY_SIZE) < 0); /* the newer one */
    node_close (&node);
}

/*  Who measures long round trips is given time: by as much as it says, within bounds. */
static void patience_follows_what_was_measured (void **state)
{
    (void) state;
    peers_t *all = peers_new (3);
    peers_refusal_t refusal;
    peer_t *p = come (all, "one", 1, &refusal);
    int64_t now = clock_ms ();
    peers_heartbeat (p, &(envelope_t){.left_ms = 1}, 5);
    assert_non_null (peers_next_dead (all, now + 2500));
    peers_heartbeat (p, &(envelope_t){.left_ms = 20000}, 5);
    assert_null (peers_next_dead (all, now + 60000));
    assert_ptr_equal (peers_disconnected (all, 5), p); /* and its connection may take as long */
    assert_null (peers_next_dead (all, now + 60000));
    peers_heartbeat (p, &(envelope_t){.left_ms = UINT32_MAX}, 5);
    assert_non_null (peers_next_dead (all, now + 150000));
    peers_destroy (&all);
}

/*  ---- blobs ---------------------------------------------------------------------------------- */

#define MB ((uint64_t) 1 << 20)

static blob_t *begin (blobs_t *blobs, char name, uint64_t size, uint64_t owner, int64_t now)
{
    hash_t hash = hash_of (&name, 1);
    err_t err = {0};
    blob_t *b = blobs_begin (blobs, &hash, size, owner, now, &err);
    if (!b)
        assert_int_equal (err.code, ERR_LIMIT);
    return b;
}

static blob_t *whole (blobs_t *blobs, char name, uint64_t size, uint64_t owner, int64_t now)
{
    static const char chunk[HASH_CHUNK];
    blob_t *b = begin (blobs, name, size, owner, now);
    for (uint32_t i = 0; b && i < b->chunks; i++)
        assert_true (blob_put (b, i, chunk, HASH_CHUNK, now));
    if (b)
        blobs_finished (blobs, b);
    return b;
}

static void unfinished_uploads_are_bounded (void **state)
{
    (void) state;
    blobs_t *blobs = blobs_new (400 * MB);
    assert_non_null (begin (blobs, 'a', 120 * MB, 1, 0));
    assert_null (begin (blobs, 'b', 120 * MB, 1, 0));     /* half of it for one uploader, */
    assert_non_null (begin (blobs, 'c', 150 * MB, 2, 0)); /* while others have room, */
    assert_null (begin (blobs, 'd', 60 * MB, 3, 0));      /* up to three quarters for all */
    assert_non_null (begin (blobs, 'e', 30 * MB, 3, 0));
    assert_int_equal (blobs_status (blobs).unfinished_bytes, 300 * MB);
    assert_null (begin (blobs, 'f', BLOBS_OBJECT_MAX + 1, 4, 0));
    blobs_destroy (&blobs);
    blobs = blobs_new (400 * MB);
    for (int i = 0; i < BLOBS_UPLOADS_MAX; i++)
        assert_non_null (begin (blobs, (char) i, 1, 1, 0));
    assert_null (begin (blobs, 'z', 1, 1, 0));
    blobs_destroy (&blobs);
}

static void unfinished_uploads_end (void **state)
{
    (void) state;
    blobs_t *blobs = blobs_new (4000 * MB);
    blob_t *gone = begin (blobs, 'a', 600 * MB, 1, 0), *slow = begin (blobs, 'b', 2 * MB, 2, 0);
    assert_non_null (gone);
    assert_non_null (slow);
    for (int64_t now = 0; now < BLOBS_SILENT_MS; now += 1000)
        blobs_touch (blobs, 2, now);
    blobs_expire (blobs, BLOBS_SILENT_MS);
    assert_int_equal (blobs_status (blobs).objects, 1); /* a slow one stays while it is heard of, */
    assert_int_equal (blobs_status (blobs).bytes, 2 * MB);
    blobs_touch (blobs, 2, BLOBS_STALLED_MS);
    blobs_expire (blobs, BLOBS_STALLED_MS); /* but not for ever */
    assert_int_equal (blobs_status (blobs).objects, 0);
    blobs_destroy (&blobs);
}

/*  What nobody needs gives way to what is new; what is needed does not, and then it is full. */
static void a_full_vault_says_so (void **state)
{
    (void) state;
    blobs_t *blobs = blobs_new (16 * MB);
    blob_t *needed = whole (blobs, 'n', 4 * MB, 1, 0);
    blob_need (needed);
    blob_t *past = whole (blobs, 'p', 4 * MB, 1, 0);
    blob_need (past);
    blobs_release (blobs, past);
    hash_t past_hash = past->hash, loose_hash = whole (blobs, 'l', 4 * MB, 2, 0)->hash;
    assert_non_null (whole (blobs, 'm', 4 * MB, 1, 0));
    assert_non_null (whole (blobs, 'o', 4 * MB, 1, 0)); /* the past one goes */
    assert_null (blobs_find (blobs, &past_hash));
    assert_non_null (blobs_find (blobs, &loose_hash));
    assert_non_null (whole (blobs, 'q', 4 * MB, 1, 0)); /* then another's loose one */
    assert_null (blobs_find (blobs, &loose_hash));
    for (blob_t *b; (b = whole (blobs, 'r', 4 * MB, 1, 0)) && b != needed;)
        blob_need (b), b->hash = hash_of (&b, sizeof b);
    assert_ptr_equal (blobs_find (blobs, &needed->hash), needed);
    assert_int_equal (blobs_status (blobs).bytes, 16 * MB);
    blobs_destroy (&blobs);
}

/*  ---- the folder of who is let in ------------------------------------------------------------ */

/*  Who can write there lets in whom he likes; a pipe in it is passed over. */
static void a_folder_of_peers_is_its_owner_s (void **state)
{
    (void) state;
    char dir[] = "/tmp/quintet-keys-XXXXXX", keys[64], bus[80], known[96], pipe[128];
    err_t err = {0};
    size_t n = 0;
    assert_non_null (mkdtemp (dir));
    snprintf (keys, sizeof keys, "%s/keys", dir);
    snprintf (bus, sizeof bus, "%s/bus", keys);
    snprintf (known, sizeof known, "%s/peers", bus);
    snprintf (pipe, sizeof pipe, "%s/pipe", known);
    assert_int_equal (authority_init (keys, &err), 0);
    assert_int_equal (authority_add (keys, "agent", "", &err), 0);
    assert_int_equal (mkfifo (pipe, 0600), 0);
    free (authority_list (bus, &n, NULL, &err));
    assert_int_equal (n, 2);
    assert_int_equal (chmod (known, 0777), 0);
    assert_null (authority_list (bus, &n, NULL, &err));
    assert_non_null (strstr (err.text, "may be written by everybody: chmod 700"));
    fs_remove (dir, NULL);
}

/*  The highest has room for all four. */
static void an_address_has_four_ports (void **state)
{
    (void) state;
    address_t address;
    err_t err = {0};
    assert_int_equal (address_parse ("tcp://127.0.0.1:65532", true, &address, &err), 0);
    assert_string_equal (address.endpoint[ADDRESS_SUBSCRIBE], "tcp://127.0.0.1:65535");
    assert_int_equal (address_parse ("tcp://127.0.0.1:65534", true, &address, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "four ports from the one given, so 65532 is the highest"));
    assert_int_equal (address_parse ("tcp://127.0.0.1:65536", true, &address, &err), -1);
    assert_non_null (strstr (err.text, "tcp://HOST:PORT is wanted"));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (an_address_has_four_ports),
        cmocka_unit_test (a_folder_of_peers_is_its_owner_s),
        cmocka_unit_test (clients_take_turns),
        cmocka_unit_test (what_waits_is_bounded_in_bytes_by_client),
        cmocka_unit_test (requests_expire_and_are_cancelled_wherever_they_stand),
        cmocka_unit_test (who_never_answers_gets_next_to_nothing),
        cmocka_unit_test (when_all_are_doubted_nobody_is),
        cmocka_unit_test (wishes_are_heeded),
        cmocka_unit_test (a_boot_id_belongs_to_one_connection),
        cmocka_unit_test (a_socket_has_an_identity_of_its_own),
        cmocka_unit_test (patience_follows_what_was_measured),
        cmocka_unit_test (unfinished_uploads_are_bounded),
        cmocka_unit_test (unfinished_uploads_end),
        cmocka_unit_test (a_full_vault_says_so),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
