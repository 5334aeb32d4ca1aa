/*  prompt - see prompt.h */
#include "prompt.h"

#include <stdlib.h>
#include <string.h>

#include "text/chat.h"

/*  The begin token and the like, before what the chat format writes. */
static int prompt_append_prefix (const wire_ids_t *prefix, tokenizer_ids_t *ids, err_t *err)
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

/*  The group names a format by its name or its pattern and never by the model's folder: only the
 *  trainer has that folder, so a name that needs it ("auto") was resolved there. */
int prompt_encode (const tokenizer_t *tokenizer, const wire_role_t *role, const char *text,
                   size_t size, tokenizer_ids_t *ids, err_t *err)
{
    chat_format_t format;
    /* For every prompt anew: it costs little beside encoding the text. */
    if (chat_find (NULL, *role->chat ? role->chat : "none", &format, err) != 0)
        return err_set (err, ERR_INPUT, "role %s: '%.80s' is no chat format known here", role->name,
                        role->chat);
    if (prompt_append_prefix (&role->prefix, ids, err) != 0)
        return -1;
    return chat_encode (tokenizer, &format, text, size, ids, err);
}

/*  The end of an answer is a token of the role's; one that a text or the length cut has none. */
static bool prompt_is_end (const wire_role_t *role, int32_t id)
{
    bool ends = false;
    for (size_t i = 0; i < role->stops.n; i++)
        ends = ends || role->stops.data[i] == id;
    return ends;
}

/*  A pattern from outside, so it is looked at before it is used. */
int prompt_go_on (const tokenizer_t *tokenizer, const wire_role_t *role, const wire_ids_t *prompt,
                  const wire_ids_t *answer, const char *text, size_t size, tokenizer_ids_t *ids,
                  err_t *err)
{
    chat_format_t format;
    chat_answer_t before = {answer->data, answer->n,
                            answer->n && prompt_is_end (role, answer->data[answer->n - 1])};
    if (chat_find (NULL, role->next, &format, err) != 0)
        return err_set (err, ERR_INPUT, "role %s: '%.80s' has no place for a message", role->name,
                        role->next);
    if (prompt_append_prefix (prompt, ids, err) != 0)
        return -1;
    return chat_go_on (tokenizer, format.next, &before, text, size, ids, err);
}
