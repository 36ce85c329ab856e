/* molt_port.h - what a product supplies: flash and hashing. All of it is passed in; the core has no
 * globals, no heap, no clock and no sockets. Time is an argument of the calls that need it. */
#ifndef MOLT_PORT_H
#define MOLT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_SECTOR         4096u /* the erase unit of every SPI NOR flash that ESP chips use, bytes */
#define MOLT_WRITE_UNIT_MAX 32u   /* largest write unit molt works with (encrypted ESP32 flash), bytes */
#define MOLT_ERASE_SIZES    4

/* The whole flash of the device; offsets are flash offsets in bytes from 0.
 * Callbacks return 0, or a negative number of the port's own, which is kept for the report. */
struct molt_flash {
    void *ctx;                              /* passed to every callback; must outlive the users */
    uint32_t size;                          /* bytes; a multiple of MOLT_SECTOR */
    uint32_t write_unit;                    /* bytes, 1 to MOLT_WRITE_UNIT_MAX, a power of two; every write
                                                is aligned to it and a multiple of it, and programs each
                                                unit at most once per erase */
    uint32_t erase_sizes[MOLT_ERASE_SIZES]; /* rising powers of two; [0] is MOLT_SECTOR; unused ones are 0 */
    int (*read)(void *ctx, uint32_t off, void *dst, uint32_t len);
    int (*write)(void *ctx, uint32_t off, const void *src, uint32_t len);
    int (*erase)(void *ctx, uint32_t off,
                 uint32_t len); /* off and len multiples of len = one of erase_sizes */
    bool (*is_blank)(void *ctx, uint32_t off, uint32_t len); /* true when the range may be written without
                                                an erase. The port answers, because erased flash reads as
                                                noise through decryption. A failed read is "no" */
};

#define MOLT_SHA256_LEN 32u
/* bytes; the hash state of BearSSL, mbedTLS (ESP-IDF's for its SHA engines, too) and OpenSSL's
 * SHA256_CTX */
#define MOLT_HASH_CTX_LEN 112u

/* SHA-256 (FIPS 180-4), supplied by the platform's crypto library. */
struct molt_hash_ops {
    void (*init)(void *state); /* state: MOLT_HASH_CTX_LEN bytes, 8-aligned */
    void (*update)(void *state, const void *data, size_t len);
    void (*finish)(void *state, uint8_t digest[MOLT_SHA256_LEN]);
};

/* One running hash; caller-allocated. */
struct molt_hash {
    union {
        uint64_t align;
        uint8_t bytes[MOLT_HASH_CTX_LEN];
    } state;
    const struct molt_hash_ops *ops;
};

#ifdef __cplusplus
}
#endif
#endif
