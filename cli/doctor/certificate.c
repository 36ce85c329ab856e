/* certificate.c - looks at a server's certificates with a device's eyes: dates, name, key, chain.
 * Must never ask another server. Tests: test/e2e/doctor/lab_test.py. */
#include "certificate.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "molt_reason.h"

bool certificate_host_is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

int certificate_days_left(const X509 *certificate)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1) return -1;
    return days < 0 || seconds < 0 ? (days == 0 ? -1 : days) : days;
}

int certificate_key_bits(X509 *certificate, bool *rsa)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    *rsa = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    return key != NULL ? EVP_PKEY_get_bits(key) : 0;
}

static bool has_issuer(STACK_OF(X509) * chain, X509 *certificate)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_check_issued(sk_X509_value(chain, i), certificate) == X509_V_OK) return true;
    }
    return false;
}

X509 *certificate_issuer_here(X509 *certificate)
{
    X509 *issuer = NULL;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (store != NULL && context != NULL && X509_STORE_set_default_paths(store) == 1 &&
        X509_STORE_CTX_init(context, store, certificate, NULL) == 1 &&
        X509_STORE_CTX_get1_issuer(&issuer, context, certificate) != 1)
        issuer = NULL;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return issuer;
}

static bool issuer_is_here(X509 *certificate)
{
    X509 *issuer = certificate_issuer_here(certificate);
    const bool here = issuer != NULL;
    X509_free(issuer);
    return here;
}

/* The leaf's issuer is not sent, though it is a public one: its certificate tells where the issuer's is to be had. A
 * private authority is in the sketch itself and need not be sent. */
static bool lacks_intermediate(STACK_OF(X509) * chain, X509 *leaf)
{
    return X509_get_ext_by_NID(leaf, NID_info_access, -1) >= 0 && !has_issuer(chain, leaf) &&
           !issuer_is_here(leaf);
}

int certificate_refusal(STACK_OF(X509) * chain, const char *host)
{
    X509 *leaf = chain != NULL ? sk_X509_value(chain, 0) : NULL;
    if (leaf == NULL) return MOLT_TLS;
    bool rsa;
    int bits = certificate_key_bits(leaf, &rsa);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_cmp_current_time(X509_get0_notAfter(sk_X509_value(chain, i))) < 0) return MOLT_CERT_EXPIRED;
        if (X509_cmp_current_time(X509_get0_notBefore(sk_X509_value(chain, i))) > 0) return MOLT_CERT_EARLY;
    }
    if (certificate_host_is_address(host)) return MOLT_CERT_IP;
    if (X509_check_host(leaf, host, 0, 0, NULL) != 1) return MOLT_CERT_NAME;
    if (rsa && bits < 1024) return MOLT_CERT_WEAK;
    if (lacks_intermediate(chain, leaf)) return MOLT_CERT_CHAIN;
    return 0;
}
