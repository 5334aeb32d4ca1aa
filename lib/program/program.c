/*  program - see program.h */
#include "program/program.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/printable.h"
#include "program/line_process.h"

#define WORDS     4   /* last lines of standard error that an error names */
#define WORD_MAX  120 /* columns of each */
#define LOOK_MS   50  /* between two looks whether to stop */
#define NOT_FOUND 127 /* a shell's status for a program that there is not */

struct program {
    char *text;
    const char *what, *key;
    line_process_t *process; /* NULL: none runs */
    bool missing;
    atomic_bool stopped;
    buf_t words[WORDS]; /* what it said last, the oldest at words_n % WORDS */
    size_t words_n;
};

program_t *program_new (const char *text, const char *what, const char *key, err_t *err)
{
    program_t *p = calloc (1, sizeof *p);
    if (!p || !(p->text = strdup (text))) {
        free (p);
        err_set (err, ERR_LIMIT, "no memory for a %s", what);
        return NULL;
    }
    p->what = what;
    p->key = key;
    return p;
}

void program_destroy (program_t **program)
{
    program_t *p = *program;
    if (!p)
        return;
    line_process_destroy (&p->process);
    for (size_t i = 0; i < WORDS; i++)
        buf_free (&p->words[i]);
    free (p->text);
    free (p);
    *program = NULL;
}

/*  Everything goes into the service's log. Lines of blanks and of Python's marks under a line tell
 *  nothing, so they do not push out those that do. */
static void program_on_word (void *context, const char *line, size_t n)
{
    program_t *p = context;
    char event[64];
    snprintf (event, sizeof event, "%.50s.says", p->what);
    log_info (event, "text=\"%.*s\"", (int) n, line);
    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    size_t telling = 0;
    for (size_t i = 0; i < n; i++)
        telling += !strchr (" ^~\r", line[i]);
    if (!telling)
        return;
    buf_t *word = &p->words[p->words_n++ % WORDS];
    buf_clear (word);
    printable_cut (word, line, n, WORD_MAX);
}

/*  Adds its last words to what went wrong; a process that is started anew has said nothing yet. */
static void program_add_words (program_t *p, err_t *err)
{
    size_t used = strlen (err->text), first = p->words_n > WORDS ? p->words_n - WORDS : 0;
    for (size_t i = first; i < p->words_n && used < sizeof err->text; i++) {
        const buf_t *word = &p->words[i % WORDS];
        used += (size_t) snprintf (err->text + used, sizeof err->text - used, "%s%.*s",
                                   i == first ? "; it said last: " : " | ", (int) word->size,
                                   word->data ? word->data : "");
    }
    p->words_n = 0;
}

/*  A shell runs it, so that it may have arguments and variables. */
static int program_start (program_t *p, err_t *err)
{
    char *argv[] = {(char *) "sh", (char *) "-c", p->text, NULL};
    if (p->process)
        return 0;
    p->process = line_process_new (argv, program_on_word, p, err);
    return p->process ? 0 : -1;
}

void program_stop (program_t *p)
{
    atomic_store (&p->stopped, true);
}

bool program_stopped (const program_t *p)
{
    return atomic_load (&p->stopped);
}

/*  In short waits: whoever wants to stop must not wait for as long as an answer may take. */
static int program_wait (program_t *p, int64_t deadline, buf_t *answer, err_t *err)
{
    for (;;) {
        int64_t left = clock_left_ms (deadline);
        err_t why = {0};
        if (program_stopped (p))
            return err_set (err, ERR_STALE, "it was given up");
        if (line_process_ask (p->process, NULL, 0, left < LOOK_MS ? left : LOOK_MS, answer, &why) ==
            0)
            return 0;
        if (why.code != ERR_TIMEOUT || left == 0) {
            *err = why;
            return -1;
        }
    }
}

int program_ask (program_t *p, const char *line, size_t size, double seconds, buf_t *answer,
                 err_t *err)
{
    int64_t ms = (int64_t) (seconds * 1e3), deadline = clock_ms () + ms;
    if (program_start (p, err) != 0)
        return -1;
    if (line_process_tell (p->process, line, size, ms, err) == 0 &&
        program_wait (p, deadline, answer, err) == 0)
        return 0;
    if (err->code == ERR_TIMEOUT)
        err_set (err, ERR_TIMEOUT, "it did not answer within %g s (%s)", seconds, p->key);
    if (line_process_status (p->process) == NOT_FOUND)
        err_set (err, ERR_IO, "command not found (%d)", NOT_FOUND);
    return -1;
}

int program_tell (program_t *p, const char *line, size_t size, double seconds, err_t *err)
{
    return p->process ? line_process_tell (p->process, line, size, (int64_t) (seconds * 1e3), err)
                      : 0;
}

void program_end (program_t *p, err_t *err)
{
    char event[64];
    p->missing = p->process && line_process_status (p->process) == NOT_FOUND;
    line_process_destroy (&p->process);
    program_add_words (p, err);
    err_wrap (err, "%s '%.200s'", p->what, p->text);
    snprintf (event, sizeof event, "%.50s.restart", p->what);
    log_warn (event, "text=\"%s\"", err->text);
}

bool program_missing (const program_t *p)
{
    return p->missing;
}
