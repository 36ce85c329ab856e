/* attempt_test.c - one device's attempt, told as the story of its requests. Product 1 "door" has releases 1, 2 and 3
 * (ids and codes are equal) for an ESP8266; product 2 "lamp" has 1 for an ESP32-C3 (release id 4). */
#include "cmocka_all.h"

#include <stdio.h>

#include "server/attempt.h"
#include "world.h"

#define MINUTE 60000LL
#define THREAD 278396u

static struct world world;
static struct rules *rules;
static struct model_device device;
static struct decision decision;
static int64_t now;
static uint32_t code;

static void make_rules(void)
{
    if (rules) rules_destroy(rules);
    rules = world_rules(&world);
}

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    memset(&device, 0, sizeof device);
    now = 1000000000000LL;
    memcpy(device.id, "5ccf7fc602e2", 13);
    int64_t door = world_product(&world, "door", 0);
    for (uint32_t i = 1; i <= 3; i++) {
        world_release(&world, door, i);
        struct model_image *image = world_image(&world, MOLT_CHIP_ESP8266, 300000 + i);
        world_artifact(&world, &image->gzip, 200000 + i);
        world_artifact(&world, &image->gzip_4k, 210000 + i);
        image->gzip_min_start = 4096;
    }
    int64_t lamp = world_product(&world, "lamp", 0);
    world_release(&world, lamp, 1);
    world_image(&world, MOLT_CHIP_ESP32C3, 900000);
    make_rules();
    return 0;
}

static int end(void **state)
{
    (void)state;
    rules_destroy(rules);
    rules = NULL;
    return 0;
}

static const struct model_image *image_of(int release)
{
    return &rules_release(rules, release)->images[0];
}

/* ---- the thread's sketch: .version, then ESPhttpUpdate for the .bin ---- */

static const struct attempt_contact sketch_poll = {.client = MODEL_CLIENT_VERSION_FILE,
                                                   .chip = MOLT_CHIP_ESP8266};

static struct attempt_contact sketch_bin(void)
{
    return (struct attempt_contact){.client = MODEL_CLIENT_ESP8266,
                                    .chip = MOLT_CHIP_ESP8266,
                                    .has_chip_id = true,
                                    .free_space = 0x200000 - 303104,
                                    .sketch_size = 300001,
                                    .flash_size = 4 * 1024 * 1024,
                                    .core = "2.2.2-dev(38a443e)",
                                    .has_md5 = true,
                                    .md5 = {0xEE}}; /* of a sketch that nobody published */
}

static uint32_t poll(void)
{
    now += MINUTE;
    attempt_poll_version(rules, &device, &sketch_poll, now, &decision, &code);
    return code;
}

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

static void end_download(bool complete)
{
    now += 20000;
    attempt_download_ended(rules, &device, decision.artifact->sha256, complete, now);
}

static void download(const struct attempt_contact *contact)
{
    assert_true(ask_bin(contact));
    end_download(true);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADED);
}

static void assert_reason(int reason)
{
    assert_string_equal(molt_reason_id(device.last_reason), molt_reason_id(reason));
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
    poll();
    const struct attempt_contact bin = sketch_bin();
    assert_true(ask_bin(&bin));
    const struct model_artifact *sent = decision.artifact;
    assert_int_equal(poll(), 3);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADING);
    attempt_download_ended(rules, &device, sent->sha256, true, now);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_int_equal(device.running_code, 3);
    assert_reason(MOLT_PRESUMED);

    assert_true(ask_bin(&bin)); /* it was not so: begun again, and the poll before is forgotten */
    end_download(true);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADED);
    poll();
    assert_true(ask_bin(&bin));
    sent = decision.artifact;
    poll();
    attempt_download_ended(rules, &device, sent->sha256, false, now); /* a download that was cut stays that */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    assert_reason(MOLT_DOWNLOAD_CUT);
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

/* ---- products and chips ---- */

static void a_path_gives_a_product_once_and_an_operator_has_the_last_word(void **state)
{
    (void)state;
    struct attempt_contact contact = sketch_poll;
    contact.product = rules_product_named(rules, "door");
    attempt_poll_version(rules, &device, &contact, now, &decision, &code);
    assert_int_equal(device.product_id, 1);
    assert_int_equal(code, 3);
    device.product_id = 2; /* assigned */
    attempt_poll_version(rules, &device, &contact, now, &decision, &code);
    assert_int_equal(device.product_id, 2);
}

