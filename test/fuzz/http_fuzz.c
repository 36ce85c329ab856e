/* http_fuzz.c - any bytes as a response, whole and split by the input's own first bytes: no crash, the same
 * outcome, and a body no longer than what came. Any text as a URL and as a redirect: what is accepted is
 * writable. */
#include "fuzz.h"

#include <string.h>

#include "http/http.h"

struct outcome {
    int rc;
    size_t body_len, left;
    uint32_t sum;
    char location[64];
};

static struct outcome respond(const uint8_t *data, size_t size, uint32_t range_from, size_t piece)
{
    struct outcome o = {0};
    struct molt_response res;
    molt_response_begin(&res, &(struct molt_response_expect){range_from}, o.location, sizeof o.location);
    size_t at = 0;
    do {
        size_t len = piece < size - at ? piece : size - at;
        const uint8_t *in = data + at, *body;
        size_t body_len, before = len;
        do {
            o.rc = molt_response_feed(&res, &in, &len, &body, &body_len);
            o.body_len += body_len;
            for (size_t i = 0; i < body_len; i++)
                o.sum = o.sum * 31 + body[i];
        } while (o.rc == MOLT_HTTP_HEAD || o.rc == MOLT_HTTP_BODY);
        at += before - len;
    } while (o.rc == MOLT_HTTP_MORE && at < size);
    o.left = size - at;
    if (o.rc == MOLT_HTTP_MORE) o.rc = molt_response_end(&res);
    return o;
}

static void request(const char *text)
{
    struct molt_url url;
    char head[2048], moved[MOLT_HTTP_URL_MAX + 1] = "https://h/x";
    size_t len;
    if (molt_url_parse(&url, text) == 0) {
        const struct molt_request_more more = {.method = MOLT_GET};
        int rc = molt_request_write_more(&(struct molt_request){.url = &url}, &more, head, sizeof head, &len);
        FUZZ_CHECK(rc == 0 || url.userinfo.len > 0); /* only broken %-escapes may fail */
        for (size_t i = 0; rc == 0 && i + 4 < len; i++) {
            FUZZ_CHECK(memcmp(head + i, "\r\n\r\n", 4) != 0); /* one head, not two */
        }
    }
    if (molt_url_redirect(moved, sizeof moved, text) == 0) {
        FUZZ_CHECK(molt_url_parse(&url, moved) == 0 && url.tls);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 65536) return 0;
    uint32_t range_from = data[0] & 1 ? data[1] : 0;
    size_t piece = 1 + (data[0] >> 1) % 17;
    data += 2;
    size -= 2;
    struct outcome whole = respond(data, size, range_from, size + 1);
    struct outcome split = respond(data, size, range_from, piece);
    FUZZ_CHECK(whole.rc == split.rc && whole.body_len == split.body_len && whole.sum == split.sum);
    FUZZ_CHECK(whole.rc < 0 || (whole.left == split.left && strcmp(whole.location, split.location) == 0));
    FUZZ_CHECK(whole.body_len <= size);
    char *text = malloc(size + 1);
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    request(text);
    free(text);
    return 0;
}
