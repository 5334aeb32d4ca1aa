/*  line_process - a child process that is asked and answers in lines.
 *
 *      line_process_t *process = line_process_new (argv, environment, keep_fd, &err);
 *      line_process_ask (process, line, size, deadline_ms, &answer, &err);
 *      line_process_destroy (&process);
 *
 *  The child has its own process group, which is killed as a whole, and dies with its parent.
 */
#ifndef QUINTET_REWARD_LINE_PROCESS_H
#define QUINTET_REWARD_LINE_PROCESS_H

#include "base/buf.h"
#include "base/err.h"

typedef struct line_process line_process_t;

/*  keep_fd: a descriptor that the child shall inherit, or -1. environment: NULL for ours. */
line_process_t *line_process_new (char *const argv[], char *const environment[], int keep_fd,
                                  err_t *err);
void line_process_destroy (line_process_t **process);

/*  Sends line and a newline (NULL: nothing), waits for one line (its newline is left out). -1: the
 *  child ended (ERR_IO), was too slow (ERR_TIMEOUT) or too long (ERR_LIMIT), or nobody knows what
 *  its answer would belong to, since there are lines of it that nobody asked for (ERR_INPUT); it
 *  is of no further use then. */
int line_process_ask (line_process_t *process, const char *line, size_t size, int64_t deadline_ms,
                      buf_t *answer, err_t *err);

#endif
