/*  state - what an episode's turns make of the global state: plan, texts, notes, audit, ending.
 *
 *      state_begin (state, protocol);
 *      const char *tool = state_tool (state, turn, "tester", "", &query);
 *      state_apply (state, protocol_turn (protocol, t), record, t);
 *
 *  The global state is one JSON object. Of it this file makes
 *
 *    "slots":   ["aux", "main"]
 *    "shared":  {"plan": "...", "planned_by": ROLE, "planned_turn": t,
 *                "artifacts": {SLOT: {"text", "by", "turn", "status": proposed|accepted|returned,
 *                                     "reviewed_by", "reviewed_turn", "reason": of a return}},
 *                "changelog": ["turn 1: aux drafts aux", ...],     one line for each change
 *                "test": {"turn", "success", "quality", "verdict"}, "lint": likewise,
 *                "facts": ["[source] passage", ...], "retrieve": likewise,
 *                "next": whom a router chose, for one turn, "handed_off": why}
 *    "private": {ROLE: {"scratchpad": [...], "todo": [...], "hypotheses": [...]}}
 *    "audit":   [{"turn", "by", "does", "input": hash of what the tool was given, "success",
 *                 "verdict"},
 *                {"turn", "by", "does", "invalid": why}, ...]
 *    "end":     "" while it goes on; finalized, handed_off, the condition that held, or limit
 *
 *  and it reads "roles" and "artifact" (what the team hands in). It is a fold over the turns: the
 *  same turns make the same state. A turn's record is {"actions": [{"role", "text", ...}, ...],
 *  "tools": {ROLE: what the tool of its action found}}. All of a turn's actions are allowed or not
 *  by the state as the turn began; they take effect in the order of the roles.
 */
#ifndef QUINTET_TEAM_STATE_H
#define QUINTET_TEAM_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "team/primitive.h"

#define STATE_CONDITIONS "passed and accepted"

/*  Sets what a new episode has. */
void state_begin (json_t *state, const json_t *protocol);
/*  What a seat may do in a turn as the state is, borrowed: where the turn is routed, only the seat
 *  that was chosen may do anything. NULL: it does not act. */
const json_t *state_offers (const json_t *state, const json_t *turn, const char *role);
/*  The name of the tool that a role's action of this turn uses; NULL: none, or it may not. text:
 *  what the role said, "" where it says nothing. query: what it asks, a part of text, "" where the
 *  tool looks at the state alone. */
const char *state_tool (json_t *state, const json_t *turn, const char *role, const char *text,
                        const char **query);
/*  What a role said in a turn's record, borrowed; NULL: nothing. */
const json_t *state_action (const json_t *record, const char *role);
/*  Plays a turn. */
void state_apply (json_t *state, const json_t *turn, const json_t *record, size_t number);

/*  Whether there is a condition of that name for "until". */
bool state_condition (const char *name);
/*  Actions so far that had no effect, and uses of tools. */
size_t state_invalid (const json_t *state);
size_t state_tools (const json_t *state);

/*  ---- for primitives ------------------------------------------------------------------------- */

json_t *state_shared (const json_t *state);
/*  By slot; those that have a text. */
json_t *state_artifacts (const json_t *state);
/*  The text of a slot, "" while it has none. */
const char *state_slot_text (const json_t *state, const char *slot);
/*  The slots and their texts, at most max of them; returns how many. Borrowed. */
size_t state_slots (const json_t *state, const char **slots, const char **texts, size_t max);
/*  Whether a list of texts has this one. */
bool state_lists (const json_t *list, const char *text);
/*  A list of a role's own. */
json_t *state_private (json_t *state, const char *role, const char *list);
/*  Whether the last test failed. */
bool state_failed (json_t *state);
/*  A string member, or "". */
const char *state_text (const json_t *object, const char *key);

#endif
