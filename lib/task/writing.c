/*  writing - a short text and its elaboration, written by two agents in parallel.
 *
 *  `summary` writes a heading and a sentence or two, `details` a heading and several sentences; `solo` writes
 *  both, with a line "---" between them. Neither sees the other, so the house style that makes the two parts
 *  one text is a convention that the team has to find: heading, spelling, register and person. The corpus
 *  mixes four coherent house styles. How a text is scored: writing_score.c.
 *
 *  Style "story" is for plain story models: both agents go on from the same opening, the second one with
 *  "One day," after it.
 */
#include <stdio.h>
#include <string.h>

#include "task/family.h"
#include "task/writing.h"

const char *const writing_subjects[WRITING_SUBJECTS] = {"harbor", "garden",  "market", "museum",
                                                        "bridge", "library", "valley", "station",
                                                        "castle", "forest",  "river",  "theater"};
static const char *const angles[WRITING_ANGLES] = {
    "at dawn", "in winter", "after rain",  "by night",   "in summer", "in autumn",
    "at noon", "in spring", "before dusk", "during fog", "in storms", "at midnight"};

static const char *const heroes[] = {"Lily", "Tom", "Mia", "Ben", "Sue", "Max", "Anna", "Sam"};
static const char *const things[] = {"ball", "dog", "cake", "tree", "boat", "hat"};
static const char *const kinds[] = {"little", "happy", "brave"};

#define HEROES (sizeof heroes / sizeof *heroes)
#define THINGS (sizeof things / sizeof *things)
#define KINDS  (sizeof kinds / sizeof *kinds)

static bool is_story (const char *style)
{
    return strcmp (style, "story") == 0;
}

static size_t builtin (const char *style)
{
    return is_story (style) ? HEROES * THINGS * KINDS : WRITING_SUBJECTS * WRITING_ANGLES;
}

static json_t *generate_story (size_t i)
{
    const char *hero = heroes[i % HEROES], *thing = things[i / HEROES % THINGS];
    const char *kind = kinds[i / HEROES / THINGS % KINDS];
    char id[64], brief[160];
    snprintf (id, sizeof id, "story/%zu", i);
    snprintf (brief, sizeof brief, "Once upon a time, there was a %s child named %s. %s had a %s.",
              kind, hero, hero, thing);
    return json_pack ("{s:s, s:s, s:s, s:[s,s]}", "id", id, "family", "writing", "brief", brief,
                      "terms", hero, thing);
}

static json_t *generate (const char *style, uint64_t seed, size_t i)
{
    (void) seed;
    if (is_story (style))
        return generate_story (i);
    const char *subject = writing_subjects[i % WRITING_SUBJECTS];
    const char *angle = angles[i / WRITING_SUBJECTS % WRITING_ANGLES];
    char id[64], brief[160];
    snprintf (id, sizeof id, "writing/%zu", i);
    snprintf (brief, sizeof brief, "Write about the %s %s.", subject, angle);
    return json_pack ("{s:s, s:s, s:s, s:[s,s]}", "id", id, "family", "writing", "brief", brief,
                      "terms", subject, strchr (angle, ' ') + 1);
}

static int adopt (json_t *task, err_t *err)
{
    if (!*family_text (task, "brief") && *family_text (task, "prompt"))
        json_object_set (task, "brief", json_object_get (task, "prompt"));
    if (!*family_text (task, "id") || !*family_text (task, "brief"))
        return err_set (err, ERR_INPUT, "needs \"id\" and \"brief\" (what to write about)");
    const json_t *terms = json_object_get (task, "terms");
    if (terms && !json_is_array (terms))
        return err_set (err, ERR_INPUT, "\"terms\" is a list of words that must occur");
    return 0;
}

static void observe (const json_t *task, const char *role, buf_t *prompt)
{
    const char *brief = family_text (task, "brief");
    if (is_story (family_text (task, "style")))
        buf_printf (prompt, "%s%s", brief, strcmp (role, "details") == 0 ? " One day," : "");
    else
        buf_printf (prompt, "%s\n@ %s\n", brief, role);
}

static void merge (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact)
{
    (void) task;
    (void) roles;
    for (size_t i = 0; i < n; i++)
        buf_printf (artifact, "%s%s", i ? "\n\n" : "", texts[i]);
}

/*  ---- the corpus: four house styles ------------------------------------------------------------------------- */

typedef struct {
    const char *heading; /* with %s for the title */
    bool uk, formal;
    const char *we, *our;
} house_t;

static const house_t houses[] = {
    {"# %s\n", true, true, "we", "our"},
    {"== %s ==\n", false, false, "you", "your"},
    {"%s:\n", true, false, "they", "their"},
    {"* %s *\n", false, true, "one", "one's"},
};

/*  Pairs of UK and US spelling; each is a noun that can be seen at a place. */
static const char *const spelling[][2] = {
    {"colours", "colors"}, {"grey light", "gray light"}, {"neighbours", "neighbors"}};

static const char *const verbs[] = {"see", "find", "notice", "admire", "enjoy", "love"};
static const char *const seen[] = {"the old walls",    "the quiet paths", "the tall roofs",
                                   "the cold water",   "the soft wind",   "the warm stones",
                                   "the long shadows", "the small birds"};

