/* with: services/bus/ */
/*  A bus that has keys: who is let in, what each kind of program may do there, and what becomes of
 *  who tries more, by real clients that hold genuine certificates of the wrong kind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bus/endpoint.h"
#include "bus/rights.h"
#include "bus_keys_fixture.h"

/*  ---- what each kind may do ------------------------------------------------------------------ */

/*  Written down again, not taken from the table that is tested. */
static const struct {
    const char *kind, *serves, *asks, *publishes, *subscribes, *objects;
} wanted[KINDS] = {
    {"agent", "act", "", "service/agent", "policy/", "get"},
    {"environment", "", "act score", "service/environment r/group.committed", "r/step.opened",
     "get"},
    {"reward", "score", "", "service/reward", "", ""},
    {"critic", "value learn", "", "service/critic", "", "get put"},
    {"trainer", "", "value learn score",
     "service/trainer r/run.state r/step.done r/eval.done r/episode.shown",
     "r/ service/ policy/ r/step.opened all", "get put manifest"},
    {"operator", "", "value learn score",
     "service/operator r/run.state r/step.done r/eval.done r/episode.shown",
     "r/ service/ policy/ r/step.opened all", "get put manifest"},
    {"tap", "", "", "", "r/ service/ policy/ r/step.opened all", ""},
    {"monitor", "", "", "service/monitor", "r/ service/ policy/ r/step.opened all", ""},
};
static const char *const services[] = {"act", "score", "value", "learn"};
static const char *const prefixes[] = {"r/", "service/", "policy/", "r/step.opened", "all"};

