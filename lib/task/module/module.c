/*  module - three Python functions with briefs of their own, written by three agents in parallel or
 *  by one, that a fourth one uses. */
#include "task/module/module.h"

const family_t family_module = {
    .name = "module",
    .roles = {"f", "g", "h", "solo", "planner"},
    .whole = module_names,
    .turns = 1,
    .styles = {"plain"},
    .runs_programs = true,
    .tools = {"test", "lint"},
    .builtin = module_builtin,
    .generate = module_generate,
    .keys = {"tests", "public"},
    .adopt = module_adopt,
    .observe = module_observe,
    .merge = module_merge,
    .score = module_score,
    .tool = module_tool,
    .examples = module_public,
    .reword = module_reword,
    .mistake = module_mistake,
    .situate = module_situate,
    .imagine = module_imagine,
    .corpus_roles = module_corpus_roles,
};
