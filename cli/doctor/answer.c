/* answer.c - the doctor's own requests, and a reader of answers that is stricter than no client and more curious than all.
 * Must never read beyond what the wire recorded. Tests: test/e2e/doctor/lab_test.py. */
#include "answer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool answer_split(const char *url, struct stock_place *place)
{
    if (!stock_place_of(url, place)) return false;
    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c == 0x7F) return false;
    }
    return true;
}

bool answer_resolve(const char *url, const char *location, char *out, size_t cap)
{
    int len;
    size_t origin = strcspn(url + (strncmp(url, "https", 5) == 0 ? 8 : 7), "/") +
                    (strncmp(url, "https", 5) == 0 ? 8u : 7u);
    if (strncmp(location, "http://", 7) == 0 || strncmp(location, "https://", 8) == 0) {
        len = snprintf(out, cap, "%s", location);
    } else if (location[0] == '/') {
        len = snprintf(out, cap, "%.*s%s", (int)origin, url, location);
    } else {
        const char *slash = strrchr(url + origin, '/');
        size_t folder = slash != NULL ? (size_t)(slash - url) + 1 : strlen(url);
        len = snprintf(out, cap, "%.*s%s", (int)folder, url, location);
    }
    return len > 0 && (size_t)len < cap;
}

int answer_status(const struct wire_tap *tap)
{
    const char *text = (const char *)tap->bytes;
    if (tap->head_len < 12 || strncmp(text, "HTTP/1.", 7) != 0) return -1;
    if (!isdigit((unsigned char)text[9]) || !isdigit((unsigned char)text[10]) ||
        !isdigit((unsigned char)text[11]))
        return -1;
    return (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
}

static void copy_value(const char *at, const char *end, char value[ANSWER_VALUE_MAX])
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && isspace((unsigned char)end[-1]))
        end--;
    size_t len = (size_t)(end - at);
    if (len > ANSWER_VALUE_MAX - 1) len = ANSWER_VALUE_MAX - 1;
    memcpy(value, at, len);
    value[len] = '\0';
}

int answer_header(const struct wire_tap *tap, const char *name, char value[ANSWER_VALUE_MAX])
{
    int count = 0;
    const size_t name_len = strlen(name);
    if (value != NULL) value[0] = '\0';
    if (tap->head_len == 0) return 0;
    const char *at = (const char *)tap->bytes, *end = at + tap->head_len;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) line_end = end;
        if ((size_t)(line_end - at) > name_len && strncasecmp(at, name, name_len) == 0 &&
            at[name_len] == ':' && count++ == 0 && value != NULL)
            copy_value(at + name_len + 1, line_end, value);
        at = line_end + 1;
    }
    return count;
}

int64_t answer_length(const struct wire_tap *tap)
{
    char value[ANSWER_VALUE_MAX], *end;
    if (answer_header(tap, "Content-Length", value) == 0) return -1;
    long long length = strtoll(value, &end, 10);
    return end == value || length < 0 ? -1 : length;
}

bool answer_chunked(const struct wire_tap *tap)
{
    char value[ANSWER_VALUE_MAX];
    return answer_header(tap, "Transfer-Encoding", value) > 0 && strcasecmp(value, "chunked") == 0;
}

const uint8_t *answer_body(const struct wire_tap *tap, size_t *len)
{
    static const uint8_t nothing[1] = {0};
    if (tap->head_len == 0) {
        *len = 0;
        return nothing;
    }
    *len = tap->len - tap->head_len;
    return tap->bytes + tap->head_len;
}

size_t answer_unchunk(const uint8_t *body, size_t len, uint8_t *out)
{
    size_t have = 0, at = 0;
    while (at < len) {
        size_t size = 0, digits = 0;
        for (; at < len && isxdigit(body[at]) && digits < 8; at++, digits++)
            size = size * 16 + (size_t)(isdigit(body[at]) ? body[at] - '0' : tolower(body[at]) - 'a' + 10);
        while (at < len && body[at] != '\n')
            at++;
        at++;
        if (digits == 0 || size == 0 || at >= len) break;
        if (size > len - at) size = len - at;
        memmove(out + have, body + at, size);
        have += size;
        at += size + 2;
    }
    return have;
}

/* True when nothing of the answer is still to come. */
static bool complete(const struct wire_tap *tap, bool no_body)
{
    size_t len;
    if (tap->head_len == 0) return false;
    int status = answer_status(tap);
    if (no_body || status == 304 || status == 204) return true;
    const uint8_t *body = answer_body(tap, &len);
    if (answer_chunked(tap)) return len >= 5 && memcmp(body + len - 5, "0\r\n\r\n", 5) == 0;
    int64_t length = answer_length(tap);
    return length >= 0 && (uint64_t)len >= (uint64_t)length;
}

int answer_get(struct wire *wire, const char *url, const char *head, bool no_body)
{
    struct stock_place parts;
    char bytes[16384];
    if (!answer_split(url, &parts)) return -1;
    if (wire_open(wire, parts.host, parts.port, parts.tls) < 0) return -1;
    if (!wire_send(wire, head, strlen(head))) return -1;
    while (!complete(&wire->tap, no_body) && wire_receive(wire, bytes, sizeof bytes, wire->timeout_ms) > 0) {
    }
    wire_close(wire);
    return 0;
}
