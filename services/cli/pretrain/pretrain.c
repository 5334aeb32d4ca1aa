/*  pretrain - see pretrain.h */
#include "pretrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "formats/hf.h"
#include "model/adamw.h"
#include "model/train.h"
#include "task/corpus.h"
#include "texts.h"

#define END_TOKEN   "<|end|>"
#define PROGRESS_MS 1000

typedef struct {
    const pretrain_options_t *options;
    corpus_t *corpus; /* one of these two */
    texts_t *file;
    tokenizer_t *tokenizer;
    char *tokenizer_json;
    pool_t *pool;
    model_t *model;
    train_t *train;
    float *params, *gradient;
    adamw_t adamw;
    /* one batch: text i is the group of one completion */
    train_group_t *groups;
    train_tokens_t *completions;
    tokenizer_ids_t *prompt_ids, *completion_ids;
    double *nll;   /* per text */
    size_t tokens; /* of all completions */
    buf_t prompt, completion;
} pretrain_t;

static int pretrain_get (const pretrain_t *p, uint64_t index, buf_t *prompt, buf_t *completion,
                         err_t *err)
{
    return p->file ? texts_get (p->file, index, prompt, completion, err)
                   : corpus_get (p->corpus, index, prompt, completion, err);
}

/*  From the first texts of the corpus, prompts and completions alike; the model trains on the same
 *  sequence of texts. */
static int pretrain_make_tokenizer (pretrain_t *p, err_t *err)
{
    size_t n = 2 * p->options->texts;
    char **texts = calloc (n, sizeof *texts);
    int rc = texts ? 0 : err_set (err, ERR_LIMIT, "no memory for %zu texts", n);
    for (size_t i = 0; rc == 0 && i < p->options->texts; i++) {
        buf_t prompt = {0}, completion = {0};
        rc = pretrain_get (p, i, &prompt, &completion, err);
        texts[2 * i] = buf_take (&prompt);
        texts[2 * i + 1] = buf_take (&completion);
    }
    if (rc == 0) {
        p->tokenizer_json = tokenizer_train ((const char *const *) texts, n, p->options->vocab,
                                             (const char *const[]){END_TOKEN}, 1, err);
        if (p->tokenizer_json)
            p->tokenizer = tokenizer_parse (p->tokenizer_json, strlen (p->tokenizer_json), err);
        rc = p->tokenizer ? 0 : -1;
    }
    for (size_t i = 0; texts && i < n; i++)
        free (texts[i]);
    free (texts);
    return rc;
}

/*  A small Llama: any tool that reads Hugging Face folders can load it. */
static model_config_t pretrain_config_of (const pretrain_t *p)
{
    const pretrain_options_t *o = p->options;
    return (model_config_t){.arch = ARCH_LLAMA,
                            .width = o->width,
                            .layers = o->layers,
                            .heads = o->heads,
                            .kv_heads = o->heads,
                            .head_dim = o->width / o->heads,
                            .ff = o->ff,
                            .vocab = tokenizer_vocab (p->tokenizer),
                            .context = o->context,
                            .norm_eps = 1e-5,
                            .rope = ROPE_PLAIN,
                            .rope_theta = 10000,
                            .tied = true};
}

/*  Whatever is as large as the model or as the batch is made before the first step. */
static int pretrain_make_model (pretrain_t *p, err_t *err)
{
    model_config_t config = pretrain_config_of (p);
    p->model = model_new (&config, COMPUTE_F32, err);
    if (!p->model)
        return -1;
    p->train = train_new (p->model, p->pool, err);
    if (!p->train)
        return -1;
    size_t n = model_params (p->model), batch = p->options->batch;
    p->params = calloc (n, sizeof (float));
    p->gradient = calloc (n, sizeof (float));
    p->adamw = (adamw_t){.m = calloc (n, sizeof (float)), .v = calloc (n, sizeof (float)), .n = n};
    p->groups = calloc (batch, sizeof *p->groups);
    p->completions = calloc (batch, sizeof *p->completions);
    p->prompt_ids = calloc (batch, sizeof *p->prompt_ids);
    p->completion_ids = calloc (batch, sizeof *p->completion_ids);
    p->nll = calloc (batch, sizeof *p->nll);
    if (!p->params || !p->gradient || !p->adamw.m || !p->adamw.v || !p->groups || !p->completions ||
        !p->prompt_ids || !p->completion_ids || !p->nll)
        return err_set (err, ERR_LIMIT, "no memory for a model of %zu weights", n);
    model_init_params (p->model, p->options->seed, p->params);
    return 0;
}

