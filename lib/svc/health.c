/*  health - see health.h */
#include "svc/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "bus/bus.h"

#define HEALTH_MS 800

/*  Statuses are events that come twice a second, so one must come in time. */
static int await_status (bus_t *bus, int64_t deadline, err_t *err)
{
    for (;;) {
        int64_t left = clock_left_ms (deadline);
        bus_item_t item;
        int rc = bus_next (bus, &item, (int) left, err);
        if (rc < 0)
            return -1;
        if (rc > 0 && item.kind == BUS_EVENT)
            return 0;
        if (left == 0)
            return err_set (err, ERR_TIMEOUT, "no status within a second");
    }
}

int health_check (const char *service, const args_t *args)
{
    const char *given = args_value (args, "--name"), *address = args_value (args, "--bus");
    char topic[160], name[64];
    snprintf (topic, sizeof topic, *given ? "service/%s" : "service/%s-", *given ? given : service);
    snprintf (name, sizeof name, "health-%ld", (long) getpid ());
    err_t err = {0};
    int64_t deadline = clock_ms () + HEALTH_MS;
    bus_options_t options = {.address = address, .name = name, .numerics = ""};
    bus_t *bus = bus_new (&options, &err);
    int rc = bus ? bus_subscribe (bus, topic, &err) : -1;
    if (rc == 0)
        rc = await_status (bus, deadline, &err);
    bus_destroy (&bus);
    if (rc == 0)
        return EXIT_SUCCESS;
    fprintf (stderr, "quintet-%s is not alive on the bus at %s: %s\n", service, address, err.text);
    return EXIT_FAILURE;
}
