/*  checkpoint - see checkpoint.h
 *
 *  A checkpoint is written into a folder beside its place, synced file by file, and then gets its
 *  name: what has the name is whole, unless the disk lost something later. Against that the record
 *  keeps the files' sizes, which are cheap to compare for every folder (a torn one is passed over
 *  for the one before), and hashes, which are compared for the one that is loaded (a changed one
 *  is refused by name, since going on from an older one is the user's choice).
 */
#include "checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "formats/safetensors.h"

#define FOLDER    "checkpoints"
#define PREFIX    "step-"
#define TEMPORARY ".writing" /* at the end of a name: not complete, removed by the next start */
#define RECORD    "trainer.json"
#define OPTIMIZER "optimizer.state"
#define CRITIC    "critic.state"
#define FORMAT    1
#define FILES_MAX 1024
/*  Bounds on what is read: a damaged file must not take the machine's memory. */
#define RECORD_MAX ((size_t) 1 << 20)
#define CRITIC_MAX ((size_t) 1 << 30)

/*  ---- writing -------------------------------------------------------------------------------- */

#define MEMORY_MAX 4

/*  What the optimiser of a policy remembers: flat vectors of its parameters' length. With bf16
 *  compute the folder's weights are rounded, and the float32 masters belong to it; so does a
 *  reference that is not the first policy. */
typedef struct {
    const char *name[MEMORY_MAX];
    float *data[MEMORY_MAX];
    size_t n;
} memory_t;

/*  Saving, hashing and loading all go by this list, so none of them can forget a vector. */
static memory_t checkpoint_memory_of (const policy_t *policy)
{
    memory_t memory = {
        .name = {"m", "v"}, .data = {policy->optimiser.m, policy->optimiser.v}, .n = 2};
    if (model_params_type (policy->model) == COMPUTE_BF16) {
        memory.name[memory.n] = "masters";
        memory.data[memory.n++] = policy->params;
    }
    if (policy->reference_params) {
        memory.name[memory.n] = "reference";
        memory.data[memory.n++] = policy->reference_params;
    }
    return memory;
}

/*  Weights and optimiser belong together: a resume with the one and without the other would be
 *  another run. */
static int checkpoint_save_policy (const char *dir, policy_t *policy, err_t *err)
{
    char path[FS_PATH_MAX];
    memory_t memory = checkpoint_memory_of (policy);
    safetensors_tensor_t tensors[MEMORY_MAX];
    for (size_t i = 0; i < memory.n; i++)
        tensors[i] = (safetensors_tensor_t){
            .name = memory.name[i], .data = memory.data[i], .shape = {policy->n}, .rank = 1};
    if (policy_save (policy, dir, err) != 0 || fs_join (path, dir, OPTIMIZER, err) != 0)
        return -1;
    /* In float32, as they are in memory: rounded, they would not go on as they were. */
    return safetensors_write (path, tensors, memory.n, SAFETENSORS_F32, err);
}

/*  A policy among several: written aside and synced, then named. Here as well, since
 *  fs_publish_folder syncs the files of one level only. */
static int checkpoint_save_policy_folder (const char *dir, policy_t *policy, err_t *err)
{
    char path[FS_PATH_MAX], aside[FS_PATH_MAX + sizeof TEMPORARY];
    if (fs_join (path, dir, policy->name, err) != 0)
        return -1;
    snprintf (aside, sizeof aside, "%s%s", path, TEMPORARY);
    if (fs_mkdirs (aside, err) != 0 || checkpoint_save_policy (aside, policy, err) != 0)
        return -1;
    return fs_publish_folder (aside, path, err);
}

