/*  prompt - see prompt.h */
#include "task/prompt.h"

#include <stdio.h>
#include <string.h>

#include "task/asks.h"
#include "team/state.h"

/*  What stands before a prompt, as a template of the set "seen" puts it. */
typedef struct {
    const char *role, *part, *text; /* part: part_n bytes of it */
    size_t part_n, turn;            /* counted from 1 */
} prompt_seen_t;

static void prompt_seen (const char *how, const prompt_seen_t *what, buf_t *out)
{
    char turn[24];
    buf_t part = {0};
    snprintf (turn, sizeof turn, "%zu", what->turn);
    buf_printf (&part, "%.*s", (int) what->part_n, what->part ? what->part : "");
    const asks_place_t places[] = {{"role", what->role ? what->role : ""},
                                   {"turn", turn},
                                   {"part", part.data ? part.data : ""},
                                   {"text", what->text ? what->text : ""}};
    asks_write ("seen", how, places, 4, out);
    out->failed = out->failed || part.failed;
    buf_free (&part);
}

void prompt_say_turn (const char *role, size_t turn, const char *text, buf_t *out)
{
    prompt_seen ("turn", &(prompt_seen_t){.role = role, .turn = turn, .text = text}, out);
}

void prompt_say_found (size_t turn, const char *verdict, buf_t *out)
{
    prompt_seen ("found", &(prompt_seen_t){.turn = turn, .text = verdict}, out);
}

static void prompt_say_part (const char *name, size_t size, const char *text, buf_t *out)
{
    prompt_seen ("part", &(prompt_seen_t){.part = name, .part_n = size, .text = text}, out);
}

/*  Of the part "offers". */
static void prompt_whose (const char *slot, buf_t *out)
{
    prompt_seen ("review", &(prompt_seen_t){.role = slot}, out);
}

void prompt_say_review (const char *slot, buf_t *out)
{
    buf_t whose = {0};
    prompt_whose (slot, &whose);
    prompt_say_part ("offers", strlen ("offers"), whose.data ? whose.data : "", out);
    out->failed = out->failed || whose.failed;
    buf_free (&whose);
}

/*  ---- the parts ------------------------------------------------------------------------------ */

/*  What tools found in a turn, for those that used them. */
static void prompt_findings (const json_t *turn, size_t number, buf_t *out)
{
    const char *role;
    json_t *found;
    json_object_foreach (json_object_get (turn, "tools"), role, found)
        prompt_say_found (number, state_text (found, "verdict"), out);
}

static void prompt_turns (const prompt_seat_t *seat, buf_t *out)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (json_object_get (seat->state, "turns"), t, turn) {
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            prompt_say_turn (state_text (action, "role"), t + 1, state_text (action, "text"), out);
        prompt_findings (turn, t + 1, out);
    }
}

static void prompt_brief (const prompt_seat_t *seat, buf_t *out)
{
    buf_text (out, family_text (json_object_get (seat->state, "task"), "brief"));
}

static void prompt_ask (const prompt_seat_t *seat, buf_t *out)
{
    if (seat->asked)
        buf_text (out, seat->asked);
    else
        seat->family->observe (json_object_get (seat->state, "task"), seat->role, out);
}

static void prompt_role (const prompt_seat_t *seat, buf_t *out)
{
    buf_text (out, seat->role);
}

static void prompt_plan (const prompt_seat_t *seat, buf_t *out)
{
    buf_text (out, state_text (state_shared (seat->state), "plan"));
}

static void prompt_lines (const json_t *list, buf_t *out)
{
    const json_t *line;
    size_t i;
    json_array_foreach (list, i, line)
        buf_printf (out, "%s%s", out->size ? "\n" : "", json_string_value (line));
}

static void prompt_own (const prompt_seat_t *seat, const char *list, buf_t *out)
{
    const json_t *own = json_object_get (json_object_get (seat->state, "private"), seat->role);
    prompt_lines (json_object_get (own, list), out);
}

static void prompt_todo (const prompt_seat_t *seat, buf_t *out)
{
    prompt_own (seat, "todo", out);
}

static void prompt_notes (const prompt_seat_t *seat, buf_t *out)
{
    prompt_own (seat, "scratchpad", out);
    prompt_own (seat, "hypotheses", out);
}

static void prompt_finding (const prompt_seat_t *seat, const char *tool, buf_t *out)
{
    buf_text (out, state_text (json_object_get (state_shared (seat->state), tool), "verdict"));
}

static void prompt_tests (const prompt_seat_t *seat, buf_t *out)
{
    prompt_finding (seat, "test", out);
}

static void prompt_lint (const prompt_seat_t *seat, buf_t *out)
{
    prompt_finding (seat, "lint", out);
}

static void prompt_facts (const prompt_seat_t *seat, buf_t *out)
{
    prompt_lines (json_object_get (state_shared (seat->state), "facts"), out);
}

