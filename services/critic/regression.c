/*  regression - see regression.h */
#include "regression.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "learn/advantage.h"

#define REPLAY_MAX  8192
#define CONTEXT_MAX (1u << 20)
#define STATE_MAGIC 0x32637469726351u /* "Qcritic2" without its end, little-endian */

/*  The likelihood is that of the newest texts alone: a small part of the time, and they are what
 *  the next step will resemble. */
#define CHOICE_MAX 256

/*  What is chosen by likelihood, each from its ladder; and where they begin. */
enum { RUNG_BRIEF, RUNG_SAID, RUNG_BOTH, RUNG_GROUP, RUNGS };
#define LADDER 8
static const double ladder[RUNGS][LADDER] = {
    [RUNG_BRIEF] = {0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10},
    [RUNG_SAID] = {0, 0.1, 0.3, 1, 3, 10, 30, 100},
    [RUNG_BOTH] = {0, 0.1, 0.3, 1, 3, 10, 30, 100},
    [RUNG_GROUP] = {0, 0.03, 0.1, 0.3, 1, 3, 10, 30},
};
static const uint32_t rungs_first[RUNGS] = {3, 4, 3, 3};

/*  The first bytes of a state object; then an entry for each text, then their features. Neither
 *  struct has holes, whose bytes would be anything: a state is named by its hash. */
typedef struct {
    uint64_t magic, steps;
    double mean;
    regression_shape_t shape;
    uint64_t n;
    uint32_t rung[RUNGS];
} header_t;

/*  A text that was learnt from. */
typedef struct {
    uint64_t step;
    uint32_t group;
    uint32_t brief_n, said_n; /* features */
    uint32_t last;            /* episodes of which it is the last text */
    double weight;            /* episodes that read it, each of T texts as 1 / T */
    double target;            /* their mean return, less the step's */
    double alpha;
} entry_t;

_Static_assert(sizeof (header_t) == 56 && sizeof (entry_t) == 48, "no holes");

typedef struct {
    entry_t entry;
    uint16_t *at; /* features: the brief's, then what was said */
} text_t;

struct regression {
    regression_shape_t shape;
    uint64_t steps;
    double mean; /* return of the last step */
    uint32_t rung[RUNGS];
    text_t *text; /* the oldest first */
    size_t n;
};

static set_t regression_brief (const text_t *text)
{
    return (set_t){text->at, text->entry.brief_n};
}

static set_t regression_said (const text_t *text)
{
    return (set_t){text->at + text->entry.brief_n, text->entry.said_n};
}

static size_t regression_sets_size (const entry_t *entry)
{
    return ((size_t) entry->brief_n + entry->said_n) * sizeof (uint16_t);
}

/*  ---- a state -------------------------------------------------------------------------------- */

regression_t *regression_new (const regression_shape_t *shape, err_t *err)
{
    if (shape->replay < 1 || shape->replay > REPLAY_MAX || shape->context < 1 ||
        shape->context > CONTEXT_MAX) {
        err_set (err, ERR_INPUT, "a critic of %u texts of %u words: at most %d of %u, at least 1",
                 shape->replay, shape->context, REPLAY_MAX, CONTEXT_MAX);
        return NULL;
    }
    regression_t *r = calloc (1, sizeof *r);
    if (!r) {
        err_set (err, ERR_LIMIT, "no memory for the critic");
        return NULL;
    }
    r->shape = *shape;
    memcpy (r->rung, rungs_first, sizeof r->rung);
    return r;
}

static void regression_free_texts (text_t *text, size_t n)
{
    for (size_t i = 0; text && i < n; i++)
        free (text[i].at);
    free (text);
}

void regression_destroy (regression_t **regression)
{
    if (!*regression)
        return;
    regression_free_texts ((*regression)->text, (*regression)->n);
    free (*regression);
    *regression = NULL;
}

size_t regression_context (const regression_t *regression)
{
    return regression->shape.context;
}

