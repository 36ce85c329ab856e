/* events_test.c - the ring of events: what a watcher is told that is new, that was away, that was away for too long. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/watch/events.h"

static char text[EVENTS_TEXT_MAX];

/* The last id in the text. */
static void last_id(char id[EVENTS_ID_LEN])
{
    const char *at = NULL;
    for (const char *next = text; (next = strstr(next, "id: ")) != NULL; next++)
        at = next + 4;
    assert_non_null(at);
    size_t len = strcspn(at, "\n");
    assert_true(len < EVENTS_ID_LEN);
    memcpy(id, at, len);
    id[len] = '\0';
}

static size_t occurrences(const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

static void begin(struct events **events, char id[EVENTS_ID_LEN])
{
    *events = events_new();
    assert_non_null(*events);
    assert_true(events_read(*events, "", false, text) > 0);
    assert_non_null(strstr(text, "event: hello\n"));
    last_id(id);
}

static void a_watcher_is_told_each_event_once(void **state)
{
    (void)state;
    struct events *events;
    char id[EVENTS_ID_LEN];
    const struct model_device devices[2] = {{.id = "5ccf7f000001"}, {.id = "5ccf7f000002"}};
    begin(&events, id);
    assert_int_equal(events_read(events, id, false, text), 0);
    events_devices(events, devices, 2);
    events_rules(events);
    const struct model_device fresh = {.id = "an-id-of-thirty-two-characters-0", .fresh = true};
    events_devices(events, &fresh, 1);
    assert_true(events_read(events, id, false, text) > 0);
    assert_non_null(
        strstr(text, "event: device\ndata: {\"id\":\"an-id-of-thirty-two-characters-0\",\"new\":true}\n\n"));
    assert_non_null(strstr(text, "event: device\ndata: {\"id\":\"5ccf7f000001\"}\n\n"));
    assert_non_null(strstr(text, "event: device\ndata: {\"id\":\"5ccf7f000002\"}\n\n"));
    assert_non_null(strstr(text, "event: rules\ndata: {}\n\n"));
    assert_int_equal(occurrences("id: "), 4);
    last_id(id);
    assert_int_equal(events_read(events, id, false, text), 0);
    events_free(events);
}

static void many_devices_are_one_event(void **state)
{
    (void)state;
    struct events *events;
    char id[EVENTS_ID_LEN];
    struct model_device *devices = calloc(1000, sizeof *devices);
    assert_non_null(devices);
    begin(&events, id);
    events_devices(events, devices, 1000);
    assert_true(events_read(events, id, false, text) > 0);
    assert_non_null(strstr(text, "event: devices\ndata: {\"count\":1000}\n\n"));
    assert_int_equal(occurrences("id: "), 1);
    events_free(events);
    free(devices);
}

static void who_was_away_for_long_is_told_so(void **state)
{
    (void)state;
    struct events *events;
    char id[EVENTS_ID_LEN];
    begin(&events, id);
    for (int i = 0; i < EVENTS_KEPT; i++)
        events_rules(events);
    assert_true(events_read(events, id, false, text) > 0); /* just kept: as many as fit in one answer */
    assert_null(strstr(text, "resync"));
    assert_true(occurrences("event: rules") > 100);
    events_rules(events);
    assert_true(events_read(events, id, false, text) > 0);
    assert_non_null(strstr(text, "event: resync\n"));
    assert_int_equal(occurrences("id: "), 1);
    last_id(id);
    assert_int_equal(events_read(events, id, false, text), 0);
    events_free(events);
}

static void what_does_not_fit_comes_next(void **state)
{
    (void)state;
    struct events *events;
    char id[EVENTS_ID_LEN];
    size_t told = 0;
    struct model_device device = {.id = "a-name-of-thirty-two-characters."};
    begin(&events, id);
    for (int i = 0; i < EVENTS_KEPT; i++)
        events_devices(events, &device, 1);
    while (events_read(events, id, false, text) > 0) {
        told += occurrences("event: device\n");
        last_id(id);
    }
    assert_int_equal(told, EVENTS_KEPT);
    events_free(events);
}

static void ids_that_are_not_ours_mean_load_anew(void **state)
{
    (void)state;
    struct events *events;
    char id[EVENTS_ID_LEN];
    static const char *const wrong[] = {"x", "1-1", "-", "ffffffffffffffff-0",
                                        "99999999999999999999999999999999-1"};
    begin(&events, id);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_true(events_read(events, wrong[i], false, text) > 0);
        assert_non_null(strstr(text, "event: resync\n"));
    }
    char future[EVENTS_ID_LEN];
    snprintf(future, sizeof future, "%.*s-77", (int)strcspn(id, "-"), id);
    assert_true(events_read(events, future, false, text) > 0);
    assert_non_null(strstr(text, "event: resync\n"));
    events_free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watcher_is_told_each_event_once), cmocka_unit_test(many_devices_are_one_event),
        cmocka_unit_test(who_was_away_for_long_is_told_so), cmocka_unit_test(what_does_not_fit_comes_next),
        cmocka_unit_test(ids_that_are_not_ours_mean_load_anew)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
