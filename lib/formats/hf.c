/*  hf - see hf.h: folders. config.json itself is in hf_config.c. */
#include "formats/hf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "formats/safetensors.h"
#include "model/weights.h"
#include "text/parse.h"
#include "text/tokenizer_config.h"

#define PIECE ((size_t) 1 << 16) /* weights looked at in one go */
/*  The largest public models come in fewer than two hundred files. */
#define SHARDS_MAX 256
#define TEXT_MAX   ((size_t) 64 << 20)
#define SHAPE_TEXT 200

/*  The folder's files are mapped, not read: opening a folder of 60 GB takes milliseconds. */
struct hf {
    char dir[FS_PATH_MAX];
    hf_config_t config;
    char *config_text, *tokenizer_text, *advice;
    safetensors_t *shard[SHARDS_MAX];
    size_t shards;
    bool bare; /* of AutoModel: names without "model." in front */
};

/*  The text of a file of the folder, in *text, or NULL when it is not there; that is an error only
 *  for files that are needed. */
static int hf_read_text (const hf_t *hf, const char *name, bool needed, char **text, err_t *err)
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

/*  The index comes from outside: a name with a slash or a leading dot could lead out of the
 *  folder. */
static int hf_open_shard (hf_t *hf, const char *name, err_t *err)
{
    char path[FS_PATH_MAX];
    if (hf->shards == SHARDS_MAX)
        return err_set (err, ERR_LIMIT, "%s: its index names more than %d files", hf->dir,
                        SHARDS_MAX);
    if (strchr (name, '/') || name[0] == '.' || !*name)
        return err_set (err, ERR_INPUT, "%s: its index names '%.80s', which is no file in it",
                        hf->dir, name);
    if (fs_join (path, hf->dir, name, err) != 0)
        return -1;
    hf->shard[hf->shards] = safetensors_open (path, err);
    return hf->shard[hf->shards] ? (hf->shards++, 0) : -1;
}

/*  Every tensor of a shard is one that the index has there, and nowhere else: the reverse of what
 *  hf_open_shards checks. */
static int hf_check_shard (const hf_t *hf, size_t shard, const char *name, const json_t *map,
                           err_t *err)
{
    for (size_t i = 0; i < safetensors_count (hf->shard[shard]); i++) {
        const char *tensor = safetensors_entry (hf->shard[shard], i)->name;
        const char *place = json_string_value (json_object_get (map, tensor));
        if (!place)
            return err_set (err, ERR_INPUT, "%s: tensor %s of %s is not in the index", hf->dir,
                            tensor, name);
        if (strcmp (place, name) != 0)
            return err_set (err, ERR_INPUT,
                            "%s: tensor %s is in %s, the index says that it is in %s", hf->dir,
                            tensor, name, place);
    }
    return 0;
}

/*  Opens every distinct file that the index names, and checks that each tensor is where the index
 *  says. */
static int hf_open_shards (hf_t *hf, const json_t *map, err_t *err)
{
    const char *tensor, *seen[SHARDS_MAX];
    json_t *value;
    json_object_foreach ((json_t *) (uintptr_t) map, tensor, value) {
        const char *name = json_string_value (value);
        size_t s = 0;
        if (!name)
            return err_set (err, ERR_INPUT, "%s: its index names no file for tensor %s", hf->dir,
                            tensor);
        /* Many tensors name few files. */
        while (s < hf->shards && strcmp (seen[s], name) != 0)
            s++;
        if (s == hf->shards) {
            if (hf_open_shard (hf, name, err) != 0)
                return -1;
            seen[s] = name;
        }
        if (!safetensors_find (hf->shard[s], tensor))
            return err_set (err, ERR_INPUT,
                            "%s: the index says that tensor %s is in %s, which does not have it",
                            hf->dir, tensor, name);
    }
    for (size_t s = 0; s < hf->shards; s++)
        if (hf_check_shard (hf, s, seen[s], map, err) != 0)
            return -1;
    return 0;
}

static int hf_open_index (hf_t *hf, const char *text, err_t *err)
{
    json_t *index = parse_json (text, strlen (text), "model.safetensors.index.json", err);
    if (!index)
        return err_wrap (err, "%s", hf->dir);
    const json_t *map = json_object_get (index, "weight_map");
    int rc = json_object_size (map)
                 ? hf_open_shards (hf, map, err)
                 : err_set (err, ERR_INPUT, "%s: model.safetensors.index.json has no weight_map",
                            hf->dir);
    json_decref (index);
    return rc;
}

