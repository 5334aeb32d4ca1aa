/*  seats - what each role is told in words of the user's own: team.roles as a map. See conf.h */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/table.h"
#include "task/family.h"
#include "task/prompt.h"
#include "team/protocol.h"
#include "team/state.h"

/*  In the order of conf_words_t. */
static const char *const seats_keys[CONF_WORDS] = {"prompt", "system",      "sees", "max_tokens",
                                                   "policy", "temperature", "stop", "memory"};

/*  The words of a list, read. */
static const conf_key_t seats_stop = {
    .name = "stop", .kind = CONF_LIST, .offset = offsetof (conf_seat_t, stop)};

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

/*  A number, as conf_check_words has found. */
size_t conf_max_tokens (const conf_t *conf, const char *role)
{
    const char *own = conf_words (conf, role, CONF_MAX_TOKENS);
    return *own ? (size_t) strtoul (own, NULL, 10) : (size_t) conf->task.max_tokens;
}

double conf_temperature (const conf_t *conf, const char *role, double all)
{
    const char *own = conf_words (conf, role, CONF_TEMPERATURE);
    return *own ? strtod (own, NULL) : all;
}

bool conf_remembers (const conf_t *conf, const char *role)
{
    return strcmp (conf_words (conf, role, CONF_MEMORY), "own") == 0;
}

const conf_list_t *conf_stop (const conf_t *conf, const char *role, const conf_list_t *all)
{
    const conf_seat_t *seat = seats_find (conf, role);
    return seat && seat->words[CONF_STOP] ? &seat->stop : all;
}

int conf_wrap_words (const conf_t *conf, const char *role, conf_words_t which, err_t *err)
{
    const conf_seat_t *seat = seats_find (conf, role);
    err->code = ERR_CONFIG;
    return err_wrap (err, "%s: team.roles.%s.%s",
                     seat && seat->where[which] ? seat->where[which] : conf->file, role,
                     seats_keys[which]);
}

static bool seats_is_team (const conf_t *conf, const char *const *roles, size_t n)
{
    bool same = n == conf->team.roles.n;
    for (size_t r = 0; same && r < n; r++)
        same = strcmp (roles[r], conf->team.roles.item[r]) == 0;
    return same;
}

void conf_episode (const conf_t *conf, const char *const *roles, size_t n, conf_episode_t *to)
{
    to->limits =
        (episode_limits_t){.tokens = (size_t) conf->task.max_tokens,
                           .turns = (size_t) conf->task.max_turns,
                           .cpu_s = conf->task.cpu_s,
                           .cpu_total_s = conf->task.cpu_total_s,
                           .protocol = seats_is_team (conf, roles, n) ? conf->protocol : "",
                           .prompts = to->prompts,
                           .sees = to->sees};
    for (size_t r = 0; r < n && r < EPISODE_ROLES_MAX; r++) {
        to->prompts[r] = conf_words (conf, roles[r], CONF_PROMPT);
        to->sees[r] = conf_words (conf, roles[r], CONF_SEES);
    }
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

bool conf_takes_list (const char *key)
{
    size_t which = seats_key (key);
    return which == CONF_SEES || which == CONF_STOP;
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
                        "%s: team.roles.%.60s.%.60s: no such key: a role has prompt, system, "
                        "sees, max_tokens, policy, temperature, stop and memory",
                        where, role, key);
    conf_seat_t *seat = seats_need (conf, role);
    if (!seat)
        return err_set (err, ERR_CONFIG, "%s: team.roles: more than %d roles", where,
                        CONF_LIST_MAX);
    if (which == CONF_STOP && conf_set_at (seat, &seats_stop, text, err) != 0)
        return err_wrap (err, "%s: team.roles.%.60s.stop", where, role);
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
        conf_free_at (&conf->seats[s], &(conf_section_t){.keys = &seats_stop, .n = 1});
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
            if (w == CONF_STOP)
                conf_print_at (seats_find (conf, role), &seats_stop, text);
            else
                conf_print_quote (text, conf_words (conf, role, w));
            between = ", ";
        }
        buf_char (text, '}');
    }
    buf_char (text, '}');
}

