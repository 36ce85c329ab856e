/* play_tls.c - the numbers that the devices' TLS libraries give when a handshake fails: getLastSSLError() of BearSSL
 * (ESP8266) and lastError() of mbedTLS (ESP32). A sketch prints them beside its -1.
 * Must never name a number that the library has not. Tests: test/e2e/doctor/lab_test.py (beside the real BearSSL). */
#include "certificate.h"
#include "molt_reason.h"
#include "visit.h"

#include <stddef.h>

struct tls_code {
    int number;
    const char *text;
};

/* Texts: WiFiClientSecureBearSSL.cpp, getLastSSLError(); a received alert is printed without its class. */
static struct tls_code bearssl_code(const struct wire_tap *tap, bool plain)
{
    switch (tap->certificate) {
    case MOLT_CERT_EXPIRED:
    case MOLT_CERT_EARLY:
        return (struct tls_code){54, "Certificate is expired or not yet valid."};
    case MOLT_CERT_IP:
    case MOLT_CERT_NAME:
        return (struct tls_code){56, "Expected server name was not found in the chain."};
    case MOLT_CERT_WEAK:
        return (struct tls_code){60, "Public key found in certificate is too small."};
    case MOLT_CERT_CHAIN:
        return (struct tls_code){62, "Chain could not be linked to a trust anchor."};
    default:
        break;
    }
    if (plain) return (struct tls_code){3, "Incoming protocol or record version is unsupported."};
    if (tap->record_too_large)
        return (struct tls_code){6,
                                 "Incoming record is too large to be processed, or buffer is too small for "
                                 "the handshake message to send."};
    if (tap->secured) return (struct tls_code){0, ""};
    if (tap->alert != 0)
        return (struct tls_code){tap->alert, "SSL received fatal alert - Unknown error code."};
    return (struct tls_code){0, ""};
}

/* Texts: mbedtls_strerror() of mbedTLS 2.28. */
static struct tls_code mbedtls_code(const struct wire_tap *tap, bool plain)
{
    if (tap->certificate != 0)
        return (struct tls_code){
            -0x2700, "X509 - Certificate verification failed, e.g. CRL, CA or signature check failed"};
    if (tap->secured) return (struct tls_code){0, ""};
    if (tap->alert != 0)
        return (struct tls_code){-0x7780, "SSL - A fatal alert message was received from our peer"};
    if (plain) return (struct tls_code){-0x7200, "SSL - An invalid SSL record was received"};
    if (tap->end == WIRE_CLOSED) return (struct tls_code){-0x7280, "SSL - The connection indicated an EOF"};
    return (struct tls_code){0, ""};
}

static bool found(const struct visit *visit, int reason)
{
    for (unsigned i = 0; i < visit->finding_count; i++) {
        if (visit->findings[i].reason == reason) return true;
    }
    return false;
}

void visit_play_tls(struct visit *visit)
{
    const struct wire_tap *tap = &visit->bin;
    const bool plain = found(visit, MOLT_TLS_ON_PLAIN);
    const bool failed =
        tap->tls && tap->connected && (!tap->secured || tap->certificate != 0 || tap->record_too_large);
    for (int i = 0; i < CLIENT_COUNT; i++) {
        struct client_play *play = &visit->plays[i];
        const bool bearssl = i == CLIENT_ESP8266 ||
                             ((i == CLIENT_ESPHOME || i == CLIENT_TASMOTA) && visit->family != PATIENT_ESP32);
        struct tls_code code = {0, ""};
        const bool has_tls = i != CLIENT_TASMOTA || !bearssl; /* Tasmota on an ESP8266 speaks none */
        if (failed && has_tls && play->played && !play->works)
            code = bearssl ? bearssl_code(tap, plain) : mbedtls_code(tap, plain);
        play->tls = code.number;
        play->tls_text = code.text;
    }
}
