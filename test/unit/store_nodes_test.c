/* store_nodes_test.c - two servers on one PostgreSQL, by the store alone: who is refused, whose copy of a device stays, and what becomes of
 * what a dead one left. */
#include "unit/nodes_rig.h"

#include "host/merge.h"
#include "host/store/parts.h"

/* ---- who is refused ---- */

static void expect_refused(const struct store_place *place, int reason, const char *words)
{
    struct store *store;
    char err[256];
    assert_int_equal(store_open_place(place, &store, err, sizeof err), -reason);
    if (strstr(err, words) == NULL) fail_msg("'%s' does not say '%s'", err, words);
}

static void what_cannot_work_is_refused_in_words(void **state)
{
    struct rig *rig = *state;
    struct temp_dir dir;
    temp_dir_make(&dir);
    const struct store_place alone = {.data_dir = dir.path, .url = rig->url, .create = true};
    struct store_place no_url = alone, no_artifacts = alone;
    no_url.node = no_artifacts.node = "c";
    no_url.url = NULL;
    expect_refused(&no_url, MOLT_ARG, "--store postgres://");
    expect_refused(&no_artifacts, MOLT_ARG, "--artifacts");
    expect_refused(&alone, MOLT_STATE, "--node");
    temp_dir_remove(&dir);
}

static void a_server_alone_takes_over_once_the_others_are_gone(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(store_node_leave(rig->a), 0);
    assert_int_equal(store_node_leave(rig->b), 0);
    store_close(rig->a);
    rig->a = open_node(rig, 0, NULL);
    struct store_node_round round;
    assert_int_equal(store_node_round(rig->b, 1, 0, &round), -MOLT_STATE); /* it must join, and may not */
    assert_int_equal(store_node_join(rig->b), -MOLT_STATE);
    assert_int_equal(store_node_id(rig->a), 0);
}

/* ---- devices ---- */

static struct model_device device_of(const char *id, int64_t seen_ms)
{
    struct model_device device = {.first_seen_ms = 100, .last_seen_ms = seen_ms};
    snprintf(device.id, sizeof device.id, "%s", id);
    return device;
}

static struct model_device row_of(struct store *store, const char *id)
{
    struct model_device row;
    assert_int_equal(store_device_get(store, id, &row), 0);
    return row;
}