/*  {"model.safetensors": bytes, "aux/model.safetensors": bytes ...} of all files below dir. */
static int checkpoint_list_files (json_t *files, const char *dir, const char *below, err_t *err)
{
    DIR *handle = opendir (dir);
    if (!handle)
        return err_errno (err, ERR_IO, "%s", dir);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir (handle));) {
        char path[FS_PATH_MAX], name[FS_PATH_MAX];
        struct stat st;
        /* The record itself cannot be in its own list: its size is not known before it is
           written. */
        if (entry->d_name[0] == '.' || strcmp (entry->d_name, RECORD) == 0)
            continue;
        if (fs_join (path, dir, entry->d_name, err) != 0)
            rc = -1;
        else if (stat (path, &st) != 0)
            rc = err_errno (err, ERR_IO, "%s", path);
        snprintf (name, sizeof name, "%s%s", below, entry->d_name);
        if (rc == 0 && S_ISDIR (st.st_mode)) {
            strncat (name, "/", sizeof name - strlen (name) - 1);
            rc = checkpoint_list_files (files, path, name, err);
        } else if (rc == 0) {
            json_object_set_new (files, name, json_integer (st.st_size));
        }
    }
    closedir (handle);
    return rc;
}

/*  Of everything that the optimiser's file holds. */
static hash_t checkpoint_hash_memory (const policy_t *policy)
{
    memory_t memory = checkpoint_memory_of (policy);
    hash_t parts[MEMORY_MAX];
    for (size_t i = 0; i < memory.n; i++)
        parts[i] = hash_object_on (policy->pool, memory.data[i], policy->n * sizeof (float));
    return hash_of (parts, memory.n * sizeof *parts);
}

/*  How many policies have weights in a checkpoint. */
static size_t checkpoint_learners (policy_t *const *policies, size_t n)
{
    size_t learners = 0;
    for (size_t i = 0; i < n; i++)
        learners += policy_learns (policies[i]);
    return learners;
}

/*  "updates" is AdamW's own count, which is not the number of steps: a step has several
 *  minibatches, and bias correction goes on from it. */
static json_t *checkpoint_record_of (const checkpoint_t *c, policy_t *const *policies, size_t n)
{
    char config[HASH_HEX_SIZE], critic[HASH_HEX_SIZE], weights[HASH_HEX_SIZE],
        memory[HASH_HEX_SIZE];
    json_t *list = json_array ();
    for (size_t i = 0; i < n; i++) {
        if (!policy_learns (policies[i])) {
            json_array_append_new (list, json_pack ("{s:s, s:s, s:s, s:b}", "name",
                                                    policies[i]->name, "weights",
                                                    hash_hex (&policies[i]->version.hash, weights),
                                                    "path", policies[i]->path, "trained", 0));
            continue;
        }
        hash_t remembered = checkpoint_hash_memory (policies[i]);
        json_array_append_new (list,
                               json_pack ("{s:s, s:s, s:s, s:I}", "name", policies[i]->name,
                                          "weights", hash_hex (&policies[i]->version.hash, weights),
                                          "optimizer", hash_hex (&remembered, memory), "updates",
                                          (json_int_t) policies[i]->optimiser.step));
    }
    return json_pack (
        "{s:i, s:I, s:I, s:f, s:f, s:I, s:s, s:s, s:s, s:b, s:f, s:f, s:I, s:o}", "format", FORMAT,
        "step", (json_int_t) c->step, "seed", (json_int_t) c->seed, "wall_s", c->wall_s,
        "first_step_s", c->first_step_s, "metrics_offset", (json_int_t) c->metrics_offset, "config",
        hash_hex (&c->config, config), "numerics", c->numerics, "critic",
        hash_is_zero (&c->critic) ? "" : hash_hex (&c->critic, critic), "critic_trusted",
        c->critic_trusted, "critic_mean", c->critic_mean, "reward_variance", c->running.variance,
        "reward_steps", (json_int_t) c->running.steps, "policies", list);
}

/*  Written last of all: its list has the sizes of what stands there by then. */
static int checkpoint_save_record (const char *dir, const checkpoint_t *checkpoint,
                                   policy_t *const *policies, size_t n, err_t *err)
{
    char path[FS_PATH_MAX];
    json_t *record = checkpoint_record_of (checkpoint, policies, n), *files = json_object ();
    int rc = checkpoint_list_files (files, dir, "", err);
    json_object_set_new (record, "files", files);
    char *text = json_dumps (record, JSON_INDENT (2));
    if (rc == 0 && !text)
        rc = err_set (err, ERR_LIMIT, "%s: no memory for its record", dir);
    if (rc == 0 && (rc = fs_join (path, dir, RECORD, err)) == 0)
        rc = fs_write (path, text, strlen (text), err);
    free (text);
    json_decref (record);
    return rc;
}

