/*  arm - see arm.h */
#include "arm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../report/result.h"
#include "base/clock.h"
#include "watch/folder.h"
#include "watch/history.h"
#include "child.h"

#define ARM_WORDS_MAX 240
#define ARM_LOCK_MS   5000 /* for what was killed with the command before to be gone */
#define ARM_FIRST     1    /* tasks before the ones that count: services start then */

int arm_place (arm_t *a, err_t *err)
{
    char name[96], seed[48];
    snprintf (seed, sizeof seed, "/seed-%llu", (unsigned long long) a->seed);
    snprintf (name, sizeof name, "%.40s%s", a->arm->name, seed);
    return fs_join (a->dir, a->out, name, err);
}

/*  The command's words, which the caller frees with arm_free. */
typedef struct {
    const char *word[ARM_WORDS_MAX];
    size_t n;
    char **sets; /* owned */
    size_t sets_n;
    folder_sets_t weights; /* overrides that name them */
} words_t;

static void arm_put (words_t *words, const char *word)
{
    if (words->n + 1 < ARM_WORDS_MAX)
        words->word[words->n++] = word;
}

static void arm_free (words_t *words)
{
    for (size_t i = 0; i < words->sets_n; i++)
        free (words->sets[i]);
    free (words->sets);
}

/*  Whether a policy was trained in that checkpoint, as its record says. */
static bool arm_trained (const char *checkpoint, const char *policy)
{
    char path[FS_PATH_MAX];
    json_t *record = fs_join (path, checkpoint, "trainer.json", NULL) == 0
                         ? json_load_file (path, 0, NULL)
                         : NULL;
    const json_t *entry;
    size_t i;
    bool trained = false;
    json_array_foreach (json_object_get (record, "policies"), i, entry) {
        const char *name = json_string_value (json_object_get (entry, "name"));
        trained =
            trained || (name && strcmp (name, policy) == 0 && json_object_get (entry, "optimizer"));
    }
    json_decref (record);
    return trained;
}

/*  The newest checkpoint of another arm under the same seed, or its folder of one policy: that of
 *  an only one is the checkpoint itself. */
static int arm_checkpoint (const arm_t *a, const plan_weights_t *w, char path[FS_PATH_MAX],
                           err_t *err)
{
    char weights[FS_PATH_MAX];
    arm_t other = *a;
    other.arm = &a->plan->arms[w->arm];
    if (arm_place (&other, err) != 0 || folder_weights (other.dir, weights, err) != 0)
        return -1;
    if (!w->of) {
        memcpy (path, weights, sizeof weights);
        return 0;
    }
    if (!arm_trained (weights, w->of))
        return err_set (err, ERR_CONFIG, "%s: the arm has trained no policy '%s'", weights, w->of);
    if (fs_join (path, weights, w->of, err) != 0)
        return -1;
    if (!fs_exists (path))
        memcpy (path, weights, sizeof weights);
    return 0;
}

/*  Policies of several arms become one folder of links, as a checkpoint of several policies is. */
static int arm_link_weights (const arm_t *a, char folder[FS_PATH_MAX], err_t *err)
{
    char path[FS_PATH_MAX], at[FS_PATH_MAX];
    if (fs_join (folder, a->dir, "weights", err) != 0 || fs_remove (folder, err) != 0 ||
        fs_mkdirs (folder, err) != 0)
        return -1;
    for (size_t i = 0; i < a->arm->weights_n; i++) {
        const plan_weights_t *w = &a->arm->weights[i];
        if (arm_checkpoint (a, w, path, err) != 0 || fs_join (at, folder, w->policy, err) != 0)
            return -1;
        char *real = realpath (path, NULL);
        int rc = real ? symlink (real, at) : -1;
        free (real);
        if (rc != 0)
            return err_errno (err, ERR_IO, "%s: no link can be made", at);
    }
    return 0;
}

static int arm_add_weights (const arm_t *a, words_t *words, err_t *err)
{
    char folder[FS_PATH_MAX];
    if (a->arm->weights_n == 0)
        return 0;
    int rc = a->arm->weights[0].policy ? arm_link_weights (a, folder, err)
                                       : arm_checkpoint (a, &a->arm->weights[0], folder, err);
    if (rc != 0)
        return -1;
    conf_t *conf = plan_conf (a->plan, a->arm, a->seed, err);
    if (!conf)
        return -1;
    folder_weigh (conf, folder, &words->weights);
    conf_destroy (&conf);
    for (size_t i = 0; i < words->weights.n; i++) {
        arm_put (words, "--set");
        arm_put (words, words->weights.word[i]);
    }
    return 0;
}

