/*  stages - see stages.h
 *
 *  One step, from version v to v + 1:
 *    publish   the bus gets version v (publish.c): agents cannot sample what they cannot get
 *    evaluate  when due: held-out tasks under v, two rounds of groups (round.c)
 *    sample    the step's groups are opened in Redis; environments claim and play them, agents
 *              sample under v, the reward service scores; results are read in the order of ids
 *    value     with a critic: its values of what was played, from its state before this step
 *    train     advantages (credit.c), minibatches (batch.c), gradients and AdamW (update.c), on
 *              this thread
 *    learn     with a critic: its next state, computed in its own process while train ran here
 *    save      metrics, then the checkpoint when due, then the step is committed in Redis: a
 *              trainer that dies in between finds the step open and commits it, losing nothing
 *
 *  A stage has a beginning (enter), which is tried until it succeeds, a question that is asked
 *  again and again (poll), and a deadline with an error of its own (late). All of them may be
 *  called twice: when the store or a peer is away, stages_work comes back to the same call. That
 *  is why `reported` guards what is written to files: lines must stand there once.
 */
#include "stages.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "completions.h"
#include "news.h"
#include "objective.h"
#include "report.h"

#define POLL_MS   250
#define PUBLISH_S 60.0 /* for the bus to take a version, at least */
#define RETIRE_S  2.0

typedef struct {
    const char *name;
    const char *state; /* as people are told */
    int (*enter) (trainer_t *t, err_t *err);
    int (*poll) (trainer_t *t, err_t *err); /* 1: ready for the next stage, 0: not yet, -1 */
    stage_t (*next) (const trainer_t *t);
    int (*late) (trainer_t *t, double waited_s, err_t *err); /* sets the error; returns -1 */
} stage_steps_t;

static double stage_timeout_s (const trainer_t *t)
{
    return (double) t->conf->run.timeout_s;
}

static const char *stage_bus_address (const trainer_t *t)
{
    return args_value (svc_args (t->svc), "--bus");
}

/*  Made anew for each round, which copies it; what it names lives as long as the trainer. */
static round_source_t stage_source_of (const trainer_t *t)
{
    return (round_source_t){
        .store = t->store, .run = t->run, .epoch = t->epoch, .team = &t->team, .tasks = t->tasks};
}

/*  ---- publish -------------------------------------------------------------------------------- */

/*  Nothing is sampled before the bus has every policy of this version, for agents to fetch. */
static int stage_publish_enter (trainer_t *t, err_t *err)
{
    return publish_versions (t->publish, t->team.policies, t->team.policies_n, err);
}

static int stage_publish_poll (trainer_t *t, err_t *err)
{
    (void) err;
    if (!publish_done (t->publish))
        return 0;
    news_published (t);
    return 1;
}

/*  The deadline of training as well, which waits for an upload to end before it changes weights. */
static int stage_publish_late (trainer_t *t, double waited_s, err_t *err)
{
    return err_set (err, ERR_TIMEOUT,
                    "version %llu could not be uploaded to the bus at %s in %.0f s: is it there?",
                    (unsigned long long) t->done, stage_bus_address (t), waited_s);
}

/*  Before the first step, after the last one, and in between as configured. */
static bool stage_evaluation_due (const trainer_t *t, uint64_t done)
{
    uint64_t every = (uint64_t) t->conf->evaluation.every;
    return done == 0 || done >= trainer_steps (t) || (every && done % every == 0);
}

static stage_t stage_after_publish (const trainer_t *t)
{
    return stage_evaluation_due (t, t->done) ? STAGE_EVALUATE : STAGE_SAMPLE;
}

/*  ---- groups: evaluate and sample ------------------------------------------------------------ */

/*  1 when the rounds under way are finished. The store is asked when the time has come, or on news
 *  once as many groups were told of as there are: events are hints, the store is the truth. */
