/* devices_test.c - the device table over a real store: what is kept, what is refused, what is durable when, and many
 * threads at once (also under TSan). */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/devices.h"
#include "temp_dir.h"

static struct temp_dir folder;
static struct store *store;
static struct devices *devices;

static void open_all(const struct devices_limits *limits)
{
    char err[256];
    assert_int_equal(store_open(folder.path, true, &store, err, sizeof err), 0);
    assert_int_equal(devices_open(&devices, store, limits), 0);
}

static void close_all(void)
{
    devices_close(devices);
    store_close(store);
    devices = NULL;
    store = NULL;
}

static int begin(void **state)
{
    (void)state;
    temp_dir_make(&folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (devices) close_all();
    temp_dir_remove(&folder);
    return 0;
}

/* ---- visitors ---- */

struct seen {
    int calls;
    bool is_new;
    struct model_device device;
    enum devices_change answer;
};

static enum devices_change look(void *ctx, struct model_device *device, bool is_new)
{
    struct seen *seen = ctx;
    seen->calls++;
    seen->is_new = is_new;
    seen->device = *device;
    return seen->answer;
}

static enum devices_change set_code(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    device->running_code = *(uint32_t *)ctx;
    return DEVICES_CHANGED;
}

static enum devices_change give_product(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    device->product_id = *(int64_t *)ctx;
    return DEVICES_CHANGED;
}

static int visit(const char *id, const char *address, int64_t now, struct seen *seen)
{
    *seen = (struct seen){.answer = DEVICES_UNCHANGED};
    return devices_visit(devices, id, address, now, look, seen);
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

static uint64_t count_devices(void)
{
    struct devices_stats stats;
    devices_stats(devices, &stats);
    return stats.count;
}

/* ---- tests ---- */

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

static int visit_number(int number, const char *address, int64_t now, struct seen *seen)
{
    char id[MODEL_ID_LEN];
    snprintf(id, sizeof id, "%012x", (unsigned)number);
    return visit(id, address, now, seen);
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
    for (int i = 0; i < 1000 && stored.running_code != 7;
         i++) { /* far longer than the second that it takes */
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

/* ---- many ---- */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

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
        TEST(a_waiter_is_called_when_the_change_is_in_the_log),
        TEST(changes_reach_the_store_without_being_asked_for),
        TEST(a_flush_writes_mere_sightings_too),
        TEST(a_reload_takes_the_operator_s_fields_and_keeps_what_was_seen),
        TEST(a_reload_forgets_the_deleted_and_takes_in_the_new),
        TEST(a_deleted_device_does_not_come_back),
        TEST(a_census_counts_each_device_once_whatever_they_have_in_common),
        TEST(threads_lose_no_change),
        TEST(a_hundred_thousand_devices_are_kept_found_and_loaded),
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
