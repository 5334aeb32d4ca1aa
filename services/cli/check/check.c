/*  check - see check.h */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/hf.h"
#include "formats/peft.h"
#include "http/openai.h"
#include "imports.h"
#include "model/lora.h"
#include "solutions.h"
#include "task/family.h"
#include "task/fit.h"
#include "task/passages.h"
#include "task/task.h"
#include "team/protocol.h"
#include "text/chat.h"
#include "trial.h"

/*  A policy as prompts see it. */
typedef struct {
    const conf_policy_t *policy;
    char folder[FS_PATH_MAX]; /* of its model */
    hf_t *hf;
    tokenizer_t *tokenizer;
    size_t prefix; /* tokens before every text */
} voice_t;

/*  What the prompts are made of, and how they fit. */
typedef struct {
    const conf_t *conf;
    const task_set_t *tasks;
    voice_t voices[CONF_LIST_MAX + 1];   /* by policy; the last is the single agent's */
    const voice_t *voice[CONF_LIST_MAX]; /* by role */
    chat_format_t spoken[CONF_LIST_MAX]; /* by role */
    conf_policy_t solo;                  /* borrows its texts */
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
static int check_settings (const conf_t *conf, const conf_policy_t *policy,
                           const lora_config_t *there, err_t *err)
{
    lora_config_t asked = {0};
    for (size_t i = 0; i < policy->lora_targets.n; i++)
        if (lora_add_target (&asked, policy->lora_targets.item[i], err) != 0)
            return conf_wrap_policy (conf, policy, "lora_targets", err);
    if (!there)
        return 0;
    const struct {
        const char *key, *whole;
        bool differs;
    } keys[] = {{"lora_rank", "model.lora_rank", (size_t) policy->lora_rank != there->rank},
                {"lora_alpha", "model.lora_alpha",
                 policy->lora_alpha < there->alpha || policy->lora_alpha > there->alpha},
                {"lora_targets", "model.lora_targets", asked.targets != there->targets}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].differs && (conf_changed (conf, keys[i].whole) ||
                                conf_policy_given (conf, policy->name, keys[i].key)))
            return conf_refuse_policy (
                conf, policy, keys[i].key, err,
                "does nothing beside %sadapter_path, whose adapters have another",
                conf_names_policies (conf) ? "" : "model.");
    return 0;
}

/*  Each policy has adapters of its own, whose settings may differ, so all of them are looked at. */
static int check_adapters (const conf_t *conf, err_t *err)
{
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        char folder[FS_PATH_MAX];
        lora_config_t there = {0};
        bool given = *policy->adapter_path;
        if (strcmp (policy->adapter, "lora") != 0)
            continue;
        if (given && (peft_find (policy->adapter_path, policy->name, folder, err) != 0 ||
                      peft_read_config (folder, &there, err) != 0))
            return conf_wrap_policy (conf, policy, "adapter_path", err);
        if (check_settings (conf, policy, given ? &there : NULL, err) != 0)
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
    const voice_t *v = p->voice[role];
    *tokens = 0;
    if (!v->hf) /* how long its prompts may be, a server knows itself */
        return 0;
    int rc = chat_encode (v->tokenizer, &p->spoken[role], text, size, &ids, err);
    /* A format that was taken from a template writes the begin token itself. */
    *tokens = (p->spoken[role].whole ? 0 : v->prefix) + ids.n;
    tokenizer_ids_free (&ids);
    return rc;
}

/*  How each of these roles is spoken to: as its policy is, with a message of the system where the
 *  role has one. */
