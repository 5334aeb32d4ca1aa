/*  wire_critic - what trainer and critic say to each other; see wire.h
 *
 *  Transcripts are the only messages that nest three deep (groups, episodes, turns), so they are
 *  written level by level. What was said stands once, and roles as numbers: a step of a long run is
 *  megabytes.
 */
#include "wire/convert.h"

/*  ---- transcripts ---------------------------------------------------------------------------- */

/*  The functions below pack one level each, from the inside out. The caller has the struct, the
 *  list in it comes from the arena. -1 means that memory ran out. */
static Quintet__Said **wire_to_said (arena_t *arena, const wire_said_t *in, size_t n)
{
    Quintet__Said **list = convert_array (arena, n, sizeof *list);
    Quintet__Said *all = convert_array (arena, n, sizeof *all);
    if (!list || !all)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        quintet__said__init (&all[i]);
        all[i].role = in[i].role;
        all[i].text = convert_borrow (in[i].text);
        list[i] = &all[i];
    }
    return list;
}

static int wire_to_turn (arena_t *arena, const wire_turn_t *in, Quintet__Turn *out)
{
    quintet__turn__init (out);
    out->n_said = in->said_n;
    out->said = wire_to_said (arena, in->said, in->said_n);
    out->n_told = in->told_n;
    out->told = wire_to_said (arena, in->told, in->told_n);
    return out->said && out->told ? 0 : -1;
}

static int wire_to_transcript (arena_t *arena, const wire_transcript_t *in,
                               Quintet__Transcript *out)
{
    Quintet__Turn **list = convert_array (arena, in->turns_n, sizeof *list);
    Quintet__Turn *all = convert_array (arena, in->turns_n, sizeof *all);
    if (!list || !all)
        return -1;
    quintet__transcript__init (out);
    for (size_t i = 0; i < in->turns_n; i++) {
        if (wire_to_turn (arena, &in->turns[i], &all[i]) != 0)
            return -1;
        list[i] = &all[i];
    }
    out->n_turns = in->turns_n;
    out->turns = list;
    return 0;
}

static int wire_to_transcripts (arena_t *arena, const wire_transcripts_t *in,
                                Quintet__Transcripts *out)
{
    Quintet__Transcript **list = convert_array (arena, in->episodes_n, sizeof *list);
    Quintet__Transcript *all = convert_array (arena, in->episodes_n, sizeof *all);
    if (!list || !all)
        return -1;
    quintet__transcripts__init (out);
    for (size_t i = 0; i < in->episodes_n; i++) {
        if (wire_to_transcript (arena, &in->episodes[i], &all[i]) != 0)
            return -1;
        list[i] = &all[i];
    }
    /* Brief and names stand once for all episodes of the group. */
    out->brief = convert_borrow (in->brief);
    out->n_roles = in->roles_n;
    out->roles = convert_borrow (in->roles);
    out->n_episodes = in->episodes_n;
    out->episodes = list;
    return 0;
}

/*  The outermost level, for both requests that carry transcripts. */
static Quintet__Transcripts **wire_to_groups (arena_t *arena, const wire_transcripts_t *in,
                                              size_t n)
{
    Quintet__Transcripts **list = convert_array (arena, n, sizeof *list);
    Quintet__Transcripts *all = convert_array (arena, n, sizeof *all);
    if (!list || !all)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (wire_to_transcripts (arena, &in[i], &all[i]) != 0)
            return NULL;
        list[i] = &all[i];
    }
    return list;
}

/*  The role is an index into the group's names, and is used as one by whoever reads this. */
static wire_said_t *wire_from_said (arena_t *arena, Quintet__Said *const *in, size_t n,
                                    size_t roles, const char *field, err_t *err)
{
    if (convert_count (n, LIMIT_ROLES, field, err) != 0)
        return NULL;
    wire_said_t *list = convert_items (arena, n, sizeof *list, field, err);
    for (size_t i = 0; list && i < n; i++) {
        if (in[i]->role >= roles) {
            err_set (err, ERR_INPUT, "%s.role: %u of %zu roles", field, in[i]->role, roles);
            return NULL;
        }
        list[i] = (wire_said_t){.role = in[i]->role, .text = in[i]->text};
    }
    return list;
}

static int wire_from_turn (arena_t *arena, const Quintet__Turn *in, size_t roles, wire_turn_t *out,
                           err_t *err)
{
    *out = (wire_turn_t){.said_n = in->n_said, .told_n = in->n_told};
    out->said = wire_from_said (arena, in->said, in->n_said, roles, "said", err);
    out->told = out->said ? wire_from_said (arena, in->told, in->n_told, roles, "told", err) : NULL;
    return out->told ? 0 : -1;
}

