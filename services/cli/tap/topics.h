/*  topics - which topics there are on a bus, and how often something is sent under each.
 *
 *      topics_t topics = {0};
 *      topics_note (&topics, &item);
 *      topics_print (&topics, seconds, false, stdout);
 *      topics_free (&topics);
 */
#ifndef QUINTET_CLI_TOPICS_H
#define QUINTET_CLI_TOPICS_H

#include <stdint.h>
#include <stdio.h>

#include "bus/bus.h"

#define TOPICS_MAX 4096 /* names are a peer's: more are counted as one, "(others)" */

typedef struct {
    char *name;
    uint64_t events;
} topic_t;

/*  Of a sender, whose events are numbered, those that did not come. */
typedef struct {
    char *name;
    uint64_t missed;
} loss_t;

typedef struct {
    topic_t *topic;
    loss_t *loss;
    size_t topics, losses;
    uint64_t others;
} topics_t;

/*  Without memory an event is counted among the others. */
void topics_note (topics_t *topics, const bus_item_t *item);
/*  What was lost before it alone, which costs nothing where that is nothing. */
void topics_note_lost (topics_t *topics, const bus_item_t *item);
/*  One line per topic, by name: events, events per second; json: one object each. Names are made
 *  fit for a terminal. */
void topics_print (topics_t *topics, double seconds, bool json, FILE *to);
/*  "lost: agent-1 12, team 3", if there is anything. */
void topics_print_lost (const topics_t *topics, FILE *to);
/*  The first part of every topic's name, each once: "coding/ service/". */
void topics_roots (const topics_t *topics, buf_t *out);
void topics_free (topics_t *topics);

#endif
