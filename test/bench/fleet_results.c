/* fleet_results.c - what results cost: appended to the store's log, on their way through the device table into rows, and
 * when a kill left them in the log. */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"
#include "server/devices.h"

#define APPENDED 200000u
#define BATCH    2048u
#define FOLDED   50000u
#define ACKED    50000u

static int count_one(void *ctx, const struct model_device *device)
{
    (void)device;
    ++*(uint32_t *)ctx;
    return 0;
}

/* `count` devices of the fleet, in no order. */
static struct model_device *some(struct store *store, uint32_t fleet, uint32_t count)
{
    struct model_device *devices = calloc(count, sizeof *devices);
    need(devices != NULL, "get memory");
    for (uint32_t i = 0; i < count; i++) {
        char id[13];
        fleet_id((uint32_t)((uint64_t)i * 2654435761u % fleet), id);
        need(store_device_get(store, id, &devices[i]) == 0, "find a device");
    }
    return devices;
}

static struct model_attempt_end end_of(const struct model_device *device)
{
    struct model_attempt_end end = {.ended_ms = 1700000000000,
                                    .release_id = 1,
                                    .code = 2,
                                    .from_code = 1,
                                    .result = MODEL_ATTEMPT_UPDATED,
                                    .bytes = 400000,
                                    .verified = true};
    memcpy(end.device_id, device->id, sizeof end.device_id);
    return end;
}

/* All into the log, then all into rows: the store alone. */
static void store_only(struct store *store, uint32_t fleet)
{
    struct model_device *devices = some(store, fleet, BATCH);
    struct model_attempt_end *ends = calloc(BATCH, sizeof *ends);
    int64_t last = 0;
    need(ends != NULL, "get memory");
    for (uint32_t i = 0; i < BATCH; i++)
        ends[i] = end_of(&devices[i]);
    double began = wall(), busy = process_cpu();
    for (uint32_t done = 0; done < APPENDED; done += BATCH)
        need(store_append_results(store, devices, ends, BATCH, &last) == 0, store_error(store));
    printf("append_per_s %.0f\nappend_cpu_us %.3f\n", APPENDED / (wall() - began),
           1e6 * (process_cpu() - busy) / APPENDED);
    need(store_fold_results(store, last) == 0, store_error(store));
    free(devices);
    free(ends);
}

/* FOLDED of them into the log; the number of the last one. */
static int64_t log_all(struct store *store, const struct model_device *devices)
{
    struct model_attempt_end *ends = calloc(FOLDED, sizeof *ends);
    int64_t last = 0;
    need(ends != NULL, "get memory");
    for (uint32_t i = 0; i < FOLDED; i++)
        ends[i] = end_of(&devices[i]);
    for (uint32_t at = 0; at < FOLDED; at += BATCH)
        need(store_append_results(store, devices + at, ends + at, FOLDED - at < BATCH ? FOLDED - at : BATCH,
                                  &last) == 0,
             store_error(store));
    free(ends);
    return last;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const struct model_device *)a)->id, ((const struct model_device *)b)->id);
}

/* Sorted batches of rows, and the ends of attempts, as the writer makes them. */
static void fold(struct store *store, uint32_t fleet)
{
    struct model_device *devices = some(store, fleet, FOLDED);
    const int64_t last = log_all(store, devices);
    double began = wall(), busy = process_cpu();
    for (uint32_t at = 0; at < FOLDED; at += BATCH) {
        uint32_t count = FOLDED - at < BATCH ? FOLDED - at : BATCH;
        qsort(devices + at, count, sizeof *devices, compare_ids);
        need(store_save_devices(store, devices + at, count) == 0, store_error(store));
    }
    need(store_fold_results(store, last) == 0, store_error(store));
    printf("fold_per_s %.0f\nfold_cpu_us %.3f\n", FOLDED / (wall() - began),
           1e6 * (process_cpu() - busy) / FOLDED);
    free(devices);
}

/* All into the log, and then an end without folding: what opening does with them. */
static struct store *recovered(struct store *store, uint32_t fleet, const char *dir, const char *url)
{
    struct model_device *devices = some(store, fleet, FOLDED);
    log_all(store, devices);
    store_close(store);
    free(devices);
    double began = wall(), busy = process_cpu();
    store = fleet_store(dir, url, false);
    printf("recover_per_s %.0f\nrecover_cpu_us %.3f\n", FOLDED / (wall() - began),
           1e6 * (process_cpu() - busy) / FOLDED);
    return store;
}

/* ---- through the device table, each result waited for ---- */

struct acks {
    atomic_uint kept, lost;
};

static void acknowledge(void *ctx, bool kept)
{
    struct acks *acks = ctx;
    atomic_fetch_add(kept ? &acks->kept : &acks->lost, 1);
}

static enum devices_change report(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    device->running_code = *(uint32_t *)ctx;
    device->attempt = device->result = MODEL_ATTEMPT_UPDATED;
    device->ended = true;
    return DEVICES_CHANGED;
}

static void acked(struct store *store, uint32_t fleet)
{
    struct devices *devices;
    struct acks acks = {0};
    need(devices_open(&devices, store, NULL) == 0, "load the devices");
    double began = wall(), busy = process_cpu();
    for (uint32_t i = 0; i < ACKED; i++) {
        char id[13];
        uint32_t code = i + 1;
        fleet_id((uint32_t)((uint64_t)i * 2654435761u % fleet), id);
        need(devices_visit(devices, id, "10.0.0.1", 1700000000000, report, &code) == 0, "visit");
        devices_when_durable(devices, id, acknowledge, &acks);
    }
    while (atomic_load(&acks.kept) + atomic_load(&acks.lost) < ACKED)
        sched_yield();
    double acked_s = wall() - began;
    need(atomic_load(&acks.lost) == 0, "keep all results");
    need(devices_flush(devices) == 0, "write all rows");
    printf("acked_per_s %.0f\nfolded_per_s %.0f\nresult_cpu_us %.3f\n", ACKED / acked_s,
           ACKED / (wall() - began), 1e6 * (process_cpu() - busy) / ACKED);
    devices_close(devices);
}

void fleet_results(const char *dir, const char *url)
{
    struct store *store = fleet_store(dir, url, false);
    uint32_t fleet = 0;
    need(store_each_device(store, count_one, &fleet) == 0, "read the rows");
    need(fleet > 0, "find devices");
    store_only(store, fleet);
    fold(store, fleet);
    store = recovered(store, fleet, dir, url);
    acked(store, fleet);
    store_close(store);
}
