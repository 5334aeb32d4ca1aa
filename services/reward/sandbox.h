/*  sandbox - Python programs that nobody trusts, run under a full lock.
 *
 *      sandbox_t *sandbox = sandbox_new ("", WALL_LANDLOCK, &err);
 *      json_t *answer = sandbox_run (sandbox, request, &err);
 *      sandbox_destroy (&sandbox);
 *
 *  Asked with the calls whose results somebody compares, or with HumanEval's test, which a checker
 *  process runs; expected values are never where the program is:
 *
 *    {"program": text, "calls": [[function, [arguments]], ...], "watch": name, "cpu_s": 2,
 *     "cpu_total_s": 10}
 *        -> {"syntax": true, "defined": true, "watched": 1,
 *            "results": [["value", ...], ["error", text, ...], ["crossing", why], ...]}
 *    {"program": text, "entry": name, "setup": text, "test": text, "watch": name, ...}
 *        -> {"syntax": true, "defined": true, "watched": 1, "passed": true, "why": "",
 *            "right": 7, "answered": 7}                      of the test's asserts (asserts.py)
 *
 *  With calls may come "wanted": [{"result": value} or {"raises": name}, ...], one for each. Then
 *  "results" are verdicts (judge.h). A value that cannot leave the program's process, and so cannot
 *  be compared, is no wrong value: its verdict is "incomparable".
 *
 *  In place of "program" there may be "find": [{"text": answer, "name": wanted, "before": text,
 *  "arguments": number or null}, ...], one for each seat, helpers first: the program is found in
 *  what the seats wrote, by the rules that find.py begins with, and each seat's part of the answer
 *  is in "seats": [[whether it holds code, whether it defines its name], ...]. "fits" says whether
 *  the function that is asked for takes so many arguments (null: as many as "before" gives it).
 *
 *  "constant": it gave one and the same answer to all calls, which differed.
 *
 *  What ended a program early is in "killed": a name of child.h's. Everything but values and their
 *  errors is found out where the program cannot reach. "watched" (the helper was used) takes two
 *  things: the text of the function that is asked for leads to the helper's name, and in a second
 *  run, in which the helper fails as soon as it is called, at least one answer is another. A call
 *  that is made but changes nothing when it fails is no use, nor is a function that the rest of
 *  the program defines again. Most programs can neither catch an error nor reach what is not their
 *  own (use.py): of them the first run alone tells whether the helper is called, which is the
 *  same.
 *
 *  One python3 (the zygote) forks for every program, once it is found; finding and comparing are
 *  done by forks that stay. It is started again when it dies. Without
 *  python3, seccomp or the wall that it is to have nothing is ever run: the error says what is
 *  missing. One thread uses a sandbox_t.
 */
#ifndef QUINTET_REWARD_SANDBOX_H
#define QUINTET_REWARD_SANDBOX_H

#include <jansson.h>

#include "base/err.h"
#include "wall.h"

typedef struct sandbox sandbox_t;

/*  Starts the zygote and waits for its word that the lock holds. modules: names of third-party
 *  modules that programs may import, separated by commas; borrowed. */
sandbox_t *sandbox_new (const char *modules, wall_t wall, err_t *err);
void sandbox_destroy (sandbox_t **sandbox);

/*  A new reference, or NULL. ERR_CONFIG: nothing can be run here. Anything else is a failure of
 *  the machinery, to be tried again: it says nothing about the program. */
json_t *sandbox_run (sandbox_t *sandbox, const json_t *request, err_t *err);
/*  Waits for the last program's process to be gone. Nobody who waits for an answer need wait for
 *  that; the next run does, where nobody has. */
void sandbox_rest (sandbox_t *sandbox);

#endif
