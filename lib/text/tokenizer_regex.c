/*  tokenizer_regex - patterns of tokenizers. See tokenizer_internal.h
 *
 *  The tokenizers library matches by Oniguruma with Ruby's syntax. PCRE2 reads most patterns alike;
 *  what it reads otherwise is written out in its words, or refused:
 *
 *      \s, \w, \d, \b   other sets of characters (\w of PCRE2 has all numbers and no marks)
 *      \h, \H, \v       hexadecimal digits, the vertical tab, and no kinds of spaces
 *      \u00e9           the character of that number, always four digits
 *      [:space:]        the same sets; letters and punctuation are others, and refused
 *      \p{Han}          the script, not all characters that may be used with it
 *      ^, $             the ends of lines, always
 *      {2,3}+           a repetition of a repetition, and not a possessive one
 *      (?i)             "ss" is ß, too, and [\p{Lu}] any case: both are refused
 *
 *  Characters that Unicode has added since PCRE2 was made are none that it knows.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/tokenizer_internal.h"

/*  A pattern comes from the model's folder: one that backtracks without end must not hold up the
 *  service. */
#define MATCH_LIMIT 10000000u
#define GROUPS_MAX  64 /* brackets in brackets */

#define SPACE_SET "\\t-\\r\\x{85}\\p{Z}"
/*  Letters are also numbers that are letters, and letters in circles and squares. Outside of
 *  brackets Oniguruma takes its table of Latin-1, where ² and ½ are words. */
#define WORD_SET                                                                                   \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"                    \
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
#define WORD_ALONE WORD_SET "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define BLANK_SET  "\\t\\p{Zs}"
#define DIGIT_SET  "\\p{Nd}"
#define HEX_SET    "0-9A-Fa-f"

static const char *regex_set_of (char letter, bool inside)
{
    switch (tolower ((unsigned char) letter)) {
    case 's':
        return SPACE_SET;
    case 'w':
        return inside ? WORD_SET : WORD_ALONE;
    case 'd':
        return DIGIT_SET;
    case 'h':
        return HEX_SET;
    default:
        return NULL;
    }
}

/*  "{Han}" behind \p or \P: general categories are one or two letters, some properties are the same
 *  in both libraries, everything else must be a script. Returns its last character, or NULL. */
static const char *regex_property (const char *at, bool inside, bool any_case, buf_t *out)
{
    static const char *const same[] = {"Any", "White_Space", "Emoji"};
    static const char *const refused[] = {"Alpha", "Alphabetic", "Lowercase", "Uppercase", "Digit"};
    const char letter = *at, *name = at + 2 + (at[1] == '{' && at[2] == '^');
    size_t n = strcspn (name, "}"), letters = 0;
    if (at[1] != '{' || !name[n] || n == 0)
        return NULL;
    bool known = false;
    for (size_t i = 0; i < n; i++)
        letters += name[i] != ' ';
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        known = known || (strlen (same[i]) == n && strncasecmp (same[i], name, n) == 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strlen (refused[i]) == n && strncasecmp (refused[i], name, n) == 0)
            return NULL;
    /* Lu, Ll, Lt */
    size_t case_at = strcspn (name, "ultULT");
    if (inside && any_case && letters == 2 && case_at < n)
        return NULL;
    buf_printf (out, "\\%c{%s%s%.*s}", letter, name > at + 2 ? "^" : "",
                known || letters <= 2 ? "" : "sc:", (int) n, name);
    return name + n;
}

/*  "u00e9": a character by its number. Where any case matches, one that is part of two letters in
 *  one, or may be, is refused, as it is where it is written out. */
static const char *regex_number (const char *at, bool inside, bool any_case, buf_t *out)
{
    unsigned long code = 0;
    for (size_t i = 1; i <= 4; i++) {
        const char digit[] = {at[i], 0};
        if (!isxdigit ((unsigned char) at[i]))
            return NULL;
        code = 16 * code + strtoul (digit, NULL, 16);
    }
    bool folds = code >= 0x80 || (code && strchr ("sSfFiIlLtT", (int) code));
    if ((code >= 0xd800 && code <= 0xdfff) || (any_case && !inside && folds))
        return NULL;
    buf_printf (out, "\\x{%lx}", code);
    return at + 4;
}

/*  An escape outside or inside of brackets, at its letter. The complement of a set cannot stand
 *  inside of others. Returns its last character, or NULL. */
