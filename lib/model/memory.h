/*  memory - what a model takes: to sample with, to train. Nothing large is touched to find out.
 *
 *      memory_plan_t plan = {.compute = COMPUTE_F32, .rows = 128, .prompt = 64, .tokens = 64,
 *                            .group = 8, .threads = 2};
 *      memory_need_t need;
 *      memory_need (&config, &plan, &need, &err);
 *
 *  All figures are bytes. They are sums of what the modules themselves say that they allocate.
 */
#ifndef QUINTET_MODEL_MEMORY_H
#define QUINTET_MODEL_MEMORY_H

#include "model/lora.h"
#include "model/model.h"

typedef struct {
    model_compute_t compute;
    size_t rows;           /* completions decoded at once */
    size_t prompt, tokens; /* longest of each */
    size_t group;          /* completions that share a prompt in training */
    size_t threads;
    size_t activations;        /* train_limit's; 0: by the model */
    const lora_config_t *lora; /* NULL: all weights learn */
} memory_plan_t;

typedef struct {
    size_t params;      /* weights, a count */
    size_t trained;     /* how many of them, or of their adapters, learn; a count */
    size_t weights;     /* one model, packed */
    size_t cache;       /* sampling: keys and values of all rows, prompts apart */
    size_t decoding;    /* sampling: buffers of a step */
    size_t masters;     /* training: float32 weights, gradient, both moments of AdamW */
    size_t activations; /* training: of the groups in hand at once */
    size_t published;   /* the version as it travels; in training f32 masters are it */
    size_t sample;      /* weights + cache + decoding */
    size_t train;       /* weights + masters + activations, and published where that is bf16 */
} memory_need_t;

int memory_need (const model_config_t *config, const memory_plan_t *plan, memory_need_t *need,
                 err_t *err);

/*  What the machine could give now without swapping (MemAvailable), or the control groups that
 *  this process is in, as containers are; 0 where the machine does not say. */
size_t memory_available (void);
/*  Of the group and all above it, mounted at root, of version 1 or 2; SIZE_MAX: no limit. */
size_t memory_group_leaves (const char *root, const char *group, int version);

#endif
