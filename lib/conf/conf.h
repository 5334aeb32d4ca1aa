/*  conf - one experiment's configuration: a YAML file, overrides, checks before anything starts.
 *
 *      conf_t *conf = conf_load ("deploy/config/coding.yml", overrides, n, &err);
 *      conf->trainer.lr ...                       fields are generated from keys.h
 *      conf_print (conf, &text);
 *      conf_destroy (&conf);
 *
 *  An unknown key, a wrong type, a value out of range, a missing file: an error with file, line and key.
 *  Relative paths in a file (model.path, model.adapter_path, task.path) are relative to the working directory, else to the
 *  file's own folder.
 */
#ifndef QUINTET_CONF_CONF_H
#define QUINTET_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/keys.h"

#define CONF_LIST_MAX 8

typedef struct {
    char *item[CONF_LIST_MAX];
    size_t n;
} conf_list_t;

#define CONF_T(key, ...) char *key;
#define CONF_N(key, ...) int64_t key;
#define CONF_R(key, ...) double key;
#define CONF_B(key, ...) bool key;
#define CONF_L(key, ...) conf_list_t key;
#define CONF_S(section, KEYS, help)                                                                \
    struct {                                                                                       \
        KEYS (CONF_T, CONF_N, CONF_R, CONF_B, CONF_L)                                              \
    } section;
typedef struct {
    CONF_SECTIONS (CONF_S)
} conf_t;
#undef CONF_T
#undef CONF_N
#undef CONF_R
#undef CONF_B
#undef CONF_L
#undef CONF_S

/*  overrides: "section.key=value" words, applied after the file, errors name them. path NULL: defaults
 *  and overrides only. Also checks what needs several keys (roles named, G > 1 for scale group, critic
 *  keys only with a critic: an inapplicable key is an error). */
conf_t *conf_load (const char *path, const char *const *overrides, size_t n, err_t *err);
/*  From text in memory (a run's record); name stands for the file in errors. */
conf_t *conf_parse (const char *text, size_t size, const char *name, const char *const *overrides,
                    size_t n, err_t *err);
void conf_destroy (conf_t **conf);

/*  Whether all roles use one policy; the name of the policy of a role: "shared", or the role's. */
bool conf_shares (const conf_t *conf);
const char *conf_policy (const conf_t *conf, size_t role);

/*  The whole resolved configuration as YAML that conf_parse reads back to the same; with help: each key's
 *  help as a comment. */
void conf_print (const conf_t *conf, bool help, buf_t *text);
/*  Whether the same seed gives the same weights: not with a scorer of the user's own, which may answer as it likes. */
bool conf_reproducible (const conf_t *conf);

/*  The objective in force, as formulas: reward, advantage, loss, one line each; and "reproducible: no" where
 *  that is so. */
void conf_objective (const conf_t *conf, buf_t *text);

#endif
