/* anchors.c - what a sketch may trust so that the server's certificate is accepted: every anchor of the chain that was sent,
 * the root from this machine's store when it was not sent, and the server's own key, each ready to paste.
 * Must never ask another server. Tests: test/e2e/doctor/lab_test.py. */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certificate.h"
#include "visit.h"

#define PEM_MAX 8192

/* Text of a memory BIO, malloc'ed; NULL when it is empty or too long. Frees the BIO. */
static char *take_text(BIO *memory)
{
    char *bytes = NULL, *text = NULL;
    const long len = BIO_get_mem_data(memory, &bytes);
    if (len > 0 && len < PEM_MAX && (text = malloc((size_t)len + 1)) != NULL) {
        memcpy(text, bytes, (size_t)len);
        text[len] = '\0';
    }
    BIO_free(memory);
    return text;
}

static struct anchor *add(struct visit *visit, const char *from, const char *name, char *pem)
{
    if (pem == NULL || visit->anchor_count == VISIT_ANCHORS_MAX) {
        free(pem);
        return NULL;
    }
    struct anchor *anchor = &visit->anchors[visit->anchor_count++];
    *anchor = (struct anchor){.from = from, .pem = pem};
    snprintf(anchor->name, sizeof anchor->name, "%s", name);
    return anchor;
}

static void add_certificate(struct visit *visit, X509 *certificate, const char *from)
{
    char text[200], name[200];
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL || PEM_write_bio_X509(memory, certificate) != 1) {
        BIO_free(memory);
        return;
    }
    X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof text);
    visit_bytes(name, sizeof name, (const uint8_t *)text, strlen(text), 150);
    struct anchor *anchor = add(visit, from, name, take_text(memory));
    if (anchor != NULL) anchor->days = certificate_days_left(certificate);
}

/* setKnownKey() of an ESP8266: it outlives renewals that keep the key. */
static void add_key(struct visit *visit, X509 *leaf)
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL || PEM_write_bio_PUBKEY(memory, X509_get0_pubkey(leaf)) != 1) {
        BIO_free(memory);
        return;
    }
    struct anchor *anchor = add(visit, "key", "the server's own key", take_text(memory));
    if (anchor != NULL) anchor->is_key = true;
}

static void take_fingerprint(struct visit *visit, X509 *leaf)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (X509_digest(leaf, EVP_sha1(), digest, &len) != 1 || len != 20) return;
    for (unsigned i = 0; i < len; i++)
        snprintf(visit->fingerprint + 3 * i, sizeof visit->fingerprint - 3 * i, "%02X%s", digest[i],
                 i + 1 < len ? ":" : "");
}

void visit_anchors(struct visit *visit, STACK_OF(X509) * chain, bool by_name)
{
    X509 *leaf = sk_X509_value(chain, 0), *top = sk_X509_value(chain, sk_X509_num(chain) - 1);
    visit->anchors_by_name = by_name;
    const bool self_signed = X509_check_issued(top, top) == X509_V_OK;
    X509 *root = self_signed || !by_name ? NULL : certificate_issuer_here(top);
    if (root != NULL) add_certificate(visit, root, "this machine");
    for (int i = sk_X509_num(chain) - 1; i >= 0 && by_name; i--) { /* the topmost first: it lives longest */
        X509 *one = sk_X509_value(chain, i);
        if (X509_check_ca(one) > 0 || (i == 0 && self_signed)) add_certificate(visit, one, "sent");
    }
    add_key(visit, leaf);
    take_fingerprint(visit, leaf);
    X509_free(root);
}
