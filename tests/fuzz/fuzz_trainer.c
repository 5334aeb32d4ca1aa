/* with: services/trainer/rollout.c services/trainer/batch.c services/trainer/measure.c */
/*  Groups from the store: whatever the bytes are, they are refused, or give a rollout whose indices
 *  and ids are inside their arrays. */
#include "../../services/trainer/batch.h"
#include "../../services/trainer/measure.h"
#include "fuzz.h"

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

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const size_t vocab[] = {VOCAB, VOCAB}, context[] = {64, 64};
    rollout_limits_t limits = {
        .episodes = EPISODES, .roles = 2, .vocab = vocab, .context = context};
    rollout_t *rollout = rollout_new (1, NULL);
    if (rollout_add (rollout, 0, (const char *) data, size, NULL, &limits, NULL) == 0 &&
        rollout_index (rollout, NULL) == 0) {
        volatile double sum = use (rollout);
        (void) sum;
    }
    rollout_destroy (&rollout);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    buf_t group = {0};
    seed_group (&group);
    fuzz_seed ("group", group.data, group.size);
    buf_free (&group);
    return fuzz_seeds (argc, argv);
}
