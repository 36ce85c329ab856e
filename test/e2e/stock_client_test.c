/* stock_client_test.c - the simulator's stock clients send and answer what the real ones were seen to: the request byte by
 * byte, and for each way a server can behave the error number that a sketch would print. */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <bearssl_hash.h>

#include "host/image_build.h"
#include "sim/eboot.h"
#include "sim/layout.h"
#include "sim/stock_update.h"

#define IMAGE_LEN 40000u

/* ---- a server that says exactly what it is told, once ---------------------------------------------------- */

struct canned {
    int listener;
    uint16_t port;
    const uint8_t *answer;
    size_t answer_len;
    char request[4096];
    pthread_t thread;
};

static void *answer_once(void *arg)
{
    struct canned *c = arg;
    int fd = accept(c->listener, NULL, NULL);
    size_t have = 0;
    while (fd >= 0 && have < sizeof c->request - 1 && strstr(c->request, "\r\n\r\n") == NULL) {
        ssize_t n = recv(fd, c->request + have, sizeof c->request - 1 - have, 0);
        if (n <= 0) break;
        have += (size_t)n;
        c->request[have] = '\0';
    }
    for (size_t sent = 0; fd >= 0 && sent < c->answer_len;) {
        ssize_t n = send(fd, c->answer + sent, c->answer_len - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += (size_t)n;
    }
    if (fd >= 0) close(fd);
    return NULL;
}

static void canned_start(struct canned *c, const void *answer, size_t len)
{
    memset(c, 0, sizeof *c);
    c->answer = answer;
    c->answer_len = len;
    c->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(c->listener, (struct sockaddr *)&at, sizeof at), 0);
    socklen_t at_len = sizeof at;
    assert_int_equal(getsockname(c->listener, (struct sockaddr *)&at, &at_len), 0);
    assert_int_equal(listen(c->listener, 4), 0);
    c->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&c->thread, NULL, answer_once, c), 0);
}

static void canned_stop(struct canned *c)
{
    pthread_join(c->thread, NULL);
    close(c->listener);
}

/* ---- the two chips --------------------------------------------------------------------------------------- */

struct chip {
    struct sim_flash flash;
    struct sim_rtc rtc;
    struct stock_device device;
    uint8_t *image; /* the new one */
    size_t image_len;
};

static uint8_t *build(enum molt_chip chip, uint32_t seed, uint32_t flash_size, size_t *len)
{
    uint8_t *image = NULL;
    const struct image_build spec = {
        .chip = chip, .size = IMAGE_LEN, .seed = seed, .flash_size = flash_size, .flash_mode = 2};
    assert_int_equal(image_build(&spec, &image, len), 0);
    return image;
}

static void chip_begin(struct chip *c, enum molt_chip chip)
{
    memset(c, 0, sizeof *c);
    const bool esp8266 = chip == MOLT_CHIP_ESP8266;
    const struct sim_layout *layout = sim_layout_find(esp8266 ? "4M2M" : "esp32-4M");
    assert_non_null(layout);
    assert_int_equal(sim_flash_open(&c->flash, &(struct sim_flash_config){.size = layout->flash_size}), 0);
    size_t len;
    uint8_t *old = build(chip, 1, 4u << 20, &len);
    sim_flash_program(&c->flash, esp8266 ? 0 : 0x10000, old, (uint32_t)len);
    free(old);
    sim_rtc_power_on(&c->rtc);
    c->image = build(chip, 2, 4u << 20, &c->image_len);
    c->device = (struct stock_device){
        .chip = chip,
        .flash = &c->flash,
        .mac = {0x5C, 0xCF, 0x7F, 0x0A, 0x0B, 0x0C},
        .fs_start = layout->fs_start,
        .fs_end = layout->fs_end,
        .rtc = c->rtc.bytes,
        .running_off = 0x10000,
        .next_off = 0x150000,
        .next_len = 0x140000,
        .next_slot = 1,
        .otadata_off = 0xE000,
        .slot_count = 2,
        /* every answer below ends with the connection: these are for a server that hangs */
        .read_timeout_ms = 120000,
        .body_timeout_ms = 120000,
    };
}

