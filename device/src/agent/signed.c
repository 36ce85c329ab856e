/* signed.c - a device with a trust anchor: the manifest is fetched, verified and obeyed before a byte of the image.
 * Must never let an image begin that no accepted manifest names. Tests: test/unit/agent_signed_test.c, agent_sequence_test.c,
 * test/e2e/attacks. */
#include "agent_parts.h"

#include <string.h>

static uint64_t own_sequence(const struct molt_agent_config *config)
{
    return config->sequence != 0 ? config->sequence : config->version_code;
}

/* What was confirmed before: the product's callbacks know, else the keep store, else nobody. */
static int kept_sequence(const struct molt_agent *agent, uint64_t *kept)
{
    const struct molt_agent_config *config = agent->config;
    *kept = 0;
    if (config->read_sequence != NULL)
        return config->read_sequence(config->ctx, kept) == 0 ? 0 : -MOLT_SEQUENCE_STORE;
    if (config->keep == NULL) return 0;
    *kept = config->keep->data.sequence;
    return config->keep->is_loaded && config->keep->port_err == 0 ? 0 : -MOLT_SEQUENCE_STORE;
}

/* The lowest sequence that may be taken: what was kept, and never less than what runs. 0 or a negative reason. */
static int lowest_sequence(const struct molt_agent *agent, uint64_t *lowest)
{
    uint64_t kept = 0, own = own_sequence(agent->config);
    int rc = kept_sequence(agent, &kept);
    *lowest = rc < 0 ? UINT64_MAX : kept > own ? kept : own;
    return rc;
}

void agent_signed_reset(struct molt_agent *agent)
{
    memset(&agent->signed_image, 0, sizeof agent->signed_image);
    memset(&agent->content_key, 0, sizeof agent->content_key);
    agent->is_sealed = false;
    agent->accepted = 0;
}

int agent_signed_raise(struct molt_agent *agent)
{
    const struct molt_agent_config *config = agent->config;
    uint64_t kept = 0, own = own_sequence(config);
    if (config->trust == NULL) return 0;
    int rc = kept_sequence(agent, &kept);
    if (rc < 0 || kept >= own) return rc;
    if (config->read_sequence != NULL) {
        if (config->raise_sequence == NULL) return 0;
        return config->raise_sequence(config->ctx, own) == 0 ? 0 : -MOLT_SEQUENCE_STORE;
    }
    if (config->keep != NULL) {
        config->keep->data.sequence = own;
        agent_memory_changed(agent); /* written in the steps that follow */
    }
    return 0;
}

/* agent->url = where the manifest of what is offered lies. */
static int manifest_url(struct molt_agent *agent)
{
    switch (agent->config->source) {
    case MOLT_SOURCE_VERSION_FILE:
        return agent_version_url(agent, ".suit");
    case MOLT_SOURCE_URL:
        return agent_url_manifest(agent);
    default:
        if (agent->u.answer.manifest_url[0] == '\0') return -MOLT_MANIFEST_MISSING;
        return molt_url_redirect(agent->url, sizeof agent->url, agent->u.answer.manifest_url) < 0
                   ? -MOLT_REDIRECT_REFUSED
                   : 0;
    }
}

/* agent->url = where the image lies. */
static int image_url(struct molt_agent *agent)
{
    int rc = 0;
    switch (agent->config->source) {
    case MOLT_SOURCE_VERSION_FILE:
        return agent_version_url(agent, ".bin");
    case MOLT_SOURCE_URL:
        return agent_url_begin(agent);
    default:
        if (agent->redirects > 0) rc = agent_checkin_begin(agent); /* the manifest came from elsewhere */
        if (rc == 0 && molt_url_redirect(agent->url, sizeof agent->url, agent->u.answer.url) < 0)
            rc = -MOLT_REDIRECT_REFUSED;
        return rc;
    }
}

int agent_signed_fetch(struct molt_agent *agent, uint64_t now_ms)
{
    agent_signed_reset(agent);
    int rc = manifest_url(agent);
    agent_request_start(agent, REQUEST_MANIFEST, now_ms);
    return rc < 0 ? rc : 1;
}

