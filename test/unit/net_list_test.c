/* net_list_test.c - networks as people write them: which are one, and which address is in which. */
#include "cmocka_all.h"

#include "server/net/net_list.h"

static bool is_in(const char *net, const char *address)
{
    struct net one;
    assert_true(net_read(net, &one));
    return net_list_has(&one, 1, address);
}

static void an_address_is_in_its_network_however_it_is_written(void **state)
{
    (void)state;
    assert_true(is_in("10.0.0.0/8", "10.255.0.1"));
    assert_true(is_in("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_false(is_in("10.0.0.0/8", "11.0.0.1"));
    assert_false(is_in("10.0.0.0/8", "a00::"));
    assert_true(is_in("192.0.2.7", "192.0.2.7"));
    assert_false(is_in("192.0.2.7", "192.0.2.6"));
    assert_true(is_in("192.0.2.6/31", "192.0.2.7"));
    assert_true(is_in("0.0.0.0/0", "203.0.113.9"));
    assert_false(is_in("0.0.0.0/0", "2001:db8::1"));
    assert_true(is_in("::/0", "203.0.113.9"));
    assert_true(is_in("fd00::/8", "fdff::1"));
    assert_false(is_in("fd00::/8", "fe80::1"));
    assert_false(is_in("::/0", "unix"));
    assert_false(is_in("::/0", ""));
    assert_false(net_list_has(NULL, 0, "10.0.0.1"));
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "10.0.0",     "10.0.0.0/",   "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8",
        "fd00::/129", "fd00::1/64", "example.org", "10.0.0.0/8 ", "10.0.0.0/+8", "10.0.0.0/0008"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (net_list_ok(bad[i])) fail_msg("'%s' is taken", bad[i]);
    }
    assert_true(net_list_ok("10.0.0.0/32"));
    assert_true(net_list_ok("::1/128"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_its_network_however_it_is_written),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
