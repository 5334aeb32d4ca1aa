/*  child - another `quintet` command as a process of its own, whose lines of JSON are read.
 *
 *      const char *words[] = {"run", "deploy/config/coding.yml", "--json", NULL};
 *      child_run (words, "OUT/logs/team.log", on_line, context, &err);
 *
 *  It dies with this process, and is told of the signals that this one is told of; then it may end
 *  in order.
 */
#ifndef QUINTET_CLI_CHILD_H
#define QUINTET_CLI_CHILD_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/*  From here on SIGINT, SIGTERM and SIGHUP end the child that runs, and then this command. */
void child_catch (void);
/*  Whether one of them came. */
bool child_interrupted (void);

/*  Runs this program with the words (NULL ends) to its end; what it writes to the standard error
 *  goes to the end of the file. on_line gets each object that it prints. -1: it failed, with its
 *  own error where it printed one, or a signal came (ERR_NONE). */
int child_run (const char *const *words, const char *log,
               void (*on_line) (void *context, const json_t *line), void *context, err_t *err);

#endif
