/* rollout_property_test.c - random histories of a small fleet: what the engine answers to every poll, its counts and the
 * course of its rollouts are those of the reference (rollout_reference.c). And three laws by themselves: a percentage
 * that grows only adds devices, a rollout that is paused offers nothing, no device gets what its rules forbid.
 * MOLT_SEED repeats a run; the seed is printed. HISTORIES is set by the build: few by default, 100000 for --full. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "molt_reason.h"
#include "property/rollout_reference.h"
#include "server/attempt/attempt.h"

#define STEPS 80

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static bool chance(uint32_t percent)
{
    return any(100) < percent;
}

/* The engine's side: devices, counts, and a snapshot made anew after every change. */
struct engine {
    struct world world;
    struct rules *rules;
    struct rollout_table *table;
    struct model_device devices[REF_DEVICES];
    int64_t now_ms;
};

struct run {
    struct engine engine;
    struct world ref_world;
    struct reference ref;
    uint64_t history;
    uint32_t offers, pauses, phases, timeouts, approvals, back;
};

static void rebuild(struct engine *e)
{
    rules_destroy(e->rules);
    e->rules = world_rules(&e->world);
    rules_count_by(e->rules, e->table);
}

static void random_rollout(struct world *world, int64_t release_id, int64_t now_ms)
{
    static const char *const filters[] = {"", "", "tag = red", "tag = blue"};
    struct model_rollout *r = world_rollout(world, release_id);
    r->phase_count = 1 + any(3);
    for (uint32_t i = 0; i < r->phase_count; i++) {
        r->phases[i].percent = chance(40) ? 10000 : any(10001);
        strcpy(r->phases[i].filter, filters[any(4)]);
    }
    if (chance(30)) strcpy(r->target, filters[any(4)]);
    if (chance(30)) r->start_ms = now_ms + any(5000);
    if (chance(20)) r->salt = 1 + any(3);
    if (chance(60)) r->success_count = 1 + any(3);
    r->success_percent = any(101);
    r->soak_s = any(3);
    if (chance(60)) r->error_count = 1 + any(4);
    r->error_percent = any(101);
    if (chance(70)) r->timeout_s = 1 + any(20);
    r->retries = any(3);
    r->retry_s = any(4);
    if (chance(40)) r->max_open = 1 + any(3);
    r->phase_since_ms = now_ms;
    if (chance(20)) r->downgrade = 1 + any(3);
    snprintf(r->created_by, sizeof r->created_by, "%s", chance(50) ? "anna" : "bert");
    if (world->products[0].approval && chance(60)) r->status = MODEL_ROLLOUT_WAITING;
    if (chance(20)) /* histories begin at 01:46:40 */
        snprintf(r->window, sizeof r->window, "01:%02u-01:%02u", 40 + any(20), 40 + any(20));
}

static void begin(struct run *run)
{
    struct engine *e = &run->engine;
    memset(&e->world, 0, sizeof e->world);
    memset(&run->ref, 0, sizeof run->ref);
    e->now_ms = 1000000000000LL;
    e->table = rollout_table_new();
    assert_non_null(e->table);
    world_product(&e->world, "lamp", 0);
    e->world.products[0].trust_unverified = chance(30);
    e->world.products[0].rollouts_only = chance(30);
    e->world.products[0].approval = chance(25);
    e->world.products[0].downgrade = any(4);
    for (uint32_t code = 1; code <= 3; code++) {
        struct model_release *release = world_release(&e->world, 1, code * 2);
        release->required = chance(15);
        world_image(&e->world, MOLT_CHIP_ESP32, 400000);
        if (chance(75)) random_rollout(&e->world, release->id, e->now_ms);
    }
    for (int d = 0; d < REF_DEVICES; d++) {
        struct model_device *device = &e->devices[d];
        memset(device, 0, sizeof *device);
        snprintf(device->id, sizeof device->id, "240ac4%06x", any(1 << 24));
        device->product_id = 1;
        device->chip = MOLT_CHIP_ESP32;
        device->chip_source = MODEL_CHIP_SAID;
        device->running_code = any(5) * 2; /* 8: never published */
        snprintf(device->tags, sizeof device->tags, "%s", chance(50) ? (chance(50) ? "red" : "blue") : "");
        memcpy(&run->ref.devices[d], device, sizeof *device);
    }
    memcpy(&run->ref_world, &e->world, sizeof e->world);
    run->ref.world = &run->ref_world;
    e->rules = NULL;
    rebuild(e);
}

