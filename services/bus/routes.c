/*  routes - see routes.h */
#include "routes.h"

#include <stdlib.h>

route_t *routes_of (routes_t *routes, slice_t name)
{
    for (size_t i = 0; i < routes->n; i++)
        if (slice_equal (slice_of (routes->route[i]->name), name))
            return routes->route[i];
    /* A name without letters, or one longer than names are, is no service's. */
    if (routes->n == ROUTES_MAX || name.size == 0 || name.size > ENVELOPE_NAME_MAX)
        return NULL;
    route_t *route = calloc (1, sizeof *route);
    if (!route)
        return NULL;
    slice_text (name, route->name, sizeof route->name);
    return routes->route[routes->n++] = route;
}

/*  One with flights has had a worker a moment ago, and will end them first. */
route_t *routes_unserved (const routes_t *routes)
{
    for (size_t i = 0; i < routes->n; i++)
        if (routes->route[i]->workers.n == 0 && routes->route[i]->flights == 0)
            return routes->route[i];
    return NULL;
}

/*  Whoever asks for a service that nobody serves makes a route for as long as the request waits,
 *  and no longer. */
void routes_sweep (routes_t *routes)
{
    for (size_t i = 0; i < routes->n;) {
        route_t *route = routes->route[i];
        if (route->workers.n || route->queue.n || route->flights) {
            i++;
            continue;
        }
        routes->route[i] = routes->route[--routes->n];
        free (route);
    }
}

void routes_free (routes_t *routes)
{
    while (routes->n) {
        route_t *route = routes->route[--routes->n];
        /* Without a word to those who wait: the bus is ending, and they will notice. */
        queue_clear (&route->queue);
        free (route);
    }
}