/*  There are no weights that can be read; says which there are instead. */
static int hf_refuse_weights (const hf_t *hf, err_t *err)
{
    static const char *const others[] = {"pytorch_model.bin",
                                         "pytorch_model.bin.index.json",
                                         "consolidated.safetensors",
                                         "consolidated.00.pth",
                                         "tf_model.h5",
                                         "flax_model.msgpack",
                                         "adapter_model.safetensors"};
    char path[FS_PATH_MAX];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (fs_join (path, hf->dir, others[i], NULL) == 0 && fs_exists (path))
            return err_set (err, ERR_INPUT,
                            "%s: its weights are in %s, which is not read; load the folder with "
                            "transformers and save_pretrained it again, which writes "
                            "model.safetensors",
                            hf->dir, others[i]);
    return err_set (err, ERR_INPUT, "%s: neither model.safetensors nor its index in it", hf->dir);
}

/*  One file, or several with an index that says which tensor is where. */
static int hf_open_weights (hf_t *hf, err_t *err)
{
    char path[FS_PATH_MAX], *index = NULL;
    if (fs_join (path, hf->dir, "model.safetensors", err) != 0)
        return -1;
    /* One whole file goes before an index: some folders hold both, the index from before they
       were joined. */
    if (fs_exists (path))
        return hf_open_shard (hf, "model.safetensors", err);
    if (hf_read_text (hf, "model.safetensors.index.json", false, &index, err) != 0)
        return -1;
    if (!index)
        return hf_refuse_weights (hf, err);
    int rc = hf_open_index (hf, index, err);
    free (index);
    return rc;
}

/*  ---- the tensors that a shape has, and no others -------------------------------------------- */

/*  Where a tensor of the model lies in the folder. */
typedef struct {
    const safetensors_t *file;
    const safetensors_entry_t *entry;
} found_t;

#define BASE "model."

static bool hf_begins (const char *name, const char *with)
{
    return strncmp (name, with, strlen (with)) == 0;
}

/*  Whether no tensor is named as one of a model with a head: then transformers takes the names for
 *  those of the model below it. */
static bool hf_is_bare (const hf_t *hf)
{
    for (size_t s = 0; s < hf->shards; s++)
        for (size_t i = 0; i < safetensors_count (hf->shard[s]); i++)
            if (hf_begins (safetensors_entry (hf->shard[s], i)->name, BASE))
                return false;
    return true;
}

static found_t hf_find_name (const hf_t *hf, const char *name)
{
    found_t found = {0};
    if (hf->bare && hf_begins (name, BASE))
        name += strlen (BASE);
    for (size_t s = 0; s < hf->shards && !found.entry; s++)
        found = (found_t){hf->shard[s], safetensors_find (hf->shard[s], name)};
    return found;
}

/*  "[48, 96]" */
static void hf_shape_text (const size_t *shape, int rank, char text[SHAPE_TEXT])
{
    size_t n = (size_t) snprintf (text, SHAPE_TEXT, "[");
    for (int r = 0; r < rank; r++)
        n += (size_t) snprintf (text + n, SHAPE_TEXT - n, "%s%zu", r ? ", " : "", shape[r]);
    snprintf (text + n, SHAPE_TEXT - n, "]");
}

/*  It must be there, of the shape that config.json says, and of a type that can be read. Checked
 *  for all tensors before any is read, so that a wrong folder fails in milliseconds. */
