/* response.c - reads a response from bytes of any split; the body comes out as slices of the caller's buffer.
 * Must never deliver a byte of body whose framing is in doubt. Tests: test/unit/http_response_test.c. */
#include "http.h"

#include <string.h>

#include "../util/text.h"

enum state {
    STATUS_LINE, /* "HTTP/1.1 200", against a pattern */
    REASON,      /* the rest of the status line */
    LINE_START,
    NAME,
    VALUE,
    BODY_START,
    BODY_LENGTH,
    BODY_CLOSE, /* until the peer closes */
    CHUNK_DATA,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_END, /* the line end behind a chunk's data */
    TRAILER_START,
    TRAILER,
    DONE
};

enum flag {
    CHUNKED = 2,
    SAW_RANGE = 4,
    HTTP10 = 8,
    ENCODED = 16, /* Content-Encoding that is not identity */
    UNKNOWN_TRANSFER = 32,
    VALUE_LONG = 64, /* the value being read does not fit */
    SAW_CR = 128,    /* LF must follow */
};

enum header { OTHER, LENGTH, TRANSFER, ENCODING, RANGE, RETRY_AFTER, ETAG, LOCATION };

/* In the order of enum header, from LENGTH on. */
static const char header_names[] = "content-length\0transfer-encoding\0content-encoding\0content-range\0"
                                   "retry-after\0etag\0location\0";

void molt_response_begin(struct molt_response *res, const struct molt_response_expect *expect, char *location,
                         size_t cap)
{
    memset(res, 0, sizeof *res);
    res->expect = *expect;
    res->location = location;
    res->location_cap = cap;
    location[0] = '\0';
}

/* ---- values ---- */

static int end_length(struct molt_response *res, const char *value, size_t len)
{
    uint32_t length;
    if (!molt_text_to_u32(value, len, UINT32_MAX, &length)) {
        for (size_t i = 0; i < len; i++) {
            if (value[i] < '0' || value[i] > '9') return -MOLT_HTTP_MALFORMED;
        }
        return len == 0 ? -MOLT_HTTP_MALFORMED : -MOLT_TOO_LARGE;
    }
    if (res->has_length && length != res->length) return -MOLT_HTTP_MALFORMED;
    res->has_length = true;
    res->length = length;
    return 0;
}

/* Reads a number that ends at `stop`; *text goes behind it, to NULL when there is none. */
static uint32_t number_until(const char **text, const char *end, char stop)
{
    const char *at = *text == NULL ? NULL : memchr(*text, stop, (size_t)(end - *text));
    uint32_t number = 0;
    if (at != NULL && !molt_text_to_u32(*text, (size_t)(at - *text), UINT32_MAX, &number)) at = NULL;
    *text = at == NULL ? NULL : at + 1;
    return number;
}

/* "bytes 100-199/200" or "bytes 100-199/" and an asterisk; anything else says nothing. */
static void end_range(struct molt_response *res, const char *value, size_t len)
{
    if (len < 6 || !molt_text_is(value, 6, "bytes ")) return;
    const char *end = value + len, *at = value + 6;
    res->range_first = number_until(&at, end, '-');
    res->range_last = number_until(&at, end, '/');
    if (at == NULL || res->range_last < res->range_first) return;
    if (end - at != 1 || *at != '*') {
        if (!molt_text_to_u32(at, (size_t)(end - at), UINT32_MAX, &res->total)) return;
        if (res->range_last >= res->total) return;
    }
    res->flags |= SAW_RANGE;
}

static void end_transfer(struct molt_response *res, const char *value, size_t len)
{
    bool is_first = (res->flags & (CHUNKED | UNKNOWN_TRANSFER)) == 0;
    res->flags |= is_first && molt_text_is(value, len, "chunked") ? CHUNKED : UNKNOWN_TRANSFER;
}

/* The name of a header is complete: is it one that matters, and where does its value go? */
static void begin_value(struct molt_response *res)
{
    const char *name = header_names;
    res->header = LENGTH;
    while (*name != '\0' && !molt_text_is(res->text, res->fill, name)) {
        name += strlen(name) + 1;
        res->header++;
    }
    res->value = res->text;
    res->value_cap = sizeof res->text;
    if (*name == '\0') {
        res->header = OTHER;
        res->value_cap = 0;
    } else if (res->header == ETAG) {
        res->value = res->etag;
        res->value_cap = MOLT_ETAG_MAX;
    } else if (res->header == LOCATION) {
        res->value = res->location;
        res->value_cap = res->location_cap - 1;
    }
    res->value_len = 0;
    res->state = VALUE;
}

