/* devices_case.h - the device table over a real store in a folder of its own, and visitors: for its tests. */
#ifndef MOLT_TEST_DEVICES_CASE_H
#define MOLT_TEST_DEVICES_CASE_H

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/devices.h"
#include "temp_dir.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static struct temp_dir folder;
static struct store *store;
static struct devices *devices;

static inline void open_all(const struct devices_limits *limits)
{
    char err[256];
    assert_int_equal(store_open(folder.path, true, &store, err, sizeof err), 0);
    assert_int_equal(devices_open(&devices, store, limits), 0);
}

static inline void close_all(void)
{
    devices_close(devices);
    store_close(store);
    devices = NULL;
    store = NULL;
}

static inline int begin(void **state)
{
    (void)state;
    temp_dir_make(&folder);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    if (devices) close_all();
    temp_dir_remove(&folder);
    return 0;
}

/* ---- visitors ---- */

struct seen {
    int calls;
    bool is_new;
    struct model_device device;
    enum devices_change answer;
};

static inline enum devices_change look(void *ctx, struct model_device *device, bool is_new)
{
    struct seen *seen = ctx;
    seen->calls++;
    seen->is_new = is_new;
    seen->device = *device;
    return seen->answer;
}

static inline enum devices_change set_code(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    device->running_code = *(uint32_t *)ctx;
    return DEVICES_CHANGED;
}

static inline int visit(const char *id, const char *address, int64_t now, struct seen *seen)
{
    *seen = (struct seen){.answer = DEVICES_UNCHANGED};
    return devices_visit(devices, id, address, now, look, seen);
}

static inline uint64_t count_devices(void)
{
    struct devices_stats stats;
    devices_stats(devices, &stats);
    return stats.count;
}

static inline int visit_number(int number, const char *address, int64_t now, struct seen *seen)
{
    char id[MODEL_ID_LEN];
    snprintf(id, sizeof id, "%012x", (unsigned)number);
    return visit(id, address, now, seen);
}

#endif
