/*  plan - see plan.h */
#include "plan.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "../check/check.h"
#include "base/fs.h"

#define PLAN_FILE_MAX    ((size_t) 1 << 20)
#define PLAN_CLOCK_TASKS 60
#define PLAN_CLOCK_MAX   100000.0

/*  A node of the file, under the name that errors have for it. */
typedef struct {
    yaml_document_t *document;
    plan_t *plan;
    yaml_node_t *node;
    size_t line;   /* of its key, or its own */
    char key[160]; /* "arms.team.set" */
    err_t *err;
} plan_node_t;

static int plan_refuse (const plan_node_t *at, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));

static int plan_refuse (const plan_node_t *at, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    return err_set (at->err, ERR_CONFIG, "%s:%zu: %s%s%.700s", at->plan->file, at->line, at->key,
                    *at->key ? ": " : "", text);
}

/*  ---- values --------------------------------------------------------------------------------- */

static const char *plan_scalar (const yaml_node_t *node)
{
    const char *text = (const char *) node->data.scalar.value;
    return node->type == YAML_SCALAR_NODE && strlen (text) == node->data.scalar.length ? text
                                                                                       : NULL;
}

static int plan_read_text (const plan_node_t *at, char **to)
{
    const char *text = plan_scalar (at->node);
    if (!text || !*text)
        return plan_refuse (at, "a text is wanted");
    free (*to);
    *to = strdup (text);
    return *to ? 0 : err_set (at->err, ERR_LIMIT, "no memory");
}

/*  Names become folders, topics and parts of run ids. */
static int plan_read_name (const plan_node_t *at, char **to)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (plan_read_text (at, to) != 0)
        return -1;
    size_t n = strlen (*to);
    return n <= 40 && strspn (*to, letters) == n
               ? 0
               : plan_refuse (at, "'%s': up to 40 letters, digits, dashes and underscores", *to);
}

static int plan_read_number (const plan_node_t *at, double low, double high, bool whole,
                             double *number)
{
    const char *text = plan_scalar (at->node);
    char *end = NULL;
    errno = 0;
    *number = text ? strtod (text, &end) : NAN;
    if (!text || end == text || *end || errno || !isfinite (*number) || isspace ((int) *text) ||
        (whole && *number != floor (*number)))
        return plan_refuse (at, "a%s number is wanted", whole ? " whole" : "");
    return *number >= low && *number <= high
               ? 0
               : plan_refuse (at, "%s is not between %.16g and %.16g", text, low, high);
}

static int plan_read_whole (const plan_node_t *at, double high, size_t *to)
{
    double number;
    if (plan_read_number (at, 0, high, true, &number) != 0)
        return -1;
    *to = (size_t) number;
    return 0;
}

static int plan_read_bool (const plan_node_t *at, bool *to)
{
    const char *text = plan_scalar (at->node);
    *to = text && strcmp (text, "true") == 0;
    return *to || (text && strcmp (text, "false") == 0)
               ? 0
               : plan_refuse (at, "true or false is wanted");
}

/*  A part's name is the scorer's own; any other word that no episode has would be found out when
 *  all arms have run. */
static int plan_read_quality (const plan_node_t *at, char **to)
{
    if (plan_read_text (at, to) != 0)
        return -1;
    return strcmp (*to, "success") == 0 || strcmp (*to, "quality") == 0 ||
                   strcmp (*to, "agreement") == 0 || strncmp (*to, "part/", 5) == 0
               ? 0
               : plan_refuse (at, "'%s' is none of success, quality, agreement, part/NAME", *to);
}

/*  The items of a list one after the other; a scalar is none. */
static int plan_each (const plan_node_t *at, int (*item) (const plan_node_t *at, void *context),
                      void *context)
{
    if (at->node->type != YAML_SEQUENCE_NODE)
        return plan_refuse (at, "a list is wanted, such as [a, b]");
    for (yaml_node_item_t *i = at->node->data.sequence.items.start;
         i < at->node->data.sequence.items.top; i++) {
        plan_node_t below = *at;
        below.node = yaml_document_get_node (at->document, *i);
        below.line = below.node->start_mark.line + 1;
        if (item (&below, context) != 0)
            return -1;
    }
    return 0;
}

