/*  answers - what the replies do to a group. See group.h
 *
 *  Replies come in any order and from anybody. They are only kept until the last one of the turn is
 *  there, and then applied in the order of (episode, role): so nothing of the result can depend on
 *  who was faster.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "text/stops.h"

/*  The sample for an episode. Both lists ascend, so that next only moves forward over a whole
 *  turn. */
static const wire_sample_t *answers_sample_of (const wire_act_reply_t *reply, size_t episode,
                                               size_t *next)
{
    while (*next < reply->samples_n && reply->samples[*next].episode < episode)
        (*next)++;
    return *next < reply->samples_n && reply->samples[*next].episode == episode
               ? &reply->samples[*next]
               : NULL;
}

/*  Weights are compared by hash: a number alone would take those of another life of the run. */
int group_check_version (const wire_version_t *asked, const wire_act_reply_t *reply, err_t *err)
{
    if (strcmp (reply->version.policy, asked->policy) == 0 &&
        reply->version.number == asked->number && hash_equal (&reply->version.hash, &asked->hash))
        return 0;
    return err_set (err, ERR_STALE,
                    "the agent answered under policy %s version %" PRIu64
                    ", asked was %s version %" PRIu64 " (or other weights of that number)",
                    reply->version.policy, reply->version.number, asked->policy, asked->number);
}

/*  One sample for every acting episode, in order, none else, of the version asked for. */
static int answers_check_act (const group_t *group, size_t role, const wire_act_reply_t *reply,
                              err_t *err)
{
    if (group_check_version (&group->message->roles[role].version, reply, err) != 0)
        return -1;
    /* Episodes that have ended, or in which this role does not act, must have no sample. */
    size_t next = 0, expected = 0;
    for (size_t e = 0; e < group->n; e++) {
        if (group->seats[role].prompt_of[e] == NOT_ACTING)
            continue;
        const wire_sample_t *sample = answers_sample_of (reply, e, &next);
        size_t n = sample ? sample->ids.n : 0;
        /* An engine may count otherwise than it was asked to, and has no ids. */
        bool fits = *group->message->roles[role].engine
                        ? sample && n == 0
                        : n > 0 && n <= group_max_tokens (group, role);
        if (!fits)
            return err_set (err, ERR_INTERNAL, "the agent's sample for episode %zu has %zu ids", e,
                            n);
        expected++;
    }
    if (expected != reply->samples_n)
        return err_set (err, ERR_INTERNAL, "the agent answered %zu samples, asked were %zu",
                        reply->samples_n, expected);
    return 0;
}

/*  Roles that do not act have no ask, so the two are not counted alike. */
static size_t answers_role_of_ask (const group_t *group, size_t ask)
{
    size_t r = 0;
    while (!group->seats[r].acts || group->seats[r].ask != ask)
        r++;
    return r;
}

bool group_ask_has (const group_t *group, size_t ask, size_t episode)
{
    if (group->stage == STAGE_ACT)
        return group->seats[answers_role_of_ask (group, ask)].prompt_of[episode] != NOT_ACTING;
    bool uses = group->stage != STAGE_TOOL;
    for (size_t u = 0; !uses && u < group->uses_n; u++)
        uses = group->uses[u].ask == ask && group->uses[u].episode == episode;
    return uses;
}

uint64_t group_decode_us (const group_t *group, size_t ask)
{
    return group->decode_us[ask];
}

/*  Nothing of it is trained on, so nothing goes into the result. */
static int answers_apply_text (const group_t *group, size_t e, size_t role,
                               const wire_sample_t *sample, err_t *err)
{
    const wire_role_t *message = &group->message->roles[role];
    stops_t stops = {message->stop_texts, message->stop_texts_n};
    size_t size = strlen (sample->text);
    bool cut = stops_find (&stops, sample->text, size, &size); /* most servers did so themselves */
    episode_action_t action = {.text = sample->text,
                               .size = size,
                               .tokens = sample->tokens,
                               .truncated = !sample->stopped && !cut};
    return episode_act (group->tables[e].episode, role, &action, err);
}

/*  The ids are what is trained on and go into the result as they came; the text is only what others
 *  read. Both may end where a stop text begins: agents know no text, and a completion is the same
 *  whether it was ended there or cut there afterwards. Whether it ends follows from the ids that
 *  it has by then, so their log-probabilities are those of what was drawn. */
static int answers_apply (group_t *group, size_t e, size_t role, const wire_sample_t *sample,
                          err_t *err)
{
    if (*group->message->roles[role].engine)
        return answers_apply_text (group, e, role, sample, err);
    table_t *table = &group->tables[e];
    seat_t *seat = &group->seats[role];
    const wire_ids_t *prompt = result_prompt_ids (group->result, seat->prompt_of[e]);
    const wire_role_t *message = &group->message->roles[role];
    stops_t stops = {message->stop_texts, message->stop_texts_n};
    size_t n = sample->ids.n;
    buf_t text = {0};
    /* An empty completion is a text of its own, not a missing one. */
    buf_text (&text, "");
    bool cut =
        stops_cut (&stops, seat->tokenizer, prompt->data, prompt->n, sample->ids.data, &n, &text);
    wire_completion_t completion = {.role = (uint32_t) role,
                                    .turn = group->turn,
                                    .prompt = seat->prompt_of[e],
                                    .ids = {.data = sample->ids.data, .n = n},
                                    .logps = sample->logps,
                                    .stopped = sample->stopped || cut};
    episode_action_t action = {
        .text = text.data, .size = text.size, .tokens = n, .truncated = !completion.stopped};
    int rc = buf_check (&text, "a completion", err);
    if (rc == 0 && result_completion (group->result, e, &completion) != 0)
        rc = err_set (err, ERR_LIMIT, "no memory for a completion");
    if (rc == 0)
        rc = episode_act (table->episode, role, &action, err);
    buf_free (&text);
    return rc;
}