static int hf_find_tensor (const hf_t *hf, const model_tensor_t *t, found_t *found, err_t *err)
{
    *found = hf_find_name (hf, t->name);
    const safetensors_entry_t *e = found->entry;
    /* Vectors have rank 1 in files, and rows = 1 here. */
    const size_t wanted[] = {t->rank == 1 ? t->columns : t->rows, t->columns};
    if (!e)
        return err_set (err, ERR_INPUT, "%s: tensor %s is missing%s", hf->dir, t->name,
                        strcmp (t->name, "lm_head.weight") == 0
                            ? " (and config.json does not set tie_word_embeddings)"
                            : "");
    /* Shapes are compared and not only sizes: a transposed matrix would load, and compute
       nonsense. */
    bool fits = e->rank == t->rank;
    for (int r = 0; r < t->rank && fits; r++)
        fits = e->shape[r] == wanted[r];
    if (!fits) {
        char has[SHAPE_TEXT], says[SHAPE_TEXT];
        hf_shape_text (e->shape, e->rank, has);
        hf_shape_text (wanted, t->rank, says);
        return err_set (err, ERR_INPUT, "%s: tensor %s has the shape %s, config.json says %s",
                        hf->dir, t->name, has, says);
    }
    if (e->type == SAFETENSORS_I32 || e->type == SAFETENSORS_I64)
        return err_set (err, ERR_INPUT,
                        "%s: tensor %s holds whole numbers; bring weights in F32, BF16 or F16",
                        hf->dir, t->name);
    return 0;
}

/*  The head of a tied model, when it is written all the same, must be the embedding once more:
 *  where they differ, loaders disagree on which counts. */
static int hf_check_tied_head (const hf_t *hf, const safetensors_entry_t *head, err_t *err)
{
    const safetensors_entry_t *e = hf_find_name (hf, "model.embed_tokens.weight").entry;
    if (e && e->type == head->type && e->n == head->n &&
        memcmp (e->data, head->data, safetensors_bytes (e)) == 0)
        return 0;
    return err_set (err, ERR_INPUT,
                    "%s: lm_head.weight is not the embedding, to which config.json ties it; set "
                    "tie_word_embeddings to false there if it is a head of its own",
                    hf->dir);
}

static int hf_by_name (const void *a, const void *b)
{
    return strcmp (((const model_tensor_t *) a)->name, ((const model_tensor_t *) b)->name);
}

/*  A tensor of the model that its shape does not use would be dropped in silence: a bias, a layer
 *  too many. Names outside of "model." and "lm_head." are of other heads; old files hold inverse
 *  frequencies, which follow from the configuration. */
static int hf_check_use (const hf_t *hf, const safetensors_entry_t *e, const model_t *sorted,
                         err_t *err)
{
    model_tensor_t key;
    bool below = hf->bare && (hf_begins (e->name, "layers.") || hf_begins (e->name, "norm.") ||
                              hf_begins (e->name, "embed_tokens."));
    bool ours = below || hf_begins (e->name, BASE) || hf_begins (e->name, "lm_head.");
    snprintf (key.name, sizeof key.name, "%s%s", below ? BASE : "", e->name);
    /* Names that are longer than ours can be are never in the list; the cut key must not match by
     * accident. */
    if (!ours || parse_ends_with (e->name, ".rotary_emb.inv_freq") ||
        (strlen (e->name) + strlen (BASE) < sizeof key.name &&
         bsearch (&key, sorted->tensors, sorted->tensors_n, sizeof key, hf_by_name)))
        return 0;
    if (hf->config.model.tied && strcmp (e->name, "lm_head.weight") == 0)
        return hf_check_tied_head (hf, e, err);
    return err_set (err, ERR_INPUT,
                    "%s: tensor %.200s belongs to no model of the architecture and the sizes that "
                    "config.json says",
                    hf->dir, e->name);
}

/*  Stored as what most weights are: config.json's dtype is often that of the training and not of
 *  the file. */
static hf_dtype_t hf_dtype_of (const size_t counts[SAFETENSORS_TYPES])
{
    size_t f32 = counts[SAFETENSORS_F32] + counts[SAFETENSORS_F64];
    size_t bf16 = counts[SAFETENSORS_BF16], f16 = counts[SAFETENSORS_F16];
    if (f32 >= bf16 && f32 >= f16)
        return HF_F32;
    return bf16 >= f16 ? HF_BF16 : HF_F16;
}

