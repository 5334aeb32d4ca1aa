/*  prose - how the two parts of a text in plain prose are scored. See writing.h
 *
 *  A part is read line by line. Headings, list items, tables and code are no prose: they are
 *  counted, and no other check sees their words. What is left is cut into sentences. One that has
 *  no end (the last, where a text was cut off), fewer than PROSE_WORDS_LEAST words, or stood there
 *  already, counts as not written. Every check is then worth as much of it as the texts are whole
 *  (prose_whole): an empty text, or one sentence again and again, earns nearly nothing anywhere.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "task/words.h"
#include "task/writing/writing.h"

#define PROSE_WORDS_LEAST 4    /* of a sentence */
#define PROSE_SIDES       3    /* of a kind at most */
#define PROSE_NONE        -1.0 /* by a check of what is not there: it is left out */

typedef enum { LINE_PROSE, LINE_ITEM, LINE_HASH, LINE_BOLD, LINE_COLON, LINE_KINDS } prose_line_t;
typedef enum { PROSE_REGISTER, PROSE_PERSON, PROSE_KINDS } prose_kind_t;

typedef struct {
    size_t lines[LINE_KINDS];  /* by kind; empty lines count nowhere */
    size_t written, sentences; /* with an end, and long enough; of them, those that are new */
    size_t of_kind[PROSE_KINDS][PROSE_SIDES]; /* of the sentences */
    size_t spelled[2];                        /* words in British and in American spelling */
    bool closed;                              /* the last line ends as a sentence does */
    words_t words;                            /* of the sentences */
} prose_piece_t;

typedef struct {
    const json_t *task;
    prose_piece_t piece[2]; /* summary, details */
} prose_t;

static const char *const prose_informal[] = {
    "i'm",    "i've",     "i'll",     "you're",  "you'll", "you've",  "we're",   "we've",
    "we'll",  "it's",     "that's",   "there's", "here's", "let's",   "don't",   "doesn't",
    "didn't", "can't",    "won't",    "isn't",   "aren't", "wasn't",  "they're", "they've",
    "what's", "couldn't", "wouldn't", "really",  "super",  "awesome", "cool",    "stuff",
    "kids",   "guys",     "okay",     "ok",      "yeah",   "wow",     "hey",     "gonna",
    "kinda",  "pretty",   "sure",     "hello",   NULL};
static const char *const prose_first[] = {"i",   "me",   "my",  "mine",  "we",    "us",
                                          "our", "ours", "i'm", "we're", "let's", NULL};
static const char *const prose_second[] = {"you", "your", "yours", "yourself", "you're", NULL};
static const char *const prose_uk[] = {
    "colour",     "colours",    "flavour",   "flavours",   "favour",  "favourite", "behaviour",
    "neighbour",  "neighbours", "honour",    "labour",     "centre",  "centres",   "theatre",
    "fibre",      "fibres",     "metre",     "metres",     "litre",   "litres",    "grey",
    "organise",   "organised",  "recognise", "recognised", "realise", "analyse",   "travelled",
    "travellers", "defence",    "catalogue", "ageing",     NULL};
static const char *const prose_us[] = {
    "color",     "colors",    "flavor",    "flavors",    "favor",   "favorite", "behavior",
    "neighbor",  "neighbors", "honor",     "labor",      "center",  "centers",  "theater",
    "fiber",     "fibers",    "meter",     "meters",     "liter",   "liters",   "gray",
    "organize",  "organized", "recognize", "recognized", "realize", "analyze",  "traveled",
    "travelers", "defense",   "catalog",   "aging",      NULL};

/*  Kinds of transition: addition, contrast, cause, order in time, example, sum. */
static const char *const prose_transitions[][14] = {
    {"also", "moreover", "furthermore", "in addition", "additionally", "besides", "as well", NULL},
    {"but", "however", "although", "yet", "while", "despite", "instead", "in contrast",
     "on the other hand", "nevertheless", NULL},
    {"so", "therefore", "because", "thus", "hence", "consequently", "as a result", "due to",
     "since", NULL},
    {"first", "then", "next", "later", "finally", "after", "before", "once", "meanwhile",
     "eventually", "when", "over time", NULL},
    {"for example", "for instance", "such as", "in particular", "including", "especially", NULL},
    {"overall", "in short", "in conclusion", "in summary", "to sum up", "in the end", "ultimately",
     NULL}};
