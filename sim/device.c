/* device.c - a virtual device from factory to rest: flashes it, resets it, lets its firmware live, again and again.
 * Must never look inside an image but by its tag. Tests: test/e2e/sim_device_test.sh, tools/demo. */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/facts.h"
#include "host/molt_boot_image.h"
#include "life.h"
#include "ports/bearssl.h"
#include "util/bytes.h"

#define BOOTS_MAX         64 /* a life ends somewhere, whatever server and firmware do */
#define CRASHES_IN_A_ROW  3
#define MOLT_BOOT_RESETS  8 /* that molt-boot may cause itself when the flash fails */
#define ESP32_OTADATA_OFF 0xE000u
#define ESP32_APP0_OFF    0x10000u

void life_event(struct sim_device *device, const struct sim_event *event)
{
    if (event->kind == SIM_EVENT_FAILED || event->kind == SIM_EVENT_CRASHED ||
        event->kind == SIM_EVENT_DEAD || event->kind == SIM_EVENT_REJECTED) {
        device->summary->failed = true;
    }
    if (event->reason != 0) device->summary->reason = event->reason;
    device->sink(device->sink_ctx, event);
}

void life_failed(struct sim_device *device, int reason, int error, const char *text)
{
    struct sim_event event = {.kind = SIM_EVENT_FAILED, .slot = -1, .reason = reason, .error = error};
    snprintf(event.text, sizeof event.text, "%s", text);
    life_event(device, &event);
}

void life_confirm(struct sim_device *device)
{
    if (!device->boot_state.on_trial) return;
    while (device->slots->ops->confirm_step(device->slots) == MOLT_MORE)
        continue;
    device->boot_state.on_trial = false;
    life_event(device, &(struct sim_event){.kind = SIM_EVENT_CONFIRMED,
                                           .slot = device->running_slot,
                                           .number = device->firmware.code});
}

/* Why the file at path cannot be flashed. */
static void say_why(char err[160], const char *path, int rc)
{
    snprintf(err, 160, "%s: %s", path,
             rc == -MOLT_NOT_FOUND ? "there is no such file" : molt_reason_sentence(-rc));
}

/* What `esptool write_flash` leaves: image, and on an ESP32 partition table and boot_app0. */
static int flash_factory(struct sim_device *device, char err[160])
{
    uint8_t *image = NULL;
    size_t len = 0;
    const char *path = device->options->firmware_path;
    if (path == NULL) {
        snprintf(err, 160, "the flash is blank; give --firmware FILE");
        return -MOLT_ARG;
    }
    int rc = facts_load_file(path, &image, &len);
    struct facts facts;
    if (rc == 0) {
        facts_read(image, len, &facts, NULL, NULL);
        rc = facts.is_image ? 0 : -facts.refusal;
        if (rc == 0 && facts.image.chip != device->options->chip) rc = -MOLT_WRONG_CHIP;
        if (rc == 0 && facts.gzip) rc = -MOLT_IMAGE_UNKNOWN;
    }
    uint32_t off = device->layout->is_esp32 ? ESP32_APP0_OFF : 0;
    uint32_t cap =
        device->layout->is_esp32 ? device->flash.port.size - ESP32_APP0_OFF : device->layout->fs_start;
    if (rc == 0 && len > cap) rc = -MOLT_NO_SPACE;
    if (rc < 0) {
        say_why(err, path, rc);
        free(image);
        return rc;
    }
    if (device->options->molt_boot) {
        rc = molt_boot_image_set(image, len, device->layout->fs_start);
        if (rc < 0) say_why(err, path, rc);
    }
    if (rc == 0) sim_flash_program(&device->flash, off, image, (uint32_t)len);
    free(image);
    if (rc < 0) return rc;
    if (device->layout->is_esp32) {
        uint8_t table[MOLT_PARTITION_TABLE_LEN], entry[MOLT_OTADATA_ENTRY_LEN];
        sim_partition_table(device->layout->partitions, device->layout->partition_count, table);
        sim_flash_program(&device->flash, MOLT_PARTITION_TABLE_OFFSET, table, sizeof table);
        molt_otadata_encode(entry, 1, MOLT_OTADATA_UNDEFINED);
        sim_flash_program(&device->flash, ESP32_OTADATA_OFF, entry, sizeof entry);
    }
    life_event(device, &(struct sim_event){.kind = SIM_EVENT_FLASHED, .slot = -1, .number = (uint32_t)len});
    return 0;
}