/*  One policy lies in the folder itself, so that tools take it for an ordinary model; several have
 *  a folder each. */
static int checkpoint_save_into (const char *dir, const checkpoint_t *checkpoint,
                                 policy_t *const *policies, size_t n, const buf_t *critic,
                                 err_t *err)
{
    char path[FS_PATH_MAX];
    bool alone = checkpoint_learners (policies, n) == 1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (policy_learns (policies[i]))
            rc = alone ? checkpoint_save_policy (dir, policies[i], err)
                       : checkpoint_save_policy_folder (dir, policies[i], err);
    if (rc == 0 && critic && (rc = fs_join (path, dir, CRITIC, err)) == 0)
        rc = fs_write (path, critic->data, critic->size, err);
    return rc == 0 ? checkpoint_save_record (dir, checkpoint, policies, n, err) : -1;
}

/*  `end` is "" or TEMPORARY. */
static int checkpoint_path_of (char path[FS_PATH_MAX], const char *dir, uint64_t step,
                               const char *end, err_t *err)
{
    char name[96];
    snprintf (name, sizeof name, FOLDER "/" PREFIX "%llu%s", (unsigned long long) step, end);
    return fs_join (path, dir, name, err);
}

/*  The name comes last: who finds the folder finds it whole. The policies are not const, since
 *  saving may use the gradient's memory. */
int checkpoint_save (const char *dir, const checkpoint_t *checkpoint, policy_t *const *policies,
                     size_t n, const buf_t *critic, err_t *err)
{
    char path[FS_PATH_MAX], aside[FS_PATH_MAX];
    if (checkpoint_path_of (path, dir, checkpoint->step, "", err) != 0 ||
        checkpoint_path_of (aside, dir, checkpoint->step, TEMPORARY, err) != 0)
        return -1;
    /* An interrupted save of the same step may have left files there that the new one does not
       have. */
    int rc = fs_remove (aside, err);
    if (rc == 0)
        rc = fs_mkdirs (aside, err);
    if (rc == 0)
        rc = checkpoint_save_into (aside, checkpoint, policies, n, critic, err);
    if (rc == 0)
        rc = fs_publish_folder (aside, path, err);
    if (rc != 0) {
        /* Half a checkpoint of large weights on a full disk would keep it full. */
        fs_remove (aside, NULL);
        err_wrap (err, "checkpoint of step %llu", (unsigned long long) checkpoint->step);
    }
    return rc;
}

/*  ---- reading -------------------------------------------------------------------------------- */

/*  Nothing gives a hash of zeros, which means "none" (no critic). -1: neither that nor a hash. */
static int checkpoint_hash_from_hex (const char *hex, hash_t *hash)
{
    *hash = (hash_t){0};
    if (!hex || !*hex)
        return 0;
    if (strlen (hex) != 2 * HASH_SIZE)
        return -1;
    for (size_t i = 0; i < HASH_SIZE; i++) {
        unsigned byte;
        if (sscanf (hex + 2 * i, "%2x", &byte) != 1)
            return -1;
        hash->bytes[i] = (uint8_t) byte;
    }
    return 0;
}

/*  The record is written last, so a folder without one is not complete. */
static json_t *checkpoint_read_record (const char *path, err_t *err)
{
    char file[FS_PATH_MAX];
    buf_t text = {0};
    json_t *record = NULL;
    if (fs_join (file, path, RECORD, err) == 0 && fs_read (file, RECORD_MAX, &text, err) == 0) {
        record = json_loadb (text.data, text.size, 0, NULL);
        /* Also when it is no JSON at all: jansson takes NULL for an object without keys. */
        if (json_integer_value (json_object_get (record, "format")) != FORMAT) {
            json_decref (record);
            record = NULL;
            err_set (err, ERR_INPUT, "%s: is not a record of this version", file);
        }
    }
    buf_free (&text);
    return record;
}

/*  Whether every file is there with the size that the record gives. Sizes alone, which cost a
 *  stat each: this is asked of every folder until one is whole. Hashes are for the one that is
 *  loaded. */
