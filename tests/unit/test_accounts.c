/*  Users of Redis: what is written for whom, and what each may and may not do in a real Redis. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "folder_fixture.h"
#include "store/accounts.h"
#include "store_fixture.h"

static const char *const holders[] = {"environment", "trainer", "operator"};
#define HOLDERS (sizeof holders / sizeof *holders)

static void own (char path[128], const char *holder)
{
    snprintf (path, 128, "%s/%s", dir, holder);
}

/*  Accounts for everybody, and a Redis that knows them. */
static int accounts_open_all (void **state)
{
    static char users[128];
    if (make_dir (state) != 0)
        return -1;
    for (size_t i = 0; i < HOLDERS; i++) {
        char path[128];
        own (path, holders[i]);
        if (fs_mkdirs (path, &err) != 0 || accounts_add (dir, holders[i], holders[i], &err) != 0)
            return -1;
    }
    snprintf (users, sizeof users, "%s/" ACCOUNTS_SERVER "/" ACCOUNTS_USERS, dir);
    redis_fixture_open_for (&redis, users);
    return 0;
}

static int accounts_close_all (void **state)
{
    redis_fixture_close (&redis);
    return remove_dir (state);
}

static store_t *open_as (const char *holder)
{
    char path[128];
    own (path, holder);
    store_t *opened = store_new (redis.address, path, &err);
    if (!opened)
        fail_msg ("%s: %s", holder, err.text);
    return opened;
}

/*  What Redis answers a user; account "": nobody. */
static void answer_as (const char *folder, const char *command, char text[256])
{
    account_t account = {0};
    char path[128];
    own (path, folder);
    fine (accounts_load (*folder ? path : "", &account, &err));
    redisContext *raw = redisConnectUnix (redis.socket);
    assert_non_null (raw);
    if (*account.user)
        freeReplyObject (redisCommand (raw, "AUTH %s %s", account.user, account.password));
    redisReply *reply = redisCommand (raw, command);
    snprintf (text, 256, "%s", reply && reply->str ? reply->str : reply ? "done" : raw->errstr);
    if (reply)
        freeReplyObject (reply);
    redisFree (raw);
}

static void expect_answer (const char *folder, const char *command, const char *begin)
{
    char text[256];
    answer_as (folder, command, text);
    if (strncmp (text, begin, strlen (begin)) != 0)
        fail_msg ("%s: %s: '%s', expected '%s ...'", *folder ? folder : "nobody", command, text,
                  begin);
}

/*  Every function, by those who call it. */
static void each_may_what_its_functions_need (void **state)
{
    (void) state;
    heard_t heard = {""};
    store_t *environment = open_as ("environment");
    for (size_t i = 1; i < HOLDERS; i++) {
        store = open_as (holders[i]);
        fine (store_run_acquire (store, "r", holders[i], LEASE, "record", 6, &epoch, &err));
        open_step (TRAIN, 1, 3);
        uint64_t n = 0;
        char boot[41];
        fine (store_boot (environment, boot, &err));
        store_claim_t claim = claim_as (environment, "environment-1", LEASE);
        fine (store_turn (environment, &claim, 0, "turn", 4, &err));
        fine (store_giveup (environment, &claim, "busy", &n, &err));
        buf_free (&claim.payload);
        claim = claim_as (environment, "environment-1", LEASE);
        fine (store_orphans (environment, "environment-1", &n, &err));
        assert_int_equal (n, 1);
        buf_free (&claim.payload);
        for (int g = 0; g < 3; g++) {
            claim = claim_as (environment, "environment-1", LEASE);
            fine (store_renew (environment, &claim, LEASE, &err));
            fine (g ? store_commit (environment, &claim, "x", 1, &err)
                    : store_dead (environment, &claim, "bad", &err));
            buf_free (&claim.payload);
        }
        assert_int_equal (store_claim (environment, "environment-1", LEASE, &claim, &err), 0);
        fine (store_log (environment, "r", "event", "text", &err));
        counts (TRAIN, 1, 0, 0, 2, 1);
        fine (store_step_groups (store, "r", TRAIN, 1, hear, &heard, &err));
        fine (store_run_renew (store, "r", epoch, LEASE, &err));
        for (uint64_t step = 1; step <= 1 + STORE_KEPT; step++) {
            if (step > 1)
                open_step (TRAIN, step, 0);
            fine (store_step_commit (store, "r", epoch, TRAIN, step, &err));
        }
        fine (store_step_drop_after (store, "r", epoch, 0, &err));
        fine (store_run_release (store, "r", epoch, &err));
        store_destroy (&store);
    }
    store_destroy (&environment);
}

