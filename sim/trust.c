/* trust.c - a virtual device's trust anchors, and the number that prevents a rollback: a small file beside the flash's.
 * Must never lower that number. Tests: test/e2e/signed_test.sh, test/e2e/attacks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/sign/sign.h"
#include "life.h"
#include "ports/bearssl.h"

int sim_trust_load(struct sim_device *device, char err[160])
{
    const struct sim_device_options *options = device->options;
    char why[SIGN_ERROR_LEN] = "";
    for (unsigned i = 0; i < options->trust_count; i++) {
        int rc = sign_public_load(options->trust_paths[i], device->trust_keys[i], why);
        if (rc < 0) {
            snprintf(err, 160, "%.150s", why);
            return rc;
        }
    }
    device->trust = (struct molt_trust){.hash = &molt_bearssl_sha256,
                                        .signature = &molt_bearssl_es256_i15, /* as an ESP8266 */
                                        .keys = (const uint8_t(*)[MOLT_KEY_LEN])device->trust_keys,
                                        .key_count = options->trust_count};
    sign_vendor_id(SIGN_VENDOR_DEFAULT, device->trust.vendor);
    return 0;
}

const struct molt_trust *sim_trust(struct sim_device *device)
{
    if (device->trust.key_count == 0) return NULL;
    sign_class_id(device->trust.vendor, device->firmware.product, device->options->chip,
                  device->trust.class_id);
    return &device->trust;
}

static bool sequence_path(const struct sim_device *device, const char *suffix, char out[512])
{
    int n = snprintf(out, 512, "%s.sequence%s", device->options->flash_path, suffix);
    return n > 0 && n < 512;
}

int sim_sequence_read(struct sim_device *device, uint64_t *sequence)
{
    char path[512];
    *sequence = device->sequence;
    if (device->options->flash_path == NULL) return 0;
    if (!sequence_path(device, "", path)) return -1;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        *sequence = 0;
        return access(path, F_OK) == 0 ? -1 : 0; /* none yet: as from the factory */
    }
    int got = fscanf(file, "%" SCNu64, sequence);
    fclose(file);
    return got == 1 ? 0 : -1;
}

int sim_sequence_raise(struct sim_device *device, uint64_t sequence)
{
    char path[512], temp[512];
    if (sequence <= device->sequence && device->options->flash_path == NULL) return 0;
    device->sequence = sequence;
    if (device->options->flash_path == NULL) return 0;
    if (!sequence_path(device, "", path) || !sequence_path(device, ".new", temp)) return -1;
    FILE *file = fopen(temp, "w");
    bool ok = file != NULL && fprintf(file, "%" PRIu64 "\n", sequence) > 0;
    if (file != NULL && fclose(file) != 0) ok = false;
    return ok && rename(temp, path) == 0 ? 0 : -1;
}
