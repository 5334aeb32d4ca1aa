/*  library - finds the passages that a query is about, for the primitive retrieve.
 *
 *      library_t *library = library_new ("handbook", &err);
 *      library_find (library, "opening hours on Sunday", &found, &err);
 *      library_destroy (&library);
 *
 *  An index in memory (SQLite's FTS5) over task/passages.h, ranked by BM25 over the words of the
 *  query, any of them; of equal rank the earlier passage comes first. A pure function of passages
 *  and query.
 */
#ifndef QUINTET_REWARD_LIBRARY_H
#define QUINTET_REWARD_LIBRARY_H

#include "base/err.h"
#include "task/reward.h"

#define LIBRARY_BEST 3 /* passages that one query finds at most */

typedef struct library library_t;

/*  path: "" for one that finds nothing. */
library_t *library_new (const char *path, err_t *err);
void library_destroy (library_t **library);
/*  The verdict has a line "[source] text" for each passage, the best first, each cut where it is
 *  long; success: there is one. Any thread. */
int library_find (library_t *library, const char *query, reward_score_t *found, err_t *err);

#endif
