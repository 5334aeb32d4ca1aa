/*  join - the connection of a command that looks at a bus.
 *
 *      bus_t *bus = join_bus (args, "tap", &err);
 *      bus_destroy (&bus);
 */
#ifndef QUINTET_CLI_JOIN_H
#define QUINTET_CLI_JOIN_H

#include "bus/bus.h"
#include "svc/args.h"

/*  By --bus and --keys, under the name and our process's number. A bus that does not answer would
 *  look like a quiet one, so it is an error. */
bus_t *join_bus (const args_t *args, const char *name, err_t *err);
/*  The same with another address. */
bus_t *join_bus_at (const char *address, const args_t *args, const char *name, err_t *err);

#endif