static bool has_word (const char *words, const char *word)
{
    size_t n = strlen (word);
    for (const char *at = words; (at = strstr (at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

/*  After something that is denied: the offender fails, and the bus has counted it. */
static void expect_denied (const fixture_t *f, bus_t *bus, double before, const char *text)
{
    await_metric (f, "frames_denied", before + 1);
    expect_failure (bus, ERR_CONFIG, text);
}

static void only_what_it_serves (void **state)
{
    const fixture_t *f = *state;
    for (size_t k = 0; k < KINDS; k++)
        for (size_t s = 0; s < sizeof services / sizeof *services; s++) {
            double denied = metric (f, "frames_denied");
            bus_t *bus = join_as (f, kinds[k], kinds[k]);
            bus_serve (bus, services[s], 1, NULL);
            if (has_word (wanted[k].serves, services[s]))
                await_metric (f, "workers", 1);
            else
                expect_denied (f, bus, denied, "may not serve");
            bus_destroy (&bus);
            await_fall (f, "workers", 0);
        }
}

static void only_what_it_asks_for (void **state)
{
    const fixture_t *f = *state;
    bus_t *worker[] = {join_as (f, "agent", "agent-w"), join_as (f, "reward", "reward-w"),
                       join_as (f, "critic", "critic-w"), join_as (f, "critic", "critic-v")};
    for (size_t s = 0; s < 4; s++)
        bus_serve (worker[s], services[s], 8, NULL);
    await_metric (f, "workers", 4);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t s = 0; s < 4; s++) {
            double denied = metric (f, "frames_denied");
            bus_t *bus = join_as (f, kinds[k], kinds[k]);
            bus_call (bus, services[s], NULL, "a", 1, PATIENCE_MS);
            if (!has_word (wanted[k].asks, services[s])) {
                expect_denied (f, bus, denied, "may not ask for");
            } else {
                bus_item_t item = await (worker[s], BUS_REQUEST);
                bus_reply (worker[s], item.id, "b", 1);
                assert_int_equal (await (bus, BUS_REPLY).code, ERR_NONE);
            }
            bus_destroy (&bus);
        }
    for (size_t s = 0; s < 4; s++)
        bus_destroy (&worker[s]);
}

/*  What is published before the connection stands is lost: so something is that nobody may. */
static void expect_connected (const fixture_t *f, bus_t *bus)
{
    double denied = metric (f, "frames_denied"), before = -1;
    while (metric (f, "frames_denied") == denied) {
        bus_publish (bus, "r/made.up", "x", 1);
        clock_sleep_ms (10);
    }
    while (before != metric (f, "frames_denied")) { /* those that are on their way */
        before = metric (f, "frames_denied");
        clock_sleep_ms (100);
    }
}

static void only_what_it_publishes (void **state)
{
    const fixture_t *f = *state;
    static const char *const topics[] = {"r/group.committed", "r/episode.shown", "r/run.state",
                                         "r/step.done",       "r/eval.done",     "policy/r/shared",
                                         "service/bus",       "service/other"};
    bus_t *tap = join_as (f, "tap", "tap");
    bus_subscribe (tap, "", NULL);
    await_metric (f, "subscriptions", 1);
    for (size_t k = 0; k < KINDS; k++) {
        char own[64];
        bus_t *bus = join_as (f, kinds[k], kinds[k]);
        snprintf (own, sizeof own, "service/%s", kinds[k]);
        expect_connected (f, bus);
        for (size_t t = 0; t <= sizeof topics / sizeof *topics; t++) {
            const char *topic = t < sizeof topics / sizeof *topics ? topics[t] : own;
            double denied = metric (f, "frames_denied");
            bus_publish (bus, topic, kinds[k], strlen (kinds[k]));
            if (has_word (wanted[k].publishes, topic))
                assert_string_equal (await (tap, BUS_EVENT).name, topic);
            else
                await_metric (f, "frames_denied", denied + 1);
            assert_int_equal (metric (f, "frames_denied") > denied,
                              !has_word (wanted[k].publishes, topic));
        }
        bus_destroy (&bus);
    }
    bus_destroy (&tap);
}

static void only_what_it_subscribes_to (void **state)
{
    const fixture_t *f = *state;
    for (size_t k = 0; k < KINDS; k++)
        for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
            double denied = metric (f, "frames_denied");
            bus_t *bus = join_as (f, kinds[k], kinds[k]);
            bus_subscribe (bus, strcmp (prefixes[p], "all") == 0 ? "" : prefixes[p], NULL);
            if (has_word (wanted[k].subscribes, prefixes[p]))
                await_metric (f, "subscriptions", 1);
            else
                expect_denied (f, bus, denied, "may not subscribe to");
            bus_destroy (&bus);
            await_fall (f, "subscriptions", 0);
        }
}

/*  The offender's transfer fails, and says why. */
static void only_the_objects_that_it_handles (void **state)
{
    const fixture_t *f = *state;
    bus_t *owner = join_as (f, "trainer", "trainer");
    hash_t hash = hash_object ("weights", 7);
    bus_offer (owner, "weights", 7);
    assert_int_equal (await (owner, BUS_OBJECT).code, ERR_NONE);
    for (size_t k = 0; k < KINDS; k++) {
        char run[32];
        snprintf (run, sizeof run, "run-of-%s", kinds[k]);
        bus_t *bus = join_as (f, kinds[k], kinds[k]);
        bus_fetch (bus, &hash, 7, PATIENCE_MS);
        bus_item_t item = await (bus, BUS_OBJECT);
        assert_int_equal (item.code == ERR_NONE, has_word (wanted[k].objects, "get"));
        bus_offer (bus, kinds[k], strlen (kinds[k]));
        item = await (bus, BUS_OBJECT);
        assert_int_equal (item.code == ERR_NONE, has_word (wanted[k].objects, "put"));
        if (item.code != ERR_NONE)
            assert_non_null (strstr (item.text, "may not handle objects by 'put'"));
        bus_manifest (bus, run, 1, "shared", "m", 1, &hash, 1);
        item = await (bus, BUS_OBJECT);
        assert_int_equal (item.code == ERR_NONE, has_word (wanted[k].objects, "manifest"));
        bus_destroy (&bus);
    }
    bus_destroy (&owner);
}

/*  ---- who is let in -------------------------------------------------------------------------- */

static void strangers_are_told_why (void **state)
{
    const fixture_t *f = *state;
    char dir[FS_PATH_MAX], other[FS_PATH_MAX];
    keys_t keys;
    err_t err = {0};
    bus_t *bus = come (f, NULL, "agent");
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), -1);
    assert_non_null (strstr (err.text, "it wants a certificate: --keys DIR"));
    bus_destroy (&bus);
    /* A certificate of another bus, that knows this bus's key. */
    snprintf (dir, sizeof dir, "%s/other", f->dir);
    snprintf (other, sizeof other, "%s/other/agent", f->dir);
    assert_int_equal (authority_init (dir, &err), 0);
    assert_int_equal (authority_add (dir, "agent", "", &err), 0);
    assert_int_equal (keys_load (other, &keys, &err), 0);
    memcpy (keys.bus_key, keys_of (f, "agent").bus_key, KEYS_SIZE);
    bus = come (f, &keys, "agent");
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "it does not know this certificate"));
    bus_destroy (&bus);
    assert_int_equal (metric (f, "peers"), 0);
}

