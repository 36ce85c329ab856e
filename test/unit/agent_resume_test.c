/* agent_resume_test.c - a download that a power cut, a crash or another network ends goes on behind the last sector
 * that is durable, and never with bytes of another file. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"

#define URL     "http://10.0.0.2:8266/fota/"
#define VERSION "GET /fota/5CCF7FC602E2.version HTTP/1.1\r\n"
#define BIN     "GET /fota/5CCF7FC602E2.bin HTTP/1.1\r\n"

static struct rig_blob old8266, new8266, other8266, old32, new32, gz;
static struct agent_rig rig;

static int build_all(void **state)
{
    (void)state;
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x6010, 1, 4u << 20);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 2, 4u << 20);
    other8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 3, 4u << 20);
    old32 = rig_image(MOLT_CHIP_ESP32, 0x6010, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0xB130, 2, 4u << 20);
    gz = rig_gzip_blocks(&new32, 12, 4096);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct rig_blob *blobs[] = {&old8266, &new8266, &other8266, &old32, &new32, &gz};
    for (size_t i = 0; i < sizeof blobs / sizeof blobs[0]; i++)
        free(blobs[i]->data);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static void start8266(void)
{
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, URL, 1);
    agent_rig_text(&rig, VERSION, "2");
}

/* The first download gets so far, then the power goes. */
static void cut_after(size_t bytes)
{
    agent_rig_open(&rig, "4M2M", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    start8266();
    agent_rig_file(&rig, BIN, new8266.data, new8266.len)->cut = bytes;
    assert_false(agent_rig_run(&rig, rig.now_ms + 700));
    rig_power_cycle(&rig.chip);
    start8266();
}

static void rest_of(const struct rig_blob *file, uint32_t from, const char *etag)
{
    char head[300];
    snprintf(head, sizeof head,
             "HTTP/1.1 206 Partial\r\nContent-Range: bytes %u-%zu/%zu\r\nContent-Length: %zu\r\n%s\r\n", from,
             file->len - 1, file->len, file->len - from, etag);
    agent_rig_expect(&rig, BIN, head, file->data + from, file->len - from);
}

static void expect_runs(const struct rig_blob *image)
{
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, image->data, image->len));
}

static void after_a_power_cut_the_rest_is_asked_for_from_the_last_whole_sector(void **state)
{
    (void)state;
    static const size_t cuts[] = {4400, 9000, 12700, 20000, 28000};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        if (i > 0) agent_rig_close(&rig);
        cut_after(cuts[i]);
        uint32_t from = (uint32_t)(cuts[i] - 80) / MOLT_SECTOR * MOLT_SECTOR;
        agent_rig_file(&rig, BIN, new8266.data, new8266.len); /* its head is what is needed */
        rest_of(&new8266, from, "ETag: \"e1\"\r\n");
        expect_runs(&new8266);
        char want[60];
        snprintf(want, sizeof want, "Range: bytes=%u-\r\nIf-Range: \"e1\"\r\n", from);
        assert_non_null(strstr(rig.request, want));
        assert_true(rig.agent.can_resume);
    }
}

/* A heap in pieces, a clock that was lost, a portal in between: on a modem what has come is dear. */
static void a_connection_that_cannot_be_made_says_nothing_against_what_has_come(void **state)
{
    (void)state;
    static const int why[] = {MOLT_NO_MEMORY, MOLT_TLS_TIME, MOLT_TLS_TRUST};
    for (size_t i = 0; i < sizeof why / sizeof why[0]; i++) {
        if (i > 0) agent_rig_close(&rig);
        agent_rig_open(&rig, "4M2M", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
        start8266();
        agent_rig_file(&rig, BIN, new8266.data, new8266.len)->cut = 12700;
        agent_rig_expect(&rig, BIN, "", NULL, 0)->fail = why[i];
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), why[i]);
        agent_rig_text(&rig, VERSION, "2");
        agent_rig_file(&rig, BIN, new8266.data, new8266.len); /* its head is what is needed */
        rest_of(&new8266, 12288, "ETag: \"e1\"\r\n");
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
        assert_non_null(strstr(rig.request, "Range: bytes=12288-"));
    }
}

