/*  health - see health.h */
#include "svc/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bus/bus.h"

/*  The header promises 1 s. The rest is for the AGAIN_MS that bus_next may wait longer, and for the
 *  100 ms that bus_destroy may linger. */
#define HEALTH_MS 800
/* A bus that has just started knows everybody within its first half second. */
#define AGAIN_MS 100

/*  One question to the bus, which knows from heartbeats who is alive: a service that computes sends
 *  them too. */
static int health_ask (bus_t *bus, const char *who, int64_t deadline, err_t *err)
{
    int64_t left = clock_left_ms (deadline);
    bus_item_t item = {0};
    int rc = 1;
    if (!bus_call (bus, BUS_ALIVE, NULL, who, strlen (who), left))
        return err_set (err, ERR_LIMIT, "no memory for a question");
    /* Other items may come first, and the wait may end early. Every call gets a reply, at its
       deadline an ERR_TIMEOUT, so this ends. */
    while (rc >= 0 && item.kind != BUS_REPLY)
        rc = bus_next (bus, &item, (int) left + AGAIN_MS, err);
    if (rc < 0)
        return -1;
    /* Why, as far as it is known: one that is stuck looks as if it was not there. */
    if (item.code == ERR_TIMEOUT)
        return bus_ready (bus, 0, err) == 0 ? err_set (err, ERR_TIMEOUT, "no answer from there")
                                            : -1;
    return item.code == ERR_NONE ? 0 : err_set (err, item.code, "%s", item.text);
}

/*  By another kind's certificate the bus lets us in, but not the service that is asked after: the
 *  answer would be about others. A trainer goes by its operator's as well. */
static int health_check_kind (const char *service, const keys_t *keys, err_t *err)
{
    bool operates = strcmp (keys->kind, "operator") == 0 && strcmp (service, "trainer") == 0;
    if (!*keys->kind || strcmp (keys->kind, service) == 0 || operates)
        return 0;
    return err_set (err, ERR_CONFIG,
                    "a bus refuses quintet-%s by %s, the certificate of '%s', of kind %s: give "
                    "--keys one of kind %s",
                    service, keys->dir, keys->name, keys->kind, service);
}

/*  Runs in a process of its own, as the health check of a container: it opens no log, and whoever
 *  asked reads stderr. */
int health_check (const char *service, const args_t *args)
{
    const char *given = args_value (args, "--name"), *address = args_value (args, "--bus");
    /* Without a name any instance will do: the bus takes the kind for the beginning of a name. */
    keys_t keys;
    char name[128];
    err_t err = {0};
    int64_t deadline = clock_ms () + HEALTH_MS;
    bool known = keys_load (args_value (args, "--keys"), &keys, &err) == 0 &&
                 health_check_kind (service, &keys, &err) == 0;
    const char *who = *given ? given : *keys.name ? keys.name : service;
    /* Never the beginning of a name that is asked for. */
    snprintf (name, sizeof name, "%s%shealth-%ld", keys.name, *keys.name ? "/" : "",
              (long) getpid ());
    bus_options_t options = {.address = address, .name = name, .numerics = "", .keys = &keys};
    bus_t *bus = known ? bus_new (&options, &err) : NULL;
    int rc = bus ? health_ask (bus, who, deadline, &err) : -1;
    /* Only "not there" is asked again: a bus that has just started may not have heard the service's
       heartbeat yet. */
    while (rc != 0 && err.code == ERR_MISSING && clock_left_ms (deadline) > 2 * AGAIN_MS) {
        clock_sleep_ms (AGAIN_MS);
        rc = health_ask (bus, who, deadline, &err);
    }
    bus_destroy (&bus);
    if (rc == 0)
        return EXIT_SUCCESS;
    fprintf (stderr, "quintet-%s is not alive on the bus at %s: %s\n", service, address, err.text);
    return EXIT_FAILURE;
}
