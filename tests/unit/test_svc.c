/* with: services/bus/ */
/*  Command lines, and the run time of a service: a small one, in a process of its own, at a real
 *  bus. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../services/bus/actors.h"
#include "base/clock.h"
#include "base/fs.h"
#include "bus/authority.h"
#include "bus/bus.h"
#include "svc/args.h"
#include "svc/svc.h"

#define PATIENCE_MS 60000
#define PIPE        "QUINTET_TEST_PIPE" /* in the environment: where a busy service waits */
#define AS_SERVICE  "as-service"        /* the first word when this program plays a service */

/*  ---- args ---------------------------------------------------------------------------------- */

static const args_option_t options[] = {{"--rows", "N", "256", "completions at once"},
                                        {"--set", "KEY=VALUE...", NULL, "override a key"},
                                        {"--json", NULL, NULL, "as JSON"},
                                        {0}};
static const args_spec_t spec = {.program = "quintet-x",
                                 .about = "Does x.\n\n  quintet-x --rows 3 file\n",
                                 .positional = "[FILE]",
                                 .options = options,
                                 .environment = true};

#define PARSE(err, ...)                                                                            \
    parse (err, (char *[]){(char *) "x", __VA_ARGS__},                                             \
           sizeof ((char *[]){(char *) "x", __VA_ARGS__}) / sizeof (char *))
#define W(word) ((char *) (uintptr_t) (word))

static args_t *parse (err_t *err, char **argv, size_t n)
{
    *err = (err_t){0};
    return args_parse (&spec, (int) n, argv, err);
}

static void options_have_values_and_fallbacks (void **state)
{
    (void) state;
    err_t err;
    size_t n;
    long long rows;
    unsetenv ("QUINTET_ROWS");
    args_t *args = PARSE (&err, W ("--set"), W ("a=1"), W ("file"), W ("--set=b=2"), W ("--json"));
    assert_non_null (args);
    assert_string_equal (args_value (args, "--rows"), "256");
    assert_false (args_given (args, "--rows"));
    assert_string_equal (args_positional (args), "file");
    assert_true (args_flag (args, "--json"));
    const char *const *sets = args_repeated (args, "--set", &n);
    assert_int_equal (n, 2);
    assert_string_equal (sets[0], "a=1");
    assert_string_equal (sets[1], "b=2");
    args_destroy (&args);
    setenv ("QUINTET_ROWS", "17", 1);
    args = PARSE (&err, W ("file"));
    assert_int_equal (args_number (args, "--rows", 1, 100, &rows, &err), 0);
    assert_int_equal (rows, 17);
    args_destroy (&args);
    args = PARSE (&err, W ("--rows=18"));
    assert_string_equal (args_value (args, "--rows"), "18"); /* the line goes before */
    args_destroy (&args);
    unsetenv ("QUINTET_ROWS");
    args = PARSE (&err, W ("--json"), W ("--"), W ("--rows")); /* behind -- nothing is an option */
    assert_non_null (args);
    assert_true (args_flag (args, "--json"));
    assert_string_equal (args_positional (args), "--rows");
    args_destroy (&args);
}

static void is_refused (args_t *args, const err_t *err, const char *wanted)
{
    assert_null (args);
    assert_int_equal (err->code, ERR_CONFIG);
    if (!strstr (err->text, wanted))
        fail_msg ("'%s' holds no '%s'", err->text, wanted);
}

static void what_is_wrong_is_named (void **state)
{
    (void) state;
    err_t err;
    is_refused (PARSE (&err, W ("--row"), W ("3")), &err,
                "--row: no such option; did you mean --rows");
    is_refused (PARSE (&err, W ("--rows")), &err, "--rows: its value N is missing");
    is_refused (PARSE (&err, W ("--json=1")), &err, "--json takes no value");
    is_refused (PARSE (&err, W ("--rows=1"), W ("--rows=2")), &err, "--rows is given twice");
    is_refused (PARSE (&err, W ("one"), W ("two")), &err, "two");
    is_refused (PARSE (&err, W ("one"), W ("--"), W ("--two")), &err, "'--two': one argument");
}

