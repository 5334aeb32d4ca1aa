/*  external - episodes that a program of the user's own plays: task.program.
 *
 *  Who observes what, who acts when, when an episode ends and what it is worth are the program's
 *  (lib/program/session.h). Its tasks are seeds, or the lines of a file, which it is given as they
 *  are. What is left for a family is little.
 */
#include "task/external/external.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "task/asks.h"
#include "task/outcome.h"

#define EXTERNAL_SEEDS 1000 /* where nobody says how many */

/*  Every task has a seed: a line's own, or what its id makes of it. */
int external_adopt (json_t *task, err_t *err)
{
    const char *id = family_text (task, "id");
    const json_t *seed = json_object_get (task, "seed");
    hash_t hash = hash_of (id, strlen (id));
    uint32_t word;
    memcpy (&word, hash.bytes, sizeof word);
    if (!*id)
        return err_set (err, ERR_INPUT, "needs an \"id\"");
    if (seed && (!json_is_integer (seed) || json_integer_value (seed) < 0))
        return err_set (err, ERR_INPUT, "\"seed\" is a whole number from 0 on");
    if (!seed)
        json_object_set_new (task, "seed", json_integer (word));
    return 0;
}

size_t external_builtin (const char *style)
{
    (void) style;
    return EXTERNAL_SEEDS;
}

json_t *external_generate (const task_options_t *options, size_t i)
{
    (void) options;
    char id[64];
    snprintf (id, sizeof id, "seed/%zu", i);
    return json_pack ("{s:s, s:I}", "id", id, "seed", (json_int_t) i);
}

/*  What the program says is asked, and no more; the brief of a task is its own affair. */
void external_observe (const json_t *task, const char *role, buf_t *prompt)
{
    asks_brief ("external", role, family_text (task, "brief"), prompt);
}

/*  What each role said last, for people to look at. */
void external_merge (const json_t *task, const char *const *roles, const char *const *texts,
                     size_t n, buf_t *artifact)
{
    (void) task;
    for (size_t i = 0; i < n; i++)
        buf_printf (artifact, "%s%s: %s", i ? "\n" : "", roles[i], texts[i]);
}

int external_score (const episode_t *episode, const task_capabilities_t *capabilities,
                    reward_score_t *score, err_t *err)
{
    (void) capabilities;
    const json_t *state = episode_json (episode);
    return outcome_read (json_object_get (state, "outcome"), json_object_get (state, "roles"),
                         score, err);
}

const family_t family_external = {
    .name = "external",
    .roles = {NULL},
    .turns = 32,
    .styles = {"plain"},
    .by_program = true,
    .builtin = external_builtin,
    .generate = external_generate,
    .adopt = external_adopt,
    .observe = external_observe,
    .merge = external_merge,
    .score = external_score,
};
