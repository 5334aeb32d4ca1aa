/*  library - see library.h */
#include "library.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "task/passages.h"

#define WORDS_MAX  64                                      /* of a query */
#define LINE_MAX_N (REWARD_VERDICT_MAX / LIBRARY_BEST - 1) /* bytes of a passage that are shown */

struct library {
    pthread_mutex_t lock; /* one statement, one query at a time */
    sqlite3 *db;          /* NULL: nothing to find */
    sqlite3_stmt *find;
};

static int library_fail (const library_t *l, err_t *err)
{
    return err_set (err, ERR_LIMIT, "the index of task.passages: %s", sqlite3_errmsg (l->db));
}

static int library_fill (library_t *l, const passages_t *passages, err_t *err)
{
    sqlite3_stmt *add = NULL;
    int rc = sqlite3_prepare_v2 (l->db, "INSERT INTO passages VALUES (?, ?)", -1, &add, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < passages->n; i++) {
        sqlite3_bind_text (add, 1, passages->item[i].text, -1, SQLITE_STATIC);
        sqlite3_bind_text (add, 2, passages->item[i].source, -1, SQLITE_STATIC);
        rc = sqlite3_step (add) == SQLITE_DONE ? sqlite3_reset (add) : SQLITE_ERROR;
    }
    sqlite3_finalize (add);
    return rc == SQLITE_OK ? 0 : library_fail (l, err);
}

static int library_open (library_t *l, const char *path, err_t *err)
{
    passages_t passages = {0};
    static const char schema[] =
        "CREATE VIRTUAL TABLE passages USING fts5 (text, source UNINDEXED, "
        "tokenize = 'unicode61 remove_diacritics 2'); BEGIN";
    static const char query[] = "SELECT source, text FROM passages WHERE passages MATCH ? "
                                "ORDER BY bm25 (passages), rowid LIMIT ?";
    if (passages_read (&passages, path, err) != 0)
        return -1;
    int rc = sqlite3_open (":memory:", &l->db) == SQLITE_OK &&
                     sqlite3_exec (l->db, schema, NULL, NULL, NULL) == SQLITE_OK
                 ? library_fill (l, &passages, err)
                 : library_fail (l, err);
    if (rc == 0 && (sqlite3_exec (l->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK ||
                    sqlite3_prepare_v2 (l->db, query, -1, &l->find, NULL) != SQLITE_OK))
        rc = library_fail (l, err);
    passages_free (&passages);
    return rc;
}

library_t *library_new (const char *path, err_t *err)
{
    library_t *l = calloc (1, sizeof *l);
    if (!l) {
        err_set (err, ERR_LIMIT, "no memory for an index");
        return NULL;
    }
    pthread_mutex_init (&l->lock, NULL);
    if (*path && library_open (l, path, err) != 0) {
        err->code = err->code == ERR_INPUT ? ERR_CONFIG : err->code;
        library_destroy (&l);
    }
    return l;
}

void library_destroy (library_t **self)
{
    library_t *l = *self;
    if (!l)
        return;
    sqlite3_finalize (l->find);
    sqlite3_close (l->db);
    pthread_mutex_destroy (&l->lock);
    free (l);
    *self = NULL;
}

static bool library_is_word (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80);
}

/*  The words of a query in FTS5's own language, each in quotation marks, so that none of them is an
 *  operator: a model may say anything. */
static size_t library_words (const char *query, buf_t *match)
{
    size_t n = 0;
    for (const char *c = query; *c && n < WORDS_MAX;) {
        size_t size = 0;
        while (library_is_word (c[size]))
            size++;
        if (size > 0) {
            buf_printf (match, "%s\"%.*s\"", n ? " OR " : "", (int) size, c);
            n++;
        }
        c += size ? size : 1;
    }
    return n;
}

/*  One passage as a line of the verdict. */
static void library_show (sqlite3_stmt *row, buf_t *verdict)
{
    char line[LINE_MAX_N];
    buf_t text = {0};
    buf_printf (&text, "[%s] %s", (const char *) sqlite3_column_text (row, 0),
                (const char *) sqlite3_column_text (row, 1));
    reward_cut (line, sizeof line, text.data ? text.data : "");
    buf_printf (verdict, "%s%s", verdict->size ? "\n" : "", line);
    buf_free (&text);
}

int library_find (library_t *l, const char *query, reward_score_t *found, err_t *err)
{
    buf_t match = {0}, verdict = {0};
    size_t words = library_words (query, &match), n = 0;
    int rc = SQLITE_DONE;
    *found = (reward_score_t){0};
    pthread_mutex_lock (&l->lock);
    if (l->find && words > 0 && !buf_failed (&match)) {
        sqlite3_bind_text (l->find, 1, match.data, -1, SQLITE_STATIC);
        sqlite3_bind_int (l->find, 2, LIBRARY_BEST);
        for (; (rc = sqlite3_step (l->find)) == SQLITE_ROW; n++)
            library_show (l->find, &verdict);
        sqlite3_reset (l->find);
    }
    int failed = rc == SQLITE_DONE ? 0 : library_fail (l, err);
    pthread_mutex_unlock (&l->lock);
    found->success = n > 0;
    found->quality = (double) n / LIBRARY_BEST;
    reward_set_verdict (found, verdict.data ? verdict.data : "nothing was found");
    bool starved = buf_failed (&match) || buf_failed (&verdict);
    buf_free (&match);
    buf_free (&verdict);
    return starved ? err_set (err, ERR_LIMIT, "no memory for a query") : failed;
}
