/*  Tokenizers against what the field's standard library gives: every case in both directions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "text/tokenizer.h"

static const char *reference (void)
{
    const char *path = getenv ("QUINTET_REF");
    return path ? path : "../shared/reference";
}

static void show (const char *what, const int32_t *ids, size_t n)
{
    printf ("#   %s", what);
    for (size_t i = 0; i < n && i < 40; i++)
        printf (" %d", ids[i]);
    printf ("\n");
}

static size_t check_encode (const tokenizer_t *t, const json_t *c, const tokenizer_ids_t *wanted)
{
    const json_t *text = json_object_get (c, "text");
    if (!json_is_string (text))
        return 0;
    tokenizer_ids_t got = {0};
    err_t err = {0};
    int flags = json_is_true (json_object_get (c, "bos")) ? TOKENIZER_BOS : 0;
    assert_int_equal (tokenizer_encode (t, json_string_value (text), json_string_length (text),
                                        flags, &got, &err),
                      0);
    bool same = got.n == wanted->n &&
                (got.n == 0 || memcmp (got.data, wanted->data, got.n * sizeof *got.data) == 0);
    if (!same) {
        printf ("# text %.200s\n", json_string_value (text));
        show ("wanted", wanted->data, wanted->n);
        show ("got   ", got.data, got.n);
    }
    tokenizer_ids_free (&got);
    return !same;
}

static size_t check_decode (const tokenizer_t *t, const json_t *c, const tokenizer_ids_t *ids,
                            const char *key, int flags)
{
    const json_t *wanted = json_object_get (c, key);
    buf_t got = {0};
    tokenizer_decode (t, ids->data, ids->n, flags, &got);
    bool same = json_string_length (wanted) == got.size &&
                (got.size == 0 || memcmp (json_string_value (wanted), got.data, got.size) == 0);
    if (!same)
        printf ("# %s: wanted '%s', got '%s'\n", key, json_string_value (wanted),
                got.data ? got.data : "");
    buf_free (&got);
    return !same;
}

static size_t check_case (const tokenizer_t *t, const char *line)
{
    json_t *c = json_loads (line, JSON_ALLOW_NUL, NULL), *id;
    assert_non_null (c);
    tokenizer_ids_t ids = {.data = calloc (json_array_size (json_object_get (c, "ids")) + 1, 4)};
    size_t i;
    json_array_foreach (json_object_get (c, "ids"), i, id)
        ids.data[ids.n++] = (int32_t) json_integer_value (id);
    size_t wrong = check_encode (t, c, &ids) + check_decode (t, c, &ids, "decoded", 0) +
                   check_decode (t, c, &ids, "plain", TOKENIZER_PLAIN);
    tokenizer_ids_free (&ids);
    json_decref (c);
    return wrong;
}

static void check_kind (const char *kind, const char *json_path)
{
    char path[FS_PATH_MAX];
    buf_t json = {0}, cases = {0};
    err_t err = {0};
    snprintf (path, sizeof path, "%s/%s", reference (), json_path);
    if (!fs_exists (path))
        skip ();
    assert_int_equal (fs_read (path, 64 << 20, &json, &err), 0);
    tokenizer_t *t = tokenizer_parse (json.data, json.size, &err);
    if (!t)
        fail_msg ("%s: %s", path, err.text);
    snprintf (path, sizeof path, "%s/tokenizers/%s/cases.jsonl", reference (), kind);
    assert_int_equal (fs_read (path, 64 << 20, &cases, &err), 0);
    size_t n = 0, wrong = 0;
    char *rest = cases.data;
    for (char *line; (line = strsep (&rest, "\n"));)
        if (*line) {
            n++;
            wrong += check_case (t, line) > 0;
        }
    printf ("# %s: %zu of %zu cases identical\n", kind, n - wrong, n);
    assert_true (n > 10);
    assert_int_equal (wrong, 0);
    tokenizer_destroy (&t);
    buf_free (&json);
    buf_free (&cases);
}

static void gpt2 (void **state)
{
    (void) state;
    check_kind ("gpt2-style", "tokenizers/gpt2-style/tokenizer.json");
}

static void smollm (void **state)
{
    (void) state;
    check_kind ("smollm-style", "tokenizers/smollm-style/tokenizer.json");
}

static void llama3 (void **state)
{
    (void) state;
    check_kind ("llama3-style", "tokenizers/llama3-style/tokenizer.json");
}

static void metaspace (void **state)
{
    (void) state;
    check_kind ("metaspace-style", "tokenizers/metaspace-style/tokenizer.json");
}

static void stories (void **state)
{
    (void) state;
    check_kind ("stories260k", "../models/stories260k/tokenizer.json");
}

static void qwen2 (void **state)
{
    (void) state;
    check_kind ("qwen2", "../tokenizers/qwen2/tokenizer.json");
}

/*  What completions add to prompts: wherever ids are cut in two, the texts of both parts are the
 *  text of the whole. */