static void an_unknown_device_is_adopted_while_one_product_alone_has_its_chip(void **state)
{
    (void)state;
    world.products[0].adopt_chips = 1u << MOLT_CHIP_ESP8266;
    make_rules();
    assert_int_equal(poll(), 3);
    assert_int_equal(device.product_id, 1);

    device.product_id = 0;
    world_release(&world, world_product(&world, "third", 0), 1);
    world_image(&world, MOLT_CHIP_ESP8266, 1000);
    make_rules();
    assert_int_equal(rules_adopter(rules, MOLT_CHIP_ESP8266), NULL);
    poll();
    assert_int_equal(device.product_id, 0);
    assert_reason(MOLT_NOT_ASSIGNED);
}

static const struct attempt_contact esp32_update = {
    .client = MODEL_CLIENT_ESP32, .esp32_family = true, .free_space = 1310720, .sketch_size = 900000};

static void an_esp32_s_chip_is_assumed_and_the_assumption_taken_back(void **state)
{
    (void)state;
    device.product_id = 2;
    attempt_ask_update(rules, &device, &esp32_update, now, &decision);
    assert_int_equal(decision.reason, MOLT_OFFERED);
    assert_int_equal(device.chip, MOLT_CHIP_ESP32C3);
    assert_int_equal(device.chip_source, MODEL_CHIP_ASSUMED);
    assert_int_equal(device.slot_size, 1310720);

    world_image(&world, MOLT_CHIP_ESP32, 900000); /* the lamp's release gets a second chip */
    make_rules();
    attempt_ask_update(rules, &device, &esp32_update, now, &decision);
    assert_int_equal(decision.reason, MOLT_UNKNOWN_CHIP);
    assert_int_equal(device.chip, MOLT_CHIP_UNKNOWN);
}

static void an_esp32_s_chip_is_known_from_its_running_digest(void **state)
{
    (void)state;
    device.product_id = 2;
    world_image(&world, MOLT_CHIP_ESP32, 900000);
    make_rules();
    struct attempt_contact contact = esp32_update;
    contact.has_digest = true;
    memcpy(contact.digest, image_of(4)->digest, 32);
    attempt_ask_update(rules, &device, &contact, now, &decision);
    assert_int_equal(device.chip, MOLT_CHIP_ESP32C3);
    assert_int_equal(device.chip_source, MODEL_CHIP_DIGEST);
    assert_int_equal(device.running_code, 1);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
}

static void an_esp32_is_adopted_when_all_there_is_for_the_family_is_one_chip_s(void **state)
{
    (void)state;
    world.products[1].adopt_chips = 1u << MOLT_CHIP_ESP32C3;
    make_rules();
    attempt_ask_update(rules, &device, &esp32_update, now, &decision);
    assert_int_equal(device.product_id, 2);
    assert_int_equal(decision.reason, MOLT_OFFERED);
}

static void a_chip_set_by_a_person_is_never_overwritten(void **state)
{
    (void)state;
    device.product_id = 1;
    device.chip = MOLT_CHIP_ESP32;
    device.chip_source = MODEL_CHIP_SET;
    assert_int_equal(poll(), 0);
    assert_int_equal(decision.reason, MOLT_CHIP_CONFLICT);
    assert_int_equal(device.chip, MOLT_CHIP_ESP32);
    assert_int_equal(device.chip_source, MODEL_CHIP_SET);
}

/* ---- clients that let the server compare ---- */

static void a_version_text_means_the_release_of_that_name(void **state)
{
    (void)state;
    device.product_id = 1;
    snprintf(world.releases[1].version, MODEL_NAME_LEN, "spring");
    make_rules();
    struct attempt_contact contact = sketch_bin();
    contact.has_md5 = false;
    contact.version = "spring";
    attempt_ask_update(rules, &device, &contact, now, &decision);
    assert_int_equal(device.running_code, 2);
    assert_int_equal(decision.release->code, 3);
    contact.version = "no release";
    contact.version_code = 77;
    attempt_ask_update(rules, &device, &contact, now, &decision);
    assert_int_equal(decision.reason, MOLT_DEVICE_NEWER);
}

static void an_image_recognised_counts_more_than_what_it_calls_itself(void **state)
{
    (void)state;
    device.product_id = 1;
    struct attempt_contact contact = sketch_bin();
    memcpy(contact.md5, image_of(3)->raw.md5, 16);
    contact.version = "1";
    contact.version_code = 1;
    attempt_ask_update(rules, &device, &contact, now, &decision);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    assert_int_equal(device.running_code, 3);
}

