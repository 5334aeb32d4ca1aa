/*  policy - a set of weights in training: model, masters, optimiser, and the version that is out.
 *
 *      policy_source_t from = {.dir = dir, .compute = "f32", .chat = "none", .date = ""};
 *      policy_t *policy = policy_load ("main", &from, true, pool, &err);
 *      adamw_step (&policy->optimiser, &options, policy->model, policy->params, gradient, pool,
 *                  &norm);
 *      policy_advance (policy, &err);                     the next version: bytes, hash
 *      policy_destroy (&policy);
 *
 *  Or adapters that learn on a base that does not, one for several of them:
 *
 *      policy_t *base = policy_load ("base", &from, false, pool, &err);
 *      policy_t *adapted = policy_adapt ("main", base, &lora, seed, true, &err);
 */
#ifndef QUINTET_TRAINER_POLICY_H
#define QUINTET_TRAINER_POLICY_H

#include "base/buf.h"
#include "base/hash.h"
#include "formats/hf.h"
#include "model/adamw.h"
#include "model/lora.h"
#include "model/train.h"
#include "text/tokenizer.h"
#include "wire/wire.h"

#define POLICY_NAME_MAX   64
#define POLICY_STOPS_MAX  16
#define POLICY_PREFIX_MAX 16

typedef struct policy {
    char name[POLICY_NAME_MAX];
    char *path;                /* folder of the model */
    const struct policy *base; /* borrowed; NULL: all weights are the policy's own */
    char *adapter_text;        /* adapter_config.json; NULL without a base */
    hash_t adapter_hash;
    hf_config_t config; /* dtype: as checkpoints store it */
    char *config_text;  /* as agents get it */
    char *tokenizer_text;
    tokenizer_t *tokenizer; /* for people alone: the trainer sees ids. With a base it is that's */
    /* the folder's other ones, for checkpoints; NULL with a base, whose they are */
    hf_files_t *files;
    hash_t config_hash, tokenizer_hash;
    int32_t stops[POLICY_STOPS_MAX]; /* tokens that end a completion */
    size_t stops_n;
    int32_t prefix[POLICY_PREFIX_MAX]; /* tokens before every prompt */
    size_t prefix_n;
    model_t *model;
    train_t *train;
    size_t n;      /* floats that learn: all weights, or those of the adapters */
    float *params; /* float32 masters; NULL, as are gradient and optimiser, where nothing learns */
    float *gradient;
    adamw_t optimiser;
    model_t *reference; /* for the KL term; NULL without one */
    train_t *reference_train;
    float *reference_params; /* its masters, where it is not the first policy for good; or NULL */
    uint64_t refresh;        /* versions after which the policy becomes the reference; 0: never */
    wire_version_t version;  /* its policy is name; the hash is of bytes */
    /*  Weights as published: params themselves, or with bf16 halves of their own. */
    void *bytes;
    size_t bytes_n;
    hash_t before; /* the version before, and */
    buf_t delta;   /* what changed since; nothing where it would be no shorter */
    pool_t *pool;  /* borrowed */
} policy_t;

/*  A model's folder. compute: "f32" or "bf16"; chat: a format, "none", or "auto" (from the folder's
 *  chat template, on that date, or ""). */
typedef struct {
    const char *dir, *compute, *chat, *date;
} policy_source_t;

/*  Version 0 of a folder; learns: false, nothing is kept for learning, as of a base or of a policy
 *  that stays as it is. Errors name the folder. */
policy_t *policy_load (const char *name, const policy_source_t *from, bool learns, pool_t *pool,
                       err_t *err);
/*  New adapters, which change nothing yet, on a base that stays while they are. Pure in seed. */
policy_t *policy_adapt (const char *name, const policy_t *base, const lora_config_t *lora,
                        uint64_t seed, bool learns, err_t *err);
void policy_destroy (policy_t **policy);
bool policy_learns (const policy_t *policy);

/*  Keeps the weights as they are now as the reference of the KL term, and again whenever the number
 *  of the version is a multiple of refresh; 0: these for good. */
int policy_keep_reference (policy_t *policy, uint64_t refresh, err_t *err);
/*  Its masters were read from a checkpoint. */
void policy_set_reference (policy_t *policy);

/*  Writes what learns into an existing folder: an ordinary model's, with all that the first one
 *  has, or PEFT's, with the tokenizer's files. */
int policy_save (policy_t *policy, const char *dir, err_t *err);

/*  Replaces weights by those of another folder (a checkpoint's) and sets the version's number. */
int policy_restore (policy_t *policy, const char *dir, uint64_t number, err_t *err);

/*  The weights changed and the model has them: bytes, hash and delta follow, the number goes up by
 *  one. The memory of the training pass is given back: agents sample next. */
int policy_advance (policy_t *policy, err_t *err);

/*  "f32" or "bf16": of the version's bytes; of the matrix products, which is also a base's
 *  bytes'. */
const char *policy_dtype (const policy_t *policy);
const char *policy_compute (const policy_t *policy);

#endif
