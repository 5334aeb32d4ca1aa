/*  family - what a task family is: who observes what, what the team hands in, and what that is
 *  worth.
 *
 *      const family_t *family = family_find ("coding");
 *      family->observe (task, "aux", &prompt);
 *      family->merge (task, roles, texts, n, &artifact);
 *      family->score (episode, &capabilities, &score, &err);
 *
 *  A family is one constant struct of pure functions; another one is a folder and a line in
 *  families.h.
 */
#ifndef QUINTET_TASK_FAMILY_H
#define QUINTET_TASK_FAMILY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "task/reward.h"
#include "task/task.h"

#define FAMILY_ROLES_MAX  6
#define FAMILY_STYLES_MAX 4
#define FAMILY_KEYS_MAX   16
#define FAMILY_TOOLS_MAX  2
#define TASK_RETRIEVE     "retrieve" /* the tool that every family has, where there are passages */

/*  What a scorer needs and may not have by itself, since everything here is pure. Who scores hands
 *  it in. */
typedef struct {
    void *self;
    /*  Runs a program of the team's: a request and its answer as lib/task/coding/score.c and the
     *  reward service's sandbox agree on them. NULL with err: the machinery failed, nothing is
     *  known of the program. */
    json_t *(*run) (void *self, const json_t *request, err_t *err);
} task_sandbox_t;

typedef struct {
    const task_sandbox_t *sandbox; /* NULL: there is none here */
} task_capabilities_t;

typedef struct {
    const char *name;
    const char *roles[FAMILY_ROLES_MAX + 1]; /* seats that it knows; NULL ends */
    /* Of them, those that hand in one thing between them, nobody else beside them: a team has all
     * or none. NULL ends; NULL alone: any may do without the others. */
    const char *const *whole;
    size_t turns; /* that an episode needs */
    /*  Names of its built-in sets, "plain" first; NULL ends. */
    const char *styles[FAMILY_STYLES_MAX + 1];
    bool runs_programs; /* its scorer needs the sandbox, and so Python */
    /* A program of the user's (task.program) says who observes what, who acts, and when an episode
     * ends; it has any seat. */
    bool by_program;
    /* Primitives of team/primitive.h that use a tool, as far as it has one; NULL ends. */
    const char *tools[FAMILY_TOOLS_MAX + 1];
    /*  A built-in set: how many tasks can be made, and task i as a new object; content alone
     *  decides. Of those with one id, which ask for the same in other words, the first is taken. */
    size_t (*builtin) (const char *style);
    json_t *(*generate) (const task_options_t *options, size_t i);
    /*  What it reads of a task in a file, and of the objects in it: a key that is nearly one of
     *  them is refused as misspelt. NULL ends. */
    const char *keys[FAMILY_KEYS_MAX + 1];
    /*  Checks a task and brings it into the family's form (in place); file formats of others
     *  too. */
    int (*adopt) (json_t *task, err_t *err);
    /*  What a role is asked; a later turn's prompt ends with it. */
    void (*observe) (const json_t *task, const char *role, buf_t *prompt);
    void (*merge) (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact);
    /*  Scores a finished episode. ERR_INPUT: a property of the episode; anything else is the
     *  machinery's, and worth another try. */
    int (*score) (const episode_t *episode, const task_capabilities_t *capabilities,
                  reward_score_t *score, err_t *err);
    /*  What a tool finds in the state as it is, which need not be finished: success, quality and
     *  verdict of *found. Errors as of score. NULL: it has no tools. */
    int (*tool) (const char *name, const episode_t *episode,
                 const task_capabilities_t *capabilities, reward_score_t *found, err_t *err);
    /*  How many of a task's tests the tool `test` may show. NULL: it has no such tool. */
    size_t (*examples) (const json_t *task);
    /*  Says the same task in other words, for the corpus; NULL: there is one wording. */
    void (*reword) (json_t *task, rng_t *rng);
    /*  Makes another task of it (in place), as one does who misreads it; for the corpus. NULL:
     *  texts have no such mistakes. */
    void (*mistake) (json_t *task, rng_t *rng);
    /*  For the corpus: appends what a role may have before it in its later turns, and may note in
     *  the task what the role's text makes of it. NULL: texts are all of first turns. */
    void (*situate) (json_t *task, const char *role, rng_t *rng, buf_t *prompt);
    /*  A text of the corpus for a task and role: what an untrained agent would write. */
    void (*imagine) (const json_t *task, const char *role, rng_t *rng, buf_t *completion);
    const char *const *corpus_roles; /* of which the corpus has texts, NULL ends */
} family_t;

/*  NULL when there is none. */
const family_t *family_find (const char *name);
/*  The one whose episodes a program plays. */
const family_t *family_by_program (void);
/*  Whether it has a seat, a built-in set, or a tool, of that name. */
bool family_knows (const family_t *family, const char *role);
/*  Whether it says what to ask of a seat, be it one that writes nothing of its own, in a set. */
bool family_asks (const family_t *family, const char *style, const char *role);
bool family_has_style (const family_t *family, const char *style);
bool family_has_tool (const family_t *family, const char *tool);

/*  A string member, or "". */
const char *family_text (const json_t *object, const char *key);

#endif
