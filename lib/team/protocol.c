/*  protocol - see protocol.h */
#include "team/protocol.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "team/primitive.h"
#include "team/state.h"

/*  ---- questions ------------------------------------------------------------------------------ */

const json_t *protocol_turn (const json_t *protocol, size_t turn)
{
    return json_array_get (protocol, turn);
}

const json_t *protocol_offers (const json_t *turn, const char *role)
{
    return json_object_get (json_object_get (turn, "does"), role);
}

/*  What was offered was checked when the protocol was made. */
static const primitive_t *protocol_primitive (const json_t *offer)
{
    const char *text = json_string_value (offer);
    return primitive_find (text, strcspn (text, " "));
}

bool protocol_routed (const json_t *turn)
{
    return json_is_true (json_object_get (turn, "routed"));
}

bool protocol_says (const json_t *offers)
{
    size_t n = json_array_size (offers);
    return n > 1 || (n == 1 && protocol_primitive (json_array_get (offers, 0))->words);
}

bool protocol_speaks (const json_t *turn, const char *role)
{
    return protocol_says (protocol_offers (turn, role));
}

bool protocol_ever_speaks (const json_t *protocol, const char *role)
{
    const json_t *turn;
    size_t t;
    bool speaks = false;
    json_array_foreach (protocol, t, turn)
        speaks = speaks || protocol_speaks (turn, role);
    return speaks;
}

size_t protocol_spoken_turns (const json_t *protocol)
{
    const json_t *turn, *offers;
    const char *role;
    size_t t, n = 0;
    json_array_foreach (protocol, t, turn) {
        bool spoken = false;
        json_object_foreach (json_object_get (turn, "does"), role, offers)
            spoken = spoken || protocol_speaks (turn, role);
        n += spoken;
    }
    return n;
}

/*  Calls each for every primitive that is offered, with the number of its turn. */
static void protocol_each (const json_t *protocol,
                           void (*each) (void *to, size_t turn, const json_t *offer), void *to)
{
    const json_t *turn, *offers, *offer;
    const char *role;
    size_t t, i;
    json_array_foreach (protocol, t, turn)
        json_object_foreach (json_object_get (turn, "does"), role, offers)
            json_array_foreach (offers, i, offer)
                each (to, t, offer);
}

static void protocol_find_end (void *to, size_t turn, const json_t *offer)
{
    size_t *least = to;
    const char *name = protocol_primitive (offer)->name;
    if (turn + 1 < *least && (strcmp (name, "finalize") == 0 || strcmp (name, "hand_off") == 0))
        *least = turn + 1;
}

size_t protocol_least (const json_t *protocol)
{
    size_t least = json_array_size (protocol), t;
    const json_t *turn;
    protocol_each (protocol, protocol_find_end, &least);
    json_array_foreach (protocol, t, turn)
        if (t + 1 < least && json_object_get (turn, "until"))
            least = t + 1;
    return least;
}

static bool protocol_has_tool (const json_t *offers)
{
    const json_t *offer;
    size_t i;
    json_array_foreach (offers, i, offer)
        if (protocol_primitive (offer)->tool)
            return true;
    return false;
}

/*  A seat does one thing in a turn, whatever it may choose from. */
size_t protocol_tools (const json_t *protocol)
{
    const json_t *turn, *offers;
    const char *role;
    size_t t, n = 0;
    json_array_foreach (protocol, t, turn)
        json_object_foreach (json_object_get (turn, "does"), role, offers)
            n += protocol_has_tool (offers);
    return n;
}

static void protocol_find_other (void *to, size_t turn, const json_t *offer)
{
    (void) turn;
    if (strcmp (protocol_primitive (offer)->name, "draft") != 0)
        *(bool *) to = true;
}

bool protocol_acts (const json_t *protocol, const char *role)
{
    const json_t *turn;
    size_t t;
    bool acts = false;
    json_array_foreach (protocol, t, turn)
        acts = acts || protocol_offers (turn, role);
    return acts;
}

bool protocol_varies (const json_t *protocol)
{
    bool varies = false;
    protocol_each (protocol, protocol_find_other, &varies);
    return varies;
}

typedef struct {
    const char *name;
    bool found;
} protocol_search_t;

static void protocol_find_name (void *to, size_t turn, const json_t *offer)
{
    protocol_search_t *search = to;
    (void) turn;
    search->found = search->found || strcmp (protocol_primitive (offer)->name, search->name) == 0;
}

