/*  asks - the requests of a group. See group.h
 *
 *  In a turn every acting role gets one request for all episodes of the group. Episodes whose
 *  prompts are equal share one: in the first turn that is all of them, and the agent computes the
 *  prompt once for G samples. That grouping follows from the texts alone, so it is the same whoever
 *  plays the group.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "prompt.h"
#include "task/mates.h"

void group_forget_asks (group_t *group)
{
    for (size_t i = 0; i < group->asks_n; i++) {
        buf_free (&group->asks[i].payload);
        group->asks[i] = (group_ask_t){0};
        group->replies[i] = NULL;
    }
    group->asks_n = group->unanswered = 0;
    group->round++;
}

/*  The content's hash is part of the id: should a step be played again under other weights, nobody
 *  answers it from what was kept of the first time. */
void group_finish_ask (group_t *group, group_ask_t *ask, const char *where)
{
    const wire_group_t *m = group->message;
    err_t err = {0};
    /* A request above the limit of a message fails for everybody. */
    if (buf_check (&ask->payload, "a request", &err) != 0) {
        group_fail (group, err.code, "%s: %s", ask->service, err.text);
        return;
    }
    hash_t hash = hash_of (ask->payload.data, ask->payload.size);
    char hex[HASH_HEX_SIZE];
    snprintf (ask->id, sizeof ask->id, "%s/%s/%" PRIu64 "/%" PRIu64 "%s/%s/%.16s", m->run,
              wire_phase_name (m->phase), m->step, m->group, where, ask->service,
              hash_hex (&hash, hex));
}

/*  There are never more asks than roles: the score is asked for alone. */
group_ask_t *group_new_ask (group_t *group, const char *service)
{
    group_ask_t *ask = &group->asks[group->asks_n++];
    *ask = (group_ask_t){.service = service, .turn = group->turn, .payload.max = WIRE_PAYLOAD_MAX};
    group->unanswered++;
    return ask;
}

/*  One distinct prompt of a role's turn. */
typedef struct {
    char *text;
    const wire_completion_t *before; /* that it goes on from; NULL: it begins anew */
    uint32_t index;                  /* in the result */
    uint32_t *episodes;              /* that share it */
    size_t n;
    bool full; /* it leaves no room for an answer: it is not asked */
} shared_t;

/*  The distinct prompt that equals text, or the next free one. G is small, and the first turn's
 *  search ends at its first comparison. What goes on from an episode's own turns is that one's
 *  alone. */
static shared_t *asks_find_shared (shared_t *list, size_t n, const char *text,
                                   const wire_completion_t *before)
{
    size_t i = 0;
    while (i < n && (before || list[i].before || strcmp (list[i].text, text) != 0))
        i++;
    return &list[i];
}

/*  A prompt grows from turn to turn, by what the others wrote or by what the role remembers, and at
 *  some turn the context is full. Tasks whose first prompt does not fit are not played
 *  (task/fit.h), and what a program says is its own affair: such a prompt is asked, and refused by
 *  name. */
static bool asks_is_full (const group_t *group, size_t role, const shared_t *shared, size_t n)
{
    const wire_role_t *r = &group->message->roles[role];
    bool grown = group->turn > 0 && (shared->before || !*group->message->program);
    return grown && r->context > 0 && n + group_max_tokens (group, role) > r->context;
}

/*  The ids of a distinct prompt go into the result, where completions name them by index. */
static int asks_encode (group_t *group, size_t role, shared_t *shared, const buf_t *text,
                        err_t *err)
{
    seat_t *seat = &group->seats[role];
    tokenizer_ids_t ids = {0};
    const wire_role_t *r = &group->message->roles[role];
    int rc = shared->before
                 ? prompt_go_on (seat->tokenizer, r,
                                 result_prompt_ids (group->result, shared->before->prompt),
                                 &shared->before->ids, text->data, text->size, &ids, err)
                 : prompt_encode (seat->tokenizer, r, text->data, text->size, &ids, err);
    if (rc == 0 && ids.n == 0)
        rc = err_set (err, ERR_INPUT, "an empty prompt");
    shared->full = asks_is_full (group, role, shared, ids.n);
    if (rc == 0 && !shared->full &&
        result_prompt (group->result, ids.data, ids.n, &shared->index) != 0)
        rc = err_set (err, ERR_LIMIT, "no memory for a prompt");
    tokenizer_ids_free (&ids);
    return rc;
}

/*  Begins a distinct prompt, the at-th; an engine gets it as it is. */
static int asks_start_shared (group_t *group, size_t role, size_t at, shared_t *shared, buf_t *text,
                              err_t *err)
{
    shared->episodes = calloc (group->n, sizeof *shared->episodes);
    shared->index = (uint32_t) at;
    int rc = shared->episodes ? 0 : err_set (err, ERR_LIMIT, "no memory for a prompt");
    if (rc == 0 && !*group->message->roles[role].engine)
        rc = asks_encode (group, role, shared, text, err);
    shared->text = buf_take (text);
    return rc;
}

