/* tls.c - the server's TLS with a small heap in mind: versions, certificates, record sizes, resumption, anchors.
 * Must never send anything beyond a handshake. Tests: test/e2e/doctor/lab_test.py. */
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "certificate.h"
#include "molt_reason.h"
#include "visit.h"

#define SOON_DAYS 21

static bool shakes(struct visit *visit, const struct stock_place *at, enum wire_tls tls)
{
    visit->wire.tls = tls;
    int rc = wire_open(&visit->wire, at->host, at->port, true);
    return rc == 0 || visit->wire.tap.secured;
}

int visit_ask_plain(struct visit *visit, const struct stock_place *at)
{
    char head[WIRE_REQUEST_MAX], url[400];
    snprintf(head, sizeof head, "GET / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", at->header);
    snprintf(url, sizeof url, "http://%s:%s/", at->host, at->port);
    return answer_get(&visit->wire, url, head, true) == 0 ? answer_status(&visit->wire.tap) : -1;
}

/* The handshake of the devices failed; which one would not? */
static void why_no_handshake(struct visit *visit, const struct stock_place *at)
{
    struct wire_tap *tap = &visit->wire.tap;
    const int alert = tap->alert;
    const unsigned long error = tap->ssl_error;
    const bool silent = tap->end == WIRE_SILENT;
    if (!tap->connected) return; /* the request finds it again and says it */
    if (!silent && shakes(visit, at, WIRE_TLS13)) {
        visit_find(visit, MOLT_TLS13_ONLY, true, "tls", "TLS 1.3 succeeds, TLS 1.2 ends with alert %d",
                   alert);
        return;
    }
    if (!silent && shakes(visit, at, WIRE_TLS_OLD)) {
        visit_find(visit, MOLT_TLS_OLD, visit_counts(visit, PATIENT_ESP32), "tls",
                   "TLS 1.0 or 1.1 succeeds, TLS 1.2 does not");
        return;
    }
    if (alert == 0 && visit_ask_plain(visit, at) > 0) {
        visit_find(visit, MOLT_TLS_ON_PLAIN, true, "tls", "a plain request to port %s is answered %d",
                   at->port, answer_status(&visit->wire.tap));
        return;
    }
    if (silent) return;
    const char *reason = ERR_reason_error_string(error);
    visit_find(visit, MOLT_TLS, true, "tls", "TLS 1.2 with the devices' ciphers fails: alert %d%s%s", alert,
               reason != NULL ? ", " : "", reason != NULL ? reason : "");
}

/* ---- certificates ----------------------------------------------------------------------------------------- */

static void name_of(X509_NAME *name, char out[200])
{
    char text[200];
    X509_NAME_oneline(name, text, sizeof text);
    visit_bytes(out, 200, (const uint8_t *)text, strlen(text), 150);
}

static void note_certificate(struct visit *visit, X509 *certificate, int index)
{
    char subject[200], issuer[200];
    bool rsa;
    int bits = certificate_key_bits(certificate, &rsa);
    name_of(X509_get_subject_name(certificate), subject);
    name_of(X509_get_issuer_name(certificate), issuer);
    visit_note(visit, "tls: certificate %d: %s, issued by %s, %s-%d, %d days left", index, subject, issuer,
               rsa ? "RSA" : "EC", bits, certificate_days_left(certificate));
}

static void judge_certificates(struct visit *visit, const struct stock_place *at, STACK_OF(X509) * chain)
{
    X509 *leaf = sk_X509_value(chain, 0);
    char subject[200];
    bool rsa;
    const int refusal = certificate_refusal(chain, at->host), days = certificate_days_left(leaf);
    const int bits = certificate_key_bits(leaf, &rsa);
    for (int i = 0; i < sk_X509_num(chain) && i < 6; i++)
        note_certificate(visit, sk_X509_value(chain, i), i);
    visit_anchors(visit, chain, refusal == 0 || refusal == MOLT_CERT_CHAIN);
    name_of(X509_get_subject_name(leaf), subject);
    if (refusal != 0)
        visit_find(visit, refusal, true, "tls", "%s, asked for as %s, %d days left", subject, at->host, days);
    if (refusal == 0 && days < SOON_DAYS)
        visit_find(visit, MOLT_CERT_SOON, false, "tls", "%d days left", days);
    if (rsa && bits > 2048 && visit_counts(visit, PATIENT_ESP8266))
        visit_find(visit, MOLT_CERT_KEY, false, "tls", "%s has an RSA key of %d bits", subject, bits);
}

