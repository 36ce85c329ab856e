/* fs.c - the file system as a second component: what was installed, what is staged, and a copy that goes on after a cut.
 * Must never let the keep store call whole what is being written. Tests: test/unit/agent_fs_test.c,
 * test/powercut/fs_test.c. */
#include "agent_parts.h"

#include <string.h>

#include "../util/crc.h"

#define POLL_MS 1000u

static struct molt_keep_data *kept(const struct molt_agent *agent)
{
    return &agent->config->keep->data;
}

bool agent_fs_is_taken(const struct molt_agent *agent)
{
    return agent->config->fs != NULL && agent->config->keep != NULL;
}

static bool is_whole(const struct molt_agent *agent, const uint8_t digest[MOLT_SHA256_LEN])
{
    const struct molt_keep_data *d = kept(agent);
    return d->fs_state == MOLT_FS_WHOLE && memcmp(d->fs.digest, digest, MOLT_SHA256_LEN) == 0;
}

int agent_fs_refusal(const struct molt_agent *agent)
{
    const struct molt_agent_config *config = agent->config;
    if (!agent_fs_is_taken(agent)) return MOLT_IMAGE_FILESYSTEM;
    if (agent->on_trial) return MOLT_TRIAL_PENDING;
    if (agent->has_offer_digest && is_whole(agent, agent->offer_digest)) return MOLT_UP_TO_DATE;
    bool may = config->may_install == NULL || config->may_install(config->ctx, agent->offered_code);
    return may ? 0 : MOLT_NOT_NOW;
}

void agent_fs_bind(struct molt_agent *agent, struct molt_job *job)
{
    struct molt_fs_slots *fs = agent->config->fs;
    job->slots = &fs->slots;
    fs->may_overwrite = agent->config->fs_in_place;
    job->running_digest = job->failed_digest = NULL;
    fs->can_resume = true;
}

static bool may_write(const struct molt_agent *agent)
{
    return agent->config->may_write_fs == NULL || agent->config->may_write_fs(agent->config->ctx);
}

static void set_state(struct molt_agent *agent, enum molt_keep_fs state)
{
    struct molt_keep_data *d = kept(agent);
    d->fs_state = (uint8_t)state;
    agent->save_failed = false;
    agent_memory_changed(agent);
}

int agent_fs_overwrites(struct molt_agent *agent)
{
    if (!may_write(agent)) return -MOLT_NOT_NOW;
    set_state(agent, MOLT_FS_BROKEN);
    return 0;
}

int agent_fs_verified(struct molt_agent *agent)
{
    const struct molt_update *u = &agent->u.update;
    struct molt_keep_data *d = kept(agent);
    if (u->target.in_place) return 0;
    if (!may_write(agent)) return -MOLT_NOT_NOW;
    memcpy(d->fs.digest, u->image.info.digest, MOLT_SHA256_LEN);
    d->fs.code = agent->offered_code;
    d->fs_len = u->written;
    agent->config->fs->round = ++d->fs_round;
    set_state(agent, MOLT_FS_COPYING);
    return 0;
}

void agent_fs_ended(struct molt_agent *agent, bool well)
{
    struct molt_keep_data *d = kept(agent);
    if (!well && d->fs_state != MOLT_FS_COPYING) return; /* nothing was written, or it is known as broken */
    if (well) memcpy(d->fs.digest, agent->u.update.image.info.digest, MOLT_SHA256_LEN);
    if (well) d->fs.code = agent->fs_name != 0 ? agent->fs_name : agent->offered_code;
    set_state(agent, well ? MOLT_FS_WHOLE : MOLT_FS_BROKEN);
}

/* ---- after a restart in the middle of a copy ---- */

bool agent_fs_must_go_on(struct molt_agent *agent)
{
    if (!agent_fs_is_taken(agent) || kept(agent)->fs_state != MOLT_FS_COPYING) return false;
    agent->config->fs->round = kept(agent)->fs_round;
    agent->config->fs->can_resume = true;
    agent_memory_changed(agent); /* what is acted on is written again first */
    return true;
}

void agent_fs_resume_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    struct molt_fs_slots *fs = agent->config->fs;
    struct molt_keep_data *d = kept(agent);
    int rc;
    if (agent->fs_found) {
        rc = molt_fs_copy_step(fs, d->fs_len);
    } else {
        rc = molt_fs_find_step(fs, d->fs_len, d->fs.digest);
        if (rc == MOLT_DONE && !may_write(agent)) {
            want->kind = MOLT_WANT_WAIT;
            want->until_ms = now_ms + POLL_MS;
            return;
        }
        agent->fs_found = rc == MOLT_DONE;
        if (rc == MOLT_DONE) return;
    }
    if (rc > 0) return;
    set_state(agent, rc == MOLT_DONE ? MOLT_FS_WHOLE : MOLT_FS_BROKEN);
    agent->fs_found = false;
    agent->phase = MOLT_AGENT_IDLE;
    agent->state = AGENT_IDLE;
    if (rc < 0) agent->port_err = fs->slots.port_err;
    agent_tell(agent, rc == MOLT_DONE ? MOLT_FS_INSTALLED : MOLT_FS_INCOMPLETE);
}

/* ---- by URL ---- */

int agent_fs_ask_url(struct molt_agent *agent, uint64_t now_ms)
{
    bool is_signed = agent->accepted == MOLT_MANIFEST_ACCEPTED;
    if (!agent_fs_is_taken(agent) || agent->is_fs || agent->on_trial ||
        (is_signed && is_whole(agent, agent->signed_image.digest))) {
        agent_check_ended(agent, MOLT_UP_TO_DATE, false, now_ms);
        return 1;
    }
    agent->is_fs = true;
    int rc = agent_url_begin(agent);
    if (rc < 0) return rc;
    agent_image_fetch(agent, now_ms);
    return 1;
}

int agent_fs_url_head(struct molt_agent *agent, uint64_t now_ms)
{
    const struct molt_keep_data *d = kept(agent);
    const char *etag = agent->response.etag;
    if (agent->is_installing || agent->accepted == MOLT_MANIFEST_ACCEPTED) return 0;
    agent->fs_name = molt_crc32_lsb(0, (const uint8_t *)etag, (uint32_t)strlen(etag));
    if (etag[0] != '\0' && (d->fs_state != MOLT_FS_WHOLE || d->fs.code != agent->fs_name)) return 0;
    agent_check_ended(agent, MOLT_UP_TO_DATE, false,
                      now_ms); /* without a name it would be taken again and again */
    return 1;
}
