/*  score - how a short text and its elaboration are scored. See writing.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/words.h"
#include "task/writing/writing.h"
#include "team/state.h"

typedef enum { HEAD_NONE, HEAD_HASH, HEAD_EQUALS, HEAD_COLON, HEAD_STAR } writing_head_t;

typedef struct {
    const char *heading; /* first line */
    size_t heading_n;
    writing_head_t head;
    const char *body;
    words_t words, sentences; /* of the body */
} writing_piece_t;

/*  Whole words, folded: the lists hold what the corpus uses and its nearest relatives. The US list
 *  leaves out "harbor" and "theater", since the built-in briefs name places so. */
static const char *const writing_uk[] = {"colours", "colour",  "grey",   "neighbours", "neighbour",
                                         "harbour", "theatre", "centre", NULL};
static const char *const writing_us[] = {"colors",   "color",  "gray", "neighbors",
                                         "neighbor", "center", NULL};
static const char *const writing_formal[] = {
    "moreover", "however", "therefore", "subsequently", "furthermore", "conclusion", NULL};
static const char *const writing_plain[] = {"also", "but", "so", "then", "short", NULL};
static const char *const writing_persons[][6] = {{"we", "our", "us", NULL},
                                                 {"you", "your", NULL},
                                                 {"they", "their", "them", NULL},
                                                 {"one", "one's", NULL}};
#define WRITING_PERSONS (sizeof writing_persons / sizeof *writing_persons)

/*  Addition, contrast, consequence, order in time: a text is held together by several of them. */
static const char *const writing_categories[][8] = {
    {"also", "moreover", "furthermore", "besides", "and then", NULL},
    {"but", "however", "yet", "although", "instead", NULL},
    {"so", "therefore", "because", "thus", "hence", NULL},
    {"then", "subsequently", "first", "later", "finally", "after", "when", NULL}};
#define WRITING_CATEGORIES (sizeof writing_categories / sizeof *writing_categories)

static const char *const writing_endings[] = {"in short", "in conclusion", "to sum up",
                                              "in the end", NULL};
static const char *const writing_happy_endings[] = {"the end", "happy",   "happily", "learned",
                                                    "smiled",  "friends", NULL};

