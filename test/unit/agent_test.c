/* agent_test.c - the agent's three sources and its downloads, on virtual chips with a scripted network. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_case.h"

#define VERSION_URL "http://10.0.0.2:8266/fota/"
#define BIN         "GET /fota/5CCF7FC602E2.bin HTTP/1.1\r\n"
#define VERSION     "GET /fota/5CCF7FC602E2.version HTTP/1.1\r\nHost: 10.0.0.2:8266\r\nUser-Agent: molt/"

/* ---- version file ---- */

static void a_higher_number_brings_the_new_image(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 2017102501);
    agent_rig_text(&rig, VERSION, "2017102502\n");
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    expect_installed(&new8266);
    assert_string_equal(rig.host, "10.0.0.2");
    assert_int_equal(rig.port, 8266);
    assert_false(rig.is_tls);
    assert_int_equal(rig.agent.offered_code, 2017102502);
    assert_int_equal(rig.agent.received, new8266.len);
}

static void an_esp32_takes_the_new_image_too(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_VERSION_FILE, "https://ota.example.test/", 1);
    rig.config.spelling = MOLT_ID_COLONS;
    agent_rig_text(&rig, "GET /5C:CF:7F:C6:02:E2.version HTTP/1.1\r\nHost: ota.example.test\r\n", " 2 \r\n");
    agent_rig_file(&rig, "GET /5C:CF:7F:C6:02:E2.bin HTTP/1.1\r\n", new32.data, new32.len)->piece = 7777;
    expect_installed(&new32);
    assert_true(rig.is_tls);
    assert_int_equal(rig.port, 443);
}

static void a_compressed_image_is_recognised(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, new8266_gz.data, new8266_gz.len)->piece = 1;
    expect_installed(&new8266);
}

static void without_a_window_a_compressed_image_is_refused(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    rig.config.window = NULL;
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, new8266_gz.data, new8266_gz.len);
    expect_report(MOLT_GZIP_WINDOW);
    assert_int_equal(rig.chip.flash.count.erases, 0);
}

static void the_id_is_spelled_as_the_product_wants(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, "http://h/x/0x99999", 1);
    rig.config.spelling = MOLT_ID_LOWER;
    agent_rig_text(&rig, "GET /x/0x999995ccf7fc602e2.version HTTP/1.1\r\nHost: h\r\n", "1");
    expect_report(MOLT_UP_TO_DATE);
    rig.config.id = "SEMv5";
    agent_rig_text(&rig, "GET /x/0x99999SEMv5.version HTTP/1.1\r\n", "1");
    expect_report(MOLT_UP_TO_DATE);
}

static void an_equal_or_lower_number_brings_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int reason;
    } rows[] = {{"5", MOLT_UP_TO_DATE},
                {"4", MOLT_DEVICE_NEWER},
                {"0", MOLT_UP_TO_DATE},
                {"\t0005\n", MOLT_UP_TO_DATE}};
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 5);
    for (size_t i = 0; i < 4; i++) {
        agent_rig_text(&rig, VERSION, rows[i].text);
        expect_report(rows[i].reason);
    }
    assert_int_equal(rig.connects, 4);
}

static void what_is_no_plain_number_is_refused_and_kept_for_the_report(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "v2",           "\xEF\xBB\xBF\x32",
                                      "2147483648", "201710250100", "1.5",
                                      "2abc",       "-2",           "<html><h1>404 Not Found</h1></html>",
                                      "2 3",        "\"2\"",        "0x10"};
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        agent_rig_text(&rig, VERSION, bad[i]);
        expect_report(MOLT_VERSION_MALFORMED);
        size_t len = strlen(bad[i]) < MOLT_AGENT_DETAIL_LEN ? strlen(bad[i]) : MOLT_AGENT_DETAIL_LEN;
        assert_int_equal(rig.agent.detail_len, len);
        assert_memory_equal(rig.agent.detail, bad[i], len);
    }
    static char page[2000];
    memset(page, ' ', sizeof page - 2);
    page[sizeof page - 2] = '2';
    agent_rig_text(&rig, VERSION, page);
    expect_report(MOLT_VERSION_MALFORMED);
    assert_int_equal(rig.connects, sizeof bad / sizeof bad[0] + 1);
}

