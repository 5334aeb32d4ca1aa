/*  table - see table.h
 *
 *  DESIGN keys.h lists every key once, as a macro; this file turns the lists into rows (conf_key_t:
 *  name, kind, offset in the section's struct, default, range or choices, help). Reading, printing,
 *  checking ranges, comparing and --help walk over the rows. A new key is one line in keys.h and
 *  its use.
 */
#include "conf/table.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64 /* longest name that conf_nearest compares */

/*  One function per section, so that `this_t` can name the section's struct inside the rows. */
#define ROW_T(key, d, c, h)                                                                        \
    {.name = #key,                                                                                 \
     .kind = CONF_TEXT,                                                                            \
     .offset = offsetof (this_t, key),                                                             \
     .text = d,                                                                                    \
     .choices = c,                                                                                 \
     .help = h},
#define ROW_N(key, d, l, u, h)                                                                     \
    {.name = #key,                                                                                 \
     .kind = CONF_WHOLE,                                                                           \
     .offset = offsetof (this_t, key),                                                             \
     .number = d,                                                                                  \
     .low = (double) (l),                                                                          \
     .high = (double) (u),                                                                         \
     .help = h},
#define ROW_R(key, d, l, u, h)                                                                     \
    {.name = #key,                                                                                 \
     .kind = CONF_REAL,                                                                            \
     .offset = offsetof (this_t, key),                                                             \
     .number = d,                                                                                  \
     .low = (double) (l),                                                                          \
     .high = (double) (u),                                                                         \
     .help = h},
