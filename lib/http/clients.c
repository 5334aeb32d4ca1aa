/*  clients - see clients.h */
#include "http/clients.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "http/web.h"

struct client {
    int fd;
    struct sockaddr_storage from;
    enum { ASKS, ANSWERED, STREAMS } does;
    bool cut;
    int64_t since_ms; /* it does so */
    struct client *next;
};

struct clients {
    pthread_mutex_t lock;
    client_t *first;
};

clients_t *clients_new (void)
{
    clients_t *clients = calloc (1, sizeof *clients);
    if (clients)
        pthread_mutex_init (&clients->lock, NULL);
    return clients;
}

void clients_destroy (clients_t **clients)
{
    if (!*clients)
        return;
    pthread_mutex_destroy (&(*clients)->lock);
    free (*clients);
    *clients = NULL;
}

/*  ---- with the lock -------------------------------------------------------------------------- */

static bool clients_same_address (const client_t *a, const client_t *b)
{
    const struct sockaddr_in *a4 = (const void *) &a->from, *b4 = (const void *) &b->from;
    const struct sockaddr_in6 *a6 = (const void *) &a->from, *b6 = (const void *) &b->from;
    if (a->from.ss_family != b->from.ss_family)
        return false;
    return a->from.ss_family == AF_INET
               ? a4->sin_addr.s_addr == b4->sin_addr.s_addr
               : memcmp (&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

/*  Connections of its address, or streams of it alone. */
static size_t clients_count (const clients_t *clients, const client_t *of, bool streams)
{
    size_t n = 0;
    for (const client_t *c = clients->first; c; c = c->next)
        n += !c->cut && (!streams || c->does == STREAMS) && clients_same_address (c, of);
    return n;
}

static void clients_cut (client_t *c)
{
    c->cut = true;
    shutdown (c->fd, SHUT_RDWR);
}

static void clients_cut_all_late (clients_t *clients)
{
    int64_t now = clock_ms ();
    for (client_t *c = clients->first; c; c = c->next)
        if (!c->cut && c->does != STREAMS &&
            now - c->since_ms >= 1000 * (c->does == ASKS ? WEB_HEAD_S : WEB_ANSWER_S))
            clients_cut (c);
}

/*  Whether a goes rather than b, which stands before it, and so came later. */
static bool clients_before (const clients_t *clients, const client_t *a, const client_t *b)
{
    size_t n = clients_count (clients, a, false), m = clients_count (clients, b, false);
    return n != m ? n > m : a->does != b->does ? a->does == ASKS : a->since_ms <= b->since_ms;
}

/*  So that nobody shuts others out by taking all connections and asking for nothing. */
static void clients_make_room (clients_t *clients)
{
    size_t n = 0;
    client_t *goes = NULL;
    for (client_t *c = clients->first; c; c = c->next) {
        n += !c->cut;
        if (!c->cut && c->does != STREAMS && (!goes || clients_before (clients, c, goes)))
            goes = c;
    }
    if (n >= WEB_CONNECTIONS && goes)
        clients_cut (goes);
}

/*  ---- of each -------------------------------------------------------------------------------- */

client_t *clients_add (clients_t *clients, int fd)
{
    client_t *c = calloc (1, sizeof *c);
    socklen_t size = sizeof c->from;
    if (!c)
        return NULL;
    *c = (client_t){.fd = fd, .does = ASKS, .since_ms = clock_ms ()};
    getpeername (fd, (struct sockaddr *) &c->from, &size);
    pthread_mutex_lock (&clients->lock);
    clients_cut_all_late (clients);
    clients_make_room (clients);
    c->next = clients->first;
    clients->first = c;
    pthread_mutex_unlock (&clients->lock);
    return c;
}

void clients_remove (clients_t *clients, client_t *client)
{
    pthread_mutex_lock (&clients->lock);
    client_t **at = &clients->first;
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    pthread_mutex_unlock (&clients->lock);
    free (client);
}

void clients_ask (clients_t *clients, client_t *client)
{
    pthread_mutex_lock (&clients->lock);
    client->does = ASKS;
    client->since_ms = clock_ms ();
    pthread_mutex_unlock (&clients->lock);
}

void clients_answer (clients_t *clients, client_t *client)
{
    pthread_mutex_lock (&clients->lock);
    client->does = ANSWERED;
    client->since_ms = clock_ms ();
    pthread_mutex_unlock (&clients->lock);
}

bool clients_stream (clients_t *clients, client_t *client)
{
    pthread_mutex_lock (&clients->lock);
    bool room = clients_count (clients, client, true) < WEB_STREAMS_EACH;
    if (room)
        client->does = STREAMS;
    pthread_mutex_unlock (&clients->lock);
    return room;
}

void clients_cut_late (clients_t *clients)
{
    pthread_mutex_lock (&clients->lock);
    clients_cut_all_late (clients);
    pthread_mutex_unlock (&clients->lock);
}
