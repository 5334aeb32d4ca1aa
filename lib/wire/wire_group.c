/*  wire_group - groups and their results; see wire.h */
#include <string.h>

#include "wire/convert.h"

/*  A role points at its version, so the versions need memory that lives as long: the arena's. */
static Quintet__Role **wire_to_roles (arena_t *arena, const wire_role_t *in, size_t n)
{
    Quintet__Role **list = convert_array (arena, n, sizeof *list);
    Quintet__Role *all = convert_array (arena, n, sizeof *all);
    Quintet__Version *versions = convert_array (arena, n, sizeof *versions);
    for (size_t i = 0; list && all && versions && i < n; i++) {
        versions[i] = convert_to_version (&in[i].version);
        quintet__role__init (&all[i]);
        all[i].name = convert_borrow (in[i].name);
        all[i].version = &versions[i];
        all[i].tokenizer = convert_to_hash (&in[i].tokenizer);
        all[i].n_stops = in[i].stops.n;
        all[i].stops = convert_borrow (in[i].stops.data);
        all[i].n_prefix = in[i].prefix.n;
        all[i].prefix = convert_borrow (in[i].prefix.data);
        all[i].chat = convert_borrow (in[i].chat ? in[i].chat : "");
        all[i].prompt = convert_borrow (in[i].prompt ? in[i].prompt : "");
        all[i].sees = convert_borrow (in[i].sees ? in[i].sees : "");
        all[i].max_tokens = in[i].max_tokens;
        all[i].temperature = in[i].temperature;
        all[i].n_stop_texts = in[i].stop_texts_n;
        all[i].stop_texts = convert_borrow (in[i].stop_texts);
        all[i].next = convert_borrow (in[i].next ? in[i].next : "");
        all[i].engine = convert_borrow (in[i].engine ? in[i].engine : "");
        all[i].system = convert_borrow (in[i].system ? in[i].system : "");
        all[i].context = in[i].context;
        list[i] = &all[i];
    }
    /* The list alone is no sign of success: it may be there while what it should point at is
     * not. */
    return all && versions ? list : NULL;
}

/*  A group says all that it needs to be played, so that any environment can play it. */
void wire_group_pack (const wire_group_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    Quintet__Weights weights = convert_to_weights (&message->weights);
    Quintet__Filter filter;
    Quintet__Group pb = QUINTET__GROUP__INIT;
    pb.run = convert_borrow (message->run);
    pb.phase = (Quintet__Phase) message->phase;
    pb.step = message->step;
    pb.group = message->group;
    pb.seed = message->seed;
    pb.task = convert_borrow (message->task);
    pb.episodes = message->episodes;
    pb.n_roles = message->roles_n;
    pb.roles = wire_to_roles (arena, message->roles, message->roles_n);
    Quintet__Role **judge = wire_to_roles (arena, message->judged_by, message->judged_by ? 1 : 0);
    pb.judged_by = judge && message->judged_by ? judge[0] : NULL;
    pb.filter = convert_to_filter (&message->filter, &filter) ? &filter : NULL;
    pb.max_tokens = message->max_tokens;
    pb.max_turns = message->max_turns;
    pb.weights = &weights;
    pb.command = convert_borrow (message->command ? message->command : "");
    pb.modules = convert_borrow (message->modules ? message->modules : "");
    pb.cpu_s = message->cpu_s;
    pb.cpu_total_s = message->cpu_total_s;
    pb.command_s = message->command_s;
    pb.protocol = convert_borrow (message->protocol ? message->protocol : "");
    pb.judge = convert_borrow (message->judge ? message->judge : "");
    pb.passages = convert_borrow (message->passages ? message->passages : "");
    pb.timeout_s = message->timeout_s;
    pb.cross = message->cross;
    pb.removal = message->removal;
    pb.program = convert_borrow (message->program ? message->program : "");
    pb.program_s = message->program_s;
    convert_finish (pb.roles && judge, &pb.base, &arena, bytes);
}

/*  Stops and prefix go on to the agents as they are, so their ids are checked here; the upper end
 *  is checked by who knows the vocabulary. */
