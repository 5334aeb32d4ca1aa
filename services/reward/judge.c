/*  judge - see judge.h */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define JUDGE_CPU_S    10.0
#define JUDGE_REQUESTS 200 /* of one fork: what comparing leaves behind stays bounded */
#define JUDGE_MEMORY   ((uint64_t) 512 << 20)

/*  One comparing process, kept from request to request, so that not each of them needs a fork. */
struct judge {
    child_t *child;         /* the fork that compares, or NULL: the next request makes one */
    const zygote_t *zygote; /* whose fork it is */
    size_t requests;        /* that it has answered */
};

judge_t *judge_new (err_t *err)
{
    judge_t *judge = calloc (1, sizeof *judge);
    if (!judge)
        err_set (err, ERR_LIMIT, "no memory for a judge");
    return judge;
}

void judge_destroy (judge_t **judge)
{
    if (!*judge)
        return;
    child_destroy (&(*judge)->child);
    free (*judge);
    *judge = NULL;
}

/*  Programs that import nothing come from another zygote than the others, and their values need
 *  nothing that theirs has not. */
static int judge_prepare (judge_t *judge, zygote_t *zygote, err_t *err)
{
    /* The time for all is what its requests may take together, so only the limit for one request
     * ever decides. */
    const child_limits_t limits = {
        .cpu_s = JUDGE_CPU_S, .cpu_total_s = JUDGE_CPU_S * JUDGE_REQUESTS, .memory = JUDGE_MEMORY};
    if (judge->child && judge->zygote == zygote && judge->requests < JUDGE_REQUESTS)
        return 0;
    child_destroy (&judge->child);
    judge->child = zygote_fork (zygote, PROTOCOL_JUDGE, &limits, err);
    judge->zygote = zygote;
    judge->requests = 0;
    return judge->child ? 0 : -1;
}

/*  NULL without an error: it ended over these answers. */
static json_t *judge_try (judge_t *judge, zygote_t *zygote, const char *question,
                          child_ending_t *ending, err_t *err)
{
    buf_t answer = {0};
    json_t *verdicts = NULL;
    if (judge_prepare (judge, zygote, err) != 0)
        return NULL;
    if (child_ask (judge->child, question, strlen (question), &answer, ending, err) == 0 &&
        *ending == CHILD_NONE) {
        verdicts = json_loadb (answer.data, answer.size, JSON_ALLOW_NUL, NULL);
        if (!verdicts)
            *ending = CHILD_OUTPUT;
    }
    /* A failed try counts as well: its fork is gone anyway. */
    judge->requests++;
    buf_free (&answer);
    if (!verdicts)
        child_destroy (&judge->child);
    return verdicts;
}

/*  Pairs go by place. NULL: no memory. */
static char *judge_question (const json_t *answers, const json_t *wanted)
{
    json_t *pairs = json_array ();
    const json_t *answer;
    size_t i;
    json_array_foreach (answers, i, answer) {
        json_array_append_new (pairs, json_pack ("[O, O]", answer, json_array_get (wanted, i)));
    }
    json_t *question = json_pack ("{s:o}", "judge", pairs);
    char *text = question ? json_dumps (question, JSON_COMPACT) : NULL;
    json_decref (question);
    return text;
}

/*  A comparison may end its process: the values come from the program. When a fresh one ends over
 *  the same values, they are what ended it, and each counts as incomparable, which is a verdict and
 *  no error. */
json_t *judge_ask (judge_t *judge, zygote_t *zygote, const json_t *answers, const json_t *wanted,
                   err_t *err)
{
    char *question = judge_question (answers, wanted);
    if (!question) {
        err_set (err, ERR_LIMIT, "no memory for a program's results");
        return NULL;
    }
    child_ending_t ending = CHILD_NONE;
    json_t *verdicts = judge_try (judge, zygote, question, &ending, err);
    if (!verdicts && ending != CHILD_NONE) {
        /* Once more in a fresh one: whatever came before must not decide. */
        ending = CHILD_NONE;
        verdicts = judge_try (judge, zygote, question, &ending, err);
    }
    free (question);
    if (verdicts || ending == CHILD_NONE)
        return verdicts;
    verdicts = json_array ();
    for (size_t i = 0; i < json_array_size (answers); i++)
        json_array_append_new (
            verdicts, json_pack ("[s, o]", "incomparable",
                                 json_sprintf ("comparing ended: %s", child_ending_name (ending))));
    return verdicts;
}