/*  The other way round: the bus knows the certificate, which was made for a bus of other keys. */
static void who_has_another_bus_s_key_is_told (void **state)
{
    const fixture_t *f = *state;
    keys_t keys = keys_of (f, "agent");
    err_t err = {0};
    memcpy (keys.bus_key, keys_of (f, "reward").public_key, KEYS_SIZE);
    bus_t *bus = come (f, &keys, "agent");
    assert_int_equal (bus_ready (bus, 1000, &err), -1);
    assert_int_equal (err.code, ERR_TIMEOUT); /* it may come yet */
    if (!strstr (err.text, "does not answer to the key of the bus in") ||
        !strstr (err.text, keys.dir))
        fail_msg ("'%s'", err.text);
    bus_destroy (&bus);
    assert_int_equal (metric (f, "peers"), 0);
}

static void an_open_bus_says_that_it_has_no_keys (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    actors_destroy (&f->actors);
    f->actors = actors_new (f->address, NULL, &err);
    assert_non_null (f->actors);
    keys_t keys = keys_of (f, "agent");
    bus_t *bus = come (f, &keys, "agent");
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), -1);
    assert_non_null (strstr (err.text, "it has no keys: leave out --keys"));
    bus_destroy (&bus);
}

static void a_bus_needs_its_own_certificate (void **state)
{
    fixture_t *f = *state;
    keys_t keys = keys_of (f, "agent");
    err_t err = {0};
    actors_destroy (&f->actors);
    assert_null (actors_new (f->address, &keys, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "no bus's"));
}

/*  Frames by a genuine certificate under the name of another. */
static void nobody_goes_by_the_name_of_another (void **state)
{
    const fixture_t *f = *state;
    keys_t keys = keys_of (f, "agent");
    err_t err = {0};
    bus_options_t options = {.address = f->address, .name = "trainer", .keys = &keys};
    assert_null (bus_new (&options, &err));
    assert_non_null (strstr (err.text, "it must be 'agent', or begin with 'agent-'"));
    snprintf (keys.name, sizeof keys.name, "trainer"); /* which the bus knows better */
    bus_t *bus = come (f, &keys, "trainer");
    expect_failure (bus, ERR_CONFIG, "'trainer' is not a name of the certificate 'agent'");
    bus_destroy (&bus);
}

/*  Also at the connections that it has, and without a frame of its own. */
static void who_is_revoked_is_cut_off (void **state)
{
    const fixture_t *f = *state;
    char dir[FS_PATH_MAX];
    err_t err = {0};
    folder (f, dir, "");
    bus_t *agent = join_as (f, "agent", "agent"), *tap = join_as (f, "tap", "tap"),
          *trainer = join_as (f, "trainer", "trainer");
    bus_serve (agent, "act", 1, NULL);
    bus_subscribe (tap, "", NULL);
    await_metric (f, "workers", 1);
    await_metric (f, "subscriptions", 1);
    assert_int_equal (authority_revoke (dir, "agent", &err), 0);
    assert_int_equal (authority_revoke (dir, "tap", &err), 0);
    await_fall (f, "certificates", KINDS - 1);
    await_fall (f, "subscriptions", 0);
    bus_publish (trainer, "r/run.state", "x", 1);
    expect_failure (agent, ERR_CONFIG, "it does not know this certificate");
    expect_failure (tap, ERR_CONFIG, "it does not know this certificate");
    bus_destroy (&agent);
    bus_destroy (&tap);
    /* A new one of the same name is let in. */
    assert_int_equal (authority_add (dir, "agent", "", &err), 0);
    await_metric (f, "certificates", KINDS);
    agent = join_as (f, "agent", "agent");
    bus_destroy (&agent);
    bus_destroy (&trainer);
}

static void old_keys_are_not_let_in_after_new_ones (void **state)
{
    const fixture_t *f = *state;
    char dir[FS_PATH_MAX];
    err_t err = {0};
    keys_t old = keys_of (f, "reward");
    folder (f, dir, "");
    assert_int_equal (authority_rotate (dir, "reward", NULL, &err), 0);
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end;) {
        bus_t *bus = come (f, &old, "reward");
        int rc = bus_ready (bus, PATIENCE_MS, &err);
        bus_destroy (&bus);
        if (rc != 0)
            break;
    }
    assert_non_null (strstr (err.text, "it does not know this certificate"));
    bus_t *bus = join_as (f, "reward", "reward");
    bus_destroy (&bus);
}

/*  ---- what was tried on an open bus ---------------------------------------------------------- */

