/*  hf - see hf.h: folders. config.json itself is in hf_config.c. */
#include "model/hf.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "model/safetensors.h"

#define SHARDS_MAX 256
#define TEXT_MAX   ((size_t) 64 << 20)

struct hf {
    char dir[FS_PATH_MAX];
    hf_config_t config;
    char *config_text, *tokenizer_text;
    safetensors_t *shard[SHARDS_MAX];
    size_t shards;
};

/*  The text of a file of the folder, or NULL; an error only when it is there and cannot be read, or must
 *  be there. */
static int read_text (const hf_t *hf, const char *name, bool needed, char **text, err_t *err)
{
    char path[FS_PATH_MAX];
    buf_t content = {0};
    *text = NULL;
    if (fs_join (path, hf->dir, name, err) != 0)
        return -1;
    if (!fs_exists (path))
        return needed ? err_set (err, ERR_INPUT,
                                 "%s: no %s in it; a Hugging Face model folder is wanted "
                                 "(config.json, model.safetensors, tokenizer.json)",
                                 hf->dir, name)
                      : 0;
    if (fs_read (path, TEXT_MAX, &content, err) != 0)
        return -1;
    *text = buf_take (&content);
    return *text ? 0 : err_set (err, ERR_LIMIT, "no memory for %s", path);
}

static int open_shard (hf_t *hf, const char *name, err_t *err)
{
    char path[FS_PATH_MAX];
    if (hf->shards == SHARDS_MAX || strchr (name, '/'))
        return err_set (err, ERR_INPUT, "%s: shard '%s'", hf->dir, name);
    if (fs_join (path, hf->dir, name, err) != 0)
        return -1;
    hf->shard[hf->shards] = safetensors_open (path, err);
    return hf->shard[hf->shards] ? (hf->shards++, 0) : -1;
}

/*  Every distinct file that the index names. */
static int open_index (hf_t *hf, const char *text, err_t *err)
{
    json_t *index = json_loads (text, 0, NULL), *value;
    const char *tensor, *seen[SHARDS_MAX];
    size_t n = 0;
    int rc = json_is_object (json_object_get (index, "weight_map"))
                 ? 0
                 : err_set (err, ERR_INPUT, "%s: model.safetensors.index.json has no weight_map",
                            hf->dir);
    json_object_foreach (json_object_get (index, "weight_map"), tensor, value)
    {
        const char *name = json_string_value (value);
        bool known = !name;
        for (size_t i = 0; i < n && !known; i++)
            known = strcmp (seen[i], name) == 0;
        if (known || rc != 0)
            continue;
        rc = open_shard (hf, name, err);
        if (rc == 0)
            seen[n++] = name;
    }
    json_decref (index);
    return rc;
}

static int open_weights (hf_t *hf, err_t *err)
{
    char path[FS_PATH_MAX], *index = NULL;
    if (fs_join (path, hf->dir, "model.safetensors", err) != 0)
        return -1;
    if (fs_exists (path))
        return open_shard (hf, "model.safetensors", err);
    if (read_text (hf, "model.safetensors.index.json", false, &index, err) != 0)
        return -1;
    if (!index)
        return err_set (err, ERR_INPUT, "%s: neither model.safetensors nor its index in it",
                        hf->dir);
    int rc = open_index (hf, index, err);
    free (index);
    return rc;
}

/*  Before anything of the size that config.json claims is allocated. */
static int check_size (const hf_t *hf, err_t *err)
{
    const model_config_t *m = &hf->config.model;
    double layer =
        (double) m->width * (double) m->head_dim * (double) (2 * m->heads + 2 * m->kv_heads) +
        3.0 * (double) m->width * (double) m->ff;
    double wanted = (double) m->vocab * (double) m->width + (double) m->layers * layer, have = 0;
    for (size_t s = 0; s < hf->shards; s++)
        for (size_t i = 0; i < safetensors_count (hf->shard[s]); i++)
            have += (double) safetensors_entry (hf->shard[s], i)->n;
    if (wanted > have)
        return err_set (
            err, ERR_INPUT,
            "%s: config.json describes a model of %.0f weights, more weights than the file "
            "has (%.0f)",
            hf->dir, wanted, have);
    return 0;
}

