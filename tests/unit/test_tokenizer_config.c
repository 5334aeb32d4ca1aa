/*  What the files beside tokenizer.json change. The ids are those that transformers gives, in its
 *  versions 4 and 5 alike. */
#include "text/tokenizer_config.h"

#include <unistd.h>

#include "base/fs.h"
#include "model_fixture.h"
#include "folder_fixture.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#define BOS                                                                                        \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"            \
    "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<s>\":{\"ids\":[5]}}}"
#define BYTES(prefix) "{\"type\":\"ByteLevel\",\"add_prefix_space\":" prefix ",\"use_regex\":false}"

/*  Letters a to d, a blank spelled as ByteLevel does it, and <s> as the only added token. */
static void put_tokenizer (const char *splits, const char *post, const char *flags)
{
    char json[2048];
    snprintf (json, sizeof json,
              "{\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true,"
              "\"normalized\":false%s}],\"pre_tokenizer\":%s,\"post_processor\":%s,\"decoder\":"
              "{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
              "\"c\":2,\"d\":3,\"\xc4\xa0\":4},\"merges\":[]}}",
              flags, splits, post);
    put ("tokenizer.json", json);
}

static void folder (const char *config, const char *map, const char *added)
{
    put ("tokenizer_config.json", config);
    put ("special_tokens_map.json", map);
    put ("added_tokens.json", added);
}

/*  As text, with commas, or the text of the error. */
static void ids_of (const char *text, int flags, char out[1100])
{
    char *json = NULL;
    err_t err = {0};
    tokenizer_ids_t ids = {0};
    tokenizer_t *t = NULL;
    size_t n = 0;
    *out = 0;
    if (tokenizer_config_text (dir, &json, &err) == 0)
        t = tokenizer_parse (json, strlen (json), &err);
    if (t && tokenizer_encode (t, text, strlen (text), flags, &ids, &err) == 0)
        for (size_t i = 0; i < ids.n; i++)
            n += (size_t) snprintf (out + n, 1100 - n, "%s%d", i ? "," : "", ids.data[i]);
    else
        snprintf (out, 1100, "%s", err.text);
    tokenizer_destroy (&t);
    tokenizer_ids_free (&ids);
    free (json);
}

static void tokens_are_completed (void **state)
{
    (void) state;
    static const struct {
        const char *config, *map, *added, *text, *ids;
    } cases[] = {
        {NULL, NULL, NULL, "a<s>b", "0,5,1"},
        {"{}", NULL, NULL, "a<s>b", "0,5,1"},
        /* Those that are named and missing get the next ids; one of the vocabulary has one. */
        {"{\"pad_token\":\"<d>\",\"eos_token\":\"<c>\"}", NULL, NULL, "<c><d>", "6,7"},
        {"{\"unk_token\":\"b\",\"bos_token\":null}", NULL, NULL, "a b", "0,4,1"},
        {"{\"additional_special_tokens\":[\"<d>\",{\"content\":\"<c>\",\"lstrip\":true}]}", NULL,
         NULL, "<d> <c>", "6,7"},
        {"{\"extra_special_tokens\":{\"tool_token\":\"<d>\"}}", NULL, NULL, "<d>", "6"},
        {"{\"pad_token\":{\"content\":\"<d>\",\"rstrip\":true}}", NULL, NULL, "<d> a", "6,0"},
        /* The map counts, and added_tokens.json, unless there is a decoder. */
        {"{\"eos_token\":\"<c>\"}", "{\"eos_token\":\"<d>\"}", NULL, "<d>", "6"},
        {"{\"eos_token\":\"<c>\"}", NULL, "{\"<d>\":7,\"<b>\":6,\"<s>\":5}", "<b><d><c>", "6,7,8"},
        {"{\"eos_token\":\"<c>\",\"added_tokens_decoder\":{}}", "{\"eos_token\":\"<d>\"}",
         "{\"<b>\":6}", "<c>", "6"},
        /* A decoder says how a token is looked for, and adds others in the order of their ids. */
        {"{\"added_tokens_decoder\":{\"5\":{\"content\":\"<s>\",\"lstrip\":true,\"special\":true}}"
         "}",
         NULL, NULL, "a <s>b", "0,5,1"},
        {"{\"added_tokens_decoder\":{\"7\":{\"content\":\"<d>\"},\"6\":{\"content\":\"<c>\"}}}",
         NULL, NULL, "<c><d>", "6,7"},
    };
    char got[1100];
    put_tokenizer (BYTES ("false"), "null", "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder (cases[i].config, cases[i].map, cases[i].added);
        ids_of (cases[i].text, 0, got);
        if (strcmp (got, cases[i].ids) != 0)
            fail_msg ("%s: '%s' gives %s, wanted %s", cases[i].config ? cases[i].config : "no file",
                      cases[i].text, got, cases[i].ids);
    }
}

