/*  workers - see workers.h
 *
 *  One lock guards everything that threads share, and is never held while an episode is scored. A
 *  request belongs to the workers from workers_add to workers_take; while any of its episodes is
 *  being scored it is not finished, so nobody frees what a thread reads.
 */
#include "workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "scorer.h"

#define REQUESTS_MAX 1024
#define MEMORY       4096 /* remembered rewards */
#define TRIES        3

typedef struct {
    hash_t hash;
    reward_t reward;
    bool used;
} memory_t;

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t *threads;
    scorer_t **scorers; /* one for each thread */
    size_t scorers_n, threads_n, running;
    bool stop;
    scored_t *request[REQUESTS_MAX]; /* in order of arrival */
    size_t n;
    memory_t *memory; /* by hash */
    workers_status_t status;
    void (*wake) (void *context);
    void *context;
};

/*  Everything that a reward depends on. A program of the user's may answer as it likes, so its
 *  answer counts for this place of a request only: two equal episodes are both asked for, the same
 *  request again is not. -1: no memory. */
static int workers_name (const scorer_job_t *job, size_t index, hash_t *name)
{
    buf_t text = {.max = SIZE_MAX};
    buf_printf (&text, "%.17g|%.17g|%.17g|%zu|%zu|%.17g|%.17g|", job->weights.quality,
                job->weights.speed, job->weights.cost, job->limits.tokens, job->limits.turns,
                job->limits.cpu_s, job->limits.cpu_total_s);
    for (size_t r = 0; r < job->roles_n; r++)
        buf_printf (&text, "%s,", job->roles[r]);
    buf_printf (&text, "|%s|%s", job->limits.protocol, job->tool);
    if (*job->command)
        buf_printf (&text, "|%zu|%s", index, job->command);
    buf_printf (&text, "|%zu|", strlen (job->task));
    buf_text (&text, job->task);
    buf_text (&text, job->history);
    int rc = buf_failed (&text) ? -1 : 0;
    if (rc == 0)
        *name = hash_of (text.data, text.size);
    buf_free (&text);
    return rc;
}

/*  One slot for each hash: what falls on the same slot drives the older one out, which costs time
 *  and never a wrong reward, since the whole hash is compared. */
static memory_t *workers_memory_slot (workers_t *w, const hash_t *hash)
{
    uint64_t word;
    memcpy (&word, hash->bytes, sizeof word);
    return &w->memory[word % MEMORY];
}

/*  Copied out under the lock: the slot may be written by another thread right after. */
static bool workers_remembered (workers_t *w, const hash_t *hash, reward_t *reward)
{
    pthread_mutex_lock (&w->lock);
    memory_t *m = workers_memory_slot (w, hash);
    bool known = m->used && hash_equal (&m->hash, hash);
    if (known)
        *reward = m->reward;
    w->status.scored++;
    w->status.remembered += known;
    pthread_mutex_unlock (&w->lock);
    return known;
}

static void workers_remember (workers_t *w, const hash_t *hash, const reward_t *reward)
{
    pthread_mutex_lock (&w->lock);
    *workers_memory_slot (w, hash) = (memory_t){.hash = *hash, .reward = *reward, .used = true};
    pthread_mutex_unlock (&w->lock);
}

/*  A failure that is no property of the episode is tried again here, where the sandbox can be
 *  replaced, before anybody on the bus hears of it. */
static int workers_score (workers_t *w, scorer_t *scorer, const scorer_job_t *job, size_t index,
                          reward_t *reward, err_t *err)
{
    bool own = *job->command;
    hash_t hash;
    if (workers_name (job, index, &hash) != 0)
        return err_set (err, ERR_LIMIT, "no memory for the name of an episode");
    if (workers_remembered (w, &hash, reward))
        return 0;
    int rc = -1, tries = own ? 1 : TRIES; /* a program of the user's has its own (command.c) */
    for (int i = 0; i < tries && rc != 0; i++) {
        rc = scorer_score (scorer, job, reward, err);
        if (rc != 0 && (err->code == ERR_INPUT || err->code == ERR_CONFIG))
            break;
    }
    if (rc == 0)
        workers_remember (w, &hash, reward);
    return rc;
}

/*  The next episode to score: request and index; under the lock. Requests are worked off in the
 *  order of their arrival, all threads on the first one: so the oldest group is finished first. */
static scored_t *workers_hand_out (workers_t *w, size_t *index)
{
    for (size_t i = 0; i < w->n; i++) {
        scored_t *s = w->request[i];
        if (s->next < s->request->histories_n) {
            *index = s->next++;
            return s;
        }
    }
    return NULL;
}

/*  What is left of a request that failed or was cancelled is handed out as well, but not scored:
 *  only so does it become finished, and is answered once. */
