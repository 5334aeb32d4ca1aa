/*  prom - see prom.h */
#include "prom.h"

#include <math.h>
#include <string.h>

#include "base/printable.h"

void prom_family (buf_t *out, const char *name, prom_type_t type, const char *help)
{
    static const char *const types[] = {"gauge", "counter", "histogram"};
    buf_printf (out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

/*  Made fit for a line first, so that of what has to be escaped two characters are left. */
static void prom_put_value (buf_t *out, const char *value)
{
    buf_t safe = {0};
    printable_text (&safe, value, strlen (value), PRINTABLE_LINE);
    for (size_t i = 0; i < safe.size; i++) {
        if (safe.data[i] == '"' || safe.data[i] == '\\')
            buf_char (out, '\\');
        buf_char (out, safe.data[i]);
    }
    buf_free (&safe);
}

void prom_sample (buf_t *out, const char *name, const prom_label_t *labels, double value)
{
    if (!isfinite (value))
        return;
    buf_text (out, name);
    const char *before = "{";
    for (const prom_label_t *l = labels; l && l->name; l++, before = ",") {
        buf_printf (out, "%s%s=\"", before, l->name);
        prom_put_value (out, l->value);
        buf_char (out, '"');
    }
    buf_printf (out, "%s %.15g\n", *before == ',' ? "}" : "", value);
}
