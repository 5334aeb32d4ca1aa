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

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (gpt2),      cmocka_unit_test (smollm),  cmocka_unit_test (llama3),
        cmocka_unit_test (metaspace), cmocka_unit_test (stories), cmocka_unit_test (qwen2),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
