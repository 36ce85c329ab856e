/* store_operate_test.c - filters with a name, webhooks and their deliveries: kept, replaced, deleted, bounded. */
#include "store_fixture.h"

#include "host/store/operate.h"

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static int count_filter(void *ctx, const struct store_filter *filter)
{
    (void)filter;
    ++*(int *)ctx;
    return 0;
}

static void a_filter_is_kept_by_its_name_and_replaced_by_it(void **state)
{
    struct store_filter filter = {.changed_ms = 5}, found;
    int count = 0;
    SET_TEXT(filter.name, "roof");
    SET_TEXT(filter.filter, "group = roof");
    assert_int_equal(store_filter_put(store_of(state), &filter), 0);
    SET_TEXT(filter.filter, "group = cellar");
    SET_TEXT(filter.note, "moved");
    assert_int_equal(store_filter_put(store_of(state), &filter), 0);
    reopen(*state);
    assert_int_equal(store_filter_get(store_of(state), "roof", &found), 0);
    assert_memory_equal(&found, &filter, sizeof found);
    assert_int_equal(store_filter_get(store_of(state), "cellar", &found), -MOLT_NOT_FOUND);
    assert_int_equal(store_each_filter(store_of(state), count_filter, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(store_filter_delete(store_of(state), "roof"), 0);
    assert_int_equal(store_filter_delete(store_of(state), "roof"), -MOLT_NOT_FOUND);
}

static void there_are_not_more_filters_than_a_list_can_show(void **state)
{
    struct store_filter filter = {.changed_ms = 1};
    for (int i = 0; i < STORE_FILTERS_MAX; i++) {
        snprintf(filter.name, sizeof filter.name, "f%d", i);
        assert_int_equal(store_filter_put(store_of(state), &filter), 0);
    }
    assert_int_equal(store_filter_put(store_of(state), &filter), 0); /* one that is there may change */
    SET_TEXT(filter.name, "one-more");
    assert_int_equal(store_filter_put(store_of(state), &filter), -MOLT_STATE);
}

static struct store_hook make_hook(struct store *store)
{
    struct store_hook hook = {.events = 3, .enabled = true, .created_ms = 7};
    SET_TEXT(hook.url, "https://hooks.example.org/");
    SET_TEXT(hook.secret, "whsec_abc");
    assert_int_equal(store_hook_create(store, &hook), 0);
    assert_true(hook.id > 0);
    return hook;
}

static int take_hook(void *ctx, const struct store_hook *hook)
{
    *(struct store_hook *)ctx = *hook;
    return 0;
}

static void a_webhook_is_kept_and_set(void **state)
{
    struct store_hook hook = make_hook(store_of(state)), found = {.id = 0};
    hook.enabled = false;
    hook.events = 5;
    SET_TEXT(hook.note, "quiet");
    assert_int_equal(store_hook_set(store_of(state), &hook), 0);
    reopen(*state);
    assert_int_equal(store_each_hook(store_of(state), take_hook, &found), 0);
    assert_memory_equal(&found, &hook, sizeof found);
    assert_int_equal(store_hook_delete(store_of(state), hook.id), 0);
    assert_int_equal(store_hook_delete(store_of(state), hook.id), -MOLT_NOT_FOUND);
    assert_int_equal(store_hook_set(store_of(state), &hook), -MOLT_NOT_FOUND);
    assert_int_equal(store_hook_get(store_of(state), hook.id, &found), -MOLT_NOT_FOUND);
}

static struct store_delivery delivery_of(int64_t hook, int number)
{
    struct store_delivery delivery = {.hook_id = hook, .created_ms = number, .next_ms = number};
    SET_TEXT(delivery.event, "device.failed");
    snprintf(delivery.body, sizeof delivery.body, "{\"number\":%d}", number);
    return delivery;
}

static void deliveries_wait_in_their_order_over_a_restart(void **state)
{
    struct store_hook hook = make_hook(store_of(state));
    struct store_delivery two[] = {delivery_of(hook.id, 1), delivery_of(hook.id, 2)}, first;
    uint64_t waiting;
    assert_int_equal(store_delivery_add(store_of(state), two, 2), 0);
    reopen(*state);
    assert_int_equal(store_delivery_waiting(store_of(state), &waiting), 0);
    assert_int_equal(waiting, 2);
    assert_int_equal(store_delivery_first(store_of(state), hook.id, &first), 0);
    assert_string_equal(first.body, "{\"number\":1}");
    first.tries = 1;
    first.status = 503;
    first.next_ms = 99;
    SET_TEXT(first.error, "answered 503");
    assert_int_equal(store_delivery_save(store_of(state), &first), 0);
    assert_int_equal(store_delivery_first(store_of(state), hook.id, &first), 0);
    assert_int_equal(first.next_ms, 99);
    assert_string_equal(first.error, "answered 503");
    first.state = STORE_DELIVERY_DONE;
    assert_int_equal(store_delivery_save(store_of(state), &first), 0);
    assert_int_equal(store_delivery_first(store_of(state), hook.id, &first), 0);
    assert_string_equal(first.body, "{\"number\":2}");
    assert_int_equal(store_delivery_first(store_of(state), hook.id + 1, &first), -MOLT_NOT_FOUND);
}

struct seen {
    int64_t last;
    int count;
};

static int newest_first(void *ctx, const struct store_delivery *delivery)
{
    struct seen *seen = ctx;
    assert_true(seen->last == 0 || delivery->id < seen->last);
    seen->last = delivery->id;
    seen->count++;
    return 0;
}

static void a_receiver_that_never_answers_fills_nothing(void **state)
{
    struct store_hook hook = make_hook(store_of(state));
    struct store_delivery many[200], gone = delivery_of(hook.id + 1, 0);
    uint64_t waiting;
    size_t taken = 0;
    struct seen seen = {0};
    for (int round = 0; round < STORE_HOOK_QUEUE_MAX / 200 + 1; round++) {
        for (int i = 0; i < 200; i++)
            many[i] = delivery_of(hook.id, i);
        assert_int_equal(store_delivery_add(store_of(state), many, 200), 0);
        for (int i = 0; i < 200; i++)
            taken += many[i].id != 0;
    }
    assert_int_equal(taken, STORE_HOOK_QUEUE_MAX);
    assert_int_equal(store_delivery_add(store_of(state), &gone, 1), 0);
    assert_int_equal(gone.id, 0);
    for (int i = 0; i < STORE_HOOK_KEPT + 20; i++) {
        struct store_delivery first;
        assert_int_equal(store_delivery_first(store_of(state), hook.id, &first), 0);
        first.state = STORE_DELIVERY_GIVEN_UP;
        assert_int_equal(store_delivery_save(store_of(state), &first), 0);
    }
    assert_int_equal(store_delivery_waiting(store_of(state), &waiting), 0);
    assert_int_equal(waiting, STORE_HOOK_QUEUE_MAX - STORE_HOOK_KEPT - 20);
    assert_int_equal(store_each_delivery(store_of(state), hook.id, 0, 100000, newest_first, &seen), 0);
    assert_int_equal(seen.count, (int)waiting + STORE_HOOK_KEPT);
    int64_t before = seen.last + 10;
    seen = (struct seen){0};
    assert_int_equal(store_each_delivery(store_of(state), hook.id, before, 5, newest_first, &seen), 0);
    assert_int_equal(seen.count, 5);
    assert_int_equal(store_hook_delete(store_of(state), hook.id), 0);
    assert_int_equal(store_delivery_waiting(store_of(state), &waiting), 0);
    assert_int_equal(waiting, 0);
}

static int count_end(void *ctx, const struct model_attempt_end *end)
{
    (void)end;
    ++*(int *)ctx;
    return 0;
}

static void what_is_old_goes_but_the_last_of_each_device(void **state)
{
    int64_t count;
    int left[3] = {0};
    run_sql(*state, "INSERT INTO attempt (device_id, ended_ms, release_id, code, from_code, rollout_id, "
                    "result, reason, bytes,"
                    " verified) VALUES ('a', 10, 0, 1, 0, 0, 5, 0, 0, 0), ('a', 20, 0, 2, 0, 0, 5, 0, 0, 0),"
                    " ('a', 90, 0, 3, 0, 0, 5, 0, 0, 0), ('b', 5, 0, 1, 0, 0, 5, 0, 0, 0), ('c', 5, 0, 1, 0, "
                    "0, 5, 0, 0, 0),"
                    " ('c', 6, 0, 2, 0, 0, 7, 0, 0, 0)");
    assert_int_equal(store_prune_attempts(store_of(state), 50, &count), 0);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        const char id[] = {(char)('a' + i), '\0'};
        assert_int_equal(store_each_attempt(store_of(state), id, count_end, &left[i]), 0);
        assert_int_equal(left[i], 1);
    }
    assert_int_equal(store_prune_attempts(store_of(state), 1000, &count), 0);
    assert_int_equal(count, 0); /* the last ones stay, however old */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_filter_is_kept_by_its_name_and_replaced_by_it),
        TEST(there_are_not_more_filters_than_a_list_can_show),
        TEST(a_webhook_is_kept_and_set),
        TEST(deliveries_wait_in_their_order_over_a_restart),
        TEST(a_receiver_that_never_answers_fills_nothing),
        TEST(what_is_old_goes_but_the_last_of_each_device),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
