/*  prompts - see prompts.h */
#include "watch/prompts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "task/episode.h"

#define PROMPTS_ROLES_MAX 16

/*  The episode at its start: its task, roles and limits, without what was written. The state comes
 *  from a file or the bus: what it lacks, jansson reads as NULL or 0. */
static episode_t *prompts_begin (const json_t *state)
{
    const json_t *roles = json_object_get (state, "roles"),
                 *limits = json_object_get (state, "limits"),
                 *words = json_object_get (state, "prompts"),
                 *parts = json_object_get (state, "sees"),
                 *turns = json_object_get (state, "protocol");
    const char *names[PROMPTS_ROLES_MAX] = {0}, *prompts[PROMPTS_ROLES_MAX],
               *sees[PROMPTS_ROLES_MAX];
    size_t n = json_array_size (roles);
    if (n == 0 || n > PROMPTS_ROLES_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *prompt = json_string_value (json_array_get (words, i)),
                   *part = json_string_value (json_array_get (parts, i));
        if (!(names[i] = json_string_value (json_array_get (roles, i))))
            return NULL;
        prompts[i] = prompt ? prompt : "";
        sees[i] = part ? part : "";
    }
    char *protocol = turns ? json_dumps (turns, JSON_COMPACT) : NULL;
    episode_limits_t l = {
        .tokens = (size_t) json_integer_value (json_object_get (limits, "tokens")),
        .turns = (size_t) json_integer_value (json_object_get (limits, "turns")),
        .cpu_s = json_number_value (json_object_get (limits, "cpu_s")),
        .cpu_total_s = json_number_value (json_object_get (limits, "cpu_total_s")),
        .protocol = protocol,
        .prompts = prompts,
        .sees = sees};
    char *task = json_dumps (json_object_get (state, "task"), JSON_COMPACT);
    episode_t *episode = task ? episode_new (task, names, n, &l, NULL) : NULL;
    free (task);
    free (protocol);
    return episode;
}

/*  NULL: the record has none of this role, and the replay ends there. */
static json_t *prompts_action_of (const json_t *turn, const char *role)
{
    json_t *action;
    size_t i;
    json_array_foreach (json_object_get (turn, "actions"), i, action) {
        const char *name = json_string_value (json_object_get (action, "role"));
        if (name && strcmp (name, role) == 0)
            return action;
    }
    return NULL;
}

/*  A role sees the prompt and acts as the record says, so that the next turn's prompt is what it
 *  was. */
static int prompts_replay_role (episode_t *episode, size_t role, json_t *action)
{
    const char *text = json_string_value (json_object_get (action, "text"));
    buf_t prompt = {0};
    if (!text || episode_observe (episode, role, &prompt, NULL) != 0) {
        buf_free (&prompt);
        return -1;
    }
    if (!json_object_get (action, "prompt"))
        json_object_set_new (action, "prompt", json_stringn (prompt.data, prompt.size));
    buf_free (&prompt);
    episode_action_t act = {.text = text,
                            .size = strlen (text),
                            .tokens =
                                (size_t) json_integer_value (json_object_get (action, "tokens")),
                            .truncated = json_is_true (json_object_get (action, "truncated")),
                            .full = json_is_true (json_object_get (action, "full"))};
    return episode_act (episode, role, &act, NULL);
}

/*  What a program asked stands in the record. */
static int prompts_replay_program (episode_t *episode, const json_t *turn)
{
    json_t *answer = json_pack ("{s:O*}", "observe", json_object_get (turn, "observed"));
    int rc = episode_told (episode, answer, NULL);
    json_decref (answer);
    return rc;
}

/*  What tools found stands in the record. */
static int prompts_replay_tools (episode_t *episode, const json_t *turn)
{
    const json_t *roles = json_object_get (episode_json (episode), "roles");
    const char *tool, *query;
    int rc = 0;
    for (size_t r = 0;
         rc == 0 && (r = episode_tool (episode, r, &tool, &query)) < EPISODE_ROLES_MAX; r++) {
        const char *name = json_string_value (json_array_get (roles, r));
        const json_t *found = json_object_get (json_object_get (turn, "tools"), name);
        const char *verdict = json_string_value (json_object_get (found, "verdict"));
        rc = verdict ? episode_found (episode, r, json_is_true (json_object_get (found, "success")),
                                      json_number_value (json_object_get (found, "quality")),
                                      verdict, NULL)
                     : -1;
    }
    return rc;
}

/*  Turn by turn, as it was played. The first step that fails ends it: later prompts would be made
 *  from another state, so they are left out rather than wrong. */
void prompts_add (json_t *state)
{
    const json_t *roles = json_object_get (state, "roles");
    episode_t *episode = prompts_begin (state);
    json_t *turn;
    size_t t;
    int rc = episode ? 0 : -1;
    json_array_foreach (json_object_get (state, "turns"), t, turn) {
        if (rc == 0 && episode_waits (episode))
            rc = prompts_replay_program (episode, turn);
        for (size_t r = 0; rc == 0 && r < json_array_size (roles); r++) {
            const char *role = json_string_value (json_array_get (roles, r));
            if (episode_acts (episode, r))
                rc = prompts_replay_role (episode, r, prompts_action_of (turn, role));
        }
        if (rc == 0)
            rc = prompts_replay_tools (episode, turn);
        if (rc == 0)
            rc = episode_step (episode, NULL);
        if (rc != 0)
            break;
    }
    episode_destroy (&episode);
}
