/*  protocol - what the service and the zygote say to each other on their control socket, and the
 *  numbers that both sides of the lock must agree about.
 *
 *  Asked: one request_t with two descriptors, the program's questions (read) and answers (write).
 *  Answered: one int64_t, the process id of the fork, or -errno. Before that, once, the zygote
 *  says PROTOCOL_READY, or why the lock cannot be had. What the descriptors carry are frames: four
 *  bytes of length, least significant first, then JSON (zygote.py lists it); the first one is
 *  PROTOCOL_LOCKED, or says why the fork is not.
 */
#ifndef QUINTET_REWARD_PROTOCOL_H
#define QUINTET_REWARD_PROTOCOL_H

#include <stdint.h>

#define PROTOCOL_READY  "ready"
#define PROTOCOL_LOCKED "locked"

/*  Descriptors. In the zygote as it starts: control socket, filter, this lock's shared object. In
 *  a fork: questions and answers, nothing else. */
#define PROTOCOL_CONTROL   0
#define PROTOCOL_FILTER    3
#define PROTOCOL_INSIDE    4
#define PROTOCOL_QUESTIONS 3
#define PROTOCOL_ANSWERS   4
#define PROTOCOL_FDS       5 /* no descriptor of this number or above can exist in a fork */

#define PROTOCOL_FILTER_MAX 65536 /* bytes of the seccomp program */
#define PROTOCOL_STACK      ((uint64_t) 64 << 20)

/*  System calls newer than the headers of the oldest system that we build on. */
#define PROTOCOL_LANDLOCK_CREATE   444
#define PROTOCOL_LANDLOCK_RESTRICT 446
#define PROTOCOL_LANDLOCK_ABI      1u /* flag: tell the version */

/*  Who a program is when the service runs as root: nobody, in nobody's group. */
#define PROTOCOL_NOBODY 65534

typedef enum {
    PROTOCOL_PROGRAM,
    PROTOCOL_CHECKER,
    PROTOCOL_JUDGE,
    PROTOCOL_FINDER
} protocol_kind_t;

typedef struct {
    uint32_t kind;   /* protocol_kind_t */
    uint32_t cpu_s;  /* the kernel's own limit on CPU time, behind the watcher's */
    uint64_t memory; /* bytes of address space beyond the zygote's own */
} protocol_request_t;

#endif
