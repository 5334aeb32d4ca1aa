/*  child - a process that runs a program, seen from outside.
 *
 *      child_t *child = child_new (pid, questions, answers, &limits, &err);
 *      child_send (child, question, size);                            as many as one likes
 *      child_next (child, &answer, &ending, &err);                    their answers, in order
 *      child_destroy (&child);                                        killed, if it still runs
 *
 *  What is said here of a program - that it used its time, that it will never answer, how it ended
 *  - is measured by the kernel, not told by the program. Only time on the CPU counts. A program
 *  whose threads all sleep will sleep for ever, since it has no clock to be woken by and no
 *  descriptor but ours: that is a property of the program, and seen within milliseconds. One that
 *  could run and is not let is none: it is waited for, and in the end the machinery's failure.
 */
#ifndef QUINTET_REWARD_CHILD_H
#define QUINTET_REWARD_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct {
    double cpu_s;       /* for one question */
    double cpu_total_s; /* for all */
    uint64_t memory;    /* bytes of address space beyond the interpreter's own */
} child_limits_t;

/*  Why a program gave no answer: the verdicts, each with its name. */
#define CHILD_ENDINGS(E)                                                                           \
    E (NONE, "")                                                                                   \
    E (CPU, "cpu")             /* used its time */                                                 \
    E (MEMORY, "memory")       /* reached the limit of its own */                                  \
    E (OUTPUT, "output")       /* wrote what is no answer, or too much of it */                    \
    E (FORBIDDEN, "forbidden") /* was ended for a call of the system that the lock refuses */      \
    E (STUCK, "stuck")         /* waits for what will never come */                                \
    E (EXITED, "exited")       /* ended by itself */                                               \
    E (CRASHED, "crashed")     /* the interpreter was ended by a signal of its own making */

typedef enum {
#define CHILD_ENUM(name, text) CHILD_##name,
    CHILD_ENDINGS (CHILD_ENUM)
#undef CHILD_ENUM
} child_ending_t;

typedef struct child child_t;

/*  Takes the descriptors over, both non-blocking: questions to write, answers to read. */
child_t *child_new (pid_t pid, int questions, int answers, const child_limits_t *limits,
                    err_t *err);
/*  Kills it, and does not wait: taking its memory down takes as long as answering a question. */
void child_end (child_t *child);
/*  Kills it, waits for its end, closes its descriptors. */
void child_destroy (child_t **child);

/*  Puts a question on its way. Sending several at once saves waiting: nothing in this process is
 *  secret. */
void child_send (child_t *child, const char *question, size_t size);
/*  Waits for the next answer. 0 and *ending says why there is none, or CHILD_NONE and there is
 *  one; after an ending the child is of no further use. -1: a failure of the machinery (ERR_IO,
 *  ERR_TIMEOUT, ERR_LIMIT), which says nothing about the program. */
int child_next (child_t *child, buf_t *answer, child_ending_t *ending, err_t *err);
/*  Both. */
int child_ask (child_t *child, const char *question, size_t size, buf_t *answer,
               child_ending_t *ending, err_t *err);

const char *child_ending_name (child_ending_t ending);

#endif
