/* log.h - one line an event on stderr: key=value pairs. Not called for polls. Thread-safe. */
#ifndef MOLT_SERVER_LOG_H
#define MOLT_SERVER_LOG_H

/* Writes "time=2026-11-25T18:00:00Z <pairs>\n" in one write. Control characters become '?'. */
void log_event(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
