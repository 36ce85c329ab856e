/* skins_test.c - a real server on loopback, asked with the exact bytes of the stock updaters of ESP8266 and ESP32, and
 * what it does with any other request. One test a rule. */
#include "skins_case.h"

#include <openssl/evp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void md5_hex(const uint8_t *data, size_t len, char out[33])
{
    uint8_t md[16];
    unsigned md_len = 0;
    assert_int_equal(EVP_Digest(data, len, md, &md_len, EVP_md5(), NULL), 1);
    for (size_t i = 0; i < 16; i++)
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
    await_device_text(c, ID, "attempt.state", "downloaded");

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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 7, 60000, &len));
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
    uint8_t *image = publish_image_of(c, "meter", MOLT_CHIP_ESP8266, 5, 60000, &len);
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 60000, &len));
    expect_version(c, "/p/lamp/fota/5CCF7F0A0B0C.version", "9");
    expect_version(c, "/fota/5CCF7F0A0B0C.version", "9");
    assert_string_equal(device_text(c, ID, "product"), "lamp");
}

static void a_bin_that_was_not_announced_is_304(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 60000, &len));
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 60000, &len));
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 9, 60000, &len));
    for (int i = 0; i < 3; i++) {
        char sends[8];
        expect_version(c, "/p/lamp" MAC_PATH ".version", "9");
        expect_status(c, &(struct esp8266){0}, 200);
        snprintf(sends, sizeof sends, "%d", i + 1);
        await_device_text(c, ID, "attempt.sends", sends);
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
    await_device_text(c, "240ac4000001", "reason.id", "download-cut");
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
        await_device_text(c, ID, "reason.id", "download-cut");
    }
    assert_string_equal(device_text(c, ID, "attempt.sends"), "0");
    expect_status(c, &(struct esp8266){0}, 200);
    await_device_text(c, ID, "attempt.state", "downloaded");
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
    uint8_t *image = publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 60000, &len);
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 60000, &len));
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 31, 60000, &len));
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

static void too_many_new_devices_are_answered_but_not_recorded(void **state)
{
    struct serve_case *c = *state;
    struct reply r;
    char path[64], id[16];
    int recorded = 0;
    size_t len = 0;
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 60000, &len));
    const time_t begun = time(NULL);
    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof path, "/p/lamp/5CCF7F0001%02X.version", i);
        expect_version(c, path, "3");
    }
    const int passed_s = (int)(time(NULL) - begun) + 1;
    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof path, "/api/v1/devices/5ccf7f0001%02x", i);
        recorded += api_ask(c, "GET", path, NULL, 0, &r) == 200;
        reply_free(&r);
    }
    snprintf(id, sizeof id, "5ccf7f000100");
    assert_string_equal(device_text(c, id, "product"), "lamp");
    assert_in_range(recorded, 20, 20 + passed_s / 3 + 1); /* twenty a minute: one more each three seconds */
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 60000, &len));
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

static void a_busy_server_says_that_nothing_is_new(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    serve_case_stop(c);
    c->options.busy_at = 1;
    serve_case_start(c);
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 60000, &len));
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
        TEST(too_many_new_devices_are_answered_but_not_recorded),
        TEST(nothing_else_is_served),
        TEST(polls_go_on_over_one_connection),
        TEST(a_busy_server_says_that_nothing_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
