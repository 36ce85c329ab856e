/* lists_test.c - RAUC's polling, esp32FOTA, ESPHome's http_request, esp-web-tools and Tasmota, asked with the bytes that their
 * sources send, and judged by what their sources look for in the answer. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve_case.h"

static struct serve_case server;
static uint8_t *image;
static size_t image_len;

static int make(void **state)
{
    (void)state;
    serve_case_make(&server);
    serve_case_start(&server);
    image = NULL;
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    free(image);
    serve_case_stop(&server);
    serve_case_remove(&server);
    return 0;
}

static void get(const char *path, const char *headers, struct reply *reply)
{
    char request[1024];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: ota.example:8266\r\n%sConnection: close\r\n\r\n", path, headers);
    raw_ask(server.port, request, reply);
}

static json_t *get_json(const char *path, const char *headers)
{
    struct reply reply;
    get(path, headers, &reply);
    assert_int_equal(reply.status, 200);
    json_t *json = json_loadb((const char *)reply.body, reply.body_len, 0, NULL);
    assert_non_null(json);
    reply_free(&reply);
    return json;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

/* The path of a URL of this server. */
static const char *path_of(const char *url)
{
    static const char origin[] = "http://ota.example:8266";
    assert_true(strncmp(url, origin, sizeof origin - 1) == 0);
    return url + sizeof origin - 1;
}

static void expect_image(const char *path)
{
    struct reply reply;
    get(path, "", &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_len, image_len);
    assert_memory_equal(reply.body, image, image_len);
    reply_free(&reply);
}

/* What the Arduino core's HTTPClient on an ESP32 sends. */
static const char esp32_client[] = "User-Agent: ESP32HTTPClient\r\n"
                                   "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n";

static void esp32fota_reads_type_version_and_url(void **state)
{
    (void)state;
    image = publish_image_of(&server, "gate", MOLT_CHIP_ESP32, 2000001, 120000, &image_len);
    /* use_device_id: the efuse MAC 24:0A:C4:01:02:03 as a number in decimal */
    json_t *list = get_json("/p/gate/firmware.json?id=3307154442788", esp32_client);
    assert_string_equal(text_of(list, "type"), "gate");
    assert_string_equal(text_of(list, "version"), "2000001");
    char path[200];
    (void)snprintf(path, sizeof path, "%s", path_of(text_of(list, "url")));
    json_decref(list);
    expect_image(path);
    await_device_text(&server, "240ac4010203", "attempt.state", "downloaded");
    /* it comes back and has it: presumed, and the list names what it runs, so that it finds nothing newer */
    list = get_json("/p/gate/firmware.json?id=3307154442788", esp32_client);
    assert_string_equal(text_of(list, "version"), "2000001");
    json_decref(list);
    assert_string_equal(device_text(&server, "240ac4010203", "attempt.state"), "presumed");
}

static void a_list_is_small_enough_for_its_reader(void **state)
{
    struct reply reply;
    (void)state;
    image = publish_image_of(&server, "gate", MOLT_CHIP_ESP32, 2, 120000, &image_len);
    get("/p/gate/240AC4010203.json", esp32_client, &reply);
    assert_int_equal(reply.status, 200);
    assert_true(reply.body_len < 1024); /* esp32FOTA has 2048 bytes for it and its own tree */
    assert_int_equal(reply.content_length, (long)reply.body_len);
    reply_free(&reply);
    get("/240AC4010204.json", esp32_client, &reply); /* of no product */
    assert_int_equal(reply.status, 404);
    reply_free(&reply);
}

static void esphome_reads_its_build_and_installs_later(void **state)
{
    (void)state;
    image = publish_image_of(&server, "lamp", MOLT_CHIP_ESP32C3, 5, 120000, &image_len);
    json_t *list =
        get_json("/p/lamp/240AC4010203.json", "User-Agent: ESPHome/2025.11.0 (https://esphome.io)\r\n");
    assert_string_equal(text_of(list, "name"), "lamp");
    assert_string_equal(text_of(list, "version"), "5");
    const json_t *build = json_array_get(json_object_get(list, "builds"), 0),
                 *ota = json_object_get(build, "ota");
    assert_string_equal(text_of(build, "chipFamily"), "ESP32-C3");
    assert_int_equal(strlen(text_of(ota, "md5")), 32);
    char path[200];
    (void)snprintf(path, sizeof path, "%s", path_of(text_of(ota, "path")));
    json_decref(list);
    expect_image(path);
    static const char hold[] = "{\"held\":true}";
    struct reply reply;
    (void)api_ask(&server, "PATCH", "/api/v1/devices/240ac4010203", hold, sizeof hold - 1, &reply);
    reply_free(&reply);
    get(path, "", &reply); /* and not when it is not offered any more */
    assert_int_equal(reply.status, 404);
    reply_free(&reply);
}

