/*  report - see report.h */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "episodes.h"
#include "evaluations.h"
#include "news.h"
#include "stages.h"

#define RESULT   "result.json"
#define EXAMPLES ((size_t) 8) /* episodes of each evaluation that are written down */

/*  ---- a step --------------------------------------------------------------------------------- */

/*  NAME_mean and NAME_std, the latter over episodes with n - 1. */
static void report_add_spread (metrics_t *m, const char *name, spread_t spread)
{
    metrics_addf (m, spread.mean, "%s_mean", name);
    metrics_addf (m, spread.std, "%s_std", name);
}

/*  The mean over those episodes that have the part. */
static void report_add_parts (metrics_t *m, const measure_t *measure)
{
    for (size_t i = 0; i < measure->parts_n; i++)
        metrics_addf (m, measure->parts[i].sum / (double) measure->parts[i].n, "part/%s",
                      measure->parts[i].name);
}

static double report_rate (size_t part, size_t whole)
{
    return whole ? (double) part / (double) whole : 0;
}

/*  Rewards are told as they were scored, before the punishment of overlong completions, whose mean
 *  stands apart ("overlong"). */
static void report_add_measure (metrics_t *m, const measure_t *measure, size_t roles)
{
    report_add_spread (m, "reward", measure->reward);
    report_add_spread (m, "quality", measure->quality);
    report_add_spread (m, "speed", measure->speed);
    report_add_spread (m, "cost", measure->cost);
    metrics_add (m, "success", measure_pass_rate (measure, measure->n));
    /* Nobody agrees with himself. */
    metrics_add (m, "agreement", roles > 1 ? measure->agreement : NAN);
    report_add_parts (m, measure);
    metrics_add (m, "episodes", (double) measure->n);
    metrics_add (m, "groups", (double) measure->groups);
    metrics_add (m, "dead_groups", (double) measure->dead);
    if (measure->unscored) /* by a judge that named no number */
        metrics_add (m, "unscored_episodes", (double) measure->unscored);
    metrics_add (m, "completions", (double) measure->completions);
    metrics_add (m, "tokens", (double) measure->tokens);
    metrics_add (m, "completion_tokens", measure->completion_tokens);
    metrics_add (m, "completion_tokens_max", (double) measure->longest);
    metrics_add (m, "truncated", report_rate (measure->truncated, measure->completions));
    metrics_add (m, "episode_tokens", measure->episode_tokens);
    metrics_add (m, "critical_path_tokens", measure->critical_path);
}

/*  What the loss in use cuts, and nothing that another one would. */
static void report_add_cuts (metrics_t *m, const loss_metrics_t *l, loss_type_t type,
                             const char *end)
{
    if (type == LOSS_CISPO) {
        metrics_addf (m, l->clip_cispo, "clip_cispo%s", end);
    } else if (type == LOSS_VESPO) {
        metrics_addf (m, l->phi, "phi%s", end);
    } else if (type != LOSS_SAPO) {
        metrics_addf (m, l->clip_low, "clip_low%s", end);
        metrics_addf (m, l->clip_high, "clip_high%s", end);
        metrics_addf (m, l->clip, "clip%s", end);
    }
}

/*  One policy's update; with several policies the names end in "/POLICY". A step in which nothing
 *  was computed for it (no group had a spread, say) has no loss, entropy, ratios, norm or KL: they
 *  are left out, since a 0 would look like a measurement. */
