/*  coding - small Python functions, written by two agents in parallel: `aux`, and `main` which
 *  calls it. */
#include "task/coding/coding.h"

const family_t family_coding = {
    .name = "coding",
    .roles = {"aux", "main", "helper", "solo"},
    .turns = 1,
    .styles = {"plain"},
    .runs_programs = true,
    .tools = {"test", "lint"},
    .builtin = coding_builtin,
    .generate = coding_generate,
    .keys = {"brief", "entry_point", "tests", "args", "result", "raises", "public",
             /* HumanEval's and MBPP's */
             "prompt", "test", "task_id", "text", "code", "test_list", "test_setup_code"},
    .adopt = coding_adopt,
    .observe = coding_observe,
    .merge = coding_merge,
    .score = coding_score,
    .tool = coding_tool,
    .examples = coding_public,
    .reword = coding_reword,
    .mistake = coding_mistake,
    .situate = coding_situate,
    .imagine = coding_imagine,
    .corpus_roles = coding_corpus_roles,
};
