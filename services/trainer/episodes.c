/*  episodes - see episodes.h */
#include "episodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "news.h"
#include "task/episode.h"
#include "tokens.h"

#define EPISODES     "episodes.jsonl"
#define EPISODES_MAX ((size_t) 1 << 30)
#define SHOWN_MAX    ((size_t) 64 << 10) /* an event's payload stays small */

/*  What a scorer did not tell is left out: "success": false would be read as a failure. */
static json_t *episodes_reward_json (const wire_reward_t *reward)
{
    json_t *parts = json_object ();
    for (size_t i = 0; i < reward->parts_n; i++)
        json_object_set_new (parts, reward->parts[i].name, json_real (reward->parts[i].value));
    json_t *object = json_pack ("{s:f, s:f, s:f, s:f, s:o, s:s}", "reward", reward->reward,
                                "quality", reward->quality, "speed", reward->speed, "cost",
                                reward->cost, "parts", parts, "verdict", reward->verdict);
    static const char *const figures[] = {"reward", "quality", "speed", "cost"};
    for (size_t i = 0; reward->unscored && i < sizeof figures / sizeof *figures; i++)
        json_object_set_new (object, figures[i], json_null ());
    if (!reward->success_unknown)
        json_object_set_new (object, "success", json_boolean (reward->success));
    if (!reward->agreement_unknown)
        json_object_set_new (object, "agreement", json_real (reward->agreement));
    return object;
}

/*  The group of an episode. Dead ones have none, so their first number is also the next one's: "<="
 *  passes over them. */
static size_t episodes_group (const rollout_t *rollout, size_t number)
{
    size_t g = 0;
    while (rollout->first_episode[g + 1] <= number)
        g++;
    return g;
}

/*  The episode of a flat number, put together again from its group's task and its history. */
static episode_t *episodes_rebuild (const trainer_t *t, const rollout_t *rollout, size_t number,
                                    err_t *err)
{
    size_t g = episodes_group (rollout, number);
    const conf_t *conf = t->team.conf;
    const char *const *roles = (const char *const *) conf->team.roles.item;
    conf_episode_t under;
    conf_episode (conf, roles, conf->team.roles.n, &under);
    const char *history = rollout->episode[number]->history;
    /* The same limits as the environment played under: the state that comes out must be the one
       that was played. */
    episode_t *episode = episode_new (rollout->task[g] ? rollout->task[g] : "", roles,
                                      conf->team.roles.n, &under.limits, err);
    if (episode && episode_replay (episode, history, strlen (history), err) != 0)
        episode_destroy (&episode);
    if (!episode)
        err_wrap (err, "showing an episode of group %zu", g);
    return episode;
}

/*  What a role did in a turn; NULL: nothing. */
static json_t *episodes_action (const json_t *turns, size_t turn, const char *role)
{
    json_t *action;
    size_t i;
    json_array_foreach (json_object_get (json_array_get (turns, turn), "actions"), i, action)
        if (strcmp (json_string_value (json_object_get (action, "role")), role) == 0)
            return action;
    return NULL;
}

/*  The turns with what is known of single tokens, and, where it was learned from, what a completion
 *  was credited with. The caller's. */
static json_t *episodes_turns (const trainer_t *t, wire_phase_t phase, const rollout_t *rollout,
                               size_t number, const episode_t *episode)
{
    json_t *turns = json_deep_copy (json_object_get (episode_json (episode), "turns"));
    const wire_episodes_t *group = rollout->group[episodes_group (rollout, number)];
    const wire_episode_t *played = rollout->episode[number];
    for (size_t c = 0; c < played->completions_n; c++) {
        const wire_completion_t *one = &played->completions[c];
        const policy_t *policy = team_policy (&t->team, one->role);
        json_t *action =
            episodes_action (turns, one->turn, t->team.conf->team.roles.item[one->role]);
        if (!action)
            continue;
        if (policy && policy->tokenizer)
            tokens_add (action, policy->tokenizer, &group->prompts[one->prompt], one);
        if (phase == WIRE_TRAIN)
            json_object_set_new (
                action, "advantage",
                json_real (t->credit.advantages[rollout->first_completion[number] + c]));
    }
    return turns;
}

