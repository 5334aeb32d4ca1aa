/*  episode - see episode.h
 *
 *  An episode is a JSON value and little else: what is written to the store, told to the scorer and
 *  shown to people is the thing itself, so none of them can see another one. Task, roles and limits
 *  are shared between the episodes of a group by reference and therefore never written to.
 */
#include "task/episode.h"

#include <stdlib.h>
#include <string.h>

#include "task/clean.h"
#include "task/family.h"
#include "task/outcome.h"
#include "task/prompt.h"
#include "task/record.h"
#include "team/protocol.h"
#include "team/state.h"

/*  Of a state, a history or an artifact: what is longer would not fit into a message of the bus. */
#define EPISODE_STATE_MAX ((size_t) 16 << 20)

/*  The global state itself is what is kept; everything else is looked up in it. */
struct episode {
    const family_t *family;
    json_t *state;
    json_t *turns; /* in state */
    json_t *protocol;
    json_t *acting; /* actions of the turn under way, by role: object or null */
    json_t *found;  /* by its tools, by role */
    /* Of a program: what it asks in the turn under way, by role, and that as a turn; NULL while it
     * has not said so. */
    json_t *observed, *asked;
    size_t roles;
    bool done;
};

/*  Names stand in the state alone: it is the state that travels. */
static const char *episode_role_name (const episode_t *e, size_t role)
{
    return json_string_value (json_array_get (json_object_get (e->state, "roles"), role));
}

static int episode_check_names (const episode_t *e, err_t *err)
{
    if (e->roles == 0 || e->roles > EPISODE_ROLES_MAX)
        return err_set (err, ERR_INPUT, "a team has 1 to %d roles, not %zu", EPISODE_ROLES_MAX,
                        e->roles);
    for (size_t r = 0; r < e->roles; r++)
        if (!episode_role_name (e, r) || !*episode_role_name (e, r))
            return err_set (err, ERR_INPUT, "role %zu has no name", r);
    return 0;
}

/*  A family merges and scores slots, and knows which there are. A seat that writes into none, such
 *  as a planner, is nothing to it. */
static int episode_check_slots (const episode_t *e, err_t *err)
{
    const json_t *slot;
    size_t i;
    json_array_foreach (json_object_get (e->state, "slots"), i, slot)
        if (!family_knows (e->family, json_string_value (slot)))
            return err_set (err, ERR_INPUT, "task family %s has no role '%s'", e->family->name,
                            json_string_value (slot));
    return json_array_size (json_object_get (e->state, "slots"))
               ? 0
               : err_set (err, ERR_INPUT, "nobody of the team writes anything");
}

/*  The protocol of the state, or all in parallel. A limit of 0 leaves the number of turns to the
 *  family; a state that somebody else played may have more. */
static int episode_find_protocol (episode_t *e, err_t *err)
{
    const json_t *roles = json_object_get (e->state, "roles");
    json_t *given = json_object_get (e->state, "protocol");
    const char *names[EPISODE_ROLES_MAX];
    for (size_t r = 0; r < e->roles; r++)
        names[r] = episode_role_name (e, r);
    json_int_t turns =
        json_integer_value (json_object_get (json_object_get (e->state, "limits"), "turns"));
    size_t most = turns > 0 ? (size_t) turns : e->family->turns,
           played = json_array_size (e->turns);
    protocol_team_t team = {
        .roles = names, .n = e->roles, .max_turns = most > played ? most : played};
    if (e->family->by_program)
        e->protocol = protocol_anybody (names, e->roles, team.max_turns);
    else
        e->protocol = given ? json_incref (given) : protocol_make ("parallel", &team, err);
    return e->protocol ? protocol_check (e->protocol, roles, err) : -1;
}

static void episode_begin_turn (episode_t *e)
{
    json_decref (e->acting);
    json_decref (e->found);
    json_decref (e->observed);
    json_decref (e->asked);
    e->observed = e->asked = NULL;
    e->acting = json_array ();
    e->found = json_object ();
    for (size_t r = 0; r < e->roles; r++)
        json_array_append_new (e->acting, json_null ());
}

