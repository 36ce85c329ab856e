/* wire_dry.c - what would be sent, written down: requests line by line, hellos of TLS in hexadecimal.
 * Must never touch a socket. Tests: test/e2e/doctor/dry_run_test.py. */
#include <openssl/bio.h>
#include <string.h>

#include "certificate.h"
#include "wire_parts.h"

static void write_title(struct wire *wire)
{
    if (wire->dry_title != NULL) fprintf(wire->dry_log, "%s:\n\n", wire->dry_title);
    wire->dry_title = NULL;
}

static const char *version_name(enum wire_tls tls)
{
    switch (tls) {
    case WIRE_TLS13:
        return "TLS 1.3";
    case WIRE_TLS_OLD:
        return "TLS 1.0 or 1.1";
    case WIRE_MBEDTLS:
        return "TLS 1.2 as mbedTLS";
    case WIRE_BEARSSL:
        break;
    }
    return "TLS 1.2 as BearSSL";
}

/* The ClientHello as OpenSSL writes it into memory. */
static void write_hello(struct wire *wire, const char *host)
{
    char *bytes = NULL;
    SSL_CTX *context = wire_tls_context(wire);
    SSL *ssl = context != NULL ? SSL_new(context) : NULL;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (ssl != NULL && in != NULL && out != NULL) {
        SSL_set_bio(ssl, in, out);
        SSL_set_tlsext_max_fragment_length(ssl, wire_tls_mfln(wire));
        if (!certificate_host_is_address(host)) SSL_set_tlsext_host_name(ssl, host);
        (void)SSL_connect(ssl);
        const long len = BIO_get_mem_data(out, &bytes);
        fprintf(wire->dry_log, "  ClientHello of %ld bytes (its random bytes differ each time):", len);
        for (long i = 0; i < len; i++)
            fprintf(wire->dry_log, "%s%02x", i % 32 == 0 ? "\n    " : " ", (unsigned char)bytes[i]);
        fputs("\n\n", wire->dry_log);
    } else {
        BIO_free(in);
        BIO_free(out);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
}

void wire_dry_open(struct wire *wire, const char *host, const char *port, bool tls)
{
    if (wire->dry_log == NULL) return;
    write_title(wire);
    if (!tls) return;
    const unsigned kind = 1u << ((unsigned)wire->tls * 5 + wire_tls_mfln(wire));
    fprintf(wire->dry_log, "  a handshake with %s:%s, %s%s\n", host, port, version_name(wire->tls),
            (wire->dry_hellos & kind) != 0 ? " (as above)" : "");
    if ((wire->dry_hellos & kind) == 0) write_hello(wire, host);
    wire->dry_hellos |= kind;
}

void wire_dry_send(struct wire *wire, const char *text, size_t len)
{
    if (wire->dry_log == NULL) return;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line = end != NULL ? (size_t)(end - (text + at)) : len - at;
        const size_t step = line + (end != NULL);
        while (line > 0 && text[at + line - 1] == '\r')
            line--;
        if (line > 0) fprintf(wire->dry_log, "  %.*s\n", (int)line, text + at);
        at += step;
    }
    fputc('\n', wire->dry_log);
}
