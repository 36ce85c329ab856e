/* devices_test.c - the device table over a real store: what is kept, what is refused, who makes room, and what a reload takes
 * over. Threads and what is durable when: devices_threads_test.c. */
#include "devices_case.h"

static enum devices_change give_product(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    device->product_id = *(int64_t *)ctx;
    return DEVICES_CHANGED;
}

static int64_t make_product(void)
{
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    assert_int_equal(store_artifact_put(store, "image", 5, &image.raw), 0);
    int64_t release;
    assert_int_equal(store_publish(store, "door", "1", 1, "stable", false, &image, &release), 0);
    struct model_product product;
    assert_int_equal(store_product_find(store, "door", &product), 0);
    return product.id;
}

static void a_first_contact_makes_a_device_and_a_second_finds_it(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen;
    assert_int_equal(visit("5ccf7fc602e2", "10.0.0.1", 1000, &seen), 0);
    assert_true(seen.is_new);
    assert_string_equal(seen.device.id, "5ccf7fc602e2");
    assert_int_equal(seen.device.first_seen_ms, 1000);
    assert_int_equal(visit("5ccf7fc602e2", "10.0.0.2", 2000, &seen), 0);
    assert_false(seen.is_new);
    assert_int_equal(seen.device.first_seen_ms, 1000);
    assert_int_equal(seen.device.last_seen_ms, 2000);
    assert_string_equal(seen.device.address, "10.0.0.2");
    assert_int_equal(count_devices(), 1);
}

struct teller {
    struct devices_memo memo;
    uint32_t code; /* what a visit comes to */
};

static enum devices_change tell(void *ctx, struct model_device *device, bool is_new)
{
    struct teller *teller = ctx;
    (void)is_new;
    teller->memo.keep = true;
    teller->memo.code = teller->code;
    teller->memo.announces = teller->code != 0;
    if (teller->memo.announces) device->announced_ms = device->last_seen_ms;
    return DEVICES_UNCHANGED;
}

/* Is the answer known? */
static bool ask(const char *id, uint32_t key, int64_t now, uint32_t code)
{
    struct teller teller = {.memo = {.key = key, .recent_ms = 1000}, .code = code};
    assert_int_equal(devices_visit_unless_known(devices, id, "10.0.0.1", now, &teller.memo, tell, &teller),
                     0);
    assert_int_equal(teller.memo.code, code);
    return teller.memo.known;
}

static void an_answer_is_known_to_all_in_the_same_state_under_the_same_key(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen;
    uint32_t code = 42;
    assert_int_equal(visit("aa", "10.0.0.1", 1000, &seen), 0);
    assert_int_equal(visit("bb", "10.0.0.2", 1000, &seen), 0);
    assert_false(ask("aa", 2, 2000, 7)); /* nothing was announced before */
    assert_false(ask("aa", 2, 2500, 7)); /* lately, now */
    assert_true(ask("aa", 2, 3000, 7));
    assert_false(ask("bb", 2, 3000, 7)); /* never, to this one */
    assert_false(ask("bb", 2, 3100, 7));
    assert_true(ask("bb", 2, 3200, 7));
    assert_int_equal(devices_peek(devices, "bb", look, &seen), 0);
    assert_int_equal(seen.device.last_seen_ms, 3200);
    assert_int_equal(seen.device.announced_ms, 3200);
    assert_string_equal(seen.device.address, "10.0.0.1");
    assert_false(ask("bb", 2, 4201, 7)); /* too long ago */
    assert_false(ask("aa", 4, 4202, 8)); /* another question, or other rules */
    assert_false(ask("aa", 2, 4203, 7));
    assert_true(ask("aa", 2, 4204, 7));
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 4205, set_code, &code), 0);
    assert_false(ask("aa", 2, 4206, 9)); /* it is another one now */
}

static void devices_are_there_after_a_restart(void **state)
{
    (void)state;
    open_all(NULL);
    uint32_t code = 42;
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, set_code, &code), 0);
    close_all();
    open_all(NULL);
    struct seen seen = {.answer = DEVICES_UNCHANGED};
    assert_int_equal(devices_peek(devices, "aa", look, &seen), 0);
    assert_int_equal(seen.device.running_code, 42);
    assert_int_equal(seen.device.last_seen_ms, 1000);
}

static void a_peek_touches_and_makes_nothing(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen = {.answer = DEVICES_UNCHANGED};
    assert_int_equal(devices_peek(devices, "aa", look, &seen), -MOLT_NOT_FOUND);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(visit("aa", "10.0.0.1", 1000, &seen), 0);
    assert_int_equal(devices_peek(devices, "aa", look, &seen), 0);
    assert_int_equal(seen.device.last_seen_ms, 1000);
    assert_int_equal(count_devices(), 1);
}

