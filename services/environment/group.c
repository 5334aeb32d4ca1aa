/*  group - see group.h
 *
 *  A group is a state machine that knows no clock, no socket and no store: what it asks is a
 *  function of its payload and of the answers so far. So it can be played anywhere, again, and by
 *  somebody else, and gives the same bytes; this is what the promise "same seed, same weights"
 *  rests on here. Anything that depends on when or by whom something was answered belongs into
 *  environment.c.
 */
#include "group.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define GROUP_BUDGET ((size_t) 1 << 30) /* memory of its message and of all answers */

/*  ---- birth and death ------------------------------------------------------------------------ */

/*  The first reason stays: what fails because of it says less. */
void group_fail (group_t *group, err_code_t code, const char *fmt, ...)
{
    va_list args;
    char text[ERR_TEXT_MAX];
    if (group->state == GROUP_FAILED)
        return;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    err_set (&group->error, code, "%s", text);
    group->state = GROUP_FAILED;
}

/*  The task is read once: all other episodes share the first one's. */
static void group_make_episodes (group_t *group)
{
    const wire_group_t *m = group->message;
    const char *prompts[EPISODE_ROLES_MAX], *sees[EPISODE_ROLES_MAX];
    episode_limits_t limits = {.tokens = m->max_tokens,
                               .turns = m->max_turns,
                               .cpu_s = m->cpu_s,
                               .cpu_total_s = m->cpu_total_s,
                               .protocol = m->protocol,
                               .prompts = prompts,
                               .sees = sees};
    /* Seats are found by name from here on; their order is the order of the configuration. */
    for (size_t r = 0; r < m->roles_n; r++) {
        group->roles[r] = m->roles[r].name;
        prompts[r] = m->roles[r].prompt;
        sees[r] = m->roles[r].sees;
    }
    for (size_t e = 0; e < group->n && group->state != GROUP_FAILED; e++) {
        err_t err = {0};
        group->tables[e].episode =
            e ? episode_again (group->tables[0].episode, &err)
              : episode_new (m->task, group->roles, m->roles_n, &limits, &err);
        if (!group->tables[e].episode)
            group_fail (group, err.code, "the task: %s", err.text);
    }
}

/*  All that is as long as the group has episodes. */
static int group_allocate (group_t *group, err_t *err)
{
    const wire_group_t *m = group->message;
    group->n = m->episodes;
    group->tables = calloc (group->n, sizeof *group->tables);
    group->result = result_new (group->n);
    bool fine = group->tables && group->result;
    for (size_t r = 0; r < m->roles_n; r++) {
        group->seats[r].prompt_of = calloc (group->n, sizeof *group->seats[r].prompt_of);
        fine = fine && group->seats[r].prompt_of;
    }
    return fine ? 0 : err_set (err, ERR_LIMIT, "no memory for a group of %zu episodes", group->n);
}

/*  Two kinds of failure: bytes that are no group give none; a task that cannot be played gives a
 *  group that has failed already, so that its end goes the way of all others. */
group_t *group_new (const void *payload, size_t size, err_t *err)
{
    group_t *group = calloc (1, sizeof *group);
    if (group)
        /* All answers of the group live in it until its end: the result borrows from them. */
        group->arena = arena_new (GROUP_BUDGET);
    int rc = group && group->arena ? 0 : err_set (err, ERR_LIMIT, "no memory for a group");
    if (rc == 0)
        rc = (group->message = wire_group_unpack (group->arena, payload, size, err)) ? 0 : -1;
    /* Arrays here and in environment.c have that length. */
    if (rc == 0 && group->message->roles_n > EPISODE_ROLES_MAX)
        rc = err_set (err, ERR_INPUT, "a group of %zu roles", group->message->roles_n);
    if (rc == 0)
        rc = group_allocate (group, err);
    if (rc != 0) {
        group_destroy (&group);
        return NULL;
    }
    group_make_episodes (group);
    return group;
}

/*  Also of a group that is half made. */
void group_destroy (group_t **group)
{
    group_t *g = *group;
    if (!g)
        return;
    for (size_t e = 0; g->tables && e < g->n; e++) {
        episode_destroy (&g->tables[e].episode);
        free (g->tables[e].history);
    }
    for (size_t r = 0; r < EPISODE_ROLES_MAX; r++) {
        free (g->seats[r].prompt_of);
        buf_free (&g->asks[r].payload);
    }
    for (size_t i = 0; g->others && i < g->others_n; i++)
        free (g->others[i]);
    free (g->others);
    group_forget_judging (g);
    for (size_t i = 0; g->graded && i < g->graded_n; i++)
        free (g->graded[i]);
    free (g->graded);
    free (g->tables);
    free (g->uses);
    result_destroy (&g->result);
    buf_free (&g->bytes);
    arena_destroy (&g->arena);
    free (g);
    *group = NULL;
}

