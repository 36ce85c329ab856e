/* skins_test.c - a real server on loopback, asked with the exact bytes of the stock clients. One test a rule. */
#include "cmocka_all.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "serve_case.h"

#define MAC_PATH "/fota/5CCF7F0A0B0C"
#define ID       "5ccf7f0a0b0c"

static int setup(void **state)
{
    struct serve_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    serve_case_make(c);
    serve_case_start(c);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    serve_case_remove(*state);
    free(*state);
    return 0;
}

static void md5_hex(const uint8_t *data, size_t len, char out[33])
{
    uint8_t md[16];
    unsigned md_len = 0;
    assert_int_equal(EVP_Digest(data, len, md, &md_len, EVP_md5(), NULL), 1);
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static void sha_hex(const uint8_t *data, size_t len, char out[65])
{
    uint8_t md[32];
    unsigned md_len = 0;
    assert_int_equal(EVP_Digest(data, len, md, &md_len, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static void expect_version(const struct serve_case *c, const char *path, const char *number)
{
    struct reply r;
    char want[24];
    ask_version(c->port, path, &r);
    snprintf(want, sizeof want, "%s\n", number);
    assert_int_equal(r.status, 200);
    assert_string_equal((const char *)r.body, want);
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain");
    reply_free(&r);
}

static void expect_status(const struct serve_case *c, const struct esp8266 *device, int status)
{
    struct reply r;
    ask_esp8266(c->port, MAC_PATH ".bin", device, &r);
    if (r.status != status)
        fail_msg("status %d, not %d; reason %s", r.status, status, device_text(c, ID, "reason.id"));
    reply_free(&r);
}

/* Waits for what happens after the last byte (the attempt's end is noted when the kernel has taken all). */
static void wait_for(const struct serve_case *c, const char *id, const char *field, const char *value)
{
    for (int i = 0; i < 500; i++) {
        if (strcmp(device_text(c, id, field), value) == 0) return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%s of %s is \"%s\", not \"%s\"", field, id, device_text(c, id, field), value);
}

static void version_bin_and_304_tell_the_story(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char md5[33];
    struct reply r;
    /* nobody knows it: 404, and it is recorded with the reason */
    ask_version(c->port, MAC_PATH ".version", &r);
    assert_int_equal(r.status, 404);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "reason.id"), "not-assigned");

    uint8_t *image = publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 2017102502, 412000, &len);
    assign(c, ID, "lamp");
    expect_version(c, MAC_PATH ".version", "2017102502");
    ask_esp8266(c->port, MAC_PATH ".bin", &(struct esp8266){0}, &r);
    assert_int_equal(r.status, 200);
    assert_true(r.closed);
    assert_int_equal(r.content_length, len);
    assert_int_equal(r.body_len, len);
    assert_memory_equal(r.body, image, len);
    md5_hex(image, len, md5);
    assert_string_equal(reply_header(&r, "x-MD5"), md5);
    assert_string_equal(reply_header(&r, "Accept-Ranges"), "bytes");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/octet-stream");
    assert_int_equal(strlen(reply_header(&r, "ETag")), 66);
    reply_free(&r);
    wait_for(c, ID, "attempt.state", "downloaded");

    /* it runs the image now: same MD5, nothing to do */
    expect_status(c, &(struct esp8266){.md5 = md5}, 304);
    assert_string_equal(device_text(c, ID, "attempt.state"), "updated");
    expect_version(c, MAC_PATH ".version", "2017102502");
    free(image);
}

static void every_spelling_is_one_device(void **state)
{
    struct serve_case *c = *state;
    static const char *const paths[] = {
        "/fota/5CCF7F0A0B0C.version",   "/5ccf7f0a0b0c.version",
        "/a/5C:CF:7F:0A:0B:0C.version", "/a/5c-cf-7f-0a-0b-0c.version",
        "/0x999995ccf7f0a0b0c.version", "/5c%3Acf%3A7f%3A0a%3A0b%3A0c.version"};
    size_t len = 0;
    struct reply r;
    ask_version(c->port, paths[0], &r);
    reply_free(&r);
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 7, 300000, &len));
    assign(c, ID, "lamp");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        expect_version(c, paths[i], "7");
}

