/*  Steps around a tokenizer's model: normaliser, added tokens, numbers of any length. The ids are
 *  those that Hugging Face's tokenizers library gives. */
#include "text/tokenizer.h"

#include "model_fixture.h"

#define SPACE "\xe2\x96\x81"
#define ACUTE "e\xcc\x81" /* two characters, é when composed */

/*  SentencePiece's kind of BPE; %s: more steps of the normaliser, and whether added tokens are
 *  looked for after it. */
static const char json_format[] =
    "{\"added_tokens\":["
    "{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":%s},"
    "{\"id\":15,\"content\":\"x y\",\"single_word\":true,\"normalized\":%s}],"
    "\"truncation\":{\"max_length\":1000000000000000019884624838656},"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s"
    "{\"type\":\"Prepend\",\"prepend\":\"" SPACE "\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" SPACE "\"}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</"
    "s>\":2,"
    "\"" SPACE "\":3,\"a\":4,\"b\":5,\"\xc3\xa9\":6,\"" SPACE
    "a\":7,\"e\":8,\"\xcc\x81\":9,\"x\":10,"
    "\"y\":11,\"<\":12,\"s\":13,\">\":14},\"merges\":[[\"" SPACE "\",\"a\"]]}}";

static tokenizer_t *tokenizer (const char *steps, const char *normalized)
{
    char json[2048];
    err_t err = {0};
    int n = snprintf (json, sizeof json, json_format, normalized, normalized, steps);
    tokenizer_t *t = tokenizer_parse (json, (size_t) n, &err);
    if (!t)
        fail_msg ("%s", err.text);
    return t;
}

/*  wanted ends with -1. */
static void check (const char *what, const tokenizer_ids_t *got, const int32_t *wanted)
{
    size_t n = 0;
    while (wanted[n] >= 0)
        n++;
    for (size_t i = 0; i < got->n || i < n; i++)
        if (i >= got->n || i >= n || got->data[i] != wanted[i])
            fail_msg ("'%s' [%zu]: got %d of %zu ids, wanted %d of %zu", what, i,
                      i < got->n ? got->data[i] : -1, got->n, i < n ? wanted[i] : -1, n);
}

static void encoded (const tokenizer_t *t, const char *text, const int32_t *wanted)
{
    tokenizer_ids_t ids = {0};
    err_t err = {0};
    assert_int_equal (tokenizer_encode (t, text, strlen (text), 0, &ids, &err), 0);
    check (text, &ids, wanted);
    tokenizer_ids_free (&ids);
}

static void composition_goes_with_prepending (void **state)
{
    (void) state;
    static const char *const nfc[] = {"", "{\"type\":\"NFC\"},"};
    static const int32_t wanted[][6] = {{7, 3, 8, 9, -1}, {7, 3, 6, -1}};
    for (size_t i = 0; i < 2; i++) {
        tokenizer_t *t = tokenizer (nfc[i], "false");
        encoded (t, "a " ACUTE, wanted[i]);
        encoded (t, "", (int32_t[]){-1});
        tokenizer_destroy (&t);
    }
}

static void added_tokens_are_found_before_or_after_normalising (void **state)
{
    (void) state;
    tokenizer_t *raw = tokenizer ("", "false"), *normal = tokenizer ("", "true");
    encoded (raw, "x y", (int32_t[]){15, -1});
    encoded (normal, "x y", (int32_t[]){15, -1});
    encoded (raw, "a<s>a", (int32_t[]){7, 1, 7, -1});
    encoded (normal, "a<s>a", (int32_t[]){7, 12, 13, 14, 4, -1});
    encoded (raw, "b,x y", (int32_t[]){3, 5, 0, 15, -1});
    encoded (normal, "b,x y", (int32_t[]){3, 5, 0, 10, 3, 11, -1});
    encoded (normal, "a <s>x y", (int32_t[]){7, 1, 10, 3, 11, -1});
    encoded (normal, "a x y b", (int32_t[]){7, 3, 10, 3, 11, 3, 5, -1});
    encoded (raw, "x y\xc3\xa9", (int32_t[]){3, 10, 3, 11, 6, -1}); /* goes on as a word */
    encoded (raw, "x y\xe2\x80\xa6", (int32_t[]){15, 3, 0, -1});
    tokenizer_destroy (&raw);
    tokenizer_destroy (&normal);
}

/*  A special token counts where the format says it, not where the text inside does. */
static void literal_parts_hold_no_special_tokens (void **state)
{
    (void) state;
    static const tokenizer_part_t parts[] = {
        {"<s>a", 4, false}, {" <s>" ACUTE, 7, true}, {" <s>", 4, false}};
    static const int32_t wanted[][12] = {{1, 7, 3, 12, 13, 14, 6, 3, 1, -1},
                                         {1, 4, 3, 12, 13, 14, 6, 1, -1}};
    static const char *const normalized[] = {"false", "true"};
    for (size_t i = 0; i < 2; i++) {
        tokenizer_t *t = tokenizer ("{\"type\":\"NFC\"},", normalized[i]);
        tokenizer_ids_t ids = {0};
        err_t err = {0};
        assert_int_equal (tokenizer_encode_parts (t, parts, 3, &ids, &err), 0);
        check ("parts", &ids, wanted[i]);
        tokenizer_ids_free (&ids);
        tokenizer_destroy (&t);
    }
}