/*  In the order of the machine: critics of another kind would compute other bits anyway. */
void regression_bytes (const regression_t *regression, buf_t *bytes)
{
    header_t header = {.magic = STATE_MAGIC,
                       .steps = regression->steps,
                       .mean = regression->mean,
                       .shape = regression->shape,
                       .n = regression->n};
    memcpy (header.rung, regression->rung, sizeof header.rung);
    buf_append (bytes, &header, sizeof header);
    for (size_t i = 0; i < regression->n; i++)
        buf_append (bytes, &regression->text[i].entry, sizeof (entry_t));
    for (size_t i = 0; i < regression->n; i++)
        buf_append (bytes, regression->text[i].at,
                    regression_sets_size (&regression->text[i].entry));
}

static bool regression_header_is_sound (const header_t *header, size_t size)
{
    bool sound = header->magic == STATE_MAGIC && isfinite (header->mean) &&
                 header->shape.replay <= REPLAY_MAX && header->shape.context <= CONTEXT_MAX &&
                 header->n <= header->shape.replay &&
                 (size - sizeof *header) / sizeof (entry_t) >= header->n;
    for (size_t i = 0; i < RUNGS; i++)
        sound = sound && header->rung[i] < LADDER;
    return sound;
}

/*  The texts of a state whose header is sound; `at` stands behind it. */
static int regression_parse_texts (regression_t *r, size_t n, const char *at, size_t size)
{
    const char *sets = at + n * sizeof (entry_t), *end = at + size;
    r->text = calloc (n + 1, sizeof *r->text);
    for (r->n = 0; r->text && r->n < n; r->n++) {
        text_t *text = &r->text[r->n];
        memcpy (&text->entry, at + r->n * sizeof (entry_t), sizeof (entry_t));
        const entry_t *e = &text->entry;
        size_t bytes = regression_sets_size (e);
        if (!(e->weight > 0) || !isfinite (e->weight) || !isfinite (e->target) ||
            !isfinite (e->alpha) || (size_t) (end - sets) < bytes ||
            !(text->at = malloc (bytes + 1)))
            return -1;
        memcpy (text->at, sets, bytes);
        sets += bytes;
    }
    return r->text && sets == end ? 0 : -1;
}

regression_t *regression_parse (const void *data, size_t size, err_t *err)
{
    header_t header;
    if (size < sizeof header) {
        err_set (err, ERR_INPUT, "a critic's state of %zu bytes is cut short", size);
        return NULL;
    }
    memcpy (&header, data, sizeof header);
    if (!regression_header_is_sound (&header, size)) {
        err_set (err, ERR_INPUT, "this object is not a critic's state");
        return NULL;
    }
    regression_t *r = regression_new (&header.shape, err);
    if (!r)
        return NULL;
    r->steps = header.steps;
    r->mean = header.mean;
    memcpy (r->rung, header.rung, sizeof r->rung);
    if (regression_parse_texts (r, header.n, (const char *) data + sizeof header,
                                size - sizeof header) != 0) {
        err_set (err, ERR_INPUT, "a critic's state of %zu bytes does not hold its %llu texts", size,
                 (unsigned long long) header.n);
        regression_destroy (&r);
    }
    return r;
}

static int regression_copy_text (text_t *to, const text_t *from)
{
    size_t bytes = regression_sets_size (&from->entry);
    to->entry = from->entry;
    to->at = malloc (bytes + 1);
    if (!to->at)
        return -1;
    memcpy (to->at, from->at, bytes);
    return 0;
}

regression_t *regression_copy (const regression_t *regression, err_t *err)
{
    regression_t *copy = regression_new (&regression->shape, err);
    if (!copy)
        return NULL;
    copy->steps = regression->steps;
    copy->mean = regression->mean;
    memcpy (copy->rung, regression->rung, sizeof copy->rung);
    copy->text = calloc (regression->n + 1, sizeof *copy->text);
    int rc = copy->text ? 0 : -1;
    for (; rc == 0 && copy->n < regression->n; copy->n++)
        rc = regression_copy_text (&copy->text[copy->n], &regression->text[copy->n]);
    if (rc != 0) {
        err_set (err, ERR_LIMIT, "no memory for the critic's %zu texts", regression->n);
        regression_destroy (&copy);
    }
    return copy;
}

/*  ---- kernel --------------------------------------------------------------------------------- */

