/* app.h - the reference application: what a product with libmolt looks like, in as few lines as it can be.
 * It checks in, updates itself, proves that it is healthy, logs on the serial line and shows a status
 * page. Tests: test/qemu. */
#ifndef MOLT_APP_H
#define MOLT_APP_H

#include <stdint.h>

#include "agent/agent.h"
#include "manifest/keys.h"
#include "manifest/seal.h"

struct molt_lwip_tls;

/* Baked into the image (identity.c); firmware/CMakeLists.txt builds the same program as several versions. */
struct app_identity {
    const char *product, *version;
    uint32_t code;
    enum app_behaviour {
        APP_GOOD,
        APP_CRASHES,    /* reads where nothing is, right after the start */
        APP_HANGS,      /* stops feeding the watchdog */
        APP_HANGS_DEAF, /* the same with interrupts off */
        APP_UNHEALTHY,  /* its health check says no */
        APP_UNSURE,     /* its health check never says yes */
        APP_READS_CODE, /* reads a byte from mapped flash, which an ESP8266 cannot */
    } behaviour;
};
extern const struct app_identity app_identity;

/* What the maker wrote into the device's flash, not into the image: lines of "key=value" in a sector of
 * its own. */
struct app_settings {
    char url[MOLT_HTTP_URL_MAX + 1]; /* "url": base of the server */
    uint8_t mac[6];                  /* "mac": 12 hex digits */
    uint32_t interval_s;             /* "interval" */
    uint32_t confirm_s;              /* "confirm" */
    uint32_t stale_h;                /* "stale": hours without a newer signed release until the alarm */
    /* "sleeps=1": the time until the next check passes at once, as on a chip that sleeps, whose clock goes on */
    bool sleeps;
    /* "time": seconds since 1970 when this was written; the clock runs on from there */
    uint32_t time_s;
    /* "ntp": IPv4 address of a time server; wins over "time", and nothing is asked before it answered */
    char ntp[16];
    uint32_t ntp_port; /* "ntp-port"; 0: 123 */
    /* "pin=1": the certificate in flash is the server's own, whose key is the only one believed */
    bool is_pinned;
    bool is_raw; /* "raw=1": takes no gzip */
    /* "packs=1": packs, and https only from servers that know max_fragment_length, as molt does */
    bool takes_packs;
    struct app_trust {
        /* "key", "key2": public keys in 128 hex digits, as `molt key show --json` prints them; with one of them
         * the device takes nothing that is not signed. "approver", "root": likewise (manifest.h) */
        uint8_t keys[2][MOLT_KEY_LEN], approver[MOLT_KEY_LEN], root[MOLT_KEY_LEN];
        uint8_t vendor[MOLT_UUID_LEN], class_id[MOLT_UUID_LEN]; /* "vendor", "class": 32 hex digits */
        uint8_t device_key[MOLT_PRIVATE_KEY_LEN]; /* "device-key": 64 hex digits, opens encrypted images */
        bool has_key, has_key2, has_approver, has_root, has_device_key;
    } trust;
};
/* false: no settings in flash, or no url and mac in them. */
bool app_settings_read(struct app_settings *settings);

/* Whom the device believes: for config, which points into settings. No-op when there is no key in them. */
void app_trust_begin(const struct app_settings *settings, struct molt_agent_config *config);

/* https with the trust anchor or pinned certificate beside the settings, NULL: there is none. */
struct molt_lwip_tls *app_tls_begin(const struct app_settings *settings);
/* The decoder's memory, NULL: the device takes no packs. */
struct molt_pack *app_pack(const struct app_settings *settings);
bool app_tls_resumed(void); /* the last handshake took up an earlier session */

/* The slots of this board, what its chip is and, on an ESP8266, how large the running image; where its
 * keep store lies (keep.h). NULL: the flash is not as it must be. */
struct molt_slots *app_slots_begin(struct molt_agent_config *config, uint32_t *keep_off);

/* Serves a page on port 80 that says how the device stands. */
void app_status_begin(const struct molt_agent *agent);

#endif
