/*  services - what the services of a run say of themselves, from their statuses.
 *
 *      services_t services = {0};
 *      services_status (&services, "coding", event);        every service.status
 *      services_agents (&services, step, &line);             "6 agents, all at version 5, ..."
 */
#ifndef QUINTET_CLI_SERVICES_H
#define QUINTET_CLI_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/wire.h"

#define SERVICES_MAX 96

typedef struct {
    char name[64], kind[24];
    int64_t seen_ms;
    double version;            /* of this run that an agent has, -1: none yet */
    double tokens_per_s;       /* of an agent */
    double waiting, in_flight; /* requests or groups; -1: the service has no such thing */
    double busy_s, busy;       /* as said last, and the share of the time before that */
    double rss;                /* bytes */
} service_t;

typedef struct {
    service_t service[SERVICES_MAX];
    size_t n;
} services_t;

void services_status (services_t *services, const char *run, const wire_event_t *event);

/*  Of all agents together, NAN: none said so lately. */
double services_tokens_per_s (const services_t *services);
/*  Whether nothing is being sampled, but something is waiting for its score. */
bool services_are_scoring (const services_t *services);

/*  One line about all agents, and how far they are behind a step; nothing without agents. */
void services_agents (const services_t *services, uint64_t step, buf_t *line);
/*  One line about the others: environments, rewards, critic, bus. */
void services_others (const services_t *services, buf_t *line);

/*  12345 as "12.3k". */
void services_count (double value, buf_t *out);

#endif
