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
#include "grader.h"
#include "scorer.h"
#include "task/family.h"

#define REQUESTS_MAX 1024
#define MEMORY       4096 /* remembered rewards */
#define TRIES        3

typedef struct {
    hash_t hash;
    reward_t reward;
    bool used;
} memory_t;

/*  One episode of a request. */
typedef struct {
    workers_t *workers;
    scored_t *request;
    size_t index;
    hash_t hash;
    scorer_job_t job;
    const char *const *answers; /* of a policy that has judged it, or NULL */
    episode_t *episode;         /* that is scored, and waits for its judge */
    reward_score_t score;
} piece_t;

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t *threads;
    scorer_t **scorers; /* one for each thread */
    grader_t *grader;
    library_t *library;
    const char *passages; /* of the library */
    size_t scorers_n, threads_n, running;
    bool stop;
    scored_t *request[REQUESTS_MAX]; /* in order of arrival */
    size_t n;
    memory_t *memory; /* by hash */
    workers_status_t status;
    void (*wake) (void *context);
    void *context;
};

/*  Everything that a reward depends on. A program of the user's may answer as it likes, and so may
 *  a judge, so the answer counts for this place of a request only: two equal episodes are both
 *  asked for, the same request again is not. -1: no memory. */
static int workers_name (const piece_t *piece, hash_t *name)
{
    const scorer_job_t *job = &piece->job;
    const char *judge = piece->request->grade ? piece->request->request->judge : "";
    buf_t text = {.max = SIZE_MAX};
    buf_printf (&text, "%.17g|%.17g|%.17g|%zu|%zu|%.17g|%.17g|", job->weights.quality,
                job->weights.speed, job->weights.cost, job->limits.tokens, job->limits.turns,
                job->limits.cpu_s, job->limits.cpu_total_s);
    for (size_t r = 0; r < job->roles_n; r++)
        buf_printf (&text, "%s,", job->roles[r]);
    buf_printf (&text, "|%s|%s", job->limits.protocol, job->tool);
    if (job->query)
        buf_printf (&text, "|%zu|%s", strlen (job->query), job->query);
    if (*job->command || *judge)
        buf_printf (&text, "|%zu|%s|%s", piece->index, job->command, judge);
    for (size_t i = 0; piece->answers && i < piece->request->grade->samples; i++)
        buf_printf (&text, "|%zu|%s", strlen (piece->answers[i]), piece->answers[i]);
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

/*  An episode came to its end. The first error is the one that is told: what comes after it may
 *  follow from it. */
static void workers_end (workers_t *w, scored_t *s, int rc, const err_t *err)
{
    pthread_mutex_lock (&w->lock);
    if (rc != 0 && !s->failed) {
        s->failed = true;
        s->err = *err;
    }
    if (++s->done == s->request->histories_n) {
        /* Of what nobody could score, nothing is left to tell but why. */
        s->failed = s->failed || s->unscored == s->done;
        w->wake (w->context);
    }
    pthread_mutex_unlock (&w->lock);
}

/*  The judge named no number, of this episode: not a 0, and no reason to lose the others. The last
 *  reason stays, for when there are none. */
static void workers_end_unscored (workers_t *w, scored_t *s, size_t index, const err_t *err)
{
    reward_t *reward = &s->rewards[index];
    *reward = (reward_t){.unscored = true, .success_unknown = true, .agreement_unknown = true};
    reward_cut (reward->verdict, sizeof reward->verdict, err->text);
    pthread_mutex_lock (&w->lock);
    s->unscored++;
    if (!s->failed)
        s->err = *err;
    pthread_mutex_unlock (&w->lock);
    workers_end (w, s, 0, err);
}

/*  Is done with the piece, and frees it. */
static void piece_end (piece_t *piece, int rc, err_t *err)
{
    workers_t *w = piece->workers;
    reward_t *reward = &piece->request->rewards[piece->index];
    if (rc == 0)
        rc = scorer_join (&piece->job, piece->episode, &piece->score, reward, err);
    if (rc == 0)
        workers_remember (w, &piece->hash, reward);
    workers_end (w, piece->request, rc, err);
    episode_destroy (&piece->episode);
    free (piece);
}

static void piece_on_grade (void *context, double value, const err_t *err)
{
    piece_t *piece = context;
    err_t own = *err;
    if (own.code == ERR_INPUT) {
        workers_end_unscored (piece->workers, piece->request, piece->index, err);
        episode_destroy (&piece->episode);
        free (piece);
        return;
    }
    if (own.code == ERR_NONE)
        grade_join (piece->request->grade, value, &piece->score);
    piece_end (piece, own.code == ERR_NONE ? 0 : -1, &own);
}

/*  A failure that is no property of the episode is tried again here, where the sandbox can be
 *  replaced, before anybody on the bus hears of it. */
static int piece_score (piece_t *piece, scorer_t *scorer, err_t *err)
{
    /* A program of the user's has tries of its own (command.c). */
    int tries = *piece->job.command ? 1 : TRIES;
    for (int i = 0; i < tries && !piece->episode; i++) {
        piece->episode = scorer_score (scorer, &piece->job, &piece->score, err);
        if (!piece->episode && (err->code == ERR_INPUT || err->code == ERR_CONFIG))
            break;
    }
    return piece->episode ? 0 : -1;
}

/*  From its beginning to its end, or to where a judge is asked, which then ends it. */
static void piece_run (piece_t *piece, scorer_t *scorer)
{
    workers_t *w = piece->workers;
    scored_t *s = piece->request;
    err_t err = {0};
    int rc = workers_name (piece, &piece->hash) == 0
                 ? 0
                 : err_set (&err, ERR_LIMIT, "no memory for the name of an episode");
    if (rc == 0 && workers_remembered (w, &piece->hash, &s->rewards[piece->index])) {
        workers_end (w, s, 0, &err);
        free (piece);
        return;
    }
    if (rc == 0)
        rc = piece_score (piece, scorer, &err);
    bool judged = s->grade && (!piece->job.tool || !*piece->job.tool);
    if (rc == 0 && judged && piece->answers) {
        double value = 0;
        grade_mean (s->grade, piece->answers, &value, &err);
        piece_on_grade (piece, value, &err);
        return;
    }
    if (rc == 0 && judged)
        rc = grader_ask (w->grader, s->grade, piece->episode, piece_on_grade, piece, &err);
    if (rc != 0 || !judged)
        piece_end (piece, rc, &err);
}

static piece_t *piece_new (workers_t *w, scored_t *s, size_t index)
{
    const wire_score_request_t *r = s->request;
    piece_t *piece = calloc (1, sizeof *piece);
    if (piece)
        *piece =
            (piece_t){.workers = w,
                      .request = s,
                      .index = index,
                      .job = {.command = r->command,
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
                              .tool = r->tool,
                              .query = r->queries ? r->queries[index] : NULL}};
    if (piece && r->graded_n)
        piece->answers = r->graded + index * s->grade->samples;
    return piece;
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
        piece_t *piece = skip ? NULL : piece_new (w, s, index);
        err_t err = {0};
        if (piece) {
            piece_run (piece, scorer);
            scorer_rest (scorer);
        } else
            workers_end (w, s, skip ? 0 : err_set (&err, ERR_LIMIT, "no memory for an episode"),
                         &err);
        pthread_mutex_lock (&w->lock);
    }
    pthread_mutex_unlock (&w->lock);
    return NULL;
}