static void a_name_is_a_device_and_a_mac_header_makes_it_a_group(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    ask_version(c->port, "/fw/SEMv5.version", &r);
    assert_int_equal(r.status, 404);
    reply_free(&r);
    uint8_t *image = publish_image_of(c, "meter", MOLT_CHIP_ESP8266, 5, 300000, &len);
    assign(c, "semv5", "meter");
    expect_version(c, "/fw/SEMv5.version", "5");
    for (int i = 0; i < 5; i++) { /* five boards share the name: each has its own three sends */
        char mac[18];
        snprintf(mac, sizeof mac, "5C:CF:7F:00:00:%02X", i);
        ask_esp8266(c->port, "/fw/SEMv5.bin", &(struct esp8266){.mac = mac}, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body_len, len);
        reply_free(&r);
    }
    assert_string_equal(device_text(c, "5ccf7f000004", "product"), "meter");
    free(image);
}

static void the_path_may_name_the_product(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 300000, &len));
    expect_version(c, "/p/lamp/fota/5CCF7F0A0B0C.version", "9");
    expect_version(c, "/fota/5CCF7F0A0B0C.version", "9");
    assert_string_equal(device_text(c, ID, "product"), "lamp");
}

static void a_bin_that_was_not_announced_is_304(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 300000, &len));
    struct reply r;
    ask_esp8266(c->port, "/p/lamp" MAC_PATH ".bin", &(struct esp8266){0}, &r);
    assert_int_equal(r.status, 304);
    assert_int_equal(r.content_length, -1);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "reason.id"), "not-announced");
}

/* A proxy between device and server may let nothing through but the path. */
static void without_any_header_the_chip_is_assumed_when_the_product_has_no_other(void **state)
{
    struct serve_case *c = *state;
    static const char version[] = "GET " MAC_PATH ".version HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n",
                      bin[] = "GET " MAC_PATH ".bin HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";
    size_t len = 0;
    struct reply r;
    raw_ask(c->port, version, &r);
    reply_free(&r);
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 300000, &len));
    assign(c, ID, "lamp");
    raw_ask(c->port, version, &r);
    assert_string_equal((const char *)r.body, "9\n");
    reply_free(&r);
    raw_ask(c->port, bin, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "chip"), "esp8266");
    assert_string_equal(device_text(c, ID, "chip_source"), "assumed");

    /* with an image for another chip there is a choice, which no guess makes */
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP32, 10, 300000, &len));
    raw_ask(c->port, bin, &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "reason.id"), "chip-unknown");
}

static void one_image_is_sent_three_times_at_most(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 300000, &len));
    for (int i = 0; i < 3; i++) {
        char sends[8];
        expect_version(c, "/p/lamp" MAC_PATH ".version", "9");
        expect_status(c, &(struct esp8266){0}, 200);
        snprintf(sends, sizeof sends, "%d", i + 1);
        wait_for(c, ID, "attempt.sends", sends);
    }
    struct reply r;
    ask_version(c->port, MAC_PATH ".version", &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    expect_status(c, &(struct esp8266){0}, 304);
    assert_string_equal(device_text(c, ID, "reason.id"), "same-image-again");
}

/* Begins a download that cannot end: more than the kernel's buffers hold, and nobody reads. */
static int begin_endless_download(struct serve_case *c)
{
    static const char request[] =
        "GET /p/gate/240AC4000001.bin HTTP/1.0\r\nUser-Agent: ESP32-http-Update\r\n"
        "x-ESP32-STA-MAC: 24:0A:C4:00:00:01\r\nx-ESP32-free-space: 16777216\r\n\r\n";
    size_t len = 0;
    struct reply r;
    char some[1000];
    free(publish_image_of(c, "gate", MOLT_CHIP_ESP32, 9, 8u << 20, &len));
    ask_version_esp32(c->port, "/p/gate/240AC4000001.version", &r);
    assert_string_equal((const char *)r.body, "9\n");
    reply_free(&r);
    int fd = raw_connect(c->port);
    raw_send(fd, request, sizeof request - 1);
    assert_int_equal(recv(fd, some, sizeof some, MSG_WAITALL), sizeof some);
    assert_memory_equal(some, "HTTP/1.1 200", 12);
    return fd;
}

