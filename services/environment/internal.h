/*  internal - what the files of a group share: group.c, asks.c, answers.c, judging.c. */
#ifndef QUINTET_ENVIRONMENT_INTERNAL_H
#define QUINTET_ENVIRONMENT_INTERNAL_H

#include "group.h"
#include "result.h"

#define NOT_ACTING UINT32_MAX

/*  One episode. */
typedef struct {
    episode_t *episode;
    bool acts;     /* in this turn: it is not done */
    char *history; /* at the end */
} table_t;

/*  One role. */
typedef struct {
    const tokenizer_t *tokenizer; /* NULL of one that an engine plays */
    bool ready;                   /* it has the tokenizer, or needs none */
    /* of each episode in this turn, or NOT_ACTING: index into the result; of one that an engine
       plays, of which the result has nothing, index into the turn's prompts */
    uint32_t *prompt_of;
    size_t ask; /* which of the turn's asks is its own */
    bool acts;
} seat_t;

/*  What is asked for just now. */
typedef enum { STAGE_STEP, STAGE_ACT, STAGE_TOOL, STAGE_JUDGE, STAGE_SCORE } stage_t;

/*  What a policy that judges is asked of teams that handed in the same. */
typedef struct {
    char *text;
    tokenizer_ids_t ids;
    uint32_t *samples; /* index of the history times grade.samples, plus that of the answer */
    size_t n;
} judging_t;

/*  A tool that a role of an episode uses in this turn. */
typedef struct {
    size_t episode, role, ask;
    size_t at; /* in the ask's histories */
} use_t;

struct group {
    arena_t *arena;
    const wire_group_t *message;
    const char *roles[EPISODE_ROLES_MAX]; /* their names */
    group_state_t state;
    err_t error;
    table_t *tables;
    size_t n;                            /* episodes */
    seat_t seats[EPISODE_ROLES_MAX + 1]; /* and who judges, behind the roles */
    unsigned turn;
    group_ask_t asks[EPISODE_ROLES_MAX];
    const wire_act_reply_t *replies[EPISODE_ROLES_MAX]; /* by ask */
    uint64_t decode_us[EPISODE_ROLES_MAX];              /* of the last replies */
    size_t asks_n, unanswered;
    unsigned round; /* of asks: all of one are independent of each other */
    stage_t stage;
    use_t *uses; /* of tools in this turn */
    size_t uses_n;
    const wire_score_reply_t *found[EPISODE_ROLES_MAX]; /* by ask */
    const wire_score_reply_t *score;                    /* NULL until scored */
    char **others; /* histories of the teams that were not played, once they are to be scored */
    size_t others_n;
    judging_t *judging; /* in the request to who judges */
    size_t judging_n;
    size_t *judging_of; /* by history: which of them */
    char **graded;      /* its answers, in the order of their numbers */
    size_t graded_n;
    result_t *result;
    buf_t bytes; /* what the last turn added; at the end the packed result */
};

/*  Tokens of the longest completion of a role. */
uint32_t group_max_tokens (const group_t *group, size_t role);

/*  told.c: the program that plays the episodes is asked how they go on. */
void group_ask_step (group_t *group);
int group_check_told (const group_t *group, const void *data, size_t size, err_t *err);
void group_end_told (group_t *group, const void *data, size_t size);

/*  group.c: a turn has ended, or none has begun: the next one, or the score. */
void group_go_on (group_t *group);

/*  asks.c: what is asked of agents in a turn, and of the reward service at the end. A turn in which
 *  nobody has to be asked anything goes on to its tools. */
void group_begin_turn (group_t *group);
void group_ask_score (group_t *group);
/*  What is scored: the histories of the episodes, and behind them those of the others. The array is
 *  the caller's. NULL: see err. */
const char **group_histories (group_t *group, err_t *err);

/*  judging.c: a policy of the run's judges what was handed in, before it is scored. */
bool group_is_judged (const group_t *group);
void group_ask_judge (group_t *group);
int group_check_judged (const group_t *group, const wire_act_reply_t *reply, err_t *err);
void group_end_judging (group_t *group, const wire_act_reply_t *reply);
void group_forget_judging (group_t *group);

/*  answers.c: ERR_STALE when an answer is not of the version that was asked. */
int group_check_version (const wire_version_t *asked, const wire_act_reply_t *reply, err_t *err);
group_ask_t *group_new_ask (group_t *group, const char *service);
void group_finish_ask (group_t *group, group_ask_t *ask, const char *where);
void group_forget_asks (group_t *group);
/*  A score request without histories and tool, which the caller sets. */
wire_score_request_t group_score_request (const group_t *group);

/*  tools.c: everybody has acted; what tools find is asked of the reward service, and the turn ends
 *  when it has come, at once where no tool is used. */
void group_use_tools (group_t *group);
int group_check_found (const group_t *group, size_t ask, const wire_score_reply_t *reply,
                       err_t *err);
void group_end_tools (group_t *group);

/*  answers.c: the turn's last answer is there. */
void group_end_turn (group_t *group);

#endif
