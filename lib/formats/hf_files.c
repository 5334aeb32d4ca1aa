/*  hf_files - see hf.h: what a folder holds besides its weights, kept for the folders that are
 *  made of it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "formats/hf.h"
#include "text/parse.h"

#define FILE_MAX  ((size_t) 16 << 20)
#define FILES_MAX 256

typedef struct {
    char *name, *data;
    size_t size;
} file_t;

struct hf_files {
    file_t file[FILES_MAX];
    size_t n;
};

/*  Weights in any format and lists of them, what belongs to a run, and what the caller writes
 *  itself: everything else (tokenizer files, licences, templates) goes along with the weights that
 *  are made of these. */
static bool hf_files_is_left_out (const char *name)
{
    static const char *const ends[] = {
        ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5",    ".msgpack",   ".gguf",
        ".onnx",        ".npz", ".ot", ".tar", ".zip",  ".state", ".index.json"};
    static const char *const names[] = {"config.json", "tokenizer.json", "adapter_config.json",
                                        "trainer.json"};
    bool found = name[0] == '.';
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        found = found || parse_ends_with (name, ends[i]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        found = found || strcmp (name, names[i]) == 0;
    return found;
}

/*  What belongs to a tokenizer: all that a folder of adapters takes along. */
static bool hf_files_of_tokenizer (const char *name)
{
    static const char *const begins[] = {
        "tokenizer", "special_tokens_map.json", "added_tokens.json", "chat_template", "vocab",
        "merges"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp (name, begins[i], strlen (begins[i])) == 0)
            return true;
    return false;
}

/*  A regular file, or a link as Hugging Face's cache has them: ../../blobs/HASH. Other links could
 *  lead to anything on this machine, and a checkpoint's folder may be published. */
static bool hf_files_is_plain (const char *path)
{
    static const char cache[] = "../../blobs/";
    struct stat st;
    char to[512];
    if (lstat (path, &st) != 0)
        return false;
    ssize_t n = S_ISLNK (st.st_mode) ? readlink (path, to, sizeof to - 1) : 0;
    /* A link that leads elsewhere is left out without a word: it is nothing of the model's. */
    if (n > 0) {
        to[n] = 0;
        if (strncmp (to, cache, strlen (cache)) != 0 || strchr (to + strlen (cache), '/') ||
            stat (path, &st) != 0)
            return false;
    }
    return S_ISREG (st.st_mode) && (size_t) st.st_size <= FILE_MAX;
}

/*  Files are read into memory at the start of a run: the folder may be gone when the first
 *  checkpoint is written. */
static int hf_files_read_one (hf_files_t *files, const char *dir, const char *name, err_t *err)
{
    char path[FS_PATH_MAX];
    buf_t content = {0};
    if (hf_files_is_left_out (name))
        return 0;
    if (fs_join (path, dir, name, err) != 0)
        return -1;
    if (!hf_files_is_plain (path))
        return 0;
    if (files->n == FILES_MAX)
        return err_set (err, ERR_LIMIT, "%s: more than %d files besides the weights", dir,
                        FILES_MAX);
    if (fs_read (path, FILE_MAX, &content, err) != 0) {
        buf_free (&content);
        return -1;
    }
    file_t *f = &files->file[files->n++];
    f->size = content.size;
    f->data = buf_take (&content);
    f->name = strdup (name);
    return f->name ? 0 : err_set (err, ERR_LIMIT, "no memory for %s", path);
}

hf_files_t *hf_files_read (const char *dir, err_t *err)
{
    hf_files_t *files = calloc (1, sizeof *files);
    DIR *handle = files ? opendir (dir) : NULL;
    int rc = 0;
    if (!files)
        rc = err_set (err, ERR_LIMIT, "no memory for the files of %s", dir);
    else if (!handle)
        rc = err_errno (err, ERR_IO, "%s", dir);
    /* The order of a folder's entries does not matter: each is written under its own name. */
    for (struct dirent *entry; rc == 0 && (entry = readdir (handle));)
        rc = hf_files_read_one (files, dir, entry->d_name, err);
    if (handle)
        closedir (handle);
    if (rc != 0)
        hf_files_destroy (&files);
    return files;
}

int hf_files_write (const hf_files_t *files, const char *dir, bool tokenizer, err_t *err)
{
    for (size_t i = 0; i < files->n; i++) {
        const file_t *f = &files->file[i];
        char path[FS_PATH_MAX];
        if (tokenizer && !hf_files_of_tokenizer (f->name))
            continue;
        if (fs_join (path, dir, f->name, err) != 0 || fs_write (path, f->data, f->size, err) != 0)
            return -1;
    }
    return 0;
}

void hf_files_destroy (hf_files_t **self)
{
    hf_files_t *files = *self;
    if (!files)
        return;
    for (size_t i = 0; i < files->n; i++) {
        free (files->file[i].name);
        free (files->file[i].data);
    }
    free (files);
    *self = NULL;
}
