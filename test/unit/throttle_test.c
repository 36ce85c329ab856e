/* throttle_test.c - how often an address may: its own bucket, refilled by time, whatever the clock does. */
#include "cmocka_all.h"

#include <stdio.h>

#include "server/access/throttle.h"

#define NOW 1000000000000LL

static uint32_t taken(struct throttle *throttle, const char *address, int64_t now_ms)
{
    uint32_t count = 0;
    while (count < 1000 && throttle_take(throttle, address, now_ms))
        count++;
    return count;
}

static void an_address_has_so_many_a_minute_and_its_neighbour_as_many(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(60);
    assert_non_null(throttle);
    assert_int_equal(taken(throttle, "10.0.0.1", NOW), 60);
    assert_false(throttle_has(throttle, "10.0.0.1", NOW));
    assert_true(throttle_has(throttle, "10.0.0.2", NOW));
    assert_int_equal(taken(throttle, "10.0.0.1", NOW + 10000), 10);
    assert_int_equal(taken(throttle, "10.0.0.1", NOW + 10000 + 3600000), 60);
    assert_int_equal(taken(throttle, "::ffff:10.0.0.2", NOW), 60);
    assert_false(throttle_has(throttle, "10.0.0.2", NOW)); /* the same address, written in another way */
    throttle_free(throttle);
}

static void a_customer_with_a_net_of_his_own_is_one_address(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(60);
    uint32_t count = 0;
    for (int i = 0; i < 200; i++) {
        char address[64];
        snprintf(address, sizeof address, "2001:db8:1:2::%x", i);
        count += throttle_take(throttle, address, NOW);
    }
    assert_int_equal(count, 60);
    assert_true(throttle_take(throttle, "2001:db8:1:3::1", NOW));
    throttle_free(throttle);
}

static void a_clock_that_jumps_neither_opens_nor_closes_it_for_ever(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(60);
    assert_int_equal(taken(throttle, "10.0.0.1", NOW), 60);
    assert_int_equal(taken(throttle, "10.0.0.1", NOW - 86400000LL * 365), 0);
    assert_int_equal(taken(throttle, "10.0.0.1", NOW - 86400000LL * 365 + 5000), 5);
    assert_int_equal(taken(throttle, "10.0.0.1", NOW + 86400000LL * 365), 60);
    throttle_free(throttle);
}

static void who_is_exempt_is_never_held_back_and_a_limit_can_change(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(10);
    struct net office;
    assert_true(net_read("10.1.0.0/16", &office));
    throttle_exempt(throttle, &office, 1);
    assert_int_equal(taken(throttle, "10.1.2.3", NOW), 1000);
    assert_int_equal(taken(throttle, "10.2.2.3", NOW), 10);
    throttle_exempt(throttle, NULL, 0);
    assert_int_equal(taken(throttle, "10.1.2.4", NOW), 10);
    throttle_set(throttle, 0);
    assert_int_equal(taken(throttle, "10.1.2.4", NOW), 1000);
    throttle_set(throttle, 5);
    assert_int_equal(taken(throttle, "a-name-of-a-gateway-1", NOW), 5);
    assert_int_equal(taken(throttle, "a-name-of-a-gateway-2", NOW),
                     5); /* it differs behind the sixteenth letter */
    throttle_free(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_so_many_a_minute_and_its_neighbour_as_many),
        cmocka_unit_test(a_customer_with_a_net_of_his_own_is_one_address),
        cmocka_unit_test(a_clock_that_jumps_neither_opens_nor_closes_it_for_ever),
        cmocka_unit_test(who_is_exempt_is_never_held_back_and_a_limit_can_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
