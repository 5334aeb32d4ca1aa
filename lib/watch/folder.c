/*  folder - see folder.h */
#include "watch/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

/*  A trainer writes metrics from its first evaluation on. */
bool folder_holds_run (const char *dir)
{
    char path[FS_PATH_MAX];
    struct stat st;
    return fs_join (path, dir, "metrics.jsonl", NULL) == 0 && stat (path, &st) == 0 &&
           st.st_size > 0;
}

/*  The newest checkpoint's step, or 0. Its name is enough: checkpoints appear whole or not at
 *  all. */
size_t folder_step (const char *dir)
{
    char pattern[FS_PATH_MAX];
    size_t newest = 0;
    glob_t found;
    if (fs_join (pattern, dir, "checkpoints/step-*", NULL) != 0 ||
        glob (pattern, GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *end;
        unsigned long step = strtoul (strrchr (found.gl_pathv[i], '-') + 1, &end, 10);
        if (!*end && step > newest) /* no half-written one beside it, such as step-3.tmp */
            newest = step;
    }
    globfree (&found);
    return newest;
}

int folder_weights (const char *dir, char found[FS_PATH_MAX], err_t *err)
{
    char checkpoints[FS_PATH_MAX], name[64];
    size_t step = folder_step (dir);
    if (fs_join (checkpoints, dir, "checkpoints", err) != 0)
        return -1;
    /* It is a run's folder, which is no model itself. */
    if (step == 0 && fs_exists (checkpoints))
        return err_set (err, ERR_CONFIG, "%s: no checkpoint is in it yet", checkpoints);
    snprintf (name, sizeof name, "checkpoints/step-%zu", step);
    if (step > 0)
        return fs_join (found, dir, name, err);
    snprintf (found, FS_PATH_MAX, "%s", dir);
    return 0;
}

int folder_plays (const char *conf, const char *model, folder_plays_t *plays, err_t *err)
{
    struct stat st;
    bool run = stat (conf, &st) == 0 && S_ISDIR (st.st_mode);
    snprintf (plays->conf, sizeof plays->conf, "%s", conf);
    snprintf (plays->model, sizeof plays->model, "%s",
              run && !*model && folder_step (conf) ? conf : model);
    plays->weights[0] = 0;
    plays->untrained = run && !*plays->model;
    if (run && fs_join (plays->conf, conf, "config.yml", err) != 0)
        return -1;
    if (run && !fs_exists (plays->conf))
        return err_set (err, ERR_CONFIG,
                        "%s: neither a configuration nor a run's folder: there is no config.yml "
                        "in it",
                        conf);
    return *plays->model ? folder_weights (plays->model, plays->weights, err) : 0;
}

bool folder_holds_adapters (const char *dir)
{
    bool any = false;
    for (int below = 0; *dir && !any && below < 2; below++) {
        char pattern[FS_PATH_MAX + 32];
        glob_t found;
        snprintf (pattern, sizeof pattern, "%s/%s" FOLDER_ADAPTERS, dir, below ? "*/" : "");
        any = glob (pattern, GLOB_NOSORT, NULL, &found) == 0;
        globfree (&found);
    }
    return any;
}

conf_t *folder_conf (const char *dir)
{
    char path[FS_PATH_MAX];
    return fs_join (path, dir, "config.yml", NULL) == 0 && fs_exists (path)
               ? conf_load (path, NULL, 0, NULL)
               : NULL;
}

/*  Weights are RUN/checkpoints/step-N, whatever link or path they were named by. A config.yml that
 *  cannot be read says nothing: whoever opens the weights says what is wrong with them. */
conf_t *folder_conf_of (const char *weights)
{
    char *real = realpath (weights, NULL), *end = real ? strrchr (real, '/') : NULL;
    conf_t *conf = NULL;
    if (end)
        *end = 0;
    if (end && (end = strrchr (real, '/')) && strcmp (end, "/checkpoints") == 0) {
        *end = 0;
        conf = folder_conf (real);
    }
    free (real);
    return conf;
}

void folder_policies (const conf_t *run, char set[FOLDER_SET])
{
    set[0] = 0;
    if (run && !conf_names_policies (run))
        snprintf (set, FOLDER_SET, "team.policies=%s", run->team.policies);
}

/*  of: "model" or "policies.NAME". Adapters stand on the configuration's own model. */
static void folder_add_sets (folder_sets_t *sets, const char *of, bool adapters,
                             const char *weights)
{
    size_t size = sizeof sets->word[0];
    snprintf (sets->word[sets->n++], size, "%.60s.%s=%s", of, adapters ? "adapter_path" : "path",
              weights);
    if (adapters)
        snprintf (sets->word[sets->n++], size, "%.60s.adapter=lora", of);
}

/*  Policies learn each in their own way, so each is asked for. */
static bool folder_adapts (const char *weights, const char *policy)
{
    char found[FS_PATH_MAX], file[FS_PATH_MAX];
    return fs_prefer (weights, policy, FOLDER_ADAPTERS, found, NULL) == 0 &&
           fs_join (file, found, FOLDER_ADAPTERS, NULL) == 0 && fs_exists (file);
}

void folder_weigh (const conf_t *conf, const char *weights, folder_sets_t *sets)
{
    *sets = (folder_sets_t){0};
    if (!conf || !conf_names_policies (conf)) {
        folder_add_sets (sets, "model", folder_holds_adapters (weights), weights);
        return;
    }
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        char of[64];
        snprintf (of, sizeof of, "policies.%s", policy->name);
        if (policy->train)
            folder_add_sets (sets, of, folder_adapts (weights, policy->name), weights);
    }
}

/*  The trainer writes result.json last. A run that was finished may be made longer: then the file
 *  is of fewer steps than are wanted, and of fewer tokens. */
bool folder_finished (const char *dir, const conf_t *conf)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, dir, "result.json", NULL) != 0)
        return false;
    json_t *result = json_load_file (path, 0, NULL);
    const json_t *done = json_object_get (result, "steps");
    json_int_t sampled = json_integer_value (json_object_get (result, "sampled_tokens"));
    bool finished = json_is_integer (done) &&
                    (!conf || json_integer_value (done) >= conf->trainer.steps ||
                     (conf->trainer.budget_tokens && sampled >= conf->trainer.budget_tokens));
    json_decref (result);
    return finished;
}

/*  Asked for as one of many readers, so that two who ask do not take each other for a writer. */
bool folder_locked (const char *dir, const char *file)
{
    char path[FS_PATH_MAX];
    int fd = fs_join (path, dir, file, NULL) == 0 ? open (path, O_RDONLY | O_CLOEXEC) : -1;
    bool locked = fd >= 0 && flock (fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        close (fd);
    return locked;
}

/*  "runs/coding/" is the same folder as "runs/coding", whose neighbour is "runs/coding-2". */
void folder_numbered (char out[FS_PATH_MAX], const char *dir, size_t number)
{
    size_t n = strlen (dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    if (number <= 1)
        snprintf (out, FS_PATH_MAX, "%s", dir);
    else
        snprintf (out, FS_PATH_MAX, "%.*s-%zu", (int) n, dir, number);
}

bool folder_taken (const char *dir)
{
    return folder_holds_run (dir) || folder_locked (dir, FOLDER_HISTORY) ||
           folder_locked (dir, FOLDER_TRAINER);
}

/*  The first free number ends the count, since that is the one that the next run takes. */
size_t folder_runs (const char *dir)
{
    char path[FS_PATH_MAX];
    size_t taken = 0;
    for (;;) {
        folder_numbered (path, dir, taken + 1);
        if (!folder_taken (path))
            return taken;
        taken++;
    }
}
