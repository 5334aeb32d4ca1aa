/*  quintet-bus - the one address that every service needs, besides Redis.
 *
 *  The story: three actors, each with sockets and a thread of its own (actors.c).
 *
 *      requests   broker.c takes frames from the peers that it knows (peers.c); dispatch.c decides
 *                 which worker gets which request (routes.c, workers.c, queue.c, flights.c), and
 *                 speaks through outbox.c
 *      events     taps.c forwards what is published to whoever subscribed
 *      policies   vault.c keeps content-addressed objects (blobs.c) and the manifests that name
 *                 them
 *
 *  The bus is a service like the others: it also connects to itself, to publish its own status.
 */
#include <string.h>

#include "actors.h"
#include "svc/svc.h"

/*  Whoever reaches a bus without keys may do anything there: so it is not reached from other
 *  hosts. */
static int bus_check_open (const args_t *args, const char *address, err_t *err)
{
    const char *host = strncmp (address, "tcp://", 6) == 0 ? address + 6 : "127.";
    if (args_flag (args, "--insecure") || strncmp (host, "127.", 4) == 0 ||
        strncmp (host, "localhost:", 10) == 0)
        return 0;
    return err_set (
        err, ERR_CONFIG,
        "a bus without keys is not bound to %s, where other hosts could reach it: give it "
        "--keys DIR (quintet keys init DIR makes them), or --insecure where nobody else "
        "can reach it",
        address);
}

static int bus_open_actors (svc_run_t *run, void **state, err_t *err)
{
    const args_t *args = svc_args (run);
    long long megabytes, frames, connections;
    if (args_number (args, "--memory", 0, 1 << 24, &megabytes, err) != 0 ||
        args_number (args, "--frames", 1, 1 << 30, &frames, err) != 0 ||
        args_number (args, "--connections", 0, 1 << 20, &connections, err) != 0)
        return -1;
    actors_options_t options = {
        .address = args_value (args, "--bus"),
        .keys = svc_keys (run),
        .memory = (uint64_t) megabytes << 20,
        .limits = {.frames = (size_t) frames, .connections = (size_t) connections}};
    if (!options.keys && bus_check_open (args, options.address, err) != 0)
        return -1;
    actors_t *actors = actors_new_with (&options, err);
    *state = actors;
    return actors ? 0 : -1;
}

static void bus_close_actors (svc_run_t *run, void **state)
{
    (void) run;
    actors_t *actors = *state;
    actors_destroy (&actors);
    *state = NULL;
}

static void bus_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                        void *to)
{
    actors_status (svc_state (run), metric, to);
}

static const svc_t service = {
    .name = "bus",
    .about = "Carries requests, events and policies between all services of one or more runs.\n"
             "Needs four sockets: PATH.requests, .policies, .publish, .subscribe, or four ports\n"
             "from the one given.\n"
             "\n"
             "  quintet-bus --bus ipc:///tmp/quintet/bus\n"
             "  quintet-bus --bus tcp://*:5550 --keys keys/bus\n",
    .files = ACTORS_FILES_MIN,
    .options = {{"--memory", "MB", "0", "for policy objects; 0: three quarters of the machine's"},
                {"--frames", "N", "50000", "with keys: of one connection in a second"},
                {"--connections", "N", "0",
                 "with keys: of one kind of program at each socket (it has two for requests); 0: "
                 "seven eighths of all that there is room for"},
                {"--insecure", NULL, NULL,
                 "without keys: let in everybody who reaches it, from other hosts too"}},
    .open = bus_open_actors,
    .close = bus_close_actors,
    .status = bus_status,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
