/*  protocol - which seats act in which turn, and what they may do there.
 *
 *      protocol_team_t team = {roles, n, own_turns, max_turns};
 *      json_t *protocol = protocol_make ("repair", &team, &err);
 *      const json_t *turn = protocol_turn (protocol, t);
 *      protocol_speaks (turn, "main");
 *
 *  A protocol is a list of turns. The seats of a turn act in parallel and do not see each other:
 *
 *    [{"does": {"aux": ["draft"], "main": ["draft"]}},
 *     {"does": {"tester": ["test"]}, "until": "passed"},
 *     {"does": {"main": ["repair", "draft aux", "finalize"]}}]
 *
 *  A turn with "routed": true is that of one of its seats alone, the one that somebody chose in the
 *  turn before ("route main"); nobody's where nobody was chosen.
 *
 *  Where a seat has one primitive (primitive.h), that is what it does; of several it chooses, by
 *  the name on the first line of what it says. Behind a primitive that works on a slot may stand
 *  which one; else it is the seat's own, which has its role's name. "until" ends the episode behind
 *  the turn when it holds: "passed" (a test of the texts as they are), "accepted" (all slots).
 *
 *  Roles named planner, tester, reviewer and router are no authors; the named protocols make of the
 *  others
 *
 *    parallel     all draft, max_turns times (1)
 *    pipeline     one after the other drafts, in the order of the team
 *    discussion   all draft, max_turns times (2), from the second on having seen the others'
 *    plan         the planner plans, then all draft
 *    repair       all draft, then the tester tests and all repair until the tests pass, in
 *                 max_turns turns (5); without a tester the last author's turn is a test
 *    review       all draft, the reviewer reviews each slot, those that were returned are
 *                 repaired until all are accepted, in max_turns turns (5)
 *    route        the router names who acts next, who then drafts, plans, tests or reviews, until
 *                 the router finalizes, in max_turns turns (6), two for each choice
 */
#ifndef QUINTET_TEAM_PROTOCOL_H
#define QUINTET_TEAM_PROTOCOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PROTOCOL_TURNS_MAX 64
#define PROTOCOL_CHOICES   "parallel|pipeline|discussion|plan|repair|review|route"

typedef struct {
    const char *const *roles;
    size_t n;
    /* JSON of the user's own turns, as in a configuration: [{"aux": "draft", "main": ["draft",
       "note"], "until": "passed", "repeat": 2}, ...]. For "turns" alone. */
    const char *turns;
    size_t max_turns; /* 0: as the protocol has by itself */
} protocol_team_t;

/*  A new reference. ERR_INPUT names turn and seat. */
json_t *protocol_make (const char *name, const protocol_team_t *team, err_t *err);
/*  All seats may draft in each of the turns: for a program that says who does. */
json_t *protocol_anybody (const char *const *roles, size_t n, size_t turns);
/*  Whether a value is a protocol of these roles: what came from outside is one only then. */
int protocol_check (const json_t *protocol, const json_t *roles, err_t *err);

/*  Borrowed; NULL: there is no such turn. */
const json_t *protocol_turn (const json_t *protocol, size_t turn);
/*  What a seat may do in a turn, borrowed; NULL: it does not act. */
const json_t *protocol_offers (const json_t *turn, const char *role);
/*  Whether a turn is that of one seat which was chosen (state_offers in team/state.h). */
bool protocol_routed (const json_t *turn);
/*  Whether a seat has to be asked: it has words to say, or a choice. By what it is offered, and by
 *  its name in a turn. */
bool protocol_says (const json_t *offers);
bool protocol_speaks (const json_t *turn, const char *role);
/*  Whether a seat acts in any turn; whether it speaks in any. */
bool protocol_acts (const json_t *protocol, const char *role);
bool protocol_ever_speaks (const json_t *protocol, const char *role);
/*  The turns in which somebody speaks. */
size_t protocol_spoken_turns (const json_t *protocol);
/*  The fewest turns after which an episode can be over. */
size_t protocol_least (const json_t *protocol);
/*  How often tools can be used. */
size_t protocol_tools (const json_t *protocol);
/*  Whether an action can be invalid by more than an empty text: something else than a draft is
 *  offered. */
bool protocol_varies (const json_t *protocol);
/*  Whether a primitive of that name is offered to anybody. */
bool protocol_offers_any (const json_t *protocol, const char *primitive);
/*  The first tool that is offered and is none of these; tools: NULL ends. NULL: it lacks none. */
const char *protocol_lacks (const json_t *protocol, const char *const *tools);
/*  The slots that seats work on, in the order of the roles and then of the turns: new. */
json_t *protocol_slots (const json_t *protocol, const json_t *roles);

#endif
