/* with: services/reward/ */
/*  Programs that try to get out, to cheat or to hang; and scorer programs that die. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/reward/command.h"
#include "../../services/reward/scorer.h"
#include "base/buf.h"
#include "task/family.h"
#include "sandbox_fixture.h"

static const char task[] = "{\"id\":\"t\",\"family\":\"coding\",\"brief\":\"Return the sum of "
                           "xs.\",\"entry_point\":\"main\","
                           "\"tests\":[{\"args\":[[]],\"result\":0},{\"args\":[[1,2]],\"result\":3}"
                           ",{\"args\":[[5]],\"result\":5}]}";

static const char human[] = "{\"id\":\"h\",\"family\":\"coding\",\"prompt\":\"def f(n):\\n\","
                            "\"brief\":\"def f(n):\\n\",\"entry_point\":\"f\","
                            "\"test\":\"def check(f):\\n    assert f(2) == 4\\n\"}";

static episode_t *play (const char *of, const char *aux, const char *text)
{
    static const char *const roles[] = {"aux", "main"};
    err_t err = {0};
    episode_limits_t limits = {.tokens = 72};
    episode_t *episode = episode_new (of, roles, 2, &limits, &err);
    assert_non_null (episode);
    const char *texts[] = {aux, text};
    for (size_t r = 0; r < 2; r++) {
        episode_action_t action = {.text = texts[r], .size = strlen (texts[r]), .tokens = 20};
        assert_int_equal (episode_act (episode, r, &action, &err), 0);
    }
    assert_int_equal (episode_step (episode, &err), 0);
    assert_true (episode_done (episode));
    return episode;
}

static json_t *run (void *sandbox, const json_t *request, err_t *err)
{
    return sandbox_run (sandbox, request, err);
}

static int score_in (sandbox_t *sandbox, const episode_t *episode, reward_score_t *score,
                     err_t *err)
{
    const task_sandbox_t lent = {.self = sandbox, .run = run};
    return family_find ("coding")->score (episode, &(task_capabilities_t){.sandbox = &lent}, score,
                                          err);
}

static reward_score_t score_of (sandbox_t *sandbox, const char *aux, const char *text)
{
    episode_t *episode = play (task, aux, text);
    reward_score_t score;
    err_t err = {0};
    if (score_in (sandbox, episode, &score, &err) != 0)
        fail_msg ("%s", err.text);
    episode_destroy (&episode);
    return score;
}

static void honest_programs_pass (void **state)
{
    reward_score_t s =
        score_of (*state, "def aux(xs):\n    return sum(xs)", "def main(xs):\n    return aux(xs)");
    assert_true (s.success);
    assert_true (s.quality > 0.999);
    assert_true (s.unused < 0.5 && s.unused >= 0);
    assert_int_equal (s.local_n, 2);
    assert_string_equal (s.local[0].name, "aux");
    assert_true (s.local[0].value > 0.999 && s.local[1].value > 0.999);
    s = score_of (*state, "def aux(xs)\n", "def main(xs):\n    return sum(xs)");
    assert_true (s.local[0].value < 0.001 && s.local[1].value > 0.999); /* whose fault it is */
    s = score_of (*state, "def aux(xs):\n    return 1", "def main(xs):\n    return sum(xs)");
    assert_false (s.success); /* the helper was not called */
    assert_true (s.unused > 0.5);
    s = score_of (*state, "def aux(xs):\n    return sum(xs)",
                  "def main(xs):\n    return aux(xs) or False");
    assert_true (s.success); /* False == 0 */
    s = score_of (*state, "def aux(xs)\n", "def main(xs):\n    return 1");
    assert_true (s.quality < 0.05); /* no helper, and no test but by luck */
}

/*  Questions longer than a page and longer than a pipe holds: each is answered by itself, also
 *  those before the one where a program ends. */
