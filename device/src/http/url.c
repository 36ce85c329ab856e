/* url.c - takes a URL apart and follows redirects.
 * Must never accept a character that could end a request line or a header. Tests: test/unit/url_test.c. */
#include "http.h"

#include <string.h>

#include "../util/text.h"

/* Where the authority begins, NULL when it is neither http nor https. */
static const char *behind_scheme(const char *text, bool *tls)
{
    if (!molt_text_is(text, 4, "http")) return NULL;
    *tls = molt_lower(text[4]) == 's';
    text += *tls ? 5 : 4;
    return molt_text_is(text, 3, "://") ? text + 3 : NULL;
}

static bool is_url_char(char c)
{
    return c > 0x20 && c < 0x7F && c != '"' && c != '<' && c != '>' && c != '\\';
}

static bool is_host_char(char c, bool is_ipv6)
{
    if (c == '.' || molt_hex_digit(c) >= 0) return true;
    if (is_ipv6) return c == ':';
    char lower = molt_lower(c);
    return (lower >= 'g' && lower <= 'z') || c == '-' || c == '_';
}

static int parse_host(struct molt_url *url, const char *at, const char *end)
{
    url->is_ipv6 = at < end && *at == '[';
    if (url->is_ipv6) at++;
    url->host.at = at;
    while (at < end && is_host_char(*at, url->is_ipv6))
        at++;
    url->host.len = (size_t)(at - url->host.at);
    if (url->host.len == 0 || url->host.len > MOLT_HOST_MAX) return -MOLT_BAD_URL;
    if (url->is_ipv6) {
        if (at == end || *at != ']') return -MOLT_BAD_URL;
        if (memchr(url->host.at, ':', url->host.len) == NULL) return -MOLT_BAD_URL;
        at++;
    }
    url->port = url->tls ? 443 : 80;
    if (at == end) return 0;
    uint32_t port;
    if (*at != ':' || !molt_text_to_u32(at + 1, (size_t)(end - at - 1), 65535, &port) || port == 0) {
        return -MOLT_BAD_URL;
    }
    url->port = (uint16_t)port;
    return 0;
}

/* Where the authority that starts at `at` ends: the path, query, fragment or end of the text. */
static const char *authority_end(const char *at)
{
    return at + strcspn(at, "/?#");
}

int molt_url_parse(struct molt_url *url, const char *text)
{
    size_t len = 0;
    while (len <= MOLT_HTTP_URL_MAX && text[len] != '\0') {
        if (!is_url_char(text[len])) return -MOLT_BAD_URL;
        len++;
    }
    if (len > MOLT_HTTP_URL_MAX) return -MOLT_BAD_URL;
    const char *at = behind_scheme(text, &url->tls);
    if (at == NULL) return -MOLT_BAD_URL;
    const char *end = authority_end(at), *host = at;
    url->userinfo.at = at;
    url->userinfo.len = 0;
    for (const char *c = at; c < end; c++) { /* the last @ ends the credentials */
        if (*c != '@') continue;
        url->userinfo.len = (size_t)(c - at);
        host = c + 1;
    }
    if (parse_host(url, host, end) != 0) return -MOLT_BAD_URL;
    if (*end == '?') return -MOLT_BAD_URL; /* a query without a path has no place to be written from */
    url->path.at = *end == '/' ? end : "/";
    url->path.len = *end == '/' ? strcspn(end, "#") : 1;
    return 0;
}

int molt_url_redirect(char *text, size_t cap, const char *location)
{
    bool was_tls;
    const char *authority = behind_scheme(text, &was_tls);
    size_t keep = 0;
    if (location[0] == '/') { /* "//host/path" keeps the scheme, "/path" all before the path */
        const char *end = location[1] == '/' ? authority - 2 : authority_end(authority);
        keep = (size_t)(end - text);
    }
    size_t len = strlen(location);
    if (len >= cap || keep >= cap - len) return -MOLT_REDIRECT_REFUSED;
    memcpy(text + keep, location, len + 1);
    struct molt_url url;
    if (molt_url_parse(&url, text) != 0 || (was_tls && !url.tls)) return -MOLT_REDIRECT_REFUSED;
    return 0;
}
