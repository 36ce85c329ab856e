/* log.c - the server's log lines. Must never let a peer's text break a line, or wait for who reads them.
 * Tests: test/e2e/skins_test.c (the line that names the command for an unassigned device). */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024

void log_event(const char *format, ...)
{
    char line[LINE_MAX_LEN];
    time_t now = time(NULL);
    struct tm tm;
    size_t len = strftime(line, sizeof line, "time=%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &tm));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + len, sizeof line - len - 1, format, args);
    va_end(args);
    if (n < 0) return;
    len = len + (size_t)n < sizeof line - 1 ? len + (size_t)n : sizeof line - 2;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    }
    line[len++] = '\n';
    /* a reader that stops reading loses lines; it must not stop the service */
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return;
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}
