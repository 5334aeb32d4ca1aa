/* with: services/cli/tap/recording.c */
/*  Recordings: what comes out is what went in, however the file ends, and damage is told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../services/cli/tap/recording.h"
#include "base/buf.h"
#include "base/fs.h"

#define START_US 1700000000000000
#define STEP_US  100000 /* ten events, of a second, make a block */
#define EVENTS   95

static char dir[] = "/tmp/quintet-recording-XXXXXX", path[64], other[64];

static int make_folder (void **state)
{
    (void) state;
    if (!mkdtemp (dir))
        return -1;
    snprintf (path, sizeof path, "%s/a.rec", dir);
    snprintf (other, sizeof other, "%s/b.rec", dir);
    return 0;
}

static int remove_folder (void **state)
{
    (void) state;
    return fs_remove (dir, NULL);
}

/*  The i-th event: its number, and bytes that do not pack well. */
static size_t frame_of (size_t i, char frame[64])
{
    int n = snprintf (frame, 64, "r/%zu", i);
    for (size_t k = 0; k < i % 20; k++)
        frame[++n] = (char) (i * 77 + k * 31);
    return (size_t) n + 1;
}

static void record (size_t events, buf_t *content)
{
    err_t err = {0};
    char frame[64];
    unlink (path);
    recorder_t *recorder = recorder_new (path, &err);
    assert_non_null (recorder);
    for (size_t i = 0; i < events; i++)
        assert_int_equal (recorder_add (recorder, START_US + (int64_t) i * STEP_US, frame,
                                        frame_of (i, frame), &err),
                          0);
    assert_int_equal (recorder_close (&recorder, &err), 0);
    assert_null (recorder);
    if (content)
        assert_int_equal (fs_read (path, 1 << 20, content, &err), 0);
}

/*  Without waiting for the disk, as fs_write would. */
static void put (const char *to, const void *content, size_t size)
{
    FILE *file = fopen (to, "we");
    assert_non_null (file);
    assert_int_equal (fwrite (content, 1, size, file), size);
    assert_int_equal (fclose (file), 0);
}

/*  How many events there are from the i-th on; each must be the one that was recorded. rc is what
 *  came last. */
static size_t read_from (recording_t *recording, size_t i, int *rc, err_t *err)
{
    recorded_t event;
    char frame[64];
    size_t n = 0;
    while ((*rc = recording_next (recording, &event, err)) > 0) {
        assert_int_equal (event.time_us, START_US + (int64_t) (i + n) * STEP_US);
        assert_int_equal (event.size, frame_of (i + n, frame));
        assert_memory_equal (event.frame, frame, event.size);
        n++;
    }
    return n;
}

static void what_comes_out_is_what_went_in (void **state)
{
    (void) state;
    err_t err = {0};
    int rc;
    record (EVENTS, NULL);
    recording_t *recording = recording_open (path, &err);
    assert_non_null (recording);
    recording_summary_t summary = recording_summary (recording);
    assert_string_equal (summary.note, "");
    assert_int_equal (summary.events, EVENTS);
    assert_true (summary.blocks > 5 && summary.blocks < 20);
    assert_int_equal (summary.first_us, START_US);
    assert_int_equal (summary.last_us, START_US + (EVENTS - 1) * STEP_US);
    assert_int_equal (read_from (recording, 0, &rc, &err), EVENTS);
    assert_int_equal (rc, 0);
    for (size_t i = 0; i < EVENTS; i++) {
        recording_seek (recording, START_US + (int64_t) i * STEP_US - 1);
        assert_int_equal (read_from (recording, i, &rc, &err), EVENTS - i);
    }
    recording_seek (recording, INT64_MAX);
    assert_int_equal (read_from (recording, 0, &rc, &err), 0);
    recording_close (&recording);
    assert_null (recorder_new (path, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "is there already"));
}

static void nothing_can_be_recorded_too (void **state)
{
    (void) state;
    err_t err = {0};
    int rc;
    record (0, NULL);
    recording_t *recording = recording_open (path, &err);
    assert_non_null (recording);
    assert_string_equal (recording_summary (recording).note, "");
    assert_int_equal (read_from (recording, 0, &rc, &err), 0);
    recording_close (&recording);
    put (path, "qrecordX", 8);
    assert_null (recording_open (path, &err));
    assert_non_null (strstr (err.text, "is no recording"));
    assert_null (recording_open ("/nowhere/x", &err));
}

