/* model.c - the names of what the model counts: the same in JSON, filters and tables.
 * Must know every value of its enums. Tests: test/unit/filter_test.c, test/unit/api_test.c. */
#include "model.h"

#include <stddef.h>
#include <string.h>

void model_device_keep_settings(struct model_device *device, const struct model_device *set)
{
    device->product_id = set->product_id;
    memcpy(device->channel, set->channel, sizeof device->channel);
    device->held = set->held;
    device->pinned_code = set->pinned_code;
    memcpy(device->group_name, set->group_name, sizeof device->group_name);
    memcpy(device->tags, set->tags, sizeof device->tags);
    memcpy(device->attributes, set->attributes, sizeof device->attributes);
    if (set->chip_source == MODEL_CHIP_SET || device->chip_source == MODEL_CHIP_SET) { /* or was taken back */
        device->chip = set->chip;
        device->chip_source = set->chip_source;
    }
}

const char *model_client_name(enum model_client client)
{
    static const char *const names[] = {"unknown",       "version-file", "esphttpupdate", "httpupdate",
                                        "esp-https-ota", "molt",         "ddi",           "rauc"};
    return (size_t)client < sizeof names / sizeof names[0] ? names[client] : "unknown";
}

const char *model_attempt_name(enum model_attempt attempt)
{
    static const char *const names[] = {"none",    "offered",  "downloading", "downloaded", "trial",
                                        "updated", "presumed", "failed",      "rolled-back"};
    return (size_t)attempt < sizeof names / sizeof names[0] ? names[attempt] : "none";
}
