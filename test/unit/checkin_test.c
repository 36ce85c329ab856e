/* checkin_test.c - the check-in's CBOR: one encoding a message, and nothing else is accepted. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/checkin.h"

static const struct molt_checkin small = {
    .id = "5ccf7fc602e2", .chip = MOLT_CHIP_ESP8266, .version_code = 2017102501, .can = MOLT_CAN_RAW};

static struct molt_checkin full_checkin(void)
{
    struct molt_checkin m = small;
    snprintf(m.product, sizeof m.product, "greenhouse");
    snprintf(m.version, sizeof m.version, "1.2.3");
    m.flash_size = 4194304;
    m.fs_start = 0x200000;
    m.slot_size = 0x140000;
    m.image_len = 278396;
    m.has_digest = true;
    memset(m.digest, 0xA5, sizeof m.digest);
    m.boot = MOLT_BOOT_TRIAL;
    m.can = MOLT_CAN_RAW | MOLT_CAN_GZIP;
    m.result = MOLT_ROLLED_BACK;
    m.result_code = 2017102502;
    m.has_result_digest = true;
    memset(m.result_digest, 0x5A, sizeof m.result_digest);
    m.gzip_window = 4096;
    return m;
}

static struct molt_answer full_answer(void)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .again_s = 3600,
                            .version_code = 2017102502,
                            .version = "1.2.4",
                            .url = "/molt/v1/file/0123",
                            .encoding = MOLT_GZIP,
                            .file_len = 200000,
                            .image_len = 278400};
    memset(a.file_digest, 1, sizeof a.file_digest);
    memset(a.image_digest, 2, sizeof a.image_digest);
    return a;
}

/* Decoders see exactly len bytes, so that the sanitizer catches a read behind them. */
static int decode_checkin(struct molt_checkin *m, const uint8_t *data, size_t len)
{
    uint8_t *tight = malloc(len > 0 ? len : 1);
    assert_non_null(tight);
    memcpy(tight, data, len);
    int rc = molt_checkin_decode(m, tight, len);
    free(tight);
    return rc;
}

static int decode_answer(struct molt_answer *a, const uint8_t *data, size_t len)
{
    uint8_t *tight = malloc(len > 0 ? len : 1);
    assert_non_null(tight);
    memcpy(tight, data, len);
    int rc = molt_answer_decode(a, tight, len);
    free(tight);
    return rc;
}

static void smallest_checkin_has_exactly_these_bytes(void **state)
{
    (void)state;
    static const uint8_t want[] = {0xA5, 0x01, 0x6C, '5',  'c',  'c',  'f',  '7',  'f',
                                   'c',  '6',  '0',  '2',  'e',  '2',  0x02, 0x01, 0x04,
                                   0x1A, 0x78, 0x3A, 0x8A, 0xA5, 0x0B, 0x00, 0x0C, 0x01};
    uint8_t out[MOLT_CHECKIN_MAX];
    assert_int_equal(molt_checkin_encode(&small, out, sizeof out), sizeof want);
    assert_memory_equal(out, want, sizeof want);
}

static void nothing_answer_has_exactly_these_bytes(void **state)
{
    (void)state;
    const struct molt_answer a = {.verdict = MOLT_VERDICT_NOTHING, .reason = MOLT_UP_TO_DATE};
    static const uint8_t want[] = {0xA2, 0x01, 0x00, 0x02, 0x18, 0x97};
    uint8_t out[MOLT_CHECKIN_MAX];
    assert_int_equal(molt_answer_encode(&a, out, sizeof out), sizeof want);
    assert_memory_equal(out, want, sizeof want);
}