static void a_cut_download_is_noted_and_does_not_count(void **state)
{
    struct serve_case *c = *state;
    int fd = begin_endless_download(c);
    assert_string_equal(device_text(c, "240ac4000001", "reason.id"), "downloading");
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
    wait_for(c, "240ac4000001", "reason.id", "download-cut");
    assert_string_equal(device_text(c, "240ac4000001", "attempt.sends"), "0");
}

static void a_download_counts_only_when_the_device_has_its_last_byte(void **state)
{
    struct serve_case *c = *state;
    static const char request[] = "GET " MAC_PATH ".bin HTTP/1.0\r\nUser-Agent: ESP8266-http-Update\r\n"
                                  "x-ESP8266-STA-MAC: 5C:CF:7F:0A:0B:0C\r\nx-ESP8266-Chip-ID: 1\r\n\r\n";
    size_t len = 0;
    char some[50000];
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 412000, &len));
    for (int i = 0; i < 5; i++) { /* a bad line cuts as often as it likes: the image stays on offer */
        expect_version(c, "/p/lamp" MAC_PATH ".version", "9");
        int fd = raw_connect(c->port), small = 16384;
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
        raw_send(fd, request, sizeof request - 1);
        assert_int_equal(recv(fd, some, sizeof some, MSG_WAITALL), sizeof some);
        close(fd);
        wait_for(c, ID, "reason.id", "download-cut");
    }
    assert_string_equal(device_text(c, ID, "attempt.sends"), "0");
    expect_status(c, &(struct esp8266){0}, 200);
    wait_for(c, ID, "attempt.state", "downloaded");
    assert_string_equal(device_text(c, ID, "attempt.sends"), "1");
}

static void what_does_not_fit_is_refused_before_a_byte(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 600000, &len));
    expect_version(c, "/p/lamp" MAC_PATH ".version", "9");
    /* a 4 MB image is never sent to a 1 MB chip */
    expect_status(c, &(struct esp8266){.flash_size = 1048576}, 304);
    assert_string_equal(device_text(c, ID, "reason.id"), "flash-too-small");
}

static void an_esp32_image_never_goes_to_an_esp8266(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP32, 9, 300000, &len));
    struct reply r;
    ask_version(c->port, "/p/lamp" MAC_PATH ".version", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal((const char *)r.body, "0\n");
    reply_free(&r);
    expect_status(c, &(struct esp8266){0}, 304);
}

static void the_esp32_updater_is_served_and_known_by_its_hash(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char hash[65];
    struct reply r;
    uint8_t *image = publish_image_of(c, "gate", MOLT_CHIP_ESP32, 12, 900000, &len);
    ask_version_esp32(c->port, "/p/gate/240AC4000001.version", &r);
    assert_string_equal((const char *)r.body, "12\n");
    reply_free(&r);
    ask_esp32(c->port, "/240AC4000001.bin", &(struct esp32){0}, &r);
    assert_int_equal(r.status, 200);
    assert_memory_equal(r.body, image, len);
    reply_free(&r);
    for (size_t i = 0; i < 32; i++)
        snprintf(hash + 2 * i, 3, "%02X", image[len - 32 + i]);
    ask_esp32(c->port, "/240AC4000001.bin", &(struct esp32){.sha256 = hash}, &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
    /* the byte-reversed efuse MAC is the same device */
    ask_version_esp32(c->port, "/010000C40A24.version", &r);
    assert_string_equal((const char *)r.body, "12\n");
    reply_free(&r);
    free(image);
}

static void an_update_url_decides_by_what_runs(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    uint8_t *image = publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 300000, &len);
    ask_esp8266(c->port, "/p/lamp/update.php", &(struct esp8266){0}, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    reply_free(&r);
    /* without a leading slash, as update(client, host, 80, "file.bin") sends it */
    ask_esp8266(c->port, "update.php", &(struct esp8266){0}, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    free(image);
}

static void mode_spiffs_gets_only_a_filesystem_image(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 300000, &len));
    ask_esp8266(c->port, "/p/lamp/update", &(struct esp8266){.mode = "spiffs"}, &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
    ask_esp8266(c->port, "/p/lamp/update", &(struct esp8266){.mode = "other"}, &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
}

static void mode_version_answers_x_version(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 31, 300000, &len));
    ask_esp8266(c->port, "/p/lamp/update",
                &(struct esp8266){.mode = "version", .verb = "HEAD", .version = "30"}, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "x-version"), "31");
    reply_free(&r);
    ask_esp8266(c->port, "/update", &(struct esp8266){.mode = "version", .verb = "HEAD", .version = "31"},
                &r);
    assert_string_equal(reply_header(&r, "x-version"), "31");
    reply_free(&r);
}

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
    wait_for(c, "240ac4000001", "attempt.state", "downloaded");
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