/*  Takes the state over. It may come from a file, so nothing of it is taken for granted; turns are
 *  checked by the caller, since a state that begins has none. */
static episode_t *episode_adopt (json_t *state, err_t *err)
{
    episode_t *e = calloc (1, sizeof *e);
    if (!e) {
        json_decref (state);
        err_set (err, ERR_LIMIT, "no memory for an episode");
        return NULL;
    }
    e->state = state;
    const json_t *task = json_object_get (state, "task");
    /* Looked up once: what follows calls the family at every turn. */
    e->family = family_find (family_text (task, "family"));
    e->turns = json_object_get (state, "turns");
    e->roles = json_array_size (json_object_get (state, "roles"));
    e->done = json_is_true (json_object_get (state, "done"));
    int rc = 0;
    if (!e->family)
        rc = err_set (err, ERR_INPUT, "no task family '%s'", family_text (task, "family"));
    else if (!json_is_array (e->turns) || !json_is_object (json_object_get (state, "limits")))
        rc = err_set (err, ERR_INPUT, "a global state needs \"turns\" and \"limits\"");
    else
        rc = episode_check_names (e, err);
    if (rc == 0)
        rc = episode_find_protocol (e, err);
    if (rc == 0) {
        state_begin (state, e->protocol);
        rc = episode_check_slots (e, err);
    }
    if (rc == 0)
        episode_begin_turn (e);
    else
        episode_destroy (&e);
    return e;
}

/*  What the episodes of a group have in common; each is in the state where it is given. */
static const char *const common[] = {"task", "roles", "limits", "protocol", "prompts", "sees"};

/*  Takes what is common over. */
static episode_t *episode_start (json_t *state, err_t *err)
{
    if (!state || json_object_set_new (state, "turns", json_array ()) != 0 ||
        json_object_set_new (state, "artifact", json_string ("")) != 0 ||
        json_object_set_new (state, "done", json_false ()) != 0) {
        json_decref (state);
        err_set (err, ERR_LIMIT, "no memory for an episode");
        return NULL;
    }
    return episode_adopt (state, err);
}

/*  NULL where no role has any. */
static json_t *episode_words (const char *const *words, size_t n)
{
    bool any = false;
    for (size_t r = 0; words && r < n; r++)
        any = any || *words[r];
    json_t *list = any ? json_array () : NULL;
    for (size_t r = 0; list && r < n; r++)
        json_array_append_new (list, json_string (words[r]));
    return list;
}

episode_t *episode_new (const char *task_json, const char *const *roles, size_t roles_n,
                        const episode_limits_t *limits, err_t *err)
{
    json_error_t problem;
    /* A key that stands twice would mean one thing to us and another one to a scorer in Python. */
    json_t *task = json_loads (task_json, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object (task)) {
        json_decref (task);
        err_set (err, ERR_INPUT, "the task is not a JSON object: %s", problem.text);
        return NULL;
    }
    json_t *protocol = NULL;
    if (limits->protocol && *limits->protocol &&
        !(protocol = json_loads (limits->protocol, JSON_REJECT_DUPLICATES, &problem))) {
        json_decref (task);
        err_set (err, ERR_INPUT, "the protocol is no JSON: %s", problem.text);
        return NULL;
    }
    json_t *names = json_array ();
    for (size_t i = 0; i < roles_n; i++)
        json_array_append_new (names, json_string (roles[i]));
    json_t *bounds = json_pack ("{s:I, s:I}", "tokens", (json_int_t) limits->tokens, "turns",
                                (json_int_t) limits->turns);
    /* A limit of CPU time that is not set is left out: the default of who scores then holds. */
    if (limits->cpu_s > 0)
        json_object_set_new (bounds, "cpu_s", json_real (limits->cpu_s));
    if (limits->cpu_total_s > 0)
        json_object_set_new (bounds, "cpu_total_s", json_real (limits->cpu_total_s));
    return episode_start (json_pack ("{s:o, s:o, s:o, s:o*, s:o*, s:o*}", "task", task, "roles",
                                     names, "limits", bounds, "protocol", protocol, "prompts",
                                     episode_words (limits->prompts, roles_n), "sees",
                                     episode_words (limits->sees, roles_n)),
                          err);
}

