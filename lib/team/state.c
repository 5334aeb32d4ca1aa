/*  state - see state.h */
#include "team/state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "team/protocol.h"

/*  ---- reading -------------------------------------------------------------------------------- */

const char *state_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}

json_t *state_shared (const json_t *state)
{
    return json_object_get (state, "shared");
}

json_t *state_artifacts (const json_t *state)
{
    return json_object_get (state_shared (state), "artifacts");
}

const char *state_slot_text (const json_t *state, const char *slot)
{
    return state_text (json_object_get (state_artifacts (state), slot), "text");
}

size_t state_slots (const json_t *state, const char **slots, const char **texts, size_t max)
{
    const json_t *list = json_object_get (state, "slots");
    size_t n = json_array_size (list) < max ? json_array_size (list) : max;
    for (size_t i = 0; i < n; i++) {
        slots[i] = json_string_value (json_array_get (list, i));
        texts[i] = state_slot_text (state, slots[i]);
    }
    return n;
}

bool state_lists (const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one)
        if (json_is_string (one) && strcmp (json_string_value (one), text) == 0)
            return true;
    return false;
}

/*  Made at first use: most seats keep no notes. */
json_t *state_private (json_t *state, const char *role, const char *list)
{
    json_t *all = json_object_get (state, "private"), *own = json_object_get (all, role);
    if (!own && json_object_set_new (all, role, json_object ()) == 0)
        own = json_object_get (all, role);
    if (!json_object_get (own, list))
        json_object_set_new (own, list, json_array ());
    return json_object_get (own, list);
}

bool state_failed (json_t *state)
{
    return json_is_false (
        json_object_get (json_object_get (state_shared (state), "test"), "success"));
}

/*  A test says nothing of a text that came with its turn or behind it. */
static bool state_passed (json_t *state)
{
    const json_t *test = json_object_get (state_shared (state), "test"), *artifact;
    const char *slot;
    bool passed = json_is_true (json_object_get (test, "success"));
    json_object_foreach (state_artifacts (state), slot, artifact)
        passed = passed && json_integer_value (json_object_get (artifact, "turn")) <
                               json_integer_value (json_object_get (test, "turn"));
    return passed;
}

static bool state_accepted (json_t *state)
{
    const json_t *slot;
    size_t i;
    bool all = true;
    json_array_foreach (json_object_get (state, "slots"), i, slot)
        all =
            all &&
            strcmp (state_text (json_object_get (state_artifacts (state), json_string_value (slot)),
                                "status"),
                    "accepted") == 0;
    return all;
}

static const struct {
    const char *name;
    bool (*holds) (json_t *state);
} conditions[] = {{"passed", state_passed}, {"accepted", state_accepted}};

bool state_condition (const char *name)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        if (strcmp (conditions[i].name, name) == 0)
            return true;
    return false;
}

static size_t state_count (const json_t *state, const char *key)
{
    const json_t *entry;
    size_t i, n = 0;
    json_array_foreach (json_object_get (state, "audit"), i, entry)
        n += json_object_get (entry, key) != NULL;
    return n;
}

size_t state_invalid (const json_t *state)
{
    return state_count (state, "invalid");
}

size_t state_tools (const json_t *state)
{
    return state_count (state, "input");
}

const json_t *state_offers (const json_t *state, const json_t *turn, const char *role)
{
    bool chosen =
        !protocol_routed (turn) || strcmp (state_text (state_shared (state), "next"), role) == 0;
    return chosen ? protocol_offers (turn, role) : NULL;
}

/*  ---- choosing ------------------------------------------------------------------------------- */

/*  An action as it is understood. */
typedef struct {
    primitive_act_t act;
    const primitive_t *primitive; /* NULL: what was chosen is not offered */
    const char *why;              /* it may not be done; NULL: it may */
    char slot[80];
} state_move_t;

static void state_take (state_move_t *move, const char *offer)
{
    const char *space = strchr (offer, ' ');
    move->primitive = primitive_find (offer, strcspn (offer, " "));
    snprintf (move->slot, sizeof move->slot, "%s", space ? space + 1 : move->act.role);
    move->act.slot = move->slot;
}

/*  Whether a line of n bytes names an offer: whole ("draft aux"), by the primitive's name alone,
 *  or, where that chooses a seat, by the seat's. */
static bool state_names (const char *offer, const char *line, size_t n)
{
    size_t whole = strlen (offer), name = strcspn (offer, " ");
    const char *by = offer;
    size_t size = name;
    if (primitive_find (offer, name)->seat) {
        by = offer + name + 1;
        size = whole - name - 1;
    }
    return n > 0 && ((n == whole && strncasecmp (line, offer, n) == 0) ||
                     (n == size && strncasecmp (line, by, n) == 0));
}

/*  The first line of what was said, without blanks and a colon at its end, is compared with what is
 *  offered. */
static void state_choose (state_move_t *move, const json_t *offers)
{
    const char *text = move->act.text + strspn (move->act.text, " \t\r\n");
    size_t line = strcspn (text, "\n"), size = line, i;
    const json_t *offer;
    while (size > 0 && strchr (" \t\r:.", text[size - 1]))
        size--;
    json_array_foreach (offers, i, offer) {
        const char *name = json_string_value (offer);
        if (state_names (name, text, size)) {
            state_take (move, name);
            move->act.text = text + line + (text[line] == '\n');
            return;
        }
    }
}