static void version_files_may_be_chunked_or_end_with_the_connection(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 7);
    agent_rig_expect(&rig, VERSION,
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n7\r\n0\r\n\r\n", NULL, 0);
    expect_report(MOLT_UP_TO_DATE);
    agent_rig_expect(&rig, VERSION, "HTTP/1.0 200 OK\r\n\r\n7", NULL, 0)->close = true;
    expect_report(MOLT_UP_TO_DATE);
}

static void unexpected_answers_end_the_check_with_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int reason;
    } rows[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", MOLT_HTTP_NOT_FOUND},
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", MOLT_HTTP_FORBIDDEN},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", MOLT_HTTP_FORBIDDEN},
        {"HTTP/1.1 500 Oops\r\n\r\n", MOLT_HTTP_STATUS},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", MOLT_HTTP_STATUS},
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-0/1\r\n\r\n2", MOLT_HTTP_RANGE},
        {"HTTP/1.1 429 Slow\r\nRetry-After: 60\r\n\r\n", MOLT_SERVER_BUSY},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", MOLT_SERVER_BUSY},
        {"SSH-2.0-OpenSSH\r\n", MOLT_HTTP_MALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", MOLT_HTTP_ENCODING},
    };
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        agent_rig_expect(&rig, VERSION, rows[i].head, NULL, 0);
        expect_report(rows[i].reason);
    }
    agent_rig_expect(&rig, VERSION, "HTTP/1.1 200 OK\r\n", NULL, 0)->close = true;
    expect_report(MOLT_CONNECTION_LOST);
    agent_rig_text(&rig, VERSION, "2")->cut = 20;
    expect_report(MOLT_CONNECTION_LOST);
    agent_rig_text(&rig, VERSION, "2")->fail = MOLT_DNS;
    expect_report(MOLT_DNS);
    agent_rig_text(&rig, VERSION, "2")->silent = true;
    expect_report(MOLT_TIMEOUT);
}

/* ---- the image ---- */

static void an_image_without_a_length_is_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello"};
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    for (size_t i = 0; i < 2; i++) {
        agent_rig_text(&rig, VERSION, "2");
        agent_rig_expect(&rig, BIN, heads[i], NULL, 0);
        expect_report(MOLT_HTTP_NO_LENGTH);
    }
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_text(&rig, BIN, "");
    expect_report(MOLT_IMAGE_EMPTY);
}

static void what_is_no_image_for_this_chip_is_refused_before_any_erase(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_text(&rig, VERSION, "2");
    static char page[3000] = "<html><body>404 Not Found";
    agent_rig_file(&rig, BIN, (const uint8_t *)page, sizeof page);
    expect_report(MOLT_IMAGE_TEXT);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    expect_report(MOLT_WRONG_CHIP);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, BIN, "HTTP/1.1 404 Not Found\r\n\r\n", NULL, 0);
    expect_report(MOLT_HTTP_NOT_FOUND);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, BIN, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n\xE9", NULL, 0);
    expect_report(MOLT_NO_SPACE);
    assert_int_equal(rig.chip.flash.count.erases, 0);
}

static void the_image_that_runs_already_is_fetched_once_and_not_again(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, old8266.data,
                   old8266.len); /* .version was raised before the .bin was replaced */
    expect_report(MOLT_SAME_DIGEST);
    for (int i = 0; i < 5; i++) {
        agent_rig_text(&rig, VERSION, "2");
        expect_report(MOLT_SAME_DIGEST);
    }
    agent_rig_text(&rig, VERSION, "3");
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 8 * 3600 * 1000));
}

