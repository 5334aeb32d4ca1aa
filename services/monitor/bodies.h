/*  bodies - the answers that were made last, by all that they follow from.
 *
 *      bodies_t kept = {0};
 *      if (!bodies_give (&kept, &key, &body))
 *          bodies_add (&kept, &key, &made);
 *      bodies_free (&kept);
 *
 *  Many pages ask for the same: made for each of them it would keep all others waiting.
 */
#ifndef QUINTET_MONITOR_BODIES_H
#define QUINTET_MONITOR_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define BODIES_N   8
#define BODIES_MAX ((size_t) 2 << 20) /* bytes of one; longer ones are not kept */

typedef struct {
    struct {
        buf_t key, body;
    } at[BODIES_N];
    size_t next; /* to be replaced */
} bodies_t;

/*  Appends the answer; false: it is not there. */
bool bodies_give (const bodies_t *kept, const buf_t *key, buf_t *body);
/*  Copies both, in place of the oldest. */
void bodies_add (bodies_t *kept, const buf_t *key, const buf_t *body);
void bodies_free (bodies_t *kept);

#endif
