/*  conf - one experiment's configuration: a YAML file, overrides, checks before anything starts.
 *
 *      conf_t *conf = conf_load ("deploy/config/coding.yml", overrides, n, &err);
 *      double lr = conf->trainer.lr;              fields are generated from keys.h
 *      conf_print (conf, false, &printed);
 *      conf_destroy (&conf);
 *
 *  An unknown key, a wrong type, a value out of range, a missing file: an error with file, line
 *  and key. Relative paths in a file (of models, adapters and tasks) are relative to the working
 *  directory, else to the file's own folder.
 */
#ifndef QUINTET_CONF_CONF_H
#define QUINTET_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/keys.h"
#include "task/episode.h"
#include "learn/assign.h"

#define CONF_LIST_MAX 8
/*  The greatest trainer.resample. */
#define CONF_RESAMPLE_MAX 8

typedef struct {
    char *item[CONF_LIST_MAX];
    size_t n;
} conf_list_t;

#define CONF_ONE(key, ...)             +1
#define CONF_EACH(section, KEYS, help) KEYS (CONF_ONE, CONF_ONE, CONF_ONE, CONF_ONE, CONF_ONE)
enum {
    CONF_KEYS = 0 CONF_SECTIONS (CONF_EACH),
    CONF_POLICY_KEYS = 0 CONF_POLICIES (CONF_ONE, CONF_ONE, CONF_ONE, CONF_ONE, CONF_ONE)
};
#undef CONF_ONE
#undef CONF_EACH

/*  What a role is told, in words of the user's own, what it sees, how much it may write, by which
 *  policy it plays, how that draws, and whether its own turns stay before it. */
typedef enum {
    CONF_PROMPT,
    CONF_SYSTEM,
    CONF_SEES,
    CONF_MAX_TOKENS,
    CONF_POLICY,
    CONF_TEMPERATURE,
    CONF_STOP,
    CONF_MEMORY,
    CONF_WORDS
} conf_words_t;

typedef struct {
    char *role;
    char *words[CONF_WORDS]; /* NULL: none are given */
    char *where[CONF_WORDS]; /* they were given, as conf_t's */
    conf_list_t stop;        /* of CONF_STOP */
} conf_seat_t;

#define CONF_T(key, ...) char *key;
#define CONF_N(key, ...) int64_t key;
#define CONF_R(key, ...) double key;
#define CONF_B(key, ...) bool key;
#define CONF_L(key, ...) conf_list_t key;
/*  A row of the table of policies. */
typedef struct {
    char *name;
    CONF_POLICIES (CONF_T, CONF_N, CONF_R, CONF_B, CONF_L)
    char *given; /* where it was named; NULL: it follows from team.policies and `model` */
    char *where[CONF_POLICY_KEYS]; /* each key was given for it alone, as conf_t's */
} conf_policy_t;

#define CONF_S(section, KEYS, help)                                                                \
    struct {                                                                                       \
        KEYS (CONF_T, CONF_N, CONF_R, CONF_B, CONF_L)                                              \
    } section;
typedef struct {
    CONF_SECTIONS (CONF_S)
    conf_seat_t seats[CONF_LIST_MAX]; /* of roles that have words, in no order; see conf_words */
    size_t seats_n;
    conf_policy_t policies[CONF_LIST_MAX];
    size_t policies_n;
    size_t policy_of[CONF_LIST_MAX]; /* by role */
    char *protocol; /* team.protocol or team.turns in full: JSON, "" where all draft in parallel */
    char *grade;    /* the judge section: JSON (task/grade.h), "" where there is none */
    char *file;     /* its name, in errors */
    char *where
        [CONF_KEYS]; /* each key was given: "coding.yml:12", "--set trainer.lr=1"; NULL: nowhere */
} conf_t;
#undef CONF_T
#undef CONF_N
#undef CONF_R
#undef CONF_B
#undef CONF_L
#undef CONF_S

/*  overrides: "section.key=value" words, applied after the file, errors name them. path NULL:
 *  defaults and overrides only. Also checks what needs several keys (roles named, G > 1 for scale
 *  group, critic keys only with a critic: an inapplicable key is an error). */
conf_t *conf_load (const char *path, const char *const *overrides, size_t n, err_t *err);
/*  From text in memory (a run's record); name stands for the file in errors. */
conf_t *conf_parse (const char *text, size_t size, const char *name, const char *const *overrides,
                    size_t n, err_t *err);
/*  Every key's default, which is no whole configuration: nothing is checked. NULL without
 *  memory. */
conf_t *conf_defaults (void);
void conf_destroy (conf_t **conf);

/*  Whether the user gave a key ("trainer.lr"), be it its default. */
bool conf_given (const conf_t *conf, const char *key);
/*  Whether the user gave one that says which tokens evaluations draw from. */
bool conf_samples (const conf_t *conf);
/*  Whether it is not its default. */
bool conf_changed (const conf_t *conf, const char *key);
/*  Sets ERR_CONFIG, "coding.yml:12: trainer.lr TEXT" for a key that was given, "coding.yml:
 *  trainer.lr TEXT" for one that was left out; returns -1. */
int conf_refuse (const conf_t *conf, const char *key, err_t *err, const char *fmt, ...)
    __attribute__ ((format (printf, 4, 5)));
/*  The same for an error that is there: "coding.yml:12: model.path: TEXT". */
int conf_wrap (const conf_t *conf, const char *key, err_t *err);

