/* client_test.c - the real clients' request heads are recognised, and hostile header values count as not said. */
#include "cmocka_all.h"

#include <stdio.h>
#include <strings.h>

#include "server/skins/client.h"
#include "server/skins/credential.h"

struct header {
    const char *name, *value;
};

/* A request is a list of headers that ends in a NULL name. */
static struct http_slice lookup(const void *request, const char *name)
{
    for (const struct header *h = request; h->name != NULL; h++) {
        if (strcasecmp(h->name, name) == 0) return (struct http_slice){h->value, strlen(h->value)};
    }
    return (struct http_slice){NULL, 0};
}

static struct client read_headers(const struct header *headers)
{
    struct client client;
    client_read(lookup, headers, &client);
    return client;
}

static void the_esp8266_updater_says_who_it_is(void **state)
{
    (void)state;
    static const struct header request[] = {
        {"Host", "ota.example.test:18080"},
        {"User-Agent", "ESP8266-http-Update"},
        {"Connection", "close"},
        {"x-ESP8266-Chip-ID", "658188"},
        {"x-ESP8266-STA-MAC", "5C:CF:7F:0A:0B:0C"},
        {"x-ESP8266-AP-MAC", "5E:CF:7F:0A:0B:0C"},
        {"x-ESP8266-free-space", "1695744"},
        {"x-ESP8266-sketch-size", "400000"},
        {"x-ESP8266-sketch-md5", "ab818079629545111fd8ef7c65a485e9"},
        {"x-ESP8266-chip-size", "4194304"},
        {"x-ESP8266-sdk-version", "2.2.2-dev(38a443e)"},
        {"x-ESP8266-mode", "sketch"},
        {"x-ESP8266-version", "1000"},
        {"Content-Length", "0"},
        {NULL, NULL},
    };
    struct client c = read_headers(request);
    assert_int_equal(c.kind, MODEL_CLIENT_ESP8266);
    assert_true(c.has_chip_id && c.has_md5 && !c.has_sha256 && !c.esp32_family);
    assert_string_equal(c.mac_id, "5ccf7f0a0b0c");
    assert_int_equal(c.mode, CLIENT_MODE_SKETCH);
    assert_int_equal(c.free_space, 1695744);
    assert_int_equal(c.sketch_size, 400000);
    assert_int_equal(c.flash_size, 4194304);
    assert_int_equal(c.md5[0], 0xab);
    assert_int_equal(c.md5[15], 0xe9);
    assert_string_equal(c.core, "2.2.2-dev(38a443e)");
    assert_string_equal(c.version, "1000");
}

static void the_esp32_updater_carries_its_hash(void **state)
{
    (void)state;
    static const struct header request[] = {
        {"User-Agent", "ESP32-http-Update"},
        {"x-ESP32-STA-MAC", "24:0A:C4:00:00:01"},
        {"x-ESP32-free-space", "1310720"},
        {"x-ESP32-sketch-sha256", "9CF4F1CA6587966656016196CACB8F054A6846288DD6FE1C4CA914773328D9EE"},
        {"x-ESP32-mode", "spiffs"},
        {NULL, NULL},
    };
    struct client c = read_headers(request);
    assert_int_equal(c.kind, MODEL_CLIENT_ESP32);
    assert_true(c.esp32_family && c.has_sha256 && !c.has_md5);
    assert_int_equal(c.sha256[0], 0x9c);
    assert_int_equal(c.sha256[31], 0xee);
    assert_int_equal(c.mode, CLIENT_MODE_FILESYSTEM);
    assert_string_equal(c.mac_id, "240ac4000001");
}

