/* agent_checkin_test.c - the agent's check-in with molt's server: what it says, and what it does with the
 * answer, on virtual chips with a scripted network. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_case.h"

static struct molt_answer offer(const struct rig_blob *file, const struct rig_blob *image,
                                enum molt_encoding encoding, enum molt_chip chip)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/molt/v1/file/7",
                            .encoding = encoding,
                            .file_len = (uint32_t)file->len,
                            .image_len = (uint32_t)image->len};
    size_t from = chip == MOLT_CHIP_ESP8266 ? MOLT_ESP8266_APP_OFFSET : 0;
    size_t tail = from == 0 ? MOLT_SHA256_LEN : 0; /* the identity is over all but the digest itself */
    rig_sha256(file, a.file_digest);
    rig_sha256(&(struct rig_blob){image->data + from, image->len - from - tail}, a.image_digest);
    return a;
}

static void a_check_in_says_what_the_device_is(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://10.0.0.2:8266/", 7);
    rig.config.version = "0.0.7";
    rig.config.image_len = 0x6040;
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_UP_TO_DATE});
    expect_report(MOLT_UP_TO_DATE);
    const struct molt_checkin *m = &rig.message;
    assert_string_equal(m->id, "5ccf7fc602e2");
    assert_int_equal(m->chip, MOLT_CHIP_ESP32);
    assert_string_equal(m->product, "greenhouse");
    assert_int_equal(m->version_code, 7);
    assert_string_equal(m->version, "0.0.7");
    assert_int_equal(m->flash_size, 4u << 20);
    assert_int_equal(m->slot_size, 0x140000);
    assert_int_equal(m->image_len, 0x6040);
    assert_true(m->has_digest);
    assert_memory_equal(m->digest, old32.data + old32.len - 32, 32);
    assert_int_equal(m->boot, MOLT_BOOT_CONFIRMED);
    assert_int_equal(m->can, MOLT_CAN_RAW | MOLT_CAN_GZIP);
    assert_int_equal(m->gzip_window, 32768);
    assert_int_equal(m->result, 0);
    assert_non_null(strstr(rig.request, "\r\nContent-Type: application/cbor\r\n"));
}

static void an_offer_is_fetched_and_installed(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_CHECK_IN, "http://10.0.0.2:8266", 1);
    struct molt_answer a = offer(&new8266_gz, &new8266, MOLT_GZIP, MOLT_CHIP_ESP8266);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /molt/v1/file/7 HTTP/1.1\r\nHost: 10.0.0.2:8266\r\n", new8266_gz.data,
                   new8266_gz.len);
    expect_installed(&new8266);
    assert_int_equal(rig.message.fs_start, rig.config.fs_start);
}

static void a_wrong_file_is_refused_and_reported_with_the_next_check_in(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://h", 1);
    struct molt_answer a = offer(&new32, &new32, MOLT_RAW, MOLT_CHIP_ESP32);
    a.file_digest[5] ^= 1;
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, NULL, new32.data, new32.len);
    expect_report(MOLT_DIGEST_MISMATCH);
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_HELD});
    expect_report(MOLT_HELD);
    assert_int_equal(rig.message.result, MOLT_DIGEST_MISMATCH);
    assert_int_equal(rig.message.result_code, 2);
    assert_true(rig.message.has_result_digest);
    assert_memory_equal(rig.message.result_digest, a.image_digest, 32);
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_HELD}); /* said once */
    expect_report(MOLT_HELD);
    assert_int_equal(rig.message.result, 0);
    a.file_len++;
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, NULL, new32.data, new32.len);
    expect_report(MOLT_LENGTH_MISMATCH);
}

static void an_offer_of_what_runs_is_not_fetched(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://h", 1);
    struct molt_answer a = offer(&old32, &old32, MOLT_RAW, MOLT_CHIP_ESP32);
    agent_rig_answer(&rig, &a);
    expect_report(MOLT_SAME_DIGEST);
    assert_int_equal(rig.connects, 1);
}

static void an_offer_may_name_another_server_but_not_leave_https(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "https://h", 1);
    struct molt_answer a = offer(&new32, &new32, MOLT_RAW, MOLT_CHIP_ESP32);
    snprintf(a.url, sizeof a.url, "http://cdn/x");
    agent_rig_answer(&rig, &a);
    expect_report(MOLT_REDIRECT_REFUSED);
    snprintf(a.url, sizeof a.url, "https://cdn:444/x");
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /x HTTP/1.1\r\nHost: cdn:444\r\n", new32.data, new32.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 3600 * 1000));
    assert_true(rig.is_tls);
}

static void a_malformed_answer_is_refused(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://h", 1);
    agent_rig_text(&rig, NULL, "<html>");
    expect_report(MOLT_CHECKIN_MALFORMED);
    static char page[600];
    agent_rig_file(&rig, NULL, (const uint8_t *)page, sizeof page);
    expect_report(MOLT_CHECKIN_MALFORMED);
    agent_rig_text(&rig, NULL, "");
    expect_report(MOLT_CHECKIN_MALFORMED);
}

static void a_check_in_follows_redirects_as_a_post(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://h", 1);
    agent_rig_expect(&rig, "POST /molt/v1/check-in",
                     "HTTP/1.1 301 M\r\nLocation: https://h/molt/v1/check-in\r\n\r\n", NULL, 0);
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_UP_TO_DATE});
    expect_report(MOLT_UP_TO_DATE);
    assert_true(rig.is_tls);
    agent_rig_expect(&rig, "POST /molt/v1/check-in", "HTTP/1.1 303 See\r\nLocation: /other\r\n\r\n", NULL, 0);
    expect_report(MOLT_REDIRECT_REFUSED);
}

static void the_product_decides_when_to_install_and_to_restart(void **state)
{
    (void)state;
    open32(MOLT_SOURCE_CHECK_IN, "http://h", 1);
    struct molt_answer a = offer(&new32, &new32, MOLT_RAW, MOLT_CHIP_ESP32);
    rig.no_install = rig.no_restart = true;
    agent_rig_answer(&rig, &a);
    expect_report(MOLT_NOT_NOW);
    assert_int_equal(rig.connects, 1);
    rig.no_install = false;
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, NULL, new32.data, new32.len);
    expect_report(MOLT_OFFERED);
    assert_false(agent_rig_run(&rig, rig.now_ms + 24u * 3600 * 1000));
    assert_int_equal(rig.connects, 3);
    rig.no_restart = false;
    assert_true(agent_rig_run(&rig, rig.now_ms + 2000));
}

#define T(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_check_in_says_what_the_device_is),
        T(an_offer_is_fetched_and_installed),
        T(a_wrong_file_is_refused_and_reported_with_the_next_check_in),
        T(an_offer_of_what_runs_is_not_fetched),
        T(an_offer_may_name_another_server_but_not_leave_https),
        T(a_malformed_answer_is_refused),
        T(a_check_in_follows_redirects_as_a_post),
        T(the_product_decides_when_to_install_and_to_restart),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
