/*  grader - see grader.h */
#include "grader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/openai.h"

struct grader {
    openai_t *server; /* NULL without one */
};

/*  One episode, until all of its answers are there. */
typedef struct {
    pthread_mutex_t lock;
    grader_t *grader;
    const grade_t *grade;
    char *prompt;
    double sum;
    size_t left;
    err_t err; /* the first one */
    grader_fn graded;
    void *context;
} asking_t;

/*  One of its answers. */
typedef struct {
    asking_t *asking;
    size_t sample, tries;
} sample_t;

static int grader_send (sample_t *sample, err_t *err);

grader_t *grader_new (const char *server, err_t *err)
{
    grader_t *g = calloc (1, sizeof *g);
    if (!g)
        err_set (err, ERR_LIMIT, "no memory for a judge");
    else if (*server && !(g->server = openai_read (server, err)))
        grader_destroy (&g);
    return g;
}

void grader_destroy (grader_t **self)
{
    grader_t *g = *self;
    if (!g)
        return;
    openai_destroy (&g->server);
    free (g);
    *self = NULL;
}

int grader_check (const grader_t *g, const grade_t *grade, err_t *err)
{
    buf_t name = {0};
    buf_printf (&name, "%s %s", grade->url, grade->model);
    bool ours = g->server && name.data && strcmp (openai_name (g->server), name.data) == 0;
    buf_free (&name);
    if (ours)
        return 0;
    return err_set (err, ERR_CONFIG,
                    "the judge %.200s at %.200s is not what this reward service was started with: "
                    "start it with quintet-reward --judge 'URL MODEL KEY_ENV'",
                    grade->model, grade->url);
}

/*  Whoever brings the last answer tells. */
static void asking_end (asking_t *a, sample_t *sample, double value, const err_t *err)
{
    pthread_mutex_lock (&a->lock);
    if (err->code != ERR_NONE && a->err.code == ERR_NONE)
        a->err = *err;
    a->sum += value;
    bool last = --a->left == 0;
    pthread_mutex_unlock (&a->lock);
    free (sample);
    if (!last)
        return;
    a->graded (a->context, a->sum / (double) a->grade->samples, &a->err);
    pthread_mutex_destroy (&a->lock);
    free (a->prompt);
    free (a);
}

static void grader_on_answer (void *context, const openai_answer_t *answer)
{
    sample_t *sample = context;
    asking_t *a = sample->asking;
    err_t err = answer->err;
    double value = 0;
    if (err.code == ERR_NONE && !grade_of (a->grade, answer->text, &value)) {
        if (++sample->tries < GRADER_TRIES && grader_send (sample, &err) == 0)
            return;
        if (err.code == ERR_NONE)
            grade_without (a->grade, answer->text, GRADER_TRIES, &err);
    }
    if (err.code != ERR_NONE)
        err_wrap (&err, "judge");
    asking_end (a, sample, value, &err);
}

/*  Another try at temperature 0 would most likely say the same again. */
static int grader_send (sample_t *sample, err_t *err)
{
    const asking_t *a = sample->asking;
    double temperature = a->grade->temperature;
    openai_chat_t chat = {.system = a->grade->system,
                          .user = a->prompt,
                          .max_tokens = a->grade->max_tokens,
                          .temperature = sample->tries && temperature < 1 ? 1 : temperature,
                          .seed = sample->sample * GRADER_TRIES + sample->tries,
                          .deadline_ms = clock_ms () + (int64_t) (a->grade->seconds * 1000)};
    return openai_ask (a->grader->server, &chat, grader_on_answer, sample, err);
}

int grader_ask (grader_t *g, const grade_t *grade, const episode_t *episode, grader_fn graded,
                void *context, err_t *err)
{
    asking_t *a = calloc (1, sizeof *a);
    buf_t prompt = {0};
    if (!a)
        return err_set (err, ERR_LIMIT, "no memory to ask a judge");
    if (grade_ask (grade, episode, &prompt, err) != 0) {
        buf_free (&prompt);
        free (a);
        return -1;
    }
    *a = (asking_t){.grader = g,
                    .grade = grade,
                    .prompt = buf_take (&prompt),
                    .left = grade->samples,
                    .graded = graded,
                    .context = context};
    pthread_mutex_init (&a->lock, NULL);
    /* Each ends once, one way or the other: what cannot be sent ends here. */
    for (size_t i = 0, n = grade->samples; i < n; i++) {
        err_t own = {0};
        sample_t *sample = calloc (1, sizeof *sample);
        if (sample)
            *sample = (sample_t){.asking = a, .sample = i};
        if (!sample || grader_send (sample, &own) != 0) {
            if (!sample)
                err_set (&own, ERR_LIMIT, "no memory to ask a judge");
            asking_end (a, sample, 0, &own);
        }
    }
    return 0;
}