static int stage_groups_poll (trainer_t *t, err_t *err)
{
    size_t wanted = round_waited (t->round) + (t->greedy ? round_waited (t->greedy) : 0);
    bool news = t->told >= wanted && t->told > t->told_before;
    if (!news && clock_left_ms (t->poll_at_ms) > 0)
        return 0;
    t->poll_at_ms = clock_ms () + POLL_MS;
    t->told_before = t->told;
    int ready = round_poll (t->round, err);
    if (ready == 1 && t->greedy)
        ready = round_poll (t->greedy, err);
    return ready;
}

/*  What was told of the stage before must not count for this one. */
static void stage_groups_begin (trainer_t *t)
{
    t->told = t->told_before = 0;
    t->trouble[0] = 0;
    t->poll_at_ms = clock_ms () + POLL_MS;
}

/*  Both rounds are opened at once: environments play them side by side. When the second cannot be
 *  opened the first stays, and opening goes on from there. */
static int stage_evaluate_enter (trainer_t *t, err_t *err)
{
    round_source_t source = stage_source_of (t);
    stage_groups_begin (t);
    if (!t->round)
        t->round = round_open (&source, WIRE_EVAL_SAMPLED, t->done + 1, err);
    if (t->round)
        t->greedy = round_open (&source, WIRE_EVAL_GREEDY, t->done + 1, err);
    if (!t->greedy)
        return -1;
    news_opened (t, WIRE_EVAL_SAMPLED, t->done + 1, t->round);
    news_opened (t, WIRE_EVAL_GREEDY, t->done + 1, t->greedy);
    return 0;
}

/*  What nobody could play says nothing about the policies. when: "step", or what comes after one
 *  that was done. */
static int stage_check_played (const char *when, size_t step, const rollout_t *rollout, err_t *err)
{
    if (rollout->episodes || rollout->groups == 0)
        return 0;
    return err_set (err, ERR_INPUT, "%s %zu: all %zu groups failed; the first one: %s", when, step,
                    rollout->groups, rollout->reason[0]);
}

static int stage_evaluate_report (trainer_t *t, err_t *err)
{
    rollout_t *sampled = round_take (t->round, err);
    rollout_t *greedy = sampled ? round_take (t->greedy, err) : NULL;
    const char *when = "evaluation after step";
    int rc = greedy && stage_check_played (when, t->done, sampled, err) == 0 &&
                     stage_check_played (when, t->done, greedy, err) == 0
                 ? report_evaluation (t, sampled, greedy, err)
                 : -1;
    rollout_destroy (&sampled);
    rollout_destroy (&greedy);
    return rc;
}

/*  Written down first, committed then: a store that is away in between must not make it written
 *  twice. */
static int stage_evaluate_poll (trainer_t *t, err_t *err)
{
    /* Reported already: only the commits below are still to be done, after a failure of theirs. */
    int ready = t->reported ? 1 : stage_groups_poll (t, err);
    if (ready != 1)
        return ready;
    if (!t->reported && stage_evaluate_report (t, err) != 0)
        return -1;
    if (!t->reported && report_best (t, err) != 0)
        return -1;
    t->reported = true;
    if (round_commit (t->round, err) != 0 || round_commit (t->greedy, err) != 0)
        return -1;
    round_destroy (&t->round);
    round_destroy (&t->greedy);
    return 1;
}

/*  The greedy round is to blame only when the sampled one is finished. */
static int stage_groups_late (trainer_t *t, double waited_s, err_t *err)
{
    const round_t *late = t->greedy && round_poll (t->round, err) == 1 ? t->greedy : t->round;
    err_t gone;
    bool answers = bus_ready (svc_bus (t->svc), 0, &gone) == 0;
    return round_late (late, waited_s, answers ? t->trouble : gone.text, err);
}

static stage_t stage_after_evaluate (const trainer_t *t)
{
    return t->done >= trainer_steps (t) ? STAGE_DONE : STAGE_SAMPLE;
}

