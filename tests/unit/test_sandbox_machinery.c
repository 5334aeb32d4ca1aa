/* with: services/reward/ */
/*  What is the program's and what is the machinery's: who used a helper, and what a machine that
 *  is short of something, or busy, does to a score. Nothing, or an error with a name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "sandbox_fixture.h"

static const char sums[] = "def main(xs):\n    return sum(xs)\n";

static json_t *request_of (const char *program, const char *watch)
{
    return json_pack ("{s:s, s:[[s, [[i, i]]], [s, [[i]]]], s:s, s:f}", "program", program, "calls",
                      "main", 1, 2, "main", 5, "watch", watch, "cpu_s", 30.0);
}

static json_t *run (sandbox_t *sandbox, const char *program, const char *watch, err_t *err)
{
    json_t *request = request_of (program, watch);
    json_t *answer = sandbox_run (sandbox, request, err);
    json_decref (request);
    return answer;
}

static bool is_right (const json_t *answer)
{
    const json_t *results = json_object_get (answer, "results");
    return json_integer_value (json_array_get (json_array_get (results, 0), 1)) == 3 &&
           json_integer_value (json_array_get (json_array_get (results, 1), 1)) == 5;
}

/*  ---- the helper ----------------------------------------------------------------------------- */

static const struct {
    bool used;
    const char *program;
} helpers[] = {
    {true, "def aux(xs):\n    return sum(xs)\ndef main(xs):\n    return aux(xs)"},
    {true, "def aux(x):\n    return x\ndef main(xs):\n    return sum(map(aux, xs))"},
    {true, "def aux(x):\n    return x\ndef main(xs):\n    return sum(aux(x) for x in xs)"},
    {true, "def aux(x):\n    return x > 0\ndef main(xs):\n    return sum(filter(aux, xs))"},
    {true, "def aux(xs):\n    return sum(xs)\ndef add(xs):\n    return aux(xs)\n"
           "def main(xs):\n    return add(xs)"},
    {true, "def aux(xs):\n    return sum(xs)\nadd = aux\ndef main(xs):\n    return add(xs)"},
    {true, "def aux(xs):\n    return sum(xs)\nmain = lambda xs: aux(xs)"},
    {true, "def aux(xs):\n    return sum(xs)\nclass A:\n    def add(self, xs):\n"
           "        return aux(xs)\ndef main(xs):\n    return A().add(xs)"},
    {true, "def aux(xs):\n    print(xs)\ndef main(xs):\n    aux(xs)\n    return sum(xs)"},
    {true,
     "def aux(xs):\n    return 1\ndef main(xs):\n    return aux(xs).no"}, /* called, in vain */
    /* Not there, not called, called where it changes nothing, or another one. */
    {false, "def main(xs):\n    return sum(xs)"},
    {false, "def aux(xs):\n    return sum(xs)\ndef main(xs):\n    return sum(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    if False:\n        aux(xs)\n"
            "    return sum(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    f = aux\n    return sum(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    try:\n        aux(xs)\n"
            "    except Exception:\n        pass\n    return sum(xs)"},
    {false, "def aux(xs):\n    return 1\ndef aux(xs):\n    return sum(xs)\n"
            "def main(xs):\n    return aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    def aux(xs):\n"
            "        return sum(xs)\n    return aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef other(xs):\n    return aux(xs)\n"
            "def main(xs):\n    return sum(xs)"},
    {false, "def main(xs):\n    def aux(xs):\n        return sum(xs)\n    return aux(xs)"},
    {false, "def main(xs):\n    return sum(xs)\n# aux(xs)"},
    /* A helper that fails looks like the real one, and who looks for the difference uses none. */
    {false, "def aux(xs):\n    return sum(xs)\ndef main(xs):\n"
            "    if aux.__code__.co_name != 'aux' or aux.__name__ != 'aux': return 7\n"
            "    return sum(xs)"},
    {false, "import inspect\ndef aux(xs, y=3):\n    return sum(xs)\ndef main(xs):\n"
            "    s = inspect.signature(aux)\n    if str(s) != '(xs, y=3)': return 7\n"
            "    return sum(xs)"},
    {false, "def aux(xs):\n    return 'x%d' % sum(xs)\ndef main(xs):\n"
            "    c = getattr(aux, '__co' + 'de__')\n    d = lambda n: getattr(c, 'co' + n)\n"
            "    seen = [d('_name'), d('_consts'), d('_names'), d('_varnames'), d('_argcount'),\n"
            "            d('_firstlineno'), d('_flags'), d('_stacksize'), len(d('_code'))]\n"
            "    return sum(xs) if seen[:3] == ['aux', (None, 'x%d'), ('sum',)] and seen[-1] > 20 "
            "else 7"},
    {false,
     "def aux(xs):\n    return sum(xs)\ndef main(xs):\n"
     "    if len(aux.__code__.co_code) < 20 or aux.__code__.co_code.count(0) > 20: return 7\n"
     "    return sum(xs)"},
    {true,
     "def aux(xs):\n    for x in xs:\n        yield x\ndef main(xs):\n    return sum(aux(xs))"},
    {true,
     "def aux(xs):\n    try:\n        return sum(xs)\n    except TypeError:\n        return 0\n"
     "def main(xs):\n    return aux(xs)"},
    /* What a program says of itself. */
    {false, "import os\ndef main(xs):\n    for fd in range(32):\n        try:\n"
            "            os.write(fd, b'\\x0f\\0\\0\\0{\"watched\": 99}')\n"
            "        except OSError:\n            pass\n    return sum(xs)"},
    {false, "watched = 1\ndef main(xs):\n    return sum(xs)\nmain.watched = main.aux = 1"},
    /* Where calls are noted (use.py), and who would like to do it himself. */
    {false, "def aux(xs):\n    return sum(xs)\ndef main(xs, y=aux([1])):\n    return sum(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    aux = sum\n    return aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef f():\n    return aux([])\ndef main(xs):\n"
            "    return sum(xs) if xs else f()"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    globals()['<called>'] = [True]\n"
            "    return sum(xs) if xs else aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n"
            "    main.__globals__.update({'<called>': [True]})\n"
            "    return sum(xs) if xs else aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n    g = (x for x in xs)\n"
            "    g.gi_frame.f_globals.update({'<called>': [True]})\n"
            "    return sum(xs) if xs else aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef run(eval):\n    return eval\ndef main(xs):\n"
            "    eval('globals().update({\"<called>\": [True]})')\n"
            "    return sum(xs) if xs else aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n"
            "    f = '{0.__globals__}{0.__code__}'.format(main)\n"
            "    return sum(xs) if f else aux(xs)"},
    {false, "def aux(xs):\n    return 1\ndef main(xs):\n"
            "    __builtins__['exec']('globals().update({\"<called>\": [True]})')\n"
            "    return sum(xs) if xs else aux(xs)"},
};

