/* with: services/cli/play/stream.c services/cli/view/style.c */
/*  Texts that are shown while they grow: every piece is of whole characters, and all pieces make
 *  the text that was written in the end. */
#include "../../services/cli/play/stream.h"
#include "sampler_fixture.h"

/*  What was shown, piece by piece. */
typedef struct {
    buf_t text;
    size_t pieces;
} shown_t;

/*  Whether a text ends in the middle of a character. */
static bool is_cut (const char *text, size_t size)
{
    size_t tail = 0;
    while (tail < 3 && tail < size && ((unsigned char) text[size - 1 - tail] & 0xc0) == 0x80)
        tail++;
    unsigned char lead = size > tail ? (unsigned char) text[size - 1 - tail] : 0;
    size_t wanted = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    return tail != wanted;
}

static ssize_t take_piece (void *context, const char *data, size_t size)
{
    shown_t *shown = context;
    assert_false (is_cut (data, size));
    buf_append (&shown->text, data, size);
    shown->pieces++;
    return (ssize_t) size;
}

/*  Bytes as tokens: a random model writes many that belong to no character, and some that do. */
static tokenizer_t *byte_tokenizer (void)
{
    err_t err = {0};
    const char *const texts[] = {"abc"}, *const specials[] = {"<end>"};
    char *json = tokenizer_train (texts, 1, 257, specials, 1, &err);
    tokenizer_t *tokenizer = json ? tokenizer_parse (json, strlen (json), &err) : NULL;
    if (!tokenizer)
        fail_msg ("%s", err.text);
    free (json);
    return tokenizer;
}

/*  The middle of what a sample writes without stop texts: two characters or more. */
static void learn_stop (const stream_part_t *like, char stop[32])
{
    stream_part_t part = *like;
    sampling_t sampling = {.temperature = 1, .max_tokens = 40};
    part.sampling = &sampling;
    stream_show_t silent = {0};
    stream_count_t count = {0};
    err_t err = {0};
    assert_int_equal (stream_run (&part, 1, &silent, &count, &err), 0);
    size_t from = part.text.size / 2, size = 0;
    while (from && ((unsigned char) part.text.data[from] & 0xc0) == 0x80)
        from--;
    while (from + size < part.text.size &&
           (size < 6 || ((unsigned char) part.text.data[from + size] & 0xc0) == 0x80))
        size++;
    snprintf (stop, 32, "%.*s", (int) size, part.text.data ? part.text.data + from : "");
    stream_free (&part, 1);
}

/*  stops NULL: one that is learnt from the first part. */
static void check_stream (const stops_t *given, size_t n)
{
    model_config_t config = fixture_config ();
    config.vocab = 257;
    model_t *model = fixture_model (&config, COMPUTE_F32);
    tokenizer_t *tokenizer = byte_tokenizer ();
    tokenizer_ids_t prompt = {0};
    err_t err = {0};
    assert_int_equal (tokenizer_encode (tokenizer, "abc", 3, 0, &prompt, &err), 0);
    static const int32_t end[] = {0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        stream_part_t parts[4] = {{0}};
        shown_t shown = {0};
        char learnt[32] = "";
        const char *const learnt_list[] = {learnt};
        stops_t stops = given ? *given : (stops_t){learnt_list, 1};
        stream_show_t show = {
            .to = fopencookie (&shown, "w", (cookie_io_functions_t){.write = take_piece})};
        stream_count_t count = {0};
        sampler_t *sampler = open_sampler (model, n, NULL);
        for (size_t i = 0; i < n; i++)
            parts[i] = (stream_part_t){.sampler = sampler,
                                       .model = model,
                                       .tokenizer = tokenizer,
                                       .prompt = &prompt,
                                       .stops = end,
                                       .stops_n = 1,
                                       .key = rng_key ((uint64_t[]){seed, i}, 2),
                                       .heading = n > 1 ? "part" : NULL};
        if (!given)
            learn_stop (&parts[0], learnt);
        stops.n = given || *learnt ? stops.n : 0;
        sampling_t sampling = {.temperature = 1, .max_tokens = 40, .stops = stops};
        for (size_t i = 0; i < n; i++)
            parts[i].sampling = &sampling;
        assert_int_equal (stream_run (parts, n, &show, &count, &err), 0);
        fclose (show.to);
        buf_t wanted = {0};
        size_t ids = 0, at;
        for (size_t i = 0; i < n; i++) {
            buf_printf (&wanted, "%s", n > 1 ? "--- part ---\n" : "");
            buf_append (&wanted, parts[i].text.data, parts[i].text.size);
            buf_char (&wanted, '\n');
            ids += parts[i].ids_n;
            assert_true (parts[i].done && parts[i].ids_n >= 1 && parts[i].ids_n <= 40);
            assert_false (stops_find (&stops, parts[i].text.data, parts[i].text.size, &at));
            assert_int_equal (parts[i].end == STREAM_TEXT && stops.n == 0, 0);
        }
        assert_int_equal (shown.text.size, wanted.size);
        assert_memory_equal (shown.text.data, wanted.data, wanted.size);
        assert_int_equal (count.tokens, ids);
        assert_int_equal (count.prompts, prompt.n);
        if (n == 1 && parts[0].ids_n > 20)
            assert_true (shown.pieces > 3);
        buf_free (&wanted);
        buf_free (&shown.text);
        stream_free (parts, n);
        sampler_destroy (&sampler);
    }
    tokenizer_ids_free (&prompt);
    tokenizer_destroy (&tokenizer);
    model_destroy (&model);
}

static void pieces_are_whole_characters_and_make_the_text (void **state)
{
    (void) state;
    const stops_t none = {0};
    check_stream (&none, 1);
}

static void parts_are_shown_one_after_the_other (void **state)
{
    (void) state;
    const stops_t none = {0};
    check_stream (&none, 4);
}

static void nothing_of_a_stop_text_is_shown (void **state)
{
    (void) state;
    check_stream (NULL, 1);
    check_stream (NULL, 4);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (pieces_are_whole_characters_and_make_the_text),
        cmocka_unit_test (parts_are_shown_one_after_the_other),
        cmocka_unit_test (nothing_of_a_stop_text_is_shown)};
    return cmocka_run_group_tests_name ("stream", tests, NULL, NULL);
}
