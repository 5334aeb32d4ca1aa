/*  news - see news.h */
#include "news.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "stages.h"
#include "svc/event.h"

/*  Every event of a run goes out here, so that each has the run's name, and a topic that ends in
 *  its kind. A listener subscribes to "RUN/" or to one kind of it. */
static void news_publish (trainer_t *t, const wire_event_t *event)
{
    char topic[STORE_RUN_MAX + 48];
    wire_event_t whole = *event;
    whole.run = t->run;
    /* The run id is bounded by STORE_RUN_MAX; the rest is for the longest kind. */
    snprintf (topic, sizeof topic, "%s/%s", t->run, wire_event_name (event->kind));
    event_publish (svc_bus (t->svc), "trainer", topic, &whole);
}

/*  An evaluation has two phases side by side; its state is told under the sampled one. */
void news_state (trainer_t *t, const char *text)
{
    news_publish (
        t, &(wire_event_t){.kind = WIRE_RUN_STATE,
                           .step = t->done,
                           .phase = t->stage == STAGE_EVALUATE ? WIRE_EVAL_SAMPLED : WIRE_TRAIN,
                           .doing = stages_name (t->stage),
                           .text = text});
}

/*  The caller's to free, or json_pack's, which takes it over by "o". */
static json_t *news_list (const conf_list_t *list)
{
    json_t *array = json_array ();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new (array, json_string (list->item[i]));
    return array;
}

/*  What runs here, for who comes late as well: the bus keeps it. */
void news_run (trainer_t *t)
{
    const conf_t *conf = t->conf;
    wire_part_t metrics[] = {{"steps", (double) conf->trainer.steps},
                             {"seed", (double) conf->run.seed},
                             {"groups", (double) conf->trainer.groups},
                             {"group_size", (double) conf->trainer.group_size}};
    /* The objective in words, as the trainer logs it: who watches sees what is being maximised. */
    buf_t objective = {0};
    conf_objective (conf, &objective);
    json_t *what = json_pack ("{s:s, s:s, s:s, s:s, s:o, s:s, s:I, s:I, s:s, s:s, s:s}", "config",
                              args_positional (svc_args (t->svc)), "folder", t->dir, "model",
                              t->team.policies_n ? t->team.rows[0]->path : "", "family",
                              conf->task.family, "roles", news_list (&conf->team.roles), "policies",
                              conf_names_policies (conf) ? "named" : conf->team.policies, "steps",
                              (json_int_t) conf->trainer.steps, "seed", (json_int_t) conf->run.seed,
                              "baseline", conf->run.baseline, "numerics", model_isa (), "objective",
                              objective.data ? objective.data : "");
    /* Without memory the event goes out all the same, with its numbers and no text. */
    char *text = what ? json_dumps (what, JSON_COMPACT) : NULL;
    news_publish (t, &(wire_event_t){.kind = WIRE_RUN_OPENED,
                                     .step = t->done,
                                     .metrics = metrics,
                                     .metrics_n = sizeof metrics / sizeof *metrics,
                                     .text = text});
    free (text);
    json_decref (what);
    buf_free (&objective);
}

/*  Only once: a trainer that fails is closed afterwards, and closing tells that it was stopped. */
void news_end (trainer_t *t, wire_event_kind_t kind, const char *why)
{
    if (!t->told_end)
        news_publish (t, &(wire_event_t){.kind = kind, .step = t->done, .text = why});
    t->told_end = true;
}

/*  With the number of steps as well: a listener that came late can show how far the run is. */
void news_opened (trainer_t *t, wire_phase_t phase, uint64_t step, const round_t *round)
{
    wire_part_t metrics[] = {{"groups", (double) round_waited (round)},
                             {"group_size", (double) round_group_size (round)},
                             {"steps", (double) t->conf->trainer.steps}};
    traces_opened (&t->traces, phase, step);
    news_publish (t, &(wire_event_t){.kind = WIRE_STEP_OPENED,
                                     .step = step,
                                     .phase = phase,
                                     .metrics = metrics,
                                     .metrics_n = 3});
}

/*  By policy, since each has a version and a hash of its own. */
void news_published (trainer_t *t)
{
    for (size_t p = 0; p < t->team.policies_n; p++) {
        const wire_version_t *version = &t->team.policies[p]->version;
        wire_part_t number = {"version", (double) version->number};
        news_publish (t, &(wire_event_t){.kind = WIRE_POLICY_PUBLISHED,
                                         .step = t->done,
                                         .version = *version,
                                         .metrics = &number,
                                         .metrics_n = 1,
                                         .text = version->policy});
    }
}

/*  What the line says, and how long the run will still take, which is no measurement and not
 *  written down. */
void news_metrics (trainer_t *t, wire_event_kind_t kind, wire_phase_t phase)
{
    wire_part_t parts[METRICS_MAX + 1];
    size_t n;
    const wire_part_t *metrics = metrics_parts (t->metrics, &n);
    /* The names still belong to the metrics; the event is packed before the next line begins. */
    memcpy (parts, metrics, n * sizeof *parts);
    double left_s = stages_left_s (t);
    if (isfinite (left_s))
        /* METRICS_MAX + 1 parts leave room for it. NaN, not known yet, is left out: the wire has
           finite numbers only. */
        parts[n++] = (wire_part_t){"eta_s", left_s};
    news_publish (
        t, &(wire_event_t){
               .kind = kind, .step = t->done, .phase = phase, .metrics = parts, .metrics_n = n});
}

/*  The text is the public part of the episode only: see episodes_show. */
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
