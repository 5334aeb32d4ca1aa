/*  event - see event.h */
#include "svc/event.h"

#include <time.h>
#include <unistd.h>

/*  Works on a copy: the caller's event is const, and may be published again. */
void event_publish (bus_t *bus, const char *service, const char *topic, const wire_event_t *event)
{
    struct timespec now;
    char host[256] = "";
    buf_t bytes = {0};
    wire_event_t whole = *event;
    clock_gettime (CLOCK_REALTIME, &now);
    /* One byte less than there is: gethostname may cut a long name without a 0 behind it. */
    gethostname (host, sizeof host - 1);
    /* By this host's clock: what is compared with another host's time has the difference of the two
       clocks in it. */
    whole.time_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
    whole.service = service;
    whole.host = host;
    whole.pid = (uint64_t) getpid ();
    whole.program = QUINTET_VERSION;
    wire_event_pack (&whole, &bytes);
    /* An event is a hint: no work stops because one could not be packed. */
    if (!buf_failed (&bytes))
        bus_publish (bus, topic, bytes.data, bytes.size);
    buf_free (&bytes);
}
