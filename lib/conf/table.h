/*  table - keys.h as data: what the parser, the printer and the checks walk through. Private to
 *  conf.
 *
 *      const conf_section_t *sections = conf_sections (&n);
 *      const conf_key_t *key = conf_find (section, "lr");
 *      conf_set (conf, section, key, "3e-4", "coding.yml:12", &err);
 */
#ifndef QUINTET_CONF_TABLE_H
#define QUINTET_CONF_TABLE_H

#include <stddef.h>

#include "conf/conf.h"

typedef enum { CONF_TEXT, CONF_WHOLE, CONF_REAL, CONF_BOOL, CONF_LIST } conf_kind_t;

typedef struct {
    const char *name;
    conf_kind_t kind;
    size_t offset;    /* in conf_t */
    const char *text; /* default of text and list */
    double number;    /* default of whole, real and bool */
    double low, high;
    const char *choices; /* "a|b", or NULL */
    const char *help;
} conf_key_t;

typedef struct {
    const char *name, *help;
    const conf_key_t *keys;
    size_t n;
} conf_section_t;

const conf_section_t *conf_sections (size_t *n);
/*  The keys of a policy, whose offsets are in conf_policy_t. */
const conf_section_t *conf_policy_section (void);
/*  NULL when there is none of that name. */
const conf_section_t *conf_section (const char *name);
const conf_key_t *conf_find (const conf_section_t *section, const char *name);
/*  Appends what may have been meant by a name that is not known ("; did you mean trainer.lr?"), or
 *  nothing. section NULL: it stands for a section. */
void conf_suggest (const conf_section_t *section, const char *name, buf_t *text);

/*  The key of "trainer.lr" and its section; NULL: there is none. */
const conf_key_t *conf_look_up (const char *name, const conf_section_t **section);
/*  The place of a key in conf_t.where. */
size_t conf_index (const conf_section_t *section, const conf_key_t *key);
/*  Its value as YAML. */
void conf_print_value (const conf_t *conf, const conf_section_t *section, const conf_key_t *key,
                       buf_t *text);
/*  Sets a key from its text; where ("file:line") is kept, and opens the error. A list's text is
 *  its words, apart by spaces or commas. */
int conf_set (conf_t *conf, const conf_section_t *section, const conf_key_t *key, const char *text,
              const char *where, err_t *err);

/*  Where a key's value lies. */
const void *conf_value (const conf_t *conf, const conf_section_t *section, const conf_key_t *key);
/*  The same of a key that lies at base + its offset, wherever that is; errors have the reason
 *  alone. */
void conf_print_at (const void *base, const conf_key_t *key, buf_t *text);
int conf_set_at (void *base, const conf_key_t *key, const char *text, err_t *err);
void conf_free_at (void *base, const conf_section_t *section);
/*  The place of a key, NULL: it was not given. */
const char *conf_where_of (const conf_t *conf, const char *name);

/*  A text in YAML's double quotes. */
void conf_print_quote (buf_t *text, const char *value);

/*  Finds what relative paths mean (paths.c). */
int conf_resolve (conf_t *conf, err_t *err);

/*  ---- policies (policies.c) ------------------------------------------------------------------ */

/*  The row of that name, which is made where there is none; key NULL: the row alone. */
int conf_set_policy (conf_t *conf, const char *name, const char *key, const char *text,
                     const char *where, err_t *err);
/*  As --set: name is "NAME.KEY". */
int conf_override_policy (conf_t *conf, char *name, const char *text, const char *where,
                          err_t *err);
/*  Where the value of a row that is whole was given: for it, or for all; NULL: nowhere. */
const char *conf_policy_where (const conf_t *conf, const conf_policy_t *policy, const char *key);
void conf_free_policies (conf_t *conf);
/*  Of all rows the judge's alone is left. */
void conf_clear_policies (conf_t *conf);
/*  Makes the table whole: rows of the short form, keys that `model` and `trainer` say, and who
 *  plays by which. */
int conf_make_policies (conf_t *conf, err_t *err);
int conf_check_policies (const conf_t *conf, err_t *err);

/*  ---- words of roles (seats.c) --------------------------------------------------------------- */

/*  Sets team.roles.ROLE.KEY, as conf_set. */
int conf_set_words (conf_t *conf, const char *role, const char *key, const char *text,
                    const char *where, err_t *err);
/*  Whether a role's key takes a list. */
bool conf_takes_list (const char *key);
/*  Whether it is set already. */
bool conf_has_word (const conf_t *conf, const char *role, const char *key);
void conf_free_seats (conf_t *conf);
bool conf_has_words (const conf_t *conf);
/*  The value of team.roles where a role has words. */
void conf_print_roles (const conf_t *conf, buf_t *text);
/*  Refuses words of roles that are in no team, and places that are not known. */
int conf_check_words (const conf_t *conf, err_t *err);
/*  Sets conf->grade from the judge section; refuses one that nobody could be asked by. */
int conf_make_grade (conf_t *conf, err_t *err);

/*  Sets conf->protocol from what the team's keys say; refuses one that cannot be played. */
int conf_make_protocol (conf_t *conf, err_t *err);

#endif
