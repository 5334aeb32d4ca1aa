/*  place - see place.h */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "watch/folder.h"
#include "watch/history.h"

/*  Whether the run in a folder is one that this configuration would make, and not at its end. */
static bool place_unfinished (const conf_t *conf, const char *dir)
{
    char config[FS_PATH_MAX], solo[FS_PATH_MAX];
    bool alone = strcmp (conf->run.baseline, "solo") != 0;
    if (fs_join (config, dir, "config.yml", NULL) != 0 || fs_join (solo, dir, "solo", NULL) != 0)
        return false;
    bool finished = folder_finished (dir, conf) && (alone || folder_finished (solo, conf));
    return !finished && conf_compare (conf, config, NULL) == 0;
}

void place_find (place_t *place, const conf_t *conf)
{
    char base[FS_PATH_MAX];
    size_t taken = folder_runs (place->out);
    /* A folder that was named is meant as it is; place_check says so when it is taken. */
    if (!taken || (place->named && !place->going_on))
        return;
    memcpy (base, place->out, sizeof base);
    folder_numbered (place->out, base, taken);
    if (place->going_on && !place->resume)
        place->resume = place_unfinished (conf, place->out);
    if (place->resume)
        return;
    /* The command tells of the run that is there, and how to go on with it. */
    memcpy (place->taken, place->out, sizeof place->taken);
    folder_numbered (place->out, base, taken + 1);
}

/*  Tells that a resumed run with other trainer.steps follows another schedule from here on. */
static void place_note_steps (const conf_t *conf, const char *config, buf_t *notes)
{
    conf_t *before = conf_load (config, NULL, 0, NULL);
    long long was = before ? before->trainer.steps : 0, is = conf->trainer.steps;
    if (before && was != is && strcmp (conf->trainer.schedule, "constant") != 0)
        buf_printf (
            notes,
            "Note: trainer.steps was %lld and is %lld: from here on the learning rate follows "
            "the schedule of %lld steps, so the weights are those of no run that was made in "
            "one go\n",
            was, is, is);
    conf_destroy (&before);
}

/*  A run's folder is made when its services have started. Whether it can be is found out before, in
 *  the folder that is there already: by making one, since rights alone do not tell (a file system
 *  that is read-only, or full). */
static int place_can_write (const char *out, err_t *err)
{
    char above[FS_PATH_MAX], probe[FS_PATH_MAX];
    snprintf (above, sizeof above, "%s", out);
    for (char *slash; !fs_exists (above);) {
        slash = strrchr (above, '/');
        if (slash)
            *(slash == above ? slash + 1 : slash) = 0;
        else
            memcpy (above, ".", sizeof ".");
    }
    if (fs_join (probe, above, ".quintet-XXXXXX", err) != 0)
        return -1;
    if (!mkdtemp (probe))
        return err_set (err, ERR_CONFIG,
                        "--out %.300s: nothing can be written in %.300s (%s); name another folder",
                        out, above, strerror (errno));
    rmdir (probe);
    return 0;
}

/*  A run is never written over, and goes on only under a configuration that gives the same
 *  weights. */
int place_check (const place_t *place, const conf_t *conf, const char *command, buf_t *notes,
                 err_t *err)
{
    char config[FS_PATH_MAX];
    bool holds = folder_holds_run (place->out);
    /* First: what is at work is not to be gone on with. */
    if (place_can_write (place->out, err) != 0 || history_check (place->out, err) != 0)
        return -1;
    if (holds && !place->resume) {
        char next[FS_PATH_MAX];
        folder_numbered (next, place->out, folder_runs (place->out) + 1);
        return err_set (err, ERR_CONFIG,
                        "%.400s holds a run already: %sname another folder, such as --out %.400s",
                        place->out, strcmp (command, "run") == 0 ? "go on with --resume, or " : "",
                        next);
    }
    if (!holds && place->resume)
        return err_set (err, ERR_CONFIG, "%s holds no run to resume: leave --resume out",
                        place->out);
    if (!place->resume || fs_join (config, place->out, "config.yml", err) != 0 ||
        !fs_exists (config))
        return 0;
    if (conf_compare (conf, config, err) != 0)
        return -1;
    /* A checkpoint beyond the end has steps that this run would not have made. */
    if (folder_step (place->out) > (size_t) conf->trainer.steps)
        return conf_refuse (conf, "trainer.steps", err, "%lld: %s is at step %zu already",
                            (long long) conf->trainer.steps, place->out, folder_step (place->out));
    place_note_steps (conf, config, notes);
    return 0;
}
