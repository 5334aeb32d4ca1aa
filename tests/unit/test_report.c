/* with: services/cli/report/ services/cli/view/style.c */
/*  The end of a run, from the files that a trainer leaves: the table, the last line of JSON, the
 *  page. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <sys/wait.h>

#include "../../services/cli/report/ending.h"
#include "../../services/cli/report/examples.h"
#include "../../services/cli/report/report.h"
#include "../../services/cli/report/result.h"
#include "base/decimal.h"
#include "base/fs.h"
#include "watch/folder.h"
#include "watch/history.h"
#include "watch/prompts.h"

#define SIDE(sampled, path)                                                                        \
    "{\"sampled\":" sampled ",\"sampled_low\":0.125,\"sampled_high\":0.9921875,\"greedy\":0.5,"    \
    "\"quality\":0.25,\"agreement\":0.125,"                                                        \
    "\"completion_tokens\":20.5,\"tokens\":41,\"critical_path_tokens\":" path                      \
    ",\"reward\":0.1,\"n\":64}"
#define RESULT(before, after)                                                                      \
    "{\"steps\":9,\"sampled_tokens\":1000,\"reproducible\":false,\"wall_s\":12.5,"                 \
    "\"before\":" before ",\"after\":" after "}"
#define EPISODE(phase, id, step, text, verdict, success)                                           \
    "{\"phase\":\"" phase "\",\"step\":" step ",\"task\":{\"id\":\"" id "\",\"brief\":\"Do " id    \
    ".\"},\"turns\":[{\"actions\":[{\"role\":\"main\",\"text\":\"" text                            \
    "\",\"tokens\":7}]}],\"reward\":{\"reward\":0.5,\"verdict\":\"" verdict                        \
    "\",\"success\":" success "}}\n"
#define EVIL "<script>alert(1)</script>\\u001b[2J\\u009b\\nlast"

typedef struct {
    char dir[64];
} fixture_t;

static void put (const fixture_t *f, const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    assert_int_equal (fs_join (path, f->dir, name, &err), 0);
    if (fs_write (path, text, strlen (text), &err) != 0)
        fail_msg ("%s", err.text);
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    char solo[FS_PATH_MAX];
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-report-XXXXXX");
    if (!mkdtemp (f->dir) || fs_join (solo, f->dir, "solo", NULL) != 0 ||
        fs_mkdirs (solo, NULL) != 0)
        return -1;
    put (f, "result.json", RESULT (SIDE ("0.25", "40"), SIDE ("0.984375", "16")));
    put (f, "solo/result.json", RESULT (SIDE ("0.5", "48"), SIDE ("0.75", "24")));
    put (f, "metrics.jsonl",
         "{\"event\":\"eval\",\"step\":0,\"n\":64,\"sampled\":0.25,\"sampled_low\":0.125,"
         "\"sampled_high\":0.9921875}\n"
         "{\"event\":\"step\",\"step\":1,\"reward_mean\":0.25,\"step_s\":0.5,\"loss/<i>\":1}\n"
         "{\"event\":\"step\",\"step\":2,\"reward_mean\":0.75,\"step_s\":0.5}\n"
         "{\"event\":\"eval\",\"step\":2,\"n\":64,\"sampled\":0.5}\n"
         "{\"event\":\"step\",\"step\":3,\"reward_mean\":null}\n"
         "{\"event\":\"step\",\"step\":4,\"reward_mean\":0.5}\n"
         "{\"event\":\"eval\",\"step\":4,\"n\":64,\"sampled\":0.984375,\"sampled_low\":0.875,"
         "\"sampled_high\":0.9921875}\n"
         "{\"event\":\"step\",\"ste");
    put (f, "episodes.jsonl",
         EPISODE ("eval-sampled", "known", "0", "a", "5 of 5", "true")
             EPISODE ("eval-sampled", "learnt", "0", "wrong", "1 of 5 <b>", "false")
                 EPISODE ("eval-greedy", "once", "0", "a", "0 of 5", "false")
                     EPISODE ("train", "learnt", "1", "between", "2 of 5", "false")
                         EPISODE ("eval-sampled", "learnt", "5", "half", "3 of 5", "false")
                             EPISODE ("eval-sampled", "known", "9", "b", "5 of 5", "true")
                                 EPISODE ("eval-sampled", "learnt", "9", EVIL, "5 of 5", "true"));
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static void read_all (const fixture_t *f, result_t *result, bool solo)
{
    err_t err = {0};
    *result = (result_t){.first_step_s = 2.25, .wall_s = 65.5};
    if (result_read (result, f->dir, solo, &err) != 0)
        fail_msg ("%s", err.text);
}

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("no '%s' in:\n%s", wanted, text);
}

/*  What print writes. Not inlined: GCC then takes the address that the stream keeps for one that
 *  dangles. */
