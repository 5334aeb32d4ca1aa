/* with: services/cli/tap/recording.c */
/*  Recordings, damaged: as files, and as what a block unpacks to, which a checksum and zstd would
 *  keep from most of what is mutated. */
#include <sys/mman.h>
#include <zstd.h>

#include "../../services/cli/tap/recording.h"
#include "base/buf.h"
#include "base/crc.h"
#include "fuzz.h"

static int file;
static char path[64];

static void try_file (const void *data, size_t size)
{
    err_t err = {0};
    recorded_t event;
    uint64_t sum = 0;
    int rc = 0;
    if (ftruncate (file, 0) != 0 || pwrite (file, data, size, 0) != (ssize_t) size)
        fuzz_fail (path);
    recording_t *recording = recording_open (path, &err);
    for (int turn = 0; recording && turn < 2; turn++) {
        while ((rc = recording_next (recording, &event, &err)) > 0)
            for (size_t i = 0; i < event.size; i++)
                sum += (uint8_t) event.frame[i];
        recording_summary_t summary = recording_summary (recording);
        recording_seek (recording, summary.first_us + (summary.last_us - summary.first_us) / 2);
    }
    if ((!recording || rc < 0) && err.code == ERR_NONE) {
        fprintf (stderr, "%zu bytes were refused without a reason (%d)\n", size, (int) (sum & 1));
        abort ();
    }
    recording_close (&recording);
}

/*  A file with one block, which unpacks to these bytes; the first two say how long it took and how
 *  many events it has. */
static void try_block (const uint8_t *data, size_t size)
{
    buf_t whole = {0};
    uint8_t took = size > 0 ? data[0] : 0, events = size > 1 ? data[1] : 1;
    const uint8_t *from = data + (size > 2 ? 2 : size);
    size_t n = size > 2 ? size - 2 : 0;
    size_t bound = ZSTD_compressBound (n);
    char *packed = malloc (bound);
    if (!packed)
        abort ();
    size_t stored = ZSTD_compress (packed, bound, from, n, 1);
    buf_text (&whole, "qrecord\n");
    buf_little (&whole, 1, 4);
    buf_little (&whole, crc_of (0, whole.data, whole.size), 4);
    buf_text (&whole, "QBLK");
    buf_little (&whole, stored, 4);
    buf_little (&whole, n, 4);
    buf_little (&whole, events, 4);
    buf_little (&whole, 1000, 8);
    buf_little (&whole, 1000u + took, 8);
    buf_little (&whole, crc_of (0, packed, stored), 4);
    buf_little (&whole, crc_of (0, whole.data + 16, 36), 4);
    buf_append (&whole, packed, stored);
    try_file (whole.data, whole.size);
    free (packed);
    buf_free (&whole);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    try_file (data, size);
    try_block (data, size);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    err_t err = {0};
    char made[] = "/tmp/quintet-fuzz-rec-XXXXXX", content[4096];
    file = memfd_create ("recording", MFD_CLOEXEC);
    snprintf (path, sizeof path, "/proc/self/fd/%d", file);
    int fd = mkstemp (made);
    if (file < 0 || fd < 0)
        fuzz_fail (made);
    unlink (made);
    recorder_t *recorder = recorder_new (made, &err);
    for (int i = 0; recorder && i < 30; i++)
        recorder_add (recorder, 1000 + i * 100000, "r/x\0frame", 9, &err);
    if (recorder_close (&recorder, &err) != 0)
        fuzz_fail (made);
    close (fd);
    FILE *seed = fopen (made, "re");
    size_t n = seed ? fread (content, 1, sizeof content, seed) : 0;
    if (seed)
        fclose (seed);
    unlink (made);
    fuzz_seed ("file", content, n);
    fuzz_seed ("block", "\x05\x02\0\x03r/x\x05\x03r/y", 12);
    return fuzz_seeds (argc, argv);
}