static int checkpoint_check_files (const char *path, const json_t *record, err_t *err)
{
    const char *name;
    json_t *size;
    json_object_foreach (json_object_get (record, "files"), name, size) {
        char file[FS_PATH_MAX];
        struct stat st;
        if (fs_join (file, path, name, err) != 0)
            return -1;
        if (stat (file, &st) != 0)
            return err_errno (err, ERR_INPUT, "%s", file);
        if (st.st_size != json_integer_value (size))
            return err_set (err, ERR_INPUT, "%s: has %lld bytes, was written with %lld", file,
                            (long long) st.st_size, (long long) json_integer_value (size));
    }
    return 0;
}

/*  Keys that are missing read as 0 or "". A configuration or kernels that are missing are refused
 *  later, as others than ours. */
static int checkpoint_parse_record (const json_t *record, checkpoint_t *checkpoint)
{
    *checkpoint = (checkpoint_t){
        .step = (uint64_t) json_integer_value (json_object_get (record, "step")),
        .seed = (uint64_t) json_integer_value (json_object_get (record, "seed")),
        .wall_s = json_number_value (json_object_get (record, "wall_s")),
        .first_step_s = json_number_value (json_object_get (record, "first_step_s")),
        .metrics_offset =
            (uint64_t) json_integer_value (json_object_get (record, "metrics_offset")),
        .critic_trusted = json_is_true (json_object_get (record, "critic_trusted")),
        .critic_mean = json_number_value (json_object_get (record, "critic_mean")),
        .running = {json_number_value (json_object_get (record, "reward_variance")),
                    (uint64_t) json_integer_value (json_object_get (record, "reward_steps"))}};
    const char *config = json_string_value (json_object_get (record, "config"));
    const char *critic = json_string_value (json_object_get (record, "critic"));
    const char *numerics = json_string_value (json_object_get (record, "numerics"));
    snprintf (checkpoint->numerics, sizeof checkpoint->numerics, "%s", numerics ? numerics : "");
    return checkpoint_hash_from_hex (config, &checkpoint->config) == 0 &&
                   checkpoint_hash_from_hex (critic, &checkpoint->critic) == 0
               ? 0
               : -1;
}

/*  0 and the record of a complete checkpoint, else -1. */
static int checkpoint_inspect (const char *path, checkpoint_t *checkpoint, err_t *err)
{
    json_t *record = checkpoint_read_record (path, err);
    int rc = record ? checkpoint_check_files (path, record, err) : -1;
    if (rc == 0 && checkpoint_parse_record (record, checkpoint) != 0)
        rc = err_set (err, ERR_INPUT, "%s: its record is damaged", path);
    json_decref (record);
    return rc;
}

/*  The steps of all folders step-N, newest first; removes unfinished ones. Returns how many, or
 *  -1. */
static int checkpoint_steps_of (const char *dir, uint64_t steps[FILES_MAX], err_t *err)
{
    char folder[FS_PATH_MAX], path[FS_PATH_MAX];
    if (fs_join (folder, dir, FOLDER, err) != 0)
        return -1;
    DIR *handle = opendir (folder);
    int n = 0;
    /* One that cannot be read is no folder without checkpoints: to begin anew would cut the record
       of what was done. */
    if (!handle && errno != ENOENT)
        return err_errno (err, ERR_IO, "%s", folder);
    for (struct dirent *entry; handle && (entry = readdir (handle));) {
        char *end;
        if (strncmp (entry->d_name, PREFIX, strlen (PREFIX)) != 0)
            continue;
        unsigned long long step = strtoull (entry->d_name + strlen (PREFIX), &end, 10);
        /* Something behind the number: a save that was interrupted. No other trainer can be writing
           it, since the folder is locked. */
        if (*end) {
            if (fs_join (path, folder, entry->d_name, NULL) == 0)
                fs_remove (path, NULL);
            continue;
        }
        /* Sorted as they come: there are a few. */
        int at = n < FILES_MAX ? n++ : FILES_MAX - 1;
        for (; at > 0 && steps[at - 1] < step; at--)
            steps[at] = steps[at - 1];
        steps[at] = step;
    }
    if (handle)
        closedir (handle);
    return n;
}

