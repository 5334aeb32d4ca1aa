/*  fit - see fit.h */
#include "task/fit.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "task/episode.h"
#include "task/family.h"

static int fit_count_prompt (const task_fit_t *fit, const episode_t *episode, size_t role,
                             size_t *tokens, err_t *err)
{
    buf_t text = {0};
    buf_text (&text, "");
    int rc = episode_observe (episode, role, &text, err);
    if (rc == 0)
        rc = buf_check (&text, "a prompt", err);
    if (rc == 0)
        rc = fit->count (fit->context, role, text.data, text.size, tokens, err);
    buf_free (&text);
    return rc;
}

/*  A task fits when each role's prompt, before anybody has written, leaves room for the longest
 *  completion. */
static int fit_count_task (const char *task, const task_fit_t *fit, bool *fits,
                           task_fitted_t *fitted, err_t *err)
{
    episode_t *episode = episode_new (task, fit->roles, fit->roles_n, &fit->limits, err);
    int rc = episode ? 0 : -1;
    *fits = true;
    for (size_t r = 0; rc == 0 && r < fit->roles_n; r++) {
        size_t tokens = 0;
        /* What a program will ask, nobody knows before it does. */
        if (!episode_waits (episode) && episode_ever_acts (episode, r))
            rc = fit_count_prompt (fit, episode, r, &tokens, err);
        size_t room = fit->room[r];
        *fits = *fits && tokens + fit->limits.tokens <= room;
        /* Less room is left than by the prompt found so far: tokens - room is greater there. */
        if (tokens && (!fitted->most || tokens + fitted->room > fitted->most + room)) {
            const json_t *json = json_object_get (episode_json (episode), "task");
            snprintf (fitted->id, sizeof fitted->id, "%s", family_text (json, "id"));
            fitted->most = tokens;
            fitted->room = room;
            fitted->role = fit->roles[r];
        }
    }
    episode_destroy (&episode);
    return rc;
}

/*  keep: by split, as long as the split; NULL where nobody asks. */
static int fit_walk (const task_set_t *set, const task_fit_t *fit, bool *keep[2],
                     task_fitted_t *fitted, err_t *err)
{
    int rc = 0;
    *fitted = (task_fitted_t){.role = ""};
    for (int split = 0; split < 2; split++) {
        fitted->n[split] = task_set_size (set, (task_split_t) split);
        for (size_t i = 0; rc == 0 && i < fitted->n[split]; i++) {
            bool fits = true;
            rc = fit_count_task (task_set_get (set, (task_split_t) split, i), fit, &fits, fitted,
                                 err);
            fitted->long_n[split] += !fits;
            if (keep)
                keep[split][i] = fits;
        }
    }
    return rc;
}

int task_fit_count (const task_set_t *set, const task_fit_t *fit, task_fitted_t *fitted, err_t *err)
{
    return fit_walk (set, fit, NULL, fitted, err);
}

int task_fit (task_set_t *set, const task_fit_t *fit, task_fitted_t *fitted, err_t *err)
{
    bool *keep[2] = {calloc (task_set_size (set, TASK_TRAIN) + 1, sizeof (bool)),
                     calloc (task_set_size (set, TASK_HELDOUT) + 1, sizeof (bool))};
    int rc = keep[0] && keep[1] ? fit_walk (set, fit, keep, fitted, err)
                                : err_set (err, ERR_LIMIT, "no memory for the task set");
    for (int split = 0; rc == 0 && split < 2; split++)
        task_set_keep (set, (task_split_t) split, keep[split]);
    free (keep[0]);
    free (keep[1]);
    return rc;
}
