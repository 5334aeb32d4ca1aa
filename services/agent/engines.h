/*  engines - the servers of others that an agent may ask, and what came of the questions.
 *
 *      engines_t *engines = engines_new ("http://HOST:8000/v1 NAME KEY_ENV 64; ...", wake, context,
 *                                        &err);
 *      if (engines_check (engines, "http://HOST:8000/v1 NAME", &err) == 0)
 *          engines_ask (engines, "http://HOST:8000/v1 NAME", &chat, &tag, &err);
 *      while (engines_take (engines, &answer)) ...
 *      engines_destroy (&engines);
 *
 *  An agent asks the servers that it was started with and no others, since a request comes from
 *  whoever reaches the bus: it must not make an agent send a key, or anything, to an address of its
 *  choice.
 */
#ifndef QUINTET_AGENT_ENGINES_H
#define QUINTET_AGENT_ENGINES_H

#include "http/openai.h"

typedef struct engines engines_t;

/*  Whose answer it is. */
typedef struct {
    uint64_t request;
    uint32_t episode;
} engines_tag_t;

typedef struct {
    engines_tag_t tag;
    char *text; /* the caller's to free; NULL where err says why there is none */
    size_t tokens;
    bool truncated;
    err_t err;
} engines_answer_t;

/*  servers: as of openai_read, with ';' between; "" for none. wake: called from any thread when an
 *  answer is there. */
engines_t *engines_new (const char *servers, void (*wake) (void *context), void *context,
                        err_t *err);
/*  Gives up what is under way. */
void engines_destroy (engines_t **engines);

/*  ERR_CONFIG: it was not started with this server. */
int engines_check (const engines_t *engines, const char *server, err_t *err);
/*  Copies the question; its answer comes once, within the question's deadline. */
int engines_ask (engines_t *engines, const char *server, const openai_chat_t *chat,
                 const engines_tag_t *tag, err_t *err);
bool engines_take (engines_t *engines, engines_answer_t *answer);

#endif
