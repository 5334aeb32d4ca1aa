/*  trainer - see trainer.h */
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "completions.h"
#include "episodes.h"
#include "news.h"
#include "report.h"
#include "rundir.h"
#include "stages.h"

/*  What trainer_status tells a supervisor: how long an end may take before it counts as stuck. */
#define END_S         2.0 /* to end in, beside an update and a checkpoint */
#define UNKNOWN_END_S 30.0
#define ACQUIRE_MS    250 /* between two tries to take the run */
#define EVENT_BUDGET  ((size_t) 1 << 20)

/*  Time between two processes of a run is not in it: nobody worked then. */
double trainer_wall_s (const trainer_t *trainer)
{
    return trainer->wall_before + clock_s () - trainer->started;
}

uint64_t trainer_steps (const trainer_t *trainer)
{
    return trainer->end ? trainer->end : (uint64_t) trainer->conf->trainer.steps;
}

/*  step: the one that they were sampled for, or the last of them. */
void trainer_count_sampled (trainer_t *t, uint64_t tokens, uint64_t step)
{
    uint64_t budget = (uint64_t) t->conf->trainer.budget_tokens;
    t->sampled += tokens;
    if (!budget || t->sampled < budget || !step)
        return;
    t->end = step;
    if (step > t->done)
        news_note (t,
                   "%llu tokens are sampled, which uses up trainer.budget_tokens: step %llu is "
                   "the last",
                   (unsigned long long) t->sampled, (unsigned long long) step);
}

/*  The essence leaves out what may change when a run goes on, so a resume compares the rest
 *  alone. */
int trainer_config_hash (const conf_t *conf, hash_t *hash, err_t *err)
{
    buf_t text = {0};
    conf_essence (conf, &text);
    bool failed = buf_failed (&text);
    if (!failed)
        *hash = hash_of (text.data, text.size);
    buf_free (&text);
    return failed ? err_set (err, ERR_LIMIT, "no memory to hash the configuration") : 0;
}

/*  ---- opening -------------------------------------------------------------------------------- */

