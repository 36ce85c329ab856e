/* fetch.c - one request and its answer: connect, send, receive, redirects, and what a status means.
 * Must never wait without an end. Tests: test/unit/agent_test.c. */
#include "agent_parts.h"

#include <string.h>

typedef char a_statement_fits[MOLT_STATEMENT_MAX <= MOLT_AGENT_WORK_LEN ? 1 : -1];

#define IDLE_MS        20000u   /* without any progress */
#define ASK_MS         60000u   /* for a whole check */
#define IMAGE_MS       3600000u /* for a whole image */
#define REDIRECTS_MAX  5u
#define VERIFY_POLL_MS 1000u /* while the product does not want a signature checked */

static void enter(struct molt_agent *agent, enum agent_state state, uint64_t now_ms)
{
    agent->state = (uint8_t)state;
    agent->until_ms = now_ms + IDLE_MS;
}

/* Makes the request's URL the one to connect to. */
static void connect_next(struct molt_agent *agent, uint64_t now_ms)
{
    agent->drop = true;
    agent->in_len = agent->body_len = 0;
    agent->peer_closed = false;
    agent->fault = 0;
    agent->work_fill = 0;
    enter(agent, AGENT_CONNECT, now_ms);
}

void agent_request_start(struct molt_agent *agent, enum agent_request request, uint64_t now_ms)
{
    agent->request = (uint8_t)request;
    agent->redirects = 0;
    agent->again_s = 0;
    agent->is_held = false;
    agent->http_status = 0;
    agent->is_installing = false;
    agent->request_end_ms = now_ms + (request == REQUEST_IMAGE ? IMAGE_MS : ASK_MS);
    agent->phase = request == REQUEST_IMAGE ? MOLT_AGENT_FETCHING : MOLT_AGENT_ASKING;
    connect_next(agent, now_ms);
}

/* The request failed for a positive reason. */
static void failed(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    bool is_lost = reason == MOLT_CONNECTION_LOST || reason == MOLT_TIMEOUT || reason == MOLT_CONNECT ||
                   reason == MOLT_DNS || reason == MOLT_TLS;
    if (is_lost && agent->is_installing && now_ms < agent->request_end_ms &&
        agent_install_resume(agent, reason, now_ms)) {
        return;
    }
    bool is_answer = !is_lost && agent->state != AGENT_CONNECT; /* and no connection that could not be made */
    if (is_answer && agent->is_installing) agent->fresh = true; /* what came may be what is wrong */
    bool has_offer = agent->request == REQUEST_MANIFEST && agent->config->source != MOLT_SOURCE_URL;
    if (agent->request == REQUEST_IMAGE || has_offer) {
        agent_attempt_ended(agent, reason, now_ms);
    } else {
        agent_check_ended(agent, reason, true, now_ms);
    }
}

/* ---- sending ---- */

static void want_connect(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    struct molt_url url;
    if (molt_url_parse(&url, agent->url) != 0) {
        failed(agent, MOLT_BAD_URL, now_ms);
        return;
    }
    memcpy(agent->work, url.host.at, url.host.len); /* free until the request is written */
    agent->work[url.host.len] = '\0';
    want->kind = MOLT_WANT_CONNECT;
    want->until_ms = agent->until_ms;
    want->host = agent->work;
    want->port = url.port;
    want->tls = url.tls;
}

static int write_plain(struct molt_agent *agent, const struct molt_url *url)
{
    struct molt_request request = {.url = url, .chip = molt_chip_name(agent->config->expect.chip)};
    size_t len;
    if (agent->is_installing) {
        request.range_from = agent->range_from;
        request.if_range = agent->etag[0] != '\0' ? agent->etag : NULL;
    }
    const struct molt_request_more more = {.method = MOLT_GET};
    int rc = molt_request_write_more(&request, &more, agent->work, sizeof agent->work, &len);
    return rc < 0 ? -MOLT_BAD_URL : (int)len;
}

static int write_request(struct molt_agent *agent)
{
    struct molt_url url;
    int rc = molt_url_parse(&url, agent->url);
    if (rc < 0) return rc;
    if (agent->request == REQUEST_CHECK_IN) return agent_checkin_write(agent, &url);
    if (agent->config->source == MOLT_SOURCE_URL && !agent->is_installing)
        return agent_url_write(agent, &url);
    return write_plain(agent, &url);
}

