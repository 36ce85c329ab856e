/* agent_fs_test.c - file systems through the agent: offered by a check-in, by a signed manifest's second component, or
 * asked for by URL; staged where there is room, in place only when the firmware allows it; what the device then says. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"

#define KEEP32 0xC000u /* the last two sectors of esp32-4M's nvs partition */
#define SMALL  0x9100u
#define LARGE  0x150000u /* more than a slot of esp32-4M, less than its file system */

static struct rig_blob app32, app8266, small_fs, large_fs;
static struct agent_rig rig;
static bool may_write;
static unsigned asked;

static int build_all(void **state)
{
    (void)state;
    app32 = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    app8266 = rig_image(MOLT_CHIP_ESP8266, 0x6010, 1, 4u << 20);
    small_fs = rig_fs(SMALL, 3);
    large_fs = rig_fs(LARGE, 4);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(app32.data);
    free(app8266.data);
    free(small_fs.data);
    free(large_fs.data);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static bool may_write_fs(void *ctx)
{
    (void)ctx;
    asked++;
    return may_write;
}

static void start(enum molt_source source, const char *url)
{
    rig_reset(&rig.chip);
    agent_rig_start(&rig, source, url, 1);
}

static void open_esp32(bool in_place)
{
    may_write = true;
    asked = 0;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, app32.data, app32.len);
    rig.keep_off = KEEP32;
    rig.has_fs = true;
    rig.config.fs_in_place = in_place;
    rig.config.may_write_fs = may_write_fs;
    start(MOLT_SOURCE_CHECK_IN, "http://h");
}

static void open_esp8266(void)
{
    may_write = true;
    agent_rig_open(&rig, "4M2M", MOLT_CHIP_ESP8266, app8266.data, app8266.len);
    rig.chip.reserved = MOLT_KEEP_LEN;
    rig.keep_off = rig.chip.layout.fs_start - MOLT_KEEP_LEN;
    rig.has_fs = true;
    start(MOLT_SOURCE_CHECK_IN, "http://h");
}

static struct molt_answer offer(const struct rig_blob *image)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/f",
                            .component = 1,
                            .file_len = (uint32_t)image->len,
                            .image_len = (uint32_t)image->len};
    rig_sha256(image, a.file_digest);
    rig_sha256(image, a.image_digest);
    return a;
}

static bool lies_there(const struct rig_blob *image)
{
    return memcmp(rig.chip.flash.bytes + agent_rig_fs_off(&rig), image->data, image->len) == 0;
}

/* Offered and sent; true when the agent restarts for it. */
static bool take(const struct rig_blob *image)
{
    struct molt_answer a = offer(image);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", image->data, image->len);
    return agent_rig_run(&rig, rig.now_ms + 30000000);
}

static int refused(const struct rig_blob *image)
{
    struct molt_answer a = offer(image);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", image->data, image->len);
    agent_rig_until_reports(&rig, 1);
    rig.used = rig.added;
    return agent_rig_last(&rig);
}

/* What is to be kept is kept. */
static void settle(void)
{
    struct molt_want want;
    while (rig.agent.unsaved || rig.agent.phase == MOLT_AGENT_STARTING)
        molt_agent_step(&rig.agent, rig.now_ms, &want);
}

static void says_after_a_restart(const struct rig_blob *image)
{
    static const struct molt_answer nothing = {.reason = MOLT_UP_TO_DATE};
    uint8_t digest[MOLT_SHA256_LEN];
    start(MOLT_SOURCE_CHECK_IN, "http://h");
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    assert_true((rig.message.can & MOLT_CAN_FS) != 0);
    assert_int_equal(rig.message.fs_size, rig.fs.len);
    assert_int_equal(rig.message.has_fs_digest, image != NULL);
    if (image == NULL) return;
    rig_sha256(image, digest);
    assert_memory_equal(rig.message.fs_digest, digest, sizeof digest);
    assert_int_equal(rig.message.fs_code, 2);
}

