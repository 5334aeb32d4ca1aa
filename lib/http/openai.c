/*  openai - see openai.h */
#include "http/openai.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

#define SAID_MAX 200 /* columns of a server's words in an error */
#define SEED_MAX 0x7fffffff

struct openai {
    http_t *http;
    char *name, *url, *model, *key;
};

/*  What is needed until the answer comes. */
typedef struct {
    const openai_t *server;
    openai_fn done;
    void *context;
} asked_t;

/*  ---- the server ----------------------------------------------------------------------------- */

/*  The key is copied, once: whoever sets the variable otherwise later means another process. */
static int openai_key (openai_t *s, const char *name, err_t *err)
{
    const char *key = *name ? getenv (name) : "";
    if (!key || (*name && !*key))
        return err_set (err, ERR_CONFIG, "the environment has no %s, which should hold the key",
                        name);
    for (const char *c = key; *c; c++)
        if (*c <= ' ' || *c > '~') /* it becomes a line of the request */
            return err_set (err, ERR_CONFIG,
                            "what the environment has as %s cannot be a key: "
                            "a blank or control character is in it",
                            name);
    s->key = strdup (key);
    return s->key ? 0 : err_set (err, ERR_LIMIT, "no memory for a key");
}

/*  A password in a URL would stand in every error. */
static int openai_url (openai_t *s, const char *url, err_t *err)
{
    size_t scheme = strncmp (url, "http://", 7) == 0    ? 7
                    : strncmp (url, "https://", 8) == 0 ? 8
                                                        : 0;
    size_t host = strcspn (url + scheme, "/?#");
    if (!scheme || host == 0)
        return err_set (err, ERR_CONFIG,
                        "'%.200s' is no URL of a server: http://HOST:PORT/v1 or "
                        "https://HOST/v1 is wanted",
                        url);
    if (memchr (url + scheme, '@', host))
        return err_set (err, ERR_CONFIG,
                        "the URL holds a name or password: a key goes into a "
                        "variable of the environment, which key_env names");
    if (strpbrk (url, "?#"))
        return err_set (err, ERR_CONFIG, "'%.200s': nothing may follow the path", url);
    buf_t text = {0};
    size_t n = strlen (url);
    while (url[n - 1] == '/')
        n--;
    buf_append (&text, url, n);
    buf_text (&text, "/chat/completions");
    s->url = buf_failed (&text) ? NULL : buf_take (&text);
    buf_free (&text);
    return s->url ? 0 : err_set (err, ERR_LIMIT, "no memory for a URL");
}

openai_t *openai_new (const openai_options_t *options, err_t *err)
{
    openai_t *s = calloc (1, sizeof *s);
    buf_t name = {0};
    buf_printf (&name, "%s %s", options->url, options->model);
    bool ok = s && (s->model = strdup (options->model)) && (s->name = buf_take (&name));
    buf_free (&name);
    if (!ok)
        err_set (err, ERR_LIMIT, "no memory for a server");
    ok = ok && openai_url (s, options->url, err) == 0 && openai_key (s, options->key_env, err) == 0;
    if (ok)
        s->http = http_new (options->concurrency ? options->concurrency : OPENAI_CONCURRENCY, err);
    if (s && !s->http)
        openai_destroy (&s);
    return s;
}

/*  Words apart by blanks. A variable's name does not begin with a digit, so either of the last two
 *  may be left out. */
openai_t *openai_read (const char *line, err_t *err)
{
    char *words = strdup (line), *rest = words, *word[5] = {0};
    openai_options_t options = {.key_env = ""};
    openai_t *s = NULL;
    size_t n = 0;
    for (char *at; words && n < 5 && (at = strsep (&rest, " "));)
        if (*at)
            word[n++] = at;
    char *last = n > 2 && isdigit ((unsigned char) *word[n - 1]) ? word[n - 1] : NULL, *end = NULL;
    options.concurrency = last ? (size_t) strtoul (last, &end, 10) : 0;
    bool sound = !last || (!*end && options.concurrency > 0 && options.concurrency <= 4096);
    options.url = word[0];
    options.model = word[1];
    if (n - (last != NULL) == 3)
        options.key_env = word[2];
    if (!words)
        err_set (err, ERR_LIMIT, "no memory for a server");
    else if (n < 2 || n - (last != NULL) > 3 || !sound)
        err_set (err, ERR_CONFIG,
                 "'%.200s' is no server: its URL, its model, where there is a key the variable "
                 "that holds it, and how many questions it is asked at once (1 to 4096; %d)",
                 line, OPENAI_CONCURRENCY);
    else
        s = openai_new (&options, err);
    free (words);
    return s;
}

const char *openai_name (const openai_t *s)
{
    return s->name;
}

void openai_destroy (openai_t **self)
{
    openai_t *s = *self;
    if (!s)
        return;
    http_destroy (&s->http); /* first: its thread reads the rest */
    if (s->key)
        explicit_bzero (s->key, strlen (s->key));
    free (s->name);
    free (s->url);
    free (s->model);
    free (s->key);
    free (s);
    *self = NULL;
}

/*  ---- the question --------------------------------------------------------------------------- */

static json_t *openai_messages (const openai_chat_t *chat)
{
    json_t *list = json_array ();
    if (*chat->system)
        json_array_append_new (list,
                               json_pack ("{s:s, s:s}", "role", "system", "content", chat->system));
    json_array_append_new (list, json_pack ("{s:s, s:s}", "role", "user", "content", chat->user));
    return list;
}