static int stage_sample_enter (trainer_t *t, err_t *err)
{
    round_source_t source = stage_source_of (t);
    stage_groups_begin (t);
    t->round = round_open (&source, WIRE_TRAIN, t->done + 1, err);
    if (!t->round)
        return -1;
    news_opened (t, WIRE_TRAIN, t->done + 1, t->round);
    return 0;
}

/*  Dynamic sampling (DAPO: Yu et al. 2025, section 3.2): groups whose rewards are all alike teach
 *  nothing, so as many further ones are played, again and again, as trainer.resample allows. New
 *  groups are on any tasks, good or bad, so means over all groups of a step stay what they are
 *  without it. 1: the round has grown. */
static int stage_resample (trainer_t *t, err_t *err)
{
    if (round_draws (t->round) > (size_t) t->conf->trainer.resample)
        return 0;
    credit_options_t options = objective_credit (t->conf);
    if (credit_compute (&t->credit, t->rollout, &options, NULL, err) != 0)
        return -1;
    /* What was drawn before in place of others is among the groups. */
    size_t missing =
        (size_t) t->conf->trainer.groups + t->credit.zero_spread - round_groups (t->round);
    if (missing == 0)
        return 0;
    if (round_grow (t->round, missing, err) != 0)
        return -1;
    stage_groups_begin (t);
    news_opened (t, WIRE_TRAIN, t->done + 1, t->round);
    return 1;
}

/*  Reads the groups once all are finished. They come in the order of their ids, whoever played
 *  them and when: the update is a function of that order. */
static int stage_sample_poll (trainer_t *t, err_t *err)
{
    int ready = stage_groups_poll (t, err);
    if (ready != 1)
        return ready;
    /* The rollout lives until the step is committed: training, the critic and the report all read
       it. */
    rollout_destroy (&t->rollout);
    t->rollout = round_take (t->round, err);
    int grown = t->rollout ? stage_resample (t, err) : -1;
    if (grown != 0)
        return grown < 0 ? -1 : 0;
    if (stage_check_played ("step", t->done + 1, t->rollout, err) != 0)
        return -1;
    /* Now, since who asks whether the step is the last one asks from here on. */
    trainer_count_sampled (t, rollout_tokens_all (t->rollout), t->done + 1);
    return 1;
}

static stage_t stage_after_sample (const trainer_t *t)
{
    return t->critic ? STAGE_VALUE : STAGE_TRAIN;
}

/*  ---- critic --------------------------------------------------------------------------------- */

/*  What is evaluated is kept: it may be the best. */
static bool stage_checkpoint_due (const trainer_t *t, uint64_t done)
{
    return stage_evaluation_due (t, done) ||
           done % (uint64_t) t->conf->trainer.checkpoint_every == 0;
}

/*  Before training: the values must be of the critic as it was when the step was played. */
static int stage_value_enter (trainer_t *t, err_t *err)
{
    return critic_client_ask (t->critic, t->done + 1, t->rollout, err);
}

static int stage_answer_poll (trainer_t *t, err_t *err)
{
    return critic_client_poll (t->critic, err);
}

static int stage_answer_late (trainer_t *t, double waited_s, err_t *err)
{
    return critic_client_late (t->critic, stage_bus_address (t), waited_s, err);
}

static stage_t stage_after_value (const trainer_t *t)
{
    (void) t;
    return STAGE_TRAIN;
}

/*  ---- train ---------------------------------------------------------------------------------- */

static int stage_train_policy (trainer_t *t, size_t policy, err_t *err)
{
    const conf_t *conf = t->conf;
    policy_t *p = t->team.policies[policy];
    update_options_t options = objective_update (conf, t->lr[policy]);
    t->updates[policy] = (update_stats_t){0};
    if (!policy_learns (p))
        return 0;
    batch_source_t source = {.rollout = t->rollout,
                             .advantages = t->credit.advantages,
                             .policies = t->team.policy_of,
                             .policy = policy,
                             .temperatures = t->team.temperature,
                             .mask_truncated = conf->loss.mask_truncated,
                             .keep_flat = conf->loss.kl > 0};
    if (update_step (p, &source, (size_t) conf->trainer.minibatches, &options, &t->updates[policy],
                     err) != 0)
        return err_wrap (err, "step %llu", (unsigned long long) t->done + 1);
    /* One version a step, however many minibatches it has: agents see no weights in between. */
    return policy_advance (p, err);
}