static int hf_check_tensors (hf_t *hf, err_t *err)
{
    size_t counts[SAFETENSORS_TYPES] = {0};
    /* A model without memory for its weights: only its list of tensors is wanted. */
    model_t *shape = weights_shape (&hf->config.model, COMPUTE_F32, err);
    hf->bare = hf_is_bare (hf);
    int rc = shape ? 0 : err_wrap (err, "%s", hf->dir);
    for (size_t i = 0; rc == 0 && i < shape->tensors_n; i++) {
        found_t found;
        /* First that everything is there, then that nothing is left over: the first says more. */
        rc = hf_find_tensor (hf, &shape->tensors[i], &found, err);
        if (rc == 0)
            counts[found.entry->type] += found.entry->n;
    }
    if (rc == 0)
        /* By name, for the lookups below; the order of the flat vector is not needed any more. */
        qsort (shape->tensors, shape->tensors_n, sizeof *shape->tensors, hf_by_name);
    for (size_t s = 0; rc == 0 && s < hf->shards; s++)
        for (size_t i = 0; rc == 0 && i < safetensors_count (hf->shard[s]); i++)
            rc = hf_check_use (hf, safetensors_entry (hf->shard[s], i), shape, err);
    hf->config.dtype = hf_dtype_of (counts);
    model_destroy (&shape);
    return rc;
}

/*  ---- opening -------------------------------------------------------------------------------- */

int hf_find (const char *parent, const char *name, char dir[FS_PATH_MAX], err_t *err)
{
    return fs_prefer (parent, name, "config.json", dir, err);
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
    /* The order is that of blame: no folder, no configuration, a configuration that is not
       understood, then the weights that do not fit it. */
    int rc =
        fs_exists (dir)
            ? 0
            : err_set (err, ERR_INPUT,
                       "%s: there is no such folder; that of a Hugging Face model is wanted", dir);
    if (rc == 0)
        rc = hf_read_text (hf, "config.json", true, &hf->config_text, err);
    if (rc == 0)
        rc = hf_read_text (hf, "generation_config.json", false, &generation, err);
    if (rc == 0) {
        rc = hf_config_parse (hf->config_text, generation, &hf->config, err);
        if (rc != 0)
            err_wrap (err, "%s", dir);
    }
    if (rc == 0 && !(hf->advice = hf_generation_advice (generation)))
        rc = err_set (err, ERR_LIMIT, "no memory for %s", dir);
    if (rc == 0)
        rc = tokenizer_config_text (dir, &hf->tokenizer_text, err);
    if (rc == 0)
        rc = hf_open_weights (hf, err);
    if (rc == 0)
        rc = hf_check_tensors (hf, err);
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
    free (hf->advice);
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

const char *hf_advice (const hf_t *hf)
{
    return hf->advice;
}

/*  ---- weights -------------------------------------------------------------------------------- */

int hf_params (const hf_t *hf, const model_t *model, float *params, err_t *err)
{
    for (size_t i = 0; i < model_tensors (model); i++) {
        const model_tensor_t *t = model_tensor (model, i);
        found_t f;
        if (hf_find_tensor (hf, t, &f, err) != 0 ||
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
static size_t hf_tensor_at (const model_t *model, size_t at)
{
    /* Tensors lie one behind the other in the flat vector, so their offsets ascend. */
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
static int hf_read_piece (void *context, size_t at, size_t n, float *out, err_t *err)
{
    const folder_t *f = context;
    for (size_t i = hf_tensor_at (f->model, at); n > 0; i++) {
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
        rc = hf_find_tensor (hf, model_tensor (model, i), &f.found[i], err);
    if (rc == 0)
        rc = model_fill (model, hf_read_piece, &f, pool, err);
    free (f.found);
    return rc;
}

static int hf_check_tensor (const hf_t *hf, const model_tensor_t *t, float *piece, err_t *err)
{
    found_t f;
    int rc = hf_find_tensor (hf, t, &f, err);
    for (size_t at = 0; rc == 0 && at < f.entry->n; at += PIECE)
        rc = safetensors_read (f.file, f.entry, at,
                               f.entry->n - at < PIECE ? f.entry->n - at : PIECE, piece, err);
    return rc;
}

/*  Reads every weight and keeps none: what is not finite, or lies in a damaged part of a file,
 *  shows before a training does. */
int hf_check (const hf_t *hf, err_t *err)
{
    model_t *shape = weights_shape (&hf->config.model, COMPUTE_F32, err);
    float *piece = malloc (PIECE * sizeof *piece);
    int rc = !shape ? -1 : piece ? 0 : err_set (err, ERR_LIMIT, "no memory to read %s", hf->dir);
    for (size_t i = 0; rc == 0 && i < model_tensors (shape); i++)
        rc = hf_check_tensor (hf, model_tensor (shape, i), piece, err);
    free (piece);
    model_destroy (&shape);
    return rc;
}
