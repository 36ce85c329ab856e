/* source_version_file.c - a number in <ID>.version on any web server, and the image in <ID>.bin beside it.
 * Must never take text, a page or a number out of range for a version. Tests: test/unit/agent_test.c. */
#include "agent_parts.h"

#include <string.h>

#include "../util/text.h"

#define CODE_MAX 2147483647u /* what a signed 32-bit number in a stock sketch can hold */

/* Writes the id as the product spells it; returns its length. */
static size_t spell_id(const struct molt_agent_config *config, char out[18])
{
    molt_hex_encode(config->mac, 6, out);
    if (config->spelling == MOLT_ID_LOWER) return 12;
    for (int i = 0; i < 12; i++) {
        if (out[i] >= 'a') out[i] = (char)(out[i] - 'a' + 'A');
    }
    if (config->spelling == MOLT_ID_UPPER) return 12;
    for (int i = 5; i >= 0; i--) { /* make room for the colons from the end */
        out[3 * i + 1] = out[2 * i + 1];
        out[3 * i] = out[2 * i];
        if (i > 0) out[3 * i - 1] = ':';
    }
    return 17;
}

/* url = config->url, id, suffix. */
int agent_version_url(struct molt_agent *agent, const char *suffix)
{
    char mac[18];
    const char *id = agent->config->id;
    size_t id_len = id != NULL ? strlen(id) : spell_id(agent->config, mac);
    if (id == NULL) id = mac;
    size_t base_len = strlen(agent->config->url), suffix_len = strlen(suffix);
    if (base_len >= sizeof agent->url || id_len + suffix_len >= sizeof agent->url - base_len)
        return -MOLT_BAD_URL;
    memcpy(agent->url, agent->config->url, base_len);
    memcpy(agent->url + base_len, id, id_len);
    memcpy(agent->url + base_len + id_len, suffix, suffix_len + 1);
    return 0;
}

int agent_version_begin(struct molt_agent *agent)
{
    return agent_version_url(agent, ".version");
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool parse(const char *text, size_t len, uint32_t *code)
{
    while (len > 0 && is_space(text[len - 1]))
        len--;
    while (len > 0 && is_space(*text)) {
        text++;
        len--;
    }
    return molt_text_to_u32(text, len, CODE_MAX, code);
}

int agent_version_done(struct molt_agent *agent, uint64_t now_ms)
{
    uint32_t code;
    if (!parse(agent->work, agent->work_fill, &code)) {
        size_t len = agent->work_fill < MOLT_AGENT_DETAIL_LEN ? agent->work_fill : MOLT_AGENT_DETAIL_LEN;
        memcpy(agent->detail, agent->work, len);
        agent->detail_len = (uint8_t)len;
        return -MOLT_VERSION_MALFORMED;
    }
    if (code <= agent->config->version_code) {
        bool is_older = code < agent->config->version_code && code != 0;
        agent_check_ended(agent, is_older ? MOLT_DEVICE_NEWER : MOLT_UP_TO_DATE, false, now_ms);
        return 1;
    }
    agent->offered_code = code;
    agent->has_offer_digest = false;
    agent->offer_len = 0;
    agent->image_len = 0;
    int rc = agent_version_url(agent, ".bin");
    return rc < 0 ? rc : agent_image_offered(agent, now_ms);
}