/* What `esptool write_flash` leaves in the file system's place. */
static int flash_fs(struct sim_device *device, char err[160])
{
    uint8_t *image = NULL;
    size_t len = 0;
    if (device->options->fs_path == NULL) return 0;
    int rc = facts_load_file(device->options->fs_path, &image, &len);
    if (rc == 0 && len > device->fs_len) rc = -MOLT_NO_SPACE;
    if (rc == 0) sim_flash_program(&device->flash, device->fs_off, image, (uint32_t)len);
    if (rc < 0) say_why(err, device->options->fs_path, rc);
    free(image);
    return rc;
}

/* Where the keep store and the file system lie (keep.h, fs_slots.h). */
static void find_places(struct sim_device *device)
{
    const struct sim_layout *layout = device->layout;
    device->keep_off = layout->fs_start - MOLT_KEEP_LEN;
    device->fs_off = layout->fs_start;
    device->fs_len = layout->fs_end - layout->fs_start;
    for (size_t i = 0; layout->is_esp32 && i < layout->partition_count; i++) {
        const struct sim_partition *p = &layout->partitions[i];
        if (strcmp(p->label, "nvs") == 0) device->keep_off = p->off + p->len - MOLT_KEEP_LEN;
        if (strcmp(p->label, "spiffs") == 0) {
            device->fs_off = p->off;
            device->fs_len = p->len;
        }
    }
}

static bool flash_is_blank(const struct sim_device *device)
{
    uint32_t off = device->layout->is_esp32 ? MOLT_PARTITION_TABLE_OFFSET : 0;
    return device->flash.port.is_blank(device->flash.port.ctx, off, MOLT_SECTOR);
}

/* ---- reset --------------------------------------------------------------------------------------------- */

/* Sector 0 says which boot stage the chip has. */
static bool boot_esp8266_molt(struct sim_device *device)
{
    struct sim_molt_boot_result result;
    const bool first = device->summary->boots == 1;
    for (unsigned resets = 0; resets < MOLT_BOOT_RESETS; resets++) {
        sim_molt_boot_run(&device->flash.port, &device->rtc,
                          first && resets == 0 ? MOLT_BOOT_POWER_ON : MOLT_BOOT_RESET, &result);
        if (result.rc == 0) break;
    }
    struct molt_boot_slots *boot = &device->backend.molt_boot;
    device->slots = &boot->slots;
    device->running_off = 0;
    device->running_slot = -1;
    if (!result.started || molt_boot_slots_begin(boot, &device->flash.port, &molt_bearssl_sha256) != 0)
        return false;
    boot->second = device->options->in_place ? molt_boot_second_in_place(&boot->second_len)
                                             : molt_boot_second(&boot->second_len);
    molt_in_place_slots_begin(&device->in_place, boot);
    uint32_t boot_keep; /* a firmware with libmolt has its own right below */
    if (molt_boot_keep_off(&device->flash.port, &boot_keep) == 0)
        device->keep_off = boot_keep - MOLT_KEEP_LEN;
    if (device->options->client == SIM_CLIENT_MOLT) boot->reserved = MOLT_KEEP_LEN;
    return molt_esp8266_sketch_len(&device->flash.port, &device->running_len) == 0;
}

static bool boot_esp8266(struct sim_device *device)
{
    if (sim_molt_boot_is_there(&device->flash.port)) return boot_esp8266_molt(device);
    struct sim_eboot_result result;
    sim_eboot_run(&device->flash.port, &device->rtc, &result);
    if (!result.started) return false;
    struct molt_rtc rtc = sim_rtc_port(&device->rtc);
    molt_esp8266_eboot_begin(&device->backend.esp8266, &device->flash.port, &molt_bearssl_sha256, &rtc,
                             device->layout->fs_start, false);
    if (device->options->client == SIM_CLIENT_MOLT) device->backend.esp8266.reserved = MOLT_KEEP_LEN;
    device->slots = &device->backend.esp8266.slots;
    device->running_off = 0;
    device->running_slot = -1;
    return molt_esp8266_sketch_len(&device->flash.port, &device->running_len) == 0;
}

static bool boot_esp32(struct sim_device *device)
{
    struct esp32_boot_result result;
    const struct esp32_boot boot = {.chip = device->options->chip,
                                    .rollback = !device->options->no_boot_rollback};
    esp32_boot_run(&device->flash.port, &boot, &result);
    if (!result.booted || result.index < 0) return false;
    device->running_off = result.off;
    device->running_len = result.len;
    device->running_slot = result.index;
    device->slots = &device->backend.esp32.slots;
    return molt_esp32_otadata_begin(&device->backend.esp32, &device->flash.port, &molt_bearssl_sha256,
                                    (uint8_t)result.index) == 0;
}

