/* source_checkin.c - molt's own check-in: what the device says of itself, and what it does with the answer.
 * Must never follow an offer from https to http. Tests: test/unit/agent_checkin_test.c. */
#include "agent_parts.h"

#include <string.h>

#include "../update/update_parts.h"
#include "../util/bytes.h"
#include "../util/text.h"

static bool copy_text(char *out, size_t cap, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len >= cap) return false;
    if (len > 0) memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

int agent_checkin_begin(struct molt_agent *agent)
{
    size_t len = strlen(agent->config->url);
    while (len > 0 && agent->config->url[len - 1] == '/')
        len--;
    if (len + sizeof MOLT_CHECKIN_PATH > sizeof agent->url) return -MOLT_BAD_URL;
    memcpy(agent->url, agent->config->url, len);
    memcpy(agent->url + len, MOLT_CHECKIN_PATH, sizeof MOLT_CHECKIN_PATH);
    return 0;
}

static enum molt_boot_kind boot_kind(const struct molt_agent *agent)
{
    if (!agent->on_trial) return MOLT_BOOT_CONFIRMED;
    return agent->boot.on_trial ? MOLT_BOOT_TRIAL : MOLT_BOOT_UNPROTECTED;
}

uint32_t agent_stage_end(struct molt_slots *slots, uint32_t image_len)
{
    struct molt_target place;
    int rc = slots->ops->target(slots, 1, 1, MOLT_RAW, &place);
    if (rc == 0) return place.off + place.cap;
    return rc == -MOLT_NO_SPACE ? molt_round_up(image_len, MOLT_SECTOR) : 0; /* nothing is free above it */
}

/* Where staged files end, and the file system: what was installed of it, when it is whole. */
static void describe_places(const struct molt_agent *agent, struct molt_checkin *m)
{
    const struct molt_agent_config *config = agent->config;
    if (config->expect.chip == MOLT_CHIP_ESP8266)
        m->stage_end = agent_stage_end(config->slots, config->image_len);
    if (config->slots->exchanges) m->can |= MOLT_CAN_EXCHANGE;
    if (!agent_fs_is_taken(agent)) return;
    const struct molt_keep_data *d = &config->keep->data;
    m->can |= MOLT_CAN_FS;
    m->fs_size = config->fs->len;
    if (d->fs_state != MOLT_FS_WHOLE) return;
    m->has_fs_digest = true;
    memcpy(m->fs_digest, d->fs.digest, MOLT_SHA256_LEN);
    m->fs_code = d->fs.code <= MOLT_CHECKIN_CODE_MAX ? d->fs.code : 0;
}

/* Fills agent->u.checkin. */
static int describe(struct molt_agent *agent)
{
    const struct molt_agent_config *config = agent->config;
    struct molt_checkin *m = &agent->u.checkin;
    memset(m, 0, sizeof *m);
    if (config->id == NULL) molt_hex_encode(config->mac, 6, m->id);
    if (config->id != NULL && !copy_text(m->id, sizeof m->id, config->id)) return -MOLT_ARG;
    /* whoever offered the update knows the product: so that the longest message stays below 200 bytes */
    if (agent->result == 0 && !copy_text(m->product, sizeof m->product, config->product)) return -MOLT_ARG;
    if (!copy_text(m->version, sizeof m->version, config->version)) return -MOLT_ARG;
    m->chip = config->expect.chip;
    m->version_code = config->version_code;
    m->flash_size = config->slots->flash->size;
    m->fs_start = config->fs_start;
    if (molt_chip_is_esp32_family(config->expect.chip))
        m->slot_size = config->slots->ops->room(config->slots);
    m->image_len = config->image_len;
    m->has_digest = agent->has_digest;
    memcpy(m->digest, agent->digest, MOLT_SHA256_LEN);
    m->boot = boot_kind(agent);
    m->can = config->window != NULL ? MOLT_CAN_RAW | MOLT_CAN_GZIP : MOLT_CAN_RAW;
    if (config->pack != NULL && config->unpacker != NULL)
        m->can |= config->unpacker->small ? MOLT_CAN_PACK | MOLT_CAN_SMALL : MOLT_CAN_PACK;
    if (config->trust != NULL) m->can |= MOLT_CAN_SIGNED;
    if (config->seal != NULL && config->seal_key != NULL) m->can |= MOLT_CAN_SEALED;
    if (config->trust != NULL && config->in_place != NULL) m->can |= MOLT_CAN_IN_PLACE;
    describe_places(agent, m);
    m->gzip_window = config->window != NULL ? config->window_len : 0;
    m->result = agent->result;
    if (agent->result == MOLT_CONFIRMED) return 0; /* of what runs, which is said above */
    m->result_code = agent->result_code;
    m->has_result_digest = agent->has_result_digest;
    memcpy(m->result_digest, agent->result_digest, MOLT_SHA256_LEN);
    return 0;
}

/* The message is made at the end of work, the head at its beginning, then they are joined: one packet. */
int agent_checkin_write(struct molt_agent *agent, const struct molt_url *url)
{
    char *message = agent->work + sizeof agent->work - MOLT_CHECKIN_MAX;
    int rc = describe(agent);
    if (rc < 0) return rc;
    int message_len = molt_checkin_encode(&agent->u.checkin, (uint8_t *)message, MOLT_CHECKIN_MAX);
    if (message_len < 0) return message_len;
    const struct molt_request request = {.url = url};
    const struct molt_request_more more = {
        .method = MOLT_POST,
        .content_type = "application/cbor",
        .content_len = (uint32_t)message_len,
    };
    size_t head_len;
    rc = molt_request_write_more(&request, &more, agent->work, sizeof agent->work - MOLT_CHECKIN_MAX,
                                 &head_len);
    if (rc < 0) return -MOLT_BAD_URL;
    memmove(agent->work + head_len, message, (size_t)message_len);
    return (int)head_len + message_len;
}

/* The message was heard: its result need not be said again. */
static void forget_result(struct molt_agent *agent)
{
    if (agent->result != 0) agent_memory_changed(agent);
    agent->result = 0;
    agent->result_code = 0;
    agent->has_result_digest = false;
}

int agent_checkin_done(struct molt_agent *agent, uint64_t now_ms)
{
    struct molt_answer *answer = &agent->u.answer;
    int rc = molt_answer_decode(answer, (const uint8_t *)agent->work, agent->work_fill);
    if (rc < 0) return rc;
    forget_result(agent);
    agent->again_s = answer->again_s;
    agent->is_held = answer->verdict == MOLT_VERDICT_WAIT;
    if (answer->verdict != MOLT_VERDICT_OFFER) {
        agent_check_ended(agent, answer->reason, false, now_ms);
        return 1;
    }
    agent->offered_code = answer->version_code;
    agent->is_fs = answer->component == 1;
    agent->has_offer_digest = true;
    memcpy(agent->offer_digest, answer->image_digest, MOLT_SHA256_LEN);
    memcpy(agent->file_digest, answer->file_digest, MOLT_SHA256_LEN);
    agent->encoding = answer->encoding;
    agent->offer_len = answer->file_len;
    agent->image_len = answer->image_len;
    rc = molt_url_redirect(agent->url, sizeof agent->url, answer->url);
    if (rc == 0) return agent_image_offered(agent, now_ms);
    agent_attempt_ended(agent, MOLT_REDIRECT_REFUSED, now_ms); /* it was an offer, so the server is told */
    return 1;
}
