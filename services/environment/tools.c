/*  tools - what primitives find, asked of the reward service. See internal.h
 *
 *  A tool is a pure function of the state as its turn began. So all uses of one tool in a turn go
 *  in one request, as a group's episodes go in one when they are scored, and the answer may come
 *  from anybody, again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*  Writes down who uses which tool in this turn; tools, queries: the name of each use, and what it
 *  asks. */
static int tools_gather (group_t *group, const char **tools, const char **queries, err_t *err)
{
    size_t most = group->n * group->message->roles_n;
    free (group->uses);
    group->uses_n = 0;
    group->uses = calloc (most, sizeof *group->uses);
    if (!group->uses)
        return err_set (err, ERR_LIMIT, "no memory for the tools of a turn");
    for (size_t e = 0; e < group->n; e++) {
        const episode_t *episode = group->tables[e].episode;
        size_t role = 0;
        while (group->tables[e].acts &&
               (role = episode_tool (episode, role, &tools[group->uses_n],
                                     &queries[group->uses_n])) < EPISODE_ROLES_MAX)
            group->uses[group->uses_n++] = (use_t){.episode = e, .role = role++};
    }
    return 0;
}

/*  One request for all uses of a tool that have no ask yet. */
static int tools_ask (group_t *group, const char *const *tools, const char *const *queries,
                      const char *tool, err_t *err)
{
    char **histories = calloc (group->uses_n, sizeof *histories), where[80];
    const char **asked = calloc (group->uses_n, sizeof *asked);
    size_t n = 0;
    int rc =
        histories && asked ? 0 : err_set (err, ERR_LIMIT, "no memory for the histories of a turn");
    for (size_t u = 0; rc == 0 && u < group->uses_n; u++) {
        buf_t text = {0};
        if (strcmp (tools[u], tool) != 0)
            continue;
        rc = episode_history (group->tables[group->uses[u].episode].episode, &text, err);
        group->uses[u].ask = group->asks_n;
        group->uses[u].at = n;
        asked[n] = queries[u];
        if (rc == 0 && !(histories[n++] = buf_take (&text)))
            rc = err_set (err, ERR_LIMIT, "no memory for a history");
        buf_free (&text);
    }
    if (rc == 0) {
        wire_score_request_t request = group_score_request (group);
        request.histories = (const char *const *) histories;
        request.histories_n = n;
        request.queries = asked;
        request.tool = tool;
        snprintf (where, sizeof where, "/%u/%.40s", group->turn, tool);
        group_ask_t *ask = group_new_ask (group, "score");
        snprintf (ask->who, sizeof ask->who, "%.60s", tool);
        wire_score_request_pack (&request, &ask->payload);
        group_finish_ask (group, ask, where);
    }
    for (size_t i = 0; histories && i < n; i++)
        free (histories[i]);
    free (histories);
    free (asked);
    return rc;
}

/*  Whether an earlier use is of the same tool. */
static bool tools_asked (const char *const *tools, size_t use)
{
    for (size_t u = 0; u < use; u++)
        if (strcmp (tools[u], tools[use]) == 0)
            return true;
    return false;
}

void group_use_tools (group_t *group)
{
    err_t err = {0};
    /* One more than there are: who looks for the next use writes there before it finds none. */
    size_t most = group->n * group->message->roles_n + 1;
    const char **tools = calloc (most, sizeof *tools), **queries = calloc (most, sizeof *queries);
    int rc = tools && queries ? tools_gather (group, tools, queries, &err)
                              : err_set (&err, ERR_LIMIT, "no memory for the tools of a turn");
    group_forget_asks (group);
    group->stage = STAGE_TOOL;
    for (size_t u = 0; rc == 0 && u < group->uses_n; u++)
        if (!tools_asked (tools, u))
            rc = tools_ask (group, tools, queries, tools[u], &err);
    free (tools);
    free (queries);
    if (rc != 0)
        group_fail (group, err.code, "turn %u: %s", group->turn, err.text);
    else if (group->uses_n == 0)
        group_end_turn (group);
}

int group_check_found (const group_t *group, size_t ask, const wire_score_reply_t *reply,
                       err_t *err)
{
    size_t asked = 0;
    for (size_t u = 0; u < group->uses_n; u++)
        asked += group->uses[u].ask == ask;
    return reply->rewards_n == asked ? 0
                                     : err_set (err, ERR_INTERNAL, "%zu findings for %zu episodes",
                                                reply->rewards_n, asked);
}

/*  All findings are there: the turn ends. */
void group_end_tools (group_t *group)
{
    err_t err = {0};
    int rc = 0;
    for (size_t u = 0; rc == 0 && u < group->uses_n; u++) {
        const use_t *use = &group->uses[u];
        const wire_reward_t *found = &group->found[use->ask]->rewards[use->at];
        rc = episode_found (group->tables[use->episode].episode, use->role, found->success,
                            found->quality, found->verdict, &err);
    }
    if (rc != 0)
        group_fail (group, err.code, "turn %u: %s", group->turn, err.text);
    else
        group_end_turn (group);
}
