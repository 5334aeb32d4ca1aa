/*  traits - what a style is made of: the words that writers choose and that the checks look for.
 *  See article.h */
#include <string.h>

#include "task/article/article.h"

const article_words_t article_traits[ARTICLE_TRAITS] = {
    {"spelling", {{"colours", "grey", "neighbours"}, {"colors", "gray", "neighbors"}}},
    {"register", {{"moreover", "however", "therefore"}, {"also", "but", "so"}}},
    {"person", {{"we", "our"}, {"you", "your"}, {"they", "their"}, {"one", "one's"}}},
    {"naming", {{"visitors"}, {"guests"}, {"strangers"}, {"people"}}},
    /* The k-th word is that of section k. */
    {"joining",
     {{"first", "second", "third"},
      {"to begin", "next", "finally"},
      {"at the start", "later", "in the end"},
      {"initially", "subsequently", "ultimately"}}},
};

const article_heading_t article_headings[ARTICLE_SIDES] = {
    {"# ", ""}, {"== ", " =="}, {"", ":"}, {"* ", " *"}};

size_t article_side_of (words_t *words, const article_words_t *trait)
{
    size_t side = ARTICLE_SIDES, sides = 0;
    for (size_t s = 0; s < ARTICLE_SIDES && *trait->sides[s]; s++)
        if (words_have_any (words, trait->sides[s])) {
            side = s;
            sides++;
        }
    return sides == 1 ? side : ARTICLE_SIDES;
}

/*  The one with nothing before its title would take the others' for its own, so it comes last. */
size_t article_heading_of (const char *line, size_t n)
{
    static const size_t order[ARTICLE_SIDES] = {0, 1, 3, 2};
    for (size_t i = 0; i < ARTICLE_SIDES && n < 60; i++) {
        const article_heading_t *h = &article_headings[order[i]];
        size_t before = strlen (h->before), behind = strlen (h->behind);
        if (n > before + behind && strncmp (line, h->before, before) == 0 &&
            strncmp (line + n - behind, h->behind, behind) == 0)
            return order[i];
    }
    return ARTICLE_SIDES;
}
