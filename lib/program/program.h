/*  program - a program of the user's own, which is asked and answers in lines.
 *
 *      program_t *program = program_new ("python3 my.py", "scorer", "reward.command_s", &err);
 *      if (program_ask (program, line, size, 20, &answer, &err) != 0)
 *          program_end (program, &err);
 *      program_destroy (&program);
 *
 *  Started with sh -c at the first question, and with the first one after it was ended. Nothing
 *  tells which question an answer belongs to. So whenever there is any doubt (a second line, an
 *  answer that cannot be read, one that comes too late) the process is to be ended, and the next
 *  question goes to a new one: an answer must never be counted for another question.
 */
#ifndef QUINTET_PROGRAM_PROGRAM_H
#define QUINTET_PROGRAM_PROGRAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define PROGRAM_TRIES 3 /* of one question, before it is said to fail every time */

typedef struct program program_t;

/*  what: what it is called in errors and in the log; key: the configuration's, of the time that it
 *  has. Both borrowed. */
program_t *program_new (const char *text, const char *what, const char *key, err_t *err);
void program_destroy (program_t **program);

/*  One line for another; seconds: that it has. Errors as of line_process_ask. */
int program_ask (program_t *program, const char *line, size_t size, double seconds, buf_t *answer,
                 err_t *err);
/*  One line without an answer, to a process that runs; else nobody hears it. */
int program_tell (program_t *program, const char *line, size_t size, double seconds, err_t *err);
/*  From any thread, or a signal's handler: what is asked now or later fails, within a moment. */
void program_stop (program_t *program);
bool program_stopped (const program_t *program);
/*  Something went wrong: ends the process, and adds its name and its last words to err, which is
 *  logged. */
void program_end (program_t *program, err_t *err);
/*  Whether the process that was ended last could not be found at all. */
bool program_missing (const program_t *program);

#endif
