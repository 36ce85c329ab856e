/* nodes_test.c - two servers in one process: what one does comes to the other, a server that was taken for dead comes back, and slots hold
 * whatever threads do. */
#include "postgres.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/store/clock.h"
#include "host/store/nodes.h"
#include "molt_reason.h"
#include "server/nodes.h"

#define CAP 5

struct server {
    struct temp_dir dir;
    struct store *store;
    struct devices *devices;
    struct rules_holder *rules;
    struct nodes *nodes;
};

static struct postgres cluster;

struct rig {
    struct temp_dir shared;
    char schema[16], url[320];
    struct server a, b;
    struct model_rollout rollout;
};

static struct rules *load(struct store *store)
{
    struct store_rules data;
    assert_int_equal(store_load_rules(store, &data), 0);
    struct rules *rules = rules_build(&data);
    assert_non_null(rules);
    return rules;
}

static bool load_rules(void *ctx, uint64_t *generation)
{
    struct server *server = ctx;
    struct rules *rules = load(server->store);
    *generation = rules->data.generation;
    rules_swap(server->rules, rules);
    return true;
}

static void start(struct rig *rig, struct server *server, const char *name)
{
    const struct store_place place = {.data_dir = server->dir.path,
                                      .url = rig->url,
                                      .create = true,
                                      .artifacts = rig->shared.path,
                                      .node = name};
    char err[256];
    if (store_open_place(&place, &server->store, err, sizeof err) != 0) fail_msg("%s", err);
    assert_int_equal(nodes_prepare(&server->nodes, server->store), 0);
    assert_int_equal(devices_open(&server->devices, server->store, NULL), 0);
    server->rules = rules_holder_new(load(server->store));
    const struct nodes_parts parts = {
        .devices = server->devices, .rules = server->rules, .load_rules = load_rules, .ctx = server};
    assert_int_equal(nodes_start(server->nodes, &parts), 0);
}

static void stop(struct server *server)
{
    nodes_stop(server->nodes);
    devices_close(server->devices);
    nodes_leave(server->nodes);
    rules_holder_free(server->rules);
    store_close(server->store);
}

static void make_rollout(struct rig *rig)
{
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    int64_t release = 0;
    assert_int_equal(store_artifact_put(rig->a.store, "image", 5, &image.raw), 0);
    assert_int_equal(store_publish(rig->a.store, "lamp", "1", 1, "stable", false, &image, &release), 0);
    rig->rollout = (struct model_rollout){
        .release_id = release, .status = MODEL_ROLLOUT_RUNNING, .max_open = CAP, .phase_count = 1};
    rig->rollout.phases[0].percent = 10000;
    assert_int_equal(store_rollout_create(rig->a.store, &rig->rollout), 0);
}

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

