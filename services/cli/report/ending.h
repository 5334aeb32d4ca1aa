/*  ending - what is said last of a run that came to no result: why, and the command that goes on.
 *
 *      ending_t ending = {.out = out, .folder = folder, .resumes = true};
 *      ending_stopped (&ending, json);
 */
#ifndef QUINTET_CLI_ENDING_H
#define QUINTET_CLI_ENDING_H

#include <stdbool.h>

#include "base/buf.h"

typedef struct {
    const char *out;         /* folder of the run */
    const char *folder;      /* of the trainer that ran last; "": none did */
    const char *bus, *redis; /* of somebody else's suite, or NULL */
    const char *keys;        /* for that bus; "" or NULL: it has none */
    bool resumes;            /* whether the command that was used has --resume at all */
} ending_t;

/*  The command line of this process, quoted for a shell: its program, then argv. */
void ending_command (int argc, char **argv, buf_t *command);
/*  The command line that goes on with the run in a folder. */
void ending_resume (const char *out, const char *bus, const char *redis, const char *keys,
                    buf_t *command);

/*  A signal ended it. With json one object {"event": "stopped", ...} on stdout, else lines on
 *  stderr. */
void ending_stopped (const ending_t *ending, bool json);
/*  An error ended it, whose text is on stderr already: with json {"event": "error", ...}. */
void ending_failed (const ending_t *ending, const char *text, bool json);

/*  {"event": "error", "text": ...} on stdout, for a command that never began. */
void ending_error (const char *text);

#endif