static void real_numbers_are_finite_and_within_bounds (void **state)
{
    (void) state;
    static const char *const wrong[] = {"", "abc", "3x", "nan", "inf", "-0.1", "100.5", "1e999"};
    err_t err;
    double value = -1;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char word[64];
        snprintf (word, sizeof word, "--rows=%s", wrong[i]);
        args_t *args = PARSE (&err, word);
        assert_int_equal (args_real (args, "--rows", 0, 100, &value, &err), -1);
        assert_int_equal (err.code, ERR_CONFIG);
        args_destroy (&args);
    }
    args_t *args = PARSE (&err, W ("--rows=2.5e-1"));
    assert_int_equal (args_real (args, "--rows", 0, 100, &value, &err), 0);
    assert_true (value > 0.2499 && value < 0.2501);
    args_destroy (&args);
}

static void numbers_are_whole_and_within_bounds (void **state)
{
    (void) state;
    static const char *const wrong[] = {"", "x", "3x", "1.5", "0", "101", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char word[64];
        err_t err;
        long long rows = -7;
        snprintf (word, sizeof word, "--rows=%s", wrong[i]);
        args_t *args = PARSE (&err, word);
        assert_non_null (args);
        assert_int_equal (args_number (args, "--rows", 1, 100, &rows, &err), -1);
        assert_int_equal (err.code, ERR_CONFIG);
        assert_non_null (strstr (err.text, "--rows"));
        assert_int_equal (rows, -7);
        args_destroy (&args);
    }
}

/*  ---- a service in a process of its own ------------------------------------------------------ */

static int open_ (svc_run_t *run, void **state, err_t *err)
{
    *state = run;
    const char *fails = args_value (svc_args (run), "--fails");
    if (strcmp (fails, "configuration") == 0)
        return err_set (err, ERR_CONFIG, "the key is wrong");
    if (strcmp (fails, "disk") == 0)
        return err_set (err, ERR_FULL, "no room");
    return *fails ? err_set (err, ERR_IO, "broken") : 0;
}

static uint64_t asked; /* the request that waits for what another service says */

/*  Computes, so to say, until the test lets it go on: it opens the pipe at the other end. */
static void wait_for_word (void)
{
    char word;
    int fd = open (getenv (PIPE), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read (fd, &word, 1) < 0)
        perror ("pipe");
    close (fd);
}

static void on_echo (svc_run_t *run, const bus_item_t *item)
{
    err_t err = {0};
    if (item->size == 3 && memcmp (item->payload, "ask", 3) == 0) {
        asked = item->id;
        bus_call (svc_bus (run), "other", "test/other", "", 0, 60000);
        return;
    }
    if (item->size == 4 && memcmp (item->payload, "busy", 4) == 0)
        wait_for_word ();
    if (item->size == 4 && memcmp (item->payload, "fail", 4) == 0) {
        bus_refuse (svc_bus (run), item->id, ERR_INPUT, "as you wish");
        err_set (&err, ERR_FULL, "failed while it ran");
        svc_fail (run, &err);
        return;
    }
    bus_reply (svc_bus (run), item->id, item->payload, item->size);
}

static void on_item (svc_run_t *run, const bus_item_t *item)
{
    if (item->kind == BUS_REPLY)
        bus_reply (svc_bus (run), asked, item->payload, item->size);
}

/*  Goes on, and says so, or ends. */
static bool on_refused (svc_run_t *run, const err_t *why)
{
    bool goes_on = args_flag (svc_args (run), "--alone");
    if (goes_on)
        fprintf (stderr, "alone: %s\n", why->text);
    return goes_on;
}

static int alone (svc_run_t *run)
{
    if (!svc_bus (run) && !svc_stopping (run)) {
        fprintf (stderr, "works on\n");
        svc_stop (run, 3);
    }
    return -1;
}

static const svc_t service = {.name = "echo",
                              .about = "Says what it is told.\n\n  quintet-echo\n",
                              .credit = 2,
                              .options = {{"--fails", "HOW", "", "at its start"},
                                          {"--alone", NULL, NULL, "without a bus if need be"}},
                              .routes = {{"echo", on_echo}},
                              .open = open_,
                              .on_item = on_item,
                              .work = alone,
                              .refused = on_refused};

typedef struct {
    char dir[64], address[96];
    actors_t *actors;
    pid_t pid;
} fixture_t;

static char *in (const fixture_t *f, const char *name, char path[FS_PATH_MAX])
{
    assert_int_equal (fs_join (path, f->dir, name, NULL), 0);
    return path;
}

