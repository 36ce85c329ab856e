/* serve_case.h - a real server of its own for a test, and a raw HTTP client that sends bytes as they stand. */
#ifndef MOLT_TEST_SERVE_CASE_H
#define MOLT_TEST_SERVE_CASE_H

#include <stdbool.h>

#include "molt_chip.h"
#include "server/serve.h"
#include "temp_dir.h"

struct serve_case {
    struct temp_dir dir; /* holds data/ and static/ */
    char data_dir[96], static_dir[96], socket_path[128];
    struct serve_options options;
    struct serve *serve;
    uint16_t port, admin_port;
};

/* Makes the folders and starts with options as they are in c->options (data folder and ports are set here). */
void serve_case_make(struct serve_case *c);
void serve_case_start(struct serve_case *c);
void serve_case_stop(struct serve_case *c);   /* the server only */
void serve_case_remove(struct serve_case *c); /* all of it */

/* ---- raw HTTP ---- */
struct reply {
    int status;
    char head[4096]; /* with the empty line, NUL-terminated */
    uint8_t *body;   /* malloc'ed, NUL-terminated; NULL when there is none */
    size_t body_len;
    long content_length; /* -1: not said */
    bool closed;         /* the server closed after it */
};
void reply_free(struct reply *reply);
/* The value of a header, "" when absent; fails the test when it is there twice. Static buffer. */
const char *reply_header(const struct reply *reply, const char *name);

int raw_connect(uint16_t port);
int raw_connect_unix(const char *path);
void raw_send(int fd, const void *data, size_t len);
/* Reads one answer; no_body for HEAD. */
void raw_read(int fd, bool no_body, struct reply *reply);
/* Connects, sends the text, reads the answer, closes. */
void raw_ask(uint16_t port, const char *request, struct reply *reply);

/* ---- what tests do with a server, over its socket ---- */
/* A request to the API; the status, and the body in reply. */
int api_ask(const struct serve_case *c, const char *method, const char *path, const void *body, size_t len,
            struct reply *reply);
/* Builds an image for the chip whose tag says the code, publishes it, returns its bytes (free it). */
uint8_t *publish_image_of(const struct serve_case *c, const char *product, enum molt_chip chip, uint32_t code,
                          uint32_t size, size_t *len);
/* The same image without publishing it; one without a tag. */
uint8_t *build_image_of(enum molt_chip chip, uint32_t code, uint32_t size, size_t *len);
uint8_t *build_plain_image(enum molt_chip chip, uint32_t seed, uint32_t size, size_t *len);
void assign(const struct serve_case *c, const char *id, const char *product);
/* A field of a device from the API, by its path: "reason.id", "attempt.state"; "" when absent. Static buffer. */
const char *device_text(const struct serve_case *c, const char *id, const char *field);
/* Waits until it is that: what comes after the last byte of an answer, such as a download's end, is noted when the kernel has
 * taken all of it, and by then the client may have it. */
void await_device_text(const struct serve_case *c, const char *id, const char *field, const char *value);

/* ---- the stock clients, byte for byte ---- */
/* GET <path>.version as the ESP8266's (or ESP32's) HTTPClient sends it. */
void ask_version(uint16_t port, const char *path, struct reply *reply);
void ask_version_esp32(uint16_t port, const char *path, struct reply *reply);
/* What the ESP8266 says of itself in ESPhttpUpdate. NULL and 0: the defaults of the capture. */
struct esp8266 {
    const char *mac, *md5, *mode, *version, *authorization;
    uint32_t free_space, sketch_size, flash_size;
    bool old_core;    /* before 2.6: no Chip-ID */
    const char *verb; /* "GET" */
};
void ask_esp8266(uint16_t port, const char *path, const struct esp8266 *device, struct reply *reply);
struct esp32 {
    const char *mac, *sha256, *mode;
    uint32_t slot_size;
};
void ask_esp32(uint16_t port, const char *path, const struct esp32 *device, struct reply *reply);

#endif