/*  Nobody writes into what is common, so the episodes of a group can share it. */
episode_t *episode_again (const episode_t *e, err_t *err)
{
    json_t *state = json_object ();
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (json_object_get (e->state, common[i]))
            json_object_set (state, common[i], json_object_get (e->state, common[i]));
    return episode_start (state, err);
}

/*  An episode that nothing else has ended is over with the last turn, or by a program's word. */
static void episode_limit (episode_t *e)
{
    if (!*family_text (e->state, "end"))
        json_object_set_new (e->state, "end",
                             json_string (e->family->by_program ? "done" : "limit"));
}

/*  A turn of those that a program asks: each says something, and that is all. */
static json_t *episode_make_asked (const json_t *observed)
{
    const char *role;
    json_t *text, *does = json_object ();
    json_object_foreach ((json_t *) (uintptr_t) observed, role, text)
        json_object_set_new (does, role, json_pack ("[s]", "draft"));
    return json_pack ("{s:o}", "does", does);
}

/*  Turn t of those that are there makes of the shared state what its protocol says. */
static void episode_apply (episode_t *e, size_t t)
{
    const json_t *record = json_array_get (e->turns, t);
    json_t *asked =
        e->family->by_program ? episode_make_asked (json_object_get (record, "observed")) : NULL;
    state_apply (e->state, asked ? asked : protocol_turn (e->protocol, t), record, t);
    json_decref (asked);
}

episode_t *episode_parse (const char *state_json, size_t size, err_t *err)
{
    json_error_t problem = {.text = "it is too long"};
    json_t *state = size > EPISODE_STATE_MAX
                        ? NULL
                        : json_loadb (state_json, size, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object (state)) {
        err_set (err, ERR_INPUT, "a global state is a JSON object of at most %zu bytes: %s",
                 EPISODE_STATE_MAX, state ? "this is none" : problem.text);
        json_decref (state);
        return NULL;
    }
    episode_t *e = episode_adopt (state, err);
    if (e &&
        record_check (e->turns, json_object_get (state, "roles"), e->family->by_program, err) != 0)
        episode_destroy (&e);
    /* What the team hands in, and whether it is done, are taken as they stand there. */
    for (size_t t = 0; e && t < json_array_size (e->turns); t++)
        episode_apply (e, t);
    if (e && e->done)
        episode_limit (e);
    return e;
}

/*  What the texts in the slots make of the artifact. */
static int episode_merge (episode_t *e, err_t *err)
{
    const char *roles[EPISODE_ROLES_MAX], *texts[EPISODE_ROLES_MAX];
    size_t n = state_slots (e->state, roles, texts, EPISODE_ROLES_MAX);
    buf_t artifact = {.max = EPISODE_STATE_MAX};
    e->family->merge (json_object_get (e->state, "task"), roles, texts, n, &artifact);
    int rc = buf_check (&artifact, "what the team hands in", err);
    json_t *text = rc == 0 ? clean_text (artifact.data ? artifact.data : "", artifact.size) : NULL;
    if (rc == 0 && (!text || json_object_set_new (e->state, "artifact", text) != 0))
        rc = err_set (err, ERR_LIMIT, "no memory for what the team hands in");
    buf_free (&artifact);
    return rc;
}

/*  Whether it is done stands in the state as well, for scorers and people who see nothing else. */
static void episode_settle (episode_t *e)
{
    e->done = *family_text (e->state, "end");
    json_object_set_new (e->state, "done", json_boolean (e->done));
}

/*  A program has ended the episode, and says what it was worth. */
static int episode_conclude (episode_t *e, const json_t *outcome, err_t *err)
{
    json_t *copy = json_deep_copy (outcome);
    json_object_del (copy, "done");
    if (!copy || json_object_set_new (e->state, "outcome", copy) != 0)
        return err_set (err, ERR_LIMIT, "no memory for an outcome");
    episode_limit (e);
    episode_settle (e);
    return 0;
}