static void want_send(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    if (agent->work_fill == 0) {
        agent->range_from = agent->is_installing ? agent->u.update.received : 0;
        agent->body_at = agent->range_from;
        int len = write_request(agent);
        if (len < 0) {
            failed(agent, -len, now_ms);
            return;
        }
        agent->work_fill = (size_t)len;
        agent->sent = 0;
    }
    if (agent->sent < agent->work_fill) {
        want->kind = MOLT_WANT_SEND;
        want->until_ms = agent->until_ms;
        want->data = agent->work + agent->sent;
        want->len = agent->work_fill - agent->sent;
        return;
    }
    const struct molt_response_expect expect = {agent->range_from};
    molt_response_begin(&agent->response, &expect, agent->work, sizeof agent->work); /* the request is out */
    agent->work_fill = 0;
    enter(agent, AGENT_RECEIVE, now_ms);
}

/* ---- the answer ---- */

/* Returns 1 when a redirect was followed. */
static int redirect(struct molt_agent *agent, uint64_t now_ms)
{
    unsigned status = agent->response.status;
    bool is_post = agent->request == REQUEST_CHECK_IN;
    if (agent->work[0] == '\0' || (is_post && status == 303)) return -MOLT_REDIRECT_REFUSED;
    if (++agent->redirects > REDIRECTS_MAX) return -MOLT_REDIRECT_LOOP;
    int rc = molt_url_redirect(agent->url, sizeof agent->url, agent->work);
    if (rc < 0) return rc;
    connect_next(agent, now_ms);
    return 1;
}

static int status_reason(unsigned status)
{
    switch (status) {
    case 401:
    case 403:
        return MOLT_HTTP_FORBIDDEN;
    case 404:
        return MOLT_HTTP_NOT_FOUND;
    case 429:
    case 503:
        return MOLT_SERVER_BUSY;
    default:
        return MOLT_HTTP_STATUS;
    }
}

/* Returns 0 when the body is to be read, 1 when the request is over or another one began, or a failure. */
static int on_head(struct molt_agent *agent, uint64_t now_ms)
{
    const struct molt_response *response = &agent->response;
    unsigned status = response->status;
    agent->http_status = response->status;
    if (!agent->answered) agent->answered_ms = now_ms;
    agent->answered = true;
    if (response->has_retry_after && (status == 429 || status == 503)) {
        agent->again_s = response->retry_after_s;
        agent->is_held = true;
    }
    bool is_redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (is_redirect) return redirect(agent, now_ms);
    bool may_be_same = agent->request == REQUEST_IMAGE ||
                       (agent->request == REQUEST_MANIFEST && agent->config->source == MOLT_SOURCE_URL);
    if (status == 304 && may_be_same && !agent->is_installing) {
        if (agent->request == REQUEST_IMAGE && agent->config->source == MOLT_SOURCE_URL && !agent->is_fs)
            return agent_fs_ask_url(agent, now_ms);
        agent_check_ended(agent, MOLT_UP_TO_DATE, false, now_ms);
        return 1;
    }
    if (agent->request == REQUEST_MANIFEST && (status == 404 || status == 410)) return -MOLT_MANIFEST_MISSING;
    if (status != 200 && !(status == 206 && agent->is_installing)) return -status_reason(status);
    if (agent->request != REQUEST_IMAGE) return 0;
    if (agent->is_fs && agent->config->source == MOLT_SOURCE_URL) {
        int rc = agent_fs_url_head(agent, now_ms);
        if (rc != 0) return rc;
    }
    return agent_image_head(agent);
}

static int on_body(struct molt_agent *agent, const uint8_t *body, size_t len)
{
    if (agent->request == REQUEST_IMAGE) {
        agent->body = body;
        agent->body_len = len;
        return 0;
    }
    const size_t cap = agent->request == REQUEST_MANIFEST ? MOLT_STATEMENT_MAX : MOLT_CHECKIN_MAX;
    if (len > cap - agent->work_fill) { /* no answer of its kind is longer */
        if (agent->request == REQUEST_MANIFEST) return -MOLT_MANIFEST_MALFORMED;
        return agent->request == REQUEST_CHECK_IN ? -MOLT_CHECKIN_MALFORMED : -MOLT_VERSION_MALFORMED;
    }
    memcpy(agent->work + agent->work_fill, body, len);
    agent->work_fill += len;
    return 0;
}

