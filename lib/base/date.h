/*  date - a day of the calendar, given as YYYY-MM-DD.
 *
 *      struct tm day;
 *      if (date_parse ("2026-11-09", &day))
 *          date_write (&day, "%d %b %Y", &out, &err);      09 Nov 2026
 *
 *  Nothing here asks for the time: what is written is a function of the text.
 */
#ifndef QUINTET_BASE_DATE_H
#define QUINTET_BASE_DATE_H

#include <stdbool.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"

#define DATE_WANTED "YYYY-MM-DD, as 2026-11-09"

/*  Midnight of a day of the years 1000 to 9999; false: the text is no such day. */
bool date_parse (const char *text, struct tm *day);

/*  Appends what Python's datetime.strftime writes on Linux, with English names. ERR_INPUT: format
 *  wants what does not follow from the day, or is not known here. */
int date_write (const struct tm *day, const char *format, buf_t *out, err_t *err);

#endif
