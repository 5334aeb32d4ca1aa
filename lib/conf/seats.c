/*  seats - what each role is told in words of the user's own: team.roles as a map. See conf.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/table.h"
#include "task/family.h"
#include "task/prompt.h"

/*  In the order of conf_words_t. */
static const char *const seats_keys[CONF_WORDS] = {"prompt", "system"};

static const conf_seat_t *seats_find (const conf_t *conf, const char *role)
{
    for (size_t s = 0; s < conf->seats_n; s++)
        if (strcmp (conf->seats[s].role, role) == 0)
            return &conf->seats[s];
    return NULL;
}

const char *conf_words (const conf_t *conf, const char *role, conf_words_t which)
{
    const conf_seat_t *seat = seats_find (conf, role);
    return seat && seat->words[which] ? seat->words[which] : "";
}

int conf_wrap_words (const conf_t *conf, const char *role, conf_words_t which, err_t *err)
{
    const conf_seat_t *seat = seats_find (conf, role);
    err->code = ERR_CONFIG;
    return err_wrap (err, "%s: team.roles.%s.%s",
                     seat && seat->where[which] ? seat->where[which] : conf->file, role,
                     seats_keys[which]);
}

void conf_prompts (const conf_t *conf, const char *const *roles, size_t n, const char **prompts)
{
    for (size_t r = 0; r < n; r++)
        prompts[r] = conf_words (conf, roles[r], CONF_PROMPT);
}

/*  NULL: no memory, or more roles than a team has. */
static conf_seat_t *seats_need (conf_t *conf, const char *role)
{
    const conf_seat_t *known = seats_find (conf, role);
    if (known)
        return &conf->seats[known - conf->seats];
    if (conf->seats_n == CONF_LIST_MAX)
        return NULL;
    conf_seat_t *seat = &conf->seats[conf->seats_n];
    if (!(seat->role = strdup (role)))
        return NULL;
    conf->seats_n++;
    return seat;
}

/*  CONF_WORDS: there is no such key. */
static size_t seats_key (const char *key)
{
    size_t which = 0;
    while (which < CONF_WORDS && strcmp (seats_keys[which], key) != 0)
        which++;
    return which;
}

bool conf_has_word (const conf_t *conf, const char *role, const char *key)
{
    const conf_seat_t *seat = seats_find (conf, role);
    size_t which = seats_key (key);
    return seat && which < CONF_WORDS && seat->words[which];
}

int conf_set_words (conf_t *conf, const char *role, const char *key, const char *text,
                    const char *where, err_t *err)
{
    size_t which = seats_key (key);
    if (which == CONF_WORDS)
        return err_set (err, ERR_CONFIG,
                        "%s: team.roles.%.60s.%.60s: no such key: a role has prompt and "
                        "system",
                        where, role, key);
    conf_seat_t *seat = seats_need (conf, role);
    if (!seat)
        return err_set (err, ERR_CONFIG, "%s: team.roles: more than %d roles", where,
                        CONF_LIST_MAX);
    free (seat->words[which]);
    free (seat->where[which]);
    seat->words[which] = strdup (text);
    seat->where[which] = strdup (where);
    return seat->words[which] && seat->where[which] ? 0 : err_set (err, ERR_LIMIT, "no memory");
}

void conf_free_seats (conf_t *conf)
{
    for (size_t s = 0; s < conf->seats_n; s++) {
        free (conf->seats[s].role);
        for (size_t w = 0; w < CONF_WORDS; w++) {
            free (conf->seats[s].words[w]);
            free (conf->seats[s].where[w]);
        }
    }
}

/*  Whether a role of the team has words: else a list of names says all. */
bool conf_has_words (const conf_t *conf)
{
    for (size_t r = 0; r < conf->team.roles.n; r++)
        for (size_t w = 0; w < CONF_WORDS; w++)
            if (*conf_words (conf, conf->team.roles.item[r], w))
                return true;
    return false;
}

/*  A map on one line, as YAML allows: {"aux": {}, "main": {"prompt": "..."}}. */
void conf_print_roles (const conf_t *conf, buf_t *text)
{
    buf_char (text, '{');
    for (size_t r = 0; r < conf->team.roles.n; r++) {
        const char *role = conf->team.roles.item[r], *between = "";
        buf_text (text, r ? ", " : "");
        conf_print_quote (text, role);
        buf_text (text, ": {");
        for (size_t w = 0; w < CONF_WORDS; w++) {
            if (!*conf_words (conf, role, w))
                continue;
            buf_printf (text, "%s%s: ", between, seats_keys[w]);
            conf_print_quote (text, conf_words (conf, role, w));
            between = ", ";
        }
        buf_char (text, '}');
    }
    buf_char (text, '}');
}

/*  A role that is in no team of the run is a slip of the pen; "solo" is in that of the baseline. */
static bool seats_takes_part (const conf_t *conf, const char *role)
{
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (strcmp (conf->team.roles.item[r], role) == 0)
            return true;
    return family_knows (family_find (conf->task.family), role);
}

int conf_check_words (const conf_t *conf, err_t *err)
{
    for (size_t s = 0; s < conf->seats_n; s++)
        for (size_t w = 0; w < CONF_WORDS; w++) {
            const conf_seat_t *seat = &conf->seats[s];
            char unknown[PROMPT_NAME_MAX];
            if (!seat->words[w])
                continue;
            if (!seats_takes_part (conf, seat->role))
                return err_set (err, ERR_CONFIG, "%s: team.roles.%.60s: there is no such role",
                                seat->where[w], seat->role);
            /* Only a folder's own template knows where such a message stands. */
            if (w == CONF_SYSTEM && strcmp (conf->model.chat, "auto") != 0)
                return err_set (err, ERR_CONFIG,
                                "%s: team.roles.%.60s.system needs model.chat auto, and a folder "
                                "with a chat template",
                                seat->where[w], seat->role);
            if (w == CONF_PROMPT &&
                prompt_unknown (seat->words[w], (const char *const *) conf->team.roles.item,
                                conf->team.roles.n, unknown))
                return err_set (
                    err, ERR_CONFIG,
                    "%s: team.roles.%.60s.prompt has {%s}; what is known there: " PROMPT_PARTS,
                    seat->where[w], seat->role, unknown);
        }
    return 0;
}
