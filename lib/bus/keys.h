/*  keys - the certificate that a program holds: who it is, and by which key it knows the bus.
 *
 *      keys_t keys;
 *      keys_load ("keys/agent", &keys, &err);
 *      bus_options_t options = {.address = address, .name = "agent-1", .keys = &keys};
 *
 *  A folder for each holder, made by authority.h (`quintet keys`), with two files in the format of
 *  CZMQ's zcert: "certificate", its public and secret key, and in the metadata of which `kind` it
 *  is (rights.h) and its `name`; and "bus", the public key of the bus. The bus's own folder has in
 *  place of the latter a folder "peers", with the public certificate of everybody whom it lets in.
 */
#ifndef QUINTET_BUS_KEYS_H
#define QUINTET_BUS_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"

#define KEYS_SIZE     32 /* bytes of a key of CurveZMQ */
#define KEYS_NAME_MAX 48
#define KEYS_OWN      "certificate"
#define KEYS_BUS      "bus" /* the file, and the name and kind of its holder */
#define KEYS_PEERS    "peers"

typedef struct {
    char dir[FS_PATH_MAX];
    char kind[KEYS_NAME_MAX + 1], name[KEYS_NAME_MAX + 1];
    uint8_t public_key[KEYS_SIZE], secret_key[KEYS_SIZE];
    uint8_t bus_key[KEYS_SIZE]; /* of the bus that it connects to */
} keys_t;

/*  dir "": no keys, and all of *keys is 0. ERR_CONFIG names the file, and says what to do: it is
 *  missing, is no certificate, or may be read by everybody. */
int keys_load (const char *dir, keys_t *keys, err_t *err);
/*  Whether the holder may go by a name: its own, or one that goes on with "-" or "/", as those of
 *  several programs that share a certificate do. */
bool keys_admit (const char *holder, const char *name, size_t name_n);
/*  A name that its holder may go by, into to: the given one, where need be behind its own. Without
 *  keys: the given one. Returns to. */
const char *keys_name (const keys_t *keys, const char *name, char *to, size_t size);

#endif
