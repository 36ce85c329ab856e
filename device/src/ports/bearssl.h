/* bearssl.h - SHA-256 from BearSSL (ESP8266, QEMU boards, PC). Compiled when MOLT_WITH_BEARSSL is defined. */
#ifndef MOLT_PORT_BEARSSL_H
#define MOLT_PORT_BEARSSL_H

#include "../molt_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pass its address wherever the library wants a struct molt_hash_ops. */
extern const struct molt_hash_ops molt_bearssl_sha256;

#ifdef __cplusplus
}
#endif
#endif
