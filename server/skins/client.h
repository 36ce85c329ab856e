/* client.h - who is calling: what a request's headers say about the device, every value checked and bounded.
 *
 * Sources of the headers: ESP8266httpUpdate.cpp and HTTPUpdate.cpp (x-ESP8266-*, x-ESP32-*), esp_http_client.
 * A value that is missing or malformed counts as not said (0, "", false): the device checks the same things again. */
#ifndef MOLT_SERVER_CLIENT_H
#define MOLT_SERVER_CLIENT_H

#include "host/model.h"
#include "server/net/http_server.h"

enum client_mode {
    CLIENT_MODE_NONE = 0, /* no x-...-mode header */
    CLIENT_MODE_SKETCH,
    CLIENT_MODE_FILESYSTEM, /* "spiffs", also for LittleFS */
    CLIENT_MODE_VERSION,    /* wants x-version only */
    CLIENT_MODE_UNKNOWN,    /* a mode that molt does not know: nothing fits it */
};

struct client {
    enum model_client kind; /* MODEL_CLIENT_UNKNOWN: a browser, curl, a proxy that strips headers */
    enum molt_chip chip;    /* said without doubt: by the ESP8266's clients and by libmolt; else UNKNOWN */
    bool esp32_family;      /* some ESP32: it does not say which */
    bool libmolt;           /* its User-Agent, asking for files by the version file's names */
    enum client_mode mode;
    char mac_id[MODEL_ID_LEN]; /* id of the STA-MAC header, "" when absent */
    bool has_chip_id;          /* x-ESP8266-Chip-ID: core 2.6 or later */
    bool has_md5, has_sha256, has_file;
    uint8_t md5[16];                              /* of the running sketch as it lies in flash */
    uint8_t sha256[32];                           /* ESP32: the running image's appended hash */
    uint8_t file[32];                             /* If-None-Match, when it is one of our ETags */
    uint32_t free_space, sketch_size, flash_size; /* bytes, 0: not said; at most CLIENT_SIZE_MAX */
    char core[MODEL_NAME_LEN];                    /* sdk-version; printable ASCII */
    char version[MODEL_NAME_LEN];                 /* what the sketch passed as its version; printable ASCII */
};

#define CLIENT_SIZE_MAX (256u * 1024 * 1024)

/* Looks a header up by its lower-case name, as http_header() does for index 0. */
typedef struct http_slice (*client_lookup)(const void *request, const char *name);

/* Fills out from the headers. Pure. */
void client_read(client_lookup lookup, const void *request, struct client *out);

/* Hex text to bytes: exactly 2 * count digits of either case, else false. */
bool client_hex(struct http_slice text, uint8_t *out, size_t count);

/* A decimal number without sign, at most max; false (and *out untouched) when it is anything else. */
bool client_number(struct http_slice text, uint64_t max, uint64_t *out);

#endif
