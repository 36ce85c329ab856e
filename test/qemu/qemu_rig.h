/* qemu_rig.h - real firmware in QEMU beside a real `molt serve`, for tests: builds flash contents, starts
 * and kills machines, waits for what they say. Every wait is for a line; what was said is printed when it
 * does not come. */
#ifndef MOLT_QEMU_RIG_H
#define MOLT_QEMU_RIG_H

#include "cmocka_all.h"

#include <jansson.h>
#include "sim/layout.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RIG_TALKERS_MAX 16
#define RIG_DEVICES_MAX 14
#define RIG_FLASH_LEN   0x400000u
#define RIG_WAIT_MS     240000

enum rig_board { RIG_RV32, RIG_LX106 };
enum rig_tls { RIG_PLAIN, RIG_EC, RIG_RSA };

/* A process whose output is kept. */
struct rig_talker {
    pid_t pid; /* 0: not running */
    int fd;
    char *log; /* NUL-terminated, all it said */
    size_t len;
    size_t seen; /* rig_wait_line() looks behind this */
};

/* A device: its flash outlives its machine. */
struct rig_device {
    enum rig_board board;
    char id[13];
    char flash[24], monitor[24]; /* in the rig's folder, which is the current one */
    /* plugin.c's arguments for the next power-on, "": without it */
    char plugin[64];
    unsigned slow_ms; /* the network brings what it has every so many ms, 0: at once */
    /* rig_hear() is its watchdog: resets it when it does not feed (lx106; QEMU has one for rv32) */
    bool watched;
    size_t silent_until; /* length of its log at power-on: longer, and it runs, with its monitor */
    uint32_t fed;
    int64_t fed_ms;
    struct rig_talker machine;
};

struct rig {
    char folder[64];
    struct rig_talker *talkers[RIG_TALKERS_MAX];
    size_t talker_count;
    struct rig_device devices[RIG_DEVICES_MAX];
    size_t device_count;
    struct rig_talker server;
    struct rig_talker middle; /* middle.py, when a test wants it between device and server */
    enum rig_tls tls;
    char url[64]; /* what devices ask: the server, or the middle */
    uint16_t ntp_port;
    uint16_t http_port, https_port; /* 0: not listening */
    char scratch[4096];
};

/* rig_begin() with https as well, by a certificate of such a key, made with openssl; its CA is in every
 * device's flash. */
int rig_begin_ec(void **state);
int rig_begin_rsa(void **state);
/* Devices flashed from now on trust another CA than the server's. */
void rig_strange_authority(struct rig *rig);
/* The same, and they find the server's own certificate in its place, to pin it. */
void rig_own_certificate(struct rig *rig);
/* Puts middle.py between the server and the devices flashed from now on. arguments: its options;
 * certificates of the rig's: "cert.pem key.pem", "expired.pem key.pem", "other.pem key.pem" (for another
 * host). */
void rig_middle(struct rig *rig, const char *arguments);
/* Devices flashed from now on ask the server itself again. */
void rig_ask_the_server(struct rig *rig);

/* cmocka set-up and tear-down: a folder, an empty server; kills what is left. *state is the rig. */
int rig_begin(void **state);
int rig_end(void **state);

/* Runs `molt` with these arguments, NULL last, on the server's data; fails the test unless it ends with 0.
 * Returns what it said (valid until the next call). */
const char *rig_molt(struct rig *rig, ...);
/* Where app-NAME.bin lies, as a maker flashes and publishes it: on the ESP8266 with molt-boot in sector 0,
 * but for the names "stock-...", which have Arduino's eboot there. */
void rig_image_path(struct rig *rig, char path[512], enum rig_board board, const char *name);
/* Publishes build/firmware/BOARD/app-NAME.bin for everyone. */
void rig_publish(struct rig *rig, enum rig_board board, const char *name);
/* What the server says of the device's last attempt: "updated", "rolled-back" ... ; "" when there is none. */
const char *rig_attempt_state(struct rig *rig, const struct rig_device *device);
/* Lets the server forget the device, if it knows it. */
void rig_forget(struct rig *rig, const struct rig_device *device);
/* Fails the test unless the server comes to say this state. */
void rig_expect_state(struct rig *rig, const struct rig_device *device, const char *state);
/* Fails the test unless the server comes to say that this is how the device's last attempt that ended did so,
 * as "rolled-back, crashed": looks whenever the device's agent has said another line. */
void rig_expect_result(struct rig *rig, struct rig_device *device, const char *result);

/* A new device of the rig's, with boot stage, partition table, settings and app-NAME in its flash.
 * settings: lines that win over the usual ones, or "". */
struct rig_device *rig_flash(struct rig *rig, enum rig_board board, const char *name, const char *settings);
/* The same flash anew, for the same device. */
void rig_reflash(struct rig *rig, struct rig_device *device, const char *name, const char *settings);
/* Waits until the machine ends by itself. */
void rig_wait_end(struct rig *rig, struct rig_device *device);
/* The first 4 MB of its flash, exactly as given. */
void rig_set_flash(const struct rig_device *device, const uint8_t *flash);
void rig_power_on(struct rig *rig, struct rig_device *device);
void rig_power_off(struct rig *rig, struct rig_device *device); /* kill -9; no-op when it is off */
/* A command for QEMU's monitor: "set_link n0 off", "system_reset". Returns what it said (until the next
 * call). */
const char *rig_monitor(struct rig_device *device, const char *command);
/* What the device's own web page says (until the next call). */
const char *rig_status_page(struct rig *rig, struct rig_device *device);

/* Waits until a line said after the last one waited for holds text; the line (until the next call). */
const char *rig_wait_line(struct rig *rig, struct rig_talker *talker, const char *text);
/* The same with a time limit in ms; NULL when it did not come. Only for instants at which a test
 * interferes. */
const char *rig_try_line(struct rig *rig, struct rig_talker *talker, const char *text, int64_t limit_ms);
/* rig_wait_line() for a device's serial line. */
const char *rig_hear(struct rig *rig, struct rig_device *device, const char *text);
/* Fails unless text is in what was said so far (or, not). */
void rig_said(const struct rig_talker *talker, const char *text);
void rig_not_said(const struct rig_talker *talker, const char *text);

/* ---- for the rig's own files ---- */

void rig_start(struct rig *rig, struct rig_talker *talker, const char *const args[]);
void rig_stop(struct rig *rig, struct rig_talker *talker); /* kill -9; no-op when it does not run */
/* Runs a command to its end; *said is what it said. Returns its exit status. */
int rig_run(struct rig *rig, const char *const args[], const char **said);
void rig_serve(struct rig *rig);
void rig_make_certificates(struct rig *rig);

/* MOLT_SEED from the environment or the clock; printed. */
uint32_t rig_seed(void);
uint32_t rig_random(uint32_t *seed);

#endif
