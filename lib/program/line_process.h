/*  line_process - a child process that is asked and answers in lines.
 *
 *      line_process_t *process = line_process_new (argv, on_word, context, &err);
 *      line_process_ask (process, line, size, deadline_ms, &answer, &err);
 *      line_process_destroy (&process);
 *
 *  The child has its own process group, which is killed as a whole, and dies with its parent. What
 *  it writes to standard error is read line by line while it is asked, so that it can be kept and
 *  shown: whoever wonders why a program died looks there.
 */
#ifndef QUINTET_PROGRAM_LINE_PROCESS_H
#define QUINTET_PROGRAM_LINE_PROCESS_H

#include "base/buf.h"
#include "base/err.h"

typedef struct line_process line_process_t;

/*  on_word (context, line, n) is called with every line of the child's standard error, from within
 *  the functions below. */
line_process_t *line_process_new (char *const argv[],
                                  void (*on_word) (void *context, const char *line, size_t n),
                                  void *context, err_t *err);
void line_process_destroy (line_process_t **process);

/*  Sends line and a newline (NULL: nothing), waits for one line (its newline is left out). -1: the
 *  child ended (ERR_IO), was too slow (ERR_TIMEOUT) or too long (ERR_LIMIT), or nobody knows what
 *  its answer would belong to, since there are lines of it that nobody asked for (ERR_INPUT); it
 *  is of no further use then. */
int line_process_ask (line_process_t *process, const char *line, size_t size, int64_t deadline_ms,
                      buf_t *answer, err_t *err);
/*  Sends line and a newline, to which there is no answer. Failures as above. */
int line_process_tell (line_process_t *process, const char *line, size_t size, int64_t deadline_ms,
                       err_t *err);
/*  The status that it exited with, once an answer failed with ERR_IO; -1: a signal ended it, or it
 *  has not ended. */
int line_process_status (const line_process_t *process);

#endif
