/* install.c - the offered image: whether it is fetched at all, its bytes into the engine, and going on
 * after a lost connection. Must never feed the engine bytes of another file.
 * Tests: test/unit/agent_test.c. */
#include "agent_parts.h"

#include <string.h>

#define RESUMES_MAX  5u /* lost connections in a row without a new byte */
#define RESUME_MS    1000u
#define GZIP_MAGIC_0 0x1Fu

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, MOLT_SHA256_LEN) == 0;
}

/* Why what is offered must not be fetched, 0 when it may. */
static int refusal(const struct molt_agent *agent)
{
    const struct molt_agent_config *config = agent->config;
    if (agent->is_fs) return agent_fs_refusal(agent);
    if (agent->on_trial) return MOLT_TRIAL_PENDING;
    if (agent->has_offer_digest) {
        if (agent->boot.has_failed && same(agent->offer_digest, agent->boot.failed_digest))
            return MOLT_FAILED_BEFORE;
        if (agent->has_digest && same(agent->offer_digest, agent->digest)) return MOLT_SAME_DIGEST;
    }
    if (agent_memory_refuses(agent)) return MOLT_FAILED_BEFORE;
    if (agent->offered_code != 0 && agent->offered_code == agent->refused_code) return agent->refused_reason;
    if (config->may_install != NULL && !config->may_install(config->ctx, agent->offered_code))
        return MOLT_NOT_NOW;
    return 0;
}

/* Ends the attempt for a refusal. The trial and the product's "not now" are no failures. */
static void refuse(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    if (reason == MOLT_TRIAL_PENDING || reason == MOLT_NOT_NOW || reason == MOLT_UP_TO_DATE) {
        agent_check_ended(agent, reason, false, now_ms);
    } else {
        agent_attempt_ended(agent, reason, now_ms);
    }
}

int agent_image_offered(struct molt_agent *agent, uint64_t now_ms)
{
    int reason = refusal(agent);
    if (reason != 0) {
        refuse(agent, reason, now_ms);
        return 1;
    }
    if (agent->config->trust != NULL) return agent_signed_fetch(agent, now_ms);
    agent_image_fetch(agent, now_ms);
    return 1;
}

void agent_image_fetch(struct molt_agent *agent, uint64_t now_ms)
{
    agent->etag[0] = '\0';
    agent->resumes = 0;
    agent->received = 0;
    agent->resumed_at = 0;
    agent_request_start(agent, REQUEST_IMAGE, now_ms);
}

/* The head of a 200, or of a 206 that goes on. */
int agent_image_head(struct molt_agent *agent)
{
    const struct molt_response *response = &agent->response;
    if (!response->has_length) return -MOLT_HTTP_NO_LENGTH;
    bool is_same = response->length == agent->file_len && strcmp(response->etag, agent->etag) == 0;
    if (agent->is_installing && response->status == 200) {
        if (is_same && agent->range_from == 0) return 0;
        agent->fresh =
            agent->range_from > 0; /* the file is another one now, or no ranges here: never append */
        agent->is_installing = false;
        agent->body_at = 0;
    }
    if (agent->is_installing) {
        bool is_other = response->etag[0] != '\0' && strcmp(response->etag, agent->etag) != 0;
        if (is_other && agent->etag[0] != '\0') return -MOLT_HTTP_RANGE; /* If-Range was not obeyed */
        if (response->length != agent->file_len - agent->u.update.received) return -MOLT_LENGTH_MISMATCH;
        if (response->total != 0 && response->total != agent->file_len) return -MOLT_LENGTH_MISMATCH;
        return 0;
    }
    if (response->length == 0) return -MOLT_IMAGE_EMPTY;
    if (agent->offer_len != 0 && response->length != agent->offer_len) return -MOLT_LENGTH_MISMATCH;
    agent->file_len = response->length;
    memcpy(agent->etag, response->etag, sizeof agent->etag);
    return 0;
}

/* The engine is told what comes; first: the first byte of the file. */
static int begin(struct molt_agent *agent, uint8_t first)
{
    const struct molt_agent_config *config = agent->config;
    if (config->source == MOLT_SOURCE_URL) { /* only here is it known that there is something */
        int reason = refusal(agent);
        if (reason != 0) return -reason;
    }
    if (config->source != MOLT_SOURCE_CHECK_IN)
        agent->encoding = first == GZIP_MAGIC_0 ? MOLT_GZIP : MOLT_RAW;
    if (agent->encoding == MOLT_GZIP && config->window == NULL) return -MOLT_GZIP_WINDOW;
    if (agent->encoding == MOLT_PACK && (config->pack == NULL || config->unpacker == NULL))
        return -MOLT_BAD_PACK;
    const bool in_place = agent->encoding == MOLT_IN_PLACE;
    if (in_place && (config->in_place == NULL || agent->is_fs)) return -MOLT_BAD_PACK;
    struct molt_job job = {
        .slots = config->slots,
        .hash = config->hash,
        .expect = config->expect,
        .encoding = agent->encoding,
        .file_len = agent->file_len,
        .image_len = agent->image_len,
        .has_digest = agent->has_offer_digest,
        .running_digest = agent->has_digest ? agent->digest : NULL,
        .failed_digest = agent->boot.has_failed ? agent->boot.failed_digest : NULL,
        .etag = agent->etag,
        .image_digest = agent->has_offer_digest ? agent->offer_digest : NULL,
        .fresh = agent->fresh,
        .hold = config->keep != NULL,
        .unpacker = agent->encoding == MOLT_GZIP ? &molt_ungzip : config->unpacker,
        .inflate = &agent->inflate,
        .window = config->window,
        .window_len = config->window_len,
        .pack = config->pack,
    };
    memcpy(job.digest, agent->file_digest, MOLT_SHA256_LEN);
    if (agent->is_fs) agent_fs_bind(agent, &job);
    int rc = agent_signed_bind(agent, &job);
    if (rc == 0 && in_place) rc = config->in_place->bind(config->in_place, &job);
    if (rc == 0) rc = molt_begin(&agent->u.update, &job);
    agent->is_installing = rc == 0;
    agent->can_resume = agent->u.update.can_resume;
    agent->fresh = false;
    return rc;
}

