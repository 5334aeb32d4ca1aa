/*  redis_fixture - a private Redis on a unix socket in a folder of its own, for tests.
 *
 *      redis_fixture_t redis;
 *      redis_fixture_open (&redis);            waits until it answers; asserts
 *      ... store_new (redis.address, "", &err) ...
 *      redis_fixture_kill (&redis); redis_fixture_start (&redis);
 *      redis_fixture_close (&redis);
 *
 *  It dies with the thread that started it, so with the test, however that ends. Data survives a
 *  restart (append-only file, always synced).
 */
#ifndef QUINTET_TESTS_REDIS_FIXTURE_H
#define QUINTET_TESTS_REDIS_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

typedef struct {
    char folder[64];
    char socket[80];
    char address[96];  /* for store_new */
    pid_t pid;         /* 0: not running */
    const char *users; /* NULL: everybody is let in */
} redis_fixture_t;

static inline void redis_fixture_fail (const char *what)
{
    fprintf (stderr, "redis fixture: %s: %s\n", what, strerror (errno));
    abort ();
}

static inline bool redis_fixture_answers (const redis_fixture_t *redis)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf (name.sun_path, sizeof name.sun_path, "%s", redis->socket);
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[8] = "";
    bool fine = fd >= 0 && connect (fd, (struct sockaddr *) &name, sizeof name) == 0 &&
                write (fd, "PING\r\n", 6) == 6 && read (fd, answer, sizeof answer - 1) > 0 &&
                (strncmp (answer, "+PONG", 5) == 0 ||
                 (redis->users && strncmp (answer, "-NOAUTH", 7) == 0));
    if (fd >= 0)
        close (fd);
    return fine;
}

static inline void redis_fixture_start (redis_fixture_t *redis)
{
    pid_t parent = getpid ();
    redis->pid = fork ();
    if (redis->pid < 0)
        redis_fixture_fail ("fork");
    if (redis->pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        if (getppid () != parent || chdir (redis->folder) != 0)
            _exit (127);
        int log = open ("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2 (log, 1);
        dup2 (log, 2);
        execlp ("redis-server", "redis-server", "--port", "0", "--unixsocket", redis->socket,
                "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no",
                redis->users ? "--aclfile" : (char *) NULL, redis->users, (char *) NULL);
        _exit (127);
    }
    int64_t deadline = clock_ms () + 10000;
    while (!redis_fixture_answers (redis)) {
        if (waitpid (redis->pid, NULL, WNOHANG) == redis->pid || clock_left_ms (deadline) == 0)
            redis_fixture_fail ("redis-server does not start; is it installed?");
        clock_sleep_ms (5);
    }
}

/*  users: the file of those who are let in, which stays the caller's; NULL: everybody. */
static inline void redis_fixture_open_for (redis_fixture_t *redis, const char *users)
{
    *redis = (redis_fixture_t){.folder = "/tmp/quintet-redis-XXXXXX", .users = users};
    if (!mkdtemp (redis->folder))
        redis_fixture_fail (redis->folder);
    snprintf (redis->socket, sizeof redis->socket, "%s/redis.sock", redis->folder);
    snprintf (redis->address, sizeof redis->address, "unix:%s", redis->socket);
    redis_fixture_start (redis);
}

static inline void redis_fixture_open (redis_fixture_t *redis)
{
    redis_fixture_open_for (redis, NULL);
}

static inline void redis_fixture_signal (redis_fixture_t *redis, int number)
{
    if (redis->pid)
        kill (redis->pid, number);
}

/*  kill -9, and wait until it is gone. */
static inline void redis_fixture_kill (redis_fixture_t *redis)
{
    redis_fixture_signal (redis, SIGKILL);
    if (redis->pid)
        waitpid (redis->pid, NULL, 0);
    redis->pid = 0;
}

static inline void redis_fixture_close (redis_fixture_t *redis)
{
    redis_fixture_kill (redis);
    err_t err = {0};
    if (fs_remove (redis->folder, &err) != 0)
        fprintf (stderr, "redis fixture: %s\n", err.text);
}

#endif
