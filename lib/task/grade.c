/*  grade - see grade.h */
#include "task/grade.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "task/prompt.h"

#define SAMPLES_MAX 64
#define SAID_MAX    100 /* columns of an answer in an error */
#define SEES        "brief artifact"

void grade_destroy (grade_t **self)
{
    grade_t *g = *self;
    if (!g)
        return;
    free (g->policy);
    free (g->url);
    free (g->model);
    free (g->system);
    free (g->prompt);
    free (g);
    *self = NULL;
}

static char *grade_text (const json_t *root, const char *name)
{
    const json_t *value = json_object_get (root, name);
    return json_is_string (value) ? strdup (json_string_value (value)) : NULL;
}

static double grade_number (const json_t *root, const char *name)
{
    const json_t *value = json_object_get (root, name);
    return json_is_number (value) ? json_number_value (value) : NAN;
}

/*  NaN is in no range. */
static size_t grade_count (const json_t *root, const char *name, double most)
{
    double value = grade_number (root, name);
    return value >= 1 && value <= most ? (size_t) value : 0;
}

static bool grade_is_whole (const grade_t *g)
{
    bool judged = g->policy && g->system && g->prompt && g->weight > 0 && g->weight <= 1 &&
                  isfinite (g->lowest) && isfinite (g->highest) && g->lowest < g->highest &&
                  g->samples > 0;
    return judged &&
           (*g->policy || (g->url && g->model && g->temperature >= 0 && g->temperature <= 100 &&
                           g->max_tokens > 0 && g->seconds > 0 && g->seconds <= 86400));
}

grade_t *grade_read (const char *json, err_t *err)
{
    json_t *root = json_loads (json, 0, NULL);
    grade_t *g = calloc (1, sizeof *g);
    if (g)
        *g = (grade_t){.policy = grade_text (root, "policy"),
                       .url = grade_text (root, "url"),
                       .model = grade_text (root, "model"),
                       .system = grade_text (root, "system"),
                       .prompt = grade_text (root, "prompt"),
                       .weight = grade_number (root, "weight"),
                       .lowest = grade_number (root, "lowest"),
                       .highest = grade_number (root, "highest"),
                       .samples = grade_count (root, "samples", SAMPLES_MAX),
                       .temperature = grade_number (root, "temperature"),
                       .max_tokens = grade_count (root, "max_tokens", 65536),
                       .seconds = grade_number (root, "seconds")};
    json_decref (root);
    if (!g || !grade_is_whole (g)) {
        err_set (err, ERR_INPUT, "a judge that is none: '%.100s'", json);
        grade_destroy (&g);
    }
    return g;
}

void grade_write (const grade_t *g, buf_t *json)
{
    json_t *root = json_pack ("{s:s, s:s, s:s, s:f, s:f, s:f, s:I}", "policy", g->policy, "system",
                              g->system, "prompt", g->prompt, "weight", g->weight, "lowest",
                              g->lowest, "highest", g->highest, "samples", (json_int_t) g->samples);
    if (root && !*g->policy) {
        json_object_set_new (root, "url", json_string (g->url));
        json_object_set_new (root, "model", json_string (g->model));
        json_object_set_new (root, "temperature", json_real (g->temperature));
        json_object_set_new (root, "max_tokens", json_integer ((json_int_t) g->max_tokens));
        json_object_set_new (root, "seconds", json_real (g->seconds));
    }
    char *text = root ? json_dumps (root, JSON_COMPACT) : NULL;
    if (text)
        buf_text (json, text);
    else
        json->failed = true;
    free (text);
    json_decref (root);
}

/*  The public state: a judge is somebody else's machine, and hidden checks go to the scorer
 *  alone. */
int grade_ask (const grade_t *g, const episode_t *episode, buf_t *prompt, err_t *err)
{
    json_t *state = episode_public (episode);
    const json_t *task = json_object_get (episode_json (episode), "task");
    prompt_seat_t seat = {.family = family_find (family_text (task, "family")),
                          .state = state,
                          .role = "",
                          .words = g->prompt,
                          .sees = SEES};
    int rc = state ? prompt_write (&seat, prompt, err)
                   : err_set (err, ERR_LIMIT, "no memory for a judge's prompt");
    json_decref (state);
    return rc == 0 ? buf_check (prompt, "a judge's prompt", err) : rc;
}

static bool grade_is_digit (char c)
{
    return c >= '0' && c <= '9';
}

/*  Of a word of any alphabet, so that "v2" is no number. */
static bool grade_is_letter (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

/*  Where the first number of a line begins: a digit that no word leads to, with the point and the
 *  sign before it. "8/10" is 8. */
static const char *grade_find (const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (grade_is_letter (line[i])) {
            while (i + 1 < size && (grade_is_letter (line[i + 1]) || grade_is_digit (line[i + 1])))
                i++;
            continue;
        }
        if (!grade_is_digit (line[i]))
            continue;
        if (i > 0 && line[i - 1] == '.')
            i--;
        return line + i - (i > 0 && line[i - 1] == '-');
    }
    return NULL;
}

bool grade_of (const grade_t *g, const char *answer, double *value)
{
    const char *end = answer + strlen (answer), *found = NULL;
    while (!found && end > answer) {
        const char *start = end;
        while (start > answer && start[-1] != '\n')
            start--;
        found = grade_find (start, (size_t) (end - start));
        end = start > answer ? start - 1 : start;
    }
    double number = found ? strtod (found, NULL) : NAN;
    if (!(number >= g->lowest && number <= g->highest))
        return false;
    *value = (number - g->lowest) / (g->highest - g->lowest);
    return true;
}

void grade_without (const grade_t *g, const char *answer, int times, err_t *err)
{
    buf_t said = {0};
    char often[32] = "";
    if (times > 1)
        snprintf (often, sizeof often, ", %d times", times);
    printable_cut (&said, answer, strlen (answer), SAID_MAX);
    err_set (err, ERR_INPUT,
             "the judge %.200s said '%s'%s without a number from %g to %g in its last line with "
             "one",
             *g->policy ? g->policy : g->model, said.data ? said.data : "", often, g->lowest,
             g->highest);
    buf_free (&said);
}

int grade_mean (const grade_t *g, const char *const *answers, double *value, err_t *err)
{
    double sum = 0, one;
    for (size_t i = 0; i < g->samples; i++) {
        if (!grade_of (g, answers[i], &one)) {
            grade_without (g, answers[i], 1, err);
            return -1;
        }
        sum += one;
    }
    *value = sum / (double) g->samples;
    return 0;
}

void grade_join (const grade_t *g, double value, reward_score_t *score)
{
    score->quality = (1 - g->weight) * score->quality + g->weight * value;
    if (score->parts_n < REWARD_PARTS_MAX) {
        reward_part_t *part = &score->parts[score->parts_n++];
        *part = (reward_part_t){.name = GRADE_PART, .value = value};
    }
}
