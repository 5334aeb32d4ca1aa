/*  sandbox - Python programs that nobody trusts, run under a full lock.
 *
 *      sandbox_t *sandbox = sandbox_new (&err);
 *      json_t *answer = sandbox_run (sandbox, request, &err);         zygote.py says what goes in and out
 *      sandbox_destroy (&sandbox);
 *
 *  One warmed interpreter (the zygote) forks for every program. It is started again when it dies. Without
 *  Python, Landlock or seccomp nothing is ever run: the error says what is missing. One thread uses a
 *  sandbox_t.
 */
#ifndef QUINTET_REWARD_SANDBOX_H
#define QUINTET_REWARD_SANDBOX_H

#include <jansson.h>

#include "base/err.h"

typedef struct sandbox sandbox_t;

/*  Starts the zygote and waits for its word that the lock holds. */
sandbox_t *sandbox_new (err_t *err);
void sandbox_destroy (sandbox_t **sandbox);

/*  A new reference, or NULL: ERR_TIMEOUT and ERR_IO are failures of the machinery, to be tried again. */
json_t *sandbox_run (sandbox_t *sandbox, const json_t *request, err_t *err);

#endif
