/*  compare - whether a run may go on under another configuration. See conf.h */
#include <string.h>

#include "base/fs.h"
#include "conf/table.h"

/*  What weights do not follow from: how many processes work, how often is saved, how is evaluated.
 *  The learning rate follows from trainer.steps, but only from the next step on: a run may be made
 *  longer. */
static const char *const free_keys[] = {"run.name",
                                        "run.agents",
                                        "run.environments",
                                        "run.rewards",
                                        "run.threads",
                                        "run.timeout_s",
                                        "run.lost_share",
                                        "run.baseline",
                                        "run.completions_mb",
                                        "reward.workers",
                                        "reward.command_s",
                                        "task.program_s",
                                        "task.workers",
                                        "judge.url",
                                        "judge.key_env",
                                        "judge.seconds",
                                        "trainer.steps",
                                        "trainer.budget_tokens",
                                        "evaluation.every",
                                        "trainer.checkpoint_every",
                                        "trainer.checkpoints_kept",
                                        "evaluation.tasks",
                                        "evaluation.samples",
                                        "evaluation.temperature",
                                        "evaluation.top_k",
                                        "evaluation.top_p",
                                        "evaluation.min_p",
                                        "evaluation.repetition_penalty",
                                        "evaluation.stop",
                                        "trainer.activations_mb"};

/*  Compared in two parts, so that the whole name need not be put together for every key. */
static bool conf_compare_is_free (const conf_section_t *section, const conf_key_t *key)
{
    size_t n = strlen (section->name);
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strncmp (free_keys[i], section->name, n) == 0 && free_keys[i][n] == '.' &&
            strcmp (free_keys[i] + n + 1, key->name) == 0)
            return true;
    return false;
}

/*  One line per key, in the order of keys.h: two configurations with the same essence train the
 *  same weights. */
void conf_essence (const conf_t *conf, buf_t *text)
{
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    for (size_t s = 0; s < n; s++)
        for (size_t k = 0; k < sections[s].n; k++) {
            const conf_key_t *key = &sections[s].keys[k];
            if (conf_compare_is_free (&sections[s], key))
                continue;
            buf_printf (text, "%s.%s: ", sections[s].name, key->name);
            conf_print_value (conf, &sections[s], key, text);
            buf_char (text, '\n');
        }
    conf_print_policies (conf, CONF_ROWS_ESSENCE, text);
}

/*  What was given of policies, on one line. */
static void conf_compare_policies (const conf_t *conf, conf_rows_t what, buf_t *text)
{
    buf_t section = {0};
    conf_print_policies (conf, what, &section);
    const char *rows = section.data ? strchr (section.data, '\n') : NULL; /* behind its name */
    buf_text (text, rows ? rows + 1 : "");
    for (size_t i = 0; i < text->size; i++)
        if (text->data[i] == '\n')
            text->data[i] = ' ';
    buf_free (&section);
}

/*  Appends to list how conf differs from other, key by key; leave: of keys that do not count; rows:
 *  of policies. -1: no memory. */
static int conf_compare_keys (
    const conf_t *conf, const conf_t *other,
    bool (*leave) (const conf_section_t *, const conf_key_t *), conf_rows_t rows,
    void (*tell) (const char *name, const char *ours, const char *theirs, buf_t *list), buf_t *list)
{
    buf_t name = {0}, ours = {0}, theirs = {0};
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    for (size_t s = 0; s < n; s++)
        for (size_t k = 0; k < sections[s].n; k++) {
            const conf_key_t *key = &sections[s].keys[k];
            if (leave (&sections[s], key))
                continue;
            buf_clear (&name);
            buf_clear (&ours);
            buf_clear (&theirs);
            buf_printf (&name, "%s.%s", sections[s].name, key->name);
            conf_print_value (conf, &sections[s], key, &ours);
            conf_print_value (other, &sections[s], key, &theirs);
            if (name.data && ours.data && theirs.data && strcmp (ours.data, theirs.data) != 0)
                tell (name.data, ours.data, theirs.data, list);
        }
    buf_clear (&ours);
    buf_clear (&theirs);
    conf_compare_policies (conf, rows, &ours);
    conf_compare_policies (other, rows, &theirs);
    if (ours.data && theirs.data && strcmp (ours.data, theirs.data) != 0)
        tell ("policies", ours.data, theirs.data, list);
    bool failed =
        buf_failed (&name) || buf_failed (&ours) || buf_failed (&theirs) || buf_failed (list);
    buf_free (&name);
    buf_free (&ours);
    buf_free (&theirs);
    return failed ? -1 : 0;
}

/*  A run's name says where it was written, and nothing about it. */
static bool conf_compare_is_name (const conf_section_t *section, const conf_key_t *key)
{
    return strcmp (section->name, "run") == 0 && strcmp (key->name, "name") == 0;
}

static void conf_compare_tell (const char *name, const char *ours, const char *theirs, buf_t *list)
{
    (void) theirs;
    buf_printf (list, "%s%s=%s", list->size ? " " : "", name, ours);
}

void conf_differences (const conf_t *conf, const conf_t *other, buf_t *list)
{
    conf_compare_keys (conf, other, conf_compare_is_name, CONF_ROWS_GIVEN, conf_compare_tell, list);
}

/*  What neither decides who plays what, nor how it is scored. */
static bool conf_compare_is_unplayed (const conf_section_t *section, const conf_key_t *key)
{
    static const char *const played[] = {"team", "task", "model", "reward"};
    for (size_t i = 0; i < sizeof played / sizeof *played; i++)
        if (strcmp (section->name, played[i]) == 0)
            return conf_compare_is_free (section, key);
    return true;
}

void conf_plays_differently (const conf_t *conf, const conf_t *other, buf_t *list)
{
    conf_compare_keys (conf, other, conf_compare_is_unplayed, CONF_ROWS_ESSENCE, conf_compare_tell,
                       list);
}

static void conf_compare_tell_both (const char *name, const char *ours, const char *theirs,
                                    buf_t *list)
{
    buf_printf (list, "%s%s: %s (and not %s)", list->size ? ", " : "", name, theirs, ours);
}

/*  The file is the config.yml that the trainer left in the run's folder. Keys that it lacks, as one
 *  of an earlier version may, count as their defaults. */
int conf_compare (const conf_t *conf, const char *path, err_t *err)
{
    buf_t file = {0}, list = {0};
    conf_t *other = NULL;
    int rc = fs_read (path, (size_t) 1 << 20, &file, err);
    if (rc == 0)
        other = conf_parse (file.data ? file.data : "", file.size, path, NULL, 0, err);
    rc = other ? 0 : -1;
    if (rc == 0 && conf_compare_keys (conf, other, conf_compare_is_free, CONF_ROWS_ESSENCE,
                                      conf_compare_tell_both, &list) != 0)
        rc = err_set (err, ERR_LIMIT, "no memory to compare configurations");
    if (rc == 0 && list.size)
        rc = err_set (err, ERR_CONFIG,
                      "the run was made with %s: --resume with the same, or name another "
                      "folder with --out (%s has all that was in force)",
                      list.data, path);
    conf_destroy (&other);
    buf_free (&file);
    buf_free (&list);
    return rc;
}
