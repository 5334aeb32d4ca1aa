/*  place - which folder a run takes, and whether it goes on with what is there.
 *
 *      place_t place = {.named = false};
 *      snprintf (place.out, sizeof place.out, "runs/coding");
 *      place_find (&place, conf);                           runs/coding-2 when that is taken
 *      place_check (&place, conf, "run", &notes, &err);
 */
#ifndef QUINTET_CLI_PLACE_H
#define QUINTET_CLI_PLACE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/fs.h"
#include "conf/conf.h"

typedef struct {
    char out[FS_PATH_MAX];   /* asked for, then found */
    char taken[FS_PATH_MAX]; /* that holds a run, which is why out is another one; "": none */
    bool named;              /* out is the user's word, else the configuration's name */
    bool resume;
    bool going_on; /* --continue */
} place_t;

/*  Runs of one name stand beside each other, numbered: a folder that was not named, and that is
 *  taken, is left alone. With resume it is the last of them; with going_on that one is resumed if
 *  it is unfinished. */
void place_find (place_t *place, const conf_t *conf);
/*  A new run needs a folder without one, resume one with the same run. ERR_CONFIG says what to do;
 *  command: its name. What is worth knowing is added to notes, as lines. */
int place_check (const place_t *place, const conf_t *conf, const char *command, buf_t *notes,
                 err_t *err);

#endif
