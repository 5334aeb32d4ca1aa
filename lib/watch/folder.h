/*  folder - what a trainer's folder holds, and which folder a run takes.
 *
 *      if (folder_holds_run ("runs/coding")) step = folder_step ("runs/coding");
 *      folder_numbered (out, "runs/coding", folder_runs ("runs/coding") + 1);   runs/coding-2
 */
#ifndef QUINTET_WATCH_FOLDER_H
#define QUINTET_WATCH_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fs.h"
#include "conf/conf.h"

/*  Whether anything was measured there. */
bool folder_holds_run (const char *dir);
/*  The step of the newest checkpoint, 0: none. Checkpoints appear whole. */
size_t folder_step (const char *dir);
/*  The folder with the weights that are meant by a folder: of a run its newest checkpoint, else the
 *  folder itself. ERR_CONFIG: a run that has none yet. */
int folder_weights (const char *dir, char found[FS_PATH_MAX], err_t *err);
/*  What is played: a configuration and a model, as the user names them. A run's folder in place of
 *  the configuration means its config.yml and, where no model is named, its newest checkpoint.
 *  model: "" where neither says one; weights: what it means, as folder_weights says; untrained: a
 *  run's folder was named, and holds no checkpoint. ERR_CONFIG: a folder that is no run's. */
typedef struct {
    char conf[FS_PATH_MAX], model[FS_PATH_MAX], weights[FS_PATH_MAX];
    bool untrained;
} folder_plays_t;
int folder_plays (const char *conf, const char *model, folder_plays_t *plays, err_t *err);
/*  Whether the folder, or one in it for each policy, is PEFT's: adapters on a model. "": no. */
#define FOLDER_ADAPTERS "adapter_config.json"
bool folder_holds_adapters (const char *dir);
/*  The run's config.yml; NULL: it is not there, or cannot be read. */
conf_t *folder_conf (const char *dir);
/*  That of the run which made these weights; NULL as well where they are no run's. */
conf_t *folder_conf_of (const char *weights);
/*  The override "team.policies=..." that a run's weights were made under; "": run is NULL, or its
 *  policies have names. */
#define FOLDER_SET 48
void folder_policies (const conf_t *run, char set[FOLDER_SET]);
/*  The overrides by which what a configuration's policies learn begins with these weights: of each
 *  that it trains, or of those that it has from `model`. conf NULL: as if it had only `model`. */
typedef struct {
    char word[2 * CONF_LIST_MAX][FS_PATH_MAX + 96];
    size_t n;
} folder_sets_t;
void folder_weigh (const conf_t *conf, const char *weights, folder_sets_t *sets);
/*  Whether the trainer there came to its end, and with this configuration's steps or budget of
 *  tokens; NULL: with any. */
bool folder_finished (const char *dir, const conf_t *conf);

/*  Whether another process works there: who does holds this file in it locked. A trainer's is that
 *  of services/trainer/rundir.c, a command's that of history.c. */
#define FOLDER_TRAINER "trainer.lock"
#define FOLDER_HISTORY "history.jsonl"
bool folder_locked (const char *dir, const char *file);

/*  DIR itself for number 1, else DIR-NUMBER. */
void folder_numbered (char out[FS_PATH_MAX], const char *dir, size_t number);
/*  Whether it holds a run, or somebody works there who has written nothing yet. */
bool folder_taken (const char *dir);
/*  How many of DIR, DIR-2, DIR-3 ... are taken, up to the first that is not. */
size_t folder_runs (const char *dir);

#endif