static void prompt_review (const prompt_seat_t *seat, buf_t *out)
{
    buf_text (out,
              state_text (json_object_get (state_artifacts (seat->state), seat->role), "reason"));
}

static void prompt_changes (const prompt_seat_t *seat, buf_t *out)
{
    prompt_lines (json_object_get (state_shared (seat->state), "changelog"), out);
}

static void prompt_artifact (const prompt_seat_t *seat, buf_t *out)
{
    buf_text (out, state_text (seat->state, "artifact"));
}

static void prompt_offers (const prompt_seat_t *seat, buf_t *out)
{
    const json_t *offer;
    size_t i;
    buf_t names = {0};
    json_array_foreach (seat->offers, i, offer)
        buf_printf (&names, "%s%s", i ? ", " : "", json_string_value (offer));
    if (i > 1)
        prompt_seen ("offers", &(prompt_seen_t){.text = names.data}, out);
    /* Whose text it is, nothing else says. */
    else if (names.data && strncmp (names.data, "review ", 7) == 0)
        prompt_whose (names.data + 7, out);
    out->failed = out->failed || names.failed;
    buf_free (&names);
}

/*  One row is one part. */
static const struct {
    const char *name;
    void (*write) (const prompt_seat_t *seat, buf_t *out);
} parts[] = {{"brief", prompt_brief},       {"ask", prompt_ask},       {"role", prompt_role},
             {"turns", prompt_turns},       {"plan", prompt_plan},     {"todo", prompt_todo},
             {"notes", prompt_notes},       {"tests", prompt_tests},   {"lint", prompt_lint},
             {"facts", prompt_facts},       {"review", prompt_review}, {"changes", prompt_changes},
             {"artifact", prompt_artifact}, {"offers", prompt_offers}};

#define PARTS (sizeof parts / sizeof *parts)

static bool prompt_is (const char *name, const char *text, size_t size)
{
    return strlen (name) == size && strncmp (name, text, size) == 0;
}

/*  PARTS: it is none of the table. */
static size_t prompt_find (const char *name, size_t size)
{
    size_t i = 0;
    while (i < PARTS && !prompt_is (parts[i].name, name, size))
        i++;
    return i;
}

/*  A name that is no part is that of a slot, whose text is missing until somebody writes it. */
static void prompt_part (const prompt_seat_t *seat, const char *name, size_t size, buf_t *out)
{
    size_t i = prompt_find (name, size);
    buf_t part = {0};
    if (i < PARTS) {
        parts[i].write (seat, &part);
    } else {
        const json_t *artifact = json_object_getn (state_artifacts (seat->state), name, size);
        buf_text (&part, state_text (artifact, "text"));
    }
    out->failed = out->failed || part.failed;
    if (part.size)
        buf_append (out, part.data, part.size);
    buf_free (&part);
}

bool prompt_knows (const char *name, size_t size, const char *const *roles, size_t n)
{
    bool known = prompt_find (name, size) < PARTS;
    for (size_t r = 0; r < n; r++)
        known = known || prompt_is (roles[r], name, size);
    return known;
}

/*  ---- places --------------------------------------------------------------------------------- */

/*  The length of a place that begins here, braces included; 0: none does. Code and JSON have braces
 *  too, but hardly a lone word in them. */
static size_t prompt_place (const char *at)
{
    size_t n = *at == '{' ? strspn (at + 1, "abcdefghijklmnopqrstuvwxyz_0123456789") : 0;
    return n && at[1 + n] == '}' ? n + 2 : 0;
}

static bool prompt_is_slot (const json_t *state, const char *name, size_t size)
{
    const json_t *role;
    size_t i;
    json_array_foreach (json_object_get (state, "roles"), i, role)
        if (prompt_is (json_string_value (role), name, size))
            return true;
    return false;
}

/*  What a part brings along is not looked at again: a brief may well hold braces. */
static void prompt_expand (const prompt_seat_t *seat, const char *words, buf_t *out)
{
    while (*words) {
        size_t n = prompt_place (words);
        if (n && (prompt_find (words + 1, n - 2) < PARTS ||
                  prompt_is_slot (seat->state, words + 1, n - 2)))
            prompt_part (seat, words + 1, n - 2, out);
        else
            buf_append (out, words, n ? n : 1);
        words += n ? n : 1;
    }
}

/*  Whether a text places a part, so that it need not stand before it. */
static bool prompt_places (const char *words, const char *name, size_t size)
{
    for (size_t n; *words; words += n ? n : 1)
        if ((n = prompt_place (words)) && n - 2 == size && strncmp (words + 1, name, size) == 0)
            return true;
    return false;
}

