/* store_rollout_test.c - the store keeps rollouts, what operators say of devices, and the switches of products; a
 * database of version 2 keeps all it holds. */
#include "store_fixture.h"

static struct model_rollout rollout_of(int64_t release_id)
{
    struct model_rollout r = {.release_id = release_id,
                              .status = MODEL_ROLLOUT_RUNNING,
                              .phase_since_ms = 1,
                              .created_ms = 2,
                              .phase_succeeded = 14,
                              .start_ms = 3,
                              .salt = -4,
                              .success_count = 5,
                              .success_percent = 60,
                              .soak_s = 7,
                              .error_count = 8,
                              .error_percent = 9,
                              .timeout_s = 10,
                              .retries = 11,
                              .retry_s = 12,
                              .max_open = 13,
                              .presumed_counts = true,
                              .downgrade = MODEL_DOWNGRADE_ALLOWED,
                              .approved_ms = 15,
                              .phase_count = 2};
    SET_TEXT(r.window, "01:00-04:00");
    SET_TEXT(r.created_by, "token 0123456789ab");
    SET_TEXT(r.approved_by, "local user anna");
    SET_TEXT(r.target, "chip = esp8266");
    SET_TEXT(r.phases[0].filter, "tag = canary");
    r.phases[0].percent = 10000;
    r.phases[1].percent = 2500;
    return r;
}

static struct store_rules load(struct fixture *f)
{
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    return rules;
}

static void every_field_of_a_rollout_is_kept(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "x");
    struct model_rollout r = rollout_of(publish(f->store, "door", 1, &image));
    assert_int_equal(store_rollout_create(f->store, &r), 0);
    assert_true(r.id > 0 && r.product_id > 0);
    reopen(f);
    struct store_rules rules = load(f);
    assert_int_equal(rules.rollout_count, 1);
    assert_memory_equal(&rules.rollouts[0], &r, sizeof r);
    store_free_rules(&rules);
}

static void a_release_has_one_rollout_that_is_not_aborted(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "x");
    struct model_rollout r = rollout_of(publish(f->store, "door", 1, &image)), second = r, aborted;
    assert_int_equal(store_rollout_create(f->store, &r), 0);
    assert_int_equal(store_rollout_create(f->store, &second), -MOLT_STATE);
    aborted = r;
    aborted.status = MODEL_ROLLOUT_ABORTED;
    assert_int_equal(store_rollout_update(f->store, &r, &aborted), 0);
    assert_int_equal(store_rollout_create(f->store, &second), 0);
    second.release_id = 99;
    assert_int_equal(store_rollout_create(f->store, &second), -MOLT_NOT_FOUND);
    second.phase_count = 0;
    assert_int_equal(store_rollout_create(f->store, &second), -MOLT_ARG);
    struct store_rules rules = load(f);
    assert_int_equal(rules.rollout_count, 2);
    assert_true(rules.rollouts[0].id < rules.rollouts[1].id);
    store_free_rules(&rules);
}

static void a_rollout_changes_only_from_what_it_was_seen_to_be(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "x");
    struct model_rollout r = rollout_of(publish(f->store, "door", 1, &image)), paused = r, next = r;
    assert_int_equal(store_rollout_create(f->store, &r), 0);
    uint64_t before = generation(f->store);
    paused = next = r;
    paused.status = MODEL_ROLLOUT_PAUSED;
    SET_TEXT(paused.note, "3 of 10 failed");
    SET_TEXT(paused.approved_by, "token ba9876543210");
    paused.approved_ms = 99;
    next.phase = 1;
    next.phase_since_ms = 50;
    assert_int_equal(store_rollout_update(f->store, &r, &paused), 0);
    assert_true(generation(f->store) > before);
    assert_int_equal(store_rollout_update(f->store, &r, &next), -MOLT_STATE);
    struct store_rules rules = load(f);
    assert_memory_equal(&rules.rollouts[0], &paused, sizeof paused);
    store_free_rules(&rules);
}

