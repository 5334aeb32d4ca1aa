/*  episode - one team at one task: observe, act, step, until done.
 *
 *      episode_t *episode = episode_new (task, roles, n, &limits, &err);
 *      for (; !episode_done (episode); episode_step (episode, &err))
 *          for (size_t r = 0; r < n; r++) {
 *              episode_observe (episode, r, &prompt, &err);
 *              episode_act (episode, r, &action, &err);
 *          }
 *      episode_state (episode, &json, &err);              the global state, one line
 *      episode_destroy (&episode);
 *
 *  Which roles act in a turn, and how, is the protocol's (team/protocol.h). Some say nothing, and
 *  some use a tool, which somebody else has to run (episode_tool) before the episode can step.
 *
 *  The global state is what scorer programs are given and reports show:
 *
 *  {"task": {...}, "roles": ["aux", "main"], "limits": {"tokens": 72, "turns": 1},
 *   "protocol": [...], "prompts": ["", "{ask}\nBe brief."], "sees": ["", "brief"], where given,
 *   "turns": [{"actions": [{"role": "aux", "text": "...", "tokens": 19, "truncated": false,
 *     "tokens_read": 0, "full": true where it is}, ...],
 *     "tools": {ROLE: {"success", "quality", "verdict"}}}, ...],
 *   "slots", "shared", "private", "audit", "end": as team/state.h says,
 *   "artifact": "what the team hands in, as its family merges it", "done": true}
 *
 *  Where a program plays, a turn also has what each role was asked, "observed": {ROLE: "text"}, and
 *  the state at the end the program's "outcome".
 *
 *  What travels is less. Task, roles, limits and protocol are the same for all episodes of a group
 *  and go once with it; an episode's own part is its history, {"turns": [...]} (with a program's
 *  "outcome"), and the rest of its state follows from that. (A history may also have an "artifact",
 *  which then stands for what the turns would make.)
 */
#ifndef QUINTET_TASK_EPISODE_H
#define QUINTET_TASK_EPISODE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define EPISODE_ROLES_MAX 8

typedef struct {
    size_t tokens; /* per completion */
    size_t turns;  /* per episode; 0: as many as the family needs */
    /* CPU seconds of one test of a program, and of all its tests; 0: as the family's scorer thinks
     * fit */
    double cpu_s, cpu_total_s;
    /* JSON, as protocol.h has it; NULL or "": all draft in parallel, in each of the turns. */
    const char *protocol;
    /* By role: what it is asked instead of what its family asks, and what it sees (prompt.h); "":
       as the family asks, and what all see. NULL: that of all roles. Copied. */
    const char *const *prompts, *const *sees;
} episode_limits_t;

typedef struct {
    const char *text; /* decoded completion, special tokens left out; need not end in 0 */
    size_t size;
    size_t tokens;  /* its length in ids, the end token included */
    bool truncated; /* cut by the length limit */
    bool full;      /* nothing was said: the role's prompt fills its model's context */
} episode_action_t;

typedef struct episode episode_t;

/*  ERR_INPUT when the task is malformed or the family does not know a role. roles: names. */
episode_t *episode_new (const char *task_json, const char *const *roles, size_t roles_n,
                        const episode_limits_t *limits, err_t *err);
/*  Another episode of the same task, roles and limits, which both share, at its start. */
episode_t *episode_again (const episode_t *episode, err_t *err);
/*  Plays a new episode up to where its history says; the artifact and whether it is done follow.
 *  ERR_INPUT: it is none, or of other roles. */
int episode_replay (episode_t *episode, const char *history, size_t size, err_t *err);
/*  An episode of a global state, which is taken as it says. */
episode_t *episode_parse (const char *state_json, size_t size, err_t *err);
void episode_destroy (episode_t **episode);

size_t episode_turn (const episode_t *episode);
bool episode_done (const episode_t *episode);
/*  Whether a role speaks in this turn, so that it has to be asked (all roles of a turn act in
 *  parallel); whether it does in any. */
bool episode_acts (const episode_t *episode, size_t role);
bool episode_ever_acts (const episode_t *episode, size_t role);
/*  Appends a role's prompt as the state is (prompt.h). Equal for all episodes of a group in their
 *  first turn. */
int episode_observe (const episode_t *episode, size_t role, buf_t *prompt, err_t *err);
/*  Records the action of an acting role, and what it has read of the others' (tokens_read); its
 *  text is copied. */
int episode_act (episode_t *episode, size_t role, const episode_action_t *action, err_t *err);
/*  All have acted. The next role of this turn, from `role` on, that uses a tool which has not been
 *  used yet, which one, and what it asks (team/state.h), borrowed until the step;
 *  EPISODE_ROLES_MAX: nobody. */
size_t episode_tool (const episode_t *episode, size_t role, const char **tool, const char **query);
/*  Records what that tool found; the verdict is copied. */
int episode_found (episode_t *episode, size_t role, bool success, double quality,
                   const char *verdict, err_t *err);
/*  All acting roles acted: merges the turn into the shared state, goes to the next turn or ends. */
int episode_step (episode_t *episode, err_t *err);
/*  An episode that a program plays (family.h): whether it has to be asked, before anybody acts and
 *  behind every step; what it answered (outcome_check in task/outcome.h); and what it is to go on
 *  from, appended as a line: {"episode": id, "task", "roles", "limits", "turns"}. */
bool episode_waits (const episode_t *episode);
int episode_told (episode_t *episode, const json_t *answer, err_t *err);
int episode_so_far (const episode_t *episode, const char *id, buf_t *json, err_t *err);
/*  Each appends one line of JSON without newline: the global state; its history; its last turn
 *  alone. */
int episode_state (const episode_t *episode, buf_t *json, err_t *err);
int episode_history (const episode_t *episode, buf_t *json, err_t *err);
int episode_last_turn (const episode_t *episode, buf_t *json, err_t *err);

/*  The state as a value, borrowed: for scorers. */
const json_t *episode_json (const episode_t *episode);
/*  What everybody may see of it, as a value of the caller's: the task without its hidden checks.
 *  NULL: no memory. */
json_t *episode_public (const episode_t *episode);

/*  Measures over all turns, for speed and cost (see reward.h). */
const json_t *episode_protocol (const episode_t *episode);
size_t episode_tokens (const episode_t *episode); /* of all completions */
/*  Sum over turns of the longest completion. */
size_t episode_critical_path (const episode_t *episode);

#endif
