/*  chat - see chat.h
 *
 *  A chat format here is a pattern: text before the user's words, their place, text after.
 *  Templates of models are programs; what one does to a single message is found out by running it
 *  (chat_follow), once per model, and kept as a pattern. Prompts are then made without it, which is
 *  fast and, more than that, lets the words of a task be marked as literal: a template writes one
 *  text in which nobody can tell anymore what came from whom.
 */
#include "chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "text/jinja.h"
#include "text/parse.h"
#include "text/tokenizer_config.h"

#define FILE_MAX ((size_t) 16 << 20)
#define TEXT_MAX ((size_t) 64 << 10) /* around a prompt */
/*  A character that no template writes by itself and none treats in a special way. */
#define MARK   "\x01" /* stands for the prompt while a template writes, */
#define ANSWER "\x02" /* and this for the answer to one before */
#define ADVICE                                                                                     \
    "set model.chat to none, chatml, llama3, plain or a pattern with " CHAT_PLACE                  \
    " (or " CHAT_TRIMMED ")"

#define CHATML "<|im_start|>user\n" CHAT_PLACE "<|im_end|>\n<|im_start|>assistant\n"
#define LLAMA3                                                                                     \
    "<|start_header_id|>user<|end_header_id|>\n\n" CHAT_TRIMMED                                    \
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"

static const chat_format_t formats[] = {
    {.name = "none", .pattern = CHAT_PLACE, .next = CHAT_PLACE},
    {.name = "plain", .pattern = CHAT_PLACE "\n", .next = CHAT_PLACE "\n"},
    {.name = "chatml", .pattern = CHATML, .next = "<|im_end|>\n" CHATML, .end = "<|im_end|>"},
    {.name = "llama3", .pattern = LLAMA3, .next = "<|eot_id|>" LLAMA3, .end = "<|eot_id|>"},
};
#define FORMATS (sizeof formats / sizeof *formats)

/*  ---- what a folder says --------------------------------------------------------------------- */

/*  A file that is not there stays empty, without an error: most folders have the template in one
 *  place only. */
static int chat_read_file (const char *dir, const char *name, buf_t *text, err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, dir, name, err) != 0)
        return -1;
    return fs_exists (path) ? fs_read (path, FILE_MAX, text, err) : 0;
}

/*  A template is text, or a list of {"name", "template"}: then the one named default (others are
 *  for tools). */
static const char *chat_template_of (const json_t *config)
{
    const json_t *all = json_object_get (config, "chat_template"), *one;
    size_t i;
    json_array_foreach (all, i, one) {
        const char *name = json_string_value (json_object_get (one, "name"));
        if (name && strcmp (name, "default") == 0)
            return json_string_value (json_object_get (one, "template"));
    }
    return json_string_value (all);
}

/*  What tokenizer_config.json says, and the text of the template: its own file, where newer folders
 *  have it, or in the configuration. *template is empty without one. */
static int chat_read_folder (const char *dir, json_t **config, buf_t *template, err_t *err)
{
    if (tokenizer_config_read (dir, config, err) != 0)
        return -1;
    int rc = chat_read_file (dir, "chat_template.jinja", template, err);
    if (rc == 0 && template->size && parse_is_pointer (template->data, template->size))
        rc = err_set (err, ERR_INPUT, "chat_template.jinja " PARSE_POINTER);
    const char *inside = chat_template_of (*config);
    if (rc == 0 && !template->size && inside)
        buf_text (template, inside);
    return rc == 0 ? 0 : err_wrap (err, "%s", dir);
}

bool chat_has_template (const char *dir)
{
    buf_t template = {.max = FILE_MAX};
    json_t *config;
    bool has = chat_read_folder (dir, &config, &template, NULL) != 0 || template.size > 0;
    json_decref (config);
    buf_free (&template);
    return has;
}

/*  ---- what its template writes --------------------------------------------------------------- */

