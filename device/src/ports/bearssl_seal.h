/* bearssl_seal.h - encrypted images (manifest/seal.h) by BearSSL. Compiled when MOLT_WITH_BEARSSL is defined; linked when
 * named, about 5 KB of code on an ESP8266. */
#ifndef MOLT_PORT_BEARSSL_SEAL_H
#define MOLT_PORT_BEARSSL_SEAL_H

#include "../manifest/seal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pass its address as molt_agent_config.seal. open: 0, or -MOLT_SEALED when the COSE_Encrypt has another form, its point is
 * none of the curve, or the private key is not the one it was wrapped for. */
extern const struct molt_seal_ops molt_bearssl_seal;

#ifdef __cplusplus
}
#endif
#endif