bool protocol_offers_any (const json_t *protocol, const char *primitive)
{
    protocol_search_t search = {.name = primitive};
    protocol_each (protocol, protocol_find_name, &search);
    return search.found;
}

typedef struct {
    const char *const *has;
    const char *lacks; /* the first one */
} protocol_tools_t;

static void protocol_find_lack (void *to, size_t turn, const json_t *offer)
{
    protocol_tools_t *tools = to;
    const primitive_t *primitive = protocol_primitive (offer);
    const char *const *has = tools->has;
    (void) turn;
    while (*has && strcmp (*has, primitive->name) != 0)
        has++;
    if (primitive->tool && !*has && !tools->lacks)
        tools->lacks = primitive->name;
}

const char *protocol_lacks (const json_t *protocol, const char *const *tools)
{
    protocol_tools_t found = {.has = tools};
    protocol_each (protocol, protocol_find_lack, &found);
    return found.lacks;
}

/*  ---- slots ---------------------------------------------------------------------------------- */

json_t *protocol_slots (const json_t *protocol, const json_t *roles)
{
    json_t *slots = json_array ();
    const json_t *name, *turn, *offer;
    size_t r, t, i;
    json_array_foreach (roles, r, name)
        json_array_foreach (protocol, t, turn)
            json_array_foreach (protocol_offers (turn, json_string_value (name)), i, offer) {
                const char *space = strchr (json_string_value (offer), ' ');
                const char *slot = space ? space + 1 : json_string_value (name);
                if (protocol_primitive (offer)->slot && !state_lists (slots, slot))
                    json_array_append_new (slots, json_string (slot));
            }
    return slots;
}

/*  ---- checks --------------------------------------------------------------------------------- */

/*  "draft", or "draft SLOT". */
static int protocol_check_offer (const json_t *offer, size_t turn, const char *role, err_t *err)
{
    const char *text = json_is_string (offer) ? json_string_value (offer) : "";
    size_t size = strcspn (text, " ");
    const primitive_t *primitive = primitive_find (text, size);
    if (!primitive)
        return err_set (err, ERR_INPUT, "turn %zu, %.60s: '%.60s' is none of %s", turn + 1, role,
                        text, primitive_names ());
    if (primitive->seat && !text[size])
        return err_set (err, ERR_INPUT, "turn %zu, %.60s: '%.60s': whom to? %s ROLE", turn + 1,
                        role, text, primitive->name);
    if (text[size] && ((!primitive->slot && !primitive->seat) || !text[size + 1] ||
                       strchr (text + size + 1, ' ')))
        return err_set (err, ERR_INPUT, "turn %zu, %.60s: '%.60s': %s works on no such slot",
                        turn + 1, role, text, primitive->name);
    return 0;
}

static int protocol_check_once (const json_t *offers, size_t i, size_t turn, const char *role,
                                err_t *err)
{
    const char *text = json_string_value (json_array_get (offers, i));
    for (size_t before = 0; before < i; before++)
        if (strcmp (json_string_value (json_array_get (offers, before)), text) == 0)
            return err_set (err, ERR_INPUT, "turn %zu, %.60s: '%.60s' stands there twice", turn + 1,
                            role, text);
    return 0;
}

static int protocol_check_turn (const json_t *turn, size_t t, const json_t *roles, err_t *err)
{
    const json_t *does = json_object_get (turn, "does"), *until = json_object_get (turn, "until"),
                 *offers, *offer;
    const char *role;
    size_t i;
    if (!json_is_object (does) || json_object_size (does) == 0)
        return err_set (err, ERR_INPUT, "turn %zu: no seat acts", t + 1);
    if (until && !(json_is_string (until) && state_condition (json_string_value (until))))
        return err_set (err, ERR_INPUT, "turn %zu, until: %s are known", t + 1, STATE_CONDITIONS);
    if (json_object_get (turn, "routed") && !json_is_boolean (json_object_get (turn, "routed")))
        return err_set (err, ERR_INPUT, "turn %zu, routed: true or false", t + 1);
    json_object_foreach ((json_t *) (uintptr_t) does, role, offers) {
        if (!state_lists (roles, role))
            return err_set (err, ERR_INPUT, "turn %zu: the team has no role '%.60s'", t + 1, role);
        if (!json_is_array (offers) || json_array_size (offers) == 0)
            return err_set (err, ERR_INPUT, "turn %zu, %.60s: what does it do?", t + 1, role);
        json_array_foreach (offers, i, offer)
            if (protocol_check_offer (offer, t, role, err) != 0 ||
                protocol_check_once (offers, i, t, role, err) != 0)
                return -1;
    }
    return 0;
}

