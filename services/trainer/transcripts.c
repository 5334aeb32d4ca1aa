/*  transcripts - see transcripts.h
 *
 *  Histories are JSON, as the environment wrote them; the critic gets plain structs. All texts are
 *  copied into one arena, since the JSON they come from is gone before the request is packed.
 */
#include "transcripts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TRANSCRIPTS_BUDGET ((size_t) 1 << 30)

/*  At least one element, so that an empty list is no failure. */
static void *transcripts_array (arena_t *arena, size_t n, size_t size)
{
    void *array = arena_alloc (arena, (n ? n : 1) * size);
    return array ? memset (array, 0, (n ? n : 1) * size) : NULL;
}

/*  A string member's text, kept in the arena; NULL: there is none, or no memory. */
static const char *transcripts_text (arena_t *arena, const json_t *object, const char *key)
{
    const json_t *value = json_object_get (object, key);
    if (!json_is_string (value))
        return NULL;
    size_t n = json_string_length (value) + 1;
    char *copy = arena_alloc (arena, n);
    return copy ? memcpy (copy, json_string_value (value), n) : NULL;
}

/*  Roles travel as numbers: their place in the list of the group's roles. -1: there is no such
 *  role, or no text of it. */
static int transcripts_read_said (arena_t *arena, const json_t *object, const char *key,
                                  const char *role, const wire_transcripts_t *group,
                                  wire_said_t *said)
{
    said->text = transcripts_text (arena, object, key);
    while (role && said->role < group->roles_n && strcmp (group->roles[said->role], role) != 0)
        said->role++;
    return role && said->text && said->role < group->roles_n ? 0 : -1;
}

/*  A program that plays the episode tells each role that acts a text. */
static int transcripts_read_told (arena_t *arena, json_t *observed, const wire_transcripts_t *group,
                                  wire_turn_t *out)
{
    wire_said_t *told = transcripts_array (arena, json_object_size (observed), sizeof *told);
    const char *role;
    json_t *text;
    int rc = told ? 0 : -1;
    out->told = told;
    json_object_foreach (observed, role, text)
        if (rc == 0)
            rc = transcripts_read_said (arena, observed, role, role, group, &told[out->told_n++]);
    return rc;
}

static int transcripts_read_turn (arena_t *arena, const json_t *turn,
                                  const wire_transcripts_t *group, wire_turn_t *out)
{
    const json_t *actions = json_object_get (turn, "actions"), *action;
    size_t n = json_array_size (actions), i;
    wire_said_t *said = transcripts_array (arena, n, sizeof *said);
    if (!said || !json_is_array (actions))
        return -1;
    *out = (wire_turn_t){.said = said, .said_n = n};
    json_array_foreach (actions, i, action)
        if (transcripts_read_said (arena, action, "text",
                                   json_string_value (json_object_get (action, "role")), group,
                                   &said[i]) != 0)
            return -1;
    return transcripts_read_told (arena, json_object_get (turn, "observed"), group, out);
}

static int transcripts_read_episode (arena_t *arena, const wire_episode_t *episode,
                                     const wire_transcripts_t *group, wire_transcript_t *out)
{
    /* What the environment wrote came back through Redis and the reward's checks, but not
       through this program: it is read like any other input. */
    json_t *history = json_loads (episode->history, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get (history, "turns"), *turn;
    size_t n = json_array_size (list), i;
    wire_turn_t *turns = transcripts_array (arena, n, sizeof *turns);
    /* A history without turns is an empty list and fine; one that is no list is not. */
    int rc = turns && json_is_array (list) ? 0 : -1;
    json_array_foreach (list, i, turn)
        if (rc == 0)
            rc = transcripts_read_turn (arena, turn, group, &turns[i]);
    *out = (wire_transcript_t){.turns = turns, .turns_n = n};
    json_decref (history);
    return rc;
}

static int transcripts_read_group (arena_t *arena, const wire_episodes_t *episodes,
                                   const char *task, wire_transcripts_t *out, err_t *err)
{
    json_t *json = json_loads (task ? task : "", 0, NULL);
    /* Of the task only the brief: hidden tests must not teach the critic, or its values would
       know more than any role can. */
    /* Where a program says what there is to do, a task need not have one. */
    bool silent = json && !json_is_string (json_object_get (json, "brief"));
    out->brief = silent ? "" : transcripts_text (arena, json, "brief");
    json_decref (json);
    wire_transcript_t *list = transcripts_array (arena, episodes->episodes_n, sizeof *list);
    if (!out->brief)
        return err_set (err, ERR_INPUT, "its task has no brief");
    if (!list)
        return err_set (err, ERR_LIMIT, "no memory for %zu transcripts", episodes->episodes_n);
    for (size_t e = 0; e < episodes->episodes_n; e++)
        if (transcripts_read_episode (arena, &episodes->episodes[e], out, &list[e]) != 0)
            return err_set (err, ERR_INPUT, "the history of episode %zu is none, or too large", e);
    out->episodes = list;
    out->episodes_n = episodes->episodes_n;
    return 0;
}

transcripts_t *transcripts_new (const rollout_t *rollout, const char *const *roles, size_t roles_n,
                                err_t *err)
{
    transcripts_t *t = calloc (1, sizeof *t);
    if (t) {
        t->arena = arena_new (TRANSCRIPTS_BUDGET);
        t->groups = calloc (rollout->groups + 1, sizeof *t->groups);
    }
    int rc = t && t->arena && t->groups ? 0 : err_set (err, ERR_LIMIT, "no memory for transcripts");
    for (size_t g = 0; rc == 0 && g < rollout->groups; g++) {
        /* Dead groups have no episodes, and the critic never hears of them. Groups keep their
           order. */
        if (!rollout->group[g])
            continue;
        t->groups[t->n] = (wire_transcripts_t){.roles = roles, .roles_n = roles_n};
        rc = transcripts_read_group (t->arena, rollout->group[g], rollout->task[g],
                                     &t->groups[t->n++], err);
        if (rc != 0)
            err_wrap (err, "group %zu", g);
    }
    if (rc != 0)
        transcripts_destroy (&t);
    return t;
}

/*  The texts go with the arena; roles are the configuration's. */
void transcripts_destroy (transcripts_t **transcripts)
{
    if (!*transcripts)
        return;
    free ((*transcripts)->groups);
    arena_destroy (&(*transcripts)->arena);
    free (*transcripts);
    *transcripts = NULL;
}
