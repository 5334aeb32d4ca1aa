/*  zygote - a python3 that has everything in memory that a program may import, is locked
 *  (inside/), and forks for every program.
 *
 *      zygote_t *zygote = zygote_new (ZYGOTE_FULL, modules, WALL_LANDLOCK, &err);
 *      child_t *child = zygote_fork (zygote, PROTOCOL_PROGRAM, &limits, &err);
 *      ...                                                      child.h: asks it and sees its end
 *      zygote_destroy (&zygote);
 *
 *  The forks are children of this process, not of the zygote: their ends are seen by waiting for
 *  them.
 */
#ifndef QUINTET_REWARD_ZYGOTE_H
#define QUINTET_REWARD_ZYGOTE_H

#include "base/err.h"
#include "child.h"
#include "protocol.h"
#include "wall.h"

typedef struct zygote zygote_t;

/*  Light ones have no library, for programs that import nothing: they fork in a third of the
 *  time. */
typedef enum { ZYGOTE_LIGHT, ZYGOTE_FULL, ZYGOTE_KINDS } zygote_kind_t;

/*  Starts python3 and waits for its word that the lock holds. modules: names of third-party
 *  modules that a program may import, separated by commas, or "". ERR_CONFIG: there is no python3
 *  of use, no such module or no lock to be had here; anything else is the machinery's and
 *  passes. */
zygote_t *zygote_new (zygote_kind_t kind, const char *modules, wall_t wall, err_t *err);
void zygote_destroy (zygote_t **zygote);

/*  A fork under the full lock, or NULL: a failure of the machinery. The caller destroys it. */
child_t *zygote_fork (zygote_t *zygote, protocol_kind_t part, const child_limits_t *limits,
                      err_t *err);
/*  Makes the next one ahead, without waiting for it, so that whoever asks for one like that seldom
 *  has to. */
void zygote_prepare (zygote_t *zygote, protocol_kind_t part, const child_limits_t *limits);

#endif
