/*  What is held out of the built-in coding set is learnt from nowhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "composition_fixture.h"
#include "task/coding/coding.h"
#include "task/corpus.h"
#include "task/task.h"
#include "task_fixture.h"

/*  Python is asked, not the generator: names functions by what they give for many lists, and ends
 *  with an error when a held-out one (H) is trained on (T) or stands in a text of the corpus
 *  (X). */
static const char functions_py[] =
    "import json, random, sys\n"
    "random.seed (1)\n"
    "lists = [[random.randint (-12, 20) for _ in range (n % 10)] for n in range (1000)]\n"
    "seen = {'H': set (), 'T': set (), 'X': set ()}\n"
    "for kind, source in json.loads (DATA):\n"
    "    room = {}\n"
    "    try:\n"
    "        exec (source, room)\n"
    "        seen[kind].add (repr ([room['main'] (list (xs)) for xs in lists]))\n"
    "    except Exception:\n"
    "        assert kind == 'X', source\n"
    "assert len (seen['H'] | seen['T']) == 586, len (seen['H'] | seen['T'])\n"
    "assert len (seen['X']) > 300, len (seen['X'])\n"
    "assert not seen['H'] & (seen['T'] | seen['X'])\n";

static void functions_add_tasks (const task_set_t *set, task_split_t split, json_t *data)
{
    for (size_t i = 0; i < task_set_size (set, split); i++) {
        json_t *task = json_loads (task_set_get (set, split, i), 0, NULL);
        size_t parts[3];
        coding_get_parts (task, parts);
        buf_t source = {0};
        buf_text (&source, "def main(xs): return ");
        composition_body (parts, &source);
        json_array_append_new (
            data, json_pack ("[s, s]", split == TASK_HELDOUT ? "H" : "T", source.data));
        buf_free (&source);
        json_decref (task);
    }
}

/*  Of those that hold a whole program. */
static void functions_add_texts (const task_options_t *options, json_t *data)
{
    err_t err = {0};
    corpus_t *corpus = corpus_new (options, &err);
    assert_non_null (corpus);
    for (uint64_t i = 0; i < 4000; i++) {
        buf_t prompt = {0}, text = {0};
        assert_int_equal (corpus_get (corpus, i, &prompt, &text, &err), 0);
        if (strstr (text.data, "def aux") && strstr (text.data, "def main"))
            json_array_append_new (data, json_pack ("[s, s]", "X", text.data));
        buf_free (&prompt);
        buf_free (&text);
    }
    corpus_destroy (&corpus);
}

static void a_held_out_function_is_seen_nowhere_else (void **state)
{
    (void) state;
    task_options_t options = builtin_options ("coding", "plain");
    task_set_t *set = open_set ("coding", "plain");
    json_t *data = json_array ();
    functions_add_tasks (set, TASK_TRAIN, data);
    functions_add_tasks (set, TASK_HELDOUT, data);
    functions_add_texts (&options, data);
    python_agrees (functions_py, data);
    json_decref (data);
    task_set_destroy (&set);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (a_held_out_function_is_seen_nowhere_else)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
