/*  remote - see remote.h */
#include "remote.h"

#include <pthread.h>

#include "base/clock.h"

#define LOOK_MS 100 /* a signal's handler may not wake who waits for a condition */

typedef struct {
    const openai_t *server;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool done, truncated;
    buf_t text;
    size_t tokens;
    err_t err;
} waiting_t;

/*  On the server's thread. */
static void remote_on_answer (void *context, const openai_answer_t *from)
{
    waiting_t *w = context;
    pthread_mutex_lock (&w->lock);
    w->err = from->err;
    buf_text (&w->text, from->text);
    if (w->err.code == ERR_NONE)
        openai_count (w->server, from, &w->tokens, &w->err);
    w->truncated = from->truncated;
    w->done = true;
    pthread_cond_signal (&w->told);
    pthread_mutex_unlock (&w->lock);
}

static bool remote_wait (waiting_t *w)
{
    struct timespec until;
    clock_gettime (CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock (&w->lock);
    if (!w->done)
        pthread_cond_timedwait (&w->told, &w->lock, &until);
    bool done = w->done;
    pthread_mutex_unlock (&w->lock);
    return done;
}

static int remote_ask (openai_t **server, const openai_chat_t *chat, const stream_show_t *show,
                       waiting_t *w, err_t *err)
{
    if (openai_ask (*server, chat, remote_on_answer, w, err) != 0)
        return -1;
    while (!remote_wait (w))
        if (show->interrupted && *show->interrupted)
            openai_destroy (server); /* which ends the question */
    if (w->err.code == ERR_NONE)
        return buf_check (&w->text, "an answer", err);
    *err = w->err;
    return -1;
}

int remote_act (const remote_turn_t *turn, episode_t *episode, size_t role,
                const stream_show_t *show, err_t *err)
{
    waiting_t w = {.server = *turn->server,
                   .lock = PTHREAD_MUTEX_INITIALIZER,
                   .told = PTHREAD_COND_INITIALIZER};
    const sampling_t *sampling = turn->sampling;
    buf_t text = {0};
    buf_text (&text, "");
    int rc = episode_observe (episode, role, &text, err);
    if (rc == 0)
        rc = buf_check (&text, "a prompt", err);
    openai_chat_t chat = {.system = turn->system,
                          .user = text.data,
                          .max_tokens = sampling->max_tokens,
                          .temperature = sampling->temperature,
                          .top_p = (double) sampling->filter.top_p,
                          .stop = sampling->stops.text,
                          .stop_n = sampling->stops.n,
                          .seed = turn->key,
                          .deadline_ms = clock_ms () + (int64_t) (turn->seconds * 1000)};
    if (rc == 0)
        rc = remote_ask (turn->server, &chat, show, &w, err);
    if (rc == 0 && show->to) {
        stream_heading (show, turn->heading);
        stream_print (show, w.text.data, w.text.size);
        fputc ('\n', show->to);
    }
    episode_action_t action = {
        .text = w.text.data, .size = w.text.size, .tokens = w.tokens, .truncated = w.truncated};
    if (rc == 0)
        rc = episode_act (episode, role, &action, err);
    buf_free (&w.text);
    buf_free (&text);
    return rc == 0 ? 0 : err_wrap (err, "%s", turn->heading);
}