static bool seats_is_role (const conf_t *conf, const char *name)
{
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (strcmp (conf->team.roles.item[r], name) == 0)
            return true;
    return false;
}

/*  A role that is in no team of the run is a slip of the pen; "solo" is in that of the baseline. In
 *  a file words stand below a role of the file's own team, which --set may have replaced. */
static bool seats_takes_part (const conf_t *conf, const conf_seat_t *seat, conf_words_t which)
{
    return seats_is_role (conf, seat->role) ||
           family_knows (family_find (conf->task.family), seat->role) ||
           strncmp (seat->where[which], "--set ", 6) != 0;
}

/*  Among whom a role speaks: the team, or the baseline's single agent alone; NULL: neither. */
static const conf_list_t *seats_team_of (const conf_t *conf, const char *role)
{
    static const conf_list_t alone = {.item = {(char *) (uintptr_t) "solo"}, .n = 1};
    if (seats_is_role (conf, role))
        return &conf->team.roles;
    return strcmp (role, "solo") == 0 ? &alone : NULL;
}

static int seats_check_sees (const conf_list_t *team, const conf_seat_t *seat, err_t *err)
{
    if (!seat->words[CONF_SEES][strspn (seat->words[CONF_SEES], " ")])
        return err_set (err, ERR_CONFIG,
                        "%s: team.roles.%.60s.sees is empty: name parts, or brief alone for a seat "
                        "that sees nothing else",
                        seat->where[CONF_SEES], seat->role);
    for (const char *name = seat->words[CONF_SEES]; *(name += strspn (name, " "));) {
        size_t size = strcspn (name, " ");
        if (!prompt_knows (name, size, (const char *const *) team->item, team->n))
            return err_set (
                err, ERR_CONFIG,
                "%s: team.roles.%.60s.sees has %.*s; what is known there: " PROMPT_PARTS,
                seat->where[CONF_SEES], seat->role, (int) (size < 60 ? size : 60), name);
        name += size;
    }
    return 0;
}

/*  task.max_tokens is what memory is planned for. */
static int seats_check_tokens (const conf_t *conf, const conf_seat_t *seat, err_t *err)
{
    const char *text = seat->words[CONF_MAX_TOKENS];
    size_t digits = strspn (text, "0123456789");
    unsigned long n = digits && digits < 8 && !text[digits] ? strtoul (text, NULL, 10) : 0;
    return n >= 1 && n <= (unsigned long) conf->task.max_tokens
               ? 0
               : err_set (err, ERR_CONFIG,
                          "%s: team.roles.%.60s.max_tokens is '%.40s': a number from 1 to "
                          "task.max_tokens, %lld",
                          seat->where[CONF_MAX_TOKENS], seat->role, text,
                          (long long) conf->task.max_tokens);
}

/*  As trainer.temperature: at 0 nothing would be drawn, and so nothing learnt. */
static int seats_check_temperature (const conf_seat_t *seat, err_t *err)
{
    const char *text = seat->words[CONF_TEMPERATURE];
    char *end;
    double number = strtod (text, &end);
    return *text && !isspace ((unsigned char) *text) && !*end && number >= 0.01 && number <= 10
               ? 0
               : err_set (err, ERR_CONFIG,
                          "%s: team.roles.%.60s.temperature is '%.40s': a number from 0.01 to 10",
                          seat->where[CONF_TEMPERATURE], seat->role, text);
}

static const char *seats_key_of (const conf_t *conf)
{
    return *conf->team.turns ? "team.turns" : "team.protocol";
}

