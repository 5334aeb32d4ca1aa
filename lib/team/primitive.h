/*  primitive - the kinds of action that a protocol can let a seat take.
 *
 *      const primitive_t *draft = primitive_find ("draft", 5);
 *      const char *why = draft->may (&act);            NULL: its pre-condition holds
 *      why = draft->does (&act);                       NULL: done; else nothing has changed
 *
 *  A primitive is one row of one table (primitive.c). What it does is a pure function of the global
 *  state (state.h), of what the seat said and, where it uses a tool, of what the tool found.
 *
 *    name      before                  what it does                            after
 *    plan      there is no plan        the team's plan, and to-do lists        at least one item
 *    draft     slot not accepted       the slot's text, proposed               not blank
 *    integrate every slot has a text   all slots are accepted
 *    lint      a text in a slot        tool: can the team's text be read?
 *    test      a text in a slot        tool: the task's public examples
 *    review    a proposed text         accepted, or returned with a reason     one of the two
 *    repair    returned, or tests      replaces the slot's text                differs from before
 *              failed
 *    retrieve                          tool: passages about what the seat      something is asked
 *                                      says, which become facts
 *    note                              the seat's own notes                    not blank
 *    route                             the seat it names acts next
 *    finalize  a text in a slot        the episode ends
 *    hand_off                          the episode ends, for a person
 */
#ifndef QUINTET_TEAM_PRIMITIVE_H
#define QUINTET_TEAM_PRIMITIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*  One action of one seat. */
typedef struct {
    json_t *state;         /* the global state; written by `does` alone */
    const char *role;      /* whose action */
    const char *slot;      /* what it works on, or whom it chooses */
    const char *text;      /* what the seat said, the primitive's name left out */
    size_t turn;           /* counted from 0 */
    const json_t *outcome; /* of the tool: {"success", "quality", "verdict"}; NULL: none was used */
} primitive_act_t;

typedef struct {
    const char *name;
    /* Whether the seat has to say something: what a protocol offers alone and needs no words is
       done without asking the seat. */
    bool words;
    bool slot; /* works on a slot, the seat's own where the protocol names none */
    bool seat; /* chooses a seat, which the protocol names */
    bool tool; /* of that name: asked for before `does`, with the state as the turn began */
    const char *(*may) (const primitive_act_t *act);
    const char *(*does) (const primitive_act_t *act);
} primitive_t;

/*  NULL: there is none of that name. */
const primitive_t *primitive_find (const char *name, size_t size);
/*  "plan, draft, ..." for errors. */
const char *primitive_names (void);

#endif
