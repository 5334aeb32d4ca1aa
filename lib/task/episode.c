/*  episode - see episode.h
 *
 *  An episode is a JSON value and little else: what is written to the store, told to the scorer and
 *  shown to people is the thing itself, so none of them can see another one. Task, roles and limits
 *  are shared between the episodes of a group by reference and therefore never written to.
 */
#include "task/episode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "task/family.h"
#include "task/prompt.h"

/*  Of a state, a history or an artifact: what is longer would not fit into a message of the bus. */
#define EPISODE_STATE_MAX ((size_t) 16 << 20)

/*  The global state itself is what is kept; everything else is looked up in it. */
struct episode {
    const family_t *family;
    json_t *state;
    json_t *turns;  /* in state */
    json_t *acting; /* actions of the turn under way, by role: object or null */
    size_t roles, max_turns;
    bool done;
};

/*  Names stand in the state alone: it is the state that travels. */
static const char *episode_role_name (const episode_t *e, size_t role)
{
    return json_string_value (json_array_get (json_object_get (e->state, "roles"), role));
}

/*  A family's functions are only ever called with roles that it knows. */
static int episode_check_roles (const episode_t *e, err_t *err)
{
    if (e->roles == 0 || e->roles > EPISODE_ROLES_MAX)
        return err_set (err, ERR_INPUT, "a team has 1 to %d roles, not %zu", EPISODE_ROLES_MAX,
                        e->roles);
    for (size_t r = 0; r < e->roles; r++)
        if (!episode_role_name (e, r) || !family_knows (e->family, episode_role_name (e, r)))
            return err_set (err, ERR_INPUT, "task family %s has no role '%s'", e->family->name,
                            episode_role_name (e, r) ? episode_role_name (e, r) : "");
    return 0;
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
    const json_t *limits = json_object_get (state, "limits");
    /* Looked up once: what follows calls the family at every turn. */
    e->family = family_find (family_text (task, "family"));
    e->turns = json_object_get (state, "turns");
    e->roles = json_array_size (json_object_get (state, "roles"));
    json_int_t turns = json_integer_value (json_object_get (limits, "turns"));
    e->done = json_is_true (json_object_get (state, "done"));
    int rc = 0;
    if (!e->family)
        rc = err_set (err, ERR_INPUT, "no task family '%s'", family_text (task, "family"));
    else if (!json_is_array (e->turns) || !json_is_object (limits))
        rc = err_set (err, ERR_INPUT, "a global state needs \"turns\" and \"limits\"");
    else
        rc = episode_check_roles (e, err);
    if (rc == 0) {
        /* A limit of 0 leaves the number of turns to the family. */
        e->max_turns = turns > 0 ? (size_t) turns : e->family->turns;
        e->acting = json_array ();
        for (size_t r = 0; r < e->roles; r++)
            json_array_append_new (e->acting, json_null ());
    } else {
        episode_destroy (&e);
    }
    return e;
}

/*  Takes task, roles, prompts (NULL: none) and limits over. */
static episode_t *episode_start (json_t *task, json_t *roles, json_t *prompts, json_t *limits,
                                 err_t *err)
{
    json_t *state =
        json_pack ("{s:o, s:o, s:o*, s:o, s:[], s:s, s:b}", "task", task, "roles", roles, "prompts",
                   prompts, "limits", limits, "turns", "artifact", "", "done", 0);
    if (!state) {
        err_set (err, ERR_LIMIT, "no memory for an episode");
        return NULL;
    }
    return episode_adopt (state, err);
}

/*  NULL where no role has one. */
static json_t *episode_prompts (const char *const *prompts, size_t n)
{
    bool any = false;
    for (size_t r = 0; prompts && r < n; r++)
        any = any || *prompts[r];
    json_t *list = any ? json_array () : NULL;
    for (size_t r = 0; list && r < n; r++)
        json_array_append_new (list, json_string (prompts[r]));
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
    return episode_start (task, names, episode_prompts (limits->prompts, roles_n), bounds, err);
}

/*  Nobody writes into task, roles, prompts and limits, so the episodes of a group can share
 *  them. */
episode_t *episode_again (const episode_t *e, err_t *err)
{
    return episode_start (json_incref (json_object_get (e->state, "task")),
                          json_incref (json_object_get (e->state, "roles")),
                          json_incref (json_object_get (e->state, "prompts")),
                          json_incref (json_object_get (e->state, "limits")), err);
}

/*  Teams have a few roles, so looking through them costs less than a table would. */
static bool episode_has_role (const episode_t *e, const char *name)
{
    for (size_t r = 0; r < e->roles; r++)
        if (strcmp (episode_role_name (e, r), name) == 0)
            return true;
    return false;
}

/*  What came from outside is checked here, once: the rest of the code, scorers included, reads
 *  role, text and counts of every action without looking. */