static void each_may_nothing_else (void **state)
{
    (void) state;
    static const char *const administrative[] = {"CONFIG GET *",
                                                 "CONFIG SET dir /tmp",
                                                 "ACL LIST",
                                                 "ACL WHOAMI",
                                                 "FLUSHALL",
                                                 "FLUSHDB",
                                                 "SHUTDOWN",
                                                 "MONITOR",
                                                 "KEYS *",
                                                 "SCAN 0",
                                                 "SAVE",
                                                 "BGSAVE",
                                                 "REPLICAOF NO ONE",
                                                 "MODULE LIST",
                                                 "CLIENT LIST",
                                                 "INFO clients",
                                                 "EVAL return 0",
                                                 "FUNCTION FLUSH",
                                                 "FUNCTION LIST",
                                                 "FUNCTION DUMP",
                                                 "SUBSCRIBE a",
                                                 "PUBLISH a b",
                                                 "SET q:a b",
                                                 "GET q:a",
                                                 "RENAME q:a q:b",
                                                 "MIGRATE a 1 b 0 0",
                                                 "SWAPDB 0 1",
                                                 "EXPIRE q:a 1",
                                                 "DUMP q:a"};
    static const char *const elsewhere[] = {"HSET other a b", "HGET other a", "ZADD other 1 a",
                                            "ZRANGE other 0 -1"};
    for (size_t h = 0; h < HOLDERS; h++) {
        for (size_t i = 0; i < sizeof administrative / sizeof *administrative; i++)
            expect_answer (holders[h], administrative[i], "NOPERM");
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
            expect_answer (holders[h], elsewhere[i], "NOPERM");
        expect_answer (holders[h], "TIME", "done");
    }
    expect_answer ("environment", "DEL q:r:run", "NOPERM");
    expect_answer ("operator", "XADD q:r:log * a b", "NOPERM");
    expect_answer (ACCOUNTS_SERVER, "PING", "PONG");
    expect_answer (ACCOUNTS_SERVER, "HGET q:r:run epoch", "NOPERM");
    expect_answer (ACCOUNTS_SERVER, "ACL LIST", "NOPERM");
}

static void said (const char *text)
{
    if (!strstr (err.text, text))
        fail_msg ("'%s' does not say '%s'", err.text, text);
}

