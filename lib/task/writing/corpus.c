/*  corpus - what an untrained writing team would write: four coherent house styles. See
 *  task/corpus.h, and task/turns.h for who has seen something of the others
 *
 *  The order of the draws is part of the format: the shipped seed model is rebuilt from these texts
 *  byte by byte.
 */
#include <string.h>

#include "task/turns.h"
#include "task/writing/writing.h"

typedef struct {
    const char *heading; /* with %s for the title */
    bool uk, formal;
    const char *we, *our;
} writing_house_t;

static const writing_house_t writing_houses[] = {
    {"# %s\n", true, true, "we", "our"},
    {"== %s ==\n", false, false, "you", "your"},
    {"%s:\n", true, false, "they", "their"},
    {"* %s *\n", false, true, "one", "one's"},
};

#define WRITING_HOUSES (sizeof writing_houses / sizeof *writing_houses)

static const char *const writing_house_names[WRITING_HOUSES] = {
    "we, UK, formal", "you, US, plain", "they, UK, plain", "one, US, formal"};

/*  Pairs of UK and US spelling; each is a noun that can be seen at a place. */
static const char *const writing_spelling[][2] = {
    {"colours", "colors"}, {"grey light", "gray light"}, {"neighbours", "neighbors"}};

static const char *const writing_verbs[] = {"see", "find", "notice", "admire", "enjoy", "love"};
static const char *const writing_seen[] = {"the old walls",    "the quiet paths", "the tall roofs",
                                           "the cold water",   "the soft wind",   "the warm stones",
                                           "the long shadows", "the small birds"};

/*  {formal, plain} words of each transition category. */
static const char *const writing_transitions[][2] = {
    {"Moreover", "Also"}, {"However", "But"}, {"Therefore", "So"}, {"Subsequently", "Then"}};

#define PICK(rng, list) (list[rng_below (rng, sizeof list / sizeof *list)])

static void writing_title (const json_t *task, const char *role, rng_t *rng, buf_t *out)
{
    const char *subject = json_string_value (json_array_get (json_object_get (task, "terms"), 0));
    if (rng_below (rng, 2))
        buf_printf (out, "The %s", subject ? subject : "place");
    else
        buf_text (out, strcmp (role, "summary") == 0 ? "Summary" : "Details");
}

static void writing_heading (const writing_house_t *house, const json_t *task, const char *role,
                             rng_t *rng, buf_t *out)
{
    buf_t name = {0};
    writing_title (task, role, rng, &name);
    if (rng_unit (rng) >= 0.05)
        buf_printf (out, house->heading, name.data);
    buf_free (&name);
}

/*  "we see the colours" and the like; what of spelling and sights comes first is left to chance. */
static void writing_clause (const writing_house_t *house, rng_t *rng, buf_t *out)
{
    buf_printf (out, "%s %s%s ", house->we, PICK (rng, writing_verbs),
                strcmp (house->we, "one") == 0 ? "s" : "");
    if (rng_below (rng, 3) == 0)
        buf_printf (out, "the %s", writing_spelling[rng_below (rng, 3)][!house->uk]);
    else
        buf_text (out, PICK (rng, writing_seen));
}

static void writing_capital (buf_t *out, size_t at)
{
    if (at < out->size && out->data[at] >= 'a' && out->data[at] <= 'z')
        out->data[at] = (char) (out->data[at] - 'a' + 'A');
}

/*  A sentence begins with a capital, whichever of its pieces comes first. */
static void writing_sentence (const writing_house_t *house, const char *opening, const char *place,
                              rng_t *rng, buf_t *out)
{
    size_t at = out->size;
    if (opening)
        buf_printf (out, "%s, ", opening);
    writing_clause (house, rng, out);
    if (place)
        buf_printf (out, " of the %s", place);
    writing_capital (out, at);
    buf_text (out, ".");
}

