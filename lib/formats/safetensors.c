/*  safetensors - see safetensors.h
 *
 *  A file is 8 bytes of size, a JSON header {"name": {"dtype", "shape", "data_offsets"}}, and the
 *  data. Everything that the header says is checked when the file is opened:
 *
 *      the header lies in the file and has a sensible size
 *      a type is one that we read, a shape's product does not overflow
 *      offsets lie in the data, and their distance is what type and shape need
 *      no two tensors share bytes
 *      names are different (JSON_REJECT_DUPLICATES)
 *
 *  After that, entry and place are trusted, and only values are checked as they are read: numbers
 *  must be finite.
 */
#include "formats/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "text/parse.h"

#define HEADER_MAX  ((uint64_t) 100 << 20) /* as the format's own library */
#define ENTRIES_MAX ((size_t) 1 << 20)

#define BLOCK ((size_t) 16384) /* elements converted at once */

struct safetensors {
    char path[FS_PATH_MAX];
    void *map;
    size_t map_n;
    safetensors_entry_t *entries; /* sorted by name */
    size_t n;
};

static const struct {
    const char *name;
    size_t size;
} types[SAFETENSORS_TYPES] = {{"F32", 4}, {"BF16", 2}, {"F16", 2},
                              {"I64", 8}, {"I32", 4},  {"F64", 8}};

/*  Mapped, so that opening a folder of many gigabytes reads only headers, and weights come from the
 *  page cache. */
