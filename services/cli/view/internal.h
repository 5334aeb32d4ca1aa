/*  internal - what is known of a run while it goes: live.c changes it, screen.c draws it.
 *
 *      live->step = event->step;
 *      screen_draw (live, false);
 */
#ifndef QUINTET_CLI_VIEW_INTERNAL_H
#define QUINTET_CLI_VIEW_INTERNAL_H

#include <jansson.h>

#include "base/buf.h"
#include "live.h"
#include "services.h"

#define LIVE_PACE 9 /* steps whose times say how long the others take */

struct live {
    live_mode_t mode;
    char who[16], run[64], state[128]; /* state: the trainer's own word for what it does */
    size_t part, parts;                /* which trainer of how many; 0: not said */
    size_t next_part, next_parts;      /* of the trainer that begins next */
    size_t steps, from;                /* all, and those that were done before */
    double begun_s;                    /* of this trainer */
    uint64_t step;
    double *rewards; /* of every step since the first that is known */
    size_t first;    /* steps before that */
    size_t rewards_n;
    double reward;
    double quality, speed, cost, success, sampled_per_s, trained_per_s;
    double loss, kl, entropy, norm, clip, lr, zero_spread, truncated, completion_tokens, path;
    double heldout_sampled, heldout_greedy;
    bool evaluated;
    uint64_t evaluated_step;
    double pace_s[LIVE_PACE]; /* times of the last steps, in a ring */
    size_t pace_n;
    double stepped_s; /* when the last step was done, or the training began; 0: not yet */
    double eta_s;     /* as the trainer says, NAN: it does not */
    double eta_at_s;
    wire_phase_t phase; /* of the groups under way */
    bool opened;        /* they are under way */
    size_t groups, committed;
    char note[256];
    int64_t note_until_ms;
    char waits[256]; /* said last */
    services_t services;
    json_t *episode;
    int64_t drawn_ms;
    size_t drawn_lines, drawn_columns, drawn_rows;
    buf_t out;
    buf_t kept; /* the last view of the trainer before */
};

/*  NAN: it cannot be known yet. */
double live_left_s (const live_t *live);

/*  What happens now, in a word: "loading", "sampling", "scoring", "training" ... */
const char *live_now (const live_t *live);
bool live_waits_for_groups (const live_t *live);

/*  "8 s", "12 min", "2 h 05 min". */
void live_duration (double seconds, buf_t *out);

void live_number (buf_t *out, const char *before, double value);

/*  Draws the view; brief: without the episode, for the last time. */
void screen_draw (live_t *live, bool brief);

#endif