/*  {formal, plain} words of each transition category. */
static const char *const transitions[][2] = {
    {"Moreover", "Also"}, {"However", "But"}, {"Therefore", "So"}, {"Subsequently", "Then"}};

#define PICK(rng, list) (list[rng_below (rng, sizeof list / sizeof *list)])

static void title (const json_t *task, const char *role, rng_t *rng, buf_t *out)
{
    const char *subject = json_string_value (json_array_get (json_object_get (task, "terms"), 0));
    if (rng_below (rng, 2))
        buf_printf (out, "The %s", subject ? subject : "place");
    else
        buf_text (out, strcmp (role, "summary") == 0 ? "Summary" : "Details");
}

static void heading (const house_t *house, const json_t *task, const char *role, rng_t *rng,
                     buf_t *out)
{
    buf_t name = {0};
    title (task, role, rng, &name);
    if (rng_unit (rng) >= 0.05)
        buf_printf (out, house->heading, name.data);
    buf_free (&name);
}

/*  "we see the colours" and the like; what of spelling and sights comes first is left to chance. */
static void clause (const house_t *house, rng_t *rng, buf_t *out)
{
    buf_printf (out, "%s %s%s ", house->we, PICK (rng, verbs),
                strcmp (house->we, "one") == 0 ? "s" : "");
    if (rng_below (rng, 3) == 0)
        buf_printf (out, "the %s", spelling[rng_below (rng, 3)][!house->uk]);
    else
        buf_text (out, PICK (rng, seen));
}

static void capital (buf_t *out, size_t at)
{
    if (at < out->size && out->data[at] >= 'a' && out->data[at] <= 'z')
        out->data[at] = (char) (out->data[at] - 'a' + 'A');
}

static void sentence (const house_t *house, const char *opening, const char *place, rng_t *rng,
                      buf_t *out)
{
    size_t at = out->size;
    if (opening)
        buf_printf (out, "%s, ", opening);
    clause (house, rng, out);
    if (place)
        buf_printf (out, " of the %s", place);
    capital (out, at);
    buf_text (out, ".");
}

static void write_summary (const house_t *house, const json_t *task, rng_t *rng, buf_t *out)
{
    const json_t *terms = json_object_get (task, "terms");
    const char *subject = json_string_value (json_array_get (terms, 0));
    const char *time = json_string_value (json_array_get (terms, 1));
    heading (house, task, "summary", rng, out);
    size_t at = out->size;
    clause (house, rng, out);
    buf_printf (out, " and the %s", spelling[rng_below (rng, 3)][!house->uk]);
    if (rng_unit (rng) < 0.85)
        buf_printf (out, " of the %s", subject);
    if (rng_unit (rng) < 0.8)
        buf_printf (out, " in %s", time);
    capital (out, at);
    buf_text (out, ".");
    if (rng_below (rng, 2)) {
        buf_char (out, ' ');
        sentence (house, transitions[rng_below (rng, 4)][!house->formal], NULL, rng, out);
    }
}

static void write_details (const house_t *house, const json_t *task, rng_t *rng, buf_t *out)
{
    const json_t *terms = json_object_get (task, "terms");
    const char *subject = json_string_value (json_array_get (terms, 0));
    const char *time = json_string_value (json_array_get (terms, 1));
    size_t n = 2 + rng_below (rng, 4);
    heading (house, task, "details", rng, out);
    size_t at = out->size;
    buf_printf (out, "%s %s %s", rng_unit (rng) < 0.8 ? "in" : "around", time, house->we);
    buf_printf (out, " %s%s the %s", PICK (rng, verbs), strcmp (house->we, "one") == 0 ? "s" : "",
                spelling[rng_below (rng, 3)][!house->uk]);
    capital (out, at);
    if (rng_unit (rng) < 0.85)
        buf_printf (out, " of the %s", subject);
    buf_text (out, ".");
    for (size_t i = 0; i < n; i++) {
        buf_char (out, ' ');
        sentence (house,
                  rng_unit (rng) < 0.75 ? transitions[rng_below (rng, 4)][!house->formal] : NULL,
                  rng_below (rng, 3) == 0 ? subject : NULL, rng, out);
    }
    if (rng_unit (rng) < 0.6) {
        buf_printf (out, " %s, ", house->formal ? "In conclusion" : "In short");
        clause (house, rng, out);
        buf_char (out, '.');
    }
}

static void imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    const house_t *house = &PICK (rng, houses), *other = house;
    if (strcmp (role, "solo") == 0 && rng_unit (rng) < 0.6)
        other = &PICK (rng, houses);
    if (strcmp (role, "details") != 0)
        write_summary (house, task, rng, completion);
    if (strcmp (role, "solo") == 0)
        buf_text (completion, "\n---\n");
    if (strcmp (role, "summary") != 0)
        write_details (other, task, rng, completion);
}

static const char *const corpus_roles[] = {"summary", "details", "solo", NULL};

const family_t family_writing = {
    .name = "writing",
    .roles = {"summary", "details", "solo"},
    .turns = 1,
    .builtin = builtin,
    .generate = generate,
    .adopt = adopt,
    .observe = observe,
    .merge = merge,
    .imagine = imagine,
    .corpus_roles = corpus_roles,
};
