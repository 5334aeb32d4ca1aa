/*  fuzz_wire [SECONDS] [SEED]: envelopes and every message, damaged. */
#include "bus/envelope.h"
#include "mutate.h"
#include "wire/wire.h"

static void try_one (const char *data, size_t size)
{
    envelope_t e;
    err_t err = {0};
    if (envelope_parse (data, size, &e) == 0) {
        zmq_msg_t frame;
        if (envelope_pack (&e, (slice_t){"", 0}, &frame) == 0) {
            envelope_patch (&frame, 1, 1);
            zmq_msg_close (&frame);
        }
    }
    arena_t *arena = arena_new (4 << 20);
#define TRY(name) wire_##name##_unpack (arena, data, size, &err), arena_reset (arena);
    WIRE_MESSAGES (TRY)
    arena_destroy (&arena);
}

int main (int argc, char **argv)
{
    static const int32_t ids[] = {1, 2, 300};
    static const float logps[] = {-1, -2, -3};
    static const uint32_t episodes[] = {0, 1};
    static const wire_part_t parts[] = {{"tests", 0.5}, {"syntax", 1}};
    wire_prompt_t prompt = {.ids = {ids, 3}, .episodes = episodes, .episodes_n = 2};
    wire_act_request_t act = {.run = "r",
                              .version = {.policy = "p", .number = 3, .hash = hash_of ("x", 1)},
                              .temperature = 1,
                              .max_tokens = 9,
                              .stops = {ids, 1},
                              .prompts = &prompt,
                              .prompts_n = 1};
    wire_sample_t sample = {.ids = {ids, 3}, .logps = logps};
    wire_act_reply_t reply = {.version = act.version, .samples = &sample, .samples_n = 1};
    wire_completion_t completion = {.ids = {ids, 3}, .logps = logps};
    wire_episode_t episode = {.state = "{}",
                              .reward = {.reward = 1, .parts = parts, .parts_n = 2, .verdict = "v"},
                              .completions = &completion,
                              .completions_n = 1};
    wire_ids_t prompts[] = {{ids, 3}};
    wire_episodes_t group = {
        .prompts = prompts, .prompts_n = 1, .episodes = &episode, .episodes_n = 1};
    wire_event_t event = {.kind = WIRE_STEP_DONE,
                          .run = "r",
                          .version = {.policy = ""},
                          .metrics = parts,
                          .metrics_n = 2,
                          .text = "t"};
    buf_t bytes[4] = {{0}};
    wire_act_request_pack (&act, &bytes[0]);
    wire_act_reply_pack (&reply, &bytes[1]);
    wire_episodes_pack (&group, &bytes[2]);
    wire_event_pack (&event, &bytes[3]);
    zmq_msg_t frame;
    envelope_t e = {.kind = ENVELOPE_REQUEST,
                    .id = slice_of ("r/1"),
                    .service = slice_of ("act"),
                    .ticket = UINT64_MAX,
                    .left_ms = 5,
                    .payload = {bytes[0].data, bytes[0].size}};
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        return 1;
    const char *seeds[5] = {zmq_msg_data (&frame)};
    size_t sizes[5] = {zmq_msg_size (&frame)};
    for (size_t i = 0; i < 4; i++) {
        seeds[i + 1] = bytes[i].data;
        sizes[i + 1] = bytes[i].size;
    }
    int rc = fuzz_main (argc, argv, seeds, sizes, 5, try_one);
    for (size_t i = 0; i < 4; i++)
        buf_free (&bytes[i]);
    zmq_msg_close (&frame);
    return rc;
}
