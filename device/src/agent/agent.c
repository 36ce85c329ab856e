/* agent.c - the agent's one switch, and the reports of its caller.
 * Must never do more than one flash operation a step, nor wait. Tests: test/unit/agent_test.c. */
#include "agent.h"

#include <string.h>

#include "agent_parts.h"

#define RESTART_POLL_MS 1000u

int molt_agent_begin(struct molt_agent *agent, const struct molt_agent_config *config)
{
    if (config->slots == NULL || config->hash == NULL || config->url == NULL) return -MOLT_ARG;
    struct molt_url url;
    if (molt_url_parse(&url, config->url) != 0) return -MOLT_BAD_URL;
    memset(agent, 0, sizeof *agent);
    agent->config = config;
    return 0;
}

void agent_tell(struct molt_agent *agent, int reason)
{
    agent->last_reason = reason;
    if (agent->config->report != NULL) agent->config->report(agent->config->ctx, reason);
}

static void start_check(struct molt_agent *agent, uint64_t now_ms)
{
    agent->asked = false;
    agent->is_fs = false;
    agent->fs_name = 0;
    agent->detail_len = 0;
    agent->port_err = 0;
    agent_signed_reset(agent);
    int rc;
    enum agent_request request;
    switch (agent->config->source) {
    case MOLT_SOURCE_VERSION_FILE:
        rc = agent_version_begin(agent);
        request = REQUEST_VERSION;
        break;
    case MOLT_SOURCE_URL:
        rc = agent_url_begin(agent);
        request = REQUEST_IMAGE;
        if (agent->config->trust != NULL) {
            if (rc == 0) rc = agent_url_manifest(agent);
            request = REQUEST_MANIFEST;
        }
        break;
    default:
        rc = agent_checkin_begin(agent);
        request = REQUEST_CHECK_IN;
        break;
    }
    agent_request_start(agent, request, now_ms);
    if (rc < 0) agent_check_ended(agent, -rc, true, now_ms);
}

static void idle_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    agent_stale_watch(agent, now_ms);
    if (agent_trial_due(agent, now_ms)) return;
    uint64_t at_ms = agent->next_check_ms;
    if (agent->asked && agent->not_before_ms < at_ms) at_ms = agent->not_before_ms;
    if (now_ms >= at_ms) {
        start_check(agent, now_ms);
        return;
    }
    if (agent->on_trial && agent->trial_poll_ms < at_ms) at_ms = agent->trial_poll_ms;
    want->kind = MOLT_WANT_WAIT;
    want->until_ms = at_ms;
}

static void restart_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    const struct molt_agent_config *config = agent->config;
    if (config->may_restart == NULL || config->may_restart(config->ctx)) {
        want->kind = MOLT_WANT_RESTART;
        return;
    }
    want->kind = MOLT_WANT_WAIT;
    want->until_ms = now_ms + RESTART_POLL_MS;
}

void molt_agent_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    memset(want, 0, sizeof *want);
    want->kind = MOLT_WANT_STEP;
    if (agent->drop) {
        agent->drop = false;
        if (agent->open) {
            agent->open = false;
            want->kind = MOLT_WANT_CLOSE;
            return;
        }
    }
    if (agent_memory_save(agent)) return; /* before anything that builds on it */
    switch ((enum agent_state)agent->state) {
    case AGENT_BOOT:
    case AGENT_IDENTITY:
        agent_boot_step(agent, now_ms, want);
        break;
    case AGENT_FS:
        agent_fs_resume_step(agent, now_ms, want);
        break;
    case AGENT_IDLE:
        idle_step(agent, now_ms, want);
        break;
    case AGENT_CONNECT:
    case AGENT_SEND:
    case AGENT_RECEIVE:
    case AGENT_PAUSE:
    case AGENT_VERIFY:
        agent_fetch_step(agent, now_ms, want);
        break;
    case AGENT_CONFIRM:
    case AGENT_REJECT:
        agent_trial_step(agent, now_ms, want);
        break;
    case AGENT_RESTART:
        restart_step(agent, now_ms, want);
        break;
    }
}

void molt_agent_connected(struct molt_agent *agent)
{
    if (agent->state != AGENT_CONNECT) return;
    agent->open = true;
    agent->progressed = true;
    agent->work_fill = 0;
    agent->state = AGENT_SEND;
}

void molt_agent_sent(struct molt_agent *agent, size_t len)
{
    if (agent->state != AGENT_SEND || len > agent->work_fill - agent->sent) return;
    agent->progressed = len > 0;
    agent->sent += len;
}

void molt_agent_received(struct molt_agent *agent, const void *data, size_t len)
{
    if (agent->state != AGENT_RECEIVE || agent->in_len > 0) return;
    agent->progressed = len > 0;
    agent->in = data;
    agent->in_len = len;
}

void molt_agent_closed(struct molt_agent *agent)
{
    if (agent->state == AGENT_SEND) agent->fault = MOLT_CONNECTION_LOST;
    if (agent->state == AGENT_RECEIVE) agent->peer_closed = true;
}

void molt_agent_put_off(struct molt_agent *agent)
{
    if (agent->state == AGENT_CONNECT) agent->put_off = true;
}

void molt_agent_failed(struct molt_agent *agent, int reason)
{
    if (agent->state == AGENT_CONNECT || agent->state == AGENT_SEND || agent->state == AGENT_RECEIVE) {
        agent->fault = reason;
    }
}

void molt_agent_check_now(struct molt_agent *agent)
{
    agent->asked = true; /* and whoever waits for the next check sees that it comes sooner */
    if (agent->not_before_ms < agent->next_check_ms) agent->next_check_ms = agent->not_before_ms;
}
