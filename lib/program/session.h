/*  session - episodes of an environment of the user's own: one process that plays many at once.
 *
 *      session_t *session = session_new ("python3 my_env.py", &err);
 *      session_play (session, record, size, 20, &answer, &err);
 *      session_close (session, "r/train/3/7/");
 *      session_destroy (&session);
 *
 *  A record is an episode so far (episode_so_far in task/episode.h). What the process is sent, and
 *  what it answers, a line each:
 *
 *    {"op": "reset", "episode": ID, "seed": 7, "task": {...}, "roles": [...],
 *     "limits": {"tokens": 64, "turns": 16}}
 *    {"op": "step", "episode": ID, "actions": {ROLE: {"text", "tokens", "truncated"}}}
 *                      -> {"observe": {ROLE: "text"}}           these roles act next
 *                      -> {"done": true, "quality": 0.7, ...}   as task/outcome.h says
 *    {"op": "close", "episode": ID}                             no answer: nobody goes on with it
 *
 *  A process that has the episode open, one step behind the record, is sent that step alone. To any
 *  other, such as one that was started again, the whole record is played from the reset on. So a
 *  death loses nothing, as long as the same actions are answered alike; where they are not,
 *  ERR_STALE says that the episode has to be begun anew. One thread uses a session_t.
 */
#ifndef QUINTET_PROGRAM_SESSION_H
#define QUINTET_PROGRAM_SESSION_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define SESSION_ANSWER_S 20 /* for an answer, where nothing else is said */

typedef struct session session_t;

session_t *session_new (const char *command, err_t *err);
void session_destroy (session_t **session);

/*  The answer to the record's last step, or to its reset: a line, appended, which has been checked.
 *  seconds: for each answer. A process that dies, is too slow or answers what is none is started
 *  again; what fails so PROGRAM_TRIES times in a row is ERR_CONFIG, with its last words. ERR_STALE:
 *  see above. */
int session_play (session_t *session, const char *record, size_t size, double seconds,
                  buf_t *answer, err_t *err);
/*  From any thread, or a signal's handler: session_play fails within a moment, as ERR_STALE. */
void session_stop (session_t *session);
/*  Nobody goes on with the episodes whose ids begin so. */
void session_close (session_t *session, const char *prefix);

#endif
