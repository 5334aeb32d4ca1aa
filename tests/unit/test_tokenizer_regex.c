/*  Patterns of tokenizers: what is found is what the tokenizers library (Oniguruma) finds, or the
 *  pattern is refused. */
#include "model_fixture.h"
#include "text/tokenizer_internal.h"

static void patterns_find_what_oniguruma_finds (void **state)
{
    (void) state;
    static const struct {
        const char *pattern, *text, *left; /* without what matches */
    } cases[] = {
        {"\\w",
         "a\303\251\302\262\302\275\342\205\247\342\223\220_-\331\243 \360\237\204\260\314\201",
         "- "},
        {"[\\w]",
         "a\303\251\302\262\302\275\342\205\247\342\223\220_-\331\243 \360\237\204\260\314\201",
         "\302\262\302\275- "},
        {"\\W", "a\302\262-\342\205\247\342\223\220", "a\302\262\342\205\247\342\223\220"},
        {"[^\\w]", "a\302\262-\342\205\247\342\223\220", "a\342\205\247\342\223\220"},
        {"\\b", "a", "a"},
        {"\302\262\\b", "\302\262a\302\262-\302\262", "\302\262a-"},
        {"[\\S]", " \341\240\216a\302\240", " \302\240"},
        {"[^\\S\\n]", " \341\240\216\012\342\200\203a", "\341\240\216\012a"},
        {"[[:space:]]", " \341\240\216\343\200\200\011a", "\341\240\216a"},
        {"[^[:space:]a]", " \341\240\216ab", " a"},
        {"[[:word:]-]", "a-\302\262\342\205\247.", "\302\262."},
        {"[[:blank:]]", " \011\012\341\240\216\342\200\203a", "\012\341\240\216a"},
        {"[[:digit:][:xdigit:]]", "9f\331\243g", "g"},
        {"\\v|x", "\013\014\342\200\250\012x", "\014\342\200\250\012"},
        {"[\\v]", "\013\012", "\012"},
        {"\\p{Han}", "\344\270\255\343\200\201\343\200\205", "\343\200\201"},
        {"\\P{Han}", "\344\270\255\343\200\201", "\344\270\255"},
        {"[^\\p{^Latin}]", "a\315\243\344\270\255", "\315\243\344\270\255"},
        {"\\p{Hiragana}+", "\343\201\202\343\200\202\343\203\274", "\343\200\202\343\203\274"},
        {"(?i)k", "kK\342\204\252", ""},
        {"(?i:'s|'ll)x|s", "'S'sxsS'LLx", "'SS"},
        {"a(?i)b(?-i)c", "aBcaBCabc", "aBC"},
        {"((?i)b)c", "BcBCbc", "BC"},
        {"(?i:a(?-i:b))b", "ABabbAbb", "AB"},
        {"(?i)[a-c]+", "aBCd", "d"},
        {"\\p{Lu}[\\p{Ll}]", "AaAA", "AA"},
        {"\\u0041+", "xAAb", "xb"},
        {"[^\\u0000-\\u007f]+|\\u002b", "a\303\251+\343\201\200b", "ab"},
        {"[\\u005d\\u002d\\u005e]", "a-]^b", "ab"},
        {"\\u00e9{2}", "\303\251\303\251\303\251", "\303\251"},
        {"(?i)\\u0041", "xaA", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_t left = {.max = 1 << 16};
        err_t err = {0};
        pcre2_code *regex = tokenizer_regex (cases[i].pattern, &err);
        if (!regex)
            fail_msg ("%s: %s", cases[i].pattern, err.text);
        buf_text (&left, "");
        assert_true (tokenizer_replace (regex, "", cases[i].text, strlen (cases[i].text), &left));
        if (strcmp (left.data, cases[i].left) != 0)
            fail_msg ("%s in '%s' leaves '%s', wanted '%s'", cases[i].pattern, cases[i].text,
                      left.data, cases[i].left);
        buf_free (&left);
        pcre2_code_free (regex);
    }
}

static void others_are_refused (void **state)
{
    (void) state;
    static const char *const patterns[] = {
        "[[:alpha:]]",     "[[:upper:]x]", "[[:^space:]]", "[[:punct:]]", "\\pL",
        "\\p{Alpha}",      "\\p{Letter}",  "(?i)ss",       "(?i:a|FI)",   "(?i)[\\p{Lu}]",
        "(?i)[^\\p{Ll}a]", "(?m:.)",       "[a[b]]",       "[a&&b]",      "[\\W]",
        "a{2}+",           "\\p{L",        "\\u004",       "\\u{41}",     "\\ud800",
        "(?i)s\\u0073",    "(?i)\\u00df"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        err_t err = {0};
        if (tokenizer_regex (patterns[i], &err))
            fail_msg ("%s is read", patterns[i]);
        assert_non_null (strstr (err.text, patterns[i]));
    }
    /* Brackets in brackets have a bound, and do not run over it. */
    char deep[400] = "";
    err_t err = {0};
    memset (deep, '(', 199);
    memset (deep + 199, ')', 199);
    assert_null (tokenizer_regex (deep, &err));
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (patterns_find_what_oniguruma_finds),
                                       cmocka_unit_test (others_are_refused)};
    return cmocka_run_group_tests_name ("tokenizer_regex", tests, NULL, NULL);
}
