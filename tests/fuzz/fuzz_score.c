/*  Episodes of programs and what a sandbox says of them: a line with the state, and one with the
 *  answer. Scores are in their range, whatever either says. */
#include "fuzz.h"
#include "task/episode.h"
#include "task/family.h"

static json_t *answer_run (void *self, const json_t *request, err_t *err)
{
    (void) request;
    json_t *answer = json_loads (self, JSON_ALLOW_NUL, NULL);
    if (!answer)
        err_set (err, ERR_IO, "no answer");
    return answer;
}

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size)
{
    err_t err = {0};
    char *data = fuzz_text (bytes, size), *end = strchr (data, '\n');
    episode_t *episode = end ? episode_parse (data, (size_t) (end - data), &err) : NULL;
    if (episode) {
        task_sandbox_t sandbox = {.self = end + 1, .run = answer_run};
        reward_score_t score = {0};
        const json_t *task = json_object_get (episode_json (episode), "task");
        const family_t *family = family_find (family_text (task, "family"));
        if (family->runs_programs &&
            family->score (episode, &(task_capabilities_t){.sandbox = &sandbox}, &score, &err) ==
                0 &&
            !(score.quality >= 0 && score.quality <= 1 + 1e-9))
            abort ();
        episode_destroy (&episode);
    }
    free (data);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    static const char ours[] =
        "{\"task\":{\"id\":\"t\",\"family\":\"coding\",\"brief\":\"Sum xs.\",\"entry_point\":"
        "\"main\",\"parts\":[\"a\"],\"tests\":[{\"args\":[[1]],\"result\":1},{\"args\":[[2]],"
        "\"result\":2}]},\"roles\":[\"aux\",\"main\"],\"limits\":{\"tokens\":72,\"turns\":1,"
        "\"cpu_s\":1},\"turns\":[{\"actions\":[{\"role\":\"aux\",\"text\":\"def aux(x): return "
        "x\",\"tokens\":9,\"truncated\":false,\"tokens_read\":0},{\"role\":\"main\",\"text\":\"def "
        "main(x): return aux(x)\",\"tokens\":9,\"truncated\":false,\"tokens_read\":0}]}],"
        "\"artifact\":\"def aux(x): return x\\ndef main(x): return aux(x)\",\"done\":true}\n"
        "{\"syntax\":true,\"defined\":true,\"watched\":2,\"results\":[[\"value\",1],[\"error\","
        "\"E\"]],\"killed\":\"\",\"why\":\"w\"}";
    static const char human[] =
        "{\"task\":{\"id\":\"h\",\"family\":\"coding\",\"prompt\":\"def f(n):\\n\",\"brief\":\"def "
        "f(n):\\n\",\"entry_point\":\"f\",\"test\":\"def check(f): pass\"},\"roles\":[\"main\"],"
        "\"limits\":{\"tokens\":72,\"turns\":1},\"turns\":[],\"artifact\":\"def f(n): return n\","
        "\"done\":true}\n{\"passed\":true,\"syntax\":true,\"watched\":0,\"killed\":\"cpu\"}";
    static const char module[] =
        "{\"task\":{\"id\":\"m\",\"family\":\"module\",\"brief\":\"f: A\",\"given\":\"def "
        "main(*xs): "
        "return [f(*xs), g(*xs), h(*xs)]\",\"tests\":[{\"call\":\"f\",\"args\":[[1]],\"result\":1},"
        "{\"call\":\"main\",\"args\":[[1]],\"result\":[1,1,1]}]},\"roles\":[\"f\",\"g\",\"h\"],"
        "\"limits\":{\"tokens\":80,\"turns\":1},\"turns\":[{\"actions\":[{\"role\":\"f\",\"text\":"
        "\"def "
        "f(xs): return 1\",\"tokens\":9,\"truncated\":false,\"tokens_read\":0}]}],"
        "\"artifact\":\"def f(xs): return 1\",\"done\":true}\n"
        "{\"seats\":[[true,true],[false,false],[true,false]],\"results\":[[\"right\"],[\"error\","
        "\"E\"],"
        "[\"wrong\",\"2\"],[\"incomparable\",\"w\"]]}";
    fuzz_seed ("ours", ours, sizeof ours - 1);
    fuzz_seed ("module", module, sizeof module - 1);
    fuzz_seed ("human", human, sizeof human - 1);
    return fuzz_seeds (argc, argv);
}
