/* with: services/cli/suite/supervisor.c */
/*  Real children, a clock that the test turns: restarts, giving up, last words, an end that leaves
 *  nobody. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../services/cli/suite/supervisor.h"
#include "base/clock.h"
#include "base/fs.h"

#define PATIENCE 4000 /* looks at a child, 5 ms apart */

/*  ---- the clock: stands still but for what the test adds, and runs on while somebody sleeps */

static int64_t now_ms = 1000000;
static bool awaited = true; /* a child needs the time that somebody sleeps */

int64_t clock_ms (void)
{
    return now_ms;
}

int64_t clock_us (void)
{
    return now_ms * 1000;
}

double clock_s (void)
{
    return (double) now_ms / 1e3;
}

int64_t clock_left_ms (int64_t deadline_ms)
{
    return deadline_ms > now_ms ? deadline_ms - now_ms : 0;
}

static void nap (void)
{
    nanosleep (&(struct timespec){.tv_nsec = 5000000}, NULL);
}

void clock_sleep_ms (int64_t ms)
{
    now_ms += ms;
    if (awaited)
        nap ();
}

/*  ---- fixture -------------------------------------------------------------------------------- */

typedef struct {
    char dir[64];
    supervisor_t *supervisor;
    int restarts;
    buf_t restarted; /* "NAME WHY" of each, one per line */
} fixture_t;

static void on_restart (void *context, const char *name, const char *why)
{
    fixture_t *f = context;
    f->restarts++;
    buf_printf (&f->restarted, "%s %s\n", name, why);
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-supervisor-XXXXXX");
    if (!mkdtemp (f->dir))
        return -1;
    f->supervisor = supervisor_new (f->dir, &err);
    *state = f;
    if (!f->supervisor)
        return -1;
    supervisor_watch (f->supervisor, on_restart, f);
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    supervisor_destroy (&f->supervisor);
    fs_remove (f->dir, NULL);
    buf_free (&f->restarted);
    free (f);
    return 0;
}

static void start (const fixture_t *f, const char *name, const char *script, const char *again,
                   supervise_t how)
{
    err_t err = {0};
    const char *argv[] = {"/bin/sh", "-c", script, f->dir, NULL}; /* the folder is $0 */
    assert_int_equal (supervisor_add (f->supervisor, name, argv, again, how, &err), 0);
}

/*  Turns until somebody was started again that often, or an error. */
static int turn_until (const fixture_t *f, int restarts, err_t *err)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (supervisor_turn (f->supervisor, err) != 0)
            return -1;
        if (f->restarts >= restarts)
            return 0;
        nap ();
    }
    fail_msg ("%d restarts, %d wanted", f->restarts, restarts);
    return 0;
}

/*  Waits until a file of the folder has a line, and gives that. */
static char *first_line (const fixture_t *f, const char *name, buf_t *content)
{
    char path[FS_PATH_MAX];
    assert_int_equal (fs_join (path, f->dir, name, NULL), 0);
    for (int i = 0; i < PATIENCE; i++) {
        buf_clear (content);
        err_t err = {0};
        if (fs_read (path, 1 << 20, content, &err) == 0 && strchr (content->data, '\n'))
            return content->data;
        nap ();
    }
    fail_msg ("no line in %s", path);
    return NULL;
}

/*  ---- tests ---------------------------------------------------------------------------------- */

static void one_that_ends_with_0_is_done (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    start (f, "trainer", "exit 0", NULL, SUPERVISE_UNTIL);
    for (int i = 0; i < PATIENCE && !supervisor_done (f->supervisor, "trainer"); i++) {
        assert_int_equal (supervisor_turn (f->supervisor, &err), 0);
        nap ();
    }
    assert_true (supervisor_done (f->supervisor, "trainer"));
    assert_int_equal (f->restarts, 0);
}

static void a_service_that_ends_is_started_again_after_a_pause (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    buf_t seen = {0};
    start (f, "agent",
           "echo \"begun $*\" >>\"$0/begun\"; [ \"$1\" = --resume ] && exec sleep 100; kill -9 $$",
           "--resume", SUPERVISE_ALWAYS);
    assert_int_equal (turn_until (f, 1, &err), 0);
    for (int i = 0; i < 20; i++) { /* the clock stands: it is not time yet */
        assert_int_equal (supervisor_turn (f->supervisor, &err), 0);
        nap ();
    }
    assert_string_equal (first_line (f, "begun", &seen), "begun \n");
    now_ms += 200;
    assert_int_equal (supervisor_turn (f->supervisor, &err), 0);
    for (int i = 0; i < PATIENCE && !strstr (first_line (f, "begun", &seen), "--resume"); i++)
        nap ();
    assert_string_equal (seen.data, "begun \nbegun --resume\n");
    assert_int_equal (f->restarts, 1);
    buf_free (&seen);
}

