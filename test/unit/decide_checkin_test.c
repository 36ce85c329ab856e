/* decide_checkin_test.c - what a check-in says beyond a stock client, and what it changes: where staged files end, that
 * molt-boot exchanges images, and the file system that is installed. */
#include "cmocka_all.h"

#include <stdio.h>

#include "server/attempt/attempt.h"
#include "world.h"

#define FS_START 0x100000u
#define SKETCH   0x60000u
#define DEVICE   "5ccf7fc602e2"

static struct world world;
static struct rules *rules;
static struct model_device device;
static struct decision decision;
static struct molt_checkin said;

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    memset(&device, 0, sizeof device);
    memcpy(device.id, DEVICE, sizeof DEVICE);
    said = (struct molt_checkin){.id = DEVICE,
                                 .chip = MOLT_CHIP_ESP8266,
                                 .product = "door",
                                 .version_code = 1,
                                 .flash_size = 4u << 20,
                                 .fs_start = FS_START,
                                 .image_len = SKETCH,
                                 .can = MOLT_CAN_RAW};
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (rules) rules_destroy(rules);
    rules = NULL;
    return 0;
}

/* Release 2 of the product, with an application of raw_len bytes. */
static void publish(uint32_t raw_len, uint32_t gzip_len)
{
    int64_t door = world_product(&world, "door", 0);
    world_release(&world, door, 2);
    struct model_image *image = world_image(&world, MOLT_CHIP_ESP8266, raw_len);
    if (gzip_len > 0) world_artifact(&world, &image->gzip_4k, gzip_len);
}

static struct model_image *publish_fs(uint32_t len)
{
    struct model_image *image = world_image(&world, MOLT_CHIP_ESP8266, len);
    image->component = MODEL_FS;
    return image;
}

static int ask(void)
{
    if (rules == NULL) rules = world_rules(&world);
    attempt_check_in(rules, NULL, &device, &said, rules_product_named(rules, "door"), false, 1000000000000LL,
                     &decision);
    return decision.reason;
}

static void what_is_kept_below_the_file_system_is_no_room(void **state)
{
    (void)state;
    publish(0x80000, 0); /* twice that is all below the file system */
    assert_int_equal(ask(), MOLT_OFFERED);
    said.stage_end = FS_START - 0x2000;
    assert_int_equal(ask(), MOLT_TOO_LARGE);
    assert_non_null(strstr(decision.detail, "of 1040384 bytes"));
    said.stage_end = 0xFFFFFFFF; /* a lie makes no room */
    assert_int_equal(ask(), MOLT_OFFERED);
}

static void molt_boot_takes_more_than_half_and_not_more_than_there_is(void **state)
{
    (void)state;
    publish(0x9E000, 0);
    said.stage_end = FS_START - 0x2000;
    assert_int_equal(ask(), MOLT_TOO_LARGE); /* eboot would copy it over itself */
    said.can |= MOLT_CAN_EXCHANGE;
    assert_int_equal(ask(), MOLT_OFFERED); /* to the byte */
    said.stage_end -= 0x1000;
    assert_int_equal(ask(), MOLT_TOO_LARGE);
    assert_non_null(strstr(decision.detail, "a stepping stone may have 643072 bytes"));
}

static void molt_boot_installs_images_so_packed_files_count_unpacked(void **state)
{
    (void)state;
    publish(0xA0000, 0x40000);
    said.can |= MOLT_CAN_GZIP | MOLT_CAN_EXCHANGE;
    said.gzip_window = 4096;
    said.stage_end = FS_START - 0x2000;
    assert_int_equal(ask(), MOLT_TOO_LARGE);
    said.image_len = 0x5E000;
    assert_int_equal(ask(), MOLT_OFFERED);
    assert_int_equal(decision.encoding, MOLT_GZIP);
}

static void a_file_system_comes_after_its_application_and_once(void **state)
{
    (void)state;
    publish(0x50000, 0);
    struct model_image *fs = publish_fs(0x30000);
    const uint8_t *digest = fs->digest;
    said.can |= MOLT_CAN_FS;
    said.fs_size = 0x100000;
    assert_int_equal(ask(), MOLT_OFFERED);
    assert_int_equal(decision.image->component, MODEL_APP);
    said.version_code = 2;
    assert_int_equal(ask(), MOLT_OFFERED);
    assert_int_equal(decision.image->component, MODEL_FS);
    said.has_fs_digest = true;
    memcpy(said.fs_digest, digest, sizeof said.fs_digest);
    assert_int_equal(ask(), MOLT_UP_TO_DATE);
    said.fs_digest[31] ^= 1;
    assert_int_equal(ask(), MOLT_OFFERED);
    said.boot = MOLT_BOOT_TRIAL;
    assert_int_equal(ask(), MOLT_ON_TRIAL);
}

static void a_file_system_goes_to_nobody_who_cannot_take_or_hold_it(void **state)
{
    (void)state;
    publish(0x50000, 0);
    publish_fs(0x30000);
    said.version_code = 2;
    assert_int_equal(ask(), MOLT_UP_TO_DATE);
    said.can |= MOLT_CAN_FS;
    said.fs_size = 0x2F000;
    assert_int_equal(ask(), MOLT_UP_TO_DATE);
    said.fs_size = 0x30000;
    assert_int_equal(ask(), MOLT_OFFERED);
}

static void what_became_of_a_file_system_is_no_result_of_the_application(void **state)
{
    (void)state;
    publish(0x50000, 0);
    const struct model_image *fs = publish_fs(0x30000);
    said.can |= MOLT_CAN_FS;
    said.result = MOLT_FS_IN_PLACE;
    said.has_result_digest = true;
    memcpy(said.result_digest, fs->digest, sizeof said.result_digest);
    assert_int_equal(ask(), MOLT_OFFERED); /* the application of the same release */
    assert_int_equal(decision.image->component, MODEL_APP);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
}

static void a_file_system_goes_compressed_to_a_device_that_inflates(void **state)
{
    (void)state;
    publish(0x50000, 0);
    struct model_image *fs = publish_fs(0x30000);
    world_artifact(&world, &fs->gzip_4k, 0x4000);
    said.version_code = 2;
    said.can |= MOLT_CAN_FS;
    assert_int_equal(ask(), MOLT_OFFERED);
    assert_int_equal(decision.encoding, MOLT_RAW);
    said.can |= MOLT_CAN_GZIP;
    said.gzip_window = 4096;
    assert_int_equal(ask(), MOLT_OFFERED);
    assert_int_equal(decision.encoding, MOLT_GZIP);
    assert_int_equal(decision.artifact->len, 0x4000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_kept_below_the_file_system_is_no_room),
        CASE(molt_boot_takes_more_than_half_and_not_more_than_there_is),
        CASE(molt_boot_installs_images_so_packed_files_count_unpacked),
        CASE(a_file_system_comes_after_its_application_and_once),
        CASE(a_file_system_goes_to_nobody_who_cannot_take_or_hold_it),
        CASE(what_became_of_a_file_system_is_no_result_of_the_application),
        CASE(a_file_system_goes_compressed_to_a_device_that_inflates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
