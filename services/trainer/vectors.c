/*  vectors - see vectors.h */
#include "vectors.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define HEADER_MAX ((size_t) 1 << 20)

static char *header_of (const vectors_t *list, size_t n)
{
    json_t *header = json_object ();
    json_int_t at = 0;
    for (size_t i = 0; i < n; i++) {
        json_int_t size = (json_int_t) (list[i].n * sizeof (float));
        json_object_set_new (header, list[i].name,
                             json_pack ("{s:s, s:[I], s:[I, I]}", "dtype", "F32", "shape",
                                        (json_int_t) list[i].n, "data_offsets", at, at + size));
        at += size;
    }
    char *text = json_dumps (header, JSON_COMPACT);
    json_decref (header);
    return text;
}

int vectors_write (const char *path, const vectors_t *list, size_t n, err_t *err)
{
    char *header = header_of (list, n);
    FILE *file = header ? fopen (path, "we") : NULL;
    if (!file) {
        free (header);
        return err_errno (err, ERR_IO, "%s: cannot create", path);
    }
    size_t length = strlen (header), padded = (length + 7) / 8 * 8; /* data begins aligned */
    uint64_t size = padded;
    bool ok = fwrite (&size, sizeof size, 1, file) == 1 && fputs (header, file) >= 0;
    for (; ok && length < padded; length++)
        ok = fputc (' ', file) != EOF;
    for (size_t i = 0; ok && i < n; i++)
        ok = fwrite (list[i].data, sizeof (float), list[i].n, file) == list[i].n;
    int rc = ok ? 0 : err_errno (err, ERR_IO, "%s: cannot write", path);
    if (fclose (file) != 0 && rc == 0)
        rc = err_errno (err, ERR_IO, "%s: cannot write", path);
    free (header);
    return rc;
}

static json_t *read_header (FILE *file, size_t *data_at, err_t *err)
{
    uint64_t size = 0;
    if (fread (&size, sizeof size, 1, file) != 1 || size == 0 || size > HEADER_MAX) {
        err_set (err, ERR_INPUT, "its header is cut or lies about its length");
        return NULL;
    }
    char *text = malloc (size);
    json_t *header = NULL;
    if (text && fread (text, 1, size, file) == size)
        header = json_loadb (text, size, 0, NULL);
    free (text);
    if (!json_is_object (header)) {
        json_decref (header);
        err_set (err, ERR_INPUT, "its header is not an object of JSON");
        return NULL;
    }
    *data_at = sizeof size + size;
    return header;
}

static int read_one (FILE *file, const json_t *header, size_t data_at, const vectors_t *vector,
                     err_t *err)
{
    const json_t *entry = json_object_get (header, vector->name);
    const json_t *offsets = json_object_get (entry, "data_offsets");
    const char *dtype = json_string_value (json_object_get (entry, "dtype"));
    json_int_t from = json_integer_value (json_array_get (offsets, 0));
    json_int_t to = json_integer_value (json_array_get (offsets, 1));
    if (!dtype || strcmp (dtype, "F32") != 0 || from < 0 || to < from ||
        (uint64_t) (to - from) != vector->n * sizeof (float))
        return err_set (err, ERR_INPUT, "vector '%s' is missing or not %zu numbers of F32",
                        vector->name, vector->n);
    if (fseeko (file, (off_t) data_at + (off_t) from, SEEK_SET) != 0 ||
        fread (vector->data, sizeof (float), vector->n, file) != vector->n)
        return err_set (err, ERR_INPUT, "the file ends inside vector '%s'", vector->name);
    for (size_t i = 0; i < vector->n; i++)
        if (!isfinite (vector->data[i]))
            return err_set (err, ERR_INPUT, "vector '%s' has a number that is not finite at %zu",
                            vector->name, i);
    return 0;
}

int vectors_read (const char *path, const vectors_t *list, size_t n, err_t *err)
{
    FILE *file = fopen (path, "re");
    if (!file)
        return err_errno (err, errno == ENOENT ? ERR_MISSING : ERR_IO, "%s", path);
    size_t data_at = 0;
    json_t *header = read_header (file, &data_at, err);
    int rc = header ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = read_one (file, header, data_at, &list[i], err);
    json_decref (header);
    fclose (file);
    return rc == 0 ? 0 : err_wrap (err, "%s", path);
}
