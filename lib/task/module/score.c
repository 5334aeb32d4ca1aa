/*  score - a module: each function and main are run against the task's hidden tests. See
 *  module.h */
#include <stdio.h>
#include <string.h>

#include "task/module/module.h"
#include "team/state.h"

#define CALLED (MODULE_FUNCTIONS + 1) /* f, g, h and main */

typedef struct {
    bool code[MODULE_FUNCTIONS], defined[MODULE_FUNCTIONS];
    size_t tests[CALLED];
    size_t passed[CALLED][MODULE_WAYS], ran[CALLED][MODULE_WAYS]; /* ran: gave an answer */
} module_outcome_t;

/*  With the limits on CPU time that the run has; else the sandbox has its own. Takes the
 *  request over. */
static json_t *module_ask (const task_sandbox_t *sandbox, const json_t *state, json_t *request,
                           err_t *err)
{
    static const char *const keys[] = {"cpu_s", "cpu_total_s"};
    json_t *find = json_array (), *answer = NULL;
    const char *by;
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        json_array_append_new (find, json_pack ("{s:s, s:s, s:s, s:n}", "text",
                                                module_text (state, k, &by), "name",
                                                module_names[k], "before", "", "arguments"));
    json_array_append_new (find, json_pack ("{s:s, s:s, s:s, s:n}", "text",
                                            family_text (json_object_get (state, "task"), "given"),
                                            "name", "main", "before", "", "arguments"));
    json_object_set_new (request, "find", find);
    json_object_set_new (request, "watch", json_string (""));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *limit = json_object_get (json_object_get (state, "limits"), keys[i]);
        if (limit)
            json_object_set (request, keys[i], limit);
    }
    if (request && find)
        answer = sandbox->run (sandbox->self, request, err);
    else
        err_set (err, ERR_LIMIT, "no memory for a program");
    json_decref (request);
    return answer;
}

static void module_read_seats (const json_t *answer, module_outcome_t *o)
{
    const json_t *seats = json_object_get (answer, "seats");
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
        const json_t *seat = json_array_get (seats, k);
        o->code[k] = json_is_true (json_array_get (seat, 0));
        o->defined[k] = json_is_true (json_array_get (seat, 1));
    }
}

/*  Runs the first n tests, each with the list and with its numbers one by one: which of the two a
 *  function takes is for the team to say. Expected values never get to where the program runs. */
static int module_run (const task_sandbox_t *sandbox, const json_t *state, size_t n,
                       module_outcome_t *o, err_t *err)
{
    const json_t *tests = json_object_get (json_object_get (state, "task"), "tests"), *test;
    json_t *calls = json_array (), *wanted = json_array ();
    size_t i;
    json_array_foreach (tests, i, test) {
        json_t *args = json_object_get (test, "args"), *call = json_object_get (test, "call");
        if (i >= n)
            break;
        json_array_append_new (calls, json_pack ("[O, O]", call, args));
        json_array_append_new (calls, json_pack ("[O, O]", call, json_array_get (args, 0)));
        for (size_t way = 0; way < MODULE_WAYS; way++)
            json_array_append_new (wanted,
                                   json_pack ("{s:O}", "result", json_object_get (test, "result")));
    }
    json_t *answer =
        module_ask (sandbox, state,
                    json_pack ("{s:s, s:o, s:o}", "program", family_text (state, "artifact"),
                               "calls", calls, "wanted", wanted),
                    err);
    if (!answer)
        return -1;
    json_array_foreach (tests, i, test) {
        size_t k = module_number (family_text (test, "call"));
        if (i >= n)
            break;
        o->tests[k]++;
        for (size_t way = 0; way < MODULE_WAYS; way++) {
            const json_t *result =
                json_array_get (json_object_get (answer, "results"), MODULE_WAYS * i + way);
            const char *kind = json_string_value (json_array_get (result, 0));
            o->passed[k][way] += kind && strcmp (kind, "right") == 0;
            o->ran[k][way] += kind && strcmp (kind, "error") != 0;
        }
    }
    module_read_seats (answer, o);
    json_decref (answer);
    return 0;
}