/* One reset; false when nothing boots. */
static bool boot(struct sim_device *device)
{
    device->summary->boots++;
    bool booted = device->layout->is_esp32 ? boot_esp32(device) : boot_esp8266(device);
    if (!booted || device->slots->ops->state(device->slots, &device->boot_state) < 0) {
        life_event(device,
                   &(struct sim_event){.kind = SIM_EVENT_DEAD, .slot = -1, .reason = MOLT_BOOT_FAILED});
        return false;
    }
    const uint32_t before = device->firmware.code;
    sim_firmware_read(device->flash.bytes + device->running_off, device->running_len, &device->firmware);
    device->summary->version_code = device->firmware.code;
    if (device->boot_state.has_failed && before != 0 && before != device->firmware.code)
        device->summary->rollbacks++;
    life_event(device, &(struct sim_event){.kind = SIM_EVENT_BOOTED,
                                           .number = device->firmware.code,
                                           .slot = device->running_slot,
                                           .trial = device->boot_state.on_trial});
    return true;
}

/* A firmware that crashes or hangs before it does anything else. */
static bool crashes(struct sim_device *device)
{
    enum sim_behaviour behaviour = device->firmware.behaviour;
    if (behaviour != SIM_CRASHES && behaviour != SIM_HANGS) return false;
    if (device->options->client == SIM_CLIENT_STOCK)
        life_confirm(device); /* initArduino() confirms before setup() */
    int reason = behaviour == SIM_HANGS ? MOLT_HUNG : MOLT_CRASHED;
    life_event(device, &(struct sim_event){.kind = SIM_EVENT_CRASHED,
                                           .number = device->firmware.code,
                                           .slot = device->running_slot,
                                           .reason = reason});
    return true;
}

static void live(struct sim_device *device)
{
    unsigned crashed = 0;
    while (device->summary->boots < BOOTS_MAX) {
        if (!boot(device)) return;
        if (crashes(device)) {
            device->reset = device->firmware.behaviour == SIM_HANGS ? MOLT_RESET_WATCHDOG : MOLT_RESET_CRASH;
            if (device->boot_state.on_trial || ++crashed < CRASHES_IN_A_ROW)
                continue; /* a trial ends by itself */
            life_event(device,
                       &(struct sim_event){.kind = SIM_EVENT_DEAD, .slot = -1, .reason = MOLT_CRASHED});
            return;
        }
        crashed = 0;
        enum life_end end =
            device->options->client == SIM_CLIENT_STOCK ? life_stock(device) : life_molt(device);
        device->reset = MOLT_RESET_OTHER;
        if (end == LIFE_QUIET) {
            device->summary->alive = true;
            return;
        }
    }
}

int sim_device_run(const struct sim_device_options *options, sim_event_sink sink, void *ctx,
                   struct sim_summary *summary, char err[160])
{
    const bool esp8266 = options->chip == MOLT_CHIP_ESP8266;
    const char *layout = options->layout != NULL ? options->layout : esp8266 ? "4M2M" : "esp32-4M";
    struct sim_device device = {.options = options,
                                .layout = sim_layout_find(layout),
                                .sink = sink,
                                .sink_ctx = ctx,
                                .summary = summary};
    *summary = (struct sim_summary){.alive = false};
    for (int i = 0; i < 6; i++)
        snprintf(summary->id + 2 * i, 3, "%02x", options->mac[i]);
    if (device.layout == NULL || device.layout->is_esp32 == esp8266) {
        snprintf(err, 160, "the layout %s is not one of %s", layout, molt_chip_name(options->chip));
        return -MOLT_ARG;
    }
    const struct sim_flash_config config = {.size = device.layout->flash_size, .path = options->flash_path};
    int rc = sim_flash_open(&device.flash, &config);
    if (rc < 0) {
        snprintf(err, 160, "%s: %s", options->flash_path != NULL ? options->flash_path : "flash",
                 rc == -EINVAL ? "is not a flash file of this layout's size" : strerror(-rc));
        return -MOLT_ARG;
    }
    sim_rtc_power_on(&device.rtc);
    device.reset = MOLT_RESET_POWER;
    rc = sim_trust_load(&device, err);
    find_places(&device);
    bool is_new = flash_is_blank(&device);
    if (rc == 0 && is_new) rc = flash_factory(&device, err);
    if (rc == 0 && is_new) rc = flash_fs(&device, err);
    if (rc == 0) live(&device);
    summary->sequence = device.keep.data.sequence;
    summary->fs_whole = device.keep.data.fs_state == MOLT_FS_WHOLE;
    memcpy(summary->fs_digest, device.keep.data.fs.digest, sizeof summary->fs_digest);
    sim_flash_close(&device.flash);
    return rc;
}
