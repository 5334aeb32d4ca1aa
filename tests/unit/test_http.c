/*  Questions to servers of others: good ones, busy ones, broken ones (tests/openai_server.py). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/openai.h"
#include "server_fixture.h"

#define PATIENCE_MS 60000
#define SOON_MS     700  /* for who will not answer anyway */
#define TRIES_MS    6000 /* time for a few tries */
#define MANY        24

static int setup (void **state)
{
    static server_t server;
    setenv ("TEST_KEY", "sk-very-secret", 1);
    *state = &server;
    return server_start (&server, NULL, NULL);
}

static int teardown (void **state)
{
    server_end (*state);
    return 0;
}

/*  What came of a question; copied, since the answer is borrowed. */
typedef struct {
    int done; /* how often it was told */
    char text[4096];
    size_t tokens;
    bool truncated;
    err_t err;
} said_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;

static void on_answer (void *context, const openai_answer_t *answer)
{
    said_t *said = context;
    pthread_mutex_lock (&lock);
    snprintf (said->text, sizeof said->text, "%s", answer->text);
    said->tokens = answer->tokens;
    said->truncated = answer->truncated;
    said->err = answer->err;
    said->done++;
    pthread_cond_signal (&came);
    pthread_mutex_unlock (&lock);
}

static void await (const said_t *said)
{
    pthread_mutex_lock (&lock);
    while (!said->done)
        pthread_cond_wait (&came, &lock);
    pthread_mutex_unlock (&lock);
}

static openai_t *server_of (const char *url, const char *model, const char *key, size_t at_once)
{
    err_t err = {0};
    openai_options_t options = {.url = url, .model = model, .key_env = key, .concurrency = at_once};
    openai_t *server = openai_new (&options, &err);
    if (!server)
        fail_msg ("%s", err.text);
    return server;
}

static said_t ask (const char *url, const char *model, int64_t patience_ms)
{
    err_t err = {0};
    said_t said = {0};
    openai_t *server = server_of (url, model, "TEST_KEY", 0);
    openai_chat_t chat = {.system = "Be brief.",
                          .user = "Who are \"you\"?\n\xc3\xa4",
                          .max_tokens = 9,
                          .temperature = 0.5,
                          .stop = (const char *const[]){"\n\n"},
                          .stop_n = 1,
                          .seed = 7,
                          .deadline_ms = clock_ms () + patience_ms};
    assert_int_equal (openai_ask (server, &chat, on_answer, &said, &err), 0);
    await (&said);
    openai_destroy (&server);
    assert_int_equal (said.done, 1);
    return said;
}

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("'%s' holds no '%s'", text, wanted);
}

static void an_answer_is_text_tokens_and_how_it_ended (void **state)
{
    server_t *server = *state;
    said_t said = ask (server->url, "echo", PATIENCE_MS);
    assert_int_equal (said.err.code, ERR_NONE);
    holds (said.text, "\"model\": \"echo\"");
    holds (said.text, "\"max_tokens\": 9");
    holds (said.text, "\"temperature\": 0.5");
    holds (said.text, "\"stop\": [\"\\n\\n\"]");
    holds (said.text, "\"seed\": 7");
    holds (said.text, "\"key\": \"sk-very-secret\"");
    holds (said.text, "{\"content\": \"Be brief.\", \"role\": \"system\"}");
    holds (said.text, "{\"content\": \"Who are \\\"you\\\"?\\n\\u00e4\", \"role\": \"user\"}");
    assert_true (said.tokens > 10);
    assert_false (said.truncated);
    said = ask (server->url, "long", PATIENCE_MS);
    assert_string_equal (said.text, "cut off here");
    assert_int_equal (said.tokens, 3);
    assert_true (said.truncated);
}

static void who_is_busy_is_asked_again (void **state)
{
    server_t *server = *state;
    said_t said = ask (server->url, "later", PATIENCE_MS);
    assert_int_equal (said.err.code, ERR_NONE);
    assert_string_equal (said.text, "at last");
}

