/* results_property_test.c - what opening makes of results that were left in the log is what folding them one by one, each into its
 * row, would have made: random histories against that obvious way. With a seed as argument: that one. */
#include "unit/store_fixture.h"

#include <stdlib.h>

#include "host/store/parts.h"

#define HISTORIES 16u
#define STEPS     40u
#define IDS       60u
#define LOG_MAX   16384u

static uint64_t random_state, seed;

static uint32_t pick(uint32_t count)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % count;
}

/* ---- the obvious way ---- */

struct known {
    bool has_row;
    struct model_device row;
    int64_t ends[STORE_ATTEMPTS_MAX]; /* when: each another time; the last one first */
    size_t end_count;
};

struct result {
    uint32_t device;
    struct model_device state;
    struct model_attempt_end end;
};

static struct known known[IDS];
static struct result results[LOG_MAX];
static size_t result_count;
static int64_t next_ms;

static void remember_end(struct known *device, int64_t ms)
{
    if (device->end_count == STORE_ATTEMPTS_MAX) device->end_count--;
    memmove(device->ends + 1, device->ends, device->end_count * sizeof device->ends[0]);
    device->ends[0] = ms;
    device->end_count++;
}

static void fold_one(const struct result *result)
{
    struct known *device = &known[result->device];
    const struct model_device before = device->row;
    device->row = result->state;
    if (device->has_row) model_device_keep_settings(&device->row, &before);
    device->has_row = true;
    if (result->end.result != MODEL_ATTEMPT_NONE) remember_end(device, result->end.ended_ms);
}

/* ---- the same by the store ---- */

/* Few values of each field, so that settings and states meet. */
static struct model_device any_device(uint32_t number)
{
    struct model_device device = {0};
    for (size_t i = 1; i < device_column_count; i++) {
        const struct column *column = &device_columns[i];
        uint8_t *field = (uint8_t *)&device + column->offset;
        if (column->kind == COLUMN_REF || pick(3) == 0) continue; /* there are no products and releases */
        if (column->kind == COLUMN_BLOB)
            memset(field, (int)pick(3), column->size);
        else if (column->kind == COLUMN_TEXT)
            memset(field, 'a' + (int)pick(3), 1 + pick((uint32_t)column->size - 1));
        else
            assert_true(column_set_number(column, field, pick(column->size == 1 ? 2 : 4)));
    }
    snprintf(device.id, sizeof device.id, "%s%02u", number % 3 ? "d" : "D-", number);
    return device;
}

static void append(struct fixture *f, uint32_t count)
{
    struct model_device *devices = calloc(count, sizeof *devices);
    struct model_attempt_end *ends = calloc(count, sizeof *ends);
    int64_t last;
    assert_true(devices != NULL && ends != NULL && result_count + count <= LOG_MAX);
    const uint32_t among = 1 + pick(IDS);
    for (uint32_t i = 0; i < count; i++) {
        struct result *result = &results[result_count++];
        memset(result, 0, sizeof *result);
        result->device = pick(among);
        devices[i] = result->state = any_device(result->device);
        if (pick(3) > 0) result->end.result = MODEL_ATTEMPT_FAILED;
        result->end.ended_ms = ++next_ms;
        SET_TEXT(result->end.device_id, devices[i].id);
        ends[i] = result->end;
    }
    assert_int_equal(store_append_results(f->store, devices, ends, count, &last), 0);
    free(devices);
    free(ends);
}

static void save(struct fixture *f)
{
    struct known *device = &known[pick(IDS)];
    device->row = any_device((uint32_t)(device - known));
    device->has_row = true;
    assert_int_equal(store_save_devices(f->store, &device->row, 1), 0);
}

static void forget(struct fixture *f)
{
    const uint32_t number = pick(IDS);
    struct model_device device = any_device(number);
    size_t kept = 0;
    assert_int_equal(store_delete_devices(f->store, (const char(*)[MODEL_ID_LEN]) & device.id, 1), 0);
    if (!known[number].has_row) return;
    memset(&known[number], 0, sizeof known[number]);
    for (size_t i = 0; i < result_count; i++)
        if (results[i].device != number) results[kept++] = results[i];
    result_count = kept;
}

static int64_t last_number(const struct store *store)
{
    return store->result_seq;
}

/* As the writer does once it wrote the rows: only the ends are taken from the log. */
static void fold_in_time(struct fixture *f)
{
    assert_int_equal(store_fold_results(f->store, last_number(f->store)), 0);
    for (size_t i = 0; i < result_count; i++)
        if (results[i].end.result != MODEL_ATTEMPT_NONE)
            remember_end(&known[results[i].device], results[i].end.ended_ms);
    result_count = 0;
}

struct seen {
    const struct known *device;
    size_t count;
};

static int check_end(void *ctx, const struct model_attempt_end *end)
{
    struct seen *seen = ctx;
    assert_true(seen->count < seen->device->end_count);
    assert_int_equal(end->ended_ms, seen->device->ends[seen->count++]);
    return 0;
}

static void open_again(struct fixture *f, uint32_t history)
{
    reopen(f);
    for (size_t i = 0; i < result_count; i++)
        fold_one(&results[i]);
    result_count = 0;
    for (uint32_t i = 0; i < IDS; i++) {
        struct model_device named = any_device(i), row;
        struct seen seen = {.device = &known[i]};
        const int rc = store_device_get(f->store, named.id, &row);
        assert_int_equal(rc, known[i].has_row ? 0 : -MOLT_NOT_FOUND);
        if (rc == 0 && memcmp(&row, &known[i].row, sizeof row) != 0)
            fail_msg("seed %llu, history %u: the row of %s is another one", (unsigned long long)seed, history,
                     named.id);
        assert_int_equal(store_each_attempt(f->store, named.id, check_end, &seen), 0);
        assert_int_equal(seen.count, known[i].end_count);
    }
}

static void a_history(struct fixture *f, uint32_t history)
{
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t what = pick(12);
        if (what < 6)
            append(f, 1 + pick(what == 0 ? 300 : 8));
        else if (what < 9)
            save(f);
        else if (what == 9)
            forget(f);
        else if (what == 10)
            fold_in_time(f);
        else
            open_again(f, history);
    }
    if (history % 8 == 0) append(f, 2000 + pick(2600)); /* more than one batch, or two */
    open_again(f, history);
}

static void folding_in_batches_is_folding_one_by_one(void **state)
{
    struct fixture *f = *state;
    for (uint32_t history = 0; history < HISTORIES; history++)
        a_history(f, history);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(folding_in_batches_is_folding_one_by_one)};
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261126;
    random_state = seed != 0 ? seed : 1;
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