/* The statement of the root's that a manifest brought: its keys count instead of trust's, and older ones never again. */
static int take_keys(struct molt_agent *agent, const uint8_t *data, size_t len, struct molt_trust *trust)
{
    struct molt_keep *keep = agent->config->keep;
    struct molt_keys keys;
    const uint16_t kept = keep != NULL ? keep->data.key_epoch : 0;
    const uint16_t lowest = kept > trust->epoch ? kept : trust->epoch;
    if (len == 0) return lowest > trust->epoch ? -MOLT_KEYS_RETIRED : 0;
    if (trust->accept_keys == NULL) return -MOLT_MANIFEST_MALFORMED;
    volatile int accepted = trust->accept_keys(trust, lowest, data, len, &keys);
    if (accepted != MOLT_MANIFEST_ACCEPTED) return accepted < 0 ? accepted : -MOLT_KEYS_INVALID;
    trust->keys = keys.keys;
    trust->key_count = keys.key_count;
    if (keep != NULL && keys.epoch > kept) {
        keep->data.key_epoch = keys.epoch;
        agent_memory_changed(agent); /* written before the next step of anything else */
    }
    return 0;
}

/* The envelope at the front of what was fetched, by the keys that count now. As molt_manifest_accept(). */
static int accept(struct molt_agent *agent, uint64_t lowest, struct molt_manifest *manifest)
{
    const uint8_t *data = (const uint8_t *)agent->work;
    struct molt_trust trust = *agent->config->trust;
    size_t end = molt_manifest_end(data, agent->work_fill);
    if (end == 0) return -MOLT_MANIFEST_MALFORMED;
    int rc = take_keys(agent, data + end, agent->work_fill - end, &trust);
    return rc < 0 ? rc : molt_manifest_accept(&trust, lowest, data, end, manifest);
}

int agent_manifest_verify(struct molt_agent *agent, uint64_t now_ms)
{
    const struct molt_agent_config *config = agent->config;
    struct molt_manifest manifest;
    uint64_t lowest;
    int rc = lowest_sequence(agent, &lowest);
    if (rc < 0) return rc;
    volatile int accepted = accept(agent, lowest, &manifest);
    if (accepted != MOLT_MANIFEST_ACCEPTED) return accepted < 0 ? accepted : -MOLT_MANIFEST_SIGNATURE;
    if (manifest.sequence > own_sequence(config)) agent_stale_reset(agent);
    const bool is_of_own = manifest.sequence == own_sequence(config);
    if (agent->is_fs && !is_of_own) return -MOLT_MANIFEST_MISMATCH; /* another application's file system */
    bool asks_fs = config->source == MOLT_SOURCE_URL && is_of_own;
    bool is_fs = asks_fs || agent->is_fs;
    if (is_fs && manifest.component_count < 2) {
        if (!asks_fs) return -MOLT_MANIFEST_MISMATCH;
        agent_check_ended(agent, MOLT_UP_TO_DATE, false, now_ms);
        return 1;
    }
    rc = agent_sealed_open(
        agent, &manifest.component[is_fs ? 1 : 0]); /* it lies in what the next request overwrites */
    if (rc == 0) rc = image_url(agent);
    if (rc < 0) return rc;
    agent->signed_image = manifest.component[is_fs ? 1 : 0];
    agent->signed_image.encryption = NULL; /* opened above */
    agent->accepted = accepted;
    if (asks_fs) return agent_fs_ask_url(agent, now_ms);
    agent_image_fetch(agent, now_ms);
    return 1;
}

int agent_signed_bind(struct molt_agent *agent, struct molt_job *job)
{
    const struct molt_manifest_component *image = &agent->signed_image;
    if (agent->config->trust == NULL) return 0;
    if (agent->accepted != MOLT_MANIFEST_ACCEPTED) return -MOLT_MANIFEST_MISSING;
    if (job->image_len != 0 && job->image_len != image->size) return -MOLT_LENGTH_MISMATCH;
    if (job->encoding == MOLT_RAW ? job->file_len != image->size : job->file_len > image->size)
        return -MOLT_LENGTH_MISMATCH; /* of a packed file only that packing made it no longer */
    job->image_len = image->size;
    job->signed_digest = image->digest;
    return 0;
}
