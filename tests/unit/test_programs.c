/* with: services/environment/programs.c */
/*  Processes on threads of their own: each answers what it was asked, whichever is ready first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../../services/environment/programs.h"

#define PROGRAM                                                                                    \
    "exec python3 -c '\nimport json, os, sys\nfor line in sys.stdin:\n  m = json.loads(line)\n"    \
    "  if m[\"op\"] == \"close\": continue\n  if m[\"task\"].get(\"dies\"): os._exit(1)\n"         \
    "  print(json.dumps({\"observe\": {\"aux\": \"%d %s\" % (os.getpid(), m[\"episode\"])}}), "    \
    "flush=True)\n'"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static int wakes;
static err_t err;

static void wake (void *context)
{
    (void) context;
    pthread_mutex_lock (&lock);
    wakes++;
    pthread_cond_signal (&woken);
    pthread_mutex_unlock (&lock);
}

static programs_t *begin (size_t workers)
{
    wakes = 0;
    programs_t *programs = programs_new (PROGRAM, workers, wake, NULL, &err);
    if (!programs)
        fail_msg ("%s", err.text);
    return programs;
}

/*  Waits for the next answer. */
static void take (programs_t *programs, programs_answer_t *answer)
{
    pthread_mutex_lock (&lock);
    while (wakes == 0)
        pthread_cond_wait (&woken, &lock);
    wakes--;
    pthread_mutex_unlock (&lock);
    assert_true (programs_take (programs, answer));
}

static uint64_t ask (programs_t *programs, size_t place, const char *task, int first, int n)
{
    buf_t records = {0};
    for (int i = first; i < first + n; i++)
        buf_printf (&records,
                    "{\"episode\":\"e%d\",\"task\":{\"seed\":1%s},\"roles\":[\"aux\"],\"limits\":"
                    "{\"tokens\":8,\"turns\":4},\"turns\":[]}\n",
                    i, task);
    uint64_t number = programs_ask (programs, place, &records, 20);
    buf_free (&records);
    assert_true (programs_asked (number));
    return number;
}

static void each_line_has_its_answer (void **state)
{
    (void) state;
    programs_t *programs = begin (2);
    uint64_t numbers[6];
    long pids[6] = {0};
    for (int i = 0; i < 6; i++)
        numbers[i] = ask (programs, (size_t) i, "", 10 * i, 3);
    for (int k = 0; k < 6; k++) {
        programs_answer_t answer;
        take (programs, &answer);
        assert_int_equal (answer.err.code, ERR_NONE);
        int i = 0;
        while (i < 6 && numbers[i] != answer.number)
            i++;
        assert_true (i < 6);
        char *line = answer.lines.data;
        for (int e = 0; e < 3; e++) {
            int episode = -1;
            assert_int_equal (
                sscanf (line, "{\"observe\":{\"aux\":\"%ld e%d\"}}\n", &pids[i], &episode), 2);
            assert_int_equal (episode, 10 * i + e);
            line = strchr (line, '\n') + 1;
        }
        assert_int_equal (line - answer.lines.data, answer.lines.size);
        buf_free (&answer.lines);
    }
    /* One process for each place, of two. */
    assert_true (pids[0] == pids[2] && pids[1] == pids[3] && pids[0] != pids[1]);
    programs_close (programs, 0, "e");
    programs_destroy (&programs);
}

static void a_failure_is_an_answer (void **state)
{
    (void) state;
    programs_t *programs = begin (1);
    programs_answer_t answer;
    uint64_t number = ask (programs, 0, ",\"dies\":true", 0, 2);
    take (programs, &answer);
    assert_int_equal (answer.number, number);
    assert_int_equal (answer.err.code, ERR_CONFIG);
    assert_non_null (strstr (answer.err.text, "it ended without an answer (status 1)"));
    buf_free (&answer.lines);
    ask (programs, 0, "", 0, 1);
    take (programs, &answer);
    assert_int_equal (answer.err.code, ERR_NONE);
    buf_free (&answer.lines);
    programs_destroy (&programs);
}

/*  What nobody takes, and what nobody has begun, goes with them. */
static void they_end_with_work_left (void **state)
{
    (void) state;
    programs_t *programs = begin (2);
    for (int i = 0; i < 20; i++) {
        ask (programs, (size_t) i, "", i, 2);
        programs_close (programs, (size_t) i, "e");
    }
    programs_destroy (&programs);
    assert_null (programs);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (each_line_has_its_answer),
        cmocka_unit_test (a_failure_is_an_answer),
        cmocka_unit_test (they_end_with_work_left),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
