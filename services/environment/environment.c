/*  environment - see environment.h
 *
 *  How it works. Every claimed group is a player_t, and a player is wherever its group_t is: it
 *  reads tokenizers, asks peers, stores a turn, commits. player_advance () does what can be done
 *  now and returns; nothing here waits. Three things move a player on: a reply from the bus, a
 *  tokenizer that arrives, and the loop itself, which looks ten times a second at what was put off.
 *
 *  What may go wrong, and who decides. The store decides whether a group is still ours: every write
 *  names the fence of the claim, and ERR_STALE means that another environment has the group, so it
 *  is left without a word. Peers decide only together whether a group is bad (call.h). Everything
 *  else is put off and tried again; the run's own deadline ends what never comes.
 */
#include "environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "service.h"
#include "svc/args.h"

#define LEASE_MS       10000 /* a group whose environment died is claimed again after that */
#define RENEW_MS       3000
#define POLL_MS        250  /* events are hints: look four times a second anyway */
#define STORE_MS       1000 /* a call to Redis may block the loop that long */
#define STORE_SPARE    8    /* or that many times what one was seen to take */
#define STORE_AGAIN_MS 200
#define LOOK_MS        100 /* at most between two looks at what is to be asked again */
#define ACT_MAX_S      86400
#define SCORE_MS       120000 /* for an answer of the reward service, to begin with */
#define PATIENCE_MS    900000 /* without progress until a group is given back, at least */

/*  ---- open and close ------------------------------------------------------------------------- */

/*  Ends our part in a group, whatever became of it. Answers that are still under way are cancelled,
 *  so that no worker goes on for nobody; the freed place is filled at once. */
static void player_leave (environment_t *env, player_t *player)
{
    steps_leave (env, player);
    for (size_t i = 0; i <= EPISODE_ROLES_MAX; i++)
        tokenizers_release (env->tokenizers, player->tokenizers[i]);
    for (size_t i = 0; i < EPISODE_ROLES_MAX; i++)
        if (player->calls[i].number && !programs_asked (player->calls[i].number))
            bus_cancel (env->bus, player->calls[i].number);
    group_destroy (&player->group);
    buf_free (&player->claim.payload);
    spans_free (&player->spans);
    *player = (player_t){0};
    env->live--;
    env->claim_ms = 0;
}

/*  What is under way goes back, so that others need not wait for the leases to end. */
static void environment_release_all (environment_t *env)
{
    err_t err = {0};
    uint64_t n;
    store_deadline (env->store, 200); /* a service that stops does not wait for a dead Redis */
    if (env->live && store_orphans (env->store, svc_name (env->svc), &n, &err) != 0)
        log_err ("groups.not_given_back", &err);
    for (size_t i = 0; i < env->players_n; i++)
        if (env->players[i].group)
            player_leave (env, &env->players[i]);
}

void environment_close (svc_run_t *run, void **state)
{
    (void) run;
    environment_t *env = *state;
    if (!env)
        return;
    if (env->store && env->players)
        environment_release_all (env);
    programs_destroy (&env->programs);
    tokenizers_destroy (&env->tokenizers);
    store_destroy (&env->store);
    free (env->players);
    free (env);
    *state = NULL;
}

int environment_open (svc_run_t *run, void **state, err_t *err)
{
    long long groups, act_s;
    if (args_number (svc_args (run), "--groups", 1, 4096, &groups, err) != 0 ||
        args_number (svc_args (run), "--act-timeout", 1, ACT_MAX_S, &act_s, err) != 0)
        return -1;
    environment_t *env = calloc (1, sizeof *env);
    if (!env)
        return err_set (err, ERR_LIMIT, "no memory");
    *state = env;
    env->svc = run;
    env->bus = svc_bus (run);
    /* Where everything begins; what is measured raises them (call.h). */
    env->deadlines = (deadlines_t){.act_ms = act_s * 1000, .score_ms = SCORE_MS};
    env->players_n = (size_t) groups;
    /* All places at once: claiming a group must not fail for lack of memory. */
    env->players = calloc (env->players_n, sizeof *env->players);
    env->tokenizers = tokenizers_new (env->bus);
    if (!env->players || !env->tokenizers)
        return err_set (err, ERR_LIMIT, "no memory for %lld groups", groups);
    if (steps_open (env, err) != 0)
        return -1;
    env->store = store_new (svc_redis (run), svc_keys_dir (run), err);
    /* What a process of this name held is nobody's now: without this it would lie until its lease
     * ends. */
    uint64_t orphans = 0;
    if (!env->store || store_orphans (env->store, svc_name (run), &orphans, err) != 0)
        return -1;
    if (orphans)
        log_info ("groups.given_back",
                  "groups=%" PRIu64 " text=\"a predecessor of this name held them\"", orphans);
    store_deadline (env->store, STORE_MS);
    return 0;
}

