/* devices_threads_test.c - the device table while others work at it: what is durable when, deletions beside the writer, counts,
 * and many devices and threads. */
#include "devices_case.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* ---- durable ---- */

struct signal {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done, kept;
    int64_t appended; /* results in the log so far */
};

static void is_durable(void *ctx, bool kept)
{
    struct signal *signal = ctx;
    pthread_mutex_lock(&signal->lock);
    signal->kept = kept;
    store_append_results(store, NULL, NULL, 0, &signal->appended);
    signal->done = true;
    pthread_cond_signal(&signal->cond);
    pthread_mutex_unlock(&signal->lock);
}

static void a_waiter_is_called_when_the_change_is_in_the_log(void **state)
{
    (void)state;
    open_all(NULL);
    struct signal signal = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    for (uint32_t code = 1; code <= 20; code++) {
        signal.done = false;
        assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, set_code, &code), 0);
        devices_when_durable(devices, "aa", is_durable, &signal);
        pthread_mutex_lock(&signal.lock);
        while (!signal.done)
            pthread_cond_wait(&signal.cond, &signal.lock);
        pthread_mutex_unlock(&signal.lock);
        assert_true(signal.kept);
        assert_int_equal(signal.appended, code);
    }
}

static void changes_reach_the_store_without_being_asked_for(void **state)
{
    (void)state;
    open_all(NULL);
    uint32_t code = 7;
    assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, set_code, &code), 0);
    struct model_device stored = {0};
    for (int i = 0; i < 6000 && stored.running_code != 7; i++) { /* far longer than the second it takes */
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        store_device_get(store, "aa", &stored);
    }
    assert_int_equal(stored.running_code, 7);
}

static void a_flush_writes_mere_sightings_too(void **state)
{
    (void)state;
    open_all(NULL);
    struct seen seen;
    assert_int_equal(visit("aa", "10.0.0.1", 1000, &seen), 0);
    assert_int_equal(devices_flush(devices), 0);
    assert_int_equal(visit("aa", "10.0.0.9", 2000, &seen), 0);
    assert_int_equal(devices_flush(devices), 0);
    struct model_device stored;
    assert_int_equal(store_device_get(store, "aa", &stored), 0);
    assert_int_equal(stored.last_seen_ms, 2000);
    assert_string_equal(stored.address, "10.0.0.9");
    struct devices_stats stats;
    devices_stats(devices, &stats);
    assert_int_equal(stats.dirty, 0);
    assert_int_equal(stats.written, 2);
}

/* ---- delete ---- */

struct flusher {
    atomic_bool stop;
};

static void *flush_all_the_time(void *arg)
{
    struct flusher *flusher = arg;
    while (!atomic_load(&flusher->stop))
        devices_flush(devices);
    return NULL;
}

/* The writer may have a copy of the device on its way to the store: it must not bring it back. */
static void a_deleted_device_does_not_come_back(void **state)
{
    (void)state;
    const struct devices_limits limits = {.new_per_minute = 1000000};
    struct flusher flusher = {.stop = false};
    struct seen seen = {.answer = DEVICES_UNCHANGED};
    struct model_device stored;
    pthread_t thread;
    open_all(&limits);
    static const char aa[1][MODEL_ID_LEN] = {"aa"};
    assert_int_equal(devices_delete(devices, aa, 1), 0); /* there is none */
    assert_int_equal(pthread_create(&thread, NULL, flush_all_the_time, &flusher), 0);
    int back = 0;
    for (uint32_t code = 1; code <= 300; code++) {
        assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, set_code, &code), 0);
        if (code % 2) assert_int_equal(devices_flush(devices), 0); /* with a row, and without one */
        assert_int_equal(devices_visit(devices, "aa", "10.0.0.1", 1000, set_code, &code), 0);
        assert_int_equal(devices_delete(devices, aa, 1), 0);
        back += devices_peek(devices, "aa", look, &seen) == 0;
        assert_int_equal(devices_flush(devices), 0);
        back += store_device_get(store, "aa", &stored) == 0;
    }
    atomic_store(&flusher.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(back, 0);
    assert_int_equal(count_devices(), 0);
}

#define THREADS 4
#define ROUNDS  2000
#define SHARED  64

static const struct census_ages any_age = {.now_ms = 10000, .seen = 1000, .silent = 5000, .decided = 1000};

struct census_sum {
    struct census_alike all;
    uint64_t codes; /* sum of running codes */
    unsigned kinds;
};

static int sum_up(void *ctx, const struct model_device *common, const struct census_alike *alike)
{
    struct census_sum *sum = ctx;
    assert_true(common->id[0] == '\0' && alike->count > 0);
    sum->kinds++;
    sum->codes += common->running_code * alike->count;
    sum->all.count += alike->count;
    sum->all.never += alike->never;
    sum->all.seen += alike->seen;
    sum->all.silent += alike->silent;
    return 0;
}

