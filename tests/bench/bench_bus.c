/* with: services/bus/ */
/*  The bus beside bare libzmq: a ROUTER/ROUTER broker and an XSUB/XPUB proxy of a few lines each.
 *  Broker, worker and client are processes of their own, on ipc. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "../../services/bus/actors.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "bench.h"
#include "bus/authority.h"
#include "bus/bus.h"

#define SECONDS     0.5 /* of a round */
#define ROUNDS      5   /* ours and the bare one's, in turn; medians */
#define PAYLOAD     100
#define EVENTS      400000
#define TAPS        8
#define OBJECT_SIZE ((size_t) 256 << 20)

static char dir[] = "/tmp/quintet-bench-XXXXXX";
static char address[64], front[80], back[80];

static pid_t spawn (void (*run) (void))
{
    pid_t pid = bench_fork ();
    if (pid == 0) {
        run ();
        _exit (0);
    }
    return pid;
}

static void end (pid_t pid)
{
    kill (pid, SIGKILL);
    waitpid (pid, NULL, 0);
}

/*  ---- ours ----------------------------------------------------------------------------------- */

static keys_t bus_keys, trainer_keys, agent_keys, environment_keys; /* all 0 at first: none */

static void our_broker (void)
{
    err_t err = {0};
    bool keys = *bus_keys.name;
    /* One connection asks for as much as there is: more than it usually may. */
    actors_options_t options = {.address = address,
                                .keys = keys ? &bus_keys : NULL,
                                .limits = {.frames = keys ? 1 << 30 : 0}};
    if (actors_new_with (&options, &err))
        pause ();
    fprintf (stderr, "bench_bus: %s\n", err.text);
}

static bus_t *join_by (const keys_t *keys, const char *given)
{
    char name[64];
    err_t err = {0};
    bus_options_t options = {.address = address,
                             .name = keys_name (keys, given, name, sizeof name),
                             .numerics = "",
                             .keys = keys};
    bus_t *bus = bus_new (&options, &err);
    if (!bus || bus_ready (bus, 5000, &err) != 0) {
        fprintf (stderr, "bench_bus: %s\n", err.text);
        exit (1);
    }
    return bus;
}

static bus_t *join (const char *name)
{
    static const keys_t none;
    return join_by (&none, name);
}

static void our_worker (void)
{
    bus_t *bus = join_by (&agent_keys, "worker");
    bus_item_t item;
    bus_serve (bus, "act", 256, NULL);
    for (;;)
        if (bus_next (bus, &item, 1000, NULL) > 0 && item.kind == BUS_REQUEST)
            bus_reply (bus, item.id, item.payload, item.size);
}

