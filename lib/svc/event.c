/*  event - see event.h */
#include "svc/event.h"

#include <time.h>
#include <unistd.h>

void event_publish (bus_t *bus, const char *service, const char *topic, const wire_event_t *event)
{
    struct timespec now;
    char host[256] = "";
    buf_t bytes = {0};
    wire_event_t whole = *event;
    clock_gettime (CLOCK_REALTIME, &now);
    gethostname (host, sizeof host - 1);
    whole.time_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
    whole.service = service;
    whole.host = host;
    whole.pid = (uint64_t) getpid ();
    whole.program = QUINTET_VERSION;
    wire_event_pack (&whole, &bytes);
    if (!buf_failed (&bytes))
        bus_publish (bus, topic, bytes.data, bytes.size);
    buf_free (&bytes);
}