static int set_up(void **state)
{
    static int number;
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    snprintf(rig->schema, sizeof rig->schema, "nodes%d", ++number);
    postgres_url(&cluster, rig->schema, rig->url, sizeof rig->url);
    temp_dir_make(&rig->shared);
    temp_dir_make(&rig->a.dir);
    temp_dir_make(&rig->b.dir);
    start(rig, &rig->a, "a");
    make_rollout(rig);
    start(rig, &rig->b, "b");
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    stop(&rig->a);
    stop(&rig->b);
    temp_dir_remove(&rig->a.dir);
    temp_dir_remove(&rig->b.dir);
    temp_dir_remove(&rig->shared);
    free(rig);
    return 0;
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* ---- what visitors do ---- */

static enum devices_change change(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    device->running_code = *(const uint32_t *)ctx;
    return DEVICES_CHANGED;
}

static enum devices_change look(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    *(struct model_device *)ctx = *device;
    return DEVICES_UNCHANGED;
}

static void visit(struct server *server, const char *id, uint32_t code)
{
    assert_int_equal(devices_visit(server->devices, id, "unix", clock_now_ms(), change, &code), 0);
}

static void await_code(struct server *server, const char *id, uint32_t code)
{
    struct model_device device = {.running_code = 0};
    while (devices_peek(server->devices, id, look, &device) != 0 || device.running_code != code)
        pause_a_moment();
}

static void what_one_does_comes_to_the_other(void **state)
{
    struct rig *rig = *state;
    struct model_device device;
    visit(&rig->a, "dev", 3);
    await_code(&rig->b, "dev", 3);
    visit(&rig->b, "dev", 4);
    await_code(&rig->a, "dev", 4);
    const char ids[1][MODEL_ID_LEN] = {"dev"};
    assert_int_equal(devices_delete(rig->a.devices, ids, 1), 0);
    while (devices_peek(rig->b.devices, "dev", look, &device) == 0)
        pause_a_moment();
    assert_int_equal(store_device_get(rig->b.store, "dev", &device), -MOLT_NOT_FOUND);
    while (nodes_behind(rig->a.nodes) || nodes_behind(rig->b.nodes))
        pause_a_moment();
}

static void who_was_taken_for_dead_comes_back_with_what_it_knows(void **state)
{
    struct rig *rig = *state;
    struct store_node_round round;
    visit(&rig->a, "mine", 5);
    visit(&rig->b, "yours", 6);
    await_code(&rig->a, "yours", 6);
    postgres_run(
        &cluster, rig->schema,
        "UPDATE node SET epoch = 0, stamp = -1 WHERE name = 'a'; DELETE FROM device WHERE id = 'yours'");
    visit(&rig->a, "mine", 7);
    await_code(&rig->b, "mine", 7);
    struct model_device device;
    while (devices_peek(rig->a.devices, "yours", look, &device) == 0) /* it looked at everything anew */
        pause_a_moment();
    assert_int_equal(store_node_round(rig->a.store, 0, 0, &round), 0);
    assert_int_equal(round.live, 2);
}

/* ---- waiting for the others ---- */

struct waiter {
    struct server *server;
    uint64_t generation;
    _Atomic bool told;
    bool early, all;
};

static void *wait_for_all(void *ctx)
{
    struct waiter *waiter = ctx;
    waiter->all = nodes_wait(waiter->server->nodes, waiter->generation);
    waiter->early = !waiter->told;
    return NULL;
}

static void who_has_not_acknowledged_is_waited_for(void **state)
{
    struct rig *rig = *state;
    pthread_t thread;
    struct waiter waiter = {.server = &rig->a};
    struct store_rules rules;
    assert_int_equal(store_load_rules(rig->a.store, &rules), 0);
    waiter.generation = rules.generation;
    store_free_rules(&rules);
    postgres_run(
        &cluster, rig->schema, /* c lives, and goes by the rules that were first */
        "INSERT INTO node (name, instance, epoch, started_ms, seen_ms, expires_ms, generation, stamp,"
        " version, schema_version) SELECT 'c', 'c', 99, 0, 0, 9000000000000000, 1, 0, '',"
        " schema_version FROM meta");
    assert_int_equal(pthread_create(&thread, NULL, wait_for_all, &waiter), 0);
    for (int i = 0; i < 3; i++) { /* it has time to be wrong, and far less than it waits for the dead */
        postgres_run(&cluster, rig->schema, "SELECT 1");
        pause_a_moment();
    }
    waiter.told = true;
    postgres_run(&cluster, rig->schema,
                 "UPDATE node SET generation = (SELECT generation FROM meta) WHERE name = 'c'");
    pthread_join(thread, NULL);
    assert_false(waiter.early);
    assert_true(waiter.all);
}

/* ---- slots ---- */

struct asker {
    struct rig *rig;
    struct server *server;
    char name;
};

static enum devices_change open_or_not(void *ctx, struct model_device *device, bool is_new)
{
    struct asker *asker = ctx;
    struct rollout_counts counts;
    (void)is_new;
    rollout_table_read(devices_rollouts(asker->server->devices), asker->rig->rollout.id, &counts);
    device->last_reason = MOLT_OFFERED;
    if (counts.mine < counts.slots)
        rollout_offer(&asker->rig->rollout, device, clock_now_ms());
    else
        device->last_reason = MOLT_ROLLOUT_FULL;
    return DEVICES_CHANGED;
}

static void *ask_often(void *ctx)
{
    struct asker *asker = ctx;
    for (int i = 0; i < 300; i++) {
        char id[16];
        snprintf(id, sizeof id, "%c%d", asker->name, i);
        (void)devices_visit(asker->server->devices, id, "unix", clock_now_ms(), open_or_not, asker);
        if (i % 50 == 0) pause_a_moment();
    }
    return NULL;
}

static enum devices_change count_open(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    *(uint32_t *)ctx += device->rollout_open && device->rollout_node != 0;
    return DEVICES_UNCHANGED;
}

static enum devices_change close_open(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    if (!device->rollout_open) return DEVICES_UNCHANGED;
    device->rollout_open = false;
    device->rollout_outcome = MODEL_OUTCOME_SUCCEEDED;
    ++*(uint32_t *)ctx;
    return DEVICES_CHANGED;
}

static uint32_t mine(const struct server *server, int64_t rollout_id)
{
    struct rollout_counts counts;
    rollout_table_read(devices_rollouts(server->devices), rollout_id, &counts);
    return counts.mine;
}

/* Each server has shared slots, and gone by what came of it: its row of `slot` is a new one, twice. */
static void share_slots(const struct rig *rig)
{
    postgres_run(&cluster, rig->schema,
                 "DO $$ DECLARE from_here BIGINT; BEGIN FOR i IN 1..2 LOOP"
                 " from_here := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;"
                 " WHILE (SELECT count(*) FROM slot WHERE xmin::text::bigint >= from_here) < 2 LOOP"
                 " PERFORM pg_sleep(0.01); END LOOP; END LOOP; END $$");
}

static void slots_hold_whatever_threads_do(void **state)
{
    struct rig *rig = *state;
    const struct net everybody = {0};
    devices_limit(rig->a.devices, &everybody, 1, 1000000);
    devices_limit(rig->b.devices, &everybody, 1, 1000000);
    for (int full = 0;
         full < 2;) { /* all slots are in use at a time; and again after they were shared anew */
        struct asker askers[4] = {
            {rig, &rig->a, 'a'}, {rig, &rig->a, 'b'}, {rig, &rig->b, 'c'}, {rig, &rig->b, 'd'}};
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        const uint32_t open = mine(&rig->a, rig->rollout.id) + mine(&rig->b, rig->rollout.id);
        if (open > CAP) fail_msg("%u are open", open);
        if (open == CAP) full++;
        share_slots(rig);
    }
    uint32_t at_a = 0, closed = 0;
    while (at_a < CAP) { /* a hears of those of b */
        at_a = 0;
        devices_sweep(rig->a.devices, count_open, &at_a);
        pause_a_moment();
    }
    assert_int_equal(at_a, CAP);
    devices_sweep(rig->a.devices, close_open, &closed);
    while (mine(&rig->b, rig->rollout.id) > 0) /* b hears that its own are over */
        pause_a_moment();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_one_does_comes_to_the_other),
        TEST(who_was_taken_for_dead_comes_back_with_what_it_knows),
        TEST(who_has_not_acknowledged_is_waited_for),
        TEST(slots_hold_whatever_threads_do),
    };
    return cmocka_run_group_tests_name("nodes", tests, begin, end);
}