/*  The critic learns in its own process while the policies are trained here. */
static int stage_train_enter (trainer_t *t, err_t *err)
{
    return t->critic ? critic_client_learn (t->critic, t->done + 1, t->rollout,
                                            stage_checkpoint_due (t, t->done + 1), err)
                     : 0;
}

static int stage_train_poll (trainer_t *t, err_t *err)
{
    if (!publish_done (t->publish)) /* a bus that was restarted reads the weights once more */
        return 0;
    const conf_t *conf = t->conf;
    credit_options_t options = objective_credit_of (conf, &t->running, t->rollout);
    const double *values = t->critic ? critic_client_values (t->critic) : NULL;
    double started = clock_s ();
    t->critic_used = values != NULL;
    int rc = credit_compute (&t->credit, t->rollout, &options, values, err);
    for (size_t p = 0; rc == 0 && p < t->team.policies_n; p++) {
        t->lr[p] = objective_lr (conf, t->team.rows[p], t->done);
        rc = stage_train_policy (t, p, err);
    }
    /* For trainer_status: whoever asks this process to end learns how long that may take. */
    t->update_s = fmax (t->update_s, clock_s () - started);
    if (rc != 0)
        return -1;
    /* From here on the weights are those of the next version, and stages_keep may save them. */
    t->done++;
    if (t->first_step_s <= 0)
        t->first_step_s = trainer_wall_s (t);
    return 1;
}

static stage_t stage_after_train (const trainer_t *t)
{
    return t->critic ? STAGE_LEARN : STAGE_SAVE;
}

/*  ---- save ----------------------------------------------------------------------------------- */

static int stage_save_checkpoint (trainer_t *t, err_t *err)
{
    checkpoint_t checkpoint = {.step = t->done,
                               .seed = (uint64_t) t->conf->run.seed,
                               .wall_s = trainer_wall_s (t),
                               .first_step_s = t->first_step_s,
                               .metrics_offset = t->step_offset,
                               .running = t->running};
    double started = clock_s ();
    snprintf (checkpoint.numerics, sizeof checkpoint.numerics, "%s", model_isa ());
    const buf_t *critic = NULL;
    if (t->critic) {
        critic_client_status_t status = critic_client_status (t->critic);
        checkpoint.critic = status.state;
        checkpoint.critic_trusted = status.trusted;
        checkpoint.critic_mean = status.mean;
        critic = critic_client_bytes (t->critic);
    }
    /* The lines are on the disk before a checkpoint counts them, or a resume would find fewer bytes
       than it says. */
    if (trainer_config_hash (t->conf, &checkpoint.config, err) != 0 ||
        metrics_sync (t->metrics, err) != 0 ||
        checkpoint_save (t->dir, &checkpoint, t->team.policies, t->team.policies_n, critic, err) !=
            0)
        return -1;
    t->saved = t->done;
    t->save_s = fmax (t->save_s, clock_s () - started);
    if (checkpoint_name (t->dir, CHECKPOINT_LATEST, t->done, err) != 0)
        return -1;
    /* Last: until the new one has its name, the old ones are all that there is. */
    return checkpoint_prune (t->dir, (size_t) t->conf->trainer.checkpoints_kept, err);
}

/*  The metrics' length becomes part of the checkpoint: on resume, lines of later steps are cut
 *  off. */
static int stage_save_step (trainer_t *t, bool due, err_t *err)
{
    if (report_step (t, err) != 0 || completions_add (t, err) != 0)
        return -1;
    t->step_offset = metrics_offset (t->metrics);
    return due ? stage_save_checkpoint (t, err) : 0;
}

