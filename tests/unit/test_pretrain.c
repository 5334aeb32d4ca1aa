/* with: services/cli/pretrain/pretrain.c services/cli/pretrain/texts.c */
/*  A seed model as small as one can be: the same bytes each time, nothing left when it fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../services/cli/pretrain/pretrain.h"
#include "base/fs.h"
#include "base/hash.h"
#include "formats/hf.h"
#include "text/tokenizer.h"

typedef struct {
    char dir[64];
} fixture_t;

static char *in (const fixture_t *f, const char *name, char path[FS_PATH_MAX])
{
    assert_int_equal (fs_join (path, f->dir, name, NULL), 0);
    return path;
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-pretrain-XXXXXX");
    *state = f;
    return mkdtemp (f->dir) ? 0 : -1;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static pretrain_options_t tiny (const char *out)
{
    pretrain_options_t o = PRETRAIN_DEFAULTS;
    o.task.family = "coding";
    o.out = out;
    o.texts = 200;
    o.vocab = 300;
    o.context = 1280; /* so few tokens make texts long */
    o.width = 16;
    o.layers = 1;
    o.heads = 2;
    o.ff = 24;
    o.steps = 12;
    o.batch = 8;
    o.threads = 1;
    return o;
}

/*  pretrain_run, with its progress in the file "log". */
static int train (const fixture_t *f, const pretrain_options_t *options, err_t *err)
{
    char path[FS_PATH_MAX];
    int old = dup (STDERR_FILENO);
    int file = open (in (f, "log", path), O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true (old >= 0 && file >= 0);
    dup2 (file, STDERR_FILENO);
    int rc = pretrain_run (options, err);
    dup2 (old, STDERR_FILENO);
    close (old);
    close (file);
    return rc;
}

static void make (const fixture_t *f, const char *name, uint64_t seed, size_t threads)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    pretrain_options_t o = tiny (in (f, name, path));
    o.seed = seed;
    o.threads = threads;
    if (train (f, &o, &err) != 0)
        fail_msg ("%s", err.text);
}

static hash_t file_hash (const fixture_t *f, const char *model, const char *name)
{
    char folder[FS_PATH_MAX], path[FS_PATH_MAX];
    buf_t content = {0};
    err_t err = {0};
    assert_int_equal (fs_join (path, in (f, model, folder), name, NULL), 0);
    if (fs_read (path, 1 << 26, &content, &err) != 0)
        fail_msg ("%s", err.text);
    hash_t hash = hash_of (content.data, content.size);
    buf_free (&content);
    return hash;
}

static void expect_same (const fixture_t *f, const char *a, const char *b, const char *file,
                         bool same)
{
    hash_t x = file_hash (f, a, file), y = file_hash (f, b, file);
    if (hash_equal (&x, &y) != same)
        fail_msg ("%s of %s and %s: %s", file, a, b, same ? "differ" : "are the same");
}

static void the_same_options_give_the_same_bytes (void **state)
{
    const fixture_t *f = *state;
    static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};
    make (f, "one", 1, 1);
    make (f, "two", 1, 1);
    make (f, "threads", 1, 3);
    make (f, "other", 2, 1);
    for (size_t i = 0; i < 3; i++) {
        expect_same (f, "one", "two", files[i], true);
        expect_same (f, "one", "threads", files[i], true);
    }
    expect_same (f, "one", "other", "model.safetensors", false);
}

/*  The last loss that was told. */
static double last_loss (const fixture_t *f)
{
    char path[FS_PATH_MAX];
    buf_t log = {0};
    assert_int_equal (fs_read (in (f, "log", path), 1 << 20, &log, NULL), 0);
    const char *found = NULL;
    for (const char *at = log.data; (at = strstr (at, "loss ")); at += 5)
        found = at + 5;
    double loss = found ? strtod (found, NULL) : NAN;
    buf_free (&log);
    return loss;
}

