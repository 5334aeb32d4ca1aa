/*  reward - see reward.h
 *
 *  The reward is a pure function of the global state and of what the scorer said: the same episode
 *  is worth the same wherever and whenever it is scored. Sums go in the order of turns and roles,
 *  so that they are also the same to the last bit.
 */
#include "task/reward.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "task/family.h"
#include "task/words.h"
#include "team/protocol.h"
#include "team/state.h"

/*  A user's scorer may say anything; a part outside of [0, 1], or none, must not move the whole. */
static double reward_clamp (double x)
{
    return x < 0 || isnan (x) ? 0 : x > 1 ? 1 : x;
}

/*  More parts than there is room for are a bug of ours: a scorer's are counted when they come
 *  in. */
static void reward_add_part (reward_t *reward, const char *name, double value)
{
    assert (reward->parts_n < REWARD_ALL_MAX);
    reward_part_t *to = &reward->parts[reward->parts_n++];
    *to = (reward_part_t){.value = value};
    memcpy (to->name, name, strnlen (name, REWARD_NAME_MAX - 1));
}

/*  What the other roles wrote in the first n turns, which is what a role could see in turn n. */
static void reward_words_of_others (const json_t *turns, size_t n, const char *role, words_t *words)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (turns, t, turn) {
        json_array_foreach (json_object_get (turn, "actions"), a, action) {
            if (t < n && strcmp (family_text (action, "role"), role) != 0)
                words_split (family_text (action, "text"), words);
        }
    }
}

/*  Who spoke in a turn is the protocol's, or follows from what was chosen, by a program or a
 *  router, among those who could. */
static bool reward_spoke (const episode_t *episode, const char *role, size_t t)
{
    const json_t *turns = json_object_get (episode_json (episode), "turns");
    const json_t *record = json_array_get (turns, t), *observed, *turn;
    observed = json_object_get (record, "observed");
    turn = protocol_turn (episode_protocol (episode), t);
    return protocol_speaks (turn, role) && (!observed || json_object_get (observed, role)) &&
           (!protocol_routed (turn) || state_action (record, role));
}

/*  How many texts of others a role could read in turn t: one of each seat that spoke before. */
static double reward_readable (const episode_t *episode, const char *role, size_t t)
{
    const json_t *roles = json_object_get (episode_json (episode), "roles"), *name;
    size_t r, n = 0;
    for (size_t before = 0; before < t; before++)
        json_array_foreach (roles, r, name)
            n += strcmp (json_string_value (name), role) != 0 &&
                 reward_spoke (episode, json_string_value (name), before);
    return (double) n;
}

typedef struct {
    double read, budget; /* tokens read from other roles, and those that could have been read */
    double repeated;     /* sum over readers of the share of 4-grams that they had before them */
    size_t readers;      /* actions that saw others */
} reward_traffic_t;

/*  Adds an action of turn t. What a role wrote itself comes again rightly: what a team hands in is
 *  what it wrote last; so only the others' 4-grams count. */
static int reward_add_reader (const json_t *turns, const json_t *action, size_t t,
                              reward_traffic_t *traffic, err_t *err)
{
    words_t own = {0}, seen = {0};
    words_split (family_text (action, "text"), &own);
    reward_words_of_others (turns, t, family_text (action, "role"), &seen);
    traffic->repeated += words_shared_grams (&own, &seen);
    traffic->readers++;
    int rc = words_failed (&own) || words_failed (&seen)
                 ? err_set (err, ERR_LIMIT, "no memory for the words of an episode")
                 : 0;
    words_free (&own);
    words_free (&seen);
    return rc;
}

/*  Goes over all actions that read something. Those of the first turn read nothing of others, and
 *  so do teams of one. */
static int reward_watch_traffic (const episode_t *episode, reward_traffic_t *traffic, err_t *err)
{
    const json_t *state = episode_json (episode);
    const json_t *turns = json_object_get (state, "turns"), *turn, *action;
    const json_t *limits = json_object_get (state, "limits");
    double limit = (double) json_integer_value (json_object_get (limits, "tokens"));
    size_t t, a;
    json_array_foreach (turns, t, turn) {
        json_array_foreach (json_object_get (turn, "actions"), a, action) {
            double tokens = (double) json_integer_value (json_object_get (action, "tokens_read"));
            double others = reward_readable (episode, family_text (action, "role"), t);
            if (!(tokens > 0) || !(others > 0))
                continue;
            traffic->read += tokens;
            traffic->budget += limit * others; /* each was up to the limit long */
            if (reward_add_reader (turns, action, t, traffic, err) != 0)
                return -1;
        }
    }
    return 0;
}

/*  Recorded under its name and added to the sum; n counts the parts, of which the cost is the
 *  mean. */
static void reward_add_cost (reward_t *reward, const char *name, double value, size_t *n)
{
    reward_add_part (reward, name, reward_clamp (value));
    reward->cost += reward_clamp (value);
    (*n)++;
}

/*  What depends on the protocol. Turns are no part where every episode plays all of them, nor
 *  invalid actions where none can be: what is the same for all of a group teaches nothing, and
 *  would only water the other parts down. */
