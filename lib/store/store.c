/*  store - see store.h
 *
 *  Translates: arguments into text, answers into structs. What the calls mean, and why each may be
 *  made twice, is written in functions.lua. The one call whose repetition is not the same call by
 *  itself is the claim, since "any group" may be another one the next time: it carries a token
 *  that stays until an answer has come, and Redis gives the group of that token again.
 */
#include "store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "link.h"

/*  Of one call, while nobody says otherwise. The environment sets less: its loop stands still
 *  meanwhile. */
#define STORE_DEADLINE_MS 5000
#define STORE_LOG_LENGTH  "1000" /* events that a run's log keeps */
#define STORE_ARGS_MAX    8
#define NUMBER_MAX        24 /* "18446744073709551615" and its 0 */
#define ID_MAX            64 /* of a step or a group */
#define FENCE_MAX         48

struct store {
    link_t *link;
    int64_t deadline_ms;
    rng_t tokens; /* names for claims, so that a repeated one is recognised */
    uint64_t token;
};

/*  The arguments of one call, with room for its numbers. */
typedef struct {
    store_bytes_t arg[STORE_ARGS_MAX];
    size_t n;
    char numbers[STORE_ARGS_MAX][NUMBER_MAX];
    char id[ID_MAX];
    char fence[FENCE_MAX];
} call_args_t;

static void store_add_bytes (call_args_t *args, const void *data, size_t size)
{
    /* A caller's mistake, not the user's: every call below has a fixed number of arguments. */
    assert (args->n < STORE_ARGS_MAX);
    args->arg[args->n++] = (store_bytes_t){data, size};
}

static void store_add_text (call_args_t *args, const char *text)
{
    store_add_bytes (args, text, strlen (text));
}

/*  Numbers travel as decimal text, exactly: Lua's own numbers would round large ones. */
static void store_add_number (call_args_t *args, uint64_t number)
{
    char *text = args->numbers[args->n];
    snprintf (text, NUMBER_MAX, "%" PRIu64, number);
    store_add_text (args, text);
}

/*  Ids sort as groups are played: by step, phase, group. */
static void store_add_step (call_args_t *args, unsigned phase, uint64_t step)
{
    snprintf (args->id, ID_MAX, "%012" PRIu64 "/%u", step, phase);
    store_add_text (args, args->id);
}

/*  Run, group and fence go with every write of an environment: by the fence Redis knows whether
 *  the group is still the writer's. */
static void store_add_claim (call_args_t *args, const store_claim_t *claim)
{
    snprintf (args->id, ID_MAX, "%012" PRIu64 "/%u/%06" PRIu64, claim->step, claim->phase,
              claim->group);
    snprintf (args->fence, FENCE_MAX, "%" PRIu64 ":%" PRIu64, claim->fence_epoch,
              claim->fence_counter);
    store_add_text (args, claim->run);
    store_add_text (args, args->id);
    store_add_text (args, args->fence);
}

/*  Keys are made of the name: it must not reach into another run's. */
static int store_add_run (call_args_t *args, const char *run, err_t *err)
{
    size_t n = strlen (run);
    bool fine = n > 0 && n <= STORE_RUN_MAX;
    for (size_t i = 0; fine && i < n; i++)
        fine = strchr ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
                       run[i]) != NULL;
    if (!fine)
        return err_set (err, ERR_INPUT,
                        "run name '%.80s': use 1 to %d letters, digits, '.', '_' and '-'", run,
                        STORE_RUN_MAX);
    store_add_text (args, run);
    return 0;
}

static int store_call (store_t *store, const char *function, const call_args_t *args, size_t parts,
                       link_reply_t *reply, err_t *err)
{
    if (link_call (store->link, store->deadline_ms, function, args->arg, args->n, reply, err) != 0)
        return -1;
    /* Too few parts can only come from functions of another build; the rest of the code need not
       check. */
    if (reply->n >= parts)
        return 0;
    link_reply_free (reply);
    return err_set (err, ERR_INTERNAL, "%s: Redis answered less than it should", function);
}