/*  Plays turn t of those that are there: what follows from it need not travel. */
static int episode_play (episode_t *e, size_t t, err_t *err)
{
    episode_apply (e, t);
    if (!e->family->by_program && t + 1 >= json_array_size (e->protocol))
        episode_limit (e);
    episode_settle (e);
    /* While nobody has written anything, the team has nothing to hand in. */
    return json_object_size (state_artifacts (e->state)) ? episode_merge (e, err) : 0;
}

/*  Takes turns over from a history, and an artifact where one is given. */
static int episode_adopt_history (episode_t *e, const json_t *history, err_t *err)
{
    json_t *turns = json_object_get (history, "turns");
    json_t *artifact = json_object_get (history, "artifact");
    if (!json_is_array (turns) || (artifact && !json_is_string (artifact)))
        return err_set (err, ERR_INPUT, "a history needs \"turns\": [...]");
    /* More turns than are played were not played by us, and would be scored as if they were. */
    if (json_array_size (turns) > json_array_size (e->protocol))
        return err_set (err, ERR_INPUT, "a history of %zu turns, %zu at most are played",
                        json_array_size (turns), json_array_size (e->protocol));
    if (record_check (turns, json_object_get (e->state, "roles"), e->family->by_program, err) != 0)
        return -1;
    /* Only now: a history that is refused leaves the episode as it was. */
    json_object_set (e->state, "turns", turns);
    e->turns = turns;
    for (size_t t = 0; t < json_array_size (turns); t++)
        if (episode_play (e, t, err) != 0)
            return -1;
    const json_t *outcome = json_object_get (history, "outcome");
    if (e->family->by_program && outcome && episode_conclude (e, outcome, err) != 0)
        return -1;
    /* A scorer that was given the artifact keeps it as it was given, whatever the family would
       make of the turns now. */
    if (artifact)
        json_object_set (e->state, "artifact", artifact);
    return 0;
}

/*  What the episode keeps of the history is referenced before the rest is let go. */
int episode_replay (episode_t *e, const char *text, size_t size, err_t *err)
{
    json_error_t problem = {.text = "it is too long"};
    json_t *history =
        size > EPISODE_STATE_MAX ? NULL : json_loadb (text, size, JSON_REJECT_DUPLICATES, &problem);
    int rc = json_is_object (history)
                 ? episode_adopt_history (e, history, err)
                 : err_set (err, ERR_INPUT, "a history is a JSON object of at most %zu bytes: %s",
                            EPISODE_STATE_MAX, history ? "this is none" : problem.text);
    json_decref (history);
    return rc;
}

void episode_destroy (episode_t **self)
{
    if (!*self)
        return;
    json_decref ((*self)->state);
    json_decref ((*self)->protocol);
    json_decref ((*self)->acting);
    json_decref ((*self)->found);
    json_decref ((*self)->observed);
    json_decref ((*self)->asked);
    free (*self);
    *self = NULL;
}

/*  Also the number of the turn under way, counted from 0. */
size_t episode_turn (const episode_t *e)
{
    return json_array_size (e->turns);
}

bool episode_done (const episode_t *e)
{
    return e->done;
}

static const json_t *episode_now (const episode_t *e)
{
    return e->done                 ? NULL
           : e->family->by_program ? e->asked
                                   : protocol_turn (e->protocol, episode_turn (e));
}

/*  What a role may do in the turn under way. */
static const json_t *episode_offers (const episode_t *e, size_t role)
{
    return state_offers (e->state, episode_now (e), episode_role_name (e, role));
}

bool episode_acts (const episode_t *e, size_t role)
{
    return role < e->roles && protocol_says (episode_offers (e, role));
}

bool episode_ever_acts (const episode_t *e, size_t role)
{
    return role < e->roles && protocol_ever_speaks (e->protocol, episode_role_name (e, role));
}