static void end(struct run *run)
{
    rules_destroy(run->engine.rules);
    rollout_table_free(run->engine.table);
}

/* ---- the steps ---- */

static void visit_begin(struct engine *e, int d, struct rollout_mark *before)
{
    *before = rollout_mark_of(&e->devices[d]);
}

static void visit_end(struct engine *e, int d, const struct rollout_mark *before)
{
    const struct rollout_mark after = rollout_mark_of(&e->devices[d]);
    rollout_table_move(e->table, before, &after);
}

static const struct model_release *release_with_id(const struct world *world, int64_t id)
{
    return id != 0 ? &world->releases[id - 1] : NULL;
}

/* Nobody goes back against the rules, nor to what it runs already. */
static void check_direction(const struct run *run, const struct model_device *device,
                            const struct decision *decision)
{
    const struct world *world = &run->engine.world;
    enum model_downgrade rule = world->products[0].downgrade;
    if (decision->release->code > device->running_code) return;
    assert_true(decision->release->code < device->running_code);
    if (device->pinned_code != 0) {
        assert_true(rule == MODEL_DOWNGRADE_PINNED || rule == MODEL_DOWNGRADE_ALLOWED);
        return;
    }
    for (uint32_t i = 0; i < world->release_count; i++) {
        assert_false(world->releases[i].code == device->running_code && !world->releases[i].yanked);
        if (i < world->rollout_count && world->rollouts[i].release_id == decision->release->id &&
            world->rollouts[i].downgrade != MODEL_DOWNGRADE_DEFAULT)
            rule = world->rollouts[i].downgrade;
    }
    assert_int_equal(rule, MODEL_DOWNGRADE_ALLOWED);
}

/* What a rule forbids must never be offered, whatever the engine and the reference agree on. */
static void check_offer(const struct run *run, const struct model_device *device,
                        const struct decision *decision)
{
    const struct world *world = &run->engine.world;
    assert_false(world->products[0].stopped || device->held || decision->release->yanked);
    check_direction(run, device, decision);
    if (device->pinned_code != 0) {
        assert_int_equal(decision->release->code, device->pinned_code);
        assert_false(world->products[0].approval && decision->rollout != NULL);
        return;
    }
    const struct model_rollout *rollout = NULL;
    for (uint32_t i = 0; i < world->rollout_count; i++)
        if (world->rollouts[i].release_id == decision->release->id) rollout = &world->rollouts[i];
    if (rollout == NULL) {
        assert_false(world->products[0].rollouts_only || world->products[0].approval);
        return;
    }
    assert_true(rollout->status == MODEL_ROLLOUT_RUNNING || rollout->status == MODEL_ROLLOUT_DONE);
    assert_true(run->engine.now_ms >= rollout->start_ms);
    assert_true(device->rollout_failures <= rollout->retries);
}

static void poll(struct run *run, int d)
{
    struct engine *e = &run->engine;
    struct model_device *device = &e->devices[d], *twin = &run->ref.devices[d];
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP32, .boot = MOLT_BOOT_CONFIRMED};
    bool verified = chance(70), believed = verified || e->world.products[0].trust_unverified;
    const struct model_release *last = release_with_id(&run->ref_world, run->ref.offered_release[d]),
                               *release;
    bool has_offer = last != NULL && last->code != twin->running_code && run->ref.failed_release[d] == 0;
    run->ref.before_poll = run->ref.count;
    if (has_offer && chance(30)) { /* it installed it */
        twin->running_code = last->code;
        ref_report(&run->ref, d, true, believed, e->now_ms);
    } else if (has_offer && chance(30)) { /* it tried, and went back */
        said.result = MOLT_ROLLED_BACK;
        said.result_code = last->code;
        ref_report(&run->ref, d, false, believed, e->now_ms);
    }
    said.version_code = twin->running_code;
    ref_look(&run->ref, d, believed, e->now_ms);
    int expected = ref_decide(&run->ref, d, e->now_ms, &release);

    struct rollout_mark before;
    struct decision decision;
    visit_begin(e, d, &before);
    attempt_check_in(e->rules, NULL, device, &said, rules_product(e->rules, 1), verified, e->now_ms,
                     &decision);
    visit_end(e, d, &before);
    if (decision.reason != expected)
        fail_msg("history %llu: %s is answered %s, and not %s", (unsigned long long)run->history, device->id,
                 molt_reason_id(decision.reason), molt_reason_id(expected));
    if (expected != MOLT_OFFERED) return;
    assert_int_equal(decision.release->id, release->id);
    check_offer(run, device, &decision);
    ref_offer(&run->ref, d, release, e->now_ms);
    run->offers++;
    run->back += release->code < twin->running_code;
}