static void an_older_copy_takes_nothing_away(void **state)
{
    struct rig *rig = *state;
    struct model_device was = device_of("dev", 100), ended = was, older = was;
    bool gone;
    ended.attempt = MODEL_ATTEMPT_ROLLED_BACK;
    merge_stamp(&was, &ended, 1000, store_node_id(rig->a));
    older.last_seen_ms = 5000;
    older.running_code = 3;
    merge_stamp(&was, &older, 900, store_node_id(rig->b));
    assert_int_equal(store_merge_devices(rig->a, &ended, &gone, 1), 0);
    assert_int_equal(store_merge_devices(rig->b, &older, &gone, 1), 0);
    assert_int_equal(older.attempt, MODEL_ATTEMPT_ROLLED_BACK); /* b knows now */
    const struct model_device row = row_of(rig->a, "dev");
    assert_int_equal(row.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(row.last_seen_ms, 5000);
    assert_memory_equal(&row, &older, sizeof row);
}

static void what_runs_after_an_update_is_kept_though_clocks_differ(void **state)
{
    struct rig *rig = *state;
    struct model_device known = device_of("dev", 100), at_a, at_b;
    bool gone;
    known.running_code = 1;
    at_a = at_b = known;
    at_a.attempt = MODEL_ATTEMPT_OFFERED;
    at_a.announced_code = 2;
    at_a.last_reason = MOLT_OFFERED;
    at_b.attempt = MODEL_ATTEMPT_UPDATED;
    at_b.running_code = at_b.announced_code = 2;
    merge_stamp(&known, &at_a, 1001, store_node_id(rig->a));
    merge_stamp(&known, &at_b, 999, store_node_id(rig->b)); /* a moment later, by a clock that is behind */
    assert_int_equal(store_merge_devices(rig->b, &at_b, &gone, 1), 0);
    assert_int_equal(store_merge_devices(rig->a, &at_a, &gone, 1), 0);
    assert_int_equal(at_a.running_code, 2);
    assert_int_equal(row_of(rig->b, "dev").running_code, 2);
}

static void many_devices_are_put_together_at_once(void **state)
{
    enum { MANY = 500 };
    struct rig *rig = *state;
    struct model_device *devices = calloc(MANY, sizeof *devices);
    bool *gone = calloc(MANY, sizeof *gone);
    for (int i = 0; i < MANY; i++) {
        char id[16];
        snprintf(id, sizeof id, "dev%04d", i);
        devices[i] = device_of(id, 1000);
    }
    assert_int_equal(store_merge_devices(rig->a, devices, gone, MANY), 0);
    for (int i = 0; i < MANY; i++)
        devices[i].last_seen_ms = i % 2 ? 2000 : 10;
    assert_int_equal(store_merge_devices(rig->b, devices, gone, MANY), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(devices[i].last_seen_ms, i % 2 ? 2000 : 1000);
    free(devices);
    free(gone);
}

struct heard {
    int count, gone;
    char last[MODEL_ID_LEN];
};

static int hear(void *ctx, const char *id, const struct model_device *device, int64_t gone_ms)
{
    struct heard *heard = ctx;
    heard->count += device != NULL;
    heard->gone += device == NULL && gone_ms > 0;
    snprintf(heard->last, sizeof heard->last, "%s", id);
    return 0;
}

static struct heard hear_all(struct store *store, int64_t *stamp)
{
    struct heard heard = {.count = 0};
    struct store_node_round round;
    int more = 1;
    assert_int_equal(store_node_round(store, 1, *stamp, &round), 0);
    while (more == 1)
        more = store_each_change(store, stamp, round.stamp, hear, &heard);
    assert_int_equal(more, 0);
    assert_int_equal(*stamp, round.stamp);
    return heard;
}

static void each_hears_what_the_others_changed_and_nothing_twice(void **state)
{
    struct rig *rig = *state;
    int64_t stamp = 0;
    bool gone;
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "dev%02d", i);
        struct model_device device = device_of(id, 1);
        assert_int_equal(store_merge_devices(i % 2 ? rig->a : rig->b, &device, &gone, 1), 0);
    }
    struct heard heard = hear_all(rig->a, &stamp);
    assert_int_equal(heard.count, 10);
    assert_string_equal(heard.last, "dev18");
    assert_int_equal(hear_all(rig->a, &stamp).count, 0);
    struct model_device set = row_of(rig->a, "dev03");
    set.held = true;
    assert_int_equal(store_save_devices(rig->a, &set, 1), 0); /* an operator's word is news for a, too */
    assert_int_equal(hear_all(rig->a, &stamp).count, 1);
    assert_int_equal(row_of(rig->b, "dev03").settings_rev, 1);
}

static int hear_one(void *ctx, const char *id, const struct model_device *device, int64_t gone_ms)
{
    struct heard *heard = ctx;
    if (heard->count == 1) return -MOLT_NO_MEMORY;
    return hear(ctx, id, device, gone_ms);
}

static void what_could_not_be_taken_comes_again(void **state)
{
    struct rig *rig = *state;
    struct model_device devices[3] = {device_of("dev1", 1), device_of("dev2", 1), device_of("dev3", 1)};
    struct heard heard = {.count = 0};
    struct store_node_round round;
    int64_t stamp = 0;
    bool gone[3];
    assert_int_equal(store_merge_devices(rig->b, devices, gone, 3), 0);
    assert_int_equal(store_node_round(rig->a, 1, stamp, &round), 0);
    assert_int_equal(store_each_change(rig->a, &stamp, round.stamp, hear_one, &heard), -MOLT_NO_MEMORY);
    assert_int_equal(stamp, 0);
    assert_int_equal(hear_all(rig->a, &stamp).count, 3);
}

static void what_is_deleted_does_not_come_back_with_an_older_copy(void **state)
{
    struct rig *rig = *state;
    struct model_device device = device_of("dev", 1000);
    int64_t stamp = 0;
    bool gone = false;
    assert_int_equal(store_merge_devices(rig->a, &device, &gone, 1), 0);
    assert_int_equal(store_delete_devices(rig->b, (const char[][MODEL_ID_LEN]){"dev"}, 1), 0);
    device.last_seen_ms = 2000; /* a has not heard of it */
    assert_int_equal(store_merge_devices(rig->a, &device, &gone, 1), 0);
    assert_true(gone);
    assert_int_equal(store_device_get(rig->b, "dev", &device), -MOLT_NOT_FOUND);
    assert_int_equal(hear_all(rig->a, &stamp).gone, 1);
    struct model_device again = device_of("dev", INT64_MAX / 2);
    again.first_seen_ms = INT64_MAX / 2; /* it came after that */
    assert_int_equal(store_merge_devices(rig->a, &again, &gone, 1), 0);
    assert_false(gone);
    assert_int_equal(hear_all(rig->b, &stamp).count, 1);
}