/*  A role that writes no text of its own cannot be shown by its name. */
static int seats_check_shown (const conf_t *conf, const char *role, err_t *err)
{
    for (size_t s = 0; s < conf->seats_n; s++)
        for (size_t w = 0; w < CONF_WORDS; w++) {
            const conf_seat_t *seat = &conf->seats[s];
            if ((w == CONF_PROMPT && seat->words[w] &&
                 prompt_shows (seat->words[w], "brief", role)) ||
                (w == CONF_SEES && seat->words[w] && prompt_shows ("", seat->words[w], role)))
                return err_set (err, ERR_CONFIG,
                                "%s: team.roles.%.60s.%s shows '%.60s', who writes no text of its "
                                "own: what it says is in plan, review or turns",
                                seat->where[w], seat->role, seats_keys[w], role);
        }
    return 0;
}

/*  What some seats hand in between them is nothing without one of them, and who writes all of it
 *  writes it alone. */
static int seats_check_whole (const conf_t *conf, const json_t *slots, err_t *err)
{
    const family_t *family = family_find (conf->task.family);
    size_t here = 0, n = 0;
    buf_t names = {0};
    for (; family->whole && family->whole[n]; n++) {
        here += state_lists (slots, family->whole[n]);
        buf_printf (&names, "%s%s", n ? ", " : "", family->whole[n]);
    }
    int rc =
        here > 0 && (here < n || json_array_size (slots) > n)
            ? conf_refuse (conf, "team.roles", err,
                           "lacks some or has others beside them: of a team of the %s family, %s "
                           "write all of it, or none of them does",
                           family->name, names.data)
            : 0;
    buf_free (&names);
    return rc;
}

/*  A role's slots are the family's. A seat that the family does not know writes into none, and
 *  nobody but the user knows what to ask of it. */
static int seats_check_roles (const conf_t *conf, const json_t *protocol, const json_t *roles,
                              err_t *err)
{
    const family_t *family = family_find (conf->task.family);
    json_t *slots = protocol_slots (protocol, roles);
    const json_t *name;
    size_t i;
    buf_t known = {0};
    int rc = 0;
    for (i = 0; family->roles[i]; i++)
        buf_printf (&known, "%s%s", i ? ", " : "", family->roles[i]);
    if (json_array_size (slots) == 0)
        rc = conf_refuse (conf, "team.roles", err,
                          "names nobody who writes: seats of the %s family are %s", family->name,
                          known.data);
    json_array_foreach (slots, i, name)
        if (rc == 0 && !family_knows (family, json_string_value (name)))
            rc = conf_refuse (conf,
                              seats_is_role (conf, json_string_value (name)) ? "team.roles"
                                                                             : seats_key_of (conf),
                              err, "names '%.60s', and the %s family has no such seat: %s",
                              json_string_value (name), family->name, known.data);
    buf_free (&known);
    if (rc == 0)
        rc = seats_check_whole (conf, slots, err);
    json_array_foreach (roles, i, name) {
        const char *role = json_string_value (name);
        if (rc == 0 && !protocol_acts (protocol, role))
            rc =
                conf_refuse (conf, "team.roles", err,
                             "names '%.60s', who does nothing in %s: leave it out, or take another "
                             "protocol",
                             role, seats_key_of (conf));
        if (rc == 0 && !state_lists (slots, role))
            rc = seats_check_shown (conf, role, err);
        if (rc == 0 && protocol_ever_speaks (protocol, role) &&
            !family_asks (family, conf->task.style, role) && !*conf_words (conf, role, CONF_PROMPT))
            rc = conf_refuse (conf, "team.roles", err,
                              "has '%.60s', of whom the %s family asks nothing: say it in "
                              "team.roles.%.60s.prompt",
                              role, family->name, role);
    }
    json_decref (slots);
    return rc;
}

