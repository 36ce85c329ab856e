/* devices_cost_test.c - what a device and a poll of it cost, counted: bytes, allocations, statements. No times. */
#include "cmocka_all.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/attempt/attempt.h"
#include "server/devices.h"
#include "temp_dir.h"
#include "world.h"

#define DEVICES 20000

static struct temp_dir folder;
static struct store *store;
static struct devices *devices;
static struct world world;
static struct rules *rules;

/* ---- allocations, as the sanitizers count them; without one, as malloc does ---- */

int __sanitizer_install_malloc_and_free_hooks(void (*made)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *)) __attribute__((weak));

static atomic_uint allocations;
static _Thread_local bool counting;

static void made(const volatile void *p, size_t size)
{
    (void)p;
    (void)size;
    if (counting) atomic_fetch_add(&allocations, 1);
}

static void freed(const volatile void *p)
{
    (void)p;
}

/* ---- */

static int64_t product_id;

static enum devices_change enrol(void *ctx, struct model_device *device, bool is_new)
{
    unsigned i = *(unsigned *)ctx;
    (void)is_new;
    device->product_id = product_id;
    device->chip = MOLT_CHIP_ESP8266;
    device->chip_source = MODEL_CHIP_SAID;
    device->flash_size = 4 << 20;
    device->running_code = 7;
    snprintf(device->core, sizeof device->core, "3.0.5");
    snprintf(device->tags, sizeof device->tags, "batch%u wave%u", i % 50, i % 7);
    snprintf(device->attributes, sizeof device->attributes,
             "board=d1 floor=f%u hw=rev%u lang=l%u plan=p%u site=s%u", i % 20, i % 4, i % 9, i % 3, i % 500);
    return DEVICES_CHANGED;
}

static enum devices_change poll(void *ctx, struct model_device *device, bool is_new)
{
    static const struct attempt_contact contact;
    struct decision decision;
    uint32_t code;
    (void)is_new;
    enum devices_change change =
        attempt_poll_version(rules, device, &contact, *(int64_t *)ctx, &decision, &code);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    return change;
}

/* As the version file's skin asks: an answer that another device in that state had is told without a visit. */
struct known_poll {
    int64_t now_ms;
    struct devices_memo memo;
};

static enum devices_change poll_once(void *ctx, struct model_device *device, bool is_new)
{
    static const struct attempt_contact contact;
    struct known_poll *asked = ctx;
    struct decision decision;
    (void)is_new;
    enum devices_change change =
        attempt_poll_version(rules, device, &contact, asked->now_ms, &decision, &asked->memo.code);
    asked->memo.keep = attempt_is_common(device, &decision);
    asked->memo.announces = asked->memo.code != 0;
    return change;
}

static void id_of(unsigned i, char id[MODEL_ID_LEN])
{
    snprintf(id, MODEL_ID_LEN, "5ccf7f%06x", i);
}

static void poll_all(int64_t now_ms)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        char id[MODEL_ID_LEN];
        id_of(i, id);
        counting = true;
        int rc = devices_visit(devices, id, "10.0.0.1", now_ms, poll, &now_ms);
        counting = false;
        assert_int_equal(rc, 0);
    }
}

/* How many of all answers were known. */
static unsigned poll_all_unless_known(int64_t now_ms)
{
    unsigned known = 0;
    for (unsigned i = 0; i < DEVICES; i++) {
        struct known_poll asked = {.now_ms = now_ms, .memo = {.key = 2, .recent_ms = DECIDE_REMEMBERED_MS}};
        char id[MODEL_ID_LEN];
        id_of(i, id);
        counting = true;
        int rc = devices_visit_unless_known(devices, id, "10.0.0.1", now_ms, &asked.memo, poll_once, &asked);
        counting = false;
        assert_int_equal(rc, 0);
        assert_int_equal(asked.memo.code, 7);
        known += asked.memo.known;
    }
    return known;
}

static int begin(void **state)
{
    const struct devices_limits limits = {.new_per_minute = DEVICES};
    char err[256];
    (void)state;
    temp_dir_make(&folder);
    assert_int_equal(store_open(folder.path, true, &store, err, sizeof err), 0);
    assert_int_equal(devices_open(&devices, store, &limits), 0);
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    assert_int_equal(store_artifact_put(store, "image", 5, &image.raw), 0);
    assert_int_equal(store_publish(store, "door", "7", 7, "stable", false, &image, NULL), 0);
    product_id = world_product(&world, "door", 0); /* in both, the first */
    world_release(&world, product_id, 7);
    world_image(&world, MOLT_CHIP_ESP8266, 400000);
    rules = world_rules(&world);
    for (unsigned i = 0; i < DEVICES; i++) {
        char id[MODEL_ID_LEN];
        id_of(i, id);
        assert_int_equal(devices_visit(devices, id, "10.0.0.1", 1000, enrol, &i), 0);
    }
    return devices_flush(devices);
}

static int end(void **state)
{
    (void)state;
    devices_close(devices);
    store_close(store);
    rules_destroy(rules);
    temp_dir_remove(&folder);
    return 0;
}

static void a_device_of_a_fleet_takes_two_hundred_bytes(void **state)
{
    struct devices_stats stats;
    (void)state;
    devices_stats(devices, &stats);
    assert_int_equal(stats.count, DEVICES);
    assert_true(stats.bytes / DEVICES <= 200);
}