/*  A global state with "step", "phase" and "reward" added, as a line. */
static char *episodes_line (const trainer_t *t, wire_phase_t phase, const wire_reward_t *reward,
                            json_t *state)
{
    json_object_set_new (state, "step", json_integer ((json_int_t) t->done));
    json_object_set_new (state, "phase", json_string (wire_phase_name (phase)));
    json_object_set_new (state, "reward", episodes_reward_json (reward));
    return json_dumps (state, JSON_COMPACT | JSON_REAL_PRECISION (9));
}

/*  A full disk may show only when what was buffered is written, so the result of fclose counts,
 *  too. */
static int episodes_append (const trainer_t *t, const char *line, err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, t->dir, EPISODES, err) != 0)
        return -1;
    FILE *file = fopen (path, "ae");
    int rc = !file || fprintf (file, "%s\n", line) < 0 ? -1 : 0;
    if (file && fclose (file) != 0)
        rc = -1;
    return rc == 0 ? 0 : err_errno (err, ERR_IO, "%s: cannot write", path);
}

/*  Appends one episode to episodes.jsonl. With `tell` its public part also goes to whoever listens:
 *  the bus's events are for everybody, hidden checks are not. */
int episodes_show (trainer_t *t, wire_phase_t phase, const rollout_t *rollout, size_t number,
                   bool tell, err_t *err)
{
    episode_t *episode = episodes_rebuild (t, rollout, number, err);
    if (!episode)
        return -1;
    const wire_reward_t *reward = &rollout->episode[number]->reward;
    /* A copy, since the line adds keys of its own to what stays the episode's. The cast takes away
       a const that jansson's functions do not have. */
    json_t *whole = json_copy ((json_t *) (uintptr_t) episode_json (episode));
    json_t *seen = tell ? episode_public (episode) : NULL, *plain = json_copy (seen);
    json_t *turns = episodes_turns (t, phase, rollout, number, episode);
    json_object_set (whole, "turns", turns);
    json_object_set (seen, "turns", turns);
    char *line = whole && turns ? episodes_line (t, phase, reward, whole) : NULL;
    char *event = seen ? episodes_line (t, phase, reward, seen) : NULL;
    int rc = line ? episodes_append (t, line, err)
                  : err_set (err, ERR_LIMIT, "no memory to show an episode");
    /* A larger one stands in the file only: the bus drops what is over ENVELOPE_EVENT_MAX, and a
       share of that is for the rest of the event. It may fit without its tokens. */
    if (event && strlen (event) > SHOWN_MAX) {
        free (event);
        event = plain ? episodes_line (t, phase, reward, plain) : NULL;
    }
    if (rc == 0 && event && strlen (event) <= SHOWN_MAX)
        news_episode (t, phase, event);
    free (line);
    free (event);
    json_decref (turns);
    json_decref (plain);
    json_decref (seen);
    json_decref (whole);
    episode_destroy (&episode);
    return rc;
}

/*  Whether the run still has this line after going back to version `done`. */
static bool episodes_still_true (const char *text, uint64_t done)
{
    json_t *line = json_loads (text, 0, NULL);
    const char *phase = json_string_value (json_object_get (line, "phase"));
    uint64_t step = (uint64_t) json_integer_value (json_object_get (line, "step"));
    bool train = phase && strcmp (phase, wire_phase_name (WIRE_TRAIN)) == 0;
    /* Step s of training made version s, which the run has when s <= done. An evaluation of version
       `done` is played again, so its lines must go. */
    bool keep = phase && (train ? step <= done : step < done);
    json_decref (line);
    return keep;
}

/*  Lines are looked at one by one, since this file has no offset in the checkpoint. It is written
 *  anew as a whole: who reads it meanwhile sees the old one or the new one. */
int episodes_cut (trainer_t *t, err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, t->dir, EPISODES, err) != 0)
        return -1;
    FILE *file = fopen (path, "re");
    buf_t kept = {.max = EPISODES_MAX};
    char *text = NULL;
    size_t capacity = 0;
    while (file && getline (&text, &capacity, file) > 0)
        if (episodes_still_true (text, t->done))
            buf_text (&kept, text);
    free (text);
    if (file)
        fclose (file);
    int rc = buf_failed (&kept) ? err_set (err, ERR_LIMIT, "%s: is too large", path) : 0;
    if (rc == 0)
        rc = fs_write (path, kept.data ? kept.data : "", kept.size, err);
    buf_free (&kept);
    return rc;
}