static int check_speak (prompts_t *p, const char *const *roles, size_t n, err_t *err)
{
    for (size_t r = 0; r < n; r++) {
        const voice_t *v = p->voice[r];
        if (!v->hf)
            continue;
        chat_given_t given = {conf_words (p->conf, roles[r], CONF_SYSTEM), v->policy->date,
                              conf_remembers (p->conf, roles[r])};
        chat_free (&p->spoken[r]); /* of the team before */
        if (chat_find_with (v->folder, v->policy->chat, &given, &p->spoken[r], err) != 0)
            return *given.system ? conf_wrap_words (p->conf, roles[r], CONF_SYSTEM, err)
                                 : conf_wrap_policy (p->conf, v->policy, "chat", err);
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
    size_t room[CONF_LIST_MAX];
    for (size_t r = 0; r < n; r++)
        room[r] = p->voice[r]->hf ? hf_config (p->voice[r]->hf)->model.context : SIZE_MAX / 2;
    task_fit_t fit = {.roles = roles,
                      .roles_n = n,
                      .limits = episode.limits,
                      .room = room,
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
        fitted.n[TASK_HELDOUT], fitted.room, fitted.role, written, fitted.id, fitted.most);
    if (none)
        return err_set (err, ERR_CONFIG, "%s", text.text);
    if (too_long)
        buf_printf (&check->notes, "Note: %s. These tasks are left out\n", text.text);
    return 0;
}

/*  What a seat remembers grows by what it writes and by what it is told; the former is known. */
static void check_note_memory (check_t *check, const prompts_t *p)
{
    const conf_t *conf = p->conf;
    for (size_t r = 0; r < conf->team.roles.n; r++) {
        const char *role = conf->team.roles.item[r];
        if (!conf_remembers (conf, role))
            continue;
        size_t room = hf_config (p->voice[r]->hf)->model.context, turns = conf_turns (conf, role);
        if (turns * conf_max_tokens (conf, role) >= room)
            buf_printf (&check->notes,
                        "Note: %s, which remembers its turns, may write %zu tokens in each of %zu, "
                        "and its model's context has %zu: where no room is left it is not asked, "
                        "which counts as an invalid action\n",
                        role, conf_max_tokens (conf, role), turns, room);
    }
}

static int check_prompts (check_t *check, prompts_t *p, err_t *err)
{
    static const char *const solo[] = {"solo"};
    const conf_t *conf = p->conf;
    size_t written = (size_t) conf->task.max_tokens;
    for (size_t r = 0; r < conf->team.roles.n; r++)
        p->voice[r] = &p->voices[conf->policy_of[r]];
    if (check_fit (check, p, (const char *const *) conf->team.roles.item, conf->team.roles.n,
                   written, err) != 0)
        return -1;
    check_note_memory (check, p);
    p->voice[0] = &p->voices[CONF_LIST_MAX];
    return check_has_baseline (conf) ? check_fit (check, p, solo, 1, conf_alone_tokens (conf), err)
                                     : 0;
}

static task_set_t *check_open_tasks (const conf_t *conf, err_t *err)
{
    task_options_t options = {.family = conf->task.family,
                              .path = *conf->task.path ? conf->task.path : NULL,
                              .seed = (uint64_t) conf->task.seed,
                              .heldout = conf->task.heldout,
                              .style = conf->task.style,
                              .seeds = (size_t) conf->task.seeds};
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

/*  Opens what a policy is spoken to by. */
static int check_voice (voice_t *v, const conf_t *conf, const conf_policy_t *policy, err_t *err)
{
    tokenizer_ids_t ids = {0};
    chat_format_t chat = {0};
    v->policy = policy;
    v->hf =
        hf_find (policy->path, policy->name, v->folder, err) == 0 ? hf_open (v->folder, err) : NULL;
    if (!v->hf)
        return conf_wrap_policy (conf, policy, "path", err);
    const char *text = hf_tokenizer_text (v->hf);
    if (!text)
        return conf_refuse_policy (conf, policy, "path", err, "%s has no tokenizer.json in it",
                                   v->folder);
    if (!(v->tokenizer = tokenizer_parse (text, strlen (text), err))) {
        err_wrap (err, "%s/tokenizer.json", v->folder);
        return conf_wrap_policy (conf, policy, "path", err);
    }
    if (tokenizer_encode (v->tokenizer, "", 0, TOKENIZER_BOS, &ids, err) != 0 ||
        hf_check (v->hf, err) != 0) {
        tokenizer_ids_free (&ids);
        return conf_wrap_policy (conf, policy, "path", err);
    }
    v->prefix = ids.n;
    tokenizer_ids_free (&ids);
    int rc =
        chat_find_with (v->folder, policy->chat, &(chat_given_t){.date = policy->date}, &chat, err);
    /* Without that token a completion would end at the length limit only. */
    if (rc == 0 && chat.end && tokenizer_id (v->tokenizer, chat.end) < 0)
        rc =
            err_set (err, ERR_CONFIG, "the tokenizer has no %s, which ends a turn there", chat.end);
    chat_free (&chat);
    return rc == 0 ? 0 : conf_wrap_policy (conf, policy, "chat", err);
}

/*  Checkpoints are stored as the model is, where that holds what is computed. */
static void check_note_stored (check_t *check, const conf_t *conf, const voice_t *v)
{
    const conf_policy_t *policy = v->policy;
    bool bf16 = strcmp (policy->compute, "bf16") == 0;
    hf_dtype_t dtype = hf_config (v->hf)->dtype;
    hf_dtype_t kept = hf_dtype_kept (dtype, bf16 ? COMPUTE_BF16 : COMPUTE_F32);
    if (kept != dtype && policy->train && strcmp (policy->adapter, "none") == 0 &&
        (conf_names_policies (conf) || policy == conf->policies))
        buf_printf (&check->notes,
                    "Note: checkpoints%s%s are in %s; the model's %s would not hold what "
                    "model.compute %s makes\n",
                    conf_names_policies (conf) ? " of " : "",
                    conf_names_policies (conf) ? policy->name : "", hf_dtype_name (kept),
                    hf_dtype_name (dtype), policy->compute);
}

/*  The single agent has no policy of the team's: it plays by `model`. */
static int check_voices (check_t *check, prompts_t *p, err_t *err)
{
    static const char shared[] = "shared";
    const conf_t *conf = p->conf;
    for (size_t i = 0; i < conf->policies_n; i++) {
        if (conf_is_remote (&conf->policies[i]))
            continue;
        if (check_voice (&p->voices[i], conf, &conf->policies[i], err) != 0)
            return -1;
        check_note_stored (check, conf, &p->voices[i]);
    }
    if (!check_has_baseline (conf))
        return 0;
    p->solo = (conf_policy_t){.name = (char *) (uintptr_t) shared,
                              .path = conf->model.path,
                              .chat = conf->model.chat,
                              .date = conf->model.date};
    return check_voice (&p->voices[CONF_LIST_MAX], conf, &p->solo, err);
}

static void check_voices_close (prompts_t *p)
{
    for (size_t i = 0; i < sizeof p->voices / sizeof *p->voices; i++) {
        hf_destroy (&p->voices[i].hf);
        tokenizer_destroy (&p->voices[i].tokenizer);
    }
    for (size_t r = 0; r < CONF_LIST_MAX; r++)
        chat_free (&p->spoken[r]);
}

static int check_tasks (check_t *check, prompts_t *p, bool elsewhere, err_t *err)
{
    const conf_t *conf = p->conf;
    task_set_t *tasks = check_open_tasks (conf, err);
    int rc = tasks ? check_examples (conf, tasks, err) : -1;
    if (rc == 0)
        check_note_tasks (check, conf, tasks);
    p->tasks = tasks;
    if (rc == 0 && !elsewhere) /* another machine has another python3 */
        rc = imports_check (conf, tasks, err);
    if (rc == 0)
        rc = check_prompts (check, p, err);
    task_set_destroy (&tasks);
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

/*  What cannot be read would end the reward service. */
static int check_passages (const conf_t *conf, err_t *err)
{
    passages_t passages = {0};
    if (!*conf->task.passages)
        return 0;
    int rc = passages_read (&passages, conf->task.passages, err);
    passages_free (&passages);
    return rc == 0 ? 0 : conf_wrap (conf, "task.passages", err);
}

/*  Nothing is asked: what is free to ask today may cost tomorrow. */
static int check_server (const char *url, const char *model, const char *key_env, err_t *err)
{
    openai_options_t options = {.url = url, .model = model, .key_env = key_env};
    openai_t *server = openai_new (&options, err);
    int rc = server ? 0 : -1;
    openai_destroy (&server);
    return rc;
}

static int check_servers (const conf_t *conf, err_t *err)
{
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        if (conf_is_remote (policy) &&
            check_server (policy->url, policy->model, policy->key_env, err) != 0)
            return conf_wrap_policy (conf, policy, "url", err);
    }
    if (*conf->judge.url &&
        check_server (conf->judge.url, conf->judge.model, conf->judge.key_env, err) != 0)
        return conf_wrap (conf, "judge.url", err);
    return 0;
}

/*  From what costs least to what costs most: adapters, the model folders, the tasks and prompts,
 *  memory, the scorer. Somebody else's suite may stand on other machines: then memory, python3 and
 *  scorer of this one say nothing. */
int check_run (check_t *check, const conf_t *conf, bool elsewhere, err_t *err)
{
    if (check_adapters (conf, err) != 0)
        return -1;
    check_note_steps (check, conf);
    prompts_t *p = calloc (1, sizeof *p); /* paths make it large */
    if (!p)
        return err_set (err, ERR_LIMIT, "no memory to check a configuration");
    p->conf = conf;
    int rc = check_voices (check, p, err);
    if (rc == 0) {
        for (size_t i = 0; i < conf->policies_n; i++)
            if (p->voices[i].hf &&
                (i == 0 || strcmp (p->voices[i].folder, p->voices[i - 1].folder) != 0))
                check_note_sampling (check, conf, p->voices[i].hf, p->voices[i].folder);
        rc = check_tasks (check, p, elsewhere, err);
    }
    if (rc == 0 && !elsewhere) {
        const hf_config_t *models[CONF_LIST_MAX];
        for (size_t i = 0; i < conf->policies_n; i++)
            models[i] = p->voices[i].hf ? hf_config (p->voices[i].hf) : NULL;
        rc = fit_check (conf, models, &check->fit, err);
    }
    check_voices_close (p);
    free (p);
    if (rc == 0 && !elsewhere && *conf->task.program && trial_start (conf->task.program, err) != 0)
        rc = conf_wrap (conf, "task.program", err);
    if (rc == 0 && !elsewhere && *conf->reward.command &&
        trial_start (conf->reward.command, err) != 0)
        rc = conf_wrap (conf, "reward.command", err);
    if (rc == 0 && !elsewhere)
        rc = check_servers (conf, err);
    if (rc == 0 && !elsewhere)
        rc = check_passages (conf, err);
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