/*  A call of which only success counts. What Redis answers beside that is not looked at. */
static int store_call_plain (store_t *store, const char *function, const call_args_t *args,
                             err_t *err)
{
    link_reply_t reply;
    int rc = store_call (store, function, args, 0, &reply, err);
    if (rc == 0)
        link_reply_free (&reply);
    return rc;
}

static uint64_t store_number_of (const store_bytes_t *part)
{
    return strtoull (part->data, NULL, 10);
}

/*  A call that answers one number. */
static int store_call_number (store_t *store, const char *function, const call_args_t *args,
                              uint64_t *number, err_t *err)
{
    link_reply_t reply;
    if (store_call (store, function, args, 1, &reply, err) != 0)
        return -1;
    *number = store_number_of (&reply.parts[0]);
    link_reply_free (&reply);
    return 0;
}

store_t *store_new (const char *address, const char *keys, err_t *err)
{
    store_t *store = calloc (1, sizeof *store);
    if (!store) {
        err_set (err, ERR_LIMIT, "no memory");
        return NULL;
    }
    store->deadline_ms = STORE_DEADLINE_MS;
    /* Unlike any other of this holder's: the address of a block that is alive, and the time. */
    uint64_t unique[] = {(uint64_t) (uintptr_t) store, (uint64_t) clock_us ()};
    store->tokens.key = rng_key (unique, 2);
    store->token = rng_next (&store->tokens);
    store->link = link_new (address, keys, err);
    if (!store->link || link_load (store->link, STORE_DEADLINE_MS, err) != 0)
        store_destroy (&store);
    return store;
}

void store_destroy (store_t **store)
{
    if (!*store)
        return;
    link_destroy (&(*store)->link);
    free (*store);
    *store = NULL;
}

void store_deadline (store_t *store, int64_t ms)
{
    store->deadline_ms = ms;
}

int store_boot (store_t *store, char boot[41], err_t *err)
{
    call_args_t args = {0};
    link_reply_t reply;
    if (store_call (store, "boot", &args, 1, &reply, err) != 0)
        return -1;
    snprintf (boot, 41, "%s", (const char *) reply.parts[0].data);
    link_reply_free (&reply);
    return 0;
}

/*  ---- the trainer's side --------------------------------------------------------------------- */

/*  The epoch that comes back is the holder's proof for everything below. A repeated call by the
 *  same holder gets a greater one, which makes the earlier one stale: two processes of one
 *  holder cannot both go on. */
int store_run_acquire (store_t *store, const char *run, const char *holder, int64_t lease_ms,
                       const void *record, size_t size, uint64_t *epoch, err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_text (&args, holder);
    store_add_number (&args, (uint64_t) lease_ms);
    store_add_bytes (&args, record, size);
    return store_call_number (store, "acquire", &args, epoch, err);
}

int store_run_renew (store_t *store, const char *run, uint64_t epoch, int64_t lease_ms, err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_number (&args, epoch);
    store_add_number (&args, (uint64_t) lease_ms);
    return store_call_plain (store, "renew_run", &args, err);
}

/*  Deletes everything that the run has in Redis. Done by whom it does not belong to any more, it
 *  is refused; done twice, it is a success. */
int store_run_release (store_t *store, const char *run, uint64_t epoch, err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_number (&args, epoch);
    return store_call_plain (store, "release", &args, err);
}

/*  All groups of a step in one call: a step is there as a whole or not at all. Its length is not
 *  bounded by STORE_ARGS_MAX, so its arguments are put together here. */
int store_step_open (store_t *store, const char *run, uint64_t epoch, unsigned phase, uint64_t step,
                     const store_bytes_t *groups, size_t n, err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_number (&args, epoch);
    store_add_step (&args, phase, step);
    store_bytes_t *all = calloc (args.n + n, sizeof *all);
    if (!all)
        return err_set (err, ERR_LIMIT, "no memory for a step of %zu groups", n);
    memcpy (all, args.arg, args.n * sizeof *all);
    if (n)
        memcpy (all + args.n, groups, n * sizeof *all);
    link_reply_t reply;
    int rc = link_call (store->link, store->deadline_ms, "open", all, args.n + n, &reply, err);
    if (rc == 0)
        link_reply_free (&reply);
    free (all);
    return rc;
}

