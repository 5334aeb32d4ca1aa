/*  prompt - see prompt.h */
#include "task/prompt.h"

#include <stdio.h>
#include <string.h>

/*  The length of a place that begins here, braces included; 0: none does. Code and JSON have braces
 *  too, but hardly a lone word in them. */
static size_t prompt_place (const char *at)
{
    size_t n = *at == '{' ? strspn (at + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;
    return n && at[1 + n] == '}' ? n + 2 : 0;
}

/*  NULL: it is not known. */
static const char *prompt_part (const prompt_parts_t *parts, const char *name, size_t size)
{
    const struct {
        const char *name, *text;
    } known[] = {{"brief", parts->brief}, {"ask", parts->ask}, {"role", parts->role}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen (known[i].name) == size && strncmp (known[i].name, name, size) == 0)
            return known[i].text;
    return NULL;
}

/*  What a part brings along is not looked at again: a brief may well hold braces. */
void prompt_expand (const char *words, const prompt_parts_t *parts, buf_t *out)
{
    while (*words) {
        size_t n = prompt_place (words);
        const char *part = n ? prompt_part (parts, words + 1, n - 2) : NULL;
        if (part)
            buf_text (out, part);
        else
            buf_append (out, words, n ? n : 1);
        words += n ? n : 1;
    }
}

bool prompt_unknown (const char *words, char unknown[PROMPT_NAME_MAX])
{
    static const prompt_parts_t all = {"", "", ""};
    for (size_t n; *words; words += n ? n : 1) {
        n = prompt_place (words);
        if (!n || prompt_part (&all, words + 1, n - 2))
            continue;
        snprintf (unknown, PROMPT_NAME_MAX, "%.*s", (int) (n - 2 < 60 ? n - 2 : 60), words + 1);
        return true;
    }
    return false;
}
