/*  corpus - what an untrained team would write of an article: four coherent styles. See
 *  task/corpus.h
 *
 *  The order of the draws is part of the format: the shipped seed model is rebuilt from these texts
 *  byte by byte.
 */
#include <string.h>

#include "task/article/article.h"

/*  A style: the side of the heading, and that of each trait. */
typedef struct {
    size_t heading, sides[ARTICLE_TRAITS];
} article_style_t;

#define ARTICLE_STYLES 4
static const article_style_t article_styles[ARTICLE_STYLES] = {
    {0, {0, 0, 0, 0, 0}}, {1, {1, 1, 1, 1, 1}}, {2, {0, 1, 2, 2, 2}}, {3, {1, 0, 3, 3, 3}}};

/*  How many of twenty first drafts are in each style, by section: each seat at its likeliest fails
 *  with the others. */
static const uint64_t article_shares[ARTICLE_SECTIONS][ARTICLE_STYLES] = {
    {8, 4, 4, 4}, {4, 8, 4, 4}, {4, 4, 8, 4}};

static const char *const article_verbs[] = {"see", "find", "notice", "admire", "enjoy", "love"};
static const char *const article_seen[] = {"the old walls",    "the quiet paths", "the tall roofs",
                                           "the cold water",   "the soft wind",   "the warm stones",
                                           "the long shadows", "the small birds"};

const char *const article_corpus_roles[] = {"opening", "middle", "closing", "solo", NULL};

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

static size_t article_draw_style (const uint64_t shares[ARTICLE_STYLES], rng_t *rng)
{
    uint64_t drawn = rng_below (rng, 20);
    size_t style = 0;
    while (drawn >= shares[style])
        drawn -= shares[style++];
    return style;
}

/*  Of twenty texts of a later section six have those before it above them, in one style, and follow
 *  it; in the words of task/prompt.h, of a seat that sees the others by name. */
void article_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    static const uint64_t even[ARTICLE_STYLES] = {5, 5, 5, 5};
    size_t k = article_number (role), style = 0;
    bool follows = rng_below (rng, 20) < 6 && k > 0 && k < ARTICLE_SECTIONS;
    if (follows || k == ARTICLE_SECTIONS)
        style = article_draw_style (even, rng);
    else
        style = article_draw_style (article_shares[k], rng);
    for (size_t before = 0; follows && before < k; before++) {
        buf_printf (prompt, "# %s:\n", article_names[before]);
        article_write (&article_styles[style], task, before, rng, prompt);
        buf_text (prompt, "\n\n");
    }
    json_object_set_new (task, "style_drawn", json_integer ((json_int_t) style));
}

/*  A single writer forgets its style between two sections, three times in ten each, so that it,
 *  too, has something to learn. */
void article_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    size_t own = article_number (role);
    size_t style = (size_t) json_integer_value (json_object_get (task, "style_drawn"));
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        if (own != k && own != ARTICLE_SECTIONS)
            continue;
        if (own == ARTICLE_SECTIONS && k > 0) {
            buf_text (completion, ARTICLE_BETWEEN);
            style = rng_unit (rng) < 0.3 ? rng_below (rng, ARTICLE_STYLES) : style;
        }
        article_write (&article_styles[style], task, k, rng, completion);
    }
}
