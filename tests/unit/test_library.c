/* with: services/reward/ */
/*  Passages of folders and lines of JSON, and what queries find in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/reward/library.h"
#include "../../services/reward/workers.h"
#include "base/clock.h"
#include "folder_fixture.h"
#include "task/passages.h"

#define PATIENCE_MS 60000

static const char *in (const char *name)
{
    static char path[FS_PATH_MAX];
    snprintf (path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put_deep (const char *name, const char *text)
{
    err_t err = {0};
    char folder[FS_PATH_MAX];
    snprintf (folder, sizeof folder, "%s", in (name));
    *strrchr (folder, '/') = 0;
    if (fs_mkdirs (folder, &err) != 0 || fs_write (in (name), text, strlen (text), &err) != 0)
        fail_msg ("%s", err.text);
}

static void write_handbook (void)
{
    put_deep ("book/b.md", "\n\nThe library is open\n  on Sunday.\n \t\nThe bus leaves at nine.");
    put_deep ("book/a/deep.txt", "Tea is served in the garden.\n");
    put_deep ("book/c.jsonl",
              "{\"text\": \"Bicycles are for rent.\", \"source\": \"rules, page 4\"}\n\n"
              "{\"text\": \"The caf\\u00e9 sells cake.\", \"id\": 7}");
    put_deep ("book/.hidden", "\xff");
    put_deep ("book/empty.txt", "");
}

static void a_folder_is_cut_at_blank_lines (void **state)
{
    (void) state;
    static const struct {
        const char *source, *text;
    } wanted[] = {{"a/deep.txt:1", "Tea is served in the garden."},
                  {"b.md:3", "The library is open on Sunday."},
                  {"b.md:6", "The bus leaves at nine."},
                  {"rules, page 4", "Bicycles are for rent."},
                  {"c.jsonl:3", "The caf\xc3\xa9 sells cake."}};
    err_t err = {0};
    write_handbook ();
    for (size_t slash = 0; slash < 2; slash++) {
        passages_t p = {0};
        if (passages_read (&p, in (slash ? "book/" : "book"), &err) != 0)
            fail_msg ("%s", err.text);
        assert_int_equal (p.n, sizeof wanted / sizeof *wanted);
        for (size_t i = 0; i < p.n; i++) {
            assert_string_equal (p.item[i].source, wanted[i].source);
            assert_string_equal (p.item[i].text, wanted[i].text);
        }
        passages_free (&p);
    }
}

static void a_file_alone_will_do (void **state)
{
    (void) state;
    err_t err = {0};
    passages_t p = {0};
    put_deep ("one.txt", "x");
    assert_int_equal (passages_read (&p, in ("one.txt"), &err), 0);
    assert_int_equal (p.n, 1);
    assert_string_equal (p.item[0].source, "one.txt:1");
    passages_free (&p);
}

static void what_is_no_text_is_named (void **state)
{
    (void) state;
    static const struct {
        const char *name, *text, *wanted;
    } cases[] = {
        {"latin.txt", "caf\xe9", "latin.txt: no text in UTF-8"},
        {"blank.txt", " \n\n", "blank.txt: no text in it"},
        {"a.jsonl", "{\"text\": \"x\"}\n{\"words\": 1}",
         "a.jsonl:2: {\"text\": \"...\"} is wanted"},
        {"b.jsonl", "{", "b.jsonl:1: {\"text\": \"...\"} is wanted: "},
        {"c.jsonl", "[1]", "c.jsonl:1: {\"text\": \"...\"} is wanted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        passages_t p = {0};
        put_deep (cases[i].name, cases[i].text);
        assert_int_equal (passages_read (&p, in (cases[i].name), &err), -1);
        assert_int_equal (err.code, ERR_INPUT);
        if (!strstr (err.text, cases[i].wanted))
            fail_msg ("'%s' holds no '%s'", err.text, cases[i].wanted);
        assert_int_equal (p.n, 0);
    }
    err_t err = {0};
    passages_t p = {0};
    assert_int_equal (passages_read (&p, in ("nowhere"), &err), -1);
    assert_non_null (strstr (err.text, "nowhere"));
    assert_null (library_new (in ("nowhere"), &err));
    assert_int_equal (err.code, ERR_CONFIG);
}

static void finds (library_t *library, const char *query, const char *wanted)
{
    err_t err = {0};
    reward_score_t found;
    if (library_find (library, query, &found, &err) != 0)
        fail_msg ("%s: %s", query, err.text);
    assert_string_equal (found.verdict, wanted);
    assert_int_equal (found.success, strcmp (wanted, "nothing was found") != 0);
}

/*  The best first; and no query is a command. */
static void a_query_finds_what_it_is_about (void **state)
{
    (void) state;
    err_t err = {0};
    write_handbook ();
    library_t *library = library_new (in ("book"), &err);
    assert_non_null (library);
    for (int twice = 0; twice < 2; twice++) {
        finds (library, "When does the BUS leave?",
               "[b.md:6] The bus leaves at nine.\n[c.jsonl:3] The caf\xc3\xa9 sells cake.\n"
               "[a/deep.txt:1] Tea is served in the garden.");
        finds (library, "cafe", "[c.jsonl:3] The caf\xc3\xa9 sells cake.");
        finds (library, "rules", "nothing was found"); /* sources are not searched */
        finds (library, "text: \"tea\" AND NOT (garden* OR -) NEAR ^",
               "[a/deep.txt:1] Tea is served in the garden.");
        finds (library, "\"; DROP TABLE passages --", "nothing was found");
        finds (library, "?!", "nothing was found");
        finds (library, "", "nothing was found");
    }
    library_destroy (&library);
    library = library_new ("", &err);
    finds (library, "tea", "nothing was found");
    library_destroy (&library);
}