/*  The way in which a function takes its numbers: that in which it passes more tests, else that in
 *  which it gives more answers; MODULE_WAYS: neither. */
static module_way_t module_way (const module_outcome_t *o, size_t k)
{
    const size_t *passed = o->passed[k], *ran = o->ran[k];
    if (passed[MODULE_LIST] != passed[MODULE_EACH])
        return passed[MODULE_LIST] > passed[MODULE_EACH] ? MODULE_LIST : MODULE_EACH;
    if (ran[MODULE_LIST] != ran[MODULE_EACH])
        return ran[MODULE_LIST] > ran[MODULE_EACH] ? MODULE_LIST : MODULE_EACH;
    return MODULE_WAYS;
}

static size_t module_passed (const module_outcome_t *o, size_t k)
{
    const size_t *passed = o->passed[k];
    return passed[MODULE_LIST] > passed[MODULE_EACH] ? passed[MODULE_LIST] : passed[MODULE_EACH];
}

static double module_share (const module_outcome_t *o, size_t k)
{
    return o->tests[k] ? (double) module_passed (o, k) / (double) o->tests[k] : 0;
}

/*  Whether all pass in one way, in which main passes, too. */
static bool module_is_right (const module_outcome_t *o)
{
    bool right[MODULE_WAYS];
    for (size_t way = 0; way < MODULE_WAYS; way++) {
        right[way] = o->tests[MODULE_FUNCTIONS] > 0;
        for (size_t k = 0; k < CALLED; k++)
            right[way] = right[way] && o->passed[k][way] == o->tests[k];
    }
    return right[MODULE_LIST] || right[MODULE_EACH];
}

static bool module_agrees (const module_outcome_t *o)
{
    module_way_t first = module_way (o, 0);
    bool agrees = first != MODULE_WAYS;
    for (size_t k = 1; k < MODULE_FUNCTIONS; k++)
        agrees = agrees && module_way (o, k) == first;
    return agrees;
}

/*  "f(xs) 8 of 8, g(*xs) 3 of 8, h: no code, main 0 of 8": what each passes and how it takes its
 *  numbers. */
static void module_explain (const module_outcome_t *o, buf_t *text)
{
    static const char *const shown[] = {"(xs)", "(*xs)", ""};
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        if (o->defined[k])
            buf_printf (text, "%s%s %zu of %zu, ", module_names[k], shown[module_way (o, k)],
                        module_passed (o, k), o->tests[k]);
        else
            buf_printf (text, "%s: %s, ", module_names[k],
                        o->code[k] ? "not defined" : "no code that Python can read");
    buf_printf (text, "main %zu of %zu", module_passed (o, MODULE_FUNCTIONS),
                o->tests[MODULE_FUNCTIONS]);
}

static void module_add_part (reward_score_t *score, const char *name, double value)
{
    reward_part_t *part = &score->parts[score->parts_n++];
    snprintf (part->name, sizeof part->name, "%s", name);
    part->value = value;
}

/*  Who writes them all has the mean of the three. */
static void module_add_locals (const json_t *state, const module_outcome_t *o,
                               reward_score_t *score)
{
    const char *by[MODULE_FUNCTIONS];
    double worth[MODULE_FUNCTIONS], sum = 0;
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
        module_text (state, k, &by[k]);
        worth[k] = (o->code[k] + o->defined[k]) / 4.0 + module_share (o, k) / 2;
        sum += worth[k] / MODULE_FUNCTIONS;
    }
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        if (module_number (by[k]) == k)
            reward_add_local (score, by[k], worth[k]);
    if (*by[0] && module_number (by[0]) == MODULE_FUNCTIONS)
        reward_add_local (score, by[0], sum);
}