/*  Wherever it ends, the whole blocks before that are there. */
static void a_recording_that_was_cut_off_can_be_read (void **state)
{
    (void) state;
    buf_t content = {0};
    size_t last = 0;
    record (EVENTS, &content);
    for (size_t size = 16; size < content.size; size++) {
        err_t err = {0};
        int rc;
        put (other, content.data, size);
        recording_t *recording = recording_open (other, &err);
        assert_non_null (recording);
        assert_non_null (strstr (recording_summary (recording).note, "b.rec: cut off at byte "));
        size_t n = read_from (recording, 0, &rc, &err);
        assert_int_equal (rc, 0);
        assert_int_equal (n, recording_summary (recording).events);
        assert_true (n >= last);
        last = n;
        recording_close (&recording);
    }
    assert_int_equal (last, EVENTS);
    buf_free (&content);
}

/*  Every byte, each with another value: nothing that was not recorded ever comes out, and it is
 *  said where the damage is. */
static void a_damaged_recording_says_where (void **state)
{
    (void) state;
    buf_t content = {0};
    record (EVENTS, &content);
    for (size_t at = 0; at < content.size; at++) {
        err_t err = {0};
        int rc = -1;
        content.data[at] ^= 0x24;
        put (other, content.data, content.size);
        recording_t *recording = recording_open (other, &err);
        size_t n = recording ? read_from (recording, 0, &rc, &err) : 0;
        const char *said = rc < 0 ? err.text : recording_summary (recording).note;
        if (!strstr (said, "b.rec: ") || (at >= 8 && !strstr (said, " byte ")))
            fail_msg ("byte %zu: '%s'", at, said);
        assert_true (n <= EVENTS);
        recording_close (&recording);
        content.data[at] ^= 0x24;
    }
    buf_free (&content);
}

static void a_full_disk_leaves_whole_blocks (void **state)
{
    (void) state;
    static char frame[60000];
    struct rlimit before, limit;
    err_t err = {0}, again = {0};
    recorded_t event;
    size_t n = 0, written = 0;
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < sizeof frame; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        frame[i] = (char) random;
    }
    unlink (path);
    recorder_t *recorder = recorder_new (path, &err);
    signal (SIGXFSZ, SIG_IGN);
    getrlimit (RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 1 << 20;
    setrlimit (RLIMIT_FSIZE, &limit);
    while (recorder_add (recorder, START_US + (int64_t) written, frame, sizeof frame, &err) == 0)
        written++;
    assert_int_equal (recorder_add (recorder, START_US, frame, 1, &again), -1);
    assert_string_equal (again.text, err.text);
    recorder_close (&recorder, NULL);
    setrlimit (RLIMIT_FSIZE, &before);
    assert_non_null (strstr (err.text, "a.rec: cannot write after byte "));
    recording_t *recording = recording_open (path, &err);
    assert_non_null (recording);
    assert_non_null (strstr (recording_summary (recording).note, "cut off"));
    while (recording_next (recording, &event, &err) > 0) {
        assert_int_equal (event.size, sizeof frame);
        assert_memory_equal (event.frame, frame, sizeof frame);
        n++;
    }
    assert_true (n >= 10 && n <= written);
    recording_close (&recording);
}

/*  A clock that is set back does not take the order with it. */
static void times_never_go_backwards (void **state)
{
    (void) state;
    err_t err = {0};
    recorded_t event;
    unlink (path);
    recorder_t *recorder = recorder_new (path, &err);
    static const int64_t times[] = {5, 3, 9, 2000000, 1, 2000001};
    static const int64_t wanted[] = {5, 5, 9, 2000000, 2000000, 2000001};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal (recorder_add (recorder, START_US + times[i], "x", 1, &err), 0);
    assert_int_equal (recorder_close (&recorder, &err), 0);
    recording_t *recording = recording_open (path, &err);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal (recording_next (recording, &event, &err), 1);
        assert_int_equal (event.time_us, START_US + wanted[i]);
    }
    recording_close (&recording);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (what_comes_out_is_what_went_in),
        cmocka_unit_test (nothing_can_be_recorded_too),
        cmocka_unit_test (a_recording_that_was_cut_off_can_be_read),
        cmocka_unit_test (a_damaged_recording_says_where),
        cmocka_unit_test (a_full_disk_leaves_whole_blocks),
        cmocka_unit_test (times_never_go_backwards),
    };
    return cmocka_run_group_tests (tests, make_folder, remove_folder);
}