static void switches_of_products_and_releases_are_kept(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "x");
    int64_t release = publish(f->store, "door", 1, &image);
    struct model_product product;
    assert_int_equal(store_product_find(f->store, "door", &product), 0);
    product.stopped = product.trust_unverified = product.approval = true;
    product.downgrade = MODEL_DOWNGRADE_PINNED;
    assert_int_equal(store_product_set(f->store, &product), 0);
    assert_int_equal(store_release_require(f->store, release, true), 0);
    assert_int_equal(store_release_require(f->store, 99, true), -MOLT_NOT_FOUND);
    struct store_rules rules = load(f);
    assert_true(rules.products[0].stopped && rules.products[0].trust_unverified);
    assert_false(rules.products[0].rollouts_only);
    assert_true(rules.products[0].approval && rules.products[0].downgrade == MODEL_DOWNGRADE_PINNED);
    assert_int_equal(store_product_find(f->store, "door", &product),
                     0); /* what is set next is set over this */
    assert_memory_equal(&product, &rules.products[0], sizeof product);
    assert_true(rules.releases[0].required);
    store_free_rules(&rules);
    product.id = 99;
    assert_int_equal(store_product_set(f->store, &product), -MOLT_NOT_FOUND);
}

static void a_database_of_version_2_keeps_all_it_holds(void **state)
{
    struct fixture *f = *state;
    struct model_device device = {.id = "aabbccddeeff", .running_code = 7, .verified = true}, back;
    struct model_image image = image_of(f->store, "x");
    publish(f->store, "door", 1, &image);
    assert_int_equal(store_save_devices(f->store, &device, 1), 0);
    store_close(f->store);
    run_sql(f, STORE_UNDO_3);
    assert_int_equal(fixture_open(f, false, NULL, 0), 0);
    assert_int_equal(store_device_get(f->store, device.id, &back), 0);
    assert_memory_equal(&back, &device, sizeof device);
    struct store_rules rules = load(f);
    assert_int_equal(rules.release_count, 1);
    assert_int_equal(rules.releases[0].code, 1);
    assert_false(rules.releases[0].required || rules.products[0].stopped);
    assert_int_equal(rules.rollout_count, 0);
    store_free_rules(&rules);
}

/* A database of version 6 whose rollout table knows no approval: everything is there after it was made anew. */
static void a_rollout_of_version_6_is_kept_with_its_phases(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "x");
    struct model_rollout r = rollout_of(publish(f->store, "door", 1, &image)), waiting = r;
    assert_int_equal(store_rollout_create(f->store, &r), 0);
    store_close(f->store);
    run_sql(f, STORE_UNDO_7);
    assert_int_equal(fixture_open(f, false, NULL, 0), 0);
    r.downgrade = MODEL_DOWNGRADE_DEFAULT;
    r.approved_ms = 0;
    memset(r.created_by, 0, sizeof r.created_by);
    memset(r.approved_by, 0, sizeof r.approved_by);
    struct store_rules rules = load(f);
    assert_int_equal(rules.rollout_count, 1);
    assert_memory_equal(&rules.rollouts[0], &r, sizeof r);
    assert_false(rules.products[0].approval);
    store_free_rules(&rules);
    waiting.release_id = publish(f->store, "door", 2, &image);
    waiting.status = MODEL_ROLLOUT_WAITING;
    assert_int_equal(store_rollout_create(f->store, &waiting), 0);
    assert_true(waiting.id > r.id);
    run_sql(f, "PRAGMA foreign_key_check; PRAGMA integrity_check");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_a_rollout_is_kept),
        TEST(a_release_has_one_rollout_that_is_not_aborted),
        TEST(a_rollout_changes_only_from_what_it_was_seen_to_be),
        TEST(switches_of_products_and_releases_are_kept),
    };
    const struct CMUnitTest of_sqlite[] = {
        TEST(a_rollout_of_version_6_is_kept_with_its_phases),
        TEST(a_database_of_version_2_keeps_all_it_holds),
    };
    return RUN_TESTS(tests, of_sqlite);
}
