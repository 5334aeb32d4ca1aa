/*  writing - a short text and its elaboration, written by two agents in parallel.
 *
 *  `summary` writes a heading and a sentence or two, `details` a heading and several sentences;
 *  `solo` writes both, with a line "---" between them. Neither sees the other, so the house style
 *  that makes the two parts one text is a convention that the team has to find: heading, spelling,
 *  register and person.
 *
 *  Style "story" is for plain story models: both agents go on from the same opening, the second one
 *  with "One day," after it. Style "prose" is for models that follow instructions: plain paragraphs
 *  on a topic; where one agent writes both parts, the first paragraph or sentence is the summary.
 */
#include "task/writing/writing.h"

const family_t family_writing = {
    .name = "writing",
    .roles = {"summary", "details", "solo"},
    .turns = 1,
    .styles = {"plain", "story", "prose"},
    .builtin = writing_builtin,
    .generate = writing_generate,
    .keys = {"brief", "prompt", "terms"},
    .adopt = writing_adopt,
    .observe = writing_observe,
    .merge = writing_merge,
    .score = writing_score,
    .situate = writing_situate,
    .imagine = writing_imagine,
    .corpus_roles = writing_corpus_roles,
};