/*  Pending ones are what is left: Redis counts only what changes. */
static int store_step_size (store_t *store, const char *run, unsigned phase, uint64_t step,
                            store_status_t *status, size_t *n, err_t *err)
{
    call_args_t args = {0};
    link_reply_t reply;
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_step (&args, phase, step);
    if (store_call (store, "status", &args, 4, &reply, err) != 0)
        return -1;
    *n = store_number_of (&reply.parts[0]);
    *status = (store_status_t){.leased = store_number_of (&reply.parts[1]),
                               .committed = store_number_of (&reply.parts[2]),
                               .dead = store_number_of (&reply.parts[3])};
    status->pending = *n - status->leased - status->committed - status->dead;
    link_reply_free (&reply);
    return 0;
}

int store_step_status (store_t *store, const char *run, unsigned phase, uint64_t step,
                       store_status_t *status, err_t *err)
{
    size_t n;
    return store_step_size (store, run, phase, step, status, &n, err);
}

int store_step_groups (store_t *store, const char *run, unsigned phase, uint64_t step,
                       store_each_fn each, void *context, err_t *err)
{
    store_status_t status;
    size_t n;
    if (store_step_size (store, run, phase, step, &status, &n, err) != 0)
        return -1;
    int stop = 0;
    /* One call for each group, in the order of their ids: a result may be large, and all of them
       in one answer would stand in memory several times. */
    for (uint64_t g = 0; g < n && !stop; g++) {
        call_args_t args = {0};
        link_reply_t reply;
        store_add_text (&args, run);
        store_add_step (&args, phase, step);
        store_add_number (&args, g);
        if (store_call (store, "result", &args, 2, &reply, err) != 0)
            return -1;
        const char *state = reply.parts[0].data;
        int rc = 0;
        if (strcmp (state, "committed") == 0)
            stop = each (context, g, reply.parts[1].data, reply.parts[1].size, NULL);
        else if (strcmp (state, "dead") == 0)
            stop = each (context, g, NULL, 0, reply.parts[1].data);
        else /* left out, it would be missing from what is made of the step */
            rc = err_set (err, ERR_BUSY, "group %" PRIu64 " of step %" PRIu64 " is still %s", g,
                          step, state);
        link_reply_free (&reply);
        if (rc != 0)
            return -1;
    }
    return 0;
}

/*  Of the steps that were committed the last STORE_KEPT stay, for people who look; older ones
 *  go. */
int store_step_commit (store_t *store, const char *run, uint64_t epoch, unsigned phase,
                       uint64_t step, err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_number (&args, epoch);
    store_add_step (&args, phase, step);
    store_add_number (&args, STORE_KEPT);
    return store_call_plain (store, "close", &args, err);
}

/*  For a trainer that goes on from a checkpoint: later steps were played under weights that it
 *  does not have. */
int store_step_drop_after (store_t *store, const char *run, uint64_t epoch, uint64_t step,
                           err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_number (&args, epoch);
    store_add_number (&args, step);
    return store_call_plain (store, "drop_after", &args, err);
}

/*  ---- the environment's side ----------------------------------------------------------------- */

