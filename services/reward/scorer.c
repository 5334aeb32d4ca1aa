/*  scorer - see scorer.h
 *
 *  Here the service meets the pure library: an episode is put together again from what its group
 *  has in common and its history, its family scores it, and what the family may not have by itself
 *  is lent to it.
 */
#include "scorer.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "sandbox.h"
#include "task/family.h"

struct scorer {
    const char *text;    /* of the program that may be started; "" for none */
    const char *modules; /* that programs may import */
    wall_t wall;
    library_t *library;
    sandbox_t *sandbox;
    command_t *command;
};

/*  Starts nothing: sandbox and program's process are made by the first episode that needs them. */
scorer_t *scorer_new (const char *command, const char *modules, wall_t wall, library_t *library)
{
    scorer_t *scorer = calloc (1, sizeof *scorer);
    if (scorer) {
        scorer->text = command;
        scorer->modules = modules;
        scorer->wall = wall;
        scorer->library = library;
        if (*command && !(scorer->command = command_new (command, NULL)))
            scorer_destroy (&scorer);
    }
    return scorer;
}

void scorer_destroy (scorer_t **scorer)
{
    if (!*scorer)
        return;
    sandbox_destroy (&(*scorer)->sandbox);
    command_destroy (&(*scorer)->command);
    free (*scorer);
    *scorer = NULL;
}

void scorer_stop (scorer_t *scorer)
{
    if (scorer->command)
        command_stop (scorer->command);
}

/*  A job cannot bring a program along: whoever reaches the bus could then run anything here. And
 *  what programs may import decides what they score, so it must be what the run counts on. Both are
 *  the configuration's doing, not the episode's. */
int scorer_check (const scorer_t *s, const char *command, const char *modules, err_t *err)
{
    if (*command && strcmp (s->text, command) != 0)
        return err_set (err, ERR_CONFIG,
                        "reward.command '%s' is not what this reward service was started with "
                        "('%s'): start it with quintet-reward --command '%s'",
                        command, s->text, command);
    if (!*command && strcmp (s->modules, modules) != 0)
        return err_set (err, ERR_CONFIG,
                        "reward.python_modules '%s' is not what this reward service was started "
                        "with ('%s'): start it with quintet-reward --modules '%s'",
                        modules, s->modules, modules);
    return 0;
}

static int scorer_by_command (scorer_t *s, const scorer_job_t *job, const episode_t *episode,
                              reward_score_t *score, err_t *err)
{
    /* scorer_check has found that it is the one program that may run here. */
    return command_score (s->command, episode,
                          job->command_s > 0 ? job->command_s : SCORER_COMMAND_S, score, err);
}

/*  The sandbox as a family's scorer is given it. Started by the first program, so that a service
 *  which scores texts alone needs no Python. */
static json_t *scorer_run (void *self, const json_t *request, err_t *err)
{
    scorer_t *s = self;
    if (!s->sandbox && !(s->sandbox = sandbox_new (s->modules, s->wall, err)))
        return NULL;
    return sandbox_run (s->sandbox, request, err);
}

/*  episode_new has refused a task whose family there is not. */
static const family_t *scorer_family (const episode_t *episode)
{
    const json_t *task = json_object_get (episode_json (episode), "task");
    return family_find (family_text (task, "family"));
}

/*  Whoever scores: retrieve is every family's tool, the others are its own. */
static int scorer_use_tool (scorer_t *s, const scorer_job_t *job, const episode_t *episode,
                            reward_score_t *found, err_t *err)
{
    const family_t *family = scorer_family (episode);
    const task_sandbox_t sandbox = {.self = s, .run = scorer_run};
    if (strcmp (job->tool, TASK_RETRIEVE) == 0)
        return library_find (s->library, job->query ? job->query : "", found, err);
    if (!family_has_tool (family, job->tool))
        return err_set (err, ERR_INPUT, "the %s family has no tool '%.40s'", family->name,
                        job->tool);
    return family->tool (job->tool, episode, &(task_capabilities_t){.sandbox = &sandbox}, found,
                         err);
}

static int scorer_by_family (scorer_t *s, const episode_t *episode, reward_score_t *score,
                             err_t *err)
{
    const family_t *family = scorer_family (episode);
    const task_sandbox_t sandbox = {.self = s, .run = scorer_run};
    return family->score (episode, &(task_capabilities_t){.sandbox = &sandbox}, score, err);
}

/*  Used by one thread only: sandbox and program keep their state between episodes. */
episode_t *scorer_score (scorer_t *s, const scorer_job_t *job, reward_score_t *score, err_t *err)
{
    const char *modules = job->modules ? job->modules : "";
    if (scorer_check (s, job->command, modules, err) != 0)
        return NULL;
    episode_t *episode = episode_new (job->task, job->roles, job->roles_n, &job->limits, err);
    if (!episode)
        return NULL;
    *score = (reward_score_t){0};
    int rc = episode_replay (episode, job->history, strlen (job->history), err);
    if (rc == 0 && job->tool && *job->tool)
        rc = scorer_use_tool (s, job, episode, score, err);
    else if (rc == 0)
        rc = *job->command ? scorer_by_command (s, job, episode, score, err)
                           : scorer_by_family (s, episode, score, err);
    if (rc != 0)
        episode_destroy (&episode);
    return episode;
}

void scorer_rest (scorer_t *s)
{
    if (s->sandbox)
        sandbox_rest (s->sandbox);
}

int scorer_join (const scorer_job_t *job, const episode_t *episode, const reward_score_t *score,
                 reward_t *reward, err_t *err)
{
    if (!job->tool || !*job->tool)
        return reward_join (episode, &job->weights, score, reward, err);
    *reward = (reward_t){.success = score->success, .quality = score->quality};
    memcpy (reward->verdict, score->verdict, sizeof reward->verdict);
    return 0;
}