/*  Asked to stop while it trained, it ends with the step trained and not yet written down. Of a
 *  critic there is no state but that of the last checkpoint. */
int stages_keep (trainer_t *t, err_t *err)
{
    if (t->critic || t->done == t->saved || t->stage == STAGE_DONE)
        return 0;
    bool open = t->stage == STAGE_SAVE && !t->reported;
    return open ? stage_save_step (t, true, err) : stage_save_checkpoint (t, err);
}

/*  The checkpoint comes before the commit. Dying in between leaves a step that is open in Redis
 *  and done on the disk, which the next start commits; the other way round it would be committed
 *  and lost. */
static int stage_save_poll (trainer_t *t, err_t *err)
{
    if (!t->reported && stage_save_step (t, stage_checkpoint_due (t, t->done), err) != 0)
        return -1;
    t->reported = true;
    if (round_commit (t->round, err) != 0)
        return -1;
    round_destroy (&t->round);
    rollout_destroy (&t->rollout);
    credit_free (&t->credit);
    return 1;
}

static stage_t stage_after_save (const trainer_t *t)
{
    (void) t;
    return STAGE_PUBLISH;
}

static stage_t stage_after_learn (const trainer_t *t)
{
    (void) t;
    return STAGE_SAVE;
}

/*  ---- done ----------------------------------------------------------------------------------- */

/*  The result first: it must not depend on whether a bus answers. */
static int stage_done_enter (trainer_t *t, err_t *err)
{
    if (report_result (t, err) != 0)
        return -1;
    publish_retire (t->publish);
    return 0;
}

/*  Agents are told that they may forget the run; a bus that is away must not keep it from
 *  ending. */
static int stage_done_poll (trainer_t *t, err_t *err)
{
    if (!publish_done (t->publish) && clock_s () - t->stage_since < RETIRE_S)
        return 0;
    /* Before the release, or its thread might find the run gone and call it lost. */
    lease_end (&t->lease);
    if (store_run_release (t->store, t->run, t->epoch, err) != 0)
        return -1;
    svc_stop (t->svc, 0);
    return 0;
}

static int stage_nothing_to_enter (trainer_t *t, err_t *err)
{
    (void) t;
    (void) err;
    return 0;
}

/*  The walk in one table: what a stage does when it begins, what it waits for, which one
 *  follows, and what is said when its deadline passes. A stage without `late` waits for the
 *  store alone, whose failures end it in stage_restart. */
static const stage_steps_t stages[STAGE_COUNT] = {
    [STAGE_PUBLISH] = {"publish", "publishing", stage_publish_enter, stage_publish_poll,
                       stage_after_publish, stage_publish_late},
    [STAGE_EVALUATE] = {"evaluate", "evaluating", stage_evaluate_enter, stage_evaluate_poll,
                        stage_after_evaluate, stage_groups_late},
    [STAGE_SAMPLE] = {"sample", "sampling", stage_sample_enter, stage_sample_poll,
                      stage_after_sample, stage_groups_late},
    [STAGE_VALUE] = {"value", "asking the critic", stage_value_enter, stage_answer_poll,
                     stage_after_value, stage_answer_late},
    [STAGE_TRAIN] = {"train", "training", stage_train_enter, stage_train_poll, stage_after_train,
                     stage_publish_late},
    [STAGE_LEARN] = {"learn", "the critic learns", stage_nothing_to_enter, stage_answer_poll,
                     stage_after_learn, stage_answer_late},
    [STAGE_SAVE] = {"save", "saving", stage_nothing_to_enter, stage_save_poll, stage_after_save,
                    NULL},
    [STAGE_DONE] = {"done", "ending", stage_done_enter, stage_done_poll, NULL, NULL},
};

const char *stages_name (stage_t stage)
{
    return stages[stage].name;
}

