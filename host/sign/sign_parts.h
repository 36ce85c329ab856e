/* sign_parts.h - what the files of host/sign share; not for users. */
#ifndef MOLT_HOST_SIGN_PARTS_H
#define MOLT_HOST_SIGN_PARTS_H

#include <openssl/evp.h>

#include "sign.h"

struct sign_key {
    EVP_PKEY *private_key; /* NULL: an external program has it */
    char *command;
    uint8_t public_key[MOLT_KEY_LEN];
};

/* Writes one line into err and returns -reason. */
int sign_fail(char err[SIGN_ERROR_LEN], int reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keys of any kind from PEM files; the caller frees. *key is NULL when the file holds none. 0, -MOLT_NOT_FOUND,
 * -MOLT_KEY_INVALID (no such file, too long). */
int sign_private_read(EVP_PKEY **key, const char *path, const char *passphrase, char err[SIGN_ERROR_LEN]);
int sign_public_read(EVP_PKEY **key, const char *path, char err[SIGN_ERROR_LEN]);

/* A DER or raw signature into r and s of 32 bytes each. False when it is neither. */
bool signature_to_raw(const uint8_t *data, size_t len, uint8_t out[MOLT_SIGNATURE_LEN]);

/* Runs command with data on its standard input; at most cap bytes of its output. 0, or -MOLT_SIGNING_FAILED. */
int external_run(const char *command, const uint8_t *data, size_t len, uint8_t *out, size_t cap,
                 size_t *out_len, char err[SIGN_ERROR_LEN]);

#endif