/*  Calls each for every choice of a seat in a turn. */
static bool protocol_offers_seat (const json_t *turn, const char *seat)
{
    const json_t *offers, *offer;
    const char *role;
    size_t i;
    bool found = false;
    json_object_foreach (json_object_get (turn, "does"), role, offers)
        json_array_foreach (offers, i, offer) {
            const char *text = json_string_value (offer), *space = strchr (text, ' ');
            found = found || (protocol_primitive (offer)->seat && strcmp (space + 1, seat) == 0);
        }
    return found;
}

/*  Who is chosen acts in the next turn, and who acts in a turn by choice can be chosen before: else
 *  the choice, or the seat, would do nothing. */
static int protocol_check_routes (const json_t *protocol, size_t t, const json_t *roles, err_t *err)
{
    const json_t *turn = protocol_turn (protocol, t), *next = protocol_turn (protocol, t + 1);
    const json_t *name;
    size_t r;
    json_array_foreach (roles, r, name) {
        const char *role = json_string_value (name);
        const json_t *before = t ? protocol_turn (protocol, t - 1) : NULL;
        if (protocol_offers_seat (turn, role) &&
            !(protocol_routed (next) && protocol_offers (next, role)))
            return err_set (err, ERR_INPUT,
                            "turn %zu: route %.60s, and the next turn is not \"routed: true\" "
                            "with that seat in it",
                            t + 1, role);
        if (protocol_routed (turn) && protocol_offers (turn, role) &&
            !protocol_offers_seat (before, role))
            return err_set (err, ERR_INPUT,
                            "turn %zu, routed: nobody can choose '%.60s' in the turn before "
                            "(route %.60s)",
                            t + 1, role, role);
    }
    return 0;
}

/*  What no turn up to this one can bring about would never end an episode. */
static int protocol_check_until (const json_t *protocol, size_t t, err_t *err)
{
    const char *until = state_text (protocol_turn (protocol, t), "until");
    json_t *before = json_array ();
    for (size_t i = 0; i <= t; i++)
        json_array_append (before, json_array_get (protocol, i));
    bool can =
        !*until || (strcmp (until, "passed") == 0 ? protocol_offers_any (before, "test")
                                                  : protocol_offers_any (before, "review") ||
                                                        protocol_offers_any (before, "integrate"));
    json_decref (before);
    return can ? 0
               : err_set (err, ERR_INPUT,
                          "turn %zu, until: %s never holds, since nobody %s in it or before", t + 1,
                          until, strcmp (until, "passed") == 0 ? "tests" : "reviews or integrates");
}

int protocol_check (const json_t *protocol, const json_t *roles, err_t *err)
{
    const json_t *turn;
    size_t t, n = json_array_size (protocol);
    if (n == 0 || n > PROTOCOL_TURNS_MAX)
        return err_set (err, ERR_INPUT, "a protocol has 1 to %d turns, not %zu", PROTOCOL_TURNS_MAX,
                        n);
    json_array_foreach (protocol, t, turn)
        if (protocol_check_turn (turn, t, roles, err) != 0)
            return -1;
    for (t = 0; t < n; t++)
        if (protocol_check_until (protocol, t, err) != 0 ||
            protocol_check_routes (protocol, t, roles, err) != 0)
            return -1;
    return 0;
}

/*  ---- the named ones ------------------------------------------------------------------------- */

static bool protocol_is_author (const char *role)
{
    static const char *const others[] = {"planner", "tester", "reviewer", "router"};
    bool author = true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        author = author && strcmp (role, others[i]) != 0;
    return author;
}

/*  NULL: the team has none. */
static const char *protocol_named_role (const protocol_team_t *team, const char *name)
{
    for (size_t r = 0; r < team->n; r++)
        if (strcmp (team->roles[r], name) == 0)
            return team->roles[r];
    return NULL;
}

static void protocol_let (json_t *does, const char *role, const char *what)
{
    json_object_set_new (does, role, json_pack ("[s]", what));
}

/*  A turn in which all authors do the same. */
static void protocol_all (json_t *protocol, const protocol_team_t *team, const char *what)
{
    json_t *does = json_object ();
    for (size_t r = 0; r < team->n; r++)
        if (protocol_is_author (team->roles[r]))
            protocol_let (does, team->roles[r], what);
    json_array_append_new (protocol, json_pack ("{s:o}", "does", does));
}

