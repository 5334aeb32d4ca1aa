/*  environment_fixture - a group to play, the answers that peers would give, and a tokenizer.
 *
 *  A byte-level tokenizer without merges makes ids predictable enough: what the tests compare are
 *  structures, not tokens.
 */
#ifndef QUINTET_TESTS_ENVIRONMENT_FIXTURE_H
#define QUINTET_TESTS_ENVIRONMENT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"
#include "wire/wire.h"

#define FIXTURE_TASK "{\"id\": \"t\", \"family\": \"coding\", \"brief\": \"Return the sum of xs.\"}"

static inline char *fixture_tokenizer_text (void)
{
    err_t err = {0};
    const char *const texts[] = {"abc"}, *const specials[] = {"<end>"};
    char *json = tokenizer_train (texts, 1, 257, specials, 1, &err);
    if (!json) {
        fprintf (stderr, "tokenizer_train: %s\n", err.text);
        abort ();
    }
    return json;
}

typedef struct {
    wire_role_t roles[2];
    wire_group_t group;
} fixture_group_t;

/*  Two roles of one policy; the caller changes what it likes before packing. */
static inline void fixture_group (fixture_group_t *f, const char *tokenizer_text)
{
    static const int32_t stops[] = {0};
    wire_version_t version = {.policy = "team", .number = 3, .hash = {{7, 8, 9}}};
    hash_t tokenizer = hash_object (tokenizer_text, strlen (tokenizer_text));
    for (int r = 0; r < 2; r++)
        f->roles[r] = (wire_role_t){.name = r ? "main" : "aux",
                                    .version = version,
                                    .tokenizer = tokenizer,
                                    .stops = {.data = stops, .n = 1},
                                    .chat = "",
                                    .temperature = 1};
    f->group = (wire_group_t){.run = "r",
                              .phase = WIRE_TRAIN,
                              .step = 12,
                              .group = 5,
                              .seed = 99,
                              .task = FIXTURE_TASK,
                              .episodes = 3,
                              .roles = f->roles,
                              .roles_n = 2,
                              .max_tokens = 72,
                              .weights = {0.7, 0.3, 0.1},
                              .command = "",
                              .timeout_s = 3600};
}

/*  What an agent might answer: for every episode asked for, a number of tokens that differs by
 *  role and episode, the last one the stop token; of an engine a text that it did not cut. -1, and
 *  no bytes: the request is refused. */
static inline int fixture_act (const void *data, size_t size, buf_t *bytes)
{
    err_t err = {0};
    arena_t *arena = arena_new (1 << 20);
    const wire_act_request_t *request = wire_act_request_unpack (arena, data, size, &err);
    if (!request) {
        arena_destroy (&arena);
        return -1;
    }
    wire_sample_t samples[64];
    int32_t ids[64][8];
    float logps[64][8];
    uint32_t n = 0;
    for (size_t p = 0; p < request->prompts_n; p++)
        for (size_t i = 0; i < request->prompts[p].episodes_n; i++, n++) {
            uint32_t e = request->prompts[p].episodes[i], length = 2 + (e + request->role) % 6;
            for (uint32_t t = 0; t < length; t++) {
                ids[n][t] = t + 1 < length ? (int32_t) (40 + e + t) : 0;
                logps[n][t] = -0.25f * (float) (1 + t + e);
            }
            samples[n] = (wire_sample_t){.episode = e,
                                         .ids = {.data = ids[n], .n = length},
                                         .logps = logps[n],
                                         .stopped = true};
            if (*request->engine)
                samples[n] =
                    (wire_sample_t){.episode = e, .text = "return 1 END and 2", .tokens = 20 + e};
        }
    for (uint32_t i = 0; i < n; i++) /* sorted by episode, whatever the prompts' order */
        for (uint32_t j = i + 1; j < n; j++)
            if (samples[j].episode < samples[i].episode) {
                wire_sample_t s = samples[i];
                samples[i] = samples[j];
                samples[j] = s;
            }
    wire_act_reply_t reply = {
        .version = request->version, .samples = samples, .samples_n = n, .decode_us = 5};
    wire_act_reply_pack (&reply, bytes);
    arena_destroy (&arena);
    return 0;
}

static inline int fixture_score (const void *data, size_t size, buf_t *bytes)
{
    err_t err = {0};
    arena_t *arena = arena_new (1 << 20);
    const wire_score_request_t *request = wire_score_request_unpack (arena, data, size, &err);
    if (!request) {
        arena_destroy (&arena);
        return -1;
    }
    static const wire_part_t part = {"tests", 0.5};
    wire_reward_t rewards[64];
    for (size_t i = 0; i < request->histories_n; i++)
        rewards[i] = (wire_reward_t){.reward = 0.25 * (double) (i + 1),
                                     .quality = 0.5,
                                     .success = i == 0,
                                     .parts = &part,
                                     .parts_n = 1,
                                     .verdict = "1 of 2 tests"};
    wire_score_reply_t reply = {.rewards = rewards, .rewards_n = request->histories_n};
    wire_score_reply_pack (&reply, bytes);
    arena_destroy (&arena);
    return 0;
}

#endif