static void one_that_always_crashes_is_given_up (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    int rc = 0, restarts = 0;
    start (f, "agent", "echo 'cannot do that' >&2; exit 3", NULL, SUPERVISE_ALWAYS);
    while (rc == 0 && restarts < 100) {
        rc = turn_until (f, restarts + 1, &err);
        restarts += rc == 0;
        now_ms += 15000; /* longer than any pause, shorter than a steady run */
    }
    assert_int_equal (restarts, 8);
    assert_non_null (strstr (err.text, "agent ended with status 3 9 times in a row"));
    assert_non_null (strstr (err.text, "cannot do that"));
    assert_non_null (strstr (err.text, "agent.log"));
}

static void one_that_ran_long_may_crash_again_and_again (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    start (f, "agent", "exit 3", NULL, SUPERVISE_ALWAYS);
    for (int restarts = 1; restarts <= 20; restarts++) {
        now_ms += 25000; /* between its start and when its end is seen */
        assert_int_equal (turn_until (f, restarts, &err), 0);
        now_ms += 200;
        assert_int_equal (supervisor_turn (f->supervisor, &err), 0);
    }
}

static void what_would_fail_again_is_not_tried_again (void **state)
{
    fixture_t *f = *state;
    static const struct {
        int status;
        err_code_t code;
    } cases[] = {{78, ERR_CONFIG}, {74, ERR_FULL}, {75, ERR_TIMEOUT}};
    for (size_t i = 0; i < 3; i++) {
        err_t err = {0};
        char script[128];
        snprintf (script, sizeof script,
                  "printf 'the last words' >&$QUINTET_LAST_WORDS; echo more >&2; exit %d",
                  cases[i].status);
        start (f, "trainer", script, NULL, SUPERVISE_UNTIL);
        assert_int_equal (turn_until (f, 1, &err), -1);
        assert_int_equal (err.code, cases[i].code);
        assert_string_equal (err.text, "trainer: the last words");
        supervisor_remove (f->supervisor, "trainer");
    }
    assert_int_equal (f->restarts, 0);
}

static void whoever_watches_is_called_before_a_restart (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    start (f, "agent", "kill -9 $$", NULL, SUPERVISE_ALWAYS);
    assert_int_equal (turn_until (f, 1, &err), 0);
    supervisor_remove (f->supervisor, "agent");
    start (f, "reward", "exit 75", NULL,
           SUPERVISE_ALWAYS); /* a service's deadline is its own affair */
    assert_int_equal (turn_until (f, 2, &err), 0);
    assert_string_equal (f->restarted.data,
                         "agent was killed by signal 9\nreward ended with status 75\n");
}

/*  A service that is asked twice gives up what it would write down at its end. */
static void one_is_asked_to_end_once (void **state)
{
    fixture_t *f = *state;
    buf_t seen = {0};
    for (int i = 0; i < 20; i++) {
        start (f, "trainer",
               "trap 'echo asked >>\"$0/asked\"; n=0; while [ $n -lt 2000 ]; do n=$((n+1)); done; "
               "exit' "
               "TERM; echo up >\"$0/up\"; while :; do sleep 0.01; done",
               NULL, SUPERVISE_UNTIL);
        first_line (f, "up", &seen);
        supervisor_remove (f->supervisor, "trainer");
        assert_string_equal (first_line (f, "asked", &seen), "asked\n");
        char path[FS_PATH_MAX];
        assert_int_equal (fs_join (path, f->dir, "asked", NULL), 0);
        unlink (path);
        assert_int_equal (fs_join (path, f->dir, "up", NULL), 0);
        unlink (path);
    }
    buf_free (&seen);
}

static void without_last_words_the_log_tells (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    start (f, "bus", "echo one >&2; echo 'two, the last' >&2; exit 78", NULL, SUPERVISE_ALWAYS);
    assert_int_equal (turn_until (f, 1, &err), -1);
    char wanted[300];
    snprintf (wanted, sizeof wanted, "bus: two, the last (its log: %s/bus.log)", f->dir);
    assert_string_equal (err.text, wanted);
    supervisor_remove (f->supervisor, "bus");
    supervisor_forget_logs (f->supervisor);
    start (f, "again", "echo gone >&2; exit 78", NULL, SUPERVISE_ALWAYS);
    assert_int_equal (turn_until (f, 1, &err), -1);
    assert_string_equal (err.text, "again: gone");
}

