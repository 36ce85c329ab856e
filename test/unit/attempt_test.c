/* attempt_test.c - one device's attempt, told as the story of its requests: the thread's sketch, which asks for .version,
 * and for the .bin with ESPhttpUpdate. Clients that let the server compare: attempt_clients_test.c. */
#include "attempt_story.h"

#define THREAD 278396u

/* Asks for the image; true when it is sent. */
static bool ask_bin(const struct attempt_contact *contact)
{
    now += 1000;
    attempt_ask_bin(rules, &device, contact, now, &decision);
    if (decision.verdict != MOLT_VERDICT_OFFER) return false;
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADING);
    return true;
}

static void download(const struct attempt_contact *contact)
{
    assert_true(ask_bin(contact));
    end_download(true);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADED);
}

static void a_sketch_updates_and_is_presumed_to_run_the_release(void **state)
{
    (void)state;
    device.product_id = 1;
    assert_int_equal(poll(), 3);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    assert_int_equal(device.chip, MOLT_CHIP_ESP8266);
    assert_int_equal(device.chip_source, MODEL_CHIP_SAID);
    const struct attempt_contact bin = sketch_bin();
    download(&bin);
    assert_int_equal(device.fs_start, 0x200000);
    assert_reason(MOLT_DOWNLOADED);
    assert_int_equal(poll(), 3);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_int_equal(device.running_code, 3);
    assert_int_equal(device.sketch_size, 300003);
    assert_reason(MOLT_PRESUMED);
    assert_int_equal(poll(), 3); /* and so for ever */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_reason(MOLT_PRESUMED);
}

/* The device has the last byte and asks again while the server still waits for its TCP to say so. */
static void a_poll_that_overtakes_the_end_of_the_download_counts(void **state)
{
    (void)state;
    device.product_id = 1;
    const struct attempt_contact bin = sketch_bin();
    for (int complete = 0; complete < 2; complete++) {
        poll();
        assert_true(ask_bin(&bin));
        const struct model_artifact *sent = decision.artifact;
        poll();
        attempt_download_ended(rules, &device, sent->sha256, complete, now);
        assert_int_equal(device.attempt, complete ? MODEL_ATTEMPT_PRESUMED : MODEL_ATTEMPT_OFFERED);
    }
    poll();
    download(&bin); /* it asks again, so it was not so; the poll before is forgotten */
}

static void an_md5_of_the_release_proves_the_update(void **state)
{
    (void)state;
    device.product_id = 1;
    poll();
    struct attempt_contact bin = sketch_bin();
    download(&bin);
    poll();
    memcpy(bin.md5, image_of(3)->md5_variants[1], 16);
    assert_false(ask_bin(&bin));
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_int_equal(device.running_code, 3);
    assert_true(device.has_digest);
    assert_int_equal(device.attempt_sends, 0);
}

static void a_bin_is_only_served_for_ten_minutes_after_its_version(void **state)
{
    (void)state;
    device.product_id = 1;
    const struct attempt_contact bin = sketch_bin();
    assert_false(ask_bin(&bin));
    assert_int_equal(decision.reason, MOLT_NOT_ANNOUNCED);
    poll();
    now += 10 * MINUTE - 1000;
    assert_true(ask_bin(&bin));
    end_download(false);
    now += 10 * MINUTE;
    assert_false(ask_bin(&bin));
    assert_reason(MOLT_NOT_ANNOUNCED);
}

static void a_bin_is_of_the_release_announced_though_a_newer_one_came(void **state)
{
    (void)state;
    device.product_id = 1;
    poll();
    world_release(&world, 1, 4);
    world_image(&world, MOLT_CHIP_ESP8266, 1000);
    make_rules();
    const struct attempt_contact bin = sketch_bin();
    assert_true(ask_bin(&bin));
    assert_int_equal(decision.release->code, 3);
}

static void a_release_yanked_after_its_announcement_is_not_served(void **state)
{
    (void)state;
    device.product_id = 1;
    poll();
    world.releases[2].yanked = true;
    make_rules();
    const struct attempt_contact bin = sketch_bin();
    assert_false(ask_bin(&bin));
    assert_int_equal(poll(), 2); /* the one before it */
}

static void a_wrong_label_is_sent_three_times_and_then_no_more(void **state)
{
    (void)state;
    device.product_id = 1;
    const struct attempt_contact bin = sketch_bin();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poll(), 3);
        download(&bin);
    }
    assert_int_equal(poll(), 3); /* presumed; it asks again, so it was not so */
    assert_false(ask_bin(&bin));
    assert_int_equal(decision.reason, MOLT_SAME_IMAGE_AGAIN);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_FAILED);
    assert_int_equal(poll(), 0); /* nothing is known to run, so it is left in peace */
    assert_reason(MOLT_SAME_IMAGE_AGAIN);
    world_release(&world, 1, 4);
    world_image(&world, MOLT_CHIP_ESP8266, 1000);
    make_rules();
    assert_int_equal(poll(), 4); /* until there is something newer */
    download(&bin);
}

