/*  Texts that end a completion: where they begin, what is held back, and which ids remain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/stops.h"

static const char *const words[] = {"\n\n", "END", "E"};

static void the_first_of_all_counts (void **state)
{
    (void) state;
    const stops_t both = {words, 2}, none = {words, 0};
    size_t at = 0;
    assert_true (stops_find (&both, "ab END c\n\n", 10, &at));
    assert_int_equal (at, 3);
    assert_true (stops_find (&both, "a\n\n END", 7, &at));
    assert_int_equal (at, 1);
    assert_false (stops_find (&both, "a\nEN\nD", 6, &at));
    assert_false (stops_find (&both, NULL, 0, &at));
    assert_false (stops_find (&none, "END", 3, &at));
}

static void what_may_become_a_stop_is_held_back (void **state)
{
    (void) state;
    const stops_t both = {words, 2}, one = {words + 2, 1};
    assert_int_equal (stops_held (&both, "abEN", 4), 2);
    assert_int_equal (stops_held (&both, "ab\n", 3), 1);
    assert_int_equal (stops_held (&both, "EN", 2), 2);
    assert_int_equal (stops_held (&both, "ENx", 3), 0);
    assert_int_equal (stops_held (&both, "", 0), 0);
    assert_int_equal (stops_held (&one, "abE", 3), 0);
}

/*  Tokens of one byte each: a stop reaches over three of them, and the ids behind it go. */
static void ids_end_where_the_stop_is_spelt (void **state)
{
    (void) state;
    err_t err = {0};
    const char *const texts[] = {"abc"}, *const specials[] = {"<end>"};
    char *json = tokenizer_train (texts, 1, 257, specials, 1, &err);
    tokenizer_t *tokenizer = json ? tokenizer_parse (json, strlen (json), &err) : NULL;
    if (!tokenizer)
        fail_msg ("%s", err.text);
    tokenizer_ids_t ids = {0};
    const stops_t both = {words, 2}, none = {words, 0};
    buf_t text = {0};
    assert_int_equal (tokenizer_encode (tokenizer, "one ENDEND\n\n", 12, 0, &ids, &err), 0);
    size_t n = ids.n;
    assert_int_equal (n, 12);
    assert_true (stops_cut (&both, tokenizer, ids.data, 4, ids.data, &n, &text));
    assert_int_equal (n, 7);
    assert_string_equal (text.data, "one ");
    n = 6;
    assert_false (stops_cut (&both, tokenizer, ids.data, 4, ids.data, &n, &text));
    assert_int_equal (n, 6);
    assert_string_equal (text.data, "one EN");
    n = ids.n;
    assert_false (stops_cut (&none, tokenizer, ids.data, 4, ids.data, &n, &text));
    assert_int_equal (n, 12);
    buf_free (&text);
    tokenizer_ids_free (&ids);
    tokenizer_destroy (&tokenizer);
    free (json);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (the_first_of_all_counts),
                                       cmocka_unit_test (what_may_become_a_stop_is_held_back),
                                       cmocka_unit_test (ids_end_where_the_stop_is_spelt)};
    return cmocka_run_group_tests_name ("stops", tests, NULL, NULL);
}
