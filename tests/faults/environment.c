/*  Real processes of the bus and the environment on a private Redis, killed, stopped and doubled;
 *  this program is trainer, agent and reward. Whatever happens, every group is committed once and
 *  the results' bytes are those of an undisturbed run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../unit/environment_fixture.h"
#include "../unit/redis_fixture.h"
#include "bus/bus.h"
#include "store/store.h"

#define STEPS    3
#define GROUPS   6
#define PATIENCE 40000 /* ms for a step, a lease that has to end included */

static redis_fixture_t redis;
static char bus_address[96], programs[FS_PATH_MAX];
static char *tokenizer_text;
static bus_t *bus;
static store_t *store;
static uint64_t epoch;
static pid_t bus_pid, environments[2];
static err_t err;

#define fine(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg ("%s: %s: %s", #call, err_name (err.code), err.text);                         \
    } while (0)

/*  ---- processes ------------------------------------------------------------------------------ */

/*  Starts a program of ours that dies with this one; its log lies beside Redis's. */
static pid_t start (const char *program, const char *name)
{
    char path[FS_PATH_MAX + 64], log[128];
    snprintf (path, sizeof path, "%s/%s", programs, program);
    snprintf (log, sizeof log, "%s/%s.log", redis.folder, name);
    pid_t parent = getpid (), pid = fork ();
    assert_true (pid >= 0);
    if (pid > 0)
        return pid;
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    int fd = open (log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (getppid () != parent || fd < 0 || dup2 (fd, 2) < 0)
        _exit (127);
    if (strcmp (program, "quintet-bus") == 0)
        execl (path, program, "--bus", bus_address, "--name", name, (char *) NULL);
    else
        execl (path, program, "--bus", bus_address, "--redis", redis.address, "--name", name,
               (char *) NULL);
    _exit (127);
}

static void kill_now (pid_t *pid)
{
    if (*pid) {
        kill (*pid, SIGKILL);
        waitpid (*pid, NULL, 0);
    }
    *pid = 0;
}

static int begin (void **state)
{
    (void) state;
    err = (err_t){0};
    redis_fixture_open (&redis);
    snprintf (bus_address, sizeof bus_address, "ipc://%s/bus", redis.folder);
    bus_pid = start ("quintet-bus", "bus");
    bus_options_t options = {.address = bus_address, .name = "peer", .numerics = ""};
    bus = bus_new (&options, &err);
    store = bus ? store_new (redis.address, "", &err) : NULL;
    if (!store)
        fail_msg ("%s", err.text);
    fine (bus_ready (bus, 5000, &err));
    fine (store_run_acquire (store, "r", "trainer", 600000, "", 0, &epoch, &err));
    fine (bus_serve (bus, "act", 64, &err));
    fine (bus_serve (bus, "score", 64, &err));
    bus_offer (bus, tokenizer_text, strlen (tokenizer_text));
    environments[0] = start ("quintet-environment", "environment-1");
    return 0;
}

static int end (void **state)
{
    (void) state;
    kill_now (&environments[0]);
    kill_now (&environments[1]);
    bus_destroy (&bus);
    kill_now (&bus_pid);
    store_destroy (&store);
    redis_fixture_close (&redis);
    return 0;
}

/*  ---- the trainer, the agent and the reward -------------------------------------------------- */

static void open_step (uint64_t step)
{
    fixture_group_t f;
    store_bytes_t list[GROUPS];
    buf_t bytes[GROUPS] = {{0}};
    fixture_group (&f, tokenizer_text);
    f.group.max_turns = 2;
    f.group.step = step;
    for (uint64_t g = 0; g < GROUPS; g++) {
        f.group.group = g;
        wire_group_pack (&f.group, &bytes[g]);
        list[g] = (store_bytes_t){bytes[g].data, bytes[g].size};
    }
    fine (store_step_open (store, "r", epoch, 0, step, list, GROUPS, &err));
    for (size_t g = 0; g < GROUPS; g++)
        buf_free (&bytes[g]);
}

static void serve (const bus_item_t *item)
{
    buf_t bytes = {0};
    int rc = (strcmp (item->name, "act") == 0 ? fixture_act : fixture_score) (item->payload,
                                                                              item->size, &bytes);
    assert_int_equal (rc, 0);
    bus_reply (bus, item->id, bytes.data, bytes.size);
    buf_free (&bytes);
}

static int add_result (void *context, uint64_t group, const void *data, size_t size,
                       const char *reason)
{
    if (!data)
        fail_msg ("group %llu is dead: %s", (unsigned long long) group, reason);
    buf_append (context, data, size);
    return 0;
}

/*  Something that happens in the middle of a step, after so many requests of it were answered. */
typedef void (*happening_t) (uint64_t step, size_t answered);

/*  Plays all steps; the hash of all results. */
static hash_t play (happening_t happen)
{
    buf_t results = {0};
    for (uint64_t step = 1; step <= STEPS; step++) {
        int64_t deadline = clock_ms () + PATIENCE;
        store_status_t status = {0};
        size_t answered = 0;
        open_step (step);
        while (status.committed < GROUPS) {
            bus_item_t item;
            int rc = bus_next (bus, &item, 50, &err);
            fine (rc);
            if (rc == 1 && item.kind == BUS_REQUEST) {
                serve (&item);
                happen (step, ++answered);
            } else if (rc == 1 && item.kind == BUS_PEER) {
                bus_offer (bus, tokenizer_text, strlen (tokenizer_text));
            } else if (rc == 0) {
                fine (store_step_status (store, "r", 0, step, &status, &err));
            }
            if (clock_left_ms (deadline) == 0)
                fail_msg ("step %llu: %zu of %d groups committed after %d ms, %zu leased",
                          (unsigned long long) step, status.committed, GROUPS, PATIENCE,
                          status.leased);
        }
        fine (store_step_groups (store, "r", 0, step, add_result, &results, &err));
        fine (store_step_commit (store, "r", epoch, 0, step, &err));
    }
    hash_t hash = hash_of (results.data, results.size);
    buf_free (&results);
    return hash;
}

static hash_t undisturbed;

static void expect_same (happening_t happen)
{
    hash_t hash = play (happen);
    char got[HASH_HEX_SIZE], expected[HASH_HEX_SIZE];
    if (!hash_equal (&hash, &undisturbed))
        fail_msg ("results %.16s, undisturbed %.16s", hash_hex (&hash, got),
                  hash_hex (&undisturbed, expected));
}

static void nothing (uint64_t step, size_t answered)
{
    (void) step, (void) answered;
}

/*  First of all tests: what the others are compared with. */
static void an_undisturbed_run (void **state)
{
    (void) state;
    undisturbed = play (nothing);
}

static void two_environments_give_the_same (void **state)
{
    (void) state;
    environments[1] = start ("quintet-environment", "environment-2");
    expect_same (nothing);
}

static void kill_environment (uint64_t step, size_t answered)
{
    if (answered != 3 + step)
        return;
    kill_now (&environments[0]);
    environments[0] = start ("quintet-environment", "environment-1");
}

static void an_environment_killed_in_every_step (void **state)
{
    (void) state;
    expect_same (kill_environment);
}

static void stop_environment (uint64_t step, size_t answered)
{
    if (step == 2 && answered == 5) {
        environments[1] = start ("quintet-environment", "environment-2");
        kill (environments[0], SIGSTOP); /* until its leases have ended */
    }
    if (step == 3 && answered == 1)
        kill (environments[0], SIGCONT);
}

static void an_environment_stopped_longer_than_its_lease (void **state)
{
    (void) state;
    expect_same (stop_environment);
}

static void kill_redis (uint64_t step, size_t answered)
{
    if (answered != 4 + 2 * step)
        return;
    redis_fixture_kill (&redis);
    redis_fixture_start (&redis);
}

static void redis_killed_in_every_step (void **state)
{
    (void) state;
    expect_same (kill_redis);
}

static void stop_redis (uint64_t step, size_t answered)
{
    if (step != 2 || answered != 7)
        return;
    redis_fixture_signal (&redis, SIGSTOP);
    clock_sleep_ms (2500); /* longer than an environment's call may take */
    redis_fixture_signal (&redis, SIGCONT);
}

static void redis_stopped_for_a_while (void **state)
{
    (void) state;
    expect_same (stop_redis);
}

static void flush_redis (uint64_t step, size_t answered)
{
    if (step != 2 || answered != 9)
        return;
    char data[128];
    snprintf (data, sizeof data, "%s/appendonlydir", redis.folder);
    redis_fixture_kill (&redis);
    fine (fs_remove (data, &err));
    redis_fixture_start (&redis);
    fine (store_run_acquire (store, "r", "trainer", 600000, "", 0, &epoch, &err));
    open_step (step);
}

static void redis_losing_everything (void **state)
{
    (void) state;
    expect_same (flush_redis);
}

static void kill_bus (uint64_t step, size_t answered)
{
    if (answered != 2 + 3 * step)
        return;
    kill_now (&bus_pid);
    bus_pid = start ("quintet-bus", "bus");
}

static void the_bus_killed_in_every_step (void **state)
{
    (void) state;
    expect_same (kill_bus);
}

#define each(test) cmocka_unit_test_setup_teardown (test, begin, end)

int main (int argc, char **argv)
{
    snprintf (programs, sizeof programs, "%s", argc > 1 ? argv[1] : "build/bin");
    tokenizer_text = fixture_tokenizer_text ();
    const struct CMUnitTest tests[] = {
        each (an_undisturbed_run),
        each (two_environments_give_the_same),
        each (an_environment_killed_in_every_step),
        each (an_environment_stopped_longer_than_its_lease),
        each (redis_killed_in_every_step),
        each (redis_stopped_for_a_while),
        each (redis_losing_everything),
        each (the_bus_killed_in_every_step),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    free (tokenizer_text);
    return failed;
}