static char *openai_body (const openai_t *s, const openai_chat_t *chat)
{
    json_t *body =
        json_pack ("{s:s, s:o, s:I, s:f, s:I}", "model", s->model, "messages",
                   openai_messages (chat), "max_tokens", (json_int_t) chat->max_tokens,
                   "temperature", chat->temperature, "seed", (json_int_t) (chat->seed & SEED_MAX));
    if (body && chat->top_p > 0)
        json_object_set_new (body, "top_p", json_real (chat->top_p));
    if (body && chat->stop_n) {
        json_t *stop = json_array ();
        for (size_t i = 0; i < chat->stop_n; i++)
            json_array_append_new (stop, json_string (chat->stop[i]));
        json_object_set_new (body, "stop", stop);
    }
    char *text = body ? json_dumps (body, JSON_COMPACT) : NULL;
    json_decref (body);
    return text;
}

/*  ---- the answer ----------------------------------------------------------------------------- */

/*  The server's words, at the end of the error: some repeat the key that they were given. */
static void openai_add_words (const openai_t *s, const char *words, size_t size, err_t *err)
{
    buf_t clean = {0}, shown = {0};
    size_t key = strlen (s->key);
    for (size_t i = 0; i < size;) {
        bool hit = key > 0 && size - i >= key && memcmp (words + i, s->key, key) == 0;
        if (hit)
            buf_text (&clean, "***");
        else
            buf_char (&clean, words[i]);
        i += hit ? key : 1;
    }
    if (clean.size && !buf_failed (&clean))
        printable_cut (&shown, clean.data, clean.size, SAID_MAX);
    if (shown.size && !buf_failed (&shown)) {
        err_t whole = *err;
        err_set (err, whole.code, "%.700s: %s", whole.text, shown.data);
    }
    buf_free (&clean);
    buf_free (&shown);
}

/*  {"error": {"message": "..."}}, or {"error": "..."}, or whatever it is. */
static void openai_add_error (const openai_t *s, const json_t *root, const http_answer_t *answer,
                              err_t *err)
{
    const json_t *error = json_object_get (root, "error");
    const json_t *message = json_is_object (error) ? json_object_get (error, "message") : error;
    if (json_is_string (message))
        openai_add_words (s, json_string_value (message), json_string_length (message), err);
    else
        openai_add_words (s, answer->body, answer->size, err);
}

/*  A byte 0 has no place in an action, and becomes U+FFFD, as it does where a model of ours writes
 *  one. */
static const char *openai_text (const json_t *content, buf_t *text)
{
    const char *from = json_string_value (content), *end = from + json_string_length (content);
    buf_text (text, "");
    for (; from < end; from += strlen (from) + 1) {
        buf_text (text, from);
        if (from + strlen (from) < end)
            buf_text (text, "\xef\xbf\xbd");
    }
    return text->data;
}

static void openai_take (const openai_t *s, const json_t *root, const http_answer_t *answer,
                         buf_t *text, openai_answer_t *to)
{
    const json_t *choice = json_array_get (json_object_get (root, "choices"), 0);
    const json_t *content = json_object_get (json_object_get (choice, "message"), "content");
    const json_t *finish = json_object_get (choice, "finish_reason");
    const json_t *usage = json_object_get (json_object_get (root, "usage"), "completion_tokens");
    if (!json_is_string (content) && !(choice && json_is_null (content))) {
        err_set (&to->err, ERR_INTERNAL, "%s answered what has no choices[0].message.content",
                 s->url);
        openai_add_words (s, answer->body, answer->size, &to->err);
        return;
    }
    to->text = json_is_string (content) ? openai_text (content, text) : "";
    if (buf_check (text, "an answer", &to->err) != 0) {
        to->text = "";
        return;
    }
    to->truncated = json_is_string (finish) && strcmp (json_string_value (finish), "length") == 0;
    json_int_t tokens = json_is_integer (usage) ? json_integer_value (usage) : -1;
    to->counted = tokens >= (*to->text != 0) && tokens < SEED_MAX;
    to->tokens = to->counted ? (size_t) tokens : 0;
}

static void openai_on_answer (void *context, const http_answer_t *answer)
{
    asked_t *asked = context;
    openai_answer_t to = {.text = "", .err = answer->err};
    buf_t text = {0};
    json_t *root = json_loadb (answer->body, answer->size, JSON_ALLOW_NUL, NULL);
    if (to.err.code == ERR_NONE)
        openai_take (asked->server, root, answer, &text, &to);
    else if (answer->status)
        openai_add_error (asked->server, root, answer, &to.err);
    asked->done (asked->context, &to);
    json_decref (root);
    buf_free (&text);
    free (asked);
}

/*  What an answer counts for is its tokens; an empty one has its end. */
int openai_count (const openai_t *s, const openai_answer_t *answer, size_t *tokens, err_t *err)
{
    *tokens = answer->tokens ? answer->tokens : 1;
    return answer->counted ? 0
                           : err_set (err, ERR_CONFIG,
                                      "%.300s does not say how many tokens it wrote "
                                      "(usage.completion_tokens), by which speed and cost are "
                                      "measured",
                                      s->name);
}

int openai_ask (openai_t *s, const openai_chat_t *chat, openai_fn done, void *context, err_t *err)
{
    asked_t *asked = calloc (1, sizeof *asked);
    char *body = openai_body (s, chat);
    if (asked)
        *asked = (asked_t){s, done, context};
    int rc =
        asked && body ? 0 : err_set (err, ERR_INPUT, "a prompt that is not UTF-8, or too long");
    if (rc == 0)
        rc = http_post (s->http,
                        &(http_question_t){.url = s->url,
                                           .key = s->key,
                                           .body = body,
                                           .size = strlen (body),
                                           .deadline_ms = chat->deadline_ms},
                        openai_on_answer, asked, err);
    if (rc != 0)
        free (asked);
    free (body);
    return rc;
}