static void a_sketch_without_md5_that_asks_again_is_not_presumed(void **state)
{
    (void)state;
    device.product_id = 1;
    struct attempt_contact bin = sketch_bin();
    bin.has_md5 = bin.has_chip_id = false; /* core 2.3 */
    poll();
    download(&bin);
    poll();
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_true(ask_bin(&bin));
    assert_int_equal(device.running_code, 0);
    end_download(true);
    assert_int_equal(device.attempt_sends, 2);
}

static void a_silent_bin_request_does_not_unlearn_an_older_version(void **state)
{
    (void)state;
    device.product_id = 1;
    struct attempt_contact bin = sketch_bin();
    memcpy(bin.md5, image_of(1)->raw.md5, 16);
    poll();
    assert_true(ask_bin(&bin));
    end_download(false);
    poll();
    bin.has_md5 = false; /* a proxy takes the headers away */
    assert_true(ask_bin(&bin));
    assert_int_equal(device.running_code, 1);
}

static void cut_downloads_are_not_counted(void **state)
{
    (void)state;
    device.product_id = 1;
    const struct attempt_contact bin = sketch_bin();
    for (int i = 0; i < 9; i++) {
        assert_int_equal(poll(), 3);
        assert_true(ask_bin(&bin));
        end_download(false);
        assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
        assert_reason(MOLT_DOWNLOAD_CUT);
    }
    poll();
    download(&bin);
    assert_int_equal(device.attempt_sends, 1);
}

static struct attempt_contact thread_bin(void)
{
    struct attempt_contact bin = sketch_bin();
    bin.free_space = 225280;
    bin.sketch_size = THREAD;
    bin.flash_size = 512 * 1024;
    return bin;
}

static void gzip_that_changes_nothing_is_refused_from_then_on(void **state)
{
    (void)state;
    device.product_id = 1;
    const struct attempt_contact bin = thread_bin();
    poll();
    download(&bin);
    assert_int_equal(decision.encoding, MOLT_GZIP);
    poll();
    assert_false(ask_bin(&bin)); /* with the MD5 of before */
    assert_int_equal(decision.reason, MOLT_GZ_REFUSED);
    assert_true(device.gz_refused);
    assert_non_null(strstr(device.last_detail, "stepping stone may have 225280 bytes"));
    assert_int_equal(poll(), 0);
    assert_reason(MOLT_GZ_REFUSED);
}

static void gzip_that_worked_is_proven_and_not_refused_later(void **state)
{
    (void)state;
    device.product_id = 1;
    struct attempt_contact bin = thread_bin();
    poll();
    download(&bin);
    memcpy(bin.md5, image_of(3)->raw.md5, 16);
    poll();
    assert_false(ask_bin(&bin));
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_true(device.gz_proven);
    world_release(&world, 1, 4);
    world_artifact(&world, &world_image(&world, MOLT_CHIP_ESP8266, 300009)->gzip, 200000);
    make_rules();
    poll();
    download(&bin);
    poll();
    assert_true(ask_bin(&bin)); /* it failed this time, for another reason */
    assert_int_equal(decision.encoding, MOLT_GZIP);
    assert_false(device.gz_refused);
}

/* An image of which there is no gzip for stock sketches brings molt-boot, which takes raw files only from then on. */
static void no_gzip_is_sent_to_a_device_that_got_molt_boot(void **state)
{
    (void)state;
    device.product_id = 1;
    device.gz_proven = true;
    world_release(&world, 1, 4);
    struct model_image *brings = world_image(&world, MOLT_CHIP_ESP8266, 300009);
    brings->gzip.len = 0;
    make_rules();
    struct attempt_contact bin = sketch_bin();
    poll();
    download(&bin);
    assert_int_equal(decision.encoding, MOLT_RAW);
    memcpy(bin.md5, image_of(5)->raw.md5, 16);
    poll();
    assert_false(ask_bin(&bin));
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_true(device.gz_refused && !device.gz_proven);
    world_release(&world, 1, 5);
    world_artifact(&world, &world_image(&world, MOLT_CHIP_ESP8266, 300010)->gzip, 200000);
    make_rules();
    struct attempt_contact small = thread_bin(); /* where only gzip would fit */
    memcpy(small.md5, image_of(5)->raw.md5, 16);
    poll();
    assert_false(ask_bin(&small));
    assert_int_equal(decision.reason, MOLT_GZ_REFUSED);
}

