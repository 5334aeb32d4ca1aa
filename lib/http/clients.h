/*  clients - who has a connection, since when, and who gives way to others.
 *
 *      clients_t *clients = clients_new ();
 *      client_t *client = clients_add (clients, fd);      a connection; it asks for something
 *      clients_answer (clients, client);                  and has
 *      if (clients_stream (clients, client)) ...          and gets an answer without an end
 *      clients_ask (clients, client);                     may ask for more
 *      clients_remove (clients, client);
 *      clients_destroy (&clients);
 *
 *  Time without a byte is no measure of a slow one: each byte is a sign of life. What is, is how
 *  long the whole head of a request takes, and the whole answer. Who is cut off has its socket shut
 *  down; whoever owns that notices, and removes it. From any thread.
 */
#ifndef QUINTET_HTTP_CLIENTS_H
#define QUINTET_HTTP_CLIENTS_H

#include <stdbool.h>

typedef struct clients clients_t;
typedef struct client client_t;

clients_t *clients_new (void);
/*  All were removed. */
void clients_destroy (clients_t **clients);

/*  Where there are WEB_CONNECTIONS, one of the address that has most is cut off: of those that ask
 *  first, then the oldest. Streams stay. NULL: no memory. */
client_t *clients_add (clients_t *clients, int fd);
void clients_remove (clients_t *clients, client_t *client);

/*  From now on it has WEB_HEAD_S for a request; WEB_ANSWER_S for what it gets. */
void clients_ask (clients_t *clients, client_t *client);
void clients_answer (clients_t *clients, client_t *client);
/*  For as long as it likes. False: its address has WEB_STREAMS_EACH already. */
bool clients_stream (clients_t *clients, client_t *client);

/*  Cuts off who has taken longer. Now and then. */
void clients_cut_late (clients_t *clients);

#endif
