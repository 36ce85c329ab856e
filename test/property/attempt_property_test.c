/* attempt_property_test.c - random requests of one device, in any order: a .bin is only what was announced in the last
 * ten minutes, and the row stays valid; and a device that never changes gets each digest three times, however it asks.
 * MOLT_SEED repeats a run; the seed is printed. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/attempt/attempt.h"
#include "unit/world.h"

#define LIVES    3000
#define REQUESTS 60

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

struct life {
    struct world world;
    struct rules *rules;
    struct model_device device;
    int64_t now;
    uint32_t said_code; /* what .version said last */
    int64_t said_at;
};

static void make_world(struct life *life)
{
    for (uint32_t i = 0; i < 4; i++) {
        world_release(&life->world, i == 0 ? world_product(&life->world, "door", 1u << MOLT_CHIP_ESP8266) : 1,
                      i + 1);
        struct model_image *image = world_image(&life->world, MOLT_CHIP_ESP8266, 270000 + any(40000));
        if (any(2)) world_artifact(&life->world, &image->gzip, 190000);
        if (any(2)) world_artifact(&life->world, &image->gzip_4k, 200000);
    }
    life->rules = world_rules(&life->world);
}

/* Publishes, yanks, and gives the store's next picture. */
static void change_rules(struct life *life)
{
    if (any(2) && life->world.release_count < 12) {
        world_release(&life->world, 1, life->world.release_count + 1);
        world_image(&life->world, MOLT_CHIP_ESP8266, 200000 + any(100000));
    } else {
        life->world.releases[any(life->world.release_count)].yanked = any(2);
    }
    rules_destroy(life->rules);
    life->rules = world_rules(&life->world);
}

static struct attempt_contact contact_of(const struct life *life, bool bare)
{
    struct attempt_contact contact = {.client = bare ? MODEL_CLIENT_VERSION_FILE : MODEL_CLIENT_ESP8266,
                                      .chip = MOLT_CHIP_ESP8266};
    if (bare) return contact;
    contact.has_chip_id = any(2);
    contact.sketch_size = 278396;
    contact.free_space = any(2) ? 225280 : 1781760;
    contact.flash_size = 4096 * 1024;
    contact.has_md5 = any(4) != 0;
    if (any(3) == 0) memcpy(contact.md5, life->world.images[any(life->world.release_count)][0].raw.md5, 16);
    return contact;
}

static struct molt_checkin report_of(const struct life *life)
{
    static const int results[] = {
        0, 0, MOLT_CONFIRMED, MOLT_CRASHED, MOLT_TIMEOUT, MOLT_BAD_GZIP, MOLT_BAD_HASH, MOLT_CONNECTION_LOST};
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP8266,
                                .version_code = any(6),
                                .fs_start = 0x200000,
                                .image_len = 278396,
                                .can = any(4),
                                .gzip_window = any(2) ? 4096 : 32768,
                                .boot = (enum molt_boot_kind)any(3),
                                .result = results[any(sizeof results / sizeof results[0])],
                                .result_code = any(6)};
    said.has_digest = any(2);
    memcpy(said.digest, life->world.images[any(life->world.release_count)][0].digest, 32);
    return said;
}

static void download(struct life *life, const struct decision *decision)
{
    if (decision->verdict != MOLT_VERDICT_OFFER) return;
    assert_false(decision->release->yanked);
    int rc = attempt_download_begun(&life->device, decision, any(5) == 0 ? 4096 : 0, life->now);
    if (rc == -MOLT_SAME_IMAGE_AGAIN) return;
    assert_int_equal(rc, 0);
    life->said_at = life->now; /* a download that began may be asked for again */
    life->now += any(60000);
    attempt_download_ended(life->rules, &life->device, decision->artifact->sha256, any(3) != 0, life->now);
}

/* A .bin is of the release whose code was last said: by .version, by an answer to ESPhttpUpdate or by a check-in. */
static void check_announced(const struct life *life, const struct decision *decision)
{
    if (decision->verdict != MOLT_VERDICT_OFFER) return;
    assert_int_equal(decision->release->code, life->said_code);
    assert_true(life->now - life->said_at <= ATTEMPT_ANNOUNCED_MS);
}