/*  ---- one group ------------------------------------------------------------------------------ */

/*  A slow Redis is given the time that it was seen to need: with a fixed deadline below that, no
 *  call would ever succeed. The mean forgets slowly, so one stall does not count for long. */
static void environment_time_store (environment_t *env, int64_t started_ms)
{
    int64_t took = clock_ms () - started_ms;
    env->store_call_ms += (took - env->store_call_ms) / 4;
    int64_t deadline = STORE_SPARE * env->store_call_ms;
    store_deadline (env->store, deadline > STORE_MS ? deadline : STORE_MS);
}

/*  How many groups can be held. Each lease is renewed by a call of its own, which blocks the loop;
 *  when renewing takes more than half of the time between two renewals, leases end while we are
 *  busy with the others'. */
static size_t environment_most_groups (const environment_t *env)
{
    int64_t most = env->store_call_ms ? RENEW_MS / 2 / env->store_call_ms : INT64_MAX;
    return most < 1 ? 1 : most < (int64_t) env->players_n ? (size_t) most : env->players_n;
}

/*  What an answer of the store means for the group: true when it was carried out. Otherwise the
 *  group was lost and is left, or Redis is in trouble and the same is tried again later: the group
 *  stays in the state that asks for this write, and every write is idempotent. */
static bool environment_on_stored (environment_t *env, player_t *player, int rc, const err_t *err)
{
    if (rc == 0)
        return true;
    if (err->code == ERR_STALE) {
        environment_log_group (player, "group.lost", err->text);
        env->lost++;
        player_leave (env, player);
    } else {
        player->trouble = *err;
        env->store_again_ms = clock_ms () + STORE_AGAIN_MS;
    }
    return false;
}

/*  Gives a group back: somebody else, or we later, play it anew from its first turn. */
static bool environment_fail_group (environment_t *env, player_t *player, const char *why)
{
    err_t err = {0};
    uint64_t tries = 0;
    int rc = store_giveup (env->store, &player->claim, why, &tries, &err);
    if (!environment_on_stored (env, player, rc, &err))
        return false;
    environment_note_group (env, player, "group.given_up", why);
    env->given_up++;
    player_leave (env, player);
    /* We do not claim it again at once: what was in the way is probably still there. */
    env->claim_ms = clock_ms () + POLL_MS;
    return false;
}

/*  It failed: it is dead when everybody would fail likewise, and goes back into the store
 *  otherwise. Only a function of its content may end a group, since what a run learns must not
 *  depend on machines. */
static bool player_failed (environment_t *env, player_t *player)
{
    const err_t *why = group_error (player->group);
    if (why->code != ERR_INPUT)
        return environment_fail_group (env, player, why->text);
    err_t err = {0};
    if (!environment_on_stored (env, player,
                                store_dead (env->store, &player->claim, why->text, &err), &err))
        return false;
    environment_note_group (env, player, "group.dead", why->text);
    env->dead++;
    player_leave (env, player);
    return false;
}

/*  The commit is the truth: the event comes after it, and nobody counts events. */
static bool player_commit (environment_t *env, player_t *player)
{
    err_t err = {0};
    const buf_t *result = group_result (player->group);
    int64_t begin_us = clock_us ();
    int rc = store_commit (env->store, &player->claim, result->data, result->size, &err);
    if (!environment_on_stored (env, player, rc, &err))
        return false;
    environment_note_span (player, "commit", 0, begin_us);
    environment_begin_trace (env, player);
    environment_publish_trace (env, player);
    environment_publish_committed (env, player);
    environment_end_trace (env);
    env->committed++;
    player_leave (env, player);
    return false;
}

/*  The next turn is not asked for before this one is stored: so whoever looks into Redis sees where
 *  an episode is, and an environment that lost its lease hears of it here, before it costs agents
 *  another turn. */
