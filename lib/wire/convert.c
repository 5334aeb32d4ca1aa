/*  convert - see convert.h
 *
 *  Every check names the field, as the schema calls it, and what is wrong with it: a refusal is
 *  read by people who see one line of a log. Checks are made where a message comes in and nowhere
 *  else; what wire has given out may be used as an index, a count or a size without another look.
 */
#include "wire/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*  Packed apart and then appended: protobuf-c writes into memory of a known size, and the buffer
 *  may have to grow, or to refuse for its own limit. */
void convert_pack (const ProtobufCMessage *message, buf_t *bytes)
{
    size_t size = protobuf_c_message_get_packed_size (message);
    uint8_t *packed = malloc (size + 1);
    if (!packed) {
        bytes->failed = true;
        return;
    }
    protobuf_c_message_pack (message, packed);
    buf_append (bytes, packed, size);
    free (packed);
}

/*  protobuf-c frees what it could not finish; the arena frees everything at once, later. */
static void *convert_allocate (void *arena, size_t size)
{
    return arena_alloc (arena, size);
}

static void convert_leave (void *arena, void *data)
{
    (void) arena;
    (void) data;
}

/*  protobuf-c turns a megabyte on the wire into tens of megabytes of memory: the arena's budget
 *  bounds that. Depth is bounded by the schemas, which have no recursive type. */
ProtobufCMessage *convert_unpack (const ProtobufCMessageDescriptor *descriptor, arena_t *arena,
                                  const void *data, size_t size, err_t *err)
{
    ProtobufCAllocator allocator = {
        .alloc = convert_allocate, .free = convert_leave, .allocator_data = arena};
    ProtobufCMessage *message =
        /* Results are read from Redis, where they may be longer than a message of the bus. */
        size > WIRE_PAYLOAD_MAX * 4u
            ? NULL
            : protobuf_c_message_unpack (descriptor, &allocator, size, (const uint8_t *) data);
    /* Whether the machine has no memory or the message asks for too much: the first may pass,
       the second never does, and a group would be given up for it. */
    if (!message && arena && arena_starved (arena))
        err_set (err, ERR_LIMIT, "no memory for a %s of %zu bytes", descriptor->short_name, size);
    else if (!message)
        err_set (err, ERR_INPUT, "%zu bytes are no %s, or need more memory than is allowed", size,
                 descriptor->short_name);
    return message;
}

/*  Zeros, and never of size 0: a NULL means that there was no memory. */
void *convert_array (arena_t *arena, size_t n, size_t size)
{
    void *array = arena ? arena_alloc (arena, (n ? n : 1) * size) : NULL;
    return array ? memset (array, 0, (n ? n : 1) * size) : NULL;
}

void *convert_items (arena_t *arena, size_t n, size_t size, const char *field, err_t *err)
{
    void *array = convert_array (arena, n, size);
    if (!array && (!arena || arena_starved (arena)))
        err_set (err, ERR_LIMIT, "%s: no memory for %zu", field, n);
    else if (!array)
        err_set (err, ERR_INPUT, "%s: %zu need more memory than is allowed", field, n);
    return array;
}

/*  One place for the end of every pack function: the arena goes in any case, and a failure shows
 *  in the buffer, which its owner looks at. */
void convert_finish (bool ok, const ProtobufCMessage *message, arena_t **arena, buf_t *bytes)
{
    if (ok)
        convert_pack (message, bytes);
    else
        bytes->failed = true;
    arena_destroy (arena);
}

/*  Counts are checked before anything of their size is allocated. */
int convert_count (size_t n, size_t most, const char *field, err_t *err)
{
    if (n > most)
        return err_set (err, ERR_INPUT, "%s: %zu items, at most %zu are allowed", field, n, most);
    return 0;
}

/*  Names become keys, topics and file names; texts are only shown. */
int convert_name (const char *text, const char *field, err_t *err)
{
    if (strlen (text) > LIMIT_NAME)
        return err_set (err, ERR_INPUT, "%s: a name has at most %u bytes", field, LIMIT_NAME);
    return 0;
}

