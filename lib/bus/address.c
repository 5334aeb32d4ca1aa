/*  address - see address.h */
#include "bus/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IPC_PATH_MAX 107 /* of a unix socket (unix(7)) */

/*  One path gives four sockets beside each other, so that a user names one. */
static int address_parse_ipc (const char *path, address_t *address, err_t *err)
{
    static const char *const ends[ADDRESS_COUNT] = {"requests", "policies", "publish", "subscribe"};
    if (!*path || strlen (path) + strlen (".subscribe") > IPC_PATH_MAX)
        return err_set (err, ERR_CONFIG, "ipc://%s: a socket's path has at most %d bytes", path,
                        IPC_PATH_MAX - 10);
    for (int i = 0; i < ADDRESS_COUNT; i++)
        snprintf (address->endpoint[i], ADDRESS_MAX, "ipc://%s.%s", path, ends[i]);
    return 0;
}

/*  Ports go up from the one given. A bus that binds to every interface is reached, from the same
 *  machine, by the loopback one. */
static int address_parse_tcp (const char *text, const char *host, bool bind, address_t *address,
                              err_t *err)
{
    const char *colon = strrchr (host, ':');
    char *end = NULL;
    long port = colon ? strtol (colon + 1, &end, 10) : 0;
    if (!colon || colon == host || !end || *end || port < 1 || port > 65535 || colon - host > 200)
        return err_set (err, ERR_CONFIG, "%s: tcp://HOST:PORT is wanted", text);
    if (port > 65535 - (ADDRESS_COUNT - 1))
        return err_set (err, ERR_CONFIG,
                        "%s: a bus takes four ports from the one given, so %d is the highest", text,
                        65535 - (ADDRESS_COUNT - 1));
    int size = (int) (colon - host);
    bool any = (size == 1 && *host == '*') || (size == 7 && strncmp (host, "0.0.0.0", 7) == 0);
    for (int i = 0; i < ADDRESS_COUNT; i++)
        snprintf (address->endpoint[i], ADDRESS_MAX, "tcp://%.*s:%ld", any && !bind ? 9 : size,
                  any && !bind ? "127.0.0.1" : host, port + i);
    return 0;
}

int address_parse (const char *text, bool bind, address_t *address, err_t *err)
{
    if (strncmp (text, "ipc://", 6) == 0)
        return address_parse_ipc (text + 6, address, err);
    if (strncmp (text, "tcp://", 6) == 0)
        return address_parse_tcp (text, text + 6, bind, address, err);
    return err_set (err, ERR_CONFIG, "bus address '%s': tcp://HOST:PORT or ipc://PATH is wanted",
                    text);
}
