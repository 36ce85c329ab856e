/* checkin.c - the check-in's CBOR codec: two tables of fields, one writer and one strict reader.
 * Must never accept two encodings of one message, nor read past the given bytes. Tests:
 * test/unit/checkin_test.c. */
#include "checkin.h"

#include <string.h>

#include "../util/text.h"

/* CBOR major types (RFC 8949, section 3.1). */
enum { MAJOR_UINT = 0, MAJOR_BYTES = 2, MAJOR_TEXT = 3, MAJOR_MAP = 5 };

/* Keys up to this one belong to molt: one that is not in the table is an error, because it may matter. */
#define KEY_OWN_MAX 31u

enum kind { UINT, TEXT, DIGEST };
enum rule {
    ALWAYS,     /* in every message */
    SAID,       /* left out when 0, "" or not has_x */
    OFFER,      /* in every offer, in nothing else */
    OFFER_SAID, /* in an offer unless "" */
};

struct field {
    uint8_t key, kind, rule;
    uint16_t off;      /* of the field in its struct */
    uint16_t flag_off; /* of its has_x, NO_FLAG when it has none */
    uint32_t min, max; /* UINT: value; TEXT: characters */
};

#define NO_FLAG 0xFFFFu
#define NUMBER(struct_, key, rule, name, min, max)                                                           \
    {                                                                                                        \
        (key), UINT, (rule), offsetof(struct struct_, name), NO_FLAG, (min), (max)                           \
    }
#define STRING(struct_, key, rule, name, min)                                                                \
    {                                                                                                        \
        (key), TEXT, (rule), offsetof(struct struct_, name), NO_FLAG, (min),                                 \
            sizeof(((struct struct_ *)0)->name) - 1                                                          \
    }