static void say(struct life *life, uint32_t code)
{
    life->said_code = code;
    life->said_at = life->now;
}

static void request(struct life *life)
{
    struct decision decision;
    uint32_t code;
    struct attempt_contact contact;
    struct molt_checkin said;
    life->now += any(10) == 0 ? 3600000 : any(120000);
    switch (any(8)) {
    case 0:
    case 1:
        contact = contact_of(life, true);
        attempt_poll_version(life->rules, &life->device, &contact, life->now, &decision, &code);
        if (code != 0) say(life, code); /* a 0 announces nothing new; the device asks for nothing then */
        break;
    case 2:
    case 3:
        contact = contact_of(life, any(6) == 0);
        attempt_ask_bin(life->rules, &life->device, &contact, life->now, &decision);
        check_announced(life, &decision);
        download(life, &decision);
        break;
    case 4:
        contact = contact_of(life, false);
        attempt_ask_update(life->rules, &life->device, &contact, life->now, &decision);
        if (decision.verdict == MOLT_VERDICT_OFFER) say(life, decision.release->code);
        download(life, &decision);
        break;
    case 5:
        contact = contact_of(life, false);
        attempt_ask_range(life->rules, &life->device, &contact, 0, life->now, &decision);
        if (decision.verdict == MOLT_VERDICT_OFFER) say(life, decision.release->code);
        break;
    case 6:
        said = report_of(life);
        attempt_check_in(life->rules, NULL, &life->device, &said, NULL, false, life->now, &decision);
        if (decision.verdict == MOLT_VERDICT_OFFER) say(life, decision.release->code);
        break;
    default:
        change_rules(life);
        break;
    }
}

static void check_row(const struct life *life)
{
    const struct model_device *device = &life->device;
    assert_in_range(device->attempt, MODEL_ATTEMPT_NONE, MODEL_ATTEMPT_ROLLED_BACK);
    assert_true(device->attempt_sends <= DECIDE_SENDS_MAX + 1);
    assert_true(device->attempt == MODEL_ATTEMPT_NONE || device->attempt_release_id != 0);
    assert_string_not_equal(molt_reason_id(device->last_reason), "unknown-reason");
    assert_string_not_equal(molt_reason_id(device->attempt_reason), "unknown-reason");
    assert_true(device->attempt != MODEL_ATTEMPT_ROLLED_BACK || device->attempt_reason != 0);
    assert_true(device->attempt != MODEL_ATTEMPT_FAILED || device->attempt_reason != 0);
    assert_non_null(memchr(device->last_detail, '\0', sizeof device->last_detail));
    assert_true(device->running_code <= 0x7FFFFFFF);
}

static void a_bin_is_what_its_version_announced_and_rows_stay_valid(void **state)
{
    (void)state;
    const char *given = getenv("MOLT_SEED");
    random_state = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    static struct life life;
    for (int i = 0; i < LIVES; i++) {
        memset(&life, 0, sizeof life);
        memcpy(life.device.id, "5ccf7fc602e2", 13);
        life.now = 1000000000000LL;
        make_world(&life);
        for (int j = 0; j < REQUESTS; j++) {
            request(&life);
            check_row(&life);
        }
        rules_destroy(life.rules);
    }
}

/* Another device that is like it in everything but what is each one's own, asked at another time. The last announcement is
 * on the same side of a day. */
static struct model_device twin_of(const struct model_device *device, int64_t now, int64_t *twin_now)
{
    struct model_device twin = *device;
    const bool recent = device->announced_ms != 0 && now - device->announced_ms <= DECIDE_REMEMBERED_MS;
    *twin_now = now + any(1u << 30);
    memset(twin.id, 0, sizeof twin.id);
    memset(twin.tags, 0, sizeof twin.tags);
    snprintf(twin.id, sizeof twin.id, "%08x", (unsigned)any(UINT32_MAX));
    snprintf(twin.tags, sizeof twin.tags, "t%u", (unsigned)any(5));
    twin.first_seen_ms = now - any(1u << 30);
    twin.last_reason_ms = now - any(1u << 30);
    twin.rollout_ms = now - any(1u << 30);
    twin.announced_ms = recent   ? *twin_now - any(DECIDE_REMEMBERED_MS)
                        : any(2) ? *twin_now - DECIDE_REMEMBERED_MS - 1 - any(1u << 30)
                                 : 0;
    return twin;
}

