/*  wire - see wire.h: acting, scoring and the critic. Groups and events are in wire_group.c and
 *  wire_event.c. */
#include "wire/wire.h"

#include <string.h>

#include "wire/convert.h"

/*  Ends a pack function: what could not be built fails the buf, so the caller sees it in one
 *  place. */
static void wire_finish (bool ok, const ProtobufCMessage *message, arena_t **arena, buf_t *bytes)
{
    if (ok)
        convert_pack (message, bytes);
    else
        bytes->failed = true;
    arena_destroy (arena);
}

/*  ---- act ------------------------------------------------------------------------------------ */

static Quintet__Prompt **wire_to_prompts (arena_t *arena, const wire_prompt_t *in, size_t n)
{
    Quintet__Prompt **list = convert_array (arena, n, sizeof *list);
    Quintet__Prompt *all = convert_array (arena, n, sizeof *all);
    for (size_t i = 0; list && all && i < n; i++) {
        quintet__prompt__init (&all[i]);
        all[i].n_ids = in[i].ids.n;
        all[i].ids = convert_borrow (in[i].ids.data);
        all[i].n_episodes = in[i].episodes_n;
        all[i].episodes = convert_borrow (in[i].episodes);
        list[i] = &all[i];
    }
    return all ? list : NULL;
}

void wire_act_request_pack (const wire_act_request_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__Version version = convert_to_version (&message->version);
    Quintet__ActRequest pb = QUINTET__ACT_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.version = &version;
    pb.seed = message->seed;
    pb.phase = (Quintet__Phase) message->phase;
    pb.step = message->step;
    pb.group = message->group;
    pb.role = message->role;
    pb.turn = message->turn;
    pb.temperature = message->temperature;
    pb.max_tokens = message->max_tokens;
    pb.n_stops = message->stops.n;
    pb.stops = convert_borrow (message->stops.data);
    pb.n_prompts = message->prompts_n;
    pb.prompts = wire_to_prompts (arena, message->prompts, message->prompts_n);
    wire_finish (pb.prompts != NULL, &pb.base, &arena, bytes);
}

static int wire_from_prompts (arena_t *arena, const Quintet__ActRequest *in,
                              wire_act_request_t *out, err_t *err)
{
    if (convert_count (in->n_prompts, LIMIT_PROMPTS, "prompts", err) != 0)
        return -1;
    wire_prompt_t *prompts = convert_array (arena, in->n_prompts, sizeof *prompts);
    if (!prompts)
        return err_set (err, ERR_LIMIT, "prompts: no memory for %zu", in->n_prompts);
    for (size_t i = 0; i < in->n_prompts; i++) {
        const Quintet__Prompt *p = in->prompts[i];
        if (convert_count (p->n_ids, LIMIT_IDS, "prompts.ids", err) != 0 ||
            convert_count (p->n_episodes, LIMIT_EPISODES, "prompts.episodes", err) != 0)
            return -1;
        prompts[i] = (wire_prompt_t){.ids = {.data = p->ids, .n = p->n_ids},
                                     .episodes = p->episodes,
                                     .episodes_n = p->n_episodes};
    }
    out->prompts = prompts;
    out->prompts_n = in->n_prompts;
    return 0;
}

const wire_act_request_t *wire_act_request_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__ActRequest *in = CONVERT_UNPACK (quintet__act_request, arena, data, size, err);
    wire_act_request_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out)
        return NULL;
    *out = (wire_act_request_t){.run = in->run,
                                .seed = in->seed,
                                .step = in->step,
                                .group = in->group,
                                .role = in->role,
                                .turn = in->turn,
                                .temperature = in->temperature,
                                .max_tokens = in->max_tokens,
                                .stops = {.data = in->stops, .n = in->n_stops}};
    if (convert_name (in->run, "run", err) != 0 ||
        convert_phase ((int) in->phase, &out->phase, err) != 0 ||
        convert_version (in->version, &out->version, err) != 0 ||
        convert_finite ((double) in->temperature, "temperature", err) != 0 ||
        convert_count (in->n_stops, LIMIT_PARTS, "stops", err) != 0 ||
        wire_from_prompts (arena, in, out, err) != 0)
        return NULL;
    if (in->temperature < 0 || in->max_tokens == 0 || in->max_tokens > LIMIT_IDS) {
        err_set (err, ERR_INPUT, "temperature %g and max_tokens %u: out of range",
                 (double) in->temperature, in->max_tokens);
        return NULL;
    }
    return out;
}

