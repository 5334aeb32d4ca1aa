/*  service - what the files of the service share.
 *
 *      environment.c   claims groups and moves them on
 *      news.c          says what became of them
 *      steps.c         groups whose episodes a program plays
 */
#ifndef QUINTET_ENVIRONMENT_SERVICE_H
#define QUINTET_ENVIRONMENT_SERVICE_H

#include "call.h"
#include "group.h"
#include "programs.h"
#include "spans.h"
#include "store/store.h"
#include "svc/svc.h"
#include "tokenizers.h"

#define RUNS_MAX 32 /* whose events we listen to; more are polled */

/*  One claimed group. */
typedef struct {
    group_t *group; /* NULL: this place is free */
    store_claim_t claim;
    call_t calls[EPISODE_ROLES_MAX]; /* of each of its asks, on the bus or to a program */
    unsigned round;                  /* of those */
    const tokenizer_t *tokenizers[EPISODE_ROLES_MAX + 1]; /* by seat */
    int64_t claimed_ms, renewed_ms, moved_ms;
    err_t trouble; /* what failed last */
    spans_t spans;
} player_t;

typedef struct {
    svc_run_t *svc;
    bus_t *bus;
    store_t *store;
    tokenizers_t *tokenizers;
    programs_t *programs; /* NULL: no program plays here */
    player_t *players;
    size_t players_n, live;
    int64_t claim_ms;       /* when to look for groups again */
    int64_t store_again_ms; /* Redis failed: leave it alone until then */
    int64_t store_call_ms;  /* what a call to Redis takes, as seen */
    deadlines_t deadlines;
    char runs[RUNS_MAX][STORE_RUN_MAX + 1];
    size_t runs_n;
    uint64_t committed, dead, given_up, lost, refused;
    int64_t busy_us;
} environment_t;

/*  news.c: events, the log, and what is kept with the run. */
void environment_publish_committed (environment_t *env, const player_t *player);
/*  What is asked and told in between belongs to the group's trace. */
void environment_begin_trace (environment_t *env, const player_t *player);
void environment_end_trace (environment_t *env);
void environment_publish_trace (environment_t *env, const player_t *player);
/*  An ask that was sent, and whom it is for; to be ended by its answer, whose peer it names. */
span_t environment_begin_span (const player_t *player, size_t ask);
void environment_end_span (player_t *player, span_t *span, size_t ask, const bus_item_t *item);
/*  What began then and has just ended, without anybody that was asked. */
void environment_note_span (player_t *player, const char *name, unsigned turn, int64_t begin_us);
void environment_publish_trouble (environment_t *env, const player_t *player,
                                  wire_event_kind_t kind, const err_t *why);
void environment_log_group (const player_t *player, const char *event, const char *why);
void environment_note_group (environment_t *env, const player_t *player, const char *event,
                             const char *why);

/*  steps.c: groups whose episodes a program plays. */
int steps_open (environment_t *env, err_t *err);
/*  ERR_CONFIG: the group counts on another program than this service has. */
int steps_check (const environment_t *env, const player_t *player, err_t *err);
void steps_ask (environment_t *env, player_t *player, const group_ask_t *ask, call_t *call);
/*  Takes the answers that are there. */
void steps_take (environment_t *env);
/*  The group is left. */
void steps_leave (environment_t *env, const player_t *player);

#endif