static rlim_t files_allowed; /* to the services that are started; 0: as many as to us */

/*  Starts `quintet-echo WORD...`, which is this program again; out, err and words are files of the
 *  folder. */
static pid_t spawn (const fixture_t *f, char **words, size_t n)
{
    static const char *const names[] = {"out", "err", "words"};
    char path[FS_PATH_MAX];
    pid_t pid = fork ();
    assert_true (pid >= 0);
    if (pid)
        return pid;
    for (int i = 0; i < 3; i++) {
        int fd = open (in (f, names[i], path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2 (fd, 10 + i);
    }
    for (int i = 0; i < 3; i++)
        dup2 (10 + i, 1 + i);
    setenv ("QUINTET_LAST_WORDS", "3", 1);
    struct rlimit files = {files_allowed, files_allowed};
    if (files_allowed)
        setrlimit (RLIMIT_NOFILE, &files);
    char *argv[16] = {W ("quintet-echo"), W (AS_SERVICE)};
    memcpy (argv + 2, words, n * sizeof *words);
    execv ("/proc/self/exe", argv);
    _exit (99);
}

static int ending (pid_t pid)
{
    int status = -1;
    assert_int_equal (waitpid (pid, &status, 0), pid);
    assert_true (WIFEXITED (status));
    return WEXITSTATUS (status);
}

#define SPAWN(f, ...)                                                                              \
    spawn (f, (char *[]){__VA_ARGS__}, sizeof ((char *[]){__VA_ARGS__}) / sizeof (char *))
#define RUN(f, ...) ending (SPAWN (f, __VA_ARGS__))

static bool has (const fixture_t *f, const char *name, const char *wanted)
{
    char path[FS_PATH_MAX];
    buf_t content = {0};
    assert_int_equal (fs_read (in (f, name, path), 1 << 20, &content, NULL), 0);
    bool found = content.data && strstr (content.data, wanted);
    buf_free (&content);
    return found;
}

static void holds (const fixture_t *f, const char *name, const char *wanted)
{
    char path[FS_PATH_MAX];
    buf_t content = {0};
    err_t err = {0};
    assert_int_equal (fs_read (in (f, name, path), 1 << 20, &content, &err), 0);
    if (!strstr (content.data, wanted))
        fail_msg ("%s holds no '%s':\n%s", name, wanted, content.data);
    buf_free (&content);
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-svc-XXXXXX");
    if (!mkdtemp (f->dir))
        return -1;
    snprintf (f->address, sizeof f->address, "ipc://%s/bus", f->dir);
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    if (f->pid) {
        kill (f->pid, SIGKILL);
        waitpid (f->pid, NULL, 0);
    }
    actors_destroy (&f->actors);
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static void take_connections (void *to, const char *name, double value)
{
    if (strcmp (name, "connections") == 0)
        *(double *) to = value;
}

/*  How many the bus has. */
static double connections (const fixture_t *f)
{
    double value = -1;
    actors_status (f->actors, take_connections, &value);
    return value;
}

static void every_service_tells_what_it_is (void **state)
{
    fixture_t *f = *state;
    assert_int_equal (RUN (f, W ("--help")), 0);
    holds (f, "out", "Says what it is told.");
    holds (f, "out", "--fails HOW");
    holds (f, "out", "--health");
    assert_int_equal (RUN (f, W ("--version")), 0);
    holds (f, "out", "quintet-echo " QUINTET_VERSION);
}

static void wrong_arguments_end_with_78 (void **state)
{
    fixture_t *f = *state;
    assert_int_equal (RUN (f, W ("--nonsense")), 78);
    holds (f, "err", "--nonsense: no such option");
    assert_int_equal (RUN (f, W ("--bus")), 78);
    holds (f, "err", "--bus: its value ADDRESS is missing");
    assert_int_equal (RUN (f, W ("--threads=many")), 78);
    holds (f, "err", "--threads many");
    assert_int_equal (RUN (f, W ("--log=xml")), 78);
    holds (f, "err", "--log xml: text or json is wanted");
}

static void a_failed_start_leaves_its_status_and_last_words (void **state)
{
    fixture_t *f = *state;
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--fails=configuration")), 78);
    holds (f, "words", "the key is wrong");
    holds (f, "err", "code=bad-configuration");
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--fails=disk")), 74);
    holds (f, "words", "no room");
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--fails=otherwise")), 1);
    holds (f, "words", "broken");
}

static void too_few_file_descriptors_are_named (void **state)
{
    fixture_t *f = *state;
    files_allowed = 48;
    int status = RUN (f, W ("--bus"), f->address);
    files_allowed = 0;
    assert_int_equal (status, 78);
    holds (f, "words", "48 open files are allowed, and quintet-echo needs at least 64");
}

/*  --health gives the bus a second; a machine that is busy otherwise may be late once. */
static void becomes_healthy (fixture_t *f, char *name)
{
    int64_t deadline = clock_ms () + PATIENCE_MS;
    while (RUN (f, W ("--bus"), f->address, name, W ("--health")) != 0)
        assert_true (clock_ms () < deadline);
}

static void without_a_bus_nobody_is_healthy (void **state)
{
    fixture_t *f = *state;
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--health")), 1);
    holds (f, "err", "quintet-echo is not alive");
}

/*  A running service, the bus that it finds, and a client of both. */
static bus_t *running (fixture_t *f)
{
    err_t err = {0};
    f->pid = SPAWN (f, W ("--bus"), f->address, W ("--name"), W ("echo-1"));
    f->actors = actors_new (f->address, NULL, &err);
    assert_non_null (f->actors);
    bus_options_t mine = {.address = f->address, .name = "client", .numerics = ""};
    bus_t *bus = bus_new (&mine, &err);
    assert_non_null (bus);
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), 0);
    return bus;
}

static bus_item_t await (bus_t *bus, bus_kind_t kind)
{
    int64_t deadline = clock_ms () + PATIENCE_MS;
    while (clock_ms () < deadline) {
        bus_item_t item;
        int rc = bus_next (bus, &item, 100, NULL);
        assert_true (rc >= 0);
        if (rc == 1 && item.kind == kind)
            return item;
    }
    fail_msg ("no item of kind %d within %d ms", (int) kind, PATIENCE_MS);
    return (bus_item_t){0};
}

static void a_running_service_answers_tells_and_ends (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    bus_t *bus = running (f);
    bus_call (bus, "echo", "test/1", "hello", 5, PATIENCE_MS);
    bus_item_t item = await (bus, BUS_REPLY);
    assert_int_equal (item.code, ERR_NONE);
    assert_memory_equal (item.payload, "hello", 5);
    assert_string_equal (item.name, "echo-1");
    assert_int_equal (bus_subscribe (bus, "service/echo-1", &err), 0);
    item = await (bus, BUS_EVENT); /* its status */
    assert_string_equal (item.name, "service/echo-1");
    bus_destroy (&bus);
    becomes_healthy (f, W ("--name=")); /* any echo */
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--name"), W ("another"), W ("--health")),
                      1);
    kill (f->pid, SIGTERM);
    pid_t pid = f->pid;
    f->pid = 0;
    assert_int_equal (ending (pid), 0);
}

