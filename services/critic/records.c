/*  records - see records.h */
#include "records.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BEGIN       256
#define TEXT_MAX    ((size_t) 4 << 20)
#define RECORDS_MAX ((size_t) 1 << 20)

static int records_ids_of (const buf_t *text, size_t context, record_text_t *out)
{
    size_t bytes = text->size < context - 1 ? text->size : context - 1;
    out->ids = malloc ((bytes + 1) * sizeof *out->ids);
    if (!out->ids)
        return -1;
    out->n = bytes + 1;
    out->ids[0] = BEGIN;
    const unsigned char *from = (const unsigned char *) text->data + text->size - bytes;
    for (size_t i = 0; i < bytes; i++)
        out->ids[i + 1] = from[i];
    return 0;
}

static size_t records_find_text (const records_t *records, const record_text_t *text)
{
    for (size_t i = records->texts_n; i-- > 0;)
        if (records->texts[i].n == text->n &&
            memcmp (records->texts[i].ids, text->ids, text->n * sizeof *text->ids) == 0)
            return i;
    return records->texts_n;
}

/*  Grows by doubling whenever n is a power of two. */
static void *records_grown (void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    return realloc (array, (n ? 2 * n : 1) * size);
}

static int records_add (records_t *records, record_t record, const buf_t *text, size_t context)
{
    record_text_t ids;
    if (records->n >= RECORDS_MAX || buf_failed (text) || records_ids_of (text, context, &ids) != 0)
        return -1;
    record.text = records_find_text (records, &ids);
    if (record.text < records->texts_n) {
        free (ids.ids);
    } else {
        record_text_t *texts = records_grown (records->texts, records->texts_n, sizeof *texts);
        if (!texts) {
            free (ids.ids);
            return -1;
        }
        records->texts = texts;
        records->texts[records->texts_n++] = ids;
    }
    record_t *list = records_grown (records->record, records->n, sizeof *list);
    if (!list)
        return -1;
    records->record = list;
    records->record[records->n++] = record;
    return 0;
}

static uint32_t records_role_index (const json_t *roles, const char *name)
{
    size_t i;
    json_t *role;
    json_array_foreach (roles, i, role)
        if (name && json_is_string (role) && strcmp (json_string_value (role), name) == 0)
            return (uint32_t) i;
    return UINT32_MAX;
}

/*  The records of one turn, in order of their roles; then the turn joins the text. */
static int records_read_turn (records_t *records, uint32_t episode, uint32_t turn,
                              const json_t *roles, const json_t *actions, buf_t *text,
                              size_t context)
{
    size_t before = text->size, i;
    json_t *action;
    for (uint32_t role = 0; role < json_array_size (roles); role++)
        json_array_foreach (actions, i, action) {
            const char *name = json_string_value (json_object_get (action, "role"));
            if (records_role_index (roles, name) != role)
                continue;
            buf_printf (text, "@%s", name);
            if (records_add (records, (record_t){episode, turn, role, 0}, text, context) != 0)
                return -1;
            text->size = before;
        }
    json_array_foreach (actions, i, action) {
        const char *name = json_string_value (json_object_get (action, "role"));
        const char *words = json_string_value (json_object_get (action, "text"));
        if (!name || !words)
            return -1;
        buf_printf (text, "%s: %s\n", name, words);
    }
    return 0;
}

static int records_read_state (records_t *records, uint32_t episode, const char *state,
                               size_t context)
{
    json_t *json = json_loads (state, JSON_REJECT_DUPLICATES, NULL);
    const char *brief =
        json_string_value (json_object_get (json_object_get (json, "task"), "brief"));
    const json_t *roles = json_object_get (json, "roles");
    const json_t *turns = json_object_get (json, "turns");
    buf_t text = {.max = TEXT_MAX};
    int rc = json_is_array (roles) && json_is_array (turns) ? 0 : -1;
    buf_printf (&text, "%s\n", brief ? brief : "");
    size_t turn;
    json_t *entry;
    json_array_foreach (turns, turn, entry)
        if (rc == 0)
            rc = records_read_turn (records, episode, (uint32_t) turn, roles,
                                    json_object_get (entry, "actions"), &text, context);
    buf_free (&text);
    json_decref (json);
    return rc;
}

records_t *records_new (const char *const *states, size_t n, size_t context, err_t *err)
{
    records_t *records = calloc (1, sizeof *records);
    for (size_t i = 0; records && i < n; i++)
        if (records_read_state (records, (uint32_t) i, states[i], context) != 0) {
            err_set (err, ERR_INPUT, "the global state of episode %zu is malformed or too large",
                     i);
            records_destroy (&records);
            return NULL;
        }
    if (!records)
        err_set (err, ERR_LIMIT, "no memory for the critic's records");
    return records;
}

void records_destroy (records_t **records)
{
    if (!*records)
        return;
    for (size_t i = 0; i < (*records)->texts_n; i++)
        free ((*records)->texts[i].ids);
    free ((*records)->texts);
    free ((*records)->record);
    free (*records);
    *records = NULL;
}
