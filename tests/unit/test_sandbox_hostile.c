/* with: services/reward/ */
/*  Programs that want more than to compute. Every one is run twice in one sandbox and once in
 *  another: it must come to the end that the table says, the same answer to the bit each time, and
 *  leave nothing behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../services/reward/sandbox.h"
#include "base/buf.h"
#include "base/embed.h"
#include "sandbox_wall.h"

EMBED (hostile_source, "tests/unit/hostile.py")

#define HOSTILE_MAX 256

typedef struct {
    char end[16], name[96];
    char *program;
} hostile_t;

typedef struct {
    sandbox_t *first, *second;
    pid_t victim;
    char dir[64];
    hostile_t hostile[HOSTILE_MAX]; /* as hostile.py lists them */
    size_t n;
} stage_t;

static void read_programs (stage_t *stage)
{
    for (const char *at = strstr (hostile_source, "\n#: "); at; stage->n++) {
        hostile_t *h = &stage->hostile[stage->n];
        assert_true (stage->n < HOSTILE_MAX);
        assert_int_equal (sscanf (at + 1, "#: %15[a-z]: %95[^\n]", h->end, h->name), 2);
        const char *text = strchr (at + 1, '\n') + 1;
        at = strstr (text, "\n#: ");
        h->program = at ? strndup (text, (size_t) (at - text)) : strdup (text);
        assert_non_null (h->program);
    }
}

static int setup (void **state)
{
    stage_t *stage = calloc (1, sizeof *stage);
    char path[96];
    err_t err = {0};
    *state = stage;
    snprintf (stage->dir, sizeof stage->dir, "/tmp/quintet-hostile-XXXXXX");
    if (!stage || !mkdtemp (stage->dir) || chmod (stage->dir, 0777) != 0)
        return -1;
    snprintf (path, sizeof path, "%s/file", stage->dir);
    FILE *file = fopen (path, "we");
    if (!file || fputs ("kept", file) < 0 || fclose (file) != 0 || chmod (path, 0666) != 0)
        return -1;
    read_programs (stage);
    if ((stage->victim = fork ()) == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause ();
    }
    stage->first = sandbox_new ("", sandbox_wall (), &err);
    stage->second = stage->first ? sandbox_new ("", sandbox_wall (), &err) : NULL;
    if (!stage->second)
        print_error ("%s\n", err.text);
    return stage->second && stage->victim > 0 ? 0 : -1;
}

static int teardown (void **state)
{
    stage_t *stage = *state;
    char path[96];
    sandbox_destroy (&stage->first);
    sandbox_destroy (&stage->second);
    kill (stage->victim, SIGKILL);
    waitpid (stage->victim, NULL, 0);
    snprintf (path, sizeof path, "%s/file", stage->dir);
    unlink (path);
    rmdir (stage->dir);
    for (size_t i = 0; i < stage->n; i++)
        free (stage->hostile[i].program);
    free (stage);
    return 0;
}

static void fill_in (const stage_t *stage, const char *text, buf_t *program)
{
    for (; *text; text++)
        if (strncmp (text, "@DIR@", 5) == 0) {
            buf_text (program, stage->dir);
            text += 4;
        } else if (strncmp (text, "@VICTIM@", 8) == 0) {
            buf_printf (program, "%d", (int) stage->victim);
            text += 7;
        } else {
            buf_char (program, *text);
        }
}

/*  Seconds of CPU: how many a program takes to use up its memory depends on the machine. */
#define SHORT_S 0.5
#define LONG_S  30.0

static json_t *run (const stage_t *stage, sandbox_t *sandbox, const char *text, double cpu_s)
{
    buf_t program = {0};
    err_t err = {0};
    fill_in (stage, text, &program);
    json_t *request = json_pack ("{s:s, s:[[s, [[i, i]]]], s:s, s:f, s:f, s:i}", "program",
                                 program.data, "calls", "main", 1, 2, "watch", "", "cpu_s", cpu_s,
                                 "cpu_total_s", 2 * cpu_s, "memory", 128 << 20);
    json_t *answer = sandbox_run (sandbox, request, &err);
    sandbox_rest (sandbox); /* as who scores does */
    if (!answer)
        fail_msg ("%s: %s", text, err.text);
    json_decref (request);
    buf_free (&program);
    return answer;
}

