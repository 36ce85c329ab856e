/* schedule.c - when to ask next: interval, jitter from the MAC, back-off, and what the server asked for.
 * Must never give a tight loop, whatever the server says. Tests: test/unit/agent_schedule_test.c. */
#include "agent_parts.h"

#define RETRY_S       60u              /* after the first failure; less when the interval is shorter */
#define BACKOFF_CAP_S (6u * 3600u)     /* longest back-off, unless the interval is longer */
#define TRIAL_CAP_S   300u             /* the same while a trial waits for the server */
#define SERVER_CAP_S  (7u * 24 * 3600) /* longest wait that a server may ask for */
#define DECENT_MS     5000u            /* between the end of a check and one that was asked for */

static uint32_t interval_s(const struct molt_agent *agent)
{
    return agent->config->interval_s > 0 ? agent->config->interval_s : MOLT_INTERVAL_S;
}

/* 0 to span - 1; 0 when span is 0. */
static uint32_t jitter(struct molt_agent *agent, uint32_t span)
{
    agent->random = agent->random * 1664525u + 1013904223u;
    return span == 0 ? 0 : (agent->random >> 8) % span;
}

void agent_schedule_start(struct molt_agent *agent, uint64_t now_ms)
{
    agent->random =
        2166136261u; /* FNV-1a over the MAC: devices of one fleet differ, each is the same every time */
    for (int i = 0; i < 6; i++)
        agent->random = (agent->random ^ agent->config->mac[i]) * 16777619u;
    agent->next_check_ms = now_ms + jitter(agent, agent->config->spread_s * 1000u);
}

/* What the server asked for in this check, 0 when nothing. */
static uint32_t asked_s(const struct molt_agent *agent)
{
    uint32_t s = agent->again_s;
    return s < SERVER_CAP_S ? s : SERVER_CAP_S;
}

static uint32_t backoff_s(struct molt_agent *agent)
{
    uint32_t base = interval_s(agent) < RETRY_S ? interval_s(agent) : RETRY_S;
    uint32_t cap = interval_s(agent) > BACKOFF_CAP_S ? interval_s(agent) : BACKOFF_CAP_S;
    if (agent->on_trial) cap = TRIAL_CAP_S;
    uint32_t doublings = agent->failures > 1 ? agent->failures - 1 : 0;
    uint32_t s = base;
    while (doublings-- > 0 && s < cap)
        s *= 2;
    return s < cap ? s : cap;
}

void agent_check_ended(struct molt_agent *agent, int reason, bool failed, uint64_t now_ms)
{
    uint32_t asked = asked_s(agent), s = asked > 0 ? asked : interval_s(agent);
    agent->failures = failed ? agent->failures + 1 : 0;
    if (failed && backoff_s(agent) > asked) s = backoff_s(agent);
    uint64_t least_ms = (uint64_t)s * 1000u, spread_ms = least_ms / 4;
    if (asked == 0 && !failed) least_ms -= spread_ms / 2; /* around the interval; else never too early */
    uint32_t span = spread_ms < UINT32_MAX >> 8 ? (uint32_t)spread_ms : UINT32_MAX >> 8;
    agent->next_check_ms = now_ms + least_ms + jitter(agent, span);
    uint32_t decent_ms = interval_s(agent) < DECENT_MS / 1000 ? interval_s(agent) * 1000 : DECENT_MS;
    agent->not_before_ms = now_ms + (agent->is_held && asked > 0 ? (uint64_t)asked * 1000u : decent_ms);
    agent->drop = true;
    agent->is_installing = false;
    agent->phase = MOLT_AGENT_IDLE;
    agent->state = AGENT_IDLE;
    agent_tell(agent, reason);
}

void agent_attempt_ended(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    agent->result = reason;
    agent->result_code = agent->is_fs ? 0 : agent->offered_code; /* of a file system its digest tells */
    agent->has_result_digest = agent->has_offer_digest;
    for (unsigned i = 0; i < MOLT_SHA256_LEN; i++)
        agent->result_digest[i] = agent->offer_digest[i];
    if (agent->config->source == MOLT_SOURCE_CHECK_IN) agent_memory_changed(agent);
    agent_check_ended(agent, reason, true, now_ms);
}

void agent_report_soon(struct molt_agent *agent, uint64_t now_ms)
{
    if (agent->config->source != MOLT_SOURCE_CHECK_IN) return;
    uint64_t soon_ms = now_ms + jitter(agent, agent->config->spread_s * 1000u);
    if (soon_ms < agent->not_before_ms) soon_ms = agent->not_before_ms;
    if (soon_ms < agent->next_check_ms) agent->next_check_ms = soon_ms;
}