/*  The time of a stage is booked where it ends; report_add_times books what is under way. */
static void stage_move_to (trainer_t *t, stage_t stage)
{
    double now = clock_s ();
    t->stage_s[t->stage] += now - t->stage_since;
    t->stage = stage;
    t->stage_since = now;
    t->entered = t->reported = t->troubled = false;
}

/*  While a step is saved its own evaluation, if one is due, is still to come. */
double stages_left_s (const trainer_t *t)
{
    size_t evaluations = 0;
    for (uint64_t k = t->done; k <= trainer_steps (t); k++)
        evaluations += k > t->done ? stage_evaluation_due (t, k)
                                   : t->stage == STAGE_SAVE && stage_evaluation_due (t, k);
    return eta_left (&t->eta, (size_t) (trainer_steps (t) - t->done), evaluations);
}

/*  Also after a resume: the bus may have forgotten the version, and agents cannot sample before it
 *  is there. */
void stages_start (trainer_t *t)
{
    t->stage_since = t->line_since = clock_s ();
    stage_move_to (t, STAGE_PUBLISH);
}

/*  Large weights take long to upload, however short the patience with groups is. Groups that are
 *  opened later in a step have as long as the first ones. */
static double stage_deadline_s (const trainer_t *t)
{
    if (t->stage == STAGE_SAMPLE && t->round)
        return stage_timeout_s (t) * (double) round_draws (t->round);
    return t->stage == STAGE_PUBLISH ? fmax (PUBLISH_S, stage_timeout_s (t)) : stage_timeout_s (t);
}

/*  Who is away or refuses for now may be back before the deadline, which counts from the first
 *  failure: the stage itself may have been waiting for long, and rightly. What failed is done
 *  again then; every call to the store may be made twice. After the deadline the run ends with
 *  what was waited for: a trainer that began anew would wait for the same. */
static int stage_restart (trainer_t *t, err_t *err)
{
    if (err->code != ERR_NETWORK && err->code != ERR_BUSY)
        return -1;
    double now = clock_s ();
    if (!t->troubled) {
        char text[ERR_TEXT_MAX];
        t->troubled = true;
        t->troubled_since = now;
        log_err ("stage.again", err);
        snprintf (text, sizeof text, "waiting: %.900s", err->text);
        news_state (t, text);
    }
    if (now - t->troubled_since <= stage_deadline_s (t))
        return POLL_MS;
    err_wrap (err, "step %llu (%s): waited %.0f s", (unsigned long long) t->done + 1,
              stages_name (t->stage), now - t->troubled_since);
    err->code = ERR_TIMEOUT;
    return -1;
}

/*  Told to whoever watches: what was waited for is back. */
static void stage_recover (trainer_t *t)
{
    t->troubled = false;
    log_info ("stage.on", "stage=%s waited_s=%.1f", stages_name (t->stage),
              clock_s () - t->troubled_since);
    news_state (t, stages[t->stage].state);
}

/*  What the stage that begins is called; and what runs here at all, once the bus has something of
 *  it: what is published before it knows us is lost. */
static void stage_tell (trainer_t *t)
{
    if (!t->told_run && t->stage != STAGE_PUBLISH) {
        news_run (t);
        t->told_run = true;
    }
    if (t->stage != STAGE_DONE)
        news_state (t, stages[t->stage].state);
}

int stages_work (trainer_t *t, err_t *err)
{
    const stage_steps_t *stage = &stages[t->stage];
    bool begins = !t->entered;
    if (begins && !t->troubled)
        stage_tell (t);
    int rc = begins ? stage->enter (t, err) : stage->poll (t, err);
    double waited_s = clock_s () - t->stage_since;
    if (rc < 0)
        return stage_restart (t, err);
    t->entered = true;
    if (t->troubled)
        stage_recover (t);
    /* Polled at once: what it waits for may be there already. */
    if (begins)
        return 0;
    if (rc == 0 && stage->late && waited_s > stage_deadline_s (t))
        return stage->late (t, waited_s, err);
    if (rc == 0)
        return POLL_MS;
    stage_move_to (t, stage->next (t));
    return 0;
}
