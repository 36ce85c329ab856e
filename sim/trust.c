/* trust.c - a virtual device's trust anchors, and the class that its firmware's product makes of it.
 * Must never trust a key that could not be read. Tests: test/e2e/publish_signed_test.sh, test/e2e/attacks. */
#include <stdio.h>
#include <string.h>

#include "host/sign/sign.h"
#include "life.h"
#include "ports/bearssl.h"

int sim_trust_load(struct sim_device *device, char err[160])
{
    const struct sim_device_options *options = device->options;
    char why[SIGN_ERROR_LEN] = "";
    int rc = 0;
    for (unsigned i = 0; i < options->trust_count && rc == 0; i++)
        rc = sign_public_load(options->trust_paths[i], device->trust_keys[i], why);
    if (rc == 0 && options->approver_path != NULL)
        rc = sign_public_load(options->approver_path, device->approver, why);
    if (rc == 0 && options->root_path != NULL) rc = sign_public_load(options->root_path, device->root, why);
    if (rc == 0 && options->seal_path != NULL)
        rc = sign_private_scalar(options->seal_path, device->seal_key, why);
    if (rc < 0) {
        snprintf(err, 160, "%.150s", why);
        return rc;
    }
    device->trust = (struct molt_trust){.hash = &molt_bearssl_sha256,
                                        .signature = &molt_bearssl_es256_i15, /* as an ESP8266 */
                                        .keys = (const uint8_t(*)[MOLT_KEY_LEN])device->trust_keys,
                                        .key_count = options->trust_count,
                                        .approver = options->approver_path != NULL ? device->approver : NULL,
                                        .root = options->root_path != NULL ? device->root : NULL,
                                        .accept_keys = options->root_path != NULL ? molt_keys_accept : NULL};
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