__attribute__ ((noinline)) static char *printed (const result_t *result,
                                                 void (*print) (const result_t *result, FILE *to))
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream (&text, &size);
    assert_non_null (to);
    print (result, to);
    fclose (to);
    return text;
}

static void the_table_has_before_and_after (void **state)
{
    result_t result;
    read_all (*state, &result, true);
    char *text = printed (&result, result_print);
    holds (text, "Single agent (9 steps, 64 held-out tasks [95% interval], 12.5 s)");
    holds (text,
           "  pass rate, sampled                0.500 [0.125, 0.992] -> 0.750 [0.125, 0.992]\n");
    holds (text,
           "  pass rate, sampled                0.250 [0.125, 0.992] -> 0.984 [0.125, 0.992]\n");
    holds (text, "  decode steps on the critical path 40.0                 -> 16.0\n");
    holds (text, "\nreproducible: no");
    holds (text, "3.00 times shorter than the untrained single agent's and 1.50 times");
    holds (text, "65.5 s in all, 2.2 s to the first");
    holds (text, "A held-out task that training solved: Do learnt.");
    holds (text, "before: 1 of 5 <b>\n    [main, 7 tokens]\n    wrong\n");
    holds (text, "after: 5 of 5\n");
    holds (text, "\n    last\n"); /* a model's newlines stay */
    for (const char *c = text; *c; c++)
        assert_false ((*c < ' ' && *c > 0 && *c != '\n') || *c == 0x7f);
    assert_null (strstr (text, "\xc2\x9b"));
    assert_null (strstr (text, "half")); /* neither first nor last */
    free (text);
    result_free (&result);
}

/*  No line of the single agent's table is wider than the terminal, and intervals stay whole. */
static void check_table (char *text, size_t columns)
{
    char *rest = strstr (text, "  pass rate, sampled");
    assert_non_null (rest);
    for (char *line; (line = strsep (&rest, "\n")) && strncmp (line, "Team", 4) != 0;) {
        if (columns >= 60 && strlen (line) > columns)
            fail_msg ("%zu columns: '%s'", columns, line);
        if (strchr (line, '[') && !strchr (line, ']'))
            fail_msg ("torn: '%s'", line);
    }
}

static void tables_fit_the_terminal (void **state)
{
    static const size_t columns[] = {80, 60, 40};
    for (size_t i = 0; i < 3; i++) {
        result_t result;
        read_all (*state, &result, true);
        result.columns = columns[i];
        char *text = printed (&result, result_print);
        check_table (text, columns[i]);
        free (text);
        result_free (&result);
    }
}

static void what_nobody_measured_is_no_row (void **state)
{
    const fixture_t *f = *state;
    put (f, "result.json",
         "{\"steps\":9,\"wall_s\":1,\"before\":{\"n\":8,\"quality\":0.25},"
         "\"after\":{\"n\":8,\"quality\":0.5,\"tokens\":3}}");
    result_t result;
    read_all (f, &result, false);
    char *text = printed (&result, result_print);
    assert_null (strstr (text, "pass rate"));
    assert_null (strstr (text, "nan"));
    holds (text, "  tokens per episode                -                    -> 3.0\n");
    holds (text, "0.250                -> 0.500\n");
    free (text);
    result_free (&result);
}

/*  The page of the folder, freshly written. */
static char *page_of (const fixture_t *f)
{
    err_t err = {0};
    char path[FS_PATH_MAX];
    buf_t page = {0};
    if (report_write (f->dir, NULL, &err) != 0)
        fail_msg ("%s", err.text);
    assert_int_equal (fs_join (path, f->dir, "report.html", NULL), 0);
    assert_int_equal (fs_read (path, 1 << 20, &page, &err), 0);
    return buf_take (&page);
}