static void report_add_update (const trainer_t *t, size_t policy)
{
    const update_stats_t *u = &t->updates[policy];
    const policy_t *p = t->team.policies[policy];
    char end[POLICY_NAME_MAX + 2] = "";
    if (t->conf->policies_n > 1)
        snprintf (end, sizeof end, "/%s", p->name);
    if (!policy_learns (p)) /* it stays as it was read */
        return;
    metrics_addf (t->metrics, t->lr[policy], "lr%s", end);
    metrics_addf (t->metrics, (double) u->tokens, "trained_tokens%s", end);
    metrics_addf (t->metrics, (double) p->optimiser.step, "updates%s", end);
    metrics_addf (t->metrics, (double) p->version.number, "version%s", end);
    if (u->tokens == 0)
        return;
    loss_config_t config = {.type = loss_type (t->conf->loss.type),
                            .sequence_level = strcmp (t->conf->loss.level, "sequence") == 0};
    loss_metrics_t l;
    loss_metrics (&config, &u->sums, &l);
    /* The loss is the mean over the minibatches, entropy over tokens; the ratios are over all of
       the step. */
    const wire_part_t list[] = {{"loss", l.loss / fmax ((double) u->updates, 1)},
                                {"entropy", u->entropy / (double) u->tokens},
                                {"ratio_min", l.ratio_min},
                                {"ratio_mean", l.ratio_mean},
                                {"ratio_max", l.ratio_max},
                                {"logp_diff_max", u->logp_diff_max},
                                {"gradient_norm", u->gradient_norm}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        metrics_addf (t->metrics, list[i].value, "%s%s", list[i].name, end);
    report_add_cuts (t->metrics, &l, config.type, end);
    if (p->reference)
        metrics_addf (t->metrics, l.kl, "kl%s", end);
}

/*  What one role wrote in this step; in a team the means over all hide who does what. */
static void report_add_role (const trainer_t *t, uint32_t role)
{
    const rollout_t *r = t->rollout;
    static const update_stats_t none;
    const update_stats_t *u =
        team_policy (&t->team, role) ? &t->updates[t->team.policy_of[role]] : &none;
    const char *name = t->conf->team.roles.item[role];
    size_t n = 0, tokens = 0, cut = 0;
    double advantage = 0, local = 0;
    for (size_t e = 0; e < r->episodes; e++)
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            const wire_completion_t *completion = &r->episode[e]->completions[c];
            if (completion->role != role)
                continue;
            n++;
            tokens += completion->ids.n;
            cut += !completion->stopped;
            /* Absolute: with signs they would about cancel. */
            advantage += fabs (t->credit.advantages[r->first_completion[e] + c]);
            local += rollout_local_of (r, e, name);
        }
    /* A role need not speak in every step; means of nothing are left out. */
    if (n == 0)
        return;
    metrics_addf (t->metrics, (double) tokens / (double) n, "role/%s/completion_tokens", name);
    metrics_addf (t->metrics, (double) cut / (double) n, "role/%s/truncated", name);
    metrics_addf (t->metrics, advantage / (double) n, "role/%s/advantage_abs", name);
    if (isfinite (local)) /* told of all of them */
        metrics_addf (t->metrics, local / (double) n, "role/%s/local", name);
    if (u->role_tokens[role])
        metrics_addf (t->metrics, u->role_entropy[role] / (double) u->role_tokens[role],
                      "role/%s/entropy", name);
}

/*  Seconds of each stage since the last line; the stage that is under way counts up to now. A rate
 *  stands there only where it was measured: a step that this run has played before comes out of
 *  what agents kept of their answers, and a step without updates trained nothing. */
static void report_add_times (trainer_t *t, const measure_t *measure)
{
    /* Of everything since the last step's line, an evaluation included. */
    double now = clock_s (), step_s = now - t->line_since;
    size_t trained = 0;
    t->stage_s[t->stage] += now - t->stage_since;
    t->stage_since = now;
    for (size_t p = 0; p < t->team.policies_n; p++)
        trained += t->updates[p].tokens;
    double train_s = t->stage_s[STAGE_TRAIN], sample_s = t->stage_s[STAGE_SAMPLE];
    for (int s = 0; s < STAGE_DONE; s++)
        metrics_addf (t->metrics, t->stage_s[s], "%s_s", stages_name ((stage_t) s));
    metrics_add (t->metrics, "step_s", step_s);
    if (t->done > t->played) {
        metrics_add (t->metrics, "tokens_per_s", (double) measure->tokens / fmax (step_s, 1e-9));
        metrics_add (t->metrics, "sampled_tokens_per_s",
                     (double) measure->tokens / fmax (sample_s, 1e-9));
    }
    if (trained)
        metrics_add (t->metrics, "trained_tokens_per_s", (double) trained / fmax (train_s, 1e-9));
    metrics_add (t->metrics, "wall_s", trainer_wall_s (t));
    /* Apart from the steps: how many evaluations are left is known. */
    if (t->stage_s[STAGE_EVALUATE] > 0)
        eta_evaluation (&t->eta, t->stage_s[STAGE_EVALUATE]);
    eta_step (&t->eta, step_s - t->stage_s[STAGE_EVALUATE]);
    memset (t->stage_s, 0, sizeof t->stage_s);
    t->line_since = now;
}