static void chip_end(struct chip *c)
{
    free(c->image);
    sim_flash_close(&c->flash);
}

/* Head, then body, in one piece of memory. */
static uint8_t *answer_of(const char *head, const void *body, size_t body_len, size_t *len)
{
    *len = strlen(head) + body_len;
    uint8_t *answer = malloc(*len + 1);
    assert_non_null(answer);
    memcpy(answer, head, strlen(head));
    if (body_len > 0) memcpy(answer + strlen(head), body, body_len);
    return answer;
}

static struct stock_result update_against(struct chip *c, const char *head, const void *body, size_t body_len)
{
    struct canned server;
    struct stock_result result;
    char url[128];
    size_t len;
    uint8_t *answer = answer_of(head, body, body_len, &len);
    canned_start(&server, answer, len);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/ok/5ccf7f0a0b0c.bin", server.port);
    stock_update(&c->device, url, NULL, false, &result);
    canned_stop(&server);
    free(answer);
    return result;
}

/* ---- the request, byte by byte ---------------------------------------------------------------------------- */

static void md5_hex(const uint8_t *data, size_t len, char hex[33])
{
    br_md5_context md5;
    uint8_t digest[16];
    br_md5_init(&md5);
    br_md5_update(&md5, data, len);
    br_md5_out(&md5, digest);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void the_esp8266_asks_for_its_bin_as_observed(void **state)
{
    (void)state;
    struct chip c;
    struct canned server;
    struct stock_result result;
    char url[128], expected[2048], md5[33];
    static const char answer[] = "HTTP/1.1 304 Not Modified\r\n\r\n";
    chip_begin(&c, MOLT_CHIP_ESP8266);
    canned_start(&server, answer, sizeof answer - 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/ok/5ccf7f0a0b0c.bin", server.port);
    stock_update(&c.device, url, "1000", false, &result);
    canned_stop(&server);
    md5_hex(c.flash.bytes, IMAGE_LEN, md5);
    snprintf(
        expected, sizeof expected,
        "GET /ok/5ccf7f0a0b0c.bin HTTP/1.0\r\nHost: 127.0.0.1:%u\r\nUser-Agent: ESP8266-http-Update\r\n"
        "Connection: close\r\nx-ESP8266-Chip-ID: 658188\r\nx-ESP8266-STA-MAC: 5C:CF:7F:0A:0B:0C\r\n"
        "x-ESP8266-AP-MAC: 5E:CF:7F:0A:0B:0C\r\nx-ESP8266-free-space: 2056192\r\n"
        "x-ESP8266-sketch-size: 40000\r\nx-ESP8266-sketch-md5: %s\r\nx-ESP8266-chip-size: 4194304\r\n"
        "x-ESP8266-sdk-version: 2.2.2-dev(38a443e)\r\nx-ESP8266-mode: sketch\r\nx-ESP8266-version: 1000\r\n"
        "Content-Length: 0\r\n\r\n",
        server.port, md5);
    assert_string_equal(server.request, expected);
    assert_int_equal(result.ret, STOCK_NO_UPDATES);
    chip_end(&c);
}

static void the_esp32_asks_for_its_bin_as_observed(void **state)
{
    (void)state;
    struct chip c;
    struct canned server;
    struct stock_result result;
    char url[128], expected[2048], md5[33], sha256[65];
    static const char answer[] = "HTTP/1.1 304 Not Modified\r\n\r\n";
    chip_begin(&c, MOLT_CHIP_ESP32);
    canned_start(&server, answer, sizeof answer - 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/ok/5ccf7f0a0b0c.bin", server.port);
    stock_update(&c.device, url, NULL, false, &result);
    canned_stop(&server);
    md5_hex(c.flash.bytes + 0x10000, IMAGE_LEN, md5);
    for (int i = 0; i < 32; i++)
        snprintf(sha256 + 2 * i, 3, "%02X", c.flash.bytes[0x10000 + IMAGE_LEN - 32 + i]);
    snprintf(
        expected, sizeof expected,
        "GET /ok/5ccf7f0a0b0c.bin HTTP/1.0\r\nHost: 127.0.0.1:%u\r\nUser-Agent: ESP32-http-Update\r\n"
        "Connection: close\r\nCache-Control: no-cache\r\nx-ESP32-STA-MAC: 5C:CF:7F:0A:0B:0C\r\n"
        "x-ESP32-AP-MAC: 5C:CF:7F:0A:0B:0D\r\nx-ESP32-free-space: 1310720\r\nx-ESP32-sketch-size: 40000\r\n"
        "x-ESP32-sketch-md5: %s\r\nx-ESP32-sketch-sha256: %s\r\nx-ESP32-chip-size: 4194304\r\n"
        "x-ESP32-sdk-version: v4.4.1-472-gc9140caf8c\r\nx-ESP32-mode: sketch\r\n\r\n",
        server.port, md5, sha256);
    assert_string_equal(server.request, expected);
    chip_end(&c);
}

static void credentials_in_the_address_go_behind_the_user_agent(void **state)
{
    (void)state;
    struct chip c;
    struct canned server;
    struct stock_result result;
    char url[128];
    static const char answer[] = "HTTP/1.1 304 Not Modified\r\n\r\n";
    chip_begin(&c, MOLT_CHIP_ESP8266);
    canned_start(&server, answer, sizeof answer - 1);
    snprintf(url, sizeof url, "http://u:p@127.0.0.1:%u/x.bin", server.port);
    stock_update(&c.device, url, NULL, false, &result);
    canned_stop(&server);
    assert_non_null(strstr(
        server.request, "User-Agent: ESP8266-http-Update\r\nAuthorization: Basic dTpw\r\nConnection: close"));
    assert_null(strchr(server.request, '@'));
    assert_int_equal(result.ret, STOCK_NO_UPDATES);
    chip_end(&c);
}

static void both_ask_for_the_version_as_observed(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1001\n";
    for (int esp32 = 0; esp32 < 2; esp32++) {
        struct chip c;
        struct canned server;
        char url[128], expected[512];
        int status;
        chip_begin(&c, esp32 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP8266);
        canned_start(&server, answer, sizeof answer - 1);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/ok/5ccf7f0a0b0c.version", server.port);
        assert_int_equal(stock_version_get(&c.device, url, &status), 1001);
        assert_int_equal(status, 200);
        canned_stop(&server);
        snprintf(
            expected, sizeof expected, "GET /ok/5ccf7f0a0b0c.version HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s",
            server.port,
            esp32 ? "User-Agent: ESP32HTTPClient\r\nConnection: keep-alive\r\n"
                    "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n\r\n"
                  : "User-Agent: ESP8266HTTPClient\r\nAccept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n"
                    "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n");
        assert_string_equal(server.request, expected);
        chip_end(&c);
    }
}

/* ---- what they answer ------------------------------------------------------------------------------------- */

enum body { IMAGE, NONE, HTML, CHUNKED_IMAGE, GZIP, HALF, ONE_BYTE, OTHER_CHIP, BIG_FLASH };

struct row {
    const char *name,
        *head; /* @L: the body's length, @M: its MD5, @U: the same in upper case, @G: of the image */
    enum body body;
    int esp8266, esp32; /* expected last error; OK and NO as below */
};

#define OK 1000
#define NO 1001

static const struct row rows[] = {
    {"length and close", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\n\r\n", IMAGE, OK, OK},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: @L\r\n\r\n", IMAGE, OK, OK},
    {"lower-case names, LF lines", "HTTP/1.1 200 OK\ncontent-length: @L\n\n", IMAGE, OK, OK},
    {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED_IMAGE, -101, -101},
    {"no length", "HTTP/1.1 200 OK\r\n\r\n", IMAGE, -101, -101},
    {"length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NONE, -101, -101},
    {"chunked and length", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nTransfer-Encoding: chunked\r\n\r\n",
     CHUNKED_IMAGE, -106, -106},
    {"Transfer-Encoding gzip", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nTransfer-Encoding: gzip\r\n\r\n",
     IMAGE, -9, -9},
    {"Transfer-Encoding identity",
     "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nTransfer-Encoding: identity\r\n\r\n", IMAGE, -9, OK},
    {"a web page with 200", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\n\r\n", HTML, -106, -106},
    {"too big", "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", IMAGE, -100, -100},
    {"right MD5", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nx-MD5: @M\r\n\r\n", IMAGE, OK, OK},
    {"right MD5 in capitals", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nX-MD5: @U\r\n\r\n", IMAGE, OK, 7},
    {"wrong MD5", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nx-MD5: 00000000000000000000000000000000\r\n\r\n",
     IMAGE, 7, 7},
    {"MD5 of 30 characters",
     "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nx-MD5: 000000000000000000000000000000\r\n\r\n", IMAGE, -105,
     -105},
    {"two MD5 headers", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nx-MD5: @M\r\nx-MD5: @M\r\n\r\n", IMAGE,
     -105, OK},
    {"gzip", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\n\r\n", GZIP, OK, -106},
    {"gzip with its MD5", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nx-MD5: @M\r\n\r\n", GZIP, OK, -106},
    {"gzip with the image's MD5", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\nx-MD5: @G\r\n\r\n", GZIP, 7,
     -106},
    {"302", "HTTP/1.1 302 Found\r\nLocation: /x.bin\r\nContent-Length: 0\r\n\r\n", NONE, -104, -104},
    {"304", "HTTP/1.1 304 Not Modified\r\n\r\n", NONE, NO, NO},
    {"401", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", NONE, -108, -104},
    {"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", NONE, -103, -103},
    {"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", NONE, -102, -102},
    {"503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", NONE, -104, -104},
    {"closed without an answer", "", NONE, -5, -5},
    {"SSH", "SSH-2.0-OpenSSH\r\n", NONE, -5, -5},
    {"not HTTP", "hello\r\n\r\n", NONE, -7, -7},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n", HALF, 6, 6},
    {"a body of one byte", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", ONE_BYTE, -106, 1},
    {"built for 16 MB of flash", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\n\r\n", BIG_FLASH, -107, OK},
    {"another chip's image", "HTTP/1.1 200 OK\r\nContent-Length: @L\r\n\r\n", OTHER_CHIP, OK, 9},
};

static uint8_t *gzip_of(const uint8_t *data, size_t len, size_t *out_len)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t *out = malloc(deflateBound(&z, len));
    assert_non_null(out);
    z.next_in = (uint8_t *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)deflateBound(&z, len);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out_len = z.total_out;
    deflateEnd(&z);
    return out;
}

static uint8_t *make_body(const struct chip *c, enum body kind, size_t *len)
{
    static const char html[] = "<html><body>404 not found</body></html>";
    const bool esp8266 = c->device.chip == MOLT_CHIP_ESP8266;
    uint8_t *out = malloc(c->image_len + 64);
    assert_non_null(out);
    *len = 0;
    switch (kind) {
    case IMAGE:
        memcpy(out, c->image, *len = c->image_len);
        break;
    case HALF:
        memcpy(out, c->image, *len = c->image_len / 2);
        break;
    case ONE_BYTE:
        memcpy(out, c->image, *len = 1);
        break;
    case HTML:
        memcpy(out, html, *len = sizeof html - 1);
        break;
    case CHUNKED_IMAGE:
        *len = (size_t)snprintf((char *)out, 32, "%zx\r\n", c->image_len);
        memcpy(out + *len, c->image, c->image_len);
        *len += c->image_len;
        memcpy(out + *len, "\r\n0\r\n\r\n", 7);
        *len += 7;
        break;
    case GZIP:
        free(out);
        return gzip_of(c->image, c->image_len, len);
    case OTHER_CHIP:
        free(out);
        return build(esp8266 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP32C3, 3, esp8266 ? 1u << 20 : 4u << 20, len);
    case BIG_FLASH:
        free(out);
        return build(c->device.chip, 3, 16u << 20, len);
    case NONE:
        break;
    }
    return out;
}

/* Writes the head with @L, @M, @U and @G filled in. */
static void fill_head(const struct chip *c, const char *head, const uint8_t *body, size_t len, char out[512])
{
    char md5[33], image_md5[33];
    size_t have = 0;
    md5_hex(body, len, md5);
    md5_hex(c->image, c->image_len, image_md5);
    for (const char *p = head; *p != '\0'; p++) {
        if (*p != '@') {
            out[have++] = *p;
            continue;
        }
        switch (*++p) {
        case 'L':
            have += (size_t)snprintf(out + have, 512 - have, "%zu", len);
            break;
        case 'G':
            have += (size_t)snprintf(out + have, 512 - have, "%s", image_md5);
            break;
        default:
            for (int i = 0; i < 32; i++) {
                bool up = *p == 'U' && md5[i] >= 'a';
                out[have++] = (char)(up ? md5[i] - 'a' + 'A' : md5[i]);
            }
        }
    }
    out[have] = '\0';
}

static void every_answer_gives_the_error_that_was_observed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int esp32 = 0; esp32 < 2; esp32++) {
            struct chip c;
            char head[512];
            size_t len;
            chip_begin(&c, esp32 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP8266);
            uint8_t *body = make_body(&c, rows[i].body, &len);
            fill_head(&c, rows[i].head, body, len, head);
            struct stock_result result = update_against(&c, head, body, len);
            int got = result.ret == STOCK_OK ? OK : result.ret == STOCK_NO_UPDATES ? NO : result.error;
            int want = esp32 ? rows[i].esp32 : rows[i].esp8266;
            if (got != want)
                fail_msg("%s, %s: %d, not %d", rows[i].name, esp32 ? "ESP32" : "ESP8266", got, want);
            free(body);
            chip_end(&c);
        }
    }
}

static void a_refused_connection_is_minus_1(void **state)
{
    (void)state;
    struct chip c;
    struct stock_result result;
    chip_begin(&c, MOLT_CHIP_ESP8266);
    stock_update(&c.device, "http://127.0.0.1:1/x.bin", NULL, false, &result);
    assert_int_equal(result.error, -1);
    assert_string_equal(result.text, "HTTP error: connection failed");
    chip_end(&c);
}

static void the_version_is_read_as_to_int_does(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int32_t code;
    } versions[] = {
        {"1001\n", 1001},
        {"  1001  \r\n", 1001},
        {"\r\n1001", 1001},
        {"1001.5", 1001},
        {"\xEF\xBB\xBF"
         "1001",
         0},
        {"v1001", 0},
        {"3000000000", 2147483647},
        {"12abc", 12},
    };
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct chip c;
        struct canned server;
        char url[128], answer[256];
        int status;
        chip_begin(&c, MOLT_CHIP_ESP8266);
        snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(versions[i].body), versions[i].body);
        canned_start(&server, answer, strlen(answer));
        snprintf(url, sizeof url, "http://127.0.0.1:%u/a.version", server.port);
        assert_int_equal(stock_version_get(&c.device, url, &status), versions[i].code);
        canned_stop(&server);
        chip_end(&c);
    }
}

static void what_was_stored_boots(void **state)
{
    (void)state;
    struct chip c;
    struct sim_eboot_result booted;
    char head[64];
    chip_begin(&c, MOLT_CHIP_ESP8266);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", c.image_len);
    assert_int_equal(update_against(&c, head, c.image, c.image_len).ret, STOCK_OK);
    sim_eboot_run(&c.flash.port, &c.rtc, &booted);
    assert_true(booted.started);
    assert_memory_equal(c.flash.bytes, c.image, c.image_len);
    chip_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_esp8266_asks_for_its_bin_as_observed),
        cmocka_unit_test(the_esp32_asks_for_its_bin_as_observed),
        cmocka_unit_test(credentials_in_the_address_go_behind_the_user_agent),
        cmocka_unit_test(both_ask_for_the_version_as_observed),
        cmocka_unit_test(every_answer_gives_the_error_that_was_observed),
        cmocka_unit_test(a_refused_connection_is_minus_1),
        cmocka_unit_test(the_version_is_read_as_to_int_does),
        cmocka_unit_test(what_was_stored_boots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
