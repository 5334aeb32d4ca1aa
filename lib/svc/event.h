/*  event - publishes an event with who sends it, and when.
 *
 *      event_publish (bus, "trainer", "coding/run.state", &event);
 *
 *  Whoever listens sees by the time how late it comes, and by host, process and version who speaks;
 *  the envelope adds the sender's name, its boot and a number.
 */
#ifndef QUINTET_SVC_EVENT_H
#define QUINTET_SVC_EVENT_H

#include "bus/bus.h"
#include "wire/wire.h"

/*  service: the kind of the sender, "trainer". Best effort, like all events: one that cannot be
 *  packed is left out. */
void event_publish (bus_t *bus, const char *service, const char *topic, const wire_event_t *event);

#endif
