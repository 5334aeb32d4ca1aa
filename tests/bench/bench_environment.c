/* with: services/environment/group.c services/environment/asks.c services/environment/judging.c
 * services/environment/tools.c services/environment/answers.c services/environment/told.c
 * services/environment/prompt.c services/environment/result.c */
/*  What one GRPO step of 16 groups of 8 episodes costs in the environment: from the payloads to
 *  the packed results, without the bus, Redis and the peers. */
#include <stdio.h>

#include "../../services/environment/group.h"
#include "../unit/environment_fixture.h"
#include "base/clock.h"
#include "bench.h"

#define GROUPS   16
#define EPISODES 8
#define STEPS    20
#define LIMIT_MS 10.0 /* what the environment may take of a step */

static double spent; /* in the environment; answering is the peers' work */

static void answer (group_t *group)
{
    err_t err = {0};
    for (size_t n = group_asks (group), i = 0; i < n; i++) {
        const group_ask_t *ask = group_ask (group, i);
        buf_t bytes = {0};
        (strcmp (ask->service, "act") == 0 ? fixture_act : fixture_score) (
            ask->payload.data, ask->payload.size, &bytes);
        double start = clock_s ();
        if (group_answer (group, i, bytes.data, bytes.size, &err) != 0) {
            fprintf (stderr, "bench_environment: %s\n", err.text);
            exit (1);
        }
        spent += clock_s () - start;
        buf_free (&bytes);
    }
}

static void play (const buf_t *payload, const tokenizer_t *tokenizer)
{
    err_t err = {0};
    double start = clock_s ();
    group_t *group = group_new (payload->data, payload->size, &err);
    for (size_t r = 0; group && r < 2; r++)
        group_tokenizer (group, r, tokenizer);
    spent += clock_s () - start;
    while (group && group_state (group) == GROUP_ASKING) {
        answer (group);
        start = clock_s ();
        if (group_state (group) == GROUP_STORING)
            group_stored (group);
        spent += clock_s () - start;
    }
    if (!group || group_state (group) != GROUP_DONE) {
        fprintf (stderr, "bench_environment: %s\n", group ? group_error (group)->text : err.text);
        exit (1);
    }
    start = clock_s ();
    group_destroy (&group);
    spent += clock_s () - start;
}

int main (void)
{
    err_t err = {0};
    char *text = fixture_tokenizer_text ();
    tokenizer_t *tokenizer = tokenizer_parse (text, strlen (text), &err);
    fixture_group_t f;
    fixture_group (&f, text);
    f.group.episodes = EPISODES;
    buf_t payload = {0};
    wire_group_pack (&f.group, &payload);
    double best = 1e9;
    for (int step = 0; tokenizer && step < STEPS; step++) {
        spent = 0;
        for (int g = 0; g < GROUPS; g++)
            play (&payload, tokenizer);
        best = spent < best ? spent : best;
    }
    bench_tell ("environment.step_16x8", 1e3 * best, "ms", LIMIT_MS);
    buf_free (&payload);
    tokenizer_destroy (&tokenizer);
    free (text);
    return 0;
}