/*  Parts: run, group id, fence, payload. */
static int store_take_claim (const link_reply_t *reply, store_claim_t *claim, err_t *err)
{
    *claim = (store_claim_t){0};
    snprintf (claim->run, sizeof claim->run, "%s", (const char *) reply->parts[0].data);
    /* The ids that store_add_claim writes, read back. */
    if (sscanf (reply->parts[1].data, "%" SCNu64 "/%u/%" SCNu64, &claim->step, &claim->phase,
                &claim->group) != 3 ||
        sscanf (reply->parts[2].data, "%" SCNu64 ":%" SCNu64, &claim->fence_epoch,
                &claim->fence_counter) != 2)
        return err_set (err, ERR_INTERNAL, "Redis gave a group with the id '%s' and the fence '%s'",
                        (const char *) reply->parts[1].data, (const char *) reply->parts[2].data);
    buf_append (&claim->payload, reply->parts[3].data, reply->parts[3].size);
    if (!buf_failed (&claim->payload))
        return 1;
    buf_free (&claim->payload);
    return err_set (err, ERR_LIMIT, "group %s of run '%s' is too large: %zu bytes",
                    (const char *) reply->parts[1].data, claim->run, reply->parts[3].size);
}

/*  1: a group; 0: nobody has any for us. A claim is a lease: it ends by itself unless it is
 *  renewed, so a group is never lost with its environment. */
int store_claim (store_t *store, const char *holder, int64_t lease_ms, store_claim_t *claim,
                 err_t *err)
{
    call_args_t args = {0};
    link_reply_t reply;
    store_add_text (&args, holder);
    store_add_number (&args, (uint64_t) lease_ms);
    store_add_number (&args, store->token);
    if (store_call (store, "claim", &args, 0, &reply, err) != 0)
        return -1; /* with the same token next time: this claim may have been carried out */
    store->token = rng_next (&store->tokens);
    int rc = reply.n >= 4 ? store_take_claim (&reply, claim, err) : 0;
    link_reply_free (&reply);
    return rc;
}

int store_renew (store_t *store, const store_claim_t *claim, int64_t lease_ms, err_t *err)
{
    call_args_t args = {0};
    store_add_claim (&args, claim);
    store_add_number (&args, (uint64_t) lease_ms);
    return store_call_plain (store, "renew", &args, err);
}

/*  What is written is for people and for whoever looks at a run under way; a group that is
 *  claimed again is played from its first turn. */
int store_turn (store_t *store, const store_claim_t *claim, unsigned turn, const void *data,
                size_t size, err_t *err)
{
    call_args_t args = {0};
    store_add_claim (&args, claim);
    store_add_number (&args, turn);
    store_add_bytes (&args, data, size);
    return store_call_plain (store, "turn", &args, err);
}

/*  The one write that counts. Repeated, it is a success; under a fence that is not the group's
 *  any more it is refused, however right the result is. */
int store_commit (store_t *store, const store_claim_t *claim, const void *data, size_t size,
                  err_t *err)
{
    call_args_t args = {0};
    store_add_claim (&args, claim);
    store_add_bytes (&args, data, size);
    return store_call_plain (store, "commit", &args, err);
}

/*  For groups that nobody can play: they count as finished, with a reason. */
int store_dead (store_t *store, const store_claim_t *claim, const char *reason, err_t *err)
{
    call_args_t args = {0};
    store_add_claim (&args, claim);
    store_add_text (&args, reason);
    return store_call_plain (store, "dead", &args, err);
}

/*  Back to those that wait, for reasons that somebody else may not have. */
int store_giveup (store_t *store, const store_claim_t *claim, const char *reason, uint64_t *tries,
                  err_t *err)
{
    call_args_t args = {0};
    store_add_claim (&args, claim);
    store_add_text (&args, reason);
    return store_call_number (store, "give_up", &args, tries, err);
}

/*  A process that starts under a name knows that no other has it: what is leased to that name
 *  was its predecessor's. */
int store_orphans (store_t *store, const char *holder, uint64_t *n, err_t *err)
{
    call_args_t args = {0};
    store_add_text (&args, holder);
    return store_call_number (store, "orphans", &args, n, err);
}

/*  ---- looking -------------------------------------------------------------------------------- */

int store_log (store_t *store, const char *run, const char *event, const char *text, err_t *err)
{
    call_args_t args = {0};
    if (store_add_run (&args, run, err) != 0)
        return -1;
    store_add_text (&args, STORE_LOG_LENGTH);
    store_add_text (&args, event);
    store_add_text (&args, text);
    return store_call_plain (store, "log", &args, err);
}
