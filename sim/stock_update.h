/* stock_update.h - the updaters of the Arduino cores, played on a virtual chip: ESPhttpUpdate with Updater (ESP8266,
 * core 3.1.2) and HTTPUpdate with Update (ESP32, core 2.0), request bytes, order of checks, error numbers and texts as
 * observed. Sources: ESP8266httpUpdate.cpp and Updater.cpp; HTTPUpdate.cpp and Updater.cpp of arduino-esp32. */
#ifndef MOLT_SIM_STOCK_UPDATE_H
#define MOLT_SIM_STOCK_UPDATE_H

#include "flash.h"
#include "molt_chip.h"
#include "slots/esp8266_eboot.h"
#include "stock_http.h"

/* Releases of the cores that differ in what a server sees or a sketch prints. */
enum stock_core {
    STOCK_CORE_USUAL, /* ESP8266 master of 2026-03; ESP32 2.0.4 */
    STOCK_CORE_2_7,   /* ESP8266 2.7: 401 is -104 */
    STOCK_CORE_3_X,   /* ESP32 3.x: also sends x-ESP32-BASE-MAC */
};

/* The chip that the client runs on. Everything is borrowed. */
struct stock_device {
    enum molt_chip chip;
    enum stock_core core;
    const struct stock_wire *wire; /* NULL: plain TCP */
    struct sim_flash *flash;
    uint8_t mac[6];
    bool follow_redirects; /* setFollowRedirects(HTTPC_STRICT_FOLLOW_REDIRECTS); off, as in both libraries */
    /* ESP8266 */
    uint32_t fs_start, fs_end; /* flash offsets */
    uint8_t *rtc;              /* MOLT_EBOOT_COMMAND_LEN bytes of RTC memory */
    /* ESP32 family */
    uint32_t running_off;        /* flash offset of the running image */
    uint32_t next_off, next_len; /* the next OTA slot */
    uint8_t next_slot;           /* its index */
    uint32_t otadata_off;
    uint8_t slot_count;
    /* waits, ms; 0: the library's own */
    int read_timeout_ms;                                        /* 8000 */
    int body_timeout_ms;                                        /* ESP8266 60000, ESP32 30000 */
    void (*progress)(void *ctx, uint32_t done, uint32_t total); /* NULL: none */
    void *progress_ctx;
};

enum stock_return { STOCK_FAILED = 0, STOCK_NO_UPDATES = 1, STOCK_OK = 2 };

/* What the sketch would see. */
struct stock_result {
    enum stock_return ret;
    int error;      /* getLastError() */
    char text[176]; /* getLastErrorString() */
    uint32_t len;   /* Content-Length of the image, 0 when none was accepted */
};

#define STOCK_REQUEST_MAX 2048
/* The heads of the two requests as the functions below send them: for the .bin, and for the .version. */
void stock_update_request(const struct stock_device *device, const struct stock_place *place,
                          const char *version, bool fs, char out[STOCK_REQUEST_MAX]);
void stock_version_request(const struct stock_device *device, const struct stock_place *place,
                           char out[STOCK_REQUEST_MAX]);

/* GET <url> as the thread's routine does; the number that toInt() reads, 0 when the status was not 200. *status is the
 * HTTP status or an enum stock_http_error. */
int32_t stock_version_get(const struct stock_device *device, const char *url, int *status);

/* ESPhttpUpdate.update(url, version) or httpUpdate.update(): version NULL: no version header. fs: the file system
 * (mode spiffs) instead of the sketch. On STOCK_OK the next boot runs what was fetched. */
void stock_update(const struct stock_device *device, const char *url, const char *version, bool fs,
                  struct stock_result *result);

/* The request after a redirect: the headers of the first one were cleared with its answer. */
void stock_redirected_request(const struct stock_device *device, const struct stock_place *place,
                              char out[STOCK_REQUEST_MAX]);

/* Follows the redirect that http's answer with this status is, and those behind it, as HTTPClient does when it is told to;
 * the connection to place is open. The status of the last answer, or an enum stock_http_error (nothing is open then). The
 * requests behind the first carry no x-ESP headers. */
int stock_follow(const struct stock_device *device, struct stock_http *http, struct stock_place *place,
                 int status, int timeout_ms);

/* getLastErrorString() of the platform for an error number. Static. */
const char *stock_error_text(enum stock_platform platform, int error);

#endif
