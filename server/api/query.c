/* query.c - query strings of the API: split, percent-decoded, bounded. Nothing undecoded or unbounded may leave here.
 * Tests: test/unit/api_test.c. */
#include "call.h"

#include <stdio.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool api_text_ok(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) return false;
    }
    json_t *string = json_stringn(text, len); /* NULL when it is not UTF-8 */
    json_decref(string);
    return string != NULL;
}

/* Decodes len raw bytes into out. 0, or -1 with why. */
static int decode(const char *raw, size_t len, char *out, size_t cap, char *why, size_t why_cap)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)raw[i];
        if (c == '%') {
            int high = i + 2 < len ? hex(raw[i + 1]) : -1;
            int low = high >= 0 ? hex(raw[i + 2]) : -1;
            if (low < 0) {
                snprintf(why, why_cap, "the query has a broken %%-escape");
                return -1;
            }
            c = high * 16 + low;
            i += 2;
        }
        if (used + 1 >= cap) {
            snprintf(why, why_cap, "a query parameter is longer than %zu bytes", cap - 1);
            return -1;
        }
        out[used++] = (char)c;
    }
    out[used] = '\0';
    if (!api_text_ok(out, used)) {
        snprintf(why, why_cap, "a query parameter is not plain UTF-8 text");
        return -1;
    }
    return 0;
}

bool api_listed(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = names; len > 0 && *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n == len && memcmp(p, name, n) == 0) return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

static const char *name_of(const struct api_query *query, int i)
{
    return query->text + query->params[i].name;
}

static int take(struct api_query *query, const char *raw, size_t len, const char *allowed, char *why,
                size_t cap)
{
    if (query->count == API_PARAMS_MAX) {
        snprintf(why, cap, "the query has more than %d parameters", API_PARAMS_MAX);
        return -1;
    }
    const char *equals = memchr(raw, '=', len), *end = raw + len;
    char *name = query->text + query->used;
    if (decode(raw, equals != NULL ? (size_t)(equals - raw) : len, name, API_PARAM_NAME_LEN, why, cap) < 0)
        return -1;
    const char *from = equals != NULL ? equals + 1 : end;
    char *value = name + strlen(name) + 1;
    if (decode(from, (size_t)(end - from), value, API_VALUE_LEN, why, cap) < 0) return -1;
    if (!api_listed(allowed, name)) {
        snprintf(why, cap, "unknown query parameter '%s'; known: %s", name,
                 allowed[0] != '\0' ? allowed : "none");
        return -1;
    }
    for (int i = 0; i < query->count; i++) {
        if (strcmp(name_of(query, i), name) == 0) {
            snprintf(why, cap, "the query parameter '%s' is given twice", name);
            return -1;
        }
    }
    query->params[query->count] =
        (struct api_param){(uint16_t)(name - query->text), (uint16_t)(value - query->text)};
    query->used = (size_t)(value - query->text) + strlen(value) + 1;
    query->count++;
    return 0;
}

int api_query_parse(struct api_query *query, const char *raw, const char *allowed, char *why, size_t why_cap)
{
    query->count = 0;
    query->used = 0;
    if (strlen(raw) > API_QUERY_MAX) {
        snprintf(why, why_cap, "the query is longer than %u bytes", API_QUERY_MAX);
        return -1;
    }
    while (*raw != '\0') {
        size_t len = strcspn(raw, "&");
        if (len > 0 && take(query, raw, len, allowed, why, why_cap) < 0) return -1;
        raw += len + (raw[len] == '&');
    }
    return 0;
}

const char *api_param(const struct api_call *call, const char *name)
{
    for (int i = 0; i < call->query.count; i++) {
        if (strcmp(name_of(&call->query, i), name) == 0)
            return call->query.text + call->query.params[i].value;
    }
    return NULL;
}

int api_param_number(struct api_call *call, const char *name, uint64_t min, uint64_t max, uint64_t *number)
{
    const char *value = api_param(call, name);
    if (value == NULL) return 0;
    size_t len = strlen(value);
    uint64_t n = 0;
    bool plain = len >= 1 && len <= 18 && strspn(value, "0123456789") == len;
    for (size_t i = 0; plain && i < len; i++)
        n = n * 10 + (uint64_t)(value[i] - '0');
    if (plain && n >= min && n <= max) {
        *number = n;
        return 0;
    }
    api_refuse(call, MOLT_REQUEST_INVALID, "'%s' must be a whole number from %llu to %llu", name,
               (unsigned long long)min, (unsigned long long)max);
    return -1;
}
