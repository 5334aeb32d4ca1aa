/*  date - see date.h */
#include "base/date.h"

#include <ctype.h>
#include <string.h>

/*  That timegm leaves a day alone says that there is one: it makes 2 March of 30 February. */
bool date_parse (const char *text, struct tm *day)
{
    static const char shape[] = "0000-00-00";
    *day = (struct tm){0};
    if (strlen (text) != strlen (shape) || *text == '0')
        return false;
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == '-' ? text[i] != '-' : !isdigit ((unsigned char) text[i]))
            return false;
    const char *rest = strptime (text, "%Y-%m-%d", day);
    if (!rest || *rest)
        return false;
    struct tm real = *day;
    if (timegm (&real) == -1 || real.tm_mday != day->tm_mday || real.tm_mon != day->tm_mon)
        return false;
    *day = real;
    return true;
}

/*  One conversion, behind its %: a flag of glibc's and a letter. Returns what stands behind it, or
 *  NULL. The C library writes it, in the C locale, as no program here sets another. %s would count
 *  seconds in the machine's time zone. */
static const char *date_convert (const struct tm *day, const char *at, buf_t *out)
{
    char format[4] = "%", text[64];
    size_t n = 1;
    bool flag = *at && strchr ("-_0^#", *at);
    if (flag)
        format[n++] = *at++;
    if (*at && !flag && strchr ("fzZ", *at)) {
        /* Python's own: microseconds, and the time zone of a time that has none. */
        buf_text (out, *at == 'f' ? "000000" : "");
        return at + 1;
    }
    if (!*at || !strchr ("aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyY%", *at))
        return NULL;
    format[n] = *at;
    buf_append (out, text, strftime (text, sizeof text, format, day));
    return at + 1;
}

int date_write (const struct tm *day, const char *format, buf_t *out, err_t *err)
{
    for (const char *at = format; *at;) {
        size_t n = strcspn (at, "%");
        buf_append (out, at, n);
        at += n;
        if (!*at)
            break;
        const char *next = date_convert (day, at + 1, out);
        if (!next)
            return err_set (err, ERR_INPUT, "'%.8s' of a date is not known here", at);
        at = next;
    }
    return 0;
}
