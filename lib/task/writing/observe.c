/*  observe - what each seat of a writing team is asked. See family.h */
#include "task/asks.h"
#include "task/writing/writing.h"

/*  A story goes on from its opening; prose is asked for in plain words; another brief is put in
 *  the words that the corpus has, with the seat's name behind the mark. */
void writing_observe (const json_t *task, const char *role, buf_t *prompt)
{
    const char *style = family_text (task, "style");
    const char *set = writing_is_story (style)   ? "writing_story"
                      : writing_is_prose (style) ? "writing_prose"
                                                 : "writing";
    asks_brief (set, role, family_text (task, "brief"), prompt);
}
