/*  turns - see turns.h
 *
 *  The order of the draws is part of the format: the shipped seed models are rebuilt from these
 *  texts byte by byte.
 */
#include "task/turns.h"

#include <string.h>

#include "task/family.h"
#include "task/prompt.h"

/*  One text of the corpus in the making. */
typedef struct {
    const turns_t *turns;
    json_t *task;
    rng_t *rng;
    buf_t *prompt;
} turns_text_t;

/*  What is followed is any convention, as often as any other: all have to be told apart. */
static size_t turns_any (const turns_text_t *t)
{
    return (size_t) rng_below (t->rng, t->turns->conventions);
}

static void turns_show (const turns_text_t *t, const char *role, size_t convention, size_t turn)
{
    buf_t text = {0};
    t->turns->write (t->task, role, convention, t->rng, &text);
    prompt_say_turn (role, turn, text.data, t->prompt);
    buf_free (&text);
}

static void turns_show_both (const turns_text_t *t, size_t yields, size_t stays, size_t turn)
{
    turns_show (t, t->turns->yields, yields, turn);
    turns_show (t, t->turns->stays, stays, turn);
}

static void turns_show_failure (const turns_text_t *t, size_t turn)
{
    buf_t found = {0};
    t->turns->fail (t->task, t->rng, &found);
    prompt_say_found (turn, found.data, t->prompt);
    buf_free (&found);
}

/*  A review of the text of who yields. */
static void turns_judge (const turns_text_t *t, size_t yields, size_t stays, buf_t *out)
{
    if (t->turns->fit (t->task, yields, stays))
        buf_text (out, "accept");
    else
        buf_printf (out, "return: %s", t->turns->names[stays]);
}

/*  Turn 2 is a review of who yields, turn 3 one of who stays; those before turn `until`. */
static void turns_show_reviews (const turns_text_t *t, size_t yields, size_t stays, size_t until)
{
    buf_t says = {0};
    turns_judge (t, yields, stays, &says);
    if (until > 2)
        prompt_say_turn ("reviewer", 2, says.data, t->prompt);
    if (until > 3)
        prompt_say_turn ("reviewer", 3, "accept", t->prompt);
    buf_free (&says);
}

static void turns_note_said (json_t *task, const char *says)
{
    json_object_set_new (task, "says", json_string (says));
}

/*  Turn 2 or 3 of the protocol "review", or 5, when both have written anew. */
static void turns_situate_reviewer (const turns_text_t *t)
{
    static const size_t turns[] = {2, 2, 3, 5};
    size_t turn = turns[rng_below (t->rng, 4)], stays = turns_any (t);
    size_t yields = rng_unit (t->rng) < 0.5 ? stays : turns_any (t);
    buf_t says = {0};
    while (turn == 5 && t->turns->fit (t->task, yields, stays))
        yields = turns_any (t); /* what was accepted is not written anew */
    turns_show_both (t, yields, stays, 1);
    turns_show_reviews (t, yields, stays, turn);
    if (turn == 5) {
        yields = rng_unit (t->rng) < 0.7 ? stays : turns_any (t);
        turns_show_both (t, yields, stays, 4);
    }
    prompt_say_review (turn == 3 ? t->turns->stays : t->turns->yields, t->prompt);
    if (turn == 3)
        buf_text (&says, "accept");
    else
        turns_judge (t, yields, stays, &says);
    turns_note_said (t->task, says.data);
    buf_free (&says);
}

/*  Both have written: then they discuss, or a test has failed, either one time in three twice, or a
 *  reviewer has returned a text. Returns the convention of who stays. */
static size_t turns_situate_again (const turns_text_t *t)
{
    size_t yields = turns_any (t), stays = turns_any (t), turn = 0;
    uint64_t drawn = rng_below (t->rng, 7);
    bool tested = t->turns->fail && (drawn == 3 || drawn == 4), reviewed = drawn > 4;
    size_t rounds = !reviewed && rng_unit (t->rng) < 0.33 ? 2 : 1;
    while (reviewed && t->turns->fit (t->task, yields, stays))
        yields = turns_any (t);
    for (size_t round = 0; round < rounds; round++) {
        turns_show_both (t, round ? stays : yields, stays, ++turn);
        if (tested)
            turns_show_failure (t, ++turn);
    }
    if (reviewed)
        turns_show_reviews (t, yields, stays, 4);
    return stays;
}

/*  Of twenty-four texts of either of the two twelve are first drafts, two follow a plan, three the
 *  text of a mate who wrote alone, and seven are written once both have. */
static size_t turns_situate_author (const turns_text_t *t, const char *role)
{
    uint64_t drawn = rng_below (t->rng, 24);
    size_t convention = turns_any (t);
    bool first = strcmp (role, t->turns->yields) == 0;
    if (drawn < 12)
        convention = t->turns->draw (role, t->rng);
    else if (drawn < 14)
        prompt_say_turn ("planner", 1, t->turns->names[convention], t->prompt);
    else if (drawn < 17)
        turns_show (t, first ? t->turns->stays : t->turns->yields, convention, 1);
    else
        convention = turns_situate_again (t);
    return convention;
}

void turns_situate (const turns_t *turns, json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    turns_text_t t = {.turns = turns, .task = task, .rng = rng, .prompt = prompt};
    if (strcmp (role, "reviewer") == 0) {
        turns_situate_reviewer (&t);
        return;
    }
    bool author = strcmp (role, turns->yields) == 0 || strcmp (role, turns->stays) == 0;
    size_t convention = author ? turns_situate_author (&t, role) : turns->draw (role, rng);
    json_object_set_new (task, "convention", json_integer ((json_int_t) convention));
    if (strcmp (role, "planner") == 0)
        turns_note_said (task, turns->names[convention]);
}

size_t turns_convention (const json_t *task)
{
    return (size_t) json_integer_value (json_object_get (task, "convention"));
}

const char *turns_said (const json_t *task)
{
    return family_text (task, "says");
}