#define FLAGGED(struct_, key, name)                                                                          \
    {                                                                                                        \
        (key), DIGEST, SAID, offsetof(struct struct_, name), offsetof(struct struct_, has_##name), 0, 0      \
    }

/* Numbers are read and written as 32 bits at an offset, whatever their C type. */
typedef char chip_is_32_bits[sizeof(enum molt_chip) == 4 ? 1 : -1];
typedef char verdict_is_32_bits[sizeof(enum molt_verdict) == 4 ? 1 : -1];
typedef char int_is_32_bits[sizeof(int) == 4 ? 1 : -1];

#define CODE_MAX MOLT_CHECKIN_CODE_MAX

static const struct field checkin_fields[] = {
    STRING(molt_checkin, 1, ALWAYS, id, 1),
    NUMBER(molt_checkin, 2, ALWAYS, chip, 1, MOLT_CHIP_MAX),
    STRING(molt_checkin, 3, SAID, product, 1),
    NUMBER(molt_checkin, 4, ALWAYS, version_code, 0, CODE_MAX),
    STRING(molt_checkin, 5, SAID, version, 1),
    NUMBER(molt_checkin, 6, SAID, flash_size, 1, UINT32_MAX),
    NUMBER(molt_checkin, 7, SAID, fs_start, 1, UINT32_MAX),
    NUMBER(molt_checkin, 8, SAID, slot_size, 1, UINT32_MAX),
    NUMBER(molt_checkin, 9, SAID, image_len, 1, UINT32_MAX),
    FLAGGED(molt_checkin, 10, digest),
    NUMBER(molt_checkin, 11, ALWAYS, boot, 0, MOLT_BOOT_UNPROTECTED),
    NUMBER(molt_checkin, 12, ALWAYS, can, 0, UINT32_MAX),
    NUMBER(molt_checkin, 13, SAID, result, 1, MOLT_REASON_MAX),
    NUMBER(molt_checkin, 14, SAID, result_code, 1, CODE_MAX),
    FLAGGED(molt_checkin, 15, result_digest),
    NUMBER(molt_checkin, 16, SAID, gzip_window, 1, 32768),
    FLAGGED(molt_checkin, 17, fs_digest),
    NUMBER(molt_checkin, 18, SAID, fs_code, 1, CODE_MAX),
    NUMBER(molt_checkin, 19, SAID, fs_size, 1, UINT32_MAX),
    NUMBER(molt_checkin, 20, SAID, stage_end, 1, UINT32_MAX),
};
#define CHECKIN_FIELDS (sizeof checkin_fields / sizeof checkin_fields[0])

static const struct field answer_fields[] = {
    NUMBER(molt_answer, 1, ALWAYS, verdict, 0, MOLT_VERDICT_WAIT),
    NUMBER(molt_answer, 2, ALWAYS, reason, 0, MOLT_REASON_MAX),
    NUMBER(molt_answer, 3, SAID, again_s, 1, UINT32_MAX),
    NUMBER(molt_answer, 4, OFFER, version_code, 1, CODE_MAX),
    STRING(molt_answer, 5, OFFER_SAID, version, 1),
    STRING(molt_answer, 6, OFFER, url, 1),
    NUMBER(molt_answer, 7, OFFER, encoding, 0, MOLT_IN_PLACE),
    NUMBER(molt_answer, 8, OFFER, file_len, 1, UINT32_MAX),
    {9, DIGEST, OFFER, offsetof(struct molt_answer, file_digest), NO_FLAG, 0, 0},
    NUMBER(molt_answer, 10, OFFER, image_len, 1, UINT32_MAX),
    {11, DIGEST, OFFER, offsetof(struct molt_answer, image_digest), NO_FLAG, 0, 0},
    NUMBER(molt_answer, 12, OFFER_SAID, component, 1, 1),
    STRING(molt_answer, 32, OFFER_SAID, manifest_url, 1),
};
#define ANSWER_FIELDS (sizeof answer_fields / sizeof answer_fields[0])

/* ---- writing ---- */

struct writer {
    uint8_t *out;
    size_t cap, len;
    bool failed;
};

static void put_bytes(struct writer *w, const void *data, size_t len)
{
    if (w->failed || len > w->cap - w->len) {
        w->failed = true;
        return;
    }
    memcpy(w->out + w->len, data, len);
    w->len += len;
}

static void put_head(struct writer *w, unsigned major, uint32_t value)
{
    uint8_t head[5] = {0, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                       (uint8_t)value};
    size_t skip = value < 24 ? 5 : value <= 0xFF ? 4 : value <= 0xFFFF ? 3 : 1; /* shortest form */
    unsigned info = value < 24 ? value : value <= 0xFF ? 24 : value <= 0xFFFF ? 25 : 26;
    uint8_t first = (uint8_t)(major << 5 | info);
    put_bytes(w, &first, 1);
    put_bytes(w, head + skip, 5 - skip);
}

static uint32_t number_at(const uint8_t *base, const struct field *field)
{
    uint32_t value;
    memcpy(&value, base + field->off, sizeof value);
    return value;
}

/* Characters before the NUL, max + 1 when there is none within reach. */
static uint32_t text_len(const uint8_t *base, const struct field *field)
{
    const uint8_t *end = memchr(base + field->off, '\0', field->max + 1);
    return end == NULL ? field->max + 1 : (uint32_t)(end - (base + field->off));
}

static bool is_said(const uint8_t *base, const struct field *field)
{
    if (field->kind == UINT) return number_at(base, field) != 0;
    if (field->kind == TEXT) return base[field->off] != '\0';
    return field->flag_off == NO_FLAG || base[field->flag_off] != 0;
}

static bool is_sent(const uint8_t *base, const struct field *field, bool offer)
{
    switch (field->rule) {
    case ALWAYS:
        return true;
    case SAID:
        return is_said(base, field);
    case OFFER:
        return offer;
    default:
        return offer && is_said(base, field);
    }
}

static void put_field(struct writer *w, const uint8_t *base, const struct field *field)
{
    put_head(w, MAJOR_UINT, field->key);
    if (field->kind == DIGEST) {
        put_head(w, MAJOR_BYTES, MOLT_SHA256_LEN);
        put_bytes(w, base + field->off, MOLT_SHA256_LEN);
        return;
    }
    uint32_t value = field->kind == UINT ? number_at(base, field) : text_len(base, field);
    if (value < field->min || value > field->max) w->failed = true;
    put_head(w, field->kind == UINT ? MAJOR_UINT : MAJOR_TEXT, value);
    if (field->kind == TEXT && !w->failed) {
        if (!molt_text_printable((const char *)base + field->off, value)) w->failed = true;
        put_bytes(w, base + field->off, value);
    }
}

static int encode(const struct field *fields, size_t count, const void *message, bool offer, uint8_t *out,
                  size_t cap)
{
    const uint8_t *base = message;
    struct writer w = {out, cap < MOLT_CHECKIN_MAX ? cap : MOLT_CHECKIN_MAX, 0, false};
    uint32_t pairs = 0;
    for (size_t i = 0; i < count; i++)
        pairs += is_sent(base, &fields[i], offer);
    put_head(&w, MAJOR_MAP, pairs);
    for (size_t i = 0; i < count; i++) {
        if (is_sent(base, &fields[i], offer)) put_field(&w, base, &fields[i]);
    }
    return w.failed ? -MOLT_ARG : (int)w.len;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    size_t left;
};

/* Reads one head: definite length, shortest form. */
static bool get_head(struct reader *r, unsigned *major, uint64_t *value)
{
    if (r->left == 0) return false;
    unsigned info = *r->at & 31u;
    *major = *r->at >> 5;
    r->at++;
    r->left--;
    if (info < 24) {
        *value = info;
        return true;
    }
    if (info > 27) return false;
    unsigned bytes = 1u << (info - 24);
    if (r->left < bytes) return false;
    *value = 0;
    for (unsigned i = 0; i < bytes; i++)
        *value = *value << 8 | r->at[i];
    r->at += bytes;
    r->left -= bytes;
    return *value >= (bytes == 1 ? 24u : (uint64_t)1 << (bytes * 4)); /* 2^8, 2^16, 2^32 for 2, 4, 8 bytes */
}

static bool skip_value(struct reader *r)
{
    unsigned major;
    uint64_t value;
    if (!get_head(r, &major, &value)) return false;
    if (major == MAJOR_UINT) return true;
    if (major != MAJOR_BYTES && major != MAJOR_TEXT) return false;
    if (value > r->left) return false;
    r->at += value;
    r->left -= (size_t)value;
    return true;
}

static bool get_field(struct reader *r, const struct field *field, uint8_t *base)
{
    static const uint8_t majors[] = {MAJOR_UINT, MAJOR_TEXT, MAJOR_BYTES};
    unsigned major;
    uint64_t value;
    if (!get_head(r, &major, &value) || major != majors[field->kind]) return false;
    if (field->kind == UINT) {
        uint32_t number = (uint32_t)value;
        memcpy(base + field->off, &number, sizeof number);
        return value >= field->min && value <= field->max;
    }
    if (value > r->left) return false;
    if (field->kind == DIGEST) {
        if (value != MOLT_SHA256_LEN) return false;
        if (field->flag_off != NO_FLAG) {
            bool has = true;
            memcpy(base + field->flag_off, &has, sizeof has);
        }
    } else if (value < field->min || value > field->max ||
               !molt_text_printable((const char *)r->at, (size_t)value)) {
        return false;
    }
    memcpy(base + field->off, r->at, (size_t)value);
    r->at += value;
    r->left -= (size_t)value;
    return true;
}

static const struct field *find_field(const struct field *fields, size_t count, uint64_t key)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].key == key) return &fields[i];
    }
    return NULL;
}

