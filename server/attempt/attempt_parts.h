/* attempt_parts.h - shared by attempt.c (the calls of skins), attempt_learn.c (what a device says of itself) and
 * attempt_state.c (what became of its attempt). */
#ifndef MOLT_SERVER_ATTEMPT_PARTS_H
#define MOLT_SERVER_ATTEMPT_PARTS_H

#include "attempt.h"

/* What a request proves about the running image. */
enum attempt_evidence {
    ATTEMPT_SAYS_NOTHING, /* a bare poll, or headers without MD5, digest and version */
    ATTEMPT_SAYS_RUNNING, /* the device said what it runs; running_code is 0 when that is no published release */
};

/* Takes over what a stock client's request or a check-in says: client, chip, sizes, product, what runs. */
enum attempt_evidence attempt_learn(const struct rules *rules, struct model_device *device,
                                    const struct attempt_contact *contact);
void attempt_learn_check_in(const struct rules *rules, struct model_device *device,
                            const struct molt_checkin *said, const struct model_product *product);
const char *attempt_channel(const struct model_device *device);

/* ---- the states ---- */
/* The attempt gets this far. One that ends has a result by it, and so has one that is OFFERED again for a reason. */
void attempt_go(struct model_device *device, enum model_attempt state, int reason);
/* The result alone: UPDATED, PRESUMED, FAILED or ROLLED_BACK. */
void attempt_result(struct model_device *device, enum model_attempt result, int reason);
/* The release is announced to the device: a new attempt, or the same one goes on. */
void attempt_announce(struct model_device *device, const struct model_release *release, int64_t now_ms);
/* The device said what it runs: the attempt succeeded, or the device came back unchanged. */
void attempt_settle(const struct rules *rules, struct model_device *device, int64_t now_ms);
/* A device that cannot report polls after a complete download: it is believed to run the release. */
void attempt_presume(const struct rules *rules, struct model_device *device, int64_t now_ms);
/* The same, by what the device says it has; image: the one it means, NULL when that is not known. */
void attempt_presume_runs(struct model_device *device, const struct model_release *release,
                          const struct model_image *image, int64_t now_ms);
/* A device that cannot report asks for the image again: it does not run what it was believed to run. */
void attempt_unpresume(const struct rules *rules, struct model_device *device);
/* A molt device: boot state and the reported end of an attempt. */
void attempt_settle_check_in(const struct rules *rules, struct model_device *device,
                             const struct molt_checkin *said, int64_t now_ms);

/* ---- what the calls of attempt.c and attempt_ddi.c have in common ---- */
/* What may differ without being worth a write of its own does not count. */
enum devices_change attempt_changed(const struct model_device *before, const struct model_device *after);
/* What became of the last offer of a rollout, told by this request, or by the time that passed. */
void attempt_settle_rollout(const struct rules *rules, struct model_device *device, bool verified,
                            int64_t now_ms);
/* attempt_announce(), and the rollout's row. */
void attempt_announce_offer(struct model_device *device, const struct decision *decision, int64_t now_ms);
/* Writes the decision into the device's row. */
void attempt_record(struct model_device *device, const struct decision *decision,
                    enum model_component component, int64_t now_ms);
/* An emergency stop, a pause and an abort hold up what is on its way too. */
bool attempt_is_stopped(const struct rules *rules, const struct model_device *device,
                        const struct model_release *release);
/* The artifact that this device last began, for as long as nothing speaks against it. packs may be NULL. */
void attempt_carry_on(const struct rules *rules, const struct pack_table *packs,
                      const struct model_device *device, const uint8_t sha256[32], int64_t now_ms,
                      struct decision *out);

/* The artifact with that SHA-256 among the release's images; NULL when it is none of them. */
const struct model_artifact *attempt_find_artifact(const struct model_release *release,
                                                   const uint8_t sha256[32], const struct model_image **image,
                                                   enum molt_encoding *encoding);

#endif