static size_t check_cuts (const tokenizer_t *t, const tokenizer_ids_t *ids, const char *name)
{
    buf_t whole = {0};
    size_t wrong = 0;
    buf_text (&whole, "");
    tokenizer_decode (t, ids->data, ids->n, TOKENIZER_PLAIN, &whole);
    for (size_t cut = 0; cut <= ids->n; cut++) {
        buf_t text = {0};
        buf_text (&text, "");
        tokenizer_decode (t, ids->data, cut, TOKENIZER_PLAIN, &text);
        bool within = text.size >= 3 && strcmp (text.data + text.size - 3, "\xef\xbf\xbd") == 0;
        tokenizer_decode_after (t, ids->data, cut, ids->data + cut, ids->n - cut, TOKENIZER_PLAIN,
                                &text);
        if (!within && strcmp (text.data, whole.data) != 0) {
            printf ("# %s: cut at %zu: wanted '%s', got '%s'\n", name, cut, whole.data, text.data);
            wrong++;
        }
        buf_free (&text);
    }
    buf_free (&whole);
    return wrong;
}

/*  One kind of steps around one of the models of the file, and its cases: text, ids, text of the
 *  ids, the same without special tokens. */
static size_t check_steps (const json_t *models, const json_t *kind)
{
    const char *name = json_string_value (json_object_get (kind, "name"));
    json_t *root = json_deep_copy (json_object_get (kind, "tokenizer"));
    json_t *model =
        json_copy (json_object_get (models, json_string_value (json_object_get (root, "model"))));
    json_object_update (model, json_object_get (kind, "model"));
    json_object_set_new (root, "model", model);
    char *text = json_dumps (root, 0);
    err_t err = {0};
    tokenizer_t *t = tokenizer_parse (text, strlen (text), &err);
    size_t wrong = 0, i;
    json_t *values;
    if (!t)
        fail_msg ("%s: %s", name, err.text);
    json_array_foreach (json_object_get (kind, "cases"), i, values) {
        json_t *c = json_pack ("{s:O, s:b, s:O, s:O, s:O}", "text", json_array_get (values, 0),
                               "bos", 1, "ids", json_array_get (values, 1), "decoded",
                               json_array_get (values, 2), "plain", json_array_get (values, 3));
        char *line = json_dumps (c, 0);
        tokenizer_ids_t ids = {0};
        const char *input = json_string_value (json_array_get (values, 0));
        size_t bad = check_case (t, line);
        assert_int_equal (tokenizer_encode (t, input, strlen (input), 0, &ids, &err), 0);
        bad += check_cuts (t, &ids, name);
        if (bad)
            printf ("# %s: '%s'\n", name, input);
        wrong += bad > 0;
        tokenizer_ids_free (&ids);
        free (line);
        json_decref (c);
    }
    tokenizer_destroy (&t);
    free (text);
    json_decref (root);
    return wrong;
}

static void every_kind_of_steps (void **state)
{
    (void) state;
    json_error_t where;
    json_t *all = json_load_file ("tests/golden/data/tokenizers.json", 0, &where), *kind;
    size_t i, wrong = 0;
    if (!all)
        fail_msg ("%s, line %d", where.text, where.line);
    json_array_foreach (json_object_get (all, "kinds"), i, kind)
        wrong += check_steps (json_object_get (all, "models"), kind);
    assert_true (json_array_size (json_object_get (all, "kinds")) > 50);
    assert_int_equal (wrong, 0);
    json_decref (all);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (gpt2),
        cmocka_unit_test (smollm),
        cmocka_unit_test (llama3),
        cmocka_unit_test (metaspace),
        cmocka_unit_test (stories),
        cmocka_unit_test (qwen2),
        cmocka_unit_test (every_kind_of_steps),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
