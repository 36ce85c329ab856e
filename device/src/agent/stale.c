/* stale.c - the alarm of a device that hears of nothing newer for too long. It has no clock to trust, so it counts hours of
 * uptime since the last signed manifest that was newer than what it runs. Must never keep a device from asking or updating.
 * Tests: test/unit/agent_guard_test.c. */
#include "agent_parts.h"

#define HOUR_MS 3600000u
#define DAY_H   24u

static uint16_t *counted(struct molt_agent *agent)
{
    struct molt_keep *keep = agent->config->keep;
    return keep != NULL ? &keep->data.stale_hours : &agent->stale_hours;
}

void agent_stale_watch(struct molt_agent *agent, uint64_t now_ms)
{
    const uint32_t limit = agent->config->stale_h;
    if (limit == 0) return;
    if (agent->hour_ms == 0) agent->hour_ms = now_ms + HOUR_MS;
    if (now_ms < agent->hour_ms) return;
    uint64_t hours = 1 + (now_ms - agent->hour_ms) / HOUR_MS;
    uint32_t before = *counted(agent), after = before + (uint32_t)(hours < UINT16_MAX ? hours : UINT16_MAX);
    agent->hour_ms += hours * HOUR_MS;
    if (after > UINT16_MAX) after = UINT16_MAX;
    *counted(agent) = (uint16_t)after;
    bool new_day = before / DAY_H != after / DAY_H; /* a write to flash each day, not each hour */
    bool passed = before < limit && after >= limit;
    if (new_day || passed) agent_memory_changed(agent);
    if (!passed && !(new_day && after >= limit)) return;
    if (agent->result == 0)
        agent->result = MOLT_STALE; /* for the next check-in, when it has nothing else to say */
    agent_tell(agent, MOLT_STALE);
}

void agent_stale_reset(struct molt_agent *agent)
{
    if (*counted(agent) == 0) return;
    *counted(agent) = 0;
    agent_memory_changed(agent);
}