#define ROW_B(key, d, h)                                                                           \
    {.name = #key, .kind = CONF_BOOL, .offset = offsetof (this_t, key), .number = d, .help = h},
#define ROW_L(key, d, h)                                                                           \
    {.name = #key, .kind = CONF_LIST, .offset = offsetof (this_t, key), .text = d, .help = h},
#define SECTION_FUNCTION(section, KEYS, h)                                                         \
    static conf_section_t section##_section (void)                                                 \
    {                                                                                              \
        typedef __typeof__ (((conf_t *) 0)->section) this_t;                                       \
        static const conf_key_t keys[] = {KEYS (ROW_T, ROW_N, ROW_R, ROW_B, ROW_L)};               \
        return (conf_section_t){                                                                   \
            .name = #section, .help = h, .keys = keys, .n = sizeof keys / sizeof *keys};           \
    }
CONF_SECTIONS (SECTION_FUNCTION)

const conf_section_t *conf_policy_section (void)
{
    typedef conf_policy_t this_t;
    static const conf_key_t keys[] = {CONF_POLICIES (ROW_T, ROW_N, ROW_R, ROW_B, ROW_L)};
    static const conf_section_t section = {.name = "policies",
                                           .help = "the policies of the team by name",
                                           .keys = keys,
                                           .n = sizeof keys / sizeof *keys};
    return &section;
}

#define SECTION_OFFSET(section, KEYS, h) offsetof (conf_t, section),
static const size_t section_offset[] = {CONF_SECTIONS (SECTION_OFFSET)};
#define SECTIONS (sizeof section_offset / sizeof *section_offset)

/*  Filled in at the first call, since a function's result is no constant in C. */
const conf_section_t *conf_sections (size_t *n)
{
    static conf_section_t sections[SECTIONS];
    if (!sections[0].name) {
        size_t i = SECTIONS;
#define SECTION_FILL(section, KEYS, h) sections[SECTIONS - i--] = section##_section ();
        CONF_SECTIONS (SECTION_FILL)
    }
    *n = SECTIONS;
    return sections;
}

const conf_section_t *conf_section (const char *name)
{
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp (sections[i].name, name) == 0)
            return &sections[i];
    return NULL;
}

const conf_key_t *conf_find (const conf_section_t *section, const char *name)
{
    for (size_t i = 0; i < section->n; i++)
        if (strcmp (section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

static size_t table_smallest (size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/*  Levenshtein's edit distance of two short words, with one row of the table at a time; `corner` is
 *  the value above and to the left. Longer ones are not compared. */
static size_t table_distance (const char *a, const char *b)
{
    size_t n = strlen (a), m = strlen (b), row[WORD_MAX + 1];
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = table_smallest (above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[m];
}

/*  A key by its full name, "trainer.lr". A name without a dot is none. */
const conf_key_t *conf_look_up (const char *name, const conf_section_t **section)
{
    size_t n, size = strcspn (name, ".");
    const conf_section_t *sections = conf_sections (&n);
    for (size_t s = 0; name[size] && s < n; s++)
        if (strlen (sections[s].name) == size && strncmp (sections[s].name, name, size) == 0) {
            *section = &sections[s];
            return conf_find (*section, name + size + 1);
        }
    return NULL;
}

/*  What other trainers call the same. */
static const struct {
    const char *theirs, *ours;
} synonyms[] = {{"learning_rate", "trainer.lr"},
                {"batch_size", "trainer.groups"},
                {"max_steps", "trainer.steps"},
                {"num_steps", "trainer.steps"},
                {"epochs", "trainer.steps"},
                {"num_generations", "trainer.group_size"},
                {"lr_scheduler", "trainer.schedule"},
                {"warmup_steps", "trainer.warmup"},
                {"weight_decay", "trainer.decay"},
                {"max_grad_norm", "trainer.clip_norm"},
                {"grad_clip", "trainer.clip_norm"},
                {"temp", "trainer.temperature"},
                {"algorithm", "loss.type"},
                {"beta", "loss.kl"},
                {"kl_coef", "loss.kl"},
                {"epsilon", "loss.clip_low"},
                {"epsilon_high", "loss.clip_high"},
                {"max_new_tokens", "task.max_tokens"},
                {"max_completion_length", "task.max_tokens"},
                {"dataset", "task.path"},
                {"model_name", "model.path"},
                {"precision", "model.compute"},
                {"dtype", "model.compute"},
                {"scorer", "reward.command"}};

/*  The nearest of our own names, in the section or in the list of sections; "" when none is near:
 *  at most a third of the word may differ (two letters of a short one). */
static const char *table_nearest (const conf_section_t *section, const char *name)
{
    size_t n, least = strlen (name) / 3; /* more is a guess at random */
    const conf_section_t *sections = conf_sections (&n);
    const char *best = "";
    least = (least < 2 ? 2 : least) + 1;
    if (section)
        n = section->n;
    for (size_t i = 0; i < n; i++) {
        const char *known = section ? section->keys[i].name : sections[i].name;
        size_t d = table_distance (name, known);
        if (d < least) {
            least = d;
            best = known;
        }
    }
    return best;
}

/*  Synonyms first, then a key of that name in another section, then a likely slip of the pen. */
void conf_suggest (const conf_section_t *section, const char *name, buf_t *text)
{
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    const char *near = table_nearest (section, name);
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (strcmp (synonyms[i].theirs, name) == 0) {
            buf_printf (text, "; did you mean %s?", synonyms[i].ours);
            return;
        }
    for (size_t s = 0; s < n; s++)
        if (conf_find (&sections[s], name)) {
            buf_printf (text, "; did you mean %s.%s?", sections[s].name, name);
            return;
        }
    if (*near)
        buf_printf (text, "; did you mean %s%s%s?", section ? section->name : "",
                    section ? "." : "", near);
}

/*  Keys are counted through all sections: the place of one in conf_t's `where`. */
size_t conf_index (const conf_section_t *section, const conf_key_t *key)
{
    size_t n, at = 0;
    for (const conf_section_t *s = conf_sections (&n); s < section; s++)
        at += s->n;
    /* A key of another section is a caller's bug, and would be counted as some other key. */
    assert (key >= section->keys && key < section->keys + section->n);
    return at + (size_t) (key - section->keys);
}

/*  Where the section's struct lies in conf_t. */
static void *table_base (conf_t *conf, const conf_section_t *section)
{
    size_t n;
    return (char *) conf + section_offset[section - conf_sections (&n)];
}

/*  choices: "a|b|c". The word must end where the choice does: "lin" is not "linear". */
static bool table_is_choice (const char *choices, const char *text)
{
    size_t size = strlen (text);
    for (const char *at = choices, *end; at; at = end ? end + 1 : NULL) {
        end = strchr (at, '|');
        if (strncmp (at, text, size) == 0 && (at[size] == '|' || at[size] == 0))
            return true;
    }
    return false;
}

/*  The old value stays when the new one is wrong. */
static int table_set_text (char **to, const conf_key_t *key, const char *text, err_t *err)
{
    if (key->choices && !table_is_choice (key->choices, text))
        return err_set (err, ERR_CONFIG, "'%s' is none of %s (%s)", text, key->choices, key->help);
    char *copy = strdup (text);
    if (!copy)
        return err_set (err, ERR_LIMIT, "no memory");
    free (*to);
    *to = copy;
    return 0;
}

/*  Leaves an empty list, which can be filled again. */
static void table_list_free (conf_list_t *list)
{
    for (size_t i = 0; i < list->n; i++)
        free (list->item[i]);
    list->n = 0;
}

/*  One item of a list: a word, or a text in double quotes as conf_print writes it, with \n, \t,
 *  \xHH and \ before any other character. Moves *at behind it. */
static int table_read_item (const char **at, const char *end, buf_t *item, err_t *err)
{
    const char *from = *at;
    if (*from != '"') {
        size_t size = strcspn (from, " ,]");
        buf_append (item, from, size);
        *at = from + size;
        return memchr (from, '[', size) || memchr (from, '"', size) || memchr (from, '\'', size)
                   ? err_set (err, ERR_CONFIG, "'%s' is no list such as [aux, main]", from)
                   : 0;
    }
    for (from++; from < end && *from != '"'; from++) {
        unsigned code;
        if (*from != '\\')
            buf_char (item, *from);
        /* A 0 byte would end the text, so \x00 is no escape. */
        else if (*++from == 'x' && sscanf (from + 1, "%2x", &code) == 1 && code && from + 2 < end) {
            buf_char (item, (char) code);
            from += 2;
        } else {
            buf_char (item, (char) (*from == 'n' ? '\n' : *from == 't' ? '\t' : *from));
        }
    }
    if (from >= end)
        return err_set (err, ERR_CONFIG, "%s: the closing \" is missing", *at);
    *at = from + 1;
    return 0;
}

/*  "aux main", "aux, main" or "[aux, main]"; what holds blanks or commas stands in double quotes.
 *  The old items are gone even when the new ones are wrong, as the caller then gives up the whole
 *  configuration. */
static int table_set_list (conf_list_t *list, const char *text, err_t *err)
{
    const char *end = text + strlen (text), *from = text + strspn (text, " ");
    while (end > from && end[-1] == ' ')
        end--;
    bool opens = *from == '[', closes = end > from && end[-1] == ']';
    if (opens != closes)
        return err_set (err, ERR_CONFIG, "'%s' is no list such as [aux, main]", text);
    table_list_free (list);
    /* Brackets around the words are allowed, as YAML has them. */
    const char *at = from + opens;
    end -= closes;
    while ((at += strspn (at, " ,")) < end) {
        buf_t item = {0};
        if (list->n == CONF_LIST_MAX)
            return err_set (err, ERR_CONFIG, "more than %d items", CONF_LIST_MAX);
        int rc = table_read_item (&at, end, &item, err);
        if (rc == 0 && item.size == 0)
            rc = err_set (err, ERR_CONFIG, "'%s' has an item without a text", text);
        list->item[list->n] = buf_take (&item);
        /* Counted before the checks, so that a refused item is freed with the others. */
        if (!list->item[list->n++])
            return err_set (err, ERR_LIMIT, "no memory");
        if (rc != 0)
            return -1;
    }
    return 0;
}

/*  Stricter than strtod: no blanks, no trailing letters, and whole numbers may be written as 1e3.
 *  Bounds of whole numbers are at most 2^53, up to which a double holds each of them. */
static int table_set_number (void *to, const conf_key_t *key, const char *text, err_t *err)
{
    char *end;
    errno = 0;
    double number = strtod (text, &end);
    bool whole = key->kind == CONF_WHOLE;
    /* strtod would take "inf", " 1" and "0x10"; the first two are refused. */
    if (end == text || *end || errno == ERANGE || !isfinite (number) || isspace ((int) *text) ||
        (whole && number != floor (number)))
        return err_set (err, ERR_CONFIG, "'%s' is no %s number", text, whole ? "whole" : "real");
    if (number < key->low || number > key->high)
        return err_set (err, ERR_CONFIG, "%s is not between %.10g and %.10g", text, key->low,
                        key->high);
    if (whole)
        *(int64_t *) to = (int64_t) number;
    else
        *(double *) to = number;
    return 0;
}

/*  The two words that conf_print writes, and none of YAML's others (yes, on). */
static int table_set_bool (bool *to, const char *text, err_t *err)
{
    bool yes = strcmp (text, "true") == 0;
    if (!yes && strcmp (text, "false") != 0)
        return err_set (err, ERR_CONFIG, "'%s' is neither true nor false", text);
    *to = yes;
    return 0;
}

/*  The key's kind says what type lies there. */
int conf_set_at (void *base, const conf_key_t *key, const char *text, err_t *err)
{
    void *to = (char *) base + key->offset;
    return key->kind == CONF_TEXT   ? table_set_text (to, key, text, err)
           : key->kind == CONF_LIST ? table_set_list (to, text, err)
           : key->kind == CONF_BOOL ? table_set_bool (to, text, err)
                                    : table_set_number (to, key, text, err);
}

/*  Remembers where the value was given, for errors and for conf_given. */
int conf_set (conf_t *conf, const conf_section_t *section, const conf_key_t *key, const char *text,
              const char *where, err_t *err)
{
    if (conf_set_at (table_base (conf, section), key, text, err) != 0)
        return err_wrap (err, "%s: %s.%s", where, section->name, key->name);
    /* Whoever set the key last is named: an override takes the place of a line of the file. */
    char **given = &conf->where[conf_index (section, key)];
    free (*given);
    *given = strdup (where);
    return *given ? 0 : err_set (err, ERR_LIMIT, "no memory");
}

/*  A list's default goes the way of the user's, so that both are read by the same rules. */
static int table_set_default (conf_t *conf, const conf_section_t *section, const conf_key_t *key)
{
    void *to = (char *) table_base (conf, section) + key->offset;
    switch (key->kind) {
    case CONF_TEXT:
        return (*(char **) to = strdup (key->text)) ? 0 : -1;
    case CONF_LIST:
        return table_set_list (to, key->text, NULL);
    case CONF_WHOLE:
        *(int64_t *) to = (int64_t) key->number;
        return 0;
    case CONF_REAL:
        *(double *) to = key->number;
        return 0;
    case CONF_BOOL:
        *(bool *) to = key->number > 0;
        return 0;
    }
    return -1;
}

conf_t *conf_defaults (void)
{
    /* Zeros, so that conf_destroy can take back what was made when memory runs out midway. */
    conf_t *conf = calloc (1, sizeof *conf);
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    int rc = conf ? 0 : -1;
    for (size_t s = 0; s < n; s++)
        for (size_t k = 0; rc == 0 && k < sections[s].n; k++)
            rc = table_set_default (conf, &sections[s], &sections[s].keys[k]);
    if (rc != 0)
        conf_destroy (&conf);
    return conf;
}

void conf_free_at (void *base, const conf_section_t *section)
{
    for (size_t k = 0; k < section->n; k++) {
        void *at = (char *) base + section->keys[k].offset;
        if (section->keys[k].kind == CONF_TEXT)
            free (*(char **) at);
        else if (section->keys[k].kind == CONF_LIST)
            table_list_free (at);
    }
}

/*  Also of a conf_t that is half made: every pointer in it is NULL or its own. */
void conf_destroy (conf_t **conf)
{
    if (!*conf)
        return;
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    for (size_t s = 0; s < n; s++)
        conf_free_at (table_base (*conf, &sections[s]), &sections[s]);
    for (size_t k = 0; k < CONF_KEYS; k++)
        free ((*conf)->where[k]);
    conf_free_seats (*conf);
    conf_free_policies (*conf);
    free ((*conf)->protocol);
    free ((*conf)->grade);
    free ((*conf)->file);
    free (*conf);
    *conf = NULL;
}
