/*  rights - who may do what on a bus that has keys: one table, by kind of program.
 *
 *      const rights_t *rights = rights_of ("agent");
 *      rights_allow (rights, RIGHTS_ASK, slice_of ("score"), slice_of ("agent-1"));      false
 *      rights_tell (rights, told, sizeof told);
 *
 *  A certificate (keys.h) says of which kind its holder is; the bus (services/bus/guard.h) holds
 *  each frame against this table. A column is words, apart by blanks. Serve, ask: names of
 *  services. Publish: "service" is the own status, "service/NAME"; "policy/" how a topic begins;
 *  else how the name of an event begins, which is what follows the topic's last slash. Subscribe:
 *  how a prefix begins; "/NAME" is the events of that name, of any run; "*" all. Objects: "get"
 *  policies and manifests, "put" objects, "manifest": say which are in use.
 */
#ifndef QUINTET_BUS_RIGHTS_H
#define QUINTET_BUS_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/envelope.h"

typedef enum {
    RIGHTS_SERVE,
    RIGHTS_ASK,
    RIGHTS_PUBLISH,
    RIGHTS_SUBSCRIBE,
    RIGHTS_OBJECTS,
    RIGHTS_COUNT,
    RIGHTS_BE = RIGHTS_COUNT /* go by a name; who is let in may do so by its own */
} rights_act_t;

typedef struct {
    const char *kind;
    const char *may[RIGHTS_COUNT];
} rights_t;

/*  The table; kind NULL ends it. */
extern const rights_t rights_table[];

/*  NULL: there is no such kind. */
const rights_t *rights_of (const char *kind);
/*  what: a service, a topic, a prefix, or a word of the last column. sender: who says that it is
 *  his. */
bool rights_allow (const rights_t *rights, rights_act_t act, slice_t what, slice_t sender);
/*  "an agent may serve act; publish service; ..." into text. Returns it. */
const char *rights_tell (const rights_t *rights, char *text, size_t size);
/*  "serve", "ask for" ... */
const char *rights_act_name (rights_act_t act);

#endif