static void a_poll_allocates_nothing(void **state)
{
    (void)state;
    poll_all(2000); /* rows settle: the decision is noted */
    assert_int_equal(devices_flush(devices), 0);
    atomic_store(&allocations, 0);
    size_t before = mallinfo2().uordblks;
    if (__sanitizer_install_malloc_and_free_hooks) {
        assert_true(__sanitizer_install_malloc_and_free_hooks(made, freed) > 0);
        counting = true;
        void *volatile one = malloc(1); /* they are counted */
        free(one);
        counting = false;
        assert_int_equal(atomic_load(&allocations), 1);
        atomic_store(&allocations, 0);
    }
    poll_all(3000);
    assert_int_equal(atomic_load(&allocations), 0);
    assert_int_equal(poll_all_unless_known(4000), DEVICES - 1); /* they all are in one state */
    assert_int_equal(atomic_load(&allocations), 0);
    if (!__sanitizer_install_malloc_and_free_hooks) assert_int_equal(mallinfo2().uordblks, before);
}

/* ---- words that nobody else has ---- */

static enum devices_change say_another(void *ctx, struct model_device *device, bool is_new)
{
    const unsigned number = *(unsigned *)ctx;
    assert_false(is_new);
    snprintf(device->core, sizeof device->core, "core-%u", number);
    snprintf(device->running_version, sizeof device->running_version, "1.0.%u", number);
    snprintf(device->last_detail, sizeof device->last_detail, "because of %u", number);
    snprintf(device->tags, sizeof device->tags, "t%u", number);
    snprintf(device->attributes, sizeof device->attributes, "serial=%u a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8",
             number);
    return DEVICES_CHANGED;
}

/* Each time its firmware, its address and its labels are words that were not there before. */
static void visit_with_other_words(unsigned from, unsigned to)
{
    char id[MODEL_ID_LEN], address[46];
    for (unsigned i = from; i < to; i++) {
        id_of(i % 3, id);
        snprintf(address, sizeof address, "no-address-%u", i);
        assert_int_equal(devices_visit(devices, id, address, 5000 + i, say_another, &i), 0);
    }
}

static uint64_t bytes_now(void)
{
    struct devices_stats stats;
    devices_stats(devices, &stats);
    return stats.bytes;
}

static void another_word_at_each_visit_takes_no_more_memory(void **state)
{
    enum { VISITS = 30000 };
    (void)state;
    visit_with_other_words(0, 1000);
    const uint64_t settled = bytes_now();
    visit_with_other_words(1000, VISITS);
    assert_in_range(bytes_now(), settled - 4096, settled + 4096); /* texts are of another length */
}

/* ---- lists and counts ---- */

#define WORDS (50 + 7 + 1 + 20 + 4 + 9 + 3 + 500) /* of all devices together */

static enum census_verdict look(void *ctx, const struct model_device *common, const char **product)
{
    (void)common;
    *product = "door";
    return *(const enum census_verdict *)ctx;
}

/* How many devices are meant. */
static uint64_t count_meant(const char *text, const char *part, enum census_verdict verdict,
                            struct census_cost *cost)
{
    struct filter filter;
    char why[100];
    static char ids[DEVICES][MODEL_ID_LEN];
    const struct census_wish wish = {
        .filter = &filter, .now_ms = 5000, .look = look, .ctx = &verdict, .part = part, .cost = cost};
    assert_int_equal(filter_parse(&filter, text, why, sizeof why), 0);
    int count = devices_find_ids(devices, &wish, "", ids, DEVICES);
    assert_true(count >= 0);
    return (uint64_t)count;
}

/* Each row once; each state and each word once, however many devices have it; a text of a device's own only when it is asked for, and
 * when nothing else excludes the device. */
static void a_question_looks_at_each_row_state_and_word_once(void **state)
{
    (void)state;
    struct census_cost cost;
    assert_int_equal(count_meant("tag = wave3 and attr.site = s4", NULL, CENSUS_ALL, &cost), 6);
    assert_int_equal(cost.rows, DEVICES);
    assert_in_range(cost.states, 1, 2);
    assert_int_equal(cost.words, WORDS);
    assert_int_equal(cost.own, 0);
    assert_int_equal(count_meant("tag = wave3", NULL, CENSUS_ALL, &cost), 2857);
    assert_int_equal(cost.words, 57); /* the tags */
    assert_int_equal(count_meant("tag = wave3", "7F0001", CENSUS_PART, &cost), 36);
    assert_int_equal(cost.own, 2857);
    assert_int_equal(count_meant("id = 5ccf7f000100", NULL, CENSUS_ALL, &cost), 1);
    assert_int_equal(cost.own, DEVICES);
    assert_int_equal(cost.words, 0);
    assert_int_equal(count_meant("id ~ 5ccf*", "7F0001", CENSUS_NONE, &cost), 0);
    assert_int_equal(cost.rows, DEVICES);
    assert_int_equal(cost.words + cost.own, 0);
}

static int poll_inside(void *ctx, const struct model_device *device)
{
    int64_t now_ms = 4000;
    int rc = devices_visit(devices, device->id, "10.0.0.1", now_ms, poll, &now_ms);
    if (rc == 0) ++*(unsigned *)ctx;
    return rc;
}

/* Inside a walk through the store nobody else gets at it, and its own calls are refused. */
static void a_poll_asks_the_store_nothing(void **state)
{
    unsigned polled = 0;
    (void)state;
    assert_int_equal(store_each_device(store, poll_inside, &polled), 0);
    assert_int_equal(polled, DEVICES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_of_a_fleet_takes_two_hundred_bytes),
        cmocka_unit_test(a_poll_allocates_nothing),
        cmocka_unit_test(a_poll_asks_the_store_nothing),
        cmocka_unit_test(a_question_looks_at_each_row_state_and_word_once),
        cmocka_unit_test(another_word_at_each_visit_takes_no_more_memory),
    };
    return cmocka_run_group_tests_name("devices_cost", tests, begin, end);
}
