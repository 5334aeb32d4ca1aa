/*  module - what the files of the module family share. Private to lib/task/module.
 *
 *      generate.c   the built-in set            seats.c      what each seat is asked, and hands in
 *      adopt.c      tasks from users' files      score.c     tests in the sandbox
 *      corpus.c     what an untrained team would write
 *
 *  A task has three functions, f, g and h, each with a brief of its own; tests call each of them,
 *  and a fourth, main, that is given and uses the three. What no brief says is what a function
 *  takes: the list, f(xs), or its numbers one by one, f(*xs). Either is right, but main hands the
 *  three what it is called with, so they have to agree.
 *
 *    {"id", "family", "brief": "f: Return ...\ng: ...\nh: ...", "given": the text of main,
 *     "functions": [{"name": "f", "id": named by what it computes, "brief", "parts"}, ...],
 *     "tests": [{"call": "f", "args": [[1, 2]], "result": 3}, ...], "public": how many may be seen}
 *
 *  A function's comment stands in family.h, at the member of family_t that it is.
 */
#ifndef QUINTET_TASK_MODULE_H
#define QUINTET_TASK_MODULE_H

#include "task/composition.h"
#include "task/family.h"

#define MODULE_FUNCTIONS 3

typedef enum { MODULE_LIST, MODULE_EACH, MODULE_WAYS } module_way_t;

/*  f, g, h; NULL ends. */
extern const char *const module_names[MODULE_FUNCTIONS + 1];
extern const char *const module_corpus_roles[];

/*  The number of a function by its name; MODULE_FUNCTIONS: it is another. */
size_t module_number (const char *name);
/*  Function k of a task: its entry, and the numbers of its filter, map and reduction. Setting them
 *  also sets its id, and that of the task. */
const json_t *module_function (const json_t *task, size_t k);
void module_get_parts (const json_t *task, size_t k, size_t parts[3]);
void module_set_parts (json_t *task, size_t k, const size_t parts[3]);
/*  Says all functions anew. */
void module_say (json_t *task, rng_t *rng);
/*  What a task has besides its functions and tests: the brief of all, and main. */
void module_complete (json_t *task);
/*  Adds the tests of one list: main's, and where they are wanted alone, those of the functions. */
void module_add_tests (json_t *tests, json_t *xs, json_t *results, bool alone);

size_t module_builtin (const char *style);
json_t *module_generate (const task_options_t *options, size_t i);
int module_adopt (json_t *task, err_t *err);
void module_observe (const json_t *task, const char *role, buf_t *prompt);
void module_merge (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact);
/*  The text in which a function is to be found: that of its seat, or of who writes them all. by:
 *  the slot. Borrowed. */
const char *module_text (const json_t *state, size_t k, const char **by);
/*  Quality = 0.1 syntax (share of the functions whose text holds code) + 0.5 tests + 0.4 all tests
 *  passed, where tests is the mean over f, g, h and main of the share of its tests that it passes
 *  in the way that it passes more in. Success: all of them in one and the same way. A role's local
 *  part: half for code that defines what is wanted of it, half for its own tests. Agreement:
 *  whether the three take their numbers in one way. */
int module_score (const episode_t *episode, const task_capabilities_t *capabilities,
                  reward_score_t *score, err_t *err);
/*  test: the public examples; success: all pass. lint: success: each text defines what is wanted of
 *  it. */
int module_tool (const char *name, const episode_t *episode,
                 const task_capabilities_t *capabilities, reward_score_t *found, err_t *err);
size_t module_public (const json_t *task);
void module_reword (json_t *task, rng_t *rng);
void module_mistake (json_t *task, rng_t *rng);
void module_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt);
void module_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion);

#endif