/*  All actions of an episode are in before it steps: the roles of a turn do not see each other. */
static int answers_apply_all (group_t *group, err_t *err)
{
    size_t next[EPISODE_ROLES_MAX] = {0};
    for (size_t e = 0; e < group->n; e++) {
        for (size_t r = 0; r < group->message->roles_n; r++) {
            const seat_t *seat = &group->seats[r];
            if (!seat->acts || seat->prompt_of[e] == NOT_ACTING)
                continue;
            const wire_sample_t *sample =
                answers_sample_of (group->replies[seat->ask], e, &next[r]);
            if (answers_apply (group, e, r, sample, err) != 0)
                return err_wrap (err, "episode %zu, role %s", e, group->message->roles[r].name);
        }
    }
    return 0;
}

/*  Every episode that acted, acted in full: the last answer of the turn has come. */
static int answers_step (group_t *group, err_t *err)
{
    for (size_t e = 0; e < group->n; e++)
        if (group->tables[e].acts && episode_step (group->tables[e].episode, err) != 0)
            return err_wrap (err, "episode %zu", e);
    return 0;
}

/*  One line for each episode, empty for one that had ended before. */
static int answers_write_turn (group_t *group, err_t *err)
{
    buf_clear (&group->bytes);
    for (size_t e = 0; e < group->n; e++) {
        table_t *table = &group->tables[e];
        int rc = table->acts ? episode_last_turn (table->episode, &group->bytes, err) : 0;
        buf_char (&group->bytes, '\n');
        if (rc == 0)
            rc = buf_check (&group->bytes, "the turn", err);
        if (rc != 0)
            return err_wrap (err, "episode %zu", e);
    }
    return 0;
}

/*  What fails here is a property of the answers, which were right: everybody would fail with
 *  them. */
static void answers_end_acts (group_t *group)
{
    err_t err = {0};
    if (answers_apply_all (group, &err) != 0)
        group_fail (group, err.code, "turn %u: %s", group->turn, err.text);
    else
        group_use_tools (group);
}

void group_end_turn (group_t *group)
{
    err_t err = {0};
    if (answers_step (group, &err) != 0 || answers_write_turn (group, &err) != 0)
        group_fail (group, err.code, "turn %u: %s", group->turn, err.text);
    else
        group->state = GROUP_STORING;
}

static void answers_end_score (group_t *group)
{
    /* Histories are borrowed; they are written into the result and nowhere kept. */
    result_played_t *played = calloc (group->n, sizeof *played);
    err_t err = {0};
    for (size_t e = 0; played && e < group->n; e++) {
        const episode_t *episode = group->tables[e].episode;
        played[e] = (result_played_t){group->tables[e].history, episode_tokens (episode),
                                      episode_critical_path (episode)};
    }
    buf_clear (&group->bytes);
    int rc = played ? result_write (group->result, group->message->group, played,
                                    group->score->rewards, group->others_n, &group->bytes, &err)
                    : err_set (&err, ERR_LIMIT, "no memory for %zu episodes", group->n);
    if (rc == 0)
        group->state = GROUP_DONE;
    else
        group_fail (group, err.code, "%s", err.text);
    free (played);
}

/*  An answer that is refused leaves the group as it was, and the ask open. */
int group_answer (group_t *group, size_t ask, const void *data, size_t size, err_t *err)
{
    /* One kind at a time: what a turn asks of agents, of tools, and the score at the end. */
    if (group->stage == STAGE_ACT) {
        const wire_act_reply_t *reply = wire_act_reply_unpack (group->arena, data, size, err);
        if (!reply || answers_check_act (group, answers_role_of_ask (group, ask), reply, err) != 0)
            return -1;
        group->replies[ask] = reply;
        group->decode_us[ask] = reply->decode_us;
    } else if (group->stage == STAGE_JUDGE) {
        const wire_act_reply_t *reply = wire_act_reply_unpack (group->arena, data, size, err);
        if (!reply || group_check_judged (group, reply, err) != 0)
            return -1;
        group->asks[ask].answered = true;
        group->decode_us[ask] = reply->decode_us;
        group_end_judging (group, reply);
        return 0;
    } else if (group->stage == STAGE_STEP) {
        if (group_check_told (group, data, size, err) != 0)
            return -1;
        group->asks[ask].answered = true;
        group_end_told (group, data, size);
        return 0;
    } else {
        const wire_score_reply_t *reply = wire_score_reply_unpack (group->arena, data, size, err);
        if (!reply)
            return -1;
        if (group->stage == STAGE_TOOL && group_check_found (group, ask, reply, err) != 0)
            return -1;
        if (group->stage == STAGE_SCORE && reply->rewards_n != group->n + group->others_n)
            return err_set (err, ERR_INTERNAL, "%zu rewards for %zu episodes", reply->rewards_n,
                            group->n + group->others_n);
        *(group->stage == STAGE_TOOL ? &group->found[ask] : &group->score) = reply;
    }
    group->asks[ask].answered = true;
    /* The last one moves the group on. */
    if (--group->unanswered > 0)
        return 0;
    if (group->stage == STAGE_ACT)
        answers_end_acts (group);
    else if (group->stage == STAGE_TOOL)
        group_end_tools (group);
    else
        answers_end_score (group);
    return 0;
}