/*  What no plain program has: with it, the helper's use is found out by a second run. */
static const char not_plain[] = "\ntry:\n    pass\nfinally:\n    pass\n";

static void only_a_call_that_matters_is_a_use (void **state)
{
    for (size_t i = 0; i < 2 * (sizeof helpers / sizeof *helpers); i++) {
        err_t err = {0};
        buf_t program = {0};
        bool used = helpers[i / 2].used;
        buf_printf (&program, "%s%s", helpers[i / 2].program, i % 2 ? not_plain : "");
        json_t *answer = run (*state, program.data, "aux", &err);
        if (!answer)
            fail_msg ("%s", err.text);
        if (json_integer_value (json_object_get (answer, "watched")) != used)
            fail_msg ("%sused: %s", used ? "not " : "", program.data);
        json_decref (answer);
        buf_free (&program);
    }
}

/*  HumanEval's form: the second run asks what the test asked. */
static void a_check_finds_the_use_too (void **state)
{
    static const char *const programs[] = {
        "def aux(x):\n    return x * 2\ndef f(x):\n    return aux(x)\n",
        "def aux(x):\n    return x * 2\ndef f(x):\n    return x * 2\n"};
    for (int i = 0; i < 2; i++) {
        err_t err = {0};
        json_t *request = json_pack (
            "{s:s, s:s, s:s, s:s, s:s}", "program", programs[i], "entry", "f", "setup", "", "test",
            "def check(f):\n    assert [f(x) for x in range(9)] == [2 * x for x in range(9)]\n",
            "watch", "aux");
        json_t *answer = sandbox_run (*state, request, &err);
        assert_non_null (answer);
        assert_true (json_is_true (json_object_get (answer, "passed")));
        assert_int_equal (json_integer_value (json_object_get (answer, "watched")), i == 0);
        json_decref (answer);
        json_decref (request);
    }
}

/*  ---- a machine that is short of something --------------------------------------------------- */

/*  In a process of its own, under a limit: 0 the right answer, 1 an error with a name, 2 a wrong
 *  answer. */
static int try_under (__rlimit_resource_t resource, rlim_t most)
{
    int status;
    pid_t pid = fork ();
    assert_true (pid >= 0);
    if (pid == 0) {
        err_t err = {0};
        int said = 1;
        setrlimit (resource, &(struct rlimit){.rlim_cur = most, .rlim_max = most});
        sandbox_t *sandbox = sandbox_new ("", sandbox_wall (), &err);
        for (int i = 0; i < 3 && sandbox; i++) {
            json_t *answer = run (sandbox, sums, "", &err);
            said = !answer ? 1 : is_right (answer) ? 0 : 2;
            json_decref (answer);
            if (said)
                break;
        }
        _exit (said == 1 && !*err.text ? 3 : said);
    }
    assert_int_equal (waitpid (pid, &status, 0), pid);
    return WIFEXITED (status) ? WEXITSTATUS (status) : 4;
}

