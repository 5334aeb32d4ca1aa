/*  folder - see folder.h */
#include "folder.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

/*  A trainer writes metrics from its first evaluation on. */
bool folder_holds_run (const char *dir)
{
    char path[FS_PATH_MAX];
    struct stat st;
    return fs_join (path, dir, "metrics.jsonl", NULL) == 0 && stat (path, &st) == 0 &&
           st.st_size > 0;
}

/*  The newest checkpoint's step, or 0. Its name is enough: checkpoints appear whole or not at
 *  all. */
size_t folder_step (const char *dir)
{
    char pattern[FS_PATH_MAX];
    size_t newest = 0;
    glob_t found;
    if (fs_join (pattern, dir, "checkpoints/step-*", NULL) != 0 ||
        glob (pattern, GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *end;
        unsigned long step = strtoul (strrchr (found.gl_pathv[i], '-') + 1, &end, 10);
        if (!*end && step > newest) /* no half-written one beside it, such as step-3.tmp */
            newest = step;
    }
    globfree (&found);
    return newest;
}
