/*  http - see http.h
 *
 *  One lock guards the list of what came in; questions under way belong to the thread alone. A
 *  question is in one of three places: `in` (not yet seen by the thread), `waiting` (for its turn,
 *  or for the time of its next try), or with libcurl.
 */
#include "http/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define FIRST_PAUSE_MS 500
#define PAUSE_MS_MAX   30000
#define CONNECT_MS     10000
#define SHOWN_MAX      200 /* bytes of a URL in an error */

typedef struct question {
    struct question *next;
    char *url, *key, *body;
    size_t size;
    int64_t deadline_ms, again_ms; /* again_ms: not before */
    http_fn done;
    void *context;
    CURL *easy;
    struct curl_slist *headers;
    buf_t answer;
    bool long_answer;
    int tries;
    char said[CURL_ERROR_SIZE];
} question_t;

struct http {
    pthread_mutex_t lock;
    pthread_t thread;
    bool started, stop;
    CURLM *multi;
    size_t concurrency, asked;
    question_t *in, *waiting, *under_way;
};

static pthread_once_t http_once = PTHREAD_ONCE_INIT;

static void http_global (void)
{
    curl_global_init (CURL_GLOBAL_DEFAULT);
}

static void question_free (question_t *q)
{
    if (q->easy)
        curl_easy_cleanup (q->easy);
    curl_slist_free_all (q->headers);
    if (q->key) /* its copy is in freed memory otherwise */
        explicit_bzero (q->key, strlen (q->key));
    free (q->url);
    free (q->key);
    free (q->body);
    buf_free (&q->answer);
    free (q);
}

static size_t question_on_bytes (char *bytes, size_t one, size_t n, void *question)
{
    question_t *q = question;
    buf_append (&q->answer, bytes, one * n);
    q->long_answer = buf_failed (&q->answer);
    return q->long_answer ? 0 : one * n;
}

/*  A line for curl, and wiped: the copy that curl keeps goes with the question. */
static int question_headers (question_t *q)
{
    struct curl_slist *list = curl_slist_append (NULL, "Content-Type: application/json");
    buf_t line = {0};
    if (list && *q->key) {
        buf_printf (&line, "Authorization: Bearer %s", q->key);
        struct curl_slist *more = buf_failed (&line) ? NULL : curl_slist_append (list, line.data);
        if (!more)
            curl_slist_free_all (list);
        list = more;
    }
    if (line.data)
        explicit_bzero (line.data, line.size);
    buf_free (&line);
    q->headers = list;
    return list ? 0 : -1;
}

/*  Everything that does not change from one try to the next. */
static int question_prepare (question_t *q)
{
    q->easy = curl_easy_init ();
    if (!q->easy || question_headers (q) != 0)
        return -1;
    CURL *e = q->easy;
    return curl_easy_setopt (e, CURLOPT_URL, q->url) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_HTTPHEADER, q->headers) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_POST, 1L) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_POSTFIELDS, q->body) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) q->size) ==
                       CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_ERRORBUFFER, q->said) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_WRITEFUNCTION, question_on_bytes) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_WRITEDATA, q) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_CONNECTTIMEOUT_MS, (long) CONNECT_MS) == CURLE_OK &&
                   curl_easy_setopt (e, CURLOPT_PRIVATE, q) == CURLE_OK
               ? 0
               : -1;
}

/*  ---- the thread: all that follows runs there ------------------------------------------------ */

static void http_push (question_t **list, question_t *q)
{
    while (*list)
        list = &(*list)->next;
    q->next = NULL;
    *list = q;
}

static void http_remove (question_t **list, question_t *q)
{
    while (*list != q)
        list = &(*list)->next;
    *list = q->next;
}

static void question_end (question_t *q, int status, err_code_t code, const char *why)
{
    http_answer_t answer = {
        .status = status, .body = q->answer.data ? q->answer.data : "", .size = q->answer.size};
    if (code != ERR_NONE)
        err_set (&answer.err, code, "%.*s: %s (%d %s)", SHOWN_MAX, q->url, why, q->tries,
                 q->tries == 1 ? "try" : "tries");
    q->done (q->context, &answer);
    question_free (q);
}

