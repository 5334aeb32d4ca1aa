/*  Nothing that a terminal would obey comes through, whatever a model wrote. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/rng.h"

#define BAD "\xef\xbf\xbd"

static void is_shown (const char *text, printable_t how, const char *wanted)
{
    buf_t out = {0};
    buf_text (&out, "");
    printable_text (&out, text, strlen (text), how);
    assert_string_equal (out.data, wanted);
    buf_free (&out);
}

static void controls_are_replaced (void **state)
{
    (void) state;
    is_shown ("\x1b[2Jx", PRINTABLE_LINE, BAD "[2Jx");
    is_shown ("\x1b]0;title\x07", PRINTABLE_LINES, BAD "]0;title" BAD);
    is_shown ("a\x7f\x08\r", PRINTABLE_LINES, "a" BAD BAD BAD);
    is_shown ("\xc2\x9b"
              "31m",
              PRINTABLE_LINES, BAD "31m"); /* C1: an 8-bit CSI */
    is_shown ("\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", PRINTABLE_LINES, BAD BAD BAD);
    is_shown ("\xe2\x80\xae"
              "cba",
              PRINTABLE_LINES, BAD "cba"); /* reversed */
}

static void bytes_that_are_not_utf8_are_replaced (void **state)
{
    (void) state;
    is_shown ("\x9b\x41", PRINTABLE_LINE, BAD "A");
    is_shown ("\xc0\x9b", PRINTABLE_LINE, BAD BAD);                 /* overlong ESC */
    is_shown ("\xed\xa0\x80", PRINTABLE_LINE, BAD BAD BAD);         /* a surrogate */
    is_shown ("\xf4\x90\x80\x80", PRINTABLE_LINE, BAD BAD BAD BAD); /* above U+10FFFF */
    is_shown ("ab\xe2\x96", PRINTABLE_LINE, "ab" BAD BAD);          /* cut in the middle */
}

static void what_can_be_read_stays (void **state)
{
    (void) state;
    is_shown ("def f (x):\n\treturn x\n", PRINTABLE_LINES, "def f (x):\n\treturn x\n");
    is_shown ("def f (x):\n\treturn x", PRINTABLE_LINE, "def f (x):  return x");
    is_shown ("naïve ▁▂█ 漢字 🎉", PRINTABLE_LINE, "naïve ▁▂█ 漢字 🎉");
}

static void cut (const char *text, size_t columns, const char *wanted)
{
    buf_t out = {0};
    buf_text (&out, "");
    printable_cut (&out, text, strlen (text), columns);
    assert_string_equal (out.data, wanted);
    buf_free (&out);
}

static void lines_are_cut_by_columns (void **state)
{
    (void) state;
    cut ("abcdef", 3, "ab…");
    cut ("abc", 3, "abc");
    cut ("abc", 0, "");
    cut ("漢字漢字", 6, "漢字…");      /* two columns each */
    cut ("e\xcc\x81", 1, "e\xcc\x81"); /* a combining accent takes none */
    cut ("\x1b\x1b\x1b", 2, BAD "…");
    cut ("ab", 80, "ab");
}

/*  A byte that a terminal acts upon: C0 but for newline and tab, DEL, or a C1 character. */
static void assert_harmless (const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char) text[i];
        assert_false ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f);
        assert_false (c == 0xc2 && i + 1 < n && (unsigned char) text[i + 1] < 0xa0);
    }
}

static void random_bytes_are_harmless_and_shown_once (void **state)
{
    (void) state;
    rng_t rng = {.key = 7};
    for (int round = 0; round < 2000; round++) {
        char bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char) (rng_below (&rng, 3) ? rng_below (&rng, 256) : 0xc2);
        buf_t once = {0}, twice = {0};
        printable_text (&once, bytes, sizeof bytes, PRINTABLE_LINES);
        assert_harmless (once.data, once.size);
        printable_text (&twice, once.data, once.size, PRINTABLE_LINES);
        assert_string_equal (once.data, twice.data);
        buf_free (&once);
        buf_free (&twice);
    }
}

static void a_log_line_is_one_harmless_line (void **state)
{
    (void) state;
    char path[] = "/tmp/quintet-log-XXXXXX", line[65536] = "", long_text[9000];
    int file = mkstemp (path), old = dup (STDERR_FILENO);
    assert_true (file >= 0 && old >= 0);
    memset (long_text, 0x1b, sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    dup2 (file, STDERR_FILENO);
    log_error ("scored", "verdict=%s", "one\ntwo\x1b[2J\xc2\x9bx");
    log_error ("scored", "verdict=%s", long_text);
    dup2 (old, STDERR_FILENO);
    ssize_t n = pread (file, line, sizeof line - 1, 0);
    close (file);
    close (old);
    unlink (path);
    assert_true (n > 0);
    assert_harmless (line, (size_t) n);
    assert_non_null (strstr (line, "verdict=one two" BAD "[2J" BAD "x\n"));
    size_t newlines = 0;
    for (ssize_t i = 0; i < n; i++)
        newlines += line[i] == '\n';
    assert_int_equal (newlines, 2);
    assert_int_equal (line[n - 1], '\n');
}

static json_t *logged (const char *value)
{
    char path[] = "/tmp/quintet-log-XXXXXX", line[8192] = "";
    int file = mkstemp (path), old = dup (STDERR_FILENO);
    assert_true (file >= 0 && old >= 0);
    dup2 (file, STDERR_FILENO);
    log_as_json (true);
    log_error ("scored", "n=%d text=\"%s\" took_ms=%g", 7, value, 0.5);
    log_as_json (false);
    dup2 (old, STDERR_FILENO);
    assert_true (pread (file, line, sizeof line - 1, 0) > 0);
    close (file);
    close (old);
    unlink (path);
    json_error_t why;
    json_t *json = json_loads (line, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        fail_msg ("%s: %s", why.text, line);
    return json;
}

/*  Whatever a text holds, the line is an object, and the text comes out as it went in. */
static void a_log_line_as_json_has_its_pairs (void **state)
{
    (void) state;
    static char long_text[9000];
    static const char *const values[] = {"plain words", "a \"quoted\" word", "back\\slash", "",
                                         "no=pair at the end \""};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_t *line = logged (values[i]), *fields = json_object_get (line, "fields");
        assert_string_equal (json_string_value (json_object_get (line, "level")), "error");
        assert_string_equal (json_string_value (json_object_get (line, "event")), "scored");
        assert_string_equal (json_string_value (json_object_get (fields, "n")), "7");
        assert_string_equal (json_string_value (json_object_get (fields, "text")), values[i]);
        assert_string_equal (json_string_value (json_object_get (fields, "took_ms")), "0.5");
        json_decref (line);
    }
    memset (long_text, '"', sizeof long_text - 1);
    json_decref (logged (long_text));
    json_decref (logged ("\x1b[2J\xc2\x9b\xff"));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (controls_are_replaced),
        cmocka_unit_test (bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test (what_can_be_read_stays),
        cmocka_unit_test (lines_are_cut_by_columns),
        cmocka_unit_test (random_bytes_are_harmless_and_shown_once),
        cmocka_unit_test (a_log_line_is_one_harmless_line),
        cmocka_unit_test (a_log_line_as_json_has_its_pairs),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
