/* decide_property_test.c - random rules, devices and questions: whatever is offered may be sent. The oracle is written
 * from the rules themselves, not from the code. MOLT_SEED repeats a run; the seed is printed. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/attempt/attempt.h"
#include "unit/world.h"

#define ROUNDS 60000
#define NOW    1000000000000LL

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static bool chance(uint32_t percent)
{
    return any(100) < percent;
}

static const enum molt_chip chips[] = {MOLT_CHIP_ESP8266, MOLT_CHIP_ESP8266, MOLT_CHIP_ESP32,
                                       MOLT_CHIP_ESP32C3};
static const uint32_t flash_sizes[] = {0, 512 * 1024, 1024 * 1024, 4096 * 1024};
static const uint32_t fs_starts[] = {0, 0x7B000, 0xEB000, 0x100000, 0x200000};
#define ANY_OF(array) (array)[any(sizeof(array) / sizeof((array)[0]))]

/* Lengths near the boundaries: sectors more often than not. */
static uint32_t length(void)
{
    uint32_t len = 4096 * (1 + any(140));
    return chance(40) ? len : len - any(4095);
}

static void random_image(struct world *world)
{
    struct model_image *image = world_image(world, ANY_OF(chips), length());
    image->component = chance(15) ? MODEL_FS : MODEL_APP;
    if (chance(30)) image->variant_flash_size = ANY_OF(flash_sizes);
    if (chance(20)) image->variant_fs_start = ANY_OF(fs_starts);
    if (chance(10)) image->variant_min_revision = 300;
    if (chance(50)) image->min_revision = 300;
    if (chance(50)) image->header_flash_size = ANY_OF(flash_sizes);
    if (chance(70)) world_artifact(world, &image->gzip, image->raw.len * (50 + any(55)) / 100);
    if (chance(70)) world_artifact(world, &image->gzip_4k, image->raw.len * (50 + any(55)) / 100);
}

static void random_world(struct world *world)
{
    memset(world, 0, sizeof *world);
    world_product(world, "door", 0);
    world_product(world, "lamp", 0);
    uint32_t releases = 1 + any(8);
    for (uint32_t r = 0; r < releases; r++) {
        struct model_release *release = world_release(world, 1 + any(2), 1 + any(10));
        if (chance(20)) memcpy(release->channel, "beta", 5);
        release->yanked = chance(20);
        for (uint32_t i = 1 + any(3); i > 0; i--)
            random_image(world);
    }
}

static const struct model_image *some_image(const struct world *world)
{
    uint32_t r = any(world->release_count);
    return &world->images[r][any(world->releases[r].image_count)];
}

static void random_device(struct model_device *device, const struct world *world)
{
    static const enum model_chip_source sources[] = {MODEL_CHIP_SAID, MODEL_CHIP_SET, MODEL_CHIP_DIGEST,
                                                     MODEL_CHIP_ASSUMED};
    static const enum model_attempt attempts[] = {MODEL_ATTEMPT_NONE, MODEL_ATTEMPT_OFFERED,
                                                  MODEL_ATTEMPT_DOWNLOADED, MODEL_ATTEMPT_FAILED,
                                                  MODEL_ATTEMPT_ROLLED_BACK};
    memset(device, 0, sizeof *device);
    memcpy(device->id, "aabbccddeeff", 13);
    device->product_id = any(20) == 0 ? 0 : 1 + any(2);
    if (chance(20)) memcpy(device->channel, "beta", 5);
    device->held = chance(5);
    if (chance(85)) {
        device->chip = ANY_OF(chips);
        device->chip_source = ANY_OF(sources);
    }
    device->client = (enum model_client)any(MODEL_CLIENT_MOLT + 1);
    device->flash_size = ANY_OF(flash_sizes);
    device->fs_start = ANY_OF(fs_starts);
    device->slot_size = chance(50) ? 0 : length();
    device->sketch_size = chance(20) ? 0 : length();
    device->can = any(4);
    device->gzip_window = any(3) * 16384 + any(3) * 2048;
    device->gz_refused = chance(20);
    device->running_code = any(8);
    device->attempt = ANY_OF(attempts);
    device->attempt_reason = chance(50) ? MOLT_CRASHED : MOLT_SAME_IMAGE_AGAIN;
    device->attempt_release_id = any(world->release_count + 1);
    device->attempt_sends = any(5);
    memcpy(device->attempt_sha256, some_image(world)->raw.sha256, 32);
    device->fs_sends = any(5);
    memcpy(device->fs_sha256, some_image(world)->raw.sha256, 32);
    device->has_digest = chance(20);
    memcpy(device->digest, some_image(world)->digest, 32);
    device->announced_ms = chance(70) ? NOW - any(100000000) : 0;
}