/*  Another trainer, with a genuine certificate of its own, and the greatest epoch. */
static void a_run_is_of_the_trainer_that_began_it (void **state)
{
    const fixture_t *f = *state;
    char dir[FS_PATH_MAX];
    err_t err = {0};
    folder (f, dir, "");
    assert_int_equal (authority_add (dir, "trainer", "mallory", &err), 0);
    await_metric (f, "certificates", KINDS + 2);
    bus_t *owner = join_as (f, "trainer", "trainer"), *other = join_as (f, "mallory", "mallory");
    hash_t hash = hash_object ("weights", 7);
    bus_offer (owner, "weights", 7);
    assert_int_equal (await (owner, BUS_OBJECT).code, ERR_NONE);
    bus_manifest (owner, "r", 7, "shared", "good", 4, &hash, 1);
    assert_int_equal (await (owner, BUS_OBJECT).code, ERR_NONE);
    bus_manifest (other, "r", UINT64_MAX, "shared", "evil", 4, &hash, 1);
    bus_item_t item = await (other, BUS_OBJECT);
    assert_int_equal (item.code, ERR_STALE);
    assert_string_equal (item.text, "this run is of another certificate");
    bus_retire (other, "r", UINT64_MAX, "shared");
    assert_int_equal (await (other, BUS_OBJECT).code, ERR_STALE);
    bus_manifest (owner, "r", 7, "shared", "more", 4, &hash, 1);
    assert_int_equal (await (owner, BUS_OBJECT).code, ERR_NONE);
    bus_destroy (&owner);
    bus_destroy (&other);
}

/*  It does not take the hint: its connection ends, again and again; and the others have theirs. */
static void who_goes_on_is_cut_off (void **state)
{
    const fixture_t *f = *state;
    bus_t *agent = join_as (f, "agent", "agent-mallory"), *honest = join_as (f, "agent", "agent-1"),
          *client = join_as (f, "environment", "environment");
    bus_serve (honest, "act", 4, NULL);
    await_metric (f, "workers", 1);
    expect_connected (f, agent);
    double before = metric (f, "connections");
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && metric (f, "connections") >= before;) {
        bus_publish (agent, "r/step.done", "x", 1);
        clock_sleep_ms (1);
    }
    assert_true (metric (f, "connections") < before);
    bus_call (client, "act", NULL, "a", 1, PATIENCE_MS);
    bus_reply (honest, await (honest, BUS_REQUEST).id, "b", 1);
    assert_int_equal (await (client, BUS_REPLY).code, ERR_NONE);
    bus_destroy (&agent);
    bus_destroy (&honest);
    bus_destroy (&client);
}

/*  Passes bytes on between a client and the bus, and keeps what the client said. */
typedef struct {
    int listener;
    const char *to;
    char said[1 << 16];
    size_t n;
} wire_t;