static void it_is_staged_where_there_is_room_and_its_digest_is_said(void **state)
{
    (void)state;
    open_esp32(false);
    assert_true(take(&small_fs));
    assert_true(lies_there(&small_fs));
    assert_int_equal(agent_rig_last(&rig), MOLT_FS_INSTALLED);
    assert_int_equal(asked, 1);
    assert_memory_equal(rig.chip.flash.bytes + 0x150000, small_fs.data, SMALL);
    says_after_a_restart(&small_fs);
    assert_true(rig_runs(&rig.chip, app32.data, app32.len));
}

static void what_is_there_is_not_fetched_again(void **state)
{
    (void)state;
    open_esp32(false);
    assert_true(take(&small_fs));
    start(MOLT_SOURCE_CHECK_IN, "http://h");
    struct molt_answer a = offer(&small_fs);
    agent_rig_answer(&rig, &a);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_UP_TO_DATE);
    assert_int_equal(rig.connects, 1);
}

static void without_room_it_is_refused_unless_the_firmware_allows_it(void **state)
{
    (void)state;
    open_esp32(false);
    uint64_t changed = rig.chip.flash.count.erases;
    assert_int_equal(refused(&large_fs), MOLT_FS_IN_PLACE);
    assert_int_equal(rig.agent.result, MOLT_FS_IN_PLACE); /* the server is told, of this digest */
    assert_true(rig.agent.has_result_digest && rig.agent.result_code == 0);
    assert_int_equal(rig.chip.flash.count.erases, changed);
    agent_rig_close(&rig);
    open_esp32(true);
    assert_true(take(&large_fs));
    assert_true(rig.agent.u.update.target.in_place);
    assert_true(lies_there(&large_fs));
    says_after_a_restart(&large_fs);
}

static void an_esp8266_s_is_staged_below_the_keep_store(void **state)
{
    (void)state;
    open_esp8266();
    assert_true(take(&small_fs));
    assert_true(lies_there(&small_fs));
    says_after_a_restart(&small_fs);
    assert_int_equal(rig.message.stage_end, rig.chip.layout.fs_start - MOLT_KEEP_LEN);
    assert_int_equal(rig.message.fs_start, rig.chip.layout.fs_start);
    assert_int_equal(rig.message.can & MOLT_CAN_EXCHANGE, 0);
}

static void a_page_or_an_application_never_touches_it(void **state)
{
    (void)state;
    static const char page[] =
        "<!doctype html><html><body>Please sign in to this network, then try again."
        "................................................................</body></html>";
    const struct rig_blob wrong[] = {{(uint8_t *)(uintptr_t)page, sizeof page - 1}, app32};
    for (int i = 0; i < 2; i++) {
        open_esp32(true);
        struct molt_answer a = offer(&wrong[i]);
        memset(a.image_digest, 7, sizeof a.image_digest);
        uint64_t erases = rig.chip.flash.count.erases;
        agent_rig_answer(&rig, &a);
        agent_rig_file(&rig, "GET /f ", wrong[i].data, wrong[i].len);
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), i == 0 ? MOLT_IMAGE_TEXT : MOLT_IMAGE_UNKNOWN);
        assert_int_equal(rig.chip.flash.count.erases, erases);
        if (i == 0) agent_rig_close(&rig);
    }
}

static void a_product_that_says_not_now_keeps_its_own(void **state)
{
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        const struct rig_blob *image = in_place ? &large_fs : &small_fs;
        open_esp32(in_place != 0);
        may_write = false;
        assert_int_equal(refused(image), MOLT_NOT_NOW);
        assert_int_equal(asked, 1);
        assert_true(rig.chip.flash.port.is_blank(&rig.chip.flash, agent_rig_fs_off(&rig), rig.fs.len));
        says_after_a_restart(NULL);
        may_write = true;
        assert_true(take(image)); /* what is staged is not fetched again */
        assert_true(lies_there(image));
        if (in_place == 0) agent_rig_close(&rig);
    }
}

