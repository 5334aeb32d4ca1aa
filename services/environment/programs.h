/*  programs - the processes that play episodes for this service, each on a thread of its own.
 *
 *      programs_t *programs = programs_new ("python3 my_env.py", 2, wake, context, &err);
 *      uint64_t number = programs_ask (programs, place, &ask->payload, 20);
 *      while (programs_take (programs, &answer)) ...
 *      programs_close (programs, place, "r/train/3/7/");
 *      programs_destroy (&programs);
 *
 *  A process plays many episodes at once (program/session.h), one line after the other. Which one
 *  has an episode follows from its group's place, so that it finds it open there again.
 */
#ifndef QUINTET_ENVIRONMENT_PROGRAMS_H
#define QUINTET_ENVIRONMENT_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct programs programs_t;

typedef struct {
    uint64_t number;
    buf_t lines; /* an answer for each line that was asked; the caller's to free */
    err_t err;   /* as of session_play; ERR_NONE: there are answers */
} programs_answer_t;

/*  wake: called from any thread when an answer is there. The command is copied. */
programs_t *programs_new (const char *command, size_t workers, void (*wake) (void *context),
                          void *context, err_t *err);
/*  Gives up the answers that are under way. */
void programs_destroy (programs_t **programs);

const char *programs_command (const programs_t *programs);
/*  Asks for all lines of records, which are copied; seconds: for each answer. The number is none of
 *  the bus's; 0: no memory. */
uint64_t programs_ask (programs_t *programs, size_t place, const buf_t *records, double seconds);
bool programs_asked (uint64_t number);
bool programs_take (programs_t *programs, programs_answer_t *answer);
/*  Nobody goes on with the episodes of that place whose ids begin so. */
void programs_close (programs_t *programs, size_t place, const char *prefix);

#endif
