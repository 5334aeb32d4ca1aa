/*  score - how an article is scored. See article.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/article/article.h"
#include "team/state.h"

/*  A section as it is read: its heading is taken off before words are counted. */
typedef struct {
    const char *body;
    size_t heading; /* ARTICLE_SIDES: it has none */
    words_t words, sentences;
} article_piece_t;

typedef struct {
    reward_score_t *score;
    size_t cross; /* of the checks, those that compare the sections */
} article_sum_t;

static double article_clamp (double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void article_check (article_sum_t *sum, const char *name, double value, bool cross)
{
    reward_part_t *part = &sum->score->parts[sum->score->parts_n++];
    snprintf (part->name, sizeof part->name, "%s", name);
    part->value = article_clamp (value);
    sum->score->quality += part->value;
    sum->score->agreement += cross ? part->value : 0;
    sum->cross += cross;
}

static void article_read (const char *text, article_piece_t *piece)
{
    size_t n = strcspn (text, "\n");
    piece->heading = article_heading_of (text, n);
    piece->body = piece->heading < ARTICLE_SIDES ? text + n : text;
    words_split (piece->body, &piece->words);
    words_split_sentences (piece->body, &piece->sentences);
}

/*  ---- what the sections have in common ------------------------------------------------------- */

/*  1 when all three are on one side, a half when two are. A section that takes no side agrees with
 *  nobody: else the empty text would be in perfect style. */
static double article_agree (const size_t sides[ARTICLE_SECTIONS])
{
    size_t most = 1;
    for (size_t s = 0; s < ARTICLE_SIDES; s++) {
        size_t n = 0;
        for (size_t k = 0; k < ARTICLE_SECTIONS; k++)
            n += sides[k] == s;
        most = n > most ? n : most;
    }
    return (double) (most - 1) / (ARTICLE_SECTIONS - 1);
}

static void article_check_style (article_piece_t *pieces, article_sum_t *sum)
{
    size_t sides[ARTICLE_SECTIONS];
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++)
        sides[k] = pieces[k].heading;
    article_check (sum, "heading_style", article_agree (sides), true);
    for (size_t t = 0; t < ARTICLE_TRAITS; t++) {
        for (size_t k = 0; k < ARTICLE_SECTIONS; k++)
            sides[k] = article_side_of (&pieces[k].words, &article_traits[t]);
        article_check (sum, article_traits[t].name, article_agree (sides), true);
    }
}

/*  ---- what each has to have by itself -------------------------------------------------------- */

/*  Share of an object's terms that occur; 1 where it has none. */
static double article_terms_of (const json_t *object, words_t *words)
{
    const json_t *terms = json_object_get (object, "terms"), *term;
    size_t i;
    double found = 0;
    json_array_foreach (terms, i, term) {
        const char *const list[] = {json_string_value (term), NULL};
        found += words_have_any (words, list);
    }
    return json_array_size (terms) ? found / (double) json_array_size (terms) : 1;
}

/*  Whether section k is joined by the k-th word of any side: the second is not the first. */
static bool article_joins (words_t *words, size_t k)
{
    bool joins = false;
    for (size_t s = 0; s < ARTICLE_SIDES; s++) {
        const char *const list[] = {article_traits[ARTICLE_JOINING].sides[s][k], NULL};
        joins = joins || words_have_any (words, list);
    }
    return joins;
}

/*  Share of the sentences that had stood there already, of its own or in the sections before. */
static double article_repeats (article_piece_t *pieces, size_t k)
{
    size_t n = pieces[k].sentences.n, again = 0, at = 0;
    const words_t *own = &pieces[k].sentences;
    for (size_t i = 0; i < n; i++) {
        const char *sentence = own->text.data + own->start[i];
        bool known = false;
        for (at = 0; at < i; at++)
            known = known || strcmp (own->text.data + own->start[at], sentence) == 0;
        for (size_t before = 0; before < k; before++)
            known = known || words_count (&pieces[before].sentences, sentence) > 0;
        again += known;
    }
    return n ? (double) again / (double) n : 0;
}

/*  Sections of one article are of about one length: the shortest has at least half of the words of
 *  the longest. */
static double article_balance (const article_piece_t *pieces)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        least = pieces[k].words.n < least ? pieces[k].words.n : least;
        most = pieces[k].words.n > most ? pieces[k].words.n : most;
    }
    return most ? article_clamp (2 * (double) least / (double) most) : 0;
}

