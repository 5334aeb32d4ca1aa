/*  asks - see asks.h
 *
 *  The file is YAML of one form, which is read here line by line: a set's name and a colon; below
 *  it, by two blanks, names with texts in double quotes. It is small and looked through for every
 *  prompt, so there is no state to make, and none to share between threads.
 */
#include "task/asks.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/embed.h"

EMBED (asks_file, "lib/task/asks.yml")

#define ASKS_LETTERS "abcdefghijklmnopqrstuvwxyz_"

/*  Places that a template may have, by the set that it is in; the last row is of all other sets. */
static const struct {
    const char *set, *words;
    const char *known[5];
} asks_places[] = {{"seen", "{role}, {turn}, {part} and {text}", {"role", "turn", "part", "text"}},
                   {"judge",
                    "{lowest}, {highest}, {brief} and {artifact}",
                    {"lowest", "highest", "brief", "artifact"}},
                   {NULL, "{brief} and {role}", {"brief", "role"}}};

/*  A line of the file. */
typedef struct {
    const char *set, *name, *text; /* name NULL: a set begins; the text is behind its quote */
    size_t set_n, name_n, text_n;
} asks_line_t;

/*  Reads a line of n bytes into *line, whose set is that of the lines before. False: it is none. */
static bool asks_read (const char *at, size_t n, asks_line_t *line)
{
    size_t blanks = strspn (at, " "), size = strspn (at + blanks, ASKS_LETTERS);
    const char *behind = at + blanks + size;
    if (blanks == 0 && size > 0 && size + 1 == n && *behind == ':') {
        *line = (asks_line_t){.set = at, .set_n = size};
        return true;
    }
    line->name = at + blanks;
    line->name_n = size;
    line->text = behind + 3;
    line->text_n = blanks == 2 && size > 0 && blanks + size + 4 <= n ? n - blanks - size - 4 : 0;
    return blanks == 2 && size > 0 && line->set && blanks + size + 4 <= n &&
           strncmp (behind, ": \"", 3) == 0 && at[n - 1] == '"';
}

static bool asks_is (const char *name, const char *text, size_t size)
{
    return strlen (name) == size && strncmp (name, text, size) == 0;
}

static bool asks_is_blank (const char *at, size_t n)
{
    return n == 0 || *at == '#';
}

/*  The template of a name in a set, else that of the others; text NULL: there is none. */
static asks_line_t asks_find (const char *set, const char *name)
{
    asks_line_t line = {0}, found = {0};
    for (const char *at = asks_file; *at;) {
        size_t n = strcspn (at, "\n");
        if (!asks_is_blank (at, n) && asks_read (at, n, &line) && line.name &&
            asks_is (set, line.set, line.set_n) &&
            (asks_is (name, line.name, line.name_n) ||
             (!found.text && asks_is ("others", line.name, line.name_n))))
            found = line;
        at += n + (at[n] == '\n');
    }
    return found;
}

bool asks_knows (const char *set, const char *name)
{
    asks_line_t line = asks_find (set, name);
    return line.text && asks_is (name, line.name, line.name_n);
}

/*  The length of a place that begins here, braces included; 0: none does. */
static size_t asks_place (const char *at)
{
    size_t n = *at == '{' ? strspn (at + 1, ASKS_LETTERS) : 0;
    return n && at[1 + n] == '}' ? n + 2 : 0;
}

static const char *asks_fill (const asks_place_t *places, size_t n, const char *name, size_t size)
{
    for (size_t i = 0; i < n; i++)
        if (asks_is (places[i].name, name, size))
            return places[i].text;
    return NULL;
}

void asks_write (const char *set, const char *name, const asks_place_t *places, size_t n,
                 buf_t *out)
{
    asks_line_t line = asks_find (set, name);
    assert (line.text);
    for (const char *at = line.text, *end = at + line.text_n; at < end;) {
        size_t place = asks_place (at);
        const char *text = place ? asks_fill (places, n, at + 1, place - 2) : NULL;
        if (text) {
            buf_text (out, text);
            at += place;
        } else if (*at == '\\' && at + 1 < end) {
            buf_char (out, at[1] == 'n' ? '\n' : at[1]);
            at += 2;
        } else {
            buf_char (out, *at++);
        }
    }
}

void asks_brief (const char *set, const char *role, const char *brief, buf_t *out)
{
    const asks_place_t places[] = {{"brief", brief}, {"role", role}};
    asks_write (set, role, places, 2, out);
}

void asks_show (const char *family, const char *before, buf_t *out)
{
    asks_line_t line = {0};
    size_t size = strlen (family);
    for (const char *at = asks_file; *at;) {
        size_t n = strcspn (at, "\n");
        if (!asks_is_blank (at, n) && asks_read (at, n, &line) && line.set_n >= size &&
            strncmp (line.set, family, size) == 0)
            buf_printf (out, "%s%.*s\n", before, (int) n, at);
        at += n + (at[n] == '\n');
    }
}

/*  ---- checks --------------------------------------------------------------------------------- */

/*  "a.yml:3: coding.main". */
static int asks_refuse (const asks_line_t *line, const char *file, size_t number, const char *why,
                        err_t *err)
{
    return err_set (err, ERR_CONFIG, "%s:%zu: %.*s.%.*s%s", file, number, (int) line->set_n,
                    line->set, (int) line->name_n, line->name, why);
}

static int asks_check_places (const asks_line_t *line, const char *file, size_t number, err_t *err)
{
    size_t row = 0;
    while (asks_places[row].set && !asks_is (asks_places[row].set, line->set, line->set_n))
        row++;
    for (const char *at = line->text; at < line->text + line->text_n; at++) {
        size_t n = asks_place (at);
        const char *const *known = asks_places[row].known;
        char why[160];
        while (n && *known && !asks_is (*known, at + 1, n - 2))
            known++;
        if (n && !*known) {
            snprintf (why, sizeof why, " has %.*s; known there: %s", (int) (n < 60 ? n : 60), at,
                      asks_places[row].words);
            return asks_refuse (line, file, number, why, err);
        }
        if (*at == '\\' && !strchr ("n\"\\", at[1]))
            return asks_refuse (line, file, number, ": of backslashes \\n, \\\" and \\\\ are known",
                                err);
        at += *at == '\\';
    }
    return 0;
}

int asks_check (const char *text, const char *file, err_t *err)
{
    asks_line_t line = {0};
    size_t number = 1;
    for (const char *at = text ? text : asks_file; *at; number++) {
        size_t n = strcspn (at, "\n");
        if (!asks_is_blank (at, n) && !asks_read (at, n, &line))
            return err_set (err, ERR_CONFIG,
                            "%s:%zu: 'SET:' is wanted, or '  NAME: \"TEXT\"' in a set", file,
                            number);
        if (!asks_is_blank (at, n) && line.name &&
            asks_check_places (&line, file, number, err) != 0)
            return -1;
        at += n + (at[n] == '\n');
    }
    return 0;
}
