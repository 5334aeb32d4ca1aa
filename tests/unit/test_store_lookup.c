/*  A Redis that is named by a host: what its name servers do, which the test plays, must not keep a
 *  call longer than its deadline. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/store.h"

/*  ---- the C library's lookups ---------------------------------------------------------------- */

static int answer; /* EAI_INPROGRESS: none yet */
static size_t started, waited, cancelled;

int getaddrinfo_a (int mode, struct gaicb *list[], int n, struct sigevent *event)
{
    (void) mode, (void) list, (void) event;
    assert_int_equal (n, 1);
    started++;
    return 0;
}

int gai_error (struct gaicb *request)
{
    (void) request;
    return answer;
}

/*  Nobody answers: it waits as long as it was told to. */
int gai_suspend (const struct gaicb *const list[], int n, const struct timespec *timeout)
{
    (void) list, (void) n;
    assert_true (timeout && timeout->tv_sec < 60);
    waited++;
    nanosleep (timeout, NULL);
    return EAI_AGAIN;
}

int gai_cancel (struct gaicb *request)
{
    (void) request;
    cancelled++;
    return EAI_CANCELED;
}

/*  ---- tests ---------------------------------------------------------------------------------- */

static void refused_with (const char *text)
{
    err_t err = {0};
    store_t *store = store_new ("tcp:redis.example:6379", "", &err);
    assert_null (store);
    assert_int_equal (err.code, ERR_NETWORK);
    if (!strstr (err.text, text) || !strstr (err.text, "'redis.example'"))
        fail_msg ("%s", err.text);
}

/*  store_new has a deadline of its own. One lookup is waited for by all tries of a call: a second
 *  one beside it would wait for the same name server. */
static void a_name_server_that_does_not_answer_ends_with_the_deadline (void **state)
{
    (void) state;
    answer = EAI_INPROGRESS;
    started = waited = cancelled = 0;
    refused_with ("no name server answers");
    assert_int_equal (started, 1);
    assert_true (waited > 0);
    assert_int_equal (cancelled, 1);
}

static void a_name_that_nobody_knows_is_looked_up_again (void **state)
{
    (void) state;
    answer = EAI_NONAME;
    started = waited = 0;
    refused_with (gai_strerror (EAI_NONAME));
    assert_true (started > 1);
    assert_int_equal (waited, 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_name_server_that_does_not_answer_ends_with_the_deadline),
        cmocka_unit_test (a_name_that_nobody_knows_is_looked_up_again),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
