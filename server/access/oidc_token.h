/* oidc_token.h - is an ID token what the provider says of who just logged in? JWS (RFC 7515) with RS256 or ES256 and the provider's
 * keys (RFC 7517); claims as OpenID Connect Core 3.1.3.7 asks. Pure. Tests: test/unit/oidc_test.c (the RFC's vectors). */
#ifndef MOLT_SERVER_OIDC_TOKEN_H
#define MOLT_SERVER_OIDC_TOKEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OIDC_TOKEN_MAX 16384u /* bytes of a token */

struct oidc_expected {
    const char *issuer, *client_id, *nonce;
    int64_t now_ms;
};

/* base64url without padding, strictly. The length, or -1. */
int oidc_base64url(const char *text, size_t len, uint8_t *out, size_t cap);
/* Is it the signature of the bytes by the key? alg: "RS256" (RSA of 2048 bits or more) or "ES256"; anything else: no. */
bool oidc_signature_ok(const json_t *jwk, const char *alg, const char *bytes, size_t len,
                       const uint8_t *signature, size_t signature_len);
/* The claims of a token that is good (the caller json_decref()s), or NULL and why, static. jwks: {"keys":[...]}. */
json_t *oidc_claims(const char *token, const json_t *jwks, const struct oidc_expected *expected,
                    const char **why);

#endif
