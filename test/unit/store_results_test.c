/* store_results_test.c - the log of results: nothing that was appended is lost, no end is folded twice, and what operators set
 * meanwhile stays. */
#include "store_fixture.h"

#include "host/store/parts.h"

static struct model_attempt_end end_of(const char *id, int64_t ms)
{
    struct model_attempt_end end = {.ended_ms = ms,
                                    .release_id = 7,
                                    .code = 8,
                                    .from_code = 6,
                                    .rollout_id = 5,
                                    .result = MODEL_ATTEMPT_FAILED,
                                    .reason = MOLT_BAD_HASH,
                                    .bytes = 400000,
                                    .verified = true};
    SET_TEXT(end.device_id, id);
    return end;
}

struct history {
    int count;
    struct model_attempt_end last;
};

static int count_end(void *ctx, const struct model_attempt_end *end)
{
    struct history *history = ctx;
    if (history->count++ == 0) history->last = *end;
    return 0;
}

static struct history history_of(struct fixture *f, const char *id)
{
    struct history history = {0};
    assert_int_equal(store_each_attempt(f->store, id, count_end, &history), 0);
    return history;
}

static void check_end(const struct model_attempt_end *is, const struct model_attempt_end *wanted)
{
    assert_string_equal(is->device_id, wanted->device_id);
    for (size_t i = 1; i < ATTEMPT_COLUMNS; i++) { /* not the bytes between the fields */
        const struct column *column = &attempt_columns[i];
        assert_memory_equal((const uint8_t *)is + column->offset, (const uint8_t *)wanted + column->offset,
                            column->size);
    }
}

static int64_t append(struct fixture *f, const struct model_device *devices,
                      const struct model_attempt_end *ends, size_t count)
{
    int64_t last = 0;
    assert_int_equal(store_append_results(f->store, devices, ends, count, &last), 0);
    return last;
}

/* Every byte of the structure another one, as far as its fields allow. */
static struct model_device full_device(void)
{
    struct model_device device = {.id = "aa"};
    for (size_t i = 1; i < device_column_count; i++) {
        const struct column *column = &device_columns[i];
        uint8_t *field = (uint8_t *)&device + column->offset;
        if (column->kind == COLUMN_BLOB)
            memset(field, (int)i, column->size);
        else if (column->kind == COLUMN_TEXT)
            memset(field, 'a' + (int)i % 26, column->size - 1);
        else
            assert_true(column_set_number(column, field, column->size == 1 ? 1 : (int64_t)i * 250));
    }
    device.product_id = device.attempt_release_id = 0; /* there are none */
    device.last_reason = -5;
    return device;
}

static void a_state_comes_back_whole_and_short(void **state)
{
    (void)state;
    const struct model_device full = full_device(), empty = {.id = "aa"};
    struct model_device back = {.id = "aa"};
    uint8_t bytes[DEVICE_STATE_MAX];
    size_t len = device_state_write(&full, bytes);
    assert_true(device_state_read(bytes, len, &back));
    assert_memory_equal(&back, &full, sizeof full);
    len = device_state_write(&empty, bytes);
    assert_int_equal(len, 2);
    assert_true(device_state_read(bytes, len, &back));
    assert_memory_equal(&back, &empty, sizeof empty);
}

static void a_state_of_an_older_molt_leaves_the_fields_that_it_did_not_know(void **state)
{
    (void)state;
    const struct model_device full = full_device();
    struct model_device back = full;
    const uint8_t older[] = {1, 2}; /* knew the id and one more */
    assert_true(device_state_read(older, sizeof older, &back));
    assert_int_equal(back.product_id, 0);
    assert_int_equal(back.rollout_outcome, full.rollout_outcome);
    const uint8_t newer[] = {1, 255};
    assert_false(device_state_read(newer, sizeof newer, &back));
}

static void a_damaged_state_is_refused_and_read_within_its_bytes(void **state)
{
    (void)state;
    const struct model_device full = full_device();
    struct model_device back;
    uint8_t bytes[DEVICE_STATE_MAX];
    const size_t len = device_state_write(&full, bytes);
    for (size_t cut = 0; cut < len; cut++) { /* in a block of its own: ASan sees any byte behind it */
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, bytes, cut);
        (void)device_state_read(copy, cut, &back);
        free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1u << bit);
            (void)device_state_read(bytes, len, &back);
            bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_false(device_state_read(bytes, len - 1, &back));
}

static void what_was_appended_is_there_after_the_store_opens_again(void **state)
{
    struct fixture *f = *state;
    struct model_device devices[2] = {full_device(), {.id = "bb", .running_code = 9}}, got;
    struct model_attempt_end ends[2] = {end_of("aa", 1000), {.device_id = "bb"}};
    assert_int_equal(append(f, devices, ends, 2), 2);
    assert_int_equal(store_device_get(f->store, "aa", &got), -MOLT_NOT_FOUND); /* rows are not touched */
    reopen(f);
    assert_int_equal(store_device_get(f->store, "aa", &got), 0);
    assert_memory_equal(&got, &devices[0], sizeof got);
    assert_int_equal(store_device_get(f->store, "bb", &got), 0);
    assert_int_equal(got.running_code, 9);
    struct history history = history_of(f, "aa");
    assert_int_equal(history.count, 1);
    check_end(&history.last, &ends[0]);
    assert_int_equal(history_of(f, "bb").count, 0);
    reopen(f); /* and is folded once */
    assert_int_equal(history_of(f, "aa").count, 1);
}

