/* devices_hooks.h - the API's hooks over a device table alone, without a server: hooks.ctx is the table. For tests and benches of lists
 * and counts. */
#ifndef MOLT_TEST_DEVICES_HOOKS_H
#define MOLT_TEST_DEVICES_HOOKS_H

#include "server/api/api.h"
#include "server/devices.h"

static inline int hooks_census(void *ctx, const struct census_wish *wish, const struct census_ages *ages,
                               census_row row, void *row_ctx)
{
    return devices_census_of(ctx, wish, ages, row, row_ctx);
}

static inline int hooks_find_ids(void *ctx, const struct census_wish *wish, const char *after,
                                 char (*ids)[MODEL_ID_LEN], uint32_t cap)
{
    return devices_find_ids(ctx, wish, after, ids, cap);
}

static inline int hooks_each_meant(void *ctx, const struct census_wish *wish, const struct census_also *also,
                                   census_meant each, void *each_ctx)
{
    return devices_each_meant(ctx, wish, also, each, each_ctx);
}

static inline enum devices_change hooks_copy(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    *(struct model_device *)ctx = *device;
    return DEVICES_UNCHANGED;
}

static inline void hooks_device_now(void *ctx, struct model_device *device)
{
    (void)devices_peek(ctx, device->id, hooks_copy, device);
}

#endif
