/*  lora - low-rank adapters on a frozen base (Hu et al. 2021): y += alpha / rank B (A x).
 *
 *      lora_config_t lora = {.rank = 8, .alpha = 16, .targets = LORA_ALL_LINEAR};
 *      model_t *model = lora_new (base, &lora, &err);     shares the base's weights
 *      model_init_params (model, seed, params);    model_params (model): those of adapters alone
 *      model_set (model, params, pool);
 *
 *  An adapted model is a model_t whose flat vector, tensors and gradient are its adapters' and
 *  nothing else: training, optimiser, transfer between processes need no more. Adapters are
 *  float32, also where the base computes in bfloat16 (as PEFT has them). A base serves any number
 *  of adapted models at once.
 */
#ifndef QUINTET_MODEL_LORA_H
#define QUINTET_MODEL_LORA_H

#include "model/model.h"

/*  Projections that may have an adapter, in the order of a layer's tensors; the head comes after
 *  all layers. */
#define LORA_TARGETS(X)                                                                            \
    X (Q, "q_proj")                                                                                \
    X (K, "k_proj")                                                                                \
    X (V, "v_proj")                                                                                \
    X (O, "o_proj")                                                                                \
    X (GATE, "gate_proj")                                                                          \
    X (UP, "up_proj")                                                                              \
    X (DOWN, "down_proj")                                                                          \
    X (HEAD, "lm_head")

#define LORA_TARGET_ROW(name, text) LORA_##name,
typedef enum { LORA_TARGETS (LORA_TARGET_ROW) LORA_TARGET_COUNT } lora_target_t;
#undef LORA_TARGET_ROW

#define LORA_ALL_LINEAR ((1u << LORA_HEAD) - 1) /* "all-linear": everything but the head */
#define LORA_RANK_MAX   1024

typedef struct {
    size_t rank; /* 0: no adapters */
    double alpha;
    bool rslora;      /* alpha / sqrt (rank) (Kalajdzievski 2023) instead of alpha / rank */
    unsigned targets; /* 1 << lora_target_t */
} lora_config_t;

/*  All adapters zero. The base is borrowed and must stay as it is; it has no adapters itself. */
model_t *lora_new (const model_t *base, const lora_config_t *config, err_t *err);
/*  NULL for a model without adapters. */
const lora_config_t *lora_config (const model_t *model);
/*  A uniform in +- 1 / sqrt (columns), B zero, as PEFT begins: the model is the base. Pure in
 *  seed. */
void lora_init_params (const model_t *model, uint64_t seed, float *params);

/*  Adds the target of that name ("q_proj", or "all-linear"). */
int lora_add_target (lora_config_t *config, const char *name, err_t *err);

#endif