static void questions_of_any_size_are_answered (void **state)
{
    err_t err = {0};
    buf_t sums = {0};
    reward_score_t s, cut;
    buf_text (&sums, "{\"id\":\"t\",\"family\":\"coding\",\"brief\":\"b\",\"entry_point\":\"main\","
                     "\"tests\":[{\"args\":[[]],\"result\":0}");
    for (int n = 2000; n < 2050; n++) {
        buf_text (&sums, ",{\"args\":[[0");
        for (int i = 0; i < n * (n == 2025 ? 20 : 1); i++)
            buf_text (&sums, ",1");
        buf_printf (&sums, "]],\"result\":%d}", n * (n == 2025 ? 20 : 1));
    }
    buf_text (&sums, "]}");
    const char *aux = "def aux(xs):\n    return sum(xs)";
    episode_t *whole = play (sums.data, aux, "def main(xs):\n    return aux(xs)");
    episode_t *ends = play (sums.data, aux,
                            "def main(xs):\n    if len(xs) == 2041: import os; os._exit(0)\n"
                            "    return aux(xs)");
    assert_int_equal (score_in (*state, whole, &s, &err), 0);
    assert_int_equal (score_in (*state, ends, &cut, &err), 0);
    assert_true (s.success && s.quality > 0.999);
    assert_false (cut.success);
    /* score.c: 41 of 51 tests, and three of the five that a text earns besides */
    double weight = 0.6 / 52, share = 41.0 / 51;
    assert_true (fabs (cut.quality - weight * (3 + share) / 5 - (0.6 - weight) * share) < 1e-6);
    episode_destroy (&whole);
    episode_destroy (&ends);
    buf_free (&sums);
}

/*  None of these may pass, and after each the next honest program runs. */
static void hostile_programs_fail (void **state)
{
    static const char *const texts[] = {
        "def main(xs):\n    while True: pass",
        "def main(xs):\n    for x in xs or [1]: xs.append(x)",
        "import os\ndef main(xs):\n    os._exit(0)",
        "import os\ndef main(xs):\n    return aux(xs) if os.fork() else 7",
        "import os, signal\ndef main(xs):\n    os.kill(os.getppid(), 9)",
        "def main(xs):\n    return open('/etc/passwd').read()",
        "def main(xs):\n    open('/tmp/quintet-escaped', 'w').write('x')",
        "import socket\ndef main(xs):\n    return socket.socket().connect(('127.0.0.1', 1))",
        "import subprocess\ndef main(xs):\n    return subprocess.run(['id'])",
        "def main(xs):\n    return main(xs)",
        "def main(xs):\n    return 'x' * (1 << 24)",
        "def main(xs):\n    return bytearray(1 << 31)",
        "import ctypes\ndef main(xs):\n    return ctypes.string_at(0)",
        "import os\ndef main(xs):\n    for fd in range(32):\n        try: os.write(fd, "
        "b'{\"results\":[[\"value\",0],[\"value\",3],[\"value\",5]],\"watched\":1,"
        "\"syntax\":true,\"defined\":true}\\n')\n"
        "        except OSError: pass\n    os._exit(0)",
        "import os\ndef main(xs):\n    for fd in range(32):\n        try: os.write(fd, "
        "b'{\"killed\":\"wall\"}\\n')\n"
        "        except OSError: pass",
        "import os\ndef main(xs):\n    for fd in range(32):\n        try: os.write(fd, "
        "b'{}\\n{\"failed\":1}\\n')\n"
        "        except OSError: pass",
        "def main(xs):\n    return '\\ud800'",
        "class Yes:\n    def __eq__(self, other): return True\ndef main(xs):\n    return Yes()",
        "class Yes(int):\n    def __eq__(self, other): return True\ndef main(xs):\n"
        "    return Yes(4)",
        "def main(xs):\n    return 'a\\0'",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        reward_score_t s = score_of (*state, "def aux(xs):\n    return sum(xs)", texts[i]);
        if (s.success)
            fail_msg ("this passed: %s", texts[i]);
        honest_programs_pass (state);
    }
    assert_null (fopen ("/tmp/quintet-escaped", "r"));
}