static void a_new_device_can_be_dropped_and_an_old_one_cannot(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen = {.answer = DEVICES_DROP};
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, look, &seen), 0);
    assert_int_equal(count_devices(), 0);
    assert_int_equal(visit("aa", "10.0.0.1", 1000, &seen), 0);
    seen.answer = DEVICES_DROP;
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, look, &seen), 0);
    assert_int_equal(count_devices(), 1);
}

static void an_id_that_is_none_is_refused(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen;
    assert_int_equal(visit("", "10.0.0.1", 1000, &seen), -MOLT_ARG);
    assert_int_equal(visit("123456789012345678901234567890123", "10.0.0.1", 1000, &seen), -MOLT_ARG);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(visit("12345678901234567890123456789012", "10.0.0.1", 1000, &seen), 0);
}

static void an_address_makes_twenty_devices_a_minute(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen;
    for (int i = 0; i < 20; i++)
        assert_int_equal(visit_number(i, "10.0.0.1", 1000, &seen), 0);
    assert_int_equal(visit_number(20, "10.0.0.1", 1000, &seen), -MOLT_RATE_LIMITED);
    assert_int_equal(seen.calls, 1); /* an answer can still be made */
    assert_true(seen.is_new);
    assert_int_equal(count_devices(), 20);
    assert_int_equal(visit_number(3, "10.0.0.1", 1000, &seen), 0); /* known ones are not limited */
    assert_int_equal(visit_number(20, "10.0.0.2", 1000, &seen), 0);
    assert_int_equal(visit_number(21, "10.0.0.1", 3999, &seen), -MOLT_RATE_LIMITED);
    assert_int_equal(visit_number(21, "10.0.0.1", 4000, &seen), 0); /* one more every three seconds */
    assert_int_equal(visit_number(22, "10.0.0.1", 4000, &seen), -MOLT_RATE_LIMITED);
}

static void all_of_a_64_bit_prefix_is_one_address(void **state)
{
    (void)state;
    const struct devices_limits limits = {.new_per_minute = 1};
    open_all(&limits);
    struct seen seen;
    assert_int_equal(visit_number(1, "2001:db8:1:2::1", 1000, &seen), 0);
    assert_int_equal(visit_number(2, "2001:db8:1:2:ffff::2", 1000, &seen), -MOLT_RATE_LIMITED);
    assert_int_equal(visit_number(3, "2001:db8:1:3::1", 1000, &seen), 0);
    assert_int_equal(visit_number(4, "10.0.0.1", 1000, &seen), 0);
    assert_int_equal(visit_number(5, "::ffff:10.0.0.1", 1000, &seen), -MOLT_RATE_LIMITED);
}

static uint64_t rows_in_store(void)
{
    char err[256];
    struct devices *loaded = NULL;
    close_all();
    assert_int_equal(store_open(folder.path, false, &store, err, sizeof err), 0);
    assert_int_equal(devices_open(&loaded, store, NULL), 0);
    devices = loaded;
    return count_devices();
}

static void the_unassigned_unseen_for_the_longest_are_evicted(void **state)
{
    (void)state;
    const struct devices_limits limits = {.unassigned_max = 32, .new_per_minute = 1000};
    open_all(&limits);
    int64_t door = make_product();
    struct seen seen;
    assert_int_equal(devices_visit(devices, "assigned", "10.0.0.1", 1, give_product, &door), 0);
    for (int i = 0; i < 32; i++)
        assert_int_equal(visit_number(i, "10.0.0.1", 100 + i, &seen), 0);
    assert_int_equal(visit_number(0, "10.0.0.1", 500, &seen), 0); /* seen again */
    assert_int_equal(devices_flush(devices), 0);
    assert_int_equal(visit_number(32, "10.0.0.1", 600, &seen), 0);
    struct devices_stats stats;
    devices_stats(devices, &stats);
    assert_int_equal(stats.unassigned, 30); /* a sixteenth at once */
    assert_int_equal(stats.count, 31);
    seen.answer = DEVICES_UNCHANGED;
    assert_int_equal(devices_peek(devices, "assigned", look, &seen), 0);
    assert_int_equal(devices_peek(devices, "000000000000", look, &seen), 0);
    assert_int_equal(devices_peek(devices, "000000000001", look, &seen), -MOLT_NOT_FOUND);
    assert_int_equal(devices_peek(devices, "000000000004", look, &seen), 0);
    assert_int_equal(rows_in_store(), 31); /* their rows are gone too */
}

