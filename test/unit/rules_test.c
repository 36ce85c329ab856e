/* rules_test.c - look-ups in a snapshot, adoption, and swapping it under readers on many threads (also under TSan). */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/decide/rules.h"
#include "world.h"

static struct world world;

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    return 0;
}

static struct model_release *release_in(int64_t product, const char *channel, uint32_t code,
                                        enum molt_chip chip)
{
    struct model_release *release = world_release(&world, product, code);
    snprintf(release->channel, sizeof release->channel, "%s", channel);
    world_image(&world, chip, 1000);
    return release;
}

static void products_are_found_by_id_and_name(void **state)
{
    (void)state;
    int64_t zebra = world_product(&world, "zebra", 0), ant = world_product(&world, "ant", 0);
    struct rules *rules = world_rules(&world);
    assert_string_equal(rules_product(rules, zebra)->name, "zebra");
    assert_int_equal(rules_product_named(rules, "ant")->id, ant);
    assert_null(rules_product(rules, 3));
    assert_null(rules_product(rules, 0));
    assert_null(rules_product_named(rules, "an"));
    assert_null(rules_product_named(rules, ""));
    rules_destroy(rules);
}

static void releases_of_a_channel_come_newest_first(void **state)
{
    (void)state;
    int64_t door = world_product(&world, "door", 0), lamp = world_product(&world, "lamp", 0);
    release_in(door, "stable", 2, MOLT_CHIP_ESP8266);
    release_in(door, "stable", 5, MOLT_CHIP_ESP8266)->yanked = true;
    release_in(door, "stable", 1, MOLT_CHIP_ESP32);
    release_in(door, "beta", 4, MOLT_CHIP_ESP8266);
    release_in(lamp, "stable", 9, MOLT_CHIP_ESP32);
    release_in(door, "stable", 3, MOLT_CHIP_ESP8266);
    struct rules *rules = world_rules(&world);
    static const uint32_t codes[] = {5, 3, 2, 1}; /* yanked ones too */
    uint32_t count;
    const struct model_release *first = rules_channel(rules, door, "stable", &count);
    assert_int_equal(count, 4);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(first[i].code, codes[i]);
    assert_int_equal(rules_channel(rules, door, "beta", &count)->code, 4);
    assert_int_equal(count, 1);
    assert_int_equal(rules_channel(rules, lamp, "stable", &count)->code, 9);
    assert_int_equal(count, 1);
    assert_null(rules_channel(rules, lamp, "beta", &count));
    assert_int_equal(count, 0);
    rules_destroy(rules);
}

static void releases_are_found_by_id_and_code(void **state)
{
    (void)state;
    int64_t door = world_product(&world, "door", 0), lamp = world_product(&world, "lamp", 0);
    release_in(door, "stable", 7, MOLT_CHIP_ESP8266);
    release_in(door, "beta", 7, MOLT_CHIP_ESP8266);
    release_in(door, "beta", 8, MOLT_CHIP_ESP8266);
    release_in(lamp, "stable", 9, MOLT_CHIP_ESP8266);
    struct rules *rules = world_rules(&world);
    assert_string_equal(rules_release(rules, 2)->channel, "beta");
    assert_null(rules_release(rules, 5));
    assert_int_equal(rules_release_by_code(rules, door, "stable", 7)->id, 1);
    assert_int_equal(rules_release_by_code(rules, door, "beta", 7)->id, 2);
    assert_int_equal(rules_release_by_code(rules, door, "stable", 8)->id, 3); /* in another channel */
    assert_null(rules_release_by_code(rules, door, "stable", 9));             /* another product's */
    rules_destroy(rules);
}

