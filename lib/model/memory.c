/*  memory - see memory.h */
#include "model/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/forward.h"
#include "model/sampler.h"
#include "model/train.h"

/*  A sampler without rows in use says what its buffers take; keys and values follow from the plan. */
static int need_sampling (const model_t *model, const memory_plan_t *plan, pool_t *pool,
                          memory_need_t *need, err_t *err)
{
    sampler_t *sampler = sampler_new (model, plan->rows, pool, err);
    if (!sampler)
        return -1;
    size_t blocks = kv_blocks (plan->prompt, plan->prompt + plan->tokens);
    need->decoding = sampler_bytes (sampler);
    need->cache = plan->rows * kv_floats (model, blocks) * sizeof (float);
    sampler_destroy (&sampler);
    return 0;
}

static int need_training (const model_t *model, const memory_plan_t *plan, pool_t *pool,
                          memory_need_t *need, err_t *err)
{
    train_t *train = train_new (model, pool, err);
    train_tokens_t *completions = calloc (plan->group, sizeof *completions);
    if (!train || !completions) {
        train_destroy (&train);
        free (completions);
        return err_set (err, ERR_LIMIT, "no memory to plan a training pass");
    }
    for (size_t c = 0; c < plan->group; c++)
        completions[c].n = plan->tokens;
    train_group_t group = {
        .prompt = {.n = plan->prompt}, .completions = completions, .completions_n = plan->group};
    train_limit (train, plan->activations, 0);
    size_t width = model_params_type (model) == COMPUTE_BF16 ? 2 : sizeof (float);
    need->trained = model_params (model);
    need->masters = 4 * sizeof (float) * need->trained;
    need->published = width * need->trained;
    need->activations = train_bytes (train, &group, 1);
    train_destroy (&train);
    free (completions);
    return 0;
}

int memory_need (const model_config_t *config, const memory_plan_t *plan, memory_need_t *need,
                 err_t *err)
{
    *need = (memory_need_t){0};
    model_t *base = model_new (config, plan->compute, err);
    model_t *adapted = base && plan->lora ? lora_new (base, plan->lora, err) : NULL;
    model_t *model = plan->lora ? adapted : base;
    pool_t *pool = plan->threads > 1 ? pool_new (plan->threads) : NULL;
    int rc = model ? 0 : -1;
    if (rc == 0) {
        need->params = model_params (base);
        need->weights = model_bytes (base) + (adapted ? model_bytes (adapted) : 0);
        rc = need_sampling (model, plan, pool, need, err);
    }
    if (rc == 0)
        rc = need_training (model, plan, pool, need, err);
    need->sample = need->weights + need->cache + need->decoding;
    need->train = need->weights + need->masters + need->activations;
    if (model && model_params_type (model) == COMPUTE_BF16)
        need->train += need->published;
    pool_destroy (&pool);
    model_destroy (&adapted);
    model_destroy (&base);
    return rc;
}

size_t memory_available (void)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *file = fopen ("/proc/meminfo", "re");
    while (file && fgets (line, sizeof line, file))
        if (sscanf (line, "MemAvailable: %llu kB", &kilobytes) == 1)
            break;
    if (file)
        fclose (file);
    return (size_t) kilobytes << 10;
}