/*  A vocabulary with the bytes of é, and steps around it. */
static tokenizer_t *steps (const char *added, const char *normalizer, bool metaspace, bool fuse,
                           err_t *err)
{
    char json[2048];
    int n = snprintf (
        json, sizeof json,
        "{\"added_tokens\":[%s],\"normalizer\":%s,\"pre_tokenizer\":%s,\"decoder\":{\"type\":"
        "\"Fuse\"},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"byte_fallback\":true,"
        "\"fuse_unk\":%s,\"vocab\":{\"<unk>\":0,\"a\":1,\"b\":2,\" \":3,\"" SPACE "\":4,"
        "\"<0xC3>\":5,\"<0xA9>\":6,\"x\":7},\"merges\":[]}}",
        added, normalizer,
        metaspace ? "{\"type\":\"Metaspace\",\"replacement\":\"" SPACE
                    "\",\"prepend_scheme\":\"first\"}"
                  : "null",
        fuse ? "true" : "false");
    return tokenizer_parse (json, (size_t) n, err);
}

#define STRIP   "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}"
#define ALTERED "{\"id\":8,\"content\":\"xa\",\"normalized\":true,\"special\":true}"
#define WIDE    "{\"id\":8,\"content\":\"  \",\"rstrip\":true}"
#define GREEDY                                                                                     \
    "{\"id\":8,\"content\":\"ab\",\"rstrip\":true},{\"id\":9,\"content\":\"  \",\"lstrip\":true}"

static void steps_go_together_as_in_the_library (void **state)
{
    (void) state;
    static const struct {
        const char *added, *normalizer;
        bool metaspace, fuse;
        const char *text;
        int32_t ids[8];
        const char *decoded;
    } cases[] = {
        /* An unknown character waits for the next one that is known, and bytes go before it. */
        {"",
         "null",
         false,
         true,
         "\xe5\xad\x97\xc3\xa9"
         "a\xe5\xad\x97"
         "b",
         {5, 6, 0, 1, 0, 2, -1},
         "<0xC3><0xA9><unk>a<unk>b"},
        {"",
         "null",
         false,
         false,
         "\xe5\xad\x97\xc3\xa9\xe5\xad\x97"
         "a",
         {5, 6, 0, 0, 1, -1},
         "<0xC3><0xA9><unk><unk>a"},
        /* An added token is written as it was looked for, and is no special token then. */
        {ALTERED,
         "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"b\"}",
         false,
         false,
         "xaa",
         {8, 2, -1},
         "xbb"},
        {ALTERED, "null", false, false, "xaa", {8, 1, -1}, "a"},
        /* A text without its beginning does not begin with Metaspace's mark. */
        {"", STRIP, true, false, "a b", {4, 1, 4, 2, -1}, SPACE "a" SPACE "b"},
        {"", STRIP, true, false, " a b", {1, 4, 2, -1}, "a" SPACE "b"},
        {"",
         "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\" \"}," STRIP
         "]}",
         true,
         false,
         "a b",
         {4, 1, 4, 2, -1},
         SPACE "a" SPACE "b"},
        {"",
         "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"^x\"},\"content\":\"\"}",
         true,
         false,
         "xa b",
         {1, 4, 2, -1},
         "a" SPACE "b"},
        /* The spaces that a token takes to its right may hold another one. */
        {WIDE, "null", false, false, "a    b", {1, 8, 8, 2, -1}, "a    b"},
        {GREEDY, "null", false, false, "ab  a", {8, 1, -1}, "aba"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        buf_t text = {0};
        tokenizer_ids_t ids = {0};
        tokenizer_t *t =
            steps (cases[i].added, cases[i].normalizer, cases[i].metaspace, cases[i].fuse, &err);
        if (!t || tokenizer_encode (t, cases[i].text, strlen (cases[i].text), 0, &ids, &err) != 0)
            fail_msg ("%s", err.text);
        check (cases[i].text, &ids, cases[i].ids);
        tokenizer_decode (t, ids.data, ids.n, TOKENIZER_PLAIN, &text);
        assert_string_equal (text.data, cases[i].decoded);
        buf_free (&text);
        tokenizer_ids_free (&ids);
        tokenizer_destroy (&t);
    }
    err_t err = {0};
    assert_null (steps ("{\"id\":8,\"content\":\"xa\",\"normalized\":true},"
                        "{\"id\":9,\"content\":\" xa\",\"normalized\":true}",
                        STRIP, false, false, &err));
    assert_non_null (strstr (err.text, "are one text once they are normalized"));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (composition_goes_with_prepending),
        cmocka_unit_test (added_tokens_are_found_before_or_after_normalising),
        cmocka_unit_test (literal_parts_hold_no_special_tokens),
        cmocka_unit_test (steps_go_together_as_in_the_library)};
    return cmocka_run_group_tests_name ("tokenizer", tests, NULL, NULL);
}
