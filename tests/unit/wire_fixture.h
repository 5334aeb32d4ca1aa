/*  wire_fixture - one whole example of every message, packed: what tests and fuzzers damage.
 *
 *      buf_t bytes = {0};
 *      fixture_pack (FIXTURE_act_request, &bytes);
 *
 *  A kind of message without an example does not compile.
 */
#ifndef QUINTET_TESTS_WIRE_FIXTURE_H
#define QUINTET_TESTS_WIRE_FIXTURE_H

#include "wire/wire.h"

#define FIXTURE_NAME(name) FIXTURE_##name,
typedef enum { WIRE_MESSAGES (FIXTURE_NAME) FIXTURE_MESSAGES } fixture_message_t;
#undef FIXTURE_NAME

static const int32_t fixture_ids[] = {1, 2, 300};
static const float fixture_logps[] = {-1, -2, -3};
static const uint32_t fixture_indices[] = {0, 1};
static const wire_part_t fixture_parts[] = {{"tests", 0.5}, {"syntax", 1}};
static const char *const fixture_roles[] = {"aux", "main"};
static const char *const fixture_histories[] = {"{\"turns\":[]}", "{\"turns\":[{\"actions\":[]}]}"};
static const double fixture_returns[] = {0.25, 0.75};
static const wire_said_t fixture_said[] = {{0, "def aux"}, {1, "def main"}};
static const wire_turn_t fixture_turns[] = {{fixture_said, 2, fixture_said, 1},
                                            {fixture_said + 1, 1, NULL, 0}};
static const wire_transcript_t fixture_transcripts[] = {{fixture_turns, 2}, {fixture_turns, 1}};
static const wire_transcripts_t fixture_groups[] = {
    {"Do it.", fixture_roles, 2, fixture_transcripts, 2}};
static const wire_part_t fixture_local[] = {{"main", 0.25}};
static const wire_reward_t fixture_reward = {.reward = 1,
                                             .quality = 0.5,
                                             .parts = fixture_parts,
                                             .parts_n = 2,
                                             .local = fixture_local,
                                             .local_n = 1,
                                             .verdict = "2 of 3 tests"};

static inline wire_version_t fixture_version (void)
{
    return (wire_version_t){.policy = "p", .number = 3, .hash = hash_of ("x", 1)};
}

static inline wire_act_request_t fixture_act_request (void)
{
    static const wire_prompt_t prompts[] = {{{fixture_ids, 3}, fixture_indices, 2, "say"}};
    return (wire_act_request_t){.run = "r",
                                .version = fixture_version (),
                                .seed = 1,
                                .step = 2,
                                .group = 3,
                                .role = 1,
                                .turn = 1,
                                .temperature = 1,
                                .max_tokens = 9,
                                .goes_on = true,
                                .stops = {fixture_ids, 1},
                                .prompts = prompts,
                                .prompts_n = 1,
                                .engine = "http://h/v1 m",
                                .system = "You guide.",
                                .stop_texts = fixture_roles,
                                .stop_texts_n = 2};
}

static inline wire_act_reply_t fixture_act_reply (void)
{
    static const wire_sample_t samples[] = {{0, {fixture_ids, 3}, fixture_logps, true, "", 0},
                                            {1, {fixture_ids, 2}, fixture_logps, false, "", 0},
                                            {2, {NULL, 0}, NULL, true, "said", 2}};
    return (wire_act_reply_t){.version = fixture_version (), .samples = samples, .samples_n = 3};
}

static inline wire_score_request_t fixture_score_request (void)
{
    return (wire_score_request_t){.run = "r",
                                  .command = "python3 scorer.py",
                                  .weights = {1, 0.3, 0.1},
                                  .task = "{\"id\":\"t\",\"family\":\"coding\"}",
                                  .roles = fixture_roles,
                                  .roles_n = 2,
                                  .max_tokens = 72,
                                  .max_turns = 2,
                                  .histories = fixture_histories,
                                  .command_s = 20,
                                  .graded = fixture_histories,
                                  .graded_n = 2,
                                  .histories_n = 2};
}

static inline wire_score_reply_t fixture_score_reply (void)
{
    return (wire_score_reply_t){.rewards = &fixture_reward, .rewards_n = 1};
}

