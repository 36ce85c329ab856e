/* skins_range_test.c - a real server on loopback, asked as esp_https_ota asks: HEAD, then the file in pieces. */
#include "skins_case.h"

#define IDF "User-Agent: ESP32 HTTP Client/1.0\r\nHost: x\r\n"

static void esp_https_ota_asks_length_then_pieces(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0, got = 0;
    struct reply r;
    char request[512], etag[80], want[80];
    uint8_t *image = publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len);
    raw_ask(c->port, "GET /p/gate/x/240AC4000001.bin HTTP/1.1\r\nRange: bytes=4096-\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 416); /* it began nothing */
    reply_free(&r);
    raw_ask(c->port, "HEAD /p/gate/x/240AC4000001.bin HTTP/1.1\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.content_length, len);
    snprintf(etag, sizeof etag, "%s", reply_header(&r, "ETag"));
    reply_free(&r);
    while (got < len) {
        snprintf(request, sizeof request,
                 "GET /x/240AC4000001.bin HTTP/1.1\r\nRange: bytes=%zu-%s\r\n" IDF "\r\n", got,
                 got + 65536 < len ? "" : "");
        if (got + 65536 < len)
            snprintf(request, sizeof request,
                     "GET /x/240AC4000001.bin HTTP/1.1\r\nRange: bytes=%zu-%zu\r\n" IDF "\r\n", got,
                     got + 65535);
        raw_ask(c->port, request, &r);
        assert_int_equal(r.status, 206);
        assert_string_equal(reply_header(&r, "ETag"), etag);
        snprintf(want, sizeof want, "bytes %zu-%zu/%zu", got, got + r.body_len - 1, len);
        assert_string_equal(reply_header(&r, "Content-Range"), want);
        assert_memory_equal(r.body, image + got, r.body_len);
        got += r.body_len;
        reply_free(&r);
    }
    await_device_text(c, "240ac4000001", "attempt.state", "downloaded");
    snprintf(request, sizeof request, "GET /x/240AC4000001.bin HTTP/1.1\r\nIf-None-Match: %s\r\n" IDF "\r\n",
             etag);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
    assert_string_equal(device_text(c, "240ac4000001", "attempt.state"), "presumed");
    free(image);
}

static void a_range_behind_the_end_is_416_and_several_are_the_whole(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    free(publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len));
    raw_ask(c->port, "GET /p/gate/240AC4000001.bin HTTP/1.1\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    reply_free(&r);
    raw_ask(c->port, "GET /240AC4000001.bin HTTP/1.1\r\nRange: bytes=300000-\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 416);
    assert_string_equal(reply_header(&r, "Content-Range"), "bytes */300000");
    reply_free(&r);
    raw_ask(c->port, "GET /240AC4000001.bin HTTP/1.1\r\nRange: bytes=0-1,5-6\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
}

static void a_range_goes_on_with_the_artifact_that_was_begun(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0, newer = 0;
    struct reply r;
    uint8_t *image = publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len);
    raw_ask(c->port, "GET /p/gate/240AC4000001.bin HTTP/1.1\r\nRange: bytes=0-65535\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 206);
    reply_free(&r);
    free(publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 13, 400000, &newer)); /* meanwhile */
    raw_ask(c->port, "GET /240AC4000001.bin HTTP/1.1\r\nRange: bytes=65536-\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 206);
    assert_int_equal(r.body_len, len - 65536);
    assert_memory_equal(r.body, image + 65536, len - 65536);
    reply_free(&r);
    free(image);
}

static void an_if_range_that_names_another_file_gets_the_whole(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char request[256];
    struct reply r;
    free(publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len));
    raw_ask(c->port, "GET /p/gate/240AC4000001.bin HTTP/1.1\r\nRange: bytes=0-65535\r\n" IDF "\r\n", &r);
    assert_int_equal(r.status, 206);
    static const char form[] =
        "GET /240AC4000001.bin HTTP/1.1\r\nRange: bytes=65536-\r\nIf-Range: %s\r\n" IDF "\r\n";
    snprintf(request, sizeof request, form, reply_header(&r, "ETag"));
    reply_free(&r);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 206);
    reply_free(&r);
    snprintf(request, sizeof request, form, "\"another\"");
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(esp_https_ota_asks_length_then_pieces),
        TEST(a_range_behind_the_end_is_416_and_several_are_the_whole),
        TEST(a_range_goes_on_with_the_artifact_that_was_begun),
        TEST(an_if_range_that_names_another_file_gets_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