/*  A special token is text, or {"content": text}. */
static const char *chat_token_of (const json_t *config, const char *key)
{
    const json_t *token = json_object_get (config, key);
    return json_string_value (json_is_object (token) ? json_object_get (token, "content") : token);
}

static bool chat_gives (const char *text)
{
    return text && *text;
}

/*  All that transformers gives a template for one message of the user, behind one of the system
 *  where there is one, or behind an answer to another message: special tokens by name, no tools, no
 *  documents, and the question to write out the beginning of the answer. */
static int chat_write_message (const char *template, const json_t *config,
                               const chat_given_t *given, bool answered, const char *content,
                               buf_t *out, err_t *err)
{
    static const char *const tokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};
    json_t *variables =
        json_pack ("{s:[{s:s, s:s}], s:b, s:n, s:n}", "messages", "role", "user", "content",
                   content, "add_generation_prompt", 1, "tools", "documents");
    if (answered) {
        json_t *messages = json_object_get (variables, "messages");
        json_array_insert_new (messages, 0,
                               json_pack ("{s:s, s:s}", "role", "assistant", "content", ANSWER));
        json_array_insert_new (messages, 0,
                               json_pack ("{s:s, s:s}", "role", "user", "content", "x"));
    }
    if (chat_gives (given->system))
        json_array_insert_new (
            json_object_get (variables, "messages"), 0,
            json_pack ("{s:s, s:s}", "role", "system", "content", given->system));
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        const char *text = chat_token_of (config, tokens[i]);
        if (text)
            json_object_set_new (variables, tokens[i], json_string (text));
    }
    struct tm day;
    bool dated = chat_gives (given->date);
    int rc =
        dated && !date_parse (given->date, &day)
            ? err_set (err, ERR_CONFIG, "the date '%.32s' is no day: " DATE_WANTED, given->date)
            : jinja_render (template, variables, dated ? &day : NULL, out, err);
    json_decref (variables);
    return rc;
}

/*  Makes a format of what a template wrote around the mark. A completion ends with the token that
 *  closes the user's turn, when it is a known one; else with the end-of-text token. */
static int chat_fill (chat_format_t *format, const char *before, size_t size, const char *place,
                      const char *after, const char *eos, err_t *err)
{
    static const char *const ends[] = {"<|im_end|>", "<|eot_id|>"};
    buf_t text = {0};
    buf_append (&text, before, size);
    buf_printf (&text, "%s%s", place, after);
    *format = (chat_format_t){.end = eos, .whole = true};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strncmp (after, ends[i], strlen (ends[i])) == 0)
            format->end = ends[i];
    format->owned[0] = buf_take (&text);
    if (format->end)
        format->end = format->owned[1] = strdup (format->end);
    if (!format->owned[0] || (eos && !format->owned[1])) {
        chat_free (format);
        return err_set (err, ERR_LIMIT, "no memory for a chat format");
    }
    format->name = format->pattern = format->owned[0];
    /* A template that writes a known format gets its name, for people. */
    for (size_t i = 0; i < FORMATS; i++)
        if (strcmp (formats[i].pattern, format->pattern) == 0)
            format->name = formats[i].name;
    return 0;
}

/*  What stands between an answer and the next one. A template that does not say it plainly (some
 *  take no second message) is as good for all else. */
static void chat_follow_on (const char *template, const json_t *config, const chat_given_t *given,
                            chat_format_t *format)
{
    size_t size = strlen (CHAT_PLACE);
    bool trims = strstr (format->pattern, CHAT_TRIMMED) != NULL;
    buf_t all = {.max = TEXT_MAX}, next = {0};
    int rc = chat_write_message (template, config, given, true, MARK, &all, &(err_t){0});
    const char *answer = rc == 0 && all.data ? strstr (all.data, ANSWER) : NULL;
    const char *mark = answer ? strstr (answer, MARK) : NULL;
    if (mark && strstr (all.data, MARK) == mark && !strstr (mark + 1, MARK) &&
        !strstr (answer + 1, ANSWER) && !strstr (answer, "{prompt")) {
        buf_append (&next, answer + 1, (size_t) (mark - answer) - 1);
        buf_append (&next, trims ? CHAT_TRIMMED : CHAT_PLACE, trims ? strlen (CHAT_TRIMMED) : size);
        buf_text (&next, mark + 1);
        format->next = format->owned[2] = buf_take (&next);
    }
    buf_free (&all);
    buf_free (&next);
}