typedef struct {
    float brief, said; /* cosines */
} pair_t;

/*  A set as a table, so that another one's features are counted without a search. */
static void regression_mark (uint8_t *table, set_t set, uint8_t mark)
{
    for (size_t i = 0; i < set.n; i++)
        table[set.at[i]] = mark;
}

static float regression_cosine (const uint8_t *table, size_t n, set_t set)
{
    uint32_t common = 0;
    for (size_t i = 0; i < set.n; i++)
        common += table[set.at[i]];
    return n && set.n ? (float) (common / sqrt ((double) n * (double) set.n)) : 0;
}

/*  Two tables; of briefs and of what was said. NULL without memory. */
static uint8_t *regression_tables (void)
{
    return calloc (2, RECORDS_FEATURES);
}

/*  Marks the features of a text, which then can be compared with any number of others. */
static void regression_mark_text (uint8_t *tables, set_t brief, set_t said, uint8_t mark)
{
    regression_mark (tables, brief, mark);
    regression_mark (tables + RECORDS_FEATURES, said, mark);
}

static pair_t regression_pair (const uint8_t *tables, size_t brief_n, size_t said_n,
                               const text_t *other)
{
    return (pair_t){regression_cosine (tables, brief_n, regression_brief (other)),
                    regression_cosine (tables + RECORDS_FEATURES, said_n, regression_said (other))};
}

static double regression_kernel (const uint32_t *rung, pair_t pair)
{
    double brief = (double) pair.brief, said = (double) pair.said;
    return ladder[RUNG_BRIEF][rung[RUNG_BRIEF]] * brief +
           ladder[RUNG_SAID][rung[RUNG_SAID]] * said +
           ladder[RUNG_BOTH][rung[RUNG_BOTH]] * brief * said;
}

static double regression_value_of (const regression_t *r, uint8_t *tables,
                                   const record_text_t *text)
{
    double value = r->mean;
    regression_mark_text (tables, text->brief, text->said, 1);
    for (size_t j = 0; j < r->n; j++)
        value += r->text[j].entry.alpha *
                 regression_kernel (
                     r->rung, regression_pair (tables, text->brief.n, text->said.n, &r->text[j]));
    regression_mark_text (tables, text->brief, text->said, 0);
    return value;
}

int regression_values (const regression_t *regression, const records_t *records, double *values,
                       err_t *err)
{
    double *of_text = calloc (records->texts_n + 1, sizeof *of_text);
    uint8_t *tables = regression_tables ();
    bool enough = of_text && tables;
    for (size_t t = 0; enough && t < records->texts_n; t++)
        of_text[t] = regression_value_of (regression, tables, &records->texts[t]);
    for (size_t i = 0; enough && i < records->n; i++)
        values[i] = of_text[records->record[i].text];
    free (of_text);
    free (tables);
    return enough ? 0 : err_set (err, ERR_LIMIT, "no memory for %zu values", records->n);
}

/*  ---- learning ------------------------------------------------------------------------------- */

/*  Texts, all pairs of them, and room for a factor: n x n each, rows up to the diagonal. */
typedef struct {
    text_t **text;
    size_t n;
    bool last; /* of each episode the last text alone */
    pair_t *pairs;
    double *factor, *z; /* z: n */
} system_t;

static void regression_system_free (system_t *s)
{
    free (s->text);
    free (s->pairs);
    free (s->factor);
    free (s->z);
}

/*  The newest texts, at most `most`; with last, those that are the last one of an episode. */
static int regression_system_make (system_t *s, const regression_t *r, bool last, size_t most)
{
    *s = (system_t){.text = malloc ((r->n + 1) * sizeof *s->text), .last = last};
    for (size_t i = r->n; s->text && i-- > 0 && s->n < most;)
        if (!last || r->text[i].entry.last)
            s->text[s->n++] = &r->text[i];
    size_t n = s->n;
    s->pairs = malloc ((n * n + 1) * sizeof *s->pairs);
    s->factor = malloc ((n * n + 1) * sizeof *s->factor);
    s->z = malloc ((n + 1) * sizeof *s->z);
    uint8_t *tables = regression_tables ();
    bool enough = s->text && s->pairs && s->factor && s->z && tables;
    for (size_t i = 0; enough && i < n; i++) {
        set_t brief = regression_brief (s->text[i]), said = regression_said (s->text[i]);
        regression_mark_text (tables, brief, said, 1);
        for (size_t j = 0; j <= i; j++)
            s->pairs[i * n + j] = regression_pair (tables, brief.n, said.n, s->text[j]);
        regression_mark_text (tables, brief, said, 0);
    }
    free (tables);
    return enough ? 0 : -1;
}

