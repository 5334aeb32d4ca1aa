/*  outcome - see outcome.h */
#include "task/outcome.h"

#include <stdlib.h>
#include <string.h>

#include "task/grade.h"
#include "team/state.h"

#define ROUNDING 1e-9 /* a sum of parts may pass 1 by that much */

/*  What a sum of parts has too much or too little is none of the program's doing. */
static double outcome_clamp (double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static bool outcome_is_share (const json_t *value)
{
    double x = json_number_value (value);
    return json_is_number (value) && x >= -ROUNDING && x <= 1 + ROUNDING;
}

bool outcome_is (const json_t *answer)
{
    return outcome_is_share (json_object_get (answer, "quality"));
}

/*  Whether a member is there at all: null is as good as left out. */
static bool outcome_has (const json_t *value)
{
    return value && !json_is_null (value);
}

/*  Names that stand for something else where parts are shown: the cost's, and the judge's. */
static bool outcome_is_taken (const char *name)
{
    static const char *const names[] = {"",      "tokens_read", "redundancy", "unused",
                                        "turns", "invalid",     "tools",      GRADE_PART};
    size_t i = 0, n = sizeof names / sizeof *names;
    while (i < n && strcmp (names[i], name) != 0)
        i++;
    return i < n;
}

static int outcome_add_part (const char *name, const json_t *value, reward_score_t *score,
                             err_t *err)
{
    if (outcome_is_taken (name))
        return err_set (err, ERR_INPUT,
                        "its answer has a part '%s': a part of ours has that name; take another",
                        name);
    if (score->parts_n == REWARD_PARTS_MAX)
        return err_set (err, ERR_INPUT, "its answer has more than %d parts", REWARD_PARTS_MAX);
    if (strlen (name) >= REWARD_NAME_MAX)
        return err_set (err, ERR_INPUT, "the name '%.80s' in its answer has more than %d bytes",
                        name, REWARD_NAME_MAX - 1);
    reward_part_t *part = &score->parts[score->parts_n++];
    memcpy (part->name, name, strlen (name) + 1);
    part->value = outcome_clamp (json_number_value (value));
    return 0;
}

/*  Every number is a part, so what is none is refused by its name: left out, it would vanish
 *  without a word from everything that its owner looks at. Texts, lists and the like are none of
 *  ours. */
static int outcome_check_member (const char *name, const json_t *value, err_t *err)
{
    char *text = json_dumps (value, JSON_COMPACT | JSON_ENCODE_ANY);
    int rc = 0;
    if (strcmp (name, "success") == 0 && outcome_has (value) && !json_is_boolean (value))
        rc = err_set (err, ERR_INPUT, "its answer has \"success\": %.80s; true or false is wanted",
                      text ? text : "");
    else if (strcmp (name, "agreement") == 0 && outcome_has (value) && !json_is_number (value))
        rc = err_set (err, ERR_INPUT,
                      "its answer has \"agreement\": %.80s; a number from 0 to 1 is wanted",
                      text ? text : "");
    else if (json_is_number (value) && !outcome_is_share (value))
        rc = err_set (
            err, ERR_INPUT,
            "its answer has \"%.80s\": %.40s; parts are numbers from 0 to 1 (say others as "
            "text, or in \"verdict\")",
            name, text ? text : "");
    free (text);
    return rc;
}

/*  "parts": {"length": 0.2}, for those who like to keep them together. */
static int outcome_read_parts (const json_t *parts, reward_score_t *score, err_t *err)
{
    const char *name;
    const json_t *value;
    if (outcome_has (parts) && !json_is_object (parts))
        return err_set (err, ERR_INPUT,
                        "its answer has \"parts\" that is no object: {\"NAME\": 0.5} is wanted");
    json_object_foreach ((json_t *) (uintptr_t) parts, name, value) {
        if (!outcome_is_share (value))
            return err_set (err, ERR_INPUT,
                            "its answer has \"parts\": {\"%.80s\": ...}; numbers from 0 to 1 are "
                            "wanted",
                            name);
        if (outcome_add_part (name, value, score, err) != 0)
            return -1;
    }
    return 0;
}

/*  Of roles of this team; null is as good as left out. */
static int outcome_read_local (const json_t *local, const json_t *roles, reward_score_t *score,
                               err_t *err)
{
    const char *name;
    const json_t *value;
    if (outcome_has (local) && !json_is_object (local))
        return err_set (err, ERR_INPUT,
                        "its answer has \"local\" that is no object: {\"ROLE\": 0.5} is wanted");
    json_object_foreach ((json_t *) (uintptr_t) local, name, value) {
        if (!state_lists (roles, name) || !outcome_is_share (value))
            return err_set (err, ERR_INPUT,
                            "its answer has \"local\": {\"%.80s\": ...}; roles of the team with "
                            "numbers from 0 to 1 are wanted",
                            name);
        reward_add_local (score, name, json_number_value (value));
    }
    return 0;
}

int outcome_read (const json_t *answer, const json_t *roles, reward_score_t *score, err_t *err)
{
    const json_t *success = json_object_get (answer, "success"), *value;
    const json_t *agreement = json_object_get (answer, "agreement");
    const char *verdict = json_string_value (json_object_get (answer, "verdict")), *name;
    *score = (reward_score_t){.unused = -1};
    if (!outcome_is (answer))
        return err_set (err, ERR_INPUT, "its answer needs \"quality\": 0.7, a number from 0 to 1");
    score->quality = outcome_clamp (json_number_value (json_object_get (answer, "quality")));
    score->success = json_is_true (success);
    score->success_unknown = !json_is_boolean (success);
    score->agreement = outcome_clamp (json_number_value (agreement));
    score->agreement_unknown = !json_is_number (agreement);
    int rc = outcome_read_local (json_object_get (answer, "local"), roles, score, err);
    json_object_foreach ((json_t *) (uintptr_t) answer, name, value) {
        if (rc == 0)
            rc = outcome_check_member (name, value, err);
        if (rc == 0 && json_is_number (value) && strcmp (name, "quality") != 0)
            rc = outcome_add_part (name, value, score, err);
    }
    if (rc == 0)
        rc = outcome_read_parts (json_object_get (answer, "parts"), score, err);
    reward_set_verdict (score, verdict ? verdict : "");
    return rc;
}

static int outcome_check_observed (const json_t *observed, const json_t *roles, err_t *err)
{
    const char *role;
    const json_t *text;
    if (json_object_size (observed) == 0)
        return err_set (err, ERR_INPUT,
                        "its answer has an \"observe\" without a role: {\"ROLE\": \"text\"} of "
                        "those who act next is wanted, or {\"done\": true, \"quality\": 0.7}");
    json_object_foreach ((json_t *) (uintptr_t) observed, role, text) {
        if (!state_lists (roles, role))
            return err_set (
                err, ERR_INPUT,
                "its answer has \"observe\": {\"%.80s\": ...}, and the team has no such "
                "role (team.roles)",
                role);
        if (json_is_array (text))
            return err_set (err, ERR_INPUT,
                            "its answer has \"observe\": {\"%.80s\": [...]}: a text is wanted; "
                            "lists of messages are not supported (team.roles.%.80s.system and "
                            "model.chat say how a model is spoken to)",
                            role, role);
        if (json_string_length (text) == 0)
            return err_set (err, ERR_INPUT,
                            "its answer has \"observe\": {\"%.80s\": ...} without a text in it",
                            role);
    }
    return 0;
}

int outcome_check (const json_t *answer, const json_t *roles, bool *done, err_t *err)
{
    const json_t *observed = json_object_get (answer, "observe"),
                 *end = json_object_get (answer, "done");
    reward_score_t score;
    *done = json_is_true (end);
    if (outcome_has (end) && !json_is_boolean (end))
        return err_set (err, ERR_INPUT, "its answer has a \"done\" that is neither true nor false");
    if (*done == outcome_has (observed))
        return err_set (
            err, ERR_INPUT,
            "its answer has %s: {\"observe\": {\"ROLE\": \"text\"}} or {\"done\": true, "
            "\"quality\": 0.7} is wanted",
            *done ? "\"observe\" beside \"done\"" : "neither \"observe\" nor \"done\"");
    return *done ? outcome_read (answer, roles, &score, err)
                 : outcome_check_observed (observed, roles, err);
}
