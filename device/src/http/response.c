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
    LINE_LF, /* LF after the CR of a status or header line */
    HEAD_LF, /* LF after the CR of the empty line */
    BODY_START,
    BODY_LENGTH,
    BODY_CLOSE, /* until the peer closes */
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER,
    TRAILER_LF,
    END_LF, /* LF after the CR of the line that ends the trailer */
    DONE
};

enum flag {
    SAW_LENGTH = 1,
    CHUNKED = 2,
    SAW_RANGE = 4,
    HTTP10 = 8,
    ENCODED = 16, /* Content-Encoding that is not identity */
    SAW_TRANSFER = 32,
    UNKNOWN_TRANSFER = 64,
    VALUE_LONG = 128, /* the value being read does not fit */
};

enum header { OTHER, LENGTH, TRANSFER, ENCODING, RANGE, RETRY_AFTER, ETAG, LOCATION };

static const char *const header_names[] = {
    "",     "content-length", "transfer-encoding", "content-encoding", "content-range", "retry-after",
    "etag", "location",
};

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

/* Where the value of the current header is kept, and how many characters fit. */
static char *value_room(struct molt_response *res, size_t *cap)
{
    switch (res->header) {
    case OTHER:
        *cap = 0;
        return res->text;
    case ETAG:
        *cap = MOLT_ETAG_MAX;
        return res->etag;
    case LOCATION:
        *cap = res->location_cap - 1;
        return res->location;
    default:
        *cap = sizeof res->text;
        return res->text;
    }
}

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

/* "bytes 100-199/200" or "bytes 100-199/" and an asterisk. */
static int end_range(struct molt_response *res, const char *value, size_t len)
{
    const char *dash = memchr(value, '-', len);
    const char *slash = memchr(value, '/', len);
    if (len < 6 || !molt_text_is(value, 6, "bytes ") || dash == NULL || slash == NULL || dash > slash)
        return 0;
    const char *total = slash + 1;
    size_t total_len = (size_t)(value + len - total);
    if (!molt_text_to_u32(value + 6, (size_t)(dash - value - 6), UINT32_MAX, &res->range_first)) return 0;
    if (!molt_text_to_u32(dash + 1, (size_t)(slash - dash - 1), UINT32_MAX, &res->range_last)) return 0;
    if (res->range_last < res->range_first) return 0;
    bool any = total_len == 1 && *total == '*';
    if (!any) {
        if (!molt_text_to_u32(total, total_len, UINT32_MAX, &res->total)) return 0;
        if (res->range_last >= res->total) return 0;
    }
    res->flags |= SAW_RANGE;
    return 0;
}

static int end_transfer(struct molt_response *res, const char *value, size_t len)
{
    bool again = (res->flags & SAW_TRANSFER) != 0;
    res->flags |= SAW_TRANSFER;
    if (!again && molt_text_is(value, len, "chunked")) {
        res->flags |= CHUNKED;
    } else {
        res->flags |= UNKNOWN_TRANSFER;
    }
    return 0;
}

/* A header line is complete: the value lies in its room, value_len characters with trailing space. */
static int end_header(struct molt_response *res)
{
    size_t cap, len = res->value_len;
    char *value = value_room(res, &cap);
    bool is_long = (res->flags & VALUE_LONG) != 0;
    res->flags = (uint8_t)(res->flags & ~VALUE_LONG);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    switch (res->header) {
    case LENGTH:
        return is_long ? -MOLT_HTTP_MALFORMED : end_length(res, value, len);
    case TRANSFER:
        return end_transfer(res, value, is_long ? 0 : len);
    case ENCODING:
        if (is_long || !molt_text_is(value, len, "identity")) res->flags |= ENCODED;
        return 0;
    case RANGE:
        return is_long ? 0 : end_range(res, value, len);
    case RETRY_AFTER:
        res->has_retry_after = !is_long && molt_text_to_u32(value, len, UINT32_MAX, &res->retry_after_s);
        return 0;
    case ETAG: /* a weak one is of no use for ranges */
        value[is_long || len == 0 || value[0] != '"' ? 0 : len] = '\0';
        return 0;
    case LOCATION:
        value[is_long ? 0 : len] = '\0';
        return 0;
    default:
        return 0;
    }
}

/* ---- the head, a byte at a time ---- */