static void state_read_move (json_t *state, const json_t *turn, const char *role, const char *text,
                             state_move_t *move)
{
    const json_t *offers = state_offers (state, turn, role);
    *move = (state_move_t){.act = {.state = state, .role = role, .slot = role, .text = text}};
    if (json_array_size (offers) == 1)
        state_take (move, json_string_value (json_array_get (offers, 0)));
    else
        state_choose (move, offers);
    move->why = move->primitive ? move->primitive->may (&move->act)
                                : "the first line names nothing that is offered";
}

const char *state_tool (json_t *state, const json_t *turn, const char *role, const char *text,
                        const char **query)
{
    state_move_t move;
    state_read_move (state, turn, role, text, &move);
    *query = move.primitive && move.primitive->words ? move.act.text : "";
    return !move.why && move.primitive->tool ? move.primitive->name : NULL;
}

/*  ---- the fold ------------------------------------------------------------------------------- */

void state_begin (json_t *state, const json_t *protocol)
{
    json_object_set_new (state, "slots",
                         protocol_slots (protocol, json_object_get (state, "roles")));
    json_object_set_new (state, "shared",
                         json_pack ("{s:s, s:{}, s:[]}", "plan", "", "artifacts", "changelog"));
    json_object_set_new (state, "private", json_object ());
    json_object_set_new (state, "audit", json_array ());
    json_object_set_new (state, "end", json_string (""));
}

const json_t *state_action (const json_t *record, const char *role)
{
    const json_t *action;
    size_t i;
    json_array_foreach (json_object_get (record, "actions"), i, action)
        if (strcmp (state_text (action, "role"), role) == 0)
            return action;
    return NULL;
}

/*  A tool's finding stands in the audit and, the last one, where seats see it. */
static void state_audit_tool (const state_move_t *move)
{
    const primitive_act_t *act = &move->act;
    json_t *state = act->state;
    const char *tool = move->primitive->name;
    const char *input = move->primitive->words ? act->text : state_text (state, "artifact");
    hash_t hash = hash_of (input, strlen (input));
    char hex[HASH_HEX_SIZE];
    json_array_append_new (json_object_get (state, "audit"),
                           json_pack ("{s:I, s:s, s:s, s:s, s:b, s:s}", "turn",
                                      (json_int_t) act->turn, "by", act->role, "does", tool,
                                      "input", hash_hex (&hash, hex), "success",
                                      json_is_true (json_object_get (act->outcome, "success")),
                                      "verdict", state_text (act->outcome, "verdict")));
    json_t *finding = json_copy ((json_t *) (uintptr_t) act->outcome);
    json_object_set_new (finding, "turn", json_integer ((json_int_t) act->turn));
    json_object_set_new (state_shared (state), tool, finding);
}

static void state_log (const state_move_t *move)
{
    const primitive_act_t *act = &move->act;
    bool slot = move->primitive->slot || move->primitive->seat;
    json_array_append_new (json_object_get (state_shared (act->state), "changelog"),
                           json_sprintf ("turn %zu: %s %s%s%s", act->turn + 1, act->role,
                                         move->primitive->name, slot ? " " : "",
                                         slot ? act->slot : ""));
}

static void state_do (state_move_t *move)
{
    primitive_act_t *act = &move->act;
    const char *why = move->why ? move->why : move->primitive->does (act);
    if (why) {
        json_array_append_new (
            json_object_get (act->state, "audit"),
            json_pack ("{s:I, s:s, s:s, s:s}", "turn", (json_int_t) act->turn, "by", act->role,
                       "does", move->primitive ? move->primitive->name : "", "invalid", why));
        return;
    }
    if (move->primitive->tool)
        state_audit_tool (move);
    state_log (move);
}

/*  Conditions are asked once all have acted; an ending that a seat chose comes before them. */
static void state_end (json_t *state, const json_t *turn)
{
    const char *until = state_text (turn, "until");
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        if (!*state_text (state, "end") && strcmp (conditions[i].name, until) == 0 &&
            conditions[i].holds (state))
            json_object_set_new (state, "end", json_string (until));
}

#define STATE_ROLES_MAX 8

void state_apply (json_t *state, const json_t *turn, const json_t *record, size_t number)
{
    state_move_t moves[STATE_ROLES_MAX];
    const json_t *role, *tools = json_object_get (record, "tools");
    size_t r, n = 0;
    json_array_foreach (json_object_get (state, "roles"), r, role) {
        const char *name = json_string_value (role);
        if (n == STATE_ROLES_MAX || !state_offers (state, turn, name))
            continue;
        state_move_t *move = &moves[n++];
        const json_t *action = state_action (record, name);
        state_read_move (state, turn, name, state_text (action, "text"), move);
        if (json_is_true (json_object_get (action, "full")))
            move->why = "its prompt leaves no room for an answer in its model's context";
        move->act.turn = number;
        move->act.outcome = json_object_get (tools, name);
    }
    if (protocol_routed (turn))
        json_object_del (state_shared (state), "next");
    for (size_t i = 0; i < n; i++)
        state_do (&moves[i]);
    state_end (state, turn);
}