/* Fills the struct at base (already zeroed); bit i of *seen says that fields[i] was there. */
static bool get_map(struct reader *r, const struct field *fields, size_t count, uint8_t *base, uint32_t *seen)
{
    unsigned major;
    uint64_t pairs, last = 0;
    if (!get_head(r, &major, &pairs) || major != MAJOR_MAP) return false;
    for (uint64_t i = 0; i < pairs; i++) { /* bounded by the bytes: a pair needs at least two */
        uint64_t key;
        if (!get_head(r, &major, &key) || major != MAJOR_UINT || (i > 0 && key <= last)) return false;
        last = key;
        const struct field *field = find_field(fields, count, key);
        if (field != NULL) {
            if (!get_field(r, field, base)) return false;
            *seen |= 1u << (field - fields);
        } else if (key <= KEY_OWN_MAX || !skip_value(r)) {
            return false;
        }
    }
    return r->left == 0;
}

static bool is_complete(const struct field *fields, size_t count, uint32_t seen, bool offer)
{
    for (size_t i = 0; i < count; i++) {
        bool has = (seen >> i & 1) != 0;
        unsigned rule = fields[i].rule;
        if (!has && (rule == ALWAYS || (rule == OFFER && offer))) return false;
        if (has && (rule == OFFER || rule == OFFER_SAID) && !offer) return false;
    }
    return true;
}

int molt_checkin_encode(const struct molt_checkin *message, uint8_t *out, size_t cap)
{
    return encode(checkin_fields, CHECKIN_FIELDS, message, false, out, cap);
}

int molt_answer_encode(const struct molt_answer *answer, uint8_t *out, size_t cap)
{
    return encode(answer_fields, ANSWER_FIELDS, answer, answer->verdict == MOLT_VERDICT_OFFER, out, cap);
}

int molt_checkin_decode(struct molt_checkin *message, const uint8_t *data, size_t len)
{
    struct reader r = {data, len};
    uint32_t seen = 0;
    memset(message, 0, sizeof *message);
    if (len > MOLT_CHECKIN_MAX) return -MOLT_CHECKIN_MALFORMED;
    if (!get_map(&r, checkin_fields, CHECKIN_FIELDS, (uint8_t *)message, &seen))
        return -MOLT_CHECKIN_MALFORMED;
    return is_complete(checkin_fields, CHECKIN_FIELDS, seen, false) ? 0 : -MOLT_CHECKIN_MALFORMED;
}

int molt_answer_decode(struct molt_answer *answer, const uint8_t *data, size_t len)
{
    struct reader r = {data, len};
    uint32_t seen = 0;
    memset(answer, 0, sizeof *answer);
    if (len > MOLT_CHECKIN_MAX) return -MOLT_CHECKIN_MALFORMED;
    if (!get_map(&r, answer_fields, ANSWER_FIELDS, (uint8_t *)answer, &seen)) return -MOLT_CHECKIN_MALFORMED;
    bool offer = answer->verdict == MOLT_VERDICT_OFFER;
    return is_complete(answer_fields, ANSWER_FIELDS, seen, offer) ? 0 : -MOLT_CHECKIN_MALFORMED;
}