/*  Every check is worth 0 to 1, so that none can outweigh the others in their mean. */
static double writing_clamp (double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/*  1 inside [low, high], falling to 0 at half of low and twice high: a slope rather than a step, so
 *  that a text that comes nearer is worth more before it arrives. */
static double writing_within (double x, double low, double high)
{
    if (x < low)
        return writing_clamp (2 * x / low - 1);
    return x > high ? writing_clamp (2 - x / high) : 1;
}

/*  The heading styles of the four houses (corpus.c). */
static writing_head_t writing_head_of (const char *line, size_t n)
{
    if (n > 2 && line[0] == '#' && line[1] == ' ')
        return HEAD_HASH;
    if (n > 6 && strncmp (line, "== ", 3) == 0 && strncmp (line + n - 3, " ==", 3) == 0)
        return HEAD_EQUALS;
    if (n > 4 && strncmp (line, "* ", 2) == 0 && strncmp (line + n - 2, " *", 2) == 0)
        return HEAD_STAR;
    return n > 1 && n < 40 && line[n - 1] == ':' ? HEAD_COLON : HEAD_NONE;
}

/*  A heading is taken off before words are counted, since its words repeat the brief's. */
static void writing_read_piece (const char *text, bool story, writing_piece_t *piece)
{
    piece->heading = text;
    piece->heading_n = strcspn (text, "\n");
    piece->head = story ? HEAD_NONE : writing_head_of (text, piece->heading_n);
    piece->body = piece->head ? text + piece->heading_n : text;
    words_split (piece->body, &piece->words);
    words_split_sentences (piece->body, &piece->sentences);
}

/*  Which of two word lists a text keeps to: 1 the first, -1 the second, 0 neither or both. */
static int writing_side_of (const words_t *words, const char *const *first,
                            const char *const *second)
{
    size_t a = words_count_any (words, first), b = words_count_any (words, second);
    return (a > 0) - (b > 0);
}

/*  The person that a text keeps to; PERSONS when it has none or changes. */
static size_t writing_person_of (const words_t *words)
{
    size_t best = WRITING_PERSONS, most = 0, kinds = 0;
    for (size_t p = 0; p < WRITING_PERSONS; p++) {
        size_t n = words_count_any (words, writing_persons[p]);
        kinds += n > 0;
        if (n > most) {
            most = n;
            best = p;
        }
    }
    return kinds == 1 ? best : WRITING_PERSONS;
}

/*  Kinds of transition count, not their number: "moreover" ten times is one kind. */
static double writing_transitions_of (words_t *words, double wanted)
{
    double found = 0;
    for (size_t c = 0; c < WRITING_CATEGORIES; c++)
        found += words_have_any (words, writing_categories[c]);
    return writing_clamp (found / wanted);
}

/*  Share of the sentences that had stood there already. */
static double writing_repeats_of (writing_piece_t *piece)
{
    size_t n = piece->sentences.n;
    return n ? (double) (n - words_distinct (&piece->sentences)) / (double) n : 0;
}

void writing_check (writing_sum_t *sum, const char *name, double value, bool cross)
{
    reward_part_t *part = &sum->score->parts[sum->score->parts_n++];
    snprintf (part->name, sizeof part->name, "%s", name);
    part->value = writing_clamp (value);
    sum->score->quality += part->value;
    sum->score->agreement += cross ? part->value : 0;
    sum->cross += cross;
}

double writing_terms_of (const json_t *task, words_t *a, words_t *b)
{
    const json_t *terms = json_object_get (task, "terms"), *term;
    size_t i;
    double found = 0, wanted = 0;
    json_array_foreach (terms, i, term) {
        const char *const list[] = {json_is_string (term) ? json_string_value (term) : "", NULL};
        found += words_have_any (a, list) + words_have_any (b, list);
        wanted += 2;
    }
    return wanted > 0 ? found / wanted : 1;
}

/*  What the two writers can only meet together. A part that takes no side agrees with nobody: else
 *  the empty text would be in perfect style. */
static void writing_check_style (const writing_piece_t *a, const writing_piece_t *b,
                                 writing_sum_t *sum)
{
    int spelling[2] = {writing_side_of (&a->words, writing_uk, writing_us),
                       writing_side_of (&b->words, writing_uk, writing_us)};
    int reg[2] = {writing_side_of (&a->words, writing_formal, writing_plain),
                  writing_side_of (&b->words, writing_formal, writing_plain)};
    size_t person = writing_person_of (&a->words);
    writing_check (sum, "headings", ((a->head != HEAD_NONE) + (b->head != HEAD_NONE)) / 2.0, false);
    writing_check (sum, "heading_style", a->head != HEAD_NONE && a->head == b->head, true);
    writing_check (sum, "spelling", spelling[0] && spelling[0] == spelling[1], true);
    writing_check (sum, "register", reg[0] && reg[0] == reg[1], true);
    writing_check (sum, "person",
                   person < WRITING_PERSONS && person == writing_person_of (&b->words), true);
}

/*  What each part has to have by itself, and how the two relate in length and words. Ranges, not
 *  targets: the built-in briefs are short, and there is more than one good text. */
static void writing_check_content (const json_t *task, writing_piece_t *a, writing_piece_t *b,
                                   bool story, writing_sum_t *sum)
{
    double na = (double) a->words.n, nb = (double) b->words.n;
    double unique = nb > 0 ? (double) words_distinct (&b->words) / nb : 0;
    /* Two texts about one thing share words; two that share all of them are one text twice. */
    double overlap = words_overlap (&a->words, &b->words);
    writing_check (sum, "length_ratio",
                   na > 0 ? writing_within (nb / na, story ? 0.8 : 1.6, story ? 1.5 : 4) : 0,
                   story);
    writing_check (sum, "unique_words", nb > 8 ? writing_within (unique, story ? 0.6 : 0.5, 1) : 0,
                   false);
    writing_check (sum, "overlap", writing_within (overlap, 0.25, 0.9), story);
    writing_check (
        sum, "transitions",
        story ? (writing_transitions_of (&a->words, 2) + writing_transitions_of (&b->words, 2)) / 2
              : writing_transitions_of (&b->words, 3),
        false);
    writing_check (sum, "terms", writing_terms_of (task, &a->words, &b->words), false);
    writing_check (
        sum, "ending",
        (0.5 * (words_closed (a->body) && words_closed (b->body)) +
         0.5 * words_have_any (&b->words, story ? writing_happy_endings : writing_endings)),
        false);
    writing_check (sum, "no_repeats", 1 - 2 * (writing_repeats_of (a) + writing_repeats_of (b)),
                   false);
    if (story)
        writing_check (sum, "same_hero",
                       words_overlap (&a->words, &b->words) > 0.1 &&
                           writing_terms_of (task, &a->words, &b->words) > 0.4,
                       true);
}

/*  What stands in a slot, "" while nobody has written there; NULL: the team has no such slot. */
static const char *writing_slot (const json_t *state, const char *name)
{
    bool there = state_lists (json_object_get (state, "slots"), name);
    return there ? state_slot_text (state, name) : NULL;
}

/*  Where the second of a single agent's two parts begins: behind a line "---", which the corpus
 *  has, or of prose where writing_prose_summary says. NULL: there is no second part. */
static const char *writing_second_part (const char *both, bool prose, size_t *first_n)
{
    const char *line = strstr (both, "\n---\n");
    *first_n = prose ? writing_prose_summary (both) : line ? (size_t) (line - both) : strlen (both);
    return prose ? both + *first_n : line ? line + 5 : NULL;
}

/*  Two texts: what summary and details wrote, or the two parts of what solo wrote. *solo keeps a
 *  copy that is cut there; the caller frees it. */
static int writing_split_texts (const json_t *state, bool prose, char **solo, const char *texts[2],
                                err_t *err)
{
    const char *first = writing_slot (state, "summary");
    const char *second = writing_slot (state, "details");
    if (!first && !second) {
        const char *both = writing_slot (state, "solo");
        size_t n;
        if (!both)
            return err_set (err, ERR_INPUT, "no seat of the writing family writes");
        *solo = strdup (both);
        if (!*solo)
            return err_set (err, ERR_LIMIT, "no memory for a text of %zu bytes", strlen (both));
        /* Without a second part the second text is empty, and earns what an empty text earns. */
        second = writing_second_part (both, prose, &n);
        (*solo)[n] = 0;
        first = *solo;
    }
    texts[0] = first ? first : "";
    texts[1] = second ? second : "";
    return 0;
}

/*  What each writer has done without the other; a single agent has written both. */
static void writing_add_locals (const json_t *state, const double own[2], reward_score_t *score)
{
    static const char *const roles[] = {"summary", "details"};
    const json_t *names = json_object_get (state, "roles"), *name;
    size_t i;
    json_array_foreach (names, i, name)
        for (int p = 0; p < 2; p++)
            if (strcmp (json_string_value (name), roles[p]) == 0)
                reward_add_local (score, roles[p], own[p]);
    if (score->local_n == 0)
        reward_add_local (score, "solo", (own[0] + own[1]) / 2);
}

/*  The checks of the built-in sets in one house style, and of stories. By itself a text is worth a
 *  heading (where the house has such), an end, and nothing twice. The counts are believed only
 *  after words_failed: memory that ran out would have made them too small. */
static int writing_check_pieces (const json_t *task, const char *const texts[2], writing_sum_t *sum,
                                 double own[2], err_t *err)
{
    bool story = writing_is_story (family_text (task, "style")), failed = false;
    writing_piece_t pieces[2] = {{0}};
    for (int i = 0; i < 2; i++)
        writing_read_piece (texts[i], story, &pieces[i]);
    if (!story)
        writing_check_style (&pieces[0], &pieces[1], sum);
    writing_check_content (task, &pieces[0], &pieces[1], story, sum);
    for (int i = 0; i < 2; i++) {
        writing_piece_t *piece = &pieces[i];
        own[i] = ((story || piece->head != HEAD_NONE) + words_closed (piece->body) +
                  writing_clamp (1 - 2 * writing_repeats_of (piece))) /
                 3;
        failed = failed || words_failed (&piece->words) || words_failed (&piece->sentences);
        words_free (&piece->words);
        words_free (&piece->sentences);
    }
    return failed ? err_set (err, ERR_LIMIT, "no memory for the words of a text") : 0;
}

/*  Success needs nearly all that only both can do together, and nearly all of the rest; where the
 *  checks of the two texts are yes or no, all of the first. */
static void writing_join (bool prose, const writing_sum_t *sum)
{
    reward_score_t *score = sum->score;
    score->quality /= (double) score->parts_n;
    score->agreement /= (double) sum->cross;
    score->success = score->agreement > (prose ? 0.9 : 0.999) && score->quality >= 0.9;
    reward_tell_checks (score);
}

int writing_score (const episode_t *episode, const task_capabilities_t *capabilities,
                   reward_score_t *score, err_t *err)
{
    (void) capabilities; /* texts are checked here, nothing runs */
    const json_t *state = episode_json (episode), *task = json_object_get (state, "task");
    const char *texts[2];
    bool prose = writing_is_prose (family_text (task, "style"));
    writing_sum_t sum = {.score = score};
    double own[2] = {0};
    char *solo = NULL;
    *score = (reward_score_t){.unused = -1};
    int rc = writing_split_texts (state, prose, &solo, texts, err);
    if (rc == 0)
        rc = prose ? writing_check_prose (task, texts, &sum, own, err)
                   : writing_check_pieces (task, texts, &sum, own, err);
    if (rc == 0) {
        writing_join (prose, &sum);
        writing_add_locals (state, own, score);
    }
    free (solo);
    return rc;
}
