/*  wire - see wire.h: acting and scoring. The critic's messages are in wire_critic.c, groups in
 *  wire_group.c, events in wire_event.c. */
#include "wire/wire.h"

#include <string.h>

#include "wire/convert.h"

/*  ---- act ------------------------------------------------------------------------------------ */

static Quintet__Prompt **wire_to_prompts (arena_t *arena, const wire_prompt_t *in, size_t n)
{
    /* protobuf-c wants a list of pointers; the structs lie side by side in the same arena. */
    Quintet__Prompt **list = convert_array (arena, n, sizeof *list);
    Quintet__Prompt *all = convert_array (arena, n, sizeof *all);
    for (size_t i = 0; list && all && i < n; i++) {
        quintet__prompt__init (&all[i]);
        all[i].n_ids = in[i].ids.n;
        all[i].ids = convert_borrow (in[i].ids.data);
        all[i].text = convert_borrow (in[i].text ? in[i].text : "");
        all[i].n_episodes = in[i].episodes_n;
        all[i].episodes = convert_borrow (in[i].episodes);
        list[i] = &all[i];
    }
    return all ? list : NULL;
}

/*  What is borrowed here is written out before the function returns. */
void wire_act_request_pack (const wire_act_request_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__Version version = convert_to_version (&message->version);
    Quintet__Filter filter;
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
    /* A filter that does nothing is left out: a request has one form, and so one id. */
    pb.filter = convert_to_filter (&message->filter, &filter) ? &filter : NULL;
    pb.max_tokens = message->max_tokens;
    pb.n_stops = message->stops.n;
    pb.stops = convert_borrow (message->stops.data);
    pb.goes_on = message->goes_on;
    pb.n_prompts = message->prompts_n;
    pb.prompts = wire_to_prompts (arena, message->prompts, message->prompts_n);
    pb.engine = convert_borrow (message->engine ? message->engine : "");
    pb.system = convert_borrow (message->system ? message->system : "");
    pb.n_stop_texts = message->stop_texts_n;
    pb.stop_texts = convert_borrow (message->stop_texts);
    convert_finish (pb.prompts != NULL, &pb.base, &arena, bytes);
}

/*  An agent uses the episodes as coordinates of random numbers, and answers one sample for each. */
static int wire_from_prompts (arena_t *arena, const Quintet__ActRequest *in,
                              wire_act_request_t *out, err_t *err)
{
    if (convert_count (in->n_prompts, LIMIT_PROMPTS, "prompts", err) != 0)
        return -1;
    /* The count was checked before: memory is only asked for what is allowed. */
    wire_prompt_t *prompts = convert_items (arena, in->n_prompts, sizeof *prompts, "prompts", err);
    if (!prompts)
        return -1;
    for (size_t i = 0; i < in->n_prompts; i++) {
        const Quintet__Prompt *p = in->prompts[i];
        if (convert_ids (p->ids, p->n_ids, "prompts.ids", err) != 0 ||
            convert_count (p->n_episodes, LIMIT_EPISODES, "prompts.episodes", err) != 0)
            return -1;
        /* Both lists stay in protobuf-c's memory, which is the same arena's and lives as long. */
        prompts[i] = (wire_prompt_t){.ids = {.data = p->ids, .n = p->n_ids},
                                     .text = p->text,
                                     .episodes = p->episodes,
                                     .episodes_n = p->n_episodes};
    }
    out->prompts = prompts;
    out->prompts_n = in->n_prompts;
    return 0;
}

/*  What an agent cannot check, since it depends on the model (ids below its vocabulary, a prompt
 *  that fits), it checks when it has the version. */
const wire_act_request_t *wire_act_request_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__ActRequest *in = CONVERT_UNPACK (quintet__act_request, arena, data, size, err);
    wire_act_request_t *out =
        in ? convert_items (arena, 1, sizeof *out, "an act request", err) : NULL;
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
                                .stops = {.data = in->stops, .n = in->n_stops},
                                .engine = in->engine,
                                .system = in->system,
                                .stop_texts = (const char *const *) in->stop_texts,
                                .stop_texts_n = in->n_stop_texts,
                                .goes_on = in->goes_on};
    if (convert_name (in->run, "run", err) != 0 ||
        convert_phase ((int) in->phase, &out->phase, err) != 0 ||
        convert_version (in->version, &out->version, err) != 0 ||
        /* Bounds are not tastes: beyond them code that trusts the message would overflow or
           loop. */
        convert_range ((double) in->temperature, 0, 1e6, "temperature", err) != 0 ||
        convert_filter (in->filter, out->phase, &out->filter, err) != 0 ||
        convert_range (in->max_tokens, 1, LIMIT_IDS, "max_tokens", err) != 0 ||
        /* Behind all roles stands who judges. */
        convert_range (in->role, 0, LIMIT_ROLES, "role", err) != 0 ||
        convert_range (in->turn, 0, LIMIT_TURNS - 1, "turn", err) != 0 ||
        convert_count (in->n_stops, LIMIT_PARTS, "stops", err) != 0 ||
        convert_ids (in->stops, in->n_stops, "stops", err) != 0 ||
        convert_text (in->engine, "engine", err) != 0 ||
        convert_text (in->system, "system", err) != 0 ||
        convert_stop_texts (in->stop_texts, in->n_stop_texts, "stop_texts", err) != 0 ||
        wire_from_prompts (arena, in, out, err) != 0)
        return NULL;
    return out;
}