void wire_act_reply_pack (const wire_act_reply_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    size_t n = message->samples_n;
    Quintet__Sample **list = convert_array (arena, n, sizeof *list);
    Quintet__Sample *all = convert_array (arena, n, sizeof *all);
    for (size_t i = 0; list && all && i < n; i++) {
        const wire_sample_t *s = &message->samples[i];
        quintet__sample__init (&all[i]);
        all[i].episode = s->episode;
        all[i].n_ids = all[i].n_logps = s->ids.n;
        all[i].ids = convert_borrow (s->ids.data);
        all[i].logps = convert_borrow (s->logps);
        all[i].stopped = s->stopped;
        list[i] = &all[i];
    }
    Quintet__Version version = convert_to_version (&message->version);
    Quintet__ActReply pb = QUINTET__ACT_REPLY__INIT;
    pb.version = &version;
    pb.n_samples = n;
    pb.samples = list;
    pb.decode_us = message->decode_us;
    wire_finish (list && all, &pb.base, &arena, bytes);
}

const wire_act_reply_t *wire_act_reply_unpack (arena_t *arena, const void *data, size_t size,
                                               err_t *err)
{
    const Quintet__ActReply *in = CONVERT_UNPACK (quintet__act_reply, arena, data, size, err);
    wire_act_reply_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out || convert_version (in->version, &out->version, err) != 0 ||
        convert_count (in->n_samples, LIMIT_EPISODES, "samples", err) != 0)
        return NULL;
    wire_sample_t *samples = convert_array (arena, in->n_samples, sizeof *samples);
    for (size_t i = 0; samples && i < in->n_samples; i++) {
        const Quintet__Sample *s = in->samples[i];
        if (s->n_ids != s->n_logps || s->n_ids == 0) {
            err_set (err, ERR_INPUT, "sample %zu: %zu ids, %zu log-probabilities", i, s->n_ids,
                     s->n_logps);
            return NULL;
        }
        if (convert_floats (s->logps, s->n_logps, "samples.logps", err) != 0)
            return NULL;
        samples[i] = (wire_sample_t){.episode = s->episode,
                                     .ids = {.data = s->ids, .n = s->n_ids},
                                     .logps = s->logps,
                                     .stopped = s->stopped};
    }
    out->samples = samples;
    out->samples_n = in->n_samples;
    out->decode_us = in->decode_us;
    return samples ? out : NULL;
}

/*  ---- score ---------------------------------------------------------------------------------- */

void wire_score_request_pack (const wire_score_request_t *message, buf_t *bytes)
{
    arena_t *arena = NULL;
    Quintet__Weights weights = convert_to_weights (&message->weights);
    Quintet__ScoreRequest pb = QUINTET__SCORE_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.family = convert_borrow (message->family);
    pb.command = convert_borrow (message->command);
    pb.weights = &weights;
    pb.n_states = message->states_n;
    pb.states = convert_borrow (message->states);
    wire_finish (true, &pb.base, &arena, bytes);
}

const wire_score_request_t *wire_score_request_unpack (arena_t *arena, const void *data,
                                                       size_t size, err_t *err)
{
    const Quintet__ScoreRequest *in =
        CONVERT_UNPACK (quintet__score_request, arena, data, size, err);
    wire_score_request_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_name (in->family, "family", err) != 0 ||
        convert_weights (in->weights, &out->weights, err) != 0 ||
        convert_count (in->n_states, LIMIT_EPISODES, "states", err) != 0)
        return NULL;
    out->run = in->run;
    out->family = in->family;
    out->command = in->command;
    out->states = (const char *const *) in->states;
    out->states_n = in->n_states;
    return out;
}

void wire_score_reply_pack (const wire_score_reply_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__Reward **list = convert_array (arena, message->rewards_n, sizeof *list);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < message->rewards_n; i++) {
        list[i] = convert_to_reward (arena, &message->rewards[i]);
        ok = list[i] != NULL;
    }
    Quintet__ScoreReply pb = QUINTET__SCORE_REPLY__INIT;
    pb.n_rewards = message->rewards_n;
    pb.rewards = list;
    wire_finish (ok, &pb.base, &arena, bytes);
}

const wire_score_reply_t *wire_score_reply_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__ScoreReply *in = CONVERT_UNPACK (quintet__score_reply, arena, data, size, err);
    wire_score_reply_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out || convert_count (in->n_rewards, LIMIT_EPISODES, "rewards", err) != 0)
        return NULL;
    wire_reward_t *rewards = convert_array (arena, in->n_rewards, sizeof *rewards);
    for (size_t i = 0; rewards && i < in->n_rewards; i++)
        if (convert_reward (arena, in->rewards[i], &rewards[i], err) != 0)
            return NULL;
    out->rewards = rewards;
    out->rewards_n = in->n_rewards;
    return rewards ? out : NULL;
}

/*  ---- value and learn ------------------------------------------------------------------------ */

void wire_value_request_pack (const wire_value_request_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__ValueRequest pb = QUINTET__VALUE_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.step = message->step;
    pb.state = convert_to_hash (&message->state);
    pb.n_episodes = message->episodes_n;
    pb.episodes = convert_to_episodes (arena, message->episodes, message->episodes_n);
    wire_finish (pb.episodes != NULL, &pb.base, &arena, bytes);
}

