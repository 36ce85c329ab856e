/* merge_property_test.c - any copies of a device, in any order, any number of times: the same comes of it, and no end of an attempt is
 * lost. With a seed as argument: that one. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/merge.h"

#define ROUNDS 200000u

static uint64_t random_state;

static uint32_t pick(uint32_t count)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % count;
}

/* Few values of each field, so that orders meet. */
static struct model_device any_device(void)
{
    struct model_device d = {.id = "aa"};
    d.product_id = pick(3);
    d.held = pick(2);
    d.pinned_code = pick(2);
    d.settings_rev = pick(3);
    if (pick(2)) memcpy(d.tags, "roof", 5);
    d.chip = (enum molt_chip)pick(4);
    d.chip_source = (enum model_chip_source)pick(5);
    d.running_code = pick(3);
    d.verified = pick(2);
    d.last_reason_ms = pick(4);
    d.attempt = (enum model_attempt)pick(9);
    d.attempt_release_id = pick(3);
    d.attempt_sends = pick(2);
    d.attempt_no = pick(3);
    d.attempt_ms = pick(4);
    d.result = (enum model_attempt)pick(9);
    d.rollout_id = pick(3);
    d.rollout_open = pick(2);
    d.rollout_counts = pick(2);
    d.rollout_failures = pick(3);
    d.rollout_outcome = (enum model_outcome)pick(5);
    d.rollout_round = pick(3);
    d.rollout_ms = pick(4);
    d.rollout_node = pick(3);
    d.last_seen_ms = pick(4);
    if (pick(2)) memcpy(d.address, "10.0.0.1", 9);
    d.announced_ms = pick(4);
    d.first_seen_ms = pick(4);
    return d;
}

static void merges(struct model_device *out, const struct model_device *a, const struct model_device *b)
{
    *out = *a;
    merge_device(out, b);
}

static void same(const struct model_device *a, const struct model_device *b, const char *law, uint32_t round)
{
    if (memcmp(a, b, sizeof *a) != 0) fail_msg("%s does not hold in round %u", law, round);
}

static void the_order_of_copies_does_not_matter(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const struct model_device a = any_device(), b = any_device(), c = any_device();
        struct model_device ab, ba, ab_c, bc, a_bc, again;
        merges(&ab, &a, &b);
        merges(&ba, &b, &a);
        same(&ab, &ba, "a + b = b + a", round);
        merges(&ab_c, &ab, &c);
        merges(&bc, &b, &c);
        merges(&a_bc, &a, &bc);
        same(&ab_c, &a_bc, "(a + b) + c = a + (b + c)", round);
        merges(&again, &ab, &b);
        same(&again, &ab, "(a + b) + b = a + b", round);
    }
}

/* ---- servers that hear of each other late ---- */

#define SERVERS 3

/* What a server does with its copy: a few steps of an attempt and a rollout, by the rules that server/attempt/ and server/rollouts/rollout.c have. */
static void step(struct model_device *device, int64_t now_ms, uint32_t node, uint32_t *ends)
{
    struct model_device before = *device;
    switch (pick(5)) {
    case 0: /* a newer release is offered, or the same again */
        if (device->rollout_open) break;
        device->attempt = MODEL_ATTEMPT_OFFERED;
        device->attempt_release_id += pick(2);
        device->rollout_open = true;
        if (device->rollout_id != device->attempt_release_id) device->rollout_failures = 0;
        device->rollout_id = device->attempt_release_id;
        device->rollout_outcome = MODEL_OUTCOME_NONE;
        device->rollout_ms = now_ms;
        break;
    case 1:
        if (device->attempt == MODEL_ATTEMPT_OFFERED) device->attempt = MODEL_ATTEMPT_DOWNLOADING;
        break;
    case 2:
    case 3: /* a result */
        if (!device->rollout_open) break;
        device->attempt = pick(2) ? MODEL_ATTEMPT_UPDATED : MODEL_ATTEMPT_ROLLED_BACK;
        device->rollout_open = false;
        device->rollout_outcome =
            device->attempt == MODEL_ATTEMPT_UPDATED ? MODEL_OUTCOME_SUCCEEDED : MODEL_OUTCOME_FAILED;
        device->rollout_failures += device->rollout_outcome == MODEL_OUTCOME_FAILED;
        device->rollout_ms = now_ms;
        ++*ends;
        break;
    case 4:
        device->last_seen_ms = now_ms;
        break;
    }
    merge_stamp(&before, device, now_ms, node);
}

/* Once all have heard of all, all have the same; and of the last round of the rollout an end that anybody saw is there. */
static void servers_that_hear_of_each_other_agree(void **state)
{
    (void)state;
    uint32_t ends = 0;
    for (uint32_t round = 0; round < 2000; round++) {
        struct model_device copies[SERVERS], row = {.id = "aa", .product_id = 1};
        for (int i = 0; i < SERVERS; i++)
            copies[i] = row;
        uint32_t highest = 0;
        bool end_seen = false;
        for (int64_t now_ms = 1; now_ms < 40; now_ms++) {
            const uint32_t i = pick(SERVERS);
            step(&copies[i], now_ms, i + 1, &ends);
            if (copies[i].rollout_round > highest) end_seen = false;
            if (copies[i].rollout_round >= highest) {
                highest = copies[i].rollout_round;
                end_seen = end_seen || (copies[i].rollout_id != 0 && !copies[i].rollout_open);
            }
            if (pick(4) == 0) { /* it saves: the row and its copy are then the same */
                merge_device(&copies[i], &row);
                row = copies[i];
            }
        }
        for (int twice = 0; twice < 2; twice++)
            for (int i = 0; i < SERVERS; i++) {
                merge_device(&copies[i], &row);
                row = copies[i];
            }
        for (int i = 0; i < SERVERS; i++)
            same(&copies[i], &row, "all have the same", round);
        if (end_seen && row.rollout_open) fail_msg("an end was lost in round %u", round);
    }
    assert_true(ends > 1000); /* the test looks at something */
}

int main(int argc, char **argv)
{
    random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 88172645463325252u;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_copies_does_not_matter),
        cmocka_unit_test(servers_that_hear_of_each_other_agree),
    };
    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
