/*  replay - a recording, back onto a bus at the pace at which it came.
 *
 *      replay_t *replay = replay_new (&options, &err);
 *      rc = replay_begin (replay, &err);                 once somebody listens at replay_address
 *      while ((wait_ms = replay_turn (replay, &err)) >= 0) ...             until replay_ended
 *          replay_hear (replay, &item);                                    of what is heard there
 *      replay_destroy (&replay);
 *
 *  Into a bus that is started for it, or one that runs. Whoever replays also listens: no more is
 *  sent than came back lately, so that "as fast as it goes" loses nothing on the way.
 */
#ifndef QUINTET_CLI_REPLAY_H
#define QUINTET_CLI_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "recording.h"

typedef struct {
    const char *path;    /* of the recording */
    const char *address; /* of a bus that runs; NULL: one is started */
    const keys_t *keys;  /* for it; NULL: none */
    double speed;        /* times as fast as it was; 0: as it goes */
    double from_s;       /* seconds of the recording that are left out */
    uint64_t viewers;    /* others that have to listen before it begins */
} replay_options_t;

typedef struct replay replay_t;

replay_t *replay_new (const replay_options_t *options, err_t *err);
void replay_destroy (replay_t **replay);

recording_summary_t replay_summary (const replay_t *replay);
const char *replay_address (const replay_t *replay);
/*  Once a connection subscribed to everything there, whose events replay_hear gets. */
int replay_begin (replay_t *replay, err_t *err);
/*  Sends what is due. How many ms until it wants to be called again, or -1: where the recording is
 *  damaged, only once all before the damage was heard. */
int replay_turn (replay_t *replay, err_t *err);
/*  Of every event that is heard on the bus. True: it is the recording's. */
bool replay_hear (replay_t *replay, const bus_item_t *item);
/*  Everything was sent and heard, as far as it ever will be. */
bool replay_ended (const replay_t *replay);

#endif