static void few_descriptors_change_no_score (void **state)
{
    (void) state;
    int right = 0, named = 0;
    for (rlim_t most = 3; most < 40; most++) {
        int said = try_under (RLIMIT_NOFILE, most);
        if (said > 1)
            fail_msg ("%d descriptors: %d", (int) most, said);
        right += said == 0;
        named += said == 1;
    }
    assert_true (right > 0 && named > 0);
}

static void __attribute__ ((unused)) little_memory_changes_no_score (void **state)
{
    (void) state;
    for (rlim_t mb = 10; mb <= 640; mb = mb * 3 / 2) {
        int said = try_under (RLIMIT_AS, mb << 20);
        if (said > 1)
            fail_msg ("%d MB: %d", (int) mb, said);
    }
}

/*  ---- somebody who ends processes ------------------------------------------------------------ */

/*  A child of this process in a state: R, that computes. */
static pid_t find_child (char wanted)
{
    pid_t found = 0;
    DIR *dir = opendir ("/proc");
    for (struct dirent *e; dir && !found && (e = readdir (dir));) {
        char path[280], state = 0;
        int parent = 0;
        snprintf (path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *file = *e->d_name >= '1' && *e->d_name <= '9' ? fopen (path, "re") : NULL;
        if (file && fscanf (file, "%*d (%*[^)]) %c %d", &state, &parent) == 2 &&
            parent == getpid () && state == wanted)
            found = (pid_t) strtol (e->d_name, NULL, 10);
        if (file)
            fclose (file);
    }
    if (dir)
        closedir (dir);
    return found;
}

static atomic_bool over;

static void *kill_what_computes (void *unused)
{
    (void) unused;
    while (!atomic_load (&over)) {
        pid_t pid = find_child ('R');
        if (pid > 0)
            kill (pid, SIGKILL);
        sched_yield ();
    }
    return NULL;
}

/*  As the system's killer does when memory is short. */
static void a_kill_from_outside_is_no_verdict (void **state)
{
    pthread_t thread;
    err_t err = {0};
    atomic_store (&over, false);
    assert_int_equal (pthread_create (&thread, NULL, kill_what_computes, NULL), 0);
    json_t *answer = run (*state, "def main(xs):\n    while True:\n        pass\n", "", &err);
    atomic_store (&over, true);
    pthread_join (thread, NULL);
    if (answer)
        fail_msg ("%s", json_dumps (answer, JSON_COMPACT));
    assert_int_equal (err.code, ERR_IO);
    /* And the next one runs, in a new interpreter if that was hit. */
    for (int i = 0; !answer && i < 3; i++)
        answer = run (*state, sums, "", &err);
    assert_true (is_right (answer));
    json_decref (answer);
}

/*  ---- the standard library ------------------------------------------------------------------- */

/*  sysconfig, and whoever asks it, needs a module with a name that no program could write. */
static void modules_that_need_the_build_s_data_can_be_imported (void **state)
{
    static const char program[] = "import pydoc, sysconfig, zoneinfo\n"
                                  "def main(xs):\n"
                                  "    return sum(xs) if sysconfig.get_config_vars() else 0\n";
    err_t err = {0};
    json_t *answer = run (*state, program, "", &err);
    if (!answer)
        fail_msg ("%s", err.text);
    if (!is_right (answer))
        fail_msg ("%s", json_dumps (answer, JSON_COMPACT));
    json_decref (answer);
}

/*  ---- a busy machine ------------------------------------------------------------------------- */

#define BUSY 16

static void a_busy_machine_changes_no_score (void **state)
{
    pid_t busy[BUSY];
    for (size_t i = 0; i < BUSY; i++)
        if ((busy[i] = fork ()) == 0) {
            prctl (PR_SET_PDEATHSIG, SIGKILL); /* a failed test does not come to the end below */
            for (;;)
                ;
        }
    for (int i = 0; i < 10; i++) {
        err_t err = {0};
        json_t *answer = run (*state, sums, "", &err);
        if (!answer)
            fail_msg ("%s", err.text);
        assert_true (is_right (answer));
        json_decref (answer);
    }
    for (size_t i = 0; i < BUSY; i++) {
        kill (busy[i], SIGKILL);
        waitpid (busy[i], NULL, 0);
    }
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (only_a_call_that_matters_is_a_use, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (a_check_finds_the_use_too, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test (few_descriptors_change_no_score),
/* Sanitizers need terabytes of address space themselves. */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
        cmocka_unit_test (little_memory_changes_no_score),
#endif
        cmocka_unit_test_setup_teardown (a_kill_from_outside_is_no_verdict, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (modules_that_need_the_build_s_data_can_be_imported,
                                         sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown (a_busy_machine_changes_no_score, sandbox_setup,
                                         sandbox_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