static void a_lost_download_goes_on_where_it_ended(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, new8266.data, new8266.len)->cut = 10000;
    assert_false(agent_rig_run(&rig, rig.now_ms + 500));
    uint32_t received = rig.agent.received;
    assert_in_range(received, 9000, 10000);
    char want[200], head[200];
    snprintf(want, sizeof want,
             BIN "Host: 10.0.0.2:8266\r\nUser-Agent: molt/0.1.0 esp8266\r\nConnection: close\r\n"
                 "Range: bytes=%u-\r\nIf-Range: \"e1\"\r\n\r\n",
             received);
    snprintf(head, sizeof head,
             "HTTP/1.1 206 Partial\r\nContent-Range: bytes %u-%zu/%zu\r\nContent-Length: %zu\r\n\r\n",
             received, new8266.len - 1, new8266.len, new8266.len - received);
    agent_rig_expect(&rig, want, "", NULL, 0)->fail = MOLT_CONNECT; /* and once more */
    agent_rig_expect(&rig, want, head, new8266.data + received, new8266.len - received);
    expect_installed(&new8266);
}

static void a_download_does_not_go_on_with_another_file(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int reason;
    } rows[] = {
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-28975/28976\r\nContent-Length: 28976\r\n\r\n",
         MOLT_HTTP_RANGE},
        {"HTTP/1.1 416 Range Not Satisfiable\r\n\r\n", MOLT_HTTP_STATUS},
        {"HTTP/1.1 404 Not Found\r\n\r\n", MOLT_HTTP_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
        agent_rig_text(&rig, VERSION, "2");
        agent_rig_file(&rig, BIN, new8266.data, new8266.len)->cut = 10000;
        agent_rig_expect(&rig, BIN, rows[i].head, NULL, 0);
        expect_report(rows[i].reason);
        if (i < 2) agent_rig_close(&rig);
    }
}

static void without_an_etag_a_lost_download_begins_again(void **state)
{
    (void)state;
    char head[100];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: W/\"weak\"\r\n\r\n",
             new8266.len);
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, BIN, head, new8266.data, new8266.len)->cut = 10000;
    expect_report(MOLT_CONNECTION_LOST);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, BIN, head, new8266.data, new8266.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 3600 * 1000));
}

static void a_download_that_never_gets_further_is_given_up(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, new8266.data, new8266.len)->cut = 10000;
    uint64_t began_ms = rig.now_ms;
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_CONNECT);
    assert_int_equal(rig.connects, 2 + 5);
    assert_true(rig.now_ms - began_ms >= 31000); /* 1 + 2 + 4 + 8 + 16 s */
}

static void a_server_that_falls_silent_or_drips_is_given_up(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_expect(&rig, VERSION, "HTTP/1.1 200 OK\r\nX: ", NULL, 0)->silent = true;
    expect_report(MOLT_TIMEOUT);
    assert_in_range(rig.now_ms, 19000, 25000);
    struct exchange *x = agent_rig_text(&rig, VERSION, "2");
    x->piece = 1;
    x->delay_ms = 15000;
    expect_report(MOLT_TIMEOUT);
    assert_in_range(rig.now_ms - rig.connect_ms[1], 60000, 75000);
}

/* ---- redirects ---- */

static void redirects_are_followed_to_their_end(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, VERSION_URL, 1);
    agent_rig_expect(&rig, VERSION, "HTTP/1.1 301 Moved\r\nLocation: /a\r\nContent-Length: 5\r\n\r\nhello",
                     NULL, 0);
    agent_rig_expect(&rig, "GET /a HTTP/1.1\r\nHost: 10.0.0.2:8266\r\n",
                     "HTTP/1.1 307 T\r\nLocation: https://b/c\r\n\r\n", NULL, 0);
    agent_rig_text(&rig, "GET /c HTTP/1.1\r\nHost: b\r\n", "1");
    expect_report(MOLT_UP_TO_DATE);
    assert_true(rig.is_tls);
    agent_rig_text(&rig, VERSION, "1"); /* the next check begins where the product said */
    expect_report(MOLT_UP_TO_DATE);
}

