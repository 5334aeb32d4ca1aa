/*  fit - see fit.h */
#include "fit.h"

#include <string.h>
#include <unistd.h>

#include "formats/peft.h"
#include "model/memory.h"

#define AGENT_ROWS ((size_t) 128)       /* quintet-agent --rows */
#define AGENT_PAST ((size_t) 256 << 20) /* quintet-agent --past */
#define PROMPT     ((size_t) 256)       /* a prompt's tokens, before any is known */
#define SERVICE    ((size_t) 10 << 20)  /* a process by itself */
#define OTHERS     (4 * SERVICE)        /* environment, reward, Redis, this command */
#define MB(bytes)  ((double) (bytes) / 1e6)

/*  The longest text that is asked of a policy, by a role or as the judge; key: which says so. */
static size_t fit_tokens (const conf_t *conf, const conf_policy_t *policy, const char **key)
{
    size_t own = 0, judges = 0;
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (conf_policy (conf, r) == policy)
            own = (size_t) conf->task.max_tokens;
    if (policy == conf_judge_policy (conf))
        judges = (size_t) conf->judge.max_tokens;
    *key = judges > own ? "judge.max_tokens" : "task.max_tokens";
    return judges > own ? judges : own;
}

/*  The plan of the largest thing that a policy makes each process compute at once. */
static int fit_plan_of (const conf_t *conf, const conf_policy_t *policy,
                        const model_config_t *model, memory_plan_t *plan, lora_config_t *lora,
                        err_t *err)
{
    char folder[FS_PATH_MAX];
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    size_t threads = conf->run.threads ? (size_t) conf->run.threads
                     : cores > 0       ? (size_t) cores
                                       : 1;
    const char *key;
    size_t tokens = fit_tokens (conf, policy, &key);
    if (tokens >= model->context)
        return conf_refuse (conf, key, err,
                            "is %zu, and the context of policy %s has %zu with the prompt", tokens,
                            policy->name, model->context);
    *plan = (memory_plan_t){
        .compute = strcmp (policy->compute, "bf16") == 0 ? COMPUTE_BF16 : COMPUTE_F32,
        .rows = AGENT_ROWS,
        .tokens = tokens,
        .prompt = PROMPT < model->context - tokens ? PROMPT : model->context - tokens,
        .group = (size_t) conf->trainer.group_size,
        .activations = (size_t) conf->trainer.activations_mb * 1000000,
        .threads = threads};
    if (strcmp (policy->adapter, "lora") != 0)
        return 0;
    plan->lora = lora;
    *lora = (lora_config_t){.rank = (size_t) policy->lora_rank, .alpha = policy->lora_alpha};
    if (*policy->adapter_path)
        return peft_find (policy->adapter_path, policy->name, folder, err) == 0 &&
                       peft_read_config (folder, lora, err) == 0
                   ? 0
                   : conf_wrap_policy (conf, policy, "adapter_path", err);
    for (size_t i = 0; i < policy->lora_targets.n; i++)
        if (lora_add_target (lora, policy->lora_targets.item[i], err) != 0)
            return conf_wrap_policy (conf, policy, "lora_targets", err);
    return 0;
}

/*  What a policy takes: by itself, and with others that have the same model. */
typedef struct {
    size_t trainer, agent, published; /* its own */
    size_t base, travels;             /* of adapters: the model below, there and on its way */
    size_t sampler;                   /* shared by policies of one shape */
    size_t activations, made;         /* one policy's at a time */
} share_t;