static void when_all_had_come_nothing_is_fetched_again(void **state)
{
    (void)state;
    agent_rig_open(&rig, "4M2M", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    start8266();
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    while (rig.agent.phase != MOLT_AGENT_RESTARTING)
        agent_rig_run(&rig, rig.now_ms + 1);
    rig_power_cycle(&rig.chip); /* eboot's command is lost */
    assert_true(rig_runs(&rig.chip, old8266.data, old8266.len));
    start8266();
    agent_rig_file(&rig, BIN, new8266.data, new8266.len)->piece = 200;
    uint64_t written = rig.chip.flash.count.written_bytes;
    expect_runs(&new8266);
    assert_int_equal(rig.chip.flash.count.written_bytes - written, 32 + new8266.len / 4096 * 4096 + 4096);
    assert_true(rig.at < 2000);
}

static void another_file_under_the_same_url_begins_from_its_first_byte(void **state)
{
    (void)state;
    char head[160];
    cut_after(20000); /* it was changed between two starts: nothing of it is in flash */
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"e2\"\r\n\r\n",
             other8266.len);
    agent_rig_expect(&rig, BIN, head, other8266.data, other8266.len);
    expect_runs(&other8266);
    assert_int_equal(rig.connects, 2);
    agent_rig_close(&rig);

    cut_after(20000); /* it was changed between two requests */
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    agent_rig_expect(&rig, BIN, head, other8266.data, other8266.len);
    expect_runs(&other8266);
    assert_int_equal(rig.connects, 3);
    agent_rig_close(&rig);

    cut_after(20000); /* ... and If-Range is not obeyed */
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    rest_of(&other8266, 16384, "ETag: \"e2\"\r\n");
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_HTTP_RANGE);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_expect(&rig, BIN, head, other8266.data, other8266.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 7200 * 1000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, other8266.data, other8266.len));
}

static void a_server_without_ranges_sends_all_again(void **state)
{
    (void)state;
    cut_after(20000);
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    agent_rig_file(&rig, BIN, new8266.data, new8266.len); /* 200 for 206 */
    expect_runs(&new8266);
    assert_int_equal(rig.connects, 3);
}

static void a_rest_of_other_bytes_is_found_out_and_all_comes_again(void **state)
{
    (void)state;
    cut_after(20000);
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    rest_of(&other8266, 16384, "ETag: \"e1\"\r\n"); /* the server lies */
    agent_rig_until_reports(&rig, 1);
    assert_true(agent_rig_last(&rig) == MOLT_BAD_CRC || agent_rig_last(&rig) == MOLT_BAD_CHECKSUM);
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 7200 * 1000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, new8266.data, new8266.len));
}

static void rotten_flash_costs_what_comes_behind_it(void **state)
{
    (void)state;
    cut_after(20000);
    uint32_t at = rig.chip.layout.fs_start - 0x8000 + 9000; /* in the third staged sector */
    rig.chip.flash.bytes[at] ^= 1;
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    rest_of(&new8266, 8192, "ETag: \"e1\"\r\n");
    expect_runs(&new8266);
    assert_non_null(strstr(rig.request, "Range: bytes=8192-\r\n"));
}

static void a_check_in_s_gzip_goes_on_at_a_block_and_is_the_signed_image(void **state)
{
    (void)state;
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .encoding = MOLT_GZIP,
                            .url = "/f",
                            .file_len = (uint32_t)gz.len,
                            .image_len = (uint32_t)new32.len};
    rig_sha256(&gz, a.file_digest);
    memcpy(a.image_digest, new32.data + new32.len - 32, 32);
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 1);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", gz.data, gz.len)->cut = gz.len * 3 / 4;
    assert_false(agent_rig_run(&rig, rig.now_ms + 700));
    rig_power_cycle(&rig.chip);
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 1);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", gz.data, gz.len);
    assert_false(agent_rig_run(&rig, rig.now_ms + 200));
    uint32_t from = rig.agent.received;
    assert_in_range(from, gz.len / 2, gz.len * 3 / 4);
    char head[200];
    snprintf(head, sizeof head,
             "HTTP/1.1 206 Partial\r\nContent-Range: bytes %u-%zu/%zu\r\nContent-Length: %zu\r\n\r\n", from,
             gz.len - 1, gz.len, gz.len - from);
    agent_rig_expect(&rig, "GET /f ", head, gz.data + from, gz.len - from);
    expect_runs(&new32);
}

static void without_a_name_for_the_file_all_comes_again_and_the_agent_says_so(void **state)
{
    (void)state;
    char head[100];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", new8266.len);
    agent_rig_open(&rig, "4M2M", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    start8266();
    agent_rig_expect(&rig, BIN, head, new8266.data, new8266.len)->cut = 20000;
    assert_false(agent_rig_run(&rig, rig.now_ms + 100));
    assert_false(rig.agent.can_resume);
    rig_power_cycle(&rig.chip);
    start8266();
    agent_rig_expect(&rig, BIN, head, new8266.data, new8266.len);
    expect_runs(&new8266);
    assert_int_equal(rig.connects, 2);
}

#define T(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(after_a_power_cut_the_rest_is_asked_for_from_the_last_whole_sector),
        T(a_connection_that_cannot_be_made_says_nothing_against_what_has_come),
        T(when_all_had_come_nothing_is_fetched_again),
        T(another_file_under_the_same_url_begins_from_its_first_byte),
        T(a_server_without_ranges_sends_all_again),
        T(a_rest_of_other_bytes_is_found_out_and_all_comes_again),
        T(rotten_flash_costs_what_comes_behind_it),
        T(a_check_in_s_gzip_goes_on_at_a_block_and_is_the_signed_image),
        T(without_a_name_for_the_file_all_comes_again_and_the_agent_says_so),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
