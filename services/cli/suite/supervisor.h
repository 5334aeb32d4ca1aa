/*  supervisor - starts programs, keeps them running, ends them all.
 *
 *      supervisor_t *s = supervisor_new (log_folder, &err);
 *      supervisor_add (s, "agent-1", command, NULL, SUPERVISE_ALWAYS, &err);
 *      while (supervisor_turn (s, &err) == 0) ...               a few times a second
 *      supervisor_destroy (&s);                                 everything is gone afterwards
 *
 *  This process becomes the parent of whatever its children leave behind, and ends that, too: it
 *  must have no children but these. Each child has its own process group, writes to LOGS/NAME.log,
 *  and dies with this process even when that is killed. One that crashes is started again after a
 *  while (0.1 s, doubling); one that ends with status 78 (its configuration is wrong) or 74 (a
 *  disk is full) never, nor one that may end and whose deadline passed (75).
 */
#ifndef QUINTET_CLI_SUPERVISOR_H
#define QUINTET_CLI_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum {
    SUPERVISE_ALWAYS, /* a service: its end is a crash */
    SUPERVISE_UNTIL   /* may end with status 0: then it is done */
} supervise_t;

typedef struct supervisor supervisor_t;

supervisor_t *supervisor_new (const char *log_folder, err_t *err);
void supervisor_destroy (supervisor_t **supervisor);

/*  argv[0] is a path; all is copied. Starts it. again: an argument that is added whenever it is
 *  started again ("--resume"), or NULL. */
int supervisor_add (supervisor_t *supervisor, const char *name, const char *const *argv,
                    const char *again, supervise_t how, err_t *err);
/*  Ends one child and forgets it. */
void supervisor_remove (supervisor_t *supervisor, const char *name);

/*  The log folder goes away with the supervisor: errors do not name its files. */
void supervisor_forget_logs (supervisor_t *supervisor);

/*  How long a child may take to end once it is asked to, before it is killed; 1.5 s when nobody
 *  says more. At most 30 s. */
void supervisor_allow (supervisor_t *supervisor, const char *name, int64_t ms);
/*  Calls (context, name, left_ms) again and again while a child takes its time to end; true: it is
 *  killed now. */
void supervisor_hurry (supervisor_t *supervisor,
                       bool (*hurry) (void *context, const char *name, int64_t left_ms),
                       void *context);

/*  Calls (context, name, "was killed by signal 9") whenever one is going to be started again. */
void supervisor_watch (supervisor_t *supervisor,
                       void (*on_restart) (void *context, const char *name, const char *why),
                       void *context);

/*  Looks after everybody. -1: a child cannot be kept running; the error has its last words
 *  (svc.h), or else the end of its log. */
int supervisor_turn (supervisor_t *supervisor, err_t *err);
/*  Whether a SUPERVISE_UNTIL child ended with status 0. */
bool supervisor_done (const supervisor_t *supervisor, const char *name);
/*  The process of a child; 0: it does not run just now. */
uint64_t supervisor_pid (const supervisor_t *supervisor, const char *name);

/*  The path of a program beside this one, or just its name (for PATH). */
const char *supervisor_program (const char *name, char *path, size_t size);

#endif
