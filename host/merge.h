/* merge.h - copies of one device that several servers have, put together. A device is a join of groups, each with an order of its
 * own in which the greater one wins whole:
 *
 *   settings     what operators say: settings_rev, then the values themselves
 *   chip         settings_rev, how sure it is (set, said, by digest, assumed), then the value
 *   facts        what the device said and was last told: last_reason_ms, then the bytes
 *   attempt      attempt_no, ended before open, attempt_ms, then the bytes
 *   rollout      rollout_round, ended before open, success before all else, failures, rollout_ms, then the bytes
 *   sightings    last_seen_ms with its address, announced_ms, the earliest first_seen_ms
 *
 * So the merge is commutative, associative and idempotent whatever the copies hold, and never loses the end of an attempt to an
 * older picture of it. The clock is the database's (host/store/clock.h). Source of the orders: doc/store.md, "Several servers".
 * Tests: test/property/merge_property_test.c, test/unit/merge_test.c. */
#ifndef MOLT_HOST_MERGE_H
#define MOLT_HOST_MERGE_H

#include "model.h"

/* Takes from other what is greater there. Both are of the same id; what is not stored (polled, ended, attempt_from) stays. */
void merge_device(struct model_device *device, const struct model_device *other);

/* After a merge: servers agree on the time to some milliseconds only, so what one told a device just before it reported to another may look
 * like the later word of the two. What an update that ended proves to run, runs until MERGE_SKEW_MS later: no device starts another image in so
 * short a time. Changes the facts, with an order above both copies'; the same on every server. */
#define MERGE_SKEW_MS 1000
void merge_settle(struct model_device *device);

/* After a change on one of several servers: moves the orders of those groups that differ from before, so that the change wins over
 * every copy made until now. now_ms: by the database's clock. node: this server's number, which an offer that was opened gets. */
void merge_stamp(const struct model_device *before, struct model_device *after, int64_t now_ms,
                 uint32_t node);

/* Names the end that the device's attempt has come to, wherever it is concluded: struct model_attempt_end.once. */
int64_t merge_once(const struct model_device *device, const struct model_attempt_end *end);

#endif