static void writing_summary (const writing_house_t *house, const json_t *task, rng_t *rng,
                             buf_t *out)
{
    const json_t *terms = json_object_get (task, "terms");
    const char *subject = json_string_value (json_array_get (terms, 0));
    const char *time = json_string_value (json_array_get (terms, 1));
    writing_heading (house, task, "summary", rng, out);
    size_t at = out->size;
    writing_clause (house, rng, out);
    buf_printf (out, " and the %s", writing_spelling[rng_below (rng, 3)][!house->uk]);
    if (rng_unit (rng) < 0.85)
        buf_printf (out, " of the %s", subject);
    if (rng_unit (rng) < 0.8)
        buf_printf (out, " in %s", time);
    writing_capital (out, at);
    buf_text (out, ".");
    if (rng_below (rng, 2)) {
        buf_char (out, ' ');
        writing_sentence (house, writing_transitions[rng_below (rng, 4)][!house->formal], NULL, rng,
                          out);
    }
}

static void writing_details (const writing_house_t *house, const json_t *task, rng_t *rng,
                             buf_t *out)
{
    const json_t *terms = json_object_get (task, "terms");
    const char *subject = json_string_value (json_array_get (terms, 0));
    const char *time = json_string_value (json_array_get (terms, 1));
    size_t n = 2 + rng_below (rng, 4);
    writing_heading (house, task, "details", rng, out);
    size_t at = out->size;
    buf_printf (out, "%s %s %s", rng_unit (rng) < 0.8 ? "in" : "around", time, house->we);
    buf_printf (out, " %s%s the %s", PICK (rng, writing_verbs),
                strcmp (house->we, "one") == 0 ? "s" : "",
                writing_spelling[rng_below (rng, 3)][!house->uk]);
    writing_capital (out, at);
    if (rng_unit (rng) < 0.85)
        buf_printf (out, " of the %s", subject);
    buf_text (out, ".");
    for (size_t i = 0; i < n; i++) {
        buf_char (out, ' ');
        writing_sentence (
            house,
            rng_unit (rng) < 0.75 ? writing_transitions[rng_below (rng, 4)][!house->formal] : NULL,
            rng_below (rng, 3) == 0 ? subject : NULL, rng, out);
    }
    if (rng_unit (rng) < 0.6) {
        buf_printf (out, " %s, ", house->formal ? "In conclusion" : "In short");
        writing_clause (house, rng, out);
        buf_char (out, '.');
    }
}

/*  Each of the two writers draws a house of its own, which is why an untrained team agrees one time
 *  in four. */
static size_t writing_draw (const char *role, rng_t *rng)
{
    (void) role;
    return (size_t) rng_below (rng, WRITING_HOUSES);
}

static void writing_write (const json_t *task, const char *role, size_t house, rng_t *rng,
                           buf_t *out)
{
    if (strcmp (role, "summary") == 0)
        writing_summary (&writing_houses[house], task, rng, out);
    else
        writing_details (&writing_houses[house], task, rng, out);
}

/*  The shorter one is soonest written anew. */
static const char *const writing_authors[] = {"summary", "details", NULL};
static const turns_t writing_turns = {.authors = writing_authors,
                                      .conventions = WRITING_HOUSES,
                                      .names = writing_house_names,
                                      .draw = writing_draw,
                                      .write = writing_write};

void writing_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    turns_situate (&writing_turns, task, role, rng, prompt);
}

/*  A solo writer changes house in the middle six times in ten, so that it, too, has something to
 *  learn. */
void writing_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    const char *said = turns_said (task);
    size_t house = turns_convention (task);
    if (*said) {
        buf_text (completion, said);
    } else if (strcmp (role, "solo") == 0) {
        writing_write (task, "summary", house, rng, completion);
        buf_text (completion, "\n---\n");
        if (rng_unit (rng) < 0.6)
            house = writing_draw (role, rng);
        writing_write (task, "details", house, rng, completion);
    } else {
        writing_write (task, role, house, rng, completion);
    }
}

/*  How often a role stands here is its share of the texts. */
const char *const writing_corpus_roles[] = {"summary", "summary",  "summary",  "details",
                                            "details", "details",  "solo",     "solo",
                                            "planner", "reviewer", "reviewer", NULL};
