/* store_nodes_test.c - two servers on one PostgreSQL, by the store alone: who is refused, whose copy of a device stays, what becomes of what a dead
 * one left, and that slots are never more than there are. */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/merge.h"
#include "host/store/nodes.h"
#include "host/store/parts.h"
#include "molt_reason.h"

static struct postgres cluster;

struct rig {
    struct temp_dir dirs[2], shared;
    char schema[16], url[320];
    struct store *a, *b;
};

static int begin(void **state)
{
    (void)state;
    postgres_make(&cluster);
    return 0;
}

static int end(void **state)
{
    (void)state;
    postgres_remove(&cluster);
    return 0;
}

static struct store_place place_of(const struct rig *rig, int which, const char *node)
{
    return (struct store_place){.data_dir = rig->dirs[which].path,
                                .url = rig->url,
                                .create = true,
                                .artifacts = node != NULL ? rig->shared.path : NULL,
                                .node = node};
}

static struct store *open_node(const struct rig *rig, int which, const char *node)
{
    const struct store_place place = place_of(rig, which, node);
    struct store *store;
    char err[256];
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    return store;
}

static int set_up(void **state)
{
    static int number;
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    temp_dir_make(&rig->dirs[0]);
    temp_dir_make(&rig->dirs[1]);
    temp_dir_make(&rig->shared);
    snprintf(rig->schema, sizeof rig->schema, "nodes%d", ++number);
    postgres_url(&cluster, rig->schema, rig->url, sizeof rig->url);
    rig->a = open_node(rig, 0, "a");
    rig->b = open_node(rig, 1, "b");
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    store_close(rig->a);
    store_close(rig->b);
    temp_dir_remove(&rig->dirs[0]);
    temp_dir_remove(&rig->dirs[1]);
    temp_dir_remove(&rig->shared);
    free(rig);
    return 0;
}

static void sql(const struct rig *rig, const char *text)
{
    postgres_run(&cluster, rig->schema, text);
}

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
    assert_int_equal(store_delete_device(rig->b, "dev"), 0);
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

/* ---- leases ---- */

static void one_leads_until_its_lease_is_over(void **state)
{
    struct rig *rig = *state;
    int64_t epoch, other, again;
    assert_int_equal(store_lease_take(rig->a, "leader", &epoch), 0);
    assert_true(epoch > 0);
    assert_int_equal(store_lease_take(rig->b, "leader", &other), 0);
    assert_int_equal(other, 0);
    assert_int_equal(store_lease_take(rig->a, "leader", &again), 0);
    assert_int_equal(again, epoch);
    sql(rig, "UPDATE lease SET expires_ms = 1");
    assert_int_equal(store_lease_take(rig->b, "leader", &other), 0);
    assert_int_equal(other, epoch + 1);
    const struct model_rollout was = {.id = 1}, is = {.id = 1, .phase = 1};
    assert_int_equal(store_rollout_advance(rig->a, &was, &is, "leader", epoch), -MOLT_STATE);
    assert_non_null(strstr(store_error(rig->a), "another server"));
}

static void as_it_is(void *ctx, struct store_slots *order)
{
    (void)ctx;
    (void)order;
}

static uint32_t take(struct store *store, uint32_t cap, uint32_t used, uint32_t wanted)
{
    struct store_slots order = {.rollout_id = 1, .cap = cap, .used = used, .wanted = wanted};
    assert_int_equal(store_slots_take(store, &order, 1, 2, as_it_is, NULL), 0);
    return order.slots;
}

static void slots_are_never_more_than_there_are(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(take(rig->a, 10, 0, 0), 5);  /* a share is ready */
    assert_int_equal(take(rig->b, 10, 5, 20), 5); /* all that is free */
    assert_int_equal(take(rig->a, 10, 1, 0), 1);  /* b asked in vain, and here nobody does */
    assert_int_equal(take(rig->b, 10, 5, 20), 9);
    assert_int_equal(take(rig->a, 10, 1, 4), 1); /* none is free, but it says so */
    assert_int_equal(take(rig->b, 10, 6, 3), 6); /* whoever has more than a share takes no more */
    assert_int_equal(take(rig->a, 10, 1, 4), 4);
    uint32_t mine[2] = {4, 6};
    srand(1);
    for (int i = 0; i < 200; i++) { /* whatever they ask for */
        const int which = rand() % 2;
        const uint32_t used = mine[which] > 0 ? (uint32_t)rand() % (mine[which] + 1) : 0;
        mine[which] = take(which ? rig->b : rig->a, 10, used, (uint32_t)rand() % 12);
        if (mine[which] < used) fail_msg("less than is used");
        if (mine[0] + mine[1] > 10) fail_msg("%u and %u", mine[0], mine[1]);
    }
}

