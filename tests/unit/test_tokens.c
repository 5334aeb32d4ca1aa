/* with: services/trainer/tokens.c */
/*  What a transcript says of single tokens: where each ends in its text, and how likely it was. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../services/trainer/tokens.h"

static tokenizer_t *tokenizer;

static int make (void **state)
{
    static const char *const texts[] = {"return sum of xs", "return max of xs"}, *const end =
                                                                                     "<end>";
    (void) state;
    char *json = tokenizer_train (texts, 2, 280, &end, 1, NULL);
    tokenizer = json ? tokenizer_parse (json, strlen (json), NULL) : NULL;
    free (json);
    return tokenizer ? 0 : -1;
}

static int unmake (void **state)
{
    (void) state;
    tokenizer_destroy (&tokenizer);
    return 0;
}

/*  An action of that text, with what is said of the tokens of another. */
static json_t *added (const char *text, const char *drawn, bool ended)
{
    tokenizer_ids_t prompt = {0}, ids = {0};
    float logps[256];
    json_t *action = json_pack ("{s:s}", "text", text);
    assert_int_equal (tokenizer_encode (tokenizer, "xs\n", 3, 0, &prompt, NULL), 0);
    assert_int_equal (tokenizer_encode (tokenizer, drawn, strlen (drawn), 0, &ids, NULL), 0);
    if (ended)
        assert_int_equal (tokenizer_encode (tokenizer, "<end>", 5, 0, &ids, NULL), 0);
    for (size_t i = 0; i < ids.n; i++)
        logps[i] = i ? -0.1234567F * (float) i : -0.0F;
    tokens_add (action, tokenizer, &(wire_ids_t){.data = prompt.data, .n = prompt.n},
                &(wire_completion_t){.ids = {.data = ids.data, .n = ids.n}, .logps = logps});
    tokenizer_ids_free (&prompt);
    tokenizer_ids_free (&ids);
    return action;
}

static size_t number (const json_t *list, size_t i)
{
    return (size_t) json_integer_value (json_array_get (list, i));
}

static void tokens_add_up_to_their_text (void **state)
{
    (void) state;
    static const char *const texts[] = {"return sum of xs", "sum", "x\n\n  y",
                                        "d\xc3\xa9j\xc3\xa0 \xf0\x9f\x98\x80!"};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (int ended = 0; ended < 2; ended++) {
            json_t *action = added (texts[t], texts[t], ended);
            const json_t *bytes = json_object_get (action, "token_bytes"),
                         *logps = json_object_get (action, "token_logps");
            size_t n = json_array_size (bytes), at = 0;
            assert_true (n > 0 && n == json_array_size (logps));
            for (size_t i = 0; i < n; i++) {
                at += number (bytes, i);
                /* Each ends where a character does. */
                assert_true (((unsigned char) texts[t][at] & 0xc0) != 0x80);
            }
            assert_int_equal (at, strlen (texts[t]));
            assert_true (!ended || number (bytes, n - 1) == 0);
            json_decref (action);
        }
}

static void numbers_have_three_digits (void **state)
{
    (void) state;
    json_t *action = added ("xyz", "xyz", false);
    char *text = json_dumps (json_object_get (action, "token_logps"),
                             JSON_COMPACT | JSON_REAL_PRECISION (9));
    assert_string_equal (text, "[0.0,-0.123,-0.247]");
    free (text);
    json_decref (action);
}

/*  Where a stop text begins, its completion ends, in the middle of a token if need be. */
static void a_text_may_end_within_its_last_token (void **state)
{
    (void) state;
    json_t *action = added ("return su", "return sum", false);
    const json_t *bytes = json_object_get (action, "token_bytes");
    size_t at = 0;
    for (size_t i = 0; i < json_array_size (bytes); i++)
        at += number (bytes, i);
    assert_int_equal (at, strlen ("return su"));
    json_decref (action);
}

static void nothing_is_said_of_another_text (void **state)
{
    (void) state;
    static const char *const others[] = {"return sum of xs.", "return max of xs", "yes"};
    for (size_t i = 0; i < 3; i++) {
        json_t *action = added (others[i], "return sum of xs", false);
        assert_int_equal (json_object_size (action), 1);
        json_decref (action);
    }
    json_t *action = added ("", "", false); /* a server wrote it, or nobody anything */
    assert_int_equal (json_object_size (action), 1);
    json_decref (action);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (tokens_add_up_to_their_text),
        cmocka_unit_test (numbers_have_three_digits),
        cmocka_unit_test (a_text_may_end_within_its_last_token),
        cmocka_unit_test (nothing_is_said_of_another_text),
    };
    return cmocka_run_group_tests (tests, make, unmake);
}
