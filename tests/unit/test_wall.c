/* with: services/reward/ */
/*  What stands behind the filter of system calls. tests/integration/test_gvisor runs the programs
 *  in gVisor too, where QUINTET_SANDBOX says runsc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "sandbox_fixture.h"

static void a_wall_that_does_not_stand_here_is_refused (void **state)
{
    (void) state;
    err_t err = {0};
    wall_t wall = WALL_RUNSC;
    assert_int_equal (wall_read ("brick", &wall, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "--sandbox 'brick'"));
    if (getenv ("QUINTET_SANDBOX")) /* this is gVisor */
        return;
    err = (err_t){0};
    assert_int_equal (wall_read ("runsc", &wall, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    if (!strstr (err.text, "this is not gVisor") && !strstr (err.text, "leave the option out"))
        fail_msg ("%s", err.text);
    assert_int_equal (wall_read ("landlock", &wall, &err), 0);
    assert_int_equal (wall, WALL_LANDLOCK);
}

/*  KEY is a file that anybody may read, SERVICE this process. */
static const struct {
    const char *end, *program;
} programs[] = {
    {"right", "def main(xs):\n    return sum(xs)"},
    {"right", "import resource\ndef main(xs):\n" /* nothing can be opened by any call */
              "    return 3 if resource.getrlimit(resource.RLIMIT_NOFILE) == (0, 0) else 0"},
    {"wrong", "def main(xs):\n    return 4"},
    {"forbidden", "def main(xs):\n    return len(open('KEY').read())"},
    {"forbidden", "import os\ndef main(xs):\n    return len(os.read(os.open('KEY', 0), 9))"},
    {"forbidden", "def main(xs):\n    return len(open('/proc/SERVICE/environ').read())"},
    {"forbidden", "def main(xs):\n    return len(open('/proc/SERVICE/mem', 'rb').read(9))"},
    {"forbidden", "import os\ndef main(xs):\n    return os.listdir('/')"},
    {"forbidden", "import os\ndef main(xs):\n    return os.stat('KEY').st_size"},
    {"forbidden", "import os\ndef main(xs):\n    os.unlink('KEY')\n    return 3"},
    {"forbidden", "import socket\ndef main(xs):\n    return socket.socket().fileno()"},
    {"forbidden", "import socket\ndef main(xs):\n    return len(socket.socketpair())"},
    {"forbidden", "import os\ndef main(xs):\n    return os.fork()"},
    {"forbidden", "import os\ndef main(xs):\n    os.execv('/bin/sh', ['sh'])"},
    {"forbidden", "import os\ndef main(xs):\n    os.kill(SERVICE, 0)\n    return 3"},
    {"forbidden", "import os\ndef main(xs):\n    return os.dup(3)"},
    {"forbidden", "import os\ndef main(xs):\n    return os.memfd_create('x')"},
    {"memory", "def main(xs):\n    return len([bytes(1 << 20) for i in range(1 << 20)])"},
    {"cpu", "def main(xs):\n    while True:\n        pass"},
    {"stuck", "import threading\ndef main(xs):\n    threading.Lock().acquire()\n"
              "    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()"},
};

/*  A copy of text with the names in it replaced. */
static char *fill_in (const char *text, const char *key)
{
    buf_t program = {0};
    while (*text)
        if (strncmp (text, "KEY", 3) == 0) {
            buf_text (&program, key);
            text += 3;
        } else if (strncmp (text, "SERVICE", 7) == 0) {
            buf_printf (&program, "%d", (int) getpid ());
            text += 7;
        } else {
            buf_char (&program, *text++);
        }
    return buf_take (&program);
}

static const char *end_of (const json_t *answer)
{
    const char *killed = json_string_value (json_object_get (answer, "killed"));
    const json_t *result = json_array_get (json_object_get (answer, "results"), 0),
                 *value = json_array_get (result, 1);
    if (killed)
        return killed;
    if (json_is_integer (value))
        return json_integer_value (value) == 3 ? "right" : "wrong";
    return strncmp (json_string_value (value), "forbidden", 9) == 0 ? "forbidden" : "error";
}

/*  The last ones end by their limits; the others must not, however busy the machine is. */
static void programs_reach_nothing (void **state)
{
    char key[] = "/tmp/quintet-key-XXXXXX";
    int fd = mkstemp (key);
    assert_true (fd >= 0 && write (fd, "secret", 6) == 6 && fchmod (fd, 0666) == 0);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        err_t err = {0};
        char *program = fill_in (programs[i].program, key);
        double cpu_s = strcmp (programs[i].end, "cpu") == 0 ? 1 : 60;
        json_t *request = json_pack ("{s:s, s:[[s, [[i, i]]]], s:s, s:f, s:f, s:i}", "program",
                                     program, "calls", "main", 1, 2, "watch", "", "cpu_s", cpu_s,
                                     "cpu_total_s", 2 * cpu_s, "memory", 64 << 20),
               *answer = sandbox_run (*state, request, &err);
        if (!answer)
            fail_msg ("%s: %s", program, err.text);
        if (strcmp (end_of (answer), programs[i].end) != 0)
            fail_msg ("%s: %s, not %s", program, json_dumps (answer, JSON_COMPACT),
                      programs[i].end);
        json_decref (answer);
        json_decref (request);
        free (program);
    }
    struct stat st;
    assert_int_equal (fstat (fd, &st), 0);
    assert_int_equal (st.st_nlink, 1);
    assert_int_equal (st.st_size, 6);
    close (fd);
    unlink (key);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_wall_that_does_not_stand_here_is_refused),
        cmocka_unit_test_setup_teardown (programs_reach_nothing, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