static int on_done(struct molt_agent *agent, uint64_t now_ms)
{
    if (agent->request == REQUEST_CHECK_IN) return agent_checkin_done(agent, now_ms);
    if (agent->request == REQUEST_VERSION) return agent_version_done(agent, now_ms);
    if (agent->request == REQUEST_MANIFEST) {
        agent->drop = true; /* the connection's memory is free before the signature needs some */
        agent->state = AGENT_VERIFY;
        return 1;
    }
    return -MOLT_IMAGE_EMPTY; /* an image's answer that ended before the engine began */
}

/* Takes the next event from the bytes received. */
static int read_answer(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    const uint8_t *body;
    size_t len;
    int rc = molt_response_feed(&agent->response, &agent->in, &agent->in_len, &body, &len);
    if (rc == MOLT_HTTP_MORE && agent->peer_closed) rc = molt_response_end(&agent->response);
    if (rc == MOLT_HTTP_HEAD) return on_head(agent, now_ms);
    if (rc == MOLT_HTTP_BODY) return on_body(agent, body, len);
    if (rc == MOLT_HTTP_DONE) return on_done(agent, now_ms);
    if (rc == MOLT_HTTP_MORE) {
        want->kind = MOLT_WANT_RECEIVE;
        want->until_ms = agent->until_ms;
    }
    return rc;
}

static void receive_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    if (agent->request == REQUEST_IMAGE && (agent->is_installing || agent->body_len > 0)) {
        agent_install_step(agent, now_ms, want);
        if (want->kind != MOLT_WANT_RECEIVE) return;
        want->kind = MOLT_WANT_STEP; /* it needs bytes */
    }
    int rc = read_answer(agent, now_ms, want);
    if (rc < 0) failed(agent, -rc, now_ms);
}

static void verify_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    const struct molt_agent_config *config = agent->config;
    if (config->may_verify != NULL && !config->may_verify(config->ctx)) {
        want->kind = MOLT_WANT_WAIT;
        want->until_ms = now_ms + VERIFY_POLL_MS;
        return;
    }
    int rc = agent_manifest_verify(agent, now_ms);
    if (rc < 0) failed(agent, -rc, now_ms);
}

void agent_fetch_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    if (agent->fault != 0) {
        failed(agent, agent->fault, now_ms);
        return;
    }
    if (agent->state == AGENT_VERIFY) {
        verify_step(agent, now_ms, want);
        return;
    }
    if (agent->state == AGENT_PAUSE) {
        want->kind = MOLT_WANT_WAIT;
        want->until_ms = agent->until_ms;
        if (now_ms >= agent->until_ms) {
            want->kind = MOLT_WANT_STEP;
            connect_next(agent, now_ms);
        }
        return;
    }
    if (agent->put_off) { /* as if it were asked for only now */
        agent->put_off = false;
        agent->until_ms = now_ms + IDLE_MS;
        if (agent->request_end_ms < now_ms + ASK_MS) agent->request_end_ms = now_ms + ASK_MS;
    }
    if (agent->progressed || agent->in_len > 0 || agent->body_len > 0) agent->until_ms = now_ms + IDLE_MS;
    agent->progressed = false;
    bool is_busy = agent->is_installing && agent->u.update.received == agent->file_len;
    uint64_t end_ms = agent->until_ms < agent->request_end_ms ? agent->until_ms : agent->request_end_ms;
    if (now_ms >= end_ms && !is_busy) { /* the flash may take its time once all has come */
        failed(agent, MOLT_TIMEOUT, now_ms);
        return;
    }
    if (agent->state == AGENT_CONNECT) {
        want_connect(agent, now_ms, want);
    } else if (agent->state == AGENT_SEND) {
        want_send(agent, now_ms, want);
    } else {
        receive_step(agent, now_ms, want);
    }
}