static void bad_redirects_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Location: http://b/c\r\n", "Location: c\r\n", "Location: ftp://x/\r\n",
                                      ""};
    open8266(MOLT_SOURCE_VERSION_FILE, "https://h/", 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char head[100];
        snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\n%s\r\n", bad[i]);
        agent_rig_expect(&rig, NULL, head, NULL, 0);
        expect_report(MOLT_REDIRECT_REFUSED);
    }
    for (int i = 0; i < 6; i++)
        agent_rig_expect(&rig, NULL, "HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n", NULL, 0);
    expect_report(MOLT_REDIRECT_LOOP);
}

/* ---- one URL, as stock clients ask ---- */

static void an_esp8266_asks_as_esphttpupdate_does(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_URL, "http://u:p@h/update.php", 1000);
    rig.config.image_len = 24640;
    rig.config.sketch_md5 = "ab818079629545111fd8ef7c65a485e9";
    agent_rig_expect(&rig,
                     "GET /update.php HTTP/1.0\r\nHost: h\r\nUser-Agent: ESP8266-http-Update\r\n"
                     "Authorization: Basic dTpw\r\nConnection: close\r\nx-ESP8266-Chip-ID: 12976866\r\n"
                     "x-ESP8266-STA-MAC: 5C:CF:7F:C6:02:E2\r\nx-ESP8266-AP-MAC: 5E:CF:7F:C6:02:E2\r\n"
                     "x-ESP8266-free-space: ",
                     "HTTP/1.1 304 Not Modified\r\n\r\n", NULL, 0);
    expect_report(MOLT_UP_TO_DATE);
    assert_non_null(strstr(rig.request, "\r\nx-ESP8266-sketch-size: 24640\r\n"
                                        "x-ESP8266-sketch-md5: ab818079629545111fd8ef7c65a485e9\r\n"
                                        "x-ESP8266-chip-size: 524288\r\nx-ESP8266-sdk-version: molt-"));
    assert_non_null(strstr(rig.request, "\r\nx-ESP8266-mode: sketch\r\nx-ESP8266-version: 1000\r\n\r\n"));
    agent_rig_file(&rig, NULL, new8266.data, new8266.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 2 * 3600 * 1000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, new8266.data, new8266.len));
}

static void an_esp32_asks_as_httpupdate_does(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_URL, "http://h:81/u", 1);
    rig.config.version = "1.2.3";
    agent_rig_expect(&rig,
                     "GET /u HTTP/1.0\r\nHost: h:81\r\nUser-Agent: ESP32-http-Update\r\nConnection: close\r\n"
                     "Cache-Control: no-cache\r\nx-ESP32-STA-MAC: 5C:CF:7F:C6:02:E2\r\nx-ESP32-AP-MAC: "
                     "5C:CF:7F:C6:02:E3\r\nx-ESP32-free-space: 1310720\r\nx-ESP32-sketch-sha256: ",
                     "HTTP/1.1 304 Not Modified\r\n\r\n", NULL, 0);
    expect_report(MOLT_UP_TO_DATE);
    assert_non_null(strstr(rig.request, "\r\nx-ESP32-mode: sketch\r\nx-ESP32-version: 1.2.3\r\n\r\n"));
    char digest[65];
    const uint8_t *want = old32.data + old32.len - 32; /* the appended SHA-256 */
    for (int i = 0; i < 32; i++)
        snprintf(digest + 2 * i, 3, "%02X", want[i]);
    assert_non_null(strstr(rig.request, digest));
    agent_rig_file(&rig, NULL, new32.data, new32.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 2 * 3600 * 1000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, new32.data, new32.len));
}

static void the_same_image_from_a_url_is_asked_for_ever_more_rarely(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_URL, "http://h/u", 1);
    agent_rig_file(&rig, NULL, old8266.data, old8266.len);
    rig.endless = true;
    expect_report(MOLT_SAME_DIGEST);
    agent_rig_run(&rig, 24u * 3600 * 1000);
    assert_in_range(rig.connects, 2, 5);
}

