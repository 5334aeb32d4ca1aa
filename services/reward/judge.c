/*  judge - see judge.h */
#include "judge.h"

#include <stdlib.h>

#define JUDGE_CPU_S  10.0
#define JUDGE_MEMORY ((uint64_t) 512 << 20)

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

/*  A comparison may end its process: the values come from the program. Then each of them counts as
 *  incomparable, which is a verdict and no error. */
json_t *judge_ask (resident_t *judge, zygote_t *zygote, const json_t *answers, const json_t *wanted,
                   err_t *err)
{
    const child_limits_t limits = {.cpu_s = JUDGE_CPU_S, .memory = JUDGE_MEMORY};
    char *question = judge_question (answers, wanted);
    if (!question) {
        err_set (err, ERR_LIMIT, "no memory for a program's results");
        return NULL;
    }
    child_ending_t ending;
    json_t *verdicts = resident_ask (judge, zygote, &limits, question, &ending, err);
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
