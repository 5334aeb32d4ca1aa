/*  reward - see reward.h */
#include "task/reward.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "task/family.h"
#include "task/words.h"

static double clamp (double x)
{
    return x < 0 || isnan (x) ? 0 : x > 1 ? 1 : x;
}

static void part (reward_t *reward, const char *name, double value)
{
    if (reward->parts_n == REWARD_PARTS_MAX)
        return;
    reward_part_t *to = &reward->parts[reward->parts_n++];
    *to = (reward_part_t){.value = value};
    memcpy (to->name, name, strnlen (name, REWARD_NAME_MAX - 1));
}

/*  Mean of the parts of the coordination cost that apply; each is recorded. */
static double cost_of (const episode_t *episode, const reward_score_t *score, reward_t *reward)
{
    const json_t *state = episode_json (episode);
    const json_t *limits = json_object_get (state, "limits");
    double sum = 0, n = 0;
    double turns = (double) episode_turn (episode);
    double allowed = (double) json_integer_value (json_object_get (limits, "turns"));
    if (allowed > 1) {
        double extra = clamp ((turns - 1) / allowed);
        part (reward, "extra_turns", extra);
        sum += extra;
        n++;
    }
    double read, budget, repeated;
    words_communication (state, &read, &budget, &repeated);
    if (budget > 0) { /* somebody could read somebody */
        part (reward, "tokens_read", clamp (read / budget));
        part (reward, "redundancy", clamp (repeated));
        sum += clamp (read / budget) + clamp (repeated);
        n += 2;
    }
    if (score->unused >= 0) {
        part (reward, "unused", clamp (score->unused));
        sum += clamp (score->unused);
        n++;
    }
    return n > 0 ? sum / n : 0;
}

int reward_join (const episode_t *episode, const reward_weights_t *weights,
                 const reward_score_t *score, reward_t *reward, err_t *err)
{
    const json_t *limits = json_object_get (episode_json (episode), "limits");
    double turns = (double) episode_turn (episode);
    double limit =
        (double) json_integer_value (json_object_get (limits, "tokens")) * (turns > 0 ? turns : 1);
    if (!(limit > 0))
        return err_set (err, ERR_INPUT, "a global state needs \"limits\": {\"tokens\": N}");
    *reward = (reward_t){.success = score->success, .agreement = clamp (score->agreement)};
    for (size_t i = 0; i < score->parts_n; i++)
        part (reward, score->parts[i].name, score->parts[i].value);
    memcpy (reward->verdict, score->verdict, sizeof reward->verdict);
    reward->quality = clamp (score->quality);
    reward->speed = reward->quality * clamp (1 - (double) episode_critical_path (episode) / limit);
    reward->cost = cost_of (episode, score, reward);
    reward->reward = weights->quality * reward->quality + weights->speed * reward->speed -
                     weights->cost * reward->cost;
    return 0;
}
