/* with: services/monitor/ */
/*  What strangers ask the monitor for, as bytes of a connection: paths, queries, headers, several
 *  requests in a row. Without a token only what belongs to the folder of runs is told, and with one
 *  nothing at all to who does not have it. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "../../services/monitor/monitor.h"
#include "base/log.h"
#include "fuzz.h"

#define TOKEN   "0123456789abcdef"
#define OF_RUN  "words-of-the-run" /* what is in its files, */
#define OUTSIDE "words-of-others"  /* and in those beside the folder of runs */
#define SOON_MS 3
#define WAIT_MS 20
#define HUNG_MS 10000
#define ALIVE   50 /* inputs, after which it is asked whether it still answers */
#define ROOM    ((size_t) 1 << 20)

static monitor_t monitor;
static web_t *doors[2]; /* the second asks for a token */
static char root[] = "/tmp/quintet-fuzz-monitor-XXXXXX";
static pid_t owner;

/*  libFuzzer's own timer interrupts. */
static bool comes (int fd, short event, int ms)
{
    struct pollfd one = {.fd = fd, .events = event};
    int rc;
    do
        rc = poll (&one, 1, ms);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

static int reach (const web_t *web)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    to.sin_port = htons ((uint16_t) strtol (strrchr (web_address (web), ':') + 1, NULL, 10));
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || (connect (fd, (struct sockaddr *) &to, sizeof to) != 0 && errno != EINTR) ||
        !comes (fd, POLLOUT, HUNG_MS))
        fuzz_fail ("connect");
    return fd;
}

/*  All that is said to these bytes, ending in a 0. The rest of what is no whole request is waited
 *  for over there, and a stream has no end: so after a while without a word it is all. */
static size_t ask (const web_t *web, const void *data, size_t size, int wait_ms, char answer[ROOM])
{
    int fd = reach (web);
    size_t n = 0;
    ssize_t got = send (fd, data, size, MSG_NOSIGNAL); /* not all: it hung up before */
    if (!comes (fd, POLLIN, SOON_MS))
        shutdown (fd, SHUT_WR);
    while (got > 0 && n < ROOM - 1 && comes (fd, POLLIN, wait_ms)) {
        got = recv (fd, answer + n, ROOM - 1 - n, 0);
        n += got > 0 ? (size_t) got : 0;
        shutdown (fd, SHUT_WR);
    }
    answer[n] = 0;
    close (fd);
    return n;
}

static bool holds (const char *data, size_t size, const char *words)
{
    return memmem (data, size, words, strlen (words)) != NULL;
}

static void expect (bool fine, const char *what)
{
    if (fine)
        return;
    fprintf (stderr, "%s\n", what);
    abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static char answer[ROOM];
    static size_t asked;
    static const char plain[] = "GET /api/metrics?run=one HTTP/1.0\r\nHost: localhost\r\n\r\n";
    buf_t whole = {0};
    /* By a name that is let in, whatever the input says. */
    buf_append (&whole, data, size);
    buf_text (&whole, "\r\nHost: localhost\r\n\r\n");
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        n = ask (doors[i], whole.data, whole.size, WAIT_MS, answer);
        expect (!holds (answer, n, OUTSIDE), "what is beside the folder of runs is told");
        expect (n == 0 || strncmp (answer, "HTTP/1.", 7) == 0, "the answer is none of HTTP");
    }
    expect (holds ((const char *) data, size, TOKEN) || !holds (answer, n, OF_RUN),
            "a run is told of without the token");
    buf_free (&whole);
    if (++asked % ALIVE == 0) {
        n = ask (doors[0], plain, strlen (plain), HUNG_MS, answer);
        expect (holds (answer, n, OF_RUN), "a plain question is not answered any more");
    }
    /* Streams whose browser is gone end when there is something to say. */
    web_tell (doors[0], "{}");
    web_tell (doors[1], "{}");
    return 0;
}

static void put (const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    if (fs_join (path, root, name, &err) != 0 || fs_write (path, text, strlen (text), &err) != 0)
        fuzz_fail (err.text);
}

