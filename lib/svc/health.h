/*  health - whether a service is alive, asked from outside: what --health does.
 *
 *      return health_check ("agent", args);
 */
#ifndef QUINTET_SVC_HEALTH_H
#define QUINTET_SVC_HEALTH_H

#include "svc/args.h"

/*  Exit status within 1 s: 0 when an instance of the service (the one of --name, if given) is alive
 *  for the bus of --bus, be it ever so busy; else 1 and the reason on stderr. */
int health_check (const char *service, const args_t *args);

#endif