static int arm_words (const arm_t *a, const char *command, words_t *words, err_t *err)
{
    *words = (words_t){0};
    arm_put (words, command);
    arm_put (words, a->arm->base);
    arm_put (words, "--json");
    words->sets = plan_words (a->plan, a->arm, a->seed, &words->sets_n);
    for (size_t i = 0; i < words->sets_n; i++) {
        arm_put (words, "--set");
        arm_put (words, words->sets[i]);
    }
    int rc = words->sets ? arm_add_weights (a, words, err) : err_set (err, ERR_LIMIT, "no memory");
    if (rc != 0)
        arm_free (words);
    return rc;
}

/*  Overrides after which configurations do not differ in the weights that they begin with. */
typedef struct {
    char word[3 * CONF_LIST_MAX][96];
    const char *sets[3 * CONF_LIST_MAX];
    size_t n;
} arm_same_t;

static void arm_same_weights (arm_same_t *same, const char *of, const char *adapter)
{
    const char *const keys[][2] = {{"path", "."}, {"adapter_path", ""}, {"adapter", adapter}};
    for (size_t k = 0; k < 3; k++, same->n++) {
        snprintf (same->word[same->n], sizeof same->word[0], "%.60s.%s=%.16s", of, keys[k][0],
                  keys[k][1]);
        same->sets[same->n] = same->word[same->n];
    }
}

/*  Whose folder it is. Which weights an arm began with is another arm's doing. */
static int arm_compare (const arm_t *a, const conf_t *conf, err_t *err)
{
    arm_same_t same = {.n = 0};
    char path[FS_PATH_MAX];
    buf_t list = {0}, text = {0};
    if (a->arm->weights_n && !conf_names_policies (conf))
        arm_same_weights (&same, "model", conf->model.adapter);
    for (size_t p = 0; a->arm->weights_n && conf_names_policies (conf) && p < conf->policies_n;
         p++) {
        char of[64];
        snprintf (of, sizeof of, "policies.%s", conf->policies[p].name);
        if (conf->policies[p].train)
            arm_same_weights (&same, of, conf->policies[p].adapter);
    }
    conf_print (conf, false, &text);
    conf_t *ours =
        conf_parse (text.data ? text.data : "", text.size, a->arm->base, same.sets, same.n, err);
    conf_t *there = ours && fs_join (path, a->dir, "config.yml", err) == 0 && fs_exists (path)
                        ? conf_load (path, same.sets, same.n, NULL)
                        : NULL;
    if (there)
        conf_differences (there, ours, &list);
    conf_destroy (&there);
    buf_free (&text);
    if (!ours)
        return -1;
    conf_destroy (&ours);
    int rc = list.size ? err_set (err, ERR_CONFIG,
                                  "%s:%zu: arms.%s: %.400s was made with %.400s: name another "
                                  "folder with --out, or remove that one",
                                  a->plan->file, a->arm->line, a->arm->name, a->dir, list.data)
                       : 0;
    buf_free (&list);
    return rc;
}

static json_t *arm_read_clock (const arm_t *a)
{
    char path[FS_PATH_MAX];
    return fs_join (path, a->dir, ARM_CLOCK, NULL) == 0 ? json_load_file (path, 0, NULL) : NULL;
}

int arm_find (arm_t *a, err_t *err)
{
    if (arm_place (a, err) != 0)
        return -1;
    conf_t *conf = plan_conf (a->plan, a->arm, a->seed, err);
    if (!conf)
        return -1;
    a->steps = (size_t) conf->trainer.steps;
    a->begun = folder_holds_run (a->dir);
    int rc = a->begun ? arm_compare (a, conf, err) : 0;
    a->finished = a->begun && folder_finished (a->dir, conf);
    json_t *clock = a->finished ? arm_read_clock (a) : NULL;
    a->rounds = (size_t) json_integer_value (json_object_get (clock, "rounds"));
    json_decref (clock);
    conf_destroy (&conf);
    return rc;
}

