/* agent_pack_test.c - offers of packs: a delta is fetched and installed, goes on after a lost connection with one range, and one
 * for another base is refused, reported, and followed by the image itself. Scripted network, virtual chips. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_rig.h"
#include "host/pack/pack.h"

#define URL          "http://10.0.0.2:8266"
#define SMALL        (MOLT_PACK_ROWS == MOLT_PACK_ROWS_SMALL) /* this program is built twice */
#define FILE_REQUEST "GET /molt/v1/file/7 HTTP/1.1\r\n"

static struct agent_rig rig;
static struct molt_pack decoder;
static struct rig_blob was, other, is, delta;

static int build(void **state)
{
    (void)state;
    was = rig_image(MOLT_CHIP_ESP32, 60000, 1, 4u << 20);
    other = rig_image(MOLT_CHIP_ESP32, 60000, 3, 4u << 20);
    is = rig_image(MOLT_CHIP_ESP32, 90000, 2, 4u << 20);
    struct pack_job job = {.data = is.data,
                           .len = is.len,
                           .base = was.data,
                           .base_len = was.len,
                           .frame_log2 = 13,
                           .small = true}; /* a delta in any case */
    assert_int_equal(pack_encode(&job, &delta.data, &delta.len, NULL), 0);
    assert_true(delta.len > 30000); /* another program: several frames of some length */
    return 0;
}

static int drop(void **state)
{
    (void)state;
    struct rig_blob *all[] = {&was, &other, &is, &delta};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static void start(const struct rig_blob *runs)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, runs->data, runs->len);
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, URL, 1);
    rig.config.pack = &decoder;
    rig.config.unpacker = &molt_unpacker;
}

static struct molt_answer offer(const struct rig_blob *file, enum molt_encoding encoding)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/molt/v1/file/7",
                            .encoding = encoding,
                            .file_len = (uint32_t)file->len,
                            .image_len = (uint32_t)is.len};
    rig_sha256(file, a.file_digest);
    memcpy(a.image_digest, is.data + is.len - MOLT_SHA256_LEN, MOLT_SHA256_LEN);
    return a;
}

static void expect_installed(void)
{
    assert_true(agent_rig_run(&rig, rig.now_ms + 600000));
    assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, is.data, is.len));
}

static void a_delta_is_fetched_and_installed(void **state)
{
    (void)state;
    start(&was);
    struct molt_answer a = offer(&delta, MOLT_PACK);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, FILE_REQUEST, delta.data, delta.len);
    expect_installed();
    assert_int_equal(rig.message.can & (MOLT_CAN_PACK | MOLT_CAN_SMALL),
                     SMALL ? MOLT_CAN_PACK | MOLT_CAN_SMALL : MOLT_CAN_PACK);
    assert_true(sizeof decoder <= (SMALL ? 4096u + 200u : 8192u)); /* pointers of a PC are longer */
}

/* A server that does not know what a small decoder is sends it a whole image's pack. */
static void a_whole_pack_is_refused_by_a_small_decoder_alone(void **state)
{
    (void)state;
    struct rig_blob whole = {0};
    struct pack_job job = {.data = is.data, .len = is.len};
    assert_int_equal(pack_encode(&job, &whole.data, &whole.len, NULL), 0);
    start(&was);
    struct molt_answer a = offer(&whole, MOLT_PACK), raw = offer(&is, MOLT_RAW);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, FILE_REQUEST, whole.data, whole.len);
    if (SMALL) {
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), MOLT_BAD_PACK);
        assert_int_equal(rig.chip.flash.count.erases, 0);
        agent_rig_answer(&rig, &raw);
        agent_rig_file(&rig, FILE_REQUEST, is.data, is.len);
    }
    expect_installed();
    free(whole.data);
}

static void it_goes_on_after_a_lost_connection(void **state)
{
    (void)state;
    start(&was);
    struct molt_answer a = offer(&delta, MOLT_PACK);
    agent_rig_answer(&rig, &a);
    agent_rig_ranges(&rig, FILE_REQUEST, delta.data, delta.len)->cut = 20000;
    agent_rig_ranges(&rig, FILE_REQUEST, delta.data, delta.len);
    expect_installed();
    assert_non_null(strstr(rig.request, "\r\nRange: bytes=1"));
    assert_true(rig.chip.fetched < delta.len + 2000);
}

static void after_a_power_cut_it_goes_on_at_a_frame(void **state)
{
    (void)state;
    start(&was);
    struct molt_answer a = offer(&delta, MOLT_PACK);
    agent_rig_answer(&rig, &a);
    agent_rig_ranges(&rig, FILE_REQUEST, delta.data, delta.len)->cut = 25000;
    assert_false(agent_rig_run(&rig, rig.now_ms + 700));
    uint32_t had = rig.agent.u.update.received;
    assert_true(had > 15000);
    rig_power_cycle(&rig.chip);
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, URL, 1);
    rig.config.pack = &decoder;
    rig.config.unpacker = &molt_unpacker;
    rig.used = rig.added; /* what was scripted is over */
    uint64_t before = rig.chip.fetched;
    agent_rig_answer(&rig, &a);
    for (int i = 0; i < 3; i++) /* its head, then from the frame on */
        agent_rig_ranges(&rig, FILE_REQUEST, delta.data, delta.len);
    expect_installed();
    assert_true(rig.chip.fetched - before < delta.len - had + 12000);
}

static void a_delta_for_another_base_is_refused_and_reported(void **state)
{
    (void)state;
    start(&other);
    struct molt_answer a = offer(&delta, MOLT_PACK), raw = offer(&is, MOLT_RAW);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, FILE_REQUEST, delta.data, delta.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_PACK_BASE);
    assert_int_equal(rig.chip.flash.count.erases, 0);
    agent_rig_answer(&rig, &raw);
    agent_rig_file(&rig, FILE_REQUEST, is.data, is.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 86400000));
    assert_int_equal(rig.message.result, MOLT_PACK_BASE);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, is.data, is.len));
}

static void who_has_no_decoder_takes_no_packs(void **state)
{
    (void)state;
    start(&was);
    rig.config.pack = NULL;
    struct molt_answer a = offer(&delta, MOLT_PACK);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, FILE_REQUEST, delta.data, delta.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_BAD_PACK);
    assert_int_equal(rig.message.can & MOLT_CAN_PACK, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_delta_is_fetched_and_installed, close_rig),
        cmocka_unit_test_teardown(it_goes_on_after_a_lost_connection, close_rig),
        cmocka_unit_test_teardown(after_a_power_cut_it_goes_on_at_a_frame, close_rig),
        cmocka_unit_test_teardown(a_delta_for_another_base_is_refused_and_reported, close_rig),
        cmocka_unit_test_teardown(a_whole_pack_is_refused_by_a_small_decoder_alone, close_rig),
        cmocka_unit_test_teardown(who_has_no_decoder_takes_no_packs, close_rig),
    };
    return cmocka_run_group_tests(tests, build, drop);
}