int checkpoint_newest (const char *dir, char path[FS_PATH_MAX], checkpoint_t *checkpoint,
                       err_t *err)
{
    uint64_t steps[FILES_MAX];
    int n = checkpoint_steps_of (dir, steps, err);
    for (int i = 0; i < n; i++) {
        err_t torn = {0};
        if (checkpoint_path_of (path, dir, steps[i], "", err) != 0)
            return -1;
        if (checkpoint_inspect (path, checkpoint, &torn) == 0)
            return 1;
        /* The steps behind an older one are played again, which costs time and nothing else. */
        log_warn ("checkpoint.passed_over", "path=%s text=\"%s\"", path, torn.text);
    }
    return n < 0 ? -1 : 0;
}

/*  The sizes are compared first: the vectors are as long as the policy's parameters, and a longer
 *  tensor would be read over their end. */
static int checkpoint_load_memory (const char *path, const policy_t *policy, err_t *err)
{
    memory_t memory = checkpoint_memory_of (policy);
    safetensors_t *file = safetensors_open (path, err);
    int rc = file ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < memory.n; i++) {
        const safetensors_entry_t *entry = safetensors_find (file, memory.name[i]);
        if (!entry || entry->type != SAFETENSORS_F32 || entry->n != policy->n)
            rc = err_set (err, ERR_INPUT, "%s: tensor '%s' is missing or not %zu numbers of F32",
                          path, memory.name[i], policy->n);
        else
            rc = safetensors_read (file, entry, 0, entry->n, memory.data[i], err);
    }
    safetensors_close (&file);
    return rc;
}

/*  Hashes are taken of what was loaded into memory, and not of the files: so a mistake in reading
 *  is found as well. */
static int checkpoint_load_policy (const char *dir, const checkpoint_t *checkpoint,
                                   const json_t *record, policy_t *policy, err_t *err)
{
    char path[FS_PATH_MAX];
    if (policy_restore (policy, dir, checkpoint->step, err) != 0 ||
        fs_join (path, dir, OPTIMIZER, err) != 0 || checkpoint_load_memory (path, policy, err) != 0)
        return -1;
    hash_t weights;
    if (checkpoint_hash_from_hex (json_string_value (json_object_get (record, "weights")),
                                  &weights) != 0 ||
        !hash_equal (&weights, &policy->version.hash))
        return err_set (err, ERR_INPUT,
                        "%s: its weights are not those that were saved; remove this checkpoint to "
                        "go on from the one before",
                        dir);
    hash_t saved, loaded = checkpoint_hash_memory (policy);
    if (checkpoint_hash_from_hex (json_string_value (json_object_get (record, "optimizer")),
                                  &saved) != 0 ||
        !hash_equal (&saved, &loaded))
        return err_set (err, ERR_INPUT,
                        "%s: %s is not what was saved; remove this checkpoint to go on from the "
                        "one before",
                        dir, OPTIMIZER);
    policy_set_reference (policy);
    /* Only when all the rest was right: the bias correction belongs to these m and v. */
    policy->optimiser.step = (uint64_t) json_integer_value (json_object_get (record, "updates"));
    return 0;
}

/*  The record's entry of a policy, or NULL. By name: that is what says whose m and v these are. */
static const json_t *checkpoint_entry_of (const json_t *record, const char *name)
{
    const json_t *list = json_object_get (record, "policies");
    for (size_t i = 0; i < json_array_size (list); i++) {
        const json_t *entry = json_array_get (list, i);
        const char *its = json_string_value (json_object_get (entry, "name"));
        if (its && strcmp (its, name) == 0)
            return entry;
    }
    return NULL;
}

/*  Kept in memory for the bus, from which the critic fetches its state by the hash. */
static int checkpoint_load_critic (const char *path, const checkpoint_t *checkpoint, buf_t *critic,
                                   err_t *err)
{
    char file[FS_PATH_MAX];
    if (fs_join (file, path, CRITIC, err) != 0 || fs_read (file, CRITIC_MAX, critic, err) != 0)
        return -1;
    hash_t loaded = hash_object (critic->data, critic->size);
    if (!hash_equal (&loaded, &checkpoint->critic))
        return err_set (err, ERR_INPUT,
                        "%s is not what was saved; remove this checkpoint to go on from the one "
                        "before",
                        file);
    return 0;
}

