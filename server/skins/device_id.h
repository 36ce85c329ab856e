/* device_id.h - who a request is from, as far as its path and the MAC headers tell.
 *
 * A device id is the station MAC as 12 lower-case hex digits, or a name (1 to 32 letters, digits, '.', '-', '_',
 * lower case, beginning with a letter or digit). Paths of the device plane:
 *
 *     [/k/TOKEN] [/p/PRODUCT] /any/thing/NAME.version      the version file
 *     [/k/TOKEN] [/p/PRODUCT] /any/thing/NAME.bin          the image
 *     [/k/TOKEN] [/p/PRODUCT] /any/thing                   known by its x-ESP...-STA-MAC header only
 *
 * /k/TOKEN proves the device (a stock sketch cannot send other credentials than Basic); /p/PRODUCT gives a device
 * that has no product this one. NAME holds the MAC in any of these spellings: 12 hex digits of either case; pairs
 * joined by ':' or '-'; either with a fixed text glued before or behind it ("0x999995ccf7fc602e2"); the ESP32's
 * efuse MAC printed as a number, that is byte-reversed and maybe without its leading zeros. Anything else is a name. */
#ifndef MOLT_SERVER_DEVICE_ID_H
#define MOLT_SERVER_DEVICE_ID_H

#include <stdbool.h>
#include <stddef.h>

#include "host/model.h"

#define DEVICE_TOKEN_LEN 65 /* of /k/TOKEN/, with the NUL */

enum device_path_kind {
    DEVICE_PATH_OTHER = 0, /* no .version, .bin, .suit or .json at the end */
    DEVICE_PATH_VERSION,
    DEVICE_PATH_BIN,
    DEVICE_PATH_SUIT,
    DEVICE_PATH_JSON,
};

struct device_path {
    enum device_path_kind kind;
    char id[MODEL_ID_LEN]; /* "" for DEVICE_PATH_OTHER, and when NAME is no valid name */
    bool is_mac;           /* id is a MAC, not a name */
    char token[DEVICE_TOKEN_LEN];
    char product[MODEL_NAME_LEN];
    const char *rest; /* the path behind /k/TOKEN and /p/PRODUCT; points into the argument, begins with '/' */
};

/* Takes a decoded path apart. False when a prefix is malformed (empty, too long or with forbidden characters):
 * nothing can be served then. path: NUL-terminated, begins with '/'; must outlive out. */
bool device_path_parse(const char *path, struct device_path *out);

/* The id that a spelling means; false when it can be none. *is_mac may be NULL. For the API and the CLI too. */
bool device_id_parse(const char *text, size_t len, char out[MODEL_ID_LEN], bool *is_mac);

/* The id of a MAC as the x-ESP...-STA-MAC headers carry it: 6 octets, forwards. False when it is none. */
bool device_id_from_mac(const char *text, size_t len, char out[MODEL_ID_LEN]);

/* An id as libmolt says it: a MAC in its one spelling stands as it is, anything else is parsed. */
bool device_id_said(const char *text, size_t len, char out[MODEL_ID_LEN]);

#endif