static bool prompt_sees (const char *sees, const char *name)
{
    const char *at = *sees ? sees : PROMPT_SEES;
    while (*(at += strspn (at, " "))) {
        size_t size = strcspn (at, " ");
        if (prompt_is (name, at, size))
            return true;
        at += size;
    }
    return false;
}

bool prompt_shows (const char *words, const char *sees, const char *name)
{
    return prompt_sees (sees, name) || prompt_places (words, name, strlen (name));
}

/*  The turns have lines of their own above each text. */
static void prompt_show (const prompt_seat_t *seat, const char *name, size_t size, buf_t *out)
{
    buf_t part = {0};
    prompt_part (seat, name, size, &part);
    out->failed = out->failed || part.failed;
    if (part.size && prompt_is ("turns", name, size))
        buf_append (out, part.data, part.size);
    else if (part.size)
        prompt_say_part (name, size, part.data, out);
    buf_free (&part);
}

int prompt_write (const prompt_seat_t *seat, buf_t *out, err_t *err)
{
    const char *words = *seat->words ? seat->words : "{ask}";
    const char *name = *seat->sees ? seat->sees : PROMPT_SEES;
    while (*(name += strspn (name, " "))) {
        size_t size = strcspn (name, " ");
        /* What the family asks has the brief in it. */
        bool asked = prompt_is ("brief", name, size) && prompt_places (words, "ask", 3);
        if (!asked && !prompt_places (words, name, size))
            prompt_show (seat, name, size, out);
        name += size;
    }
    if (!prompt_places (words, "offers", strlen ("offers")) && !prompt_sees (seat->sees, "offers"))
        prompt_show (seat, "offers", strlen ("offers"), out);
    prompt_expand (seat, words, out);
    return buf_check (out, "an observation", err);
}

/*  As prompt_place, of a part's name with blanks around it, as other templates have it. */
static size_t prompt_blank_place (const char *at, const char *const *roles, size_t n)
{
    if (*at != '{')
        return 0;
    size_t before = strspn (at + 1, " \t"), size = strcspn (at + 1 + before, " \t\n{}"),
           end = 1 + before + size + strspn (at + 1 + before + size, " \t");
    return size && at[end] == '}' && prompt_knows (at + 1 + before, size, roles, n) ? end + 1 : 0;
}

bool prompt_unknown (const char *words, const char *const *roles, size_t n,
                     char unknown[PROMPT_NAME_MAX])
{
    for (size_t place; *words; words += place ? place : 1) {
        place = prompt_place (words);
        if (place && prompt_knows (words + 1, place - 2, roles, n))
            continue;
        if (!place && !(place = prompt_blank_place (words, roles, n)))
            continue;
        snprintf (unknown, PROMPT_NAME_MAX, "%.*s", (int) (place - 2 < 60 ? place - 2 : 60),
                  words + 1);
        return true;
    }
    return false;
}

/*  ---- what is read --------------------------------------------------------------------------- */

/*  Whether an object says that it comes from that role and turn. */
static bool prompt_is_from (const json_t *object, const char *by, const char *turn,
                            const json_t *action, size_t t)
{
    return json_object_get (object, by) &&
           strcmp (state_text (object, by), state_text (action, "role")) == 0 &&
           json_integer_value (json_object_get (object, turn)) == (json_int_t) t;
}

/*  Whether the words of an action of turn t stand in what the seat is shown. */
static bool prompt_reads (const prompt_seat_t *seat, const json_t *action, size_t t)
{
    const json_t *shared = state_shared (seat->state), *artifact;
    const char *slot;
    bool planned = prompt_shows (seat->words, seat->sees, "plan") ||
                   prompt_shows (seat->words, seat->sees, "todo");
    const char *said = state_text (action, "text");
    /* A program tells a seat what others said word by word, or it does not tell it. */
    bool reads = prompt_shows (seat->words, seat->sees, "turns") ||
                 (planned && prompt_is_from (shared, "planned_by", "planned_turn", action, t)) ||
                 (seat->asked && *said && strstr (seat->asked, said));
    json_object_foreach (state_artifacts (seat->state), slot, artifact)
        reads =
            reads ||
            (prompt_shows (seat->words, seat->sees, slot) &&
             prompt_is_from (artifact, "by", "turn", action, t)) ||
            (strcmp (slot, seat->role) == 0 && prompt_shows (seat->words, seat->sees, "review") &&
             prompt_is_from (artifact, "reviewed_by", "reviewed_turn", action, t));
    return reads;
}

size_t prompt_tokens_read (const prompt_seat_t *seat)
{
    const json_t *turn, *action;
    size_t t, a;
    json_int_t sum = 0;
    json_array_foreach (json_object_get (seat->state, "turns"), t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            if (strcmp (state_text (action, "role"), seat->role) != 0 &&
                prompt_reads (seat, action, t))
                sum += json_integer_value (json_object_get (action, "tokens"));
    return (size_t) sum;
}
