/* node_leases_test.c - what several servers have one of: a name, the lead, a rollout's step, slots; and who is waited for. Two of them on one
 * PostgreSQL, by the store alone. */
#include "unit/nodes_rig.h"

/* ---- names ---- */

static void two_that_live_have_not_one_name(void **state)
{
    struct rig *rig = *state;
    sql(rig, "UPDATE node SET instance = 'of another folder', epoch = epoch + 1000 WHERE name = 'a'");
    assert_int_equal(store_node_join(rig->a), -MOLT_STATE);
    assert_non_null(strstr(store_error(rig->a), "another server is node a"));
    sql(rig, "UPDATE node SET expires_ms = 1 WHERE name = 'a'");
    assert_int_equal(store_node_join(rig->a), 0);
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

/* ---- a rollout's steps ---- */

static struct model_rollout rollout_of(struct store *store)
{
    struct store_rules rules;
    assert_int_equal(store_load_rules(store, &rules), 0);
    assert_int_equal(rules.rollout_count, 1);
    struct model_rollout rollout = rules.rollouts[0];
    store_free_rules(&rules);
    return rollout;
}

static void make_rollout(struct store *store)
{
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    struct model_rollout rollout = {.status = MODEL_ROLLOUT_RUNNING, .phase_count = 4};
    assert_int_equal(store_artifact_put(store, "image", 5, &image.raw), 0);
    assert_int_equal(store_publish(store, "lamp", "1", 1, "stable", false, &image, &rollout.release_id), 0);
    for (uint32_t i = 0; i < rollout.phase_count; i++)
        rollout.phases[i].percent = 10000;
    assert_int_equal(store_rollout_create(store, &rollout), 0);
}

static int next_phase(struct store *store, const struct model_rollout *was, int64_t epoch)
{
    struct model_rollout is = *was;
    is.phase++;
    is.phase_since_ms++;
    return store_rollout_advance(store, was, &is, "leader", epoch);
}

static void a_phase_begins_once_and_none_is_passed_over(void **state)
{
    struct rig *rig = *state;
    int64_t at_a, at_b;
    make_rollout(rig->a);
    const struct model_rollout first = rollout_of(rig->b);
    assert_int_equal(store_lease_take(rig->a, "leader", &at_a), 0);
    assert_int_equal(next_phase(rig->a, &first, at_a), 0);
    sql(rig, "UPDATE lease SET expires_ms = 1"); /* a is held up, and b has not heard of the phase */
    assert_int_equal(store_lease_take(rig->b, "leader", &at_b), 0);
    assert_int_equal(next_phase(rig->b, &first, at_b), -MOLT_STATE);
    const struct model_rollout second = rollout_of(rig->b);
    assert_int_equal(second.phase, 1);
    assert_int_equal(next_phase(rig->a, &second, at_a), -MOLT_STATE); /* a goes on, and led once */
    assert_int_equal(rollout_of(rig->b).phase, 1);
    assert_int_equal(next_phase(rig->b, &second, at_b), 0);
    assert_int_equal(rollout_of(rig->a).phase, 2);
}

/* ---- slots ---- */

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

/* ---- trying again ---- */

/* The first three of them lose against another transaction, as it were. */
static void lose_three_times(const struct rig *rig, const char *state)
{
    char text[512];
    snprintf(text, sizeof text,
             "DROP SEQUENCE IF EXISTS lost; CREATE SEQUENCE lost; CREATE OR REPLACE FUNCTION lose() RETURNS"
             " trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('lost') <= 3 THEN RAISE EXCEPTION 'lost'"
             " USING ERRCODE = '%s'; END IF; RETURN NEW; END $$;"
             " CREATE OR REPLACE TRIGGER lose BEFORE INSERT OR UPDATE ON device FOR EACH ROW"
             " EXECUTE FUNCTION lose()",
             state);
    sql(rig, text);
}

static void what_lost_against_another_is_tried_again(void **state)
{
    struct rig *rig = *state;
    struct model_device device = {.first_seen_ms = 100, .last_seen_ms = 100};
    bool gone;
    snprintf(device.id, sizeof device.id, "dev");
    lose_three_times(rig, "40001");
    assert_int_equal(store_merge_devices(rig->a, &device, &gone, 1), 0);
    lose_three_times(rig, "40P01");
    device.last_seen_ms = 200;
    assert_int_equal(store_merge_devices(rig->a, &device, &gone, 1), 0);
    assert_int_equal(store_device_get(rig->b, "dev", &device), 0);
    assert_int_equal(device.last_seen_ms, 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(two_that_live_have_not_one_name),
        TEST(one_leads_until_its_lease_is_over),
        TEST(a_phase_begins_once_and_none_is_passed_over),
        TEST(slots_are_never_more_than_there_are),
        TEST(slots_of_a_dead_one_stay_taken_until_nothing_of_it_can_be_open),
        TEST(who_comes_back_from_the_dead_does_not_have_its_slots),
        TEST(who_goes_by_older_rules_is_counted),
        TEST(what_lost_against_another_is_tried_again),
    };
    return cmocka_run_group_tests_name("node_leases", tests, begin, end);
}
