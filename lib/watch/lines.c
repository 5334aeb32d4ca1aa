/*  lines - see lines.h */
#include "watch/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/printable.h"

/*  A run that was killed may have left half a line at the end, and one that goes on may be writing
 *  it: that is not counted, and no more is an empty one. */
lines_passed_t lines_each (const char *folder, const char *file,
                           void (*each) (void *context, json_t *line), void *context)
{
    char path[FS_PATH_MAX];
    lines_passed_t passed = {0};
    if (fs_join (path, folder, file, NULL) != 0)
        return passed;
    int fd = fs_open (path, NULL); /* no pipe, which would be waited for */
    FILE *lines = fd >= 0 ? fdopen (fd, "r") : NULL;
    if (fd >= 0 && !lines)
        close (fd);
    char *text = NULL;
    size_t capacity = 0, number = 0;
    for (ssize_t n; lines && (n = getline (&text, &capacity, lines)) > 0;) {
        json_t *line = json_loads (text, 0, NULL);
        number++;
        if (json_is_object (line))
            each (context, line);
        else if (n > 1 && text[n - 1] == '\n' && passed.n++ == 0)
            passed.first = number;
        json_decref (line);
    }
    free (text);
    if (lines)
        fclose (lines);
    return passed;
}

/*  The line is borrowed, so the list takes a reference of its own. */
static void lines_keep (void *context, json_t *line)
{
    json_array_append (context, line);
}

json_t *lines_all (const char *folder, const char *file)
{
    json_t *list = json_array ();
    lines_each (folder, file, lines_keep, list);
    return list;
}

json_t *lines_text (const char *text)
{
    buf_t safe = {0};
    printable_text (&safe, text, strlen (text), PRINTABLE_LINES);
    json_t *string = json_string (safe.data ? safe.data : "");
    buf_free (&safe);
    return string;
}