static void checkins_come_back_as_they_were_sent(void **state)
{
    (void)state;
    const struct molt_checkin messages[] = {small, full_checkin()};
    for (size_t i = 0; i < 2; i++) {
        struct molt_checkin want, got;
        uint8_t out[MOLT_CHECKIN_MAX];
        memset(&want, 0, sizeof want);
        want = messages[i];
        int len = molt_checkin_encode(&want, out, sizeof out);
        assert_in_range(len, 1, MOLT_CHECKIN_MAX);
        assert_int_equal(decode_checkin(&got, out, (size_t)len), 0);
        assert_string_equal(got.id, want.id);
        assert_int_equal(got.chip, want.chip);
        assert_string_equal(got.product, want.product);
        assert_int_equal(got.version_code, want.version_code);
        assert_string_equal(got.version, want.version);
        assert_int_equal(got.flash_size, want.flash_size);
        assert_int_equal(got.fs_start, want.fs_start);
        assert_int_equal(got.slot_size, want.slot_size);
        assert_int_equal(got.image_len, want.image_len);
        assert_int_equal(got.has_digest, want.has_digest);
        assert_memory_equal(got.digest, want.digest, 32);
        assert_int_equal(got.boot, want.boot);
        assert_int_equal(got.can, want.can);
        assert_int_equal(got.result, want.result);
        assert_int_equal(got.result_code, want.result_code);
        assert_int_equal(got.has_result_digest, want.has_result_digest);
        assert_memory_equal(got.result_digest, want.result_digest, 32);
        assert_int_equal(got.gzip_window, want.gzip_window);
    }
}

static void answers_come_back_as_they_were_sent(void **state)
{
    (void)state;
    struct molt_answer want = full_answer(), got;
    uint8_t out[MOLT_CHECKIN_MAX];
    int len = molt_answer_encode(&want, out, sizeof out);
    assert_int_equal(decode_answer(&got, out, (size_t)len), 0);
    assert_int_equal(got.verdict, want.verdict);
    assert_int_equal(got.reason, want.reason);
    assert_int_equal(got.again_s, want.again_s);
    assert_int_equal(got.version_code, want.version_code);
    assert_string_equal(got.version, want.version);
    assert_string_equal(got.url, want.url);
    assert_int_equal(got.encoding, want.encoding);
    assert_int_equal(got.file_len, want.file_len);
    assert_memory_equal(got.file_digest, want.file_digest, 32);
    assert_int_equal(got.image_len, want.image_len);
    assert_memory_equal(got.image_digest, want.image_digest, 32);

    want.verdict = MOLT_VERDICT_WAIT; /* the offer's fields stay at home */
    len = molt_answer_encode(&want, out, sizeof out);
    assert_int_equal(decode_answer(&got, out, (size_t)len), 0);
    assert_int_equal(got.verdict, MOLT_VERDICT_WAIT);
    assert_int_equal(got.again_s, 3600);
    assert_string_equal(got.url, "");
    assert_int_equal(got.file_len, 0);
}

static void largest_messages_fit(void **state)
{
    (void)state;
    struct molt_checkin m = full_checkin(), m2;
    memset(m.id, 'i', MOLT_ID_MAX);
    memset(m.product, 'p', MOLT_NAME_MAX);
    memset(m.version, 'v', MOLT_NAME_MAX);
    m.version_code = m.result_code = 2147483647;
    m.flash_size = m.fs_start = m.slot_size = m.image_len = m.can = UINT32_MAX;
    m.result = MOLT_REASON_MAX;
    m.gzip_window = 32768;
    uint8_t out[MOLT_CHECKIN_MAX];
    int len = molt_checkin_encode(&m, out, sizeof out);
    assert_true(len > 0);
    assert_int_equal(decode_checkin(&m2, out, (size_t)len), 0);
    assert_int_equal(strlen(m2.product), MOLT_NAME_MAX);

    struct molt_answer a = full_answer(), a2;
    memset(a.version, 'v', MOLT_NAME_MAX);
    memset(a.url, '/', MOLT_URL_MAX);
    a.again_s = a.file_len = a.image_len = UINT32_MAX;
    len = molt_answer_encode(&a, out, sizeof out);
    assert_true(len > 0);
    assert_int_equal(decode_answer(&a2, out, (size_t)len), 0);
    assert_int_equal(strlen(a2.url), MOLT_URL_MAX);
}