static void a_file_system_s_sends_are_counted_apart(void **state)
{
    (void)state;
    device.product_id = 1;
    world.release_count = 3; /* another image for the door's release 3 */
    world_image(&world, MOLT_CHIP_ESP8266, 100000)->component = MODEL_FS;
    world.release_count = 4;
    make_rules();
    struct attempt_contact fs = sketch_bin(), app = sketch_bin();
    fs.component = MODEL_FS;
    for (int i = 0; i < 3; i++) {
        attempt_ask_update(rules, &device, &fs, now, &decision);
        assert_int_equal(decision.image->component, MODEL_FS);
        assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
        end_download(true);
        assert_int_equal(device.attempt, i == 0 ? MODEL_ATTEMPT_NONE : MODEL_ATTEMPT_DOWNLOADED);
        if (i == 0) {
            attempt_ask_update(rules, &device, &app, now, &decision);
            assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
            end_download(true);
        }
    }
    attempt_ask_update(rules, &device, &fs, now, &decision);
    assert_int_equal(decision.reason, MOLT_SAME_IMAGE_AGAIN);
    assert_int_equal(device.attempt_sends, 1);
    assert_int_not_equal(device.attempt, MODEL_ATTEMPT_FAILED);
    attempt_ask_update(rules, &device, &app, now, &decision);
    assert_int_equal(decision.reason, MOLT_OFFERED);
}

/* ---- esp_https_ota: HEAD, then pieces ---- */

static const struct attempt_contact idf = {.client = MODEL_CLIENT_IDF, .esp32_family = true};

static void pieces_continue_what_was_begun_for_an_hour(void **state)
{
    (void)state;
    device.product_id = 2;
    attempt_ask_range(rules, &device, &idf, 4096, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
    attempt_ask_update(rules, &device, &idf, now, &decision); /* HEAD */
    const struct model_artifact *artifact = decision.artifact;
    assert_non_null(artifact);

    world_release(&world, 2, 2); /* published in between */
    world_image(&world, MOLT_CHIP_ESP32C3, 800000);
    make_rules();
    attempt_ask_range(rules, &device, &idf, 0, now, &decision);
    assert_int_equal(decision.release->code, 1);
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
    end_download(false);
    now += 60 * MINUTE - 20000;
    attempt_ask_range(rules, &device, &idf, 65536, now, &decision);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(decision.release->code, 1);
    assert_int_equal(attempt_download_begun(&device, &decision, 65536, now), 0);
    end_download(true);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADED);
    assert_int_equal(device.attempt_sends, 1);

    now += 60 * MINUTE + 1;
    attempt_ask_range(rules, &device, &idf, 65536, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
    attempt_ask_range(rules, &device, &idf, 0, now, &decision);
    assert_int_equal(decision.release->code, 2);
}

static void idf_download(bool complete)
{
    now += MINUTE;
    attempt_ask_update(rules, &device, &idf, now, &decision);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
    end_download(complete);
}

/* It reads the version from the first bytes and hangs up when it is the one that runs; it says nothing else. */
static void an_esp_https_ota_that_only_looks_at_what_it_had_is_presumed_to_run_it(void **state)
{
    (void)state;
    device.product_id = 2;
    idf_download(false); /* it never had it: cut */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    assert_reason(MOLT_DOWNLOAD_CUT);
    idf_download(true);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADED);
    idf_download(false);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_int_equal(device.running_code, 1);
    assert_reason(MOLT_PRESUMED);
    attempt_ask_update(rules, &device, &idf, now, &decision);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    assert_reason(MOLT_PRESUMED); /* it stands */

    world_release(&world, 2, 2);
    world_image(&world, MOLT_CHIP_ESP32C3, 800000);
    make_rules();
    idf_download(true);
    assert_int_equal(device.attempt_release_id, 5);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADED);
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

static void who_says_that_it_has_the_file_is_presumed_to_run_it(void **state)
{
    (void)state;
    device.product_id = 2;
    struct attempt_contact contact = idf;
    contact.has_file = true;
    contact.file[0] = 0xEE; /* of a file that nobody published */
    attempt_ask_update(rules, &device, &contact, now, &decision);
    assert_int_equal(decision.reason, MOLT_OFFERED);
    memcpy(contact.file, image_of(4)->raw.sha256, 32);
    attempt_ask_update(rules, &device, &contact, now, &decision);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_int_equal(device.attempt_release_id, 4);
    assert_int_equal(device.running_code, 1);
    assert_reason(MOLT_PRESUMED);
}