static void sweep(struct run *run)
{
    struct engine *e = &run->engine;
    for (int d = 0; d < REF_DEVICES; d++) {
        struct rollout_mark before;
        bool believed = e->devices[d].verified || e->world.products[0].trust_unverified;
        visit_begin(e, d, &before);
        rollout_settle(rules_rollout(e->rules, e->devices[d].rollout_id), &e->devices[d], believed,
                       e->now_ms);
        run->timeouts += before.open && e->devices[d].rollout_outcome == MODEL_OUTCOME_TIMED_OUT;
        visit_end(e, d, &before);
        ref_look(&run->ref, d, believed, e->now_ms);
    }
}

static void judge_all(struct run *run)
{
    struct engine *e = &run->engine;
    for (uint32_t i = 0; i < e->world.rollout_count; i++) {
        struct rollout_counts counts;
        struct model_rollout next;
        rollout_table_read(e->table, e->world.rollouts[i].id, &counts);
        if (rollout_judge(&e->world.rollouts[i], &counts, e->now_ms, &next)) {
            run->pauses += next.status == MODEL_ROLLOUT_PAUSED;
            run->phases += next.phase != e->world.rollouts[i].phase;
            e->world.rollouts[i] = next;
        }
        ref_judge(&run->ref, &run->ref_world.rollouts[i], e->now_ms);
    }
    rebuild(e);
}

static void approve(struct run *run)
{
    struct engine *e = &run->engine;
    const char *who = chance(50) ? "anna" : "bert";
    if (e->world.rollout_count == 0) return;
    uint32_t i = any(e->world.rollout_count);
    struct model_rollout next;
    bool done = rollout_approve(&e->world.rollouts[i], who, e->now_ms, &next) == 0;
    if (done) e->world.rollouts[i] = next;
    assert_int_equal(done, ref_approve(&run->ref_world.rollouts[i], who, e->now_ms));
    run->approvals += done;
    rebuild(e);
}

static void order(struct run *run)
{
    struct engine *e = &run->engine;
    if (e->world.rollout_count == 0) return;
    static const enum rollout_act acts[] = {ROLLOUT_PAUSE, ROLLOUT_RESUME, ROLLOUT_RESUME,
                                            ROLLOUT_NEXT,  ROLLOUT_NEXT,   ROLLOUT_ABORT};
    uint32_t i = any(e->world.rollout_count);
    enum rollout_act act = acts[any(chance(10) ? 6 : 5)];
    struct rollout_counts counts;
    struct model_rollout next;
    rollout_table_read(e->table, e->world.rollouts[i].id, &counts);
    bool done = rollout_act(&e->world.rollouts[i], &counts, act, e->now_ms, &next) == 0;
    if (done) e->world.rollouts[i] = next;
    assert_int_equal(done, ref_act(&run->ref, &run->ref_world.rollouts[i], act, e->now_ms));
    rebuild(e);
}

/* An operator sets something, in both worlds. */
static void set(struct run *run)
{
    struct engine *e = &run->engine;
    int d = (int)any(REF_DEVICES);
    struct model_device *device = &e->devices[d];
    uint32_t r = any(e->world.release_count), what = any(6);
    if (what == 0) device->held = chance(30);
    if (what == 1) device->pinned_code = chance(40) ? 2 * (1 + any(4)) : 0;
    if (what == 2) snprintf(device->tags, sizeof device->tags, "%s", chance(50) ? "red" : "blue");
    if (what == 3) e->world.products[0].stopped = chance(30);
    if (what == 4) e->world.releases[r].yanked = chance(30);
    if (what == 5) e->world.releases[r].required = chance(30);
    run->ref.devices[d].held = device->held;
    run->ref.devices[d].pinned_code = device->pinned_code;
    memcpy(run->ref.devices[d].tags, device->tags, sizeof device->tags);
    run->ref_world.products[0] = e->world.products[0];
    run->ref_world.releases[r].yanked = e->world.releases[r].yanked;
    run->ref_world.releases[r].required = e->world.releases[r].required;
    rebuild(e);
}

