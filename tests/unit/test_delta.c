/*  Deltas of policy versions: what went in comes out, in the smallest form, and damage is
 *  refused. */
#include "model/delta.h"

#include "base/rng.h"
#include "model_fixture.h"

typedef struct {
    model_t *model;
    char *before, *after, *work;
    size_t size;
    delta_layout_t layout;
    buf_t delta;
    rng_t rng;
} pair_t;

static void pair_open (pair_t *p, size_t width)
{
    model_config_t config = fixture_config ();
    uint64_t seed = width;
    *p = (pair_t){.model = fixture_model (&config, COMPUTE_F32), .delta = {.max = SIZE_MAX}};
    size_t n = model_params (p->model);
    float *params = calloc (n, sizeof *params);
    p->size = n * width;
    p->before = malloc (p->size);
    p->after = malloc (p->size);
    p->work = malloc (p->size);
    assert_true (params && p->before && p->after && p->work);
    model_get (p->model, params);
    for (size_t i = 0; i < n; i++) /* the upper half, for bf16 */
        memcpy (p->before + i * width, (char *) &params[i] + 4 - width, width);
    memcpy (p->after, p->before, p->size);
    free (params);
    p->layout = (delta_layout_t){p->model, width};
    p->rng.key = rng_key (&seed, 1);
}

static void pair_close (pair_t *p)
{
    buf_free (&p->delta);
    free (p->before);
    free (p->after);
    free (p->work);
    model_destroy (&p->model);
}

/*  Changes a share of the elements in their lowest byte only, or altogether. */
static void change (pair_t *p, double share, bool wholly)
{
    size_t width = p->layout.width;
    for (size_t i = 0; i < p->size / width; i++)
        for (size_t b = 0; rng_unit (&p->rng) < share && b < (wholly ? width : 1); b++)
            p->after[i * width + b] = (char) (p->after[i * width + b] + 1 + (char) (i % 200));
}

/*  Applies in pieces of all sizes, which begin and end anywhere in tensors. */
static int apply (pair_t *p, const void *delta, size_t size, err_t *err)
{
    size_t n = p->size / p->layout.width, piece = 1;
    delta_t *d = delta_new (&p->layout, delta, size, err);
    int rc = d ? 0 : -1;
    for (size_t at = 0; rc == 0 && at < n; at += piece) {
        piece = at * 7 % 1000 + 1 < n - at ? at * 7 % 1000 + 1 : n - at;
        rc = delta_change (d, piece, p->work + at * p->layout.width, err);
    }
    rc = rc == 0 ? delta_end (d, err) : rc;
    delta_destroy (&d);
    return rc;
}

/*  The delta's size as a share of the whole, after checking that it leads from before to after. */
static double round_trip (pair_t *p)
{
    err_t err = {0};
    buf_clear (&p->delta);
    delta_encode (&p->layout, p->before, p->after, &p->delta);
    assert_false (buf_failed (&p->delta));
    memcpy (p->work, p->before, p->size);
    if (apply (p, p->delta.data, p->delta.size, &err) != 0)
        fail_msg ("apply: %s", err.text);
    for (size_t i = 0; i < p->size; i++)
        if (p->work[i] != p->after[i])
            fail_msg ("byte %zu: got %02x, expected %02x", i, (unsigned char) p->work[i],
                      (unsigned char) p->after[i]);
    return (double) p->delta.size / (double) p->size;
}

static void at_most (const char *what, double share, double limit)
{
    if (share > limit)
        fail_msg ("%s: the delta takes %.3f of the whole, allowed %.3f", what, share, limit);
}

static void test_form (void **state, size_t width)
{
    (void) state;
    pair_t p;
    pair_open (&p, width);
    at_most ("nothing changed", round_trip (&p), 0.01);
    change (&p, 0.02, true);
    at_most ("2% changed", round_trip (&p), 0.02 * (1 + 1.0 / (double) width) + 0.02);
    change (&p, 0.6, false);
    at_most ("lower bytes changed", round_trip (&p), width == 2 ? 0.85 : 0.6);
    change (&p, 1, true);
    at_most ("everything changed", round_trip (&p), 1.01);
    pair_close (&p);
}

static void test_bf16 (void **state)
{
    test_form (state, 2);
}

static void test_f32 (void **state)
{
    test_form (state, 4);
}

static void test_short (void **state)
{
    (void) state;
    pair_t p;
    pair_open (&p, 2);
    change (&p, 0.3, true);
    round_trip (&p);
    for (size_t size = 0; size < p.delta.size; size += 1 + size / 40) {
        err_t err = {0};
        char *exact = malloc (size + !size); /* so that a sanitizer sees a byte too far */
        assert_non_null (exact);
        memcpy (exact, p.delta.data, size);
        memcpy (p.work, p.before, p.size);
        assert_int_equal (apply (&p, exact, size, &err), -1);
        assert_non_null (strstr (err.text, "damaged at tensor model."));
        free (exact);
    }
    buf_char (&p.delta, 0);
    err_t err = {0};
    assert_int_equal (apply (&p, p.delta.data, p.delta.size, &err), -1);
    assert_non_null (strstr (err.text, "too many"));
    pair_close (&p);
}

/*  Whatever the bytes, no read or write out of bounds (with sanitizers), and never an endless
 *  loop. */
static void test_damaged (void **state)
{
    (void) state;
    pair_t p;
    pair_open (&p, 4);
    change (&p, 0.05, true);
    round_trip (&p);
    char *bad = malloc (p.delta.size);
    assert_non_null (bad);
    size_t refused = 0;
    for (int round = 0; round < 300; round++) {
        err_t err = {0};
        memcpy (bad, p.delta.data, p.delta.size);
        for (int i = 0; i <= round % 4; i++)
            bad[(size_t) (rng_unit (&p.rng) * (double) p.delta.size)] ^= (char) (1 << (round % 8));
        memcpy (p.work, p.before, p.size);
        refused += apply (&p, bad, p.delta.size, &err) != 0;
    }
    assert_true (refused > 0);
    free (bad);
    pair_close (&p);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_bf16),
        cmocka_unit_test (test_f32),
        cmocka_unit_test (test_short),
        cmocka_unit_test (test_damaged),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