static void pretrain_free (pretrain_t *p)
{
    for (size_t i = 0; p->prompt_ids && p->completion_ids && i < p->options->batch; i++) {
        tokenizer_ids_free (&p->prompt_ids[i]);
        tokenizer_ids_free (&p->completion_ids[i]);
    }
    free (p->prompt_ids);
    free (p->completion_ids);
    free (p->groups);
    free (p->completions);
    free (p->nll);
    free (p->params);
    free (p->gradient);
    free (p->adamw.m);
    free (p->adamw.v);
    free (p->tokenizer_json);
    buf_free (&p->prompt);
    buf_free (&p->completion);
    train_destroy (&p->train);
    model_destroy (&p->model);
    tokenizer_destroy (&p->tokenizer);
    corpus_destroy (&p->corpus);
    texts_destroy (&p->file);
    pool_destroy (&p->pool);
}

/*  Text `index` of the corpus becomes group i of the batch: its prompt, and its completion with the
 *  end token. Prompts are read and not learnt: only completion tokens count in the loss. */
static int pretrain_read_text (pretrain_t *p, size_t i, uint64_t index, err_t *err)
{
    tokenizer_ids_t *prompt = &p->prompt_ids[i], *completion = &p->completion_ids[i];
    prompt->n = completion->n = 0;
    buf_clear (&p->prompt);
    buf_clear (&p->completion);
    if (pretrain_get (p, index, &p->prompt, &p->completion, err) != 0 ||
        tokenizer_encode (p->tokenizer, p->prompt.data, p->prompt.size, 0, prompt, err) != 0 ||
        tokenizer_encode (p->tokenizer, p->completion.data, p->completion.size, 0, completion,
                          err) != 0 ||
        tokenizer_encode (p->tokenizer, END_TOKEN, strlen (END_TOKEN), 0, completion, err) != 0)
        return err_wrap (err, "text %llu of the corpus", (unsigned long long) index);
    /* Cut texts would teach completions without an end. */
    if (prompt->n + completion->n > p->options->context)
        return err_set (err, ERR_INPUT,
                        "text %llu of the corpus has %zu tokens, more than the context of %zu",
                        (unsigned long long) index, prompt->n + completion->n, p->options->context);
    p->completions[i] = (train_tokens_t){.ids = completion->data, .n = completion->n};
    p->groups[i] = (train_group_t){.prompt = {.ids = prompt->data, .n = prompt->n},
                                   .completions = &p->completions[i],
                                   .completions_n = 1};
    p->tokens += completion->n;
    return 0;
}

/*  Cross-entropy, averaged over the tokens of the batch: the loss that train_run asks for. Sums are
 *  kept by text, since any thread may call this. */
static void pretrain_cross_entropy (void *context, size_t group, size_t first, const float *logp,
                                    const float *entropy, float *dlogp)
{
    (void) first;
    (void) entropy;
    pretrain_t *p = context;
    double sum = 0;
    for (size_t t = 0; t < p->completions[group].n; t++) {
        sum -= (double) logp[t];
        /* The mean over all completion tokens of the batch, so long texts weigh by their length. */
        dlogp[t] = (float) (-1.0 / (double) p->tokens);
    }
    p->nll[group] = sum;
}

/*  Linear warm-up over 2% of the steps, then linear down to 5% of the rate. */
static double pretrain_rate_at (const pretrain_options_t *o, size_t step)
{
    double warmup = ceil (0.02 * (double) o->steps), at = (double) step + 1;
    if (at < warmup)
        return o->lr * at / warmup;
    return o->lr * (1 - 0.95 * (at - warmup) / ((double) o->steps - warmup + 1));
}

/*  One step; *loss in nats per token. Batch k is texts k * batch and on: no text of a corpus comes
 *  twice, and a step needs no state but its number. */
