/* skins_checkin_test.c - a real server on loopback, asked with molt's own check-in, and by devices that prove themselves. */
#include "skins_case.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "agent/checkin.h"

static void sha_hex(const uint8_t *data, size_t len, char out[65])
{
    uint8_t md[32];
    unsigned md_len = 0;
    assert_int_equal(EVP_Digest(data, len, md, &md_len, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", md[i]);
}

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
    await_device_text(c, said.id, "attempt.state", "downloaded");
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
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 3, 60000, &len));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_check_in_is_offered_fetches_and_reports),
        TEST(an_artifact_goes_to_whom_it_was_offered_and_by_its_digest),
        TEST(a_malformed_check_in_is_400),
        TEST(a_token_in_the_path_or_in_basic_verifies),
        TEST(the_server_says_how_often_to_check_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
