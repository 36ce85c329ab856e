/* certificate.h - what a device that checks certificates would say of a chain. */
#ifndef MOLT_CLI_DOCTOR_CERTIFICATE_H
#define MOLT_CLI_DOCTOR_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

/* The reason (MOLT_CERT_...) for which a client with the right anchor refuses the chain for host, 0: it does not. */
int certificate_refusal(STACK_OF(X509) * chain, const char *host);

/* True when host is an IPv4 or IPv6 address: the devices compare names only. */
bool certificate_host_is_address(const char *host);

/* The certificate of this machine's store (/etc/ssl/certs, SSL_CERT_FILE) that issued it; the caller's. NULL: none. */
X509 *certificate_issuer_here(X509 *certificate);

/* Days until the certificate expires; negative: it has. */
int certificate_days_left(const X509 *certificate);

/* Bits of the certificate's key; *rsa: it is an RSA key. 0 when it cannot be read. */
int certificate_key_bits(X509 *certificate, bool *rsa);

#endif
