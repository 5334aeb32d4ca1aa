/*  Pages, JSON and the stream for browsers: who is let in, what is refused, what is bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "http/web.h"

#define TOKEN "a token of 24 characters"
#define LARGE ((size_t) 16 << 20) /* half of it is more than a server's socket holds */

static void answer (void *context, const web_request_t *request, web_answer_t *reply)
{
    (void) context;
    const char *q = web_query (request, "q");
    if (strcmp (web_path (request), "/stream") == 0)
        reply->stream = true;
    else if (strcmp (web_path (request), "/echo") == 0)
        buf_printf (&reply->body, "{\"q\":\"%s\"}", q ? q : "");
    else if (strcmp (web_path (request), "/large") == 0)
        for (size_t i = 0; i < LARGE / 16; i++)
            buf_text (&reply->body, "sixteen letters ");
    else
        web_refuse (reply, 404, "no '%s'", web_path (request));
}

static const char page[] = "<!doctype html>";
static const web_page_t some[] = {{"/", "text/html", page, page + sizeof page - 1}, {0}};

static web_t *start (const char *token, const char *hosts)
{
    err_t err = {0};
    web_options_t options = {
        .listen = "127.0.0.1:0", .token = token, .hosts = hosts, .pages = some, .answer = answer};
    web_t *web = web_new (&options, &err);
    if (!web)
        fail_msg ("%s", err.text);
    return web;
}

static int dial (const web_t *web)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 10};
    to.sin_port = htons ((uint16_t) strtol (strrchr (web_address (web), ':') + 1, NULL, 10));
    to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal (connect (fd, (struct sockaddr *) &to, sizeof to), 0);
    return fd;
}

/*  What comes until the server closes, or until `until` has come; and then the connection stays. */
static char *hear (int fd, const char *until)
{
    static char text[64 << 10];
    size_t n = 0;
    ssize_t got;
    text[0] = 0;
    while (n + 1 < sizeof text && (!until || !strstr (text, until)) &&
           (got = recv (fd, text + n, sizeof text - n - 1, 0)) > 0) {
        n += (size_t) got;
        text[n] = 0;
    }
    return text;
}

/*  head: lines, each with its end. */
static char *ask (const web_t *web, const char *first, const char *head)
{
    int fd = dial (web);
    dprintf (fd, "%s HTTP/1.1\r\n%sConnection: close\r\n\r\n", first, head);
    char *text = hear (fd, NULL);
    close (fd);
    return text;
}

static int status (const char *text)
{
    return strncmp (text, "HTTP/1.1 ", 9) == 0 ? (int) strtol (text + 9, NULL, 10) : 0;
}

#define LOCAL "Host: localhost\r\n"

static void pages_and_answers_are_served (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    char *text = ask (web, "GET /", LOCAL), tag[64] = "";
    assert_int_equal (status (text), 200);
    assert_non_null (strstr (text, "Content-Security-Policy: default-src 'none'"));
    assert_non_null (strstr (text, "\r\n\r\n<!doctype html>"));
    assert_int_equal (sscanf (strstr (text, "ETag: "), "ETag: %60s", tag), 1);
    char head[160];
    snprintf (head, sizeof head, LOCAL "If-None-Match: %s\r\n", tag);
    assert_int_equal (status (ask (web, "GET /", head)), 304);
    text = ask (web, "GET /echo?q=a%20b", LOCAL);
    assert_non_null (strstr (text, "{\"q\":\"a b\"}"));
    assert_non_null (strstr (text, "Cache-Control: no-store"));
    text = ask (web, "GET /nowhere", LOCAL);
    assert_int_equal (status (text), 404);
    assert_non_null (strstr (text, "{\"error\":\"no '/nowhere'\"}"));
    web_destroy (&web);
}

static void nothing_can_be_changed (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    static const char *const methods[] = {"POST /echo", "PUT /echo", "DELETE /", "OPTIONS /"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char *text = ask (web, methods[i], LOCAL "Content-Length: 0\r\n");
        assert_int_equal (status (text), 405);
        assert_non_null (strstr (text, "Allow: GET, HEAD"));
    }
    char *text = ask (web, "HEAD /", LOCAL);
    assert_int_equal (status (text), 200);
    assert_null (strstr (text, "doctype"));
    web_destroy (&web);
}

