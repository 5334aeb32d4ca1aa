/*  tokenizer_regex - patterns of tokenizers. See tokenizer_internal.h
 *
 *  The tokenizers library matches by Oniguruma with Ruby's syntax. PCRE2 reads most patterns alike;
 *  what it reads otherwise is written out in its words, or refused:
 *
 *      \s, \w, \d, \b   other sets of characters (\w of PCRE2 has all numbers and no marks)
 *      \h, \H           a hexadecimal digit, and not a horizontal space
 *      ^, $             the ends of lines, always
 *      {2,3}+           a repetition of a repetition, and not a possessive one
 */
#include <ctype.h>
#include <string.h>

#include "text/tokenizer_internal.h"

/*  A pattern comes from the model's folder: one that backtracks without end must not hold up the
 *  service. */
#define MATCH_LIMIT 10000000u

#define SPACE_SET "\\t-\\r\\x{85}\\p{Z}"
#define WORD_SET  "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"
#define DIGIT_SET "\\p{Nd}"
#define HEX_SET   "0-9A-Fa-f"

static const char *regex_set_of (char letter)
{
    switch (tolower ((unsigned char) letter)) {
    case 's':
        return SPACE_SET;
    case 'w':
        return WORD_SET;
    case 'd':
        return DIGIT_SET;
    case 'h':
        return HEX_SET;
    default:
        return NULL;
    }
}

/*  An escape outside or inside of brackets. The complement of a set cannot stand inside of
 *  others. */
static bool regex_escape (char letter, bool inside, buf_t *out)
{
    const char *set = regex_set_of (letter);
    bool upper = isupper ((unsigned char) letter);
    if (set && inside && upper && letter != 'D' && letter != 'S')
        return false;
    if (set && inside && letter == 'S') /* but for U+180E, they agree */
        buf_text (out, "\\S");
    else if (set && inside)
        buf_text (out, letter == 'D' ? "\\P{Nd}" : set);
    else if (set)
        buf_printf (out, "[%s%s]", upper ? "^" : "", set);
    else if (letter == 'b' && !inside)
        buf_text (out, "(?:(?<=[" WORD_SET "])(?![" WORD_SET "])|(?<![" WORD_SET "])(?=[" WORD_SET
                       "]))");
    else if (letter == 'B' && !inside)
        buf_text (out, "(?:(?<=[" WORD_SET "])(?=[" WORD_SET "])|(?<![" WORD_SET "])(?![" WORD_SET
                       "]))");
    else if (strchr ("kgCMKGNOyYXE", letter) && !inside)
        return false;
    else
        buf_printf (out, "\\%c", letter);
    return true;
}

/*  Behind "[": to its end. Sets in sets and && are Oniguruma's own. */
static const char *regex_brackets (const char *at, buf_t *out)
{
    bool begin = true;
    if (*at == '^')
        buf_char (out, *at++);
    for (; *at && (*at != ']' || begin); at++, begin = false) {
        if (at[0] == '[' && at[1] == ':') {
            const char *end = strstr (at, ":]");
            if (!end)
                return NULL;
            buf_append (out, at, (size_t) (end - at) + 1);
            at = end + 1;
            buf_char (out, *at);
        } else if (*at == '[' || (at[0] == '&' && at[1] == '&')) {
            return NULL;
        } else if (*at == '\\' && at[1]) {
            if (!regex_escape (*++at, true, out))
                return NULL;
        } else {
            buf_char (out, *at);
        }
    }
    return *at ? at : NULL;
}

/*  The options of a group that begins at "(?": Ruby's m is PCRE2's s, and s is none of Ruby's. */
static bool regex_group (const char *at)
{
    for (at += 2; *at && strchr ("imsxadu-", *at); at++)
        if (*at == 'm' || *at == 's' || *at == 'x' || *at == 'a' || *at == 'd' || *at == 'u')
            return false;
    return true;
}

/*  Whether the text at "{" counts repetitions. */
static size_t regex_count (const char *at)
{
    size_t n = 1 + strspn (at + 1, "0123456789");
    if (at[n] == ',')
        n += 1 + strspn (at + n + 1, "0123456789");
    return at[n] == '}' && n > 1 ? n + 1 : 0;
}

