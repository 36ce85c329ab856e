/* log.c - the server's log lines. Must never let a peer's text break a line, or wait for who reads them.
 * Tests: test/unit/log_json_test.c, test/e2e/skins_test.c (the line that names the command for an unassigned device). */
#include "log.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024
_Static_assert(LOG_JSON_MAX >= 6 * LINE_MAX_LEN + 64, "each byte may become an escape");

static atomic_bool as_json;

void log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

static size_t put(char *out, size_t at, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') out[at++] = '\\';
        if (c < 0x20 || c >= 0x7F) /* what is no ASCII may be no UTF-8 either */
            at += (size_t)snprintf(out + at, 7, "\\u%04x", c);
        else
            out[at++] = (char)c;
    }
    return at;
}

size_t log_json(const char *pairs, size_t len, char out[LOG_JSON_MAX])
{
    size_t at = 0, i = 0;
    out[at++] = '{';
    while (i < len) {
        size_t name = i, value;
        while (i < len && pairs[i] != '=' && pairs[i] != ' ')
            i++;
        if (i == len || pairs[i] == ' ' || i == name) { /* a word of its own: no pair of ours */
            i++;
            continue;
        }
        if (at > 1) out[at++] = ',';
        out[at++] = '"';
        at = put(out, at, pairs + name, i - name);
        memcpy(out + at, "\":\"", 3);
        at += 3;
        const bool quoted = ++i < len && pairs[i] == '"';
        value = quoted ? ++i : i;
        while (i < len && pairs[i] != (quoted ? '"' : ' '))
            i++;
        at = put(out, at, pairs + value, i - value);
        out[at++] = '"';
        i += quoted ? 2 : 1;
    }
    out[at++] = '}';
    return at;
}

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
    char json[LOG_JSON_MAX + 1];
    const char *text = line;
    if (atomic_load_explicit(&as_json, memory_order_relaxed)) {
        len = log_json(line, len, json);
        json[len++] = '\n';
        text = json;
    } else {
        line[len++] = '\n';
    }
    /* a reader that stops reading loses lines; it must not stop the service */
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return;
    ssize_t written = write(STDERR_FILENO, text, len);
    (void)written;
}
