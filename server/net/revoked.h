/* revoked.h - certificates that their authority took back: a list of it (CRL, RFC 5280), for the clients of one SSL_CTX.
 * Private to server/net. */
#ifndef MOLT_SERVER_NET_REVOKED_H
#define MOLT_SERVER_NET_REVOKED_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/* Reads the lists in a file (PEM, one after another) into the context, whose authorities are there already, and has clients whose
 * certificate is on one refused (alert certificate_revoked). 0; -1 with a sentence in err: it cannot be read, holds none, or one is not
 * signed by an authority of the context. A list that is older than it says goes on counting: what is on it stays revoked, and what is
 * not is let in, because a list that nobody renewed must not shut out a fleet (http_crl_stale() tells). */
int revoked_load(SSL_CTX *ctx, const char *path, char *err, size_t err_cap);
/* Is this certificate on a list of the context? */
bool revoked_has(SSL_CTX *ctx, X509 *cert);

#endif