/*  A role's words of one kind; "": it has none. */
static const char *episode_words_of (const episode_t *e, const char *kind, size_t role)
{
    const char *words = json_string_value (json_array_get (json_object_get (e->state, kind), role));
    return words ? words : "";
}

/*  A program says all that a role needs to know, unless the role's own words say otherwise. */
static prompt_seat_t episode_seat (const episode_t *e, size_t role)
{
    const char *sees = episode_words_of (e, "sees", role), *name = episode_role_name (e, role);
    bool told = e->family->by_program;
    return (prompt_seat_t){.family = e->family,
                           .state = e->state,
                           .role = name,
                           .words = episode_words_of (e, "prompts", role),
                           .sees = told && !*sees ? "brief" : sees,
                           .asked = told ? family_text (e->observed, name) : NULL,
                           .offers = episode_offers (e, role)};
}

int episode_observe (const episode_t *e, size_t role, buf_t *prompt, err_t *err)
{
    prompt_seat_t seat = episode_seat (e, role);
    return prompt_write (&seat, prompt, err);
}

/*  Recorded apart from the turns until everybody has acted, so that no role of this turn sees
 *  another one. */
int episode_act (episode_t *e, size_t role, const episode_action_t *action, err_t *err)
{
    if (!episode_acts (e, role))
        return err_set (err, ERR_INPUT, "role %zu does not act in turn %zu", role,
                        episode_turn (e));
    /* A model may emit any bytes; what is kept must be JSON, and the same JSON everywhere. */
    json_t *text = clean_text (action->text, action->size);
    prompt_seat_t seat = episode_seat (e, role);
    json_t *entry =
        text ? json_pack ("{s:s, s:o, s:I, s:b, s:I}", "role", episode_role_name (e, role), "text",
                          text, "tokens", (json_int_t) action->tokens, "truncated",
                          action->truncated, "tokens_read",
                          action->full ? 0 : (json_int_t) prompt_tokens_read (&seat))
             : NULL;
    if (entry && action->full)
        json_object_set_new (entry, "full", json_true ());
    if (!entry || json_array_set_new (e->acting, role, entry) != 0)
        return err_set (err, ERR_LIMIT, "no memory for an action");
    return 0;
}

/*  What a role said in the turn under way. */
static const char *episode_said (const episode_t *e, size_t role)
{
    return family_text (json_array_get (e->acting, role), "text");
}

size_t episode_tool (const episode_t *e, size_t role, const char **tool, const char **query)
{
    for (; role < e->roles; role++) {
        const char *name = episode_role_name (e, role);
        if (episode_offers (e, role) && !json_object_get (e->found, name) &&
            (*tool = state_tool (e->state, episode_now (e), name, episode_said (e, role), query)))
            return role;
    }
    return EPISODE_ROLES_MAX;
}

int episode_found (episode_t *e, size_t role, bool success, double quality, const char *verdict,
                   err_t *err)
{
    json_t *found =
        json_pack ("{s:b, s:f, s:s}", "success", success, "quality", quality, "verdict", verdict);
    if (!found || json_object_set_new (e->found, episode_role_name (e, role), found) != 0)
        return err_set (err, ERR_LIMIT, "no memory for what a tool found");
    return 0;
}

/*  The actions of the turn under way, without those who say nothing; and what tools found. */
static json_t *episode_record (const episode_t *e)
{
    json_t *actions = json_array (), *action;
    size_t r;
    json_array_foreach (e->acting, r, action)
        if (!json_is_null (action))
            json_array_append (actions, action);
    return json_pack ("{s:O*, s:o, s:O*}", "observed", e->observed, "actions", actions, "tools",
                      json_object_size (e->found) ? e->found : NULL);
}

/*  For jansson, which writes piece by piece. */
static int episode_append (const char *data, size_t size, void *buf)
{
    buf_append (buf, data, size);
    return buf_failed (buf) ? -1 : 0;
}