static int episode_check_turns (const episode_t *e, const json_t *turns, err_t *err)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (turns, t, turn) {
        const json_t *actions = json_object_get (turn, "actions");
        if (!json_is_array (actions))
            return err_set (err, ERR_INPUT, "turn %zu has no \"actions\"", t);
        json_array_foreach (actions, a, action)
            if (!episode_has_role (e, family_text (action, "role")) ||
                !json_is_string (json_object_get (action, "text")) ||
                json_integer_value (json_object_get (action, "tokens")) < 0)
                return err_set (err, ERR_INPUT,
                                "turn %zu, action %zu: a role of the team, text and tokens are "
                                "wanted",
                                t, a);
    }
    return 0;
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
    if (e && episode_check_turns (e, e->turns, err) != 0)
        episode_destroy (&e);
    return e;
}

/*  The text as JSON and C strings can carry it: what is no UTF-8, and a byte 0, becomes U+FFFD. */
static json_t *episode_clean_text (const char *text, size_t size)
{
    /* A replacement has three bytes, and may stand for one. */
    buf_t clean = {.max = 3 * size + 1};
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) text + at,
                                               (utf8proc_ssize_t) (size - at), &point);
        if (n > 0 && point != 0)
            buf_append (&clean, text + at, (size_t) n);
        else
            buf_text (&clean, "\xef\xbf\xbd");
        /* Bytes that are no UTF-8 are replaced one by one, as decoders commonly do. */
        at += n > 0 ? (size_t) n : 1;
    }
    json_t *value =
        buf_failed (&clean) ? NULL : json_stringn (clean.data ? clean.data : "", clean.size);
    buf_free (&clean);
    return value;
}

/*  What the last turn's actions make of the artifact: what the team hands in is always what it
 *  wrote last. */
static int episode_merge (episode_t *e, err_t *err)
{
    const json_t *actions =
        json_object_get (json_array_get (e->turns, json_array_size (e->turns) - 1), "actions");
    const char *roles[EPISODE_ROLES_MAX], *texts[EPISODE_ROLES_MAX];
    size_t n = json_array_size (actions);
    if (n > EPISODE_ROLES_MAX)
        return err_set (err, ERR_INPUT, "a turn of %zu actions", n);
    for (size_t i = 0; i < n; i++) {
        roles[i] = family_text (json_array_get (actions, i), "role");
        texts[i] = family_text (json_array_get (actions, i), "text");
    }
    buf_t artifact = {.max = EPISODE_STATE_MAX};
    e->family->merge (json_object_get (e->state, "task"), roles, texts, n, &artifact);
    int rc = buf_check (&artifact, "what the team hands in", err);
    json_t *text =
        rc == 0 ? episode_clean_text (artifact.data ? artifact.data : "", artifact.size) : NULL;
    if (rc == 0 && (!text || json_object_set_new (e->state, "artifact", text) != 0))
        rc = err_set (err, ERR_LIMIT, "no memory for what the team hands in");
    buf_free (&artifact);
    return rc;
}

/*  What follows from the turns so far, and so need not travel: whether the episode is done, and the
 *  artifact. */
static int episode_end_turn (episode_t *e, err_t *err)
{
    size_t turns = json_array_size (e->turns);
    e->done = turns >= e->max_turns;
    /* In the state as well, for scorers and people who see nothing else. */
    json_object_set_new (e->state, "done", json_boolean (e->done));
    return turns > 0 ? episode_merge (e, err) : 0;
}