/*  Each kind of failure has its code, names the server, and says what it said. */
static void what_fails_is_named (void **state)
{
    server_t *server = *state;
    static const struct {
        const char *model;
        int64_t patience_ms;
        err_code_t code;
        const char *words;
    } cases[] = {
        {"broken", TRIES_MS, ERR_TIMEOUT, "the last try: status 503 ("},
        {"mute", SOON_MS, ERR_TIMEOUT, "no answer in time"},
        {"half", SOON_MS, ERR_TIMEOUT, "no answer in time"},
        {"locked", PATIENCE_MS, ERR_CONFIG, "status 401 (1 try): no such key: ***"},
        {"picky", PATIENCE_MS, ERR_INPUT, "status 400 (1 try): max_tokens is too large"},
        {"garbage", PATIENCE_MS, ERR_INTERNAL, "no choices[0].message.content: <html>busy</html>"},
        {"empty", PATIENCE_MS, ERR_INTERNAL, "no choices[0].message.content: {\"choices\": []}"},
        {"large", PATIENCE_MS, ERR_INPUT, "an answer of more than 16 MiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        said_t said = ask (server->url, cases[i].model, cases[i].patience_ms);
        assert_string_equal (err_name (said.err.code), err_name (cases[i].code));
        holds (said.err.text, cases[i].words);
        holds (said.err.text, server->url);
        assert_null (strstr (said.err.text, "secret"));
        assert_string_equal (said.text, "");
    }
    char wrong[80];
    snprintf (wrong, sizeof wrong, "%s/beside", server->url);
    said_t said = ask (wrong, "echo", PATIENCE_MS);
    assert_int_equal (said.err.code, ERR_CONFIG);
    holds (said.err.text, "status 404 (1 try): no such path");
}

/*  It is not asked twice, and never sees the key. */
static void a_certificate_that_nobody_signed_is_refused (void **state)
{
    (void) state;
    server_t server;
    char file[] = "/tmp/quintet-http-XXXXXX", crt[64];
    int fd = mkstemp (file);
    assert_true (fd >= 0);
    close (fd);
    assert_int_equal (server_start (&server, (char[]){"--tls"}, file), 0);
    said_t said = ask (server.url, "echo", PATIENCE_MS);
    assert_int_equal (said.err.code, ERR_NETWORK);
    holds (said.err.text, "certificate");
    holds (said.err.text, "(1 try)");
    server_end (&server);
    snprintf (crt, sizeof crt, "%s.crt", file);
    unlink (file);
    unlink (crt);
}

static void nobody_there_is_a_failure_in_time (void **state)
{
    (void) state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl (INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, so that nobody listens */
    assert_int_equal (bind (fd, (struct sockaddr *) &address, size), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &size), 0);
    char url[64];
    snprintf (url, sizeof url, "http://127.0.0.1:%d/v1", ntohs (address.sin_port));
    said_t said = ask (url, "echo", SOON_MS);
    assert_int_equal (said.err.code, ERR_TIMEOUT);
    holds (said.err.text, url);
    close (fd);
}

/*  Many at once, and never more than the server is to have. */
static void so_many_are_asked_at_once (void **state)
{
    server_t *server = *state;
    static said_t said[MANY];
    err_t err = {0};
    openai_t *all = server_of (server->url, "slow", "", 5);
    for (size_t i = 0; i < MANY; i++) {
        openai_chat_t chat = {.system = "",
                              .user = "hello",
                              .max_tokens = 9,
                              .seed = i,
                              .deadline_ms = clock_ms () + PATIENCE_MS};
        assert_int_equal (openai_ask (all, &chat, on_answer, &said[i], &err), 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        await (&said[i]);
        assert_int_equal (said[i].err.code, ERR_NONE);
    }
    assert_in_range (strtol (said[MANY - 1].text, NULL, 10), 2, 5);
    openai_destroy (&all);
}

static void what_is_given_up_is_told (void **state)
{
    server_t *server = *state;
    said_t said[3] = {0};
    err_t err = {0};
    openai_t *mute = server_of (server->url, "mute", "", 1);
    for (size_t i = 0; i < 3; i++) { /* one is on its way, the others wait in line */
        openai_chat_t chat = {.system = "",
                              .user = "hello",
                              .max_tokens = 9,
                              .deadline_ms = clock_ms () + PATIENCE_MS};
        assert_int_equal (openai_ask (mute, &chat, on_answer, &said[i], &err), 0);
    }
    openai_destroy (&mute);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal (said[i].done, 1);
        assert_int_equal (said[i].err.code, ERR_STALE);
    }
}

static void is_refused (const char *url, const char *key, const char *words)
{
    err_t err = {0};
    openai_options_t options = {.url = url, .model = "m", .key_env = key};
    assert_null (openai_new (&options, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    holds (err.text, words);
}

static void what_is_no_server_is_refused (void **state)
{
    (void) state;
    is_refused ("host:8000", "", "is no URL of a server");
    is_refused ("file:///etc/passwd", "", "is no URL of a server");
    is_refused ("http://", "", "is no URL of a server");
    is_refused ("http://me:secret@host/v1", "", "holds a name or password");
    is_refused ("http://host/v1?key=1", "", "nothing may follow the path");
    is_refused ("http://host/v1", "TEST_NO_KEY", "has no TEST_NO_KEY");
    setenv ("TEST_BAD_KEY", "a\r\nX: y", 1);
    is_refused ("http://host/v1", "TEST_BAD_KEY", "a blank or control character");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (an_answer_is_text_tokens_and_how_it_ended),
        cmocka_unit_test (who_is_busy_is_asked_again),
        cmocka_unit_test (what_fails_is_named),
        cmocka_unit_test (a_certificate_that_nobody_signed_is_refused),
        cmocka_unit_test (nobody_there_is_a_failure_in_time),
        cmocka_unit_test (so_many_are_asked_at_once),
        cmocka_unit_test (what_is_given_up_is_told),
        cmocka_unit_test (what_is_no_server_is_refused),
    };
    return cmocka_run_group_tests (tests, setup, teardown);
}