/*  Each is a mean over the sections. own: what section k is worth by itself, of the first five. */
static void article_check_content (const json_t *task, article_piece_t *pieces,
                                   double own[ARTICLE_SECTIONS], article_sum_t *sum)
{
    static const char *const names[] = {"headings", "subject", "terms",     "ending",
                                        "order",    "length",  "no_repeats"};
    double value[ARTICLE_SECTIONS][7], mean;
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        article_piece_t *p = &pieces[k];
        const double found[7] = {p->heading < ARTICLE_SIDES,
                                 article_terms_of (task, &p->words),
                                 article_terms_of (article_section (task, k), &p->words),
                                 words_closed (p->body),
                                 article_joins (&p->words, k),
                                 article_balance (pieces),
                                 p->sentences.n ? 1 - 2 * article_repeats (pieces, k) : 0};
        memcpy (value[k], found, sizeof found);
        for (size_t c = 0; c < 5; c++)
            own[k] += found[c] / 5;
    }
    for (size_t c = 0; c < 7; c++) {
        mean = 0;
        for (size_t k = 0; k < ARTICLE_SECTIONS; k++)
            mean += article_clamp (value[k][c]) / ARTICLE_SECTIONS;
        article_check (sum, names[c], mean, false);
    }
}

/*  ---- the whole ------------------------------------------------------------------------------ */

/*  What each section is: its slot's text, or its part of what a single writer wrote between lines
 *  "---". *solo keeps a copy that is cut there; the caller frees it. */
static int article_find_texts (const json_t *state, char **solo,
                               const char *texts[ARTICLE_SECTIONS], err_t *err)
{
    const json_t *slots = json_object_get (state, "slots");
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++)
        texts[k] = state_slot_text (state, article_names[k]);
    if (!state_lists (slots, "solo"))
        return 0;
    if (!(*solo = strdup (state_slot_text (state, "solo"))))
        return err_set (err, ERR_LIMIT, "no memory for an article");
    char *at = *solo;
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        char *line = k + 1 < ARTICLE_SECTIONS ? strstr (at, ARTICLE_BETWEEN) : NULL;
        texts[k] = at;
        if (line)
            *line = 0;
        at = line ? line + strlen (ARTICLE_BETWEEN) : at + strlen (at);
    }
    return 0;
}

/*  A writer of one section has that by itself, a single one all three. */
static void article_add_locals (const json_t *state, const double own[ARTICLE_SECTIONS],
                                reward_score_t *score)
{
    const json_t *roles = json_object_get (state, "roles");
    double all = 0;
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        all += own[k] / ARTICLE_SECTIONS;
        if (state_lists (roles, article_names[k]))
            reward_add_local (score, article_names[k], own[k]);
    }
    if (state_lists (roles, "solo"))
        reward_add_local (score, "solo", all);
}

static void article_join (reward_score_t *score, size_t cross)
{
    score->quality /= (double) score->parts_n;
    score->agreement /= (double) cross;
    score->success = score->agreement > 0.999 && score->quality >= 0.9;
    reward_tell_checks (score);
}

/*  Counts are believed only after words_failed: memory that ran out would have made them too
 *  small. */
int article_score (const episode_t *episode, const task_capabilities_t *capabilities,
                   reward_score_t *score, err_t *err)
{
    (void) capabilities; /* texts are checked here, nothing runs */
    const json_t *state = episode_json (episode), *task = json_object_get (state, "task");
    const char *texts[ARTICLE_SECTIONS];
    article_piece_t pieces[ARTICLE_SECTIONS] = {{0}};
    article_sum_t sum = {.score = score};
    double own[ARTICLE_SECTIONS] = {0};
    char *solo = NULL;
    bool failed = false;
    *score = (reward_score_t){.unused = -1};
    int rc = article_find_texts (state, &solo, texts, err);
    for (size_t k = 0; rc == 0 && k < ARTICLE_SECTIONS; k++)
        article_read (texts[k], &pieces[k]);
    if (rc == 0) {
        article_check_style (pieces, &sum);
        article_check_content (task, pieces, own, &sum);
    }
    for (size_t k = 0; k < ARTICLE_SECTIONS; k++) {
        failed = failed || words_failed (&pieces[k].words) || words_failed (&pieces[k].sentences);
        words_free (&pieces[k].words);
        words_free (&pieces[k].sentences);
    }
    if (rc == 0 && failed)
        rc = err_set (err, ERR_LIMIT, "no memory for the words of an article");
    if (rc == 0) {
        article_join (score, sum.cross);
        article_add_locals (state, own, score);
    }
    free (solo);
    return rc;
}