/*  Takes turns over from a history, and an artifact where one is given. */
static int episode_adopt_history (episode_t *e, const json_t *history, err_t *err)
{
    json_t *turns = json_object_get (history, "turns");
    json_t *artifact = json_object_get (history, "artifact");
    if (!json_is_array (turns) || (artifact && !json_is_string (artifact)))
        return err_set (err, ERR_INPUT, "a history needs \"turns\": [...]");
    /* More turns than are played were not played by us, and would be scored as if they were. */
    if (json_array_size (turns) > e->max_turns)
        return err_set (err, ERR_INPUT, "a history of %zu turns, %zu at most are played",
                        json_array_size (turns), e->max_turns);
    if (episode_check_turns (e, turns, err) != 0)
        return -1;
    /* Only now: a history that is refused leaves the episode as it was. */
    json_object_set (e->state, "turns", turns);
    e->turns = turns;
    if (episode_end_turn (e, err) != 0)
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
    json_decref ((*self)->acting);
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

/*  Every role acts in every turn until the episode is done. */
bool episode_acts (const episode_t *e, size_t role)
{
    return !e->done && role < e->roles;
}

/*  What the team wrote in earlier turns, before what the family says: a prompt may be the beginning
 *  of the role's own text, which must come last. */
static void episode_recall (const episode_t *e, buf_t *prompt)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (e->turns, t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            buf_printf (prompt, "# %s wrote in turn %zu:\n%s\n\n", family_text (action, "role"),
                        t + 1, family_text (action, "text"));
}

/*  Failures of memory and of length are those of the buffers; a family only appends. */
int episode_observe (const episode_t *e, size_t role, buf_t *prompt, err_t *err)
{
    const json_t *task = json_object_get (e->state, "task");
    const char *name = episode_role_name (e, role);
    const char *words =
        json_string_value (json_array_get (json_object_get (e->state, "prompts"), role));
    buf_t ask = {0};
    int rc = 0;
    episode_recall (e, prompt);
    if (!words || !*words) {
        e->family->observe (task, name, prompt);
    } else {
        e->family->observe (task, name, &ask);
        rc = buf_check (&ask, "an observation", err);
        prompt_expand (
            words, &(prompt_parts_t){family_text (task, "brief"), ask.data ? ask.data : "", name},
            prompt);
    }
    buf_free (&ask);
    return rc == 0 ? buf_check (prompt, "an observation", err) : -1;
}

/*  Recorded apart from the turns until everybody has acted, so that no role of this turn sees
 *  another one. */
int episode_act (episode_t *e, size_t role, const episode_action_t *action, err_t *err)
{
    if (!episode_acts (e, role))
        return err_set (err, ERR_INPUT, "role %zu does not act in turn %zu", role,
                        episode_turn (e));
    /* A model may emit any bytes; what is kept must be JSON, and the same JSON everywhere. */
    json_t *text = episode_clean_text (action->text, action->size);
    json_t *entry =
        text ? json_pack ("{s:s, s:o, s:I, s:b, s:I}", "role", episode_role_name (e, role), "text",
                          text, "tokens", (json_int_t) action->tokens, "truncated",
                          action->truncated, "tokens_read", (json_int_t) action->tokens_read)
             : NULL;
    if (!entry || json_array_set_new (e->acting, role, entry) != 0)
        return err_set (err, ERR_LIMIT, "no memory for an action");
    return 0;
}

/*  A turn is whole or is not there. */
int episode_step (episode_t *e, err_t *err)
{
    for (size_t r = 0; r < e->roles; r++)
        if (json_is_null (json_array_get (e->acting, r)))
            return err_set (err, ERR_INPUT, "role '%s' has not acted in turn %zu",
                            episode_role_name (e, r), episode_turn (e));
    json_t *turn = json_pack ("{s:O}", "actions", e->acting);
    if (!turn || json_array_append_new (e->turns, turn) != 0)
        return err_set (err, ERR_LIMIT, "no memory for a turn");
    /* The turn holds its own reference; what comes next begins empty. */
    json_decref (e->acting);
    e->acting = json_array ();
    for (size_t r = 0; r < e->roles; r++)
        json_array_append_new (e->acting, json_null ());
    return episode_end_turn (e, err);
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
    buf_char (json, '}');
    return rc == 0 ? buf_check (json, "a history", err) : rc;
}

int episode_last_turn (const episode_t *e, buf_t *json, err_t *err)
{
    size_t n = json_array_size (e->turns);
    return n ? episode_write (json_array_get (e->turns, n - 1), json, err)
             : err_set (err, ERR_INPUT, "the episode has no turn yet");
}

/*  A list of what may be seen, rather than of what may not: a family's next hidden check is hidden
 *  by default. */
json_t *episode_public (const episode_t *e)
{
    static const char *const seen[] = {"id", "family", "style", "brief"};
    const json_t *task = json_object_get (e->state, "task");
    json_t *shown = json_object (), *state = json_copy (e->state);
    bool ok = shown && state;
    for (size_t i = 0; ok && i < sizeof seen / sizeof *seen; i++) {
        json_t *value = json_object_get (task, seen[i]);
        ok = !value || json_object_set (shown, seen[i], value) == 0;
    }
    ok = ok && json_object_set (state, "task", shown) == 0;
    json_decref (shown);
    if (!ok)
        json_decref (state);
    return ok ? state : NULL;
}

const json_t *episode_json (const episode_t *e)
{
    return e->state;
}

/*  Counts were checked when the state came in; one that is missing counts 0. */
static json_int_t episode_count (const json_t *action, const char *key)
{
    return json_integer_value (json_object_get (action, key));
}

size_t episode_tokens (const episode_t *e)
{
    const json_t *turn, *action;
    size_t t, a;
    json_int_t sum = 0;
    json_array_foreach (e->turns, t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            sum += episode_count (action, "tokens");
    return (size_t) sum;
}

/*  Roles of a turn write at the same time, so only the slowest of them counts. */
size_t episode_critical_path (const episode_t *e)
{
    const json_t *turn, *action;
    size_t t, a;
    json_int_t sum = 0;
    json_array_foreach (e->turns, t, turn) {
        json_int_t longest = 0;
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            if (episode_count (action, "tokens") > longest)
                longest = episode_count (action, "tokens");
        sum += longest;
    }
    return (size_t) sum;
}