const wire_value_request_t *wire_value_request_unpack (arena_t *arena, const void *data,
                                                       size_t size, err_t *err)
{
    const Quintet__ValueRequest *in =
        CONVERT_UNPACK (quintet__value_request, arena, data, size, err);
    wire_value_request_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_hash (&in->state, false, &out->state, "state", err) != 0 ||
        convert_episodes (arena, in->episodes, in->n_episodes, &out->episodes, err) != 0)
        return NULL;
    out->run = in->run;
    out->step = in->step;
    out->episodes_n = in->n_episodes;
    return out;
}

void wire_value_reply_pack (const wire_value_reply_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    size_t n = message->values_n;
    Quintet__Value **list = convert_array (arena, n, sizeof *list);
    Quintet__Value *all = convert_array (arena, n, sizeof *all);
    for (size_t i = 0; list && all && i < n; i++) {
        quintet__value__init (&all[i]);
        all[i].episode = message->values[i].episode;
        all[i].role = message->values[i].role;
        all[i].turn = message->values[i].turn;
        all[i].value = message->values[i].value;
        list[i] = &all[i];
    }
    Quintet__ValueReply pb = QUINTET__VALUE_REPLY__INIT;
    pb.n_values = n;
    pb.values = list;
    wire_finish (list && all, &pb.base, &arena, bytes);
}

const wire_value_reply_t *wire_value_reply_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__ValueReply *in = CONVERT_UNPACK (quintet__value_reply, arena, data, size, err);
    wire_value_reply_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    wire_value_t *values = out ? convert_array (arena, in->n_values, sizeof *values) : NULL;
    for (size_t i = 0; values && i < in->n_values; i++) {
        const Quintet__Value *v = in->values[i];
        if (convert_finite (v->value, "values", err) != 0)
            return NULL;
        values[i] = (wire_value_t){v->episode, v->role, v->turn, v->value};
    }
    if (!values)
        return NULL;
    out->values = values;
    out->values_n = in->n_values;
    return out;
}

void wire_learn_request_pack (const wire_learn_request_t *message, buf_t *bytes)
{
    arena_t *arena = NULL;
    Quintet__LearnRequest pb = QUINTET__LEARN_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.step = message->step;
    pb.state = convert_to_hash (&message->state);
    pb.seed = message->seed;
    pb.width = message->width;
    pb.layers = message->layers;
    pb.heads = message->heads;
    pb.context = message->context;
    pb.lr = message->lr;
    pb.n_states = pb.n_returns = message->states_n;
    pb.states = convert_borrow (message->states);
    pb.returns = convert_borrow (message->returns);
    wire_finish (true, &pb.base, &arena, bytes);
}

const wire_learn_request_t *wire_learn_request_unpack (arena_t *arena, const void *data,
                                                       size_t size, err_t *err)
{
    const Quintet__LearnRequest *in =
        CONVERT_UNPACK (quintet__learn_request, arena, data, size, err);
    wire_learn_request_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_hash (&in->state, true, &out->state, "state", err) != 0 ||
        convert_finite (in->lr, "lr", err) != 0 ||
        convert_count (in->n_states, LIMIT_EPISODES, "states", err) != 0)
        return NULL;
    if (in->n_states != in->n_returns) {
        err_set (err, ERR_INPUT, "%zu states but %zu returns", in->n_states, in->n_returns);
        return NULL;
    }
    for (size_t i = 0; i < in->n_returns; i++)
        if (convert_finite (in->returns[i], "returns", err) != 0)
            return NULL;
    out->run = in->run;
    out->step = in->step;
    out->seed = in->seed;
    out->width = in->width;
    out->layers = in->layers;
    out->heads = in->heads;
    out->context = in->context;
    out->lr = in->lr;
    out->states = (const char *const *) in->states;
    out->returns = in->returns;
    out->states_n = in->n_states;
    return out;
}

void wire_learn_reply_pack (const wire_learn_reply_t *message, buf_t *bytes)
{
    arena_t *arena = NULL;
    Quintet__LearnReply pb = QUINTET__LEARN_REPLY__INIT;
    pb.state = convert_to_hash (&message->state);
    pb.size = message->size;
    pb.explained_variance = message->explained_variance;
    pb.loss = message->loss;
    wire_finish (true, &pb.base, &arena, bytes);
}

const wire_learn_reply_t *wire_learn_reply_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__LearnReply *in = CONVERT_UNPACK (quintet__learn_reply, arena, data, size, err);
    wire_learn_reply_t *out = in ? convert_array (arena, 1, sizeof *out) : NULL;
    if (!out || convert_hash (&in->state, false, &out->state, "state", err) != 0 ||
        convert_finite (in->explained_variance + in->loss, "loss", err) != 0)
        return NULL;
    out->size = in->size;
    out->explained_variance = in->explained_variance;
    out->loss = in->loss;
    return out;
}