/*  A turn of one seat. until: NULL for none. */
static void protocol_one (json_t *protocol, const char *role, json_t *what, const char *until)
{
    json_array_append_new (protocol,
                           json_pack ("{s:{s:o}, s:s*}", "does", role, what, "until", until));
}

json_t *protocol_anybody (const char *const *roles, size_t n, size_t turns)
{
    json_t *protocol = json_array (), *does = json_object ();
    for (size_t r = 0; r < n; r++)
        protocol_let (does, roles[r], "draft");
    for (size_t t = 0; t < turns; t++)
        json_array_append_new (protocol, json_pack ("{s:O}", "does", does));
    json_decref (does);
    return protocol;
}

static int protocol_parallel (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    (void) err;
    for (size_t t = 0; t < team->max_turns; t++)
        protocol_all (protocol, team, "draft");
    return 0;
}

static int protocol_pipeline (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    (void) err;
    for (size_t r = 0; r < team->n; r++)
        if (protocol_is_author (team->roles[r]))
            protocol_one (protocol, team->roles[r], json_pack ("[s]", "draft"), NULL);
    return 0;
}

static int protocol_plan (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    const char *planner = protocol_named_role (team, "planner");
    if (!planner)
        return err_set (err, ERR_INPUT, "plan needs a role named planner in the team");
    protocol_one (protocol, planner, json_pack ("[s]", "plan"), NULL);
    protocol_all (protocol, team, "draft");
    return 0;
}

/*  NULL: the team has no author. */
static const char *protocol_last_author (const protocol_team_t *team)
{
    const char *last = NULL;
    for (size_t r = 0; r < team->n; r++)
        if (protocol_is_author (team->roles[r]))
            last = team->roles[r];
    return last;
}

/*  The last turn may be a repair that nobody tests: the score is what tests it. */
static int protocol_repair (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    const char *tester = protocol_named_role (team, "tester");
    (void) err;
    if (!tester)
        tester = protocol_last_author (team);
    protocol_all (protocol, team, "draft");
    for (size_t t = 1; tester && t < team->max_turns; t++)
        if (t % 2)
            protocol_one (protocol, tester, json_pack ("[s]", "test"), "passed");
        else
            protocol_all (protocol, team, "repair");
    return 0;
}

/*  A reviewer has one turn for each slot, since a review is of one text. */
static int protocol_review (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    const char *reviewer = protocol_named_role (team, "reviewer");
    if (!reviewer)
        return err_set (err, ERR_INPUT, "review needs a role named reviewer in the team");
    protocol_all (protocol, team, "draft");
    while (json_array_size (protocol) < team->max_turns) {
        for (size_t r = 0; r < team->n && json_array_size (protocol) < team->max_turns; r++)
            if (protocol_is_author (team->roles[r]))
                protocol_one (protocol, reviewer,
                              json_pack ("[o]", json_sprintf ("review %s", team->roles[r])),
                              "accepted");
        if (json_array_size (protocol) < team->max_turns)
            protocol_all (protocol, team, "repair");
    }
    return 0;
}

/*  What a seat does when it is chosen. */
static json_t *protocol_duty (const protocol_team_t *team, const char *role)
{
    json_t *duty = json_array ();
    if (strcmp (role, "reviewer") == 0) {
        for (size_t r = 0; r < team->n; r++)
            if (protocol_is_author (team->roles[r]))
                json_array_append_new (duty, json_sprintf ("review %s", team->roles[r]));
        return duty;
    }
    json_array_append_new (duty, json_string (strcmp (role, "planner") == 0  ? "plan"
                                              : strcmp (role, "tester") == 0 ? "test"
                                                                             : "draft"));
    return duty;
}

/*  There is nothing to finalize before somebody has been chosen. */
static int protocol_route (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    const char *router = protocol_named_role (team, "router");
    if (!router || team->n < 2 || team->max_turns < 2)
        return err_set (err, ERR_INPUT,
                        "route needs a role named router in the team, another one, and 2 turns");
    while (json_array_size (protocol) + 2 <= team->max_turns) {
        json_t *choices = json_array (), *does = json_object ();
        for (size_t r = 0; r < team->n; r++) {
            if (team->roles[r] == router)
                continue;
            json_array_append_new (choices, json_sprintf ("route %s", team->roles[r]));
            json_object_set_new (does, team->roles[r], protocol_duty (team, team->roles[r]));
        }
        if (json_array_size (protocol))
            json_array_append_new (choices, json_string ("finalize"));
        protocol_one (protocol, router, choices, NULL);
        json_array_append_new (protocol, json_pack ("{s:o, s:b}", "does", does, "routed", 1));
    }
    return 0;
}