/*  Finds out what a template does with the text of a user by letting it write: once a mark, once
 *  the mark with white space around it. What stands around the mark is the pattern; the second run
 *  tells whether the template trims. A template that does more to the text (or writes it twice) is
 *  refused, since a pattern could not do that. */
static int chat_follow (const char *template, const json_t *config, const chat_given_t *given,
                        chat_format_t *format, err_t *err)
{
    static const char spaced[] = " \n" MARK "\n ";
    buf_t plain = {.max = TEXT_MAX}, wide = {.max = TEXT_MAX}, untrimmed = {.max = TEXT_MAX};
    int rc = chat_write_message (template, config, given, false, MARK, &plain, err);
    if (rc == 0)
        rc = chat_write_message (template, config, given, false, spaced, &wide, err);
    const char *mark = plain.data ? strstr (plain.data, MARK) : NULL;
    /* A pattern has one place; and what the template writes must not look like one. */
    if (rc == 0 && (!mark || strstr (mark + 1, MARK) || strstr (plain.data, "{prompt")))
        rc = err_set (err, ERR_INPUT, "it does not write the text of the user just once");
    const char *system = rc == 0 && chat_gives (given->system) ? given->system : NULL;
    if (system && (!strstr (plain.data, system) || strstr (plain.data, system) > mark))
        rc = err_set (err, ERR_INPUT, "it does not write the message of the system word for word");
    if (rc == 0) {
        size_t before = (size_t) (mark - plain.data);
        buf_append (&untrimmed, plain.data, before);
        buf_printf (&untrimmed, "%s%s", spaced, mark + 1);
        bool trims = strcmp (wide.data, plain.data) == 0;
        rc = trims || strcmp (wide.data, untrimmed.data) == 0
                 ? chat_fill (format, plain.data, before, trims ? CHAT_TRIMMED : CHAT_PLACE,
                              mark + 1, chat_token_of (config, "eos_token"), err)
                 : err_set (err, ERR_INPUT, "it does more to the text of the user than trimming");
    }
    if (rc == 0)
        chat_follow_on (template, config, given, format);
    buf_free (&plain);
    buf_free (&wide);
    buf_free (&untrimmed);
    return rc;
}

/*  What the folder's template makes of a message. That tokenizer_config.json lists tokens such as
 *  <|im_start|> says nothing: many models have them that were never taught a format. */
static int chat_detect (const char *dir, const chat_given_t *given, chat_format_t *format,
                        err_t *err)
{
    buf_t template = {.max = FILE_MAX};
    json_t *config;
    err_t why = {0};
    int rc = chat_read_folder (dir, &config, &template, &why);
    if (rc == 0 && !template.size)
        rc = err_set (&why, ERR_INPUT, "%s: has no chat template", dir);
    else if (rc == 0 && chat_follow (template.data, config, given, format, &why) != 0)
        rc = err_wrap (&why, "%s: its chat template cannot be followed", dir);
    if (rc == 0 && given->goes_on && !format->next) {
        chat_free (format);
        rc = err_set (&why, ERR_INPUT,
                      "%s: its chat template does not say how a conversation goes on behind an "
                      "answer, which memory own wants",
                      dir);
    }
    json_decref (config);
    buf_free (&template);
    return rc == 0 ? 0 : err_set (err, ERR_CONFIG, "%s; " ADVICE, why.text);
}

/*  ---- formats -------------------------------------------------------------------------------- */

/*  The place of the text in a pattern, its length in *size; NULL: none. */
static const char *chat_find_place (const char *pattern, size_t *size)
{
    const char *plain = strstr (pattern, CHAT_PLACE), *trimmed = strstr (pattern, CHAT_TRIMMED);
    const char *place = plain ? plain : trimmed;
    *size = strlen (plain ? CHAT_PLACE : CHAT_TRIMMED);
    return place;
}