workers_t *workers_new (const workers_options_t *options, void (*wake) (void *context),
                        void *context, err_t *err)
{
    workers_t *w = calloc (1, sizeof *w);
    size_t n = options->n;
    err_t why = {.code = ERR_NONE};
    if (w) {
        pthread_mutex_init (&w->lock, NULL);
        pthread_cond_init (&w->work, NULL);
        w->scorers_n = n;
        w->wake = wake;
        w->context = context;
        w->threads = calloc (n, sizeof *w->threads);
        w->scorers = calloc (n, sizeof *w->scorers);
        w->memory = calloc (MEMORY, sizeof *w->memory);
        w->passages = options->passages;
        w->grader = grader_new (options->judge, &why);
        w->library = w->grader ? library_new (options->passages, &why) : NULL;
    }
    bool ok = w && w->threads && w->scorers && w->memory && w->grader && w->library;
    for (size_t i = 0; ok && i < n;
         i++) /* all of them first: a thread without one would score nothing */
        ok = (w->scorers[i] = scorer_new (options->command, options->modules, options->wall,
                                          w->library)) != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        ok = pthread_create (&w->threads[i], NULL, workers_run, w) == 0;
        w->threads_n += ok;
    }
    if (!ok) {
        err_set (&why, why.code ? why.code : ERR_LIMIT, "%s",
                 *why.text ? why.text : "no memory or threads for the scorers");
        if (err)
            *err = why;
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
    for (size_t i = 0; w->scorers && i < w->scorers_n && w->scorers[i]; i++)
        scorer_stop (w->scorers[i]);
    for (size_t i = 0; i < w->threads_n; i++)
        pthread_join (w->threads[i], NULL);
    grader_destroy (&w->grader); /* what it gives up ends, and is freed with its request */
    for (size_t i = 0; w->scorers && i < w->scorers_n; i++)
        scorer_destroy (&w->scorers[i]);
    for (size_t i = 0; i < w->n; i++)
        scored_free (&w->request[i]);
    library_destroy (&w->library);
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
    bool retrieves = request->tool && strcmp (request->tool, TASK_RETRIEVE) == 0;
    if (retrieves && (!request->passages || strcmp (request->passages, w->passages) != 0))
        return err_set (err, ERR_CONFIG,
                        "task.passages '%s' is not what this reward service was started with "
                        "('%s'): start it with quintet-reward --passages '%s'",
                        request->passages ? request->passages : "", w->passages,
                        request->passages ? request->passages : "");
    return scorer_check (w->scorers[0], request->command, request->modules ? request->modules : "",
                         err);
}

