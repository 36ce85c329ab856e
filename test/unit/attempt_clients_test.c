/* attempt_clients_test.c - one device's attempt, told as the story of its requests: which product and chip a device is
 * taken for, and clients that let the server compare. */
#include "attempt_story.h"

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
        TEST(who_says_that_it_has_the_file_is_presumed_to_run_it),
        TEST(a_yanked_release_is_not_continued),
        TEST(two_requests_cannot_race_past_three_sends),
    };
    return cmocka_run_group_tests_name("attempt-clients", tests, NULL, NULL);
}