#define PROSE_TRANSITIONS (sizeof prose_transitions / sizeof *prose_transitions)
#define PROSE_WANTED      4 /* of them, in the details */

/*  ---- reading -------------------------------------------------------------------------------- */

/*  "1." and "2)" begin an item, as "- " and its like do; "1.5 million people" does not. */
static size_t prose_bullet (const char *line)
{
    static const char *const bullets[] = {"- ", "* ", "+ ", "•", "–", "|", "```", "> "};
    for (size_t i = 0; i < sizeof bullets / sizeof *bullets; i++)
        if (strncmp (line, bullets[i], strlen (bullets[i])) == 0)
            return strlen (bullets[i]);
    size_t n = strspn (line, "0123456789");
    return n > 0 && n < 3 && strchr (".)", line[n]) && line[n] &&
                   isspace ((unsigned char) line[n + 1])
               ? n + 1
               : 0;
}

/*  A line in bold, or one that ends in a colon, is a heading if it is as short as one. */
static prose_line_t prose_line_of (const char *line, size_t n)
{
    if (prose_bullet (line))
        return LINE_ITEM;
    if (*line == '#')
        return LINE_HASH;
    if (n > 4 && n < 80 && strncmp (line, "**", 2) == 0 &&
        (line[n - 1] == '*' || line[n - 1] == ':'))
        return LINE_BOLD;
    return n < 80 && line[n - 1] == ':' ? LINE_COLON : LINE_PROSE;
}

/*  Bytes of the sentence at the beginning of a line: up to a stop with a blank behind it, quotes
 *  and brackets aside. "3.5" and "e.g. this" hold none. 0: what is left has no end. */
static size_t prose_sentence (const char *text)
{
    for (size_t i = 0; text[i]; i++) {
        if (!strchr (".!?", text[i]))
            continue;
        bool short_form = text[i] == '.' && i >= 3 && text[i - 2] == '.';
        while (text[i + 1] && strchr ("\"')*_”", text[i + 1]))
            i++;
        if (!text[i + 1] || (isspace ((unsigned char) text[i + 1]) && !short_form))
            return i + 1;
    }
    return 0;
}

/*  The words of a sentence as one folded text, so that it is known again in other case. */
static const char *prose_key (words_t *words)
{
    for (size_t i = 0; i + 1 < words->text.size; i++)
        if (!words->text.data[i])
            words->text.data[i] = ' ';
    return words->text.data;
}

/*  Counts a sentence, unless it is too short for one or stood there already. seen: those that
 *  did. */
static void prose_take (const char *text, size_t n, json_t *seen, prose_piece_t *piece)
{
    words_t words = {0};
    buf_t sentence = {0};
    buf_append (&sentence, text, n);
    buf_append (&sentence, "", 1);
    if (!buf_failed (&sentence))
        words_split (sentence.data, &words);
    piece->words.failed |= buf_failed (&sentence) || words_failed (&words);
    if (!piece->words.failed && words.n >= PROSE_WORDS_LEAST) {
        bool informal = text[n - 1] == '!' || words_count_any (&words, prose_informal) > 0;
        bool first = words_count_any (&words, prose_first) > 0;
        bool second = words_count_any (&words, prose_second) > 0;
        const char *key = prose_key (&words);
        piece->written++;
        if (!json_object_get (seen, key)) {
            piece->words.failed |= json_object_set_new (seen, key, json_true ()) != 0;
            piece->sentences++;
            piece->of_kind[PROSE_REGISTER][informal]++;
            piece->of_kind[PROSE_PERSON][first ? 1 : second ? 2 : 0]++;
            words_split (sentence.data, &piece->words);
        }
    }
    words_free (&words);
    buf_free (&sentence);
}

static void prose_line (char *line, json_t *seen, prose_piece_t *piece)
{
    size_t n = strlen (line);
    while (n > 0 && isspace ((unsigned char) line[n - 1]))
        line[--n] = 0;
    line += strspn (line, " \t");
    if (!*line)
        return;
    prose_line_t kind = prose_line_of (line, strlen (line));
    piece->lines[kind]++;
    piece->closed = kind <= LINE_ITEM && words_closed (line);
    for (size_t size; kind == LINE_PROSE && (size = prose_sentence (line)) > 0; line += size)
        prose_take (line, size, seen, piece);
}

