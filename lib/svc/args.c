/*  args - see args.h */
#include "svc/args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32

typedef struct {
    const char *value; /* NULL: not given */
    bool typed;        /* on the line, and not in the environment */
    const char *repeated[ARGS_REPEATED_MAX];
    size_t n;
} slot_t;

/*  One allocation holds everything: a slot stands at the place that its option has in the table,
 *  and values point into argv, the environment or the table, so nothing else is ever freed. */
struct args {
    const args_spec_t *spec;
    slot_t slot[OPTIONS_MAX]; /* by option */
    bool help, version;
    const char *positional[ARGS_REPEATED_MAX];
    size_t positional_n;
};

/*  The place of the end when there is none: its key is NULL. size: of the key, which may be
 *  followed by '=' and a value. */
static size_t args_index_of (const args_spec_t *spec, const char *key, size_t size)
{
    size_t i = 0;
    for (; spec->options[i].key; i++)
        if (strlen (spec->options[i].key) == size && strncmp (spec->options[i].key, key, size) == 0)
            break;
    return i;
}

/*  Its value's name ends in three dots, as a reader of --help sees. */
static bool args_repeats (const args_option_t *option)
{
    return option->placeholder && strstr (option->placeholder, "...");
}

/*  A mistyped option is told with the one that was probably meant: the longest common beginning.
 */
static const char *args_nearest (const args_spec_t *spec, const char *key)
{
    size_t best = 0;
    const char *found = "--help";
    for (const args_option_t *o = spec->options; o->key; o++) {
        size_t n = 0;
        while (key[n] && key[n] == o->key[n])
            n++;
        if (n > best) {
            best = n;
            found = o->key;
        }
    }
    return found;
}

/*  One option, with its value when it has one: behind '=', or as the next word. *at moves on by
 *  what was used. */
static int args_take (args_t *args, int argc, char **argv, int *at, err_t *err)
{
    const char *word = argv[*at], *equals = strchr (word, '=');
    size_t size = equals ? (size_t) (equals - word) : strlen (word);
    const args_spec_t *spec = args->spec;
    size_t i = args_index_of (spec, word, size);
    const args_option_t *option = &spec->options[i];
    if (!option->key)
        return err_set (err, ERR_CONFIG,
                        "%.*s: no such option; did you mean %s? (--help lists all)", (int) size,
                        word, args_nearest (spec, word));
    const char *value = equals ? equals + 1 : "";
    if (option->placeholder && !equals) {
        if (*at + 1 >= argc)
            return err_set (err, ERR_CONFIG, "%s: its value %s is missing", word,
                            option->placeholder);
        value = argv[++*at];
    }
    /* A flag is given or not: "--json=no" would be taken for yes. */
    if (!option->placeholder && equals)
        return err_set (err, ERR_CONFIG, "%s takes no value", option->key);
    slot_t *slot = &args->slot[i];
    if (args_repeats (option)) {
        if (slot->n == ARGS_REPEATED_MAX)
            return err_set (err, ERR_CONFIG, "%s more than %d times", option->key,
                            ARGS_REPEATED_MAX);
        slot->repeated[slot->n++] = value;
    } else if (slot->value) {
        return err_set (err, ERR_CONFIG, "%s is given twice", option->key);
    }
    /* Words of argv, not copies: they live as long as the process. */
    slot->value = value;
    slot->typed = true;
    return 0;
}

/*  A second word is refused rather than ignored: it may be an option whose dashes were
 *  forgotten. */
static int args_take_positional (args_t *args, const char *word, err_t *err)
{
    const char *name = args->spec->positional;
    size_t most = !name ? 0 : strstr (name, "...") ? ARGS_REPEATED_MAX : 1;
    if (args->positional_n == most)
        return err_set (err, ERR_CONFIG, "'%s': %s", word,
                        most == 0   ? "only options are wanted (--help lists them)"
                        : most == 1 ? "one argument is wanted, not two"
                                    : "so many arguments are not taken");
    args->positional[args->positional_n++] = word;
    return 0;
}

/*  QUINTET_ROWS for --rows: containers are configured by their environment. */
static const char *args_from_environment (const args_option_t *option)
{
    char name[64] = "QUINTET_";
    size_t n = strlen (name);
    /* Dashes become underscores, since the names of a shell's variables have no dashes. */
    for (const char *c = option->key + 2; *c && n + 1 < sizeof name; c++)
        name[n++] = *c == '-' ? '_' : (char) toupper ((unsigned char) *c);
    name[n] = 0;
    const char *value = getenv (name);
    /* Set but empty counts as not given: a compose file sets what nobody gave a value, too. */
    return value && *value ? value : NULL;
}