static void esp_web_tools_installs_an_esp8266(void **state)
{
    struct reply reply;
    (void)state;
    image = publish_image_of(&server, "plug", MOLT_CHIP_ESP8266, 7, 60000, &image_len);
    json_t *list = get_json("/p/plug/install.json", "Origin: https://install.example\r\n");
    assert_string_equal(text_of(list, "name"), "plug");
    assert_string_equal(text_of(list, "version"), "7");
    const json_t *build = json_array_get(json_object_get(list, "builds"), 0);
    const json_t *parts = json_object_get(build, "parts"), *part = json_array_get(parts, 0);
    assert_string_equal(text_of(build, "chipFamily"), "ESP8266");
    assert_int_equal(json_array_size(parts), 1);
    assert_int_equal(json_integer_value(json_object_get(part, "offset")), 0);
    char path[200];
    (void)snprintf(path, sizeof path, "%s", path_of(text_of(part, "path")));
    json_decref(list);
    get(path, "Origin: https://install.example\r\n", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "access-control-allow-origin"), "*");
    assert_memory_equal(reply.body, image, image_len);
    reply_free(&reply);
    get("/p/nothing/install.json", "", &reply);
    assert_int_equal(reply.status, 404);
    reply_free(&reply);
    (void)api_ask(&server, "GET", "/api/v1/devices/install", NULL, 0, &reply); /* no device was made of it */
    assert_int_equal(reply.status, 404);
    reply_free(&reply);
}

/* What Tasmota's HttpUpdateLight sends is what the core's library sends; its OtaUrl names no device. */
static void tasmota_updates_by_its_ota_url(void **state)
{
    struct reply reply;
    (void)state;
    image = publish_image_of(&server, "tasmota", MOLT_CHIP_ESP8266, 14000000, 60000, &image_len);
    const struct esp8266 device = {.mac = "5C:CF:7F:00:00:01"};
    static const char *const urls[] = {"/p/tasmota/tasmota.bin.gz", "/p/tasmota/tasmota-minimal.bin.gz",
                                       "/p/tasmota/tasmota.bin"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        ask_esp8266(server.port, urls[i], &device, &reply);
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body_len, image_len);
        reply_free(&reply);
    }
    assert_string_equal(device_text(&server, "5ccf7f000001", "product"), "tasmota");
    const struct esp32 other = {.mac = "24:0A:C4:00:00:01"};
    ask_esp32(server.port, "/p/tasmota/tasmota32.bin", &other, &reply);
    assert_int_equal(reply.status, 304); /* no image for it */
    reply_free(&reply);
}

/* ---- RAUC ---- */

static void publish_bundle(const char *version)
{
    struct reply reply;
    char path[200];
    image_len = 40000;
    free(image);
    image = calloc(1, image_len);
    assert_non_null(image);
    memcpy(image, "hsqs", 4);
    image[200] = (uint8_t)version[0];
    (void)snprintf(path, sizeof path, "/api/v1/releases?product=panel&version=%s", version);
    assert_int_equal(api_ask(&server, "POST", path, image, image_len, &reply), 201);
    reply_free(&reply);
}

static int poll_rauc(const char *version, char location[200])
{
    struct reply reply;
    char headers[400];
    (void)snprintf(headers, sizeof headers,
                   "User-Agent: rauc/1.16 libcurl/7.88.1\r\nAccept: */*\r\nRange: bytes=0-3\r\n"
                   "RAUC-Boot-ID: 1c3cd47b-0d2e-4a3f-bb4d-0c3e0d9f0a11\r\nRAUC-Serial: SN-4711\r\n"
                   "RAUC-System-Version: %s\r\nRAUC-Variant: blue\r\nRAUC-Uptime: 60.00\r\n",
                   version);
    get("/p/panel/poll", headers, &reply);
    const int status = reply.status;
    (void)snprintf(location, 200, "%s", reply_header(&reply, "location"));
    reply_free(&reply);
    return status;
}

static void rauc_is_redirected_to_its_bundle_until_it_runs_it(void **state)
{
    struct reply reply;
    char location[200];
    (void)state;
    publish_bundle("1.0.0");
    publish_bundle("2.0.0");
    assert_int_equal(poll_rauc("1.0.0", location), 302);
    assert_true(strncmp(location, "/molt/v1/artifact/", 18) == 0);
    get(location, "Range: bytes=0-3\r\n", &reply); /* the ranges that follow carry no headers of RAUC's */
    assert_int_equal(reply.status, 206);
    assert_memory_equal(reply.body, "hsqs", 4);
    reply_free(&reply);
    get(location, "Range: bytes=100-199\r\n", &reply);
    assert_int_equal(reply.status, 206);
    assert_int_equal(reply.body_len, 100);
    reply_free(&reply);
    assert_string_equal(device_text(&server, "sn-4711", "attempt.state"), "offered");
    assert_int_equal(poll_rauc("2.0.0", location), 204);
    assert_string_equal(device_text(&server, "sn-4711", "attempt.state"), "updated");
    assert_string_equal(device_text(&server, "sn-4711", "client"), "rauc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(esp32fota_reads_type_version_and_url, make, unmake),
        cmocka_unit_test_setup_teardown(a_list_is_small_enough_for_its_reader, make, unmake),
        cmocka_unit_test_setup_teardown(esphome_reads_its_build_and_installs_later, make, unmake),
        cmocka_unit_test_setup_teardown(esp_web_tools_installs_an_esp8266, make, unmake),
        cmocka_unit_test_setup_teardown(tasmota_updates_by_its_ota_url, make, unmake),
        cmocka_unit_test_setup_teardown(rauc_is_redirected_to_its_bundle_until_it_runs_it, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
