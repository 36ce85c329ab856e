/* request_fuzz.c - any bytes as a request's head, whole and in pieces: no crash, the same verdict, and what is
 * accepted can be read in one way only. Corpus: test/fuzz/corpus/request. */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "server/net/net.h"

static enum net_parse parse(struct http_exchange *x, const uint8_t *data, size_t size, size_t piece)
{
    enum net_parse r = NET_MORE;
    memset(x, 0, sizeof *x);
    x->spool_fd = -1;
    net_head_reset(x, 0);
    for (size_t at = 0; at < size && r == NET_MORE; at += piece) {
        size_t len = piece < size - at ? piece : size - at;
        if (!net_in_reserve(x, len)) abort();
        memcpy(x->in + x->in_len, data + at, len);
        x->in_len += len;
        r = net_head_parse(x);
    }
    return r;
}

static void check_header(const struct http_exchange *x, const struct net_header *h)
{
    FUZZ_CHECK(h->name_len > 0 && h->name_off + h->name_len < x->head_len);
    FUZZ_CHECK(h->value_off > h->name_off + h->name_len && h->value_off + h->value_len <= x->head_len - 2);
    FUZZ_CHECK(x->in[h->name_off + h->name_len] == ':');
    for (unsigned i = 0; i < h->name_len; i++)
        FUZZ_CHECK(net_token_char((unsigned char)x->in[h->name_off + i]));
    for (unsigned i = 0; i < h->value_len; i++) {
        unsigned char c = (unsigned char)x->in[h->value_off + i];
        FUZZ_CHECK((c >= 0x20 || c == '\t') && c != 0x7f);
    }
}

static void check_accepted(const struct http_exchange *x)
{
    struct http_slice path = http_path(x);
    char decoded[NET_HEAD_MAX + 1];
    FUZZ_CHECK(x->head_len <= NET_HEAD_MAX + 1 && x->header_count <= NET_HEADERS_MAX);
    FUZZ_CHECK(memcmp(x->in + x->head_len - 4, "\r\n\r\n", 4) == 0);
    FUZZ_CHECK(path.len > 0 && path.p[0] == '/' && !memchr(path.p, ' ', path.len) &&
               !memchr(path.p, '?', path.len));
    for (unsigned i = 0; i < x->header_count; i++)
        check_header(x, &x->headers[i]);
    FUZZ_CHECK(http_header(x, "transfer-encoding", 0).p == NULL);
    FUZZ_CHECK(http_header(x, "content-length", 1).p == NULL && http_header(x, "host", 1).p == NULL);
    FUZZ_CHECK(http_header(x, "host", 0).p || http_minor_version(x) == 0);
    FUZZ_CHECK(x->body_len == 0 || http_header(x, "content-length", 0).len > 0);
    if (http_path_decode(x, decoded, sizeof decoded))
        FUZZ_CHECK(decoded[0] == '/' && !strstr(decoded, "..") && !strchr(decoded, '\\'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_exchange whole, split;
    if (size < 1 || size > 65536) return 0;
    size_t piece = 1 + data[0] % 23;
    enum net_parse a = parse(&whole, data + 1, size - 1, size);
    enum net_parse b = parse(&split, data + 1, size - 1, piece);
    FUZZ_CHECK(a == b);
    if (a == NET_BAD) FUZZ_CHECK(whole.bad_status >= 400 && split.bad_status >= 400);
    if (a == NET_DONE) {
        check_accepted(&whole);
        FUZZ_CHECK(whole.head_len == split.head_len && memcmp(whole.in, split.in, whole.head_len) == 0);
        FUZZ_CHECK(whole.body_len == split.body_len && whole.method == split.method);
        FUZZ_CHECK(whole.keep_alive == split.keep_alive && whole.header_count == split.header_count);
    }
    free(whole.in);
    free(split.in);
    return 0;
}