static void asks_free_shared (shared_t *shared)
{
    free (shared->text);
    free (shared->episodes);
    *shared = (shared_t){0};
}

/*  What is left of the list when those are gone that are not asked. */
static size_t asks_drop_full (shared_t *list, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].full)
            asks_free_shared (&list[i]);
        else
            list[kept++] = list[i];
    return kept;
}

/*  Fills list with the distinct prompts of a role in this turn. A role whose prompt leaves no room
 *  has acted with that, and its episode goes on: what fits follows from the ids alone. */
static int asks_gather_prompts (group_t *group, size_t role, shared_t *list, size_t *n, err_t *err)
{
    seat_t *seat = &group->seats[role];
    int rc = 0;
    for (size_t e = 0; rc == 0 && e < group->n; e++) {
        episode_t *episode = group->tables[e].episode;
        seat->prompt_of[e] = NOT_ACTING;
        /* Decided by the protocol of the family (task/episode.h), never by what came back first. */
        if (episode_done (episode) || !episode_acts (episode, role))
            continue;
        buf_t text = {0};
        buf_text (&text, "");
        rc = episode_observe (episode, role, &text, err);
        if (rc == 0)
            rc = buf_check (&text, "a prompt", err);
        const wire_completion_t *before =
            *group->message->roles[role].next ? result_last (group->result, e, role) : NULL;
        shared_t *shared = rc == 0 ? asks_find_shared (list, *n, text.data, before) : NULL;
        /* New in this turn. Its text moves into the list; equal ones of other episodes only add
           their number. */
        if (shared == &list[*n]) {
            (*n)++;
            shared->before = before;
            rc = asks_start_shared (group, role, *n - 1, shared, &text, err);
        }
        if (rc == 0 && shared->full) {
            const episode_action_t nothing = {.text = "", .full = true};
            rc = episode_act (episode, role, &nothing, err);
        } else if (rc == 0) {
            shared->episodes[shared->n++] = (uint32_t) e;
            seat->prompt_of[e] = shared->index;
        }
        buf_free (&text);
    }
    return rc;
}

/*  The request names everything that an answer depends on: the version by hash, the coordinates of
 *  the random numbers, the prompts. Nothing in it says who asks, or when.
 *
 *  An evaluation's random numbers leave the step out. All evaluations play the same held-out tasks
 *  in the same order, so the group stands for the task, and two versions differ only where their
 *  weights make them differ. The evaluation of a checkpoint then repeats that of its run. */
static void asks_write_act (group_t *group, size_t role, const shared_t *list, size_t n)
{
    const wire_group_t *m = group->message;
    const wire_role_t *r = &m->roles[role];
    wire_prompt_t *prompts = calloc (n, sizeof *prompts);
    if (!prompts) {
        group_fail (group, ERR_LIMIT, "no memory for a request of %zu prompts", n);
        return;
    }
    bool engine = *r->engine;
    for (size_t i = 0; i < n; i++) {
        prompts[i] = (wire_prompt_t){.episodes = list[i].episodes, .episodes_n = list[i].n};
        /* The ids that were written down, not encoded anew: what is trained on later is what was
           asked. */
        if (engine)
            prompts[i].text = list[i].text;
        else
            prompts[i].ids = *result_prompt_ids (group->result, list[i].index);
    }
    wire_act_request_t request = {.run = m->run,
                                  .version = r->version,
                                  .seed = m->seed,
                                  .phase = m->phase,
                                  .step = m->phase == WIRE_TRAIN ? m->step : 0,
                                  .group = m->group,
                                  .role = (uint32_t) role,
                                  .turn = group->turn,
                                  .temperature = r->temperature,
                                  .filter = m->filter,
                                  .max_tokens = group_max_tokens (group, role),
                                  .stops = r->stops,
                                  .goes_on = *r->next,
                                  .prompts = prompts,
                                  .prompts_n = n,
                                  .engine = r->engine,
                                  .system = r->system,
                                  .stop_texts = r->stop_texts,
                                  .stop_texts_n = engine ? r->stop_texts_n : 0};
    char where[160];
    snprintf (where, sizeof where, "/%u/%.100s", group->turn, r->name);
    group->seats[role].ask = group->asks_n;
    group->seats[role].acts = true;
    group_ask_t *ask = group_new_ask (group, "act");
    /* Of a prompt that does not fit, whoever wrote it cannot tell from its length why. */
    snprintf (ask->what, sizeof ask->what, "turn %u, role %.60s%s: ", group->turn + 1, r->name,
              *m->program ? " (told by task.program)" : "");
    snprintf (ask->who, sizeof ask->who, "%.60s", r->name);
    wire_act_request_pack (&request, &ask->payload);
    group_finish_ask (group, ask, where);
    free (prompts);
}