static const char *regex_escape (const char *at, bool inside, bool any_case, buf_t *out)
{
    const char letter = *at, *set = regex_set_of (letter, inside);
    bool upper = isupper ((unsigned char) letter);
    if (letter == 'p' || letter == 'P')
        return regex_property (at, inside, any_case, out);
    if (letter == 'u')
        return regex_number (at, inside, any_case, out);
    if (set && inside && upper && letter != 'D' && letter != 'S')
        return NULL;
    if (set && inside && letter == 'S') /* but for U+180E, they agree */
        buf_text (out, "\\S\\x{180e}");
    else if (set && inside)
        buf_text (out, letter == 'D' ? "\\P{Nd}" : set);
    else if (set)
        buf_printf (out, "[%s%s]", upper ? "^" : "", set);
    else if (letter == 'b' && !inside)
        buf_text (out, "(?:(?<=[" WORD_ALONE "])(?![" WORD_ALONE "])|(?<![" WORD_ALONE
                       "])(?=[" WORD_ALONE "]))");
    else if (letter == 'B' && !inside)
        buf_text (out, "(?:(?<=[" WORD_ALONE "])(?=[" WORD_ALONE "])|(?<![" WORD_ALONE
                       "])(?![" WORD_ALONE "]))");
    else if (letter == 'v')
        buf_text (out, "\\x0b");
    else if (strchr ("kgCMKGNOyYXE", letter) && !inside)
        return NULL;
    else
        buf_printf (out, "\\%c", letter);
    return at;
}

/*  "[:space:]" in brackets; returns its last character, or NULL. */
static const char *regex_class (const char *at, buf_t *out)
{
    static const struct {
        const char *name, *set;
    } classes[] = {{"[:space:]", SPACE_SET}, {"[:digit:]", DIGIT_SET}, {"[:word:]", WORD_SET},
                   {"[:blank:]", BLANK_SET}, {"[:xdigit:]", HEX_SET},  {"[:cntrl:]", "\\p{Cc}"}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t n = strlen (classes[i].name);
        if (strncmp (at, classes[i].name, n) == 0) {
            buf_text (out, classes[i].set);
            return at + n - 1;
        }
    }
    return NULL;
}

/*  Behind "[": to its end. Sets in sets and && are Oniguruma's own. */
static const char *regex_brackets (const char *at, bool any_case, buf_t *out)
{
    bool begin = true;
    if (*at == '^')
        buf_char (out, *at++);
    for (; *at && (*at != ']' || begin); at++, begin = false) {
        const char *last = at;
        if (at[0] == '[' && at[1] == ':')
            last = regex_class (at, out);
        else if (*at == '[' || (at[0] == '&' && at[1] == '&'))
            return NULL;
        else if (*at == '\\' && at[1])
            last = regex_escape (at + 1, true, any_case, out);
        else
            buf_char (out, *at);
        if (!(at = last))
            return NULL;
    }
    return *at ? at : NULL;
}

/*  Where any case matches: within which brackets, and from where on in them. */
typedef struct {
    bool any_case[GROUPS_MAX];
    size_t depth;
} groups_t;

/*  A group begins, or options for the rest of one: "(?i:", "(?i)". False: Ruby's m is PCRE2's s,
 *  and s is none of Ruby's. */
static bool regex_group (const char *at, groups_t *groups)
{
    bool options = at[1] == '?', off = false, any_case = groups->any_case[groups->depth];
    for (at += 2; options && *at && strchr ("imsxadu-", *at); at++) {
        if (strchr ("msxadu", *at))
            return false;
        any_case = *at == 'i' ? !off : any_case;
        off = off || *at == '-';
    }
    if (!options || *at != ')') { /* which otherwise ends the options, and no group */
        if (++groups->depth == GROUPS_MAX)
            return false;
    }
    groups->any_case[groups->depth] = any_case;
    return true;
}

/*  Two letters that are one in another case: ß, ﬀ, ﬁ, ﬂ, ﬅ. */
static bool regex_folds (const char *at)
{
    static const char *const pairs[] = {"ss", "ff", "fi", "fl", "st"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strncasecmp (at, pairs[i], 2) == 0)
            return true;
    return false;
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
    groups_t groups = {0};
    for (const char *at = pattern; *at; at++) {
        bool any_case = groups.any_case[groups.depth], options = at[0] == '(' && at[1] == '?';
        if (*at == '\\' && at[1]) {
            if (!(at = regex_escape (at + 1, false, any_case, out)))
                return false;
        } else if (*at == '[') {
            buf_char (out, '[');
            if (!(at = regex_brackets (at + 1, any_case, out)))
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
        } else if ((*at == '(' && !regex_group (at, &groups)) || (any_case && regex_folds (at))) {
            return false;
        } else {
            /* Options that stand alone end with a bracket that closes nothing. */
            size_t n = options ? 2 + strspn (at + 2, "i-") : 0;
            bool alone = n > 2 && at[n] == ')';
            groups.depth -= *at == ')' && groups.depth;
            buf_append (out, at, alone ? n + 1 : 1);
            at += alone ? n : 0;
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
