/*  filter - the system calls that are left to a program in the sandbox.
 *
 *      int fd = filter_new (&err);          a file in memory that holds the BPF program
 *
 *  An allow-list with looks at the arguments: whatever is not on it fails with EPERM, and calls of
 *  another architecture end the program. What asks about the machine is trapped: inside/world.c
 *  answers.
 */
#ifndef QUINTET_REWARD_FILTER_H
#define QUINTET_REWARD_FILTER_H

#include "base/err.h"

/*  A descriptor, closed on exec, at the file's beginning; the caller closes it. */
int filter_new (err_t *err);

#endif
