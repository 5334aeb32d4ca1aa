/*  prompt - see prompt.h */
#include "prompt.h"

#include <stdlib.h>
#include <string.h>

#define PLACE "{prompt}"

static const struct {
    const char *name, *pattern;
} formats[] = {
    {"", PLACE},
    {"plain", PLACE},
    {"chatml", "<|im_start|>user\n" PLACE "<|im_end|>\n<|im_start|>assistant\n"},
    {"llama3", "<|start_header_id|>user<|end_header_id|>\n\n" PLACE
               "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
};

static const char *find_pattern (const char *chat, err_t *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp (formats[i].name, chat) == 0)
            return formats[i].pattern;
    if (strstr (chat, PLACE))
        return chat;
    err_set (err, ERR_INPUT,
             "unknown chat format '%.80s': use plain, chatml, llama3 or a pattern with %s", chat,
             PLACE);
    return NULL;
}

static int append_prefix (const wire_ids_t *prefix, tokenizer_ids_t *ids, err_t *err)
{
    size_t n = ids->n + prefix->n;
    if (n > ids->capacity) {
        int32_t *grown = realloc (ids->data, n * sizeof *grown);
        if (!grown)
            return err_set (err, ERR_LIMIT, "no memory for a prompt");
        ids->data = grown;
        ids->capacity = n;
    }
    if (prefix->n)
        memcpy (ids->data + ids->n, prefix->data, prefix->n * sizeof *ids->data);
    ids->n = n;
    return 0;
}

int prompt_encode (const tokenizer_t *tokenizer, const wire_role_t *role, const char *text,
                   size_t size, tokenizer_ids_t *ids, err_t *err)
{
    const char *pattern = find_pattern (role->chat, err);
    if (!pattern || append_prefix (&role->prefix, ids, err) != 0)
        return -1;
    /* In one piece: tokens may reach over the pattern's edges. */
    const char *place = strstr (pattern, PLACE);
    buf_t whole = {0};
    buf_append (&whole, pattern, (size_t) (place - pattern));
    buf_append (&whole, text, size);
    buf_text (&whole, place + strlen (PLACE));
    int rc = buf_failed (&whole)
                 ? err_set (err, ERR_LIMIT, "a prompt of %zu bytes is too long", size)
                 : tokenizer_encode (tokenizer, whole.data, whole.size, 0, ids, err);
    buf_free (&whole);
    return rc;
}