args_t *args_parse (const args_spec_t *spec, int argc, char **argv, err_t *err)
{
    args_t *args = calloc (1, sizeof *args);
    if (!args) {
        err_set (err, ERR_LIMIT, "no memory");
        return NULL;
    }
    args->spec = spec;
    int rc = 0;
    /* After "--" everything is an argument, as everywhere. */
    bool options = true;
    for (int at = 1; rc == 0 && at < argc; at++) {
        if (options && strcmp (argv[at], "--") == 0)
            options = false;
        else if (!options)
            rc = args_take_positional (args, argv[at], err);
        else if (strcmp (argv[at], "--help") == 0 || strcmp (argv[at], "-h") == 0)
            args->help = true;
        else if (strcmp (argv[at], "--version") == 0)
            args->version = true;
        else if (strncmp (argv[at], "--", 2) == 0)
            rc = args_take (args, argc, argv, &at, err);
        else
            rc = args_take_positional (args, argv[at], err);
    }
    /* The command line goes before the environment, and both before the default. */
    for (size_t i = 0; spec->environment && spec->options[i].key; i++)
        if (spec->options[i].placeholder && !args->slot[i].value &&
            !args_repeats (&spec->options[i]))
            args->slot[i].value = args_from_environment (&spec->options[i]);
    /* An argument in brackets may be missing. */
    bool needs = spec->positional && *spec->positional != '[' && !args->help && !args->version;
    /* Whoever asks for help, the version or the health need not name what the program works on. */
    if (rc == 0 && needs && args->positional_n == 0 && !args_flag (args, "--health"))
        rc = err_set (err, ERR_CONFIG, "%s is missing (--help shows an example)", spec->positional);
    if (rc != 0)
        args_destroy (&args);
    return args;
}

void args_destroy (args_t **args)
{
    free (*args);
    *args = NULL;
}

/*  What was given, else the default of the table: callers need no case for either. */
const char *args_value (const args_t *args, const char *key)
{
    size_t i = args_index_of (args->spec, key, strlen (key));
    const args_option_t *option = &args->spec->options[i];
    /* An unknown key is a mistake in the program, and gives an empty text rather than a crash. */
    if (!option->key)
        return "";
    if (args->slot[i].value)
        return args->slot[i].value;
    return option->fallback ? option->fallback : "";
}

/*  Tells an option that was given from one that has its default, where the two mean different
 *  things. */
bool args_given (const args_t *args, const char *key)
{
    size_t i = args_index_of (args->spec, key, strlen (key));
    return args->spec->options[i].key && args->slot[i].value;
}

bool args_typed (const args_t *args, const char *key)
{
    return args->slot[args_index_of (args->spec, key, strlen (key))].typed;
}

/*  --help and --version stand in no table, since every program has them. */
bool args_flag (const args_t *args, const char *key)
{
    if (strcmp (key, "--help") == 0)
        return args->help;
    if (strcmp (key, "--version") == 0)
        return args->version;
    return args_given (args, key);
}

const char *args_positional (const args_t *args)
{
    return args->positional[0];
}

const char *const *args_positionals (const args_t *args, size_t *n)
{
    *n = args->positional_n;
    return args->positional;
}

const char *const *args_repeated (const args_t *args, const char *key, size_t *n)
{
    size_t i = args_index_of (args->spec, key, strlen (key));
    *n = args->spec->options[i].key ? args->slot[i].n : 0;
    return args->slot[i].repeated;
}

int args_number (const args_t *args, const char *key, long long low, long long high,
                 long long *value, err_t *err)
{
    const char *text = args_value (args, key);
    char *end;
    /* strtoll tells of an overflow by errno, and never clears it. */
    errno = 0;
    long long number = strtoll (text, &end, 10);
    /* Everything must be read: "12x" is no number. */
    if (end == text || *end || errno || number < low || number > high)
        return err_set (err, ERR_CONFIG, "%s %s: a whole number from %lld to %lld is wanted", key,
                        text, low, high);
    *value = number;
    return 0;
}

int args_real (const args_t *args, const char *key, double low, double high, double *value,
               err_t *err)
{
    const char *text = args_value (args, key);
    char *end;
    double number = strtod (text, &end);
    /* strtod also reads "nan", and a NaN passes both comparisons with the bounds. */
    if (end == text || *end || !isfinite (number) || number < low || number > high)
        return err_set (err, ERR_CONFIG, "%s %s: a number from %g to %g is wanted", key, text, low,
                        high);
    *value = number;
    return 0;
}

/*  Written from the table that args_parse reads, so the help cannot name an option that does not
 *  exist, or hide one. */
void args_help (const args_spec_t *spec, FILE *to)
{
    fprintf (to, "%s%s%s [options]\n\n%s\n", spec->program, spec->positional ? " " : "",
             spec->positional ? spec->positional : "", spec->about);
    for (const args_option_t *o = spec->options; o->key; o++) {
        /* The help texts stand in one column, or two blanks behind a long option. */
        int width = fprintf (to, "  %s %s", o->key, o->placeholder ? o->placeholder : "");
        fprintf (to, "%*s%s", width < 24 ? 24 - width : 2, "", o->help);
        fprintf (to, o->fallback && *o->fallback ? " (%s)\n" : "\n", o->fallback);
    }
    fprintf (to, "  --version             print the version\n"
                 "  --help                print this\n");
    if (spec->environment)
        fprintf (to,
                 "\nOptions also come from the environment: QUINTET_BUS for --bus, and so on.\n");
}