static void what_has_no_verdict_has_its_reward (void **state)
{
    const fixture_t *f = *state;
    put (f, "episodes.jsonl",
         EPISODE ("eval-sampled", "a", "0", "x", "", "false")
             EPISODE ("eval-sampled", "a", "9", "y", "all fine", "false"));
    result_t result;
    read_all (f, &result, false);
    char *text = printed (&result, result_print);
    holds (text, "\n  before: reward 0.500\n");
    holds (text, "\n  after: all fine\n");
    free (text);
    result_free (&result);
}

/*  What was written as 0.8825 is read back as the double above or below it. */
static void a_half_is_rounded_one_way (void **state)
{
    (void) state;
    assert_string_equal (DECIMAL (0.8825, 3), "0.883");
    assert_string_equal (DECIMAL (0.88249999999999995, 3), "0.883");
    assert_string_equal (DECIMAL (353.0 / 400, 3), "0.883");
    assert_string_equal (DECIMAL (1.0 - 0.1175, 3), "0.883");
    assert_string_equal (DECIMAL (-0.8825, 3), "-0.883");
    assert_string_equal (DECIMAL (0.8824, 3), "0.882");
    assert_string_equal (DECIMAL (59.65, 1), "59.7");
    assert_string_equal (DECIMAL (0, 3), "0.000");
    assert_string_equal (DECIMAL (1e300, 1), "1e+300");
}

#define LOST(rate, lost) "{\"sampled\":" rate ",\"quality\":0.5,\"n\":8,\"dead_groups\":" lost "}"

static void lost_tasks_are_said_beside_the_table (void **state)
{
    const fixture_t *f = *state;
    put (f, "result.json", RESULT (LOST ("0.25", "1"), LOST ("0.5", "0")));
    put (f, "metrics.jsonl",
         "{\"event\":\"eval\",\"step\":0,\"n\":8,\"sampled\":0.25,\"dead_groups\":1,"
         "\"greedy_dead_groups\":2}\n");
    result_t result;
    read_all (f, &result, false);
    char *text = printed (&result, result_print), *page = page_of (f);
    holds (text, "score: 1 before, 0 after. Pass rates count them as failed;");
    holds (page, "score: 0 before, 3 after. Pass rates count them as failed;");
    free (page);
    free (text);
    result_free (&result);
    put (f, "result.json", RESULT (LOST ("0.25", "0"), LOST ("0.5", "0")));
    read_all (f, &result, false);
    text = printed (&result, result_print);
    assert_null (strstr (text, "Lost"));
    free (text);
    result_free (&result);
}

#define SAMPLES(first, pass)                                                                       \
    "{\"sampled\":" first ",\"n\":64,\"samples\":4,\"pass@2\":0.75,\"pass@4\":" pass "}"

static void samples_of_a_task_have_rows (void **state)
{
    const fixture_t *f = *state;
    put (f, "result.json", RESULT (SAMPLES ("0.25", "0.5"), SAMPLES ("0.5", "0.875")));
    put (f, "metrics.jsonl",
         "{\"event\":\"eval\",\"step\":0,\"n\":64,\"samples\":4,\"sampled\":0.5,\"pass@4\":0.875}"
         "\n");
    result_t result;
    read_all (f, &result, false);
    char *text = printed (&result, result_print), *page = page_of (f);
    holds (text, "64 held-out tasks x 4 samples [");
    holds (text, "  pass rate, sampled (avg@4)        0.250                -> 0.500\n");
    holds (text, "  pass@4, sampled                   0.500                -> 0.875\n");
    holds (page, "64 tasks x 4 samples<");
    holds (page, "<td>pass@4, sampled</td><td>0.875</td>");
    free (text);
    text = printed (&result, result_json);
    holds (text, "\"samples\":4");
    holds (text, "\"pass@4\":0.875");
    free (text);
    free (page);
    result_free (&result);
}