static void a_missing_program_is_named (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    const char *argv[] = {"/nowhere/program", NULL};
    assert_int_equal (supervisor_add (f->supervisor, "x", argv, NULL, SUPERVISE_ALWAYS, &err), 0);
    assert_int_equal (turn_until (f, 1, &err), -1);
    assert_non_null (strstr (err.text, "/nowhere/program: No such file"));
}

/*  What is open here without O_CLOEXEC, as a caller's pipe or a library's socket may be. */
/*  Two long names that begin alike must not become one name, and one log. */
static void a_name_too_long_is_refused (void **state)
{
    fixture_t *f = *state;
    const char *const argv[] = {"/bin/true", NULL};
    err_t err = {0};
    char name[80];
    memset (name, 'n', sizeof name);
    name[64] = 0;
    assert_int_equal (supervisor_add (f->supervisor, name, argv, NULL, SUPERVISE_UNTIL, &err), -1);
    assert_int_equal (err.code, ERR_LIMIT);
    assert_non_null (strstr (err.text, name));
    name[63] = 0;
    assert_int_equal (supervisor_add (f->supervisor, name, argv, NULL, SUPERVISE_UNTIL, &err), 0);
}

static void a_child_gets_no_open_file (void **state)
{
    fixture_t *f = *state;
    int leaky[2], low = open ("/dev/zero", O_RDONLY);
    struct stat st;
    buf_t seen = {0};
    assert_int_equal (pipe (leaky), 0);
    assert_int_equal (fstat (leaky[0], &st), 0);
    start (f, "lister", "ls -l /proc/self/fd >\"$0/list\"; echo >>\"$0/list\"; exec sleep 100",
           NULL, SUPERVISE_ALWAYS);
    char inode[64];
    snprintf (inode, sizeof inode, "pipe:[%lu]", (unsigned long) st.st_ino);
    first_line (f, "list", &seen);
    for (int i = 0; i < PATIENCE && !strstr (seen.data, "\n\n"); i++) {
        nap ();
        first_line (f, "list", &seen);
    }
    if (strstr (seen.data, inode) || strstr (seen.data, "/dev/zero"))
        fail_msg ("%s or /dev/zero came along:\n%s", inode, seen.data);
    assert_non_null (strstr (seen.data, "0 -> /dev/null"));
    buf_free (&seen);
    close (leaky[0]);
    close (leaky[1]);
    close (low);
}

/*  Whether it is gone, or a zombie that waits for its parent. */
static bool gone (pid_t pid)
{
    char path[64], line[256] = "";
    snprintf (path, sizeof path, "/proc/%ld/stat", (long) pid);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read (fd, line, sizeof line - 1) : 0;
    if (fd >= 0)
        close (fd);
    const char *end = n > 0 ? strrchr (line, ')') : NULL;
    return !end || end[2] == 'Z' || end[2] == 'X';
}

static bool goes (pid_t pid)
{
    for (int i = 0; i < PATIENCE && !gone (pid); i++)
        nap ();
    return gone (pid);
}

static void the_end_takes_those_who_do_not_listen_and_their_children (void **state)
{
    fixture_t *f = *state;
    buf_t seen = {0};
    start (f, "deaf",
           "trap '' TERM; sleep 100 & echo \"$$ $!\" >\"$0/pids\"; while :; do sleep 1; done", NULL,
           SUPERVISE_ALWAYS);
    char *rest, *line = first_line (f, "pids", &seen);
    pid_t parent = (pid_t) strtol (line, &rest, 10), child = (pid_t) strtol (rest, NULL, 10);
    assert_true (parent > 0 && child > 0 && !gone (parent) && !gone (child));
    int64_t before = now_ms;
    supervisor_destroy (&f->supervisor);
    assert_true (gone (parent));
    assert_true (goes (child));
    assert_in_range (now_ms - before, 1, 2000); /* by the supervisor's own clock */
    buf_free (&seen);
}

/*  A child that may take longer has that time, and no more; a hurry ends it at once. */
static bool always (void *context, const char *name, int64_t left_ms)
{
    *(int64_t *) context = left_ms;
    return strcmp (name, "deaf") == 0;
}