static uint32_t three_open(void *ctx, int64_t rollout_id, uint32_t node_id)
{
    const struct rig *rig = ctx;
    return rollout_id == 1 && node_id == store_node_id(rig->a) ? 3 : 0;
}

static void slots_of_a_dead_one_stay_taken_until_nothing_of_it_can_be_open(void **state)
{
    struct rig *rig = *state;
    uint32_t dead;
    assert_int_equal(take(rig->a, 10, 5, 5), 10);
    sql(rig, "UPDATE node SET expires_ms = 1, seen_ms = seen_ms - 60000 WHERE name = 'a'");
    assert_int_equal(store_node_bury(rig->b, &dead), 0);
    assert_int_equal(store_slots_reclaim(rig->b, three_open, rig), 0);
    assert_int_equal(take(rig->b, 10, 0, 5), 0); /* it may have offered what it did not write */
    sql(rig, "UPDATE node SET seen_ms = seen_ms - 3600000 WHERE name = 'a'");
    assert_int_equal(store_slots_reclaim(rig->b, three_open, rig), 0);
    assert_int_equal(take(rig->b, 10, 0, 7), 7); /* three are open by its rows */
}

static int find_ghost(void *ctx, const struct store_node *node)
{
    if (strchr(node->name, '~') != NULL) *(struct store_node *)ctx = *node;
    return 0;
}

static void who_comes_back_from_the_dead_does_not_have_its_slots(void **state)
{
    struct rig *rig = *state;
    struct store_node ghost = {.id = 0};
    const uint32_t before = store_node_id(rig->a);
    assert_int_equal(take(rig->a, 6, 4, 2), 6);
    store_close(rig->a); /* killed: the folder is free, and nobody said that it ends */
    rig->a = open_node(rig, 0, "a");
    assert_int_not_equal(store_node_id(rig->a), before);
    assert_int_equal(take(rig->a, 6, 0, 5), 0);
    assert_int_equal(store_each_node(rig->b, find_ghost, &ghost), 0);
    assert_int_equal(ghost.id, before);
    assert_false(ghost.live);
    assert_int_equal(store_node_forget(rig->b, "a"), -MOLT_STATE);
    assert_int_equal(store_node_forget(rig->b, ghost.name), 0);
    assert_int_equal(take(rig->a, 6, 0, 5), 5);
}

/* ---- acknowledging ---- */

static void who_goes_by_older_rules_is_counted(void **state)
{
    struct rig *rig = *state;
    struct store_node_round round;
    uint32_t behind;
    assert_int_equal(store_node_round(rig->a, 7, 0, &round), 0);
    assert_int_equal(round.live, 2);
    assert_int_equal(store_node_round(rig->b, 6, 0, &round), 0);
    assert_int_equal(store_node_acknowledged(rig->a, 7, &behind), 0);
    assert_int_equal(behind, 1);
    sql(rig, "UPDATE node SET expires_ms = 1 WHERE name = 'b'");
    assert_int_equal(store_node_acknowledged(rig->a, 7, &behind), 0);
    assert_int_equal(behind, 0); /* it offers nothing any more */
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
        TEST(many_devices_are_put_together_at_once),
        TEST(each_hears_what_the_others_changed_and_nothing_twice),
        TEST(what_could_not_be_taken_comes_again),
        TEST(what_is_deleted_does_not_come_back_with_an_older_copy),
        TEST(the_dead_ones_results_become_rows),
        TEST(what_one_dead_appends_late_is_folded_too),
        TEST(one_end_is_one_line_whoever_concludes_it),
        TEST(one_leads_until_its_lease_is_over),
        TEST(slots_are_never_more_than_there_are),
        TEST(slots_of_a_dead_one_stay_taken_until_nothing_of_it_can_be_open),
        TEST(who_comes_back_from_the_dead_does_not_have_its_slots),
        TEST(who_goes_by_older_rules_is_counted),
        TEST(a_newer_one_changes_the_tables_under_those_that_can_go_on),
        TEST(an_older_one_is_not_started_on_newer_tables),
    };
    return cmocka_run_group_tests_name("store_nodes", tests, begin, end);
}