/*  Teams that were scored without having been played, for credit. */
static size_t report_others (const rollout_t *r)
{
    size_t n = 0;
    for (size_t g = 0; g < r->groups; g++)
        n += r->group[g] ? r->group[g]->others_n : 0;
    return n;
}

/*  Explained variance and loss are of this step's episodes before the critic learnt from them, so
 *  they show how well it foresees. */
static void report_add_critic (const trainer_t *t)
{
    if (!t->critic)
        return;
    critic_client_status_t status = critic_client_status (t->critic);
    metrics_add (t->metrics, "critic_explained_variance", status.explained_variance);
    metrics_add (t->metrics, "critic_explained_variance_mean", status.mean);
    metrics_add (t->metrics, "critic_loss", status.loss);
    metrics_add (t->metrics, "critic_used", t->critic_used);
}

/*  Versions that each agent's last status was behind the one that this step was sampled with. */
static void report_add_lag (const trainer_t *t)
{
    for (size_t i = 0; i < t->lag.n; i++) {
        double lag = (double) t->done - 1 - (double) t->lag.agents[i].version;
        /* At least 0: after a resume an agent may still hold a later version than the run has. */
        metrics_addf (t->metrics, fmax (lag, 0), "lag/%s", t->lag.agents[i].name);
    }
}

/*  A step whose groups have one reward each gives no gradient, however many tokens it took. That
 *  is told when it begins, and when it is over if it was more than one step; a critic in use sees
 *  differences where groups have none. */
static void report_note_spread (trainer_t *t, const measure_t *measure)
{
    /* Groups that died were not played, and say nothing of the rewards. */
    size_t played = measure->groups - measure->dead;
    bool flat = t->credit.zero_spread == played && !t->critic_used;
    if (flat && t->flat++ == 0)
        news_note (t, "all %zu groups of step %llu have one reward each: nothing to learn from%s",
                   played, (unsigned long long) t->done,
                   measure->successes == measure->n
                       ? " (every task is solved: take harder ones, or fewer trainer.steps)"
                       : " (what helps: a graded reward, a larger trainer.group_size, a higher "
                         "trainer.temperature, other tasks)");
    if (flat)
        return;
    if (t->flat > 1)
        news_note (t, "groups of step %llu differ in their rewards again; %zu steps taught nothing",
                   (unsigned long long) t->done, t->flat);
    t->flat = 0;
}

/*  Called once a step, which `reported` sees to: a second call would write the line twice. The
 *  event comes after the line, so that whoever hears of a step finds it in the file. */
int report_step (trainer_t *t, err_t *err)
{
    measure_t measure;
    measure_rollout (t->rollout, &measure);
    metrics_begin (t->metrics, "step", t->done);
    report_add_measure (t->metrics, &measure, t->team.roles);
    metrics_add (t->metrics, "zero_spread",
                 report_rate (t->credit.zero_spread, measure.groups - measure.dead));
    /* What credit costs: nothing is sampled for it, but all of it is scored. */
    metrics_add (t->metrics, "scorings", (double) (measure.n + report_others (t->rollout)));
    if (t->conf->loss.overlong_tokens > 0)
        metrics_add (t->metrics, "overlong", t->credit.overlong);
    /* Always 0 here: a step is sampled under the version that it trains. */
    metrics_add (t->metrics, "staleness", 0);
    for (size_t p = 0; p < t->team.policies_n; p++)
        report_add_update (t, p);
    for (uint32_t role = 0; t->team.roles > 1 && role < t->team.roles; role++)
        report_add_role (t, role);
    report_add_critic (t);
    report_add_lag (t);
    report_add_times (t, &measure);
    if (metrics_end (t->metrics, err) != 0)
        return -1;
    news_metrics (t, WIRE_STEP_DONE, WIRE_TRAIN);
    log_info ("step", "step=%llu reward=%.4f success=%.3f tokens=%zu zero_spread=%zu wall_s=%.2f",
              (unsigned long long) t->done, measure.reward.mean,
              measure_pass_rate (&measure, measure.n), measure.tokens, t->credit.zero_spread,
              trainer_wall_s (t));
    report_note_spread (t, &measure);
    /* One episode a step: the file is for people, who read a few. */
    return episodes_show (t, WIRE_TRAIN, t->rollout, 0, true, err);
}