/* An ordinary image does not bring eboot back: sector 0 stays molt-boot's. */
static void nor_after_an_ordinary_image_that_molt_boot_installed(void **state)
{
    (void)state;
    device.product_id = 1;
    device.molt_boot = device.gz_refused = true;
    world_release(&world, 1, 4);
    struct model_image *ordinary = world_image(&world, MOLT_CHIP_ESP8266, 300009);
    world_artifact(&world, &ordinary->gzip, 200000);
    const uint8_t(*variants)[16] =
        (const uint8_t(*)[16])world.variants[world.release_count - 1][0]; /* above eboot, above molt-boot */
    ordinary->md5_boot_count = 1;
    make_rules();
    struct attempt_contact bin = sketch_bin();
    poll();
    download(&bin);
    assert_int_equal(decision.encoding, MOLT_RAW);
    memcpy(bin.md5, variants[1], 16);
    poll();
    assert_false(ask_bin(&bin));
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_true(device.molt_boot && device.gz_refused);
    world_release(&world, 1, 5);
    world_artifact(&world, &world_image(&world, MOLT_CHIP_ESP8266, 300010)->gzip, 200000);
    make_rules();
    struct attempt_contact small = thread_bin();
    memcpy(small.md5, variants[1], 16);
    poll();
    assert_false(ask_bin(&small));
    assert_int_equal(decision.reason, MOLT_GZ_REFUSED);
    memcpy(small.md5, variants[0], 16); /* somebody flashed it over USB: it has eboot again, and says so */
    ask_bin(&small);
    poll();
    assert_true(ask_bin(&small));
    assert_int_equal(decision.encoding, MOLT_GZIP);
    assert_false(device.molt_boot);
}

/* A server that never saw molt-boot come knows it by the MD5. */
static void molt_boot_is_known_by_the_md5_of_what_runs_above_it(void **state)
{
    (void)state;
    device.product_id = 1;
    world_release(&world, 1, 4);
    struct model_image *ordinary = world_image(&world, MOLT_CHIP_ESP8266, 300011);
    world_artifact(&world, &ordinary->gzip, 200000);
    const uint8_t(*variants)[16] =
        (const uint8_t(*)[16])world.variants[world.release_count - 1][0]; /* above eboot, above molt-boot */
    ordinary->md5_boot_count = 1;
    world_release(&world, 1, 5);
    world_artifact(&world, &world_image(&world, MOLT_CHIP_ESP8266, 300010)->gzip, 200000);
    make_rules();
    struct attempt_contact small = thread_bin();
    memcpy(small.md5, variants[1], 16);
    poll();
    assert_false(ask_bin(&small));
    assert_int_equal(decision.reason, MOLT_GZ_REFUSED);
    assert_int_equal(device.running_code, 4);
}

static void a_repeated_poll_changes_nothing_worth_writing(void **state)
{
    (void)state;
    device.product_id = 1;
    assert_int_equal(attempt_poll_version(rules, &device, &sketch_poll, now, &decision, &code),
                     DEVICES_CHANGED);
    now += MINUTE;
    assert_int_equal(attempt_poll_version(rules, &device, &sketch_poll, now, &decision, &code),
                     DEVICES_UNCHANGED);
    assert_int_equal(device.announced_ms, now);
}

static void a_poll_of_an_unassigned_device_says_0_and_why(void **state)
{
    (void)state;
    assert_int_equal(poll(), 0);
    assert_reason(MOLT_NOT_ASSIGNED);
    const struct attempt_contact bin = sketch_bin();
    assert_false(ask_bin(&bin));
    assert_int_equal(decision.reason, MOLT_NOT_ASSIGNED);
}

/* Another client's second try is a try: it had the file and could not use it. */
static void another_client_that_is_cut_the_second_time_is_not_presumed(void **state)
{
    (void)state;
    device.product_id = 1;
    const struct attempt_contact bin = sketch_bin();
    for (int i = 0; i < 2; i++) {
        poll();
        assert_true(ask_bin(&bin));
        end_download(i == 0);
    }
    assert_int_equal(device.attempt_sends, 1);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    assert_reason(MOLT_DOWNLOAD_CUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sketch_updates_and_is_presumed_to_run_the_release),
        TEST(a_poll_that_overtakes_the_end_of_the_download_counts),
        TEST(an_md5_of_the_release_proves_the_update),
        TEST(a_bin_is_only_served_for_ten_minutes_after_its_version),
        TEST(a_bin_is_of_the_release_announced_though_a_newer_one_came),
        TEST(a_release_yanked_after_its_announcement_is_not_served),
        TEST(a_wrong_label_is_sent_three_times_and_then_no_more),
        TEST(a_sketch_without_md5_that_asks_again_is_not_presumed),
        TEST(a_silent_bin_request_does_not_unlearn_an_older_version),
        TEST(cut_downloads_are_not_counted),
        TEST(gzip_that_changes_nothing_is_refused_from_then_on),
        TEST(gzip_that_worked_is_proven_and_not_refused_later),
        TEST(no_gzip_is_sent_to_a_device_that_got_molt_boot),
        TEST(nor_after_an_ordinary_image_that_molt_boot_installed),
        TEST(molt_boot_is_known_by_the_md5_of_what_runs_above_it),
        TEST(a_repeated_poll_changes_nothing_worth_writing),
        TEST(a_poll_of_an_unassigned_device_says_0_and_why),
        TEST(another_client_that_is_cut_the_second_time_is_not_presumed),
    };
    return cmocka_run_group_tests_name("attempt", tests, NULL, NULL);
}
