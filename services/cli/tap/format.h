/*  format - an event as a line of the reader's own making.
 *
 *      if (format_check ("%t %s %n %m", &err) == 0)
 *          format_line ("%t %s %n %m", &item, event, seconds, &out);
 */
#ifndef QUINTET_CLI_FORMAT_H
#define QUINTET_CLI_FORMAT_H

#include "base/buf.h"
#include "base/err.h"
#include "bus/bus.h"
#include "wire/wire.h"

/*  What each letter stands for, one a line, for --help. */
#define FORMAT_HELP                                                                                \
    "  %t  when it was sent, 14:03:59.250       %T  the same in seconds since 1970\n"              \
    "  %s  who sent it                          %n  name of its topic\n"                           \
    "  %e  what kind of event                   %r  its run\n"                                     \
    "  %m  message: its numbers and words       %j  all of it, as --json has it\n"                 \
    "  %%  a percent sign\n"

/*  ERR_CONFIG names the place that means nothing. */
int format_check (const char *format, err_t *err);
/*  Appends a line without its end; seen_s as in watch/line.h. Words of models and peers are made
 *  fit for a terminal. */
void format_line (const char *format, const bus_item_t *item, const wire_event_t *event,
                  double seen_s, buf_t *out);

#endif
