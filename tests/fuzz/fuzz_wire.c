/*  Envelopes and every message, damaged. What is refused says why. */
#include "../unit/wire_fixture.h"
#include "bus/envelope.h"
#include "fuzz_frame.h"

static void try_message (fixture_message_t kind, const char *data, size_t size, size_t budget)
{
    err_t err = {0};
    arena_t *arena = arena_new (budget);
    if (!fixture_unpack (kind, arena, data, size, &err) && err.code == ERR_NONE) {
        fprintf (stderr, "message %d of %zu bytes was refused without a reason\n", (int) kind,
                 size);
        abort ();
    }
    arena_destroy (&arena);
}

/*  Once as it came and once with the checksum that belongs to it: what is well formed is then
 *  whole, and stays the same when it is packed again. */
static void try_envelope (const char *data, size_t size)
{
    envelope_t e, again;
    buf_t bytes = {0};
    buf_append (&bytes, data, size);
    frame_repair (&bytes);
    envelope_state_t came = envelope_parse (data, size, &e);
    envelope_state_t repaired = envelope_parse (bytes.data, bytes.size, &e);
    if (came != ENVELOPE_MALFORMED && repaired != ENVELOPE_WHOLE)
        abort ();
    zmq_msg_t frame;
    if (repaired == ENVELOPE_WHOLE && envelope_pack (&e, (slice_t){"", 0}, &frame) == 0) {
        if (envelope_parse (zmq_msg_data (&frame), zmq_msg_size (&frame), &again) !=
                ENVELOPE_WHOLE ||
            again.sequence != e.sequence || !slice_equal (again.payload, e.payload))
            abort ();
        envelope_patch (&frame, 1, 1);
        zmq_msg_close (&frame);
    }
    buf_free (&bytes);
}

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size)
{
    const char *data = (const char *) bytes;
    try_envelope (data, size);
    for (int kind = 0; kind < FIXTURE_MESSAGES; kind++) {
        try_message ((fixture_message_t) kind, data, size, 4 << 20);
        try_message ((fixture_message_t) kind, data, size, 1024); /* memory runs out on the way */
    }
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    buf_t bytes = {0};
    for (size_t i = 0; i < FIXTURE_MESSAGES; i++) {
        char name[32];
        snprintf (name, sizeof name, "message-%zu", i);
        buf_clear (&bytes);
        fixture_pack ((fixture_message_t) i, &bytes);
        fuzz_seed (name, bytes.data, bytes.size);
    }
    zmq_msg_t frame;
    envelope_t e = {.kind = ENVELOPE_REQUEST,
                    .id = slice_of ("r/1"),
                    .service = slice_of ("act"),
                    .ticket = UINT64_MAX,
                    .left_ms = 5,
                    .payload = {bytes.data, bytes.size}};
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        fuzz_fail ("envelope");
    fuzz_seed ("envelope", zmq_msg_data (&frame), zmq_msg_size (&frame));
    zmq_msg_close (&frame);
    buf_free (&bytes);
    return fuzz_seeds (argc, argv);
}
