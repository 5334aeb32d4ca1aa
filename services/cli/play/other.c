/*  other - see other.h */
#include "other.h"

#include <stdio.h>

#include "base/printable.h"
#include "watch/folder.h"

void other_say (const char *command, const char *weights, const conf_t *conf)
{
    conf_t *its = folder_conf_of (weights);
    buf_t list = {0};
    if (its)
        conf_plays_differently (conf, its, &list);
    if (list.size) {
        fprintf (stderr, "quintet %s: other than in the run of %s: ", command, weights);
        printable_print (stderr, list.data, list.size, PRINTABLE_LINE);
        fputc ('\n', stderr);
    }
    buf_free (&list);
    conf_destroy (&its);
}
