/*  inside - what is loaded into python3 to lock it: a shared object that zygote.py opens through
 *  ctypes.
 *
 *      inside_serve (&plan, why, sizeof why);    when everything that may be imported is in memory
 *
 *  It stands in a folder of its own since it is no part of the service's program: the service
 *  carries it as bytes (zygote.c) and gives it to the interpreter through a file in memory. From
 *  here on the interpreter and all its forks can open nothing, see a clock of their own (world.c)
 *  and have given up the rights that they were started with; a fork gets the seccomp filter before
 *  it reads a byte that a model wrote. Nothing here allocates: two forks of one zygote begin with
 *  the same memory, bit by bit.
 */
#ifndef QUINTET_REWARD_INSIDE_H
#define QUINTET_REWARD_INSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "../protocol.h"

typedef struct {
    uint64_t used;           /* bytes of address space in use now */
    uint64_t parent;         /* process that must be the parent: the lock ends with it */
    uint64_t gvisor;         /* not 0: this is gVisor's kernel, which has not all of the locks */
    void *no_calls[2];       /* functions that prepare a foreign call (libffi's), or NULL */
    void *no_memory[6];      /* functions of ctypes that lead to raw memory, or NULL */
    void (*play) (int kind); /* what a fork does under its lock: a protocol_kind_t */
} inside_plan_t;

/*  Locks the interpreter, says that it is ready, and forks for whoever asks on the control socket,
 *  until that is closed. -1 and the reason in why: no lock. Single-threaded, never undone. One
 *  function, since after it no other one can be called from Python. */
int inside_serve (inside_plan_t *plan, char *why, size_t size);

/*  ---- world.c: what a locked program sees of the machine ------------------------------------- */

/*  Puts the world's clock in place of the vDSO's, and answers the calls that the filter traps. */
int world_begin (char *why, size_t size);
/*  Overwrites code with a jump to target, or with "return value" where target is NULL. */
int world_patch (void *code, const void *target, int value);

/*  ---- warm.c: what makes forks cheap --------------------------------------------------------- */

/*  Before the lock. Only speed depends on its success. */
void warm_begin (void);

#endif
