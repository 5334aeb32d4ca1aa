/*  openai - one completion from any server that speaks OpenAI's chat completions.
 *
 *      openai_t *server = openai_new (&options, &err);     or of a line: openai_read (line, &err)
 *      openai_ask (server, &chat, answered, context, &err);          from any thread
 *      openai_destroy (&server);
 *
 *  POST URL/chat/completions {"model", "messages", "max_tokens", "temperature", "stop", "seed"} ->
 *  {"choices": [{"message": {"content"}, "finish_reason"}], "usage": {"completion_tokens"}}. There
 *  are no ids and no log-probabilities in that, so nothing can be trained on it. The key comes from
 *  the environment, and is in no error, whatever the server says.
 */
#ifndef QUINTET_HTTP_OPENAI_H
#define QUINTET_HTTP_OPENAI_H

#include "http/http.h"

#define OPENAI_CONCURRENCY 32

typedef struct openai openai_t;

typedef struct {
    const char *url;     /* of its API: http://HOST:8000/v1 */
    const char *model;   /* as the server calls it */
    const char *key_env; /* the variable that holds the key; "" for none */
    size_t concurrency;  /* 0: OPENAI_CONCURRENCY */
} openai_options_t;

typedef struct {
    const char *system; /* "" for none */
    const char *user;
    size_t max_tokens;
    double temperature;      /* 0: the likeliest */
    double top_p;            /* 0: of all tokens, and it is not sent */
    const char *const *stop; /* may be NULL */
    size_t stop_n;
    uint64_t seed; /* servers that know it repeat themselves better */
    int64_t deadline_ms;
} openai_chat_t;

typedef struct {
    const char *text; /* borrowed */
    size_t tokens;    /* as the server counts them */
    bool counted;     /* false: it does not say how many there are, or none for a text */
    bool truncated;   /* by max_tokens */
    err_t err; /* ERR_NONE, or why there is no text: as of http_answer_t, or ERR_INTERNAL for an
                            answer that nobody can read */
} openai_answer_t;

/*  On another thread; see http_fn. */
typedef void (*openai_fn) (void *context, const openai_answer_t *answer);

/*  ERR_CONFIG: a URL that is none, or holds a password; a variable that is not set, or holds what
 *  cannot be a key. */
openai_t *openai_new (const openai_options_t *options, err_t *err);
/*  As a service is started with: "URL MODEL [KEY_ENV] [CONCURRENCY]". */
openai_t *openai_read (const char *line, err_t *err);
void openai_destroy (openai_t **server);
/*  "URL MODEL", as they were given. */
const char *openai_name (const openai_t *server);

int openai_ask (openai_t *server, const openai_chat_t *chat, openai_fn done, void *context,
                err_t *err);

/*  How many tokens an answer without an error is taken for: at least its end. ERR_CONFIG: the
 *  server does not count. */
int openai_count (const openai_t *server, const openai_answer_t *answer, size_t *tokens,
                  err_t *err);

#endif
