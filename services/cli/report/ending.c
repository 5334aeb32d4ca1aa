/*  ending - see ending.h */
#include "ending.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "watch/folder.h"

/*  A word as a shell reads it back: in single quotes, unless it needs none. A quote inside of them
 *  ends them, stands alone behind a backslash, and begins them again. */
static void ending_quote (buf_t *command, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:=,+@%";
    if (*word && word[strspn (word, plain)] == 0) {
        buf_text (command, word);
        return;
    }
    buf_char (command, '\'');
    for (const char *c = word; *c; c++)
        if (*c == '\'')
            buf_text (command, "'\\''");
        else
            buf_char (command, *c);
    buf_char (command, '\'');
}

/*  An option that was not given is not repeated. */
static void ending_option (buf_t *command, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf (command, " %s ", key);
    ending_quote (command, value);
}

/*  The program as the user called it, so that the command works again where it was given. */
void ending_command (int argc, char **argv, buf_t *command)
{
    ending_quote (command, program_invocation_name);
    for (int i = 0; i < argc; i++) {
        buf_char (command, ' ');
        ending_quote (command, argv[i]);
    }
}

/*  The folder's own config.yml has every key as it was in force, so no --set has to be repeated. */
void ending_resume (const char *out, const char *bus, const char *redis, const char *keys,
                    buf_t *command)
{
    char config[FS_PATH_MAX];
    if (fs_join (config, out, "config.yml", NULL) != 0)
        return;
    ending_quote (command, program_invocation_name);
    buf_text (command, " run ");
    ending_quote (command, config);
    ending_option (command, "--out", out);
    ending_option (command, "--bus", bus);
    ending_option (command, "--redis", redis);
    ending_option (command, "--keys", keys);
    buf_text (command, " --resume");
}

/*  Text that JSON can carry: a name or a path may hold any bytes. */
static json_t *ending_text (const char *text)
{
    buf_t safe = {0};
    printable_text (&safe, text, strlen (text), PRINTABLE_LINES);
    json_t *string = json_string (safe.data ? safe.data : "");
    buf_free (&safe);
    return string;
}

/*  Takes over the object. Flushed, as it is the last that the reader of --json gets. */
static void ending_put (json_t *line)
{
    char *text = json_dumps (line, JSON_COMPACT);
    if (text)
        puts (text);
    fflush (stdout);
    free (text);
    json_decref (line);
}

void ending_error (const char *text)
{
    ending_put (json_pack ("{s:s, s:o}", "event", "error", "text", ending_text (text)));
}

/*  Whether there is anything to go on with. A passing run's folder goes away, and some commands
 *  have no --resume. Our own trainer is gone: who works in its folder is somebody else. */
static bool ending_resumable (const ending_t *e)
{
    return e->resumes && *e->folder && folder_holds_run (e->out) &&
           !folder_locked (e->folder, FOLDER_TRAINER);
}

/*  The same as for people, but on stdout, where the other events of the run are. */
static void ending_print_json (const ending_t *e, const char *event, const char *text)
{
    json_t *line = json_pack ("{s:s}", "event", event);
    if (text)
        json_object_set_new (line, "text", ending_text (text));
    if (ending_resumable (e)) {
        buf_t command = {0};
        ending_resume (e->out, e->bus, e->redis, e->keys, &command);
        json_object_set_new (line, "from_step",
                             json_integer ((json_int_t) folder_step (e->folder)));
        json_object_set_new (line, "resume", ending_text (command.data ? command.data : ""));
        buf_free (&command);
    }
    ending_put (line);
}

/*  The command stands on a line of its own, to be copied. It goes to stderr, so that a result in a
 *  pipe stays clean. A path may hold what a terminal would obey, hence printable. */
static void ending_print_resume (const ending_t *e)
{
    buf_t command = {0};
    size_t step = folder_step (e->folder);
    if (!ending_resumable (e))
        return;
    ending_resume (e->out, e->bus, e->redis, e->keys, &command);
    if (step)
        fprintf (stderr, "To go on from step %zu:\n  ", step);
    else
        fputs ("There is no checkpoint yet; to begin anew in the same folder:\n  ", stderr);
    printable_print (stderr, command.data, command.size, PRINTABLE_LINE);
    fputc ('\n', stderr);
    buf_free (&command);
}

void ending_stopped (const ending_t *e, bool json)
{
    if (json)
        ending_print_json (e, "stopped", NULL);
    fputs (isatty (2) ? "\nstopped\n" : "stopped\n", stderr); /* after the terminal's own ^C */
    ending_print_resume (e);
}

void ending_failed (const ending_t *e, const char *text, bool json)
{
    if (json)
        ending_print_json (e, "error", text);
    ending_print_resume (e);
}
