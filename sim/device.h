/* device.h - one virtual device: a chip with flash, a boot stage, a firmware and a client, living on real sockets.
 *
 *     sim_device_run(&(struct sim_device_options){.chip = MOLT_CHIP_ESP8266, .layout = "4M2M", .firmware_path = "v1.bin",
 *                    .client = SIM_CLIENT_MOLT, .server = "http://127.0.0.1:8266", .mac = {...}}, print, NULL, &summary);
 *
 * What the firmware does after it booted is read from the tag in its image (firmware.h). The device lives until it
 * has asked `checks` times in a row without anything changing, or until it can no longer run. */
#ifndef MOLT_SIM_DEVICE_H
#define MOLT_SIM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware.h"
#include "molt_chip.h"
#include "molt_reason.h"

enum sim_client { SIM_CLIENT_MOLT, SIM_CLIENT_STOCK };

/* How a molt client finds updates; a stock client always uses the version file. */
enum sim_source { SIM_SOURCE_CHECK_IN, SIM_SOURCE_VERSION_FILE, SIM_SOURCE_URL };

struct sim_device_options {
    enum molt_chip chip;
    const char *layout;        /* sim/layout.h; NULL: "4M2M" or "esp32-4M" */
    uint8_t mac[6];            /* the id is its 12 lower-case hex digits */
    const char *firmware_path; /* what is flashed over the wire when the flash is blank */
    const char *fs_path;       /* the same for the file system's place; NULL: it stays blank */
    const char *flash_path;    /* NULL: the flash is in RAM and starts blank */
    enum sim_client client;
    enum sim_source source;
    const char *server;  /* base URL: "http://host:port[/path]" */
    const char *ca_path; /* PEM with trust anchors for https; NULL: any certificate is accepted */
    const char *
        trust_paths[2]; /* PEM of the public keys whose manifests are obeyed; the firmware's product names the
                                   class. Their anti-rollback number lies in the keep store, in flash */
    const char *approver_path; /* PEM of the approver's public key; NULL: none */
    const char *root_path; /* PEM of the root's public key, which says whose signatures count; NULL: none */
    const char *seal_path; /* PEM of the private key that opens encrypted images; NULL: none */
    uint32_t stale_h;      /* the alarm of molt_agent_config; 0: none */
    unsigned trust_count;  /* 0: unsigned images are taken */
    bool molt_boot;        /* ESP8266: molt-boot is put into the firmware that is flashed over the wire */
    bool packs;            /* a molt client that takes packs */
    bool small_packs;      /* ... and says that it has a small decoder: deltas made for it only */
    bool in_place;    /* with molt_boot and trust: ... and writes over itself what has no room beside it */
    bool fs_in_place; /* the firmware lets its file system be written in place */
    bool no_boot_rollback; /* ESP32: the bootloader was built without rollback */
    uint32_t checks;       /* quiet checks until the device is left alone; 0: 1 */
};

enum sim_event_kind {
    SIM_EVENT_FLASHED,   /* the firmware was written over the wire; number = bytes */
    SIM_EVENT_BOOTED,    /* number = version code, slot = ESP32 slot; trial */
    SIM_EVENT_CHECKED,   /* asked; number = version code answered (0: none), reason */
    SIM_EVENT_DOWNLOAD,  /* number of total bytes so far */
    SIM_EVENT_STORED,    /* the new image is stored and will boot; number = bytes */
    SIM_EVENT_FS,        /* the file system was replaced; number = version code of its release, 0: not said */
    SIM_EVENT_FAILED,    /* a check or update failed: reason or client error, text */
    SIM_EVENT_CONFIRMED, /* the trial ended well */
    SIM_EVENT_REJECTED,  /* the firmware's own health check said no */
    SIM_EVENT_CRASHED,   /* the firmware crashed or hung; reason */
    SIM_EVENT_DEAD,      /* nothing boots, or the same firmware crashed three times in a row */
};

struct sim_event {
    enum sim_event_kind kind;
    uint32_t number, total;
    int slot; /* -1: the chip has none */
    bool trial;
    int reason;     /* enum molt_reason, 0: none */
    int error;      /* stock client: getLastError() */
    char text[160]; /* for people, "" when there is nothing to add */
};

struct sim_summary {
    char id[13];
    bool alive;            /* a firmware runs */
    bool failed;           /* something went wrong on the way: a failed update, a crash, a rollback */
    uint32_t version_code; /* of what runs in the end */
    uint32_t boots, updates, rollbacks;
    uint64_t sequence;     /* anti-rollback: what was confirmed */
    bool fs_whole;         /* a file system was installed and is whole */
    uint8_t fs_digest[32]; /* ... and is the image with this SHA-256 */
    int reason;            /* last one, 0: none */
};

typedef void (*sim_event_sink)(void *ctx, const struct sim_event *event);

/* Runs the device's life. Returns 0 (see summary), or a negative reason when it could not begin: -MOLT_ARG (layout and chip
 * do not go together, a bad option; text in err), -MOLT_NOT_FOUND (no such file), and the refusals of image.h. */
int sim_device_run(const struct sim_device_options *options, sim_event_sink sink, void *ctx,
                   struct sim_summary *summary, char err[160]);

#endif
