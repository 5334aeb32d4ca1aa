/*  remote - a turn of a seat that a server of others plays.
 *
 *      remote_turn_t turn = {&server, "", &sampling, key, 60, "guide"};
 *      remote_act (&turn, episode, role, &show, &err);
 */
#ifndef QUINTET_CLI_REMOTE_H
#define QUINTET_CLI_REMOTE_H

#include "http/openai.h"
#include "stream.h"
#include "task/episode.h"

typedef struct {
    openai_t **server;
    const char *system; /* "" for none */
    const sampling_t *sampling;
    uint64_t key;
    double seconds; /* for the answer */
    const char *heading;
} remote_turn_t;

/*  Asks what the role observes, shows the answer, and makes it the role's action. Waits until the
 *  seconds are over, or until somebody interrupts (show): then the server is given up, and NULL.
 *  Errors name it. */
int remote_act (const remote_turn_t *turn, episode_t *episode, size_t role,
                const stream_show_t *show, err_t *err);

#endif
