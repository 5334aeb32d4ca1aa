/*  curves - see curves.h */
#include "curves.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tensorboard.h"

#define CURVES_MAX 256 /* of a line */

/*  Ours, and TRL's (GRPOTrainer, "Logged metrics"). */
static const struct {
    const char *ours, *trl;
} curves_names[] = {{"reward_mean", "reward"},
                    {"quality_mean", "rewards/quality/mean"},
                    {"quality_std", "rewards/quality/std"},
                    {"speed_mean", "rewards/speed/mean"},
                    {"speed_std", "rewards/speed/std"},
                    {"cost_mean", "rewards/cost/mean"},
                    {"cost_std", "rewards/cost/std"},
                    {"zero_spread", "frac_reward_zero_std"},
                    {"completion_tokens", "completions/mean_length"},
                    {"completion_tokens_max", "completions/max_length"},
                    {"truncated", "completions/clipped_ratio"},
                    {"gradient_norm", "grad_norm"},
                    {"lr", "learning_rate"},
                    {"clip", "clip_ratio/region_mean"},
                    {"clip_low", "clip_ratio/low_mean"},
                    {"clip_high", "clip_ratio/high_mean"},
                    {"logp_diff_max", "sampling/sampling_logp_difference/max"},
                    {"step_s", "step_time"}};

/*  A name may end in "/POLICY"; that end stays. */
void curves_tag (const char *event, const char *name, char tag[CURVES_TAG_MAX])
{
    /* Training under "train", as with TRL, so that its runs and ours share charts. */
    const char *tab = strcmp (event, "step") == 0 ? "train" : event;
    /* A policy's name is behind the slash; names that begin with a group ("part/", "role/") match
       nothing in the table. */
    size_t n = strcspn (name, "/");
    for (size_t i = 0; i < sizeof curves_names / sizeof *curves_names; i++)
        if (strlen (curves_names[i].ours) == n && strncmp (curves_names[i].ours, name, n) == 0) {
            snprintf (tag, CURVES_TAG_MAX, "%s/%s%s", tab, curves_names[i].trl, name + n);
            return;
        }
    snprintf (tag, CURVES_TAG_MAX, "%s/%s", tab, name);
}

/*  Works on the line as it was read or written: the curves are the same whether they are drawn at
 *  once or anew from the file. */
void curves_line (buf_t *bytes, const json_t *line)
{
    const char *names[CURVES_MAX];
    double values[CURVES_MAX];
    char tags[CURVES_MAX][CURVES_TAG_MAX];
    size_t n = 0;
    const char *event = json_string_value (json_object_get (line, "event")), *key;
    json_t *value;
    json_object_foreach ((json_t *) (uintptr_t) line, key, value) {
        /* step and time_s are the axes. Null is a gap in the curve. */
        if (!json_is_number (value) || strcmp (key, "step") == 0 || strcmp (key, "time_s") == 0 ||
            n == CURVES_MAX)
            continue;
        curves_tag (event ? event : "", key, tags[n]);
        names[n] = tags[n];
        values[n++] = json_number_value (value);
    }
    tensorboard_scalars (bytes, json_number_value (json_object_get (line, "time_s")),
                         (uint64_t) json_integer_value (json_object_get (line, "step")), names,
                         values, n);
}
