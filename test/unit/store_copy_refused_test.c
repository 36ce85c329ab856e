/* store_copy_refused_test.c - on a database that refuses COPY the store does the same by other statements: no row and no column is missing, no
 * transaction is lost over finding out, it is asked once, and memory does not grow with the fleet. The tests of the store run that way, too
 * (test/host.cmake). */
#include "store_fixture.h"

#include "host/store/parts.h"

enum { DEVICES = 4321 }; /* more than go into one statement */

static void expect_asked(int times)
{
    assert_int_equal(atomic_load(&postgres_copies), times);
}

static int begin(void **state)
{
    assert_int_equal(setenv("MOLT_TEST_STORE", "postgresql", 1), 0);
    return fixture_begin(state);
}

static int open_refused(void **state)
{
    assert_int_equal(setenv("MOLT_TEST_KNOWS", "less", 1), 0);
    atomic_store(&postgres_copies, 0);
    return set_up(state);
}

static struct model_attempt_end end_of(int number)
{
    struct model_attempt_end end = {.ended_ms = 1000 + number,
                                    .release_id = 7,
                                    .code = 8,
                                    .from_code = 6,
                                    .rollout_id = 5,
                                    .result = MODEL_ATTEMPT_FAILED,
                                    .reason = MOLT_BAD_HASH,
                                    .bytes = 400000u + (uint32_t)number,
                                    .verified = true};
    snprintf(end.device_id, sizeof end.device_id, "d%04d", number);
    return end;
}

/* Each field of each device another one, as far as its field allows. */
static struct model_device device_of(int number)
{
    struct model_device device = {.id = ""};
    for (size_t i = 1; i < device_column_count; i++) {
        const struct column *column = &device_columns[i];
        uint8_t *field = (uint8_t *)&device + column->offset;
        if (column->kind == COLUMN_BLOB)
            memset(field, (int)i + number, column->size);
        else if (column->kind == COLUMN_TEXT)
            memset(field, 'a' + ((int)i + number) % 26, column->size - 1);
        else
            assert_true(column_set_number(column, field, column->size == 1 ? 1 : (int64_t)i * 250 + number));
    }
    snprintf(device.id, sizeof device.id, "d%04d", number);
    device.product_id = device.attempt_release_id = 0; /* there are none */
    return device;
}

static void fill(struct fixture *f)
{
    static struct model_device devices[DEVICES];
    for (int i = 0; i < DEVICES; i++)
        devices[i] = device_of(i);
    assert_int_equal(store_save_devices(f->store, devices, DEVICES), 0);
}

/* ---- out ---- */

struct seen {
    int count, enough;
    bool there[DEVICES];
};

static int see_device(void *ctx, const struct model_device *device)
{
    struct seen *seen = ctx;
    const int number = atoi(device->id + 1);
    const struct model_device wanted = device_of(number);
    assert_memory_equal(device, &wanted, sizeof wanted);
    assert_false(seen->there[number]);
    seen->there[number] = true;
    return ++seen->count == seen->enough;
}

static void a_fleet_is_read_whole_and_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0}, some = {.enough = 3}, again = {.count = 0};
    fill(f);
    atomic_store(&postgres_largest, 0);
    assert_int_equal(store_load_devices(f->store, see_device, &seen), 0);
    assert_int_equal(seen.count, DEVICES);
    assert_int_equal(store_load_devices(f->store, see_device, &some),
                     0); /* who has enough leaves nothing behind */
    assert_int_equal(some.count, 3);
    assert_int_equal(store_load_devices(f->store, see_device, &again), 0);
    assert_int_equal(again.count, DEVICES);
    assert_int_equal(atomic_load(&postgres_largest), 1);
    expect_asked(1);
}

static void an_empty_fleet_is_read(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0};
    assert_int_equal(store_load_devices(f->store, see_device, &seen), 0);
    assert_int_equal(seen.count, 0);
    expect_asked(1);
}

/* What fails for another reason is told, and is no refusal. */
static void what_cannot_be_read_is_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0};
    fill(f);
    run_sql(f, "ALTER TABLE device RENAME TO elsewhere");
    assert_int_equal(store_load_devices(f->store, see_device, &seen), -MOLT_STORE_FAILED);
    assert_non_null(strstr(store_error(f->store), "device"));
    expect_asked(0); /* for the types of the columns first */
    run_sql(f, "ALTER TABLE elsewhere RENAME TO device");
    assert_int_equal(store_load_devices(f->store, see_device, &seen), 0);
    assert_int_equal(seen.count, DEVICES);
}

