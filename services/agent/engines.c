/*  engines - see engines.h
 *
 *  Servers answer on threads of their own (http/http.h), and the agent's loop owns its requests. So
 *  answers are copied into a list, and the loop is woken.
 */
#include "engines.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ENGINES_MAX 16

/*  A question, and later its answer. */
typedef struct asked {
    struct asked *next;
    engines_t *all;
    openai_t *server;
    engines_answer_t answer;
} asked_t;

struct engines {
    openai_t *server[ENGINES_MAX];
    size_t n;
    pthread_mutex_t lock; /* of what is answered */
    asked_t *first, **last;
    void (*wake) (void *context);
    void *context;
};

static int engines_open (engines_t *engines, const char *servers, err_t *err)
{
    char *list = strdup (servers), *rest = list, *line;
    int rc = list ? 0 : err_set (err, ERR_LIMIT, "no memory for servers");
    while (rc == 0 && (line = strsep (&rest, ";"))) {
        if (!line[strspn (line, " ")])
            continue;
        if (engines->n == ENGINES_MAX)
            rc = err_set (err, ERR_CONFIG, "--engine names more than %d servers", ENGINES_MAX);
        else if (!(engines->server[engines->n] = openai_read (line, err)))
            rc = err_wrap (err, "--engine");
        else
            engines->n++;
    }
    free (list);
    return rc;
}

engines_t *engines_new (const char *servers, void (*wake) (void *context), void *context,
                        err_t *err)
{
    engines_t *engines = calloc (1, sizeof *engines);
    if (!engines) {
        err_set (err, ERR_LIMIT, "no memory for servers");
        return NULL;
    }
    engines->wake = wake;
    engines->context = context;
    engines->last = &engines->first;
    pthread_mutex_init (&engines->lock, NULL);
    if (engines_open (engines, servers, err) != 0)
        engines_destroy (&engines);
    return engines;
}

void engines_destroy (engines_t **self)
{
    engines_t *engines = *self;
    engines_answer_t answer;
    if (!engines)
        return;
    for (size_t i = 0; i < engines->n; i++)
        openai_destroy (&engines->server[i]); /* each question ends, and is in the list */
    while (engines_take (engines, &answer))
        free (answer.text);
    pthread_mutex_destroy (&engines->lock);
    free (engines);
    *self = NULL;
}

static openai_t *engines_find (const engines_t *engines, const char *server)
{
    for (size_t i = 0; i < engines->n; i++)
        if (strcmp (openai_name (engines->server[i]), server) == 0)
            return engines->server[i];
    return NULL;
}

int engines_check (const engines_t *engines, const char *server, err_t *err)
{
    return engines_find (engines, server)
               ? 0
               : err_set (err, ERR_CONFIG,
                          "this agent was not started with the server '%.300s': start every agent "
                          "of its bus with quintet-agent --engine 'URL MODEL KEY_ENV'",
                          server);
}

/*  On the server's thread. */
static void engines_on_answer (void *context, const openai_answer_t *from)
{
    asked_t *asked = context;
    engines_t *engines = asked->all;
    engines_answer_t *to = &asked->answer;
    to->err = from->err;
    to->truncated = from->truncated;
    if (to->err.code == ERR_NONE &&
        openai_count (asked->server, from, &to->tokens, &to->err) == 0 &&
        !(to->text = strdup (from->text)))
        err_set (&to->err, ERR_LIMIT, "no memory for an answer");
    pthread_mutex_lock (&engines->lock);
    *engines->last = asked;
    engines->last = &asked->next;
    pthread_mutex_unlock (&engines->lock);
    engines->wake (engines->context);
}

int engines_ask (engines_t *engines, const char *server, const openai_chat_t *chat,
                 const engines_tag_t *tag, err_t *err)
{
    asked_t *asked = calloc (1, sizeof *asked);
    if (!asked)
        return err_set (err, ERR_LIMIT, "no memory for a question");
    *asked =
        (asked_t){.all = engines, .server = engines_find (engines, server), .answer.tag = *tag};
    int rc = engines_check (engines, server, err);
    if (rc == 0)
        rc = openai_ask (asked->server, chat, engines_on_answer, asked, err);
    if (rc != 0)
        free (asked);
    return rc;
}

bool engines_take (engines_t *engines, engines_answer_t *answer)
{
    pthread_mutex_lock (&engines->lock);
    asked_t *asked = engines->first;
    if (asked && !(engines->first = asked->next))
        engines->last = &engines->first;
    pthread_mutex_unlock (&engines->lock);
    if (asked)
        *answer = asked->answer;
    free (asked);
    return asked != NULL;
}