static void make_runs (void)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    if (!mkdtemp (root) || fs_join (path, root, "runs/one", &err) != 0 ||
        fs_mkdirs (path, &err) != 0)
        fuzz_fail (root);
    put ("metrics.jsonl", "{\"event\":\"step\",\"step\":1,\"" OUTSIDE "\":1}\n");
    put ("episodes.jsonl", "{\"step\":1,\"phase\":\"train\",\"roles\":[\"" OUTSIDE "\"]}\n");
    put ("config.yml", "run: {name: " OUTSIDE "}\n");
    put ("runs/one/config.yml", "run: {name: " OF_RUN "}\n");
    put ("runs/one/metrics.jsonl",
         "{\"event\":\"step\",\"step\":1,\"steps\":9,\"reward_mean\":0.5,\"" OF_RUN "\":1}\n"
         "{\"event\":\"eval\",\"step\":1,\"success\":0.25}\n"
         "{\"event\":\"step\",\"step\":2,\"reward_mean\":0.75,\"role/aux/entropy\":0.1}\n");
    put (
        "runs/one/episodes.jsonl",
        "{\"step\":1,\"phase\":\"train\",\"roles\":[\"aux\"],\"task\":{\"id\":7,\"brief\":\"" OF_RUN
        "\"},\"reward\":{\"reward\":1,\"success\":true},\"turns\":[{\"actions\":[{\"role\":"
        "\"aux\",\"text\":\"x\",\"tokens\":3}]}]}\n"
        "no JSON\n");
    put ("runs/one/completions.jsonl",
         "{\"step\":1,\"task\":7,\"episode\":0,\"turn\":0,\"role\":\"aux\",\"text\":\"x\","
         "\"advantage\":0.5}\n");
    fs_join (path, root, "runs", &err);
    monitor.runs = runs_new (path);
    runs_look (monitor.runs);
}

static void end (void)
{
    if (getpid () == owner)
        fs_remove (root, NULL);
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    err_t err = {0};
    log_open ("fuzz", LOG_ERROR);
    make_runs ();
    owner = getpid ();
    atexit (end);
    pthread_mutex_init (&monitor.lock, NULL);
    monitor.tally = tally_new ();
    for (int i = 0; i < 2; i++) {
        web_options_t options = {.listen = "127.0.0.1:0",
                                 .token = i ? TOKEN : NULL,
                                 .pages = pages,
                                 .answer = api_answer,
                                 .context = &monitor};
        if (!(doors[i] = web_new (&options, &err)))
            fuzz_fail (err.text);
        monitor.web = doors[i];
    }
    static const char *const asked[] = {
        "GET /api/runs HTTP/1.1",
        "GET /api/metrics?run=one HTTP/1.1\r\nRange: bytes=0-10",
        "GET /api/metrics?run=one&first=1&last=2 HTTP/1.1",
        "GET /api/metrics?run=one&from=10 HTTP/1.0",
        "GET /api/episodes?run=one&from=0 HTTP/1.1\r\nAccept-Encoding: gzip",
        "GET /api/episode?run=one&at=0 HTTP/1.1\r\nConnection: close",
        "GET /api/episode?run=%2e%2e&at=0 HTTP/1.1",
        "GET /api/services HTTP/1.1\r\nHost: [::1]:8080\r\n\r\nHEAD /metrics HTTP/1.1",
        "GET /api/stream HTTP/1.1\r\nLast-Event-ID: 3",
        "GET /metrics HTTP/1.1\r\nAuthorization: Bearer " TOKEN,
        "GET /?token=" TOKEN " HTTP/1.1\r\nCookie: quintet=x; a=b",
        "GET / HTTP/1.1\r\nIf-None-Match: \"00000000\"",
        "POST /api/runs HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        "OPTIONS * HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc",
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char name[16];
        snprintf (name, sizeof name, "asked-%zu", i);
        fuzz_seed (name, asked[i], strlen (asked[i]));
    }
    return fuzz_seeds (argc, argv);
}