hf_t *hf_open (const char *dir, err_t *err)
{
    hf_t *hf = calloc (1, sizeof *hf);
    char *generation = NULL;
    if (!hf) {
        err_set (err, ERR_LIMIT, "no memory for %s", dir);
        return NULL;
    }
    snprintf (hf->dir, sizeof hf->dir, "%s", dir);
    int rc = fs_exists (dir)
                 ? 0
                 : err_set (err, ERR_INPUT,
                            "%s: there is no such folder; model.path names the folder of "
                            "a Hugging Face model",
                            dir);
    if (rc == 0)
        rc = read_text (hf, "config.json", true, &hf->config_text, err);
    if (rc == 0)
        rc = read_text (hf, "generation_config.json", false, &generation, err);
    if (rc == 0) {
        rc = hf_config_parse (hf->config_text, generation, &hf->config, err);
        if (rc != 0)
            err_wrap (err, "%s", dir);
    }
    if (rc == 0)
        rc = read_text (hf, "tokenizer.json", false, &hf->tokenizer_text, err);
    if (rc == 0)
        rc = open_weights (hf, err);
    if (rc == 0)
        rc = check_size (hf, err);
    free (generation);
    if (rc != 0)
        hf_destroy (&hf);
    return hf;
}

void hf_destroy (hf_t **self)
{
    hf_t *hf = *self;
    if (!hf)
        return;
    for (size_t i = 0; i < hf->shards; i++)
        safetensors_close (&hf->shard[i]);
    free (hf->config_text);
    free (hf->tokenizer_text);
    free (hf);
    *self = NULL;
}

const hf_config_t *hf_config (const hf_t *hf)
{
    return &hf->config;
}

const char *hf_config_text (const hf_t *hf)
{
    return hf->config_text;
}

const char *hf_tokenizer_text (const hf_t *hf)
{
    return hf->tokenizer_text;
}

/*  ---- weights ------------------------------------------------------------------------------------------ */

/*  Where a tensor of the model lies in the folder. */
typedef struct {
    const safetensors_t *file;
    const safetensors_entry_t *entry;
} found_t;

static int find_tensor (const hf_t *hf, const model_tensor_t *t, found_t *found, err_t *err)
{
    const safetensors_entry_t *e = NULL;
    for (size_t s = 0; !e && s < hf->shards; s++) {
        found->file = hf->shard[s];
        e = found->entry = safetensors_find (hf->shard[s], t->name);
    }
    if (!e)
        return err_set (err, ERR_INPUT, "%s: tensor %s is missing", hf->dir, t->name);
    bool fits = t->rank == 1 ? e->rank == 1 && e->shape[0] == t->columns
                             : e->rank == 2 && e->shape[0] == t->rows && e->shape[1] == t->columns;
    return fits ? 0
                : err_set (err, ERR_INPUT,
                           "%s: tensor %s has the shape [%zu, %zu], config.json says [%zu, %zu]",
                           hf->dir, t->name, e->shape[0], e->rank > 1 ? e->shape[1] : 1, t->rows,
                           t->columns);
}

int hf_params (const hf_t *hf, const model_t *model, float *params, err_t *err)
{
    for (size_t i = 0; i < model_tensors (model); i++) {
        const model_tensor_t *t = model_tensor (model, i);
        found_t f;
        if (find_tensor (hf, t, &f, err) != 0 ||
            safetensors_read (f.file, f.entry, 0, f.entry->n, params + t->offset, err) != 0)
            return -1;
    }
    return 0;
}

typedef struct {
    const model_t *model;
    found_t *found; /* by tensor */
} folder_t;

