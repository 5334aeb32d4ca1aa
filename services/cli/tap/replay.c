/*  replay - see replay.h */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../suite/suite.h"
#include "../suite/supervisor.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/fs.h"
#include "bus/feed.h"
#include "recording.h"
#include "wire/wire.h"

#define REPLAY_BUS_NAME "replay" /* of the bus that is started */
#define REPLAY_AHEAD    512      /* events that are sent and not heard yet, at most */
#define REPLAY_LOST_MS  1000     /* what was not heard for so long is not waited for any more */
#define REPLAY_LOOK_MS  100      /* how often it looks after the bus, and for viewers */
#define REPLAY_READY_MS 5000
#define REPLAY_LATER_MS 300 /* so long the bus stays for viewers that have not read all yet */

struct replay {
    replay_options_t options;
    char dir[SUITE_FOLDER_MAX], address[SUITE_FOLDER_MAX + 16];
    supervisor_t *supervisor; /* of the bus that is started, or NULL */
    feed_t *feed;
    recording_t *recording;
    recorded_t next;  /* the event that is due next */
    int64_t ready_ms; /* when the bus was ready */
    bool has_next, over, begun;
    err_t damage; /* why it is over; told when all before it was heard */
    bool hears;   /* something came from the bus: what is sent from now on will come back */
    int64_t begun_ms, base_us;   /* when, and at which time of the recording, it began */
    int64_t heard_ms;            /* when one of its events came last */
    uint32_t sent[REPLAY_AHEAD]; /* checksums of what was not heard yet, in order: a ring */
    size_t first, ahead;
    uint64_t viewers; /* that listen, as the bus said last */
    arena_t *arena;
};

static int replay_start_bus (replay_t *r, err_t *err)
{
    char program[FS_PATH_MAX];
    if (suite_folder (r->dir, err) != 0 || !(r->supervisor = supervisor_new (r->dir, err)))
        return -1;
    supervisor_forget_logs (r->supervisor);
    snprintf (r->address, sizeof r->address, "ipc://%s/bus", r->dir);
    const char *argv[] = {supervisor_program ("quintet-bus", program, sizeof program),
                          "--bus",
                          r->address,
                          "--name",
                          REPLAY_BUS_NAME,
                          NULL};
    return supervisor_add (r->supervisor, "bus", argv, NULL, SUPERVISE_ALWAYS, err);
}

static int replay_open (replay_t *r, err_t *err)
{
    r->recording = recording_open (r->options.path, err);
    if (!r->recording)
        return -1;
    recording_summary_t summary = recording_summary (r->recording);
    if (*summary.note)
        fprintf (stderr, "%s\n", summary.note);
    int64_t from_us = summary.first_us + (int64_t) (r->options.from_s * 1e6);
    if (from_us > summary.last_us)
        return err_set (err, ERR_INPUT, "%s: nothing after %g s, it has %.1f s", r->options.path,
                        r->options.from_s, (double) (summary.last_us - summary.first_us) * 1e-6);
    recording_seek (r->recording, from_us);
    if (!r->options.address && replay_start_bus (r, err) != 0)
        return -1;
    bus_options_t options = {
        .address = replay_address (r), .name = REPLAY_BUS_NAME, .keys = r->options.keys};
    r->feed = feed_new (&options, err);
    return r->feed ? 0 : -1;
}

replay_t *replay_new (const replay_options_t *options, err_t *err)
{
    replay_t *r = calloc (1, sizeof *r);
    if (r)
        r->arena = arena_new (1 << 20);
    if (!r || !r->arena) {
        err_set (err, ERR_LIMIT, "no memory for a replay");
        free (r);
        return NULL;
    }
    r->options = *options;
    if (replay_open (r, err) != 0)
        replay_destroy (&r);
    return r;
}

/*  Processes first, then the folder with their sockets. */
void replay_destroy (replay_t **self)
{
    replay_t *r = *self;
    if (!r)
        return;
    if (r->supervisor && r->viewers > 0)
        clock_sleep_ms (REPLAY_LATER_MS);
    feed_destroy (&r->feed);
    supervisor_destroy (&r->supervisor);
    if (*r->dir)
        fs_remove (r->dir, NULL);
    recording_close (&r->recording);
    arena_destroy (&r->arena);
    free (r);
    *self = NULL;
}

recording_summary_t replay_summary (const replay_t *r)
{
    return recording_summary (r->recording);
}

const char *replay_address (const replay_t *r)
{
    return r->options.address ? r->options.address : r->address;
}

int replay_begin (replay_t *r, err_t *err)
{
    int rc = feed_ready (r->feed, REPLAY_READY_MS, err);
    r->ready_ms = clock_ms ();
    return rc;
}