static void urls_up_to_the_longest_are_asked_and_no_longer(void **state)
{
    (void)state;
    static char url[MOLT_HTTP_URL_MAX + 2] = "http://h/";
    static const enum molt_source sources[] = {MOLT_SOURCE_URL, MOLT_SOURCE_VERSION_FILE,
                                               MOLT_SOURCE_CHECK_IN};
    static const size_t suffix[] = {0, 12 + 8, sizeof MOLT_CHECKIN_PATH - 1}; /* added to the URL */
    memset(url + 9, 'x', sizeof url - 10);
    for (int i = 0; i < 3; i++) {
        open8266(sources[i], "http://h/", 1);
        rig.config.url = url;
        url[MOLT_HTTP_URL_MAX - suffix[i]] = '\0';
        agent_rig_expect(&rig, NULL, "HTTP/1.1 404 Not Found\r\n\r\n", NULL, 0);
        expect_report(MOLT_HTTP_NOT_FOUND);
        url[MOLT_HTTP_URL_MAX - suffix[i]] = 'x';
        url[MOLT_HTTP_URL_MAX - suffix[i] + 1] = '\0';
        expect_report(MOLT_BAD_URL);
        assert_int_equal(rig.connects, 1);
        url[MOLT_HTTP_URL_MAX - suffix[i] + 1] = 'x';
        if (i < 2) agent_rig_close(&rig);
    }
}

static void a_configuration_that_cannot_work_is_refused(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://h", 1);
    struct molt_agent agent;
    struct molt_agent_config config = rig.config;
    config.url = "ftp://h";
    assert_int_equal(molt_agent_begin(&agent, &config), -MOLT_BAD_URL);
    config.url = NULL;
    assert_int_equal(molt_agent_begin(&agent, &config), -MOLT_ARG);
    config = rig.config;
    config.slots = NULL;
    assert_int_equal(molt_agent_begin(&agent, &config), -MOLT_ARG);
    config = rig.config;
    config.hash = NULL;
    assert_int_equal(molt_agent_begin(&agent, &config), -MOLT_ARG);
}

#define T(test) cmocka_unit_test_teardown(test, close_rig)

static void a_connection_that_is_put_off_for_hours_is_still_made(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, "http://10.0.0.2/fota/", 1);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, "GET /fota/5CCF7FC602E2.bin", new8266.data, new8266.len);
    rig.put_off = 7300; /* seconds: longer than the time-outs of any request */
    assert_true(agent_rig_run(&rig, rig.now_ms + 8000000));
    assert_int_equal(rig.put_off, 0);
    assert_int_equal(rig.report_count, 1); /* and no check failed meanwhile */
    assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_higher_number_brings_the_new_image),
        T(an_esp32_takes_the_new_image_too),
        T(a_compressed_image_is_recognised),
        T(without_a_window_a_compressed_image_is_refused),
        T(the_id_is_spelled_as_the_product_wants),
        T(a_connection_that_is_put_off_for_hours_is_still_made),
        T(an_equal_or_lower_number_brings_nothing),
        T(what_is_no_plain_number_is_refused_and_kept_for_the_report),
        T(version_files_may_be_chunked_or_end_with_the_connection),
        T(unexpected_answers_end_the_check_with_their_reason),
        T(an_image_without_a_length_is_refused),
        T(what_is_no_image_for_this_chip_is_refused_before_any_erase),
        T(the_image_that_runs_already_is_fetched_once_and_not_again),
        T(a_lost_download_goes_on_where_it_ended),
        T(a_download_does_not_go_on_with_another_file),
        T(without_an_etag_a_lost_download_begins_again),
        T(a_download_that_never_gets_further_is_given_up),
        T(a_server_that_falls_silent_or_drips_is_given_up),
        T(redirects_are_followed_to_their_end),
        T(bad_redirects_are_refused),
        T(an_esp8266_asks_as_esphttpupdate_does),
        T(an_esp32_asks_as_httpupdate_does),
        T(the_same_image_from_a_url_is_asked_for_ever_more_rarely),
        T(urls_up_to_the_longest_are_asked_and_no_longer),
        T(a_configuration_that_cannot_work_is_refused),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
