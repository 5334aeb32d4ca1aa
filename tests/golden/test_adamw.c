/*  Five AdamW steps with gradient-norm clipping against the field's standard library. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fs.h"
#include "formats/safetensors.h"
#include "model/adamw.h"
#include "model/weights.h"

#define LIMIT 1e-6
#define MOST  4096

static void path_of (char *path, size_t size, const char *name)
{
    const char *reference = getenv ("QUINTET_REF");
    snprintf (path, size, "%s/optimizer/%s", reference ? reference : "../shared/reference", name);
}

static size_t read_tensor (const safetensors_t *file, const char *letter, int step, float *out)
{
    char name[32];
    err_t err = {0};
    snprintf (name, sizeof name, "%s%d", letter, step);
    const safetensors_entry_t *e = safetensors_find (file, name);
    if (!e || e->n > MOST || safetensors_read (file, e, 0, e->n, out, &err) != 0)
        fail_msg ("%s: %s", name, e ? err.text : "is missing");
    return e->n;
}

static int read_options (const char *path, adamw_options_t *o)
{
    json_error_t error;
    int steps = 0;
    json_t *json = json_load_file (path, 0, &error);
    if (!json ||
        json_unpack_ex (json, &error, 0, "{s:F, s:[F,F], s:F, s:F, s:F, s:i}", "lr", &o->lr,
                        "betas", &o->beta1, &o->beta2, "eps", &o->eps, "weight_decay", &o->decay,
                        "clip_norm", &o->clip_norm, "steps", &steps) != 0)
        fail_msg ("%s: %s", path, error.text);
    json_decref (json);
    return steps;
}

/*  The reference decays every element: one tensor that is decayed is a model enough. */
static void trajectory (void **state)
{
    (void) state;
    static float p[MOST], g[MOST], m[MOST], v[MOST], wanted[MOST];
    char path[FS_PATH_MAX];
    err_t err = {0};
    adamw_options_t options = {0};
    path_of (path, sizeof path, "adamw.json");
    if (!fs_exists (path))
        skip ();
    int steps = read_options (path, &options);
    path_of (path, sizeof path, "adamw.safetensors");
    safetensors_t *file = safetensors_open (path, &err);
    if (!file)
        fail_msg ("%s", err.text);
    size_t n = read_tensor (file, "p", 0, p);
    model_tensor_t tensor = {.rows = 1, .columns = n, .rank = 1, .decay = true};
    model_t model = {.tensors = &tensor, .tensors_n = 1, .params = n};
    adamw_t adamw = {.m = m, .v = v, .n = n};
    double error = 0, norm_error = 0, norm;
    for (int step = 1; step <= steps; step++) {
        read_tensor (file, "g", step, g);
        assert_int_equal (adamw_step (&adamw, &options, &model, p, g, NULL, &norm), 0);
        read_tensor (file, "norm", step, wanted);
        norm_error = fmax (norm_error, fabs (norm / (double) wanted[0] - 1));
        read_tensor (file, "p", step, wanted);
        for (size_t i = 0; i < n; i++)
            error = fmax (error, fabs ((double) p[i] - (double) wanted[i]));
    }
    safetensors_close (&file);
    printf ("# adamw: %d steps, weights %.1e, norms %.1e\n", steps, error, norm_error);
    assert_true (steps > 0 && error <= LIMIT && norm_error <= LIMIT);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (trajectory)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
