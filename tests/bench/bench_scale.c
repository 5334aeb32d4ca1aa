/* with: services/environment/group.c services/environment/asks.c services/environment/judging.c
 * services/environment/tools.c services/environment/answers.c services/environment/told.c
 * services/environment/prompt.c services/environment/result.c */
/*  How a suite grows with its agents: groups a minute, and what bus and Redis spend on them.
 *
 *      scale.agents.N    bus, Redis, two environments and a reward service, all as they are, and N
 *                        processes with a stand-in for a model that sleeps: a tenth of a second for
 *                        each request, four at a time. Limit: what the sleeping allows
 *      scale.light.N     a real bus and a real Redis; N agents that sleep a second for each
 *                        request, one at a time, N / 10 environments and N / 100 scorers, all of
 *                        them light clients of this process
 *      scale.light.N.quick   the same with agents that sleep 50 ms: what bus, Redis and two cores
 *                        carry
 *
 *  A group is 8 episodes of two roles in one turn: two requests to agents and one to a scorer.
 */
#include <hiredis/hiredis.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../../services/environment/group.h"
#include "../unit/environment_fixture.h"
#include "../unit/redis_fixture.h"
#include "bench.h"
#include "bus/bus.h"
#include "light.h"
#include "store/store.h"
#include "task/task.h"

#define RUN           "scale"
#define EPISODES      8
#define ROLES         2
#define SECONDS       4 /* that a measurement is made to take */
#define PATIENCE_MS   60000
#define AGENTS_MAX    1000
#define PROCESSES_MAX 32
#define PLACES        4   /* requests that a process has in hand */
#define SLEEP_MS      100 /* each */
#define PLAYERS       16  /* groups that an environment has in hand, as the real one */

static void fail (const char *what, const char *why)
{
    fprintf (stderr, "bench_scale: %s: %s\n", what, why);
    exit (1);
}

/*  ---- the suite around them ------------------------------------------------------------------ */

typedef struct {
    char dir[64], address[96];
    redis_fixture_t redis;
    pid_t bus;
    store_t *store;
    uint64_t epoch, step;
    bus_t *trainer; /* holds the tokenizer on the bus */
    char *tokenizer_text;
    tokenizer_t *tokenizer;
    task_set_t *tasks;
} suite_t;

static pid_t start (const suite_t *s, char *const argv[])
{
    pid_t pid = bench_start (argv, s->dir, -1);
    if (pid < 0)
        fail (argv[0], "cannot fork");
    return pid;
}

static void stop (pid_t *pids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kill (pids[i], SIGTERM);
    for (size_t i = 0; i < n; i++)
        waitpid (pids[i], NULL, 0);
}

static void suite_open (suite_t *s)
{
    err_t err = {0};
    *s = (suite_t){.dir = "/tmp/quintet-scale-XXXXXX"};
    if (!mkdtemp (s->dir))
        fail (s->dir, "cannot make it");
    snprintf (s->address, sizeof s->address, "ipc://%s/bus", s->dir);
    redis_fixture_open (&s->redis);
    redisContext *raw = redisConnectUnix (s->redis.socket);
    freeReplyObject (redisCommand (raw, "CONFIG SET appendfsync everysec"));
    redisFree (raw);
    char *argv[] = {"build/bin/quintet-bus", "--bus", s->address, NULL};
    s->bus = start (s, argv);
    bus_options_t options = {.address = s->address, .name = "trainer", .numerics = ""};
    task_options_t tasks = {.family = "writing", .heldout = 0.2};
    s->tasks = task_set_open (&tasks, &err);
    s->store = s->tasks ? store_new (s->redis.address, "", &err) : NULL;
    s->trainer = s->store ? bus_new (&options, &err) : NULL;
    if (!s->trainer || bus_ready (s->trainer, PATIENCE_MS, &err) != 0 ||
        store_run_acquire (s->store, RUN, "bench", 600000, "", 0, &s->epoch, &err) != 0)
        fail ("the suite", err.text);
    s->tokenizer_text = fixture_tokenizer_text ();
    s->tokenizer = tokenizer_parse (s->tokenizer_text, strlen (s->tokenizer_text), &err);
    bus_item_t item = {.kind = BUS_PEER};
    bus_offer (s->trainer, s->tokenizer_text, strlen (s->tokenizer_text));
    for (int64_t until = clock_ms () + PATIENCE_MS; item.kind != BUS_OBJECT;)
        if (bus_next (s->trainer, &item, 100, &err) < 0 || clock_ms () > until)
            fail ("the tokenizer", err.text);
}

