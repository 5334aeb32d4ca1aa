/*  trainer - a running trainer: what it holds, and the callbacks that main.c lists.
 *
 *      static const svc_t service = {.name = "trainer", .open = trainer_open,
 *                                    .close = trainer_close,
 *                                    .on_item = trainer_on_item, .work = trainer_work,
 *                                    .status = trainer_status, .doing = trainer_doing};
 *
 *  The work is a walk through stages (stages.c); report.c writes down and tells what happened.
 */
#ifndef QUINTET_TRAINER_TRAINER_H
#define QUINTET_TRAINER_TRAINER_H

#include "checkpoint.h"
#include "credit.h"
#include "learn/advantage.h"
#include "critic_client.h"
#include "eta.h"
#include "lag.h"
#include "lease.h"
#include "metrics.h"
#include "publish.h"
#include "round.h"
#include "store/store.h"
#include "svc/svc.h"
#include "task/task.h"
#include "team.h"
#include "traces.h"
#include "update.h"

/*  In the order of a step. */
typedef enum {
    STAGE_PUBLISH,  /* the bus gets the version */
    STAGE_EVALUATE, /* when due: held-out tasks under this version */
    STAGE_SAMPLE,   /* the step's groups are opened and waited for */
    STAGE_VALUE,    /* the critic's values */
    STAGE_TRAIN,    /* advantages, losses, gradients, AdamW */
    STAGE_LEARN,    /* the critic learns */
    STAGE_SAVE,     /* metrics, checkpoint, commit of the step */
    STAGE_DONE,
    STAGE_COUNT
} stage_t;

typedef struct {
    svc_run_t *svc;
    conf_t *conf;
    char run[STORE_RUN_MAX + 1];
    char dir[FS_PATH_MAX];
    int lock; /* of the folder */

    store_t *store;
    uint64_t epoch;
    lease_t *lease; /* on the run; NULL: it is not held */

    team_t team;
    task_set_t *tasks;
    publish_t *publish;
    critic_client_t *critic; /* NULL: no critic wanted */
    metrics_t *metrics;
    traces_t traces;

    uint64_t done;        /* steps done: the number of the version that is out */
    uint64_t sampled;     /* tokens, in all of them */
    uint64_t end;         /* the step that used up trainer.budget_tokens; 0: none yet */
    uint64_t saved;       /* of these, those of the newest checkpoint */
    size_t left_out;      /* tasks that are too long for the model */
    uint64_t played;      /* steps up to this one were played before the last resume already */
    uint64_t step_offset; /* bytes of metrics up to the last step */
    bool failed;          /* what is in memory is not to be kept */
    bool told_run;        /* listeners know what runs here */
    bool told_end;        /* and that it failed, or was stopped */
    stage_t stage;
    bool entered;  /* its beginning is done */
    bool reported; /* its results are written down; what is left is telling the store */
    bool troubled; /* what failed in it is tried again */
    double troubled_since;
    double stage_s[STAGE_COUNT]; /* time in each stage since the last line of metrics */
    double stage_since, line_since;
    double started; /* clock_s of this process */
    eta_t eta;
    double wall_before;  /* seconds of the run before this process */
    double wall_kept;    /* of a run that had ended before it was resumed; 0: it had not */
    double update_s;     /* of the longest update so far; 0: none yet */
    double save_s;       /* of the longest checkpoint */
    double first_step_s; /* from the run's start to its first optimiser step */

    round_t *round;                        /* of the step, or sampled evaluation */
    round_t *greedy;                       /* evaluation */
    rollout_t *rollout;                    /* of the step */
    size_t told;                           /* events of finished groups in this stage */
    size_t told_before;                    /* as many when the store was asked last */
    int64_t poll_at_ms;                    /* when the store is asked next */
    char trouble[ERR_TEXT_MAX];            /* what was last in the way of a group of this stage */
    double lr[CONF_LIST_MAX];              /* of each policy, in this step */
    credit_t credit;                       /* of the step's completions */
    advantage_running_t running;           /* of rewards, for reward.scale */
    size_t flat;                           /* steps in a row without any spread */
    bool critic_used;                      /* in this step */
    update_stats_t updates[CONF_LIST_MAX]; /* of each policy, in this step */
    lag_t lag;
    arena_t *arena; /* of one event */
} trainer_t;

int trainer_open (svc_run_t *svc, void **state, err_t *err);
void trainer_close (svc_run_t *svc, void **state);
void trainer_on_item (svc_run_t *svc, const bus_item_t *item);
int trainer_work (svc_run_t *svc);
const char *trainer_doing (const svc_run_t *svc);
void trainer_status (svc_run_t *svc, void (*metric) (void *to, const char *name, double value),
                     void *to);

/*  Hash of everything in a configuration that the weights follow from (conf_essence). */
int trainer_config_hash (const conf_t *conf, hash_t *hash, err_t *err);

/*  After how many steps the run ends: trainer.steps, or fewer once its budget is used up. */
uint64_t trainer_steps (const trainer_t *trainer);
/*  Counts tokens that the step under way sampled, or those before a resume. */
void trainer_count_sampled (trainer_t *trainer, uint64_t tokens, uint64_t step);

/*  Seconds of the run so far, those before a resume included. */
double trainer_wall_s (const trainer_t *trainer);

#endif