/* The power goes in the middle of writing; returns after the restart, before the agent asks. */
static jmp_buf out;
static uint32_t cut_at;

static int cut_hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op != SIM_FLASH_WRITE || off != cut_at) return 0;
    sim_flash_cut(&rig.chip.flash, SIM_TEAR_NOISY, op, off, len, 1);
    longjmp(out, 1);
}

static void cut_in_the_middle(const struct rig_blob *image)
{
    cut_at = agent_rig_fs_off(&rig) + 3 * MOLT_SECTOR;
    rig.chip.flash.hook = cut_hook;
    if (setjmp(out) == 0) {
        (void)take(image);
        fail_msg("it was not cut");
    }
    rig.chip.flash.hook = NULL;
    rig_power_cycle(&rig.chip);
    start(MOLT_SOURCE_CHECK_IN, "http://h");
}

static void a_copy_that_was_cut_goes_on_without_a_server(void **state)
{
    (void)state;
    open_esp32(false);
    cut_in_the_middle(&small_fs);
    may_write = false;
    (void)agent_rig_run(&rig, rig.now_ms + 2500); /* still mounted: it waits */
    assert_false(lies_there(&small_fs));
    assert_int_equal(rig.keep.data.fs_state, MOLT_FS_COPYING);
    may_write = true;
    uint64_t erases = rig.chip.flash.count.erases;
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(rig.reports[0], MOLT_FS_INSTALLED);
    assert_true(lies_there(&small_fs));
    assert_int_equal(rig.chip.flash.count.erases - erases, 7); /* not the three sectors before the cut */
    settle();
    says_after_a_restart(&small_fs);
}

static void what_is_staged_and_spoilt_comes_from_the_server_again(void **state)
{
    (void)state;
    open_esp32(false);
    cut_in_the_middle(&small_fs);
    rig.chip.flash.bytes[0x150000 + 5 * MOLT_SECTOR + 9] ^= 1; /* not copied yet */
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(rig.reports[0], MOLT_FS_INCOMPLETE);
    settle();
    says_after_a_restart(NULL);
    struct molt_answer a = offer(&small_fs);
    agent_rig_answer(&rig, &a);
    agent_rig_ranges(&rig, "GET /f ", small_fs.data, small_fs.len);
    agent_rig_ranges(&rig, "GET /f ", small_fs.data, small_fs.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 30000000));
    assert_int_equal(rig.agent.u.update.resumed_at, 5 * MOLT_SECTOR); /* the sectors before are good */
    assert_true(lies_there(&small_fs));
}

static void one_cut_in_place_is_known_as_broken_until_it_is_whole(void **state)
{
    (void)state;
    open_esp32(true);
    cut_in_the_middle(&large_fs);
    says_after_a_restart(NULL);
    assert_int_equal(rig.keep.data.fs_state, MOLT_FS_BROKEN);
    struct molt_answer a = offer(&large_fs);
    agent_rig_answer(&rig, &a);
    agent_rig_ranges(&rig, "GET /f ", large_fs.data, large_fs.len);
    agent_rig_ranges(&rig, "GET /f ", large_fs.data, large_fs.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 30000000));
    assert_int_equal(rig.agent.u.update.resumed_at, 3 * MOLT_SECTOR);
    says_after_a_restart(&large_fs);
}

static void a_keep_store_that_cannot_be_written_stops_it_before_the_first_erase(void **state)
{
    (void)state;
    open_esp32(true);
    struct molt_answer a = offer(&large_fs);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", large_fs.data, large_fs.len);
    struct molt_want want;
    while (rig.agent.phase == MOLT_AGENT_STARTING)
        molt_agent_step(&rig.agent, rig.now_ms, &want);
    rig.keep.off = rig.chip.flash.port.size; /* out of reach */
    rig.chip.flash.count_violations = true;
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_FLASH_WRITE);
    assert_true(rig.chip.flash.port.is_blank(&rig.chip.flash, agent_rig_fs_off(&rig), rig.fs.len));
}

