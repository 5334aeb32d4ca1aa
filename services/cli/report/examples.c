/*  examples - see examples.h */
#include "examples.h"

#include <string.h>

#include "result.h"
#include "watch/lines.h"

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
    /* The null stands for "after": a pair that keeps it is left out by examples_read. */
    json_array_append_new (pairs, json_pack ("[O, n]", episode));
}

static bool examples_is_phase (const json_t *episode, const char *wanted)
{
    const char *phase = json_string_value (json_object_get (episode, "phase"));
    return phase && strcmp (phase, wanted) == 0;
}

typedef struct {
    json_t *sampled, *greedy;
} examples_t;

/*  Sampled and greedy episodes of a task are kept apart: one of each would not show what training
 *  changed. */
static void examples_sort_in (void *context, json_t *episode)
{
    examples_t *e = context;
    if (examples_is_phase (episode, "eval-sampled"))
        examples_put (e->sampled, episode);
    else if (examples_is_phase (episode, "eval-greedy"))
        examples_put (e->greedy, episode);
}

/*  Tasks that training solved come first: they are what a reader looks for. Those that were seen
 *  only once (a run that was stopped) make no pair. */
json_t *examples_read (const char *out)
{
    examples_t found = {json_array (), json_array ()};
    json_t *all = json_array (), *pair;
    lines_each (out, "episodes.jsonl", examples_sort_in, &found);
    json_array_extend (found.sampled, found.greedy);
    /* Two passes, so that each half keeps the order of the evaluation. */
    for (int learned = 1; learned >= 0; learned--) {
        size_t i;
        json_array_foreach (found.sampled, i, pair) {
            if (json_is_object (json_array_get (pair, 1)) &&
                examples_learned (pair) == (bool) learned)
                json_array_append (all, pair);
        }
    }
    json_decref (found.sampled);
    json_decref (found.greedy);
    return all;
}

/*  The line is borrowed, so it is counted once more to outlive the call. */
static void examples_keep_newest (void *context, json_t *episode)
{
    json_t **newest = context;
    if (!examples_is_phase (episode, "train"))
        return;
    json_decref (*newest);
    *newest = json_incref (episode);
}

json_t *examples_newest (const char *out)
{
    json_t *newest = NULL;
    lines_each (out, "episodes.jsonl", examples_keep_newest, &newest);
    return newest;
}
