/* response.c - reads a response from bytes of any split; the body comes out as slices of the caller's buffer.
 * Must never deliver a byte of body whose framing is in doubt. Tests: test/unit/http_response_test.c. */
#include "http.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/text.h"

#define CHUNK_DIGITS_MAX 16u

/* Status line and chunk lines are read like the values of headers, and told apart when they are complete. */
enum state {
    VALUE, /* up to the end of the line */
    NAME,  /* of a header; fill 0: the line begins, and ends the head when nothing comes */
    BODY_LENGTH,
    BODY_CLOSE, /* until the peer closes */
    CHUNK_DATA,
    CHUNK_END, /* the line end behind a chunk's data */
    DONE
};

enum flag {
    TRAILER = 1, /* the headers behind the last chunk, which say nothing */
    CHUNKED = 2,
    SAW_RANGE = 4,
    HTTP10 = 8,
    ENCODED = 16, /* Content-Encoding that is not identity */
    UNKNOWN_TRANSFER = 32,
    VALUE_LONG = 64, /* the value being read does not fit */
    SAW_CR = 128,    /* LF must follow */
};

enum value { STATUS_LINE, CHUNK_LINE, LENGTH, TRANSFER, ENCODING, RANGE, RETRY_AFTER, ETAG, LOCATION, OTHER };

/* In the order of enum value, from LENGTH on; what is not among them is OTHER. */
static const char header_names[] = "content-length\0transfer-encoding\0content-encoding\0content-range\0"
                                   "retry-after\0etag\0location\0";

/* The next line, or the rest of this one, is a value: kept where it fits, NUL-terminated when it is complete. */
static void begin_value(struct molt_response *res, uint32_t kind)
{
    res->state = VALUE;
    res->header = (uint8_t)kind;
    res->value = res->text;
    res->value_cap = sizeof res->text - 1;
    res->value_len = 0;
}

void molt_response_begin(struct molt_response *res, const struct molt_response_expect *expect, char *location,
                         size_t cap)
{
    memset(res, 0, sizeof *res);
    res->expect = *expect;
    res->location = location;
    res->location_cap = cap;
    location[0] = '\0';
    begin_value(res, STATUS_LINE);
}

/* ---- values ---- */

static int end_status(struct molt_response *res)
{
    const char *line = res->text; /* what a short line leaves out is NUL */
    uint32_t status;
    if (memcmp(line, "HTTP/1.", 7) != 0 || (line[7] & ~1) != '0' || line[8] != ' ')
        return -MOLT_HTTP_MALFORMED;
    if (!molt_text_to_u32(line + 9, 3, 599, &status) || status < 100) return -MOLT_HTTP_MALFORMED;
    if (line[12] != '\0' && line[12] != ' ') return -MOLT_HTTP_MALFORMED;
    if (line[7] == '0') res->flags |= HTTP10;
    res->status = (uint16_t)status;
    return 0;
}

static size_t digits(const char *text, uint32_t base)
{
    size_t n = 0;
    while ((uint32_t)molt_hex_digit(text[n]) < base)
        n++;
    return n;
}

/* Reads a decimal number that ends at `stop`; *text goes behind it. False: there is none. */
static bool number_until(const char **text, char stop, uint32_t *number)
{
    const char *at = *text;
    size_t n = digits(at, 10);
    *text = at + n + 1;
    return at[n] == stop && molt_text_to_u32(at, n, UINT32_MAX, number);
}

static int end_length(struct molt_response *res, const char *value)
{
    uint32_t length;
    size_t n = digits(value, 10);
    if (n == 0 || value[n] != '\0') return -MOLT_HTTP_MALFORMED;
    if (!molt_text_to_u32(value, n, UINT32_MAX, &length)) return -MOLT_TOO_LARGE;
    if (res->has_length && length != res->length) return -MOLT_HTTP_MALFORMED;
    res->has_length = true;
    res->length = length;
    return 0;
}