/*  ---- evaluation ----------------------------------------------------------------------------- */

/*  A group that died counts as a failed task. */
static void report_add_rate (metrics_t *m, const char *name, measure_rate_t measured)
{
    metrics_add (m, name, measured.rate);
    metrics_addf (m, measured.wide.low, "%s_low", name);
    metrics_addf (m, measured.wide.high, "%s_high", name);
}

/*  pass@k for k of 2, 4, 8 and so on, and of all samples. pass@1 is the rate itself. */
static void report_add_passes (metrics_t *m, const rollout_t *rollout, const measure_t *measure,
                               size_t samples)
{
    if (samples == 1)
        return;
    metrics_add (m, "samples", (double) samples);
    for (size_t k = 2; k < samples; k *= 2)
        metrics_addf (m, measure_tasks_pass_at (rollout, measure, samples, k), "pass@%zu", k);
    metrics_addf (m, measure_tasks_pass_at (rollout, measure, samples, samples), "pass@%zu",
                  samples);
}

/*  `before` tells the two plays of the same tasks apart: "" of the sampled one, "greedy_". */
static void report_add_evaluation (metrics_t *m, const char *before, const measure_t *measure,
                                   size_t roles)
{
    const wire_part_t list[] = {
        {"reward", measure->reward.mean},
        {"quality", measure->quality.mean},
        {"speed", measure->speed.mean},
        {"cost", measure->cost.mean},
        {"agreement", roles > 1 ? measure->agreement : NAN},
        {"tokens", measure->episode_tokens},
        {"completion_tokens", measure->completion_tokens},
        {"critical_path_tokens", measure->critical_path},
        {"truncated", report_rate (measure->truncated, measure->completions)},
        {"dead_groups", (double) measure->dead},
        {"unscored_episodes", (double) measure->unscored}};
    size_t n = sizeof list / sizeof *list - !measure->unscored;
    for (size_t i = 0; i < n; i++)
        metrics_addf (m, list[i].value, "%s%s", before, list[i].name);
}

static int report_show_examples (trainer_t *t, wire_phase_t phase, const rollout_t *rollout,
                                 err_t *err)
{
    int rc = 0;
    size_t shown = 0;
    /* The first sample of a task alone: the same task before and after makes a pair. */
    for (size_t g = 0; rc == 0 && g < rollout->groups && shown < EXAMPLES; g++)
        if (rollout->group[g]) {
            /* Only the first goes to listeners: eight at once would be more than anybody
               watches. */
            rc = episodes_show (t, phase, rollout, rollout->first_episode[g], shown == 0, err);
            shown++;
        }
    return rc;
}

/*  One line for both plays, under the version that played: t->done has not moved since it was
 *  published. */
int report_evaluation (trainer_t *t, const rollout_t *sampled, const rollout_t *greedy, err_t *err)
{
    measure_t s, g;
    size_t samples = round_group_size (t->round);
    measure_rollout (sampled, &s);
    measure_rollout (greedy, &g);
    measure_rate_t rate = measure_tasks (sampled, &s, samples);
    measure_rate_t greedy_rate = measure_tasks (greedy, &g, 1);
    metrics_begin (t->metrics, "eval", t->done);
    metrics_add (t->metrics, "n", (double) s.groups);
    report_add_rate (t->metrics, "sampled", rate);
    report_add_rate (t->metrics, "greedy", greedy_rate);
    report_add_passes (t->metrics, sampled, &s, samples);
    report_add_evaluation (t->metrics, "", &s, t->team.roles);
    report_add_evaluation (t->metrics, "greedy_", &g, t->team.roles);
    report_add_parts (t->metrics, &s);
    metrics_add (t->metrics, "wall_s", trainer_wall_s (t));
    if (metrics_end (t->metrics, err) != 0)
        return -1;
    news_metrics (t, WIRE_EVAL_DONE, WIRE_EVAL_SAMPLED);
    log_info ("eval", "step=%llu n=%zu sampled=%.4f greedy=%.4f reward=%.4f path=%.1f",
              (unsigned long long) t->done, s.groups, rate.rate, greedy_rate.rate, s.reward.mean,
              s.critical_path);
    if (evaluations_write (t, sampled, greedy, err) != 0 ||
        report_show_examples (t, WIRE_EVAL_SAMPLED, sampled, err) != 0)
        return -1;
    return report_show_examples (t, WIRE_EVAL_GREEDY, greedy, err);
}

