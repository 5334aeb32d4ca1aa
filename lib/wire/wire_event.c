/*  wire_event - events and manifests; see wire.h */
#include "wire/convert.h"

/*  In the order of the enum. These names are topics and metrics for other programs, so they
 *  stay. */
const char *wire_event_name (wire_event_kind_t kind)
{
    static const char *const names[WIRE_EVENT_COUNT] = {
        "step.opened",      "group.committed", "episode.shown", "step.done",     "eval.done",
        "policy.published", "service.status",  "run.state",     "group.refused", "group.trouble",
        "run.note",         "run.opened",      "run.failed",    "run.stopped",   "group.traced"};
    return (unsigned) kind < WIRE_EVENT_COUNT ? names[kind] : "unknown";
}

const char *wire_phase_name (wire_phase_t phase)
{
    static const char *const names[WIRE_PHASE_COUNT] = {"train", "eval-sampled", "eval-greedy"};
    return (unsigned) phase < WIRE_PHASE_COUNT ? names[phase] : "unknown";
}

/*  Events are small and often; what is left out is empty. */
void wire_event_pack (const wire_event_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__Version version = convert_to_version (&message->version);
    Quintet__Event pb = QUINTET__EVENT__INIT;
    pb.kind = (Quintet__EventKind) message->kind;
    pb.run = convert_borrow (message->run ? message->run : "");
    pb.step = message->step;
    pb.group = message->group;
    pb.phase = (Quintet__Phase) message->phase;
    pb.version = &version;
    pb.n_metrics = message->metrics_n;
    pb.metrics = convert_to_parts (arena, message->metrics, message->metrics_n);
    pb.text = convert_borrow (message->text ? message->text : "");
    pb.time_us = message->time_us;
    pb.service = convert_borrow (message->service ? message->service : "");
    pb.host = convert_borrow (message->host ? message->host : "");
    pb.pid = message->pid;
    pb.program = convert_borrow (message->program ? message->program : "");
    pb.doing = convert_borrow (message->doing ? message->doing : "");
    convert_finish (pb.metrics != NULL, &pb.base, &arena, bytes);
}

const wire_event_t *wire_event_unpack (arena_t *arena, const void *data, size_t size, err_t *err)
{
    const Quintet__Event *in = CONVERT_UNPACK (quintet__event, arena, data, size, err);
    wire_event_t *out = in ? convert_items (arena, 1, sizeof *out, "an event", err) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_name (in->service, "service", err) != 0 ||
        convert_name (in->host, "host", err) != 0 ||
        convert_name (in->program, "program", err) != 0 ||
        convert_name (in->doing, "doing", err) != 0 ||
        convert_version (in->version, &out->version, err) != 0 ||
        convert_phase ((int) in->phase, &out->phase, err) != 0 ||
        convert_parts (arena, in->metrics, in->n_metrics, false, &out->metrics, err) != 0)
        return NULL;
    /* proto3 delivers numbers that the enum does not have, and the kind is used as an index. */
    if ((unsigned) in->kind >= WIRE_EVENT_COUNT) {
        err_set (err, ERR_INPUT, "an event of unknown kind %d", (int) in->kind);
        return NULL;
    }
    /* Texts are borrowed from the arena. Those without a check of their own are bounded by the
     * message's size. */
    out->kind = (wire_event_kind_t) in->kind;
    out->run = in->run;
    out->step = in->step;
    out->group = in->group;
    out->metrics_n = in->n_metrics;
    out->text = in->text;
    out->time_us = in->time_us;
    out->service = in->service;
    out->host = in->host;
    out->pid = in->pid;
    out->program = in->program;
    out->doing = in->doing;
    return out;
}

/*  What is not there (a delta, a base, an adapter) is a hash of zeros, and is not written. */
void wire_manifest_pack (const wire_manifest_t *message, buf_t *bytes)
{
    Quintet__Version version = convert_to_version (&message->version);
    Quintet__Manifest pb = QUINTET__MANIFEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.version = &version;
    pb.config = convert_to_hash (&message->config);
    pb.tokenizer = convert_to_hash (&message->tokenizer);
    pb.dtype = convert_borrow (message->dtype);
    pb.compute = convert_borrow (message->compute);
    pb.size = message->size;
    pb.retired = message->retired;
    pb.before = convert_to_hash (&message->before);
    pb.delta = convert_to_hash (&message->delta);
    pb.delta_size = message->delta_size;
    pb.base_weights = convert_to_hash (&message->base);
    pb.base_size = message->base_size;
    pb.adapter = convert_to_hash (&message->adapter);
    pb.numerics = convert_borrow (message->numerics ? message->numerics : "");
    convert_pack (&pb.base, bytes);
}

/*  Which of the hashes must be there follows from what an agent fetches first. */
const wire_manifest_t *wire_manifest_unpack (arena_t *arena, const void *data, size_t size,
                                             err_t *err)
{
    const Quintet__Manifest *in = CONVERT_UNPACK (quintet__manifest, arena, data, size, err);
    wire_manifest_t *out = in ? convert_items (arena, 1, sizeof *out, "a manifest", err) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_name (in->dtype, "dtype", err) != 0 ||
        convert_name (in->compute, "compute", err) != 0 ||
        convert_name (in->numerics, "numerics", err) != 0 ||
        convert_version (in->version, &out->version, err) != 0 ||
        convert_hash (&in->config, false, &out->config, "config", err) != 0 ||
        convert_hash (&in->tokenizer, true, &out->tokenizer, "tokenizer", err) != 0 ||
        convert_hash (&in->before, true, &out->before, "before", err) != 0 ||
        convert_hash (&in->delta, true, &out->delta, "delta", err) != 0 ||
        convert_hash (&in->base_weights, true, &out->base, "base", err) != 0 ||
        convert_hash (&in->adapter, true, &out->adapter, "adapter", err) != 0)
        return NULL;
    /* Adapters go on a base and need a configuration of their own: one without the other makes no
     * model. */
    if (hash_is_zero (&out->base) != hash_is_zero (&out->adapter)) {
        err_set (err, ERR_INPUT, "a base and an adapter go together");
        return NULL;
    }
    out->run = in->run;
    out->dtype = in->dtype;
    out->compute = in->compute;
    out->size = in->size;
    out->retired = in->retired;
    out->delta_size = in->delta_size;
    out->base_size = in->base_size;
    out->numerics = in->numerics;
    return out;
}