/*  When to try again: twice as late each time, or when the server says. */
static int64_t question_again (const question_t *q)
{
    curl_off_t told = 0;
    int64_t pause = FIRST_PAUSE_MS;
    for (int i = 1; i < q->tries && pause < PAUSE_MS_MAX; i++)
        pause *= 2;
    if (curl_easy_getinfo (q->easy, CURLINFO_RETRY_AFTER, &told) == CURLE_OK && told > 0 &&
        told < 86400)
        pause = told * 1000;
    return clock_ms () + pause;
}

/*  Waits for another try if one may help and there is time for it. */
static void http_retry (http_t *h, question_t *q, int status, const char *why)
{
    char text[CURL_ERROR_SIZE + 128];
    q->again_ms = question_again (q);
    if (q->again_ms >= q->deadline_ms) {
        snprintf (text, sizeof text, "no answer in time; the last try: %s", why);
        question_end (q, status, ERR_TIMEOUT, text);
        return;
    }
    http_push (&h->waiting, q);
}

/*  What came of a try: an answer, a reason to try again, or the end. */
static void http_on_end (http_t *h, question_t *q, CURLcode rc)
{
    long status = 0;
    char why[CURL_ERROR_SIZE + 32];
    curl_easy_getinfo (q->easy, CURLINFO_RESPONSE_CODE, &status);
    snprintf (why, sizeof why, "status %ld", status);
    if (rc != CURLE_OK)
        snprintf (why, sizeof why, "%s", *q->said ? q->said : curl_easy_strerror (rc));
    if (q->long_answer)
        question_end (q, (int) status, ERR_INPUT, "an answer of more than 16 MiB");
    else if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
        question_end (q, 0, ERR_NETWORK, why);
    else if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
        question_end (q, 0, ERR_CONFIG, why);
    else if (rc != CURLE_OK || status == 408 || status == 429 || status >= 500)
        http_retry (h, q, rc == CURLE_OK ? (int) status : 0, why);
    else if (status >= 200 && status < 300)
        question_end (q, (int) status, ERR_NONE, "");
    else if (status == 401 || status == 403 || status == 404 || status == 405)
        question_end (q, (int) status, ERR_CONFIG, why);
    else
        question_end (q, (int) status, ERR_INPUT, why);
}

static void http_start (http_t *h, question_t *q)
{
    buf_clear (&q->answer);
    q->long_answer = false;
    *q->said = 0;
    q->tries++;
    long left = (long) clock_left_ms (q->deadline_ms); /* 0 would be no limit at all */
    curl_easy_setopt (q->easy, CURLOPT_TIMEOUT_MS, left > 0 ? left : 1L);
    if (curl_multi_add_handle (h->multi, q->easy) != CURLM_OK) {
        question_end (q, 0, ERR_LIMIT, "no memory for a question");
        return;
    }
    h->asked++;
    http_push (&h->under_way, q);
}

/*  Starts whose turn it is, ends whose time is over. Returns how many ms may pass until somebody's
 *  time comes. */
static int http_turns (http_t *h)
{
    int64_t now = clock_ms (), next = now + 1000;
    for (question_t **at = &h->waiting; *at;) {
        question_t *q = *at;
        bool late = q->deadline_ms <= now;
        if (late || (q->again_ms <= now && h->asked < h->concurrency)) {
            *at = q->next;
            if (late)
                question_end (q, 0, ERR_TIMEOUT,
                              "no answer in time: the server's line is too long");
            else
                http_start (h, q);
            continue;
        }
        int64_t when = q->again_ms > now ? q->again_ms : q->deadline_ms;
        next = when < next ? when : next;
        at = &q->next;
    }
    return (int) (next - now);
}

