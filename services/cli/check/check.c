/*  check - see check.h */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "formats/hf.h"
#include "formats/peft.h"
#include "imports.h"
#include "model/lora.h"
#include "solutions.h"
#include "task/family.h"
#include "task/fit.h"
#include "task/task.h"
#include "team/protocol.h"
#include "text/chat.h"
#include "trial.h"

/*  What the prompts are made of, and how they fit. */
typedef struct {
    const conf_t *conf;
    const task_set_t *tasks;
    const tokenizer_t *tokenizer;
    const char *folder; /* of the model */
    chat_format_t chat;
    chat_format_t spoken[CONF_LIST_MAX]; /* by role */
    size_t prefix;                       /* tokens before every text */
    size_t context;                      /* of the model */
} prompts_t;

/*  Adds "Note: coding.yml:12: KEY TEXT". */
#define NOTE(check, conf, key, ...)                                                                \
    do {                                                                                           \
        err_t note = {0};                                                                          \
        conf_refuse (conf, key, &note, __VA_ARGS__);                                               \
        buf_printf (&(check)->notes, "Note: %s\n", note.text);                                     \
    } while (0)

static bool check_has_baseline (const conf_t *conf)
{
    return strcmp (conf->run.baseline, "solo") == 0;
}

/*  Adapters that are there have their own settings: others, given beside them, would do nothing. */
static int check_settings (const conf_t *conf, const lora_config_t *there, err_t *err)
{
    lora_config_t asked = {0};
    for (size_t i = 0; i < conf->model.lora_targets.n; i++)
        if (lora_add_target (&asked, conf->model.lora_targets.item[i], err) != 0)
            return conf_wrap (conf, "model.lora_targets", err);
    if (!there)
        return 0;
    static const char why[] = "does nothing beside model.adapter_path, whose adapters have another";
    const struct {
        const char *key;
        bool differs;
    } keys[] = {{"model.lora_rank", (size_t) conf->model.lora_rank != there->rank},
                {"model.lora_alpha",
                 conf->model.lora_alpha < there->alpha || conf->model.lora_alpha > there->alpha},
                {"model.lora_targets", asked.targets != there->targets}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].differs && conf_changed (conf, keys[i].key))
            return conf_refuse (conf, keys[i].key, err, "%s", why);
    return 0;
}

/*  Each policy has adapters of its own, whose settings may differ, so all of them are looked at. */
static int check_adapters (const conf_t *conf, err_t *err)
{
    char folder[FS_PATH_MAX];
    if (strcmp (conf->model.adapter, "lora") != 0)
        return 0;
    if (!*conf->model.adapter_path)
        return check_settings (conf, NULL, err);
    size_t policies = conf_shares (conf) ? 1 : conf->team.roles.n;
    for (size_t p = 0; p < policies; p++) {
        lora_config_t there = {0};
        if (peft_find (conf->model.adapter_path, conf_policy (conf, p), folder, err) != 0 ||
            peft_read_config (folder, &there, err) != 0)
            return conf_wrap (conf, "model.adapter_path", err);
        if (check_settings (conf, &there, err) != 0)
            return -1;
    }
    return 0;
}

/*  ---- tasks and prompts ---------------------------------------------------------------------- */

/*  What an agent would be sent, encoded as it will be: prompts are counted, not estimated. */
static int check_count (void *context, size_t role, const char *text, size_t size, size_t *tokens,
                        err_t *err)
{
    const prompts_t *p = context;
    tokenizer_ids_t ids = {0};
    int rc = chat_encode (p->tokenizer, &p->spoken[role], text, size, &ids, err);
    *tokens = p->prefix + ids.n;
    tokenizer_ids_free (&ids);
    return rc;
}

/*  How each of these roles is spoken to: as the model is, with a message of the system where the
 *  role has one. */
static int check_speak (prompts_t *p, const char *const *roles, size_t n, err_t *err)
{
    for (size_t r = 0; r < n; r++) {
        chat_given_t given = {conf_words (p->conf, roles[r], CONF_SYSTEM), p->conf->model.date};
        chat_free (&p->spoken[r]); /* of the team before */
        if (chat_find_with (p->folder, p->conf->model.chat, &given, &p->spoken[r], err) != 0)
            return *given.system ? conf_wrap_words (p->conf, roles[r], CONF_SYSTEM, err)
                                 : conf_wrap (p->conf, "model.chat", err);
    }
    return 0;
}

/*  Tasks that are too long are left out, and a note says so; when none is left to train on or to
 *  hold out, the configuration is wrong. */