static void suite_close (suite_t *s)
{
    err_t err = {0};
    bus_destroy (&s->trainer);
    store_destroy (&s->store);
    task_set_destroy (&s->tasks);
    tokenizer_destroy (&s->tokenizer);
    free (s->tokenizer_text);
    stop (&s->bus, 1);
    redis_fixture_close (&s->redis);
    fs_remove (s->dir, &err);
}

/*  ---- what they spend ------------------------------------------------------------------------ */

typedef struct {
    double at_s, bus_s, redis_s, own_s; /* the clock, and CPU time */
    double bytes;                       /* in and out of Redis */
} spent_t;

static double cpu_s (pid_t pid)
{
    clockid_t id;
    struct timespec t = {0};
    if (clock_getcpuclockid (pid, &id) == 0)
        clock_gettime (id, &t);
    return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static double info (const char *text, const char *key)
{
    const char *at = strstr (text, key);
    return at ? strtod (at + strlen (key), NULL) : 0;
}

static spent_t spent (const suite_t *s)
{
    spent_t now = {.at_s = clock_s (),
                   .bus_s = cpu_s (s->bus),
                   .redis_s = cpu_s (s->redis.pid),
                   .own_s = cpu_s (getpid ())};
    redisContext *raw = redisConnectUnix (s->redis.socket);
    redisReply *reply = redisCommand (raw, "INFO stats");
    now.bytes =
        info (reply->str, "total_net_input_bytes:") + info (reply->str, "total_net_output_bytes:");
    freeReplyObject (reply);
    redisFree (raw);
    return now;
}

static void tell (const char *name, const char *what, double value, const char *unit, double limit)
{
    char whole[96];
    snprintf (whole, sizeof whole, "scale.%s.%s", name, what);
    bench_tell (whole, value, unit, limit);
}

static void tell_all (const suite_t *s, const char *name, bool light, const spent_t *from,
                      size_t groups, double limit)
{
    spent_t to = spent (s);
    double n = (double) groups, took = to.at_s - from->at_s;
    tell (name, "groups", 60 * n / took, "1/min", limit);
    tell (name, "bus.per_group", 1e6 * (to.bus_s - from->bus_s) / n, "us", NAN);
    tell (name, "bus.cores", (to.bus_s - from->bus_s) / took, "cores", NAN);
    tell (name, "bus.memory", bench_resident (s->bus), "MB", NAN);
    tell (name, "redis.per_group", 1e6 * (to.redis_s - from->redis_s) / n, "us", NAN);
    tell (name, "redis.cores", (to.redis_s - from->redis_s) / took, "cores", NAN);
    tell (name, "redis.memory", bench_resident (s->redis.pid), "MB", NAN);
    tell (name, "redis.bytes", (to.bytes - from->bytes) / n / 1024, "KiB/group", NAN);
    if (light)
        tell (name, "clients.cores", (to.own_s - from->own_s) / took, "cores", NAN);
}

/*  ---- the trainer's part --------------------------------------------------------------------- */

static void open_step (suite_t *s, size_t groups)
{
    static const char *const names[ROLES] = {"summary", "details"};
    err_t err = {0};
    store_bytes_t *bytes = calloc (groups, sizeof *bytes);
    buf_t *payload = calloc (groups, sizeof *payload);
    s->step++;
    for (size_t g = 0; g < groups; g++) {
        fixture_group_t f;
        fixture_group (&f, s->tokenizer_text);
        for (int r = 0; r < ROLES; r++)
            f.roles[r].name = names[r];
        f.group.run = RUN;
        f.group.step = s->step;
        f.group.group = (uint32_t) g;
        f.group.episodes = EPISODES;
        f.group.task =
            task_set_get (s->tasks, TASK_TRAIN, g % task_set_size (s->tasks, TASK_TRAIN));
        wire_group_pack (&f.group, &payload[g]);
        bytes[g] = (store_bytes_t){payload[g].data, payload[g].size};
    }
    if (store_step_open (s->store, RUN, s->epoch, 0, s->step, bytes, groups, &err) != 0)
        fail ("a step", err.text);
    for (size_t g = 0; g < groups; g++)
        buf_free (&payload[g]);
    free (payload);
    free (bytes);
}

/*  Whether all groups are committed; a dead one ends the benchmark. */
static bool step_done (suite_t *s, size_t groups)
{
    err_t err = {0};
    store_status_t status;
    if (store_step_status (s->store, RUN, 0, s->step, &status, &err) != 0)
        fail ("a step", err.text);
    if (status.dead)
        fail ("a step", "a group is dead; see what Redis has of it");
    return status.committed == groups;
}

static void close_step (suite_t *s)
{
    err_t err = {0};
    if (store_step_commit (s->store, RUN, s->epoch, 0, s->step, &err) != 0)
        fail ("a step", err.text);
}

/*  ---- processes ------------------------------------------------------------------------------ */

/*  A stand-in agent: one light client in a process of its own. */
static pid_t start_agent (const suite_t *s, size_t number)
{
    pid_t pid = bench_fork ();
    if (pid != 0)
        return pid;
    light_t light;
    char name[32];
    snprintf (name, sizeof name, "agent-%zu", number);
    light_open (&light, zmq_ctx_new (), s->address, name);
    light_serve (&light, &(light_work_t){"act", fixture_act, SLEEP_MS, PLACES});
    for (;;) {
        zmq_pollitem_t item = {.socket = light.requests, .events = ZMQ_POLLIN};
        zmq_poll (&item, 1, 1);
        light_turn (&light, clock_ms ());
    }
}

static void await_step (suite_t *s, size_t groups)
{
    for (int64_t until = clock_ms () + PATIENCE_MS; !step_done (s, groups); clock_sleep_ms (10))
        if (clock_ms () > until)
            fail ("a step", "it does not end");
    close_step (s);
}

static void bench_processes (size_t agents)
{
    suite_t s;
    char name[32];
    size_t n = 0;
    pid_t pids[PROCESSES_MAX + 3];
    suite_open (&s);
    char *reward[] = {"build/bin/quintet-reward", "--bus", s.address, NULL};
    pids[n++] = start (&s, reward);
    for (char e = '1'; e <= '2'; e++) {
        char own[] = {'e', '-', e, 0};
        char *environment[] = {"build/bin/quintet-environment",
                               "--bus",
                               s.address,
                               "--redis",
                               s.redis.address,
                               "--name",
                               own,
                               NULL};
        pids[n++] = start (&s, environment);
    }
    for (size_t i = 0; i < agents; i++)
        pids[n++] = start_agent (&s, i);
    double rate = 1e3 * PLACES / SLEEP_MS / ROLES * (double) agents; /* groups/s */
    size_t groups = (size_t) (SECONDS * rate);
    open_step (&s, 4 * agents); /* who comes late has come then */
    await_step (&s, 4 * agents);
    spent_t from = spent (&s);
    open_step (&s, groups);
    await_step (&s, groups);
    snprintf (name, sizeof name, "agents.%zu", agents);
    tell_all (&s, name, false, &from, groups, 60 * rate);
    stop (pids, n);
    suite_close (&s);
}

/*  ---- light clients -------------------------------------------------------------------------- */

typedef struct {
    store_claim_t claim;
    group_t *group; /* NULL: a free place */
    unsigned round; /* whose asks are under way */
    bool asked;
} player_t;

/*  An environment: what it has in hand, and nothing of what the real one does when something goes
 *  wrong. */
typedef struct {
    light_t light;
    store_t *store;
    int64_t claim_ms; /* when it looks for groups again */
    player_t players[PLAYERS];
} light_environment_t;

/*  A call's number says whose answer it is: round, player, ask. */
static void ask_all (light_environment_t *e, size_t at)
{
    player_t *p = &e->players[at];
    p->asked = true;
    p->round = group_round (p->group);
    for (size_t i = 0; i < group_asks (p->group); i++) {
        const group_ask_t *ask = group_ask (p->group, i);
        node_send (&e->light.node, e->light.requests,
                   &(envelope_t){.kind = ENVELOPE_REQUEST,
                                 .id = slice_of (ask->id),
                                 .service = slice_of (ask->service),
                                 .sequence = (uint64_t) p->round << 20 | at << 8 | i,
                                 .ticket = UINT64_MAX,
                                 .left_ms = PATIENCE_MS,
                                 .payload = {ask->payload.data, ask->payload.size}});
    }
}

static void player_leave (player_t *p)
{
    group_destroy (&p->group);
    buf_free (&p->claim.payload);
    *p = (player_t){0};
}

/*  Does what can be done now. */
static void player_advance (const suite_t *s, light_environment_t *e, size_t at)
{
    err_t err = {0};
    player_t *p = &e->players[at];
    unsigned turn;
    while (p->group)
        switch (group_state (p->group)) {
        case GROUP_READING:
            for (size_t r = 0; r < ROLES; r++)
                group_tokenizer (p->group, r, s->tokenizer);
            break;
        case GROUP_ASKING:
            if (p->asked && p->round == group_round (p->group))
                return;
            ask_all (e, at);
            return;
        case GROUP_STORING: {
            const buf_t *lines = group_turn (p->group, &turn);
            if (store_turn (e->store, &p->claim, turn, lines->data, lines->size, &err) != 0)
                fail ("a turn", err.text);
            group_stored (p->group);
            break;
        }
        case GROUP_DONE: {
            const buf_t *result = group_result (p->group);
            if (store_commit (e->store, &p->claim, result->data, result->size, &err) != 0)
                fail ("a result", err.text);
            player_leave (p);
            e->claim_ms = 0;
            break;
        }
        default:
            fail ("a group", group_error (p->group)->text);
        }
}

static void environment_take (const suite_t *s, light_environment_t *e)
{
    zmq_msg_t frame;
    envelope_t got;
    zmq_msg_init (&frame);
    while (light_take (e->light.requests, &frame, &got)) {
        size_t at = got.sequence >> 8 & 0xfff, ask = got.sequence & 0xff;
        player_t *p = at < PLAYERS ? &e->players[at] : NULL;
        err_t err = {0};
        if (got.kind != ENVELOPE_REPLY || !p || !p->group || got.sequence >> 20 != p->round)
            continue;
        if (got.code != 0 ||
            group_answer (p->group, ask, got.payload.data, got.payload.size, &err) != 0)
            fail ("an answer", got.code ? got.text.data : err.text);
        player_advance (s, e, at);
    }
    zmq_msg_close (&frame);
}

static void environment_turn (const suite_t *s, light_environment_t *e, int64_t now)
{
    err_t err = {0};
    light_beat (&e->light, now);
    environment_take (s, e);
    for (size_t at = 0; now >= e->claim_ms && at < PLAYERS; at++) {
        player_t *p = &e->players[at];
        if (p->group)
            continue;
        int rc = store_claim (e->store, e->light.node.name, PATIENCE_MS, &p->claim, &err);
        if (rc < 0)
            fail ("a claim", err.text);
        if (rc == 0) {
            e->claim_ms = now + 250;
            break;
        }
        p->group = group_new (p->claim.payload.data, p->claim.payload.size, &err);
        if (!p->group)
            fail ("a group", err.text);
        player_advance (s, e, at);
    }
}

typedef struct {
    void *context;
    light_t *workers;
    light_environment_t *environments;
    zmq_pollitem_t *polled;
    size_t workers_n, environments_n;
} crowd_t;

static void crowd_open (const suite_t *s, crowd_t *c, size_t agents, int64_t sleep_ms)
{
    size_t scorers = agents / 100 ? agents / 100 : 1;
    err_t err = {0};
    char name[32];
    *c = (crowd_t){.context = zmq_ctx_new (),
                   .workers_n = agents + scorers,
                   .environments_n = agents / 10 ? agents / 10 : 1};
    c->workers = calloc (c->workers_n, sizeof *c->workers);
    c->environments = calloc (c->environments_n, sizeof *c->environments);
    c->polled = calloc (c->workers_n + c->environments_n, sizeof *c->polled);
    zmq_ctx_set (c->context, ZMQ_MAX_SOCKETS, 4 * AGENTS_MAX);
    for (size_t i = 0; i < c->workers_n; i++) {
        snprintf (name, sizeof name, "%s-%zu", i < agents ? "agent" : "reward", i);
        light_open (&c->workers[i], c->context, s->address, name);
        light_serve (&c->workers[i], i < agents
                                         ? &(light_work_t){"act", fixture_act, sleep_ms, 1}
                                         : &(light_work_t){"score", fixture_score, 0, LIGHT_HELD});
        c->polled[i] = (zmq_pollitem_t){.socket = c->workers[i].requests, .events = ZMQ_POLLIN};
    }
    for (size_t i = 0; i < c->environments_n; i++) {
        light_environment_t *e = &c->environments[i];
        snprintf (name, sizeof name, "environment-%zu", i);
        light_open (&e->light, c->context, s->address, name);
        e->store = store_new (s->redis.address, "", &err);
        if (!e->store)
            fail (name, err.text);
        c->polled[c->workers_n + i] =
            (zmq_pollitem_t){.socket = e->light.requests, .events = ZMQ_POLLIN};
    }
}

static void crowd_close (crowd_t *c)
{
    for (size_t i = 0; i < c->workers_n; i++)
        light_close (&c->workers[i]);
    for (size_t i = 0; i < c->environments_n; i++) {
        light_close (&c->environments[i].light);
        store_destroy (&c->environments[i].store);
    }
    zmq_ctx_term (c->context);
    free (c->workers);
    free (c->environments);
    free (c->polled);
}

/*  Everybody's turn, until the step is done. */
static void crowd_play (suite_t *s, crowd_t *c, size_t groups)
{
    open_step (s, groups);
    int64_t until = clock_ms () + PATIENCE_MS, look = 0;
    for (;;) {
        zmq_poll (c->polled, (int) (c->workers_n + c->environments_n), 1);
        int64_t now = clock_ms ();
        for (size_t i = 0; i < c->workers_n; i++)
            light_turn (&c->workers[i], now);
        for (size_t i = 0; i < c->environments_n; i++)
            environment_turn (s, &c->environments[i], now);
        if (now < look)
            continue;
        look = now + 20;
        if (step_done (s, groups))
            break;
        if (now > until)
            fail ("a step", "it does not end");
    }
    close_step (s);
}

static void bench_light (size_t agents, int64_t sleep_ms, const char *name)
{
    suite_t s;
    crowd_t c;
    suite_open (&s);
    crowd_open (&s, &c, agents, sleep_ms);
    double rate = 1e3 / (double) sleep_ms / ROLES * (double) agents; /* groups/s */
    size_t groups = (size_t) (SECONDS * rate);
    groups = groups < 6 * agents ? groups : 6 * agents;
    crowd_play (&s, &c, agents); /* who comes late has come then */
    spent_t from = spent (&s);
    crowd_play (&s, &c, groups);
    tell_all (&s, name, true, &from, groups, 60 * rate);
    crowd_close (&c);
    suite_close (&s);
}

int main (void)
{
    struct rlimit files;
    getrlimit (RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit (RLIMIT_NOFILE, &files);
    for (size_t agents = 1; agents <= PROCESSES_MAX; agents *= 2)
        bench_processes (agents);
    bench_light (10, 1000, "light.10");
    bench_light (100, 1000, "light.100");
    bench_light (1000, 1000, "light.1000");
    bench_light (100, 50, "light.100.quick");
    bench_light (1000, 50, "light.1000.quick");
    return 0;
}