/* ---- records ---------------------------------------------------------------------------------------------- */

static void judge_records(struct visit *visit, const struct stock_place *at)
{
    static const uint32_t sizes[] = {512, 1024, 2048, 4096};
    unsigned granted = 0;
    char text[120] = "";
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        visit->wire.mfln = sizes[i];
        bool yes = shakes(visit, at, WIRE_BEARSSL) && visit->wire.tap.mfln == sizes[i];
        granted += yes;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u %s", i > 0 ? ", " : "", sizes[i],
                 yes ? "yes" : "no");
    }
    visit->wire.mfln = 0;
    visit_note(visit, "tls: max_fragment_length: %s", text);
    if (granted == 0 && visit->wire.tls_buffer < 16384 && visit_counts(visit, PATIENT_ESP8266))
        visit_find(visit, MOLT_NO_MFLN, false, "tls",
                   "none of 512, 1024, 2048 and 4096 is granted, the device's buffer holds %u",
                   visit->wire.tls_buffer);
}

/* Which versions a client may speak; the devices speak 1.2. */
static void note_versions(struct visit *visit, const struct stock_place *at)
{
    const bool new = shakes(visit, at, WIRE_TLS13), old = shakes(visit, at, WIRE_TLS_OLD);
    visit_note(visit, "tls: versions: 1.2 yes, 1.3 %s, 1.0 or 1.1 %s", new ? "yes" : "no",
               old ? "yes" : "no");
}

static void note_resumption(struct visit *visit, const struct stock_place *at, SSL_SESSION *session)
{
    visit->wire.session = session;
    bool secured = shakes(visit, at, WIRE_BEARSSL);
    visit->wire.session = NULL;
    visit_note(visit, "tls: a second handshake %s the session%s",
               secured && visit->wire.tap.resumed ? "resumes" : "does not resume",
               secured && visit->wire.tap.resumed ? "" : " (each connection costs the whole handshake)");
}

void visit_tls(struct visit *visit, const char *url)
{
    struct stock_place at;
    if (!answer_split(url, &at) || !at.tls || visit->wire.dry) return;
    visit->wire.check_certificate = false;
    if (!shakes(visit, &at, WIRE_BEARSSL)) {
        why_no_handshake(visit, &at);
    } else if (visit->wire.tap.record_too_large) {
        visit_find(visit, MOLT_TLS_RECORD, visit_counts(visit, PATIENT_ESP8266), "tls",
                   "the handshake has a record of %u bytes, the device's buffer holds %u",
                   visit->wire.tap.record_max, visit->wire.tls_buffer);
    } else {
        STACK_OF(X509) *chain = SSL_get_peer_cert_chain(visit->wire.ssl);
        SSL_SESSION *session = SSL_get1_session(visit->wire.ssl);
        visit_note(visit, "tls: %s, %s, handshake %lld ms, records up to %u bytes, max_fragment_length %u",
                   SSL_get_version(visit->wire.ssl), SSL_get_cipher_name(visit->wire.ssl),
                   (long long)visit->wire.tap.secured_ms, visit->wire.tap.record_max, visit->wire.tap.mfln);
        if (chain != NULL && sk_X509_num(chain) > 0) judge_certificates(visit, &at, chain);
        judge_records(visit, &at);
        note_resumption(visit, &at, session);
        note_versions(visit, &at);
        SSL_SESSION_free(session);
    }
    wire_close(&visit->wire);
    visit->wire.check_certificate = true;
}
