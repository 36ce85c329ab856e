/* wire.h - one watched connection: TCP, or TLS as a device speaks it, with a record of everything that came and when.
 * Bounded in time and bytes. Not thread-safe; one connection at a time. */
#ifndef MOLT_CLI_DOCTOR_WIRE_H
#define MOLT_CLI_DOCTOR_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/stock_http.h"

#define WIRE_BODY_MAX    (17u * 1024 * 1024) /* bytes that a connection may bring */
#define WIRE_REQUEST_MAX 2048u

/* Whose TLS is spoken. */
enum wire_tls {
    WIRE_BEARSSL, /* ESP8266: 1.2, asks for records of 512 bytes, input buffer of tls_buffer bytes */
    WIRE_MBEDTLS, /* ESP32: 1.2 */
    WIRE_TLS13,   /* 1.3 only, to tell a server that knows nothing older */
    WIRE_TLS_OLD, /* 1.0 and 1.1 only */
};

/* How a connection ended, or that it did not. */
enum wire_end { WIRE_OPEN, WIRE_CLOSED, WIRE_RESET, WIRE_SILENT, WIRE_OVER_TIME, WIRE_OVER_BYTES };

/* What a connection showed. */
struct wire_tap {
    bool tls, resolved, connected, secured, resumed;
    int connect_errno;
    unsigned long ssl_error; /* OpenSSL's, 0 none */
    int alert;               /* fatal alert received, 0 none */
    int certificate;         /* reason why a checking client refuses the certificate, 0: it does not */
    uint32_t mfln;           /* bytes granted, 0: none */
    uint32_t record_max, record_count;
    bool record_too_large; /* for the device's buffer */
    char request[WIRE_REQUEST_MAX];
    uint8_t *bytes; /* all that was received, NUL-terminated; owned by the wire until the next open */
    size_t len;
    size_t head_len;    /* with the empty line; 0: not complete */
    size_t head_record; /* bytes of body in the record (or packet) that completed the head */
    int64_t open_ms;    /* when, on the monotonic clock */
    int64_t secured_ms, first_ms, head_ms, body_ms, last_ms; /* since open_ms; -1: not yet */
    enum wire_end end;
};

struct wire {
    struct stock_wire stock; /* hand &w->stock to a client */
    /* ---- set by the caller before an open ---- */
    enum wire_tls tls;
    uint32_t mfln;       /* 0: as the device asks (BearSSL 512, mbedTLS none); else 512 to 4096 */
    uint32_t tls_buffer; /* ESP8266's input buffer */
    bool check_certificate;
    int timeout_ms;       /* for connecting and for each wait */
    int body_limit_ms;    /* for a whole connection */
    SSL_SESSION *session; /* to be resumed, borrowed; NULL: none */
    bool dry;      /* nothing is sent and no connection opened: what would be sent is written to dry_log */
    FILE *dry_log; /* borrowed */
    const char *dry_title; /* what the next request is for; written before it */
    /* An earlier whole answer, NULL: none. When the new one begins the same (status, length, first bytes), the connection
     * is ended there and the rest is taken from it: the server need not send the file seven times. Borrowed. */
    const struct wire_tap *known;
    /* ---- what happened ---- */
    struct wire_tap tap;
    /* ---- private ---- */
    int fd;
    size_t cap;
    bool replaying;
    unsigned dry_hellos; /* the kinds of handshake that dry_log has already */
    SSL_CTX *context;
    SSL *ssl;
};

/* timeout_ms: for a connection, and between two pieces; a whole body has four times that. tls_buffer: bytes of the ESP8266's
 * input buffer, for WIRE_BEARSSL. */
void wire_begin(struct wire *wire, int timeout_ms, uint32_t tls_buffer);
/* Closes, and frees what was recorded. */
void wire_end(struct wire *wire);

/* Connects (and shakes hands, and checks the certificate when told). 0, or -1: see tap. */
int wire_open(struct wire *wire, const char *host, const char *port, bool tls);
bool wire_send(struct wire *wire, const char *text, size_t len);
/* As stock_wire.receive. */
long wire_receive(struct wire *wire, void *bytes, size_t cap, int timeout_ms);
void wire_close(struct wire *wire);

#endif
