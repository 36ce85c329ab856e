/* sealed.c - an encrypted image: its content key out of the manifest, its bytes decrypted on their way to the engine.
 * Must never feed the engine a byte of an encrypted file as it came. Tests: test/unit/agent_guard_test.c,
 * test/e2e/sealed_test.sh. */
#include "agent_parts.h"

#include <string.h>

#define CHUNK 128u /* bytes decrypted at a time, on the stack */

int agent_sealed_open(struct molt_agent *agent, const struct molt_manifest_component *component)
{
    const struct molt_agent_config *config = agent->config;
    agent->is_sealed = false;
    memset(&agent->content_key, 0, sizeof agent->content_key);
    if (component->encryption == NULL) return 0;
    if (config->seal == NULL || config->seal_key == NULL) return -MOLT_SEALED;
    int rc = config->seal->open(config->seal_key, component->encryption, component->encryption_len,
                                &agent->content_key);
    agent->is_sealed = rc == 0;
    return rc;
}

uint8_t agent_sealed_first(const struct molt_agent *agent)
{
    uint8_t first = agent->body[0];
    if (agent->is_sealed) agent->config->seal->crypt(&agent->content_key, agent->body_at, &first, 1);
    return first;
}

int agent_sealed_feed(struct molt_agent *agent, uint32_t *taken)
{
    uint8_t plain[CHUNK];
    uint32_t len = agent->body_len < CHUNK ? (uint32_t)agent->body_len : CHUNK;
    if (!agent->is_sealed) return molt_feed(&agent->u.update, agent->body, (uint32_t)agent->body_len, taken);
    memcpy(plain, agent->body, len);
    agent->config->seal->crypt(&agent->content_key, agent->body_at, plain, len);
    return molt_feed(&agent->u.update, plain, len, taken);
}
