/* log.h - one line an event on stderr: key=value pairs. Not called for polls. Thread-safe. */
#ifndef MOLT_SERVER_LOG_H
#define MOLT_SERVER_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Writes "time=2026-11-25T18:00:00Z <pairs>\n" in one write. Control characters become '?'. */
void log_event(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on lines are JSON objects with the same names; every value is a text. */
void log_set_json(bool json);
/* Such a line of "key=value key=\"several words\"", without a line feed; its length. out: LOG_JSON_MAX. For tests. */
#define LOG_JSON_MAX 6400
size_t log_json(const char *pairs, size_t len, char out[LOG_JSON_MAX]);

#endif
