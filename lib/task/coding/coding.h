/*  coding - what the files of the coding family share. Private to lib/task/coding.
 *
 *      generate.c   the built-in set            observe.c   what each seat is asked
 *      adopt.c      tasks from users' files      merge.c     the file that the team hands in
 *      score.c      tests in the sandbox         corpus.c    what an untrained team would write
 *      seats.c      what is looked for in the texts
 *      mbpp.c       tasks in MBPP's format
 *
 *  A function's comment stands in family.h, at the member of family_t that it is.
 */
#ifndef QUINTET_TASK_CODING_H
#define QUINTET_TASK_CODING_H

#include "task/family.h"

extern const char *const coding_corpus_roles[];

/*  Whether a seat writes the helper; by its name, wherever it sits. */
bool coding_is_helper (const char *role);

/*  The numbers of a built-in task's filter, map and reduction. Setting them also sets its id, which
 *  names the function that they compute. */
void coding_get_parts (const json_t *task, size_t parts[3]);
void coding_set_parts (json_t *task, const size_t parts[3]);

size_t coding_builtin (const char *style);
json_t *coding_generate (const task_options_t *options, size_t i);
int coding_adopt (json_t *task, err_t *err);
/*  Whether a task is in MBPP's format; brings it into HumanEval's. */
bool coding_is_mbpp (const json_t *task);
int coding_adopt_mbpp (json_t *task, err_t *err);
void coding_observe (const json_t *task, const char *role, buf_t *prompt);
void coding_merge (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact);
/*  The slots of which the artifact is made, helpers first; 0: it is another one. Borrowed. */
size_t coding_slots (const json_t *state, const char *names[EPISODE_ROLES_MAX]);
/*  For each seat, helpers first: what the sandbox finds the program in (sandbox.h, "find"). */
json_t *coding_seats (const json_t *state);
/*  A role's local part: half for a text that holds code, half for one that defines what is wanted
 *  of the role.
 *
 *  Success: all tests pass and the helper was really called; a team without a helper has that part
 *  for free. Expected values never enter the process that runs the program; equal is what
 *  Python's == says of the two.
 *
 *  The built-in set: quality = 0.1 syntax + 0.1 helper called + 0.4 share of tests passed + 0.4
 *  all passed. Other tasks: quality = w graded + (0.6 - w) share of tests + 0.4 success, where
 *  graded is the mean of syntax (share of the seats that wrote code), defined (share that defines
 *  what is wanted of it), signature (the arguments fit), runs (share of the tests that it gave an
 *  answer in) and, with a helper, helper called; w = 0.1, or 0.6 / (tests + 1) where that is less,
 *  so that one test is worth at least as much as all of them. One and the same answer to all calls
 *  earns neither "runs" nor tests unless it passes all of them. */
int coding_score (const episode_t *episode, const task_capabilities_t *capabilities,
                  reward_score_t *score, err_t *err);
/*  test: the public examples, which are the first "public" of a task's tests; success: all pass.
 *  lint: success: each seat's text holds code that defines what is wanted of it. */
int coding_tool (const char *name, const episode_t *episode,
                 const task_capabilities_t *capabilities, reward_score_t *found, err_t *err);
/*  How many of a task's tests may be seen. */
size_t coding_public (const json_t *task);
void coding_reword (json_t *task, rng_t *rng);
void coding_mistake (json_t *task, rng_t *rng);
void coding_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt);
void coding_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion);

#endif
