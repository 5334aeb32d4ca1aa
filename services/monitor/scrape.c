/*  scrape - /metrics, for Prometheus: services, added up by their kind, and the runs that go on. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "monitor.h"
#include "prom.h"

#define RUN        "quintet_run_"
#define ROLE       "quintet_role_"
#define SCRAPE_MAX ((size_t) 8 << 20)

/*  What is told of which number of a step. per: what follows the number's name after a '/', or
 *  comes before it, as in "loss/POLICY" and "role/ROLE/entropy". */
typedef struct {
    const char *said, *name, *help;
    enum { PER_RUN, PER_POLICY, PER_ROLE } per;
} number_t;

static const number_t numbers[] = {
    {"step", RUN "step", "Steps done.", PER_RUN},
    {"steps", RUN "steps", "Steps that are wanted.", PER_RUN},
    {"eta_s", RUN "left_seconds", "Until it is through, as it looks now.", PER_RUN},
    {"time_s", RUN "last_step_timestamp_seconds", "When the last step ended.", PER_RUN},
    {"step_s", RUN "step_duration_seconds", "How long the last step took.", PER_RUN},
    {"reward_mean", RUN "reward", "Joint reward, mean of the last step's episodes.", PER_RUN},
    {"reward_std", RUN "reward_stddev", "Its standard deviation.", PER_RUN},
    {"quality_mean", RUN "quality_ratio", "Quality, mean of the episodes.", PER_RUN},
    {"speed_mean", RUN "speed_ratio", "Speed, mean of the episodes.", PER_RUN},
    {"cost_mean", RUN "cost_ratio", "Coordination cost, mean of the episodes.", PER_RUN},
    {"success", RUN "success_ratio", "Share of the episodes that pass.", PER_RUN},
    {"zero_spread", RUN "zero_spread_ratio", "Share of the groups with one reward.", PER_RUN},
    {"truncated", RUN "truncated_ratio", "Share of the completions cut by their limit.", PER_RUN},
    {"dead_groups", RUN "dead_groups", "Groups of the last step that nobody could play or score.",
     PER_RUN},
    {"critical_path_tokens", RUN "critical_path_tokens", "Tokens of the critical path, mean.",
     PER_RUN},
    {"staleness", RUN "staleness_versions", "Versions between sampling and training.", PER_RUN},
    {"sampled_tokens_per_s", RUN "sampled_tokens_per_second", "Tokens sampled.", PER_RUN},
    {"trained_tokens_per_s", RUN "trained_tokens_per_second", "Tokens trained on.", PER_RUN},
    {"sample_s", RUN "sample_seconds", "Of the last step, waiting for its groups.", PER_RUN},
    {"train_s", RUN "train_seconds", "Of the last step, updating.", PER_RUN},
    {"loss", "quintet_policy_loss", "Loss of the last step.", PER_POLICY},
    {"entropy", "quintet_policy_entropy_nats", "Entropy, mean of the tokens.", PER_POLICY},
    {"kl", "quintet_policy_kl_nats", "KL to the first policy, mean of the tokens.", PER_POLICY},
    {"clip", "quintet_policy_clipped_ratio", "Share of the tokens whose ratio is clipped.",
     PER_POLICY},
    {"gradient_norm", "quintet_policy_gradient_norm", "Norm of the gradient, before it is clipped.",
     PER_POLICY},
    {"lr", "quintet_policy_learning_rate", "Learning rate.", PER_POLICY},
    {"version", "quintet_policy_version", "Version, one more for every update.", PER_POLICY},
    {"completion_tokens", ROLE "completion_tokens", "Tokens of a completion, mean.", PER_ROLE},
    {"truncated", ROLE "truncated_ratio", "Share of its completions cut by their limit.", PER_ROLE},
    {"entropy", ROLE "entropy_nats", "Entropy, mean of its tokens.", PER_ROLE}};
#define NUMBERS (sizeof numbers / sizeof *numbers)

/*  Whether a key of the line is this number; of which policy or role, into `of` ("": of the only
 *  one). */