static bool player_store (environment_t *env, player_t *player)
{
    err_t err = {0};
    unsigned turn;
    const buf_t *lines = group_turn (player->group, &turn);
    int64_t begin_us = clock_us ();
    int rc = store_turn (env->store, &player->claim, turn, lines->data, lines->size, &err);
    if (!environment_on_stored (env, player, rc, &err))
        return false;
    environment_note_span (player, "store", turn, begin_us);
    group_stored (player->group);
    return true;
}

/*  Prompts are written with the tokenizer that the policy's manifest names by hash; it comes from
 *  the bus, and all groups that name it share one. An engine has its own. */
static bool player_read (environment_t *env, player_t *player)
{
    for (size_t r = 0; r < group_seats (player->group); r++) {
        const wire_role_t *seat = group_seat (player->group, r);
        if (group_has_tokenizer (player->group, r))
            continue;
        bool engine = *seat->engine;
        if (!engine)
            player->tokenizers[r] =
                tokenizers_take (env->tokenizers, &seat->tokenizer, &player->trouble);
        if (player->tokenizers[r] || engine) {
            group_tokenizer (player->group, r, player->tokenizers[r]);
        } else if (player->trouble.code == ERR_INPUT) {
            group_fail (player->group, ERR_INPUT, "%s: %s", seat->name, player->trouble.text);
            return true;
        }
    }
    return group_state (player->group) != GROUP_READING;
}

/*  How long the group's run waits for anything: an answer that takes longer comes too late. */
static int64_t environment_patience_ms (const player_t *player)
{
    return (int64_t) group_message (player->group)->timeout_s * 1000;
}

/*  Sends what is not under way. Requests of a turn are independent: each has its own number and its
 *  own pause. */
static bool player_ask (environment_t *env, player_t *player)
{
    int64_t now = clock_ms ();
    /* New requests begin without refusals and without judges. */
    if (player->round != group_round (player->group))
        memset (player->calls, 0, sizeof player->calls);
    player->round = group_round (player->group);
    for (size_t i = 0; i < group_asks (player->group); i++) {
        const group_ask_t *ask = group_ask (player->group, i);
        call_t *call = &player->calls[i];
        /* Answered, under way, or put off. */
        if (ask->answered || call->number || now < call->again_ms)
            continue;
        int64_t patience = environment_patience_ms (player);
        if (strcmp (ask->service, "step") == 0) {
            steps_ask (env, player, ask, call);
        } else {
            environment_begin_trace (env, player);
            call_send (call, env->bus, ask, deadlines_ms (&env->deadlines, ask->service, patience));
            environment_end_trace (env);
        }
    }
    return false;
}

/*  Does all that can be done for a group now. A step that returns true has moved the group into
 *  another state, so there may be more; one that returns false waits for somebody, or has left the
 *  group. While Redis is in trouble nothing is tried that needs it, but answers of peers are still
 *  taken. */
static void player_advance (environment_t *env, player_t *player)
{
    static bool (*const does[]) (environment_t *, player_t *) = {[GROUP_READING] = player_read,
                                                                 [GROUP_ASKING] = player_ask,
                                                                 [GROUP_STORING] = player_store,
                                                                 [GROUP_DONE] = player_commit,
                                                                 [GROUP_FAILED] = player_failed};
    bool more = true;
    while (more) {
        group_state_t state = group_state (player->group);
        bool wants_store = state != GROUP_READING && state != GROUP_ASKING;
        if (wants_store && clock_ms () < env->store_again_ms)
            return;
        more = does[state](env, player);
        if (more)
            player->moved_ms = clock_ms ();
    }
}

/*  Keeps the lease, and gives the group back when nothing moved for long: the trouble may be ours
 *  alone, and another environment would get through. */
static void player_keep (environment_t *env, player_t *player, int64_t now)
{
    if (now < env->store_again_ms)
        return;
    /* At least a quarter of an hour: giving back costs all turns that were played. */
    int64_t patience = environment_patience_ms (player) > PATIENCE_MS
                           ? environment_patience_ms (player)
                           : PATIENCE_MS;
    if (now - player->moved_ms > patience) {
        err_t why = player->trouble;
        if (!why.text[0])
            err_set (&why, ERR_TIMEOUT, "nobody answered");
        err_wrap (&why, "no progress for %lld s", (long long) patience / 1000);
        environment_fail_group (env, player, why.text);
    } else if (now - player->renewed_ms > RENEW_MS) {
        err_t err = {0};
        int64_t started = clock_ms ();
        int rc = store_renew (env->store, &player->claim, LEASE_MS, &err);
        if (rc == 0)
            environment_time_store (env, started);
        if (environment_on_stored (env, player, rc, &err))
            player->renewed_ms = now;
    }
}