static void a_busy_service_is_healthy (void **state)
{
    fixture_t *f = *state;
    char path[FS_PATH_MAX];
    assert_int_equal (mkfifo (in (f, "pipe", path), 0600), 0);
    setenv (PIPE, path, 1);
    bus_t *bus = running (f);
    bus_call (bus, "echo", "test/1", "busy", 4, 60000);
    assert_int_equal (bus_next (bus, &(bus_item_t){0}, 0, NULL), 0);
    int word = open (path, O_WRONLY | O_CLOEXEC); /* returns when the service waits there */
    assert_true (word >= 0);
    becomes_healthy (f, W ("--name=")); /* any echo */
    becomes_healthy (f, W ("--name=echo-1"));
    double before = connections (f);
    kill (f->pid, SIGKILL);
    waitpid (f->pid, NULL, 0);
    f->pid = 0;
    while (connections (f) >= before)
        assert_int_equal (bus_next (bus, &(bus_item_t){0}, 5, NULL), 0);
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--health")), 1);
    close (word);
    bus_destroy (&bus);
}

/*  The bus took it for dead meanwhile: as a worker and as a client. */
static void a_service_goes_on_after_a_pause (void **state)
{
    fixture_t *f = *state;
    bus_t *bus = running (f);
    bus_call (bus, "echo", "test/1", "ask", 3, 60000);
    assert_int_equal (bus_serve (bus, "other", 1, NULL), 0);
    await (bus, BUS_REQUEST);
    kill (f->pid, SIGSTOP);
    await (bus, BUS_CANCELLED);
    kill (f->pid, SIGCONT);
    bus_reply (bus, await (bus, BUS_REQUEST).id, "said", 4);
    bus_item_t item = await (bus, BUS_REPLY);
    assert_int_equal (item.code, ERR_NONE);
    assert_memory_equal (item.payload, "said", 4);
    bus_call (bus, "echo", "test/2", "hello", 5, 60000);
    assert_memory_equal (await (bus, BUS_REPLY).payload, "hello", 5);
    bus_destroy (&bus);
}