int chat_find (const char *dir, const char *name, chat_format_t *format, err_t *err)
{
    return chat_find_with (dir, name, &(chat_given_t){0}, format, err);
}

int chat_find_with (const char *dir, const char *name, const chat_given_t *given,
                    chat_format_t *format, err_t *err)
{
    size_t size;
    *format = (chat_format_t){0};
    /* A format that is asked for by name is taken as it is, whatever the folder's template says. */
    for (size_t i = 0; i < FORMATS; i++)
        if (strcmp (formats[i].name, name) == 0) {
            *format = formats[i];
            return 0;
        }
    if (strcmp (name, "auto") == 0 && dir)
        return chat_detect (dir, given, format, err);
    /* A name that is none of ours must be a pattern. */
    if (!chat_find_place (name, &size))
        return err_set (err, ERR_CONFIG,
                        "model.chat '%.80s' is not known: none, auto, chatml, llama3, plain or a "
                        "pattern with " CHAT_PLACE,
                        name);
    *format = (chat_format_t){.name = name, .pattern = name, .next = name};
    return 0;
}

void chat_free (chat_format_t *format)
{
    for (size_t i = 0; i < sizeof format->owned / sizeof *format->owned; i++)
        free (format->owned[i]);
    *format = (chat_format_t){0};
}

/*  Only the format's own parts may hold special tokens; the text between them is literal. */
int chat_encode (const tokenizer_t *tokenizer, const chat_format_t *format, const char *text,
                 size_t size, tokenizer_ids_t *ids, err_t *err)
{
    size_t length;
    const char *place = chat_find_place (format->pattern, &length), *after = place + length;
    bool trims = length > strlen (CHAT_PLACE);
    /* As Jinja's trim does it. */
    buf_t words = {.max = SIZE_MAX / 4}; /* ends with a 0, unlike the text */
    buf_append (&words, text, size);
    if (trims && size && !buf_failed (&words)) {
        size_t from = 0;
        for (size_t n; (n = jinja_white (words.data + from)) > 0;)
            from += n;
        text = words.data + from;
        size = words.size - from;
        size -= jinja_white_before (text, text + size, NULL);
    }
    tokenizer_part_t parts[] = {{format->pattern, (size_t) (place - format->pattern), false},
                                {text, size, true},
                                {after, strlen (after), false}};
    int rc = buf_failed (&words) ? err_set (err, ERR_LIMIT, "no memory for a prompt")
                                 : tokenizer_encode_parts (tokenizer, parts, 3, ids, err);
    buf_free (&words);
    return rc;
}

static int chat_append (tokenizer_ids_t *ids, const int32_t *more, size_t n, err_t *err)
{
    if (ids->n + n > ids->capacity) {
        int32_t *grown = realloc (ids->data, (ids->n + n) * sizeof *grown);
        if (!grown)
            return err_set (err, ERR_LIMIT, "no memory for a prompt");
        ids->data = grown;
        ids->capacity = ids->n + n;
    }
    if (n)
        memcpy (ids->data + ids->n, more, n * sizeof *more);
    ids->n += n;
    return 0;
}

int chat_go_on (const tokenizer_t *tokenizer, const char *next, const chat_answer_t *answer,
                const char *text, size_t size, tokenizer_ids_t *ids, err_t *err)
{
    const chat_format_t format = {.pattern = next};
    tokenizer_ids_t more = {0};
    int rc = chat_append (ids, answer->ids, answer->n, err);
    if (rc == 0)
        rc = chat_encode (tokenizer, &format, text, size, &more, err);
    if (rc == 0) {
        size_t there =
            answer->ended && answer->n && more.n && more.data[0] == answer->ids[answer->n - 1];
        rc = chat_append (ids, more.data + there, more.n - there, err);
    }
    tokenizer_ids_free (&more);
    return rc;
}