/*  False: there is something in it that PCRE2 would read otherwise, or not at all. */
static bool regex_translate (const char *pattern, buf_t *out)
{
    for (const char *at = pattern; *at; at++) {
        if (*at == '\\' && at[1]) {
            if (!regex_escape (*++at, false, out))
                return false;
        } else if (*at == '[') {
            buf_char (out, '[');
            if (!(at = regex_brackets (at + 1, out)))
                return false;
            buf_char (out, ']');
        } else if (*at == '{' && regex_count (at)) {
            size_t n = regex_count (at);
            /* To Ruby a repetition of the repetition, to PCRE2 a possessive one, so it is
             * refused. */
            if (at[n] == '+')
                return false;
            if (at[1] == ',') /* {,3}: from none on */
                buf_printf (out, "{0%.*s", (int) n - 1, at + 1);
            else
                buf_append (out, at, n);
            at += n - 1;
        } else if (at[0] == '(' && at[1] == '?' && !regex_group (at)) {
            return false;
        } else {
            buf_char (out, *at);
        }
    }
    return true;
}

/*  The pattern as the file has it is shown in errors, not what we made of it. It comes out of JSON,
 *  which is valid UTF-8, so PCRE2 need not check that. */
static pcre2_code *regex_compile (const char *pattern, const char *shown, uint32_t options,
                                  err_t *err)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *regex = pcre2_compile ((PCRE2_SPTR) pattern, PCRE2_ZERO_TERMINATED,
                                       options | PCRE2_UTF | PCRE2_NO_UTF_CHECK, &code, &at, NULL);
    if (!regex) {
        char text[120];
        pcre2_get_error_message (code, (PCRE2_UCHAR *) text, sizeof text);
        err_set (err, ERR_INPUT, "tokenizer: splitter '%.200s': %s", shown, text);
        return NULL;
    }
    pcre2_jit_compile (regex, PCRE2_JIT_COMPLETE); /* without it, matching is only slower */
    return regex;
}

pcre2_code *tokenizer_regex (const char *pattern, err_t *err)
{
    buf_t own = {0};
    pcre2_code *regex = NULL;
    buf_text (&own, "");
    if (regex_translate (pattern, &own) && !buf_failed (&own))
        regex = regex_compile (own.data, pattern, PCRE2_UCP | PCRE2_MULTILINE, err);
    else
        tokenizer_refuse (err, "pattern", pattern);
    buf_free (&own);
    return regex;
}

pcre2_code *tokenizer_literal (const char *text, err_t *err)
{
    return regex_compile (text, text, PCRE2_LITERAL, err);
}

/*  ---- finding -------------------------------------------------------------------------------- */

/*  Match data and limits are made once and serve for many texts, until tokenizer_find_done. */
void tokenizer_find_begin (tokenizer_find_t *f, const pcre2_code *regex, const char *text,
                           size_t size)
{
    if (!f->match)
        f->match = pcre2_match_data_create (32, NULL);
    if (!f->limits) {
        f->limits = pcre2_match_context_create (NULL);
        if (f->limits)
            pcre2_set_match_limit (f->limits, MATCH_LIMIT);
    }
    f->failed = !f->match || !f->limits;
    f->regex = regex;
    f->text = text;
    f->size = size;
    f->at = f->last = 0;
    f->found = false;
}

/*  An empty match counts, but not right behind another one. */
bool tokenizer_find (tokenizer_find_t *f, size_t *start, size_t *end)
{
    while (!f->failed && f->at <= f->size) {
        int rc = pcre2_match (f->regex, (PCRE2_SPTR) f->text, f->size, f->at, PCRE2_NO_UTF_CHECK,
                              f->match, f->limits);
        if (rc < 0) {
            f->failed = rc != PCRE2_ERROR_NOMATCH;
            return false;
        }
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer (f->match);
        *start = ends[0];
        *end = ends[1];
        bool again = f->found && *start == *end && *end == f->last;
        f->at = *end;
        if (*start == *end) /* go on behind the next character */
            do
                f->at++;
            while (f->at < f->size && ((unsigned char) f->text[f->at] & 0xc0) == 0x80);
        if (again)
            continue;
        f->found = true;
        f->last = *end;
        return true;
    }
    return false;
}

void tokenizer_find_done (tokenizer_find_t *f)
{
    pcre2_match_data_free (f->match);
    pcre2_match_context_free (f->limits);
    *f = (tokenizer_find_t){0};
}

bool tokenizer_replace (const pcre2_code *regex, const char *with, const char *text, size_t size,
                        buf_t *out)
{
    tokenizer_find_t find = {0};
    size_t from = 0, start, end;
    tokenizer_find_begin (&find, regex, text, size);
    while (tokenizer_find (&find, &start, &end)) {
        buf_append (out, text + from, start - from);
        buf_text (out, with);
        from = end;
    }
    buf_append (out, text + from, size - from);
    bool failed = find.failed;
    tokenizer_find_done (&find);
    return !failed;
}