static inline wire_group_t fixture_group (void)
{
    static wire_role_t roles[2], judge;
    judge = (wire_role_t){.name = "critic", .version = fixture_version (), .max_tokens = 200};
    judge.tokenizer = hash_of ("t", 1);
    for (int r = 0; r < 2; r++)
        roles[r] = (wire_role_t){.name = fixture_roles[r],
                                 .version = fixture_version (),
                                 .tokenizer = hash_of ("t", 1),
                                 .stops = {fixture_ids, 2},
                                 .prefix = {fixture_ids, 1},
                                 .chat = "chatml",
                                 .temperature = 1,
                                 .stop_texts = fixture_roles,
                                 .stop_texts_n = 2,
                                 .next = "\n{prompt}",
                                 .engine = r ? "http://h/v1 m" : "",
                                 .system = r ? "You guide." : ""};
    return (wire_group_t){.run = "r",
                          .phase = WIRE_EVAL_GREEDY,
                          .step = 4,
                          .seed = 5,
                          .task = "{\"id\":\"t\",\"family\":\"coding\"}",
                          .episodes = 8,
                          .roles = roles,
                          .roles_n = 2,
                          .filter = {.top_k = 40, .top_p = 0.9f, .min_p = 0.05f},
                          .max_tokens = 72,
                          .max_turns = 2,
                          .weights = {1, 0.3, 0.1},
                          .command = "",
                          .judged_by = &judge,
                          .timeout_s = 60};
}

static inline wire_episodes_t fixture_episodes (void)
{
    static const wire_completion_t completions[] = {{0, 0, 0, {fixture_ids, 3}, fixture_logps, 1},
                                                    {1, 0, 1, {fixture_ids, 2}, fixture_logps, 0}};
    static const wire_ids_t prompts[] = {{fixture_ids, 3}, {fixture_ids, 1}};
    static wire_episode_t episodes[2];
    for (int e = 0; e < 2; e++)
        episodes[e] = (wire_episode_t){fixture_histories[e], fixture_reward, completions, 2, 5, 3};
    return (wire_episodes_t){.group = 3,
                             .prompts = prompts,
                             .prompts_n = 2,
                             .episodes = episodes,
                             .episodes_n = 2,
                             .others = fixture_returns,
                             .others_n = 2};
}

static inline wire_value_request_t fixture_value_request (void)
{
    return (wire_value_request_t){
        .run = "r", .step = 2, .state = hash_of ("s", 1), .groups = fixture_groups, .groups_n = 1};
}

static inline wire_value_reply_t fixture_value_reply (void)
{
    static const wire_value_t values[] = {{0, 0, 0, 0.5}, {0, 1, 0, 0.25}, {1, 1, 1, -1}};
    return (wire_value_reply_t){.values = values, .values_n = 3};
}

static inline wire_learn_request_t fixture_learn_request (void)
{
    return (wire_learn_request_t){.run = "r",
                                  .step = 2,
                                  .state = hash_of ("s", 1),
                                  .replay = 64,
                                  .context = 512,
                                  .groups = fixture_groups,
                                  .groups_n = 1,
                                  .returns = fixture_returns,
                                  .returns_n = 2};
}

static inline wire_learn_reply_t fixture_learn_reply (void)
{
    return (wire_learn_reply_t){
        .state = hash_of ("s", 1), .size = 99, .explained_variance = 0.5, .loss = 0.25};
}

static inline wire_event_t fixture_event (void)
{
    return (wire_event_t){.kind = WIRE_STEP_DONE,
                          .run = "r",
                          .step = 4,
                          .version = fixture_version (),
                          .metrics = fixture_parts,
                          .metrics_n = 2,
                          .text = "done",
                          .time_us = 1700000000000000,
                          .service = "trainer",
                          .host = "here",
                          .pid = 4711,
                          .program = "0.1.0",
                          .doing = "evaluate"};
}

static inline wire_manifest_t fixture_manifest (void)
{
    return (wire_manifest_t){.run = "r",
                             .version = fixture_version (),
                             .config = hash_of ("c", 1),
                             .tokenizer = hash_of ("t", 1),
                             .dtype = "bf16",
                             .compute = "bf16",
                             .size = 1 << 20,
                             .before = hash_of ("b", 1),
                             .delta = hash_of ("d", 1),
                             .delta_size = 99,
                             .base = hash_of ("w", 1),
                             .base_size = 1 << 22,
                             .adapter = hash_of ("a", 1),
                             .numerics = "f32 avx512"};
}

#define FIXTURE_PACK(name)                                                                         \
    case FIXTURE_##name: {                                                                         \
        wire_##name##_t message = fixture_##name ();                                               \
        wire_##name##_pack (&message, bytes);                                                      \
        break;                                                                                     \
    }

static inline void fixture_pack (fixture_message_t kind, buf_t *bytes)
{
    switch (kind) {
        WIRE_MESSAGES (FIXTURE_PACK)
    default:
        break;
    }
}
#undef FIXTURE_PACK

/*  Whether the bytes are such a message. */
#define FIXTURE_UNPACK(name)                                                                       \
    case FIXTURE_##name:                                                                           \
        return wire_##name##_unpack (arena, data, size, err) != NULL;

static inline bool fixture_unpack (fixture_message_t kind, arena_t *arena, const void *data,
                                   size_t size, err_t *err)
{
    switch (kind) {
        WIRE_MESSAGES (FIXTURE_UNPACK)
    default:
        return false;
    }
}
#undef FIXTURE_UNPACK

#endif
