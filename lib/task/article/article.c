/*  article - an article of three sections, written by three agents at the same time or by one.
 *
 *  Each writer reads the brief of its own section and none of the others' texts, so the style that
 *  makes one article of the three is a convention that the team has to find.
 */
#include "task/article/article.h"

const family_t family_article = {
    .name = "article",
    .roles = {"opening", "middle", "closing", "solo"},
    .whole = article_names,
    .turns = 1,
    .styles = {"plain"},
    .builtin = article_builtin,
    .generate = article_generate,
    .keys = {"sections", "brief", "terms"},
    .adopt = article_adopt,
    .observe = article_observe,
    .merge = article_merge,
    .score = article_score,
    .situate = article_situate,
    .imagine = article_imagine,
    .corpus_roles = article_corpus_roles,
};
