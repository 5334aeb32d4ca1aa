/*  fuzz - what the fuzzers share; clang's libFuzzer gives main, mutates and counts what is reached.
 *
 *      int LLVMFuzzerInitialize (int *argc, char ***argv)
 *      {
 *          fuzz_seed ("config", text, size);
 *          return fuzz_seeds (argc, argv);
 *      }
 *
 *      int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)      only has to survive
 *
 *  Seeds are well-formed inputs that the program itself makes, so they follow the formats; what
 *  earlier searches found lies in corpus/NAME. A crash or a sanitizer's word is the failure, and
 *  libFuzzer leaves the input that made it as a file.
 */
#ifndef QUINTET_TESTS_FUZZ_H
#define QUINTET_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static char fuzz_folder[] = "/tmp/quintet-fuzz-XXXXXX", **fuzz_argv;
static char fuzz_names[64][64];
static size_t fuzz_names_n;

static inline void fuzz_fail (const char *what)
{
    perror (what);
    exit (1);
}

/*  Removes the seeds, in the process that made them: libFuzzer may start others. */
static pid_t fuzz_owner;
static inline void fuzz_remove (void)
{
    if (getpid () != fuzz_owner)
        return;
    for (size_t i = 0; i < fuzz_names_n; i++)
        unlink (fuzz_names[i]);
    rmdir (fuzz_folder);
}

static inline void fuzz_seed (const char *name, const void *data, size_t size)
{
    if (fuzz_names_n == 0) {
        if (!mkdtemp (fuzz_folder))
            fuzz_fail (fuzz_folder);
        fuzz_owner = getpid ();
        atexit (fuzz_remove);
    }
    if (fuzz_names_n == sizeof fuzz_names / sizeof *fuzz_names)
        abort ();
    char *path = fuzz_names[fuzz_names_n++];
    snprintf (path, sizeof fuzz_names[0], "%s/%s", fuzz_folder, name);
    FILE *file = fopen (path, "we");
    if (!file || fwrite (data, 1, size, file) != size || fclose (file) != 0)
        fuzz_fail (path);
}

/*  Adds the folder of seeds to those that libFuzzer reads. */
static inline int fuzz_seeds (int *argc, char ***argv)
{
    fuzz_argv = calloc ((size_t) *argc + 2, sizeof *fuzz_argv);
    if (!fuzz_argv)
        fuzz_fail ("fuzz");
    memcpy (fuzz_argv, *argv, (size_t) *argc * sizeof *fuzz_argv);
    fuzz_argv[(*argc)++] = fuzz_folder;
    *argv = fuzz_argv;
    return 0;
}

/*  A copy that ends in a 0 beyond its size, for readers of strings; the caller frees. */
static inline char *fuzz_text (const uint8_t *data, size_t size)
{
    char *text = malloc (size + 1);
    if (!text)
        abort ();
    memcpy (text, data, size);
    text[size] = 0;
    return text;
}

#endif