/*  How many tries ended. */
static size_t http_ends (http_t *h)
{
    const CURLMsg *m;
    size_t n = 0;
    int left;
    while ((m = curl_multi_info_read (h->multi, &left)))
        if (m->msg == CURLMSG_DONE) {
            CURLcode rc = m->data.result; /* m is gone with the handle */
            n++;
            CURL *easy = m->easy_handle;
            char *q = NULL;
            curl_easy_getinfo (easy, CURLINFO_PRIVATE, &q);
            curl_multi_remove_handle (h->multi, easy);
            http_remove (&h->under_way, (question_t *) (void *) q);
            h->asked--;
            http_on_end (h, (question_t *) (void *) q, rc);
        }
    return n;
}

/*  Takes over what came in; whether to go on. */
static bool http_take_in (http_t *h)
{
    question_t **end = &h->waiting;
    while (*end)
        end = &(*end)->next;
    pthread_mutex_lock (&h->lock);
    *end = h->in;
    h->in = NULL;
    bool stop = h->stop;
    pthread_mutex_unlock (&h->lock);
    return !stop;
}

static void *http_run (void *argument)
{
    http_t *h = argument;
    while (http_take_in (h)) {
        int wait = http_turns (h), running;
        curl_multi_perform (h->multi, &running);
        bool ended = http_ends (h) > 0;
        if (!ended) /* else there is room for who waits */
            curl_multi_poll (h->multi, NULL, 0, wait, NULL);
    }
    return NULL;
}

/*  ---- any thread ----------------------------------------------------------------------------- */

http_t *http_new (size_t concurrency, err_t *err)
{
    pthread_once (&http_once, http_global);
    http_t *h = calloc (1, sizeof *h);
    if (h) {
        pthread_mutex_init (&h->lock, NULL);
        h->concurrency = concurrency;
        h->multi = curl_multi_init ();
        h->started = h->multi && pthread_create (&h->thread, NULL, http_run, h) == 0;
    }
    if (!h || !h->started) {
        err_set (err, ERR_LIMIT, "no memory or thread to ask servers");
        http_destroy (&h);
    }
    return h;
}

/*  Its thread has ended. Of a question that is not with libcurl just now, removing says so. */
static void http_give_up (http_t *h, question_t *list)
{
    while (list) {
        question_t *q = list;
        list = q->next;
        curl_multi_remove_handle (h->multi, q->easy);
        question_end (q, 0, ERR_STALE, "given up");
    }
}

void http_destroy (http_t **self)
{
    http_t *h = *self;
    if (!h)
        return;
    if (h->started) {
        pthread_mutex_lock (&h->lock);
        h->stop = true;
        pthread_mutex_unlock (&h->lock);
        curl_multi_wakeup (h->multi);
        pthread_join (h->thread, NULL);
    }
    http_give_up (h, h->in);
    http_give_up (h, h->waiting);
    http_give_up (h, h->under_way);
    if (h->multi)
        curl_multi_cleanup (h->multi);
    pthread_mutex_destroy (&h->lock);
    free (h);
    *self = NULL;
}

static char *http_copy (const char *from, size_t size)
{
    char *to = malloc (size + 1);
    if (to) {
        memcpy (to, from, size);
        to[size] = 0;
    }
    return to;
}

int http_post (http_t *h, const http_question_t *question, http_fn done, void *context, err_t *err)
{
    question_t *q = calloc (1, sizeof *q);
    if (q) {
        *q = (question_t){.url = http_copy (question->url, strlen (question->url)),
                          .key = http_copy (question->key, strlen (question->key)),
                          .body = http_copy (question->body, question->size),
                          .size = question->size,
                          .deadline_ms = question->deadline_ms,
                          .done = done,
                          .context = context,
                          .answer = {.max = HTTP_ANSWER_MAX}};
    }
    if (!q || !q->url || !q->key || !q->body || question_prepare (q) != 0) {
        if (q)
            question_free (q);
        return err_set (err, ERR_LIMIT, "no memory to ask %.*s", SHOWN_MAX, question->url);
    }
    pthread_mutex_lock (&h->lock);
    http_push (&h->in, q);
    pthread_mutex_unlock (&h->lock);
    curl_multi_wakeup (h->multi);
    return 0;
}