static void images_are_found_by_digest_and_any_of_their_md5s(void **state)
{
    (void)state;
    int64_t door = world_product(&world, "door", 0), lamp = world_product(&world, "lamp", 0);
    release_in(door, "stable", 1, MOLT_CHIP_ESP8266);
    release_in(door, "stable", 2, MOLT_CHIP_ESP8266);
    release_in(lamp, "stable", 1, MOLT_CHIP_ESP8266);
    memcpy(world.images[1][0].digest, world.images[0][0].digest, 32); /* the same binary under two codes */
    struct rules *rules = world_rules(&world);
    const struct model_image *image = rules_image_by_digest(rules, door, world.images[0][0].digest);
    assert_int_equal(image->release_id, 2); /* the newest counts, or it would be offered for ever */
    assert_null(rules_image_by_digest(rules, lamp, world.images[0][0].digest));
    assert_int_equal(rules_image_by_digest(rules, 0, world.images[2][0].digest)->release_id, 3);
    assert_int_equal(rules_image_by_md5(rules, door, world.images[0][0].raw.md5)->release_id, 1);
    assert_int_equal(rules_image_by_md5(rules, door, world.variants[0][0][0])->release_id, 1);
    assert_int_equal(rules_image_by_md5(rules, door, world.variants[1][0][1])->release_id, 2);
    const uint8_t none[32] = {0};
    assert_null(rules_image_by_md5(rules, 0, none));
    assert_null(rules_image_by_digest(rules, 0, none));
    rules_destroy(rules);
}

static const struct model_product *adopter(enum molt_chip chip)
{
    static struct model_product found;
    struct rules *rules = world_rules(&world);
    const struct model_product *product = rules_adopter(rules, chip);
    if (product) found = *product;
    rules_destroy(rules);
    return product ? &found : NULL;
}

static void adoption_ends_with_a_second_product_for_the_chip(void **state)
{
    (void)state;
    int64_t door = world_product(&world, "door", 1u << MOLT_CHIP_ESP8266);
    release_in(door, "stable", 1, MOLT_CHIP_ESP8266);
    assert_string_equal(adopter(MOLT_CHIP_ESP8266)->name, "door");
    assert_null(adopter(MOLT_CHIP_ESP32)); /* not adopted */
    assert_null(adopter(MOLT_CHIP_UNKNOWN));
    int64_t lamp = world_product(&world, "lamp", 0);
    release_in(lamp, "stable", 1, MOLT_CHIP_ESP32);
    assert_non_null(adopter(MOLT_CHIP_ESP8266)); /* another chip's product does not matter */
    release_in(lamp, "beta", 2, MOLT_CHIP_ESP8266)->yanked = true;
    assert_null(adopter(MOLT_CHIP_ESP8266)); /* a yanked release does */
}

static void two_adopters_are_none(void **state)
{
    (void)state;
    world_product(&world, "door", 1u << MOLT_CHIP_ESP8266);
    assert_non_null(adopter(MOLT_CHIP_ESP8266));
    world_product(&world, "lamp", 1u << MOLT_CHIP_ESP8266);
    assert_null(adopter(MOLT_CHIP_ESP8266));
}

static void one_esp32_chip_of_a_product_is_told_from_several(void **state)
{
    (void)state;
    int64_t door = world_product(&world, "door", 1u << MOLT_CHIP_ESP32C3);
    release_in(door, "stable", 1, MOLT_CHIP_ESP8266);
    struct rules *rules = world_rules(&world);
    assert_int_equal(rules_single_esp32_chip(rules, door), MOLT_CHIP_UNKNOWN);
    assert_true(rules_only(rules, door, MOLT_CHIP_ESP8266));
    assert_false(rules_only(rules, door + 1, MOLT_CHIP_ESP8266)); /* there is no such product */
    rules_destroy(rules);
    release_in(door, "stable", 2, MOLT_CHIP_ESP32C3);
    rules = world_rules(&world);
    assert_int_equal(rules_single_esp32_chip(rules, door), MOLT_CHIP_ESP32C3);
    assert_false(rules_only(rules, door, MOLT_CHIP_ESP8266));
    assert_int_equal(rules_esp32_adopter(rules)->id, door);
    rules_destroy(rules);
    release_in(world_product(&world, "lamp", 0), "stable", 1, MOLT_CHIP_ESP32);
    rules = world_rules(&world);
    assert_int_equal(rules_single_esp32_chip(rules, door), MOLT_CHIP_ESP32C3);
    assert_null(rules_esp32_adopter(rules)); /* an unknown ESP32 may now be either */
    rules_destroy(rules);
}

