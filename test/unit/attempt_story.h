/* attempt_story.h - what the tests of an attempt share: the device, and a world of two products. Product 1 "door" has
 * releases 1, 2 and 3 (ids and codes are equal) for an ESP8266; product 2 "lamp" has 1 for an ESP32-C3 (release id 4). */
#ifndef MOLT_TEST_ATTEMPT_STORY_H
#define MOLT_TEST_ATTEMPT_STORY_H

#include "cmocka_all.h"

#include <stdio.h>

#include "server/attempt/attempt.h"
#include "world.h"

#define MINUTE 60000LL

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static struct world world;
static struct rules *rules;
static struct model_device device;
static struct decision decision;
static int64_t now;

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

static void end_download(bool complete)
{
    now += 20000;
    attempt_download_ended(rules, &device, decision.artifact->sha256, complete, now);
}

static void assert_reason(int reason)
{
    assert_string_equal(molt_reason_id(device.last_reason), molt_reason_id(reason));
}

/* ---- the thread's sketch: .version, then ESPhttpUpdate for the .bin ---- */

static uint32_t code;

static const struct attempt_contact sketch_poll = {.client = MODEL_CLIENT_VERSION_FILE,
                                                   .chip = MOLT_CHIP_ESP8266};

static inline struct attempt_contact sketch_bin(void)
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

static inline uint32_t poll(void)
{
    now += MINUTE;
    attempt_poll_version(rules, &device, &sketch_poll, now, &decision, &code);
    return code;
}

#endif