/*  A program that waits uses no CPU, and still gets its verdict. */
static void waiting_programs_fail (void **state)
{
    static const char *const texts[] = {
        "import time\ndef main(xs):\n    time.sleep(1000)\n    return sum(xs)",
        "import threading\ndef main(xs):\n    lock = threading.Lock()\n    lock.acquire()\n"
        "    lock.acquire()",
        "import threading\ndef main(xs):\n    lock = threading.Lock()\n    lock.acquire()\n"
        "    assert lock.acquire(timeout=1000)\n    return sum(xs)",
        "import queue\ndef main(xs):\n    q = queue.Queue()\n    while True:\n"
        "        try: return q.get(timeout=0.05)\n        except queue.Empty: pass",
        "def main(xs):\n    return int(input())",
        "import sys\ndef main(xs):\n    return int(sys.stdin.readline())",
        "import select\ndef main(xs):\n    select.select([], [], [])\n    return sum(xs)",
        "import select\ndef main(xs):\n    select.poll().poll()\n    return sum(xs)",
        "import signal\ndef main(xs):\n    while True: signal.pause()",
        "import queue\ndef more(q):\n    while True: yield q.get()\n"
        "def main(xs):\n    return sum(more(queue.Queue()))",
        "import threading\ndef main(xs):\n    here = threading.current_thread()\n"
        "    t = threading.Thread(target=lambda: here.join())\n    t.start()\n    t.join()",
        "import os, threading\ndef main(xs):\n    lock = threading.Lock()\n"
        "    for fd in range(32):\n        try: os.write(fd, b'{}\\n')\n"
        "        except OSError: pass\n    lock.acquire()\n    lock.acquire()",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (score_of (*state, "def aux(xs):\n    return sum(xs)", texts[i]).success)
            fail_msg ("this passed: %s", texts[i]);
    static const char *const halves[] = {
        "    import threading\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()",
        "    import os\n    for fd in range(32):\n        try: os.read(fd, 9)\n"
        "        except OSError: pass",
        "    import time\n    time.sleep(1000)\n    return 4",
    };
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        episode_t *episode = play (human, "n):\n    return n", halves[i]);
        reward_score_t score;
        err_t err = {0};
        if (score_in (*state, episode, &score, &err) != 0)
            fail_msg ("%s: %s", halves[i], err.text);
        assert_false (score.success);
        episode_destroy (&episode);
    }
}

static void threads_may_wait_for_each_other (void **state)
{
    reward_score_t s = score_of (
        *state, "def aux(xs):\n    return sum(xs)",
        "from concurrent.futures import ThreadPoolExecutor\nimport queue\n"
        "def main(xs):\n    q = queue.Queue()\n    with ThreadPoolExecutor(2) as pool:\n"
        "        pool.submit(lambda: q.put(aux(xs)))\n        return pool.submit(q.get).result()");
    if (!s.success)
        fail_msg ("%s", s.verdict);
}

static void a_scorer_that_dies_loses_nothing (void **state)
{
    (void) state;
    err_t err = {0};
    /* Answers two episodes, then ends. */
    command_t *command =
        command_new ("for i in 1 2; do read line || exit; echo '{\"quality\": 0.5, "
                     "\"depth\": 0.25}'; done",
                     &err);
    assert_non_null (command);
    episode_t *episode = play (task, "a", "b");
    for (int i = 0; i < 7; i++) {
        reward_score_t score;
        if (command_score (command, episode, 20, &score, &err) != 0)
            fail_msg ("episode %d: %s", i, err.text);
        assert_true (score.quality > 0.49 && score.quality < 0.51);
        assert_int_equal (score.parts_n, 1);
    }
    command_destroy (&command);
    command = command_new ("while read line; do echo '{\"quality\": 7}'; done", &err);
    reward_score_t score;
    assert_int_equal (command_score (command, episode, 20, &score, &err), -1);
    assert_non_null (strstr (err.text, "quality"));
    command_destroy (&command);
    command = command_new ("exit 3", &err);
    assert_int_equal (command_score (command, episode, 20, &score, &err), -1);
    assert_non_null (strstr (err.text, "exit 3"));
    command_destroy (&command);
    episode_destroy (&episode);
}