/*  ---- claiming ------------------------------------------------------------------------------- */

/*  Learns of a run's steps by event from its first group on. That is only faster: steps are also
 *  polled for, and the table of runs is bounded because of that. */
static void environment_subscribe (environment_t *env, const char *run)
{
    for (size_t i = 0; i < env->runs_n; i++)
        if (strcmp (env->runs[i], run) == 0)
            return;
    if (env->runs_n == RUNS_MAX)
        return;
    char topic[STORE_RUN_MAX + 32];
    err_t err = {0};
    snprintf (topic, sizeof topic, "%s/%s", run, wire_event_name (WIRE_STEP_OPENED));
    if (bus_subscribe (env->bus, topic, &err) != 0)
        log_err ("events.unheard", &err);
    else
        snprintf (env->runs[env->runs_n++], STORE_RUN_MAX + 1, "%s", run);
}

/*  A payload that is no group cannot be played by anybody; one that we have no memory for can. */
static void environment_refuse_claim (environment_t *env, player_t *player, const err_t *why)
{
    err_t err = {0};
    uint64_t tries;
    environment_note_group (env, player, "group.refused", why->text);
    int rc = why->code == ERR_INPUT
                 ? store_dead (env->store, &player->claim, why->text, &err)
                 : store_giveup (env->store, &player->claim, why->text, &tries, &err);
    if (rc != 0)
        log_err ("group.unsettled", &err);
    env->dead += rc == 0 && why->code == ERR_INPUT;
    player_leave (env, player);
}

/*  It goes back, and its run is told: it would wait for ever where no environment has its
 *  program. */
static void environment_refuse_program (environment_t *env, player_t *player, const err_t *why)
{
    environment_publish_trouble (env, player, WIRE_GROUP_REFUSED, why);
    environment_fail_group (env, player, why->text);
}

/*  1: claimed a group and began it; 0: none there; -1: Redis is in trouble. */
static int environment_claim_one (environment_t *env, player_t *player)
{
    err_t err = {0};
    int64_t started = clock_ms ();
    int rc = store_claim (env->store, svc_name (env->svc), LEASE_MS, &player->claim, &err);
    /* Also an empty answer measures Redis. */
    if (rc >= 0)
        environment_time_store (env, started);
    if (rc != 1)
        return rc;
    player->claimed_ms = player->renewed_ms = player->moved_ms = clock_ms ();
    spans_begin (&player->spans, clock_us ());
    env->live++;
    environment_subscribe (env, player->claim.run);
    player->group = group_new (player->claim.payload.data, player->claim.payload.size, &err);
    if (!player->group)
        environment_refuse_claim (env, player, &err);
    else if (steps_check (env, player, &err) != 0)
        environment_refuse_program (env, player, &err);
    else
        player_advance (env, player);
    return 1;
}

/*  Fills the free places. One claim that finds nothing ends the round: the next one comes a quarter
 *  of a second later, or with the event of a step that was opened. */
static void environment_claim_groups (environment_t *env, int64_t now)
{
    if (now < env->claim_ms || now < env->store_again_ms)
        return;
    int rc = 1;
    /* Not more than can be renewed in time, whatever --groups says. */
    for (size_t i = 0; i < env->players_n && rc == 1 && env->live < environment_most_groups (env);
         i++)
        if (!env->players[i].group)
            rc = environment_claim_one (env, &env->players[i]);
    env->claim_ms = now + POLL_MS;
    if (rc < 0)
        env->store_again_ms = now + STORE_AGAIN_MS;
}

/*  ---- what the loop calls -------------------------------------------------------------------- */

/*  Whose answer this is; NULL: of a group that was left meanwhile, and the answer is dropped. */
static player_t *environment_find_call (environment_t *env, uint64_t number, size_t *ask)
{
    for (size_t i = 0; i < env->players_n; i++)
        for (*ask = 0; env->players[i].group && *ask < EPISODE_ROLES_MAX; (*ask)++)
            if (env->players[i].calls[*ask].number == number)
                return &env->players[i];
    return NULL;
}

