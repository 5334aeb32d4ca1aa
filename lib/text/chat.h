/*  chat - formats in which a model was taught to be spoken to, around a prompt.
 *
 *      chat_format_t format;
 *      chat_find (dir, "auto", &format, &err);      or "none", "chatml", ..., "Q: {prompt}\nA:"
 *      chat_encode (tokenizer, &format, text, size, &ids, &err);
 *      chat_free (&format);
 *
 *  Tokens that steer a conversation, such as <|im_end|>, count as such in the format's own parts
 *  only: where the text of a task or of another model spells one out, it stays text.
 */
#ifndef QUINTET_TEXT_CHAT_H
#define QUINTET_TEXT_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "text/tokenizer.h"

#define CHAT_PLACE   "{prompt}"
#define CHAT_TRIMMED "{prompt|trim}" /* without the white space around it */

typedef struct {
    /* "none", "chatml", ..., or the pattern itself: chat_find takes it everywhere */
    const char *name;
    const char *pattern; /* contains one of the places */
    const char *next;    /* of a further message, behind an answer; NULL: nobody knows */
    const char *end;     /* token that ends the model's turn, or NULL */
    bool whole; /* from a template: what a tokenizer puts before a text is in it, or left out */
    char *owned[3];
} chat_format_t;

/*  What a template is given beside the user's words; "" or NULL: nothing. */
typedef struct {
    const char *system; /* a message of the system before the user's */
    const char *date;   /* YYYY-MM-DD: the day that it is, for templates that write it */
    bool goes_on;       /* the format must have a next one */
} chat_given_t;

/*  The format of a name, or a pattern of the user's own (kept, not copied). NULL dir: "auto" is
 *  not known. "auto" writes a message of the user with the chat template of the folder
 *  (chat_template.jinja, or that in tokenizer_config.json), and takes what stands around it, a
 *  default system message too. A template that cannot be followed exactly is refused. ERR_CONFIG
 *  says what may be set instead. */
int chat_find (const char *dir, const char *name, chat_format_t *format, err_t *err);
/*  The same with what "auto" alone can write. ERR_CONFIG when the folder's template leaves the
 *  message of the system out, or date is no day. */
int chat_find_with (const char *dir, const char *name, const chat_given_t *given,
                    chat_format_t *format, err_t *err);
void chat_free (chat_format_t *format);

/*  Whether a folder has a chat template at all. */
bool chat_has_template (const char *dir);

/*  Appends to ids. */
int chat_encode (const tokenizer_t *tokenizer, const chat_format_t *format, const char *text,
                 size_t size, tokenizer_ids_t *ids, err_t *err);

/*  What was written behind ids, a prompt. */
typedef struct {
    const int32_t *ids;
    size_t n;
    bool ended; /* its last id is a token that ends an answer, and no text */
} chat_answer_t;

/*  Goes on with a conversation, id by id: appends the answer and a further message, as the pattern
 *  next has it. A token that ends an answer does not stand there twice. */
int chat_go_on (const tokenizer_t *tokenizer, const char *next, const chat_answer_t *answer,
                const char *text, size_t size, tokenizer_ids_t *ids, err_t *err);

#endif
