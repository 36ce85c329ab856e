/* agent_schedule_test.c - when the agent asks: the interval, the spread of a fleet, back-off, and what a
 * server or the product asks for; and that no server can make it ask in a tight loop. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"
#include "host/image_build.h"

#define HOUR_MS 3600000u

static uint8_t *image;
static size_t image_len;
static struct agent_rig rig;

static int build_all(void **state)
{
    (void)state;
    const struct image_build spec = {
        .chip = MOLT_CHIP_ESP8266, .size = 0x6040, .seed = 1, .flash_size = 512u << 10, .flash_mode = 2};
    return image_build(&spec, &image, &image_len);
}

static int free_all(void **state)
{
    (void)state;
    free(image);
    return 0;
}

static int open_rig(void **state)
{
    (void)state;
    agent_rig_open(&rig, "512K", MOLT_CHIP_ESP8266, image, image_len);
    rig.now_ms = 123456789012; /* any start will do */
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static void start(enum molt_source source)
{
    agent_rig_start(&rig, source, "http://h/", 5);
}

static const struct molt_answer nothing = {.reason = MOLT_UP_TO_DATE};

static void checks_come_around_the_interval_and_never_in_step(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_answer(&rig, &nothing);
    rig.endless = true;
    assert_false(agent_rig_run(&rig, rig.now_ms + 100u * HOUR_MS));
    assert_in_range(rig.connects, 90, 112);
    uint64_t least = UINT64_MAX, most = 0;
    for (unsigned i = 1; i < rig.connects; i++) {
        uint64_t gap = rig.connect_ms[i] - rig.connect_ms[i - 1];
        if (gap < least) least = gap;
        if (gap > most) most = gap;
    }
    assert_in_range(least, HOUR_MS - HOUR_MS / 8, HOUR_MS);
    assert_in_range(most, HOUR_MS, HOUR_MS + HOUR_MS / 8 + 1000);
    assert_true(most - least > HOUR_MS / 20);
}

static void the_first_checks_of_a_fleet_are_spread(void **state)
{
    (void)state;
    unsigned tenths[10] = {0};
    rig.config.spread_s = 1000;
    for (unsigned i = 0; i < 1000; i++) {
        rig.config.mac[5] = (uint8_t)i;
        rig.config.mac[4] = (uint8_t)(i >> 8);
        start(MOLT_SOURCE_CHECK_IN);
        uint64_t began_ms = rig.now_ms;
        agent_rig_run(&rig, rig.now_ms + 1);
        uint64_t wait_ms = rig.agent.next_check_ms - began_ms;
        assert_true(wait_ms < 1000000);
        tenths[wait_ms / 100000]++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(tenths[i], 60, 140);
}

static void without_a_spread_the_first_check_is_at_once(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_answer(&rig, &nothing);
    uint64_t began_ms = rig.now_ms;
    agent_rig_until_reports(&rig, 1);
    assert_true(rig.connect_ms[0] - began_ms < 1000);
}

static void failures_back_off_to_a_cap_and_success_ends_it(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_until_reports(&rig, 14); /* nobody listens */
    uint64_t last = 0;
    for (unsigned i = 1; i < rig.connects; i++) {
        uint64_t gap = rig.connect_ms[i] - rig.connect_ms[i - 1], want = 60000u << (i - 1);
        if (i > 9) want = 6 * HOUR_MS;
        if (want > 6 * HOUR_MS) want = 6 * HOUR_MS;
        assert_in_range(gap, want, want + want / 4 + 1000);
        last = gap;
    }
    assert_true(last >= 6 * HOUR_MS);
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_UP_TO_DATE);
    assert_in_range(rig.agent.next_check_ms - rig.now_ms, HOUR_MS / 2, HOUR_MS + HOUR_MS / 8);
}

static void what_the_server_asks_for_is_kept(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_answer(&rig, &(struct molt_answer){
                               .verdict = MOLT_VERDICT_WAIT, .reason = MOLT_OVERLOADED, .again_s = 10000});
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_UP_TO_DATE, .again_s = 30});
    agent_rig_expect(&rig, NULL, "HTTP/1.1 503 Busy\r\nRetry-After: 2000\r\n\r\n", NULL, 0);
    agent_rig_expect(&rig, NULL, "HTTP/1.1 503 Busy\r\nRetry-After: 4294967295\r\n\r\n", NULL, 0);
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 5);
    static const uint32_t want_s[] = {10000, 30, 2000, 7 * 24 * 3600};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t gap = rig.connect_ms[i + 1] - rig.connect_ms[i];
        assert_in_range(gap, want_s[i] * 1000u, want_s[i] * 1250u + 1000);
    }
}