static void random_ask(struct decide_ask *ask, const struct world *world, const struct rules *rules)
{
    memset(ask, 0, sizeof *ask);
    ask->component = chance(15) ? MODEL_FS : MODEL_APP;
    ask->molt = chance(40);
    ask->bare = !ask->molt && chance(25);
    ask->on_trial = chance(3);
    ask->stock_gzip = chance(50);
    ask->esp32_family = chance(20);
    if (chance(30)) ask->chip_said = ANY_OF(chips);
    ask->fs_code = any(8);
    ask->has_md5 = chance(20);
    memcpy(ask->md5, some_image(world)->raw.md5, 16);
    if (chance(20)) ask->only = rules_release(rules, 1 + any(world->release_count));
}

/* ---- the oracle ---- */

static uint64_t sectors(uint64_t len)
{
    return (len + 4095) & ~4095ull;
}

static void check_esp8266_space(const struct model_device *device, const struct decide_ask *ask,
                                const struct decision *offer)
{
    const struct model_image *image = offer->image;
    bool gzip = offer->encoding == MOLT_GZIP;
    bool known = device->fs_start != 0 && device->sketch_size != 0;
    assert_true(known || !gzip);
    if (!known) return;
    uint64_t fs_start = device->fs_start, sketch = sectors(device->sketch_size);
    assert_true(sectors(offer->artifact->len) + sketch <= fs_start);
    assert_true(image->raw.len <= fs_start);
    /* libmolt refuses an image that reaches into its staged file; a reset while eboot copies would break it */
    assert_true(image->raw.len + sectors(offer->artifact->len) <= fs_start);
    if (ask->molt || !gzip) return;
    assert_ptr_equal(offer->artifact, &image->gzip);
    assert_true(ask->stock_gzip || (ask->bare && device->can == 0));
    bool raw_overlaps = 2 * sectors(image->raw.len) > fs_start; /* gzip only when raw may not be sent */
    assert_true(raw_overlaps || sectors(image->raw.len) + sketch > fs_start);
}

static void check_encoding(const struct model_device *device, const struct decide_ask *ask,
                           const struct decision *offer)
{
    const struct model_image *image = offer->image;
    if (offer->encoding == MOLT_RAW) {
        assert_ptr_equal(offer->artifact, &image->raw);
        return;
    }
    assert_true(offer->artifact->len > 0 && offer->artifact->len < image->raw.len);
    if (image->component == MODEL_FS) { /* libmolt unpacks it on the way; nobody else gets it packed */
        assert_true(ask->molt && (device->can & MOLT_CAN_GZIP) != 0 && device->gzip_window >= 4096);
        assert_ptr_equal(offer->artifact, &image->gzip_4k);
        return;
    }
    assert_false(device->gz_refused);
    if (!ask->molt) {
        assert_int_equal(image->chip, MOLT_CHIP_ESP8266); /* never to a stock ESP32 */
        return;
    }
    assert_true(device->can & MOLT_CAN_GZIP);
    uint32_t window = offer->artifact == &image->gzip ? 32768 : 4096;
    assert_true(offer->artifact == &image->gzip || offer->artifact == &image->gzip_4k);
    assert_true(device->gzip_window >= window);
}

