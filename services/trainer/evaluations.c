/*  evaluations - see evaluations.h */
#include "evaluations.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define FOLDER    "evaluations"
#define BYTES_MAX ((size_t) 1 << 30)

/*  Numbers that are not finite are null, and so is what samples before this one did not have. */
static void evaluations_put (json_t *line, const char *name, size_t sample, double value)
{
    json_t *list = json_object_get (line, name);
    if (!list)
        json_object_set_new (line, name, list = json_array ());
    while (json_array_size (list) < sample)
        json_array_append_new (list, json_null ());
    json_array_append_new (list, isfinite (value) ? json_real (value) : json_null ());
}

/*  What every episode has; its parts come behind. */
static const char *const evaluations_names[] = {
    "success", "quality", "reward", "speed", "cost", "agreement", "tokens", "critical_path_tokens"};
#define NAMES (sizeof evaluations_names / sizeof *evaluations_names)

static void evaluations_put_episode (json_t *line, size_t sample, const wire_episode_t *episode)
{
    const wire_reward_t *r = &episode->reward;
    double none = r->unscored ? NAN : 0; /* turns what was not measured into what is not known */
    const double values[NAMES] = {r->success_unknown ? NAN : r->success,
                                  r->quality + none,
                                  r->reward + none,
                                  r->speed + none,
                                  r->cost + none,
                                  r->agreement_unknown ? NAN : r->agreement,
                                  (double) episode->tokens,
                                  (double) episode->critical_path};
    for (size_t i = 0; i < NAMES; i++)
        evaluations_put (line, evaluations_names[i], sample, values[i]);
    for (size_t p = 0; p < r->parts_n; p++) {
        char name[96];
        snprintf (name, sizeof name, "part/%.80s", r->parts[p].name);
        evaluations_put (line, name, sample, r->parts[p].value);
    }
}

/*  The lists are there, and empty, when the group died. */
static json_t *evaluations_line (const rollout_t *rollout, wire_phase_t phase, size_t g)
{
    json_t *task = json_loads (rollout->task[g] ? rollout->task[g] : "{}", 0, NULL);
    json_t *line = json_pack ("{s:s, s:O?}", "phase", wire_phase_name (phase), "task",
                              json_object_get (task, "id"));
    size_t first = rollout->first_episode[g], end = rollout->first_episode[g + 1];
    json_decref (task);
    for (size_t i = 0; i < NAMES; i++)
        json_object_set_new (line, evaluations_names[i], json_array ());
    for (size_t e = first; e < end; e++)
        evaluations_put_episode (line, e - first, rollout->episode[e]);
    return line;
}

static void evaluations_add (const rollout_t *rollout, wire_phase_t phase, buf_t *text)
{
    for (size_t g = 0; g < rollout->groups; g++) {
        json_t *line = evaluations_line (rollout, phase, g);
        char *dumped = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
        buf_printf (text, "%s\n", dumped ? dumped : "{}");
        free (dumped);
        json_decref (line);
    }
}

/*  All but the first one and this one. A file of a later version, too: the run has gone back. */
static void evaluations_prune (const char *folder, uint64_t step)
{
    char pattern[FS_PATH_MAX], kept[2][48];
    glob_t found;
    snprintf (kept[0], sizeof kept[0], "step-0.jsonl");
    snprintf (kept[1], sizeof kept[1], "step-%llu.jsonl", (unsigned long long) step);
    if (fs_join (pattern, folder, "step-*", NULL) != 0 ||
        glob (pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr (found.gl_pathv[i], '/') + 1;
        if (strcmp (name, kept[0]) != 0 && strcmp (name, kept[1]) != 0)
            remove (found.gl_pathv[i]);
    }
    globfree (&found);
}

int evaluations_write (const trainer_t *t, const rollout_t *sampled, const rollout_t *greedy,
                       err_t *err)
{
    char folder[FS_PATH_MAX], path[FS_PATH_MAX], name[48];
    buf_t text = {.max = BYTES_MAX};
    snprintf (name, sizeof name, "step-%llu.jsonl", (unsigned long long) t->done);
    if (fs_join (folder, t->dir, FOLDER, err) != 0 || fs_join (path, folder, name, err) != 0 ||
        fs_mkdirs (folder, err) != 0)
        return -1;
    evaluations_add (sampled, WIRE_EVAL_SAMPLED, &text);
    evaluations_add (greedy, WIRE_EVAL_GREEDY, &text);
    int rc = buf_check (&text, path, err);
    if (rc == 0)
        rc = fs_write (path, text.data ? text.data : "", text.size, err);
    buf_free (&text);
    if (rc == 0)
        evaluations_prune (folder, t->done);
    return rc;
}