static void an_event_brings_the_check_forward_but_not_against_the_server(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    molt_agent_check_now(&rig.agent);
    assert_true(rig.agent.next_check_ms <= rig.now_ms + 5000); /* who waits for that wakes */
    agent_rig_answer(
        &rig, &(struct molt_answer){.verdict = MOLT_VERDICT_WAIT, .reason = MOLT_OVERLOADED, .again_s = 500});
    agent_rig_until_reports(&rig, 1);
    assert_in_range(rig.connect_ms[1] - rig.connect_ms[0], 5000, 6000); /* decent */
    molt_agent_check_now(&rig.agent);
    agent_rig_expect(&rig, NULL, "HTTP/1.1 503 Busy\r\nRetry-After: 700\r\n\r\n", NULL, 0);
    agent_rig_until_reports(&rig, 1);
    assert_in_range(rig.connect_ms[2] - rig.connect_ms[1], 500000, 501000);
    molt_agent_check_now(&rig.agent);
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    assert_in_range(rig.connect_ms[3] - rig.connect_ms[2], 700000, 701000);
    assert_false(agent_rig_run(&rig, rig.now_ms + HOUR_MS / 2)); /* one event, one check */
    assert_int_equal(rig.connects, 4);
    molt_agent_check_now(&rig.agent);
    agent_rig_answer(&rig, &nothing);
    uint64_t asked_ms = rig.now_ms;
    agent_rig_until_reports(&rig, 1);
    assert_true(rig.connect_ms[4] - asked_ms < 1000);
}

/* A fleet that is nudged over MQTT may have an interval of a day. */
static void an_event_comes_before_the_interval_that_the_server_named(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_UP_TO_DATE, .again_s = 86400});
    agent_rig_until_reports(&rig, 1);
    molt_agent_check_now(&rig.agent);
    agent_rig_answer(&rig, &(struct molt_answer){.reason = MOLT_UP_TO_DATE, .again_s = 86400});
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 2);
    assert_in_range(rig.connect_ms[1] - rig.connect_ms[0], 5000, 6000);
    assert_in_range(rig.connect_ms[2] - rig.connect_ms[1], 86400000u, 86400000u / 4 * 5 + 1000);
}

static void a_short_interval_is_kept_too(void **state)
{
    (void)state;
    rig.config.interval_s = 2;
    start(MOLT_SOURCE_CHECK_IN);
    agent_rig_answer(&rig, &nothing);
    rig.endless = true;
    agent_rig_run(&rig, rig.now_ms + 60000);
    assert_in_range(rig.connects, 25, 36);
}

/* Whatever a server answers, for a day: no crash, no flash touched, no more than a bounded number of
 * requests. */
static void no_server_makes_the_agent_ask_in_a_tight_loop(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n9",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\n9",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\xE9",
        "garbage\r\n\r\n",
        "",
    };
    for (int source = MOLT_SOURCE_CHECK_IN; source <= MOLT_SOURCE_URL; source++) {
        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
            start((enum molt_source)source);
            agent_rig_expect(&rig, NULL, heads[i], NULL, 0)->close = true;
            rig.endless = true;
            rig.now_ms += HOUR_MS;
            assert_false(agent_rig_run(&rig, rig.now_ms + 24u * HOUR_MS));
            assert_in_range(rig.connects, 3, 26 * 6);
        }
    }
    assert_int_equal(rig.chip.flash.count.erases + rig.chip.flash.count.writes, 0);
}

static void reports_that_were_not_asked_for_are_ignored(void **state)
{
    (void)state;
    start(MOLT_SOURCE_CHECK_IN);
    molt_agent_connected(&rig.agent);
    molt_agent_sent(&rig.agent, 10);
    molt_agent_received(&rig.agent, "x", 1);
    molt_agent_closed(&rig.agent);
    molt_agent_failed(&rig.agent, MOLT_TLS);
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_UP_TO_DATE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(checks_come_around_the_interval_and_never_in_step),
        T(the_first_checks_of_a_fleet_are_spread),
        T(without_a_spread_the_first_check_is_at_once),
        T(failures_back_off_to_a_cap_and_success_ends_it),
        T(what_the_server_asks_for_is_kept),
        T(an_event_brings_the_check_forward_but_not_against_the_server),
        T(an_event_comes_before_the_interval_that_the_server_named),
        T(a_short_interval_is_kept_too),
        T(no_server_makes_the_agent_ask_in_a_tight_loop),
        T(reports_that_were_not_asked_for_are_ignored),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
