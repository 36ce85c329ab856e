/* stock_parts.h - what the files behind stock.h share; not for users. */
#ifndef MOLT_HOST_SIGN_STOCK_PARTS_H
#define MOLT_HOST_SIGN_STOCK_PARTS_H

#include "sign_parts.h"
#include "stock.h"

#define STOCK_SIGNATURE_MAX 512u /* bytes: RSA-4096 */

/* Keys of the kinds and sizes that the format has; the caller frees. 0, -MOLT_NOT_FOUND, -MOLT_KEY_INVALID. */
int stock_key_open(EVP_PKEY **out, const char *path, const char *passphrase, enum stock_format format,
                   char err[SIGN_ERROR_LEN]);
int stock_public_open(EVP_PKEY **out, const char *path, enum stock_format format, char err[SIGN_ERROR_LEN]);

/* Is it of the kinds and sizes that the format has? */
bool stock_key_fits(const EVP_PKEY *key, enum stock_format format);

/* SHA-256 with RSA PKCS#1 v1.5, or, modern, RSA-PSS (longest salt) or ECDSA in DER. *signature_len: room, then length. */
int stock_signature(EVP_PKEY *key, bool modern, const uint8_t *data, size_t len, uint8_t *signature,
                    size_t *signature_len);
/* modern: signature may be followed by zeros. */
bool stock_signature_good(EVP_PKEY *key, bool modern, const uint8_t *data, size_t len,
                          const uint8_t *signature, size_t signature_len);

/* One signature block, 1216 bytes, for len bytes of padded image. secure_boot.c */
int secure_boot_block(EVP_PKEY *key, const uint8_t *image, size_t len, uint8_t *block);
bool secure_boot_good(EVP_PKEY *key, const uint8_t *image, size_t len, const uint8_t *block);

#endif
