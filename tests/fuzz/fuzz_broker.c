/* with: services/bus/connections.c services/bus/dispatch.c services/bus/flights.c
 * services/bus/guard.c services/bus/outbox.c services/bus/peers.c services/bus/queue.c
 * services/bus/routes.c services/bus/workers.c */
/*  The requests actor without its sockets: four connections say anything to it, in any order, while
 *  time passes and some of them cannot be reached. It must only send frames that are whole, and
 *  when everybody is gone nothing may be left over: no request, no flight. */
#define FUZZ_FRAME_SENDS
#include "fuzz_frame.h"
#include "../../services/bus/broker.c"
#include "bus/node.h"

/*  Flags of a message: whose it is, and what happens to it. */
enum {
    FROM = 0x03,
    UNREACHABLE = 0x04, /* whatever is sent because of it cannot be */
    LATER = 0x08,       /* time passes before it */
    BEATS = 0x10,       /* it comes over the connection of heartbeats */
    LAST_TICKET = 0x20  /* it bears the ticket that was given last */
};
#define LATER_MS 900

static bool unreachable;
static uint64_t last_ticket;

static bool frame_sent (const void *data, size_t size)
{
    envelope_t e;
    envelope_parse (data, size, &e);
    if (e.kind == ENVELOPE_REQUEST)
        last_ticket = e.ticket;
    return !unreachable;
}

static void message (broker_t *b, uint8_t flags, zmq_msg_t *frame)
{
    char identity[1 + NODE_SECRET_SIZE];
    memset (identity, 'a' + (flags & FROM), sizeof identity);
    identity[0] = flags & BEATS ? NODE_BEATS : NODE_REQUESTS;
    unreachable = flags & UNREACHABLE;
    if (flags & LAST_TICKET)
        envelope_patch (frame, last_ticket, 1000);
    broker_on_frame (b, identity, sizeof identity, frame);
    unreachable = false;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    broker_t b = {.peers = peers_new (3)}; /* one fewer than there are connections */
    b.outbox = (outbox_t){.boot = 1, .peers = b.peers};
    b.dispatch = dispatch_new (&b.outbox);
    if (!b.peers || !b.dispatch)
        abort ();
    last_ticket = 0;
    frames_t frames = {data, size};
    uint8_t flags;
    zmq_msg_t frame;
    int64_t now = clock_ms ();
    while (frames_next (&frames, &flags, &frame)) {
        if (flags & LATER)
            broker_tick (&b, now += LATER_MS);
        message (&b, flags, &frame);
        zmq_msg_close (&frame);
    }
    broker_status_t status;
    for (int i = 0; i < 2; i++) /* the dead are removed, and freed with the next turn */
        broker_tick (&b, now + ((int64_t) 1 << 40));
    dispatch_status (b.dispatch, &status.dispatch);
    if (status.dispatch.queued || status.dispatch.in_flight || status.dispatch.workers ||
        peers_count (b.peers)) {
        fprintf (stderr, "left over: %llu queued, %llu in flight, %llu workers, %zu peers\n",
                 (unsigned long long) status.dispatch.queued,
                 (unsigned long long) status.dispatch.in_flight,
                 (unsigned long long) status.dispatch.workers, peers_count (b.peers));
        abort ();
    }
    dispatch_destroy (&b.dispatch);
    peers_destroy (&b.peers);
    return 0;
}

/*  ---- seeds ---------------------------------------------------------------------------------- */

static envelope_t said (envelope_kind_t kind, int from)
{
    static const char *const names[] = {"agent-1", "environment-1", "agent-2", "stranger"};
    return (envelope_t){.kind = kind,
                        .sender = slice_of (names[from]),
                        .boot = (uint64_t) from + 10,
                        .service = slice_of ("act"),
                        .id = slice_of ("r/1/2"),
                        .sequence = 5,
                        .left_ms = 3000,
                        .ticket = UINT64_MAX,
                        .credit = 4,
                        .text = slice_of ("same"),
                        .payload = slice_of ("do it")};
}

static void add (buf_t *input, int flags, envelope_t e)
{
    frames_add (input, (uint8_t) flags, &e);
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    log_open ("fuzz", LOG_ERROR);
    buf_t input = {0};
    envelope_t again = said (ENVELOPE_REQUEST, 1), alive = said (ENVELOPE_REQUEST, 1);
    envelope_t wrong = said (ENVELOPE_REPLY, 0), other = said (ENVELOPE_REQUEST, 1);
    again.index = 1;
    alive.service = slice_of (BUS_ALIVE);
    alive.payload = slice_of ("agent");
    wrong.code = ERR_INTERNAL;
    other.avoid = slice_of ("agent-1");
    other.sequence = 6;
    add (&input, BEATS, said (ENVELOPE_HEARTBEAT, 0));
    add (&input, 0, said (ENVELOPE_READY, 0));
    add (&input, 1, said (ENVELOPE_REQUEST, 1));
    add (&input, LAST_TICKET, said (ENVELOPE_REPLY, 0));
    add (&input, 1, alive);
    fuzz_seed ("answered", input.data, input.size);
    add (&input, 2, said (ENVELOPE_READY, 2));
    add (&input, 1, other);
    add (&input, 2 | LAST_TICKET, wrong);
    add (&input, 1, other);
    add (&input, 1 | LATER, again);
    add (&input, 1, said (ENVELOPE_CANCEL, 1));
    fuzz_seed ("handed-on", input.data, input.size);
    buf_clear (&input);
    add (&input, 1, said (ENVELOPE_REQUEST, 1));
    add (&input, 1, again);
    add (&input, UNREACHABLE, said (ENVELOPE_READY, 0));
    add (&input, 3, said (ENVELOPE_REQUEST, 3));
    add (&input, 2 | LATER, said (ENVELOPE_READY, 2));
    fuzz_seed ("waits", input.data, input.size);
    buf_free (&input);
    return fuzz_seeds (argc, argv);
}
