/* remote.c - libcurl under the client: only http and https, no redirects, bounded answers, no waiting without end.
 * Tests: test/e2e/cli_test.sh. */
#include "remote.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "molt_reason.h"

#define CONNECT_S 10L  /* seconds for a connection */
#define STALL_S   120L /* seconds without a byte; publishing verifies and compresses before it answers */

struct remote {
    CURL *curl;
    char url[512];
    char token_header[160]; /* "" when there is none */
    char error[CURL_ERROR_SIZE];
};

size_t remote_escape(char *out, size_t cap, const char *text, const char *keep)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t len = 0;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (strchr(unreserved, c) != NULL || strchr(keep, c) != NULL) {
            if (len + 1 < cap) out[len] = (char)c;
            len++;
        } else {
            if (len + 3 < cap) {
                out[len] = '%';
                out[len + 1] = digits[c >> 4];
                out[len + 2] = digits[c & 15];
            }
            len += 3;
        }
    }
    if (cap > 0) out[len < cap ? len : cap - 1] = '\0';
    return len;
}

bool remote_url_ok(const char *url)
{
    size_t scheme = strncasecmp(url, "https://", 8) == 0 ? 8 : strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
    if (scheme != 0 && url[scheme] != '\0' && url[scheme] != '/' && strlen(url) <= 400 &&
        strpbrk(url, " \t\r\n?#@") == NULL)
        return true;
    output_error("bad-url: '%s' is no http:// or https:// address", url);
    output_hint("give the server's --admin address, such as https://ota.example.org:8267");
    return false;
}

/* A token that crosses a network in the clear is everybody's. */
static void warn_when_clear(const char *url)
{
    static const char *const loopback[] = {"http://127.", "http://localhost", "http://[::1]"};
    if (strncasecmp(url, "https://", 8) == 0) return;
    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++) {
        if (strncasecmp(url, loopback[i], strlen(loopback[i])) == 0) return;
    }
    output_hint("warning: the token crosses the network unencrypted; use https:// where you can");
}

struct remote *remote_open(const char *url, const char *socket_path, const char *token)
{
    if (!remote_url_ok(url)) return NULL;
    if (token != NULL &&
        (strlen(token) > 100 || strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                              "0123456789_-") != strlen(token))) {
        output_error("this is no token: a token is 'molt_' and 40 letters and digits");
        return NULL;
    }
    struct remote *remote = calloc(1, sizeof *remote);
    if (remote != NULL) remote->curl = curl_easy_init();
    if (remote == NULL || remote->curl == NULL) {
        free(remote);
        output_error("out of memory");
        return NULL;
    }
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    snprintf(remote->url, sizeof remote->url, "%.*s", (int)len, url);
    if (token != NULL)
        snprintf(remote->token_header, sizeof remote->token_header, "Authorization: Bearer %s", token);
    if (socket_path == NULL) warn_when_clear(url);
    CURL *curl = remote->curl;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, remote->error);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "molt/" MOLT_VERSION);
    const char *ca = getenv("SSL_CERT_FILE"); /* as OpenSSL's own programs do */
    if (ca != NULL && ca[0] != '\0') curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
    if (socket_path != NULL) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    return remote;
}

void remote_close(struct remote *remote)
{
    curl_easy_cleanup(remote->curl);
    memset(remote->token_header, 0, sizeof remote->token_header);
    free(remote);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct remote_answer *answer = ctx;
    size_t len = size * count;
    if (answer->len + len > REMOTE_ANSWER_MAX) return 0;
    char *body = realloc(answer->body, answer->len + len + 1);
    if (body == NULL) return 0;
    memcpy(body + answer->len, data, len);
    answer->body = body;
    answer->len += len;
    body[answer->len] = '\0';
    return len;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total;
    if (up > 0) output_progress_step(ctx, (uint64_t)up);
    return 0;
}

static void print_failure(struct remote *remote, CURLcode code)
{
    int reason = MOLT_CONNECTION_LOST;
    switch (code) {
    case CURLE_URL_MALFORMAT:
        reason = MOLT_BAD_URL;
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        reason = MOLT_DNS;
        break;
    case CURLE_COULDNT_CONNECT:
        reason = MOLT_CONNECT;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        reason = MOLT_TIMEOUT;
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        reason = MOLT_TLS;
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        reason = MOLT_HTTP_MALFORMED;
        break;
    default:
        break;
    }
    output_error("%s: %s", molt_reason_id(reason), molt_reason_sentence(reason));
    output_hint("%s: %s", remote->url, remote->error[0] != '\0' ? remote->error : curl_easy_strerror(code));
    if (code == CURLE_SSL_CONNECT_ERROR)
        output_hint("does it speak https? A server without a certificate is http://");
    else if (reason == MOLT_TLS)
        output_hint("for a certificate of your own, set SSL_CERT_FILE to it (PEM)");
    if (reason == MOLT_CONNECT || reason == MOLT_TIMEOUT)
        output_hint("is `molt serve` running there, with --admin on that address?");
    if (reason == MOLT_DNS) output_hint("correct the name in --server or MOLT_SERVER");
}

int remote_call(struct remote *remote, const struct client_request *request, struct output_progress *progress,
                struct remote_answer *answer)
{
    char url[6400], path[1600];
    if (remote_escape(path, sizeof path, request->path, "/") >= sizeof path) path[0] = '\0';
    snprintf(url, sizeof url, "%s%s%s%s", remote->url, path,
             request->query != NULL && request->query->len > 0 ? "?" : "",
             request->query != NULL ? request->query->text : "");
    bool body = request->body_len > 0, post = strcmp(request->method, "POST") == 0;
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"); /* no waiting for 100 Continue */
    headers = curl_slist_append(headers, "Accept: application/json");
    headers = curl_slist_append(headers, request->progress != NULL ? "Content-Type: application/octet-stream"
                                                                   : "Content-Type: application/json");
    char match[200];
    snprintf(match, sizeof match, "If-Match: %s", request->if_match != NULL ? request->if_match : "");
    if (request->if_match != NULL) headers = curl_slist_append(headers, match);
    if (remote->token_header[0] != '\0') headers = curl_slist_append(headers, remote->token_header);
    CURL *curl = remote->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (body || post) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? request->body : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, request->progress == NULL ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, progress);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK) return (int)status;
    /* A server that refuses an upload early may close before it was all sent: its answer is what counts. */
    if (status >= 400 && answer->len > 0) return (int)status;
    output_progress_end(progress);
    print_failure(remote, code);
    return -1;
}