static bool is_token(char c)
{
    char lower = molt_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(char c)
{
    return c == '\t' || (uint8_t)c >= 0x80 || (c >= 0x20 && c != 0x7F);
}

static int status_byte(struct molt_response *res, char c)
{
    static const char pattern[] = "HTTP/1.? ###";
    char want = pattern[res->fill];
    bool is_digit = c >= '0' && c <= '9';
    if (want == '#' ? !is_digit : want == '?' ? c != '0' && c != '1' : c != want) return -MOLT_HTTP_MALFORMED;
    if (want == '?' && c == '0') res->flags |= HTTP10;
    if (want == '#') res->status = (uint16_t)(res->status * 10 + (c - '0'));
    res->fill++;
    if (pattern[res->fill] != '\0') return 0;
    if (res->status < 100 || res->status > 599) return -MOLT_HTTP_MALFORMED;
    res->state = REASON;
    res->fill = 0;
    return 0;
}

static int reason_byte(struct molt_response *res, char c)
{
    if (c == '\r' || c == '\n') {
        res->state = c == '\r' ? LINE_LF : LINE_START;
        return 0;
    }
    if (!is_text(c) || (res->fill == 0 && c != ' ')) return -MOLT_HTTP_MALFORMED;
    res->fill = 1;
    return 0;
}

static int name_byte(struct molt_response *res, char c)
{
    if (c == ':' && res->fill > 0) {
        res->header = OTHER;
        for (uint8_t i = LENGTH; i <= LOCATION; i++) {
            if (molt_text_is(res->text, res->fill, header_names[i])) res->header = i;
        }
        res->value_len = 0;
        res->state = VALUE;
        return 0;
    }
    if (!is_token(c)) return -MOLT_HTTP_MALFORMED;                /* a space before the colon, too */
    if (res->fill < sizeof res->text) res->text[res->fill++] = c; /* a longer name is none of ours */
    return 0;
}

static int value_byte(struct molt_response *res, char c)
{
    if (c == '\r' || c == '\n') {
        res->state = c == '\r' ? LINE_LF : LINE_START;
        res->fill = 0;
        return end_header(res);
    }
    if (!is_text(c)) return -MOLT_HTTP_MALFORMED;
    if (res->value_len == 0 && (c == ' ' || c == '\t')) return 0;
    size_t cap;
    char *room = value_room(res, &cap);
    if (res->value_len < cap) {
        room[res->value_len++] = c;
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

static int head_byte(struct molt_response *res, char c)
{
    if (++res->head_len > MOLT_HTTP_HEAD_MAX) return -MOLT_HTTP_HEAD_LONG;
    switch (res->state) {
    case STATUS_LINE:
        return status_byte(res, c);
    case REASON:
        return reason_byte(res, c);
    case LINE_START:
        res->fill = 0;
        if (c == '\n') return end_head(res);
        res->state = c == '\r' ? HEAD_LF : NAME;
        return c == '\r' ? 0 : name_byte(res, c);
    case NAME:
        return name_byte(res, c);
    case VALUE:
        return value_byte(res, c);
    case LINE_LF:
        res->state = LINE_START;
        return c == '\n' ? 0 : -MOLT_HTTP_MALFORMED;
    default:
        return c == '\n' ? end_head(res) : -MOLT_HTTP_MALFORMED;
    }
}

/* ---- the body ---- */

static int chunk_size_end(struct molt_response *res)
{
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
    if (res->fill == 0) return -MOLT_HTTP_MALFORMED;
    if (c == '\n') return chunk_size_end(res);
    if (c != '\r' && c != ';' && c != ' ' && c != '\t') return -MOLT_HTTP_MALFORMED;
    res->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return 0;
}

/* The lines between chunks and behind the last; each, and the trailer, is bounded as the head is. */
static int chunk_line_byte(struct molt_response *res, char c)
{
    if (++res->head_len > MOLT_HTTP_HEAD_MAX) return -MOLT_HTTP_HEAD_LONG;
    switch (res->state) {
    case CHUNK_SIZE:
        return chunk_size_byte(res, c);
    case CHUNK_EXTENSION:
        if (c == '\n') return chunk_size_end(res);
        if (c == '\r') res->state = CHUNK_SIZE_LF;
        return c == '\r' || is_text(c) ? 0 : -MOLT_HTTP_MALFORMED;
    case CHUNK_SIZE_LF:
        return c == '\n' ? chunk_size_end(res) : -MOLT_HTTP_MALFORMED;
    case CHUNK_DATA_CR:
        res->state = c == '\r' ? CHUNK_DATA_LF : CHUNK_SIZE;
        res->fill = 0;
        return c == '\r' || c == '\n' ? 0 : -MOLT_HTTP_MALFORMED;
    case CHUNK_DATA_LF:
        res->state = CHUNK_SIZE;
        return c == '\n' ? 0 : -MOLT_HTTP_MALFORMED;
    case TRAILER_START:
        res->state = c == '\r' ? END_LF : c == '\n' ? DONE : TRAILER;
        return 0;
    case TRAILER:
        if (c == '\r' || c == '\n') res->state = c == '\r' ? TRAILER_LF : TRAILER_START;
        return 0;
    case TRAILER_LF:
        res->state = TRAILER_START;
        return c == '\n' ? 0 : -MOLT_HTTP_MALFORMED;
    default: /* END_LF */
        res->state = DONE;
        return c == '\n' ? 0 : -MOLT_HTTP_MALFORMED;
    }
}

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
    if (res->left == 0) res->state = res->state == CHUNK_DATA ? CHUNK_DATA_CR : DONE;
    return MOLT_HTTP_BODY;
}

static int feed(struct molt_response *res, const uint8_t **data, size_t *len, const uint8_t **body,
                size_t *body_len)
{
    for (;;) { /* each round takes a byte or returns */
        if (res->state == DONE) return MOLT_HTTP_DONE;
        if (*len == 0) return MOLT_HTTP_MORE;
        if (res->state == BODY_LENGTH || res->state == BODY_CLOSE || res->state == CHUNK_DATA) {
            return take_body(res, data, len, body, body_len);
        }
        char c = (char)**data;
        ++*data;
        --*len;
        int rc = res->state < BODY_START ? head_byte(res, c) : chunk_line_byte(res, c);
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