/* ---- the check-in ---- */

static void check_in(const struct serve_case *c, const char *path, const char *extra,
                     const struct molt_checkin *said, struct molt_answer *answer)
{
    uint8_t body[MOLT_CHECKIN_MAX];
    char head[512];
    struct reply r;
    int len = molt_checkin_encode(said, body, sizeof body);
    assert_true(len > 0);
    int n = snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\n%sContent-Length: %d\r\n\r\n", path,
        extra, len);
    int fd = raw_connect(c->port);
    raw_send(fd, head, (size_t)n);
    raw_send(fd, body, (size_t)len);
    raw_read(fd, false, &r);
    close(fd);
    if (r.status != 200) fail_msg("check-in: %d %s", r.status, (char *)r.body);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/cbor");
    assert_int_equal(molt_answer_decode(answer, r.body, r.body_len), 0);
    reply_free(&r);
}

static struct molt_checkin esp32_says(uint32_t code)
{
    struct molt_checkin said = {.id = "240ac4000001",
                                .chip = MOLT_CHIP_ESP32C3,
                                .version_code = code,
                                .flash_size = 4u << 20,
                                .slot_size = 1310720,
                                .image_len = 300000,
                                .can = MOLT_CAN_RAW};
    snprintf(said.product, sizeof said.product, "gate");
    return said;
}

static void a_check_in_is_offered_fetches_and_reports(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char request[400], hex[65];
    struct reply r;
    struct molt_answer answer;
    uint8_t *image = publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len);
    struct molt_checkin said = esp32_says(11);
    check_in(c, MOLT_CHECKIN_PATH, "", &said, &answer);
    assert_int_equal(answer.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(answer.version_code, 12);
    assert_int_equal(answer.file_len, len);
    sha_hex(image, len, hex);
    assert_non_null(strstr(answer.url, hex));
    assert_int_equal(answer.url[0], '/');
    /* the artifact, in two parts */
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=0-99999\r\n\r\n",
             answer.url);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 206);
    assert_memory_equal(r.body, image, 100000);
    assert_non_null(strstr(reply_header(&r, "Cache-Control"), "immutable"));
    reply_free(&r);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=100000-\r\nIf-Range: \"%s\"\r\n\r\n", answer.url,
             hex);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 206);
    assert_memory_equal(r.body, image + 100000, len - 100000);
    reply_free(&r);
    wait_for(c, said.id, "attempt.state", "downloaded");
    /* another If-Range: all of it */
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=100000-\r\nIf-Range: \"else\"\r\n\r\n", answer.url);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    reply_free(&r);
    said = esp32_says(12);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(c, MOLT_CHECKIN_PATH, "", &said, &answer);
    assert_int_equal(answer.verdict, MOLT_VERDICT_NOTHING);
    said.boot = MOLT_BOOT_CONFIRMED;
    said.result = MOLT_CONFIRMED;
    said.result_code = 12;
    check_in(c, MOLT_CHECKIN_PATH, "", &said, &answer);
    assert_string_equal(device_text(c, said.id, "attempt.state"), "updated");
    assert_string_equal(device_text(c, said.id, "verified"), "false");
    free(image);
}