static void the_json_line_has_both (void **state)
{
    result_t result;
    read_all (*state, &result, true);
    char *text = printed (&result, result_json);
    json_t *line = json_loads (text, 0, NULL);
    assert_non_null (line);
    const json_t *after = json_object_get (json_object_get (line, "team"), "after");
    assert_true (json_real_value (json_object_get (after, "sampled")) == 0.984375);
    assert_true (json_real_value (json_object_get (after, "critical_path_tokens")) == 16);
    assert_true (json_real_value (json_object_get (after, "sampled_low")) == 0.125);
    assert_true (json_real_value (json_object_get (after, "sampled_high")) == 0.9921875);
    assert_true (json_is_false (json_object_get (line, "reproducible")));
    assert_true (json_is_object (json_object_get (line, "solo")));
    assert_true (json_real_value (json_object_get (line, "first_step_s")) == 2.25);
    json_decref (line);
    free (text);
    result_free (&result);
    read_all (*state, &result, false);
    text = printed (&result, result_json);
    holds (text, "\"solo\":null");
    free (text);
    result_free (&result);
}

static void the_page_is_whole_and_harmless (void **state)
{
    const fixture_t *f = *state;
    put (f, "config.yml",
         "run:\n  name: \"some\"\n  seed: 77\nmodel:\n  path: \"a<b\"\n"
         "team:\n  roles: [\"aux\", \"main\"]\ntask:\n  family: \"coding\"\n");
    char *page = page_of (f);
    holds (page, "<title>some - Quintet</title>");
    holds (page, "<td>0.250 <span class=\"interval\">[0.125, 0.992]</span></td><td>0.984 <span");
    holds (page, "<th>Team, 64 tasks</th><th>step 0</th><th>step 4</th>");
    holds (page, "<dt>Seed</dt><dd>77</dd>");
    holds (page, "<dt>Model</dt><dd>a&lt;b</dd>");
    holds (page, "path: &quot;a&lt;b&quot;"); /* the whole configuration */
    holds (page, "(&lt;i&gt; solid)");        /* a curve of a name */
    holds (page, "Not measured: ");
    assert_null (strstr (page, "<td>quality"));
    holds (page, "Do learnt.");
    holds (page, "&lt;script&gt;alert(1)&lt;/script&gt;");
    static const char *const never[] = {"<script>", "1 of 5 <b>", "@TITLE@",  "@BODY@",
                                        "http",     "\x1b",       "\xc2\x9b", "nan"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr (page, never[i]))
            fail_msg ("'%s' in the page", never[i]);
    free (page);
}

static void curves_have_axes_and_gaps (void **state)
{
    char *page = page_of (*state);
    /* Two points; null and the torn line are none, so the last one stands alone. */
    holds (page, "<polyline class=\"team dash0\" points=\"122.0,");
    holds (page, "<title>step 4: 0.5</title>");
    /* Three evaluations, whose axis goes from 0 to 1. */
    holds (page, "<title>step 0: 0.25</title>");
    holds (page, "<title>step 2: 0.5</title>");
    holds (page, "<title>step 4: 0.9844</title>");
    holds (page, ">0.8</text>");
    holds (page, ">step</text>");
    holds (page, "share of tasks");
    free (page);
}

static int begun (const fixture_t *f, const char *command)
{
    err_t err = {0};
    int fd;
    if (history_begin (f->dir, command, &fd, &err) != 0)
        fail_msg ("%s", err.text);
    assert_true (fd >= 0);
    return fd;
}

static void a_run_that_goes_on_has_a_page (void **state)
{
    const fixture_t *f = *state;
    char path[FS_PATH_MAX], command[] = "quintet run x.yml";
    assert_int_equal (fs_join (path, f->dir, "result.json", NULL), 0);
    unlink (path);
    int fd = begun (f, command);
    char *page = page_of (f);
    holds (page, "<dd>running: step 4</dd>");
    holds (page, "<dt>Command</dt><dd>quintet run x.yml</dd>");
    holds (page, "<dt>Quintet</dt><dd>" QUINTET_VERSION "</dd>");
    holds (page, "<dt>Host</dt><dd>");
    free (page);
    history_end (fd, HISTORY_FAILED, "the <disk> is full");
    page = page_of (f);
    holds (page, "<dd>failed: step 4. the &lt;disk&gt; is full</dd>");
    free (page);
    put (f, "metrics.jsonl", "");
    err_t err = {0};
    assert_int_equal (report_write (f->dir, NULL, &err), -1);
    holds (err.text, "holds no run");
}