static int pretrain_step (pretrain_t *p, size_t k, double *loss, err_t *err)
{
    p->tokens = 0;
    for (size_t i = 0; i < p->options->batch; i++)
        if (pretrain_read_text (p, i, (uint64_t) k * p->options->batch + i, err) != 0)
            return -1;
    /* Steps change params; the model computes with its own copy. */
    model_set (p->model, p->params, p->pool);
    if (train_run (p->train, p->groups, p->options->batch, pretrain_cross_entropy, p, p->gradient,
                   err) != 0)
        return -1;
    adamw_options_t options = {.lr = pretrain_rate_at (p->options, k),
                               .beta1 = 0.9,
                               .beta2 = 0.98,
                               .eps = 1e-8,
                               .decay = 0.01,
                               .clip_norm = 1};
    double norm;
    if (adamw_step (&p->adamw, &options, p->model, p->params, p->gradient, p->pool, &norm) != 0)
        return err_set (err, ERR_INTERNAL, "step %zu: the gradient is not finite", k);
    if (adamw_check (p->model, p->params, p->adamw.n, p->pool, err) != 0)
        return err_wrap (err, "step %zu", k);
    *loss = 0;
    for (size_t i = 0; i < p->options->batch; i++)
        *loss += p->nll[i];
    *loss /= (double) p->tokens;
    return 0;
}

static int pretrain_learn (pretrain_t *p, err_t *err)
{
    size_t steps = p->options->steps, seen = 0;
    double loss = 0, smooth = 0, start = clock_s ();
    int64_t shown_ms = 0;
    for (size_t k = 0; k < steps; k++) {
        if (pretrain_step (p, k, &loss, err) != 0)
            return -1;
        seen += p->tokens;
        /* Batches differ; a running mean shows where the loss goes. */
        smooth = k ? 0.98 * smooth + 0.02 * loss : loss;
        if (clock_ms () - shown_ms < PROGRESS_MS && k + 1 < steps)
            continue;
        shown_ms = clock_ms ();
        double s = clock_s () - start, left = s / (double) (k + 1) * (double) (steps - k - 1);
        fprintf (stderr, "%sstep %zu of %zu  loss %.3f  %.0f tokens/s  %.0f s left   %s",
                 isatty (2) ? "\r" : "", k + 1, steps, smooth, (double) seen / s, left,
                 isatty (2) && k + 1 < steps ? "" : "\n");
    }
    return 0;
}

/*  Appears whole or not at all: written beside, then renamed. */
static int pretrain_save (pretrain_t *p, err_t *err)
{
    hf_config_t config = {.model = *model_config (p->model), .dtype = HF_BF16, .bos = -1};
    config.eos[0] = tokenizer_id (p->tokenizer, END_TOKEN);
    config.eos_n = 1;
    char partial[FS_PATH_MAX];
    if (snprintf (partial, sizeof partial, "%s.partial", p->options->out) >= (int) sizeof partial)
        return err_set (err, ERR_INPUT, "%s: the path is too long", p->options->out);
    /* Another attempt may have been killed and left its own behind. */
    if (fs_remove (partial, err) != 0 || fs_mkdirs (partial, err) != 0)
        return -1;
    if (hf_save (partial, &config, p->model, p->params, p->tokenizer_json, err) != 0 ||
        fs_publish_folder (partial, p->options->out, err) != 0) {
        fs_remove (partial, NULL);
        return -1;
    }
    return 0;
}

/*  Corpus, tokenizer, model, steps, folder; each takes what the ones before made. */
int pretrain_run (const pretrain_options_t *options, err_t *err)
{
    /* Said before the work, not after it. */
    if (fs_exists (options->out))
        return err_set (err, ERR_INPUT, "%s exists already: name another folder with --out",
                        options->out);
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    size_t threads = options->threads ? options->threads : cores > 0 ? (size_t) cores : 1;
    pretrain_t p = {.options = options, .pool = pool_new (threads)};
    if (options->file)
        p.file = texts_new (options->file, err);
    else
        p.corpus = corpus_new (&options->task, err);
    int rc = p.file || p.corpus ? 0 : -1;
    if (rc == 0) {
        fprintf (stderr, "making a tokenizer of %zu tokens from %zu texts\n", options->vocab,
                 2 * options->texts);
        rc = pretrain_make_tokenizer (&p, err);
    }
    if (rc == 0)
        rc = pretrain_make_model (&p, err);
    if (rc == 0) {
        fprintf (stderr, "training %zu weights on %zu texts\n", model_params (p.model),
                 options->steps * options->batch);
        rc = pretrain_learn (&p, err);
    }
    if (rc == 0)
        rc = pretrain_save (&p, err);
    pretrain_free (&p);
    return rc;
}