static void *workers_run (void *argument)
{
    workers_t *w = argument;
    pthread_mutex_lock (&w->lock);
    /* Each thread takes the next scorer, in whatever order they start, and keeps it. */
    scorer_t *scorer = w->scorers[w->running++];
    while (!w->stop) {
        size_t index;
        scored_t *s = workers_hand_out (w, &index);
        if (!s) {
            pthread_cond_wait (&w->work, &w->lock);
            continue;
        }
        bool skip = s->failed || s->cancelled;
        pthread_mutex_unlock (&w->lock);
        const wire_score_request_t *r = s->request;
        scorer_job_t job = {.command = r->command,
                            .command_s = r->command_s,
                            .weights = {r->weights.quality, r->weights.speed, r->weights.cost},
                            .task = r->task,
                            .roles = r->roles,
                            .roles_n = r->roles_n,
                            .modules = r->modules,
                            .limits = {.tokens = r->max_tokens,
                                       .turns = r->max_turns,
                                       .cpu_s = r->cpu_s,
                                       .cpu_total_s = r->cpu_total_s,
                                       .protocol = r->protocol},
                            .history = r->histories[index],
                            .tool = r->tool};
        err_t err = {0};
        int rc = skip ? 0 : workers_score (w, scorer, &job, index, &s->rewards[index], &err);
        pthread_mutex_lock (&w->lock);
        /* The first error is the one that is told: what comes after it may follow from it. */
        if (rc != 0 && !s->failed) {
            s->failed = true;
            s->err = err;
        }
        if (++s->done == r->histories_n)
            w->wake (w->context);
    }
    pthread_mutex_unlock (&w->lock);
    return NULL;
}

workers_t *workers_new (size_t n, const char *command, const char *modules,
                        void (*wake) (void *context), void *context, err_t *err)
{
    workers_t *w = calloc (1, sizeof *w);
    if (w) {
        pthread_mutex_init (&w->lock, NULL);
        pthread_cond_init (&w->work, NULL);
        w->scorers_n = n;
        w->wake = wake;
        w->context = context;
        w->threads = calloc (n, sizeof *w->threads);
        w->scorers = calloc (n, sizeof *w->scorers);
        w->memory = calloc (MEMORY, sizeof *w->memory);
    }
    bool ok = w && w->threads && w->scorers && w->memory;
    for (size_t i = 0; ok && i < n;
         i++) /* all of them first: a thread without one would score nothing */
        ok = (w->scorers[i] = scorer_new (command, modules)) != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        ok = pthread_create (&w->threads[i], NULL, workers_run, w) == 0;
        w->threads_n += ok;
    }
    if (!ok) {
        err_set (err, ERR_LIMIT, "no memory or threads for %zu scorers", n);
        workers_destroy (&w);
    }
    return w;
}

/*  The threads end before anything is freed that they use. Also called for what workers_new left
 *  unfinished, so it joins only those that were started. */
void workers_destroy (workers_t **self)
{
    workers_t *w = *self;
    if (!w)
        return;
    pthread_mutex_lock (&w->lock);
    w->stop = true;
    pthread_cond_broadcast (&w->work);
    pthread_mutex_unlock (&w->lock);
    for (size_t i = 0; i < w->threads_n; i++)
        pthread_join (w->threads[i], NULL);
    for (size_t i = 0; w->scorers && i < w->scorers_n; i++)
        scorer_destroy (&w->scorers[i]);
    for (size_t i = 0; i < w->n; i++)
        scored_free (&w->request[i]);
    pthread_mutex_destroy (&w->lock);
    pthread_cond_destroy (&w->work);
    free (w->threads);
    free (w->scorers);
    free (w->memory);
    free (w);
    *self = NULL;
}

/*  All scorers are alike, and what they were made with never changes: no lock. */
int workers_check (const workers_t *w, const wire_score_request_t *request, err_t *err)
{
    return scorer_check (w->scorers[0], request->command, request->modules ? request->modules : "",
                         err);
}

/*  Allocates before it locks. When it fails the arena is still the caller's. */
int workers_add (workers_t *w, uint64_t id, arena_t *arena, const wire_score_request_t *request)
{
    scored_t *s = calloc (1, sizeof *s);
    reward_t *rewards = s ? calloc (request->histories_n + 1, sizeof *rewards) : NULL;
    pthread_mutex_lock (&w->lock);
    bool ok = rewards && w->n < REQUESTS_MAX;
    if (ok) {
        *s = (scored_t){.id = id, .arena = arena, .request = request, .rewards = rewards};
        w->request[w->n++] = s;
        pthread_cond_broadcast (&w->work);
    }
    pthread_mutex_unlock (&w->lock);
    if (!ok) {
        free (rewards);
        free (s);
    }
    return ok ? 0 : -1;
}

/*  Nobody waits for it any more. What is under way is finished and remembered: most likely the same
 *  request comes again. */
void workers_cancel (workers_t *w, uint64_t id)
{
    pthread_mutex_lock (&w->lock);
    for (size_t i = 0; i < w->n; i++)
        if (w->request[i]->id == id)
            w->request[i]->cancelled = true;
    pthread_mutex_unlock (&w->lock);
}

/*  Finished requests leave in the order of arrival, and are the caller's from here on: no thread
 *  reads a request all of whose episodes are done. */
scored_t *workers_take (workers_t *w)
{
    scored_t *found = NULL;
    pthread_mutex_lock (&w->lock);
    for (size_t i = 0; i < w->n && !found; i++)
        if (w->request[i]->done == w->request[i]->request->histories_n) {
            found = w->request[i];
            memmove (&w->request[i], &w->request[i + 1], (--w->n - i) * sizeof *w->request);
        }
    pthread_mutex_unlock (&w->lock);
    return found;
}

void scored_free (scored_t **scored)
{
    if (!*scored)
        return;
    arena_destroy (&(*scored)->arena);
    free ((*scored)->rewards);
    free (*scored);
    *scored = NULL;
}

workers_status_t workers_status (workers_t *w)
{
    pthread_mutex_lock (&w->lock);
    workers_status_t status = w->status;
    status.waiting = w->n;
    pthread_mutex_unlock (&w->lock);
    return status;
}