/*  What an end that failed says on standard error. */
static const char *said (const ending_t *ending)
{
    static char text[1024];
    FILE *to = tmpfile ();
    assert_non_null (to);
    int before = dup (2);
    fflush (stderr);
    dup2 (fileno (to), 2);
    ending_failed (ending, "why", false);
    fflush (stderr);
    dup2 (before, 2);
    close (before);
    rewind (to);
    text[fread (text, 1, sizeof text - 1, to)] = 0;
    fclose (to);
    return text;
}

/*  The state that a reader finds, in letters. */
static const char *state_of (const fixture_t *f)
{
    history_t history;
    history_read (&history, f->dir);
    const char *name = history_state (&history);
    history_free (&history);
    return name;
}

static void the_history_says_how_a_run_ended (void **state)
{
    const fixture_t *f = *state;
    int fd = begun (f, "one"), other;
    err_t err = {0};
    assert_string_equal (state_of (f), "running");
    /* One works in a folder at a time; the other leaves no word there. */
    assert_int_equal (history_begin (f->dir, "two", &other, &err), -1);
    assert_int_equal (other, -1);
    holds (err.text, "works in this folder");
    char wanted[64];
    snprintf (wanted, sizeof wanted, "(process %ld on ", (long) getpid ());
    holds (err.text, wanted);
    history_end (fd, HISTORY_STOPPED, "");
    assert_string_equal (state_of (f), "stopped");
    history_t history;
    history_read (&history, f->dir);
    assert_int_equal (history.starts, 1);
    history_free (&history);
    fd = begun (f, "three");
    history_end (fd, HISTORY_FAILED, "why");
    assert_string_equal (state_of (f), "failed");
    fd = begun (f, "four");
    close (fd); /* as when it is killed */
    assert_string_equal (state_of (f), "killed");
    history_end (-1, HISTORY_FAILED, ""); /* where nothing could be written */
}

/*  A trainer that was started by hand holds its own lock, and no history. */
static void a_trainer_by_hand_is_respected (void **state)
{
    const fixture_t *f = *state;
    char path[FS_PATH_MAX];
    err_t err = {0};
    put (f, "trainer.lock", "77\n");
    assert_int_equal (fs_join (path, f->dir, "trainer.lock", NULL), 0);
    int lock = open (path, O_RDWR | O_CLOEXEC);
    assert_int_equal (flock (lock, LOCK_EX), 0);
    assert_int_equal (history_check (f->dir, &err), -1);
    holds (err.text, "a trainer works in this folder");
    ending_t ending = {.out = f->dir, .folder = f->dir, .resumes = true};
    assert_string_equal (said (&ending), "");
    close (lock);
    close (begun (f, "one"));
    if (!strstr (said (&ending), " --resume"))
        fail_msg ("%s", said (&ending));
}

static void prompts_are_what_the_roles_were_told (void **state)
{
    (void) state;
    json_t *episode = json_loads (
        "{\"task\":{\"id\":\"t\",\"family\":\"coding\",\"brief\":\"Return 2.\",\"entry_point\":"
        "\"main\",\"tests\":[{\"args\":[],\"result\":2}]},\"roles\":[\"aux\",\"main\"],\"limits\":"
        "{\"tokens\":9,\"turns\":2,\"cpu_s\":1.0,\"cpu_total_s\":1.0},\"turns\":[{\"actions\":["
        "{\"role\":\"aux\",\"text\":\"a1\",\"tokens\":1},{\"role\":\"main\",\"text\":\"m1\","
        "\"tokens\":1}]},{\"actions\":[{\"role\":\"aux\",\"text\":\"a2\",\"tokens\":1},{\"role\":"
        "\"main\",\"text\":\"m2\",\"tokens\":1,\"prompt\":\"kept\"}]}]}",
        0, NULL);
    assert_non_null (episode);
    prompts_add (episode);
    const char *told[2][2];
    for (size_t t = 0; t < 2; t++)
        for (size_t a = 0; a < 2; a++) {
            const json_t *turn = json_array_get (json_object_get (episode, "turns"), t);
            told[t][a] = json_string_value (
                json_object_get (json_array_get (json_object_get (turn, "actions"), a), "prompt"));
            assert_non_null (told[t][a]);
        }
    holds (told[0][0], "Return 2.");
    holds (told[0][0], "# aux");
    holds (told[0][1], "# main");
    holds (told[1][0], "m1"); /* what was written before */
    assert_string_equal (told[1][1], "kept");
    json_decref (episode);
    episode = json_pack ("{s:{}, s:[{s:[{}]}]}", "task", "turns", "actions");
    prompts_add (episode); /* nothing to go by */
    json_decref (episode);
}

