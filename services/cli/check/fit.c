/*  fit - see fit.h */
#include "fit.h"

#include <string.h>
#include <unistd.h>

#include "formats/peft.h"
#include "model/memory.h"

#define AGENT_ROWS ((size_t) 128)      /* quintet-agent --rows */
#define PROMPT     ((size_t) 256)      /* a prompt's tokens, before any is known */
#define SERVICE    ((size_t) 10 << 20) /* a process by itself */
#define OTHERS     (4 * SERVICE)       /* environment, reward, Redis, this command */
#define MB(bytes)  ((double) (bytes) / 1e6)

/*  The plan of the largest thing that each process computes at once. */
static int fit_plan_of (const conf_t *conf, const model_config_t *model, memory_plan_t *plan,
                        lora_config_t *lora, err_t *err)
{
    char folder[FS_PATH_MAX];
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    size_t threads = conf->run.threads ? (size_t) conf->run.threads
                     : cores > 0       ? (size_t) cores
                                       : 1;
    size_t tokens = (size_t) conf->task.max_tokens;
    if (tokens >= model->context)
        return err_set (err, ERR_CONFIG,
                        "task.max_tokens is %zu, and the model's context has %zu with the prompt",
                        tokens, model->context);
    *plan = (memory_plan_t){
        .compute = strcmp (conf->model.compute, "bf16") == 0 ? COMPUTE_BF16 : COMPUTE_F32,
        .rows = AGENT_ROWS,
        .tokens = tokens,
        .prompt = PROMPT < model->context - tokens ? PROMPT : model->context - tokens,
        .group = (size_t) conf->trainer.group_size,
        .activations = (size_t) conf->trainer.activations_mb * 1000000,
        .threads = threads};
    if (strcmp (conf->model.adapter, "lora") != 0)
        return 0;
    plan->lora = lora;
    if (*conf->model.adapter_path) /* those of one role stand for all */
        return peft_find (conf->model.adapter_path, conf_policy (conf, 0), folder, err) == 0 &&
                       peft_read_config (folder, lora, err) == 0
                   ? 0
                   : err_wrap (err, "model.adapter_path");
    *lora =
        (lora_config_t){.rank = (size_t) conf->model.lora_rank, .alpha = conf->model.lora_alpha};
    for (size_t i = 0; i < conf->model.lora_targets.n; i++)
        if (lora_add_target (lora, conf->model.lora_targets.item[i], err) != 0)
            return err_wrap (err, "model.lora_targets");
    return 0;
}

/*  An estimate from above of what the processes of the run take together at their highest. */
int fit_check (const conf_t *conf, const hf_config_t *config, fit_t *fit, err_t *err)
{
    memory_plan_t plan;
    memory_need_t need;
    lora_config_t lora;
    if (fit_plan_of (conf, &config->model, &plan, &lora, err) != 0)
        return -1;
    if (memory_need (&config->model, &plan, &need, err) != 0)
        return err_wrap (err, "the model does not fit here (take a smaller one, or model.compute "
                              "bf16)");
    size_t policies = conf_shares (conf) ? 1 : conf->team.roles.n;
    size_t width = plan.compute == COMPUTE_BF16 ? 2 : sizeof (float);
    size_t shared = plan.lora ? need.weights : 0;        /* the base is there once, */
    size_t base = plan.lora ? need.params * width : 0;   /* and as it travels */
    size_t own = need.train - need.activations - shared; /* of each policy */
    /* While the next version is made, a second one is there, the bytes that it is made of, and a
     * delta. */
    size_t made = (plan.lora ? need.published : need.weights) + 2 * need.published;
    /* The KL term needs the first policy's weights; with adapters that is the base. */
    size_t reference = conf->loss.kl > 0 && !plan.lora ? policies * need.weights : 0;
    if (conf->loss.kl_refresh > 0) /* and, where it moves, its float32 masters */
        reference += policies * (need.masters / 4);
    *fit = (fit_t){
        .trainer = SERVICE + shared + base + policies * own + need.activations + reference +
                   2 * need.published,
        .agents = (size_t) conf->run.agents *
                  (SERVICE + base + need.sample + (policies - 1) * (need.weights - shared) + made),
        .bus = SERVICE + base + (policies + 1) * need.published + need.published / 2,
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
