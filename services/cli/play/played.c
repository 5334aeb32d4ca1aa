/*  played - see played.h */
#include "played.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "svc/args.h"

static void played_say (const char *command, const char *weights, const conf_t *conf,
                        const conf_t *run)
{
    buf_t list = {0};
    conf_plays_differently (conf, run, &list);
    if (list.size) {
        fprintf (stderr, "quintet %s: other than in the run of %s: ", command, weights);
        printable_print (stderr, list.data, list.size, PRINTABLE_LINE);
        fputc ('\n', stderr);
    }
    buf_free (&list);
}

conf_t *played_load (const char *command, const folder_plays_t *plays, const char *const *sets,
                     size_t n, char policies[FOLDER_SET], err_t *err)
{
    const char *all[ARGS_REPEATED_MAX + 1] = {policies};
    conf_t *run = folder_conf_of (plays->weights);
    folder_policies (run, policies);
    memcpy (all + 1, sets, n * sizeof *sets);
    conf_t *conf = conf_load (plays->conf, *policies ? all : all + 1, n + !!*policies, err);
    if (conf && run)
        played_say (command, plays->weights, conf, run);
    if (conf && plays->untrained)
        fprintf (stderr,
                 "quintet %s: no checkpoint is beside %s: nothing that the run learnt plays\n",
                 command, plays->conf);
    conf_destroy (&run);
    return conf;
}