static void encoders_refuse_fields_beyond_their_limits(void **state)
{
    (void)state;
    uint8_t out[MOLT_CHECKIN_MAX];
    struct molt_checkin m;
#define REFUSED(change)                                                                                      \
    m = full_checkin();                                                                                      \
    change;                                                                                                  \
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), -MOLT_ARG)
    REFUSED(m.id[0] = '\0');
    REFUSED(memset(m.id, 'x', sizeof m.id)); /* no NUL */
    REFUSED(m.id[3] = '\n');
    REFUSED(m.product[0] = (char)0xC3);
    REFUSED(m.chip = MOLT_CHIP_UNKNOWN);
    REFUSED(m.version_code = 2147483648u);
    REFUSED(m.result = -5);
    REFUSED(m.result = 256);
    REFUSED(m.result_code = 2147483648u);
    REFUSED(m.boot = (enum molt_boot_kind)3);
    REFUSED(m.gzip_window = 65536);
#undef REFUSED
    struct molt_answer a;
#define REFUSED(change)                                                                                      \
    a = full_answer();                                                                                       \
    change;                                                                                                  \
    assert_int_equal(molt_answer_encode(&a, out, sizeof out), -MOLT_ARG)
    REFUSED(a.url[0] = '\0');
    REFUSED(a.file_len = 0);
    REFUSED(a.image_len = 0);
    REFUSED(a.version_code = 0);
    REFUSED(a.encoding = (enum molt_encoding)4);
    REFUSED(a.reason = -1);
    REFUSED(memset(a.url, 'u', sizeof a.url));
#undef REFUSED
}

static void every_buffer_that_is_too_small_is_refused(void **state)
{
    (void)state;
    struct molt_checkin m = full_checkin();
    uint8_t out[MOLT_CHECKIN_MAX];
    int len = molt_checkin_encode(&m, out, sizeof out);
    for (size_t cap = 0; cap < (size_t)len; cap++) {
        uint8_t *tight = malloc(cap > 0 ? cap : 1);
        assert_non_null(tight);
        assert_int_equal(molt_checkin_encode(&m, tight, cap), -MOLT_ARG);
        free(tight);
    }
    assert_int_equal(molt_checkin_encode(&m, out, (size_t)len), len);
}

static void every_truncation_and_any_trailing_byte_is_refused(void **state)
{
    (void)state;
    struct molt_checkin m = full_checkin();
    struct molt_answer a = full_answer();
    uint8_t out[MOLT_CHECKIN_MAX] = {0};
    size_t len = (size_t)molt_checkin_encode(&m, out, sizeof out);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(decode_checkin(&m, out, cut), -MOLT_CHECKIN_MALFORMED);
    for (int extra = 0; extra < 256; extra++) {
        out[len] = (uint8_t)extra;
        assert_int_equal(decode_checkin(&m, out, len + 1), -MOLT_CHECKIN_MALFORMED);
    }
    len = (size_t)molt_answer_encode(&a, out, sizeof out);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(decode_answer(&a, out, cut), -MOLT_CHECKIN_MALFORMED);
    for (int extra = 0; extra < 256; extra++) {
        out[len] = (uint8_t)extra;
        assert_int_equal(decode_answer(&a, out, len + 1), -MOLT_CHECKIN_MALFORMED);
    }
}

/* Says that data is the one encoding of what was decoded from it; again is that message encoded. A change may
 * turn the last key into an unknown one, which is skipped: then the message is the rest. */
static void assert_canonical(const uint8_t *data, size_t len, const uint8_t *again, int again_len)
{
    assert_in_range(again_len, 2, len);
    if ((size_t)again_len < len)
        assert_int_equal(data[0], again[0] + 1);
    else
        assert_int_equal(data[0], again[0]);
    assert_memory_equal(again + 1, data + 1, (size_t)again_len - 1);
}

/* A changed byte may give another valid message, but then only its one canonical encoding. */
static void every_single_byte_change_is_refused_or_canonical(void **state)
{
    (void)state;
    struct molt_checkin m = full_checkin();
    struct molt_answer a = full_answer();
    uint8_t good[MOLT_CHECKIN_MAX], bad[MOLT_CHECKIN_MAX], again[MOLT_CHECKIN_MAX];
    size_t len = (size_t)molt_checkin_encode(&m, good, sizeof good), accepted = 0;
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(bad, good, len);
            bad[at] = (uint8_t)value;
            if (decode_checkin(&m, bad, len) != 0) continue;
            accepted++;
            assert_canonical(bad, len, again, molt_checkin_encode(&m, again, sizeof again));
        }
    }
    assert_true(accepted > len); /* digests and texts may hold anything */
    len = (size_t)molt_answer_encode(&a, good, sizeof good);
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(bad, good, len);
            bad[at] = (uint8_t)value;
            if (decode_answer(&a, bad, len) != 0) continue;
            assert_canonical(bad, len, again, molt_answer_encode(&a, again, sizeof again));
        }
    }
}