/*  A token that is named is special, whatever tokenizer.json says: it is left out of the text. */
static void named_tokens_are_special (void **state)
{
    (void) state;
    char *json;
    err_t err = {0};
    buf_t text = {0};
    put_tokenizer (BYTES ("false"), "null", ",\"rstrip\":true");
    put ("tokenizer.json", NULL);
    put ("tokenizer.json",
         "{\"truncation\":{\"max_length\":16},\"added_tokens\":[{\"id\":1,\"content\":\"<s>\","
         "\"special\":false,\"normalized\":false}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},"
         "\"merges\":[]},\"decoder\":{\"type\":\"Fuse\"}}");
    folder ("{\"eos_token\":\"<s>\"}", NULL, NULL);
    assert_int_equal (tokenizer_config_text (dir, &json, &err), 0);
    assert_non_null (strstr (json, "\"max_length\": 16\n")); /* whole numbers stay whole */
    tokenizer_t *t = tokenizer_parse (json, strlen (json), &err);
    tokenizer_decode (t, (int32_t[]){0, 1}, 2, TOKENIZER_PLAIN, &text);
    assert_string_equal (text.data, "a");
    buf_free (&text);
    tokenizer_destroy (&t);
    free (json);
}

static void what_tools_read_in_two_ways_is_refused (void **state)
{
    (void) state;
    static const char around[] = "puts", prefix[] = "add_prefix_space is";
    static const struct {
        const char *config, *splits, *post, *why; /* NULL: it is read */
    } cases[] = {
        {"{\"tokenizer_class\":\"LlamaTokenizer\"}", BYTES ("false"), BOS, NULL},
        {"{\"tokenizer_class\":\"LlamaTokenizer\"}", BYTES ("false"), "null", around},
        {"{\"tokenizer_class\":\"LlamaTokenizerFast\",\"add_bos_token\":false}", BYTES ("false"),
         BOS, around},
        {"{\"tokenizer_class\":\"LlamaTokenizerFast\",\"add_bos_token\":false}", BYTES ("false"),
         "null", NULL},
        {"{\"tokenizer_class\":\"LlamaTokenizer\",\"add_eos_token\":true}", BYTES ("false"), BOS,
         around},
        {"{\"tokenizer_class\":\"LlamaTokenizer\",\"bos_token\":\"b\"}", BYTES ("false"), BOS,
         around},
        {"{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"add_bos_token\":false}",
         BYTES ("false"), BOS, NULL},
        {"{\"tokenizer_class\":\"Qwen2Tokenizer\",\"add_bos_token\":true}", BYTES ("false"), "null",
         NULL},
        {"{}", BYTES ("true"), "null", prefix},
        {"{\"add_prefix_space\":true}", BYTES ("true"), "null", NULL},
        {"{\"add_prefix_space\":true}", BYTES ("false"), "null", prefix},
        {"{\"add_prefix_space\":true}",
         "{\"type\":\"Sequence\",\"pretokenizers\":[" BYTES ("false") "]}", "null", NULL},
        {"{\"tokenizer_class\":\"LlamaTokenizer\",\"add_prefix_space\":true}", BYTES ("false"), BOS,
         prefix},
        {"{\"split_special_tokens\":true}", BYTES ("false"), "null", "split_special_tokens"},
        {"{\"fix_mistral_regex\":true}", BYTES ("false"), "null", "fix_mistral_regex"},
        {"{\"clean_up_tokenization_spaces\":true,\"legacy\":true,\"model_max_length\":1e30}",
         BYTES ("false"), "null", NULL},
        {"{\"eos_token\":7}", BYTES ("false"), "null", "eos_token is no token"},
        {"{\"added_tokens_decoder\":{\"9\":{\"content\":\"<d>\"}}}", BYTES ("false"), "null",
         "id 9 is '<d>', which has the id 6"},
        {"nonsense", BYTES ("false"), "null", "line 1"},
    };
    char got[1100];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_tokenizer (cases[i].splits, cases[i].post, "");
        folder (cases[i].config, NULL, NULL);
        ids_of ("a", TOKENIZER_BOS, got);
        bool read =
            !strstr (got, "tokenizer_config.json") && strchr ("0123456789", got[strlen (got) - 1]);
        if (cases[i].why ? !strstr (got, cases[i].why) || !strstr (got, dir) : !read)
            fail_msg ("%s: %s", cases[i].config, got);
    }
}

/*  A template is given the tokens that the class has by itself. */
static void templates_know_the_tokens_of_the_class (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"{\"tokenizer_class\":\"LlamaTokenizer\"}", "<s>{prompt}</s>"},
        {"{\"tokenizer_class\":\"LlamaTokenizer\",\"bos_token\":null}", "{prompt}</s>"},
        {"{\"tokenizer_class\":\"Qwen2TokenizerFast\"}", "{prompt}<|endoftext|>"},
        {"{}", "{prompt}"}};
    chat_format_t format;
    err_t err = {0};
    put ("chat_template.jinja", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder (cases[i][0], NULL, NULL);
        assert_int_equal (chat_find (dir, "auto", &format, &err), 0);
        assert_string_equal (format.pattern, cases[i][1]);
        chat_free (&format);
    }
    folder ("{}", "{\"bos_token\":{\"content\":\"<b>\"}}", NULL);
    assert_int_equal (chat_find (dir, "auto", &format, &err), 0);
    assert_string_equal (format.pattern, "<b>{prompt}");
    chat_free (&format);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (tokens_are_completed),
        cmocka_unit_test (named_tokens_are_special),
        cmocka_unit_test (what_tools_read_in_two_ways_is_refused),
        cmocka_unit_test (templates_know_the_tokens_of_the_class),
    };
    return cmocka_run_group_tests (tests, make_dir, remove_dir);
}