/*  They are answered before their body comes, which nobody reads. */
static void bodies_are_refused (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    static const char *const heads[] = {"Content-Length: 5\r\n", "Content-Length: 005\r\n",
                                        "Content-Length: 9000000000\r\n",
                                        "Transfer-Encoding: chunked\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char head[96];
        snprintf (head, sizeof head, LOCAL "%s", heads[i]);
        char *text = ask (web, "GET /echo", head);
        assert_int_equal (status (text), 413);
        assert_non_null (strstr (text, "no body is wanted"));
    }
    assert_int_equal (status (ask (web, "GET /echo", LOCAL "Content-Length: 0\r\n")), 200);
    web_destroy (&web);
}

/*  A name of another site that leads here is refused; addresses cannot be such names. */
static void other_sites_names_are_refused (void **state)
{
    (void) state;
    web_t *web = start (NULL, "monitor.example other.example");
    static const struct {
        const char *host;
        int status;
    } cases[] = {{"Host: evil.example\r\n", 421},
                 {"Host: localhost.evil.example\r\n", 421},
                 {"Host: 127.0.0.1.evil.example:8080\r\n", 421},
                 {"Host: \r\n", 421},
                 {"Host: 127.0.0.1:8080\r\n", 200},
                 {"Host: [::1]:8080\r\n", 200},
                 {"Host: Monitor.Example\r\n", 200},
                 {"Host: other.example:80\r\n", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int got = status (ask (web, "GET /echo", cases[i].host));
        if (got != cases[i].status)
            fail_msg ("%s: %d, not %d", cases[i].host, got, cases[i].status);
    }
    web_destroy (&web);
}

static void a_token_is_asked_for (void **state)
{
    (void) state;
    web_t *web = start (TOKEN, NULL);
    char cookie[128], head[256];
    assert_int_equal (status (ask (web, "GET /", LOCAL)), 200); /* there is no data in it */
    assert_int_equal (status (ask (web, "GET /echo", LOCAL)), 401);
    assert_int_equal (status (ask (web, "GET /stream", LOCAL)), 401);
    assert_int_equal (
        status (ask (web, "GET /echo", LOCAL "Authorization: Bearer a wrong one of 24 chars.\r\n")),
        401);
    assert_int_equal (status (ask (web, "GET /echo", LOCAL "Cookie: quintet=\r\n")), 401);
    assert_int_equal (status (ask (web, "GET /login", LOCAL)), 401);
    /* Prometheus comes by any name, and bears it. */
    assert_int_equal (
        status (ask (web, "GET /echo", "Host: any.example\r\nAuthorization: Bearer " TOKEN "\r\n")),
        200);
    char *text = ask (web, "GET /login", LOCAL "Authorization: Bearer " TOKEN "\r\n");
    assert_int_equal (status (text), 204);
    text = ask (web, "GET /echo?token=a%20token%20of%2024%20characters", LOCAL);
    assert_int_equal (status (text), 303);
    assert_non_null (strstr (text, "Location: /\r\n"));
    assert_non_null (strstr (text, "HttpOnly; SameSite=Strict"));
    assert_null (strstr (text, TOKEN));
    assert_int_equal (sscanf (strstr (text, "Set-Cookie: "), "Set-Cookie: %100[^;]", cookie), 1);
    snprintf (head, sizeof head, LOCAL "Cookie: %s\r\n", cookie);
    assert_int_equal (status (ask (web, "GET /echo", head)), 200);
    web_destroy (&web);
}

static void wrong_options_are_refused (void **state)
{
    (void) state;
    static const struct {
        const char *listen, *token, *why;
    } cases[] = {
        {"nonsense", NULL, "wanted is HOST:PORT"}, {"127.0.0.1:99999", NULL, "wanted is HOST:PORT"},
        {"::1:8080", NULL, "wanted is HOST:PORT"}, {"127.0.0.1:", NULL, "wanted is HOST:PORT"},
        {"*:0", NULL, "give it --token-file"},     {"0.0.0.0:0", NULL, "give it --token-file"},
        {"[::]:0", NULL, "give it --token-file"},  {"127.0.0.1:0", "short", "a token has 16 to"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        web_options_t options = {
            .listen = cases[i].listen, .token = cases[i].token, .answer = answer};
        web_t *web = web_new (&options, &err);
        assert_null (web);
        if (err.code != ERR_CONFIG || !strstr (err.text, cases[i].why))
            fail_msg ("%s: %s", cases[i].listen, err.text);
    }
    web_options_t options = {.listen = "*:0", .open = true, .answer = answer};
    web_t *web = web_new (&options, NULL);
    assert_non_null (web);
    web_destroy (&web);
    options = (web_options_t){.listen = "*:0", .token = TOKEN, .answer = answer};
    assert_non_null (web = web_new (&options, NULL));
    web_destroy (&web);
}

static int stream (const web_t *web)
{
    int fd = dial (web);
    dprintf (fd, "GET /stream HTTP/1.1\r\n" LOCAL "\r\n");
    return fd;
}

static void streams_say_the_newest (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    web_tell (web, "{\"n\":1}");
    int one = stream (web);
    char *text = hear (one, "data: {\"n\":1}\n\n");
    assert_int_equal (status (text), 200);
    assert_non_null (strstr (text, "Content-Type: text/event-stream"));
    assert_non_null (strstr (text, "data: {\"n\":1}\n\n"));
    web_tell (web, "{\"n\":2}");
    assert_non_null (strstr (hear (one, "data: {\"n\":2}\n\n"), "data: {\"n\":2}\n\n"));
    int two = stream (web); /* a late one */
    text = hear (two, "data: {\"n\":2}\n\n");
    assert_null (strstr (text, "{\"n\":1}"));
    assert_int_equal (web_streams (web), 2);
    close (one);
    /* It is noticed by sending, which happens once a second anyway. */
    for (int i = 0; i < 500 && web_streams (web) == 2; i++) {
        web_tell (web, "{}");
        clock_sleep_ms (10);
    }
    assert_int_equal (web_streams (web), 1);
    web_destroy (&web); /* ends those that are left */
    while (*hear (two, NULL)) {
    }
    close (two);
}

/*  A browser that takes nothing holds one text and its connection, however much is told. */
static void a_slow_browser_skips (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    static char large[256 << 10];
    memset (large, 'x', sizeof large - 1);
    int slow = stream (web), quick = stream (web);
    for (int i = 0; i < 200 && web_streams (web) < 2; i++)
        clock_sleep_ms (10);
    assert_int_equal (web_streams (web), 2);
    for (int i = 0; i < 100; i++)
        web_tell (web, large);
    web_tell (web, "{\"last\":1}");
    assert_int_equal (status (hear (quick, "HTTP/1.1 200")), 200);
    bool found = false;
    for (int i = 0; i < 200 && !found; i++)
        found = strstr (hear (quick, "{\"last\":1}"), "{\"last\":1}") != NULL;
    assert_true (found);
    close (slow);
    close (quick);
    web_destroy (&web);
}

static void streams_and_heads_are_bounded (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    int fd[WEB_STREAMS_EACH];
    web_tell (web, "{}");
    for (size_t i = 0; i < WEB_STREAMS_EACH; i++) {
        fd[i] = stream (web);
        hear (fd[i], "data: ");
    }
    assert_int_equal (status (ask (web, "GET /stream", LOCAL)), 503);
    assert_int_equal (status (ask (web, "GET /echo", LOCAL)), 200);
    for (size_t i = 0; i < WEB_STREAMS_EACH; i++)
        close (fd[i]);
    static char head[64 << 10];
    memset (head, 'x', sizeof head - 3);
    memcpy (head, "X: ", 3);
    memcpy (head + sizeof head - 3, "\r\n", 3);
    int got = status (ask (web, "GET /echo", head));
    assert_true (got >= 400 || got == 0);
    web_destroy (&web);
}

static bool is_cut_off (int fd)
{
    char byte;
    ssize_t got = recv (fd, &byte, 1, 0);
    /* Reset, where it said something that nobody read. */
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

#define MANY (WEB_CONNECTIONS + 32)

/*  Each byte of theirs is a sign of life, so that they are never silent. */
static void who_asks_slowly_shuts_nobody_out (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    int fd[MANY];
    for (int i = 0; i < MANY; i++) {
        fd[i] = dial (web);
        dprintf (fd[i], "GET /echo HT");
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal (status (ask (web, "GET /echo", LOCAL)), 200);
    assert_true (is_cut_off (fd[0]));
    /* The youngest has its place still. */
    dprintf (fd[MANY - 1], "TP/1.1\r\n" LOCAL "Connection: close\r\n\r\n");
    assert_int_equal (status (hear (fd[MANY - 1], NULL)), 200);
    for (int i = 0; i < MANY; i++)
        close (fd[i]);
    web_destroy (&web);
}

static void a_head_has_a_deadline (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    int slow = dial (web), streaming = stream (web);
    web_tell (web, "{\"n\":1}");
    hear (streaming, "{\"n\":1}");
    dprintf (slow, "GET /echo HTTP/1.1\r\n" LOCAL "X: ");
    /* Answered from the loop that took its bytes: by now they are read. */
    assert_int_equal (status (ask (web, "GET /echo", LOCAL)), 200);
    clock_forward (1000 * WEB_HEAD_S - 500);
    web_tell (web, "{\"n\":2}");
    dprintf (slow, "x");
    clock_forward (1000);
    web_tell (web, "{\"n\":3}");
    assert_true (is_cut_off (slow));
    assert_non_null (strstr (hear (streaming, "{\"n\":3}"), "{\"n\":3}"));
    close (slow);
    close (streaming);
    web_destroy (&web);
}

static void an_answer_has_a_deadline (void **state)
{
    (void) state;
    web_t *web = start (NULL, NULL);
    static char some_of_it[64 << 10];
    int slow = dial (web);
    setsockopt (slow, SOL_SOCKET, SO_RCVBUF, &(int){64 << 10}, sizeof (int));
    dprintf (slow, "GET /large HTTP/1.1\r\n" LOCAL "\r\n");
    ssize_t first = recv (slow, some_of_it, sizeof some_of_it, 0);
    assert_true (first > 0);
    size_t n = (size_t) first;
    clock_forward (1000 * WEB_HEAD_S); /* which is not the one that it has */
    web_tell (web, "{}");
    for (ssize_t got; n < LARGE / 2 && (got = recv (slow, some_of_it, sizeof some_of_it, 0)) > 0;)
        n += (size_t) got;
    assert_true (n >= LARGE / 2);
    clock_forward (1000 * WEB_ANSWER_S);
    web_tell (web, "{}");
    for (ssize_t got; (got = recv (slow, some_of_it, sizeof some_of_it, 0)) > 0;)
        n += (size_t) got;
    assert_true (n < LARGE);
    close (slow);
    web_destroy (&web);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (pages_and_answers_are_served),
        cmocka_unit_test (nothing_can_be_changed),
        cmocka_unit_test (bodies_are_refused),
        cmocka_unit_test (other_sites_names_are_refused),
        cmocka_unit_test (a_token_is_asked_for),
        cmocka_unit_test (wrong_options_are_refused),
        cmocka_unit_test (streams_say_the_newest),
        cmocka_unit_test (a_slow_browser_skips),
        cmocka_unit_test (streams_and_heads_are_bounded),
        cmocka_unit_test (who_asks_slowly_shuts_nobody_out),
        cmocka_unit_test (a_head_has_a_deadline),
        cmocka_unit_test (an_answer_has_a_deadline),
    };
    signal (SIGPIPE, SIG_IGN); /* who is refused may be so before it has said all */
    return cmocka_run_group_tests (tests, NULL, NULL);
}
