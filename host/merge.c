/* merge.c - puts copies of a device together (merge.h). Pure. Must never lose the end of an attempt, nor what an operator said, to an
 * older copy. Tests: test/property/merge_property_test.c, test/unit/merge_test.c. */
#include "merge.h"

#include <stddef.h>
#include <string.h>

struct field {
    size_t at, size;
};

/* clang-format off */
#define AS_FIELD(name) {offsetof(struct model_device, name), sizeof(((struct model_device *)NULL)->name)},
#define SETTINGS(F) F(product_id) F(channel) F(held) F(pinned_code) F(group_name) F(tags) F(attributes)
#define FACTS(F) \
    F(verified) F(gz_refused) F(gz_proven) F(molt_boot) F(client) F(flash_size) F(fs_start) F(slot_size) \
    F(sketch_size) F(free_space) F(core) F(can) F(gzip_window) F(running_code) F(running_version) F(has_digest) \
    F(digest) F(last_reason) F(last_detail) F(fs_sha256) F(fs_sends)
#define ATTEMPT(F) \
    F(attempt) F(attempt_release_id) F(attempt_sha256) F(attempt_sends) F(attempt_bytes) F(announced_code) \
    F(attempt_reason) F(result) F(result_reason) F(result_release_id)
#define ROLLOUT(F) F(rollout_id) F(rollout_open) F(rollout_counts) F(rollout_failures) F(rollout_outcome)
/* clang-format on */

static const struct field settings[] = {SETTINGS(AS_FIELD)};
static const struct field facts[] = {FACTS(AS_FIELD)};
static const struct field attempt[] = {ATTEMPT(AS_FIELD)};
static const struct field rollout[] = {ROLLOUT(AS_FIELD)};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t *field_of(const struct model_device *device, const struct field *field)
{
    return (const uint8_t *)device + field->at;
}

/* By the bytes, which means nothing, but is the same everywhere. A text ends at its NUL, and has zeros behind it. */
static int compare(const struct model_device *a, const struct model_device *b, const struct field *fields,
                   size_t count)
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < count; i++)
        order = memcmp(field_of(a, &fields[i]), field_of(b, &fields[i]), fields[i].size);
    return order;
}

static void copy(struct model_device *to, const struct model_device *from, const struct field *fields,
                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy((uint8_t *)to + fields[i].at, field_of(from, &fields[i]), fields[i].size);
}