static int fit_share (const conf_t *conf, size_t p, const hf_config_t *model, share_t *share,
                      err_t *err)
{
    const conf_policy_t *policy = &conf->policies[p];
    memory_plan_t plan;
    memory_need_t need;
    lora_config_t lora;
    if (fit_plan_of (conf, policy, &model->model, &plan, &lora, err) != 0)
        return -1;
    if (memory_need (&model->model, &plan, &need, err) != 0)
        return err_wrap (err, "the model does not fit here (take a smaller one, or model.compute "
                              "bf16)");
    size_t width = plan.compute == COMPUTE_BF16 ? 2 : sizeof (float);
    *share = (share_t){.published = need.published,
                       .base = plan.lora ? need.weights : 0,
                       .travels = plan.lora ? need.params * width : 0,
                       .sampler = need.cache + need.decoding};
    share->agent = need.weights - share->base;
    /* While the next version is made, a second one is there, the bytes that it is made of, and a
     * delta. */
    share->made = (plan.lora ? need.published : need.weights) + 2 * need.published;
    share->trainer = need.weights - share->base + need.published;
    if (!policy->train)
        return 0;
    share->activations = need.activations;
    share->trainer = need.train - need.activations - share->base;
    /* The KL term needs the first policy's weights; with adapters that is the base. */
    if (conf->loss.kl > 0 && !plan.lora)
        share->trainer += need.weights;
    if (conf->loss.kl_refresh > 0) /* and, where it moves, its float32 masters */
        share->trainer += need.masters / 4;
    return 0;
}

static size_t fit_more (size_t a, size_t b)
{
    return a > b ? a : b;
}

/*  Whether a policy before this one has the same model, so that what they share is counted. */
static bool fit_counted (const conf_t *conf, size_t p)
{
    const conf_policy_t *all = conf->policies;
    bool counted = false;
    for (size_t i = 0; i < p; i++)
        counted = counted || (strcmp (all[i].path, all[p].path) == 0 &&
                              strcmp (all[i].compute, all[p].compute) == 0 &&
                              strcmp (all[i].adapter, all[p].adapter) == 0);
    return counted;
}

/*  An estimate from above of what the processes of the run take together at their highest. */
int fit_check (const conf_t *conf, const hf_config_t *const *models, fit_t *fit, err_t *err)
{
    share_t all = {0};
    size_t most = 0, past = 0; /* published of one policy; of an agent */
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (conf_remembers (conf, conf->team.roles.item[r]))
            past = AGENT_PAST;
    for (size_t p = 0; p < conf->policies_n; p++) {
        share_t share = {0};
        if (conf_is_remote (&conf->policies[p])) /* it takes nothing here */
            continue;
        if (fit_share (conf, p, models[p], &share, err) != 0)
            return -1;
        bool counted = fit_counted (conf, p);
        all.trainer += share.trainer;
        all.agent += share.agent;
        all.published += share.published;
        all.base += counted ? 0 : share.base;
        all.travels += counted ? 0 : share.travels;
        all.sampler += counted ? 0 : share.sampler;
        all.activations = fit_more (all.activations, share.activations);
        all.made = fit_more (all.made, share.made);
        most = fit_more (most, share.published);
    }
    *fit = (fit_t){
        .trainer = SERVICE + all.base + all.travels + all.trainer + all.activations + 2 * most,
        .agents = (size_t) conf->run.agents *
                  (SERVICE + all.travels + all.base + all.sampler + past + all.agent + all.made),
        .bus = SERVICE + all.travels + all.published + most + most / 2,
        .others = OTHERS,
        .available = memory_available ()};
    fit->sum = fit->trainer + fit->agents + fit->bus + fit->others;
    if (fit->available == 0 || fit->sum <= fit->available)
        return 0;
    return err_set (err, ERR_LIMIT,
                    "the run would take about %.0f MB (trainer %.0f, agents %.0f, bus %.0f, others "
                    "%.0f), and %.0f MB are free: take a smaller model, model.compute bf16, "
                    "model.adapter lora, a smaller trainer.group_size or task.max_tokens, or "
                    "trainer.activations_mb",
                    MB (fit->sum), MB (fit->trainer), MB (fit->agents), MB (fit->bus),
                    MB (fit->others), MB (fit->available));
}

void fit_print (const fit_t *fit, FILE *to)
{
    fprintf (to,
             "Memory: at most about %.0f MB (trainer %.0f, agents %.0f, bus %.0f, others %.0f)\n",
             MB (fit->sum), MB (fit->trainer), MB (fit->agents), MB (fit->bus), MB (fit->others));
}
