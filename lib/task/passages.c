/*  passages - see passages.h */
#include "task/passages.h"

#include <errno.h>
#include <fts.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

void passages_free (passages_t *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free (p->item[i].source);
        free (p->item[i].text);
    }
    free (p->item);
    *p = (passages_t){0};
}

/*  A copy on one line, runs of blanks as one; NULL: no memory. */
static char *passages_line (const char *text, size_t size)
{
    char *line = malloc (size + 1);
    size_t n = 0;
    for (size_t i = 0; line && i < size; i++) {
        bool blank = strchr (" \t\r\n", text[i]) != NULL && text[i];
        if (!blank)
            line[n++] = text[i];
        else if (n > 0 && line[n - 1] != ' ')
            line[n++] = ' ';
    }
    if (line)
        line[n > 0 && line[n - 1] == ' ' ? n - 1 : n] = 0;
    return line;
}

static int passages_add (passages_t *p, const char *source, const char *text, size_t size,
                         err_t *err)
{
    if (p->n == PASSAGES_MAX || size > PASSAGES_BYTES_MAX - p->bytes)
        return err_set (err, ERR_INPUT, "%s: more than %zu passages or %zu MiB", source,
                        PASSAGES_MAX, PASSAGES_BYTES_MAX >> 20);
    if (p->n == p->room) {
        size_t room = p->room ? p->room * 2 : 64;
        passage_t *grown = realloc (p->item, room * sizeof *grown);
        if (!grown)
            return err_set (err, ERR_LIMIT, "no memory for passages");
        p->item = grown;
        p->room = room;
    }
    passage_t *passage = &p->item[p->n];
    *passage = (passage_t){passages_line (source, strlen (source)), passages_line (text, size)};
    p->n++;
    p->bytes += size;
    return passage->source && passage->text ? 0 : err_set (err, ERR_LIMIT, "no memory");
}

/*  {"text": "...", "source": "..."} */
static int passages_json (passages_t *p, const char *name, size_t number, const char *line,
                          size_t size, err_t *err)
{
    json_error_t problem = {.text = ""};
    json_t *root = json_loadb (line, size, 0, &problem);
    const char *text = json_string_value (json_object_get (root, "text"));
    const char *source = json_string_value (json_object_get (root, "source"));
    char place[FS_PATH_MAX + 32];
    snprintf (place, sizeof place, "%s:%zu", name, number);
    int rc = text ? passages_add (p, source ? source : place, text, strlen (text), err)
                  : err_set (err, ERR_INPUT, "%s: {\"text\": \"...\"} is wanted%s%s", place,
                             *problem.text ? ": " : "", problem.text);
    json_decref (root);
    return rc;
}

/*  A run of lines that are not blank, which began at a line of that number. */
static int passages_run (passages_t *p, const char *name, size_t number, const char *text,
                         size_t size, err_t *err)
{
    char place[FS_PATH_MAX + 32];
    snprintf (place, sizeof place, "%s:%zu", name, number);
    return number ? passages_add (p, place, text, size, err) : 0;
}

static int passages_split (passages_t *p, const char *name, const char *data, size_t size,
                           err_t *err)
{
    size_t length = strlen (name), began = 0; /* 0: between two runs */
    bool json = length > 6 && strcmp (name + length - 6, ".jsonl") == 0;
    const char *start = data, *line = data, *end = data + size;
    int rc = 0;
    for (size_t number = 1; rc == 0 && line < end; number++) {
        size_t n = strcspn (line, "\n");
        bool blank = strspn (line, " \t\r") >= n;
        if (json && !blank)
            rc = passages_json (p, name, number, line, n, err);
        if (!json && !blank && !began) {
            start = line;
            began = number;
        }
        if (blank) {
            rc = passages_run (p, name, began, start, (size_t) (line - start), err);
            began = 0;
        }
        line += n + 1;
    }
    return rc == 0 ? passages_run (p, name, began, start, (size_t) (end - start), err) : rc;
}

static int passages_file (passages_t *p, const char *path, const char *name, err_t *err)
{
    buf_t content = {0};
    int rc = fs_read (path, PASSAGES_BYTES_MAX, &content, err);
    json_t *text = rc == 0 && content.size ? json_stringn (content.data, content.size) : NULL;
    if (rc == 0 && content.size && (!text || strlen (content.data) != content.size))
        rc = err_set (err, ERR_INPUT, "%s: no text in UTF-8", path);
    json_decref (text);
    if (rc == 0 && content.size)
        rc = passages_split (p, name, content.data, content.size, err);
    buf_free (&content);
    return rc;
}

static int passages_by_name (const FTSENT **a, const FTSENT **b)
{
    return strcmp ((*a)->fts_name, (*b)->fts_name);
}

/*  One entry of the folder, or the file that was named itself. */
static int passages_visit (passages_t *p, FTS *tree, FTSENT *entry, const char *path, err_t *err)
{
    bool top = entry->fts_level == FTS_ROOTLEVEL;
    if (!top && *entry->fts_name == '.') {
        fts_set (tree, entry, FTS_SKIP);
        return 0;
    }
    if (entry->fts_info == FTS_F)
        return passages_file (p, entry->fts_path,
                              top ? entry->fts_name : entry->fts_path + strlen (path) + 1, err);
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
        errno = entry->fts_errno;
        return err_errno (err, ERR_INPUT, "%s", entry->fts_path);
    }
    return 0;
}

int passages_read (passages_t *p, const char *given, err_t *err)
{
    char path[FS_PATH_MAX];
    size_t size = strlen (given);
    while (size > 1 && given[size - 1] == '/')
        size--;
    if (size == 0 || size >= sizeof path)
        return err_set (err, ERR_INPUT, "'%.100s' is no path", given);
    snprintf (path, sizeof path, "%.*s", (int) size, given);
    FTS *tree = fts_open ((char *[]){path, NULL}, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_NOCHDIR,
                          passages_by_name);
    if (!tree)
        return err_errno (err, ERR_LIMIT, "%s", path);
    int rc = 0;
    for (FTSENT *entry; rc == 0 && (entry = fts_read (tree));)
        rc = passages_visit (p, tree, entry, path, err);
    fts_close (tree);
    if (rc == 0 && p->n == 0)
        rc = err_set (err, ERR_INPUT, "%s: no text in it", path);
    if (rc != 0)
        passages_free (p);
    return rc;
}
