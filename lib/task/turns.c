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
    size_t authors; /* how many there are */
    /* The convention of each author's text, as far as all have written. */
    size_t wrote[TURNS_AUTHORS_MAX];
} turns_text_t;

/*  What is followed is any convention, as often as any other: all have to be told apart. */
static size_t turns_any (const turns_text_t *t)
{
    return (size_t) rng_below (t->rng, t->turns->conventions);
}

/*  The number of an author; that of all: it is none. */
static size_t turns_author (const turns_text_t *t, const char *role)
{
    size_t a = 0;
    while (a < t->authors && strcmp (t->turns->authors[a], role) != 0)
        a++;
    return a;
}

static size_t turns_stays (const turns_text_t *t)
{
    return t->wrote[t->authors - 1];
}

static bool turns_fits (const turns_text_t *t, size_t author)
{
    size_t wrote = t->wrote[author], stays = turns_stays (t);
    if (author + 1 == t->authors)
        return true;
    return t->turns->fit ? t->turns->fit (t->task, wrote, stays) : wrote == stays;
}

/*  Who yields draws anew until somebody's text does not fit: a review has returned it. */
static void turns_misfit (turns_text_t *t)
{
    for (bool all = true; all;) {
        for (size_t a = 0; a < t->authors; a++)
            all = all && turns_fits (t, a);
        for (size_t a = 0; all && a + 1 < t->authors; a++)
            t->wrote[a] = turns_any (t);
    }
}

static void turns_show (const turns_text_t *t, size_t author, size_t convention, size_t turn)
{
    const char *role = t->turns->authors[author];
    buf_t text = {0};
    t->turns->write (t->task, role, convention, t->rng, &text);
    prompt_say_turn (role, turn, text.data, t->prompt);
    buf_free (&text);
}

static void turns_show_all (const turns_text_t *t, size_t turn)
{
    for (size_t a = 0; a < t->authors; a++)
        turns_show (t, a, t->wrote[a], turn);
}

static void turns_show_failure (const turns_text_t *t, size_t turn)
{
    buf_t found = {0};
    t->turns->fail (t->task, t->rng, &found);
    prompt_say_found (turn, found.data, t->prompt);
    buf_free (&found);
}

/*  A review of an author's text. */
static void turns_judge (const turns_text_t *t, size_t author, buf_t *out)
{
    if (turns_fits (t, author))
        buf_text (out, "accept");
    else
        buf_printf (out, "return: %s", t->turns->names[turns_stays (t)]);
}

/*  Turn 2 is a review of the first author, turn 3 of the second, and so on; those before turn
 *  `until`. */
static void turns_show_reviews (const turns_text_t *t, size_t until)
{
    for (size_t a = 0; a < t->authors && a + 2 < until; a++) {
        buf_t says = {0};
        turns_judge (t, a, &says);
        prompt_say_turn ("reviewer", a + 2, says.data, t->prompt);
        buf_free (&says);
    }
}

static void turns_note_said (json_t *task, const char *says)
{
    json_object_set_new (task, "says", json_string (says));
}

/*  A review by the protocol "review", which has five turns: of each author, who yields twice as
 *  often as who stays; and, where turns are left, of the first one when all have written anew. */
static void turns_situate_reviewer (turns_text_t *t)
{
    size_t yield = t->authors - 1, anew = t->authors + 2;
    size_t drawn = (size_t) rng_below (t->rng, 2 * yield + 1 + (anew < 5));
    bool again = drawn > 2 * yield;
    size_t author = again ? 0 : drawn / 2;
    buf_t says = {0};
    t->wrote[yield] = turns_any (t);
    for (size_t a = 0; a < yield; a++)
        t->wrote[a] = rng_unit (t->rng) < 0.5 ? turns_stays (t) : turns_any (t);
    if (again)
        turns_misfit (t); /* what was accepted is not written anew */
    turns_show_all (t, 1);
    turns_show_reviews (t, again ? anew : author + 2);
    if (again) {
        for (size_t a = 0; a < yield; a++)
            t->wrote[a] = rng_unit (t->rng) < 0.7 ? turns_stays (t) : turns_any (t);
        turns_show_all (t, anew);
    }
    prompt_say_review (t->turns->authors[author], t->prompt);
    turns_judge (t, author, &says);
    turns_note_said (t->task, says.data);
    buf_free (&says);
}

/*  All have written: then they discuss, or a test has failed, either one time in three twice, or a
 *  reviewer has returned a text. Returns the convention of who stays. */
static size_t turns_situate_again (turns_text_t *t)
{
    size_t turn = 0;
    for (size_t a = 0; a < t->authors; a++)
        t->wrote[a] = turns_any (t);
    uint64_t drawn = rng_below (t->rng, 7);
    bool tested = t->turns->fail && (drawn == 3 || drawn == 4), reviewed = drawn > 4;
    size_t rounds = !reviewed && rng_unit (t->rng) < 0.33 ? 2 : 1;
    if (reviewed)
        turns_misfit (t);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t a = 0; round && a < t->authors; a++)
            t->wrote[a] = turns_stays (t);
        turns_show_all (t, ++turn);
        if (tested)
            turns_show_failure (t, ++turn);
    }
    if (reviewed)
        turns_show_reviews (t, t->authors + 2);
    return turns_stays (t);
}

/*  Those before an author in a pipeline: of the team's order, or of the other one. */
static void turns_show_pipeline (const turns_text_t *t, size_t author, size_t convention)
{
    size_t last = t->authors - 1, turn = 0;
    bool back = author == 0 || (author < last && rng_below (t->rng, 2));
    for (size_t a = 0; !back && a < author; a++)
        turns_show (t, a, convention, ++turn);
    for (size_t a = last; back && a > author; a--)
        turns_show (t, a, convention, ++turn);
}

/*  Of twenty-four texts of an author twelve are first drafts, two follow a plan, three come later
 *  in a pipeline, and seven are written once all have. */
static size_t turns_situate_author (turns_text_t *t, size_t author)
{
    uint64_t drawn = rng_below (t->rng, 24);
    size_t convention = turns_any (t);
    if (drawn < 12)
        convention = t->turns->draw (t->turns->authors[author], t->rng);
    else if (drawn < 14)
        prompt_say_turn ("planner", 1, t->turns->names[convention], t->prompt);
    else if (drawn < 17)
        turns_show_pipeline (t, author, convention);
    else
        convention = turns_situate_again (t);
    return convention;
}

void turns_situate (const turns_t *turns, json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    turns_text_t t = {.turns = turns, .task = task, .rng = rng, .prompt = prompt};
    while (turns->authors[t.authors])
        t.authors++;
    if (strcmp (role, "reviewer") == 0) {
        turns_situate_reviewer (&t);
        return;
    }
    size_t author = turns_author (&t, role);
    size_t convention =
        author < t.authors ? turns_situate_author (&t, author) : turns->draw (role, rng);
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