static int by_number(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* ---- the orders; positive: a is the greater one ---- */

static int order_settings(const struct model_device *a, const struct model_device *b)
{
    int order = by_number(a->settings_rev, b->settings_rev);
    if (order == 0) order = by_number(a->product_id, b->product_id); /* in a product before in none */
    if (order == 0) order = by_number(a->held, b->held);
    return order != 0 ? order : compare(a, b, settings, COUNT(settings));
}

/* How sure the chip is. Not by time: that is another group's, and a copy would then depend on the way it came. */
static int chip_rank(const struct model_device *device)
{
    static const int ranks[] = {[MODEL_CHIP_NOT_KNOWN] = 0,
                                [MODEL_CHIP_ASSUMED] = 1,
                                [MODEL_CHIP_DIGEST] = 2,
                                [MODEL_CHIP_SAID] = 3,
                                [MODEL_CHIP_SET] = 4};
    return (size_t)device->chip_source < COUNT(ranks) ? ranks[device->chip_source] : 0;
}

static int order_chip(const struct model_device *a, const struct model_device *b)
{
    int order = by_number(a->settings_rev, b->settings_rev);
    if (order == 0) order = chip_rank(a) - chip_rank(b);
    if (order == 0) order = by_number((int64_t)a->chip, (int64_t)b->chip);
    return order != 0 ? order : by_number((int64_t)a->chip_source, (int64_t)b->chip_source);
}

static int order_facts(const struct model_device *a, const struct model_device *b)
{
    int order = by_number(a->last_reason_ms, b->last_reason_ms);
    return order != 0 ? order : compare(a, b, facts, COUNT(facts));
}

/* By what the device said or did, and nothing that it does now may change it. */
static bool attempt_ended(const struct model_device *device)
{
    return device->attempt == MODEL_ATTEMPT_UPDATED || device->attempt == MODEL_ATTEMPT_FAILED ||
           device->attempt == MODEL_ATTEMPT_ROLLED_BACK;
}

static int order_attempt(const struct model_device *a, const struct model_device *b)
{
    int order = by_number(a->attempt_no, b->attempt_no);
    if (order == 0) order = by_number(attempt_ended(a), attempt_ended(b));
    if (order == 0) order = by_number(a->attempt_ms, b->attempt_ms);
    return order != 0 ? order : compare(a, b, attempt, COUNT(attempt));
}

static bool rollout_ended(const struct model_device *device)
{
    return device->rollout_id != 0 && !device->rollout_open;
}

static int order_rollout(const struct model_device *a, const struct model_device *b)
{
    int order = by_number(a->rollout_round, b->rollout_round);
    if (order == 0) order = by_number(rollout_ended(a), rollout_ended(b));
    if (order == 0)
        order = by_number(a->rollout_outcome == MODEL_OUTCOME_SUCCEEDED,
                          b->rollout_outcome == MODEL_OUTCOME_SUCCEEDED);
    if (order == 0) order = by_number(a->rollout_failures, b->rollout_failures);
    if (order == 0) order = by_number(a->rollout_ms, b->rollout_ms);
    if (order == 0) order = by_number(a->rollout_node, b->rollout_node);
    return order != 0 ? order : compare(a, b, rollout, COUNT(rollout));
}

/* ---- together ---- */

static void merge_sightings(struct model_device *device, const struct model_device *other)
{
    int order = by_number(other->last_seen_ms, device->last_seen_ms);
    if (order == 0) order = memcmp(other->address, device->address, sizeof device->address);
    if (order > 0) {
        device->last_seen_ms = other->last_seen_ms;
        memcpy(device->address, other->address, sizeof device->address);
    }
    if (other->announced_ms > device->announced_ms) device->announced_ms = other->announced_ms;
    const bool earlier = other->first_seen_ms != 0 &&
                         (device->first_seen_ms == 0 || other->first_seen_ms < device->first_seen_ms);
    if (earlier) device->first_seen_ms = other->first_seen_ms;
}

void merge_device(struct model_device *device, const struct model_device *other)
{
    /* all orders first: they look at each other's fields */
    const bool takes_settings = order_settings(other, device) > 0, takes_chip = order_chip(other, device) > 0;
    const bool takes_facts = order_facts(other, device) > 0, takes_attempt = order_attempt(other, device) > 0;
    const bool takes_rollout = order_rollout(other, device) > 0;
    if (takes_chip) {
        device->chip = other->chip;
        device->chip_source = other->chip_source;
    }
    if (takes_settings) copy(device, other, settings, COUNT(settings));
    if (takes_facts) copy(device, other, facts, COUNT(facts));
    if (takes_attempt) copy(device, other, attempt, COUNT(attempt));
    if (takes_rollout) copy(device, other, rollout, COUNT(rollout));
    if (takes_settings) device->settings_rev = other->settings_rev;
    if (takes_facts) device->last_reason_ms = other->last_reason_ms;
    if (takes_attempt) device->attempt_no = other->attempt_no, device->attempt_ms = other->attempt_ms;
    if (takes_rollout) {
        device->rollout_round = other->rollout_round;
        device->rollout_ms = other->rollout_ms;
        device->rollout_node = other->rollout_node;
    }
    merge_sightings(device, other);
}

void merge_settle(struct model_device *device)
{
    const int64_t since_ms = device->last_reason_ms - device->attempt_ms;
    if (device->attempt != MODEL_ATTEMPT_UPDATED || since_ms < 0 || since_ms > MERGE_SKEW_MS) return;
    if (device->announced_code == 0 || device->announced_code == device->running_code) return;
    device->running_code = device->announced_code;
    memset(device->running_version, 0,
           sizeof device->running_version); /* it says so itself when it next asks */
    memset(device->digest, 0, sizeof device->digest);
    device->has_digest = false;
    device->last_reason = device->result_reason;
    device->last_reason_ms++;
}

/* ---- a change ---- */

static int64_t later(int64_t before_ms, int64_t now_ms)
{
    return now_ms > before_ms ? now_ms : before_ms + 1;
}

static void stamp_attempt(const struct model_device *before, struct model_device *after, int64_t now_ms)
{
    if (compare(before, after, attempt, COUNT(attempt)) == 0) return;
    const bool again = attempt_ended(before) && !attempt_ended(after);
    if (again || before->attempt_release_id != after->attempt_release_id) after->attempt_no++;
    after->attempt_ms = later(before->attempt_ms, now_ms);
}

static void stamp_rollout(const struct model_device *before, struct model_device *after, int64_t now_ms,
                          uint32_t node)
{
    const bool other = before->rollout_id != after->rollout_id;
    const bool opened = after->rollout_open && (other || !before->rollout_open);
    if (compare(before, after, rollout, COUNT(rollout)) == 0) return;
    if (other || after->rollout_failures < before->rollout_failures || (opened && rollout_ended(before)))
        after->rollout_round++;
    if (opened) after->rollout_node = node;
    if (!after->rollout_open && after->rollout_ms == before->rollout_ms)
        after->rollout_ms = later(before->rollout_ms, now_ms);
}

void merge_stamp(const struct model_device *before, struct model_device *after, int64_t now_ms, uint32_t node)
{
    const bool learned = compare(before, after, facts, COUNT(facts)) != 0 || before->chip != after->chip ||
                         before->chip_source != after->chip_source;
    if (learned && after->last_reason_ms <= before->last_reason_ms)
        after->last_reason_ms = later(before->last_reason_ms, now_ms);
    stamp_attempt(before, after, now_ms);
    stamp_rollout(before, after, now_ms, node);
}

int64_t merge_once(const struct model_device *device, const struct model_attempt_end *end)
{
    const bool good = end->result == MODEL_ATTEMPT_UPDATED || end->result == MODEL_ATTEMPT_PRESUMED;
    const int64_t reason = good ? 0 : end->reason & 0xFFF; /* how it is known to be good does not matter */
    return ((int64_t)device->attempt_no + 1) << 16 | (int64_t)end->result << 12 | reason;
}
