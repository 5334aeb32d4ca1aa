/*  mates - see mates.h */
#include "task/mates.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "task/family.h"

/*  ---- which teams ---------------------------------------------------------------------------- */

/*  Where teams are written; of NULL: they are counted. */
typedef struct {
    uint32_t *of;
    size_t roles, n;
} mates_pen_t;

static void mates_put (mates_pen_t *pen, const uint32_t *team)
{
    for (size_t r = 0; pen->of && r < pen->roles; r++)
        pen->of[pen->n * pen->roles + r] = team[r];
    pen->n++;
}

/*  One square in which every pair of samples stands once; with two roles, all pairs. What was
 *  played is left out. */
static void mates_put_square (mates_pen_t *pen, size_t episodes, size_t shift)
{
    for (size_t i = 0; i < episodes; i++)
        for (size_t j = 0; j < episodes; j++) {
            size_t third = (i + j + shift) % episodes;
            const uint32_t team[MATES_ROLES_MAX] = {(uint32_t) i, (uint32_t) j, (uint32_t) third};
            if (i != j || (pen->roles == 3 && third != i))
                mates_put (pen, team);
        }
}

static bool mates_too_many (const mates_t *which, size_t roles, size_t episodes)
{
    return which->cross && (roles > MATES_ROLES_MAX || episodes > MATES_EPISODES_MAX);
}

static size_t mates_list (const mates_t *which, size_t roles, size_t episodes, uint32_t *of)
{
    mates_pen_t pen = {.of = of, .roles = roles};
    if (roles < 2 || roles > EPISODE_ROLES_MAX || mates_too_many (which, roles, episodes))
        return 0;
    for (size_t shift = 0; which->cross && shift < (roles == 3 ? 3 : 1) && shift < episodes;
         shift++)
        mates_put_square (&pen, episodes, shift);
    for (size_t e = 0; which->removal && e < episodes; e++)
        for (size_t out = 0; out < roles; out++) {
            uint32_t team[EPISODE_ROLES_MAX];
            for (size_t r = 0; r < roles; r++)
                team[r] = r == out ? MATES_NOBODY : (uint32_t) e;
            mates_put (&pen, team);
        }
    return pen.n;
}

size_t mates_count (const mates_t *which, size_t roles, size_t episodes)
{
    return mates_list (which, roles, episodes, NULL);
}

int mates_teams (const mates_t *which, size_t roles, size_t episodes, mates_teams_t *teams,
                 err_t *err)
{
    *teams = (mates_teams_t){0};
    if (mates_too_many (which, roles, episodes))
        return err_set (err, ERR_INPUT,
                        "loss.credit cross of %zu roles in %zu episodes: at most %d in %d", roles,
                        episodes, MATES_ROLES_MAX, MATES_EPISODES_MAX);
    *teams = (mates_teams_t){.roles = roles, .n = mates_count (which, roles, episodes)};
    teams->of = calloc (teams->n * roles + 1, sizeof *teams->of);
    if (!teams->of)
        return err_set (err, ERR_LIMIT, "no memory for %zu teams", teams->n);
    mates_list (which, roles, episodes, teams->of);
    return 0;
}

void mates_free (mates_teams_t *teams)
{
    free (teams->of);
    *teams = (mates_teams_t){0};
}

/*  ---- what they said ------------------------------------------------------------------------- */

/*  What a role said in the one turn of an episode; NULL: there is not one turn, or it said
 *  nothing. */
static json_t *mates_said (const json_t *history, const char *role)
{
    const json_t *turns = json_object_get (history, "turns");
    const json_t *actions = json_object_get (json_array_get (turns, 0), "actions");
    json_t *action;
    size_t a;
    if (json_array_size (turns) != 1)
        return NULL;
    json_array_foreach (actions, a, action)
        if (strcmp (family_text (action, "role"), role) == 0)
            return action;
    return NULL;
}

/*  A new reference, as all below. */
static json_t *mates_cross (json_t *const *histories, const char *const *roles,
                            const uint32_t *team, size_t n, err_t *err)
{
    json_t *actions = json_array ();
    for (size_t r = 0; r < n; r++) {
        json_t *said = mates_said (histories[team[r]], roles[r]);
        if (!said) {
            json_decref (actions);
            err_set (err, ERR_INPUT,
                     "loss.credit cross wants episodes of one turn in which all roles act; role %s "
                     "does not, or there are more",
                     roles[r]);
            return NULL;
        }
        json_array_append (actions, said);
    }
    return json_pack ("{s:[{s:o}]}", "turns", "actions", actions);
}

/*  Nothing was said, so nobody waited for it or read for it. */
static json_t *mates_removal (const json_t *history, const char *role)
{
    json_t *copy = json_deep_copy (history), *turn, *action;
    size_t t, a;
    json_array_foreach (json_object_get (copy, "turns"), t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            if (strcmp (family_text (action, "role"), role) == 0) {
                json_object_set_new (action, "text", json_string (""));
                json_object_set_new (action, "tokens", json_integer (0));
                json_object_set_new (action, "tokens_read", json_integer (0));
                json_object_set_new (action, "truncated", json_false ());
            }
    return copy;
}

/*  NULL: see err. */
static char *mates_text (json_t *const *histories, const char *const *roles, const uint32_t *team,
                         size_t n, err_t *err)
{
    size_t out = 0;
    while (out < n && team[out] != MATES_NOBODY)
        out++;
    json_t *history = out == n ? mates_cross (histories, roles, team, n, err)
                               : mates_removal (histories[team[out == 0]], roles[out]);
    char *text = history ? json_dumps (history, JSON_COMPACT) : NULL;
    json_decref (history);
    if (!text && err->code == ERR_NONE)
        err_set (err, ERR_LIMIT, "no memory for a team that was not played");
    return text;
}

int mates_write (const mates_teams_t *teams, const char *const *roles, const char *const *histories,
                 size_t episodes, char **texts, err_t *err)
{
    json_t **parsed = calloc (episodes + 1, sizeof *parsed);
    int rc = parsed ? 0 : err_set (err, ERR_LIMIT, "no memory for %zu histories", episodes);
    for (size_t e = 0; rc == 0 && e < episodes; e++)
        if (!(parsed[e] = json_loads (histories[e], JSON_REJECT_DUPLICATES, NULL)))
            rc = err_set (err, ERR_INPUT, "the history of episode %zu is no JSON", e);
    for (size_t k = 0; k < teams->n; k++)
        texts[k] = NULL;
    for (size_t k = 0; rc == 0 && k < teams->n; k++)
        if (!(texts[k] =
                  mates_text (parsed, roles, teams->of + k * teams->roles, teams->roles, err)))
            rc = -1;
    for (size_t e = 0; parsed && e < episodes; e++)
        json_decref (parsed[e]);
    free (parsed);
    return rc;
}