/*  The best version is that of the highest mean reward of an evaluation, sampled; of equals the
 *  first. What the run began with is no checkpoint, and not among them. */
int report_best (const trainer_t *t, err_t *err)
{
    uint64_t best = metrics_best (t->metrics, "eval", "reward");
    /* A checkpoint that was evaluated may be gone since, pruned or lost; then the name stays where
       it is. */
    if (best == 0 || !checkpoint_exists (t->dir, best))
        return 0;
    if (checkpoint_name (t->dir, CHECKPOINT_BEST, best, err) != 0)
        return -1;
    return checkpoint_prune (t->dir, (size_t) t->conf->trainer.checkpoints_kept, err);
}

/*  ---- result --------------------------------------------------------------------------------- */

/*  What names the line and not the result is left out. */
static void report_keep_number (void *context, const char *name, double value)
{
    if (strcmp (name, "step") != 0 && strcmp (name, "time_s") != 0 && strcmp (name, "wall_s") != 0)
        json_object_set_new (context, name, json_real (value));
}

/*  From the file, not from memory: after a resume the lines of all processes count. */
static json_t *report_result_of (const trainer_t *t, size_t flat)
{
    json_t *before = json_object (), *after = json_object ();
    double wall_s = t->wall_kept > 0 ? t->wall_kept : trainer_wall_s (t);
    metrics_find (t->metrics, "eval", 0, report_keep_number, before);
    metrics_find (t->metrics, "eval", trainer_steps (t), report_keep_number, after);
    /* An evaluation plays its tasks twice, sampled and greedy. */
    double groups = metrics_sum (t->metrics, "step", "groups") +
                    2 * metrics_sum (t->metrics, "eval", "n"),
           lost = metrics_sum (t->metrics, "step", "dead_groups") +
                  metrics_sum (t->metrics, "eval", "dead_groups") +
                  metrics_sum (t->metrics, "eval", "greedy_dead_groups");
    return json_pack ("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:o, s:o}", "run", t->run,
                      "steps", (json_int_t) t->done, "sampled_tokens", (json_int_t) t->sampled,
                      "tasks_left_out", (json_int_t) t->left_out, "groups", (json_int_t) groups,
                      "lost_groups", (json_int_t) lost, "steps_without_spread", (json_int_t) flat,
                      "reproducible", (int) conf_reproducible (t->conf), "first_step_s",
                      t->first_step_s, "wall_s", wall_s, "before", before, "after", after);
}

/*  Only a result of just this end counts: with more steps than before the run goes on, and so does
 *  its time. */
void report_restore_times (trainer_t *t)
{
    char path[FS_PATH_MAX];
    json_t *result =
        fs_join (path, t->dir, RESULT, NULL) == 0 ? json_load_file (path, 0, NULL) : NULL;
    uint64_t steps = (uint64_t) json_integer_value (json_object_get (result, "steps"));
    if (result && steps == t->done && steps == trainer_steps (t)) {
        t->wall_kept = json_number_value (json_object_get (result, "wall_s"));
        t->first_step_s = json_number_value (json_object_get (result, "first_step_s"));
    }
    json_decref (result);
}

/*  Written atomically, and before the run is released in Redis: a trainer that dies in between
 *  writes it once more. */
int report_result (trainer_t *t, err_t *err)
{
    char path[FS_PATH_MAX];
    /* Steps of which all groups had no spread: a share of 1. */
    size_t flat = metrics_count (t->metrics, "step", "zero_spread", 1);
    json_t *result = report_result_of (t, flat);
    char *text = json_dumps (result, JSON_INDENT (2) | JSON_REAL_PRECISION (9));
    json_decref (result);
    int rc = text ? fs_join (path, t->dir, RESULT, err)
                  : err_set (err, ERR_LIMIT, "no memory for the result");
    if (rc == 0)
        rc = fs_write (path, text, strlen (text), err);
    if (rc == 0) {
        if (flat)
            news_note (t, "in %zu of %llu steps all groups had one reward each%s", flat,
                       (unsigned long long) t->done, t->critic ? "" : ": they taught nothing");
        log_info ("done", "run=%s result=%s wall_s=%.1f", t->run, path, trainer_wall_s (t));
        news_state (t, "done");
    }
    free (text);
    return rc;
}