static int prose_read (const char *text, prose_piece_t *piece, err_t *err)
{
    char *copy = strdup (text), *rest = copy;
    json_t *seen = json_object ();
    for (char *line; copy && seen && (line = strsep (&rest, "\n"));)
        prose_line (line, seen, piece);
    bool failed = !copy || !seen || words_failed (&piece->words);
    json_decref (seen);
    free (copy);
    piece->spelled[0] = words_count_any (&piece->words, prose_uk);
    piece->spelled[1] = words_count_any (&piece->words, prose_us);
    return failed ? err_set (err, ERR_LIMIT, "no memory for the words of a text") : 0;
}

size_t writing_prose_summary (const char *text)
{
    const char *paragraph = strstr (text, "\n\n");
    size_t sentence = prose_sentence (text);
    if (paragraph)
        return (size_t) (paragraph - text);
    return sentence ? sentence : strlen (text);
}

/*  ---- checks --------------------------------------------------------------------------------- */

/*  1 inside [low, high], else how near, squared: (x / low)^2 below, (high / x)^2 above. Never flat,
 *  so that of two texts the one that comes nearer is always worth more. */
static double prose_within (double x, double low, double high)
{
    double near = x < low ? x / low : x > high ? high / x : 1;
    return near * near;
}

/*  Whether the parts keep to one side: of the sides of a kind (of register, of person) the largest
 *  mean share of the two parts' sentences. */
static double prose_keeps (const prose_t *p, prose_kind_t kind)
{
    double best = 0;
    for (size_t side = 0; side < PROSE_SIDES; side++) {
        double share = 0;
        for (int i = 0; i < 2; i++)
            share += (double) p->piece[i].of_kind[kind][side] / (double) p->piece[i].sentences / 2;
        best = fmax (best, share);
    }
    return best;
}

static double prose_summary_length (prose_t *p)
{
    return prose_within ((double) p->piece[0].sentences, 1, 2);
}

static double prose_details_length (prose_t *p)
{
    return prose_within ((double) p->piece[1].sentences, 4, 6);
}

/*  Of a part, words per sentence: 8 to 28, no telegrams and no sentence that never ends. */
static double prose_sentence_length (prose_t *p)
{
    double sum = 0;
    for (int i = 0; i < 2; i++)
        sum += prose_within ((double) p->piece[i].words.n / (double) p->piece[i].sentences, 8, 28);
    return sum / 2;
}

/*  Words of the details for each word of the summary: 2 to 5. */
static double prose_length_ratio (prose_t *p)
{
    return prose_within ((double) p->piece[1].words.n / (double) p->piece[0].words.n, 2, 5);
}

/*  Of a part, the share of words that are different ones: 0.6 or more. */
static double prose_unique_words (prose_t *p)
{
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        words_t *words = &p->piece[i].words;
        sum += prose_within ((double) words_distinct (words) / (double) words->n, 0.6, 1);
    }
    return sum / 2;
}

static double prose_register (prose_t *p)
{
    return prose_keeps (p, PROSE_REGISTER);
}

static double prose_person (prose_t *p)
{
    return prose_keeps (p, PROSE_PERSON);
}

/*  Share of the words with two spellings that are in the one more used; none: there are no such
 *  words. */
static double prose_spelling (prose_t *p)
{
    double uk = (double) (p->piece[0].spelled[0] + p->piece[1].spelled[0]);
    double us = (double) (p->piece[0].spelled[1] + p->piece[1].spelled[1]);
    return uk + us > 0 ? fmax (uk, us) / (uk + us) : PROSE_NONE;
}

/*  Of all headings, those of a kind that both parts have; none: there are no headings. */
static double prose_heading (prose_t *p)
{
    double all = 0, alone = 0;
    for (int kind = LINE_HASH; kind < LINE_KINDS; kind++) {
        double a = (double) p->piece[0].lines[kind], b = (double) p->piece[1].lines[kind];
        all += a + b;
        alone += a > 0 && b > 0 ? 0 : a + b;
    }
    return all > 0 ? 1 - alone / all : PROSE_NONE;
}

