/*  episode - see episode.h */
#include "task/episode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "task/family.h"

#define STATE_MAX ((size_t) 16 << 20)

/*  The global state itself is what is kept; everything else is looked up in it. */
struct episode {
    const family_t *family;
    json_t *state;
    json_t *turns;  /* in state */
    json_t *acting; /* actions of the turn under way, by role: object or null */
    size_t roles, max_turns;
    bool done;
};

static const char *role_name (const episode_t *e, size_t role)
{
    return json_string_value (json_array_get (json_object_get (e->state, "roles"), role));
}

static int check_roles (const episode_t *e, err_t *err)
{
    if (e->roles == 0 || e->roles > EPISODE_ROLES_MAX)
        return err_set (err, ERR_INPUT, "a team has 1 to %d roles, not %zu", EPISODE_ROLES_MAX,
                        e->roles);
    for (size_t r = 0; r < e->roles; r++)
        if (!role_name (e, r) || !family_knows (e->family, role_name (e, r)))
            return err_set (err, ERR_INPUT, "task family %s has no role '%s'", e->family->name,
                            role_name (e, r) ? role_name (e, r) : "");
    return 0;
}

/*  Takes the state over. */
static episode_t *adopt (json_t *state, err_t *err)
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
        rc = check_roles (e, err);
    if (rc == 0) {
        e->max_turns = turns > 0 ? (size_t) turns : e->family->turns;
        e->acting = json_array ();
        for (size_t r = 0; r < e->roles; r++)
            json_array_append_new (e->acting, json_null ());
    } else {
        episode_destroy (&e);
    }
    return e;
}

episode_t *episode_new (const char *task_json, const char *const *roles, size_t roles_n,
                        const episode_limits_t *limits, err_t *err)
{
    json_error_t problem;
    json_t *task = json_loads (task_json, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object (task)) {
        json_decref (task);
        err_set (err, ERR_INPUT, "the task is not a JSON object: %s", problem.text);
        return NULL;
    }
    json_t *names = json_array ();
    for (size_t i = 0; i < roles_n; i++)
        json_array_append_new (names, json_string (roles[i]));
    json_t *state = json_pack ("{s:o, s:o, s:{s:I, s:I}, s:[], s:s, s:b}", "task", task, "roles",
                               names, "limits", "tokens", (json_int_t) limits->tokens, "turns",
                               (json_int_t) limits->turns, "turns", "artifact", "", "done", 0);
    if (!state) {
        err_set (err, ERR_LIMIT, "no memory for an episode");
        return NULL;
    }
    return adopt (state, err);
}

/*  What came from outside is checked where it is used: turns of actions with role, text and counts. */
static int check_turns (const json_t *turns, err_t *err)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (turns, t, turn) {
        const json_t *actions = json_object_get (turn, "actions");
        if (!json_is_array (actions))
            return err_set (err, ERR_INPUT, "turn %zu has no \"actions\"", t);
        json_array_foreach (actions, a, action)
            if (!json_is_string (json_object_get (action, "role")) ||
                !json_is_string (json_object_get (action, "text")) ||
                json_integer_value (json_object_get (action, "tokens")) < 0)
                return err_set (err, ERR_INPUT,
                                "turn %zu, action %zu: role, text and tokens "
                                "are wanted",
                                t, a);
    }
    return 0;
}

episode_t *episode_parse (const char *state_json, size_t size, err_t *err)
{
    json_error_t problem = {.text = "it is too long"};
    json_t *state =
        size > STATE_MAX ? NULL : json_loadb (state_json, size, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object (state)) {
        err_set (err, ERR_INPUT, "a global state is a JSON object of at most %zu bytes: %s",
                 STATE_MAX, state ? "this is none" : problem.text);
        json_decref (state);
        return NULL;
    }
    episode_t *e = adopt (state, err);
    if (e && check_turns (e->turns, err) != 0)
        episode_destroy (&e);
    return e;
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

size_t episode_turn (const episode_t *e)
{
    return json_array_size (e->turns);
}

bool episode_done (const episode_t *e)
{
    return e->done;
}

bool episode_acts (const episode_t *e, size_t role)
{
    return !e->done && role < e->roles;
}

/*  What the team wrote in earlier turns, before what the family says: a prompt may be the beginning of the
 *  role's own text, which must come last. */
static void recall (const episode_t *e, buf_t *prompt)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (e->turns, t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            buf_printf (prompt, "# %s wrote in turn %zu:\n%s\n\n", family_text (action, "role"),
                        t + 1, family_text (action, "text"));
}

int episode_observe (const episode_t *e, size_t role, buf_t *prompt, err_t *err)
{
    recall (e, prompt);
    e->family->observe (json_object_get (e->state, "task"), role_name (e, role), prompt);
    return buf_failed (prompt) ? err_set (err, ERR_LIMIT, "the observation is too long") : 0;
}

/*  The text as JSON and C strings can carry it: what is no UTF-8, and a byte 0, becomes U+FFFD. */
static json_t *json_text (const char *text, size_t size)
{
    buf_t clean = {.max = 3 * size + 1};
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) text + at,
                                               (utf8proc_ssize_t) (size - at), &point);
        if (n > 0 && point != 0)
            buf_append (&clean, text + at, (size_t) n);
        else
            buf_text (&clean, "\xef\xbf\xbd");
        at += n > 0 ? (size_t) n : 1;
    }
    json_t *value =
        buf_failed (&clean) ? NULL : json_stringn (clean.data ? clean.data : "", clean.size);
    buf_free (&clean);
    return value;
}