static void reward_add_actions (const episode_t *episode, reward_t *reward, size_t *n)
{
    const json_t *protocol = episode_protocol (episode), *state = episode_json (episode);
    bool any_time = json_object_get (state, "outcome"); /* a program may end it after any turn */
    double least = any_time ? 1 : (double) protocol_least (protocol);
    double all = (double) json_array_size (protocol);
    double tools = (double) protocol_tools (protocol), invalid = (double) state_invalid (state);
    double valid = (double) json_array_size (json_object_get (state_shared (state), "changelog"));
    if (least < all)
        reward_add_cost (reward, "turns", ((double) episode_turn (episode) - least) / (all - least),
                         n);
    if (protocol_varies (protocol))
        reward_add_cost (reward, "invalid", invalid > 0 ? invalid / (invalid + valid) : 0, n);
    if (tools > 0)
        reward_add_cost (reward, "tools", (double) state_tools (state) / tools, n);
}

/*  Mean of the parts of the coordination cost that apply; each is recorded. */
static int reward_find_cost (const episode_t *episode, const reward_score_t *score,
                             reward_t *reward, err_t *err)
{
    reward_traffic_t traffic = {0};
    size_t n = 0;
    if (reward_watch_traffic (episode, &traffic, err) != 0)
        return -1;
    if (traffic.budget > 0) { /* somebody could read somebody */
        reward_add_cost (reward, "tokens_read", traffic.read / traffic.budget, &n);
        reward_add_cost (reward, "redundancy", traffic.repeated / (double) traffic.readers, &n);
    }
    if (score->unused >= 0)
        reward_add_cost (reward, "unused", score->unused, &n);
    reward_add_actions (episode, reward, &n);
    if (n > 0)
        reward->cost /= (double) n;
    return 0;
}

/*  For texts of fixed size, which go to people: what was cut ends in an ellipsis. */
void reward_cut (char *to, size_t size, const char *text)
{
    size_t n = strlen (text), room = size - sizeof "…";
    bool whole = n < size;
    for (n = whole ? n : room; !whole && n > 0 && (text[n] & 0xc0) == 0x80;)
        n--; /* to where a character begins: half of one is no text */
    memcpy (to, text, n);
    snprintf (to + n, size - n, "%s", whole ? "" : "…");
}

void reward_set_verdict (reward_score_t *score, const char *verdict)
{
    reward_cut (score->verdict, sizeof score->verdict, verdict);
}

void reward_tell_checks (reward_score_t *score)
{
    size_t worst = 0;
    for (size_t i = 0; i < score->parts_n; i++)
        if (score->parts[i].value < score->parts[worst].value)
            worst = i;
    snprintf (score->verdict, sizeof score->verdict,
              "%.0f%% of %zu checks, styles agree %.0f%%; weakest: %s %.2f", 100 * score->quality,
              score->parts_n, 100 * score->agreement, score->parts[worst].name,
              score->parts[worst].value);
}

void reward_add_local (reward_score_t *score, const char *role, double value)
{
    if (score->local_n == EPISODE_ROLES_MAX)
        return;
    reward_part_t *part = &score->local[score->local_n++];
    *part = (reward_part_t){.value = reward_clamp (value)};
    memcpy (part->name, role, strnlen (role, REWARD_NAME_MAX - 1));
}

/*  Speed is a share of the quality, so that a fast wrong answer earns nothing by it. */
int reward_join (const episode_t *episode, const reward_weights_t *weights,
                 const reward_score_t *score, reward_t *reward, err_t *err)
{
    const json_t *limits = json_object_get (episode_json (episode), "limits");
    /* The limit is per action, and the critical path has one action per turn in which anybody
     * speaks: so their quotient is the share of the time that was allowed. An episode that ends
     * early has taken less of it. */
    double turns = (double) protocol_spoken_turns (episode_protocol (episode));
    double limit =
        (double) json_integer_value (json_object_get (limits, "tokens")) * (turns > 0 ? turns : 1);
    if (!(limit > 0))
        return err_set (err, ERR_INPUT, "a global state needs \"limits\": {\"tokens\": N}");
    *reward = (reward_t){.success = score->success,
                         .agreement = reward_clamp (score->agreement),
                         .success_unknown = score->success_unknown,
                         .agreement_unknown = score->agreement_unknown};
    for (size_t i = 0; i < score->parts_n; i++)
        reward_add_part (reward, score->parts[i].name, score->parts[i].value);
    memcpy (reward->local, score->local, sizeof reward->local);
    reward->local_n = score->local_n;
    memcpy (reward->verdict, score->verdict, sizeof reward->verdict);
    reward->quality = reward_clamp (score->quality);
    reward->speed =
        reward->quality * reward_clamp (1 - (double) episode_critical_path (episode) / limit);
    if (reward_find_cost (episode, score, reward, err) != 0)
        return -1;
    reward->reward = weights->quality * reward->quality + weights->speed * reward->speed -
                     weights->cost * reward->cost;
    return 0;
}