static void the_version_poll_has_only_a_user_agent(void **state)
{
    (void)state;
    static const struct {
        const char *agent;
        enum model_client kind;
        bool esp32;
        enum molt_chip chip;
    } rows[] = {
        {"ESP8266HTTPClient", MODEL_CLIENT_VERSION_FILE, false, MOLT_CHIP_ESP8266},
        {"ESP32HTTPClient", MODEL_CLIENT_VERSION_FILE, true, MOLT_CHIP_UNKNOWN},
        {"ESP32 HTTP Client/1.0", MODEL_CLIENT_IDF, true, MOLT_CHIP_UNKNOWN},
        {"molt/0.1.0 esp32c3", MODEL_CLIENT_VERSION_FILE, true, MOLT_CHIP_ESP32C3},
        {"molt/0.1.0 esp8266", MODEL_CLIENT_VERSION_FILE, false, MOLT_CHIP_ESP8266},
        {"molt/0.1.0", MODEL_CLIENT_VERSION_FILE, false, MOLT_CHIP_UNKNOWN},
        {"molt/0.1.0 esp9999999999999999", MODEL_CLIENT_VERSION_FILE, false, MOLT_CHIP_UNKNOWN},
        {"curl/8.0", MODEL_CLIENT_UNKNOWN, false, MOLT_CHIP_UNKNOWN},
        {"", MODEL_CLIENT_UNKNOWN, false, MOLT_CHIP_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct header request[] = {{"user-agent", rows[i].agent}, {NULL, NULL}};
        struct client c = read_headers(request);
        assert_int_equal(c.kind, rows[i].kind);
        assert_int_equal(c.esp32_family, rows[i].esp32);
        assert_int_equal(c.chip, rows[i].chip);
    }
}

static void a_proxy_that_drops_the_user_agent_changes_nothing(void **state)
{
    (void)state;
    static const struct header request[] = {
        {"x-esp8266-sta-mac", "5c-cf-7f-0a-0b-0c"}, {"x-esp8266-mode", "version"}, {NULL, NULL}};
    struct client c = read_headers(request);
    assert_int_equal(c.kind, MODEL_CLIENT_ESP8266);
    assert_int_equal(c.mode, CLIENT_MODE_VERSION);
    assert_false(c.has_chip_id);
    assert_string_equal(c.mac_id, "5ccf7f0a0b0c");
}

static void malformed_values_count_as_not_said(void **state)
{
    (void)state;
    static const char *const bad_numbers[] = {"",
                                              "-1",
                                              "+5",
                                              "0x10",
                                              "1e3",
                                              " 7",
                                              "7 ",
                                              "268435457",
                                              "99999999999999999999",
                                              "18446744073709551617"};
    for (size_t i = 0; i < sizeof bad_numbers / sizeof bad_numbers[0]; i++) {
        const struct header request[] = {{"user-agent", "ESP8266-http-Update"},
                                         {"x-esp8266-free-space", bad_numbers[i]},
                                         {"x-esp8266-sketch-size", bad_numbers[i]},
                                         {"x-esp8266-chip-size", bad_numbers[i]},
                                         {"x-esp8266-sketch-md5", bad_numbers[i]},
                                         {"x-esp8266-sta-mac", bad_numbers[i]},
                                         {NULL, NULL}};
        struct client c = read_headers(request);
        assert_int_equal(c.free_space, 0);
        assert_int_equal(c.sketch_size, 0);
        assert_int_equal(c.flash_size, 0);
        assert_false(c.has_md5);
        assert_string_equal(c.mac_id, "");
    }
}

static void texts_are_cut_and_made_printable(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, 'v', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const struct header request[] = {{"user-agent", "ESP8266-http-Update"},
                                     {"x-esp8266-sdk-version", "a\tb\x1b[31m\xff"},
                                     {"x-esp8266-version", longer},
                                     {"x-esp8266-mode", "else"},
                                     {NULL, NULL}};
    struct client c = read_headers(request);
    assert_string_equal(c.core, "a?b?[31m?");
    assert_int_equal(strlen(c.version), MODEL_NAME_LEN - 1);
    assert_int_equal(c.mode, CLIENT_MODE_UNKNOWN);
}

static void a_token_is_found_in_basic_and_bearer(void **state)
{
    (void)state;
    static const struct {
        const char *header, *token; /* NULL: none */
    } rows[] = {
        {"Basic dTpw", "p"},                        /* u:p */
        {"basic ZGV2aWNlOm1vbHRfYWJj", "molt_abc"}, /* device:molt_abc */
        {"Basic bW9sdF9hYmM6", "molt_abc"},         /* molt_abc: */
        {"Bearer molt_abc", "molt_abc"},
        {"Basic", NULL},
        {"Basic ", NULL},
        {"Basic dQ==", NULL}, /* no colon */
        {"Basic Og==", NULL}, /* nothing on either side */
        {"Basic !!!!", NULL},
        {"Basic dTpwAA==", NULL}, /* a NUL inside */
        {"Bearer ", NULL},
        {"Digest x", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char token[16];
        bool ok = credential_token((struct http_slice){rows[i].header, strlen(rows[i].header)}, token,
                                   sizeof token);
        if (ok != (rows[i].token != NULL) || (ok && strcmp(token, rows[i].token) != 0))
            fail_msg("\"%s\" gave \"%s\"", rows[i].header, ok ? token : "none");
    }
    char token[16];
    static const char longer[] = "Bearer molt_0123456789abcdef";
    assert_false(credential_token((struct http_slice){longer, sizeof longer - 1}, token, sizeof token));
}

static void a_verdict_is_remembered_for_its_device_and_its_time(void **state)
{
    (void)state;
    struct credential_cache *cache = credential_cache_new();
    assert_non_null(cache);
    assert_int_equal(credential_recall(cache, "t", "a", 1000).verdict, CREDENTIAL_UNKNOWN);
    credential_remember(cache, "t", "a", &(struct credential){CREDENTIAL_GOOD, 0}, 1000);
    credential_remember(cache, "x", "a", &(struct credential){CREDENTIAL_BAD, 0}, 1000);
    assert_int_equal(credential_recall(cache, "t", "a", 1000).verdict, CREDENTIAL_GOOD);
    assert_int_equal(credential_recall(cache, "x", "a", 1000).verdict, CREDENTIAL_BAD);
    assert_int_equal(credential_recall(cache, "t", "b", 1000).verdict, CREDENTIAL_UNKNOWN);
    assert_int_equal(credential_recall(cache, "t", "a", 1000 + CREDENTIAL_KEEP_MS).verdict,
                     CREDENTIAL_UNKNOWN);
    credential_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_esp8266_updater_says_who_it_is),
        cmocka_unit_test(the_esp32_updater_carries_its_hash),
        cmocka_unit_test(the_version_poll_has_only_a_user_agent),
        cmocka_unit_test(a_proxy_that_drops_the_user_agent_changes_nothing),
        cmocka_unit_test(malformed_values_count_as_not_said),
        cmocka_unit_test(texts_are_cut_and_made_printable),
        cmocka_unit_test(a_token_is_found_in_basic_and_bearer),
        cmocka_unit_test(a_verdict_is_remembered_for_its_device_and_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