static void random_bytes_never_decode_to_another_form(void **state)
{
    (void)state;
    uint32_t seed = 12345, accepted = 0;
    for (int round = 0; round < 200000; round++) {
        uint8_t data[9] = {0xA3, 0x01, 0x00, 0x02}, again[MOLT_CHECKIN_MAX];
        for (size_t i = 4; i < sizeof data; i++) {
            seed = seed * 1664525u + 1013904223u;
            data[i] = (uint8_t)(seed >> 24);
        }
        if ((seed & 0x100) != 0) data[4] &= 0x1F, data[5] = 3; /* every second one goes further */
        struct molt_answer a;
        size_t len = 5 + (seed >> 9) % 5;
        if (decode_answer(&a, data, len) != 0) continue;
        accepted++;
        assert_canonical(data, len, again, molt_answer_encode(&a, again, sizeof again));
    }
    assert_true(accepted > 1000);
}

struct wire {
    const char *what;
    size_t len;
    uint8_t bytes[48];
};
#define WIRE(what, ...)                                                                                      \
    {                                                                                                        \
        what, sizeof((uint8_t[]){__VA_ARGS__}),                                                              \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }

static const struct wire refused_answers[] = {
    WIRE("keys in the wrong order", 0xA2, 0x02, 0x00, 0x01, 0x00),
    WIRE("a duplicate key", 0xA3, 0x01, 0x00, 0x01, 0x00, 0x02, 0x00),
    WIRE("a duplicate key at the end", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x02, 0x00),
    WIRE("an indefinite map", 0xBF, 0x01, 0x00, 0x02, 0x00, 0xFF),
    WIRE("an indefinite text", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0x7F, 0x61, 'a', 0xFF),
    WIRE("an array", 0x82, 0x01, 0x00),
    WIRE("a tag", 0xC1, 0xA2, 0x01, 0x00, 0x02, 0x00),
    WIRE("a tag on a value", 0xA2, 0x01, 0x00, 0x02, 0xC1, 0x00),
    WIRE("a map count in a long form", 0xB8, 0x02, 0x01, 0x00, 0x02, 0x00),
    WIRE("a key in a long form", 0xA2, 0x18, 0x01, 0x00, 0x02, 0x00),
    WIRE("a value in a long form", 0xA2, 0x01, 0x18, 0x00, 0x02, 0x00),
    WIRE("a value in two bytes that fits one", 0xA2, 0x01, 0x00, 0x02, 0x19, 0x00, 0x97),
    WIRE("a value in eight bytes", 0xA2, 0x01, 0x00, 0x02, 0x1B, 0, 0, 0, 0, 0, 0, 0, 0x97),
    WIRE("reserved length 28", 0xA2, 0x01, 0x00, 0x02, 0x1C, 0, 0, 0, 0),
    WIRE("a negative reason", 0xA2, 0x01, 0x00, 0x02, 0x20),
    WIRE("a reason beyond 255", 0xA2, 0x01, 0x00, 0x02, 0x19, 0x01, 0x00),
    WIRE("a verdict that is not known", 0xA2, 0x01, 0x03, 0x02, 0x00),
    WIRE("no reason", 0xA1, 0x01, 0x00),
    WIRE("no verdict", 0xA1, 0x02, 0x00),
    WIRE("an empty map", 0xA0),
    WIRE("again after 0 s, which is left out", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x03, 0x00),
    WIRE("again beyond 32 bits", 0xA3, 1, 0, 2, 0, 3, 0x1B, 0, 0, 0, 1, 0, 0, 0, 0),
    WIRE("an offer without its fields", 0xA2, 0x01, 0x01, 0x02, 0x18, 0x96),
    WIRE("a field of an offer in no offer", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x04, 0x05),
    WIRE("key 0", 0xA3, 0x00, 0x00, 0x01, 0x00, 0x02, 0x00),
    WIRE("key 12, not in use", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x0C, 0x00),
    WIRE("key 24, reserved", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x18, 0x00),
    WIRE("key 31, reserved", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x1F, 0x00),
    WIRE("a text key", 0xA2, 0x01, 0x00, 0x61, 'a', 0x00),
    WIRE("an unknown key with an array", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0x80),
    WIRE("an unknown key with a map", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0xA0),
    WIRE("an unknown key with null", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0xF6),
    WIRE("an unknown key with a float", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0xF9, 0, 0),
    WIRE("an unknown key with a negative", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0x20),
    WIRE("an unknown text that is cut", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0x62, 'a'),
    WIRE("an unknown text of 2^64-1 bytes", 0xA3, 1, 0, 2, 0, 0x18, 0x20, 0x7B, 255, 255, 255, 255, 255, 255,
         255, 255),
    WIRE("a map of 2^64-1 pairs", 0xBB, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 2, 0),
    WIRE("more pairs than said", 0xA1, 0x01, 0x00, 0x02, 0x00),
    WIRE("fewer pairs than said", 0xA3, 0x01, 0x00, 0x02, 0x00),
};