static void ten_thousand_unassigned_are_kept_unless_told_otherwise(void **state)
{
    (void)state;
    const struct devices_limits limits = {.new_per_minute = 1000000};
    open_all(&limits);
    struct seen seen;
    struct devices_stats stats;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(visit_number(i, "10.0.0.1", 100 + i, &seen), 0);
    devices_stats(devices, &stats);
    assert_int_equal(stats.unassigned, 10000);
    assert_int_equal(visit_number(10000, "10.0.0.1", 20000, &seen), 0);
    devices_stats(devices, &stats);
    assert_true(stats.unassigned <= 10000);
}

static void an_evicted_device_may_come_back_at_once(void **state)
{
    (void)state;
    const struct devices_limits limits = {.unassigned_max = 16, .new_per_minute = 1000};
    open_all(&limits);
    struct seen seen;
    for (int i = 0; i < 16; i++)
        assert_int_equal(visit_number(i, "10.0.0.1", 100 + i, &seen), 0);
    assert_int_equal(devices_flush(devices), 0);
    assert_int_equal(visit_number(16, "10.0.0.1", 200, &seen), 0); /* evicts 0 and 1 */
    assert_int_equal(visit_number(0, "10.0.0.1", 201, &seen), 0);
    assert_true(seen.is_new);
    assert_int_equal(devices_flush(devices), 0);
    struct model_device stored;
    assert_int_equal(store_device_get(store, "000000000000", &stored), 0);
    assert_int_equal(store_device_get(store, "000000000001", &stored), -MOLT_NOT_FOUND);
}

/* ---- reload ---- */

static void a_reload_takes_the_operator_s_fields_and_keeps_what_was_seen(void **state)
{
    (void)state;
    open_all(NULL);
    int64_t door = make_product();
    uint32_t code = 5;
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, set_code, &code), 0);
    assert_int_equal(devices_flush(devices), 0);
    struct model_device stored;
    assert_int_equal(store_device_get(store, "aa", &stored), 0);
    stored.product_id = door;
    stored.held = true;
    snprintf(stored.channel, sizeof stored.channel, "beta");
    stored.chip = MOLT_CHIP_ESP32;
    stored.chip_source = MODEL_CHIP_SET;
    assert_int_equal(store_save_devices(store, &stored, 1), 0);
    code = 6; /* seen in between */
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.2", 2000, set_code, &code), 0);
    devices_reload(devices, "aa");
    struct seen seen = {.answer = DEVICES_UNCHANGED};
    assert_int_equal(devices_peek(devices, "aa", look, &seen), 0);
    assert_int_equal(seen.device.product_id, door);
    assert_true(seen.device.held);
    assert_string_equal(seen.device.channel, "beta");
    assert_int_equal(seen.device.chip, MOLT_CHIP_ESP32);
    assert_int_equal(seen.device.running_code, 6);
    assert_int_equal(seen.device.last_seen_ms, 2000);
    struct devices_stats stats;
    devices_stats(devices, &stats);
    assert_int_equal(stats.unassigned, 0);
}

static void a_reload_forgets_the_deleted_and_takes_in_the_new(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen;
    assert_int_equal(visit("aa", "10.0.0.1", 1000, &seen), 0);
    assert_int_equal(devices_flush(devices), 0);
    assert_int_equal(store_delete_devices(store, (const char[][MODEL_ID_LEN]){"aa"}, 1), 0);
    devices_reload(devices, "aa");
    assert_int_equal(devices_peek(devices, "aa", look, &seen), -MOLT_NOT_FOUND);
    struct model_device added = {.id = "bb", .held = true};
    assert_int_equal(store_save_devices(store, &added, 1), 0);
    devices_reload(devices, "bb");
    assert_int_equal(devices_peek(devices, "bb", look, &seen), 0);
    assert_true(seen.device.held);
    assert_int_equal(count_devices(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_contact_makes_a_device_and_a_second_finds_it),
        TEST(an_answer_is_known_to_all_in_the_same_state_under_the_same_key),
        TEST(devices_are_there_after_a_restart),
        TEST(a_peek_touches_and_makes_nothing),
        TEST(a_new_device_can_be_dropped_and_an_old_one_cannot),
        TEST(an_id_that_is_none_is_refused),
        TEST(an_address_makes_twenty_devices_a_minute),
        TEST(all_of_a_64_bit_prefix_is_one_address),
        TEST(the_unassigned_unseen_for_the_longest_are_evicted),
        TEST(ten_thousand_unassigned_are_kept_unless_told_otherwise),
        TEST(an_evicted_device_may_come_back_at_once),
        TEST(a_reload_takes_the_operator_s_fields_and_keeps_what_was_seen),
        TEST(a_reload_forgets_the_deleted_and_takes_in_the_new),
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
