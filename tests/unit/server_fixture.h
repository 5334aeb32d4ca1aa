/*  server_fixture - a stand-in for servers of others: tests/openai_server.py.
 *
 *      server_t server;
 *      server_start (&server, NULL, NULL);
 *      server_end (&server);
 */
#ifndef QUINTET_TEST_SERVER_FIXTURE_H
#define QUINTET_TEST_SERVER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/*  A python3 that ends when its input does, also when this test is killed. */
typedef struct {
    pid_t pid;
    int input;
    char url[64];
} server_t;

static inline int server_start (server_t *to, char *option, char *file)
{
    server_t server;
    int in[2], out[2], port = 0;
    if (pipe (in) != 0 || pipe (out) != 0)
        return -1;
    server.pid = fork ();
    if (server.pid == 0) {
        dup2 (in[0], 0);
        dup2 (out[1], 1);
        close (in[0]), close (in[1]), close (out[0]), close (out[1]);
        execlp ("python3", "python3", "tests/openai_server.py", option, file, (char *) NULL);
        _exit (127);
    }
    close (in[0]);
    close (out[1]);
    server.input = in[1];
    FILE *said = fdopen (out[0], "r");
    int n = said ? fscanf (said, "%d", &port) : 0;
    if (said)
        fclose (said);
    snprintf (server.url, sizeof server.url, "http%s://127.0.0.1:%d/v1", file ? "s" : "", port);
    setenv ("no_proxy", "127.0.0.1", 1);
    *to = server;
    return n == 1 ? 0 : -1;
}

static inline void server_end (const server_t *server)
{
    close (server->input);
    waitpid (server->pid, NULL, 0);
}

#endif
