/*  corpus - what an untrained team would write of an article: four coherent styles. See
 *  task/corpus.h, and task/turns.h for who has seen something of the others
 *
 *  The order of the draws is part of the format: the shipped seed model is rebuilt from these texts
 *  byte by byte.
 */
#include <string.h>

#include "task/article/article.h"
#include "task/turns.h"

/*  A style: the side of the heading, and that of each trait. */
typedef struct {
    size_t heading, sides[ARTICLE_TRAITS];
} article_style_t;

#define ARTICLE_STYLES 4
static const article_style_t article_styles[ARTICLE_STYLES] = {
    {0, {0, 0, 0, 0, 0}}, {1, {1, 1, 1, 1, 1}}, {2, {0, 1, 2, 2, 2}}, {3, {1, 0, 3, 3, 3}}};
static const char *const article_style_names[ARTICLE_STYLES] = {
    "we, UK, formal", "you, US, plain", "they, UK, plain", "one, US, formal"};

/*  How many of twenty first drafts are in each style, by section: each seat at its likeliest fails
 *  with the others. */
static const uint64_t article_shares[ARTICLE_SECTIONS][ARTICLE_STYLES] = {
    {8, 4, 4, 4}, {4, 8, 4, 4}, {4, 4, 8, 4}};

static const char *const article_verbs[] = {"see", "find", "notice", "admire", "enjoy", "love"};
static const char *const article_seen[] = {"the old walls",    "the quiet paths", "the tall roofs",
                                           "the cold water",   "the soft wind",   "the warm stones",
                                           "the long shadows", "the small birds"};

/*  How often a role stands here is its share of the texts. */
const char *const article_corpus_roles[] = {"opening", "opening",  "middle",   "middle",
                                            "closing", "closing",  "solo",     "solo",
                                            "planner", "reviewer", "reviewer", NULL};

#define PICK(rng, list) (list[rng_below (rng, sizeof list / sizeof *list)])

/*  Word n of the style's side of a trait. */
static const char *article_word (const article_style_t *style, article_trait_t trait, size_t n)
{
    return article_traits[trait].sides[style->sides[trait]][n];
}

static void article_capital (buf_t *out, size_t at)
{
    if (at < out->size && out->data[at] >= 'a' && out->data[at] <= 'z')
        out->data[at] = (char) (out->data[at] - 'a' + 'A');
}

static void article_verb (const article_style_t *style, rng_t *rng, buf_t *out)
{
    const char *who = article_word (style, ARTICLE_PERSON, 0);
    buf_printf (out, "%s %s%s", who, PICK (rng, article_verbs),
                strcmp (who, "one") == 0 ? "s" : "");
}

static void article_write_heading (const article_style_t *style, const json_t *task, size_t k,
                                   rng_t *rng, buf_t *out)
{
    const char *time = article_term (article_section (task, k), 0);
    const article_heading_t *heading = &article_headings[style->heading];
    bool subject = rng_below (rng, 2) == 0;
    if (rng_unit (rng) < 0.05)
        return;
    size_t at = out->size + strlen (heading->before);
    buf_printf (out, "%s%s%s%s\n", heading->before, subject ? "The " : "",
                subject ? article_term (task, 0) : time, heading->behind);
    article_capital (out, at);
}

/*  "First, we see the grey of the mill in winter." */
static void article_first_sentence (const article_style_t *style, const json_t *task, size_t k,
                                    rng_t *rng, buf_t *out)
{
    size_t at = out->size, tone = rng_below (rng, 3);
    buf_printf (out, "%s, ", article_word (style, ARTICLE_JOINING, k));
    article_verb (style, rng, out);
    buf_printf (out, " the %s", article_word (style, ARTICLE_SPELLING, tone));
    if (rng_unit (rng) < 0.85)
        buf_printf (out, " of the %s", article_term (task, 0));
    if (rng_unit (rng) < 0.8)
        buf_printf (out, " %s", family_text (article_section (task, k), "when"));
    buf_text (out, ".");
    article_capital (out, at);
}

/*  "Moreover, the visitors admire the old walls." */
static void article_second_sentence (const article_style_t *style, rng_t *rng, buf_t *out)
{
    size_t at = out->size + 1;
    buf_printf (out, " %s, the %s %s %s.",
                article_word (style, ARTICLE_REGISTER, rng_below (rng, 3)),
                article_word (style, ARTICLE_NAMING, 0), PICK (rng, article_verbs),
                PICK (rng, article_seen));
    article_capital (out, at);
}

static void article_last_sentence (const article_style_t *style, rng_t *rng, buf_t *out)
{
    size_t at = out->size + 1;
    buf_printf (out, " %s, ", article_word (style, ARTICLE_REGISTER, rng_below (rng, 3)));
    article_verb (style, rng, out);
    buf_printf (out, " %s.", PICK (rng, article_seen));
    article_capital (out, at);
}

static void article_write (const article_style_t *style, const json_t *task, size_t k, rng_t *rng,
                           buf_t *out)
{
    article_write_heading (style, task, k, rng, out);
    article_first_sentence (style, task, k, rng, out);
    if (rng_unit (rng) < 0.9)
        article_second_sentence (style, rng, out);
    if (rng_below (rng, 2))
        article_last_sentence (style, rng, out);
}

/*  Who writes all of it, or plans, has no style that it likes best. */
static size_t article_draw (const char *role, rng_t *rng)
{
    static const uint64_t even[ARTICLE_STYLES] = {5, 5, 5, 5};
    size_t k = article_number (role), style = 0;
    const uint64_t *shares = k < ARTICLE_SECTIONS ? article_shares[k] : even;
    uint64_t drawn = rng_below (rng, 20);
    while (drawn >= shares[style])
        drawn -= shares[style++];
    return style;
}

static void article_write_as (const json_t *task, const char *role, size_t style, rng_t *rng,
                              buf_t *out)
{
    article_write (&article_styles[style], task, article_number (role), rng, out);
}

static const turns_t article_turns = {.authors = article_names,
                                      .conventions = ARTICLE_STYLES,
                                      .names = article_style_names,
                                      .draw = article_draw,
                                      .write = article_write_as};

void article_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    turns_situate (&article_turns, task, role, rng, prompt);
}

/*  A single writer forgets its style between two sections, three times in ten each, so that it,
 *  too, has something to learn. */
static void article_write_all (const json_t *task, size_t style, rng_t *rng, buf_t *out)
{
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        buf_text (out, k ? ARTICLE_BETWEEN : "");
        if (k && rng_unit (rng) < 0.3)
            style = rng_below (rng, ARTICLE_STYLES);
        article_write (&article_styles[style], task, k, rng, out);
    }
}

void article_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    const char *said = turns_said (task);
    if (*said)
        buf_text (completion, said);
    else if (article_number (role) < ARTICLE_SECTIONS)
        article_write_as (task, role, turns_convention (task), rng, completion);
    else
        article_write_all (task, turns_convention (task), rng, completion);
}