int episode_act (episode_t *e, size_t role, const episode_action_t *action, err_t *err)
{
    if (!episode_acts (e, role))
        return err_set (err, ERR_INPUT, "role %zu does not act in turn %zu", role,
                        episode_turn (e));
    json_t *text = json_text (action->text, action->size);
    json_t *entry =
        text ? json_pack ("{s:s, s:o, s:I, s:b, s:I}", "role", role_name (e, role), "text", text,
                          "tokens", (json_int_t) action->tokens, "truncated", action->truncated,
                          "tokens_read", (json_int_t) action->tokens_read)
             : NULL;
    if (!entry || json_array_set_new (e->acting, role, entry) != 0)
        return err_set (err, ERR_LIMIT, "no memory for an action");
    return 0;
}

static void merge (episode_t *e)
{
    const json_t *actions =
        json_object_get (json_array_get (e->turns, json_array_size (e->turns) - 1), "actions");
    const char *roles[EPISODE_ROLES_MAX], *texts[EPISODE_ROLES_MAX];
    size_t n = json_array_size (actions);
    for (size_t i = 0; i < n && i < EPISODE_ROLES_MAX; i++) {
        roles[i] = family_text (json_array_get (actions, i), "role");
        texts[i] = family_text (json_array_get (actions, i), "text");
    }
    buf_t artifact = {.max = STATE_MAX};
    e->family->merge (json_object_get (e->state, "task"), roles, texts, n, &artifact);
    if (artifact.data)
        json_object_set_new (e->state, "artifact", json_text (artifact.data, artifact.size));
    buf_free (&artifact);
}

int episode_step (episode_t *e, err_t *err)
{
    for (size_t r = 0; r < e->roles; r++)
        if (json_is_null (json_array_get (e->acting, r)))
            return err_set (err, ERR_INPUT, "role '%s' has not acted in turn %zu", role_name (e, r),
                            episode_turn (e));
    json_t *turn = json_pack ("{s:O}", "actions", e->acting);
    if (!turn || json_array_append_new (e->turns, turn) != 0)
        return err_set (err, ERR_LIMIT, "no memory for a turn");
    json_decref (e->acting);
    e->acting = json_array ();
    for (size_t r = 0; r < e->roles; r++)
        json_array_append_new (e->acting, json_null ());
    merge (e);
    e->done = episode_turn (e) >= e->max_turns;
    json_object_set_new (e->state, "done", json_boolean (e->done));
    return 0;
}

static int append (const char *data, size_t size, void *buf)
{
    buf_append (buf, data, size);
    return buf_failed (buf) ? -1 : 0;
}

int episode_state (const episode_t *e, buf_t *json, err_t *err)
{
    if (json_dump_callback (e->state, append, json, JSON_COMPACT) != 0)
        return err_set (err, ERR_LIMIT, "the global state is too large");
    return 0;
}

const json_t *episode_json (const episode_t *e)
{
    return e->state;
}

static json_int_t count (const json_t *action, const char *key)
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
            sum += count (action, "tokens");
    return (size_t) sum;
}

size_t episode_critical_path (const episode_t *e)
{
    const json_t *turn, *action;
    size_t t, a;
    json_int_t sum = 0;
    json_array_foreach (e->turns, t, turn) {
        json_int_t longest = 0;
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            if (count (action, "tokens") > longest)
                longest = count (action, "tokens");
        sum += longest;
    }
    return (size_t) sum;
}