static const struct wire accepted_answers[] = {
    WIRE("key 40 with a number", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x28, 0x18, 0xFF),
    WIRE("key 40 with 2^64-1", 0xA3, 1, 0, 2, 0, 0x18, 0x28, 0x1B, 255, 255, 255, 255, 255, 255, 255, 255),
    WIRE("key 40 with bytes", 0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x28, 0x42, 1, 2),
    WIRE("keys 40 and 2^32 with texts", 0xA4, 1, 0, 2, 0, 0x18, 0x28, 0x60, 0x1B, 0, 0, 0, 1, 0, 0, 0, 0,
         0x61, 'x'),
};

static void answers_in_any_other_form_are_refused(void **state)
{
    (void)state;
    struct molt_answer a;
    for (size_t i = 0; i < sizeof refused_answers / sizeof refused_answers[0]; i++) {
        const struct wire *w = &refused_answers[i];
        if (decode_answer(&a, w->bytes, w->len) != -MOLT_CHECKIN_MALFORMED) fail_msg("accepted: %s", w->what);
    }
}

static void unknown_keys_above_31_are_skipped(void **state)
{
    (void)state;
    struct molt_answer a;
    for (size_t i = 0; i < sizeof accepted_answers / sizeof accepted_answers[0]; i++) {
        const struct wire *w = &accepted_answers[i];
        if (decode_answer(&a, w->bytes, w->len) != 0) fail_msg("refused: %s", w->what);
    }
}

/* RFC 8949, appendix A: the unsigned integers, as the value of "again after". */
static void published_integer_encodings_are_written_and_read(void **state)
{
    (void)state;
    static const struct {
        uint32_t value;
        size_t len;
        uint8_t bytes[5];
    } vectors[] = {
        {1, 1, {0x01}},
        {10, 1, {0x0A}},
        {23, 1, {0x17}},
        {24, 2, {0x18, 0x18}},
        {25, 2, {0x18, 0x19}},
        {100, 2, {0x18, 0x64}},
        {1000, 3, {0x19, 0x03, 0xE8}},
        {1000000, 5, {0x1A, 0x00, 0x0F, 0x42, 0x40}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct molt_answer a = {.again_s = vectors[i].value};
        struct molt_answer got;
        uint8_t out[MOLT_CHECKIN_MAX];
        int len = molt_answer_encode(&a, out, sizeof out);
        assert_int_equal(len, 6 + vectors[i].len);
        assert_memory_equal(out + 6, vectors[i].bytes, vectors[i].len);
        assert_int_equal(decode_answer(&got, out, (size_t)len), 0);
        assert_int_equal(got.again_s, vectors[i].value);
    }
}

static void texts_with_control_characters_or_beyond_their_room_are_refused(void **state)
{
    (void)state;
    uint8_t out[MOLT_CHECKIN_MAX];
    struct molt_checkin m;
    size_t len = (size_t)molt_checkin_encode(&small, out, sizeof out);
    for (unsigned c = 0; c < 256; c++) {
        out[5] = (uint8_t)c;
        assert_int_equal(decode_checkin(&m, out, len), c >= 0x20 && c <= 0x7E ? 0 : -MOLT_CHECKIN_MALFORMED);
    }
    uint8_t longer[64] = {0xA4, 0x01, 0x78, MOLT_ID_MAX + 1};
    memset(longer + 4, 'i', MOLT_ID_MAX + 1);
    static const uint8_t rest[] = {0x02, 0x01, 0x04, 0x00, 0x0B, 0x00, 0x0C, 0x00};
    longer[0] = 0xA5;
    memcpy(longer + 4 + MOLT_ID_MAX + 1, rest, sizeof rest);
    assert_int_equal(decode_checkin(&m, longer, 4 + MOLT_ID_MAX + 1 + sizeof rest), -MOLT_CHECKIN_MALFORMED);
    longer[3] = MOLT_ID_MAX;
    memcpy(longer + 4 + MOLT_ID_MAX, rest, sizeof rest);
    assert_int_equal(decode_checkin(&m, longer, 4 + MOLT_ID_MAX + sizeof rest), 0);
    assert_int_equal(strlen(m.id), MOLT_ID_MAX);
}

static void messages_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    uint8_t data[MOLT_CHECKIN_MAX + 1] = {0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x28, 0x59};
    struct molt_answer a;
    data[8] = (uint8_t)((sizeof data - 10) >> 8);
    data[9] = (uint8_t)(sizeof data - 10);
    assert_int_equal(decode_answer(&a, data, sizeof data), -MOLT_CHECKIN_MALFORMED);
    data[8] = (uint8_t)((sizeof data - 11) >> 8);
    data[9] = (uint8_t)(sizeof data - 11);
    assert_int_equal(decode_answer(&a, data, sizeof data - 1), 0);
}

