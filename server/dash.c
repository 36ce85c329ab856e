/* dash.c - serves the dashboard's files. Must never let a page of it load or send anything elsewhere, run a script that is
 * not one of its files, or be framed. Tests: test/dash. */
#include "dash.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The files have a hash in their name; the page that names them is asked for anew each time. */
#define FOR_EVER "public, max-age=31536000, immutable"

static const char policy[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
    "Vary: Accept-Encoding\r\n";

/* Is the coding among those of Accept-Encoding, and not with q=0? */
static bool accepts(struct http_slice list, const char *coding)
{
    size_t len = strlen(coding);
    for (size_t i = 0; i < list.len;) {
        size_t end = i;
        while (end < list.len && list.p[end] != ',')
            end++;
        while (i < end && list.p[i] == ' ')
            i++;
        bool named = end - i >= len && strncasecmp(list.p + i, coding, len) == 0 &&
                     (end - i == len || list.p[i + len] == ';' || list.p[i + len] == ' ');
        bool refused = end - i > len + 3 && memcmp(list.p + end - 3, "q=0", 3) == 0;
        if (named && !refused) return true;
        i = end + 1;
    }
    return false;
}

static const struct dash_file *find(const char *path)
{
    if (strcmp(path, "/") == 0) path = "/index.html";
    for (size_t i = 0; i < dash_file_count; i++)
        if (strcmp(dash_files[i].path, path) == 0) return &dash_files[i];
    return NULL;
}

static bool is_unchanged(struct http_exchange *x, const char *etag)
{
    struct http_slice known = http_header(x, "if-none-match", 0);
    return known.len == strlen(etag) && memcmp(known.p, etag, known.len) == 0;
}

bool dash_handle(struct http_exchange *x)
{
    char path[128], etag[40], headers[1024];
    enum http_method method = http_method(x);
    if ((method != HTTP_M_GET && method != HTTP_M_HEAD) || !http_path_decode(x, path, sizeof path))
        return false;
    const struct dash_file *file = find(path);
    if (file == NULL) return false;
    /* every browser takes gzip; a client that does not say so gets it all the same */
    bool brotli = accepts(http_header(x, "accept-encoding", 0), "br");
    bool is_page = strncmp(file->path, "/assets/", 8) != 0;
    (void)snprintf(etag, sizeof etag, "\"%s%s\"", file->tag, brotli ? "-br" : "");
    (void)snprintf(headers, sizeof headers, "%sContent-Encoding: %s\r\nCache-Control: %s\r\nETag: %s\r\n",
                   policy, brotli ? "br" : "gzip", is_page ? "no-cache" : FOR_EVER, etag);
    struct http_response response = {.status = 200,
                                     .content_type = file->type,
                                     .headers = headers,
                                     .body = brotli ? file->brotli : file->gzip,
                                     .body_len = brotli ? file->brotli_len : file->gzip_len};
    if (is_unchanged(x, etag))
        response = (struct http_response){.status = 304, .headers = headers, .no_length = true};
    http_respond(x, &response);
    return true;
}