/*  What the request's judge is asked, or was; NULL without one. */
static int workers_grade (const workers_t *w, const wire_score_request_t *request, grade_t **grade,
                          err_t *err)
{
    *grade = NULL;
    if (!request->judge || !*request->judge)
        return 0;
    if (!(*grade = grade_read (request->judge, err)))
        return -1;
    if (!*(*grade)->policy)
        return grader_check (w->grader, *grade, err);
    bool scores = !request->tool || !*request->tool;
    size_t wanted = scores ? request->histories_n * (*grade)->samples : 0;
    return request->graded_n == wanted
               ? 0
               : err_set (err, ERR_INPUT, "%zu answers of the judge %.80s, and %zu are wanted",
                          request->graded_n, (*grade)->policy, wanted);
}

/*  Allocates before it locks. */
int workers_add (workers_t *w, uint64_t id, arena_t *arena, const wire_score_request_t *request,
                 err_t *err)
{
    grade_t *grade;
    if (workers_grade (w, request, &grade, err) != 0) {
        grade_destroy (&grade);
        return -1;
    }
    scored_t *s = calloc (1, sizeof *s);
    reward_t *rewards = s ? calloc (request->histories_n + 1, sizeof *rewards) : NULL;
    pthread_mutex_lock (&w->lock);
    bool ok = rewards && w->n < REQUESTS_MAX;
    if (ok) {
        *s = (scored_t){
            .id = id, .arena = arena, .request = request, .grade = grade, .rewards = rewards};
        w->request[w->n++] = s;
        pthread_cond_broadcast (&w->work);
    }
    pthread_mutex_unlock (&w->lock);
    if (!ok) {
        grade_destroy (&grade);
        free (rewards);
        free (s);
    }
    return ok ? 0 : err_set (err, ERR_BUSY, "too many score requests wait already");
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
    grade_destroy (&(*scored)->grade);
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