static void an_offer_with_the_longest_of_everything_fits_and_names_its_manifest(void **state)
{
    (void)state;
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .again_s = UINT32_MAX,
                            .version_code = 2147483647,
                            .encoding = MOLT_GZIP,
                            .file_len = UINT32_MAX,
                            .image_len = UINT32_MAX},
                       got;
    uint8_t out[MOLT_CHECKIN_MAX];
    memset(a.version, 'v', MOLT_NAME_MAX);
    memset(a.url, 'u', MOLT_URL_MAX);
    memset(a.manifest_url, 'm', MOLT_MANIFEST_URL_MAX);
    int len = molt_answer_encode(&a, out, sizeof out);
    assert_true(len > 0);
    assert_int_equal(decode_answer(&got, out, (size_t)len), 0);
    assert_string_equal(got.manifest_url, a.manifest_url);
    a.manifest_url[0] = '\0'; /* not signed: not said, as before there were manifests */
    assert_int_equal(molt_answer_encode(&a, out, sizeof out), len - 2 - 2 - (int)MOLT_MANIFEST_URL_MAX);
    static const uint8_t without_offer[] = {0xA3, 0x01, 0x00, 0x02, 0x00, 0x18, 0x20, 0x61, 'x'};
    assert_int_equal(decode_answer(&got, without_offer, sizeof without_offer), -MOLT_CHECKIN_MALFORMED);
}

/* What goes over the air at each poll: doc/wire.md says these numbers. */
static void a_check_in_is_small(void **state)
{
    (void)state;
    uint8_t out[MOLT_CHECKIN_MAX];
    struct molt_checkin m = full_checkin();
    m.boot = MOLT_BOOT_CONFIRMED;
    m.can = MOLT_CAN_RAW | MOLT_CAN_GZIP | MOLT_CAN_PACK | MOLT_CAN_SIGNED;
    m.stage_end = 0x1FE000;
    m.product[0] = '\0';
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), 151); /* with the end of an update, once */
    m.has_fs_digest = true;
    m.fs_code = 2017102501;
    m.fs_size = 0x1FA000;
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out),
                     198); /* the largest: with a file system, too */
    m.result = MOLT_CONFIRMED;
    m.result_code = 0;
    m.has_result_digest = false;
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), 157); /* of an update that is confirmed */
    m.has_fs_digest = false;
    m.fs_code = m.fs_size = 0;
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), 110); /* the same without a file system */
    m = full_checkin();
    m.result = 0;
    m.result_code = 0;
    m.has_result_digest = false;
    m.stage_end = 0x1FE000;
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), 115); /* as usual */
    m.can = MOLT_CAN_RAW | MOLT_CAN_GZIP | MOLT_CAN_PACK | MOLT_CAN_SIGNED;
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), 119); /* ... that takes packs, signed only */
    m.has_fs_digest = true;
    m.fs_code = 2017102501;
    m.fs_size = 0x1FA000;
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), 166); /* with a file system */
}