/*  The way back. Each level puts its own place before the error, so that it reads "group 2: episode
 *  5: turn 0: ...". */
static int wire_from_transcript (arena_t *arena, const Quintet__Transcript *in, size_t roles,
                                 wire_transcript_t *out, err_t *err)
{
    if (convert_count (in->n_turns, LIMIT_TURNS, "turns", err) != 0)
        return -1;
    wire_turn_t *list = convert_items (arena, in->n_turns, sizeof *list, "turns", err);
    for (size_t i = 0; list && i < in->n_turns; i++)
        if (wire_from_turn (arena, in->turns[i], roles, &list[i], err) != 0)
            return err_wrap (err, "turn %zu", i);
    *out = (wire_transcript_t){.turns = list, .turns_n = in->n_turns};
    return list ? 0 : -1;
}

static int wire_from_transcripts (arena_t *arena, const Quintet__Transcripts *in,
                                  wire_transcripts_t *out, err_t *err)
{
    if (convert_roles (in->roles, in->n_roles, err) != 0 ||
        convert_count (in->n_episodes, LIMIT_EPISODES, "episodes", err) != 0)
        return -1;
    wire_transcript_t *list = convert_items (arena, in->n_episodes, sizeof *list, "episodes", err);
    for (size_t i = 0; list && i < in->n_episodes; i++)
        if (wire_from_transcript (arena, in->episodes[i], in->n_roles, &list[i], err) != 0)
            return err_wrap (err, "episode %zu", i);
    *out = (wire_transcripts_t){.brief = in->brief,
                                .roles = (const char *const *) in->roles,
                                .roles_n = in->n_roles,
                                .episodes = list,
                                .episodes_n = in->n_episodes};
    return list ? 0 : -1;
}

/*  episodes: of all groups together. */
static const wire_transcripts_t *wire_from_groups (arena_t *arena, Quintet__Transcripts *const *in,
                                                   size_t n, size_t *episodes, err_t *err)
{
    if (convert_count (n, LIMIT_EPISODES, "groups", err) != 0)
        return NULL;
    wire_transcripts_t *list = convert_items (arena, n, sizeof *list, "groups", err);
    *episodes = 0;
    for (size_t i = 0; list && i < n; i++) {
        if (wire_from_transcripts (arena, in[i], &list[i], err) != 0) {
            err_wrap (err, "group %zu", i);
            return NULL;
        }
        /* Each group was counted when it was read. Many groups of allowed sizes may still be too
         * many together, which is looked at below. */
        *episodes += list[i].episodes_n;
    }
    return list && convert_count (*episodes, LIMIT_EPISODES, "episodes", err) == 0 ? list : NULL;
}

/*  ---- value and learn ------------------------------------------------------------------------ */

/*  The state is named by its hash, as a version of a policy is. */
void wire_value_request_pack (const wire_value_request_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__ValueRequest pb = QUINTET__VALUE_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.step = message->step;
    pb.state = convert_to_hash (&message->state);
    pb.n_groups = message->groups_n;
    pb.groups = wire_to_groups (arena, message->groups, message->groups_n);
    convert_finish (pb.groups != NULL, &pb.base, &arena, bytes);
}

const wire_value_request_t *wire_value_request_unpack (arena_t *arena, const void *data,
                                                       size_t size, err_t *err)
{
    size_t episodes;
    const Quintet__ValueRequest *in =
        CONVERT_UNPACK (quintet__value_request, arena, data, size, err);
    wire_value_request_t *out =
        in ? convert_items (arena, 1, sizeof *out, "a value request", err) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_hash (&in->state, false, &out->state, "state", err) != 0)
        return NULL;
    out->run = in->run;
    out->step = in->step;
    out->groups = wire_from_groups (arena, in->groups, in->n_groups, &episodes, err);
    out->groups_n = in->n_groups;
    return out->groups ? out : NULL;
}

/*  Every value carries its coordinates, which the trainer compares with those that it expects
 *  there. */
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
    convert_finish (list && all, &pb.base, &arena, bytes);
}

