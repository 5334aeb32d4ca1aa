/*  critic_fixture - episodes to learn from: whose first turn tells the return of the second.
 *
 *      simple_t simple;
 *      simple_task (&simple);
 *      request.groups = simple.groups;
 */
#ifndef QUINTET_TESTS_CRITIC_FIXTURE_H
#define QUINTET_TESTS_CRITIC_FIXTURE_H

#include <stdio.h>

#include "../../services/critic/regression.h"
#include "wire/wire.h"

static const regression_shape_t shape = {.replay = 512, .context = 40};

#define EPISODES 8

/*  Episodes whose first turn tells the return of the second: "good" 1, "bad" 0; two of each
 *  task. */
typedef struct {
    char brief[EPISODES / 2][16];
    wire_said_t said[EPISODES][2];
    wire_turn_t turns[EPISODES][2];
    wire_transcript_t transcripts[EPISODES];
    wire_transcripts_t groups[EPISODES / 2];
    double returns[EPISODES];
} simple_t;

static inline void simple_task (simple_t *s)
{
    static const char *const role[] = {"m"};
    for (int i = 0; i < EPISODES; i++) {
        s->said[i][0] = (wire_said_t){0, i % 2 ? "good" : "bad"};
        s->said[i][1] = (wire_said_t){0, ""};
        for (int t = 0; t < 2; t++)
            s->turns[i][t] = (wire_turn_t){.said = &s->said[i][t], .said_n = 1};
        s->transcripts[i] = (wire_transcript_t){s->turns[i], 2};
        s->returns[i] = i % 2;
    }
    for (int g = 0; g < EPISODES / 2; g++) {
        snprintf (s->brief[g], sizeof s->brief[g], "t%d", g);
        s->groups[g] = (wire_transcripts_t){s->brief[g], role, 1, &s->transcripts[2 * g], 2};
    }
}

/*  A request to learn from them. */
static inline wire_learn_request_t simple_learn (const simple_t *simple, const hash_t *from)
{
    return (wire_learn_request_t){.run = "r",
                                  .step = 1,
                                  .state = *from,
                                  .replay = shape.replay,
                                  .context = shape.context,
                                  .groups = simple->groups,
                                  .groups_n = EPISODES / 2,
                                  .returns = simple->returns,
                                  .returns_n = EPISODES};
}

#endif
