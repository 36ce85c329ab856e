/* mbedtls.h - SHA-256 and ECDSA P-256 from mbedTLS (ESP-IDF, Arduino on the ESP32): versions 2.28 and 3 by their own functions,
 * version 4 through PSA. Compiled when ESP_PLATFORM is defined. One thread at a time. */
#ifndef MOLT_PORT_MBEDTLS_H
#define MOLT_PORT_MBEDTLS_H

#include "../manifest/manifest.h"
#include "../molt_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pass its address wherever the library wants a struct molt_hash_ops. The states lie here, at most
 * MOLT_MBEDTLS_HASHES at once: a hash that was begun and left must be given back to mbedTLS, which may hold a SHA
 * engine or heap for it. It is, when the same struct molt_hash begins again. */
#define MOLT_MBEDTLS_HASHES 8
extern const struct molt_hash_ops molt_mbedtls_sha256;

/* For struct molt_trust. */
extern const struct molt_signature_ops molt_mbedtls_es256;

#ifdef __cplusplus
}
#endif
#endif