static void folders_are_numbered (void **state)
{
    const fixture_t *f = *state;
    char path[FS_PATH_MAX], wanted[FS_PATH_MAX], slash[FS_PATH_MAX];
    assert_int_equal (folder_runs (f->dir), 1);
    folder_numbered (path, f->dir, 1);
    assert_string_equal (path, f->dir);
    snprintf (slash, sizeof slash, "%s/", f->dir);
    snprintf (wanted, sizeof wanted, "%s-2", f->dir);
    folder_numbered (path, slash, 2);
    assert_string_equal (path, wanted);
    conf_t *conf = conf_defaults ();
    conf->trainer.steps = 9;
    assert_true (folder_finished (f->dir, conf) && folder_finished (f->dir, NULL));
    conf->trainer.steps = 10;
    assert_false (folder_finished (f->dir, conf)); /* a run that is to be made longer */
    conf->trainer.budget_tokens = 1000;
    assert_true (folder_finished (f->dir, conf)); /* it ended with its budget */
    conf->trainer.budget_tokens = 1001;
    assert_false (folder_finished (f->dir, conf));
    assert_false (folder_finished (path, NULL));
    conf_destroy (&conf);
}

static void commands_are_quoted_for_a_shell (void **state)
{
    (void) state;
    char *argv[] = {(char *) "printf", (char *) "%s|", (char *) "a b",
                    (char *) "it's",   (char *) "",    (char *) "$x`"};
    buf_t command = {0};
    ending_command (6, argv, &command);
    const char *words = strstr (command.data, "printf");
    assert_non_null (words);
    FILE *shell = popen (words, "r");
    char said[64] = "";
    assert_non_null (shell);
    assert_non_null (fgets (said, sizeof said, shell));
    assert_int_equal (pclose (shell), 0);
    assert_string_equal (said, "a b|it's||$x`|");
    buf_free (&command);
}

static void what_was_learnt_comes_first (void **state)
{
    const fixture_t *f = *state;
    json_t *pairs = examples_read (f->dir);
    assert_int_equal (json_array_size (pairs), 2); /* "once" has no after */
    assert_true (examples_learned (json_array_get (pairs, 0)));
    assert_false (examples_learned (json_array_get (pairs, 1)));
    json_decref (pairs);
}

static void missing_and_damaged_results_are_named (void **state)
{
    const fixture_t *f = *state;
    result_t result = {0};
    err_t err = {0};
    put (f, "solo/result.json", "{\"steps\":");
    assert_int_equal (result_read (&result, f->dir, true, &err), -1);
    holds (err.text, "solo/result.json");
    result_free (&result);
    assert_int_equal (result_read (&result, "/nowhere", false, &err), -1);
    holds (err.text, "/nowhere/result.json");
    result_free (&result);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (the_table_has_before_and_after), TEST (tables_fit_the_terminal),
        TEST (what_nobody_measured_is_no_row), TEST (what_has_no_verdict_has_its_reward),
        TEST (a_half_is_rounded_one_way),      TEST (lost_tasks_are_said_beside_the_table),
        TEST (samples_of_a_task_have_rows),    TEST (the_json_line_has_both),
        TEST (the_page_is_whole_and_harmless), TEST (curves_have_axes_and_gaps),
        TEST (a_run_that_goes_on_has_a_page),  TEST (the_history_says_how_a_run_ended),
        TEST (a_trainer_by_hand_is_respected), TEST (prompts_are_what_the_roles_were_told),
        TEST (folders_are_numbered),           TEST (commands_are_quoted_for_a_shell),
        TEST (what_was_learnt_comes_first),    TEST (missing_and_damaged_results_are_named)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