static int check_fit (check_t *check, prompts_t *p, const char *const *roles, size_t n,
                      size_t written, err_t *err)
{
    const conf_t *conf = p->conf;
    conf_episode_t episode;
    conf_episode (conf, roles, n, &episode);
    episode.limits.tokens = written;
    task_fit_t fit = {.roles = roles,
                      .roles_n = n,
                      .limits = episode.limits,
                      .room = p->context,
                      .count = check_count,
                      .context = p};
    task_fitted_t fitted;
    if (check_speak (p, roles, n, err) != 0)
        return -1;
    if (task_fit_count (p->tasks, &fit, &fitted, err) != 0)
        return conf_wrap (conf, *conf->task.path ? "task.path" : "team.roles", err);
    size_t shared = task_set_shared (p->tasks) ? 1 : 2, all = 0, too_long = 0;
    bool none = false;
    for (size_t split = 0; split < shared; split++) {
        all += fitted.n[split];
        too_long += fitted.long_n[split];
        none = none || fitted.n[split] == fitted.long_n[split];
    }
    err_t text = {0};
    conf_refuse (
        conf, "task.max_tokens", &text,
        "%lld leaves no room for %zu of %zu tasks (%zu of %zu held-out ones): of the model's "
        "context of %zu tokens %s may write %zu, and the prompt of task '%s' has %zu",
        (long long) conf->task.max_tokens, too_long, all, fitted.long_n[TASK_HELDOUT],
        fitted.n[TASK_HELDOUT], p->context, fitted.role, written, fitted.id, fitted.most);
    if (none)
        return err_set (err, ERR_CONFIG, "%s", text.text);
    if (too_long)
        buf_printf (&check->notes, "Note: %s. These tasks are left out\n", text.text);
    return 0;
}

static int check_prompts (check_t *check, prompts_t *p, err_t *err)
{
    static const char *const solo[] = {"solo"};
    tokenizer_ids_t ids = {0};
    const conf_t *conf = p->conf;
    size_t written = (size_t) conf->task.max_tokens;
    if (tokenizer_encode (p->tokenizer, "", 0, TOKENIZER_BOS, &ids, err) != 0)
        return conf_wrap (conf, "model.path", err);
    /* A format that was taken from a template writes the begin token itself. */
    p->prefix = p->chat.whole ? 0 : ids.n;
    tokenizer_ids_free (&ids);
    if (check_fit (check, p, (const char *const *) conf->team.roles.item, conf->team.roles.n,
                   written, err) != 0)
        return -1;
    /* The single agent writes as much as two. */
    return check_has_baseline (conf) ? check_fit (check, p, solo, 1, 2 * written, err) : 0;
}

static task_set_t *check_open_tasks (const conf_t *conf, err_t *err)
{
    task_options_t options = {.family = conf->task.family,
                              .path = *conf->task.path ? conf->task.path : NULL,
                              .seed = (uint64_t) conf->task.seed,
                              .heldout = conf->task.heldout,
                              .style = conf->task.style};
    task_set_t *tasks = task_set_open (&options, err);
    if (!tasks)
        conf_wrap (conf, *conf->task.path ? "task.path" : "task.heldout", err);
    return tasks;
}

/*  A task whose tests are all hidden has nothing that a team could test: its groups would be
 *  lost. */
static int check_examples (const conf_t *conf, const task_set_t *tasks, err_t *err)
{
    const family_t *family = family_find (conf->task.family);
    json_t *protocol = json_loads (conf->protocol, 0, NULL);
    bool tests = protocol_offers_any (protocol, "test");
    int rc = 0;
    json_decref (protocol);
    for (int split = 0; tests && split < 2; split++)
        for (size_t i = 0; rc == 0 && i < task_set_size (tasks, (task_split_t) split); i++) {
            json_t *task = json_loads (task_set_get (tasks, (task_split_t) split, i), 0, NULL);
            if (family->examples (task) == 0)
                rc = conf_refuse (
                    conf, *conf->team.turns ? "team.turns" : "team.protocol", err,
                    "tests the public examples of a task, and of task '%.60s' no test may be seen: "
                    "\"public\": N in its line says that its first N tests may; tasks in "
                    "HumanEval's format have none",
                    family_text (task, "id"));
            json_decref (task);
        }
    return rc;
}

static void check_note_tasks (check_t *check, const conf_t *conf, const task_set_t *tasks)
{
    size_t heldout = task_set_size (tasks, TASK_HELDOUT);
    if (task_set_shared (tasks))
        NOTE (check, conf, "task.heldout",
              "is 0: every \"held-out\" figure below is of tasks that are trained on");
    /* The default is meant as "up to so many": only who asked for a number is told. */
    if ((size_t) conf->evaluation.tasks > heldout && conf_given (conf, "evaluation.tasks"))
        NOTE (check, conf, "evaluation.tasks", "%lld is more than the %zu held-out tasks there are",
              (long long) conf->evaluation.tasks, heldout);
}

/*  ---- the whole ------------------------------------------------------------------------------ */