/*  ---- sending -------------------------------------------------------------------------------- */

/*  Whether an event is there. What is no event is left out, as a tap does. */
static bool replay_peek (replay_t *r)
{
    if (r->has_next || r->over)
        return r->has_next;
    int rc = recording_next (r->recording, &r->next, &r->damage);
    r->has_next = rc > 0;
    r->over = rc <= 0;
    return r->has_next;
}

/*  ms until the next event is due. */
static int64_t replay_due_in (replay_t *r)
{
    int64_t now = clock_ms ();
    if (r->options.speed <= 0)
        return 0;
    double passed_us = (double) (now - r->begun_ms) * 1000 * r->options.speed;
    double early_us = (double) (r->next.time_us - r->base_us) - passed_us;
    return early_us > 0 ? (int64_t) (early_us / 1000 / r->options.speed) + 1 : 0;
}

/*  What the bus did not give back is lost: a bus that is busy with others' may do that. */
static void replay_forget_lost (replay_t *r)
{
    if (r->ahead && clock_ms () - r->heard_ms >= REPLAY_LOST_MS)
        r->ahead = 0;
}

/*  1: sent; 0: too much waits. */
static int replay_send (replay_t *r)
{
    if (r->ahead == REPLAY_AHEAD)
        return 0;
    int rc = feed_send (r->feed, r->next.frame, r->next.size);
    if (rc == 0)
        return 0;
    r->has_next = false;
    if (rc < 0)
        return 1;
    if (r->ahead == 0)
        r->heard_ms = clock_ms ();
    r->sent[(r->first + r->ahead++) % REPLAY_AHEAD] = crc_of (0, r->next.frame, r->next.size);
    return 1;
}

/*  The bus tells its status twice a second, so silence means that it does not talk to us. For
 *  viewers it is waited as long as whoever started this likes. */
static int replay_wait (const replay_t *r, err_t *err)
{
    if (!r->hears && clock_ms () - r->ready_ms > REPLAY_READY_MS)
        return err_set (err, ERR_TIMEOUT, "the bus at %s says nothing", replay_address (r));
    return REPLAY_LOOK_MS;
}

int replay_turn (replay_t *r, err_t *err)
{
    if (r->supervisor && supervisor_turn (r->supervisor, err) != 0)
        return -1;
    if (!r->hears || (!r->begun && r->viewers < r->options.viewers))
        return replay_wait (r, err);
    replay_forget_lost (r);
    for (size_t i = 0; i < REPLAY_AHEAD; i++) {
        if (!replay_peek (r)) {
            bool broken = replay_ended (r) && r->damage.code != ERR_NONE;
            return broken ? err_set (err, r->damage.code, "%s", r->damage.text) : REPLAY_LOOK_MS;
        }
        if (!r->begun) {
            r->begun = true;
            r->begun_ms = clock_ms ();
            r->base_us = r->next.time_us;
        }
        int64_t due = replay_due_in (r);
        if (due > 0)
            return due < REPLAY_LOOK_MS ? (int) due : REPLAY_LOOK_MS;
        if (!replay_send (r))
            return 1;
    }
    return 0;
}

/*  ---- hearing -------------------------------------------------------------------------------- */

/*  How many others listen stands in the status of the bus. */
static void replay_note_viewers (replay_t *r, const bus_item_t *item)
{
    arena_reset (r->arena);
    const wire_event_t *e = wire_event_unpack (r->arena, item->payload, item->size, NULL);
    if (!e || e->kind != WIRE_SERVICE_STATUS || !e->service || strcmp (e->service, "bus") != 0)
        return;
    for (size_t i = 0; i < e->metrics_n; i++)
        if (strcmp (e->metrics[i].name, "taps") == 0 && e->metrics[i].value >= 1)
            r->viewers = (uint64_t) e->metrics[i].value - 1;
}

/*  They come in the order in which they were sent; those that stand before it were lost. */
bool replay_hear (replay_t *r, const bus_item_t *item)
{
    uint32_t checksum = crc_of (0, item->frame, item->frame_size);
    r->hears = true;
    for (size_t i = 0; i < r->ahead; i++)
        if (r->sent[(r->first + i) % REPLAY_AHEAD] == checksum) {
            r->first = (r->first + i + 1) % REPLAY_AHEAD;
            r->ahead -= i + 1;
            r->heard_ms = clock_ms ();
            return true;
        }
    if (strncmp (item->name, "service/", 8) == 0)
        replay_note_viewers (r, item);
    return false;
}

bool replay_ended (const replay_t *r)
{
    return r->over && r->ahead == 0;
}