int module_score (const episode_t *episode, const task_capabilities_t *capabilities,
                  reward_score_t *score, err_t *err)
{
    const task_sandbox_t *sandbox = capabilities->sandbox;
    if (!sandbox)
        return err_set (err, ERR_CONFIG, "modules are scored in a sandbox, and none is here");
    const json_t *state = episode_json (episode);
    module_outcome_t o = {0};
    if (module_run (sandbox, state, SIZE_MAX, &o, err) != 0)
        return -1;
    double syntax = 0, defined = 0, tests = 0;
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
        syntax += o.code[k] / (double) MODULE_FUNCTIONS;
        defined += o.defined[k] / (double) MODULE_FUNCTIONS;
    }
    for (size_t k = 0; k < CALLED; k++)
        tests += module_share (&o, k) / CALLED;
    bool all = module_is_right (&o), agrees = module_agrees (&o);
    buf_t verdict = {0};
    module_explain (&o, &verdict);
    *score = (reward_score_t){.quality = 0.1 * syntax + 0.5 * tests + 0.4 * all,
                              .success = all,
                              .agreement = agrees,
                              .unused = -1};
    module_add_part (score, "syntax", syntax);
    module_add_part (score, "defined", defined);
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        module_add_part (score, module_names[k], module_share (&o, k));
    module_add_part (score, "together", module_share (&o, MODULE_FUNCTIONS));
    module_add_part (score, "tests", tests);
    module_add_part (score, "all_tests", all);
    module_add_locals (state, &o, score);
    reward_set_verdict (score, verdict.data ? verdict.data : "");
    buf_free (&verdict);
    return 0;
}

/*  ---- tools ---------------------------------------------------------------------------------- */

size_t module_public (const json_t *task)
{
    return (size_t) json_integer_value (json_object_get (task, "public"));
}

static int module_test (const task_sandbox_t *sandbox, const json_t *state, reward_score_t *found,
                        err_t *err)
{
    module_outcome_t o = {0};
    buf_t verdict = {0};
    if (module_run (sandbox, state, module_public (json_object_get (state, "task")), &o, err) != 0)
        return -1;
    for (size_t k = 0; k < CALLED; k++)
        found->quality += module_share (&o, k) / CALLED;
    found->success = module_is_right (&o);
    module_explain (&o, &verdict);
    reward_set_verdict (found, verdict.data ? verdict.data : "");
    buf_free (&verdict);
    return 0;
}

/*  Nothing is called, so nothing runs: the texts are only read. */
static int module_lint (const task_sandbox_t *sandbox, const json_t *state, reward_score_t *found,
                        err_t *err)
{
    module_outcome_t o = {0};
    buf_t text = {0};
    json_t *answer = module_ask (
        sandbox, state,
        json_pack ("{s:s, s:[]}", "program", family_text (state, "artifact"), "calls"), err);
    if (!answer)
        return -1;
    module_read_seats (answer, &o);
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
        bool fine = o.code[k] && o.defined[k];
        found->quality += fine / (double) MODULE_FUNCTIONS;
        if (!fine)
            buf_printf (&text, "%s%s: %s", text.size ? "; " : "", module_names[k],
                        o.code[k] ? "is not defined" : "no code that Python can read");
    }
    found->success = text.size == 0;
    reward_set_verdict (found, text.size ? text.data : "no findings");
    buf_free (&text);
    json_decref (answer);
    return 0;
}

int module_tool (const char *name, const episode_t *episode,
                 const task_capabilities_t *capabilities, reward_score_t *found, err_t *err)
{
    const json_t *state = episode_json (episode);
    if (!capabilities->sandbox)
        return err_set (err, ERR_CONFIG, "a program's tools need a sandbox, and none is here");
    return (strcmp (name, "test") == 0 ? module_test : module_lint) (capabilities->sandbox, state,
                                                                     found, err);
}