static bool is_family(const struct model_device *device, const struct decide_ask *ask)
{
    return ask->esp32_family || device->client == MODEL_CLIENT_ESP32 || device->client == MODEL_CLIENT_IDF ||
           (device->chip_source == MODEL_CHIP_ASSUMED && device->chip > MOLT_CHIP_ESP8266);
}

/* The image's chip is that of all the product's images (of the ESP32 family). */
static bool is_only_chip(const struct world *world, int64_t product_id, enum molt_chip chip, bool family)
{
    for (uint32_t r = 0; r < world->release_count; r++) {
        if (world->releases[r].product_id != product_id) continue;
        for (uint32_t i = 0; i < world->releases[r].image_count; i++) {
            enum molt_chip other = world->images[r][i].chip;
            if (other != chip && !(family && other == MOLT_CHIP_ESP8266)) return false;
        }
    }
    return true;
}

/* The chip is the device's, or all of the product's images are of it; only a bare poll may leave it open. */
static void check_chip(const struct world *world, const struct model_device *device,
                       const struct decide_ask *ask, const struct model_image *image)
{
    bool known = device->chip != MOLT_CHIP_UNKNOWN && device->chip_source != MODEL_CHIP_ASSUMED;
    if (known) {
        assert_int_equal(image->chip, device->chip);
        if (ask->chip_said) assert_int_equal(image->chip, ask->chip_said);
        if (ask->esp32_family && !ask->chip_said) assert_int_not_equal(image->chip, MOLT_CHIP_ESP8266);
        return;
    }
    bool family = is_family(device, ask);
    assert_true(!family || image->chip != MOLT_CHIP_ESP8266);
    if (!family && ask->bare) return;
    assert_true(family || image->chip == MOLT_CHIP_ESP8266);
    assert_true(is_only_chip(world, device->product_id, image->chip, family));
}

static void check_history(const struct model_device *device, const struct decide_ask *ask,
                          const struct decision *offer)
{
    bool app = ask->component == MODEL_APP;
    uint32_t running = app ? device->running_code : ask->fs_code;
    assert_true(running == 0 || offer->release->code > running);
    const uint8_t *sent = app ? device->attempt_sha256 : device->fs_sha256;
    uint32_t sends = app ? device->attempt_sends : device->fs_sends;
    if (!ask->molt && memcmp(sent, offer->artifact->sha256, 32) == 0) assert_true(sends < 3);
    if (!app) return;
    if (device->attempt_release_id == offer->release->id)
        assert_true(device->attempt != MODEL_ATTEMPT_FAILED && device->attempt != MODEL_ATTEMPT_ROLLED_BACK);
    if (ask->has_md5) assert_memory_not_equal(ask->md5, offer->image->raw.md5, 16);
    if (device->has_digest) assert_memory_not_equal(device->digest, offer->image->digest, 32);
}

static void check_variant(const struct model_device *device, const struct decide_ask *ask,
                          const struct model_image *image)
{
    bool open = ask->bare && (device->flash_size == 0 || device->fs_start == 0);
    if (image->variant_flash_size != 0 && !open)
        assert_int_equal(image->variant_flash_size, device->flash_size);
    if (image->variant_fs_start != 0 && !open) assert_int_equal(image->variant_fs_start, device->fs_start);
    if (device->flash_size != 0) assert_true(image->header_flash_size <= device->flash_size);
    if (image->variant_min_revision != 0) {
        assert_int_not_equal(image->chip, MOLT_CHIP_ESP8266);
        assert_true(image->min_revision >= image->variant_min_revision);
    }
}