/*  The version goes along, so that whoever asked can see that no other one has answered. */
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
        /* One number for both lists: they cannot come apart here. */
        all[i].n_ids = all[i].n_logps = s->ids.n;
        all[i].ids = convert_borrow (s->ids.data);
        all[i].logps = convert_borrow (s->logps);
        all[i].stopped = s->stopped;
        all[i].text = convert_borrow (s->text ? s->text : "");
        all[i].tokens = s->tokens;
        list[i] = &all[i];
    }
    Quintet__Version version = convert_to_version (&message->version);
    Quintet__ActReply pb = QUINTET__ACT_REPLY__INIT;
    pb.version = &version;
    pb.n_samples = n;
    pb.samples = list;
    pb.decode_us = message->decode_us;
    convert_finish (list && all, &pb.base, &arena, bytes);
}

/*  Ascending episodes let the environment match samples in one walk; a sample that stands twice
 *  would be trained twice. */
const wire_act_reply_t *wire_act_reply_unpack (arena_t *arena, const void *data, size_t size,
                                               err_t *err)
{
    const Quintet__ActReply *in = CONVERT_UNPACK (quintet__act_reply, arena, data, size, err);
    wire_act_reply_t *out = in ? convert_items (arena, 1, sizeof *out, "an act reply", err) : NULL;
    if (!out || convert_version (in->version, &out->version, err) != 0 ||
        convert_count (in->n_samples, LIMIT_EPISODES, "samples", err) != 0)
        return NULL;
    wire_sample_t *samples = convert_items (arena, in->n_samples, sizeof *samples, "samples", err);
    /* The sample before is read from the message, which has passed this check already. */
    for (size_t i = 0; samples && i < in->n_samples; i++) {
        const Quintet__Sample *s = in->samples[i];
        /* One log-probability for each token, or the importance ratio is of other tokens; or no
         * ids, and a text of so many tokens. */
        if (s->n_ids != s->n_logps || (s->n_ids == 0) == (s->tokens == 0)) {
            err_set (err, ERR_INPUT, "sample %zu: %zu ids, %zu log-probabilities, %u tokens", i,
                     s->n_ids, s->n_logps, s->tokens);
            return NULL;
        }
        if (i > 0 && s->episode <= in->samples[i - 1]->episode) {
            err_set (err, ERR_INPUT, "samples: episode %u comes after %u", s->episode,
                     in->samples[i - 1]->episode);
            return NULL;
        }
        if (convert_ids (s->ids, s->n_ids, "samples.ids", err) != 0 ||
            convert_floats (s->logps, s->n_logps, "samples.logps", err) != 0 ||
            convert_range (s->tokens, 0, LIMIT_IDS, "samples.tokens", err) != 0)
            return NULL;
        samples[i] = (wire_sample_t){.episode = s->episode,
                                     .ids = {.data = s->ids, .n = s->n_ids},
                                     .logps = s->logps,
                                     .stopped = s->stopped,
                                     .text = s->text,
                                     .tokens = s->tokens};
    }
    out->samples = samples;
    out->samples_n = in->n_samples;
    out->decode_us = in->decode_us;
    return samples ? out : NULL;
}

/*  ---- score ---------------------------------------------------------------------------------- */

void wire_score_request_pack (const wire_score_request_t *message, buf_t *bytes)
{
    /* Nothing has to be allocated: every list is borrowed as it is. */
    arena_t *arena = NULL;
    Quintet__Weights weights = convert_to_weights (&message->weights);
    Quintet__ScoreRequest pb = QUINTET__SCORE_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.command = convert_borrow (message->command);
    pb.weights = &weights;
    pb.task = convert_borrow (message->task);
    pb.n_roles = message->roles_n;
    pb.roles = convert_borrow (message->roles);
    pb.max_tokens = message->max_tokens;
    pb.max_turns = message->max_turns;
    /* Absent and empty mean the same; protobuf-c has no NULL for strings. */
    pb.modules = convert_borrow (message->modules ? message->modules : "");
    pb.cpu_s = message->cpu_s;
    pb.cpu_total_s = message->cpu_total_s;
    pb.command_s = message->command_s;
    pb.protocol = convert_borrow (message->protocol ? message->protocol : "");
    pb.tool = convert_borrow (message->tool ? message->tool : "");
    pb.judge = convert_borrow (message->judge ? message->judge : "");
    pb.n_graded = message->graded_n;
    pb.graded = convert_borrow (message->graded);
    pb.n_queries = message->queries ? message->histories_n : 0;
    pb.queries = convert_borrow (message->queries);
    pb.passages = convert_borrow (message->passages ? message->passages : "");
    pb.n_histories = message->histories_n;
    pb.histories = convert_borrow (message->histories);
    convert_finish (true, &pb.base, &arena, bytes);
}