/*  The pairs of a mapping; each key is a word and stands there once. */
static int plan_each_pair (const plan_node_t *at,
                           int (*pair) (const plan_node_t *at, const char *key, void *context),
                           void *context)
{
    if (at->node->type != YAML_MAPPING_NODE)
        return plan_refuse (at, "lines of  key: value  are wanted");
    yaml_node_pair_t *start = at->node->data.mapping.pairs.start;
    for (yaml_node_pair_t *p = start; p < at->node->data.mapping.pairs.top; p++) {
        plan_node_t below = *at;
        yaml_node_t *key = yaml_document_get_node (at->document, p->key);
        const char *name = plan_scalar (key);
        below.line = key->start_mark.line + 1;
        if (!name)
            return plan_refuse (&below, "a key is a word");
        snprintf (below.key, sizeof below.key, "%.80s%s%.60s", at->key, *at->key ? "." : "", name);
        for (yaml_node_pair_t *q = start; q < p; q++) {
            const char *other = plan_scalar (yaml_document_get_node (at->document, q->key));
            if (other && strcmp (other, name) == 0)
                return plan_refuse (&below, "given twice");
        }
        below.node = yaml_document_get_node (at->document, p->value);
        if (pair (&below, name, context) != 0)
            return -1;
    }
    return 0;
}

typedef struct {
    char **set;
    size_t *n;
} plan_sets_t;

/*  Every arm has every seed: one set beside them would be shown, and not count. */
static bool plan_sets_seed (const char *set)
{
    return strncmp (set, "run.seed=", 9) == 0;
}

static int plan_add_set (const plan_node_t *at, void *context)
{
    const plan_sets_t *to = context;
    if (*to->n == PLAN_SETS_MAX)
        return plan_refuse (at, "more than %d of them", PLAN_SETS_MAX);
    to->set[*to->n] = NULL;
    char **set = &to->set[(*to->n)++];
    if (plan_read_text (at, set) != 0)
        return -1;
    return plan_sets_seed (*set) ? plan_refuse (at, "run.seed is what seeds: says, for every arm")
                                 : 0;
}

static int plan_add_seed (const plan_node_t *at, void *context)
{
    plan_t *plan = context;
    size_t seed;
    if (plan->seeds_n == PLAN_SEEDS_MAX)
        return plan_refuse (at, "more than %d of them", PLAN_SEEDS_MAX);
    if (plan_read_whole (at, 9e15, &seed) != 0)
        return -1;
    for (size_t i = 0; i < plan->seeds_n; i++)
        if (plan->seeds[i] == seed)
            return plan_refuse (at, "%zu is given twice", seed);
    plan->seeds[plan->seeds_n++] = seed;
    return 0;
}

/*  A path is meant beside the file, or, where nothing is there, from where one is. */
static int plan_read_path (const plan_node_t *at, char **to)
{
    const char *file = at->plan->file, *slash = strrchr (file, '/');
    char folder[FS_PATH_MAX], joined[FS_PATH_MAX];
    if (plan_read_text (at, to) != 0)
        return -1;
    snprintf (folder, sizeof folder, "%.*s", (int) (slash ? slash - file : 0), file);
    if (slash && fs_join (joined, folder, *to, at->err) != 0)
        return -1;
    if (slash && fs_exists (joined)) {
        free (*to);
        *to = strdup (joined);
    }
    if (!*to || !fs_exists (*to))
        return plan_refuse (at, "%s is not there", *to ? *to : "it");
    return 0;
}

/*  ---- arms ----------------------------------------------------------------------------------- */

static const plan_arm_t *plan_find (const plan_t *plan, const char *name)
{
    for (size_t i = 0; i < plan->arms_n; i++)
        if (strcmp (plan->arms[i].name, name) == 0)
            return &plan->arms[i];
    return NULL;
}