/*  A protocol that uses a tool which the family does not have would end at its first use. */
static int seats_check_tools (const conf_t *conf, const json_t *protocol, err_t *err)
{
    const family_t *family = family_find (conf->task.family);
    const char *tools[FAMILY_TOOLS_MAX + 2] = {TASK_RETRIEVE};
    memcpy (tools + 1, family->tools, sizeof family->tools);
    const char *lacks = protocol_lacks (protocol, tools);
    bool retrieves = protocol_offers_any (protocol, TASK_RETRIEVE);
    if (retrieves && !*conf->task.passages)
        return conf_refuse (conf, seats_key_of (conf), err,
                            "uses " TASK_RETRIEVE ", and task.passages does not say where");
    if (!retrieves && *conf->task.passages)
        return conf_refuse (conf, "task.passages", err,
                            "does nothing while no turn offers " TASK_RETRIEVE ": leave it out");
    if (lacks)
        return conf_refuse (conf, seats_key_of (conf), err,
                            "uses %s, which the %s family does not have", lacks, family->name);
    return 0;
}

size_t conf_turns (const conf_t *conf, const char *role)
{
    const family_t *family = family_find (conf->task.family);
    json_t *protocol = json_loads (conf->protocol, 0, NULL);
    const json_t *turn;
    size_t n = 0;
    for (size_t t = 0; (turn = protocol_turn (protocol, t)); t++)
        n += protocol_speaks (turn, role);
    bool parallel = !*conf->protocol && !family->by_program;
    json_decref (protocol);
    return !parallel ? n : conf->task.max_turns ? (size_t) conf->task.max_turns : family->turns;
}

/*  Before the first turn there is nothing to remember. */
static int seats_check_memory (const conf_t *conf, err_t *err)
{
    for (size_t r = 0; r < conf->team.roles.n; r++) {
        const char *role = conf->team.roles.item[r];
        if (!conf_remembers (conf, role) || conf_turns (conf, role) != 1)
            continue;
        err_set (err, ERR_CONFIG, "own does nothing: it speaks in one turn of %s",
                 seats_key_of (conf));
        return conf_wrap_words (conf, role, CONF_MEMORY, err);
    }
    return 0;
}

int conf_make_protocol (conf_t *conf, err_t *err)
{
    const char *name = *conf->team.turns ? "turns" : conf->team.protocol;
    protocol_team_t team = {.roles = (const char *const *) conf->team.roles.item,
                            .n = conf->team.roles.n,
                            .turns = conf->team.turns,
                            .max_turns = (size_t) conf->task.max_turns};
    bool program = family_find (conf->task.family)->by_program;
    json_t *protocol =
        program ? protocol_anybody (team.roles, team.n, 1) : protocol_make (name, &team, err);
    json_t *roles = json_array ();
    for (size_t r = 0; r < team.n; r++)
        json_array_append_new (roles, json_string (team.roles[r]));
    int rc = protocol ? 0 : conf_wrap (conf, seats_key_of (conf), err);
    if (rc == 0)
        rc = seats_check_roles (conf, protocol, roles, err);
    if (rc == 0)
        rc = seats_check_tools (conf, protocol, err);
    free (conf->protocol);
    conf->protocol = program || strcmp (name, "parallel") == 0
                         ? strdup ("")
                         : json_dumps (protocol, JSON_COMPACT);
    json_decref (protocol);
    json_decref (roles);
    if (rc == 0 && !conf->protocol)
        return err_set (err, ERR_LIMIT, "no memory");
    return rc == 0 ? seats_check_memory (conf, err) : rc;
}

/*  Who plays a role; NULL: the baseline's single agent, who is spoken to as `model` is. */
static const conf_policy_t *seats_policy (const conf_t *conf, const char *role)
{
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (strcmp (conf->team.roles.item[r], role) == 0)
            return conf_policy (conf, r);
    return NULL;
}

/*  Only a folder's own template knows where a message of the system stands; and a server has
 *  one. */
static bool seats_has_system (const conf_t *conf, const char *role)
{
    const conf_policy_t *policy = seats_policy (conf, role);
    return strcmp (policy ? policy->chat : conf->model.chat, "auto") == 0 ||
           (policy && conf_is_remote (policy));
}

