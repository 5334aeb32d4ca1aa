/* with: services/bus/blobs.c services/bus/connections.c services/bus/guard.c
 * services/bus/peers.c */
/*  The policies actor without its sockets: two uploaders say anything to it, in any order, while
 *  time passes. It must only send frames that are whole, keep within its memory, and know at any
 *  time how much it holds and which of it is needed. */
#define FUZZ_FRAME_SENDS
#include "fuzz_frame.h"
#include "../../services/bus/vault.c"

/*  Flags of a message: whose it is, and what happens to it. */
enum {
    FROM = 0x01,
    UNREACHABLE = 0x04, /* whatever is sent because of it cannot be */
    LATER = 0x08,       /* time passes before it */
    GENUINE = 0x10,     /* its hash and size are those of what it brings */
    NAMES_LAST = 0x20,  /* it names the object that came last */
    LARGE = 0x40        /* it is a chunk of zeros of an object that ends in LARGE_END */
};
#define LARGE_END "tail"
#define LATER_MS  70000
#define MEMORY    ((uint64_t) 3 << 20)

static bool unreachable;
static char zeros[HASH_CHUNK];
static hash_t large; /* the name of the large object */

static bool frame_sent (const void *data, size_t size)
{
    (void) data, (void) size;
    return !unreachable;
}

/*  Nobody finds by chance what has a given hash. So a message that is to be genuine is packed
 *  again, with the hash and size of its payload; one that names the last object, with its hash. */
static void name_objects (uint8_t flags, zmq_msg_t *frame, hash_t *last)
{
    envelope_t e;
    if (!(flags & (GENUINE | NAMES_LAST | LARGE)) ||
        envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e) != ENVELOPE_WHOLE)
        return;
    if (flags & LARGE) {
        e.payload = (slice_t){zeros, sizeof zeros};
        e.size = sizeof zeros + strlen (LARGE_END);
        *last = large;
    } else if (flags & GENUINE) {
        hash_t chunk = hash_of (e.payload.data, e.payload.size);
        *last = hash_root (&chunk, 1);
        e.size = e.payload.size;
    }
    e.hash = e.objects = (slice_t){(const char *) last->bytes, HASH_SIZE};
    zmq_msg_t other;
    if (envelope_pack (&e, (slice_t){"", 0}, &other) != 0)
        return;
    zmq_msg_move (frame, &other);
    zmq_msg_close (&other);
}

static void check (const vault_t *v)
{
    blobs_status_t status = blobs_status (v->blobs);
    size_t manifests = 0;
    for (const manifest_t *m = v->manifests; m; m = m->next, manifests++)
        for (size_t i = 0; i < m->n; i++)
            if (!m->objects[i]->needs || !blob_complete (m->objects[i]))
                abort ();
    if (status.bytes > MEMORY || status.unfinished_bytes > status.bytes ||
        manifests != v->manifests_n)
        abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    vault_t v = {.blobs = blobs_new (MEMORY), .boot = 1};
    if (!v.blobs)
        abort ();
    frames_t frames = {data, size};
    uint8_t flags;
    zmq_msg_t frame;
    hash_t last = {0};
    int64_t now = clock_ms ();
    while (frames_next (&frames, &flags, &frame)) {
        if (flags & LATER)
            blobs_expire (v.blobs, now += LATER_MS);
        v.identity_n = 9;
        memset (v.identity, 'a' + (flags & FROM), v.identity_n);
        unreachable = flags & UNREACHABLE;
        name_objects (flags, &frame, &last);
        vault_on_frame (&v, &frame);
        zmq_msg_close (&frame);
        check (&v);
    }
    while (v.manifests)
        vault_drop_manifest (&v, &v.manifests);
    check (&v);
    blobs_destroy (&v.blobs);
    return 0;
}

/*  ---- seeds ---------------------------------------------------------------------------------- */

static void add (buf_t *input, int flags, envelope_t e)
{
    e.boot = (uint64_t) (flags & FROM) + 10;
    e.sender = slice_of ("trainer");
    e.sequence = 3;
    frames_add (input, (uint8_t) flags, &e);
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    buf_t input = {0};
    hash_t chunks[] = {hash_of (zeros, sizeof zeros), hash_of (LARGE_END, strlen (LARGE_END))};
    large = hash_root (chunks, 2);
    hash_t name = hash_of ("x", 1);
    slice_t hash = {(const char *) name.bytes, HASH_SIZE};
    envelope_t put = {.kind = ENVELOPE_PUT, .hash = hash, .payload = slice_of ("weights")};
    envelope_t manifest = {.kind = ENVELOPE_MANIFEST,
                           .objects = hash,
                           .text = slice_of ("run"),
                           .service = slice_of ("p"),
                           .epoch = 2,
                           .payload = slice_of ("manifest")};
    envelope_t get = {.kind = ENVELOPE_GET, .hash = hash};
    add (&input, GENUINE, put);
    add (&input, NAMES_LAST, manifest);
    add (&input, 1 | NAMES_LAST, get);
    put.payload = slice_of ("more weights");
    manifest.epoch = 3;
    add (&input, GENUINE, put);
    add (&input, NAMES_LAST, manifest);
    add (&input, 1, (envelope_t){.kind = ENVELOPE_MANIFESTS});
    manifest.epoch = 1;
    add (&input, NAMES_LAST, manifest);
    manifest.kind = ENVELOPE_RETIRE;
    manifest.epoch = 4;
    add (&input, 0, manifest);
    fuzz_seed ("published", input.data, input.size);
    buf_clear (&input);
    put.payload = slice_of (LARGE_END);
    put.size = sizeof zeros + strlen (LARGE_END);
    put.index = 0;
    add (&input, LARGE, put);
    put.index = 1;
    add (&input, NAMES_LAST, put);
    manifest = (envelope_t){.kind = ENVELOPE_MANIFEST, .text = slice_of ("run"), .epoch = 5};
    add (&input, NAMES_LAST, manifest);
    get.index = 1;
    add (&input, NAMES_LAST, get);
    put.index = 0;
    fuzz_seed ("of-two-chunks", input.data, input.size);
    buf_clear (&input);
    /* Of several chunks: the last one is small, the first would be of 1 MiB. */
    put.size = ((uint64_t) 1 << 20) + 12;
    add (&input, 0, put);
    put.index = 1;
    add (&input, 0, put);
    add (&input, FRAME_DAMAGED, put);
    put.hash.data = (const char *) memset (name.bytes, 7, HASH_SIZE);
    add (&input, 1 | LATER, put);
    put.index = 0;
    put.size = (uint64_t) 1 << 30;
    add (&input, 1, put);
    fuzz_seed ("unfinished", input.data, input.size);
    buf_free (&input);
    return fuzz_seeds (argc, argv);
}