/*  ---- turns of one's own --------------------------------------------------------------------- */

/*  A turn as a configuration has it, in our form; repeat: how often it comes. NULL: err says what
 *  is wrong. */
static json_t *protocol_own_turn (const json_t *own, size_t t, size_t *repeat, err_t *err)
{
    json_t *does = json_object (), *turn = json_pack ("{s:o}", "does", does), *value;
    const char *key;
    *repeat = 1;
    json_object_foreach ((json_t *) (uintptr_t) own, key, value) {
        const char *text = json_is_string (value) ? json_string_value (value) : NULL;
        char *end = NULL;
        if (strcmp (key, "until") == 0)
            json_object_set (turn, key, value);
        else if (strcmp (key, "routed") == 0)
            json_object_set_new (
                turn, key, text ? json_boolean (strcmp (text, "true") == 0) : json_incref (value));
        else if (strcmp (key, "repeat") != 0)
            json_object_set_new (does, key, text ? json_pack ("[O]", value) : json_incref (value));
        else if (!(*repeat =
                       text ? strtoul (text, &end, 10) : (size_t) json_integer_value (value)) ||
                 *repeat > PROTOCOL_TURNS_MAX || (end && *end)) {
            json_decref (turn);
            err_set (err, ERR_INPUT, "turn %zu, repeat: a number from 1 to %d", t + 1,
                     PROTOCOL_TURNS_MAX);
            return NULL;
        }
    }
    return turn;
}

static int protocol_own (json_t *protocol, const protocol_team_t *team, err_t *err)
{
    json_error_t problem;
    json_t *own = json_loads (team->turns ? team->turns : "", JSON_REJECT_DUPLICATES, &problem),
           *line;
    size_t t, repeat;
    int rc = json_is_array (own) ? 0 : err_set (err, ERR_INPUT, "a list of turns is wanted");
    json_array_foreach (own, t, line) {
        json_t *turn = rc == 0 ? protocol_own_turn (line, t, &repeat, err) : NULL;
        rc = turn ? 0 : -1;
        for (size_t i = 0; rc == 0 && i < repeat; i++)
            json_array_append (protocol, turn);
        json_decref (turn);
    }
    json_decref (own);
    return rc;
}

/*  One row is one protocol, with the turns that it has by itself where their number is free. */
static const struct {
    const char *name;
    size_t turns;
    int (*make) (json_t *protocol, const protocol_team_t *team, err_t *err);
} protocols[] = {{"parallel", 1, protocol_parallel},   {"pipeline", 0, protocol_pipeline},
                 {"discussion", 2, protocol_parallel}, {"plan", 0, protocol_plan},
                 {"repair", 5, protocol_repair},       {"review", 5, protocol_review},
                 {"route", 6, protocol_route},         {"turns", 0, protocol_own}};

json_t *protocol_make (const char *name, const protocol_team_t *team, err_t *err)
{
    size_t p = 0;
    while (p < sizeof protocols / sizeof *protocols && strcmp (protocols[p].name, name) != 0)
        p++;
    if (p == sizeof protocols / sizeof *protocols) {
        err_set (err, ERR_INPUT, "there is no protocol '%.60s'", name);
        return NULL;
    }
    if (team->max_turns > PROTOCOL_TURNS_MAX) {
        err_set (err, ERR_INPUT, "%zu turns: at most %d", team->max_turns, PROTOCOL_TURNS_MAX);
        return NULL;
    }
    protocol_team_t playing = *team;
    playing.max_turns = team->max_turns ? team->max_turns : protocols[p].turns;
    json_t *protocol = json_array (), *roles = json_array ();
    for (size_t r = 0; r < team->n; r++)
        json_array_append_new (roles, json_string (team->roles[r]));
    int rc = protocols[p].make (protocol, &playing, err);
    if (rc == 0)
        rc = protocol_check (protocol, roles, err);
    json_decref (roles);
    if (rc != 0)
        json_decref (protocol);
    return rc == 0 ? protocol : NULL;
}