static int check_model (check_t *check, const conf_t *conf, const hf_t *hf, const char *folder,
                        bool elsewhere, err_t *err)
{
    const char *text = hf_tokenizer_text (hf);
    if (!text)
        return conf_refuse (conf, "model.path", err, "%s has no tokenizer.json in it", folder);
    prompts_t p = {.conf = conf, .folder = folder, .context = hf_config (hf)->model.context};
    tokenizer_t *tokenizer = tokenizer_parse (text, strlen (text), err);
    if (!tokenizer) {
        err_wrap (err, "%s/tokenizer.json", folder);
        return conf_wrap (conf, "model.path", err);
    }
    task_set_t *tasks = NULL;
    check->dtype = hf_config (hf)->dtype;
    int rc = chat_find_with (folder, conf->model.chat, &(chat_given_t){.date = conf->model.date},
                             &p.chat, err);
    /* Without that token a completion would end at the length limit only. */
    if (rc == 0 && p.chat.end && tokenizer_id (tokenizer, p.chat.end) < 0)
        rc = err_set (err, ERR_CONFIG, "the tokenizer has no %s, which ends a turn there",
                      p.chat.end);
    if (rc != 0)
        conf_wrap (conf, "model.chat", err);
    else if (hf_check (hf, err) != 0)
        rc = conf_wrap (conf, "model.path", err);
    else if (!(tasks = check_open_tasks (conf, err)))
        rc = -1;
    else if ((rc = check_examples (conf, tasks, err)) == 0)
        check_note_tasks (check, conf, tasks);
    p.tokenizer = tokenizer;
    p.tasks = tasks;
    if (rc == 0 && !elsewhere) /* another machine has another python3 */
        rc = imports_check (conf, tasks, err);
    if (rc == 0)
        rc = check_prompts (check, &p, err);
    task_set_destroy (&tasks);
    chat_free (&p.chat);
    for (size_t r = 0; r < CONF_LIST_MAX; r++)
        chat_free (&p.spoken[r]);
    tokenizer_destroy (&tokenizer);
    return rc;
}

/*  Those of the other policies, where each has a model of its own. */
static int check_other_models (const conf_t *conf, const char *first, err_t *err)
{
    char folder[FS_PATH_MAX];
    int rc = 0;
    for (size_t p = 1; rc == 0 && !conf_shares (conf) && p < conf->team.roles.n; p++) {
        if (hf_find (conf->model.path, conf_policy (conf, p), folder, err) == 0 &&
            strcmp (folder, first) == 0)
            continue;
        hf_t *hf = hf_open (folder, err);
        rc = hf && hf_check (hf, err) == 0 ? 0 : conf_wrap (conf, "model.path", err);
        hf_destroy (&hf);
    }
    return rc;
}

/*  Who has chosen how evaluations sample is not told. */
static void check_note_sampling (check_t *check, const conf_t *conf, const hf_t *hf,
                                 const char *folder)
{
    if (*hf_advice (hf) && !conf_samples (conf))
        NOTE (
            check, conf, "evaluation.temperature",
            "and its kind say how evaluations sample; %s/generation_config.json, which recommends "
            "%s, does not",
            folder, hf_advice (hf));
}

static void check_note_steps (check_t *check, const conf_t *conf)
{
    long long warmup = conf->trainer.warmup, steps = conf->trainer.steps;
    if (steps > 0 && warmup >= steps)
        NOTE (check, conf, "trainer.warmup", "takes all of the %lld steps", steps);
}

/*  From what costs least to what costs most: adapters, the model folder, the tasks and prompts,
 *  memory, the scorer. Somebody else's suite may stand on other machines: then memory, python3 and
 *  scorer of this one say nothing. */
int check_run (check_t *check, const conf_t *conf, bool elsewhere, err_t *err)
{
    if (check_adapters (conf, err) != 0)
        return -1;
    check_note_steps (check, conf);
    char folder[FS_PATH_MAX];
    hf_t *hf = hf_find (conf->model.path, conf_policy (conf, 0), folder, err) == 0
                   ? hf_open (folder, err)
                   : NULL;
    if (!hf)
        return conf_wrap (conf, "model.path", err);
    check_note_sampling (check, conf, hf, folder);
    int rc = check_model (check, conf, hf, folder, elsewhere, err);
    if (rc == 0)
        rc = check_other_models (conf, folder, err);
    if (rc == 0 && !elsewhere)
        rc = fit_check (conf, hf_config (hf), &check->fit, err);
    hf_destroy (&hf);
    if (rc == 0 && !elsewhere && *conf->reward.command &&
        trial_start (conf->reward.command, err) != 0)
        rc = conf_wrap (conf, "reward.command", err);
    return rc;
}

int check_solutions (check_t *check, const conf_t *conf, const volatile sig_atomic_t *interrupted,
                     err_t *err)
{
    if (!solutions_wanted (conf))
        return 0;
    task_set_t *tasks = check_open_tasks (conf, err);
    int rc = tasks ? solutions_check (conf, tasks, interrupted, &check->notes, err) : -1;
    task_set_destroy (&tasks);
    return rc;
}

void check_free (check_t *check)
{
    buf_free (&check->notes);
}
