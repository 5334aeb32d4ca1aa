/*  observe - what each seat of a writing team is asked. See family.h */
#include <string.h>

#include "task/writing/writing.h"

/*  What a seat of a team that writes prose is asked behind the brief. */
static const char *writing_ask (const char *role)
{
    static const char *const asks[][2] = {
        {"summary", "Answer in one or two sentences."},
        {"details", "Answer in one paragraph of four to six sentences."},
        {"solo", "Answer in one or two sentences, then write a line that is --- alone, then answer "
                 "in one paragraph of four to six sentences."}};
    size_t i = 0;
    while (i < 2 && strcmp (asks[i][0], role) != 0)
        i++;
    return asks[i][1];
}

/*  A story goes on from its opening; prose is asked for in plain words; another brief is put in
 *  the words that the corpus has, with the seat's name behind the mark. */
void writing_observe (const json_t *task, const char *role, buf_t *prompt)
{
    const char *brief = family_text (task, "brief"), *style = family_text (task, "style");
    if (writing_is_story (style))
        buf_printf (prompt, "%s%s", brief, strcmp (role, "details") == 0 ? " One day," : "");
    else if (writing_is_prose (style))
        buf_printf (prompt, "%s %s\n", brief, writing_ask (role));
    else
        buf_printf (prompt, "%s\n@ %s\n", brief, role);
}
