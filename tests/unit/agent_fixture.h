/*  agent_fixture - a whole agent at a real bus, turned by hand, and who asks it.
 *
 *      run (tests, setup, teardown): *state is a fixture_t
 *      call (f, "r/a", &request, PATIENCE_MS);
 *      const wire_act_reply_t *reply = answer (f);
 */
#ifndef QUINTET_TEST_AGENT_FIXTURE_H
#define QUINTET_TEST_AGENT_FIXTURE_H

#include "../../services/agent/agent.h"

#include <unistd.h>

#include "../../services/bus/actors.h"
#include "base/clock.h"
#include "base/fs.h"
#include "model_fixture.h"
#include "svc/args.h"
#include "wire/wire.h"

#define PATIENCE_MS 60000

/*  ---- the run time, as far as an agent sees it ----------------------------------------------- */

struct svc_run {
    void *state;
    bus_t *bus;
    args_t *args;
    size_t told;
};

void *svc_state (const svc_run_t *run)
{
    return run->state;
}

bus_t *svc_bus (const svc_run_t *run)
{
    return run->bus;
}

pool_t *svc_pool (svc_run_t *run)
{
    (void) run;
    return NULL;
}

const args_t *svc_args (const svc_run_t *run)
{
    return run->args;
}

void svc_tell (svc_run_t *run)
{
    run->told++;
}

/*  ---- fixture -------------------------------------------------------------------------------- */

typedef struct {
    char dir[64], address[96];
    actors_t *actors;
    bus_t *trainer;
    svc_run_t run; /* the agent */
    arena_t *arena;
    const char *numerics; /* of the trainer; NULL: like ours */
    bool retired;         /* what is announced */
} fixture_t;

static inline bus_t *join (const fixture_t *f, const char *name)
{
    err_t err = {0};
    bus_options_t options = {.address = f->address, .name = name, .numerics = ""};
    bus_t *bus = bus_new (&options, &err);
    assert_non_null (bus);
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), 0);
    return bus;
}

/*  engines: servers that it may ask. */
static inline int setup_with (void **state, char *engines)
{
    static const args_option_t options[] = {{"--rows", "N", "4", ""},
                                            {"--kept", "N", "2", ""},
                                            {"--past", "MB", "16", ""},
                                            {"--engine", "SERVERS", "", ""},
                                            {0}};
    static const args_spec_t spec = {.program = "agent", .about = "", .options = options};
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    assert_non_null (f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-agent-XXXXXX");
    assert_non_null (mkdtemp (f->dir));
    snprintf (f->address, sizeof f->address, "ipc://%s/bus", f->dir);
    f->actors = actors_new (f->address, NULL, &err);
    assert_non_null (f->actors);
    f->trainer = join (f, "trainer");
    f->run.bus = join (f, "agent-1");
    char *argv[] = {(char *) (uintptr_t) "agent", (char *) (uintptr_t) "--engine", engines};
    f->run.args = args_parse (&spec, 3, argv, &err);
    f->arena = arena_new (16 << 20);
    assert_true (f->run.args && f->arena);
    assert_int_equal (agent_open (&f->run, &f->run.state, &err), 0);
    assert_int_equal (bus_serve (f->run.bus, "act", 8, &err), 0);
    *state = f;
    return 0;
}

static inline int teardown (void **state)
{
    fixture_t *f = *state;
    agent_close (&f->run, &f->run.state);
    bus_destroy (&f->run.bus);
    bus_destroy (&f->trainer);
    actors_destroy (&f->actors);
    args_destroy (&f->run.args);
    arena_destroy (&f->arena);
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

/*  One turn of the agent's loop, as lib/svc has it. */
static inline void turn (fixture_t *f)
{
    bus_item_t item;
    int rc = bus_next (f->run.bus, &item, 2, NULL);
    assert_true (rc >= 0);
    if (rc == 1 && item.kind == BUS_REQUEST)
        agent_on_act (&f->run, &item);
    else if (rc == 1)
        agent_on_item (&f->run, &item);
    agent_work (&f->run);
}

/*  Turns the agent until the trainer gets an item of the kind. */
static inline bus_item_t await (fixture_t *f, bus_kind_t kind)
{
    bus_item_t item;
    for (int64_t deadline = clock_ms () + PATIENCE_MS; clock_ms () < deadline;) {
        turn (f);
        if (bus_next (f->trainer, &item, 0, NULL) == 1 && item.kind == kind)
            return item;
    }
    fail_msg ("no item of kind %d within %d ms", (int) kind, PATIENCE_MS);
    return item;
}

static inline void call (fixture_t *f, const char *id, const wire_act_request_t *request,
                         int64_t ms)
{
    buf_t bytes = {0};
    wire_act_request_pack (request, &bytes);
    assert_false (buf_failed (&bytes));
    bus_call (f->trainer, "act", id, bytes.data, bytes.size, ms);
    buf_free (&bytes);
}

/*  The answer, in the fixture's arena. */
static inline const wire_act_reply_t *answer (fixture_t *f)
{
    err_t err = {0};
    bus_item_t item = await (f, BUS_REPLY);
    if (item.code != ERR_NONE)
        fail_msg ("refused: %s", item.text);
    const wire_act_reply_t *reply = wire_act_reply_unpack (f->arena, item.payload, item.size, &err);
    if (!reply)
        fail_msg ("%s", err.text);
    return reply;
}

#endif
