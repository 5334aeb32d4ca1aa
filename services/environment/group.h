/*  group - G episodes of one task on their way from the claim to the result; knows no socket and
 *  no store.
 *
 *      group_t *group = group_new (payload, size, &err);
 *      switch (group_state (group)) {
 *      case GROUP_READING: group_tokenizer (group, seat, tokenizer);           one for every seat
 *      case GROUP_ASKING:  group_answer (group, ask, data, size, &err);        one for every ask
 *      case GROUP_STORING: group_turn (group, &turn); group_stored (group);    stored in between
 *      case GROUP_DONE:    group_result (group);                               to be committed
 *      case GROUP_FAILED:  group_error (group); }
 *      group_destroy (&group);
 *
 *  Where a program plays the episodes (program/session.h), it is asked before each turn how those
 *  go on that wait for it: one ask, of which each line is an episode so far, and each line of the
 *  answer what it said of that one. Their ids begin with group_name.
 *
 *  A turn is one act request per acting role, in which equal prompts stand once, with the episodes
 *  that share them. When all are answered the actions are applied in the order of (episode, role),
 *  and what the turn added is to be stored. After the last turn one score request follows, and
 *  before it one to the policy that judges, where there is one. What is asked is a pure function of
 *  the group's payload and of the answers, so a group played twice asks and gets the same.
 */
#ifndef QUINTET_ENVIRONMENT_GROUP_H
#define QUINTET_ENVIRONMENT_GROUP_H

#include "task/episode.h"
#include "text/tokenizer.h"
#include "wire/wire.h"

#define GROUP_ID_MAX 200

typedef struct group group_t;

typedef enum {
    GROUP_READING, /* roles want their tokenizers */
    GROUP_ASKING,  /* asks want their answers */
    GROUP_STORING, /* a turn is over and wants to be stored */
    GROUP_DONE,    /* the result wants to be committed */
    GROUP_FAILED   /* ERR_INPUT: its content is wrong, nobody can play it; else it may be retried */
} group_state_t;

typedef struct {
    const char *service; /* "act", "score"; "step": of the program that plays the episodes */
    char what[128];      /* "turn 2, role main: ", for errors, or "" */
    char who[64];        /* role or tool, or "" */
    unsigned turn;
    char id[GROUP_ID_MAX]; /* names the request for idempotence; ends in a hash of its content */
    buf_t payload;
    bool answered;
} group_ask_t;

/*  NULL: the payload is not a group. A task that cannot be played gives a group that failed. */
group_t *group_new (const void *payload, size_t size, err_t *err);
void group_destroy (group_t **group);

const wire_group_t *group_message (const group_t *group);
group_state_t group_state (const group_t *group);
/*  "RUN/PHASE/STEP/GROUP/". */
const char *group_name (const group_t *group, char name[GROUP_ID_MAX]);
/*  Why it failed. */
const err_t *group_error (const group_t *group);
/*  Makes it fail: for what is learnt outside, such as a peer's refusal. */
void group_fail (group_t *group, err_code_t code, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/*  Who is asked for texts: the roles, and behind them a policy that judges, where there is one. */
size_t group_seats (const group_t *group);
const wire_role_t *group_seat (const group_t *group, size_t seat);
/*  READING: each seat wants one, or NULL where an engine plays it; borrowed until the group is
 *  destroyed. Begins the first turn when all are there. */
void group_tokenizer (group_t *group, size_t seat, const tokenizer_t *tokenizer);
bool group_has_tokenizer (const group_t *group, size_t seat);

/*  ASKING. An answer that does not fit its question is refused, and the ask stays open: ERR_STALE
 *  for another version, ERR_INTERNAL for anything else. */
size_t group_asks (const group_t *group);
/*  Changes whenever all asks are new ones. */
unsigned group_round (const group_t *group);
const group_ask_t *group_ask (const group_t *group, size_t ask);
int group_answer (group_t *group, size_t ask, const void *data, size_t size, err_t *err);

/*  Whether an ask is for an episode; and of an act's answer that was just given, how long it took
 *  to decode. */
bool group_ask_has (const group_t *group, size_t ask, size_t episode);
uint64_t group_decode_us (const group_t *group, size_t ask);

/*  STORING: what turn `turn` added to the histories of all episodes, one line each; with the lines
 *  of the turns before and the group's task they are the global states. */
const buf_t *group_turn (const group_t *group, unsigned *turn);
void group_stored (group_t *group);

/*  DONE: wire_episodes_t, packed; and what a group.committed event tells of it (means over
 *  episodes; names are constant). */
#define GROUP_METRICS 9
const buf_t *group_result (const group_t *group);
size_t group_metrics (const group_t *group, wire_part_t metrics[GROUP_METRICS]);

#endif
