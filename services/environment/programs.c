/*  programs - see programs.h
 *
 *  A program may take as long as it likes, and the service's loop may not. So its lines are written
 *  and read by threads, and the loop is woken.
 */
#include "programs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "program/session.h"

#define PROGRAMS_FIRST ((uint64_t) 1 << 62) /* numbers of the bus begin at 1 */

/*  What a thread is to do, and later what came of it. */
typedef struct job {
    struct job *next;
    uint64_t number; /* 0: episodes are to be closed, and lines is the prefix of their ids */
    buf_t lines;     /* questions, then answers */
    double seconds;
    err_t err;
} job_t;

/*  First in, first out. */
typedef struct {
    job_t *first, **last;
} line_t;

typedef struct {
    programs_t *all;
    session_t *session;
    pthread_t thread;
    line_t waiting;
} worker_t;

struct programs {
    char *command;
    worker_t *workers;
    size_t n, started;
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool stop;
    line_t done;
    uint64_t number;
    void (*wake) (void *context);
    void *context;
};

static void line_put (line_t *line, job_t *job)
{
    job->next = NULL;
    *line->last = job;
    line->last = &job->next;
}

static job_t *line_get (line_t *line)
{
    job_t *job = line->first;
    if (job && !(line->first = job->next))
        line->last = &line->first;
    return job;
}

static void job_free (job_t *job)
{
    buf_free (&job->lines);
    free (job);
}

/*  Every line for itself; the first that fails is told, since the others would have to be asked
 *  again with it. */
static void worker_play (worker_t *worker, job_t *job)
{
    buf_t answers = {0};
    int rc = 0;
    for (size_t at = 0, n; rc == 0 && at < job->lines.size; at += n + 1) {
        const char *line = job->lines.data + at, *end = memchr (line, '\n', job->lines.size - at);
        n = end ? (size_t) (end - line) : job->lines.size - at;
        rc = session_play (worker->session, line, n, job->seconds, &answers, &job->err);
        buf_char (&answers, '\n');
    }
    if (rc == 0)
        rc = buf_check (&answers, "the answers of a program", &job->err);
    buf_free (&job->lines);
    job->lines = answers;
}

static void *worker_run (void *context)
{
    worker_t *worker = context;
    programs_t *p = worker->all;
    pthread_mutex_lock (&p->lock);
    while (!p->stop) {
        job_t *job = line_get (&worker->waiting);
        if (!job) {
            pthread_cond_wait (&p->work, &p->lock);
            continue;
        }
        pthread_mutex_unlock (&p->lock);
        if (job->number) {
            worker_play (worker, job);
        } else {
            session_close (worker->session, job->lines.data);
            job_free (job);
            job = NULL;
        }
        pthread_mutex_lock (&p->lock);
        if (job) {
            line_put (&p->done, job);
            p->wake (p->context);
        }
    }
    pthread_mutex_unlock (&p->lock);
    return NULL;
}

programs_t *programs_new (const char *command, size_t workers, void (*wake) (void *context),
                          void *context, err_t *err)
{
    programs_t *p = calloc (1, sizeof *p);
    bool ok =
        p && (p->command = strdup (command)) && (p->workers = calloc (workers, sizeof *p->workers));
    if (p) {
        pthread_mutex_init (&p->lock, NULL);
        pthread_cond_init (&p->work, NULL);
        p->done.last = &p->done.first;
        p->number = PROGRAMS_FIRST;
        p->wake = wake;
        p->context = context;
    }
    for (; ok && p->n < workers; p->n++) {
        worker_t *worker = &p->workers[p->n];
        worker->all = p;
        worker->waiting.last = &worker->waiting.first;
        ok = (worker->session = session_new (command, err)) != NULL;
    }
    for (; ok && p->started < workers; p->started += ok)
        ok = pthread_create (&p->workers[p->started].thread, NULL, worker_run,
                             &p->workers[p->started]) == 0;
    if (!ok) {
        err_set (err, ERR_LIMIT, "no memory or threads for %zu programs", workers);
        programs_destroy (&p);
    }
    return p;
}

/*  Also of what programs_new left unfinished. */
void programs_destroy (programs_t **self)
{
    programs_t *p = *self;
    job_t *job;
    if (!p)
        return;
    pthread_mutex_lock (&p->lock);
    p->stop = true;
    pthread_cond_broadcast (&p->work);
    pthread_mutex_unlock (&p->lock);
    for (size_t i = 0; i < p->started; i++)
        session_stop (p->workers[i].session);
    for (size_t i = 0; i < p->started; i++)
        pthread_join (p->workers[i].thread, NULL);
    for (size_t i = 0; i < p->n; i++) {
        while ((job = line_get (&p->workers[i].waiting)))
            job_free (job);
        session_destroy (&p->workers[i].session);
    }
    while ((job = line_get (&p->done)))
        job_free (job);
    pthread_mutex_destroy (&p->lock);
    pthread_cond_destroy (&p->work);
    free (p->workers);
    free (p->command);
    free (p);
    *self = NULL;
}

const char *programs_command (const programs_t *p)
{
    return p->command;
}

/*  Takes the job over. */
static void programs_give (programs_t *p, size_t place, job_t *job)
{
    pthread_mutex_lock (&p->lock);
    line_put (&p->workers[place % p->n].waiting, job);
    pthread_cond_broadcast (&p->work);
    pthread_mutex_unlock (&p->lock);
}

uint64_t programs_ask (programs_t *p, size_t place, const buf_t *records, double seconds)
{
    job_t *job = calloc (1, sizeof *job);
    if (!job)
        return 0;
    *job = (job_t){.number = p->number++, .seconds = seconds};
    buf_append (&job->lines, records->data, records->size);
    if (buf_failed (&job->lines)) {
        job_free (job);
        return 0;
    }
    uint64_t number = job->number;
    programs_give (p, place, job);
    return number;
}

bool programs_asked (uint64_t number)
{
    return number >= PROGRAMS_FIRST;
}

bool programs_take (programs_t *p, programs_answer_t *answer)
{
    pthread_mutex_lock (&p->lock);
    job_t *job = line_get (&p->done);
    pthread_mutex_unlock (&p->lock);
    if (!job)
        return false;
    *answer = (programs_answer_t){.number = job->number, .lines = job->lines, .err = job->err};
    free (job);
    return true;
}

/*  Without memory the episodes stay open there, which costs memory and no more. */
void programs_close (programs_t *p, size_t place, const char *prefix)
{
    job_t *job = calloc (1, sizeof *job);
    if (!job)
        return;
    buf_text (&job->lines, prefix);
    if (buf_failed (&job->lines))
        job_free (job);
    else
        programs_give (p, place, job);
}