/* ---- results ---- */

static int count_ends(void *ctx, const struct model_attempt_end *ended)
{
    (void)ended;
    ++*(int *)ctx;
    return 0;
}

static int ends_of(struct store *store, const char *id)
{
    int count = 0;
    assert_int_equal(store_each_attempt(store, id, count_ends, &count), 0);
    return count;
}

static int64_t report(struct store *store, struct model_device *device, int64_t now_ms)
{
    struct model_device was = *device;
    int64_t last;
    device->attempt = MODEL_ATTEMPT_ROLLED_BACK;
    device->attempt_release_id = 0;
    device->running_code = 7;
    merge_stamp(&was, device, now_ms, store_node_id(store));
    struct model_attempt_end ended = {.result = MODEL_ATTEMPT_ROLLED_BACK, .reason = MOLT_CRASHED};
    snprintf(ended.device_id, sizeof ended.device_id, "%s", device->id);
    ended.once = merge_once(device, &ended);
    assert_int_equal(store_append_results(store, device, &ended, 1, &last), 0);
    return last;
}

static void the_dead_ones_results_become_rows(void **state)
{
    struct rig *rig = *state;
    struct model_device device = device_of("dev", 1000);
    struct store_node_round round;
    uint32_t dead = 0;
    report(rig->a, &device, 1000); /* kept, and no row yet */
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    assert_int_equal(dead, 0); /* it lives */
    sql(rig, "UPDATE node SET expires_ms = 1 WHERE name = 'a'");
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    assert_int_equal(dead, 1);
    assert_int_equal(row_of(rig->b, "dev").attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(ends_of(rig->b, "dev"), 1);
    assert_int_equal(store_node_round(rig->a, 1, 0, &round), -MOLT_STATE);
    assert_int_equal(store_node_join(rig->a), 0);
    assert_int_equal(store_node_round(rig->a, 1, 0, &round), 0);
    /* what it takes from now on is of a new epoch, and its own to fold */
    struct model_device next = device_of("next", 1000);
    const int64_t last = report(rig->a, &next, 2000);
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    assert_int_equal(dead, 0);
    bool gone;
    assert_int_equal(store_merge_devices(rig->a, &next, &gone, 1), 0);
    assert_int_equal(store_fold_results(rig->a, last), 0);
    assert_int_equal(ends_of(rig->b, "next"), 1);
}

/* More than a batch, and each device many times: the same as one by one, each put together with what was there. */
static void a_dead_ones_many_results_are_folded_as_one_by_one(void **state)
{
    enum { DEVICES = 70, RESULTS = 5000 };
    struct rig *rig = *state;
    struct model_device *known = calloc(DEVICES, sizeof *known), *states = calloc(RESULTS, sizeof *states);
    struct model_attempt_end *ends = calloc(RESULTS, sizeof *ends);
    bool gone[DEVICES];
    int64_t last;
    for (int i = 0; i < DEVICES; i++) {
        char id[16];
        snprintf(id, sizeof id, "dev%02d", i);
        known[i] = device_of(id, 1000 + i);
        known[i].last_reason_ms = 100 * i;
    }
    assert_int_equal(store_merge_devices(rig->b, known, gone, DEVICES / 2), 0); /* the others have no row */
    for (int i = 0; i < RESULTS; i++) {
        const int number = i * 31 % DEVICES;
        struct model_device before = known[number];
        states[i] = device_of(before.id, 1000 + i % 17);
        states[i].running_code = (uint32_t)i;
        states[i].last_reason_ms = i * 7919 % 6000; /* some older than what is known */
        states[i].attempt_no = (uint32_t)(i % 13);
        snprintf(ends[i].device_id, sizeof ends[i].device_id, "%s", before.id);
        known[number] = states[i];
        if (i >= DEVICES || number < DEVICES / 2) {
            merge_device(&known[number], &before);
            merge_settle(&known[number]);
        }
    }
    assert_int_equal(store_append_results(rig->a, states, ends, RESULTS, &last), 0);
    sql(rig, "UPDATE node SET expires_ms = 1 WHERE name = 'a'");
    uint32_t dead;
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    for (int i = 0; i < DEVICES; i++) {
        const struct model_device row = row_of(rig->b, known[i].id);
        assert_memory_equal(&row, &known[i], sizeof row);
    }
    free(known);
    free(states);
    free(ends);
}

static void what_one_dead_appends_late_is_folded_too(void **state)
{
    struct rig *rig = *state;
    struct model_device device = device_of("dev", 1000);
    uint32_t dead;
    sql(rig, "UPDATE node SET expires_ms = 1 WHERE name = 'a'");
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    report(rig->a, &device, 1000); /* it was held up, and does not know that it is dead */
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    assert_int_equal(dead, 1);
    assert_int_equal(ends_of(rig->b, "dev"), 1);
}

static void one_end_is_one_line_whoever_concludes_it(void **state)
{
    struct rig *rig = *state;
    struct model_device at_a = device_of("dev", 1000), at_b = at_a;
    bool gone;
    const int64_t last_a = report(rig->a, &at_a, 1000), last_b = report(rig->b, &at_b, 1500);
    assert_int_equal(store_merge_devices(rig->a, &at_a, &gone, 1), 0);
    assert_int_equal(store_fold_results(rig->a, last_a), 0);
    assert_int_equal(store_merge_devices(rig->b, &at_b, &gone, 1), 0);
    assert_int_equal(store_fold_results(rig->b, last_b), 0);
    assert_int_equal(ends_of(rig->a, "dev"), 1);
}

/* ---- two schemas side by side ---- */

#define UNDO_16 "DROP TABLE audit_open; UPDATE meta SET schema_version = 15;"

static void a_newer_one_changes_the_tables_under_those_that_can_go_on(void **state)
{
    struct rig *rig = *state;
    struct store_node_round round;
    struct temp_dir dir;
    temp_dir_make(&dir);
    struct store_place newer = place_of(rig, 0, "c");
    newer.data_dir = dir.path;
    sql(rig, UNDO_16 "UPDATE node SET schema_version = 13 WHERE name = 'a'; UPDATE node SET schema_version = "
                     "15 WHERE name = 'b'");
    expect_refused(&newer, MOLT_STATE, "node a");
    sql(rig, "UPDATE node SET schema_version = 14 WHERE name = 'a'");
    struct store *c;
    char err[256];
    if (store_open_place(&newer, &c, err, sizeof err) != 0) fail_msg("%s", err);
    struct model_device device = device_of("dev", 1000);
    bool gone;
    assert_int_equal(store_merge_devices(rig->a, &device, &gone, 1), 0); /* the older ones go on */
    assert_int_equal(store_node_round(rig->b, 1, 0, &round), 0);
    assert_int_equal(round.live, 3);
    store_close(c);
    temp_dir_remove(&dir);
}

static void an_older_one_is_not_started_on_newer_tables(void **state)
{
    struct rig *rig = *state;
    struct store_node_round round;
    struct temp_dir dir;
    temp_dir_make(&dir);
    struct store_place older = place_of(rig, 0, "c");
    older.data_dir = dir.path;
    sql(rig, "ALTER TABLE device ADD COLUMN of_tomorrow BIGINT NOT NULL DEFAULT 0; UPDATE meta SET "
             "schema_version = 99");
    expect_refused(&older, MOLT_STORE_FAILED, "newer molt");
    struct model_device device = device_of("dev", 1000);
    bool gone;
    assert_int_equal(store_merge_devices(rig->a, &device, &gone, 1), 0); /* those that run go on */
    assert_int_equal(store_node_round(rig->a, 1, 0, &round), 0);
    temp_dir_remove(&dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_work_is_refused_in_words),
        TEST(a_server_alone_takes_over_once_the_others_are_gone),
        TEST(an_older_copy_takes_nothing_away),
        TEST(what_runs_after_an_update_is_kept_though_clocks_differ),
        TEST(many_devices_are_put_together_at_once),
        TEST(each_hears_what_the_others_changed_and_nothing_twice),
        TEST(what_could_not_be_taken_comes_again),
        TEST(what_is_deleted_does_not_come_back_with_an_older_copy),
        TEST(the_dead_ones_results_become_rows),
        TEST(a_dead_ones_many_results_are_folded_as_one_by_one),
        TEST(what_one_dead_appends_late_is_folded_too),
        TEST(one_end_is_one_line_whoever_concludes_it),
        TEST(a_newer_one_changes_the_tables_under_those_that_can_go_on),
        TEST(an_older_one_is_not_started_on_newer_tables),
    };
    return cmocka_run_group_tests_name("store_nodes", tests, begin, end);
}