static int wire_from_role (const Quintet__Role *r, double max_tokens, wire_role_t *out, err_t *err)
{
    *out = (wire_role_t){.name = r->name,
                         .stops = {.data = r->stops, .n = r->n_stops},
                         .prefix = {.data = r->prefix, .n = r->n_prefix},
                         .chat = r->chat,
                         .prompt = r->prompt,
                         .sees = r->sees,
                         .max_tokens = r->max_tokens,
                         .temperature = r->temperature,
                         .stop_texts = (const char *const *) r->stop_texts,
                         .stop_texts_n = r->n_stop_texts,
                         .next = r->next,
                         .engine = r->engine,
                         .system = r->system,
                         .context = r->context};
    if (convert_name (r->name, "roles.name", err) != 0 ||
        convert_text (r->chat, "roles.chat", err) != 0 ||
        convert_text (r->prompt, "roles.prompt", err) != 0 ||
        convert_text (r->sees, "roles.sees", err) != 0 ||
        convert_text (r->next, "roles.next", err) != 0 ||
        convert_text (r->engine, "roles.engine", err) != 0 ||
        convert_text (r->system, "roles.system", err) != 0 ||
        convert_range (r->max_tokens, 0, max_tokens, "roles.max_tokens", err) != 0 ||
        convert_range ((double) r->temperature, 0, 1e6, "roles.temperature", err) != 0 ||
        convert_stop_texts (r->stop_texts, r->n_stop_texts, "roles.stop_texts", err) != 0 ||
        convert_count (r->n_stops, LIMIT_PARTS, "roles.stops", err) != 0 ||
        convert_ids (r->stops, r->n_stops, "roles.stops", err) != 0 ||
        convert_ids (r->prefix, r->n_prefix, "roles.prefix", err) != 0 ||
        convert_version (r->version, &out->version, err) != 0 ||
        convert_hash (&r->tokenizer, true, &out->tokenizer, "roles.tokenizer", err) != 0)
        return -1;
    return 0;
}

/*  At least one, since all that is played is played by roles. */
static int wire_from_roles (arena_t *arena, const Quintet__Group *in, wire_group_t *out, err_t *err)
{
    if (in->n_roles == 0)
        return err_set (err, ERR_INPUT, "roles: there are none");
    if (convert_count (in->n_roles, LIMIT_ROLES, "roles", err) != 0)
        return -1;
    wire_role_t *roles = convert_items (arena, in->n_roles, sizeof *roles, "roles", err);
    if (!roles)
        return -1;
    for (size_t i = 0; i < in->n_roles; i++)
        if (wire_from_role (in->roles[i], in->max_tokens, &roles[i], err) != 0)
            return -1;
    out->roles = roles;
    out->roles_n = in->n_roles;
    return 0;
}

/*  An answer of a judge may be longer than any of the team's, and it is none of an engine's. */
static int wire_from_judge (arena_t *arena, const Quintet__Role *in, wire_group_t *out, err_t *err)
{
    if (!in)
        return 0;
    wire_role_t *role = convert_items (arena, 1, sizeof *role, "judged_by", err);
    out->judged_by = role;
    return role && wire_from_role (in, LIMIT_IDS, role, err) == 0 &&
                   convert_range (role->max_tokens, 1, LIMIT_IDS, "judged_by.max_tokens", err) == 0
               ? 0
               : -1;
}

/*  The task is text here: its family reads it, and knows what it must have. */
const wire_group_t *wire_group_unpack (arena_t *arena, const void *data, size_t size, err_t *err)
{
    const Quintet__Group *in = CONVERT_UNPACK (quintet__group, arena, data, size, err);
    wire_group_t *out = in ? convert_items (arena, 1, sizeof *out, "a group", err) : NULL;
    if (!out)
        return NULL;
    *out = (wire_group_t){.run = in->run,
                          .step = in->step,
                          .group = in->group,
                          .seed = in->seed,
                          .task = in->task,
                          .episodes = in->episodes,
                          .max_tokens = in->max_tokens,
                          .max_turns = in->max_turns,
                          .command = in->command,
                          .modules = in->modules,
                          .cpu_s = in->cpu_s,
                          .cpu_total_s = in->cpu_total_s,
                          .command_s = in->command_s,
                          .protocol = in->protocol,
                          .judge = in->judge,
                          .passages = in->passages,
                          .timeout_s = in->timeout_s,
                          .cross = in->cross,
                          .removal = in->removal,
                          .program = in->program,
                          .program_s = in->program_s};
    if (convert_name (in->run, "run", err) != 0 ||
        convert_phase ((int) in->phase, &out->phase, err) != 0 ||
        convert_weights (in->weights, &out->weights, err) != 0 ||
        convert_text (in->command, "command", err) != 0 ||
        convert_text (in->modules, "modules", err) != 0 ||
        convert_text (in->protocol, "protocol", err) != 0 ||
        convert_text (in->judge, "judge", err) != 0 ||
        convert_text (in->passages, "passages", err) != 0 ||
        convert_range (in->cpu_s, 0, 86400, "cpu_s", err) != 0 ||
        convert_range (in->cpu_total_s, 0, 86400, "cpu_total_s", err) != 0 ||
        convert_range (in->command_s, 0, 86400, "command_s", err) != 0 ||
        convert_text (in->program, "program", err) != 0 ||
        convert_range (in->program_s, 0, 86400, "program_s", err) != 0 ||
        convert_filter (in->filter, out->phase, &out->filter, err) != 0 ||
        convert_range (in->max_tokens, 1, LIMIT_IDS, "max_tokens", err) != 0 ||
        convert_range (in->max_turns, 0, LIMIT_TURNS, "max_turns", err) != 0 ||
        convert_range (in->episodes, 1, LIMIT_EPISODES, "episodes", err) != 0 ||
        wire_from_roles (arena, in, out, err) != 0 ||
        wire_from_judge (arena, in->judged_by, out, err) != 0)
        return NULL;
    return out;
}

