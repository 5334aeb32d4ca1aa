/*  folder_fixture - a folder that a group of tests writes files into.
 *
 *      cmocka_run_group_tests (tests, make_dir, remove_dir);
 *      put ("config.json", "{}");
 */
#ifndef QUINTET_FOLDER_FIXTURE_H
#define QUINTET_FOLDER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

static char dir[] = "/tmp/quintet-folder-XXXXXX";

static int make_dir (void **state)
{
    (void) state;
    return mkdtemp (dir) ? 0 : -1;
}

static int remove_dir (void **state)
{
    (void) state;
    return fs_remove (dir, NULL);
}

/*  text NULL: the file goes. */
__attribute__ ((unused)) static void put (const char *name, const char *text)
{
    char path[128];
    err_t err = {0};
    snprintf (path, sizeof path, "%s/%s", dir, name);
    if (!text)
        unlink (path);
    else
        assert_int_equal (fs_write (path, text, strlen (text), &err), 0);
}

#endif