static void the_last_state_of_a_device_wins(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa"}, got;
    struct model_attempt_end end = {.device_id = "aa"};
    for (uint32_t code = 1; code <= 5; code++) {
        device.running_code = code;
        assert_int_equal(append(f, &device, &end, 1), code);
    }
    reopen(f);
    assert_int_equal(store_device_get(f->store, "aa", &got), 0);
    assert_int_equal(got.running_code, 5);
}

static void what_an_operator_set_meanwhile_stays(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa", .running_code = 1}, got;
    struct model_attempt_end end = end_of("aa", 1);
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    device.running_code = 2;
    append(f, &device, &end, 1);
    device.running_code = 1;
    device.held = true;
    device.pinned_code = 3;
    SET_TEXT(device.tags, "canary");
    assert_int_equal(store_save_devices(f->store, &device, 1), 0); /* the API, which knows the row only */
    reopen(f);
    assert_int_equal(store_device_get(f->store, "aa", &got), 0);
    assert_int_equal(got.running_code, 2);
    assert_true(got.held);
    assert_int_equal(got.pinned_code, 3);
    assert_string_equal(got.tags, "canary");
}

static void an_end_is_folded_once_and_the_last_ones_stay(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa"};
    int64_t last = 0;
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    for (int i = 0; i < STORE_ATTEMPTS_MAX + 5; i++) {
        struct model_attempt_end end = end_of("aa", 1000 + i);
        last = append(f, &device, &end, 1);
    }
    assert_int_equal(store_fold_results(f->store, last - 1), 0);
    assert_int_equal(history_of(f, "aa").last.ended_ms, 1000 + STORE_ATTEMPTS_MAX + 3);
    assert_int_equal(store_fold_results(f->store, last), 0);
    assert_int_equal(store_fold_results(f->store, last), 0);
    struct history history = history_of(f, "aa");
    assert_int_equal(history.count, STORE_ATTEMPTS_MAX);
    assert_int_equal(history.last.ended_ms, 1000 + STORE_ATTEMPTS_MAX + 4);
    reopen(f);
    assert_int_equal(history_of(f, "aa").count, STORE_ATTEMPTS_MAX);
}

static void a_deleted_device_does_not_come_back_from_the_log(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa"}, got;
    struct model_attempt_end end = end_of("aa", 1);
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    append(f, &device, &end, 1);
    assert_int_equal(store_delete_devices(f->store, (const char[][MODEL_ID_LEN]){"aa"}, 1), 0);
    reopen(f);
    assert_int_equal(store_device_get(f->store, "aa", &got), -MOLT_NOT_FOUND);
    assert_int_equal(history_of(f, "aa").count, 0);
}

static void more_than_a_page_is_folded(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 2500 };
    struct model_device *devices = calloc(COUNT, sizeof *devices), got;
    struct model_attempt_end *ends = calloc(COUNT, sizeof *ends);
    for (int i = 0; i < COUNT; i++) {
        snprintf(devices[i].id, sizeof devices[i].id, "d%04d", i);
        devices[i].running_code = (uint32_t)i + 1;
        ends[i] = end_of(devices[i].id, i);
    }
    assert_int_equal(append(f, devices, ends, COUNT), COUNT);
    reopen(f);
    for (int i = 0; i < COUNT; i += 499) {
        assert_int_equal(store_device_get(f->store, devices[i].id, &got), 0);
        assert_int_equal(got.running_code, i + 1);
        assert_int_equal(history_of(f, devices[i].id).count, 1);
    }
    free(devices);
    free(ends);
}

static void a_result_that_is_damaged_is_told_and_not_taken(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aa"};
    struct model_attempt_end end = {.device_id = "aa"};
    char err[256];
    append(f, &device, &end, 1);
    store_close(f->store);
    run_sql(f, "UPDATE result_log SET state = substr(state, 2)");
    assert_int_equal(fixture_open(f, false, err, sizeof err), -MOLT_STORE_FAILED);
    assert_non_null(strstr(err, "damaged"));
    run_sql(f, "DELETE FROM result_log");
    assert_int_equal(fixture_open(f, false, err, sizeof err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_comes_back_whole_and_short),
        cmocka_unit_test(a_state_of_an_older_molt_leaves_the_fields_that_it_did_not_know),
        cmocka_unit_test(a_damaged_state_is_refused_and_read_within_its_bytes),
        TEST(what_was_appended_is_there_after_the_store_opens_again),
        TEST(the_last_state_of_a_device_wins),
        TEST(what_an_operator_set_meanwhile_stays),
        TEST(an_end_is_folded_once_and_the_last_ones_stay),
        TEST(a_deleted_device_does_not_come_back_from_the_log),
        TEST(more_than_a_page_is_folded),
        TEST(a_result_that_is_damaged_is_told_and_not_taken),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
