/*  fuzz_wire [SECONDS] [SEED]: envelopes and every message, damaged. What is refused says why. */
#include "../unit/wire_fixture.h"
#include "bus/envelope.h"
#include "mutate.h"

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

static void try_one (const char *data, size_t size)
{
    envelope_t e;
    if (envelope_parse (data, size, &e) == 0) {
        zmq_msg_t frame;
        if (envelope_pack (&e, (slice_t){"", 0}, &frame) == 0) {
            envelope_patch (&frame, 1, 1);
            zmq_msg_close (&frame);
        }
    }
    for (int kind = 0; kind < FIXTURE_MESSAGES; kind++) {
        try_message ((fixture_message_t) kind, data, size, 4 << 20);
        try_message ((fixture_message_t) kind, data, size, 1024); /* memory runs out on the way */
    }
}

int main (int argc, char **argv)
{
    const char *seeds[FIXTURE_MESSAGES + 1];
    size_t sizes[FIXTURE_MESSAGES + 1];
    buf_t bytes[FIXTURE_MESSAGES] = {{0}};
    for (size_t i = 0; i < FIXTURE_MESSAGES; i++) {
        fixture_pack ((fixture_message_t) i, &bytes[i]);
        seeds[i] = bytes[i].data;
        sizes[i] = bytes[i].size;
    }
    zmq_msg_t frame;
    envelope_t e = {.kind = ENVELOPE_REQUEST,
                    .id = slice_of ("r/1"),
                    .service = slice_of ("act"),
                    .ticket = UINT64_MAX,
                    .left_ms = 5,
                    .payload = {bytes[0].data, bytes[0].size}};
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        return 1;
    seeds[FIXTURE_MESSAGES] = zmq_msg_data (&frame);
    sizes[FIXTURE_MESSAGES] = zmq_msg_size (&frame);
    int rc = fuzz_main (argc, argv, seeds, sizes, FIXTURE_MESSAGES + 1, try_one);
    for (size_t i = 0; i < FIXTURE_MESSAGES; i++)
        buf_free (&bytes[i]);
    zmq_msg_close (&frame);
    return rc;
}