static void nobody_may_anything (void **state)
{
    (void) state;
    static const char *const commands[] = {"PING", "TIME", "INFO server", "HGET q:r:run epoch"};
    char path[128];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        expect_answer ("", commands[i], "NOAUTH");
    assert_null (store_new (redis.address, "", &err));
    assert_int_equal (err.code, ERR_CONFIG);
    said ("refuses us without an account, since no --keys were given: it wants a password.");
    /* A folder without the file, as that of a kind that has none. */
    own (path, "tap");
    fine (fs_mkdirs (path, &err));
    assert_null (store_new (redis.address, path, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    said ("refuses us without an account, which is missing in ");
    said (path);
}

static void a_wrong_password_is_refused_and_said (void **state)
{
    (void) state;
    char path[128];
    mode_t mask = umask (0077);
    own (path, "stranger");
    fine (fs_mkdirs (path, &err));
    put ("stranger/redis", "environment\n0123\n");
    umask (mask);
    assert_null (store_new (redis.address, path, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    said ("refuses us as its user 'environment', with the password of ");
    said ("stranger/redis: that user has another password there, or is off");
    said ("--aclfile KEYS/redis/users.acl");
}

/*  A restart of Redis, and with it new connections, which log in again. */
static void a_new_connection_logs_in_again (void **state)
{
    (void) state;
    char boot[41];
    store_t *environment = open_as ("environment");
    redis_fixture_kill (&redis);
    redis_fixture_start (&redis);
    fine (store_boot (environment, boot, &err));
    store_destroy (&environment);
}

static void who_is_removed_is_let_in_no_more (void **state)
{
    (void) state;
    char path[128];
    own (path, "guest");
    fine (fs_mkdirs (path, &err));
    fine (accounts_add (dir, "environment", "guest", &err));
    expect_answer (ACCOUNTS_SERVER, "ACL LOAD", "OK");
    expect_answer ("guest", "TIME", "done");
    fine (accounts_remove (dir, "guest", &err));
    expect_answer (ACCOUNTS_SERVER, "ACL LOAD", "OK");
    expect_answer ("guest", "TIME", "NOAUTH");
    expect_answer ("environment", "TIME", "done");
}

/*  ---- files ---------------------------------------------------------------------------------- */

static void what_redis_reads_holds_no_password (void **state)
{
    (void) state;
    account_t account;
    buf_t users = {0};
    char path[128];
    struct stat file;
    fine (fs_read (redis.users, 1 << 20, &users, &err));
    for (size_t i = 0; i < HOLDERS; i++) {
        own (path, holders[i]);
        fine (accounts_load (path, &account, &err));
        assert_string_equal (account.user, holders[i]);
        assert_int_equal (strlen (account.password), ACCOUNTS_PASSWORD);
        assert_null (strstr (users.data, account.password));
        snprintf (path, sizeof path, "%s/%s/" ACCOUNTS_FILE, dir, holders[i]);
        assert_int_equal (stat (path, &file), 0);
        assert_int_equal (file.st_mode & 0777, 0600);
    }
    assert_int_equal (stat (redis.users, &file), 0);
    assert_int_equal (file.st_mode & 0777, 0600);
    buf_free (&users);
}

static void kinds_that_never_ask_redis_have_no_account (void **state)
{
    (void) state;
    static const char *const kinds[] = {"agent", "reward", "critic", "tap", "monitor", "bus"};
    account_t account;
    char path[128];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        own (path, kinds[i]);
        fine (fs_mkdirs (path, &err));
        fine (accounts_add (dir, kinds[i], kinds[i], &err));
        fine (accounts_load (path, &account, &err));
        assert_string_equal (account.user, "");
    }
}

static void a_file_says_what_is_wrong_with_it (void **state)
{
    (void) state;
    account_t account;
    char path[128];
    own (path, "odd");
    fine (fs_mkdirs (path, &err));
    put ("odd/redis", "environment\nsecret\n");
    refused (accounts_load (path, &account, &err), ERR_CONFIG);
    assert_non_null (strstr (err.text, "may be read by everybody"));
    mode_t mask = umask (0077);
    put ("odd/redis", "one line");
    umask (mask);
    refused (accounts_load (path, &account, &err), ERR_CONFIG);
    assert_non_null (strstr (err.text, "this is no account"));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (each_may_what_its_functions_need),
        cmocka_unit_test (each_may_nothing_else),
        cmocka_unit_test (nobody_may_anything),
        cmocka_unit_test (a_wrong_password_is_refused_and_said),
        cmocka_unit_test (a_new_connection_logs_in_again),
        cmocka_unit_test (who_is_removed_is_let_in_no_more),
        cmocka_unit_test (what_redis_reads_holds_no_password),
        cmocka_unit_test (kinds_that_never_ask_redis_have_no_account),
        cmocka_unit_test (a_file_says_what_is_wrong_with_it),
    };
    return cmocka_run_group_tests (tests, accounts_open_all, accounts_close_all);
}
