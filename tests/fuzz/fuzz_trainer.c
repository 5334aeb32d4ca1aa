/* with: services/trainer/rollout.c services/trainer/batch.c services/trainer/measure.c */
/*  fuzz_trainer [SECONDS] [SEED]: damaged groups from the store. Whatever the bytes are, they are
 *  refused, or give a rollout whose indices and ids are inside their arrays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/trainer/batch.h"
#include "../../services/trainer/measure.h"
#include "base/clock.h"
#include "base/rng.h"

#define EPISODES 3
#define VOCAB    50

static void seed_group (buf_t *bytes)
{
    static const int32_t ids[] = {1, 2, 3, 4, 49};
    static const float logps[] = {-1, -2, -0.5f, -3, -0.1f};
    static const wire_part_t parts[] = {{"tests", 0.5}};
    wire_ids_t prompts[] = {{ids, 3}, {ids, 5}};
    wire_completion_t completions[EPISODES][2];
    wire_episode_t episodes[EPISODES];
    for (uint32_t e = 0; e < EPISODES; e++) {
        for (uint32_t r = 0; r < 2; r++)
            completions[e][r] = (wire_completion_t){
                .role = r, .prompt = r, .ids = {ids, 2 + e}, .logps = logps, .stopped = true};
        episodes[e] = (wire_episode_t){.history = "{\"turns\":[]}",
                                       .reward = {.reward = 0.5,
                                                  .quality = 0.5,
                                                  .parts = parts,
                                                  .parts_n = 1,
                                                  .verdict = "fine"},
                                       .completions = completions[e],
                                       .completions_n = 2};
    }
    wire_episodes_t group = {
        .prompts = prompts, .prompts_n = 2, .episodes = episodes, .episodes_n = EPISODES};
    wire_episodes_pack (&group, bytes);
}

static void mutate (rng_t *rng, char *data, size_t *size)
{
    for (uint64_t n = rng_below (rng, 4); n-- > 0 && *size;) {
        size_t at = (size_t) rng_below (rng, *size);
        if (rng_below (rng, 8) == 0)
            *size = at;
        else
            data[at] = (char) rng_next (rng);
    }
}

/*  Touches everything that the trainer would. */
static double use (const rollout_t *rollout)
{
    static const size_t policies[] = {0, 0};
    double *advantages = calloc (rollout->completions + 1, sizeof *advantages);
    measure_t measure;
    double sum = 0;
    for (size_t c = 0; c < rollout->completions; c++)
        advantages[c] = 1;
    measure_rollout (rollout, &measure);
    batch_source_t source = {.rollout = rollout, .advantages = advantages, .policies = policies};
    batch_t *batch = batch_new (&source, 0, 1, NULL);
    for (size_t i = 0; batch && i < batch->items_n; i++)
        for (size_t t = 0; t < batch->completions[i].n; t++) {
            int32_t id = batch->completions[i].ids[t];
            if (id < 0 || id >= VOCAB)
                abort ();
            sum += batch->items[i].completion->logps[t];
        }
    batch_destroy (&batch);
    free (advantages);
    return sum + measure.reward.mean;
}

static size_t try_group (rng_t *rng, const buf_t *seed)
{
    static const size_t vocab[] = {VOCAB, VOCAB}, context[] = {64, 64};
    rollout_limits_t limits = {
        .episodes = EPISODES, .roles = 2, .vocab = vocab, .context = context};
    char *data = malloc (seed->size + 1);
    size_t size = seed->size, taken = 0;
    memcpy (data, seed->data, size);
    mutate (rng, data, &size);
    rollout_t *rollout = rollout_new (1, NULL);
    if (rollout_add (rollout, 0, data, size, NULL, &limits, NULL) == 0 &&
        rollout_index (rollout, NULL) == 0) {
        volatile double sum = use (rollout);
        (void) sum;
        taken = 1;
    }
    rollout_destroy (&rollout);
    free (data);
    return taken;
}

int main (int argc, char **argv)
{
    double seconds = argc > 1 ? strtod (argv[1], NULL) : 2;
    rng_t rng = {.key = argc > 2 ? strtoull (argv[2], NULL, 10) : 1};
    size_t n = 0, taken = 0;
    buf_t group = {0};
    seed_group (&group);
    for (double end = clock_s () + seconds; clock_s () < end; n++)
        taken += try_group (&rng, &group);
    buf_free (&group);
    printf ("fuzz_trainer: %zu inputs, %zu taken\n", n, taken);
    return taken > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
