/*  texts - see texts.h */
#include "texts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define TEXTS_MAX ((size_t) 10 << 20)

struct texts {
    const char *path; /* borrowed */
    json_t *lines;    /* [prompt, completion] each */
};

static int texts_add (texts_t *texts, const char *line, size_t size, size_t number, err_t *err)
{
    json_t *text = json_loadb (line, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *prompt = json_object_get (text, "prompt"),
           *completion = json_object_get (text, "completion");
    int rc = 0;
    if (!json_is_string (prompt) || json_string_length (completion) == 0)
        rc = err_set (err, ERR_INPUT,
                      "%s:%zu: {\"prompt\": \"...\", \"completion\": \"...\"} is wanted",
                      texts->path, number);
    else if (json_array_size (texts->lines) == TEXTS_MAX)
        rc = err_set (err, ERR_LIMIT, "%s: more than %zu texts", texts->path, TEXTS_MAX);
    else if (json_array_append_new (texts->lines, json_pack ("[O, O]", prompt, completion)) != 0)
        rc = err_set (err, ERR_LIMIT, "no memory for the texts of %s", texts->path);
    json_decref (text);
    return rc;
}

texts_t *texts_new (const char *path, err_t *err)
{
    texts_t *texts = calloc (1, sizeof *texts);
    FILE *file = fopen (path, "re");
    char *line = NULL;
    size_t capacity = 0;
    int rc = !file ? err_errno (err, ERR_INPUT, "%s", path) : 0;
    if (rc == 0 && (!texts || !(texts->lines = json_array ())))
        rc = err_set (err, ERR_LIMIT, "no memory for the texts of %s", path);
    if (texts)
        texts->path = path;
    ssize_t n;
    for (size_t number = 1; rc == 0 && (n = getline (&line, &capacity, file)) > 0; number++)
        rc = texts_add (texts, line, (size_t) n, number, err);
    if (rc == 0 && json_array_size (texts->lines) == 0)
        rc = err_set (err, ERR_INPUT, "%s: no text in it", path);
    free (line);
    if (file)
        fclose (file);
    if (rc != 0)
        texts_destroy (&texts);
    return texts;
}

void texts_destroy (texts_t **texts)
{
    if (!*texts)
        return;
    json_decref ((*texts)->lines);
    free (*texts);
    *texts = NULL;
}

size_t texts_size (const texts_t *texts)
{
    return json_array_size (texts->lines);
}

int texts_get (const texts_t *texts, uint64_t index, buf_t *prompt, buf_t *completion, err_t *err)
{
    const json_t *pair = json_array_get (texts->lines, (size_t) (index % texts_size (texts)));
    const json_t *first = json_array_get (pair, 0), *second = json_array_get (pair, 1);
    buf_append (prompt, json_string_value (first), json_string_length (first));
    buf_append (completion, json_string_value (second), json_string_length (second));
    return buf_failed (prompt) || buf_failed (completion)
               ? err_set (err, ERR_LIMIT, "no memory for a text")
               : 0;
}