/* Of one server: what several share (leased, mine, slots) is not the reference's. */
static bool same_counts(const struct rollout_counts *a, const struct rollout_counts *b)
{
    return a->offered == b->offered && a->open == b->open && a->succeeded == b->succeeded &&
           a->presumed == b->presumed && a->failed == b->failed && a->last_success_ms == b->last_success_ms;
}

static void compare(struct run *run)
{
    struct engine *e = &run->engine;
    for (uint32_t i = 0; i < e->world.rollout_count; i++) {
        const struct model_rollout *a = &e->world.rollouts[i], *b = &run->ref_world.rollouts[i];
        struct rollout_counts is, should;
        rollout_table_read(e->table, a->id, &is);
        ref_counts(&run->ref, a->id, &should);
        if (!same_counts(&is, &should))
            fail_msg(
                "history %llu: rollout %lld: offered %u/%u open %u/%u good %u/%u bad %u/%u last %lld/%lld",
                (unsigned long long)run->history, (long long)a->id, is.offered, should.offered, is.open,
                should.open, is.succeeded, should.succeeded, is.failed, should.failed,
                (long long)is.last_success_ms, (long long)should.last_success_ms);
        if (a->status != b->status || a->phase != b->phase || a->phase_since_ms != b->phase_since_ms)
            fail_msg("history %llu: rollout %lld is %d in phase %u, and not %d in %u",
                     (unsigned long long)run->history, (long long)a->id, a->status, a->phase, b->status,
                     b->phase);
    }
}

static void step(struct run *run)
{
    uint32_t what = any(100);
    run->engine.now_ms += 1 + (any(4) == 0 ? any(20000) : any(700));
    if (chance(2)) run->engine.now_ms -= any(60000); /* a clock that is set back, or forth */
    if (chance(1)) run->engine.now_ms += any(600000);
    if (what < 70)
        poll(run, (int)any(REF_DEVICES));
    else if (what < 80)
        sweep(run);
    else if (what < 90)
        judge_all(run);
    else if (what < 92)
        order(run);
    else if (what < 95)
        approve(run);
    else
        set(run);
    compare(run);
}

static void every_history_is_answered_as_the_reference_answers_it(void **state)
{
    static struct run run;
    (void)state;
    for (run.history = 0; run.history < HISTORIES; run.history++) {
        begin(&run);
        for (int i = 0; i < STEPS; i++)
            step(&run);
        end(&run);
    }
    printf("%u offers, %u back, %u approvals, %u pauses, %u phases, %u timeouts\n", run.offers, run.back,
           run.approvals, run.pauses, run.phases, run.timeouts);
    /* the histories are about something */
    assert_true(run.offers > HISTORIES * 3 && run.pauses > HISTORIES / 20 && run.phases > HISTORIES / 20);
    assert_true(run.timeouts > HISTORIES / 20 && run.approvals > HISTORIES / 20 && run.back > HISTORIES / 20);
}

static void a_percentage_that_grows_only_adds_devices(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct model_rollout rollout = {
            .id = 1 + any(1000), .status = MODEL_ROLLOUT_RUNNING, .phase_count = 1};
        struct model_device device = {.product_id = 1};
        struct rollout_plan plan;
        const struct rollout_counts none = {0};
        snprintf(device.id, sizeof device.id, "%012llx", (unsigned long long)any(1u << 30));
        assert_true(rollout_compile(&plan, &rollout));
        bool in = false;
        for (uint32_t percent = 0; percent <= 10000; percent++) {
            struct rollout_answer answer = {.terse = false};
            rollout.phases[0].percent = percent;
            rollout_plan_free(&plan);
            assert_true(rollout_compile(&plan, &rollout));
            rollout_gate(&plan, &(struct filter_subject){&device, "lamp", 1}, &none, true, &answer);
            if (in) assert_int_equal(answer.reason, 0);
            in = answer.reason == 0;
        }
        assert_true(in); /* 100 % are all */
        rollout.phases[0].percent = 0;
        rollout_plan_free(&plan);
        assert_true(rollout_compile(&plan, &rollout));
        struct rollout_answer answer = {.terse = false};
        rollout_gate(&plan, &(struct filter_subject){&device, "lamp", 1}, &none, true, &answer);
        assert_int_equal(answer.reason, MOLT_NOT_IN_PHASE); /* 0 % are none */
        rollout_plan_free(&plan);
    }
}

int main(void)
{
    const char *given = getenv("MOLT_SEED");
    random_state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("MOLT_SEED=%llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_is_answered_as_the_reference_answers_it),
        cmocka_unit_test(a_percentage_that_grows_only_adds_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