static void check_offer(const struct world *world, const struct model_device *device,
                        const struct decide_ask *ask, const struct decision *offer)
{
    const struct model_release *release = offer->release;
    const struct model_image *image = offer->image;
    assert_int_equal(offer->reason, MOLT_OFFERED);
    assert_false(release->yanked);
    assert_false(device->held || ask->on_trial);
    if (ask->only) assert_ptr_equal(release, ask->only);
    assert_int_equal(release->product_id, device->product_id);
    assert_string_equal(release->channel, device->channel[0] ? device->channel : "stable");
    assert_true(image >= release->images && image < release->images + release->image_count);
    assert_int_equal(image->component, ask->component);
    check_chip(world, device, ask, image);
    check_encoding(device, ask, offer);
    check_history(device, ask, offer);
    /* what was said more than a day before a bare poll does not count, nor do sizes of a chip that is not known */
    if (ask->bare && (device->announced_ms == 0 || NOW - device->announced_ms > 86400000)) return;
    check_variant(device, ask, image);
    bool known = device->chip != MOLT_CHIP_UNKNOWN && device->chip_source != MODEL_CHIP_ASSUMED;
    bool family = is_family(device, ask), may_assume = family || image->chip == MOLT_CHIP_ESP8266;
    if (!known && !(may_assume && is_only_chip(world, device->product_id, image->chip, family))) return;
    if (image->component == MODEL_FS) return;
    if (image->chip == MOLT_CHIP_ESP8266)
        check_esp8266_space(device, ask, offer);
    else if (device->slot_size != 0)
        assert_true(image->raw.len <= device->slot_size);
}

static void check_refusal(const struct model_device *device, const struct decision *decision)
{
    assert_int_equal(decision->verdict, MOLT_VERDICT_NOTHING);
    assert_int_not_equal(decision->reason, MOLT_OFFERED);
    assert_int_not_equal(decision->reason, 0);
    assert_string_not_equal(molt_reason_id(decision->reason), "unknown-reason");
    assert_null(decision->artifact);
    assert_int_equal(decide_version_code(device, decision), device->running_code);
}

static void whatever_is_offered_may_be_sent(void **state)
{
    (void)state;
    const char *given = getenv("MOLT_SEED");
    random_state = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    static struct world world;
    uint32_t offers = 0, compressed = 0, reasons[MOLT_REASON_MAX] = {0};
    for (int i = 0; i < ROUNDS; i++) {
        random_world(&world);
        struct rules *rules = world_rules(&world);
        for (int j = 0; j < 4; j++) {
            struct model_device device;
            struct decide_ask ask;
            struct decision decision;
            random_device(&device, &world);
            random_ask(&ask, &world, rules);
            /* what is announced to a device is of its own product and channel: attempt.c sees to that */
            if (ask.only && (ask.only->product_id != device.product_id ||
                             strcmp(ask.only->channel, device.channel[0] ? device.channel : "stable") != 0))
                ask.only = NULL;
            decide(rules, &device, &ask, NOW, &decision);
            reasons[decision.reason]++;
            if (decision.verdict != MOLT_VERDICT_OFFER) {
                check_refusal(&device, &decision);
                continue;
            }
            check_offer(&world, &device, &ask, &decision);
            offers++;
            compressed += decision.encoding == MOLT_GZIP;
        }
        rules_destroy(rules);
    }
    /* the dice reach everything */
    static const int expected[] = {
        MOLT_UP_TO_DATE,    MOLT_DEVICE_NEWER, MOLT_NOT_ASSIGNED, MOLT_NO_RELEASE,    MOLT_NO_IMAGE,
        MOLT_UNKNOWN_CHIP,  MOLT_TOO_LARGE,    MOLT_OLD_CORE,     MOLT_GZ_REFUSED,    MOLT_SAME_IMAGE_AGAIN,
        MOLT_WRONG_MODE,    MOLT_SAME_DIGEST,  MOLT_HELD,         MOLT_CHIP_CONFLICT, MOLT_FLASH_TOO_SMALL,
        MOLT_FAILED_BEFORE, MOLT_ON_TRIAL};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (reasons[expected[i]] == 0) fail_msg("never %s", molt_reason_id(expected[i]));
    assert_true(offers > ROUNDS / 10);
    assert_true(compressed > ROUNDS / 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_is_offered_may_be_sent)};
    return cmocka_run_group_tests_name("decide-property", tests, NULL, NULL);
}