static void it_is_an_ordinary_model_that_learnt (void **state)
{
    const fixture_t *f = *state;
    char path[FS_PATH_MAX];
    err_t err = {0};
    pretrain_options_t o = tiny (in (f, "model", path));
    o.steps = 120;
    if (train (f, &o, &err) != 0)
        fail_msg ("%s", err.text);
    double loss = last_loss (f); /* smoothed over the steps, so it lags */
    if (!(loss < log (300) - 1))
        fail_msg ("loss %g: not much better than chance, %g", loss, log (300));
    hf_t *hf = hf_open (path, &err);
    if (!hf)
        fail_msg ("%s", err.text);
    const hf_config_t *config = hf_config (hf);
    assert_int_equal (config->model.width, 16);
    assert_int_equal (config->model.vocab, 300);
    assert_int_equal (config->eos_n, 1);
    const char *text = hf_tokenizer_text (hf);
    tokenizer_t *tokenizer = tokenizer_parse (text, strlen (text), &err);
    assert_non_null (tokenizer);
    assert_int_equal (tokenizer_id (tokenizer, "<|end|>"), config->eos[0]);
    tokenizer_destroy (&tokenizer);
    hf_destroy (&hf);
}

static void what_fails_leaves_nothing (void **state)
{
    const fixture_t *f = *state;
    char path[FS_PATH_MAX], partial[FS_PATH_MAX];
    err_t err = {0};
    pretrain_options_t o = tiny (in (f, "short", path));
    o.context = 8; /* no text of the corpus fits */
    assert_int_equal (train (f, &o, &err), -1);
    assert_non_null (strstr (err.text, "context of 8"));
    assert_false (fs_exists (path));
    assert_false (fs_exists (in (f, "short.partial", partial)));
    o = tiny (in (f, "odd", path));
    o.heads = 16; /* heads of one number: rotary positions need an even one */
    assert_int_equal (train (f, &o, &err), -1);
    assert_false (fs_exists (path));
    o = tiny (f->dir); /* is there already */
    assert_int_equal (train (f, &o, &err), -1);
    assert_non_null (strstr (err.text, "exists already"));
    o = tiny ("/proc/nowhere/seed"); /* cannot be made */
    o.steps = 1;
    assert_int_equal (train (f, &o, &err), -1);
    assert_non_null (strstr (err.text, "/proc/nowhere"));
}

static void write_texts (const fixture_t *f, const char *text)
{
    char path[FS_PATH_MAX];
    FILE *file = fopen (in (f, "texts", path), "w");
    assert_non_null (file);
    fputs (text, file);
    fclose (file);
}

/*  A file in place of the corpus: fewer texts than are asked for come again. */
static void texts_of_a_file_are_learnt (void **state)
{
    const fixture_t *f = *state;
    static const char *const bad[] = {"", "{\"prompt\": \"x\"}\n", "[1]\n",
                                      "{\"prompt\": \"x\", \"completion\": \"\"}\n"};
    char path[FS_PATH_MAX], texts[FS_PATH_MAX];
    err_t err = {0};
    pretrain_options_t o = tiny (in (f, "file", path));
    o.task.family = "";
    o.file = in (f, "texts", texts);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_texts (f, bad[i]);
        assert_int_equal (train (f, &o, &err), -1);
        assert_non_null (strstr (err.text, i ? "texts:1: {\"prompt\"" : "no text in it"));
    }
    write_texts (f, "{\"prompt\": \"one\", \"completion\": \"two three\"}\n"
                    "{\"prompt\": \"two\", \"completion\": \"three four\", \"more\": 1}\n");
    if (train (f, &o, &err) != 0)
        fail_msg ("%s", err.text);
    assert_true (fs_exists (path));
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (the_same_options_give_the_same_bytes),
        TEST (it_is_an_ordinary_model_that_learnt),
        TEST (what_fails_leaves_nothing),
        TEST (texts_of_a_file_are_learnt),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