/*  Another episode's line must not be taken for this one's. */
static void a_scorer_that_says_more_is_refused (void **state)
{
    (void) state;
    static const char *const texts[] = {
        "echo loading model; while read line; do echo '{\"quality\": 0.5}'; done",
        "while read line; do printf '{\"quality\": 0.5}\\n{\"quality\": 0.6}\\n'; done",
    };
    episode_t *episode = play (task, "a", "b");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        err_t err = {0};
        command_t *command = command_new (texts[i], &err);
        for (int k = 0; k < 2; k++) {
            reward_score_t score;
            assert_int_equal (command_score (command, episode, 20, &score, &err), -1);
            assert_int_equal (err.code, ERR_CONFIG);
            if (!strstr (err.text, "more than one line"))
                fail_msg ("%s", err.text);
        }
        command_destroy (&command);
    }
    /* The second line comes late, after the answer was taken: the next episode gets a fresh
     * process. */
    err_t err = {0};
    command_t *command =
        command_new ("read line; echo '{\"quality\": 0.5}'; echo late; read line; echo '"
                     "{\"quality\": 0.1}'",
                     &err);
    for (int k = 0; k < 3; k++) {
        reward_score_t score;
        int rc = command_score (command, episode, 20, &score, &err);
        assert_true (rc != 0 || (score.quality > 0.49 && score.quality < 0.51));
    }
    command_destroy (&command);
    episode_destroy (&episode);
}

static void only_the_service_s_own_program_runs (void **state)
{
    (void) state;
    static const char own[] = "while read line; do echo '{\"quality\": 0.5}'; done";
    err_t err = {0};
    buf_t text = {0};
    episode_t *episode = play (task, "a", "b");
    assert_int_equal (episode_history (episode, &text, &err), 0);
    const char *const started[] = {own, ""};
    for (size_t i = 0; i < 2; i++) {
        scorer_t *scorer = scorer_new (started[i], "", sandbox_wall (), NULL);
        reward_score_t score;
        static const char *const roles[] = {"aux", "main"};
        scorer_job_t job = {.command = own,
                            .weights = {1, 0, 0},
                            .task = task,
                            .roles = roles,
                            .roles_n = 2,
                            .limits = {.tokens = 72},
                            .history = text.data};
        episode_t *scored = scorer_score (scorer, &job, &score, &err);
        assert_int_equal (scored != NULL, *started[i] != 0);
        episode_destroy (&scored);
        job.command = "touch /tmp/quintet-escaped; echo '{\"quality\": 1}'";
        assert_null (scorer_score (scorer, &job, &score, &err));
        assert_int_equal (err.code, ERR_CONFIG);
        if (!strstr (err.text, "start it with quintet-reward --command 'touch"))
            fail_msg ("%s", err.text);
        scorer_destroy (&scorer);
    }
    assert_null (fopen ("/tmp/quintet-escaped", "r"));
    buf_free (&text);
    episode_destroy (&episode);
}

/*  A limit ends the program whichever it is, since a fast machine meets the one of memory where a
 *  slow one is out of CPU time. */
static void a_limit_of_memory_ends_a_program_as_one_of_cpu_time_does (void **state)
{
    static const char program[] = "def main(xs):\n    for x in xs:\n        xs.append(x)\n"
                                  "    return len(xs)\n";
    const struct {
        int memory;
        double cpu;
        const char *killed;
    } limits[] = {{32 << 20, 30, "memory"}, {2000 << 20, 0.1, "cpu"}};
    for (size_t i = 0; i < 2; i++) {
        err_t err = {0};
        json_t *request =
            json_pack ("{s:s, s:[[s, [[]]], [s, [[i]]], [s, [[]]]], s:s, s:f, s:f, "
                       "s:i}",
                       "program", program, "calls", "main", "main", 1, "main", "watch", "", "cpu_s",
                       limits[i].cpu, "cpu_total_s", 60.0, "memory", limits[i].memory);
        json_t *answer = sandbox_run (*state, request, &err);
        if (!answer)
            fail_msg ("%s", err.text);
        const char *killed = json_string_value (json_object_get (answer, "killed"));
        assert_string_equal (killed ? killed : "(not ended)", limits[i].killed);
        assert_int_equal (json_array_size (json_object_get (answer, "results")), 1);
        json_decref (answer);
        json_decref (request);
    }
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (honest_programs_pass, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown (questions_of_any_size_are_answered, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (hostile_programs_fail, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown (waiting_programs_fail, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown (threads_may_wait_for_each_other, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test (a_scorer_that_dies_loses_nothing),
        cmocka_unit_test (a_scorer_that_says_more_is_refused),
        cmocka_unit_test (only_the_service_s_own_program_runs),
        cmocka_unit_test_setup_teardown (a_limit_of_memory_ends_a_program_as_one_of_cpu_time_does,
                                         sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