/*  A policy that was not trained must be what it was: others learnt beside it. */
static int checkpoint_check_fixed (const char *path, const json_t *record, const policy_t *policy,
                                   err_t *err)
{
    const char *was = json_string_value (json_object_get (record, "path"));
    hash_t saved;
    if (!was)
        return err_set (err, ERR_CONFIG, "%s: policy %s was trained there, and is not now", path,
                        policy->name);
    if (checkpoint_hash_from_hex (json_string_value (json_object_get (record, "weights")),
                                  &saved) != 0 ||
        !hash_equal (&saved, &policy->version.hash))
        return err_set (err, ERR_CONFIG,
                        "%s: policy %s, which is not trained, has other weights in %s than those "
                        "of %s were, beside which the run was made",
                        path, policy->name, policy->path, was);
    return 0;
}

int checkpoint_load (const char *path, const checkpoint_t *checkpoint, policy_t *const *policies,
                     size_t n, buf_t *critic, err_t *err)
{
    size_t learners = checkpoint_learners (policies, n);
    json_t *record = checkpoint_read_record (path, err);
    int rc = record ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char dir[FS_PATH_MAX];
        const json_t *entry = checkpoint_entry_of (record, policies[i]->name);
        /* Of one policy the checkpoint itself is the folder. */
        rc = fs_join (dir, path, learners == 1 ? "." : policies[i]->name, err);
        if (rc == 0 && !entry)
            rc = err_set (err, ERR_INPUT, "%s: has no policy '%s'", path, policies[i]->name);
        if (rc == 0 && !policy_learns (policies[i]))
            rc = checkpoint_check_fixed (path, entry, policies[i], err);
        else if (rc == 0)
            rc = checkpoint_load_policy (dir, checkpoint, entry, policies[i], err);
    }
    if (rc == 0 && !hash_is_zero (&checkpoint->critic))
        rc = checkpoint_load_critic (path, checkpoint, critic, err);
    json_decref (record);
    return rc;
}

/*  ---- names ---------------------------------------------------------------------------------- */

/*  By its name, which a folder gets only when it is whole. */
bool checkpoint_exists (const char *dir, uint64_t step)
{
    char path[FS_PATH_MAX];
    return checkpoint_path_of (path, dir, step, "", NULL) == 0 && fs_exists (path);
}

/*  A link is made aside and renamed over the one that is there. It is relative, so that a run's
 *  folder can be moved and copied. */
int checkpoint_name (const char *dir, const char *name, uint64_t step, err_t *err)
{
    char path[FS_PATH_MAX], aside[FS_PATH_MAX + sizeof TEMPORARY], folder[FS_PATH_MAX], target[64];
    if (fs_join (folder, dir, FOLDER, err) != 0 || fs_join (path, folder, name, err) != 0)
        return -1;
    snprintf (aside, sizeof aside, "%s%s", path, TEMPORARY);
    snprintf (target, sizeof target, PREFIX "%llu", (unsigned long long) step);
    /* symlink fails where something is, and a trainer that was killed may have left it. */
    if (fs_remove (aside, err) != 0)
        return -1;
    return symlink (target, aside) == 0 && rename (aside, path) == 0
               ? 0
               : err_errno (err, ERR_IO, "%s: cannot be made a link", path);
}

/*  The step that is named best; 0: none. */
static uint64_t checkpoint_best (const char *dir)
{
    char path[FS_PATH_MAX], target[64];
    if (fs_join (path, dir, FOLDER "/" CHECKPOINT_BEST, NULL) != 0)
        return 0;
    ssize_t n = readlink (path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    return strncmp (target, PREFIX, sizeof PREFIX - 1) == 0
               ? strtoull (target + sizeof PREFIX - 1, NULL, 10)
               : 0;
}

/*  The newest are kept whether or not they are whole: they are looked at by name alone. */
int checkpoint_prune (const char *dir, size_t keep, err_t *err)
{
    uint64_t steps[FILES_MAX], best = checkpoint_best (dir);
    int n = checkpoint_steps_of (dir, steps, err);
    for (int i = n; i-- > (int) keep;) {
        char path[FS_PATH_MAX];
        if (steps[i] == best)
            continue;
        if (checkpoint_path_of (path, dir, steps[i], "", err) != 0 || fs_remove (path, err) != 0)
            return -1;
    }
    return n < 0 ? -1 : 0;
}