/* ---- in ---- */

struct ends {
    int count;
    struct model_attempt_end last;
};

static int see_end(void *ctx, const struct model_attempt_end *end)
{
    struct ends *ends = ctx;
    ends->count++;
    ends->last = *end;
    return 0;
}

static void check_results(struct fixture *f, int first, int behind)
{
    for (int i = first; i < behind; i++) {
        const struct model_device wanted = device_of(i);
        const struct model_attempt_end end = end_of(i);
        struct model_device got;
        struct ends ends = {.count = 0};
        assert_int_equal(store_device_get(f->store, wanted.id, &got), 0);
        assert_memory_equal(&got, &wanted, sizeof wanted);
        assert_int_equal(store_each_attempt(f->store, wanted.id, see_end, &ends), 0);
        assert_int_equal(ends.count, 1);
        for (size_t at = 1; at < ATTEMPT_COLUMNS; at++) { /* not the bytes between the fields */
            const struct column *column = &attempt_columns[at];
            assert_memory_equal((const uint8_t *)&ends.last + column->offset,
                                (const uint8_t *)&end + column->offset, column->size);
        }
    }
}

static void append(struct fixture *f, int first, int behind)
{
    static struct model_device devices[DEVICES];
    static struct model_attempt_end ends[DEVICES];
    int64_t last = 0;
    for (int i = first; i < behind; i++) {
        devices[i - first] = device_of(i);
        ends[i - first] = end_of(i);
    }
    assert_int_equal(store_append_results(f->store, devices, ends, (size_t)(behind - first), &last), 0);
    assert_int_equal(last, behind);
}

/* The first of them finds out, in the middle of its transaction. */
static void every_result_that_was_acknowledged_is_kept(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 1);
    append(f, 1, 9);
    append(f, 9, 2500);
    expect_asked(1);
    reopen(f);
    check_results(f, 0, 12);
    check_results(f, 990, 1020); /* about where one statement ends and the next begins */
    check_results(f, 2490, 2500);
    assert_int_equal(store_device_get(f->store, "d2500", &(struct model_device){0}), -MOLT_NOT_FOUND);
}

/* Between two databases: rows with NULL, in columns of numbers and of texts, all of one statement or some. */
static void nothing_becomes_something(void **state)
{
    struct fixture *f = *state;
    struct store_copied copied;
    struct temp_dir folder;
    char url[320], err[256], token[STORE_TOKEN_LEN];
    fill(f);
    image_of(f->store, "a");
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, "laptop", NULL, token), 0);
    temp_dir_make(&folder);
    for (int round = 0; round < 2; round++) {
        char schema[16];
        struct store *to;
        snprintf(schema, sizeof schema, "copy%d", round);
        postgres_url(&fixture_cluster, schema, url, sizeof url);
        const struct store_place place = {.data_dir = folder.path, .url = url, .create = true};
        if (store_open_place(&place, &to, err, sizeof err) != 0) fail_msg("%s", err);
        if (store_copy(f->store, to, &copied) != 0) fail_msg("%s", store_error(to));
        assert_int_equal(copied.devices, DEVICES);
        assert_int_equal(token_check(to, STORE_TOKEN_ADMIN, token, NULL), 0);
        store_close(to);
        assert_int_equal(store_token_create(f->store, STORE_TOKEN_DEVICE, "its", "d0001", token), 0);
        assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, "other", NULL, token), 0);
    }
    temp_dir_remove(&folder);
    expect_asked(1 + 2 + 2);
}

/* ---- and with COPY ---- */

static void a_database_that_has_it_is_asked_for_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0};
    assert_int_equal(unsetenv("MOLT_TEST_KNOWS"), 0);
    fill(f);
    append(f, 0, 1);
    append(f, 1, 9);
    assert_int_equal(store_load_devices(f->store, see_device, &seen), 0);
    assert_int_equal(seen.count, DEVICES);
    expect_asked(3);
    reopen(f);
    check_results(f, 0, 9);
}

#define REFUSED(name) cmocka_unit_test_setup_teardown(name, open_refused, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REFUSED(a_fleet_is_read_whole_and_one_by_one),
        REFUSED(an_empty_fleet_is_read),
        REFUSED(what_cannot_be_read_is_told),
        REFUSED(every_result_that_was_acknowledged_is_kept),
        REFUSED(nothing_becomes_something),
        REFUSED(a_database_that_has_it_is_asked_for_it),
    };
    return cmocka_run_group_tests(tests, begin, fixture_end);
}
