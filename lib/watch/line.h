/*  line - one event of a bus as a line: for people, and as JSON.
 *
 *      line_text (&item, event, seconds, &out);           who, what, and what matters of it
 *      line_json (&item, event, seconds, &out);           everything
 */
#ifndef QUINTET_WATCH_LINE_H
#define QUINTET_WATCH_LINE_H

#include "base/buf.h"
#include "bus/bus.h"
#include "wire/wire.h"

#define LINE_COLUMNS 100

/*  Appends a line without its end; text has at most LINE_COLUMNS, and an ellipsis when cut. seen_s:
 *  when it came, in seconds since 1970. Words of models and peers are made fit for a terminal. */
void line_text (const bus_item_t *item, const wire_event_t *event, double seen_s, buf_t *out);
void line_json (const bus_item_t *item, const wire_event_t *event, double seen_s, buf_t *out);
/*  What matters of an event, as line_text has it behind who and when, with a blank before: not made
 *  fit for a terminal. */
void line_message (const wire_event_t *event, buf_t *out);
/*  When it was sent, in seconds since 1970, as far as it says so. */
double line_sent_s (const wire_event_t *event, double seen_s);

#endif
