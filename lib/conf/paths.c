/*  paths - where a configuration's relative paths lead. See conf.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "conf/table.h"

/*  A relative path that is not there from the working directory is looked for beside the file, so
 *  that a configuration and its tasks can be moved together. One that is nowhere stays as it is;
 *  whoever opens it says so. One from --set was typed in the working directory and means that. */
static int paths_resolve (const conf_t *conf, const char *where, char **path, err_t *err)
{
    const char *slash = strrchr (conf->file, '/');
    if (!**path || **path == '/' || !slash || !where || strncmp (where, "--set ", 6) == 0)
        return 0;
    char folder[FS_PATH_MAX], joined[FS_PATH_MAX];
    snprintf (folder, sizeof folder, "%.*s", (int) (slash - conf->file), conf->file);
    if (fs_join (joined, folder, *path, err) != 0)
        return -1;
    if (!fs_exists (joined))
        return 0;
    char *copy = strdup (joined);
    if (!copy)
        return err_set (err, ERR_LIMIT, "no memory");
    free (*path);
    *path = copy;
    return 0;
}

int conf_resolve (conf_t *conf, err_t *err)
{
    const struct {
        char **path;
        const char *where;
    } paths[] = {{&conf->model.path, conf_where_of (conf, "model.path")},
                 {&conf->model.adapter_path, conf_where_of (conf, "model.adapter_path")},
                 {&conf->task.path, conf_where_of (conf, "task.path")},
                 {&conf->task.passages, conf_where_of (conf, "task.passages")}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof paths / sizeof *paths; i++)
        rc = paths_resolve (conf, paths[i].where, paths[i].path, err);
    for (size_t p = 0; rc == 0 && p < conf->policies_n; p++) {
        conf_policy_t *policy = &conf->policies[p];
        rc = paths_resolve (conf, conf_policy_where (conf, policy, "path"), &policy->path, err);
        if (rc == 0)
            rc = paths_resolve (conf, conf_policy_where (conf, policy, "adapter_path"),
                                &policy->adapter_path, err);
    }
    return rc;
}