static int reach (const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket (AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    return fd;
}

static void *pass_on (void *context)
{
    wire_t *w = context;
    int from = accept (w->listener, NULL, NULL), to = reach (w->to);
    struct pollfd fds[2] = {{.fd = from, .events = POLLIN}, {.fd = to, .events = POLLIN}};
    char bytes[4096];
    while (poll (fds, 2, PATIENCE_MS) > 0)
        for (int i = 0; i < 2; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t n = read (fds[i].fd, bytes, sizeof bytes);
            if (n <= 0 || w->n + (size_t) n > sizeof w->said ||
                write (fds[1 - i].fd, bytes, (size_t) n) != n) {
                close (from);
                close (to);
                return NULL;
            }
            if (i == 0) {
                memcpy (w->said + w->n, bytes, (size_t) n);
                w->n += (size_t) n;
            }
        }
    return NULL;
}

/*  A conversation was overheard, with a request that the bus took: said again, it is nothing. */
static void what_was_overheard_cannot_be_said_again (void **state)
{
    const fixture_t *f = *state;
    static wire_t w;
    char path[96], bus_path[96];
    keys_t keys = keys_of (f, "environment");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    snprintf (path, sizeof path, "%s/wire", f->dir);
    snprintf (bus_path, sizeof bus_path, "%s/bus.requests", f->dir);
    w = (wire_t){.listener = socket (AF_UNIX, SOCK_STREAM, 0), .to = bus_path};
    snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal (bind (w.listener, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal (listen (w.listener, 1), 0);
    assert_int_equal (pthread_create (&thread, NULL, pass_on, &w), 0);
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_DEALER);
    char endpoint[160];
    snprintf (endpoint, sizeof endpoint, "ipc://%s", path);
    endpoint_options_t options = {
        .hwm = 9, .payload_max = 1 << 20, .linger_ms = 100, .keys = &keys};
    assert_int_equal (endpoint_connect (socket, endpoint, &options, NULL), 0);
    zmq_msg_t frame;
    envelope_t e = {.kind = ENVELOPE_REQUEST,
                    .service = slice_of ("act"),
                    .id = slice_of ("one"),
                    .sender = slice_of ("environment"),
                    .boot = 5,
                    .sequence = 1,
                    .left_ms = 600000};
    assert_int_equal (envelope_pack (&e, (slice_t){"", 0}, &frame), 0);
    assert_true (zmq_msg_send (&frame, socket, 0) >= 0);
    await_metric (f, "requests", 1);
    zmq_close (socket);
    zmq_ctx_term (context);
    pthread_join (thread, NULL);
    close (w.listener);
    int fd = reach (bus_path);
    assert_true (write (fd, w.said, w.n) > 0);
    struct pollfd ends = {.fd = fd, .events = POLLIN};
    while (poll (&ends, 1, PATIENCE_MS) > 0 && read (fd, w.said, 1) > 0)
        ;
    assert_true (ends.revents); /* the bus hung up */
    assert_int_equal (metric (f, "requests"), 1);
    close (fd);
}

/*  ---- the folder of certificates ------------------------------------------------------------- */

static void a_folder_says_what_is_wrong_with_it (void **state)
{
    const fixture_t *f = *state;
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    keys_t keys;
    err_t err = {0};
    folder (f, dir, "");
    assert_int_equal (authority_init (dir, &err), -1);
    assert_non_null (strstr (err.text, "is there already"));
    assert_int_equal (authority_add (dir, "wizard", "", &err), -1);
    assert_non_null (strstr (err.text, "'wizard': a kind is one of agent environment"));
    assert_int_equal (authority_add (dir, "bus", "", &err), -1);
    assert_int_equal (authority_add (dir, "agent", "", &err), -1);
    assert_int_equal (authority_add (dir, "agent", "agent-west", &err), -1);
    assert_non_null (strstr (err.text, "'agent-west': there is 'agent'"));
    assert_int_equal (authority_add (dir, "agent", "../x", &err), -1);
    assert_int_equal (authority_revoke (dir, "nobody", &err), -1);
    assert_int_equal (authority_revoke (dir, "bus", &err), -1);
    assert_int_equal (authority_rotate (dir, "nobody", NULL, &err), -1);
    snprintf (path, sizeof path, "%s/nowhere", f->dir);
    assert_int_equal (authority_add (path, "agent", "", &err), -1);
    assert_non_null (strstr (err.text, "quintet keys init"));
    /* What everybody can read is no secret. */
    folder (f, path, "agent/certificate");
    struct stat file;
    assert_int_equal (stat (path, &file), 0);
    assert_int_equal (file.st_mode & 0777, 0600);
    assert_int_equal (chmod (path, 0644), 0);
    folder (f, path, "agent");
    assert_int_equal (keys_load (path, &keys, &err), -1);
    assert_non_null (strstr (err.text, "chmod 600"));
    assert_int_equal (stat (path, &file), 0);
    assert_int_equal (file.st_mode & 0777, 0700);
    /* A public certificate has no secret; a text is no certificate. */
    folder (f, path, "reward/certificate");
    assert_int_equal (fs_write (path, "hello", 5, &err), 0);
    assert_int_equal (chmod (path, 0600), 0);
    folder (f, path, "reward");
    assert_int_equal (keys_load (path, &keys, &err), -1);
    assert_non_null (strstr (err.text, "this is no certificate"));
}

#define A_TEST(name) cmocka_unit_test_setup_teardown (name, setup_keys, teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
        A_TEST (only_what_it_serves),
        A_TEST (only_what_it_asks_for),
        A_TEST (only_what_it_publishes),
        A_TEST (only_what_it_subscribes_to),
        A_TEST (only_the_objects_that_it_handles),
        A_TEST (strangers_are_told_why),
        A_TEST (who_has_another_bus_s_key_is_told),
        A_TEST (an_open_bus_says_that_it_has_no_keys),
        A_TEST (a_bus_needs_its_own_certificate),
        A_TEST (nobody_goes_by_the_name_of_another),
        A_TEST (who_is_revoked_is_cut_off),
        A_TEST (old_keys_are_not_let_in_after_new_ones),
        A_TEST (a_run_is_of_the_trainer_that_began_it),
        A_TEST (who_goes_on_is_cut_off),
        A_TEST (what_was_overheard_cannot_be_said_again),
        A_TEST (a_folder_says_what_is_wrong_with_it),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
