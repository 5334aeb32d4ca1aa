/*  args - command lines: options with values, flags, positional arguments; --help from the same
 *  table.
 *
 *      const args_option_t options[] = {{"--rows", "N", "256", "completions at once"}, {0}};
 *      args_t *args = args_parse (&spec, argc, argv, &err);
 *      const char *rows = args_value (args, "--rows");
 *      args_destroy (&args);
 *
 *  "--key value" and "--key=value" mean the same; behind "--" nothing is an option. An option that
 *  is not given comes from the environment (QUINTET_ROWS for --rows), else it is the fallback.
 */
#ifndef QUINTET_SVC_ARGS_H
#define QUINTET_SVC_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define ARGS_REPEATED_MAX 64

typedef struct {
    const char *key;         /* "--rows"; NULL ends the list */
    const char *placeholder; /* "N"; NULL: a flag; ends in "...": may be repeated */
    const char *fallback;    /* NULL: empty */
    const char *help;
} args_option_t;

typedef struct {
    const char *program; /* "quintet-agent" */
    const char *about;   /* what it does, with an example */
    /* "CONFIG", or NULL for none; "[TEXT]" when it may be left out, with "..." in it when there may
       be more than one */
    const char *positional;
    const args_option_t *options;
    bool environment; /* options also come from QUINTET_ variables */
} args_spec_t;

typedef struct args args_t;

/*  ERR_CONFIG names what is wrong and the nearest known option. spec is borrowed. --help and
 *  --version are known everywhere: see args_flag. */
args_t *args_parse (const args_spec_t *spec, int argc, char **argv, err_t *err);
void args_destroy (args_t **args);

/*  Never NULL for a known option. */
const char *args_value (const args_t *args, const char *key);
bool args_given (const args_t *args, const char *key); /* on the line or in the environment */
bool args_typed (const args_t *args, const char *key); /* on the line */
bool args_flag (const args_t *args, const char *key);
const char *args_positional (const args_t *args); /* the first one; NULL: none given */
/*  All of them, in order. */
const char *const *args_positionals (const args_t *args, size_t *n);
/*  Values of a repeated option, in order. */
const char *const *args_repeated (const args_t *args, const char *key, size_t *n);
/*  A whole number of an option, within bounds. */
int args_number (const args_t *args, const char *key, long long low, long long high,
                 long long *value, err_t *err);
/*  A finite number of an option, within bounds. */
int args_real (const args_t *args, const char *key, double low, double high, double *value,
               err_t *err);

void args_help (const args_spec_t *spec, FILE *to);

#endif