/*  The bus goes away and comes back: the service says both, and serves again. */
static void a_service_tells_that_the_bus_was_away (void **state)
{
    fixture_t *f = *state;
    bus_t *bus = running (f);
    bus_call (bus, "echo", "test/1", "hello", 5, 60000);
    assert_memory_equal (await (bus, BUS_REPLY).payload, "hello", 5);
    /* A bus that has not answered a heartbeat yet cannot be lost: two statuses lie half a second,
       and with it a heartbeat, apart. */
    err_t err = {0};
    assert_int_equal (bus_subscribe (bus, "service/echo-1", &err), 0);
    for (int i = 0; i < 3; i++)
        await (bus, BUS_EVENT);
    actors_destroy (&f->actors);
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && !has (f, "err", "bus.lost");)
        bus_next (bus, &(bus_item_t){0}, 20, NULL);
    holds (f, "err", "bus.lost");
    f->actors = actors_new (f->address, NULL, NULL);
    assert_non_null (f->actors);
    bus_call (bus, "echo", "test/2", "hello", 5, 60000);
    assert_memory_equal (await (bus, BUS_REPLY).payload, "hello", 5);
    holds (f, "err", "bus.back");
    holds (f, "err", "same=no");
    bus_destroy (&bus);
}

static void what_fails_while_it_runs_leaves_last_words (void **state)
{
    fixture_t *f = *state;
    bus_t *bus = running (f);
    bus_call (bus, "echo", "test/1", "fail", 4, PATIENCE_MS);
    assert_int_equal (await (bus, BUS_REPLY).code, ERR_INPUT);
    bus_destroy (&bus);
    pid_t pid = f->pid;
    f->pid = 0;
    assert_int_equal (ending (pid), 74);
    holds (f, "words", "failed while it ran");
}

static void a_bus_that_refuses_ends_a_service_or_not (void **state)
{
    fixture_t *f = *state;
    char keys[FS_PATH_MAX], path[FS_PATH_MAX];
    keys_t bus;
    in (f, "keys", keys);
    assert_int_equal (authority_init (keys, NULL), 0);
    assert_int_equal (keys_load (in (f, "keys/bus", path), &bus, NULL), 0);
    f->actors = actors_new (f->address, &bus, NULL);
    assert_non_null (f->actors);
    assert_int_equal (RUN (f, W ("--bus"), f->address), 78);
    holds (f, "words", "does not let us in: it wants a certificate");
    assert_int_equal (RUN (f, W ("--bus"), f->address, W ("--alone")), 3);
    holds (f, "err", "does not let us in: it wants a certificate");
    holds (f, "err", "works on");
}

int main (int argc, char **argv)
{
    if (argc > 1 && strcmp (argv[1], AS_SERVICE) == 0)
        return svc_main (&service, argc - 1, argv + 1);
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (options_have_values_and_fallbacks),
        cmocka_unit_test (what_is_wrong_is_named),
        cmocka_unit_test (numbers_are_whole_and_within_bounds),
        cmocka_unit_test (real_numbers_are_finite_and_within_bounds),
        TEST (every_service_tells_what_it_is),
        TEST (wrong_arguments_end_with_78),
        TEST (a_failed_start_leaves_its_status_and_last_words),
        TEST (too_few_file_descriptors_are_named),
        TEST (without_a_bus_nobody_is_healthy),
        TEST (a_running_service_answers_tells_and_ends),
        TEST (a_busy_service_is_healthy),
        TEST (a_service_goes_on_after_a_pause),
        TEST (a_service_tells_that_the_bus_was_away),
        TEST (what_fails_while_it_runs_leaves_last_words),
        TEST (a_bus_that_refuses_ends_a_service_or_not),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