/* A header line is complete: value_len characters of value, with trailing space. */
static int end_header(struct molt_response *res)
{
    char *value = res->value;
    size_t len = res->value_len;
    bool is_long = (res->flags & VALUE_LONG) != 0;
    res->flags &= (uint8_t)~VALUE_LONG;
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (is_long) len = 0; /* as good as nothing */
    switch (res->header) {
    case LENGTH:
        return end_length(res, value, len);
    case TRANSFER:
        end_transfer(res, value, len);
        break;
    case ENCODING:
        if (!molt_text_is(value, len, "identity")) res->flags |= ENCODED;
        break;
    case RANGE:
        end_range(res, value, len);
        break;
    case RETRY_AFTER:
        res->has_retry_after = molt_text_to_u32(value, len, UINT32_MAX, &res->retry_after_s);
        break;
    case ETAG:
        if (value[0] != '"') len = 0; /* a weak one is of no use for ranges */
        value[len] = '\0';
        break;
    case LOCATION:
        value[len] = '\0';
        break;
    default:
        break;
    }
    return 0;
}

/* ---- the head, a byte at a time ---- */

static bool is_token(char c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26 || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(char c)
{
    return c == '\t' || (uint8_t)c >= 0x80 || (c >= 0x20 && c != 0x7F);
}

static int status_byte(struct molt_response *res, char c)
{
    static const char pattern[] = "HTTP/1.? ###";
    char want = pattern[res->fill++];
    unsigned digit = (unsigned)c - '0';
    if (want == '#') {
        if (digit > 9) return -MOLT_HTTP_MALFORMED;
        res->status = (uint16_t)(res->status * 10 + digit);
    } else if (want == '?') {
        if (digit > 1) return -MOLT_HTTP_MALFORMED;
        if (digit == 0) res->flags |= HTTP10;
    } else if (c != want) {
        return -MOLT_HTTP_MALFORMED;
    }
    if (res->fill < sizeof pattern - 1) return 0;
    if (res->status < 100 || res->status > 599) return -MOLT_HTTP_MALFORMED;
    res->state = REASON;
    res->fill = 0;
    return 0;
}

static int name_byte(struct molt_response *res, char c)
{
    if (c == ':' && res->fill > 0) {
        begin_value(res);
        return 0;
    }
    if (!is_token(c)) return -MOLT_HTTP_MALFORMED;                /* a space before the colon, too */
    if (res->fill < sizeof res->text) res->text[res->fill++] = c; /* a longer name is none of ours */
    return 0;
}

static int value_byte(struct molt_response *res, char c)
{
    if (!is_text(c)) return -MOLT_HTTP_MALFORMED;
    if (res->value_len == 0 && (c == ' ' || c == '\t')) return 0;
    if (res->value_len < res->value_cap) {
        res->value[res->value_len++] = c;
    } else {
        res->flags |= VALUE_LONG;
    }
    return 0;
}

/* RFC 9112, 6.3: what follows the head. */
static int end_head(struct molt_response *res)
{
    if (res->status < 200) { /* an interim response: the real one follows */
        if (res->status == 101) return -MOLT_HTTP_MALFORMED;
        uint32_t head_len = res->head_len;
        molt_response_begin(res, &(struct molt_response_expect){res->expect.range_from}, res->location,
                            res->location_cap);
        res->head_len = head_len;
        return 0;
    }
    bool is_good = res->status < 300;
    if ((res->flags & UNKNOWN_TRANSFER) != 0) return -MOLT_HTTP_ENCODING;
    if ((res->flags & CHUNKED) != 0 && (res->flags & HTTP10) != 0) return -MOLT_HTTP_ENCODING;
    if ((res->flags & CHUNKED) != 0 && res->has_length) return -MOLT_HTTP_MALFORMED;
    if (is_good && (res->flags & ENCODED) != 0) return -MOLT_HTTP_ENCODING;
    if (res->status == 206) {
        if ((res->flags & SAW_RANGE) == 0 || res->expect.range_from == 0 ||
            res->range_first != res->expect.range_from) {
            return -MOLT_HTTP_RANGE;
        }
        if (res->has_length && res->length - 1 != res->range_last - res->range_first) return -MOLT_HTTP_RANGE;
        res->has_range = true;
    } else {
        res->total = 0;
    }
    res->left = res->has_length ? res->length : 0;
    res->state = BODY_START;
    return 0;
}

/* ---- lines: of the head, between chunks and behind the last ---- */

static int chunk_size_end(struct molt_response *res)
{
    if (res->fill == 0) return -MOLT_HTTP_MALFORMED;
    res->state = res->left == 0 ? TRAILER_START : CHUNK_DATA;
    res->head_len = 0;
    return res->left > UINT32_MAX - res->received ? -MOLT_TOO_LARGE : 0;
}

static int chunk_size_byte(struct molt_response *res, char c)
{
    int digit = molt_hex_digit(c);
    if (digit >= 0) {
        if (res->left >> 28 != 0) return -MOLT_TOO_LARGE;
        res->left = res->left << 4 | (uint32_t)digit;
        return ++res->fill <= 16 ? 0 : -MOLT_HTTP_MALFORMED; /* zeros without end */
    }
    if (res->fill == 0 || (c != ';' && c != ' ' && c != '\t')) return -MOLT_HTTP_MALFORMED;
    res->state = CHUNK_EXTENSION;
    return 0;
}

static int line_end(struct molt_response *res)
{
    switch (res->state) {
    case LINE_START:
        return end_head(res);
    case VALUE:
        res->state = LINE_START;
        return end_header(res);
    case REASON:
        res->state = LINE_START;
        return 0;
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
        return chunk_size_end(res);
    case CHUNK_END:
        res->state = CHUNK_SIZE;
        res->fill = 0;
        return 0;
    case TRAILER_START:
        res->state = DONE;
        return 0;
    case TRAILER:
        res->state = TRAILER_START;
        return 0;
    default: /* within the pattern or a name */
        return -MOLT_HTTP_MALFORMED;
    }
}

/* A byte that is no line end. */
static int line_byte(struct molt_response *res, char c)
{
    switch (res->state) {
    case STATUS_LINE:
        return status_byte(res, c);
    case REASON:
        if (!is_text(c) || (res->fill == 0 && c != ' ')) return -MOLT_HTTP_MALFORMED;
        res->fill = 1;
        return 0;
    case LINE_START:
        res->fill = 0;
        res->state = NAME;
        return name_byte(res, c);
    case NAME:
        return name_byte(res, c);
    case VALUE:
        return value_byte(res, c);
    case CHUNK_SIZE:
        return chunk_size_byte(res, c);
    case CHUNK_EXTENSION:
        return is_text(c) ? 0 : -MOLT_HTTP_MALFORMED;
    case TRAILER_START:
        res->state = TRAILER;
        return 0;
    case TRAILER:
        return 0;
    default: /* behind a chunk */
        return -MOLT_HTTP_MALFORMED;
    }
}

/* Lines end with CR LF or LF alone; head, trailer and each line between chunks are bounded. */
static int take_byte(struct molt_response *res, char c)
{
    bool saw_cr = (res->flags & SAW_CR) != 0;
    if (++res->head_len > MOLT_HTTP_HEAD_MAX) return -MOLT_HTTP_HEAD_LONG;
    res->flags &= (uint8_t)~SAW_CR;
    if (c == '\n') return line_end(res);
    if (saw_cr) return -MOLT_HTTP_MALFORMED;
    if (c != '\r') return line_byte(res, c);
    res->flags |= SAW_CR;
    return 0;
}

/* ---- the body ---- */

/* The state after the head, once the head has been reported. */
static uint8_t body_state(struct molt_response *res)
{
    if (res->status == 204 || res->status == 304) return DONE;
    res->fill = 0;
    if ((res->flags & CHUNKED) != 0) {
        res->left = 0;
        return CHUNK_SIZE;
    }
    if (!res->has_length) return BODY_CLOSE;
    return res->left == 0 ? DONE : BODY_LENGTH;
}

static int take_body(struct molt_response *res, const uint8_t **data, size_t *len, const uint8_t **body,
                     size_t *body_len)
{
    uint32_t most = res->state == BODY_CLOSE ? UINT32_MAX - res->received : res->left;
    if (most == 0) return -MOLT_TOO_LARGE;
    size_t taken = *len < most ? *len : most;
    *body = *data;
    *body_len = taken;
    *data += taken;
    *len -= taken;
    res->received += (uint32_t)taken;
    if (res->state == BODY_CLOSE) return MOLT_HTTP_BODY;
    res->left -= (uint32_t)taken;
    if (res->left == 0) res->state = res->state == CHUNK_DATA ? CHUNK_END : DONE;
    return MOLT_HTTP_BODY;
}

static int feed(struct molt_response *res, const uint8_t **data, size_t *len, const uint8_t **body,
                size_t *body_len)
{
    for (;;) { /* each round takes a byte or returns */
        if (res->state == DONE) return MOLT_HTTP_DONE;
        if (*len == 0) return MOLT_HTTP_MORE;
        if (res->state >= BODY_LENGTH && res->state <= CHUNK_DATA) {
            return take_body(res, data, len, body, body_len);
        }
        char c = (char)**data;
        ++*data;
        --*len;
        int rc = take_byte(res, c);
        if (rc < 0) return rc;
        if (res->state == BODY_START) {
            res->state = body_state(res);
            return MOLT_HTTP_HEAD;
        }
    }
}

int molt_response_feed(struct molt_response *res, const uint8_t **data, size_t *len, const uint8_t **body,
                       size_t *body_len)
{
    *body = NULL;
    *body_len = 0;
    if (res->failed == 0) {
        int rc = feed(res, data, len, body, body_len);
        if (rc >= 0) return rc;
        res->failed = rc;
    }
    return res->failed;
}

int molt_response_end(struct molt_response *res)
{
    if (res->failed != 0) return res->failed;
    if (res->state == BODY_CLOSE) res->state = DONE;
    if (res->state == DONE) return MOLT_HTTP_DONE;
    res->failed = -MOLT_CONNECTION_LOST;
    return res->failed;
}