static void an_artifact_goes_to_whom_it_was_offered_and_by_its_digest(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char request[400], hex[65];
    struct reply r;
    uint8_t *image = publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len);
    sha_hex(image, len, hex);
    snprintf(request, sizeof request, "GET /molt/v1/artifact/%s?id=240ac4000001 HTTP/1.1\r\nHost: x\r\n\r\n",
             hex);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 404); /* nothing was offered to it */
    reply_free(&r);
    snprintf(request, sizeof request, "GET /molt/v1/artifact/%s HTTP/1.1\r\nHost: x\r\n\r\n", hex);
    raw_ask(c->port, request, &r);
    assert_int_equal(r.status, 200);
    assert_memory_equal(r.body, image, len);
    reply_free(&r);
    raw_ask(c->port, "GET /molt/v1/artifact/00 HTTP/1.1\r\nHost: x\r\n\r\n", &r);
    assert_int_equal(r.status, 404);
    reply_free(&r);
    free(image);
}

static void a_malformed_check_in_is_400(void **state)
{
    struct serve_case *c = *state;
    static const char *const bad[] = {
        "POST /molt/v1/check-in HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "POST /molt/v1/check-in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    };
    struct reply r;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        raw_ask(c->port, bad[i], &r);
        assert_int_equal(r.status, 400);
        reply_free(&r);
    }
    raw_ask(c->port, "GET /molt/v1/check-in HTTP/1.1\r\nHost: x\r\n\r\n", &r);
    assert_int_equal(r.status, 405);
    reply_free(&r);
}

static void too_many_new_devices_are_answered_but_not_recorded(void **state)
{
    struct serve_case *c = *state;
    struct reply r;
    char path[64], id[16];
    int recorded = 0;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 300000, &len));
    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof path, "/p/lamp/5CCF7F0001%02X.version", i);
        expect_version(c, path, "3");
    }
    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof path, "/api/v1/devices/5ccf7f0001%02x", i);
        recorded += api_ask(c, "GET", path, NULL, 0, &r) == 200;
        reply_free(&r);
    }
    snprintf(id, sizeof id, "5ccf7f000100");
    assert_string_equal(device_text(c, id, "product"), "lamp");
    assert_in_range(recorded, 20, 40); /* twenty a minute; the minute may turn in between */
}

/* ---- who proves itself ---- */

static void make_token(const struct serve_case *c, const char *id, char token[64])
{
    char body[128];
    struct reply r;
    json_error_t error;
    snprintf(body, sizeof body, "{\"kind\":\"device\",\"label\":\"t\",\"device\":\"%s\"}", id);
    if (api_ask(c, "POST", "/api/v1/tokens", body, strlen(body), &r) != 201)
        fail_msg("token: %s", (char *)r.body);
    json_t *json = json_loads((const char *)r.body, 0, &error);
    assert_non_null(json);
    snprintf(token, 64, "%s", json_string_value(json_object_get(json, "token")));
    json_decref(json);
    reply_free(&r);
}

static void a_token_in_the_path_or_in_basic_verifies(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char token[64], path[128], pair[128], basic[256] = "Basic ";
    struct reply r;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 300000, &len));
    make_token(c, ID, token);
    ask_esp8266(c->port, "/p/lamp" MAC_PATH ".bin", &(struct esp8266){0}, &r);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "verified"), "false");
    snprintf(path, sizeof path, "/k/%s" MAC_PATH ".bin", token);
    ask_esp8266(c->port, path, &(struct esp8266){0}, &r);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "verified"), "true");
    ask_esp8266(c->port, "/k/molt_wrong" MAC_PATH ".bin", &(struct esp8266){0}, &r);
    assert_int_equal(r.status, 304); /* as without any: a wrong token is not a lock */
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "verified"), "false");
    snprintf(pair, sizeof pair, "device:%s", token);
    EVP_EncodeBlock((unsigned char *)basic + 6, (const unsigned char *)pair, (int)strlen(pair));
    ask_esp8266(c->port, MAC_PATH ".bin", &(struct esp8266){.authorization = basic}, &r);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "verified"), "true");
}

/* ---- the rest ---- */