static const char *end_of (const json_t *answer)
{
    const char *killed = json_string_value (json_object_get (answer, "killed"));
    const json_t *result = json_array_get (json_object_get (answer, "results"), 0),
                 *value = json_array_get (result, 1);
    const char *kind = json_string_value (json_array_get (result, 0));
    if (killed || !kind)
        return killed ? killed : "error";
    if (strcmp (kind, "value") == 0)
        return json_integer_value (value) == 3 ? "right" : "wrong";
    if (strcmp (kind, "crossing") == 0)
        return kind;
    static const char *const limits[] = {"forbidden", "memory"};
    for (size_t i = 0; i < 2; i++)
        if (strncmp (json_string_value (value), limits[i], strlen (limits[i])) == 0)
            return limits[i];
    return "error";
}

static size_t count (const char *folder)
{
    size_t n = 0;
    DIR *dir = opendir (folder);
    assert_non_null (dir);
    while (readdir (dir))
        n++;
    closedir (dir);
    return n;
}

/*  Children of this process: the victim and the sandboxes' interpreters. Each of those has in its
 *  group a finder and the fork that is ready, or just being made, for the next program: they are
 *  not counted, and there is no third one. */
static size_t children (void)
{
    size_t n = 0, leaders = 0, forks = 0;
    DIR *dir = opendir ("/proc");
    assert_non_null (dir);
    for (struct dirent *e; (e = readdir (dir));) {
        char path[280];
        int pid = 0, parent = 0, group = 0;
        snprintf (path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *file = *e->d_name >= '1' && *e->d_name <= '9' ? fopen (path, "re") : NULL;
        if (file && fscanf (file, "%d (%*[^)]) %*c %d %d", &pid, &parent, &group) == 3 &&
            parent == getpid ()) {
            bool fork = group != pid && group != getpgrp ();
            n += !fork;
            leaders += group == pid;
            forks += fork;
        }
        if (file)
            fclose (file);
    }
    closedir (dir);
    assert_true (forks <= 2 * leaders);
    return n;
}

static void check_traces (const stage_t *stage, const char *name)
{
    char path[96], text[8] = "";
    struct stat st;
    snprintf (path, sizeof path, "%s/file", stage->dir);
    FILE *file = fopen (path, "re");
    if (!file || !fgets (text, sizeof text, file) || strcmp (text, "kept") != 0)
        fail_msg ("%s: it reached a file", name);
    fclose (file);
    assert_int_equal (stat (path, &st), 0);
    assert_int_equal (st.st_mode & 0777, 0666);
    if (count (stage->dir) != 3)
        fail_msg ("%s: it left something in a folder", name);
    if (waitpid (stage->victim, NULL, WNOHANG) != 0)
        fail_msg ("%s: it ended another process", name);
}

static void run_one (const stage_t *stage, const hostile_t *hostile)
{
    double cpu_s = strcmp (hostile->end, "memory") == 0 ? LONG_S : SHORT_S;
    json_t *answer = run (stage, stage->first, hostile->program, cpu_s);
    sandbox_t *others[] = {stage->first, stage->second};
    char *text = json_dumps (answer, JSON_COMPACT);
    if (strcmp (end_of (answer), hostile->end) != 0)
        fail_msg ("%s: %s, not %s: %s", hostile->name, end_of (answer), hostile->end, text);
    for (size_t i = 0; i < 2; i++) {
        json_t *again = run (stage, others[i], hostile->program, cpu_s);
        char *more = json_dumps (again, JSON_COMPACT);
        if (!json_equal (answer, again))
            fail_msg ("%s: %s, and then %s", hostile->name, text, more);
        free (more);
        json_decref (again);
    }
    json_decref (answer);
    free (text);
}

static void none_passes_and_all_end_the_same_way (void **state)
{
    const stage_t *stage = *state;
    static const char honest[] = "import math\ndef main(xs):\n    return sum(xs)\n";
    assert_true (stage->n >= 60);
    json_t *right = run (stage, stage->first, honest, SHORT_S);
    assert_string_equal (end_of (right), "right");
    json_decref (run (stage, stage->first, "def main(xs):\n    return 1\n", SHORT_S));
    json_decref (run (stage, stage->second, honest, SHORT_S));
    json_decref (run (stage, stage->second, "def main(xs):\n    return 1\n", SHORT_S));
    size_t fds = count ("/proc/self/fd"), processes = children ();
    for (size_t i = 0; i < stage->n; i++) {
        run_one (stage, &stage->hostile[i]);
        check_traces (stage, stage->hostile[i].name);
        json_t *again = run (stage, stage->first, honest, SHORT_S);
        assert_true (json_equal (right, again));
        json_decref (again);
    }
    assert_int_equal (children (), processes);
    assert_int_equal (count ("/proc/self/fd"), fds);
    json_decref (right);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (none_passes_and_all_end_the_same_way, setup, teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