/*  Whose values these are is compared by the trainer with what it asked for. */
const wire_value_reply_t *wire_value_reply_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__ValueReply *in = CONVERT_UNPACK (quintet__value_reply, arena, data, size, err);
    wire_value_reply_t *out =
        in ? convert_items (arena, 1, sizeof *out, "a value reply", err) : NULL;
    if (!out || convert_count (in->n_values, LIMIT_VALUES, "values", err) != 0)
        return NULL;
    wire_value_t *values = convert_items (arena, in->n_values, sizeof *values, "values", err);
    for (size_t i = 0; values && i < in->n_values; i++) {
        const Quintet__Value *v = in->values[i];
        if (convert_finite (v->value, "values", err) != 0 ||
            convert_range (v->role, 0, LIMIT_ROLES - 1, "values.role", err) != 0 ||
            convert_range (v->turn, 0, LIMIT_TURNS - 1, "values.turn", err) != 0)
            return NULL;
        values[i] = (wire_value_t){v->episode, v->role, v->turn, v->value};
    }
    if (!values)
        return NULL;
    out->values = values;
    out->values_n = in->n_values;
    return out;
}

/*  Without a state the critic begins with one of the shape that is given. */
void wire_learn_request_pack (const wire_learn_request_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__LearnRequest pb = QUINTET__LEARN_REQUEST__INIT;
    pb.run = convert_borrow (message->run);
    pb.step = message->step;
    pb.state = convert_to_hash (&message->state);
    pb.replay = message->replay;
    pb.context = message->context;
    pb.n_groups = message->groups_n;
    pb.groups = wire_to_groups (arena, message->groups, message->groups_n);
    pb.n_returns = message->returns_n;
    pb.returns = convert_borrow (message->returns);
    convert_finish (pb.groups != NULL, &pb.base, &arena, bytes);
}

/*  The shape counts for the first state only; whoever asks has it from a configuration, all of it
 *  in bounds. */
static int wire_check_shape (const Quintet__LearnRequest *in, err_t *err)
{
    return convert_range (in->replay, 1, LIMIT_SHAPE, "replay", err) == 0 &&
                   convert_range (in->context, 1, LIMIT_IDS, "context", err) == 0
               ? 0
               : -1;
}

/*  One return for each episode, counted over all groups: a list that is too short would shift
 *  everything behind the gap. */
const wire_learn_request_t *wire_learn_request_unpack (arena_t *arena, const void *data,
                                                       size_t size, err_t *err)
{
    size_t episodes;
    const Quintet__LearnRequest *in =
        CONVERT_UNPACK (quintet__learn_request, arena, data, size, err);
    wire_learn_request_t *out =
        in ? convert_items (arena, 1, sizeof *out, "a learn request", err) : NULL;
    if (!out || convert_name (in->run, "run", err) != 0 ||
        convert_hash (&in->state, true, &out->state, "state", err) != 0 ||
        wire_check_shape (in, err) != 0)
        return NULL;
    out->groups = wire_from_groups (arena, in->groups, in->n_groups, &episodes, err);
    if (!out->groups)
        return NULL;
    if (episodes != in->n_returns) {
        err_set (err, ERR_INPUT, "%zu episodes but %zu returns", episodes, in->n_returns);
        return NULL;
    }
    /* One return that is not finite would make every value NaN from then on. */
    for (size_t i = 0; i < in->n_returns; i++)
        if (convert_finite (in->returns[i], "returns", err) != 0)
            return NULL;
    out->run = in->run;
    out->step = in->step;
    out->replay = in->replay;
    out->context = in->context;
    out->groups_n = in->n_groups;
    out->returns = in->returns;
    out->returns_n = in->n_returns;
    return out;
}

/*  Numbers and a hash: nothing needs an arena. */
void wire_learn_reply_pack (const wire_learn_reply_t *message, buf_t *bytes)
{
    arena_t *arena = NULL;
    Quintet__LearnReply pb = QUINTET__LEARN_REPLY__INIT;
    pb.state = convert_to_hash (&message->state);
    pb.size = message->size;
    pb.explained_variance = message->explained_variance;
    pb.loss = message->loss;
    convert_finish (true, &pb.base, &arena, bytes);
}

const wire_learn_reply_t *wire_learn_reply_unpack (arena_t *arena, const void *data, size_t size,
                                                   err_t *err)
{
    const Quintet__LearnReply *in = CONVERT_UNPACK (quintet__learn_reply, arena, data, size, err);
    wire_learn_reply_t *out =
        in ? convert_items (arena, 1, sizeof *out, "a learn reply", err) : NULL;
    if (!out || convert_hash (&in->state, false, &out->state, "state", err) != 0 ||
        convert_finite (in->explained_variance, "explained_variance", err) != 0 ||
        convert_finite (in->loss, "loss", err) != 0)
        return NULL;
    out->size = in->size;
    out->explained_variance = in->explained_variance;
    out->loss = in->loss;
    return out;
}
