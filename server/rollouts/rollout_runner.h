/* rollout_runner.h - what moves rollouts while nobody looks: once a second their rules are judged over the counts, and
 * offers without a result in time are ended. One thread; the rules are rollout.h's. */
#ifndef MOLT_SERVER_ROLLOUT_RUNNER_H
#define MOLT_SERVER_ROLLOUT_RUNNER_H

#include "../decide/rules.h"
#include "../devices.h"

struct rollout_runner_parts {
    struct store *store;
    struct devices *devices;
    struct rules_holder *rules;
    void *ctx;
    void (*changed)(void *ctx); /* a rollout was changed in the store */
    /* Does this server judge for all? *epoch: of its lease "leader". NULL: it is the only one. */
    bool (*lead)(void *ctx, int64_t *epoch);
};

struct rollout_runner;

/* Starts the thread. 0 or -MOLT_NO_MEMORY. */
int rollout_runner_start(struct rollout_runner **out, const struct rollout_runner_parts *parts);
void rollout_runner_stop(struct rollout_runner *runner);

/* One round, as the thread does it: judges every rollout at now_ms; returns how many were changed in the store. A rollout
 * that someone else changes at the same moment is left to the next round. */
uint32_t rollout_runner_judge(const struct rollout_runner_parts *parts, int64_t now_ms);
/* Ends what timed out at now_ms. */
void rollout_runner_expire(const struct rollout_runner_parts *parts, int64_t now_ms);

#endif
