/* trial.c - how the last boot stands, and what becomes of an image on trial: confirmed, or rejected.
 * Must never reject because the network was away. Tests: test/unit/agent_trial_test.c. */
#include "agent_parts.h"

#include <string.h>

#define POLL_MS        1000u
#define FLASH_RETRY_MS 60000u

static uint64_t confirm_ms(const struct molt_agent *agent)
{
    uint32_t s = agent->config->confirm_s > 0 ? agent->config->confirm_s : MOLT_CONFIRM_S;
    return (uint64_t)s * 1000u;
}

/* AGENT_BOOT and AGENT_IDENTITY. A flash that cannot be read is reported, and does not stop the updates. */
void agent_boot_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    struct molt_slots *slots = agent->config->slots;
    want->kind = MOLT_WANT_STEP;
    struct molt_keep *keep = agent->config->keep;
    if (keep != NULL && !keep->is_loaded) {
        if (molt_keep_load_step(keep) < 0) agent_tell(agent, MOLT_FLASH_READ);
        return;
    }
    if (agent->state == AGENT_BOOT) {
        agent_schedule_start(agent, now_ms);
        int rc = slots->ops->state(slots, &agent->boot);
        if (rc < 0) {
            memset(&agent->boot, 0, sizeof agent->boot);
            agent->result = -rc;
        }
        agent->on_trial = agent->boot.on_trial || agent->boot.trial_unprotected;
        if (agent->boot.has_failed && !agent->on_trial) {
            agent->result = MOLT_ROLLED_BACK;
            agent->has_result_digest = true;
            memcpy(agent->result_digest, agent->boot.failed_digest, MOLT_SHA256_LEN);
        }
        agent->state = AGENT_IDENTITY;
        return;
    }
    int rc = slots->ops->identity_step(slots, &agent->u.update.hash, agent->digest);
    if (rc == MOLT_MORE) return;
    agent->has_digest = rc == MOLT_DONE;
    agent_memory_look_back(agent);
    if (!agent->on_trial && agent_signed_raise(agent) < 0) agent_tell(agent, MOLT_SEQUENCE_STORE);
    bool goes_on = agent_fs_must_go_on(agent);
    agent->phase = goes_on ? MOLT_AGENT_STARTING : MOLT_AGENT_IDLE;
    agent->state = goes_on ? AGENT_FS : AGENT_IDLE;
}

static void go(struct molt_agent *agent, enum agent_state state)
{
    agent->state = (uint8_t)state;
    agent->phase = state == AGENT_CONFIRM ? MOLT_AGENT_CONFIRMING : MOLT_AGENT_REJECTING;
}

static enum molt_health health(const struct molt_agent *agent)
{
    if (agent->config->health != NULL) return agent->config->health(agent->config->ctx);
    return agent->answered ? MOLT_HEALTH_GOOD : MOLT_HEALTH_UNKNOWN;
}

bool agent_trial_due(struct molt_agent *agent, uint64_t now_ms)
{
    if (!agent->on_trial || now_ms < agent->trial_poll_ms) return false;
    agent->trial_poll_ms = now_ms + POLL_MS;
    enum molt_health now = health(agent);
    if (now == MOLT_HEALTH_GOOD) {
        go(agent, AGENT_CONFIRM);
        return true;
    }
    /* The deadline runs from the first answer: a server or network that is away says nothing of the image. */
    bool is_late = agent->answered && now_ms >= agent->answered_ms + confirm_ms(agent);
    if (now != MOLT_HEALTH_BAD && !is_late) return false;
    agent_tell(agent, now == MOLT_HEALTH_BAD ? MOLT_UNHEALTHY : MOLT_CONFIRM_TIMEOUT);
    if (agent->boot.can_roll_back) agent_memory_trial_ends(agent, false);
    go(agent, AGENT_REJECT);
    return true;
}

static void set_result(struct molt_agent *agent, int reason)
{
    agent->result = reason;
    agent->result_code = agent->config->version_code;
    agent->has_result_digest = agent->has_digest;
    memcpy(agent->result_digest, agent->digest, MOLT_SHA256_LEN);
}

/* The trial is over and this image stays. */
static void stay(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    set_result(agent, reason);
    agent_memory_trial_ends(agent, true);
    agent->on_trial = agent->boot.on_trial = agent->boot.trial_unprotected = false;
    agent->phase = MOLT_AGENT_IDLE;
    agent->state = AGENT_IDLE;
    agent->failures = 0;
    if (agent_signed_raise(agent) < 0)
        agent_tell(agent, MOLT_SEQUENCE_STORE); /* the next start tries again */
    agent_report_soon(agent, now_ms);
    agent_tell(agent, reason);
}

static void flash_failed(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    agent->port_err = agent->config->slots->port_err;
    agent->trial_poll_ms = now_ms + FLASH_RETRY_MS;
    agent->phase = MOLT_AGENT_IDLE;
    agent->state = AGENT_IDLE;
    agent_tell(agent, reason);
}

/* AGENT_CONFIRM and AGENT_REJECT. */
void agent_trial_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    struct molt_slots *slots = agent->config->slots;
    bool confirms = agent->state == AGENT_CONFIRM;
    int rc = confirms ? slots->ops->confirm_step(slots) : slots->ops->reject_step(slots);
    want->kind = MOLT_WANT_STEP;
    if (rc == MOLT_MORE) return;
    if (rc == MOLT_DONE && confirms) {
        stay(agent, agent->verdict != 0 ? agent->verdict : MOLT_CONFIRMED, now_ms);
    } else if (rc == MOLT_DONE) {
        agent->phase = MOLT_AGENT_RESTARTING;
        agent->state = AGENT_RESTART;
    } else if (rc == -MOLT_NO_ROLLBACK && !confirms) {
        /* Nothing to go back to: a bad image that can be replaced is better than one that cannot. */
        agent->verdict = agent->last_reason;
        go(agent, AGENT_CONFIRM);
    } else {
        flash_failed(agent, -rc, now_ms);
    }
}
