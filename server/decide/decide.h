/* decide.h - the one decision: may this device have that release now, in which encoding, and why (not).
 * Pure: no I/O, no clock, no locks, no allocation. Every skin, the API's "why" and the tests call it. */
#ifndef MOLT_SERVER_DECIDE_H
#define MOLT_SERVER_DECIDE_H

#include "../packs/pack_table.h"
#include "host/model.h"
#include "rules.h"

#define DECIDE_STEPS_MAX     16                      /* releases that a trace tells about */
#define DECIDE_REMEMBERED_MS (24 * 60 * 60 * 1000LL) /* sizes that a bare poll may be refused by */
#define DECIDE_SENDS_MAX     3 /* times that one artifact is sent to a device that does not check in */

/* What the device asks for, and what this wire protocol can carry. */
struct decide_ask {
    enum model_component component;
    const struct model_release *only; /* decide over this release (the one announced), NULL: the newest */
    enum molt_chip chip_said;         /* by this request; MOLT_CHIP_UNKNOWN: not said */
    bool esp32_family;                /* by this request: one of the ESP32 family, not which */
    /* a version poll, which says nothing but the id: what is remembered counts for a day, and what is
     * not known is no obstacle (the .bin request says it) */
    bool bare;
    bool molt;     /* a check-in: the device verifies and says what it can (model_device.can, .gzip_window) */
    bool on_trial; /* the running image is not confirmed yet */
    bool stock_gzip; /* the stock client can take gzip (a Chip-ID header was sent: core 2.6 or later) */
    /* a check-in: ESP8266: flash offset where staged files end; 0: not said, fs_start is taken */
    uint32_t stage_end;
    uint32_t fs_size; /* a check-in: bytes of the file system's place; 0: not said */
    /* a check-in: SHA-256 of the file system's image that is installed; NULL: not said */
    const uint8_t *fs_digest;
    uint32_t fs_code; /* component MODEL_FS: version code of the file system there, 0: not said */
    bool has_md5;     /* MD5 of the running sketch, as x-ESP8266-sketch-md5 / x-ESP32-sketch-md5 said it */
    uint8_t md5[16];
    const struct pack_table *packs; /* what there is; NULL: no packs are offered */
    struct decide_trace *trace;     /* NULL: not wanted */
};

/* What was looked at on the way, in order: each release and what was said of it. */
struct decide_trace {
    uint32_t count;
    struct decide_step {
        const struct model_release *release;
        int reason; /* MOLT_OFFERED, or why not */
        char detail[MODEL_DETAIL_LEN];
    } steps[DECIDE_STEPS_MAX];
};

struct decision {
    enum molt_verdict verdict; /* MOLT_VERDICT_OFFER: the four pointers below are set */
    int reason;                /* enum molt_reason */
    /* the release meant, also when it is refused; NULL when there is none */
    const struct model_release *release;
    const struct model_image *image;
    const struct model_artifact *artifact; /* what to send; of rules, or of the ask's packs */
    const struct model_artifact *manifest; /* the signed statement of what is sent; NULL: it is not signed */
    enum molt_encoding encoding;
    const struct model_rollout *rollout; /* that offers or withholds it; NULL: none */
    uint32_t again_s;                    /* for MOLT_VERDICT_WAIT */
    bool individual;             /* a rollout was asked: labels, the id's bucket, counts or the clock may have
                                    decided. Else nothing did but the rules and what many devices have in common */
    struct pack_key wanted_pack; /* one that would be smaller and that nobody makes yet; kind 0: none */
    /* the numbers behind the reason: "needs 405504 + 282624 of 503808 bytes" */
    char detail[MODEL_DETAIL_LEN];
};

/* Decides. Everything is borrowed from rules and packs; the decision is valid as long as they are. now_ms: Unix time. */
void decide(const struct rules *rules, const struct model_device *device, const struct decide_ask *ask,
            int64_t now_ms, struct decision *out);

/* What `.version` says: the code of the release offered, else of the release believed to run, else 0. */
uint32_t decide_version_code(const struct model_device *device, const struct decision *decision);

/* The chip that images are chosen for: the device's own; else the one that all ESP32-family images of its product are
 * for, when it is one of that family (esp32_family: the request said so); else the ESP8266, when all images of its
 * product are for it (*source is then MODEL_CHIP_ASSUMED); else MOLT_CHIP_UNKNOWN. */
enum molt_chip decide_chip(const struct rules *rules, const struct model_device *device, bool esp32_family,
                           enum model_chip_source *source);

/* ESP8266: the largest file that fits beside the running sketch, bytes (what a stepping stone may have). */
uint32_t decide_esp8266_room(uint32_t sketch_size, uint32_t fs_start);

/* ESP8266: flash offset of the file system, from what ESPhttpUpdate says: free space + ceil4K(sketch size).
 * 0 when either is not said or the sum is no offset in a flash of at most 16 MiB. */
uint32_t decide_infer_fs_start(uint32_t free_space, uint32_t sketch_size);

#endif
