/* with: services/reward/ */
/*  What the threads that score know of each other's work: answers outlive a request that was given
 *  up. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "../../services/reward/workers.h"
#include "base/clock.h"
#include "base/fs.h"

#define EPISODES    4
#define PATIENCE_MS 60000

static const char *const roles[] = {"solo"};
static char histories[EPISODES][160];
static const char *list[EPISODES];
static char dir[] = "/tmp/quintet-workers-XXXXXX";

/*  A scorer that counts in a file how often it is asked, and waits at its second question until
 *  somebody writes into a pipe. */
static char *scorer (void)
{
    static char text[512];
    snprintf (text, sizeof text,
              "n=0; while read -r line; do n=$((n+1)); echo $n >> %s/asked; "
              "if [ $n = 2 ] && [ ! -e %s/gone ]; then touch %s/gone; cat %s/pipe > /dev/null; fi; "
              "echo '{\"quality\": 0.5}'; done",
              dir, dir, dir, dir);
    return text;
}

static size_t asked (void)
{
    char path[64];
    err_t err = {0};
    buf_t text = {0};
    size_t lines = 0;
    snprintf (path, sizeof path, "%s/asked", dir);
    if (fs_exists (path))
        assert_int_equal (fs_read (path, 4096, &text, &err), 0);
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    buf_free (&text);
    return lines;
}

static bool gone (void)
{
    char path[64];
    snprintf (path, sizeof path, "%s/gone", dir);
    return fs_exists (path);
}

static void wake (void *context)
{
    (void) context;
}

static workers_t *started_with (const char *command, const char *modules)
{
    err_t err = {0};
    workers_options_t options = {
        .n = 1, .command = command, .modules = modules, .judge = "", .passages = ""};
    return workers_new (&options, wake, NULL, &err);
}

static wire_score_request_t request_of (const char *command)
{
    return (wire_score_request_t){.run = "r",
                                  .command = command,
                                  .weights = {1, 0, 0},
                                  .task = "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"b\"}",
                                  .roles = roles,
                                  .roles_n = 1,
                                  .max_tokens = 9,
                                  .max_turns = 1,
                                  .histories = list,
                                  .histories_n = EPISODES};
}

static void put_in (workers_t *workers, uint64_t id, const wire_score_request_t *request)
{
    err_t err = {0};
    assert_int_equal (workers_add (workers, id, arena_new (1 << 20), request, &err), 0);
}

static scored_t *finished (workers_t *workers)
{
    scored_t *scored = NULL;
    for (int64_t end = clock_ms () + PATIENCE_MS; !scored && clock_ms () < end;)
        if (!(scored = workers_take (workers)))
            clock_sleep_ms (5);
    assert_non_null (scored);
    return scored;
}

/*  Every question costs the scorer long; a request whose deadline passes half way must not begin
 *  anew. Two of the episodes are equal: a program may answer as it likes, so both are asked for. */
static void what_was_answered_is_not_asked_again (void **state)
{
    (void) state;
    char pipe[64];
    wire_score_request_t first, second;
    snprintf (pipe, sizeof pipe, "%s/pipe", dir);
    assert_int_equal (mkfifo (pipe, 0600), 0);
    workers_t *workers = started_with (scorer (), "");
    assert_non_null (workers);
    first = request_of (scorer ());
    put_in (workers, 1, &first);
    for (int64_t end = clock_ms () + PATIENCE_MS; !gone () && clock_ms () < end;)
        clock_sleep_ms (5);
    assert_int_equal (asked (), 2);
    workers_cancel (workers, 1); /* its deadline passed; the second answer is still under way */
    int fd = open (pipe, O_WRONLY | O_CLOEXEC);
    assert_true (fd >= 0);
    close (fd);
    scored_t *scored = finished (workers);
    assert_true (scored->cancelled);
    scored_free (&scored);
    second = request_of (scorer ());
    put_in (workers, 2, &second);
    scored = finished (workers);
    assert_false (scored->failed);
    for (size_t i = 0; i < EPISODES; i++)
        assert_true (scored->rewards[i].quality > 0.49 && scored->rewards[i].quality < 0.51);
    scored_free (&scored);
    assert_int_equal (asked (), EPISODES);
    workers_destroy (&workers);
}

/*  Whoever ends the service does not wait for an answer that may take an hour. */
static void a_service_ends_while_its_scorer_is_silent (void **state)
{
    (void) state;
    static char command[128];
    char path[64];
    snprintf (path, sizeof path, "%s/silent", dir);
    snprintf (command, sizeof command, "read line; touch %s; exec sleep 3600", path);
    workers_t *workers = started_with (command, "");
    wire_score_request_t request = request_of (command);
    request.command_s = 3600;
    put_in (workers, 1, &request);
    for (int64_t end = clock_ms () + PATIENCE_MS; !fs_exists (path) && clock_ms () < end;)
        clock_sleep_ms (5);
    assert_true (fs_exists (path));
    workers_destroy (&workers);
}

/*  A run that counts on another scorer is told so before anything is scored, and by name; it is its
 *  configuration that is wrong, not its episodes. */
static void a_scorer_that_is_not_here_is_a_configuration_error (void **state)
{
    (void) state;
    err_t err = {0};
    workers_t *workers = started_with ("python3 mine.py", "numpy");
    assert_non_null (workers);
    wire_score_request_t request = {.command = "python3 mine.py", .modules = "other"};
    assert_int_equal (workers_check (workers, &request, &err), 0); /* programs are not asked then */
    request.command = "python3 yours.py";
    assert_int_equal (workers_check (workers, &request, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "python3 mine.py"));
    assert_non_null (strstr (err.text, "--command 'python3 yours.py'"));
    request.command = "";
    assert_int_equal (workers_check (workers, &request, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "'numpy'"));
    assert_non_null (strstr (err.text, "--modules 'other'"));
    request.modules = "numpy";
    assert_int_equal (workers_check (workers, &request, &err), 0);
    workers_destroy (&workers);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    if (!mkdtemp (dir))
        return 1;
    for (size_t i = 0; i < EPISODES; i++) {
        snprintf (
            histories[i], sizeof histories[i],
            "{\"turns\":[{\"actions\":[{\"role\":\"solo\",\"text\":\"text %zu\",\"tokens\":3}]}]}",
            i / 2);
        list[i] = histories[i];
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (what_was_answered_is_not_asked_again),
        cmocka_unit_test (a_service_ends_while_its_scorer_is_silent),
        cmocka_unit_test (a_scorer_that_is_not_here_is_a_configuration_error),
    };
    int rc = cmocka_run_group_tests (tests, NULL, NULL);
    fs_remove (dir, NULL);
    return rc;
}