/*  Processes of a command that was killed die with it, but not at once. */
static void arm_wait_for_locks (const arm_t *a)
{
    int64_t until = clock_ms () + ARM_LOCK_MS;
    while (clock_left_ms (until) > 0 && history_check (a->dir, NULL) != 0)
        clock_sleep_ms (20);
}

static int arm_log (const arm_t *a, char path[FS_PATH_MAX], err_t *err)
{
    char name[96], logs[FS_PATH_MAX];
    snprintf (name, sizeof name, "%.40s-seed-%llu.log", a->arm->name, (unsigned long long) a->seed);
    return fs_join (logs, a->out, "logs", err) == 0 && fs_mkdirs (logs, err) == 0
               ? fs_join (path, logs, name, err)
               : -1;
}

int arm_run (arm_t *a, void (*on_line) (void *context, const json_t *line), void *context,
             err_t *err)
{
    words_t words;
    char log[FS_PATH_MAX];
    int rc = fs_mkdirs (a->dir, err) == 0 && arm_log (a, log, err) == 0
                 ? arm_words (a, "run", &words, err)
                 : -1;
    if (rc != 0)
        return -1;
    arm_put (&words, "--out");
    arm_put (&words, a->dir);
    if (a->begun) {
        arm_put (&words, "--resume");
        arm_wait_for_locks (a);
    }
    rc = child_run (words.word, log, on_line, context, err);
    arm_free (&words);
    a->begun = a->finished = rc == 0;
    return rc;
}

/*  ---- by the clock --------------------------------------------------------------------------- */

typedef struct {
    json_t *tasks; /* as in the file */
    size_t n;
} clocked_t;

static json_t *arm_shorter (const json_t *line, const char *key, const json_t *before)
{
    double now = json_number_value (json_object_get (line, key));
    return json_real (before ? fmin (now, json_number_value (before)) : now);
}

static void arm_on_played (void *context, const json_t *line)
{
    clocked_t *c = context;
    const char *id = json_string_value (json_object_get (json_object_get (line, "task"), "id"));
    const json_t *before = json_object_get (c->tasks, id ? id : "");
    if (id && c->n++ >= ARM_FIRST)
        json_object_set_new (c->tasks, id,
                             json_pack ("[o, o]",
                                        arm_shorter (line, "write_s", json_array_get (before, 0)),
                                        arm_shorter (line, "score_s", json_array_get (before, 1))));
}

/*  How many tasks the newest evaluation had. */
static size_t arm_heldout (const arm_t *a)
{
    result_t result = {0};
    if (result_read (&result, a->dir, false, NULL) != 0)
        return 0;
    double n = json_number_value (json_object_get (json_object_get (result.team, "after"), "n"));
    result_free (&result);
    return (size_t) n;
}

/*  No more tasks than there are; what it has learnt is its newest checkpoint, else what it began
 *  with. */
int arm_clock (arm_t *a, err_t *err)
{
    words_t words;
    char log[FS_PATH_MAX], path[FS_PATH_MAX], n[32];
    if (arm_log (a, log, err) != 0 || fs_join (path, a->dir, ARM_CLOCK, err) != 0 ||
        arm_words (a, "play", &words, err) != 0)
        return -1;
    json_t *clock = arm_read_clock (a);
    json_t *tasks = json_object_get (clock, "tasks");
    clocked_t clocked = {.tasks = tasks ? json_incref (tasks) : json_object ()};
    size_t wanted = a->plan->clock_tasks + ARM_FIRST, there = arm_heldout (a);
    snprintf (n, sizeof n, "%zu", wanted < there ? wanted : there);
    arm_put (&words, "--tasks");
    arm_put (&words, n);
    if (folder_step (a->dir)) {
        arm_put (&words, "--model");
        arm_put (&words, a->dir);
    }
    int rc = child_run (words.word, log, arm_on_played, &clocked, err);
    json_decref (clock);
    clock = json_pack ("{s:I, s:o}", "rounds", (json_int_t) ++a->rounds, "tasks", clocked.tasks);
    char *text = json_dumps (clock, JSON_COMPACT | JSON_REAL_PRECISION (9));
    if (rc == 0)
        rc = text ? fs_write (path, text, strlen (text), err)
                  : err_set (err, ERR_LIMIT, "no memory for times");
    free (text);
    json_decref (clock);
    arm_free (&words);
    return rc;
}