/* "1a0;name=value": a size, and perhaps more that says nothing. Behind the last chunk come the trailers. */
static int end_chunk_line(struct molt_response *res, const char *line)
{
    size_t n = digits(line, 16);
    if (n == 0 || n > CHUNK_DIGITS_MAX || (line[n] != '\0' && strchr("; \t", line[n]) == NULL))
        return -MOLT_HTTP_MALFORMED; /* zeros without end, too */
    if (!molt_hex_to_u32(line, n, UINT32_MAX - res->received, &res->left)) return -MOLT_TOO_LARGE;
    res->head_len = 0;
    if (res->left == 0) {
        res->flags |= TRAILER;
    } else {
        res->state = CHUNK_DATA;
    }
    return 0;
}

/* "bytes 100-199/200" or "bytes 100-199/" and an asterisk; anything else says nothing. */
static void end_range(struct molt_response *res, const char *value)
{
    if (!molt_text_is(value, 6, "bytes ")) return;
    value += 6;
    if (!number_until(&value, '-', &res->range_first) || !number_until(&value, '/', &res->range_last)) return;
    if (res->range_last < res->range_first) return;
    if (value[0] != '*' || value[1] != '\0') {
        if (!number_until(&value, '\0', &res->total) || res->range_last >= res->total) return;
    }
    res->flags |= SAW_RANGE;
}

/* The name of a header is complete: is it one that matters, and where does its value go? */
static void end_name(struct molt_response *res)
{
    const char *name = header_names;
    uint32_t kind = LENGTH;
    for (; kind < OTHER && !molt_text_is(res->text, res->fill, name); kind++)
        name += strlen(name) + 1;
    if ((res->flags & TRAILER) != 0) kind = OTHER;
    begin_value(res, kind);
    if (kind == ETAG) {
        res->value = res->etag;
        res->value_cap = MOLT_ETAG_MAX;
    } else if (kind == LOCATION) {
        res->value = res->location;
        res->value_cap = res->location_cap - 1;
    }
}

/* A line is complete: value_len characters of value, with trailing space. */
static int end_value(struct molt_response *res)
{
    char *value = res->value;
    size_t len = res->value_len;
    uint32_t kind = res->header;
    bool is_long = (res->flags & VALUE_LONG) != 0;
    res->flags &= (uint8_t)~VALUE_LONG;
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (kind == ETAG && value[0] != '"') len = 0; /* a weak one is of no use for ranges */
    if (is_long && kind > CHUNK_LINE) len = 0;    /* as good as nothing */
    value[len] = '\0';
    res->state = NAME;
    res->fill = 0;
    if (kind == STATUS_LINE) return end_status(res);
    if (kind == CHUNK_LINE) return end_chunk_line(res, value);
    if (kind == LENGTH) return end_length(res, value);
    if (kind == TRANSFER) {
        bool is_first = (res->flags & (CHUNKED | UNKNOWN_TRANSFER)) == 0;
        res->flags |= is_first && molt_text_is(value, len, "chunked") ? CHUNKED : UNKNOWN_TRANSFER;
    }
    if (kind == ENCODING && !molt_text_is(value, len, "identity")) res->flags |= ENCODED;
    if (kind == RANGE) end_range(res, value);
    if (kind == RETRY_AFTER) {
        const char *at = value;
        res->has_retry_after = number_until(&at, '\0', &res->retry_after_s);
    }
    return 0;
}

/* ---- the head, a byte at a time ---- */

static bool is_token(char c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26 || (c != '\0' && strchr("!#$%&'*+-.0123456789^_`|~", c) != NULL);
}

static bool is_text(char c)
{
    return c == '\t' || (uint8_t)c >= 0x80 || (c >= 0x20 && c != 0x7F);
}

static int name_byte(struct molt_response *res, char c)
{
    if (c == ':' && res->fill > 0) {
        end_name(res);
        return 0;
    }
    if (!is_token(c)) return -MOLT_HTTP_MALFORMED;                /* a space before the colon, too */
    if (res->fill < sizeof res->text) res->text[res->fill++] = c; /* a longer name is none of ours */
    return 0;
}

