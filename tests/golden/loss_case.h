/*  loss_case - one reference case of a loss, read and compared. Shared by the golden and the unit
 *  test.
 *
 *      double error = loss_case_error (path);      largest difference of loss, gradient and metrics
 */
#ifndef QUINTET_TESTS_LOSS_CASE_H
#define QUINTET_TESTS_LOSS_CASE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "learn/loss.h"

#define CASE_ROWS    64
#define CASE_COLUMNS 64

typedef struct {
    loss_config_t config;
    size_t rows, columns;
    double logp[CASE_ROWS][CASE_COLUMNS], old[CASE_ROWS][CASE_COLUMNS];
    double ref[CASE_ROWS][CASE_COLUMNS], sampler[CASE_ROWS][CASE_COLUMNS];
    double dlogp[CASE_ROWS][CASE_COLUMNS];
    uint8_t mask[CASE_ROWS][CASE_COLUMNS];
    double advantage[CASE_ROWS];
} loss_case_t;

static inline double loss_case_number (const json_t *object, const char *key)
{
    return json_number_value (json_object_get (object, key)); /* null and absent: 0 */
}

static inline void loss_case_config (const json_t *json, loss_config_t *config)
{
    const char *mode = json_string_value (json_object_get (json, "is_mode"));
    const char *level = json_string_value (json_object_get (json, "level"));
    *config =
        (loss_config_t){.type = loss_type (json_string_value (json_object_get (json, "loss_type"))),
                        .sequence_level = strcmp (level, "sequence") == 0,
                        .clip_low = loss_case_number (json, "epsilon_low"),
                        .clip_high = loss_case_number (json, "epsilon_high"),
                        .delta = loss_case_number (json, "delta"),
                        .kl = loss_case_number (json, "beta"),
                        .kl_ratio = json_is_true (json_object_get (json, "use_bias_correction_kl")),
                        .off_policy_kl = loss_case_number (json, "off_policy_mask_threshold"),
                        .correction_cap = loss_case_number (json, "is_cap"),
                        /* the reference keeps these two in a float32 tensor */
                        .sapo_positive = (float) loss_case_number (json, "sapo_temperature_pos"),
                        .sapo_negative = (float) loss_case_number (json, "sapo_temperature_neg"),
                        .max_tokens = loss_case_number (json, "max_completion_length")};
    if (mode)
        config->correction = strcmp (mode, "token_mask") == 0 ? LOSS_CORRECT_TOKEN_MASK
                                                              : LOSS_CORRECT_TOKEN_TRUNCATE;
}

static inline void loss_case_matrix (const json_t *rows, double out[CASE_ROWS][CASE_COLUMNS])
{
    for (size_t r = 0; r < json_array_size (rows); r++)
        for (size_t c = 0; c < json_array_size (json_array_get (rows, r)); c++)
            out[r][c] = json_number_value (json_array_get (json_array_get (rows, r), c));
}

static inline void loss_case_read (const json_t *json, loss_case_t *one)
{
    const json_t *logp = json_object_get (json, "logp"), *mask = json_object_get (json, "mask");
    loss_case_config (json_object_get (json, "config"), &one->config);
    one->rows = json_array_size (logp);
    one->columns = json_array_size (json_array_get (logp, 0));
    if (one->rows > CASE_ROWS || one->columns > CASE_COLUMNS)
        abort ();
    loss_case_matrix (logp, one->logp);
    loss_case_matrix (json_object_get (json, "old_logp"), one->old);
    loss_case_matrix (json_object_get (json, "ref_logp"), one->ref);
    loss_case_matrix (json_object_get (json, "sampler_logp"), one->sampler);
    loss_case_matrix (json_object_get (json, "dlogp"), one->dlogp);
    for (size_t r = 0; r < one->rows; r++) {
        one->advantage[r] =
            json_number_value (json_array_get (json_object_get (json, "advantage"), r));
        for (size_t c = 0; c < one->columns; c++)
            one->mask[r][c] = json_number_value (json_array_get (json_array_get (mask, r), c)) != 0;
    }
}

/*  Computes the case's loss and gradient. */
static inline void loss_case_compute (const loss_case_t *one, double dlogp[CASE_ROWS][CASE_COLUMNS],
                                      loss_metrics_t *metrics)
{
    bool corrects = one->config.correction != LOSS_CORRECT_NONE;
    loss_norm_t norm = {.sequences = one->rows};
    for (size_t r = 0; r < one->rows; r++)
        for (size_t c = 0; c < one->columns; c++)
            norm.tokens += one->mask[r][c];
    loss_sums_t sums = {0}, part;
    for (size_t r = 0; r < one->rows; r++) {
        loss_sequence_t sequence = {.n = one->columns,
                                    .logp = one->logp[r],
                                    .old = one->old[r],
                                    .ref = one->ref[r],
                                    .sampler = corrects ? one->sampler[r] : NULL,
                                    .mask = one->mask[r],
                                    .advantage = one->advantage[r]};
        loss_sequence (&one->config, &norm, &sequence, dlogp[r], &part);
        loss_add (&sums, &part);
    }
    loss_metrics (&one->config, &sums, metrics);
}

/*  |got - want| of a metric that the case may lack. The reference takes shares of sequences in
 *  float32: where its value is one, ours is compared after the same rounding. */
static inline double loss_case_metric (const json_t *json, const char *key, double got)
{
    const json_t *value = json_object_get (json_object_get (json, "metrics"), key);
    if (!value)
        return 0;
    double want = json_number_value (value);
    return fmin (fabs (got - want),
                 (double) (float) want == want ? fabs ((double) (float) got - want) : INFINITY);
}

static inline double loss_case_error (const char *path)
{
    static loss_case_t one;
    static double dlogp[CASE_ROWS][CASE_COLUMNS];
    json_error_t trouble;
    json_t *json = json_load_file (path, 0, &trouble);
    if (!json) {
        printf ("%s:%d: %s\n", path, trouble.line, trouble.text);
        return INFINITY;
    }
    loss_case_read (json, &one);
    loss_metrics_t m;
    loss_case_compute (&one, dlogp, &m);
    double error = fabs (m.loss - loss_case_number (json, "loss"));
    for (size_t r = 0; r < one.rows; r++)
        for (size_t c = 0; c < one.columns; c++)
            error = fmax (error, fabs (dlogp[r][c] - one.dlogp[r][c]));
    if (getenv ("LOSS_CASE_VERBOSE"))
        printf ("loss %.12g want %.12g, gradient %.3g\n", m.loss, loss_case_number (json, "loss"),
                error);
    error = fmax (error, loss_case_metric (json, "kl", m.kl));
    error = fmax (error, loss_case_metric (json, "clip_ratio/low_mean", m.clip_low));
    error = fmax (error, loss_case_metric (json, "clip_ratio/high_mean", m.clip_high));
    error = fmax (error, loss_case_metric (json, "clip_ratio/region_mean", m.clip));
    error = fmax (error, loss_case_metric (json, "clip_ratio/low_min", m.clip_low_min));
    error = fmax (error, loss_case_metric (json, "clip_ratio/high_max", m.clip_high_max));
    error = fmax (error, loss_case_metric (json, "cispo_clip_ratio", m.clip_cispo));
    error = fmax (error, loss_case_metric (json, "vespo/phi_seq_mean", m.phi));
    json_decref (json);
    return error;
}

#endif
