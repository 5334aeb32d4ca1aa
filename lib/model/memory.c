/*  memory - see memory.h */
#include "model/memory.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/forward.h"
#include "model/sampler.h"
#include "model/train.h"
#include "model/weights.h"

/*  A sampler without rows in use says what its buffers take; keys and values follow from the
 *  plan. */
static int memory_need_sampling (const model_t *model, const memory_plan_t *plan, pool_t *pool,
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

/*  Asks a train_t with groups of the planned lengths, whose ids are never read. */
static int memory_need_training (const model_t *model, const memory_plan_t *plan, pool_t *pool,
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
    /* Weights, gradient, and AdamW's m and v. */
    need->masters = 4 * sizeof (float) * need->trained;
    need->published = width * need->trained;
    need->activations = train_bytes (train, &group, 1);
    train_destroy (&train);
    free (completions);
    return 0;
}

/*  weights_shape makes a model without memory, so that a plan for a model that does not fit can be
 *  made. */
int memory_need (const model_config_t *config, const memory_plan_t *plan, memory_need_t *need,
                 err_t *err)
{
    *need = (memory_need_t){0};
    model_t *base = weights_shape (config, plan->compute, err);
    model_t *adapted = base && plan->lora ? lora_new (base, plan->lora, err) : NULL;
    model_t *model = plan->lora ? adapted : base;
    pool_t *pool = plan->threads > 1 ? pool_new (plan->threads) : NULL;
    int rc = model ? 0 : -1;
    if (rc == 0) {
        need->params = model_params (base);
        need->weights = model_bytes (base) + (adapted ? model_bytes (adapted) : 0);
        rc = memory_need_sampling (model, plan, pool, need, err);
    }
    if (rc == 0)
        rc = memory_need_training (model, plan, pool, need, err);
    need->sample = need->weights + need->cache + need->decoding;
    need->train = need->weights + need->masters + need->activations;
    if (model && model_params_type (model) == COMPUTE_BF16)
        need->train += need->published;
    pool_destroy (&pool);
    model_destroy (&adapted);
    model_destroy (&base);
    return rc;
}

/*  ---- what is free --------------------------------------------------------------------------- */

/*  The number after `key` in a file, or the first of it (key NULL). SIZE_MAX without one: a limit
 *  may be the word "max". */
static size_t memory_number_in (const char *path, const char *key)
{
    char line[256];
    unsigned long long number;
    size_t found = SIZE_MAX, length = key ? strlen (key) : 0;
    FILE *file = fopen (path, "re");
    while (file && found == SIZE_MAX && fgets (line, sizeof line, file))
        if (strncmp (line, key ? key : "", length) == 0 &&
            sscanf (line + length, " %llu", &number) == 1)
            found = (size_t) number;
    if (file)
        fclose (file);
    return found;
}

/*  What a control group leaves of its limit: file pages that were not used for long are given up
 *  before anything fails. Versions 1 and 2 have other names for the same three figures. */
static size_t memory_one_group_leaves (const char *group, int version)
{
    static const char *const names[][3] = {
        {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
        {"memory.max", "memory.current", "inactive_file"}};
    const char *const *name = names[version - 1];
    char path[PATH_MAX + 32];
    snprintf (path, sizeof path, "%s/%s", group, name[0]);
    size_t limit = memory_number_in (path, NULL);
    snprintf (path, sizeof path, "%s/%s", group, name[1]);
    size_t used = memory_number_in (path, NULL);
    snprintf (path, sizeof path, "%s/memory.stat", group);
    size_t files = memory_number_in (path, name[2]);
    if (limit == SIZE_MAX || used == SIZE_MAX)
        return SIZE_MAX;
    used -= files < used ? files : 0;
    return used < limit ? limit - used : 0;
}

/*  The limit that binds may be any ancestor's: walk up from the group to root and take the
 *  least. */
size_t memory_group_leaves (const char *root, const char *group, int version)
{
    char path[PATH_MAX];
    int n = snprintf (path, sizeof path, "%s%s", root, group);
    size_t least = SIZE_MAX;
    if (n < 0 || (size_t) n >= sizeof path)
        return least;
    for (char *end = path + n; end; end = strrchr (path, '/')) {
        *end = 0;
        size_t left =
            strlen (path) >= strlen (root) ? memory_one_group_leaves (path, version) : SIZE_MAX;
        least = left < least ? left : least;
    }
    return least;
}

/*  A line of /proc/self/cgroup: hierarchy, controllers, group. */
static size_t memory_line_leaves (char *line)
{
    char *group = strchr (line, ':');
    group = group ? strchr (group + 1, ':') : NULL;
    if (!group)
        return SIZE_MAX;
    group++;
    group[strcspn (group, "\n")] = 0;
    if (strncmp (line, "0::", 3) == 0)
        return memory_group_leaves ("/sys/fs/cgroup", group, 2);
    return strstr (line, ":memory:") ? memory_group_leaves ("/sys/fs/cgroup/memory", group, 1)
                                     : SIZE_MAX;
}

/*  /proc/meminfo speaks of the whole machine; inside a container the control group's limit is what
 *  ends a process. */
size_t memory_available (void)
{
    char line[PATH_MAX];
    FILE *file = fopen ("/proc/self/cgroup", "re");
    size_t least = memory_number_in ("/proc/meminfo", "MemAvailable:");
    least = least == SIZE_MAX ? 0 : least << 10;
    while (file && fgets (line, sizeof line, file)) {
        size_t left = memory_line_leaves (line);
        least = left < least ? left : least;
    }
    if (file)
        fclose (file);
    return least;
}