static void one_that_saves_has_the_time_that_it_was_allowed (void **state)
{
    fixture_t *f = *state;
    static const struct {
        int64_t allowed, least, most;
        bool hurry;
    } cases[] = {{0, 1500, 2000, false},
                 {9000, 9000, 9500, false},
                 {99000, 30000, 30500, false},
                 {9000, 0, 100, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_t seen = {0};
        int64_t left = 0;
        char path[FS_PATH_MAX];
        start (f, "deaf", "trap '' TERM; echo up >\"$0/deaf-up\"; while :; do sleep 1; done", NULL,
               SUPERVISE_UNTIL);
        first_line (f, "deaf-up", &seen);
        if (cases[i].allowed)
            supervisor_allow (f->supervisor, "deaf", cases[i].allowed);
        if (cases[i].hurry)
            supervisor_hurry (f->supervisor, always, &left);
        int64_t before = now_ms;
        awaited = false; /* it does not listen, however long that is */
        supervisor_remove (f->supervisor, "deaf");
        awaited = true;
        assert_in_range (now_ms - before, cases[i].least, cases[i].most);
        assert_true (!cases[i].hurry || left > 8000);
        assert_int_equal (fs_join (path, f->dir, "deaf-up", NULL), 0);
        unlink (path);
        buf_free (&seen);
    }
}

/*  Its parent, a shell, is killed and takes nobody along; it has a session of its own. */
static void the_end_takes_orphans (void **state)
{
    fixture_t *f = *state;
    buf_t seen = {0};
    start (f, "shell", "setsid sh -c 'sleep 100 & echo $! >\"$0\"; wait' \"$0/orphan\" & wait",
           NULL, SUPERVISE_ALWAYS);
    pid_t orphan = (pid_t) strtol (first_line (f, "orphan", &seen), NULL, 10);
    assert_false (gone (orphan));
    supervisor_destroy (&f->supervisor);
    assert_true (gone (orphan));
    buf_free (&seen);
}

static void removing_one_leaves_the_others (void **state)
{
    fixture_t *f = *state;
    buf_t seen = {0};
    start (f, "a", "echo $$ >\"$0/a\"; exec sleep 100", NULL, SUPERVISE_ALWAYS);
    start (f, "b", "echo $$ >\"$0/b\"; exec sleep 100", NULL, SUPERVISE_ALWAYS);
    pid_t a = (pid_t) strtol (first_line (f, "a", &seen), NULL, 10);
    pid_t b = (pid_t) strtol (first_line (f, "b", &seen), NULL, 10);
    supervisor_remove (f->supervisor, "a");
    assert_true (gone (a));
    assert_false (gone (b));
    buf_free (&seen);
}

/*  In a process of its own: a supervisor that is killed. */
static void supervise_and_wait (const fixture_t *f)
{
    start (f, "orphan", "echo $$ >\"$0/orphan\"; exec sleep 100", NULL, SUPERVISE_ALWAYS);
    for (;;)
        pause ();
}

static void children_die_with_a_killed_supervisor (void **state)
{
    fixture_t *f = *state;
    buf_t seen = {0};
    pid_t middle = fork ();
    assert_true (middle >= 0);
    if (middle == 0)
        supervise_and_wait (f);
    pid_t child = (pid_t) strtol (first_line (f, "orphan", &seen), NULL, 10);
    assert_false (gone (child));
    kill (middle, SIGKILL);
    waitpid (middle, NULL, 0);
    assert_true (goes (child));
    buf_free (&seen);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (one_that_ends_with_0_is_done),
        TEST (a_service_that_ends_is_started_again_after_a_pause),
        TEST (one_that_always_crashes_is_given_up),
        TEST (one_that_ran_long_may_crash_again_and_again),
        TEST (what_would_fail_again_is_not_tried_again),
        TEST (whoever_watches_is_called_before_a_restart),
        TEST (one_is_asked_to_end_once),
        TEST (without_last_words_the_log_tells),
        TEST (a_missing_program_is_named),
        TEST (a_name_too_long_is_refused),
        TEST (a_child_gets_no_open_file),
        TEST (the_end_takes_those_who_do_not_listen_and_their_children),
        TEST (one_that_saves_has_the_time_that_it_was_allowed),
        TEST (the_end_takes_orphans),
        TEST (removing_one_leaves_the_others),
        TEST (children_die_with_a_killed_supervisor),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