/* ---- the bytes that doc/wire.md shows ---- */

/* The bytes of the block that begins with the line "<!-- name -->": of each line what stands in hex before two blanks. */
static size_t bytes_of_page(const char *name, uint8_t *out, size_t cap)
{
    char line[256], mark[64];
    size_t len = 0;
    FILE *page = fopen(MOLT_WIRE_PAGE, "r");
    assert_non_null(page);
    snprintf(mark, sizeof mark, "<!-- %s -->\n", name);
    while (fgets(line, sizeof line, page) != NULL && strcmp(line, mark) != 0)
        ;
    assert_non_null(fgets(line, sizeof line, page)); /* ```text */
    while (fgets(line, sizeof line, page) != NULL && line[0] != '`') {
        unsigned byte;
        for (const char *p = line; sscanf(p, "%2x", &byte) == 1; p += 3) {
            assert_true(len < cap);
            out[len++] = (uint8_t)byte;
            if (p[2] != ' ' || p[3] == ' ') break;
        }
    }
    fclose(page);
    return len;
}

static void the_page_shows_the_bytes_that_are_sent(void **state)
{
    (void)state;
    uint8_t shown[MOLT_CHECKIN_MAX], out[MOLT_CHECKIN_MAX];
    struct molt_checkin m = full_checkin(), got;
    m.boot = MOLT_BOOT_CONFIRMED;
    m.can = MOLT_CAN_RAW | MOLT_CAN_GZIP | MOLT_CAN_PACK | MOLT_CAN_SIGNED | MOLT_CAN_FS;
    m.product[0] = '\0';
    m.slot_size = 0;
    m.stage_end = 0x1FE000;
    m.has_fs_digest = true;
    memset(m.fs_digest, 0xC3, sizeof m.fs_digest);
    m.fs_code = 2017102501;
    m.fs_size = 0x1FA000;
    size_t len = bytes_of_page("check-in", shown, sizeof shown);
    assert_int_equal(molt_checkin_encode(&m, out, sizeof out), len);
    assert_memory_equal(out, shown, len);
    assert_int_equal(decode_checkin(&got, shown, len), 0);

    struct molt_answer a = full_answer();
    snprintf(a.url, sizeof a.url, "/molt/v1/artifact/01ff?id=5ccf7fc602e2");
    len = bytes_of_page("answer", shown, sizeof shown);
    assert_int_equal(molt_answer_encode(&a, out, sizeof out), len);
    assert_memory_equal(out, shown, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallest_checkin_has_exactly_these_bytes),
        cmocka_unit_test(nothing_answer_has_exactly_these_bytes),
        cmocka_unit_test(checkins_come_back_as_they_were_sent),
        cmocka_unit_test(answers_come_back_as_they_were_sent),
        cmocka_unit_test(largest_messages_fit),
        cmocka_unit_test(encoders_refuse_fields_beyond_their_limits),
        cmocka_unit_test(every_buffer_that_is_too_small_is_refused),
        cmocka_unit_test(every_truncation_and_any_trailing_byte_is_refused),
        cmocka_unit_test(every_single_byte_change_is_refused_or_canonical),
        cmocka_unit_test(random_bytes_never_decode_to_another_form),
        cmocka_unit_test(answers_in_any_other_form_are_refused),
        cmocka_unit_test(unknown_keys_above_31_are_skipped),
        cmocka_unit_test(published_integer_encodings_are_written_and_read),
        cmocka_unit_test(texts_with_control_characters_or_beyond_their_room_are_refused),
        cmocka_unit_test(a_check_in_is_small),
        cmocka_unit_test(the_page_shows_the_bytes_that_are_sent),
        cmocka_unit_test(messages_beyond_the_limit_are_refused),
        cmocka_unit_test(an_offer_with_the_longest_of_everything_fits_and_names_its_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
