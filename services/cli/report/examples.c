/*  examples - see examples.h */
#include "examples.h"

#include <string.h>

#include "result.h"

static const json_t *examples_task_id (const json_t *episode)
{
    return json_object_get (json_object_get (episode, "task"), "id");
}

static bool examples_success (const json_t *episode)
{
    return json_is_true (json_object_get (json_object_get (episode, "reward"), "success"));
}

bool examples_learned (const json_t *pair)
{
    return !examples_success (json_array_get (pair, 0)) &&
           examples_success (json_array_get (pair, 1));
}

/*  Puts an episode to the other one of its task, or begins a new pair. The first that comes is from
 *  before the training, as the file is written in order of time; the last one counts as after. */
static void examples_put (json_t *pairs, json_t *episode)
{
    json_t *pair;
    size_t i;
    json_array_foreach (pairs, i, pair)
        if (json_equal (examples_task_id (json_array_get (pair, 0)), examples_task_id (episode))) {
            json_array_set (pair, 1, episode);
            return;
        }
    json_array_append_new (pairs, json_pack ("[O, n]", episode));
}

/*  Tasks that were seen only once (a run that was stopped) make no pair. */
static json_t *examples_pairs_of (const json_t *episodes, const char *wanted)
{
    json_t *pairs = json_array (), *episode;
    size_t i;
    json_array_foreach (episodes, i, episode) {
        const char *phase = json_string_value (json_object_get (episode, "phase"));
        if (phase && strcmp (phase, wanted) == 0)
            examples_put (pairs, episode);
    }
    for (i = json_array_size (pairs); i-- > 0;)
        if (!json_is_object (json_array_get (json_array_get (pairs, i), 1)))
            json_array_remove (pairs, i);
    return pairs;
}

/*  Tasks that training solved come first: they are what a reader looks for. */
json_t *examples_read (const char *out)
{
    json_t *episodes = result_lines (out, "episodes.jsonl"), *all = json_array (), *pair;
    json_t *sampled = examples_pairs_of (episodes, "eval-sampled"),
           *greedy = examples_pairs_of (episodes, "eval-greedy");
    json_array_extend (sampled, greedy);
    for (int learned = 1; learned >= 0; learned--) {
        size_t i;
        json_array_foreach (sampled, i, pair)
            if (examples_learned (pair) == (bool) learned)
                json_array_append (all, pair);
    }
    json_decref (sampled);
    json_decref (greedy);
    json_decref (episodes);
    return all;
}
