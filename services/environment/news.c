/*  news - what the service says of groups. See service.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "service.h"
#include "svc/event.h"

/*  Events are for people and for trainers that like to know early; no count depends on one. */
static void environment_publish (environment_t *env, const wire_event_t *event)
{
    char topic[STORE_RUN_MAX + 32];
    snprintf (topic, sizeof topic, "%s/%s", event->run, wire_event_name (event->kind));
    event_publish (env->bus, "environment", topic, event);
}

void environment_begin_trace (environment_t *env, const player_t *player)
{
    char trace[SPANS_TRACE_SIZE];
    bus_trace (env->bus, spans_trace (group_message (player->group), trace));
}

void environment_end_trace (environment_t *env)
{
    bus_trace (env->bus, "");
}

void environment_publish_committed (environment_t *env, const player_t *player)
{
    const wire_group_t *m = group_message (player->group);
    wire_part_t metrics[GROUP_METRICS + 1];
    size_t n = group_metrics (player->group, metrics);
    metrics[n] = (wire_part_t){"seconds", (double) (clock_ms () - player->claimed_ms) / 1e3};
    wire_event_t event = {.kind = WIRE_GROUP_COMMITTED,
                          .run = m->run,
                          .step = m->step,
                          .group = m->group,
                          .phase = m->phase,
                          .version = {.policy = ""},
                          .metrics = metrics,
                          .metrics_n = n + 1,
                          .text = ""};
    environment_publish (env, &event);
}

/*  After the commit, of which it tells as well. */
void environment_publish_trace (environment_t *env, const player_t *player)
{
    const wire_group_t *m = group_message (player->group);
    buf_t text = {0};
    spans_json (&player->spans, m, svc_name (env->svc), &text);
    if (!buf_failed (&text))
        environment_publish (env, &(wire_event_t){.kind = WIRE_GROUP_TRACED,
                                                  .run = m->run,
                                                  .step = m->step,
                                                  .group = m->group,
                                                  .phase = m->phase,
                                                  .version = {.policy = ""},
                                                  .text = text.data});
    buf_free (&text);
}

/*  Names of what is done for an ask: tools are asked of who scores, too. */
static const char *environment_span_name (const group_ask_t *ask)
{
    return strcmp (ask->service, "score") != 0 ? ask->service : *ask->who ? "tool" : "score";
}

/*  Written down before the answer moves the group on. */
span_t environment_begin_span (const player_t *player, size_t at)
{
    const group_ask_t *ask = group_ask (player->group, at);
    size_t all = group_message (player->group)->episodes;
    span_t span = {.name = environment_span_name (ask),
                   .turn = ask->turn,
                   .begin_us = player->calls[at].sent_us,
                   .refusals = player->calls[at].refusals,
                   .episodes = calloc (all, sizeof *span.episodes)};
    memcpy (span.role, ask->who, sizeof span.role);
    for (size_t e = 0; span.episodes && e < all; e++)
        if (group_ask_has (player->group, at, e))
            span.episodes[span.episodes_n++] = (uint32_t) e;
    if (span.episodes_n == all) {
        free (span.episodes);
        span.episodes = NULL;
    }
    return span;
}

void environment_end_span (player_t *player, span_t *span, size_t ask, const bus_item_t *item)
{
    span->end_us = clock_us ();
    span->waited_us = item->waited_us;
    span->took_us = item->took_us;
    if (strcmp (span->name, "act") == 0)
        span->decode_us = group_decode_us (player->group, ask);
    snprintf (span->peer, sizeof span->peer, "%.60s", item->name);
    spans_add (&player->spans, span);
}

void environment_note_span (player_t *player, const char *name, unsigned turn, int64_t begin_us)
{
    span_t span = {.name = name, .turn = turn, .begin_us = begin_us, .end_us = clock_us ()};
    spans_add (&player->spans, &span);
}

/*  Says what is in the way of a group. Each refusal says it again, since whoever begins to watch
 *  later, or missed it, should know as well; the trainer names the last one when the run's deadline
 *  ends it. */
void environment_publish_trouble (environment_t *env, const player_t *player,
                                  wire_event_kind_t kind, const err_t *why)
{
    const wire_group_t *m = group_message (player->group);
    environment_publish (env, &(wire_event_t){.kind = kind,
                                              .run = m->run,
                                              .step = m->step,
                                              .group = m->group,
                                              .phase = m->phase,
                                              .version = {.policy = ""},
                                              .text = why->text});
}

void environment_log_group (const player_t *player, const char *event, const char *why)
{
    log_warn (event, "run=%s phase=%u step=%" PRIu64 " group=%" PRIu64 " text=\"%s\"",
              player->claim.run, player->claim.phase, player->claim.step, player->claim.group, why);
}

/*  Also kept with the run, where whoever looks for the reason finds it; best effort. */
void environment_note_group (environment_t *env, const player_t *player, const char *event,
                             const char *why)
{
    char text[ERR_TEXT_MAX + 128];
    environment_log_group (player, event, why);
    snprintf (text, sizeof text, "phase %u, step %" PRIu64 ", group %" PRIu64 ", %s: %s",
              player->claim.phase, player->claim.step, player->claim.group, svc_name (env->svc),
              why);
    store_log (env->store, player->claim.run, event, text, NULL);
}
