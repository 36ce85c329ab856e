/* posix.h - runs an agent on a PC: TCP, and TLS by BearSSL. Compiled when MOLT_WITH_POSIX is defined (with
 * MOLT_WITH_BEARSSL). Blocking: meant for tests and virtual devices, one thread each.
 *
 *     molt_posix_begin(&net, NULL);
 *     molt_agent_begin(&agent, &config);
 *     molt_posix_run(&net, &agent);      // returns when the agent wants a restart
 *     molt_posix_end(&net);
 */
#ifndef MOLT_PORT_POSIX_H
#define MOLT_PORT_POSIX_H

#include <bearssl.h>

#include "../agent/agent.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_POSIX_ANCHORS 8
#define MOLT_POSIX_DN_MAX  512           /* bytes of an anchor's encoded name */
#define MOLT_POSIX_KEY_MAX 1056          /* bytes of an anchor's key: RSA up to 8192 bits */
#define MOLT_POSIX_IN_LEN  (16384 + 325) /* a full TLS record */
#define MOLT_POSIX_OUT_LEN (512 + 85)    /* makes BearSSL ask for fragments of 512 bytes, as on an ESP8266 */

/* Trust anchors from a PEM file; may be shared by many ports. */
struct molt_posix_anchors {
    size_t count;
    br_x509_trust_anchor list[MOLT_POSIX_ANCHORS];
    unsigned char dn[MOLT_POSIX_ANCHORS][MOLT_POSIX_DN_MAX];
    unsigned char key[MOLT_POSIX_ANCHORS][MOLT_POSIX_KEY_MAX];
};

/* Reads every certificate of a PEM file as a trust anchor. Returns 0, -MOLT_NOT_FOUND (cannot be read) or
 * -MOLT_TLS (no certificate in it, a broken one, or more than MOLT_POSIX_ANCHORS). anchors must not move
 * afterwards. */
int molt_posix_anchors_load(struct molt_posix_anchors *anchors, const char *pem_path);

/* Private: BearSSL's view of "any certificate". */
struct molt_posix_any {
    const br_x509_class *vtable;
    br_x509_decoder_context decoder;
    bool is_first;
};

/* Caller-allocated, about 60 KB. Above the line: may be read, and skipped_ms written. */
struct molt_posix {
    uint64_t skipped_ms; /* added to the clock: a simulator adds to it instead of sleeping */
    int tls_err;         /* BearSSL's code behind the last MOLT_TLS, MOLT_TLS_TRUST, _TIME, _NAME */
    /* ---- private ---- */
    const struct molt_posix_anchors *anchors;
    int fd;
    bool tls;
    br_ssl_client_context client;
    br_x509_minimal_context x509;
    struct molt_posix_any any;
    unsigned char tls_in[MOLT_POSIX_IN_LEN], tls_out[MOLT_POSIX_OUT_LEN];
    unsigned char data[4096];
};

/* anchors: whom https servers must be certified by; NULL: any certificate is taken (the link is encrypted,
 * but not to anyone in particular). Must outlive net. */
void molt_posix_begin(struct molt_posix *net, const struct molt_posix_anchors *anchors);
void molt_posix_end(struct molt_posix *net); /* closes what is open */

/* The clock to give the agent: milliseconds, monotonic, with skipped_ms. */
uint64_t molt_posix_now_ms(const struct molt_posix *net);

/* One step of the agent, and what it wants done, but for MOLT_WANT_WAIT and MOLT_WANT_RESTART, which are the
 * caller's. Blocks at most until the agent's own time-out. want: what was wanted. */
void molt_posix_step(struct molt_posix *net, struct molt_agent *agent, struct molt_want *want);

/* Steps, and sleeps when the agent waits, until it wants a restart. */
void molt_posix_run(struct molt_posix *net, struct molt_agent *agent);

#ifdef __cplusplus
}
#endif
#endif