/*  "ARM" or "ARM/POLICY". The arm stands above, so that it runs before. */
static int plan_add_weights (const plan_node_t *at, const char *policy, plan_arm_t *arm)
{
    char name[64];
    const char *text = plan_scalar (at->node), *slash = text ? strchr (text, '/') : NULL;
    if (!text || !*text || arm->weights_n == PLAN_WEIGHTS_MAX)
        return plan_refuse (at, "the name of an arm is wanted, or ARM/POLICY");
    snprintf (name, sizeof name, "%.*s", slash ? (int) (slash - text) : 60, text);
    const plan_arm_t *of = plan_find (at->plan, name);
    /* The one that is being read is the last of them. */
    if (!of || of == arm)
        return plan_refuse (at, "there is no arm '%s' above this one", name);
    if (!of->train)
        return plan_refuse (at, "the arm '%s' learns nothing (train: false)", name);
    plan_weights_t *w = &arm->weights[arm->weights_n++];
    *w = (plan_weights_t){.arm = (size_t) (of - at->plan->arms)};
    w->policy = policy ? strdup (policy) : NULL;
    w->of = slash ? strdup (slash + 1) : NULL;
    return 0;
}

static int plan_add_policy (const plan_node_t *at, const char *key, void *context)
{
    return plan_add_weights (at, key, context);
}

static int plan_read_published (const plan_node_t *at, const char *key, void *context)
{
    double number;
    if (plan_read_number (at, -1e12, 1e12, false, &number) != 0)
        return -1;
    json_object_set_new (context, key, json_real (number));
    return 0;
}

static int plan_read_arm_key (const plan_node_t *at, const char *key, void *context)
{
    plan_arm_t *arm = context;
    plan_sets_t sets = {arm->set, &arm->set_n};
    if (strcmp (key, "title") == 0)
        return plan_read_text (at, &arm->title);
    if (strcmp (key, "base") == 0)
        return plan_read_path (at, &arm->base);
    if (strcmp (key, "set") == 0)
        return plan_each (at, plan_add_set, &sets);
    if (strcmp (key, "train") == 0)
        return plan_read_bool (at, &arm->train);
    if (strcmp (key, "compare_to") == 0)
        return plan_read_name (at, &arm->compare_to);
    if (strcmp (key, "weights") == 0)
        return at->node->type == YAML_MAPPING_NODE ? plan_each_pair (at, plan_add_policy, arm)
                                                   : plan_add_weights (at, NULL, arm);
    if (strcmp (key, "published") == 0)
        return plan_each_pair (at, plan_read_published, arm->published = json_object ());
    return plan_refuse (at, "no such key: an arm has title, base, set, train, weights, compare_to, "
                            "published");
}

static int plan_read_arm (const plan_node_t *at, const char *key, void *context)
{
    plan_t *plan = context;
    plan_node_t name = *at;
    yaml_node_t word = {.type = YAML_SCALAR_NODE};
    if (plan->arms_n == PLAN_ARMS_MAX)
        return plan_refuse (at, "more than %d arms", PLAN_ARMS_MAX);
    plan_arm_t *arm = &plan->arms[plan->arms_n++];
    *arm = (plan_arm_t){.train = true, .line = at->line};
    word.data.scalar.value = (yaml_char_t *) (uintptr_t) key;
    word.data.scalar.length = strlen (key);
    name.node = &word;
    return plan_read_name (&name, &arm->name) == 0 ? plan_each_pair (at, plan_read_arm_key, arm)
                                                   : -1;
}

/*  ---- the file ------------------------------------------------------------------------------- */

static int plan_read_key (const plan_node_t *at, const char *key, void *context)
{
    plan_t *plan = context;
    plan_sets_t sets = {plan->set, &plan->set_n};
    if (strcmp (key, "name") == 0)
        return plan_read_name (at, &plan->name);
    if (strcmp (key, "base") == 0)
        return plan_read_path (at, &plan->base);
    if (strcmp (key, "seeds") == 0)
        return plan_each (at, plan_add_seed, plan);
    if (strcmp (key, "set") == 0)
        return plan_each (at, plan_add_set, &sets);
    if (strcmp (key, "budget_tokens") == 0)
        return plan_read_whole (at, 9e15, &plan->budget_tokens);
    if (strcmp (key, "clock_tasks") == 0)
        return plan_read_whole (at, PLAN_CLOCK_MAX, &plan->clock_tasks);
    if (strcmp (key, "quality") == 0)
        return plan_read_quality (at, &plan->quality);
    if (strcmp (key, "arms") == 0)
        return plan_each_pair (at, plan_read_arm, plan);
    const struct {
        const char *key;
        char **to;
    } texts[] = {{"title", &plan->title},
                 {"relative_to", &plan->relative_to},
                 {"published", &plan->published}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp (key, texts[i].key) == 0)
            return plan_read_text (at, texts[i].to);
    return plan_refuse (at, "no such key: there are name, title, base, seeds, set, budget_tokens, "
                            "quality, relative_to, clock_tasks, published, arms");
}

