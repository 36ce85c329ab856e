/* attempt_test.c - one device's attempt, told as the story of its requests: clients that do not report. */
#include "attempt_story.h"

#define THREAD 278396u

static uint32_t code;

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
    };
    return cmocka_run_group_tests_name("attempt", tests, NULL, NULL);
}
