/* revoked.c - reads lists of revoked certificates and looks into them. Must never take a list that its authority did not sign, nor
 * let a list that nobody renewed shut out a fleet. Tests: test/e2e/certificate_test.sh. */
#include "revoked.h"

#include "http_server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define LISTS_MAX 64

static int fail(const char *path, const char *why, char *err, size_t cap)
{
    (void)snprintf(err, cap, "cannot use list of revoked certificates %s: %s", path, why);
    ERR_clear_error();
    return -1;
}

/* Both are looked up in what the context holds; NULL: memory was short. */
static X509_STORE_CTX *lookup_in(SSL_CTX *ctx)
{
    X509_STORE_CTX *lookup = X509_STORE_CTX_new();
    if (lookup != NULL && X509_STORE_CTX_init(lookup, SSL_CTX_get_cert_store(ctx), NULL, NULL) == 1)
        return lookup;
    X509_STORE_CTX_free(lookup);
    return NULL;
}

static bool is_signed(SSL_CTX *ctx, X509_CRL *list)
{
    X509_STORE_CTX *lookup = lookup_in(ctx);
    STACK_OF(X509) *issuers =
        lookup != NULL ? X509_STORE_CTX_get1_certs(lookup, X509_CRL_get_issuer(list)) : NULL;
    bool ok = false;
    for (int i = 0; i < sk_X509_num(issuers) && !ok; i++)
        ok = X509_CRL_verify(list, X509_get0_pubkey(sk_X509_value(issuers, i))) == 1;
    sk_X509_pop_free(issuers, X509_free);
    X509_STORE_CTX_free(lookup);
    return ok;
}

bool revoked_has(SSL_CTX *ctx, X509 *cert)
{
    X509_STORE_CTX *lookup = lookup_in(ctx);
    STACK_OF(X509_CRL) *lists =
        lookup != NULL ? X509_STORE_CTX_get1_crls(lookup, X509_get_issuer_name(cert)) : NULL;
    bool found = lookup == NULL; /* whoever cannot look says no */
    for (int i = 0; i < sk_X509_CRL_num(lists) && !found; i++) {
        X509_REVOKED *entry = NULL;
        /* 2: the entry takes the certificate off a list again */
        found = X509_CRL_get0_by_cert(sk_X509_CRL_value(lists, i), &entry, cert) == 1;
    }
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
    X509_STORE_CTX_free(lookup);
    return found;
}

/* Called for each certificate of a client's chain. */
static int look(int ok, X509_STORE_CTX *verify)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(verify, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *cert = X509_STORE_CTX_get_current_cert(verify);
    if (ok != 1 || ssl == NULL || cert == NULL) return 0;
    if (!revoked_has(SSL_get_SSL_CTX(ssl), cert)) return 1;
    X509_STORE_CTX_set_error(verify, X509_V_ERR_CERT_REVOKED);
    return 0;
}

int revoked_load(SSL_CTX *ctx, const char *path, char *err, size_t err_cap)
{
    int count = 0, rc = 0;
    BIO *file = BIO_new_file(path, "r");
    if (file == NULL) return fail(path, "it cannot be opened", err, err_cap);
    for (X509_CRL *list; rc == 0 && (list = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)) != NULL; count++) {
        if (count == LISTS_MAX)
            rc = fail(path, "it holds more than 64", err, err_cap);
        else if (!is_signed(ctx, list))
            rc = fail(path, "it is not signed by the authority of --device-ca", err, err_cap);
        else if (X509_STORE_add_crl(SSL_CTX_get_cert_store(ctx), list) != 1)
            rc = fail(path, "out of memory", err, err_cap);
        X509_CRL_free(list);
    }
    /* the end of the file is an error of its own to OpenSSL; any other means that something in it is no list */
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE && BIO_eof(file);
    BIO_free(file);
    if (rc == 0 && (count == 0 || !at_end)) return fail(path, "it is no list in PEM", err, err_cap);
    ERR_clear_error();
    if (rc == 0) SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, look);
    return rc;
}

bool http_crl_stale(const char *path, int64_t unix_s)
{
    bool stale = false;
    time_t now = (time_t)unix_s;
    BIO *file = BIO_new_file(path, "r");
    for (X509_CRL *list; file != NULL && (list = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)) != NULL;) {
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
        stale = stale || (next != NULL && X509_cmp_time(next, &now) < 0);
        X509_CRL_free(list);
    }
    BIO_free(file);
    ERR_clear_error();
    return stale;
}