/*  An override counts like a line of the file: it is part of what config.yml keeps of the run. */
static int trainer_read_arguments (trainer_t *t, err_t *err)
{
    const args_t *args = svc_args (t->svc);
    size_t n;
    const char *const *overrides = args_repeated (args, "--set", &n);
    t->conf = conf_load (args_positional (args), overrides, n, err);
    if (!t->conf)
        return -1;
    const char *run = args_value (args, "--run"), *out = args_value (args, "--out");
    run = *run ? run : t->conf->run.name;
    /* It becomes part of keys in Redis, of topics and of a path: no slashes, blanks or
       wildcards. */
    size_t length = strlen (run);
    if (length == 0 || length > STORE_RUN_MAX ||
        strspn (run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != length)
        return err_set (
            err, ERR_CONFIG,
            "run id '%s': 1 to %d letters, digits, dots, dashes, underscores are wanted", run,
            STORE_RUN_MAX);
    memcpy (t->run, run, length + 1);
    if (*out)
        return fs_join (t->dir, ".", out, err);
    snprintf (t->dir, sizeof t->dir, "runs/%s", run);
    return 0;
}

/*  Few held-out tasks, or shared ones, are a warning only: the run may be wanted all the same, but
 *  its figures say less. */
static int trainer_open_tasks (trainer_t *t, err_t *err)
{
    const conf_t *conf = t->conf;
    task_options_t options = {.family = conf->task.family,
                              .path = *conf->task.path ? conf->task.path : NULL,
                              .seed = (uint64_t) conf->task.seed,
                              .heldout = conf->task.heldout,
                              .style = conf->task.style,
                              .seeds = (size_t) conf->task.seeds};
    t->tasks = task_set_open (&options, err);
    if (!t->tasks)
        return -1;
    task_fitted_t fitted;
    if (team_fit_tasks (&t->team, t->tasks, &fitted, err) != 0)
        return -1;
    size_t train = task_set_size (t->tasks, TASK_TRAIN);
    size_t heldout = task_set_size (t->tasks, TASK_HELDOUT);
    /* Without a share to hold out both sides are the same tasks. */
    t->left_out =
        fitted.long_n[TASK_TRAIN] + (task_set_shared (t->tasks) ? 0 : fitted.long_n[TASK_HELDOUT]);
    if (t->left_out)
        log_warn ("tasks.left_out", "train=%zu heldout=%zu text=\"too long for the model\"",
                  fitted.long_n[TASK_TRAIN], fitted.long_n[TASK_HELDOUT]);
    if (train == 0 || heldout == 0)
        return err_set (err, ERR_CONFIG,
                        "task: no tasks are left to %s: %zu are too long for the model",
                        train ? "evaluate on" : "train on", t->left_out);
    if (heldout < (size_t) conf->evaluation.tasks)
        log_warn ("evaluation.fewer", "tasks=%zu asked=%lld", heldout,
                  (long long) conf->evaluation.tasks);
    if (task_set_shared (t->tasks))
        log_warn ("evaluation.trained", "text=\"evaluation is on the tasks of training\"");
    log_info ("tasks", "family=%s train=%zu heldout=%zu", conf->task.family, train, heldout);
    return 0;
}

/*  Goes on from the newest complete checkpoint; without one the run begins anew. The time that
 *  went into steps which are done again was spent all the same. */
static int trainer_resume (trainer_t *t, checkpoint_t *checkpoint, buf_t *critic, err_t *err)
{
    char path[FS_PATH_MAX];
    t->wall_before = metrics_last (t->dir).wall_s;
    int found = checkpoint_newest (t->dir, path, checkpoint, err);
    if (found <= 0)
        return found;
    hash_t config;
    if (trainer_config_hash (t->conf, &config, err) != 0)
        return -1;
    /* Another configuration would go on with the same weights towards another goal, and the
       run's record would be wrong from there on. */
    if (!hash_equal (&config, &checkpoint->config))
        return err_set (
            err, ERR_CONFIG,
            "%s was made under another configuration: resume with the same one, or name "
            "another folder with --out",
            path);
    /* Other kernels round otherwise: the same seed would give other weights from here on. */
    if (strcmp (checkpoint->numerics, model_isa ()) != 0)
        return err_set (
            err, ERR_CONFIG,
            "%s was made with the kernels '%s', here they are '%s': go on where they are the "
            "same (QUINTET_ISA picks them), or name another folder with --out",
            path, checkpoint->numerics, model_isa ());
    if (checkpoint_load (path, checkpoint, t->team.policies, t->team.policies_n, critic, err) != 0)
        return -1;
    if (checkpoint->step > (uint64_t) t->conf->trainer.steps)
        return conf_refuse (t->conf, "trainer.steps", err, "%lld: %s is further already",
                            (long long) t->conf->trainer.steps, path);
    t->done = t->saved = checkpoint->step;
    t->wall_before = fmax (t->wall_before, checkpoint->wall_s);
    t->first_step_s = checkpoint->first_step_s;
    t->running = checkpoint->running;
    report_restore_times (t);
    log_info ("resumed", "checkpoint=%s step=%llu", path, (unsigned long long) t->done);
    return 0;
}

/*  Who holds the run: this folder on this machine. A trainer that was killed and starts again is
 *  the same holder and takes the run from its dead self at once. The same path on another machine,
 *  or in another container, is somebody else's folder. */
static int trainer_name_holder (const trainer_t *t, buf_t *holder, err_t *err)
{
    char host[256] = "", cwd[FS_PATH_MAX];
    buf_t boot = {0};
    gethostname (host, sizeof host - 1);
    /* The same folder must give the same name, however it was written on the command line. */
    bool absolute = t->dir[0] == '/';
    if (absolute || !getcwd (cwd, sizeof cwd))
        cwd[0] = 0;
    /* A machine that was booted again is another holder, and so is a container of the same name on
       another machine: it waits for the lease to end. */
    if (fs_read ("/proc/sys/kernel/random/boot_id", sizeof cwd, &boot, NULL) == 0)
        boot.data[strcspn (boot.data, "\n")] = 0;
    buf_printf (holder, "%s/%s:%s%s%s", host, boot.data ? boot.data : "", cwd, absolute ? "" : "/",
                t->dir);
    buf_free (&boot);
    return buf_failed (holder) ? err_set (err, ERR_LIMIT, "no memory for the holder's name") : 0;
}

/*  Another holder's lease ends when that one is dead: it is waited for. One that lives renews it
 *  meanwhile. */
static int trainer_take_run (trainer_t *t, const char *holder, const buf_t *record, err_t *err)
{
    int64_t deadline = clock_ms () + LEASE_MS + ACQUIRE_MS;
    bool told = false;
    /* Its deadline is a lease and a little more: a dead holder's lease has ended by then, a
       living one's has been renewed. */
    while (store_run_acquire (t->store, t->run, holder, LEASE_MS, record->data, record->size,
                              &t->epoch, err) != 0) {
        if (err->code != ERR_BUSY)
            return -1;
        /* An error of the configuration, so that the supervisor does not start it again against the
           one that lives. */
        if (clock_left_ms (deadline) == 0 || svc_stopping (t->svc)) {
            err->code = ERR_CONFIG;
            return err_wrap (err, "another trainer is at work (wait for its end, or name this run "
                                  "otherwise with --set run.name=NAME)");
        }
        if (!told)
            log_info ("run.held", "text=\"waiting at most %d s: %s\"", LEASE_MS / 1000, err->text);
        told = true;
        clock_sleep_ms (ACQUIRE_MS);
    }
    return 0;
}

/*  Which steps are played again after a resume: those that the metrics have behind the checkpoint,
 *  and the one that Redis has under way. */
static void trainer_note_played (trainer_t *t)
{
    uint64_t last = metrics_last (t->dir).step;
    uint64_t open = (last > t->done ? last : t->done) + 1;
    store_status_t status;
    err_t none = {0};
    bool found =
        store_step_status (t->store, t->run, (unsigned) WIRE_TRAIN, open, &status, &none) == 0;
    t->played = found ? open : last > t->done ? last : 0;
}

/*  Redis may hold steps that come after the checkpoint, and the step of the checkpoint itself as
 *  open: a trainer that died between writing the one and committing the other left it so. */
static int trainer_clear_steps (trainer_t *t, err_t *err)
{
    if (args_flag (svc_args (t->svc), "--resume"))
        trainer_note_played (t);
    /* What was played for later steps was sampled under weights that are no more. */
    if (store_step_drop_after (t->store, t->run, t->epoch, t->done, err) != 0)
        return -1;
    err_t gone = {0};
    /* Not there is as good: it was committed before the trainer died, or Redis is a new one. */
    if (t->done && store_step_commit (t->store, t->run, t->epoch, WIRE_TRAIN, t->done, &gone) != 0)
        log_debug ("resume.commit", "step=%llu text=\"%s\"", (unsigned long long) t->done,
                   gone.text);
    return 0;
}

/*  Takes the run in Redis and forgets there what comes after the checkpoint. */
static int trainer_acquire (trainer_t *t, err_t *err)
{
    buf_t record = {0}, holder = {0};
    t->store = store_new (svc_redis (t->svc), svc_keys_dir (t->svc), err);
    if (!t->store)
        return -1;
    /* Whoever asks Redis what runs there gets the whole configuration, and the kernels. */
    conf_print (t->conf, false, &record);
    buf_printf (&record, "# numerics: %s\n", model_isa ());
    int rc = buf_failed (&record) ? err_set (err, ERR_LIMIT, "no memory for the run's record")
                                  : trainer_name_holder (t, &holder, err);
    if (rc == 0)
        rc = trainer_take_run (t, holder.data, &record, err);
    buf_free (&record);
    buf_free (&holder);
    if (rc == 0)
        /* A thread of its own renews the lease, since an update may take longer than it lasts. */
        rc = (t->lease =
                  lease_start (svc_redis (t->svc), svc_keys_dir (t->svc), t->run, t->epoch, err))
                 ? 0
                 : -1;
    return rc == 0 ? trainer_clear_steps (t, err) : -1;
}

static int trainer_open_critic (trainer_t *t, const checkpoint_t *checkpoint, const buf_t *state,
                                err_t *err)
{
    /* Nobody asks for a critic then, and none has to run. */
    if (!conf_credits (t->conf, "critic"))
        return 0;
    t->critic = critic_client_new (svc_bus (t->svc), t->run, t->epoch, t->conf, err);
    if (!t->critic)
        return -1;
    /* A new run, or one whose critic had learnt nothing by then. */
    if (hash_is_zero (&checkpoint->critic))
        return 0;
    critic_client_restore (t->critic, &checkpoint->critic, checkpoint->critic_trusted,
                           checkpoint->critic_mean);
    /* The critic may be a new process, which fetches its state from the bus by the hash. */
    return publish_extra (t->publish, state->data, state->size, err);
}

/*  "service/" is for lag.c, which wants the status of every agent. */
static int trainer_subscribe (trainer_t *t, err_t *err)
{
    char topic[STORE_RUN_MAX + 48];
    snprintf (topic, sizeof topic, "%s/group.", t->run); /* committed, in trouble */
    return bus_subscribe (svc_bus (t->svc), topic, err) == 0 &&
                   bus_subscribe (svc_bus (t->svc), "service/", err) == 0
               ? 0
               : -1;
}

/*  Writes down what is in force. A run that goes on has to be the one that it was. */
static int trainer_keep_config (const trainer_t *t, bool again, err_t *err)
{
    char path[FS_PATH_MAX];
    buf_t text = {0};
    if (fs_join (path, t->dir, "config.yml", err) != 0 ||
        (again && fs_exists (path) && conf_compare (t->conf, path, err) != 0))
        return -1;
    conf_print (t->conf, false, &text);
    int rc = buf_failed (&text) ? err_set (err, ERR_LIMIT, "no memory for %s", path)
                                : fs_write (path, text.data, text.size, err);
    buf_free (&text);
    return rc;
}

/*  Everything that comes from the user's files. What is wrong there is wrong at the next start,
 *  too. */
static int trainer_load_run (trainer_t *t, checkpoint_t *checkpoint, buf_t *critic, err_t *err)
{
    bool again = args_flag (svc_args (t->svc), "--resume");
    if ((t->lock = rundir_open (t->dir, again, err)) >= 0 &&
        team_load (&t->team, t->conf, svc_pool (t->svc), err) == 0 &&
        trainer_open_tasks (t, err) == 0 &&
        (!again || trainer_resume (t, checkpoint, critic, err) == 0) &&
        trainer_keep_config (t, again, err) == 0)
        return 0;
    /* A supervisor starts again what failed by chance; a wrong configuration it must not. */
    if (err->code == ERR_INPUT || err->code == ERR_MISSING)
        err->code = ERR_CONFIG;
    return -1;
}

/*  A resume may go back behind what was named: the newest checkpoint had been damaged, say. */
static int trainer_name_checkpoints (const trainer_t *t, err_t *err)
{
    if (t->done == 0)
        return 0;
    return checkpoint_name (t->dir, CHECKPOINT_LATEST, t->done, err) == 0 ? report_best (t, err)
                                                                          : -1;
}

/*  What TensorBoard shows besides the curves: settings, the whole configuration, texts. */
static int trainer_draw (const trainer_t *t, err_t *err)
{
    buf_t settings = {0}, whole = {0};
    conf_essence (t->conf, &settings);
    conf_print (t->conf, false, &whole);
    buf_t text = {0};
    for (char *rest = whole.data, *line; rest && (line = strsep (&rest, "\n"));)
        buf_printf (&text, "    %s\n", line);
    int rc = buf_failed (&settings) || buf_failed (&text)
                 ? err_set (err, ERR_LIMIT, "no memory for the settings")
                 : 0;
    if (rc == 0 && (metrics_settings (t->metrics, settings.data, err) != 0 ||
                    metrics_text (t->metrics, 0, "configuration", text.data, err) != 0))
        rc = -1;
    buf_free (&settings);
    buf_free (&whole);
    buf_free (&text);
    return rc == 0 ? completions_redraw (t, err) : -1;
}

/*  The user's files come first, Redis then: a mistake in them is told before the run is taken from
 *  anybody, and its open steps are dropped. */
static int trainer_open_run (trainer_t *t, checkpoint_t *checkpoint, buf_t *critic, err_t *err)
{
    if (trainer_load_run (t, checkpoint, critic, err) != 0 || trainer_acquire (t, err) != 0)
        return -1;
    /* Cut where the checkpoint says: the lines behind belong to steps that are done again. */
    t->metrics = metrics_open (t->dir, checkpoint->metrics_offset, err);
    if (t->metrics)
        trainer_count_sampled (t, (uint64_t) metrics_sum (t->metrics, "step", "tokens"), t->done);
    if (!t->metrics || episodes_cut (t, err) != 0 || completions_cut (t, err) != 0 ||
        trainer_draw (t, err) != 0 || trainer_name_checkpoints (t, err) != 0 ||
        trainer_subscribe (t, err) != 0)
        return -1;
    t->publish = publish_new (svc_bus (t->svc), t->run, t->epoch, err);
    if (!t->publish || trainer_open_critic (t, checkpoint, critic, err) != 0)
        return -1;
    stages_start (t);
    return 0;
}

/*  In the log, what was optimised can be read without the configuration. */
static void trainer_print_objective (const conf_t *conf)
{
    buf_t text = {0};
    conf_objective (conf, &text);
    char *rest = text.data, *line;
    while (rest && (line = strsep (&rest, "\n")))
        if (*line)
            log_info ("objective", "%s", line);
    buf_free (&text);
}

int trainer_open (svc_run_t *svc, void **state, err_t *err)
{
    trainer_t *t = calloc (1, sizeof *t);
    if (!t)
        return err_set (err, ERR_LIMIT, "no memory");
    /* At once: a start that fails is closed as well, and closing frees what there is. */
    *state = t;
    t->svc = svc;
    t->lock = -1;
    if (!(t->arena = arena_new (EVENT_BUDGET)))
        return err_set (err, ERR_LIMIT, "no memory");
    t->started = clock_s ();
    if (trainer_read_arguments (t, err) != 0)
        return -1;
    trainer_print_objective (t->conf);
    checkpoint_t checkpoint = {0};
    /* checkpoint_load bounds it; publish_extra copies it, so it need not outlive the start. */
    buf_t critic = {.max = SIZE_MAX};
    int rc = trainer_open_run (t, &checkpoint, &critic, err);
    buf_free (&critic);
    return rc;
}

void trainer_close (svc_run_t *svc, void **state)
{
    (void) svc;
    trainer_t *t = *state;
    err_t err = {0};
    if (!t)
        return;
    /* A trainer that failed has weights that nobody should go on from. */
    if (!t->failed && stages_keep (t, &err) != 0)
        log_err ("checkpoint.lost", &err);
    if (t->publish && t->stage != STAGE_DONE) /* else it did not begin, or is over */
        news_end (t, WIRE_RUN_STOPPED, "asked to stop");
    rollout_destroy (&t->rollout);
    credit_free (&t->credit);
    round_destroy (&t->round);
    round_destroy (&t->greedy);
    critic_client_destroy (&t->critic);
    publish_destroy (&t->publish);
    metrics_close (&t->metrics);
    lease_end (&t->lease);
    store_destroy (&t->store);
    task_set_destroy (&t->tasks);
    team_unload (&t->team);
    conf_destroy (&t->conf);
    arena_destroy (&t->arena);
    /* Last: what was closed before may still have written into the folder. */
    if (t->lock >= 0)
        close (t->lock);
    free (t);
    *state = NULL;
}

/*  ---- running -------------------------------------------------------------------------------- */

/*  Told on the bus first: svc_fail ends the loop, and closing would only say that it was
 *  stopped. */
static void trainer_fail (trainer_t *t, const err_t *err)
{
    char text[ERR_TEXT_MAX + 16];
    snprintf (text, sizeof text, "failed: %s", err->text);
    news_state (t, text);
    news_end (t, WIRE_RUN_FAILED, err->text);
    /* What was waited for in vain says nothing against the weights: they are kept as they are. */
    t->failed = err->code != ERR_TIMEOUT;
    svc_fail (t->svc, err);
}

/*  Events are hints: how many groups were finished since the stage began, what is in their way,
 *  what agents hold, and that nobody will play this run, which is told again until somebody
 *  hears it. */
static int trainer_on_event (trainer_t *t, const bus_item_t *item, err_t *err)
{
    arena_reset (t->arena);
    const wire_event_t *event = wire_event_unpack (t->arena, item->payload, item->size, NULL);
    /* A damaged event is passed over: nothing depends on one. */
    if (!event)
        return 0;
    /* Several runs may share a bus, and agents tell of all that they hold. */
    bool ours = strcmp (event->run, t->run) == 0;
    if (event->kind == WIRE_SERVICE_STATUS)
        lag_event (&t->lag, t->run, &t->team, event);
    else if (event->kind == WIRE_GROUP_COMMITTED && ours)
        t->told++;
    else if (event->kind == WIRE_GROUP_TRACED && ours)
        traces_keep (&t->traces, t->dir, event);
    else if (event->kind == WIRE_GROUP_TROUBLE && ours)
        snprintf (t->trouble, sizeof t->trouble, "%s", event->text);
    else if (event->kind == WIRE_GROUP_REFUSED && ours)
        return err_set (err, ERR_CONFIG, "step %llu (%s): %s", (unsigned long long) event->step,
                        wire_phase_name (event->phase), event->text);
    return 0;
}

void trainer_on_item (svc_run_t *svc, const bus_item_t *item)
{
    trainer_t *t = svc_state (svc);
    err_t err = {0};
    int rc = 0;
    if (item->kind == BUS_PEER) /* another bus, which has kept nothing of this run */
        t->told_run = false;
    if (item->kind == BUS_EVENT)
        rc = trainer_on_event (t, item, &err);
    else
        rc = publish_item (t->publish, item, &err);
    if (rc == 0 && t->critic)
        rc = critic_client_item (t->critic, item, &err);
    if (rc < 0)
        trainer_fail (t, &err);
}

int trainer_work (svc_run_t *svc)
{
    trainer_t *t = svc_state (svc);
    err_t err = {0};
    /* No further stage is begun: trainer_close keeps what there is. */
    if (svc_stopping (svc))
        return -1;
    /* Whoever has it now publishes under a newer epoch, so nothing of ours is taken any more;
       going on would only waste the machine. */
    if (t->lease && lease_lost (t->lease)) {
        err_set (&err, ERR_STALE, "run %s was taken over by another trainer", t->run);
        trainer_fail (t, &err);
        return -1;
    }
    int wait = stages_work (t, &err);
    if (wait < 0)
        trainer_fail (t, &err);
    return wait;
}

const char *trainer_doing (const svc_run_t *svc)
{
    return stages_name (((const trainer_t *) svc_state (svc))->stage);
}

void trainer_status (svc_run_t *svc, void (*metric) (void *to, const char *name, double value),
                     void *to)
{
    const trainer_t *t = svc_state (svc);
    metric (to, "steps_done", (double) t->done);
    metric (to, "steps", (double) t->conf->trainer.steps);
    metric (to, "wall_s", trainer_wall_s (t));
    /* Asked to end, it may be in the middle of an update: half as long again as the longest so
     * far, and the checkpoint. Before the first one nobody knows. */
    metric (to, "end_s",
            t->update_s > 0 ? 1.5 * t->update_s + 2 * t->save_s + END_S : UNKNOWN_END_S);
}
