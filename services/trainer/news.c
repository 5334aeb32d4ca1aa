/*  news - see news.h */
#include "news.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static void news_publish (trainer_t *t, const wire_event_t *event)
{
    char topic[STORE_RUN_MAX + 48];
    buf_t bytes = {0};
    wire_event_t whole = *event;
    whole.run = t->run;
    whole.text = event->text ? event->text : "";
    whole.version.policy = event->version.policy ? event->version.policy : "";
    snprintf (topic, sizeof topic, "%s/%s", t->run, wire_event_name (event->kind));
    wire_event_pack (&whole, &bytes);
    if (!buf_failed (&bytes))
        bus_publish (svc_bus (t->svc), topic, bytes.data, bytes.size);
    buf_free (&bytes);
}

void news_state (trainer_t *t, const char *text)
{
    news_publish (t, &(wire_event_t){.kind = WIRE_RUN_STATE, .step = t->done, .text = text});
}

void news_opened (trainer_t *t, wire_phase_t phase, uint64_t step, size_t groups)
{
    wire_part_t metrics[] = {{"groups", (double) groups},
                             {"group_size", (double) t->conf->trainer.group_size},
                             {"steps", (double) t->conf->trainer.steps}};
    news_publish (t, &(wire_event_t){.kind = WIRE_STEP_OPENED,
                                     .step = step,
                                     .phase = phase,
                                     .metrics = metrics,
                                     .metrics_n = 3});
}

void news_published (trainer_t *t)
{
    for (size_t p = 0; p < t->team.policies_n; p++)
        news_publish (t, &(wire_event_t){.kind = WIRE_POLICY_PUBLISHED,
                                         .step = t->done,
                                         .version = t->team.policies[p]->version});
}

void news_metrics (trainer_t *t, wire_event_kind_t kind, wire_phase_t phase)
{
    wire_event_t event = {.kind = kind, .step = t->done, .phase = phase};
    event.metrics = metrics_parts (t->metrics, &event.metrics_n);
    news_publish (t, &event);
}

void news_episode (trainer_t *t, wire_phase_t phase, const char *text)
{
    news_publish (
        t,
        &(wire_event_t){.kind = WIRE_EPISODE_SHOWN, .step = t->done, .phase = phase, .text = text});
}

/*  Logged as well: who reads the log later gets what the view said. */
void news_note (trainer_t *t, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    log_warn ("note", "step=%llu text=\"%s\"", (unsigned long long) t->done, text);
    news_publish (t, &(wire_event_t){.kind = WIRE_RUN_NOTE, .step = t->done, .text = text});
}