static bool scrape_is (const number_t *number, const char *key, char of[128])
{
    size_t n = strlen (number->said);
    of[0] = 0;
    if (number->per == PER_ROLE) {
        size_t m = strlen (key);
        if (strncmp (key, "role/", 5) != 0 || m < n + 7 || key[m - n - 1] != '/' ||
            strcmp (key + m - n, number->said) != 0)
            return false;
        snprintf (of, 128, "%.*s", (int) (m - n - 6), key + 5);
        return true;
    }
    if (strcmp (key, number->said) == 0)
        return true;
    if (number->per != PER_POLICY || strncmp (key, number->said, n) != 0 || key[n] != '/')
        return false;
    snprintf (of, 128, "%s", key + n + 1);
    return true;
}

static void scrape_print_number (const number_t *number, const json_t *lines, buf_t *out)
{
    json_t *line, *value;
    const char *key;
    char of[128];
    size_t i;
    prom_family (out, number->name, PROM_GAUGE, number->help);
    json_array_foreach (lines, i, line) {
        const char *run = json_string_value (json_object_get (line, "run"));
        json_object_foreach (line, key, value)
            if (json_is_number (value) && scrape_is (number, key, of))
                prom_sample (out, number->name,
                             (prom_label_t[]){
                                 {"run", run},
                                 {*of ? (number->per == PER_ROLE ? "role" : "policy") : NULL, of},
                                 {0}},
                             json_number_value (value));
    }
}

/*  Of the agents the one that is furthest behind: there may be many. */
static void scrape_print_lag (const json_t *lines, buf_t *out)
{
    json_t *line, *value;
    const char *key;
    size_t i;
    prom_family (out, RUN "lag_versions", PROM_GAUGE,
                 "Versions that the agent furthest behind lacks.");
    json_array_foreach (lines, i, line) {
        double most = NAN;
        json_object_foreach (line, key, value)
            if (strncmp (key, "lag/", 4) == 0)
                most = fmax (most, json_number_value (value));
        prom_sample (
            out, RUN "lag_versions",
            (prom_label_t[]){{"run", json_string_value (json_object_get (line, "run"))}, {0}},
            most);
    }
}

static void scrape_print_disk (const monitor_t *m, buf_t *out)
{
    struct statvfs disk;
    if (!*m->folder || statvfs (m->folder, &disk) != 0)
        return;
    prom_family (out, "quintet_runs_free_bytes", PROM_GAUGE,
                 "Free on the disk that holds the runs.");
    prom_sample (out, "quintet_runs_free_bytes", NULL,
                 (double) disk.f_bavail * (double) disk.f_frsize);
    prom_family (out, "quintet_runs_size_bytes", PROM_GAUGE, "Size of that disk.");
    prom_sample (out, "quintet_runs_size_bytes", NULL,
                 (double) disk.f_blocks * (double) disk.f_frsize);
}

static void scrape_print_self (monitor_t *m, buf_t *out)
{
    prom_family (out, "quintet_build_info", PROM_GAUGE, "The monitor's version, as a label.");
    prom_sample (out, "quintet_build_info", (prom_label_t[]){{"version", QUINTET_VERSION}, {0}}, 1);
    pthread_mutex_lock (&m->lock);
    double events = (double) m->events, lost = (double) m->lost;
    pthread_mutex_unlock (&m->lock);
    prom_family (out, "quintet_monitor_events_total", PROM_COUNTER, "Events that it heard.");
    prom_sample (out, "quintet_monitor_events_total", NULL, events);
    prom_family (out, "quintet_monitor_events_lost_total", PROM_COUNTER,
                 "Events that did not come.");
    prom_sample (out, "quintet_monitor_events_lost_total", NULL, lost);
    prom_family (out, "quintet_monitor_streams", PROM_GAUGE, "Browsers that look.");
    prom_sample (out, "quintet_monitor_streams", NULL, (double) web_streams (m->web));
}

void scrape_answer (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    json_t *lines = runs_newest (m->runs);
    (void) request;
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    answer->body.max = SCRAPE_MAX;
    scrape_print_self (m, &answer->body);
    scrape_print_disk (m, &answer->body);
    tally_print (m->tally, &answer->body);
    for (size_t i = 0; i < NUMBERS; i++)
        scrape_print_number (&numbers[i], lines, &answer->body);
    scrape_print_lag (lines, &answer->body);
    json_decref (lines);
}