static void stored(struct molt_agent *agent)
{
    agent->drop = true;
    agent->is_installing = false;
    agent->phase = MOLT_AGENT_RESTARTING;
    agent->state = AGENT_RESTART;
    if (agent->is_fs) agent_fs_ended(agent, true);
    agent_tell(agent, agent->is_fs ? MOLT_FS_INSTALLED : MOLT_OFFERED);
}

static void install_failed(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    agent->port_err = agent->is_installing ? agent->u.update.port_err : 0;
    if (agent->is_installing && reason != MOLT_NOT_NOW)
        agent->fresh = true; /* what lies in flash may be what is wrong */
    if (agent->is_installing && agent->is_fs) agent_fs_ended(agent, false);
    if (reason == MOLT_SAME_DIGEST ||
        reason == MOLT_FAILED_BEFORE) { /* the number will not make it another image */
        agent->refused_code = agent->offered_code;
        agent->refused_reason = reason;
        agent->failures = 16; /* a long back-off: every further try costs a whole download */
    }
    refuse(agent, reason, now_ms);
}

/* Passes over what has come and is not needed. False: what is needed will not come on this connection, or late. */
static bool reach(struct molt_agent *agent)
{
    uint32_t need = agent->u.update.need_offset;
    if (need < agent->body_at) return false;
    if (need - agent->body_at > agent->body_len) return false;
    agent->body += need - agent->body_at;
    agent->body_len -= need - agent->body_at;
    agent->body_at = need;
    return true;
}

/* One step of the engine. want MOLT_WANT_RECEIVE: it needs bytes that have not come. */
void agent_install_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    want->kind = MOLT_WANT_STEP;
    int rc = agent->is_installing ? molt_step(&agent->u.update) : begin(agent, agent_sealed_first(agent));
    if (agent->is_fs && agent->save_failed) rc = -MOLT_FLASH_WRITE; /* what was not noted is not done */
    if (rc < 0) {
        install_failed(agent, -rc, now_ms);
        return;
    }
    if (agent->is_installing &&
        agent->received < agent->u.update.received) { /* flash has it from an earlier try */
        agent->received = agent->u.update.received;
        agent->drop = agent->drop || agent->received == agent->file_len;
    }
    if (rc == MOLT_READY) {
        stored(agent);
    } else if (rc == MOLT_VERIFIED) {
        const bool is_pack = agent->encoding == MOLT_IN_PLACE; /* what the engine saw is not the image */
        rc = agent->is_fs
                 ? agent_fs_verified(agent)
                 : agent_memory_try(agent, is_pack ? agent->offer_digest : agent->u.update.image.info.digest);
        if (rc < 0) install_failed(agent, -rc, now_ms);
    } else if (rc == MOLT_OVERWRITES) {
        rc = agent_fs_overwrites(agent);
        if (rc < 0) install_failed(agent, -rc, now_ms);
    } else if (rc == MOLT_NEED_DATA && !reach(agent)) {
        agent->drop = true; /* the rest, from where it is needed */
        agent->in_len = agent->body_len = 0;
        agent->state = AGENT_PAUSE;
        agent->until_ms = now_ms;
    } else if (rc == MOLT_NEED_DATA && agent->body_len == 0) {
        want->kind = MOLT_WANT_RECEIVE;
    } else if (rc == MOLT_NEED_DATA) {
        uint32_t taken = 0;
        rc = agent_sealed_feed(agent, &taken);
        if (rc < 0) {
            install_failed(agent, -rc, now_ms);
            return;
        }
        agent->body += taken;
        agent->body_len -= taken;
        agent->body_at += taken;
        agent->received = agent->u.update.received;
        if (agent->received == agent->file_len) agent->drop = true; /* what is left needs no connection */
    }
}

/* After a lost connection: true when it will be tried to go on where it ended. */
bool agent_install_resume(struct molt_agent *agent, int reason, uint64_t now_ms)
{
    uint32_t received = agent->u.update.received;
    bool is_sure = agent->has_offer_digest || agent->etag[0] != '\0'; /* that the rest is of the same file */
    if (!is_sure) return false;
    if (received > agent->resumed_at) agent->resumes = 0;
    if (++agent->resumes > RESUMES_MAX) return false;
    agent->resumed_at = received;
    agent->drop = true;
    agent->in_len = agent->body_len = 0;
    agent->last_reason = reason;
    agent->fault = 0;
    agent->state = AGENT_PAUSE;
    agent->until_ms = now_ms + ((uint64_t)RESUME_MS << (agent->resumes - 1));
    return true;
}
