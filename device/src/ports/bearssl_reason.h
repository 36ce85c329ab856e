/* bearssl_reason.h - which reason an error of BearSSL's client is: one table for every port that has BearSSL. In a header, so
 * that what has no TLS links nothing of it. Tests: test/e2e/posix_port_test.c, test/qemu/tls_test.c, test/sdk. */
#ifndef MOLT_PORT_BEARSSL_REASON_H
#define MOLT_PORT_BEARSSL_REASON_H

#if defined(ARDUINO_ARCH_ESP8266) /* the core keeps them in a folder */
#include <bearssl/bearssl_ssl.h>
#include <bearssl/bearssl_x509.h>
#else
#include <bearssl_ssl.h>
#include <bearssl_x509.h>
#endif
#include <stdbool.h>

#include "../molt_reason.h"

/* error: BearSSL's number (bearssl_ssl.h, bearssl_x509.h) of a handshake that failed; an alert's, and 0, are MOLT_TLS.
 * is_pinned: one key was believed, whatever its certificate. Returns MOLT_TLS or, closer, MOLT_TLS_TIME, _NAME, _TRUST. */
static inline int molt_bearssl_reason(int error, bool is_pinned)
{
    switch (error) {
    case BR_ERR_X509_EXPIRED: /* or not valid yet */
        return MOLT_TLS_TIME;
    case BR_ERR_X509_BAD_SERVER_NAME:
        return MOLT_TLS_NAME;
    case BR_ERR_X509_NOT_TRUSTED:
        return MOLT_TLS_TRUST;
    case BR_ERR_BAD_SIGNATURE: /* by another key than the pinned one */
        return is_pinned ? MOLT_TLS_TRUST : MOLT_TLS;
    default:
        return MOLT_TLS;
    }
}

#endif
