/*  merge - the file that a coding team hands in. See family.h */
#include <stdio.h>
#include <string.h>

#include "task/coding/coding.h"

/*  The code of an answer: what stands between the first two fences of Markdown, else all of it. */
static void coding_code_of (const char *text, const char **code, size_t *size)
{
    const char *fence = strstr (text, "```");
    const char *begin = fence ? strchr (fence, '\n') : NULL;
    *code = begin ? begin + 1 : text;
    const char *end = begin ? strstr (begin, "```") : NULL;
    *size = end ? (size_t) (end - *code) : strlen (*code);
}

/*  How much of a function's body there is: a model of code that is not stopped goes on with the
 *  file, so the body ends before the first line that begins at the margin. A bracket there closes
 *  what the prompt began. */
static size_t coding_body_of (const char *code, size_t size)
{
    for (const char *line = memchr (code, '\n', size); line;
         line = memchr (line, '\n', size - (size_t) (line - code))) {
        line++;
        if ((size_t) (line - code) < size && !strchr (" \t\r\n)]}", *line))
            return (size_t) (line - code);
    }
    return size;
}

/*  Whether an answer is a file of its own rather than the rest of one. */
static bool coding_begins_file (const char *code)
{
    static const char *const begins[] = {"def ", "import ", "from ", "class ", "@", "#"};
    code += strspn (code, "\r\n");
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp (code, begins[i], strlen (begins[i])) == 0)
            return true;
    return false;
}

/*  A HumanEval completion goes on after its prompt; where it defines the function itself, it comes
 *  after a prompt that stands alone, for the sake of its imports. */
static void coding_merge_human (const json_t *task, bool helper, const char *text, buf_t *artifact)
{
    char defines[160];
    const char *code;
    size_t size;
    snprintf (defines, sizeof defines, "def %.128s(", family_text (task, "entry_point"));
    coding_code_of (text, &code, &size);
    const char *definition = strstr (code, helper ? "def aux(" : defines);
    bool whole = definition && definition < code + size && coding_begins_file (code);
    if (helper && !whole)
        buf_text (artifact, "def aux(");
    else if (!helper)
        buf_printf (artifact, "%s%s", family_text (task, "brief"), whole ? "\n" : "");
    buf_append (artifact, code, whole ? size : coding_body_of (code, size));
    buf_char (artifact, '\n');
}

/*  The file that the team hands in: helpers first. People and scorers of their own read it. What
 *  is run the sandbox finds in the texts themselves (seats.c), which only a parser can do. */
void coding_merge (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact)
{
    bool human = json_is_string (json_object_get (task, "prompt"));
    for (int helpers = 1; helpers >= 0; helpers--)
        for (size_t i = 0; i < n; i++) {
            if (coding_is_helper (roles[i]) != (helpers == 1))
                continue;
            if (human)
                coding_merge_human (task, helpers == 1, texts[i], artifact);
            else
                buf_printf (artifact, "%s\n", texts[i]);
        }
}
