/* memory.c - what the agent remembers over restarts, in the keep store: what is being tried and how that ended, what
 * failed, what the server has not heard yet. An interrupted trial is not a failed one.
 * Must never forget a failure, nor call one what a power cut ended. Tests: test/unit/agent_keep_test.c. */
#include "agent_parts.h"

#include <string.h>

#define INTERRUPTIONS_MAX 3u

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, MOLT_SHA256_LEN) == 0;
}

bool agent_memory_refuses(const struct molt_agent *agent)
{
    const struct molt_keep *keep = agent->config->keep;
    if (keep == NULL) return false;
    return molt_keep_has_failed(keep, agent->offered_code,
                                agent->has_offer_digest ? agent->offer_digest : NULL);
}

/* What the server is to hear, as the agent has it. Only molt's hears: else each start would write it again, for ever. */
static void take_result(const struct molt_agent *agent, struct molt_keep_data *d)
{
    d->result = agent->config->source == MOLT_SOURCE_CHECK_IN ? (uint16_t)agent->result : 0;
    d->reported.code = agent->result_code;
    memset(d->reported.digest, 0, MOLT_SHA256_LEN);
    if (agent->has_result_digest) memcpy(d->reported.digest, agent->result_digest, MOLT_SHA256_LEN);
}

static void set_result(struct molt_agent *agent, int reason, const struct molt_keep_image *image)
{
    static const uint8_t none[MOLT_SHA256_LEN];
    agent->result = reason;
    agent->result_code = image->code;
    agent->has_result_digest = !same(image->digest, none);
    memcpy(agent->result_digest, image->digest, MOLT_SHA256_LEN);
}

void agent_memory_changed(struct molt_agent *agent)
{
    if (agent->config->keep != NULL) agent->unsaved = true;
}

bool agent_memory_save(struct molt_agent *agent)
{
    struct molt_keep *keep = agent->config->keep;
    if (!agent->unsaved) return false;
    if (!agent->saving) take_result(agent, &keep->data);
    agent->saving = true;
    int rc = molt_keep_save_step(keep);
    if (rc > 0) return true;
    agent->saving = agent->unsaved = false;
    agent->save_failed = rc < 0;
    if (rc < 0) agent->port_err = keep->port_err; /* what was there still is; a later change tries again */
    return false;
}

static int how_it_failed(const struct molt_agent *agent)
{
    if (agent->config->reset == MOLT_RESET_CRASH) return MOLT_CRASHED;
    return agent->config->reset == MOLT_RESET_WATCHDOG ? MOLT_HUNG : MOLT_ROLLED_BACK;
}

/* What was tried does not run. Did it fail, was it interrupted, or did it never start? */
static void judge_trial(struct molt_agent *agent, struct molt_keep *keep)
{
    struct molt_keep_data *d = &keep->data;
    d->trying = false;
    bool ran = agent->boot.has_failed && same(agent->boot.failed_digest, d->tried.digest);
    if (agent->boot.refused != 0) set_result(agent, agent->boot.refused, &d->tried);
    if (!ran) return; /* the commit or the confirmation was cut: it is as good as before */
    if (agent->config->reset == MOLT_RESET_POWER && d->interrupted < INTERRUPTIONS_MAX) {
        d->interrupted++;
        return;
    }
    molt_keep_add_failed(keep, &d->tried);
    set_result(agent, how_it_failed(agent), &d->tried);
}

void agent_memory_look_back(struct molt_agent *agent)
{
    struct molt_keep *keep = agent->config->keep;
    if (keep == NULL) return;
    struct molt_keep_data *d = &keep->data;
    bool runs = agent->has_digest && same(agent->digest, d->tried.digest);
    agent->result = 0;
    if (d->result != 0) set_result(agent, d->result, &d->reported);
    if (d->trying && runs &&
        !agent->on_trial) { /* confirmed, and cut before that was written down; or no trials here */
        set_result(agent, MOLT_CONFIRMED, &d->tried);
        d->trying = false;
    } else if (d->trying && !runs) {
        judge_trial(agent, keep);
    }
    /* the slots cannot tell interrupted from failed */
    if (agent->boot.has_failed && same(agent->boot.failed_digest, d->tried.digest) &&
        !molt_keep_has_failed(keep, 0, d->tried.digest)) {
        agent->boot.has_failed = false;
    }
    if (d->trying) d->boots++;
    if (d->trying || d->result != 0 || agent->result != 0) agent_memory_changed(agent);
}

int agent_memory_try(struct molt_agent *agent, const uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_keep *keep = agent->config->keep;
    struct molt_keep_data *d = &keep->data;
    if (molt_keep_has_failed(keep, 0, digest)) return -MOLT_FAILED_BEFORE;
    if (!same(d->tried.digest, digest)) {
        d->interrupted = 0;
        d->boots = 0;
    }
    d->tried.code = agent->offered_code;
    memcpy(d->tried.digest, digest, MOLT_SHA256_LEN);
    d->trying = true;
    agent_memory_changed(agent);
    return 0;
}

void agent_memory_trial_ends(struct molt_agent *agent, bool stays)
{
    struct molt_keep *keep = agent->config->keep;
    if (keep == NULL) return;
    struct molt_keep_data *d = &keep->data;
    if (!stays) {
        if (agent->has_digest) memcpy(d->tried.digest, agent->digest, MOLT_SHA256_LEN);
        d->tried.code = agent->config->version_code;
        molt_keep_add_failed(keep, &d->tried);
        set_result(agent, agent->last_reason, &d->tried); /* UNHEALTHY or CONFIRM_TIMEOUT: just told */
    }
    d->trying = false;
    agent_memory_changed(agent);
}