static int episode_write (const json_t *value, buf_t *json, err_t *err)
{
    int rc = json_dump_callback (value, episode_append, json, JSON_COMPACT);
    if (buf_check (json, "an episode as JSON", err) != 0)
        return -1;
    return rc == 0 ? 0 : err_set (err, ERR_LIMIT, "no memory to write an episode");
}

/*  ---- what a program says -------------------------------------------------------------------- */

bool episode_waits (const episode_t *e)
{
    return e->family->by_program && !e->done && !e->observed;
}

int episode_told (episode_t *e, const json_t *answer, err_t *err)
{
    bool done;
    if (!episode_waits (e))
        return err_set (err, ERR_INPUT, "no program was asked in turn %zu", episode_turn (e));
    if (outcome_check (answer, json_object_get (e->state, "roles"), &done, err) != 0)
        return -1;
    if (done)
        return episode_conclude (e, answer, err);
    e->observed = json_deep_copy (json_object_get (answer, "observe"));
    e->asked = episode_make_asked (e->observed);
    return e->observed && e->asked ? 0 : err_set (err, ERR_LIMIT, "no memory for an observation");
}

int episode_so_far (const episode_t *e, const char *id, buf_t *json, err_t *err)
{
    json_t *record = json_pack (
        "{s:s, s:O, s:O, s:{s:O, s:I}, s:O}", "episode", id, "task",
        json_object_get (e->state, "task"), "roles", json_object_get (e->state, "roles"), "limits",
        "tokens", json_object_get (json_object_get (e->state, "limits"), "tokens"), "turns",
        (json_int_t) json_array_size (e->protocol), "turns", e->turns);
    int rc = record ? episode_write (record, json, err)
                    : err_set (err, ERR_LIMIT, "no memory for an episode");
    json_decref (record);
    return rc;
}

/*  ---- steps ---------------------------------------------------------------------------------- */

/*  A turn is whole or is not there. */
int episode_step (episode_t *e, err_t *err)
{
    const char *tool, *query;
    if (!episode_now (e))
        return err_set (err, ERR_INPUT, "the episode is done");
    for (size_t r = 0; r < e->roles; r++)
        if (episode_acts (e, r) && json_is_null (json_array_get (e->acting, r)))
            return err_set (err, ERR_INPUT, "role '%s' has not acted in turn %zu",
                            episode_role_name (e, r), episode_turn (e));
    if (episode_tool (e, 0, &tool, &query) != EPISODE_ROLES_MAX)
        return err_set (err, ERR_INPUT, "turn %zu: nobody has used the tool %s", episode_turn (e),
                        tool);
    json_t *turn = episode_record (e);
    if (!turn || json_array_append_new (e->turns, turn) != 0)
        return err_set (err, ERR_LIMIT, "no memory for a turn");
    episode_begin_turn (e);
    return episode_play (e, episode_turn (e) - 1, err);
}

/*  All of it, hidden checks included. What people see is episode_public. */
int episode_state (const episode_t *e, buf_t *json, err_t *err)
{
    return episode_write (e->state, json, err);
}

/*  Turns alone: task, roles and limits are the same for all of a group, which has them once. */
int episode_history (const episode_t *e, buf_t *json, err_t *err)
{
    buf_text (json, "{\"turns\":");
    int rc = episode_write (e->turns, json, err);
    if (rc == 0 && json_object_get (e->state, "outcome")) {
        buf_text (json, ",\"outcome\":");
        rc = episode_write (json_object_get (e->state, "outcome"), json, err);
    }
    buf_char (json, '}');
    return rc == 0 ? buf_check (json, "a history", err) : rc;
}

int episode_last_turn (const episode_t *e, buf_t *json, err_t *err)
{
    size_t n = json_array_size (e->turns);
    return n ? episode_write (json_array_get (e->turns, n - 1), json, err)
             : err_set (err, ERR_INPUT, "the episode has no turn yet");
}

const json_t *episode_protocol (const episode_t *e)
{
    return e->protocol;
}

const json_t *episode_json (const episode_t *e)
{
    return e->state;
}
