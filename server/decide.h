/* decide.h - the one decision: may this device have that release now, in which encoding, and why (not).
 * Pure: no I/O, no clock, no locks, no allocation. Every skin, the API's "why" and the tests call it. */
#ifndef MOLT_SERVER_DECIDE_H
#define MOLT_SERVER_DECIDE_H

#include "host/model.h"
#include "rules.h"

/* What the device asks for, and what this wire protocol can carry. */
struct decide_ask {
    enum model_component component;
    bool molt; /* a check-in: the device verifies and says what it can (model_device.can, .gzip_window) */
    bool stock_gzip; /* the stock client can take gzip (a Chip-ID header was sent: core 2.6 or later) */
    bool has_md5;    /* MD5 of the running sketch, as x-ESP8266-sketch-md5 / x-ESP32-sketch-md5 said it */
    uint8_t md5[16];
};

struct decision {
    enum molt_verdict verdict; /* MOLT_VERDICT_OFFER: the four pointers below are set */
    int reason;                /* enum molt_reason */
    const struct model_release
        *release; /* the release meant, also when it is refused; NULL when there is none */
    const struct model_image *image;
    const struct model_artifact *artifact; /* what to send */
    enum molt_encoding encoding;
    uint32_t again_s; /* for MOLT_VERDICT_WAIT */
    char
        detail[MODEL_DETAIL_LEN]; /* the numbers behind the reason: "needs 405504 + 282624 of 503808 bytes" */
};

/* Decides. Everything is borrowed from rules; the decision is valid as long as they are. now_ms: Unix time. */
void decide(const struct rules *rules, const struct model_device *device, const struct decide_ask *ask,
            int64_t now_ms, struct decision *out);

/* The ESP8266 space rule (Updater.cpp): does a file of file_len bytes fit beside the running sketch?
 * ceil4K(file_len) + ceil4K(sketch_size) <= fs_start. */
bool decide_esp8266_fits(uint32_t file_len, uint32_t sketch_size, uint32_t fs_start);

#endif