/*  Prompts stand apart from the episodes, which name them by index: the episodes of a group share
 *  their first one. */
void wire_episodes_pack (const wire_episodes_t *message, buf_t *bytes)
{
    arena_t *arena = arena_new (CONVERT_BUDGET);
    size_t n = message->prompts_n;
    Quintet__Ids **list = convert_array (arena, n, sizeof *list);
    Quintet__Ids *all = convert_array (arena, n, sizeof *all);
    for (size_t i = 0; list && all && i < n; i++) {
        quintet__ids__init (&all[i]);
        all[i].n_ids = message->prompts[i].n;
        all[i].ids = convert_borrow (message->prompts[i].data);
        list[i] = &all[i];
    }
    Quintet__Episodes pb = QUINTET__EPISODES__INIT;
    pb.group = message->group;
    pb.n_prompts = n;
    pb.prompts = list;
    pb.n_episodes = message->episodes_n;
    pb.n_others = message->others_n;
    pb.others = convert_borrow (message->others);
    pb.episodes = convert_to_episodes (arena, message->episodes, message->episodes_n);
    convert_finish (list && all && pb.episodes, &pb.base, &arena, bytes);
}

/*  A completion names its prompt by index, which the trainer follows without looking. */
static int wire_check_completions (const wire_episodes_t *message, err_t *err)
{
    /* A completion without ids has nothing to train on. */
    for (size_t e = 0; e < message->episodes_n; e++)
        for (size_t c = 0; c < message->episodes[e].completions_n; c++) {
            const wire_completion_t *it = &message->episodes[e].completions[c];
            if (it->prompt >= message->prompts_n || it->ids.n == 0)
                return err_set (err, ERR_INPUT,
                                "episode %zu, completion %zu: %zu ids after prompt %u of %zu", e, c,
                                it->ids.n, it->prompt, message->prompts_n);
        }
    return 0;
}

/*  What the trainer trains on. It comes from the store, where another version of an environment, or
 *  a hand, may have put it; the trainer adds checks that need the models (vocabulary, context). */
const wire_episodes_t *wire_episodes_unpack (arena_t *arena, const void *data, size_t size,
                                             err_t *err)
{
    const Quintet__Episodes *in = CONVERT_UNPACK (quintet__episodes, arena, data, size, err);
    wire_episodes_t *out = in ? convert_items (arena, 1, sizeof *out, "episodes", err) : NULL;
    if (!out || convert_count (in->n_prompts, LIMIT_PROMPTS, "prompts", err) != 0)
        return NULL;
    wire_ids_t *prompts = convert_items (arena, in->n_prompts, sizeof *prompts, "prompts", err);
    if (!prompts)
        return NULL;
    for (size_t i = 0; i < in->n_prompts; i++)
        if (convert_ids (in->prompts[i]->ids, in->prompts[i]->n_ids, "prompts.ids", err) != 0)
            return NULL;
    for (size_t i = 0; i < in->n_prompts; i++)
        prompts[i] = (wire_ids_t){.data = in->prompts[i]->ids, .n = in->prompts[i]->n_ids};
    out->group = in->group;
    out->prompts = prompts;
    out->prompts_n = in->n_prompts;
    out->episodes_n = in->n_episodes;
    out->others = in->others;
    out->others_n = in->n_others;
    if (convert_count (in->n_others, LIMIT_EPISODES, "others", err) != 0)
        return NULL;
    for (size_t i = 0; i < in->n_others; i++)
        if (convert_finite (in->others[i], "others", err) != 0)
            return NULL;
    if (convert_episodes (arena, in->episodes, in->n_episodes, &out->episodes, err) != 0 ||
        wire_check_completions (out, err) != 0)
        return NULL;
    return out;
}