/*  What stays before it does so id by id. */
static int seats_check_remembers (const conf_t *conf, const conf_seat_t *seat, err_t *err)
{
    const char *word = seat->words[CONF_MEMORY], *where = seat->where[CONF_MEMORY];
    const conf_policy_t *policy = seats_policy (conf, seat->role);
    if (strcmp (word, "none") != 0 && strcmp (word, "own") != 0)
        return err_set (err, ERR_CONFIG, "%s: team.roles.%.60s.memory is '%.40s': none or own",
                        where, seat->role, word);
    if (strcmp (word, "own") == 0 && policy && conf_is_remote (policy))
        return err_set (err, ERR_CONFIG,
                        "%s: team.roles.%.60s.memory is own, and the server that policy %s names "
                        "gives no token ids to remember: leave it out",
                        where, seat->role, policy->name);
    return 0;
}

/*  What every seat has of its own does nothing for all; but the single agent of a comparison has no
 *  other. */
static int seats_check_common (const conf_t *conf, err_t *err)
{
    static const struct {
        const char *key;
        conf_words_t own;
    } keys[] = {{"trainer.temperature", CONF_TEMPERATURE},
                {"evaluation.temperature", CONF_TEMPERATURE},
                {"evaluation.stop", CONF_STOP}};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        bool all = strcmp (conf->run.baseline, "solo") != 0;
        for (size_t r = 0; r < conf->team.roles.n; r++)
            all = all && *conf_words (conf, conf->team.roles.item[r], keys[k].own);
        if (all && conf_changed (conf, keys[k].key))
            return conf_refuse (conf, keys[k].key, err, "does nothing: each role has its own %s",
                                seats_keys[keys[k].own]);
    }
    return 0;
}

int conf_check_words (const conf_t *conf, err_t *err)
{
    for (size_t s = 0; s < conf->seats_n; s++)
        for (size_t w = 0; w < CONF_WORDS; w++) {
            const conf_seat_t *seat = &conf->seats[s];
            char unknown[PROMPT_NAME_MAX];
            if (!seat->words[w])
                continue;
            if (!seats_takes_part (conf, seat, w))
                return err_set (err, ERR_CONFIG, "%s: team.roles.%.60s: there is no such role",
                                seat->where[w], seat->role);
            const conf_list_t *team = seats_team_of (conf, seat->role);
            if (!team)
                continue; /* of a team that is not this one */
            if (w == CONF_SYSTEM && !seats_has_system (conf, seat->role))
                return err_set (err, ERR_CONFIG,
                                "%s: team.roles.%.60s.system needs model.chat auto, and a folder "
                                "with a chat template",
                                seat->where[w], seat->role);
            if (w == CONF_MAX_TOKENS && seats_check_tokens (conf, seat, err) != 0)
                return -1;
            if (w == CONF_SEES && seats_check_sees (team, seat, err) != 0)
                return -1;
            if (w == CONF_PROMPT && *conf->task.program &&
                !prompt_shows (seat->words[w], "brief", "ask"))
                return err_set (err, ERR_CONFIG,
                                "%s: team.roles.%.60s.prompt has no {ask}, which is what "
                                "task.program tells the role",
                                seat->where[w], seat->role);
            if (w == CONF_TEMPERATURE && seats_check_temperature (seat, err) != 0)
                return -1;
            if (w == CONF_MEMORY && seats_check_remembers (conf, seat, err) != 0)
                return -1;
            if (w == CONF_STOP && seat->stop.n == 0)
                return err_set (err, ERR_CONFIG, "%s: team.roles.%.60s.stop is empty: leave it out",
                                seat->where[w], seat->role);
            if (w == CONF_PROMPT &&
                prompt_unknown (seat->words[w], (const char *const *) team->item, team->n, unknown))
                return err_set (err, ERR_CONFIG,
                                "%s: team.roles.%.60s.prompt has {%s}; what is known there, "
                                "without blanks: " PROMPT_PARTS,
                                seat->where[w], seat->role, unknown);
        }
    return seats_check_common (conf, err);
}
