/*  quintet-bus - the one address that every service needs, besides Redis.
 *
 *  The story: three actors, each with own sockets and thread (actors.c). Requests go to workers that have
 *  credit (broker.c, who knows its peers: peers.c, and what they serve: services.c); events are forwarded to
 *  whoever taps; policies are kept as content-addressed objects (vault.c). The bus is a service like the
 *  others: it also connects to itself, to publish its own status.
 */
#include "actors.h"
#include "svc/svc.h"

static int open_bus (svc_run_t *run, void **state, err_t *err)
{
    actors_t *actors = actors_new (args_value (svc_args (run), "--bus"), err);
    *state = actors;
    return actors ? 0 : -1;
}

static void close_bus (svc_run_t *run, void **state)
{
    (void) run;
    actors_t *actors = *state;
    actors_destroy (&actors);
    *state = NULL;
}

static void status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
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
             "  quintet-bus --bus tcp://*:5550\n"
             "  quintet-bus --bus ipc:///tmp/quintet/bus\n",
    .open = open_bus,
    .close = close_bus,
    .status = status,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