static void a_yanked_release_is_not_continued(void **state)
{
    (void)state;
    device.product_id = 2;
    attempt_ask_update(rules, &device, &idf, now, &decision);
    attempt_download_begun(&device, &decision, 0, now);
    end_download(false);
    world.releases[3].yanked = true;
    make_rules();
    attempt_ask_range(rules, &device, &idf, 65536, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
}

static void two_requests_cannot_race_past_three_sends(void **state)
{
    (void)state;
    device.product_id = 2;
    attempt_ask_update(rules, &device, &idf, now, &decision);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
        end_download(true);
    }
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), -MOLT_SAME_IMAGE_AGAIN);
    assert_int_equal(attempt_download_begun(&device, &decision, 4096, now), 0); /* a piece is no send */
}

/* ---- molt's own check-in ---- */

static struct molt_checkin report(uint32_t running)
{
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP8266,
                                .version_code = running,
                                .flash_size = 4 * 1024 * 1024,
                                .fs_start = 0x200000,
                                .image_len = 300000,
                                .can = MOLT_CAN_RAW | MOLT_CAN_GZIP,
                                .gzip_window = 4096};
    if (running >= 1 && running <= 3) {
        said.has_digest = true;
        memcpy(said.digest, image_of((int)running)->digest, 32);
    }
    return said;
}

static void check_in(const struct molt_checkin *said)
{
    now += MINUTE;
    attempt_check_in(rules, NULL, &device, said, rules_product_named(rules, "door"), false, now, &decision);
}

static void offer_and_download(uint32_t running)
{
    const struct molt_checkin said = report(running);
    check_in(&said);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    uint8_t sha256[32];
    memcpy(sha256, decision.artifact->sha256, 32);
    attempt_ask_artifact(rules, NULL, &device, sha256, now, &decision);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(decision.encoding, MOLT_GZIP);
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
    end_download(true);
}

static void a_check_in_goes_from_offer_through_trial_to_confirmed(void **state)
{
    (void)state;
    offer_and_download(1);
    assert_int_equal(device.product_id, 1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_TRIAL);
    assert_int_equal(decision.reason, MOLT_ON_TRIAL);
    said.boot = MOLT_BOOT_CONFIRMED;
    said.result = MOLT_CONFIRMED;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_int_equal(device.attempt_reason, MOLT_CONFIRMED);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    assert_true(device.gz_proven);
}

static void a_rollback_is_remembered_and_not_offered_again(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(&said);
    said = report(1);
    said.result = MOLT_CRASHED;
    said.has_result_digest = true;
    memcpy(said.result_digest, image_of(3)->digest, 32);
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.attempt_reason, MOLT_CRASHED);
    assert_int_equal(decision.reason, MOLT_FAILED_BEFORE);
    assert_string_equal(device.last_detail, "version 3: crashed");
    check_in(&said); /* the report repeats */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);

    world_release(&world, 1, 4);
    world_image(&world, MOLT_CHIP_ESP8266, 1000);
    make_rules();
    check_in(&said);
    assert_int_equal(decision.release->code, 4);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    check_in(&said); /* and must not end the next attempt */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    assert_int_equal(decision.release->code, 4);
}

static void a_rollback_is_matched_by_its_code_without_a_digest(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(1);
    said.result = MOLT_CONFIRM_TIMEOUT;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.attempt_release_id, 3);
}

static void a_trial_that_vanished_without_a_word_rolled_back(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(&said);
    said = report(1);
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.attempt_reason, MOLT_ROLLED_BACK);
}

static void a_rollback_that_this_server_never_offered_is_believed(void **state)
{
    (void)state;
    struct molt_checkin said = report(2);
    said.result = MOLT_HUNG;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(decision.reason, MOLT_FAILED_BEFORE);
}

static void the_report_of_an_older_try_does_not_end_a_trial(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    said.result = MOLT_CRASHED;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_TRIAL);
    assert_reason(MOLT_ON_TRIAL);
}