/*  Of six kinds of transition, those in the details, of PROSE_WANTED. */
static double prose_transitions_of (prose_t *p)
{
    double found = 0;
    for (size_t c = 0; c < PROSE_TRANSITIONS; c++)
        found += words_have_any (&p->piece[1].words, prose_transitions[c]);
    return fmin (1, found / PROSE_WANTED);
}

/*  Share of the summary's longer words that the details take up: 0.3 to 0.8. */
static double prose_overlap (prose_t *p)
{
    return prose_within (words_overlap (&p->piece[0].words, &p->piece[1].words), 0.3, 0.8);
}

/*  Of a part, the share of its sequences of four words that stand in the brief: at most 0.3, for
 *  who says the question again has not answered it. */
static double prose_own_words (prose_t *p)
{
    words_t brief = {0};
    double sum = 0;
    words_split (family_text (p->task, "brief"), &brief);
    for (int i = 0; i < 2; i++)
        sum += prose_within (words_shared_grams (&p->piece[i].words, &brief), 0, 0.3);
    p->piece[0].words.failed |= words_failed (&brief);
    words_free (&brief);
    return sum / 2;
}

/*  Of a part's lines, those that are no items of lists, tables, code or quotations. */
static double prose_no_lists (prose_t *p)
{
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        double lines = 0;
        for (int kind = 0; kind < LINE_KINDS; kind++)
            lines += (double) p->piece[i].lines[kind];
        sum += 1 - (double) p->piece[i].lines[LINE_ITEM] / lines;
    }
    return sum / 2;
}

static double prose_closed (prose_t *p)
{
    return (p->piece[0].closed + p->piece[1].closed) / 2.0;
}

static double prose_terms (prose_t *p)
{
    return writing_terms_of (p->task, &p->piece[0].words, &p->piece[1].words);
}

static const struct {
    const char *name;
    bool cross; /* it compares the parts: also of the agreement */
    double (*of) (prose_t *);
} prose_checks[] = {
    {"summary_length", false, prose_summary_length},
    {"details_length", false, prose_details_length},
    {"sentence_length", false, prose_sentence_length},
    {"length_ratio", true, prose_length_ratio},
    {"unique_words", false, prose_unique_words},
    {"register", true, prose_register},
    {"person", true, prose_person},
    {"spelling", true, prose_spelling},
    {"heading", true, prose_heading},
    {"transitions", false, prose_transitions_of},
    {"overlap", true, prose_overlap},
    {"own_words", false, prose_own_words},
    {"no_lists", false, prose_no_lists},
    {"closed", false, prose_closed},
    {"terms", false, prose_terms},
};
#define PROSE_CHECKS (sizeof prose_checks / sizeof *prose_checks)

/*  Of the two parts the smaller, of the share of sentences that are new, halved where the text has
 *  no end. What a text says again is no text, whatever the checks say of the rest. 0 where a part
 *  has no sentence. */
static double prose_whole (const prose_t *p)
{
    double least = 1;
    for (int i = 0; i < 2; i++) {
        const prose_piece_t *piece = &p->piece[i];
        double fresh = piece->written ? (double) piece->sentences / (double) piece->written : 0;
        least = fmin (least, piece->closed ? fresh : fresh / 2);
    }
    return least;
}

/*  What a writer can do without the other: an end, no lists, and no sentence again. */
static double prose_own (const prose_piece_t *p)
{
    return p->written ? (p->closed + (p->lines[LINE_ITEM] == 0) +
                         (double) p->sentences / (double) p->written) /
                            3
                      : 0;
}

int writing_check_prose (const json_t *task, const char *const texts[2], writing_sum_t *sum,
                         double own[2], err_t *err)
{
    prose_t p = {.task = task};
    bool failed = false;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = prose_read (texts[i], &p.piece[i], err);
    double whole = prose_whole (&p);
    for (size_t i = 0; rc == 0 && i < PROSE_CHECKS; i++) {
        double value = whole > 0 ? prose_checks[i].of (&p) : 0;
        if (value != PROSE_NONE)
            writing_check (sum, prose_checks[i].name, whole * value, prose_checks[i].cross);
    }
    for (int i = 0; i < 2; i++) {
        own[i] = prose_own (&p.piece[i]);
        failed = failed || words_failed (&p.piece[i].words);
        words_free (&p.piece[i].words);
    }
    return rc == 0 && failed ? err_set (err, ERR_LIMIT, "no memory for the words of a text") : rc;
}
