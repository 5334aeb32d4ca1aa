/*  format - see format.h */
#include "format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/printable.h"
#include "watch/line.h"

static void format_put_clock (double seconds, buf_t *out)
{
    time_t whole = (time_t) seconds;
    struct tm parts;
    char clock[16] = "";
    if (localtime_r (&whole, &parts))
        strftime (clock, sizeof clock, "%H:%M:%S", &parts);
    buf_printf (out, "%s.%03d", clock, (int) ((seconds - (double) whole) * 1000));
}

static void format_put_message (const wire_event_t *event, buf_t *out)
{
    buf_t words = {0};
    line_message (event, &words);
    /* It begins with the blank that parts it from what stands before it in a line. */
    size_t skip = words.size && *words.data == ' ';
    if (words.size > skip)
        printable_cut (out, words.data + skip, words.size - skip, SIZE_MAX);
    buf_free (&words);
}

static void format_put_name (const char *name, buf_t *out)
{
    printable_cut (out, name, strlen (name), SIZE_MAX);
}

/*  A letter that format_check let pass. */
static void format_put (char letter, const bus_item_t *item, const wire_event_t *event,
                        double seen_s, buf_t *out)
{
    double sent_s = line_sent_s (event, seen_s);
    switch (letter) {
    case 't':
        format_put_clock (sent_s, out);
        break;
    case 'T':
        buf_printf (out, "%.6f", sent_s);
        break;
    case 's':
        format_put_name (item->sender, out);
        break;
    case 'n':
        format_put_name (item->name, out);
        break;
    case 'e':
        buf_text (out, wire_event_name (event->kind));
        break;
    case 'r':
        format_put_name (event->run, out);
        break;
    case 'm':
        format_put_message (event, out);
        break;
    case 'j':
        line_json (item, event, seen_s, out);
        break;
    case '%':
        buf_char (out, '%');
        break;
    }
}

int format_check (const char *format, err_t *err)
{
    static const char letters[] = "tTsnermj%";
    for (const char *c = format; *c; c++)
        if (*c == '%' && (!*++c || !strchr (letters, *c)))
            return err_set (err, ERR_CONFIG,
                            "--format '%s': '%%%.1s' stands for nothing (--help lists what does)",
                            format, c);
    return 0;
}

void format_line (const char *format, const bus_item_t *item, const wire_event_t *event,
                  double seen_s, buf_t *out)
{
    for (const char *c = format; *c; c++)
        if (*c != '%')
            buf_char (out, *c);
        else
            format_put (*++c, item, event, seen_s, out);
}