/*  For what people write, such as a command or a verdict: long enough for them, and bounded.
 *  Protobuf strings end at a byte 0, so strlen is their size. */
int convert_text (const char *text, const char *field, err_t *err)
{
    if (strlen (text) > LIMIT_TEXT)
        return err_set (err, ERR_INPUT, "%s: more than %u bytes", field, LIMIT_TEXT);
    return 0;
}

int convert_stop_texts (char *const *texts, size_t n, const char *field, err_t *err)
{
    if (convert_count (n, LIMIT_STOP_TEXTS, field, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (convert_text (texts[i], field, err) != 0)
            return -1;
        else if (!*texts[i])
            return err_set (err, ERR_INPUT, "%s: an empty one would end everything", field);
    return 0;
}

/*  Counts come as doubles, too: every 32-bit number is exact as one. */
int convert_range (double value, double low, double high, const char *field, err_t *err)
{
    if (!(value >= low && value <= high)) /* NaN is in no range */
        return err_set (err, ERR_INPUT, "%s: %g is not between %g and %g", field, value, low, high);
    return 0;
}

int convert_ids (const int32_t *ids, size_t n, const char *field, err_t *err)
{
    if (convert_count (n, LIMIT_IDS, field, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        /* The upper end depends on the model: who knows the vocabulary checks it. */
        if (ids[i] < 0)
            return err_set (err, ERR_INPUT, "%s: %d is no token", field, ids[i]);
    return 0;
}

/*  The names of a team's seats. Other fields hold indexes into this list, so an empty one would
 *  leave nothing that they could mean. */
int convert_roles (char *const *names, size_t n, err_t *err)
{
    if (n == 0)
        return err_set (err, ERR_INPUT, "roles: there are none");
    if (convert_count (n, LIMIT_ROLES, "roles", err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (convert_name (names[i], "roles", err) != 0)
            return -1;
    return 0;
}

/*  For what is summed or compared later: one NaN in a sum makes all of it NaN, and nobody sees
 *  where it came from. */
int convert_finite (double value, const char *field, err_t *err)
{
    return isfinite (value) ? 0 : err_set (err, ERR_INPUT, "%s: not a finite number", field);
}

int convert_floats (const float *values, size_t n, const char *field, err_t *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite (values[i]))
            return err_set (err, ERR_INPUT, "%s: number %zu is not finite", field, i);
    return 0;
}

/*  Zero stands for "none", and travels as no bytes at all. */
int convert_hash (const ProtobufCBinaryData *in, bool may_be_empty, hash_t *out, const char *field,
                  err_t *err)
{
    *out = (hash_t){{0}};
    if (in->len == 0 && may_be_empty)
        return 0;
    if (in->len != HASH_SIZE)
        return err_set (err, ERR_INPUT, "%s: a hash has %d bytes, not %zu", field, HASH_SIZE,
                        in->len);
    memcpy (out->bytes, in->data, HASH_SIZE);
    return 0;
}

/*  proto3 delivers numbers that the enum does not have. */
int convert_phase (int in, wire_phase_t *out, err_t *err)
{
    if (in < 0 || in >= WIRE_PHASE_COUNT)
        return err_set (err, ERR_INPUT, "phase: %d is unknown", in);
    *out = (wire_phase_t) in;
    return 0;
}

int convert_version (const Quintet__Version *in, wire_version_t *out, err_t *err)
{
    if (!in)
        return err_set (err, ERR_INPUT, "version: is missing");
    /* The hash may be missing: an event that tells of a number has none. */
    *out = (wire_version_t){.policy = in->policy, .number = in->number};
    if (convert_name (in->policy, "version.policy", err) != 0)
        return -1;
    return convert_hash (&in->hash, true, &out->hash, "version.hash", err);
}

/*  Log-probabilities are of the whole vocabulary, whatever was drawn from. An importance ratio of
 *  tokens that a filter chose would be wrong in silence. */
int convert_filter (const Quintet__Filter *in, wire_phase_t phase, wire_filter_t *out, err_t *err)
{
    *out = (wire_filter_t){0};
    if (!in)
        return 0;
    *out = (wire_filter_t){.top_k = in->top_k,
                           .top_p = in->top_p,
                           .min_p = in->min_p,
                           .repetition_penalty = in->repetition_penalty};
    Quintet__Filter none;
    if (phase == WIRE_TRAIN && convert_to_filter (out, &none))
        return err_set (err, ERR_INPUT,
                        "filter: training samples from the whole vocabulary, evaluations alone may "
                        "have top_k, top_p, min_p or repetition_penalty");
    return convert_range ((double) in->top_p, 0, 1, "filter.top_p", err) == 0 &&
                   convert_range ((double) in->min_p, 0, 1, "filter.min_p", err) == 0 &&
                   convert_range ((double) in->repetition_penalty, 0, 100,
                                  "filter.repetition_penalty", err) == 0
               ? 0
               : -1;
}

/*  A weight below 0 would turn a cost into a gain, so it is refused rather than passed on. */
int convert_weights (const Quintet__Weights *in, wire_weights_t *out, err_t *err)
{
    if (!in)
        return err_set (err, ERR_INPUT, "weights: are missing");
    *out = (wire_weights_t){.quality = in->quality, .speed = in->speed, .cost = in->cost};
    const double list[] = {in->quality, in->speed, in->cost};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (convert_range (list[i], 0, 1e6, "weights", err) != 0)
            return -1;
    return 0;
}

/*  The names stay where protobuf-c put them, in the same arena; only the list of them is ours. */
int convert_parts (arena_t *arena, Quintet__Part *const *in, size_t n, bool measured,
                   const wire_part_t **out, err_t *err)
{
    if (convert_count (n, LIMIT_PARTS, "parts", err) != 0)
        return -1;
    wire_part_t *parts = convert_items (arena, n, sizeof *parts, "parts", err);
    if (!parts)
        return -1;
    for (size_t i = 0; i < n; i++) {
        /* Events may have values that were not measured, which travel as NaN; a reward may not. */
        if (convert_name (in[i]->name, "parts.name", err) != 0 ||
            (measured && convert_finite (in[i]->value, in[i]->name, err) != 0))
            return -1;
        parts[i] = (wire_part_t){.name = in[i]->name, .value = in[i]->value};
    }
    *out = parts;
    return 0;
}

/*  All that goes into a group's statistics is checked to be finite; success is a bool and can be
 *  nothing else. */
int convert_reward (arena_t *arena, const Quintet__Reward *in, wire_reward_t *out, err_t *err)
{
    if (!in)
        return err_set (err, ERR_INPUT, "reward: is missing");
    *out = (wire_reward_t){.reward = in->reward,
                           .quality = in->quality,
                           .speed = in->speed,
                           .cost = in->cost,
                           .success = in->success,
                           .agreement = in->agreement,
                           .success_unknown = in->success_unknown,
                           .agreement_unknown = in->agreement_unknown,
                           .unscored = in->unscored,
                           .parts_n = in->n_parts,
                           .local_n = in->n_local,
                           .verdict = in->verdict};
    const double list[] = {in->reward, in->quality, in->speed, in->cost, in->agreement};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (convert_finite (list[i], "reward", err) != 0)
            return -1;
    if (convert_text (in->verdict, "reward.verdict", err) != 0)
        return -1;
    return convert_parts (arena, in->parts, in->n_parts, true, &out->parts, err) != 0 ||
                   convert_parts (arena, in->local, in->n_local, true, &out->local, err) != 0
               ? -1
               : 0;
}

/*  Ids and log-probabilities stay where protobuf-c put them, in the same arena: they are most of a
 *  result. */
static int convert_completions (arena_t *arena, const Quintet__Episode *in, wire_episode_t *out,
                                err_t *err)
{
    if (convert_count (in->n_completions, LIMIT_ROLES * LIMIT_TURNS, "completions", err) != 0)
        return -1;
    wire_completion_t *list =
        convert_items (arena, in->n_completions, sizeof *list, "completions", err);
    if (!list)
        return -1;
    for (size_t i = 0; i < in->n_completions; i++) {
        const Quintet__Completion *c = in->completions[i];
        if (convert_ids (c->ids, c->n_ids, "completions.ids", err) != 0 ||
            convert_range (c->role, 0, LIMIT_ROLES - 1, "completions.role", err) != 0 ||
            convert_range (c->turn, 0, LIMIT_TURNS - 1, "completions.turn", err) != 0)
            return -1;
        /* As in a reply of the agent: it is checked again, since this comes out of Redis. */
        if (c->n_ids != c->n_logps)
            return err_set (err, ERR_INPUT, "completions: %zu ids but %zu log-probabilities",
                            c->n_ids, c->n_logps);
        if (convert_floats (c->logps, c->n_logps, "completions.logps", err) != 0)
            return -1;
        list[i] = (wire_completion_t){.role = c->role,
                                      .turn = c->turn,
                                      .prompt = c->prompt,
                                      .ids = {.data = c->ids, .n = c->n_ids},
                                      .logps = c->logps,
                                      .stopped = c->stopped};
    }
    out->completions = list;
    out->completions_n = in->n_completions;
    return 0;
}

/*  An error names the episode by its place: a group has many, and the field alone would not tell
 *  which. */
int convert_episodes (arena_t *arena, Quintet__Episode *const *in, size_t n,
                      const wire_episode_t **out, err_t *err)
{
    if (convert_count (n, LIMIT_EPISODES, "episodes", err) != 0)
        return -1;
    wire_episode_t *list = convert_items (arena, n, sizeof *list, "episodes", err);
    if (!list)
        return -1;
    for (size_t i = 0; i < n; i++) {
        /* Not read here: the environment wrote it as JSON, and who wants to know what it says
           parses it. */
        list[i].history = in[i]->history;
        list[i].tokens = in[i]->tokens;
        list[i].critical_path = in[i]->critical_path;
        if (convert_reward (arena, in[i]->reward, &list[i].reward, err) != 0 ||
            convert_completions (arena, in[i], &list[i], err) != 0)
            return err_wrap (err, "episode %zu", i);
    }
    *out = list;
    return 0;
}

/*  The counterpart of convert_hash: a hash of zeros is not written. */
ProtobufCBinaryData convert_to_hash (const hash_t *in)
{
    if (hash_is_zero (in))
        return (ProtobufCBinaryData){0};
    return (ProtobufCBinaryData){.len = HASH_SIZE, .data = convert_borrow (in->bytes)};
}

/*  By value: it borrows its texts, and lives as long as the message that is being packed. */
Quintet__Version convert_to_version (const wire_version_t *in)
{
    Quintet__Version out = QUINTET__VERSION__INIT;
    out.policy = convert_borrow (in->policy ? in->policy : "");
    out.number = in->number;
    out.hash = convert_to_hash (&in->hash);
    return out;
}

/*  Whether the filter does anything. convert_filter asks the same of what it receives, so that both
 *  ends agree on what counts as none. */
bool convert_to_filter (const wire_filter_t *in, Quintet__Filter *out)
{
    quintet__filter__init (out);
    out->top_k = in->top_k;
    out->top_p = in->top_p;
    out->min_p = in->min_p;
    out->repetition_penalty = in->repetition_penalty;
    /* NaN, which is no number, counts as something: the receiver refuses it. */
    return in->top_k > 0 || !(in->top_p <= 0 && in->top_p >= 0) ||
           !(in->min_p <= 0 && in->min_p >= 0) ||
           !(in->repetition_penalty <= 0 && in->repetition_penalty >= 0);
}

Quintet__Weights convert_to_weights (const wire_weights_t *in)
{
    Quintet__Weights out = QUINTET__WEIGHTS__INIT;
    out.quality = in->quality;
    out.speed = in->speed;
    out.cost = in->cost;
    return out;
}

/*  protobuf-c wants a list of pointers to structs; both arrays come from the arena, and go with
 *  it. */
Quintet__Part **convert_to_parts (arena_t *arena, const wire_part_t *in, size_t n)
{
    Quintet__Part **list = convert_array (arena, n, sizeof *list);
    Quintet__Part *parts = convert_array (arena, n, sizeof *parts);
    if (!list || !parts)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        quintet__part__init (&parts[i]);
        parts[i].name = convert_borrow (in[i].name);
        parts[i].value = in[i].value;
        list[i] = &parts[i];
    }
    return list;
}

/*  Nothing is checked on the way out: whoever receives it does, and it may have been written by
 *  another program anyway. */
Quintet__Reward *convert_to_reward (arena_t *arena, const wire_reward_t *in)
{
    Quintet__Reward *out = convert_array (arena, 1, sizeof *out);
    Quintet__Part **parts = convert_to_parts (arena, in->parts, in->parts_n);
    Quintet__Part **local = convert_to_parts (arena, in->local, in->local_n);
    if (!out || !parts || !local)
        return NULL;
    quintet__reward__init (out);
    out->reward = in->reward;
    out->quality = in->quality;
    out->speed = in->speed;
    out->cost = in->cost;
    out->success = in->success;
    out->agreement = in->agreement;
    out->success_unknown = in->success_unknown;
    out->agreement_unknown = in->agreement_unknown;
    out->unscored = in->unscored;
    out->n_parts = in->parts_n;
    out->parts = parts;
    out->n_local = in->local_n;
    out->local = local;
    out->verdict = convert_borrow (in->verdict ? in->verdict : "");
    return out;
}

/*  Ids and log-probabilities, most of a result, are borrowed. There is one number for both lists,
 *  as the receiver requires. */
static int convert_to_completions (arena_t *arena, const wire_episode_t *in, Quintet__Episode *out)
{
    Quintet__Completion **list = convert_array (arena, in->completions_n, sizeof *list);
    Quintet__Completion *all = convert_array (arena, in->completions_n, sizeof *all);
    if (!list || !all)
        return -1;
    for (size_t i = 0; i < in->completions_n; i++) {
        const wire_completion_t *c = &in->completions[i];
        quintet__completion__init (&all[i]);
        all[i].role = c->role;
        all[i].turn = c->turn;
        all[i].prompt = c->prompt;
        all[i].n_ids = all[i].n_logps = c->ids.n;
        all[i].ids = convert_borrow (c->ids.data);
        all[i].logps = convert_borrow (c->logps);
        all[i].stopped = c->stopped;
        list[i] = &all[i];
    }
    out->n_completions = in->completions_n;
    out->completions = list;
    return 0;
}

/*  NULL when memory ran out: then nothing is written at all, since a result with fewer episodes
 *  would pass for a whole one. */
Quintet__Episode **convert_to_episodes (arena_t *arena, const wire_episode_t *in, size_t n)
{
    Quintet__Episode **list = convert_array (arena, n, sizeof *list);
    Quintet__Episode *all = convert_array (arena, n, sizeof *all);
    if (!list || !all)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        quintet__episode__init (&all[i]);
        all[i].history = convert_borrow (in[i].history ? in[i].history : "");
        all[i].tokens = in[i].tokens;
        all[i].critical_path = in[i].critical_path;
        all[i].reward = convert_to_reward (arena, &in[i].reward);
        if (!all[i].reward || convert_to_completions (arena, &in[i], &all[i]) != 0)
            return NULL;
        list[i] = &all[i];
    }
    return list;
}
