/*  prompt - what a seat is asked: what it sees of the state, and a text with places.
 *
 *      prompt_seat_t seat = {family, state, "main", "{brief}\n# main\n", "plan", NULL, offers};
 *      prompt_write (&seat, &out, &err);
 *
 *  A place is a part's name in braces. The parts:
 *
 *    brief, ask, role   the task's own text; what the family asks of the role; the role's name
 *    turns              what everybody wrote, turn by turn, and what tools found
 *    plan, todo, notes  the team's plan; the seat's own list and notes
 *    tests, lint        what the last test and the last lint found
 *    facts              what was retrieved, a line for each passage
 *    review             why the seat's text was returned
 *    changes            one line for each change of the shared state
 *    artifact           what the team hands in, as it is
 *    offers             between what the seat has to choose, which it also sees without that word
 *    ROLE               the text of that role's slot
 *
 *  What the seat sees and its prompt does not place stands before it, each part under a line with
 *  its name, where it is not empty. All other braces stand for themselves; blanks around a part's
 *  name are refused, since a place was meant (prompt_unknown).
 */
#ifndef QUINTET_TASK_PROMPT_H
#define QUINTET_TASK_PROMPT_H

#include <stdbool.h>

#include "base/buf.h"
#include "task/family.h"

#define PROMPT_NAME_MAX 64
#define PROMPT_SEES     "turns" /* by a seat for which nothing else is said */
#define PROMPT_PARTS                                                                               \
    "brief, ask, role, turns, plan, todo, notes, tests, lint, facts, review, changes, artifact, "  \
    "offers and the roles' names"

typedef struct {
    const family_t *family;
    json_t *state; /* global; read */
    const char *role;
    const char *words;    /* of its own; "": as the family asks */
    const char *sees;     /* names of parts, blanks between; "": PROMPT_SEES */
    const char *asked;    /* what a program asks of it, instead of the family; NULL: none does */
    const json_t *offers; /* what it may do in this turn (team/protocol.h); NULL: it does not act */
} prompt_seat_t;

/*  Appends. Failures of memory and of length are those of the buffers. */
int prompt_write (const prompt_seat_t *seat, buf_t *out, err_t *err);
/*  What a seat sees of others, as prompt_write puts it, for who writes what a seat would see: what
 *  a role wrote in a turn, what a tool found in one (both counted from 1), and whose text the seat
 *  is to review. Each appends. */
void prompt_say_turn (const char *role, size_t turn, const char *text, buf_t *out);
void prompt_say_found (size_t turn, const char *verdict, buf_t *out);
void prompt_say_review (const char *slot, buf_t *out);
/*  Tokens of what other roles said, as far as its text is before the seat: the actions whose words
 *  it is shown, each counted as a whole and once. What the environment says is not theirs. */
size_t prompt_tokens_read (const prompt_seat_t *seat);
/*  Whether there is a part of that name. roles: the team's. */
bool prompt_knows (const char *name, size_t size, const char *const *roles, size_t n);
/*  Whether a seat with these words and sees is shown a part of that name. */
bool prompt_shows (const char *words, const char *sees, const char *name);
/*  Whether a text has a place that is no part, or is one but for blanks in its braces; unknown:
 *  what stands in them, cut where it is long. */
bool prompt_unknown (const char *words, const char *const *roles, size_t n,
                     char unknown[PROMPT_NAME_MAX]);

#endif
