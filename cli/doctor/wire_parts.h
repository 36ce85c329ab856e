/* wire_parts.h - what wire.c shares with wire_dry.c. Private to the two. */
#ifndef MOLT_CLI_DOCTOR_WIRE_PARTS_H
#define MOLT_CLI_DOCTOR_WIRE_PARTS_H

#include "wire.h"

/* The TLS of wire->tls; NULL when memory is short. */
SSL_CTX *wire_tls_context(const struct wire *wire);
/* What it says of max_fragment_length, as TLSEXT_max_fragment_length_... */
uint8_t wire_tls_mfln(const struct wire *wire);

/* Write to wire->dry_log what an open connection would begin with, and a request. */
void wire_dry_open(struct wire *wire, const char *host, const char *port, bool tls);
void wire_dry_send(struct wire *wire, const char *text, size_t len);

#endif
