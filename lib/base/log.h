/*  log - one key=value line per happening, on stderr.
 *
 *      log_open ("agent-1", LOG_INFO);
 *      log_info ("policy.swapped", "policy=%s version=%u pause_us=%ld", name, version, pause);
 *
 *  prints   2026-01-31T12:00:00.123Z info agent-1 policy.swapped policy=main version=7
 *  pause_us=83
 *
 *  or, after log_as_json, the same as an object: time, level, service, event, and in "fields" the
 *  pairs, as texts. */
#ifndef QUINTET_BASE_LOG_H
#define QUINTET_BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } log_level_t;

/*  Who is speaking (copied) and the lowest level that is printed. Call once, before any thread. */
void log_open (const char *who, log_level_t lowest);
void log_as_json (bool json);

void log_debug (const char *event, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void log_info (const char *event, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void log_warn (const char *event, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));
void log_error (const char *event, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/*  An error line with code=... text="...". */
void log_err (const char *event, const err_t *err);

#endif
