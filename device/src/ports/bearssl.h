/* bearssl.h - SHA-256 and ECDSA P-256 from BearSSL (ESP8266, QEMU boards, PC). Compiled when
 * MOLT_WITH_BEARSSL is defined, and under Arduino on the ESP8266. */
#ifndef MOLT_PORT_BEARSSL_H
#define MOLT_PORT_BEARSSL_H

#include "../manifest/manifest.h"
#include "../molt_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pass its address wherever the library wants a struct molt_hash_ops. */
extern const struct molt_hash_ops molt_bearssl_sha256;

/* ECDSA P-256 for struct molt_trust. i15 multiplies 15-bit words: for the ESP8266, whose multiplier gives
 * 32 bits. i31 is for chips that multiply 32 by 32 to 64 bits at once: ESP32 family, PC. Both give the
 * same answers. */
extern const struct molt_signature_ops molt_bearssl_es256_i15, molt_bearssl_es256_i31;

#ifdef __cplusplus
}
#endif
#endif