static void nothing_else_is_served(void **state)
{
    struct serve_case *c = *state;
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"GET /../etc/passwd.bin HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"GET /%2e%2e/x.bin HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"GET /a%00b.bin HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"GET /.bin HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"GET /api/v1/devices HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"DELETE /x.bin HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"POST /x.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply r;
        raw_ask(c->port, rows[i].request, &r);
        if (r.status != rows[i].status) fail_msg("%.40s: %d", rows[i].request, r.status);
        reply_free(&r);
    }
}

static void polls_go_on_over_one_connection(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    static const char request[] =
        "GET /p/lamp" MAC_PATH ".version HTTP/1.1\r\nHost: x\r\n"
        "User-Agent: ESP8266HTTPClient\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 300000, &len));
    int fd = raw_connect(c->port);
    for (int i = 0; i < 200; i++) {
        raw_send(fd, request, sizeof request - 1);
        raw_read(fd, false, &r);
        assert_int_equal(r.status, 200);
        assert_string_equal((const char *)r.body, "3\n");
        reply_free(&r);
    }
    close(fd);
}

static void the_server_says_how_often_to_check_in(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct molt_answer answer;
    serve_case_stop(c);
    c->options.checkin_interval_s = 900;
    serve_case_start(c);
    free(publish_image_of(c, "gate", MOLT_CHIP_ESP32C3, 12, 300000, &len));
    struct molt_checkin said = esp32_says(12);
    check_in(c, MOLT_CHECKIN_PATH, "", &said, &answer);
    assert_int_equal(answer.verdict, MOLT_VERDICT_NOTHING);
    assert_int_equal(answer.again_s, 900);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(c, MOLT_CHECKIN_PATH, "", &said, &answer);
    assert_int_equal(answer.again_s, 0);
    said = esp32_says(11);
    check_in(c, MOLT_CHECKIN_PATH, "", &said, &answer);
    assert_int_equal(answer.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(answer.again_s, 0);
}

static void a_busy_server_says_that_nothing_is_new(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    serve_case_stop(c);
    c->options.busy_at = 1;
    serve_case_start(c);
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 300000, &len));
    expect_version(c, "/p/lamp" MAC_PATH ".version", "3");
    int fd = begin_endless_download(c);
    expect_version(c, MAC_PATH ".version", "0");
    ask_esp8266(c->port, MAC_PATH ".bin", &(struct esp8266){0}, &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
    close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(version_bin_and_304_tell_the_story),
        TEST(every_spelling_is_one_device),
        TEST(a_name_is_a_device_and_a_mac_header_makes_it_a_group),
        TEST(the_path_may_name_the_product),
        TEST(a_bin_that_was_not_announced_is_304),
        TEST(without_any_header_the_chip_is_assumed_when_the_product_has_no_other),
        TEST(one_image_is_sent_three_times_at_most),
        TEST(a_cut_download_is_noted_and_does_not_count),
        TEST(a_download_counts_only_when_the_device_has_its_last_byte),
        TEST(what_does_not_fit_is_refused_before_a_byte),
        TEST(an_esp32_image_never_goes_to_an_esp8266),
        TEST(the_esp32_updater_is_served_and_known_by_its_hash),
        TEST(an_update_url_decides_by_what_runs),
        TEST(mode_spiffs_gets_only_a_filesystem_image),
        TEST(mode_version_answers_x_version),
        TEST(esp_https_ota_asks_length_then_pieces),
        TEST(a_range_behind_the_end_is_416_and_several_are_the_whole),
        TEST(a_range_goes_on_with_the_artifact_that_was_begun),
        TEST(an_if_range_that_names_another_file_gets_the_whole),
        TEST(a_check_in_is_offered_fetches_and_reports),
        TEST(an_artifact_goes_to_whom_it_was_offered_and_by_its_digest),
        TEST(a_malformed_check_in_is_400),
        TEST(too_many_new_devices_are_answered_but_not_recorded),
        TEST(a_token_in_the_path_or_in_basic_verifies),
        TEST(nothing_else_is_served),
        TEST(polls_go_on_over_one_connection),
        TEST(the_server_says_how_often_to_check_in),
        TEST(a_busy_server_says_that_nothing_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