/*  A peer refused, or answered what does not fit. */
static void environment_on_refusal (environment_t *env, player_t *player, size_t ask,
                                    const char *peer, const err_t *err)
{
    call_t *call = &player->calls[ask];
    const char *service = group_ask (player->group, ask)->service;
    bool first = call->refusals == 0;
    env->refused++;
    player->trouble = *err;
    bool decided = call_refused (call, peer, err) == CALL_DECIDED;
    if (decided && err->code == ERR_INPUT) {
        group_fail (player->group, ERR_INPUT, "%s%s: %s", group_ask (player->group, ask)->what,
                    service, err->text);
        return;
    }
    /* Agents and scorers that cannot serve a run as they are configured never will: its trainer
     * ends the run. */
    environment_publish_trouble (env, player, decided ? WIRE_GROUP_REFUSED : WIRE_GROUP_TROUBLE,
                                 err);
    if (err->code == ERR_TIMEOUT)
        deadlines_missed (&env->deadlines, service, environment_patience_ms (player));
    if (first)
        environment_log_group (player, "call.again", err->text);
}

static void environment_on_reply (environment_t *env, const bus_item_t *item)
{
    size_t ask;
    player_t *player = environment_find_call (env, item->call, &ask);
    if (!player)
        return;
    call_t *call = &player->calls[ask];
    const char *service = group_ask (player->group, ask)->service;
    err_t err = {0};
    span_t span = environment_begin_span (player, ask);
    /* From here on an answer to this number is nobody's; refused or not, the call is over. */
    call->number = 0;
    if (item->code != ERR_NONE) {
        err_set (&err, item->code, "%s%s%s", item->name, item->name[0] ? ": " : "", item->text);
        environment_on_refusal (env, player, ask, item->name, &err);
    } else if (group_answer (player->group, ask, item->payload, item->size, &err) != 0) {
        /* A peer that answers nonsense is no fault of the group's. */
        err.code = err.code == ERR_INPUT ? ERR_INTERNAL : err.code;
        err_wrap (&err, "%s", item->name);
        environment_on_refusal (env, player, ask, item->name, &err);
    } else {
        player->moved_ms = clock_ms ();
        environment_end_span (player, &span, ask, item);
        deadlines_answered (&env->deadlines, service, player->moved_ms - call->sent_ms);
        if (*call->judge) /* one of the two is broken, and it is not the one that could answer */
            environment_log_group (player, "call.answered_elsewhere", call->verdict.text);
    }
    free (span.episodes);
    player_advance (env, player);
}

void environment_on_item (svc_run_t *run, const bus_item_t *item)
{
    environment_t *env = svc_state (run);
    int64_t start = clock_us ();
    if (item->kind == BUS_REPLY)
        environment_on_reply (env, item);
    else if (item->kind == BUS_OBJECT)
        tokenizers_item (env->tokenizers, item);
    else if (item->kind == BUS_EVENT)
        env->claim_ms = 0;
    env->busy_us += clock_us () - start;
}

/*  Everybody moves on before leases are kept and groups are claimed: with a slow Redis, what is
 *  half done comes before what is not begun. Returns how long the loop may sleep unless something
 *  arrives. */
int environment_work (svc_run_t *run)
{
    environment_t *env = svc_state (run);
    int64_t start = clock_us (), now = clock_ms ();
    steps_take (env);
    for (size_t i = 0; i < env->players_n; i++)
        if (env->players[i].group)
            player_advance (env, &env->players[i]);
    for (size_t i = 0; i < env->players_n; i++)
        if (env->players[i].group)
            player_keep (env, &env->players[i], now);
    environment_claim_groups (env, now);
    env->busy_us += clock_us () - start;
    /* Until the next claim, or until Redis is asked again when it failed; and often enough for
       the pauses of calls. */
    int64_t wait = clock_left_ms (env->claim_ms), store = clock_left_ms (env->store_again_ms);
    wait = store > wait ? store : wait;
    return wait < LOOK_MS || env->live == 0 ? (int) wait : LOOK_MS;
}

void environment_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                         void *to)
{
    const environment_t *env = svc_state (run);
    metric (to, "groups_in_flight", (double) env->live);
    metric (to, "groups_committed", (double) env->committed);
    metric (to, "groups_dead", (double) env->dead);
    metric (to, "groups_given_up", (double) env->given_up);
    metric (to, "groups_lost", (double) env->lost);
    metric (to, "calls_refused", (double) env->refused);
    metric (to, "busy_s", (double) env->busy_us / 1e6);
}