/*  Eight sums side by side, which the compiler can keep in vectors without changing their order. */
static double regression_dot (const double *a, const double *b, size_t n)
{
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[i % 8] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/*  What a text does not tell of its episodes' returns; before anything was said also what will
 *  be. */
static double regression_noise (const system_t *s, const uint32_t *rung, const entry_t *e)
{
    if (s->last)
        return 1.0 / e->last;
    double unsaid = ladder[RUNG_SAID][rung[RUNG_SAID]] + ladder[RUNG_BOTH][rung[RUNG_BOTH]];
    return (1 + (e->said_n ? 0 : unsaid)) / e->weight;
}

/*  K + G + N = L L' (Cholesky), and z = L^-1 target. N's diagonal is never near 0, so the matrix is
 *  positive definite. Returns the negative log likelihood, less a constant, at the scale of
 *  K + G + N that makes it least. */
static double regression_factor (system_t *s, const uint32_t *rung)
{
    double log_determinant = 0, square = 0;
    for (size_t i = 0; i < s->n; i++) {
        const entry_t *e = &s->text[i]->entry;
        double *row = s->factor + i * s->n;
        for (size_t j = 0; j <= i; j++) {
            const entry_t *f = &s->text[j]->entry;
            const double *other = s->factor + j * s->n;
            double k = regression_kernel (rung, s->pairs[i * s->n + j]);
            if (e->step == f->step && e->group == f->group)
                k += ladder[RUNG_GROUP][rung[RUNG_GROUP]];
            if (i == j)
                k += regression_noise (s, rung, e);
            k -= regression_dot (row, other, j);
            row[j] = i == j ? sqrt (k) : k / other[j];
        }
        s->z[i] = (e->target - regression_dot (row, s->z, i)) / row[i];
        log_determinant += log (row[i]);
        square += s->z[i] * s->z[i];
    }
    /* Targets that are all the same say nothing: the determinant alone would choose. */
    return square > 0 ? (double) s->n / 2 * log (square) + log_determinant : 0;
}

/*  Each one a rung up or down, or back to where it began, where that is likelier. */
static void regression_choose (system_t *s, uint32_t *rung)
{
    double best = regression_factor (s, rung);
    for (size_t k = 0; k < RUNGS; k++) {
        uint32_t now = rung[k];
        uint32_t others[] = {now ? now - 1 : 0, now + 1 < LADDER ? now + 1 : now, rungs_first[k]};
        for (size_t i = 0; i < 3; i++) {
            uint32_t before = rung[k];
            if (others[i] == before)
                continue;
            rung[k] = others[i];
            double likelihood = regression_factor (s, rung);
            if (likelihood < best)
                best = likelihood;
            else
                rung[k] = before;
        }
    }
}

/*  alpha = L'^-1 z. */
static void regression_solve (system_t *s)
{
    for (size_t i = s->n; i-- > 0;) {
        const double *row = s->factor + i * s->n;
        double alpha = s->text[i]->entry.alpha = s->z[i] / row[i];
        for (size_t j = 0; j < i; j++)
            s->z[j] -= alpha * row[j];
    }
}

static int regression_take_text (text_t *to, const record_text_t *from, uint64_t step)
{
    to->entry = (entry_t){.step = step,
                          .group = from->group,
                          .brief_n = (uint32_t) from->brief.n,
                          .said_n = (uint32_t) from->said.n};
    to->at = malloc (regression_sets_size (&to->entry) + 1);
    if (!to->at)
        return -1;
    memcpy (to->at, from->brief.at, from->brief.n * sizeof *to->at);
    memcpy (to->at + from->brief.n, from->said.at, from->said.n * sizeof *to->at);
    return 0;
}

/*  The records of one episode, which reads each of its texts once, whatever the number of roles. */
static void regression_add_episode (text_t *text, const record_t *record, size_t n, double target)
{
    size_t texts = 0;
    for (size_t i = 0; i < n; i++)
        texts += i == 0 || record[i].turn != record[i - 1].turn;
    for (size_t i = 0; i < n; i++) {
        entry_t *e = &text[record[i].text].entry;
        if (i > 0 && record[i].turn == record[i - 1].turn)
            continue;
        e->weight += 1 / (double) texts;
        e->target += (target - e->target) / ((double) texts * e->weight);
        e->last += record[i].turn == record[n - 1].turn;
    }
}

/*  The texts of a step, with the mean returns of the episodes that read them. */
static text_t *regression_texts_of (const regression_t *r, const records_t *records,
                                    const double *returns, double mean)
{
    text_t *text = calloc (records->texts_n + 1, sizeof *text);
    int rc = text ? 0 : -1;
    for (size_t t = 0; rc == 0 && t < records->texts_n; t++)
        rc = regression_take_text (&text[t], &records->texts[t], r->steps);
    for (size_t i = 0, n; rc == 0 && i < records->n; i += n) {
        const record_t *record = &records->record[i];
        for (n = 1; i + n < records->n && record[n].episode == record->episode;)
            n++;
        regression_add_episode (text, record, n, returns[i] - mean);
    }
    if (text && rc != 0) {
        regression_free_texts (text, records->texts_n);
        text = NULL;
    }
    return text;
}

/*  Appends n texts, which are taken over, and drops what is too much: the oldest, or of a step
 *  that alone is too much every so-manieth. */
static int regression_append (regression_t *r, text_t *text, size_t n)
{
    size_t room = r->shape.replay, take = n < room ? n : room;
    size_t keep = r->n < room - take ? r->n : room - take;
    text_t *all = calloc (keep + take + 1, sizeof *all);
    if (!all)
        return -1;
    for (size_t i = 0; i < r->n; i++)
        if (i < r->n - keep)
            free (r->text[i].at);
        else
            all[i - (r->n - keep)] = r->text[i];
    for (size_t i = 0, at = keep; i < n; i++)
        if (i * take / n != (i + 1) * take / n)
            all[at++] = text[i];
        else
            free (text[i].at);
    free (r->text);
    free (text);
    r->text = all;
    r->n = keep + take;
    return 0;
}

static int regression_fit (regression_t *r)
{
    system_t last = {0}, all = {0};
    int rc = regression_system_make (&last, r, true, CHOICE_MAX);
    if (rc == 0)
        regression_choose (&last, r->rung);
    if (rc == 0 && (rc = regression_system_make (&all, r, false, r->n)) == 0) {
        regression_factor (&all, r->rung);
        regression_solve (&all);
    }
    regression_system_free (&last);
    regression_system_free (&all);
    return rc;
}

int regression_learn (regression_t *regression, const records_t *records, const double *returns,
                      regression_learnt_t *learnt, err_t *err)
{
    size_t n = records->n;
    double *values = calloc (n + 1, sizeof *values), mean = 0;
    int rc = values ? regression_values (regression, records, values, err)
                    : err_set (err, ERR_LIMIT, "no memory for %zu values", n);
    *learnt = (regression_learnt_t){0};
    for (size_t i = 0; rc == 0 && i < n; i++) {
        mean += returns[i] / (double) n;
        learnt->loss += (returns[i] - values[i]) * (returns[i] - values[i]) / (double) n;
    }
    if (rc == 0)
        learnt->explained_variance = advantage_explained_variance (returns, values, n);
    free (values);
    if (rc != 0 || n == 0)
        return rc;
    text_t *text = regression_texts_of (regression, records, returns, mean);
    if (text && regression_append (regression, text, records->texts_n) != 0) {
        regression_free_texts (text, records->texts_n);
        text = NULL;
    }
    regression->steps++;
    regression->mean = mean;
    return text && regression_fit (regression) == 0
               ? 0
               : err_set (err, ERR_LIMIT, "no memory for %zu texts", records->texts_n);
}