static int rot(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)op;
    (void)off;
    (void)len;
    uint8_t *byte = &rig.chip.flash.bytes[agent_rig_fs_off(&rig) + 5000];
    if (*byte != 0xFF) *byte = (uint8_t)(small_fs.data[5000] ^ 4); /* as soon as it is written */
    return 0;
}

static void a_bad_sector_of_the_file_system_is_found(void **state)
{
    (void)state;
    open_esp32(false);
    rig.chip.flash.hook = rot;
    assert_int_equal(refused(&small_fs), MOLT_FLASH_VERIFY);
    rig.chip.flash.hook = NULL;
    settle();
    says_after_a_restart(NULL);
    assert_int_equal(rig.keep.data.fs_state, MOLT_FS_BROKEN);
    assert_true(take(&small_fs)); /* elsewhere, or with luck */
    assert_true(lies_there(&small_fs));
}

/* ---- by URL: after the sketch's "304", in mode "spiffs" ---- */

static void by_url_it_is_asked_for_after_the_application_and_named_by_its_etag(void **state)
{
    (void)state;
    open_esp32(false);
    start(MOLT_SOURCE_URL, "http://h/u");
    agent_rig_expect(&rig, "GET /u ", "HTTP/1.1 304 Not Modified\r\n\r\n", NULL, 0);
    agent_rig_file(&rig, "GET /u ", small_fs.data, small_fs.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 30000000));
    assert_non_null(strstr(rig.request, "x-ESP32-mode: spiffs\r\n"));
    assert_true(lies_there(&small_fs));
    for (int i = 0; i < 2; i++) { /* the same name: not taken again; another one is */
        start(MOLT_SOURCE_URL, "http://h/u");
        agent_rig_expect(&rig, "GET /u ", "HTTP/1.1 304 Not Modified\r\n\r\n", NULL, 0);
        struct exchange *x = agent_rig_file(&rig, "GET /u ", small_fs.data, small_fs.len);
        if (i == 1) memcpy(strstr(x->head, "e1"), "e2", 2);
        if (i == 0) agent_rig_until_reports(&rig, 1);
        if (i == 0) assert_int_equal(agent_rig_last(&rig), MOLT_UP_TO_DATE);
        if (i == 1) assert_true(agent_rig_run(&rig, rig.now_ms + 30000000));
    }
}

static void a_device_without_one_takes_none(void **state)
{
    (void)state;
    open_esp32(true);
    rig.has_fs = false;
    start(MOLT_SOURCE_CHECK_IN, "http://h");
    struct molt_answer a = offer(&small_fs);
    agent_rig_answer(&rig, &a);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_IMAGE_FILESYSTEM);
    assert_int_equal(rig.message.can & MOLT_CAN_FS, 0);
    start(MOLT_SOURCE_URL, "http://h/u");
    agent_rig_expect(&rig, "GET /u ", "HTTP/1.1 304 Not Modified\r\n\r\n", NULL, 0);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_UP_TO_DATE);
    assert_int_equal(rig.connects, 1);
}

#define CASE(name) cmocka_unit_test_teardown(name, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_is_staged_where_there_is_room_and_its_digest_is_said),
        CASE(what_is_there_is_not_fetched_again),
        CASE(without_room_it_is_refused_unless_the_firmware_allows_it),
        CASE(an_esp8266_s_is_staged_below_the_keep_store),
        CASE(a_page_or_an_application_never_touches_it),
        CASE(a_product_that_says_not_now_keeps_its_own),
        CASE(a_copy_that_was_cut_goes_on_without_a_server),
        CASE(what_is_staged_and_spoilt_comes_from_the_server_again),
        CASE(one_cut_in_place_is_known_as_broken_until_it_is_whole),
        CASE(a_keep_store_that_cannot_be_written_stops_it_before_the_first_erase),
        CASE(a_bad_sector_of_the_file_system_is_found),
        CASE(by_url_it_is_asked_for_after_the_application_and_named_by_its_etag),
        CASE(a_device_without_one_takes_none),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