struct ending {
    int result;
    enum model_attempt attempt;
    int reason; /* of the decision that follows */
    bool gz_refused;
};
static const struct ending endings[] = {
    {MOLT_CONNECTION_LOST, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_TIMEOUT, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_HTTP_NOT_FOUND, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_DIGEST_MISMATCH, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_INTERRUPTED, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_BAD_GZIP, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, true},
    {MOLT_GZIP_WINDOW, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, true},
    {MOLT_FLASH_MODE, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, true},
    {MOLT_WRONG_CHIP, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_BAD_HASH, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_NO_SPACE, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_FLASH_WRITE, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_FAILED_BEFORE, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_ROLLED_BACK, MODEL_ATTEMPT_ROLLED_BACK, MOLT_FAILED_BEFORE, false},
    {MOLT_UNHEALTHY, MODEL_ATTEMPT_ROLLED_BACK, MOLT_FAILED_BEFORE, false},
};

static void only_what_the_image_is_to_blame_for_ends_an_attempt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        memset(&device, 0, sizeof device);
        offer_and_download(1);
        struct molt_checkin said = report(1);
        said.result = endings[i].result;
        said.result_code = 3;
        check_in(&said);
        assert_string_equal(molt_reason_id(decision.reason), molt_reason_id(endings[i].reason));
        assert_int_equal(device.attempt, endings[i].attempt);
        assert_int_equal(device.attempt_reason, endings[i].result);
        assert_int_equal(device.gz_refused, endings[i].gz_refused);
        if (endings[i].gz_refused) assert_int_equal(decision.encoding, MOLT_RAW);
    }
}

static void an_unprotected_update_counts_with_its_reason(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_UNPROTECTED;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_int_equal(device.attempt_reason, MOLT_NO_BOOT_ROLLBACK);
}

static void an_artifact_is_only_for_whom_it_was_offered(void **state)
{
    (void)state;
    device.product_id = 1;
    attempt_ask_artifact(rules, NULL, &device, image_of(3)->raw.sha256, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
    const struct molt_checkin said = report(1);
    check_in(&said);
    attempt_ask_artifact(rules, NULL, &device, image_of(2)->raw.sha256, now, &decision); /* another release */
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
    attempt_ask_artifact(rules, NULL, &device, image_of(3)->gzip_4k.sha256, now, &decision);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    now += 60 * MINUTE + 1;
    attempt_ask_artifact(rules, NULL, &device, image_of(3)->gzip_4k.sha256, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
}

static void a_device_flashed_by_cable_is_believed(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    said = report(1);
    check_in(&said); /* back to the old one by cable: it is offered again */
    assert_int_equal(decision.reason, MOLT_OFFERED);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

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
        TEST(a_repeated_poll_changes_nothing_worth_writing),
        TEST(a_poll_of_an_unassigned_device_says_0_and_why),
        TEST(a_path_gives_a_product_once_and_an_operator_has_the_last_word),
        TEST(an_unknown_device_is_adopted_while_one_product_alone_has_its_chip),
        TEST(an_esp32_s_chip_is_assumed_and_the_assumption_taken_back),
        TEST(an_esp32_s_chip_is_known_from_its_running_digest),
        TEST(an_esp32_is_adopted_when_all_there_is_for_the_family_is_one_chip_s),
        TEST(a_chip_set_by_a_person_is_never_overwritten),
        TEST(a_version_text_means_the_release_of_that_name),
        TEST(an_image_recognised_counts_more_than_what_it_calls_itself),
        TEST(a_file_system_s_sends_are_counted_apart),
        TEST(pieces_continue_what_was_begun_for_an_hour),
        TEST(an_esp_https_ota_that_only_looks_at_what_it_had_is_presumed_to_run_it),
        TEST(another_client_that_is_cut_the_second_time_is_not_presumed),
        TEST(who_says_that_it_has_the_file_is_presumed_to_run_it),
        TEST(a_yanked_release_is_not_continued),
        TEST(two_requests_cannot_race_past_three_sends),
        TEST(a_check_in_goes_from_offer_through_trial_to_confirmed),
        TEST(a_rollback_is_remembered_and_not_offered_again),
        TEST(a_rollback_is_matched_by_its_code_without_a_digest),
        TEST(a_trial_that_vanished_without_a_word_rolled_back),
        TEST(a_rollback_that_this_server_never_offered_is_believed),
        TEST(the_report_of_an_older_try_does_not_end_a_trial),
        TEST(only_what_the_image_is_to_blame_for_ends_an_attempt),
        TEST(an_unprotected_update_counts_with_its_reason),
        TEST(an_artifact_is_only_for_whom_it_was_offered),
        TEST(a_device_flashed_by_cable_is_believed),
    };
    return cmocka_run_group_tests_name("attempt", tests, NULL, NULL);
}
