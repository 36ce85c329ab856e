/* life_stock.c - the sketch of the thread, untouched: asks <base>/<MAC>.version, and when that number is greater than
 * its own, lets the core's updater fetch <base>/<MAC>.bin. Must never use libmolt's agent or engine.
 * Tests: test/e2e/sim_device_test.sh. */
#include <stdio.h>
#include <string.h>

#include "life.h"
#include "stock_update.h"

static void report_progress(void *ctx, uint32_t done, uint32_t total)
{
    life_event(ctx,
               &(struct sim_event){.kind = SIM_EVENT_DOWNLOAD, .slot = -1, .number = done, .total = total});
}

static void describe(struct sim_device *device, struct stock_device *stock)
{
    *stock = (struct stock_device){
        .chip = device->options->chip,
        .flash = &device->flash,
        .fs_start = device->layout->fs_start,
        .fs_end = device->layout->fs_end,
        .rtc = device->rtc.bytes,
        .running_off = device->running_off,
        .progress = report_progress,
        .progress_ctx = device,
    };
    memcpy(stock->mac, device->options->mac, sizeof stock->mac);
    if (!device->layout->is_esp32) return;
    const struct molt_partitions *partitions = &device->backend.esp32.partitions;
    stock->next_slot = (uint8_t)((device->running_slot + 1) % partitions->slot_count);
    stock->next_off = partitions->slot_off[stock->next_slot];
    stock->next_len = partitions->slot_len[stock->next_slot];
    stock->otadata_off = partitions->otadata_off;
    stock->slot_count = partitions->slot_count;
}

/* One round of the sketch's checkForUpdates(). True when it will restart. */
static bool check(struct sim_device *device, const struct stock_device *stock)
{
    char url[300], text[160];
    int status;
    snprintf(url, sizeof url, "%s/%s.version", device->options->server, device->summary->id);
    int32_t code = stock_version_get(stock, url, &status);
    if (status != 200) {
        snprintf(text, sizeof text, "Firmware version check failed, got HTTP response code %d", status);
        life_failed(device, 0, status, text);
        return false;
    }
    life_event(device, &(struct sim_event){.kind = SIM_EVENT_CHECKED, .slot = -1, .number = (uint32_t)code});
    if (code <= (int32_t)device->firmware.code) return false;
    struct stock_result result;
    snprintf(url, sizeof url, "%s/%s.bin", device->options->server, device->summary->id);
    stock_update(stock, url, NULL, false, &result);
    if (result.ret == STOCK_FAILED) {
        snprintf(text, sizeof text, "HTTP_UPDATE_FAILED Error (%d): %.110s", result.error, result.text);
        life_failed(device, 0, result.error, text);
    }
    if (result.ret != STOCK_OK) return false;
    device->summary->updates++;
    life_event(device, &(struct sim_event){.kind = SIM_EVENT_STORED, .slot = -1, .number = result.len});
    return true;
}

enum life_end life_stock(struct sim_device *device)
{
    struct stock_device stock;
    const uint32_t checks = device->options->checks > 0 ? device->options->checks : 1;
    life_confirm(device); /* initArduino() does, before setup() */
    describe(device, &stock);
    for (uint32_t i = 0; i < checks; i++) {
        if (check(device, &stock)) return LIFE_RESET;
    }
    return LIFE_QUIET;
}