/*  What was left out, and names that must be those of arms. */
static int plan_complete (const plan_node_t *at)
{
    plan_t *plan = at->plan;
    const char *slash = strrchr (plan->file, '/'), *base = slash ? slash + 1 : plan->file;
    if (plan->arms_n == 0)
        return plan_refuse (at, "arms: none is given");
    if (!plan->name)
        plan->name = strndup (base, strcspn (base, "."));
    if (!plan->title)
        plan->title = strdup (plan->name);
    if (!plan->quality)
        plan->quality = strdup ("success");
    if (!plan->relative_to)
        plan->relative_to = strdup (plan->arms[0].name);
    if (plan->seeds_n == 0)
        plan->seeds[plan->seeds_n++] = 1;
    if (!plan->name || !plan->title || !plan->quality || !plan->relative_to)
        return err_set (at->err, ERR_LIMIT, "no memory");
    if (!plan_find (plan, plan->relative_to))
        return plan_refuse (at, "relative_to: there is no arm '%s'", plan->relative_to);
    for (size_t i = 0; i < plan->arms_n; i++) {
        plan_arm_t *arm = &plan->arms[i];
        if (!arm->title)
            arm->title = strdup (arm->name);
        if (!arm->base && plan->base)
            arm->base = strdup (plan->base);
        if (!arm->base)
            return err_set (at->err, ERR_CONFIG,
                            "%s:%zu: arms.%s.base: a configuration is wanted, here or for all",
                            plan->file, arm->line, arm->name);
        if (arm->compare_to && !plan_find (plan, arm->compare_to))
            return err_set (at->err, ERR_CONFIG, "%s:%zu: arms.%s.compare_to: there is no arm '%s'",
                            plan->file, arm->line, arm->name, arm->compare_to);
    }
    return 0;
}

static int plan_parse (plan_t *plan, err_t *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize (&parser))
        return err_set (err, ERR_LIMIT, "no memory");
    yaml_parser_set_input_string (&parser, (const unsigned char *) plan->text.data,
                                  plan->text.size);
    int rc = -1;
    if (!yaml_parser_load (&parser, &document)) {
        err_set (err, ERR_CONFIG, "%s:%zu: %s", plan->file, parser.problem_mark.line + 1,
                 parser.problem ? parser.problem : "not YAML");
    } else {
        plan_node_t root = {.document = &document, .plan = plan, .line = 1, .err = err};
        root.node = yaml_document_get_root_node (&document);
        if (!root.node)
            err_set (err, ERR_CONFIG, "%s: nothing is in it", plan->file);
        else if (plan_each_pair (&root, plan_read_key, plan) == 0)
            rc = plan_complete (&root);
        yaml_document_delete (&document);
    }
    yaml_parser_delete (&parser);
    return rc;
}

plan_t *plan_load (const char *path, err_t *err)
{
    plan_t *plan = calloc (1, sizeof *plan);
    if (!plan || !(plan->file = strdup (path))) {
        free (plan);
        err_set (err, ERR_LIMIT, "no memory for an experiment");
        return NULL;
    }
    plan->clock_tasks = PLAN_CLOCK_TASKS;
    buf_text (&plan->text, "");
    int rc = fs_read (path, PLAN_FILE_MAX, &plan->text, err);
    if (rc == 0)
        rc = plan_parse (plan, err);
    else if (err)
        err->code = ERR_CONFIG;
    if (rc != 0)
        plan_destroy (&plan);
    return plan;
}

static void plan_free_arm (plan_arm_t *arm)
{
    for (size_t i = 0; i < arm->set_n; i++)
        free (arm->set[i]);
    for (size_t i = 0; i < arm->weights_n; i++) {
        free (arm->weights[i].policy);
        free (arm->weights[i].of);
    }
    free (arm->name);
    free (arm->title);
    free (arm->base);
    free (arm->compare_to);
    json_decref (arm->published);
}