static int safetensors_map_file (safetensors_t *file, err_t *err)
{
    int fd = fs_open (file->path, err);
    struct stat info = {0};
    /* A file that cannot be opened makes the folder unusable, whatever the reason: an input error
     * for callers. */
    if (fd < 0) {
        if (err)
            err->code = ERR_INPUT;
        return -1;
    }
    if (fstat (fd, &info) == 0 && info.st_size > 0)
        file->map_n = (size_t) info.st_size;
    void *map = file->map_n >= 8 ? mmap (NULL, file->map_n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close (fd);
    if (!map)
        return err_set (err, ERR_INPUT, "%s: %zu bytes are no safetensors file", file->path,
                        file->map_n);
    if (map == MAP_FAILED)
        return err_errno (err, ERR_IO, "%s: cannot be mapped", file->path);
    file->map = map;
    return parse_is_pointer (map, file->map_n)
               ? err_set (err, ERR_INPUT, "%s " PARSE_POINTER, file->path)
               : 0;
}

/*  The number of elements is multiplied with a check: a shape such as [2^32, 2^32] must not wrap
 *  around to something small. */
static int safetensors_read_shape (const json_t *shape, safetensors_entry_t *e)
{
    size_t i;
    const json_t *value;
    if (!json_is_array (shape) || json_array_size (shape) > SAFETENSORS_RANK_MAX)
        return -1;
    /* A shape [] is a single number. */
    e->n = 1;
    json_array_foreach (shape, i, value) {
        json_int_t size = json_integer_value (value);
        if (!json_is_integer (value) || size < 0 ||
            __builtin_mul_overflow (e->n, (size_t) size, &e->n))
            return -1;
        e->shape[e->rank++] = (size_t) size;
    }
    return 0;
}

/*  One entry of the header; data starts at `data` and has `room` bytes. After this, reading
 *  anywhere in the entry stays in the file: its bytes lie inside, and their number is what type and
 *  shape say. */
static int safetensors_read_entry (safetensors_t *file, const char *name, const json_t *value,
                                   const char *data, size_t room, err_t *err)
{
    safetensors_entry_t *e = &file->entries[file->n];
    const char *type = json_string_value (json_object_get (value, "dtype"));
    const json_t *offsets = json_object_get (value, "data_offsets");
    json_int_t begin = json_integer_value (json_array_get (offsets, 0));
    json_int_t end = json_integer_value (json_array_get (offsets, 1));
    *e = (safetensors_entry_t){.type = SAFETENSORS_TYPES};
    for (int t = 0; type && t < SAFETENSORS_TYPES; t++)
        if (strcmp (types[t].name, type) == 0)
            e->type = (safetensors_type_t) t;
    if (e->type == SAFETENSORS_TYPES)
        return err_set (err, ERR_INPUT, "%s: tensor %s: type %s is not supported", file->path, name,
                        type ? type : "(none)");
    size_t bytes;
    if (safetensors_read_shape (json_object_get (value, "shape"), e) != 0 ||
        __builtin_mul_overflow (e->n, types[e->type].size, &bytes))
        return err_set (err, ERR_INPUT, "%s: tensor %s: bad shape", file->path, name);
    if (json_array_size (offsets) != 2 || begin < 0 || end < begin || (uint64_t) end > room)
        return err_set (err, ERR_INPUT,
                        "%s: tensor %s: its data lies outside the file; the file is cut short or "
                        "its header lies",
                        file->path, name);
    if ((size_t) (end - begin) != bytes)
        return err_set (err, ERR_INPUT, "%s: tensor %s: %zu bytes of data, its shape needs %zu",
                        file->path, name, (size_t) (end - begin), bytes);
    e->name = strdup (name);
    e->data = data + begin;
    if (!e->name)
        return err_set (err, ERR_LIMIT, "no memory for %s", file->path);
    file->n++;
    return 0;
}

static int safetensors_by_name (const void *a, const void *b)
{
    return strcmp (((const safetensors_entry_t *) a)->name,
                   ((const safetensors_entry_t *) b)->name);
}

static int safetensors_by_data (const void *a, const void *b)
{
    const char *x = ((const safetensors_entry_t *) a)->data,
               *y = ((const safetensors_entry_t *) b)->data;
    return (x > y) - (x < y);
}

/*  Tensors may not share bytes: the format forbids it, and a header that does so is made to
 *  deceive. Sorted by place each needs to be compared with its neighbour only; entries stay sorted
 *  by name for safetensors_find. */
static int safetensors_check_overlap (safetensors_t *file, err_t *err)
{
    qsort (file->entries, file->n, sizeof *file->entries, safetensors_by_data);
    for (size_t i = 1; i < file->n; i++) {
        const safetensors_entry_t *a = &file->entries[i - 1], *b = &file->entries[i];
        /* An empty tensor has no bytes to share. */
        if ((const char *) a->data + a->n * types[a->type].size > (const char *) b->data && b->n)
            return err_set (err, ERR_INPUT, "%s: tensors %s and %s overlap", file->path, a->name,
                            b->name);
    }
    qsort (file->entries, file->n, sizeof *file->entries, safetensors_by_name);
    return 0;
}

/*  The size comes first and is checked before anything is read; after the header follows the
 *  data. */
static int safetensors_read_header (safetensors_t *file, err_t *err)
{
    uint64_t size;
    memcpy (&size, file->map, sizeof size);
    if (size > HEADER_MAX || size > file->map_n - 8)
        return err_set (err, ERR_INPUT, "%s: a header of %" PRIu64 " bytes in a file of %zu",
                        file->path, size, file->map_n);
    json_error_t problem;
    /* The header may be padded behind its object: hence no check of what follows. */
    json_t *header = json_loadb ((const char *) file->map + 8, size,
                                 JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &problem);
    const char *name, *data = (const char *) file->map + 8 + size;
    json_t *value;
    int rc = 0;
    if (!json_is_object (header) || json_object_size (header) > ENTRIES_MAX)
        rc = err_set (err, ERR_INPUT, "%s: its header is no JSON object of tensors%s%s", file->path,
                      header ? "" : ": ", header ? "" : problem.text);
    else if (!(file->entries = calloc (json_object_size (header) + 1, sizeof *file->entries)))
        rc = err_set (err, ERR_LIMIT, "no memory for %s", file->path);
    if (rc == 0)
        json_object_foreach (header, name, value)
            if (rc == 0 && strcmp (name, "__metadata__") != 0)
                rc = safetensors_read_entry (file, name, value, data, file->map_n - 8 - size, err);
    json_decref (header);
    return rc == 0 ? safetensors_check_overlap (file, err) : -1;
}

safetensors_t *safetensors_open (const char *path, err_t *err)
{
    safetensors_t *file = calloc (1, sizeof *file);
    if (!file) {
        err_set (err, ERR_LIMIT, "no memory for %s", path);
        return NULL;
    }
    snprintf (file->path, sizeof file->path, "%s", path);
    if (safetensors_map_file (file, err) != 0 || safetensors_read_header (file, err) != 0)
        safetensors_close (&file);
    return file;
}

void safetensors_close (safetensors_t **self)
{
    safetensors_t *file = *self;
    if (!file)
        return;
    for (size_t i = 0; i < file->n; i++)
        free (file->entries[i].name);
    free (file->entries);
    if (file->map)
        munmap (file->map, file->map_n);
    free (file);
    *self = NULL;
}

size_t safetensors_count (const safetensors_t *file)
{
    return file->n;
}

const safetensors_entry_t *safetensors_entry (const safetensors_t *file, size_t index)
{
    return &file->entries[index];
}

const safetensors_entry_t *safetensors_find (const safetensors_t *file, const char *name)
{
    safetensors_entry_t key = {.name = (char *) (uintptr_t) name};
    return file->n ? bsearch (&key, file->entries, file->n, sizeof key, safetensors_by_name) : NULL;
}

size_t safetensors_bytes (const safetensors_entry_t *entry)
{
    return entry->n * types[entry->type].size;
}

/*  IEEE half to single: exponent and fraction move to their places, which leaves the exponent 112
 *  too small, so a product with 2^112 mends it (exactly, denormal numbers included). Infinities and
 *  NaN keep the highest exponent. */
static float safetensors_from_half (uint16_t h)
{
    uint32_t bits = (uint32_t) (h & 0x7fff) << 13, sign = (uint32_t) (h & 0x8000) << 16;
    float value;
    memcpy (&value, &bits, sizeof value);
    value *= 0x1p112f;
    memcpy (&bits, &value, sizeof bits);
    bits |= (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    bits |= sign;
    memcpy (&value, &bits, sizeof value);
    return value;
}

/*  Copied value by value, as nothing in a file need be aligned. */
static void safetensors_widen (const safetensors_entry_t *e, size_t first, size_t n, float *out)
{
    const char *at = (const char *) e->data + first * types[e->type].size;
    for (size_t i = 0; i < n && e->type == SAFETENSORS_BF16; i++) {
        uint16_t half;
        memcpy (&half, at + i * sizeof half, sizeof half);
        uint32_t word = (uint32_t) half << 16;
        memcpy (&out[i], &word, sizeof word);
    }
    for (size_t i = 0; i < n && e->type == SAFETENSORS_F16; i++) {
        uint16_t half;
        memcpy (&half, at + i * sizeof half, sizeof half);
        out[i] = safetensors_from_half (half);
    }
    for (size_t i = 0; i < n && e->type == SAFETENSORS_F64; i++) {
        double wide;
        memcpy (&wide, at + i * sizeof wide, sizeof wide);
        out[i] = (float) wide;
    }
    if (e->type == SAFETENSORS_F32)
        memcpy (out, at, n * sizeof *out);
}

/*  Index of the first that is not finite; n: all are. One pass over the exponents, which the
 *  compiler makes vectors of; only when it finds one is the place looked for. */
static size_t safetensors_first_infinite (const float *x, size_t n)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy (&bits, &x[i], sizeof bits);
        any |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    size_t i = any ? 0 : n;
    while (i < n && isfinite (x[i]))
        i++;
    return i;
}

/*  A piece of a tensor as floats. Numbers that are not finite are refused: one of them in the
 *  weights turns every logit into NaN, and later errors would not say where it came from. */
int safetensors_read (const safetensors_t *file, const safetensors_entry_t *e, size_t first,
                      size_t n, float *out, err_t *err)
{
    if (e->type == SAFETENSORS_I64 || e->type == SAFETENSORS_I32)
        return err_set (err, ERR_INPUT, "%s: tensor %s has type %s, not floating-point numbers",
                        file->path, e->name, types[e->type].name);
    if (first > e->n || n > e->n - first)
        return err_set (err, ERR_INPUT, "%s: tensor %s has %zu elements, not %zu", file->path,
                        e->name, e->n, first + n);
    assert ((const char *) e->data >= (const char *) file->map &&
            (const char *) e->data + safetensors_bytes (e) <=
                (const char *) file->map + file->map_n);
    safetensors_widen (e, first, n, out);
    size_t bad = safetensors_first_infinite (out, n);
    return bad == n ? 0
                    : err_set (err, ERR_INPUT, "%s: tensor %s: element %zu is not a finite number",
                               file->path, e->name, first + bad);
}

/*  ---- writing -------------------------------------------------------------------------------- */

static uint16_t safetensors_to_bf16 (float value)
{
    uint32_t word;
    memcpy (&word, &value, sizeof word);
    return (uint16_t) ((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

/*  Nearest, ties to even (lrintf rounds so); too large becomes infinity, which reading refuses.
 *  Below 2^-14 a half is denormal: its last bit then weighs 2^-24 whatever the size. */
static uint16_t safetensors_to_half (float value)
{
    uint16_t sign = signbit (value) ? 0x8000 : 0;
    float size = fabsf (value);
    if (size >= 65520.0f)
        return sign | 0x7c00;
    int exponent;
    frexpf (size, &exponent);
    int least = exponent < -13 ? -24 : exponent - 11; /* weight of the last bit */
    /* The fraction in units of the last bit, with its leading one: 1024 .. 2048. Rounding up to
     * 2048 carries into the exponent by itself. */
    long steps = lrintf (ldexpf (size, -least));
    if (exponent < -13)
        return (uint16_t) (sign | steps);
    return (uint16_t) (sign | (((exponent + 14) << 10) + (steps - 1024)));
}

/*  Converted in blocks, so that no second copy of all weights is made. */
static int safetensors_append_data (fs_file_t *out, const safetensors_tensor_t *t, size_t n,
                                    safetensors_type_t type, err_t *err)
{
    if (type == SAFETENSORS_F32)
        return fs_append (out, t->data, n * sizeof *t->data, err);
    uint16_t block[BLOCK];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;
        for (size_t j = 0; j < m; j++)
            block[j] = type == SAFETENSORS_BF16 ? safetensors_to_bf16 (t->data[i + j])
                                                : safetensors_to_half (t->data[i + j]);
        rc = fs_append (out, block, m * sizeof *block, err);
    }
    return rc;
}

static size_t safetensors_elements (const safetensors_tensor_t *t)
{
    size_t n = 1;
    for (int r = 0; r < t->rank; r++)
        n *= t->shape[r];
    return n;
}

/*  Tensors lie in the order of the list, without gaps. "format": "pt" is what transformers looks
 *  for. */
static char *safetensors_header_of (const safetensors_tensor_t *tensors, size_t n,
                                    safetensors_type_t type)
{
    size_t at = 0;
    json_t *header = json_pack ("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; i < n; i++) {
        json_t *shape = json_array ();
        for (int r = 0; r < tensors[i].rank; r++)
            json_array_append_new (shape, json_integer ((json_int_t) tensors[i].shape[r]));
        size_t end = at + safetensors_elements (&tensors[i]) * types[type].size;
        json_object_set_new (header, tensors[i].name,
                             json_pack ("{s:s, s:o, s:[I, I]}", "dtype", types[type].name, "shape",
                                        shape, "data_offsets", (json_int_t) at, (json_int_t) end));
        at = end;
    }
    char *text = json_dumps (header, JSON_COMPACT);
    json_decref (header);
    return text;
}

/*  The header is padded with spaces to 8 bytes, as the format's own library does, so that mapped
 *  data is aligned. */
int safetensors_write (const char *path, const safetensors_tensor_t *tensors, size_t n,
                       safetensors_type_t type, err_t *err)
{
    static const char spaces[8] = "        ";
    fs_file_t out;
    char *header = safetensors_header_of (tensors, n, type);
    if (!header)
        return err_set (err, ERR_LIMIT, "no memory to write %s", path);
    size_t length = strlen (header), padding = -length & 7; /* data aligned to 8 bytes */
    uint64_t size = length + padding;
    int rc = fs_create (&out, path, err);
    if (rc == 0)
        rc = fs_append (&out, &size, sizeof size, err);
    if (rc == 0)
        rc = fs_append (&out, header, length, err);
    if (rc == 0)
        rc = fs_append (&out, spaces, padding, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = safetensors_append_data (&out, &tensors[i], safetensors_elements (&tensors[i]), type,
                                      err);
    free (header);
    return rc == 0 ? fs_commit (&out, err) : -1;
}