static int by_value (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median (double rounds[ROUNDS])
{
    qsort (rounds, ROUNDS, sizeof *rounds, by_value);
    return rounds[ROUNDS / 2];
}

/*  Requests per second with so many in flight; *p50: median time of one, with one in flight. */
static double our_calls (bus_t *bus, int flights, double *p50)
{
    static double times[1 << 20];
    char payload[PAYLOAD] = {0};
    size_t done = 0, n = 0;
    double start = clock_s (), sent = start;
    for (int i = 0; i < flights; i++)
        bus_call (bus, "act", NULL, payload, sizeof payload, 20000);
    while (clock_s () - start < SECONDS) {
        bus_item_t item;
        if (bus_next (bus, &item, 1000, NULL) <= 0 || item.kind != BUS_REPLY)
            continue;
        double now = clock_s ();
        done++;
        if (n < sizeof times / sizeof *times)
            times[n++] = now - sent;
        sent = now;
        bus_call (bus, "act", NULL, payload, sizeof payload, 20000);
    }
    double rate = (double) done / (clock_s () - start);
    bus_item_t item;
    while (bus_next (bus, &item, 50, NULL) > 0)
        ;
    qsort (times, n, sizeof *times, by_value);
    *p50 = n ? times[n / 2] * 1e6 : NAN;
    return rate;
}

/*  ---- bare ----------------------------------------------------------------------------------- */

static void *bare_socket (void *context, int type, const char *endpoint, bool bind)
{
    int hwm = 1000000;
    void *socket = zmq_socket (context, type);
    zmq_setsockopt (socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt (socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    if (bind)
        zmq_bind (socket, endpoint);
    else
        zmq_connect (socket, endpoint);
    return socket;
}

/*  [client][payload] goes to the one worker with the client in front, and back. */
static void forward (void *from, void *to, const char *worker, size_t worker_n)
{
    char parts[3][512];
    int sizes[3] = {0}, n = 0, more = 1;
    size_t size = sizeof more;
    while (more && n < 3) {
        sizes[n] = zmq_recv (from, parts[n], sizeof parts[n], 0);
        n++;
        zmq_getsockopt (from, ZMQ_RCVMORE, &more, &size);
    }
    if (worker)
        zmq_send (to, worker, worker_n, ZMQ_SNDMORE);
    for (int i = worker ? 0 : 1; i < n; i++)
        zmq_send (to, parts[i], (size_t) sizes[i], i + 1 < n ? ZMQ_SNDMORE : 0);
}

static void bare_broker (void)
{
    void *context = zmq_ctx_new ();
    void *clients = bare_socket (context, ZMQ_ROUTER, front, true);
    void *workers = bare_socket (context, ZMQ_ROUTER, back, true);
    char id[64], hello[8];
    int n = zmq_recv (workers, id, sizeof id, 0);
    zmq_recv (workers, hello, sizeof hello, 0);
    for (;;) {
        zmq_pollitem_t items[] = {{.socket = clients, .events = ZMQ_POLLIN},
                                  {.socket = workers, .events = ZMQ_POLLIN}};
        zmq_poll (items, 2, -1);
        if (items[0].revents & ZMQ_POLLIN)
            forward (clients, workers, id, (size_t) n);
        if (items[1].revents & ZMQ_POLLIN)
            forward (workers, clients, NULL, 0);
    }
}

static void bare_worker (void)
{
    void *socket = bare_socket (zmq_ctx_new (), ZMQ_DEALER, back, false);
    char id[64], payload[512];
    zmq_send (socket, "hi", 2, 0);
    for (;;) {
        int n = zmq_recv (socket, id, sizeof id, 0), m = zmq_recv (socket, payload, 512, 0);
        zmq_send (socket, id, (size_t) n, ZMQ_SNDMORE);
        zmq_send (socket, payload, (size_t) m, 0);
    }
}

static double bare_calls (void *socket, int flights, double *p50)
{
    static double times[1 << 20];
    char payload[PAYLOAD] = {0};
    size_t done = 0, n = 0;
    double start = clock_s (), sent = start;
    for (int i = 0; i < flights; i++)
        zmq_send (socket, payload, sizeof payload, 0);
    while (clock_s () - start < SECONDS) {
        zmq_recv (socket, payload, sizeof payload, 0);
        double now = clock_s ();
        done++;
        if (n < sizeof times / sizeof *times)
            times[n++] = now - sent;
        sent = now;
        zmq_send (socket, payload, sizeof payload, 0);
    }
    double rate = (double) done / (clock_s () - start);
    for (int i = 0; i < flights; i++)
        zmq_recv (socket, payload, sizeof payload, 0);
    qsort (times, n, sizeof *times, by_value);
    *p50 = n ? times[n / 2] * 1e6 : NAN;
    return rate;
}

enum { ONE, ONE_P50, MANY, MANY_P50, MEASURES };

static void measure_requests (void)
{
    double ours[MEASURES][ROUNDS], bare[MEASURES][ROUNDS];
    pid_t pids[] = {spawn (our_worker), spawn (bare_broker), spawn (bare_worker)};
    bus_t *bus = join ("client");
    void *context = zmq_ctx_new (), *socket = bare_socket (context, ZMQ_DEALER, front, false);
    clock_sleep_ms (200);
    for (int i = 0; i < ROUNDS; i++) {
        ours[ONE][i] = our_calls (bus, 1, &ours[ONE_P50][i]);
        bare[ONE][i] = bare_calls (socket, 1, &bare[ONE_P50][i]);
        ours[MANY][i] = our_calls (bus, 64, &ours[MANY_P50][i]);
        bare[MANY][i] = bare_calls (socket, 64, &bare[MANY_P50][i]);
    }
    bus_destroy (&bus);
    zmq_close (socket);
    zmq_ctx_term (context);
    for (size_t i = 0; i < sizeof pids / sizeof *pids; i++)
        end (pids[i]);
    bench_tell ("bus.requests, 64 in flight", median (ours[MANY]), "1/s", median (bare[MANY]));
    bench_tell ("bus.requests, 1 in flight", median (ours[ONE]), "1/s", median (bare[ONE]));
    bench_tell ("bus.requests, 1 in flight, p50", median (ours[ONE_P50]), "us",
                median (bare[ONE_P50]));
}

/*  ---- events --------------------------------------------------------------------------------- */

static void our_publisher (void)
{
    bus_t *bus = join ("publisher");
    char payload[PAYLOAD] = {0};
    bus_publish (bus, "bench/event", payload, sizeof payload);
    for (;;)
        bus_publish (bus, "bench/event", payload, sizeof payload);
}

static double our_events (void)
{
    bus_t *tap = join ("tap");
    bus_subscribe (tap, "bench/", NULL);
    clock_sleep_ms (200);
    pid_t publisher = spawn (our_publisher);
    bus_item_t item;
    size_t n = 0;
    while (bus_next (tap, &item, 3000, NULL) <= 0)
        ;
    double start = clock_s ();
    while (n < EVENTS && clock_s () - start < 10)
        n += bus_next (tap, &item, 1000, NULL) > 0;
    double rate = (double) n / (clock_s () - start);
    end (publisher);
    bus_destroy (&tap);
    return rate;
}

static void bare_proxy (void)
{
    void *context = zmq_ctx_new ();
    zmq_proxy (bare_socket (context, ZMQ_XSUB, front, true),
               bare_socket (context, ZMQ_XPUB, back, true), NULL);
}

static void bare_publisher (void)
{
    void *socket = bare_socket (zmq_ctx_new (), ZMQ_PUB, front, false);
    char payload[PAYLOAD] = "bench/event";
    for (;;)
        zmq_send (socket, payload, sizeof payload, 0);
}

static double bare_events (void)
{
    pid_t proxy = spawn (bare_proxy);
    void *context = zmq_ctx_new (), *socket = bare_socket (context, ZMQ_SUB, back, false);
    zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "bench/", 6);
    clock_sleep_ms (200);
    pid_t publisher = spawn (bare_publisher);
    char payload[512];
    zmq_recv (socket, payload, sizeof payload, 0);
    double start = clock_s ();
    for (size_t n = 0; n < EVENTS; n++)
        zmq_recv (socket, payload, sizeof payload, 0);
    double rate = EVENTS / (clock_s () - start);
    end (publisher);
    end (proxy);
    zmq_close (socket);
    zmq_ctx_term (context);
    return rate;
}

static void measure_events (void)
{
    double ours[ROUNDS], bare[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = our_events ();
        bare[i] = bare_events ();
    }
    bench_tell ("bus.events, one decoding tap", median (ours), "1/s", median (bare));
}

/*  What eight taps lose of 50,000 events a second for a second. */
static void measure_taps (void)
{
    bus_t *publisher = join ("publisher"), *taps[TAPS];
    char payload[PAYLOAD] = {0};
    bus_item_t item;
    uint64_t got = 0, missed = 0;
    for (int i = 0; i < TAPS; i++) {
        taps[i] = join ("tap");
        bus_subscribe (taps[i], "taps/", NULL);
    }
    clock_sleep_ms (300);
    bus_publish (publisher, "taps/first", payload, 1);
    clock_sleep_ms (300);
    double start = clock_s ();
    for (int n = 0; n < 50000; n++) {
        bus_publish (publisher, "taps/event", payload, sizeof payload);
        if (n % 50 == 0) {
            for (int i = 0; i < TAPS; i++)
                while (bus_next (taps[i], &item, 0, NULL) > 0)
                    got++;
            while (clock_s () - start < n / 50000.0)
                ;
        }
    }
    double wall = clock_s () - start;
    for (int i = 0; i < TAPS; i++) {
        while (bus_next (taps[i], &item, 200, NULL) > 0)
            got++;
        missed += bus_counters (taps[i]).events_missed;
        bus_destroy (&taps[i]);
    }
    bus_destroy (&publisher);
    bench_tell ("bus.events, 8 taps, rate per tap", (double) got / TAPS / wall, "1/s", NAN);
    bench_tell ("bus.events, 8 taps, lost", (double) missed, "", NAN);
}

/*  ---- policies ------------------------------------------------------------------------------- */

static void await_object (bus_t *bus, bus_item_t *item)
{
    for (double end = clock_s () + 30; clock_s () < end;)
        if (bus_next (bus, item, 1000, NULL) > 0 && item->kind == BUS_OBJECT)
            return;
    fprintf (stderr, "bench_bus: no object within 30 s\n");
    exit (1);
}

/*  Once unmeasured, for the machine's first hand-out of memory is slow, then the median of
 *  ROUNDS. */
static double fetch_rate (bus_t *agent, const hash_t *hash)
{
    double seconds[ROUNDS + 1];
    bus_item_t item;
    for (int i = 0; i <= ROUNDS; i++) {
        double start = clock_s ();
        bus_fetch (agent, hash, OBJECT_SIZE, 60000);
        await_object (agent, &item);
        seconds[i] = clock_s () - start;
        if (item.code != ERR_NONE) {
            fprintf (stderr, "bench_bus: %s\n", item.text);
            exit (1);
        }
    }
    return (double) OBJECT_SIZE / median (seconds + 1) / 1e6;
}

/*  The limit is the speed of hashing. */
/*  By the keys of the moment; MB/s. */
static double measure_policies (void)
{
    bus_t *trainer = join_by (&trainer_keys, "trainer"), *agent = join_by (&agent_keys, "agent");
    char *content = malloc (OBJECT_SIZE);
    for (size_t i = 0; i < OBJECT_SIZE; i += 8)
        memcpy (content + i, &(uint64_t){i * 0x9e3779b97f4a7c15u}, 8);
    bus_item_t item;
    double start = clock_s ();
    hash_t hash = hash_object (content, OBJECT_SIZE);
    double hashing = (double) OBJECT_SIZE / (clock_s () - start) / 1e6;
    bus_offer (trainer, content, OBJECT_SIZE);
    await_object (trainer, &item);
    double rate = fetch_rate (agent, &hash);
    if (!*bus_keys.name)
        bench_tell ("bus.policies, to one agent", rate, "MB/s", hashing);
    free (content);
    bus_destroy (&trainer);
    bus_destroy (&agent);
    return rate;
}

/*  ---- with keys ------------------------------------------------------------------------------ */

static void read_keys (const char *kind, keys_t *keys)
{
    char keys_dir[FS_PATH_MAX], path[FS_PATH_MAX];
    err_t err = {0};
    if (fs_join (keys_dir, dir, "keys", &err) != 0 || fs_join (path, keys_dir, kind, &err) != 0 ||
        (strcmp (kind, "bus") == 0 ? authority_init (keys_dir, &err)
                                   : authority_add (keys_dir, kind, "", &err)) != 0 ||
        keys_load (path, keys, &err) != 0) {
        fprintf (stderr, "bench_bus: %s\n", err.text);
        exit (1);
    }
}

/*  The same bus program on another address, in turns with the one that has no keys. */
static void measure_keys (void)
{
    double rates[2][ROUNDS], policies[2], p50;
    char addresses[2][sizeof address];
    pid_t pids[4];
    memcpy (addresses[0], address, sizeof address);
    snprintf (addresses[1], sizeof addresses[1], "ipc://%s/keyed", dir);
    keys_t none = {0}, keys[2][4] = {{none, none, none, none}};
    read_keys ("bus", &keys[1][0]);
    read_keys ("trainer", &keys[1][1]);
    read_keys ("agent", &keys[1][2]);
    read_keys ("environment", &keys[1][3]);
    bus_t *bus[2];
    for (int i = 0; i < 2; i++) {
        memcpy (address, addresses[i], sizeof address);
        bus_keys = keys[i][0];
        trainer_keys = keys[i][1];
        agent_keys = keys[i][2];
        environment_keys = keys[i][3];
        pids[i] = i ? spawn (our_broker) : 0;
        clock_sleep_ms (300);
        pids[2 + i] = spawn (our_worker);
        bus[i] = join_by (&environment_keys, "client");
        policies[i] = measure_policies ();
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++)
            rates[i][round] = our_calls (bus[i], 64, &p50);
    bench_tell ("bus.requests with keys, 64 in flight", median (rates[1]), "1/s",
                median (rates[0]));
    bench_tell ("bus.policies with keys, to one agent", policies[1], "MB/s", policies[0]);
    for (int i = 0; i < 2; i++)
        bus_destroy (&bus[i]);
    for (int i = 1; i < 4; i++)
        end (pids[i]);
}

int main (void)
{
    log_open ("bench", LOG_ERROR); /* lines of the log would stand in the table */
    if (!mkdtemp (dir))
        return 1;
    snprintf (address, sizeof address, "ipc://%s/bus", dir);
    snprintf (front, sizeof front, "ipc://%s/front", dir);
    snprintf (back, sizeof back, "ipc://%s/back", dir);
    pid_t broker = spawn (our_broker);
    clock_sleep_ms (200);
    measure_requests ();
    measure_events ();
    measure_taps ();
    measure_keys ();
    end (broker);
    fs_remove (dir, NULL);
    return 0;
}