static int value_byte(struct molt_response *res, char c)
{
    if (!is_text(c)) return -MOLT_HTTP_MALFORMED;
    if (res->value_len == 0 && res->header > CHUNK_LINE && (c == ' ' || c == '\t')) return 0;
    if (res->value_len < res->value_cap) {
        res->value[res->value_len++] = c;
    } else {
        res->flags |= VALUE_LONG;
    }
    return 0;
}

/* RFC 9112, 6.3: what follows the head, once it has been reported. */
static void begin_body(struct molt_response *res)
{
    res->left = res->has_length ? res->length : UINT32_MAX;
    res->state = res->has_length ? BODY_LENGTH : BODY_CLOSE;
    if ((res->flags & CHUNKED) != 0) begin_value(res, CHUNK_LINE);
    if (res->status == 204 || res->status == 304 || res->left == 0) res->state = DONE;
}

/* The line without anything: MOLT_HTTP_HEAD, or 0 when it ended an interim response or the trailers. */
static int end_head(struct molt_response *res)
{
    uint32_t flags = res->flags;
    if ((flags & TRAILER) != 0) {
        res->state = DONE;
        return 0;
    }
    if (res->status < 200) { /* an interim response: the real one follows */
        if (res->status == 101) return -MOLT_HTTP_MALFORMED;
        uint32_t head_len = res->head_len;
        const struct molt_response_expect expect = res->expect;
        molt_response_begin(res, &expect, res->location, res->location_cap);
        res->head_len = head_len;
        return 0;
    }
    if ((flags & UNKNOWN_TRANSFER) != 0) return -MOLT_HTTP_ENCODING;
    if ((flags & CHUNKED) != 0 && (flags & HTTP10) != 0) return -MOLT_HTTP_ENCODING;
    if ((flags & CHUNKED) != 0 && res->has_length) return -MOLT_HTTP_MALFORMED;
    if (res->status < 300 && (flags & ENCODED) != 0) return -MOLT_HTTP_ENCODING;
    if (res->status == 206) {
        uint32_t from = res->expect.range_from;
        if ((flags & SAW_RANGE) == 0 || from == 0 || res->range_first != from) return -MOLT_HTTP_RANGE;
        if (res->has_length && res->length - 1 != res->range_last - from) return -MOLT_HTTP_RANGE;
    } else {
        res->total = 0;
    }
    begin_body(res);
    return MOLT_HTTP_HEAD;
}

static int line_end(struct molt_response *res)
{
    if (res->state == VALUE) return end_value(res);
    if (res->state == NAME) return res->fill == 0 ? end_head(res) : -MOLT_HTTP_MALFORMED;
    begin_value(res, CHUNK_LINE); /* behind a chunk */
    return 0;
}

/* Lines end with CR LF or LF alone; head, trailer and each line between chunks are bounded. */
static int take_byte(struct molt_response *res, char c)
{
    bool saw_cr = (res->flags & SAW_CR) != 0;
    if (++res->head_len > MOLT_HTTP_HEAD_MAX) return -MOLT_HTTP_HEAD_LONG;
    res->flags &= (uint8_t)~SAW_CR;
    if (c == '\n') return line_end(res);
    if (saw_cr) return -MOLT_HTTP_MALFORMED;
    if (c == '\r') {
        res->flags |= SAW_CR;
        return 0;
    }
    if (res->state == VALUE) return value_byte(res, c);
    return res->state == NAME ? name_byte(res, c) : -MOLT_HTTP_MALFORMED;
}

/* ---- the body ---- */

static int take_body(struct molt_response *res, const uint8_t **data, size_t *len, const uint8_t **body,
                     size_t *body_len)
{
    uint32_t taken = molt_min32(*len < UINT32_MAX ? (uint32_t)*len : UINT32_MAX, res->left);
    if (taken == 0) return -MOLT_TOO_LARGE;
    *body = *data;
    *body_len = taken;
    *data += taken;
    *len -= taken;
    res->received += taken;
    res->left -= taken;
    if (res->left == 0 && res->state != BODY_CLOSE) res->state = res->state == CHUNK_DATA ? CHUNK_END : DONE;
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
        if (rc != 0) return rc;
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
