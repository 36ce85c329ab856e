/* life.h - what the files of a virtual device share (device.c, life_stock.c, life_molt.c); not for users. */
#ifndef MOLT_SIM_LIFE_H
#define MOLT_SIM_LIFE_H

#include "agent/agent.h"
#include "device.h"
#include "eboot.h"
#include "../firmware/boot/esp32/esp32_boot.h"
#include "flash.h"
#include "layout.h"
#include "molt_boot.h"
#include "slots/esp32_otadata.h"
#include "manifest/manifest.h"
#include "manifest/seal.h"
#include "keep/keep.h"
#include "slots/esp8266_eboot.h"
#include "slots/fs_slots.h"
#include "slots/in_place.h"
#include "slots/molt_boot.h"

struct sim_device {
    const struct sim_device_options *options;
    const struct sim_layout *layout;
    sim_event_sink sink;
    void *sink_ctx;
    struct sim_summary *summary;
    struct sim_flash flash;
    struct sim_rtc rtc;
    struct molt_trust trust; /* key_count 0: takes unsigned images */
    uint8_t trust_keys[MOLT_TRUST_KEYS_MAX][MOLT_KEY_LEN], approver[MOLT_KEY_LEN], root[MOLT_KEY_LEN];
    uint8_t seal_key[MOLT_PRIVATE_KEY_LEN];
    /* since the last reset */
    struct sim_firmware firmware;
    uint32_t running_off, running_len;
    int running_slot;      /* -1 on the ESP8266 */
    enum molt_reset reset; /* how it came about */
    struct molt_slots *slots;
    union {
        struct molt_esp32_otadata esp32;
        struct molt_esp8266_eboot esp8266;
        struct molt_boot_slots molt_boot;
    } backend;
    struct molt_boot_state boot_state;
    uint32_t keep_off;       /* of the keep store in flash */
    uint32_t fs_off, fs_len; /* of the file system; 0, 0: the layout has none */
    struct molt_keep keep;   /* of a firmware with libmolt: as it was loaded and left */
    struct molt_fs_slots fs;
    struct molt_in_place_slots in_place; /* begun with molt_boot */
};

/* How one run of a firmware, from reset to reset, ended. */
enum life_end {
    LIFE_QUIET, /* it runs, asked often enough, and nothing is new */
    LIFE_RESET, /* it restarts: into what the boot stage chooses */
};

/* The Arduino sketch of the thread: version file, then ESPhttpUpdate or HTTPUpdate. */
enum life_end life_stock(struct sim_device *device);
/* A firmware with libmolt. */
enum life_end life_molt(struct sim_device *device);

/* Hands an event to the sink. */
void life_event(struct sim_device *device, const struct sim_event *event);

/* An event with one sentence. */
void life_failed(struct sim_device *device, int reason, int error, const char *text);

/* ---- trust.c ---- */
int sim_trust_load(struct sim_device *device, char err[160]); /* options' keys; 0 or a negative reason */
/* For the firmware that runs now; NULL when the device trusts nobody in particular. */
const struct molt_trust *sim_trust(struct sim_device *device);

/* Confirms the running image through the slots, as IDF's esp_ota_mark_app_valid_cancel_rollback() does. */
void life_confirm(struct sim_device *device);

#endif