/*  The policy that a role plays by. */
const conf_policy_t *conf_policy (const conf_t *conf, size_t role);
/*  Whether a server of others plays by it: it is frozen, and has no model, tokenizer or folder. */
bool conf_is_remote (const conf_policy_t *policy);
/*  "URL MODEL" of a remote policy: who is asked, as groups and requests name it. */
void conf_engine (const conf_policy_t *policy, buf_t *text);
/*  What an agent is started with for the remote policies: "URL MODEL KEY_ENV N; ..."; nothing
 *  without one. */
void conf_engines (const conf_t *conf, buf_t *text);
/*  Whether the policies were given by name, in `policies`. */
bool conf_names_policies (const conf_t *conf);
/*  Where the policy of that name was given, or for it alone this key; NULL: nowhere. */
const char *conf_policy_given (const conf_t *conf, const char *name, const char *key);
/*  As conf_refuse and conf_wrap, of a policy's key, such as "path": where it was given for the
 *  policy, or else for all of them. */
int conf_refuse_policy (const conf_t *conf, const conf_policy_t *policy, const char *key,
                        err_t *err, const char *fmt, ...) __attribute__ ((format (printf, 5, 6)));
int conf_wrap_policy (const conf_t *conf, const conf_policy_t *policy, const char *key, err_t *err);
/*  The table of policies, a line each, as YAML: what was given; of that what weights follow from;
 *  or whole rows, and whose they are. */
typedef enum { CONF_ROWS_GIVEN, CONF_ROWS_ESSENCE, CONF_ROWS_WHOLE } conf_rows_t;
void conf_print_policies (const conf_t *conf, conf_rows_t rows, buf_t *text);
/*  Tokens that the single agent of the baseline may write: as many as those whose work it does, two
 *  where the family does not say how many they are. */
size_t conf_alone_tokens (const conf_t *conf);

/*  A role's words, "": it has none. */
const char *conf_words (const conf_t *conf, const char *role, conf_words_t which);
/*  Tokens of a role's longest completion: its own, or task.max_tokens. */
size_t conf_max_tokens (const conf_t *conf, const char *role);
/*  The temperature that a role draws at: its own, or that of all. */
double conf_temperature (const conf_t *conf, const char *role, double all);
/*  Whether a role's earlier prompts and answers stay before it; in how many turns of the team it
 *  speaks at most, 0: a program says. */
bool conf_remembers (const conf_t *conf, const char *role);
size_t conf_turns (const conf_t *conf, const char *role);
/*  The texts that end its completions: its own, or those of all, which may be NULL. */
const conf_list_t *conf_stop (const conf_t *conf, const char *role, const conf_list_t *all);
/*  "coding.yml:12: team.roles.main.system: TEXT", of an error that is there; returns -1. */
int conf_wrap_words (const conf_t *conf, const char *role, conf_words_t which, err_t *err);
/*  What the run's episodes are played under, for these roles; borrowed from the configuration. A
 *  protocol is that of the configuration's own team: other roles all draft in parallel. It points
 *  into itself, so it is not copied. */
typedef struct {
    const char *prompts[EPISODE_ROLES_MAX], *sees[EPISODE_ROLES_MAX];
    episode_limits_t limits;
} conf_episode_t;
void conf_episode (const conf_t *conf, const char *const *roles, size_t n, conf_episode_t *to);

/*  A list's words with something between them. */
void conf_join (const conf_list_t *list, const char *between, buf_t *text);

/*  The whole resolved configuration as YAML that conf_parse reads back to the same; with help:
 *  each key's help and, at the end, the objective as comments. */
void conf_print (const conf_t *conf, bool help, buf_t *text);
/*  Whether the same seed gives the same weights: not with a program of the user's own or a server
 *  of others, which may answer as they like. */
bool conf_reproducible (const conf_t *conf);
/*  Whether anybody judges, and the row of `policies` that does; NULL: a server without one. */
bool conf_judged (const conf_t *conf);
const conf_policy_t *conf_judge_policy (const conf_t *conf);
/*  What a reward service is started with for the judge: "URL MODEL KEY_ENV"; nothing without
 *  one. */
void conf_judge (const conf_t *conf, buf_t *text);
/*  The keys that weights follow from, one line each: how many processes take part, how often is
 *  saved or evaluated and how many steps are made may change when a run goes on. */
void conf_essence (const conf_t *conf, buf_t *text);
/*  Appends what is set otherwise than in other, as "trainer.lr=0.001 run.seed=3". */
void conf_differences (const conf_t *conf, const conf_t *other, buf_t *list);
/*  The same of what is played and how it is scored alone: the team, tasks, model and reward. */
void conf_plays_differently (const conf_t *conf, const conf_t *other, buf_t *list);
/*  Whether a run may go on whose configuration is in the file at path. ERR_CONFIG names the keys
 *  that differ, with both values. */
int conf_compare (const conf_t *conf, const char *path, err_t *err);

/*  Whether loss.credit names this credit (learn/assign.h), alone or among others; and how credits
 *  are computed. */
bool conf_credits (const conf_t *conf, const char *name);
bool conf_credits_roles (const conf_t *conf); /* one that looks at a role's own reward */
assign_options_t conf_assign (const conf_t *conf);

/*  The objective in force, as formulas: reward, advantage, loss, one line each; and "reproducible:
 *  no" where that is so. */
void conf_objective (const conf_t *conf, buf_t *text);

#endif
