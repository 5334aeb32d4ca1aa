/*  steps - groups whose episodes a program plays. See service.h
 *
 *  The program is the one that the service was started with. A group only says which one it counts
 *  on: else whoever reaches the bus or Redis could run anything here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "program/session.h"
#include "service.h"
#include "svc/args.h"

#define STEPS_AGAIN_MS 100

/*  Called by the programs' threads; bus_wake is what any thread may call. */
static void steps_wake (void *bus)
{
    bus_wake (bus);
}

int steps_open (environment_t *env, err_t *err)
{
    const char *command = args_value (svc_args (env->svc), "--program");
    long long workers;
    if (args_number (svc_args (env->svc), "--workers", 1, 64, &workers, err) != 0)
        return -1;
    if (!*command)
        return 0;
    env->programs = programs_new (command, (size_t) workers, steps_wake, env->bus, err);
    return env->programs ? 0 : -1;
}

int steps_check (const environment_t *env, const player_t *player, err_t *err)
{
    const char *wanted = group_message (player->group)->program;
    const char *here = env->programs ? programs_command (env->programs) : "";
    if (!*wanted || strcmp (wanted, here) == 0)
        return 0;
    return err_set (err, ERR_CONFIG,
                    "%s was not started with the program of this run, '%.200s' (task.program): "
                    "start every environment of its bus with --program",
                    svc_name (env->svc), wanted);
}

/*  Groups in one place have one process. */
static size_t steps_place (const environment_t *env, const player_t *player)
{
    return (size_t) (player - env->players);
}

void steps_ask (environment_t *env, player_t *player, const group_ask_t *ask, call_t *call)
{
    double seconds = group_message (player->group)->program_s;
    call->sent_us = clock_us ();
    call->sent_ms = call->sent_us / 1000;
    call->number = programs_ask (env->programs, steps_place (env, player), &ask->payload,
                                 seconds > 0 ? seconds : SESSION_ANSWER_S);
    if (!call->number)
        call->again_ms = call->sent_ms + STEPS_AGAIN_MS;
}

/*  NULL: of a group that was left meanwhile. */
static player_t *steps_find (environment_t *env, uint64_t number)
{
    for (size_t i = 0; i < env->players_n; i++)
        if (env->players[i].group && env->players[i].calls[0].number == number)
            return &env->players[i];
    return NULL;
}

/*  A program that cannot play ends the run; the group is asked for again until that has happened.
 *  What it answered the first time and not the second cannot be gone on from, so the group goes
 *  back and is begun anew. */
static void steps_on_failure (environment_t *env, player_t *player, const err_t *why)
{
    call_t *call = &player->calls[0];
    player->trouble = *why;
    if (why->code == ERR_STALE)
        group_fail (player->group, ERR_INTERNAL, "%s%s", group_ask (player->group, 0)->what,
                    why->text);
    else
        environment_publish_trouble (
            env, player, why->code == ERR_CONFIG ? WIRE_GROUP_REFUSED : WIRE_GROUP_TROUBLE, why);
    if (call->refusals == 0)
        environment_log_group (player, "program.failed", why->text);
    call_refused (call, "", why);
}

void steps_take (environment_t *env)
{
    programs_answer_t answer;
    while (env->programs && programs_take (env->programs, &answer)) {
        player_t *player = steps_find (env, answer.number);
        err_t err = answer.err;
        if (player) {
            span_t span = environment_begin_span (player, 0);
            player->calls[0].number = 0;
            if (err.code == ERR_NONE &&
                group_answer (player->group, 0, answer.lines.data, answer.lines.size, &err) == 0)
                player->moved_ms = clock_ms ();
            else
                steps_on_failure (env, player, &err);
            if (err.code == ERR_NONE)
                environment_end_span (player, &span, 0, &(bus_item_t){.name = "program"});
            free (span.episodes);
        }
        buf_free (&answer.lines);
    }
}

void steps_leave (environment_t *env, const player_t *player)
{
    char name[GROUP_ID_MAX];
    if (env->programs && player->group && *group_message (player->group)->program)
        programs_close (env->programs, steps_place (env, player), group_name (player->group, name));
}