/*  Task and histories are checked by who scores: what is right for them is a matter of the
 *  family. */
const wire_score_request_t *wire_score_request_unpack (arena_t *arena, const void *data,
                                                       size_t size, err_t *err)
{
    const Quintet__ScoreRequest *in =
        CONVERT_UNPACK (quintet__score_request, arena, data, size, err);
    wire_score_request_t *out =
        in ? convert_items (arena, 1, sizeof *out, "a score request", err) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_text (in->command, "command", err) != 0 ||
        convert_text (in->modules, "modules", err) != 0 ||
        convert_text (in->protocol, "protocol", err) != 0 ||
        convert_text (in->tool, "tool", err) != 0 || convert_text (in->judge, "judge", err) != 0 ||
        convert_text (in->passages, "passages", err) != 0 ||
        convert_range (in->cpu_s, 0, 86400, "cpu_s", err) != 0 ||
        convert_range (in->cpu_total_s, 0, 86400, "cpu_total_s", err) != 0 ||
        convert_range (in->command_s, 0, 86400, "command_s", err) != 0 ||
        convert_weights (in->weights, &out->weights, err) != 0 ||
        convert_roles (in->roles, in->n_roles, err) != 0 ||
        convert_range (in->max_tokens, 1, LIMIT_IDS, "max_tokens", err) != 0 ||
        convert_range (in->max_turns, 0, LIMIT_TURNS, "max_turns", err) != 0 ||
        convert_count (in->n_histories, LIMIT_EPISODES, "histories", err) != 0)
        return NULL;
    if (in->n_queries && in->n_queries != in->n_histories) {
        err_set (err, ERR_INPUT, "%zu queries for %zu histories", in->n_queries, in->n_histories);
        return NULL;
    }
    if (in->n_histories ? in->n_graded % in->n_histories != 0 : in->n_graded > 0) {
        err_set (err, ERR_INPUT, "%zu answers of a judge for %zu histories", in->n_graded,
                 in->n_histories);
        return NULL;
    }
    /* Texts and lists stay in the arena, which the caller keeps as long as the message. */
    out->run = in->run;
    out->command = in->command;
    out->task = in->task;
    out->roles = (const char *const *) in->roles;
    out->roles_n = in->n_roles;
    out->max_tokens = in->max_tokens;
    out->max_turns = in->max_turns;
    out->histories = (const char *const *) in->histories;
    out->histories_n = in->n_histories;
    out->modules = in->modules;
    out->cpu_s = in->cpu_s;
    out->cpu_total_s = in->cpu_total_s;
    out->command_s = in->command_s;
    out->protocol = in->protocol;
    out->tool = in->tool;
    out->judge = in->judge;
    out->graded = (const char *const *) in->graded;
    out->graded_n = in->n_graded;
    out->passages = in->passages;
    out->queries = in->n_queries ? (const char *const *) in->queries : NULL;
    return out;
}

/*  Rewards go by place: the first is of the first history that was asked for. */
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
    convert_finish (ok, &pb.base, &arena, bytes);
}

/*  A reward that is no number would poison the mean of its whole group. */
const wire_score_reply_t *wire_score_reply_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__ScoreReply *in = CONVERT_UNPACK (quintet__score_reply, arena, data, size, err);
    wire_score_reply_t *out =
        in ? convert_items (arena, 1, sizeof *out, "a score reply", err) : NULL;
    if (!out || convert_count (in->n_rewards, LIMIT_EPISODES, "rewards", err) != 0)
        return NULL;
    wire_reward_t *rewards = convert_items (arena, in->n_rewards, sizeof *rewards, "rewards", err);
    for (size_t i = 0; rewards && i < in->n_rewards; i++)
        if (convert_reward (arena, in->rewards[i], &rewards[i], err) != 0) {
            err_wrap (err, "reward %zu", i);
            return NULL;
        }
    out->rewards = rewards;
    out->rewards_n = in->n_rewards;
    return rewards ? out : NULL;
}