void plan_destroy (plan_t **self)
{
    plan_t *plan = *self;
    if (!plan)
        return;
    char *texts[] = {plan->file,    plan->name,        plan->title,    plan->base,
                     plan->quality, plan->relative_to, plan->published};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts[i]);
    for (size_t i = 0; i < plan->set_n; i++)
        free (plan->set[i]);
    for (size_t i = 0; i < plan->arms_n; i++)
        plan_free_arm (&plan->arms[i]);
    buf_free (&plan->text);
    free (plan);
    *self = NULL;
}

void plan_count_seeds (plan_t *plan, size_t n)
{
    n = n < PLAN_SEEDS_MAX ? n : PLAN_SEEDS_MAX;
    for (; plan->seeds_n < n; plan->seeds_n++)
        plan->seeds[plan->seeds_n] = plan->seeds[plan->seeds_n - 1] + 1;
    plan->seeds_n = n;
}

int plan_set (plan_t *plan, const char *const *sets, size_t n, err_t *err)
{
    for (size_t i = 0; i < n; i++) {
        if (plan->set_n == PLAN_SETS_MAX)
            return err_set (err, ERR_CONFIG, "--set %.200s: more than %d of them, with the file's",
                            sets[i], PLAN_SETS_MAX);
        if (plan_sets_seed (sets[i]))
            return err_set (err, ERR_CONFIG,
                            "--set %.200s: run.seed is what seeds: says in %s, for every arm",
                            sets[i], plan->file);
        if (!(plan->set[plan->set_n] = strdup (sets[i])))
            return err_set (err, ERR_LIMIT, "no memory for --set");
        plan->set_n++;
    }
    return 0;
}

/*  ---- an arm's configuration ----------------------------------------------------------------- */

char **plan_words (const plan_t *plan, const plan_arm_t *arm, uint64_t seed, size_t *n)
{
    char **words = calloc (2 * PLAN_SETS_MAX + 8, sizeof *words), more[5][160];
    size_t more_n = 0;
    *n = 0;
    /* An arm is one trainer: what another one would be compared with is an arm of its own. */
    snprintf (more[more_n++], sizeof *more, "run.baseline=none");
    snprintf (more[more_n++], sizeof *more, "run.name=%.40s-%.40s-s%llu", plan->name, arm->name,
              (unsigned long long) seed);
    snprintf (more[more_n++], sizeof *more, "run.seed=%llu", (unsigned long long) seed);
    if (!arm->train)
        snprintf (more[more_n++], sizeof *more, "trainer.steps=0");
    else if (plan->budget_tokens)
        snprintf (more[more_n++], sizeof *more, "trainer.budget_tokens=%zu", plan->budget_tokens);
    for (size_t i = 0; words && i < plan->set_n; i++)
        words[(*n)++] = strdup (plan->set[i]);
    for (size_t i = 0; words && i < arm->set_n; i++)
        words[(*n)++] = strdup (arm->set[i]);
    for (size_t i = 0; words && i < more_n; i++)
        words[(*n)++] = strdup (more[i]);
    return words;
}

conf_t *plan_conf (const plan_t *plan, const plan_arm_t *arm, uint64_t seed, err_t *err)
{
    size_t n;
    char **words = plan_words (plan, arm, seed, &n);
    conf_t *conf = words ? conf_load (arm->base, (const char *const *) words, n, err) : NULL;
    for (size_t i = 0; i < n; i++)
        free (words[i]);
    free (words);
    if (!conf && err)
        err_wrap (err, "%s:%zu: arms.%s", plan->file, arm->line, arm->name);
    return conf;
}

int plan_check (const plan_t *plan, const plan_arm_t *arm, err_t *err)
{
    check_t check = {0};
    conf_t *conf = plan_conf (plan, arm, plan->seeds[0], err);
    if (!conf)
        return -1;
    int rc = check_run (&check, conf, false, err);
    check_free (&check);
    conf_destroy (&conf);
    return rc == 0 ? 0 : err_wrap (err, "%s:%zu: arms.%s", plan->file, arm->line, arm->name);
}