/* What attempt_is_common() promises: the table answers the next device in that state without a look at it. */
static void an_answer_in_common_is_what_each_device_would_get(void **state)
{
    static struct life life;
    unsigned common = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        memset(&life, 0, sizeof life);
        memcpy(life.device.id, "5ccf7fc602e2", 13);
        life.now = 1000000000000LL;
        make_world(&life);
        for (unsigned r = any(4); r > 0; r--) {
            struct model_rollout *rollout = world_rollout(&life.world, 1 + any(4));
            rollout->phases[0].percent = any(10001);
            rollout->timeout_s = any(2) ? 60 : 0;
        }
        change_rules(&life);
        for (int j = 0; j < 30; j++) {
            if (any(3) == 0) request(&life);
            struct attempt_contact contact = contact_of(&life, true);
            struct model_device before = life.device;
            struct decision decision;
            uint32_t code, twin_code;
            int64_t twin_now;
            const bool same = attempt_poll_version(life.rules, &life.device, &contact, life.now, &decision,
                                                   &code) == DEVICES_UNCHANGED;
            if (code != 0) say(&life, code);
            if (!same || !attempt_is_common(&life.device, &decision)) continue;
            struct model_device twin = twin_of(&before, life.now, &twin_now);
            const int64_t announced = twin.announced_ms;
            common++;
            assert_int_equal(
                attempt_poll_version(life.rules, &twin, &contact, twin_now, &decision, &twin_code),
                DEVICES_UNCHANGED);
            assert_int_equal(twin_code, code);
            assert_true(twin.announced_ms == (code != 0 ? twin_now : announced));
        }
        rules_destroy(life.rules);
    }
    assert_true(common > 1000);
}

/* A device that never changes and asks for ever, however it asks: each artifact reaches it whole three times. */
static void a_device_that_never_changes_gets_no_digest_four_times(void **state)
{
    (void)state;
    static struct life life;
    for (int i = 0; i < 500; i++) {
        memset(&life, 0, sizeof life);
        memcpy(life.device.id, "5ccf7fc602e2", 13);
        life.now = 1000000000000LL;
        make_world(&life);
        uint32_t whole = 0;
        for (int j = 0; j < 40; j++) {
            struct attempt_contact poll = contact_of(&life, true), ask = contact_of(&life, false);
            struct decision decision;
            uint32_t code;
            ask.has_md5 = true;
            memset(ask.md5, 0xEE, sizeof ask.md5);
            ask.has_chip_id = true;
            ask.free_space = 1781760;
            life.now += 60000;
            attempt_poll_version(life.rules, &life.device, &poll, life.now, &decision, &code);
            if (i % 2)
                attempt_ask_bin(life.rules, &life.device, &ask, life.now, &decision);
            else
                attempt_ask_update(life.rules, &life.device, &ask, life.now, &decision);
            if (decision.verdict != MOLT_VERDICT_OFFER) continue;
            assert_int_equal(decision.release->code, 4);
            assert_int_equal(attempt_download_begun(&life.device, &decision, 0, life.now), 0);
            bool complete = any(3) != 0;
            attempt_download_ended(life.rules, &life.device, decision.artifact->sha256, complete, life.now);
            whole += complete;
        }
        assert_int_equal(whole, 3);
        assert_int_equal(life.device.attempt, MODEL_ATTEMPT_FAILED);
        rules_destroy(life.rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bin_is_what_its_version_announced_and_rows_stay_valid),
        cmocka_unit_test(an_answer_in_common_is_what_each_device_would_get),
        cmocka_unit_test(a_device_that_never_changes_gets_no_digest_four_times)};
    return cmocka_run_group_tests_name("attempt-property", tests, NULL, NULL);
}
