/*  join - see join.h */
#include "join.h"

#include <stdio.h>
#include <unistd.h>

#define JOIN_MS 3000

bus_t *join_bus (const args_t *args, const char *name, err_t *err)
{
    return join_bus_at (args_value (args, "--bus"), args, name, err);
}

bus_t *join_bus_at (const char *address, const args_t *args, const char *name, err_t *err)
{
    char numbered[48], own[128];
    keys_t keys;
    snprintf (numbered, sizeof numbered, "%s-%ld", name, (long) getpid ());
    if (keys_load (args_value (args, "--keys"), &keys, err) != 0)
        return NULL;
    bus_options_t options = {
        .address = address, .name = keys_name (&keys, numbered, own, sizeof own), .keys = &keys};
    bus_t *bus = bus_new (&options, err);
    if (bus && bus_ready (bus, JOIN_MS, err) != 0)
        bus_destroy (&bus);
    return bus;
}
