/*  checkpoint - everything that a run needs to go on, in one folder that appears whole or not at
 *  all.
 *
 *      checkpoint_save (dir, &checkpoint, policies, n, &critic, &err);      dir/checkpoints/step-12
 *      checkpoint_newest (dir, newest, &checkpoint, &err);                  1: found, 0: none
 *      checkpoint_load (newest, &checkpoint, policies, n, &critic, &err);
 *      checkpoint_name (dir, CHECKPOINT_LATEST, 12, &err);
 *      checkpoint_prune (dir, 2, &err);
 *
 *  With one policy that learns the folder is an ordinary Hugging Face folder (of adapters: PEFT's)
 *  with three files more; with several, each has a folder of its name inside. One that does not
 *  learn is only named, by its folder and its hash: a run goes on beside the same one.
 *  optimizer.state: AdamW's m and
 *  v, and with bf16 compute the float32 masters (safetensors, but not by name: some loaders take
 *  every *.safetensors for weights). trainer.json: position of the run, the sizes of all other
 *  files (a folder whose files do not have these sizes is torn and passed over), and hashes of the
 *  weights, of the optimiser's memory and of the critic's state, which are compared when they are
 *  loaded.
 */
#ifndef QUINTET_TRAINER_CHECKPOINT_H
#define QUINTET_TRAINER_CHECKPOINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/hash.h"
#include "learn/advantage.h"
#include "policy.h"

typedef struct {
    uint64_t step; /* steps done */
    uint64_t seed;
    double wall_s;           /* of the run so far */
    double first_step_s;     /* from the start to the first optimiser step; 0: none yet */
    uint64_t metrics_offset; /* bytes of metrics.jsonl that belong to it */
    hash_t config;           /* of the configuration that it was made under */
    char numerics[32];       /* numeric path of the trainer that made it */
    hash_t critic;       /* of the critic's state, whose bytes are in critic.state; zero: none */
    bool critic_trusted; /* its values are in use */
    double critic_mean;  /* of its explained variance */
    advantage_running_t running; /* of rewards, for reward.scale */
} checkpoint_t;

/*  critic: the state's bytes, or NULL. An existing folder of the same step is replaced. */
int checkpoint_save (const char *dir, const checkpoint_t *checkpoint, policy_t *const *policies,
                     size_t n, const buf_t *critic, err_t *err);

/*  Removes what an interrupted save left, finds the complete one of most steps. -1: the folder
 *  cannot be read. */
int checkpoint_newest (const char *dir, char path[FS_PATH_MAX], checkpoint_t *checkpoint,
                       err_t *err);

/*  Fills policies (loaded with policy_load before) and critic. */
int checkpoint_load (const char *path, const checkpoint_t *checkpoint, policy_t *const *policies,
                     size_t n, buf_t *critic, err_t *err);

/*  Names beside the folders, links to one of them: dir/checkpoints/latest -> step-12. Swapped at
 *  once: whoever opens one finds the old folder or the new one. */
#define CHECKPOINT_LATEST "latest"
#define CHECKPOINT_BEST   "best"
int checkpoint_name (const char *dir, const char *name, uint64_t step, err_t *err);
bool checkpoint_exists (const char *dir, uint64_t step);

/*  Removes all but the newest `keep`, and the one named best. */
int checkpoint_prune (const char *dir, size_t keep, err_t *err);

#endif
