/* trust.c - whose signatures this device believes: keys that the maker wrote into flash beside the settings. A product compiles
 * them in. Must never believe anybody when a key is there and cannot be read. Tests: test/e2e/attacks/qemu_attacks.py. */
#include "app.h"
#include "ports/bearssl.h"
#include "ports/bearssl_seal.h"
#include "target.h"

static struct molt_trust trust;

void app_trust_begin(const struct app_settings *settings, struct molt_agent_config *config)
{
    const struct app_trust *from = &settings->trust;
    if (!from->has_key) return;
    trust = (struct molt_trust){
        .hash = &molt_bearssl_sha256,
        .signature = &ES256,
        .keys = (const uint8_t(*)[MOLT_KEY_LEN])from->keys,
        .key_count = from->has_key2 ? 2 : 1,
        .approver = from->has_approver ? from->approver : NULL,
        .root = from->has_root ? from->root : NULL,
        .accept_keys = from->has_root ? molt_keys_accept : NULL,
    };
    for (unsigned i = 0; i < MOLT_UUID_LEN; i++) {
        trust.vendor[i] = from->vendor[i];
        trust.class_id[i] = from->class_id[i];
    }
    config->trust = &trust;
    if (from->has_device_key) {
        config->seal = &molt_bearssl_seal;
        config->seal_key = from->device_key;
    }
}
