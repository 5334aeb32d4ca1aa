/*  The base library: what everything else stands on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/rng.h"

static void err_carries_its_text (void **state)
{
    (void) state;
    err_t err = {0};
    assert_int_equal (err_set (&err, ERR_MISSING, "tensor '%s'", "q_proj"), -1);
    assert_int_equal (err_wrap (&err, "%s", "model.safetensors"), -1);
    assert_int_equal (err.code, ERR_MISSING);
    assert_string_equal (err.text, "model.safetensors: tensor 'q_proj'");
    assert_string_equal (err_name (ERR_STALE), "stale");
    errno = ENOENT;
    err_errno (&err, ERR_IO, "open x");
    assert_string_equal (err.text, "open x: No such file or directory");
    char huge[3 * ERR_TEXT_MAX];
    memset (huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    err_set (&err, ERR_IO, "%s", huge);
    err_wrap (&err, "%s", huge);
    assert_int_equal (strlen (err.text), ERR_TEXT_MAX - 1);
    assert_int_equal (err_set (NULL, ERR_IO, "nobody listens"), -1);
}

static void buf_keeps_its_maximum (void **state)
{
    (void) state;
    buf_t buf = {.max = 10};
    buf_text (&buf, "12345");
    buf_printf (&buf, "%d", 67890);
    assert_false (buf_failed (&buf));
    assert_string_equal (buf.data, "1234567890");
    buf_char (&buf, 'x');
    assert_true (buf_failed (&buf));
    assert_int_equal (buf.size, 10);
    buf_free (&buf);
    buf_t empty = {0};
    char *text = buf_take (&empty);
    assert_string_equal (text, "");
    free (text);
}

/*  What is too long will always be; what the machine had no memory for may work elsewhere. */
static void too_long_is_told_from_no_memory (void **state)
{
    (void) state;
    err_t err = {0};
    buf_t buf = {.max = 4};
    arena_t *arena = arena_new (1000);
    assert_int_equal (buf_check (&buf, "a text", &err), 0);
    buf_text (&buf, "12345");
    assert_int_equal (buf_check (&buf, "a text", &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_string_equal (err.text, "a text has more than 4 bytes");
    buf_clear (&buf);
    assert_int_equal (buf_check (&buf, "a text", &err), 0);
    assert_null (arena_alloc (arena, 2000));
    assert_false (arena_starved (arena));
    buf_free (&buf);
    arena_destroy (&arena);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they end where memory does */
    size_t much = (size_t) 1 << 46; /* more than there are addresses */
    buf = (buf_t){.max = SIZE_MAX};
    buf_append (&buf, "", much);
    assert_int_equal (buf_check (&buf, "a text", &err), -1);
    assert_int_equal (err.code, ERR_LIMIT);
    arena = arena_new (SIZE_MAX / 2);
    assert_null (arena_alloc (arena, much));
    assert_true (arena_starved (arena));
    arena_destroy (&arena);
#endif
}

static void arena_keeps_its_budget (void **state)
{
    (void) state;
    arena_t *arena = arena_new (1000);
    assert_non_null (arena);
    char *a = arena_alloc (arena, 1), *b = arena_alloc (arena, 1);
    assert_int_equal ((uintptr_t) a % 16, 0);
    assert_int_equal ((uintptr_t) b % 16, 0);
    assert_true (b >= a + 1);
    assert_null (arena_alloc (arena, 1000));
    assert_null (arena_alloc (arena, SIZE_MAX));
    assert_non_null (arena_alloc (arena, 900));
    assert_null (arena_alloc (arena, 100));
    arena_reset (arena);
    assert_non_null (arena_alloc (arena, 1000 - 1000 % 16));
    arena_destroy (&arena);
    assert_null (arena);
}

/*  The first known-answer vector of Random123's Philox4x32-10: counter 0, key 0. */
static void rng_is_philox (void **state)
{
    (void) state;
    assert_int_equal (rng_bits (0, 0), 0xe169c58d6627e8d5u);
}

static void rng_is_a_function_of_coordinates (void **state)
{
    (void) state;
    uint64_t a = rng_key ((uint64_t[]){1, 2, 3}, 3), b = rng_key ((uint64_t[]){1, 3, 2}, 3);
    assert_int_equal (a, rng_key ((uint64_t[]){1, 2, 3}, 3));
    assert_int_not_equal (a, b);
    assert_int_not_equal (rng_key ((uint64_t[]){0}, 1), rng_key ((uint64_t[]){0, 0}, 2));
    double sum = 0, squares = 0;
    enum { N = 100000 };
    for (uint64_t i = 0; i < N; i++) {
        float u = rng_uniform (a, i);
        assert_true (u >= 0 && u < 1);
        rng_t rng = {.key = b, .position = 2 * i};
        double z = rng_normal (&rng);
        sum += (double) u;
        squares += z * z;
    }
    assert_true (fabs (sum / N - 0.5) < 0.005);
    assert_true (fabs (squares / N - 1) < 0.03);
    rng_t rng = {.key = a};
    for (size_t i = 0; i < 1000; i++)
        assert_true (rng_below (&rng, 7) < 7);
}

static char *temporary (void)
{
    static char path[] = "/tmp/quintet-test-XXXXXX";
    memcpy (path + strlen (path) - 6, "XXXXXX", 6);
    assert_non_null (mkdtemp (path));
    return path;
}

static void fs_writes_whole_files (void **state)
{
    (void) state;
    err_t err = {0};
    char *dir = temporary (), path[FS_PATH_MAX], deep[FS_PATH_MAX], moved[FS_PATH_MAX];
    assert_int_equal (fs_join (path, dir, "a", &err), 0);
    assert_int_equal (fs_write (path, "one", 3, &err), 0);
    assert_int_equal (fs_write (path, "second", 6, &err), 0);
    buf_t content = {0};
    assert_int_equal (fs_read (path, 100, &content, &err), 0);
    assert_string_equal (content.data, "second");
    buf_free (&content);
    assert_int_equal (fs_read (path, 5, &content, &err), -1);
    assert_non_null (strstr (err.text, path));
    buf_free (&content);
    assert_int_equal (fs_read ("/nonexistent/x", 5, &content, &err), -1);
    assert_int_equal (err.code, ERR_MISSING);
    assert_int_equal (fs_read (dir, 5, &content, &err), -1);
    assert_non_null (strstr (err.text, "is not a regular file"));
    assert_int_equal (fs_join (path, dir, "pipe", &err), 0);
    assert_int_equal (mkfifo (path, 0600), 0);
    alarm (10); /* nobody writes: a read that waits ends the test */
    assert_int_equal (fs_read (path, 5, &content, &err), -1);
    assert_non_null (strstr (err.text, "is not a regular file"));
    alarm (0);
    assert_int_equal (fs_join (deep, dir, "x/y/z", &err), 0);
    assert_int_equal (fs_mkdirs (deep, &err), 0);
    assert_int_equal (fs_mkdirs (deep, &err), 0);
    assert_int_equal (fs_join (path, deep, "inside", &err), 0);
    assert_int_equal (fs_write (path, "new", 3, &err), 0);
    assert_int_equal (fs_join (moved, dir, "published", &err), 0);
    assert_int_equal (fs_publish_folder (deep, moved, &err), 0);
    assert_false (fs_exists (deep));
    assert_int_equal (fs_join (path, moved, "inside", &err), 0);
    assert_true (fs_exists (path));
    assert_int_equal (fs_remove (dir, &err), 0);
    assert_false (fs_exists (dir));
    assert_int_equal (fs_remove (dir, &err), 0);
}

static atomic_bool folder_stays;

/*  Opens the folder again and again; NULL when it was there each time. */
static void *look_for_folder (void *context)
{
    do {
        int fd = open (context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return context;
        close (fd);
    } while (atomic_load (&folder_stays));
    return NULL;
}

/*  A folder that is replaced is there at every moment, the old one or the new. */
static void a_published_folder_is_never_missing (void **state)
{
    (void) state;
    err_t err = {0};
    char dir[] = "/tmp/quintet-test-base-XXXXXX", from[FS_PATH_MAX], to[FS_PATH_MAX];
    void *missing;
    pthread_t thread;
    assert_non_null (mkdtemp (dir));
    assert_int_equal (fs_join (from, dir, "writing", &err), 0);
    assert_int_equal (fs_join (to, dir, "ready", &err), 0);
    assert_int_equal (fs_mkdirs (to, &err), 0);
    atomic_store (&folder_stays, true);
    assert_int_equal (pthread_create (&thread, NULL, look_for_folder, to), 0);
    for (int i = 0; i < 300; i++)
        if (fs_mkdirs (from, &err) != 0 || fs_publish_folder (from, to, &err) != 0)
            fail_msg ("%s", err.text);
    atomic_store (&folder_stays, false);
    pthread_join (thread, &missing);
    assert_null (missing);
    assert_false (fs_exists (from));
    assert_int_equal (fs_mkdirs ("", &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_int_equal (fs_remove (dir, &err), 0);
}

/*  Writing where nothing can be written leaves nothing behind. */
static void fs_failure_leaves_nothing (void **state)
{
    (void) state;
    err_t err = {0};
    assert_int_equal (fs_write ("/dev/full/x", "a", 1, &err), -1);
    assert_int_equal (fs_write ("/nonexistent/x", "a", 1, &err), -1);
    assert_int_equal (err.code, ERR_IO);
}

/*  An object of many chunks has the same name whoever hashes which of them. */
static void a_pool_gives_the_same_name (void **state)
{
    (void) state;
    static const size_t sizes[] = {0, 1, HASH_CHUNK, HASH_CHUNK + 1, 130 * HASH_CHUNK + 7};
    size_t largest = sizes[sizeof sizes / sizeof *sizes - 1], n = largest / HASH_CHUNK + 1;
    uint8_t *data = malloc (largest);
    hash_t *chunks = malloc (n * sizeof *chunks);
    pool_t *pool = pool_new (3);
    assert_true (data && chunks && pool);
    for (size_t i = 0; i < largest; i++)
        data[i] = (uint8_t) (i * 2654435761u >> 13);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        hash_t alone = hash_object (data, sizes[s]), shared = hash_object_on (pool, data, sizes[s]);
        size_t of = 0;
        for (size_t at = 0; at < sizes[s] || !of; at += HASH_CHUNK)
            chunks[of++] =
                hash_of (data + at, sizes[s] - at < HASH_CHUNK ? sizes[s] - at : HASH_CHUNK);
        hash_t root = hash_root (chunks, of);
        assert_true (hash_equal (&alone, &shared) && hash_equal (&alone, &root));
        hash_stream_t *stream = hash_stream_new ();
        assert_non_null (stream);
        for (size_t at = 0, piece; at < sizes[s]; at += piece) {
            piece = at % 700001 + 1 < sizes[s] - at ? at % 700001 + 1 : sizes[s] - at;
            hash_stream_add (stream, data + at, piece);
        }
        hash_t streamed = hash_stream_end (&stream);
        assert_true (hash_equal (&alone, &streamed));
    }
    pool_destroy (&pool);
    free (chunks);
    free (data);
}

static void hash_names_content (void **state)
{
    (void) state;
    hash_t a = hash_of ("abc", 3), b = hash_of ("abd", 3), zero = {{0}};
    char hex[HASH_HEX_SIZE];
    /* BLAKE2b with a 32-byte digest of "abc". */
    assert_string_equal (hash_hex (&a, hex),
                         "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_false (hash_equal (&a, &b));
    assert_true (hash_is_zero (&zero));
}

typedef struct {
    int done[1000];
} marks_t;

static void mark (void *context, size_t index, size_t thread)
{
    assert_true (thread < 3);
    ((marks_t *) context)->done[index]++;
}

static void pool_does_every_piece_once (void **state)
{
    (void) state;
    pool_t *pool = pool_new (3);
    assert_non_null (pool);
    for (size_t n = 0; n <= 1000; n += n < 1000 ? 37 : 1999) {
        marks_t marks = {0};
        pool_run (pool, mark, &marks, n);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal (marks.done[i], i < n);
    }
    pool_destroy (&pool);
    marks_t marks = {0};
    pool_run (NULL, mark, &marks, 10);
    assert_int_equal (marks.done[9], 1);
}

static void clock_goes_forward (void **state)
{
    (void) state;
    int64_t before = clock_us ();
    clock_sleep_ms (2);
    assert_true (clock_us () - before >= 2000);
    assert_int_equal (clock_left_ms (clock_ms () - 5), 0);
    int64_t deadline = clock_ms () + 3600000;
    clock_forward (3600000);
    assert_int_equal (clock_left_ms (deadline), 0);
}

/*  The vectors of RFC 3720, B.4, and the check value of every table of CRCs. */
static void crc_is_castagnoli (void **state)
{
    (void) state;
    uint8_t bytes[32] = {0}, long_one[20000];
    assert_int_equal (crc_of (0, bytes, 32), 0x8A9136AAu);
    memset (bytes, 0xFF, 32);
    assert_int_equal (crc_of (0, bytes, 32), 0x62A8AB43u);
    assert_int_equal (crc_of (0, "123456789", 9), 0xE3069283u);
    for (size_t i = 0; i < sizeof long_one; i++)
        long_one[i] = (uint8_t) (i * 2654435761u >> 13);
    for (size_t n = 0; n < sizeof long_one; n += 37) {
        uint32_t crc = crc_of (0, long_one, n);
        assert_int_equal (crc, crc_plain (0, long_one, n));
        assert_int_equal (crc, crc_of (crc_of (0, long_one, n / 3), long_one + n / 3, n - n / 3));
        assert_int_equal (
            crc, crc_plain (crc_of (0, long_one, 5 * n / 7), long_one + 5 * n / 7, n - 5 * n / 7));
    }
}

static void numbers_are_written_little_end_first (void **state)
{
    (void) state;
    buf_t buf = {0};
    buf_varint (&buf, 300);
    buf_varint (&buf, UINT64_MAX);
    buf_little (&buf, 0x01020304, 4);
    assert_int_equal (buf.size, 2 + BYTES_VARINT_MAX + 4);
    assert_memory_equal (buf.data, "\xac\x02", 2);
    assert_memory_equal (buf.data + 2, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    assert_memory_equal (buf.data + 12, "\x04\x03\x02\x01", 4);
    assert_int_equal (bytes_varint_size (127), 1);
    assert_int_equal (bytes_varint_size (128), 2);
    assert_int_equal (bytes_varint_size (UINT64_MAX), BYTES_VARINT_MAX);
    buf_free (&buf);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (err_carries_its_text),
        cmocka_unit_test (buf_keeps_its_maximum),
        cmocka_unit_test (too_long_is_told_from_no_memory),
        cmocka_unit_test (arena_keeps_its_budget),
        cmocka_unit_test (rng_is_philox),
        cmocka_unit_test (rng_is_a_function_of_coordinates),
        cmocka_unit_test (fs_writes_whole_files),
        cmocka_unit_test (a_published_folder_is_never_missing),
        cmocka_unit_test (fs_failure_leaves_nothing),
        cmocka_unit_test (hash_names_content),
        cmocka_unit_test (a_pool_gives_the_same_name),
        cmocka_unit_test (pool_does_every_piece_once),
        cmocka_unit_test (clock_goes_forward),
        cmocka_unit_test (crc_is_castagnoli),
        cmocka_unit_test (numbers_are_written_little_end_first),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