/*  A role that acts in no episode of this turn is not asked. */
static void asks_ask_role (group_t *group, size_t role)
{
    err_t err = {0};
    size_t n = 0;
    shared_t *list = calloc (group->n + 1, sizeof *list);
    int rc = list ? asks_gather_prompts (group, role, list, &n, &err)
                  : err_set (&err, ERR_LIMIT, "no memory for prompts");
    n = asks_drop_full (list, n);
    group->seats[role].acts = false;
    if (rc != 0)
        group_fail (group, err.code, "turn %u, role %s: %s", group->turn,
                    group->message->roles[role].name, err.text);
    else if (n)
        asks_write_act (group, role, list, n);
    /* The request has copied what it needs. */
    for (size_t i = 0; list && i < n; i++)
        asks_free_shared (&list[i]);
    free (list);
}

/*  Which episodes act is written down before anybody is asked: answers are matched with it, and an
 *  episode that ends in this turn still had one. */
void group_begin_turn (group_t *group)
{
    group_forget_asks (group);
    group->state = GROUP_ASKING;
    group->stage = STAGE_ACT;
    for (size_t e = 0; e < group->n; e++)
        group->tables[e].acts = !episode_done (group->tables[e].episode);
    for (size_t r = 0; r < group->message->roles_n && group->state == GROUP_ASKING; r++)
        asks_ask_role (group, r);
    if (group->state == GROUP_ASKING && group->asks_n == 0)
        group_use_tools (group);
}

/*  Teams that were not played, for credit: put together from what was said, and scored with the
 *  rest, in the one request whose answer is the group's. */
static int asks_write_others (group_t *group, const char *const *histories, err_t *err)
{
    const mates_t which = {.cross = group->message->cross, .removal = group->message->removal};
    size_t roles = group->message->roles_n;
    mates_teams_t teams;
    if (mates_teams (&which, roles, group->n, &teams, err) != 0)
        return -1;
    group->others = calloc (teams.n + 1, sizeof *group->others);
    group->others_n = group->others ? teams.n : 0;
    int rc = group->others
                 ? mates_write (&teams, group->roles, histories, group->n, group->others, err)
                 : err_set (err, ERR_LIMIT, "no memory for %zu teams", teams.n);
    mates_free (&teams);
    return rc;
}

/*  What an episode had said, for its score and for the result. */
static int asks_keep_history (table_t *table, err_t *err)
{
    buf_t text = {0};
    int rc = episode_history (table->episode, &text, err);
    free (table->history);
    table->history = buf_take (&text);
    if (rc == 0 && !table->history)
        rc = err_set (err, ERR_LIMIT, "no memory for a history");
    return rc;
}

const char **group_histories (group_t *group, err_t *err)
{
    const char **histories = calloc (group->n, sizeof *histories), **all = NULL;
    int rc = histories ? 0 : err_set (err, ERR_LIMIT, "no memory for %zu episodes", group->n);
    for (size_t e = 0; rc == 0 && e < group->n; e++) {
        rc = asks_keep_history (&group->tables[e], err);
        histories[e] = group->tables[e].history;
    }
    if (rc == 0 && (group->others || asks_write_others (group, histories, err) == 0) &&
        !(all = realloc (histories, (group->n + group->others_n) * sizeof *all)))
        err_set (err, ERR_LIMIT, "no memory for %zu histories", group->n + group->others_n);
    if (!all)
        free (histories);
    for (size_t k = 0; all && k < group->others_n; k++)
        all[group->n + k] = group->others[k];
    return all;
}

/*  The task with its hidden checks goes with these requests and no others, once for the whole
 *  group. */
wire_score_request_t group_score_request (const group_t *group)
{
    const wire_group_t *m = group->message;
    return (wire_score_request_t){.run = m->run,
                                  .command = m->command,
                                  .weights = m->weights,
                                  .task = m->task,
                                  .roles = group->roles,
                                  .roles_n = m->roles_n,
                                  .max_tokens = m->max_tokens,
                                  .max_turns = m->max_turns,
                                  .modules = m->modules,
                                  .cpu_s = m->cpu_s,
                                  .cpu_total_s = m->cpu_total_s,
                                  .command_s = m->command_s,
                                  .protocol = m->protocol,
                                  .judge = m->judge,
                                  .passages = m->passages};
}

void group_ask_score (group_t *group)
{
    err_t err = {0};
    const char **histories = group_histories (group, &err);
    if (!histories) {
        group_fail (group, err.code, "%s", err.text);
        return;
    }
    wire_score_request_t request = group_score_request (group);
    request.histories = histories;
    request.histories_n = group->n + group->others_n;
    request.graded = (const char *const *) group->graded;
    request.graded_n = group->graded_n;
    group_forget_asks (group);
    group->state = GROUP_ASKING;
    group->stage = STAGE_SCORE;
    group_ask_t *ask = group_new_ask (group, "score");
    wire_score_request_pack (&request, &ask->payload);
    group_finish_ask (group, ask, "");
    free (histories);
}