const wire_group_t *group_message (const group_t *group)
{
    return group->message;
}

group_state_t group_state (const group_t *group)
{
    return group->state;
}

const char *group_name (const group_t *group, char name[GROUP_ID_MAX])
{
    const wire_group_t *m = group->message;
    snprintf (name, GROUP_ID_MAX, "%s/%s/%" PRIu64 "/%" PRIu64 "/", m->run,
              wire_phase_name (m->phase), m->step, m->group);
    return name;
}

const err_t *group_error (const group_t *group)
{
    return &group->error;
}

/*  The first turn begins with the last tokenizer, whatever the order in which they came. */
void group_tokenizer (group_t *group, size_t role, const tokenizer_t *tokenizer)
{
    group->seats[role].tokenizer = tokenizer;
    group->seats[role].ready = true;
    for (size_t r = 0; r < group_seats (group); r++)
        if (!group->seats[r].ready)
            return;
    if (group->state == GROUP_READING)
        group_go_on (group);
}

size_t group_seats (const group_t *group)
{
    return group->message->roles_n + (group->message->judged_by != NULL);
}

const wire_role_t *group_seat (const group_t *group, size_t seat)
{
    const wire_group_t *m = group->message;
    return seat < m->roles_n ? &m->roles[seat] : m->judged_by;
}

bool group_has_tokenizer (const group_t *group, size_t role)
{
    return group->seats[role].ready;
}

size_t group_asks (const group_t *group)
{
    return group->asks_n;
}

unsigned group_round (const group_t *group)
{
    return group->round;
}

const group_ask_t *group_ask (const group_t *group, size_t ask)
{
    return &group->asks[ask];
}

uint32_t group_max_tokens (const group_t *group, size_t role)
{
    uint32_t own = group->message->roles[role].max_tokens;
    return own ? own : group->message->max_tokens;
}

/*  ---- storing -------------------------------------------------------------------------------- */

const buf_t *group_turn (const group_t *group, unsigned *turn)
{
    *turn = group->turn;
    return &group->bytes;
}

/*  Scoring begins when the last episode is done: one request for all of them, since the task with
 *  its tests goes with it once. */
void group_go_on (group_t *group)
{
    bool done = true, waits = false;
    for (size_t e = 0; e < group->n; e++) {
        done = done && episode_done (group->tables[e].episode);
        waits = waits || episode_waits (group->tables[e].episode);
    }
    if (waits)
        group_ask_step (group);
    else if (done && group_is_judged (group))
        group_ask_judge (group);
    else if (done)
        group_ask_score (group);
    else
        group_begin_turn (group);
}

void group_stored (group_t *group)
{
    group->turn++;
    group_go_on (group);
}

const buf_t *group_result (const group_t *group)
{
    return &group->bytes;
}

/*  Means over the episodes; the names are what taps and reports look for. What the scorer did not
 *  measure is left out. Returns how many there are. */
size_t group_metrics (const group_t *group, wire_part_t metrics[GROUP_METRICS])
{
    static const char *const names[GROUP_METRICS] = {"reward",   "quality", "speed",
                                                     "cost",     "tokens",  "critical_path_tokens",
                                                     "episodes", "success", "agreement"};
    double sums[GROUP_METRICS] = {0};
    size_t scored = 0;
    for (size_t e = 0; e < group->n; e++) {
        const wire_reward_t *reward = &group->score->rewards[e];
        if (reward->unscored)
            continue;
        scored++;
        const episode_t *episode = group->tables[e].episode;
        const double values[GROUP_METRICS] = {reward->reward,
                                              reward->quality,
                                              reward->speed,
                                              reward->cost,
                                              (double) episode_tokens (episode),
                                              (double) episode_critical_path (episode),
                                              (double) group->n,
                                              reward->success_unknown ? NAN : reward->success,
                                              reward->agreement_unknown ? NAN : reward->agreement};
        for (size_t i = 0; i < GROUP_METRICS; i++)
            sums[i] += values[i];
    }
    size_t n = 0;
    for (size_t i = 0; i < GROUP_METRICS; i++)
        if (scored && isfinite (sums[i]))
            metrics[n++] = (wire_part_t){.name = names[i], .value = sums[i] / (double) scored};
    return n;
}