static void an_empty_store_makes_an_empty_snapshot(void **state)
{
    (void)state;
    uint32_t count;
    struct rules *rules = world_rules(&world);
    assert_null(rules_channel(rules, 1, "stable", &count));
    assert_null(rules_release(rules, 1));
    assert_null(rules_adopter(rules, MOLT_CHIP_ESP8266));
    rules_destroy(rules);
}

/* ---- readers and swaps ---- */

#define READERS 6
#define SWAPS   300

static struct rules_holder *holder;
static atomic_bool stop;

/* The code of the product's only release. */
static uint32_t code_of(const struct rules *rules, int64_t product_id)
{
    uint32_t count;
    const struct model_release *release = rules_channel(rules, product_id, "stable", &count);
    return release != NULL ? release->code : 0;
}

/* Every snapshot is whole: its two releases carry the same code. */
static void *read_rules(void *arg)
{
    atomic_uint *torn = arg;
    while (!atomic_load(&stop)) {
        const struct rules *outer = rules_acquire(holder);
        uint32_t code = code_of(outer, 1);
        const struct rules *inner = rules_acquire(holder); /* may be a later one */
        if (code_of(inner, 2) < code) atomic_fetch_add(torn, 1);
        rules_release_ref(holder, inner);
        if (code_of(outer, 2) != code) atomic_fetch_add(torn, 1);
        rules_release_ref(holder, outer);
    }
    return NULL;
}

static struct rules *rules_of_code(uint32_t code)
{
    world.releases[0].code = world.releases[1].code = code;
    return world_rules(&world);
}

static void readers_see_whole_snapshots_while_they_are_swapped(void **state)
{
    (void)state;
    release_in(world_product(&world, "door", 0), "stable", 1, MOLT_CHIP_ESP8266);
    release_in(world_product(&world, "lamp", 0), "stable", 1, MOLT_CHIP_ESP8266);
    holder = rules_holder_new(rules_of_code(1));
    assert_non_null(holder);
    atomic_store(&stop, false);
    atomic_uint torn = 0;
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_rules, &torn), 0);
    for (uint32_t code = 2; code < 2 + SWAPS; code++)
        rules_swap(holder, rules_of_code(code));
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&torn), 0);
    const struct rules *last = rules_acquire(holder);
    assert_int_equal(code_of(last, 1), 1 + SWAPS);
    rules_release_ref(holder, last);
    rules_holder_free(holder);
}

static void a_snapshot_in_use_outlives_its_swap(void **state)
{
    (void)state;
    release_in(world_product(&world, "door", 0), "stable", 1, MOLT_CHIP_ESP8266);
    world_release(&world, 1, 1);
    holder = rules_holder_new(rules_of_code(1));
    const struct rules *old = rules_acquire(holder), *again = rules_acquire(holder);
    rules_swap(holder, rules_of_code(2));
    rules_release_ref(holder, again);
    assert_int_equal(code_of(old, 1), 1); /* ASan tells if it was freed */
    rules_release_ref(holder, old);       /* ... and that it is now */
    rules_holder_free(holder);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(products_are_found_by_id_and_name),
        TEST(releases_of_a_channel_come_newest_first),
        TEST(releases_are_found_by_id_and_code),
        TEST(images_are_found_by_digest_and_any_of_their_md5s),
        TEST(adoption_ends_with_a_second_product_for_the_chip),
        TEST(two_adopters_are_none),
        TEST(one_esp32_chip_of_a_product_is_told_from_several),
        TEST(an_empty_store_makes_an_empty_snapshot),
        TEST(readers_see_whole_snapshots_while_they_are_swapped),
        TEST(a_snapshot_in_use_outlives_its_swap),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