/*  The tensor that the param belongs to. */
static size_t tensor_at (const model_t *model, size_t at)
{
    size_t low = 0, high = model_tensors (model);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (model_tensor (model, middle)->offset <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/*  A model_source_fn: a piece may go over several tensors, which are one matrix in the model. */
static int read_piece (void *context, size_t at, size_t n, float *out, err_t *err)
{
    const folder_t *f = context;
    for (size_t i = tensor_at (f->model, at); n > 0; i++) {
        const model_tensor_t *t = model_tensor (f->model, i);
        size_t first = at - t->offset, left = t->rows * t->columns - first;
        size_t m = n < left ? n : left;
        if (safetensors_read (f->found[i].file, f->found[i].entry, first, m, out, err) != 0)
            return -1;
        at += m;
        out += m;
        n -= m;
    }
    return 0;
}

int hf_fill (const hf_t *hf, model_t *model, pool_t *pool, err_t *err)
{
    folder_t f = {.model = model, .found = calloc (model_tensors (model), sizeof *f.found)};
    int rc = f.found ? 0 : err_set (err, ERR_LIMIT, "no memory for a list of tensors");
    for (size_t i = 0; rc == 0 && i < model_tensors (model); i++)
        rc = find_tensor (hf, model_tensor (model, i), &f.found[i], err);
    if (rc == 0)
        rc = model_fill (model, read_piece, &f, pool, err);
    free (f.found);
    return rc;
}

/*  ---- writing ------------------------------------------------------------------------------------------ */

static int write_weights (const char *path, const hf_config_t *config, const model_t *model,
                          const float *params, err_t *err)
{
    size_t n = model_tensors (model);
    safetensors_tensor_t *list = calloc (n, sizeof *list);
    if (!list)
        return err_set (err, ERR_LIMIT, "no memory to write %s", path);
    for (size_t i = 0; i < n; i++) {
        const model_tensor_t *t = model_tensor (model, i);
        list[i] =
            (safetensors_tensor_t){.name = t->name, .data = params + t->offset, .rank = t->rank};
        list[i].shape[0] = t->rank == 1 ? t->columns : t->rows;
        list[i].shape[1] = t->columns;
    }
    static const safetensors_type_t types[] = {SAFETENSORS_F32, SAFETENSORS_BF16, SAFETENSORS_F16};
    int rc = safetensors_write (path, list, n, types[config->dtype], err);
    free (list);
    return rc;
}

static int write_text (const char *dir, const char *name, const char *text, err_t *err)
{
    char path[FS_PATH_MAX];
    if (!text)
        return err_set (err, ERR_LIMIT, "no memory to write %s", name);
    return fs_join (path, dir, name, err) == 0 ? fs_write (path, text, strlen (text), err) : -1;
}

static char *generation_json (const hf_config_t *config)
{
    json_t *root = json_object (), *eos = json_array ();
    for (size_t i = 0; i < config->eos_n; i++)
        json_array_append_new (eos, json_integer (config->eos[i]));
    json_object_set_new (root, "eos_token_id", eos);
    if (config->bos >= 0)
        json_object_set_new (root, "bos_token_id", json_integer (config->bos));
    char *text = json_dumps (root, JSON_INDENT (2));
    json_decref (root);
    return text;
}

int hf_save (const char *dir, const hf_config_t *config, const model_t *model, const float *params,
             const char *tokenizer_json, err_t *err)
{
    char path[FS_PATH_MAX];
    char *text = hf_config_json (config), *generation = generation_json (config);
    int rc = fs_join (path, dir, "model.safetensors", err);
    if (rc == 0)
        rc = write_text (dir, "config.json", text, err);
    if (rc == 0)
        rc = write_text (dir, "generation_config.json", generation, err);
    if (rc == 0 && tokenizer_json)
        rc = write_text (dir, "tokenizer.json", tokenizer_json, err);
    if (rc == 0)
        rc = write_weights (path, config, model, params, err);
    free (text);
    free (generation);
    return rc;
}
