/*  environment_run - the run time, as far as the environment sees it, on a real Redis with a run
 *  "r" that the test owns: for tests of the service, whatever their bus is.
 *
 *      run_open (bus);                     before each case; then environment_open
 *      run_close ();                       after it
 */
#ifndef QUINTET_TESTS_ENVIRONMENT_RUN_H
#define QUINTET_TESTS_ENVIRONMENT_RUN_H

#include "../../services/environment/environment.h"
#include "environment_fixture.h"
#include "redis_fixture.h"
#include "store/store.h"
#include "svc/args.h"

struct svc_run {
    void *state;
    bus_t *bus;
    args_t *args;
    const char *redis;
};

void *svc_state (const svc_run_t *run)
{
    return run->state;
}

bus_t *svc_bus (const svc_run_t *run)
{
    return run->bus;
}

const char *svc_name (const svc_run_t *run)
{
    (void) run;
    return "environment-1";
}

const char *svc_redis (const svc_run_t *run)
{
    return run->redis;
}

const char *svc_keys_dir (const svc_run_t *run)
{
    (void) run;
    return "";
}

const args_t *svc_args (const svc_run_t *run)
{
    return run->args;
}

static redis_fixture_t redis;
static char *tokenizer_text;
static store_t *store; /* the trainer's */
static uint64_t epoch;
static svc_run_t run;
static err_t err;

#define fine(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg ("%s: %s: %s", #call, err_name (err.code), err.text);                         \
    } while (0)

static inline void run_open_all (void)
{
    redis_fixture_open (&redis);
    tokenizer_text = fixture_tokenizer_text ();
}

static inline void run_close_all (void)
{
    redis_fixture_close (&redis);
    free (tokenizer_text);
}

static inline void run_open (bus_t *bus)
{
    static const args_option_t options[] = {{"--groups", "N", "32", ""},
                                            {"--act-timeout", "S", "90", ""},
                                            {"--program", "P", "", ""},
                                            {"--workers", "N", "2", ""},
                                            {0}};
    static const args_spec_t spec = {.program = "test", .about = "", .options = options};
    char *argv[] = {"test"};
    run =
        (svc_run_t){.bus = bus, .args = args_parse (&spec, 1, argv, &err), .redis = redis.address};
    assert_non_null (run.args);
    store = store_new (redis.address, "", &err);
    if (!store)
        fail_msg ("%s", err.text);
    fine (store_run_acquire (store, "r", "trainer", 60000, "", 0, &epoch, &err));
}

static inline void run_close (void)
{
    environment_close (&run, &run.state);
    store_run_release (store, "r", epoch, &err);
    store_destroy (&store);
    args_destroy (&run.args);
}

#endif