static void a_census_counts_each_device_once_whatever_they_have_in_common(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    const struct devices_limits limits = {.unassigned_max = MANY, .new_per_minute = MANY};
    open_all(&limits);
    uint64_t codes = 0;
    for (unsigned i = 0; i < MANY; i++) {
        char id[MODEL_ID_LEN];
        uint32_t code = i < MANY / 2 ? i : 7; /* half of them are unlike any other */
        snprintf(id, sizeof id, "%012x", i);
        const int64_t now_ms = i % 3 == 0 ? 9500 : i % 3 == 1 ? 6000 : 4000;
        assert_int_equal(devices_visit(devices, id, "10.0.0.1", now_ms, set_code, &code), 0);
        codes += code;
    }
    struct census_sum sum = {0};
    assert_int_equal(devices_census(devices, &any_age, sum_up, &sum), 0);
    assert_int_equal(sum.kinds, MANY / 2);
    assert_int_equal(sum.codes, codes);
    assert_int_equal(sum.all.count, MANY);
    assert_int_equal(sum.all.seen, MANY / 3);
    assert_int_equal(sum.all.silent, MANY / 3);
    assert_int_equal(sum.all.never, 0);
    assert_int_equal(devices_flush(devices), 0);
    static const char gone[3][MODEL_ID_LEN] = {"000000000001", "not-there", "000000000003"};
    assert_int_equal(devices_delete(devices, gone, 3), 0);
    sum = (struct census_sum){0};
    assert_int_equal(devices_census(devices, &any_age, sum_up, &sum), 0);
    assert_int_equal(sum.all.count, MANY - 2);
}

static enum devices_change count_up(void *ctx, struct model_device *device, bool is_new)
{
    (void)ctx;
    (void)is_new;
    device->running_code++;
    return DEVICES_CHANGED;
}

static void *hammer(void *arg)
{
    int thread = *(int *)arg;
    struct census_sum sum = {0};
    for (int i = 0; i < ROUNDS; i++) {
        char id[MODEL_ID_LEN], address[32];
        snprintf(id, sizeof id, "%012x", (unsigned)(i % SHARED));
        snprintf(address, sizeof address, "10.0.%d.%d", thread, i % 200);
        devices_visit(devices, id, address, 1000 + i, count_up, NULL);
        if (i % 500 == 250) devices_flush(devices);
        if (i % 100 == 50) devices_reload(devices, id);
        if (i % 200 == 150) assert_int_equal(devices_census(devices, &any_age, sum_up, &sum), 0);
    }
    return NULL;
}

static void threads_lose_no_change(void **state)
{
    (void)state;
    const struct devices_limits limits = {.new_per_minute = 1000};
    open_all(&limits);
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    close_all();
    open_all(&limits);
    uint64_t total = 0;
    for (unsigned i = 0; i < SHARED; i++) {
        char id[MODEL_ID_LEN];
        snprintf(id, sizeof id, "%012x", i);
        struct seen seen = {.answer = DEVICES_UNCHANGED};
        assert_int_equal(devices_peek(devices, id, look, &seen), 0);
        total += seen.device.running_code;
    }
    assert_int_equal(total, THREADS * ROUNDS);
}

static void a_hundred_thousand_devices_are_kept_found_and_loaded(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    const struct devices_limits limits = {.unassigned_max = MANY, .new_per_minute = MANY};
    open_all(&limits);
    struct seen seen;
    for (int i = 0; i < MANY; i++) {
        if (visit_number(i, "10.0.0.1", 1000, &seen) != 0 || !seen.is_new) fail_msg("device %d", i);
    }
    for (int i = 0; i < MANY; i++) {
        if (visit_number(i, "10.0.0.1", 2000, &seen) != 0 || seen.is_new) fail_msg("device %d", i);
    }
    assert_int_equal(devices_flush(devices), 0);
    close_all();
    open_all(&limits);
    assert_int_equal(count_devices(), MANY);
    assert_int_equal(visit_number(77777, "10.0.0.1", 3000, &seen), 0);
    assert_false(seen.is_new);
    assert_int_equal(seen.device.first_seen_ms, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_waiter_is_called_when_the_change_is_in_the_log),
        TEST(changes_reach_the_store_without_being_asked_for),
        TEST(a_flush_writes_mere_sightings_too),
        TEST(a_deleted_device_does_not_come_back),
        TEST(a_census_counts_each_device_once_whatever_they_have_in_common),
        TEST(threads_lose_no_change),
        TEST(a_hundred_thousand_devices_are_kept_found_and_loaded),
    };
    return cmocka_run_group_tests_name("devices-threads", tests, NULL, NULL);
}