/*  However long passages and queries are. */
static void what_is_long_is_cut (void **state)
{
    (void) state;
    err_t err = {0};
    buf_t text = {0};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 2000; k++)
            buf_text (&text, "\xc3\xa4sea ");
        buf_text (&text, "\n\n");
    }
    put_deep ("long.txt", text.data);
    library_t *library = library_new (in ("long.txt"), &err);
    assert_non_null (library);
    reward_score_t found;
    assert_int_equal (library_find (library, text.data, &found, &err), 0);
    assert_true (found.success && strlen (found.verdict) < REWARD_VERDICT_MAX);
    size_t lines = 1;
    for (const char *c = found.verdict; *c; c++)
        lines += *c == '\n';
    assert_int_equal (lines, LIBRARY_BEST);
    assert_true (strlen (found.verdict) > REWARD_VERDICT_MAX / 2);
    assert_string_equal (found.verdict + strlen (found.verdict) - 3, "\xe2\x80\xa6");
    library_destroy (&library);
    buf_free (&text);
}

static void wake (void *context)
{
    (void) context;
}

/*  Through the service's threads: each history has its own query, and only the service's own
 *  library is asked. */
static void a_service_looks_in_its_own_library (void **state)
{
    (void) state;
    err_t err = {0};
    write_handbook ();
    static char book[FS_PATH_MAX];
    snprintf (book, sizeof book, "%s", in ("book"));
    workers_options_t options = {
        .n = 2, .command = "", .modules = "", .judge = "", .passages = book};
    workers_t *workers = workers_new (&options, wake, NULL, &err);
    assert_non_null (workers);
    static const char *const roles[] = {"solo"}, *const queries[] = {"tea", "bus nine", "tea"},
                             *const histories[] = {"{\"turns\":[]}", "{\"turns\":[]}",
                                                   "{\"turns\":[]}"};
    wire_score_request_t request = {.run = "r",
                                    .command = "",
                                    .modules = "",
                                    .task = "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"b\"}",
                                    .roles = roles,
                                    .roles_n = 1,
                                    .max_tokens = 9,
                                    .max_turns = 1,
                                    .histories = histories,
                                    .histories_n = 3,
                                    .queries = queries,
                                    .tool = "retrieve",
                                    .protocol = "",
                                    .passages = "elsewhere"};
    assert_int_equal (workers_check (workers, &request, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "start it with quintet-reward --passages 'elsewhere'"));
    request.passages = book;
    assert_int_equal (workers_check (workers, &request, &err), 0);
    assert_int_equal (workers_add (workers, 1, arena_new (1 << 20), &request, &err), 0);
    scored_t *scored = NULL;
    for (int64_t end = clock_ms () + PATIENCE_MS; !scored && clock_ms () < end;)
        if (!(scored = workers_take (workers)))
            clock_sleep_ms (5);
    assert_non_null (scored);
    if (scored->failed)
        fail_msg ("%s", scored->err.text);
    assert_non_null (strstr (scored->rewards[0].verdict, "Tea is served"));
    assert_non_null (strstr (scored->rewards[1].verdict, "bus leaves"));
    assert_string_equal (scored->rewards[2].verdict, scored->rewards[0].verdict);
    scored_free (&scored);
    workers_destroy (&workers);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_folder_is_cut_at_blank_lines),
        cmocka_unit_test (a_file_alone_will_do),
        cmocka_unit_test (what_is_no_text_is_named),
        cmocka_unit_test (a_query_finds_what_it_is_about),
        cmocka_unit_test (what_is_long_is_cut),
        cmocka_unit_test (a_service_looks_in_its_own_library),
    };
    return cmocka_run_group_tests (tests, make_dir, remove_dir);
}
