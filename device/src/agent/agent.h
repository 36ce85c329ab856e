/* agent.h - when to ask for an update, whom, and what to do with the answer. The core asks, the caller does:
 * molt_agent_step() says what it wants next, the caller does it and tells how it went.
 *
 *     molt_agent_begin(&agent, &config);
 *     for (;;) {
 *         molt_agent_step(&agent, now_ms(), &want);
 *         switch (want.kind) {
 *         case MOLT_WANT_STEP:    break;
 *         case MOLT_WANT_WAIT:    sleep_until(want.until_ms); break;
 *         case MOLT_WANT_CONNECT: connect(...) ? molt_agent_connected(&agent)
 *                                              : molt_agent_failed(&agent, MOLT_CONNECT); break;
 *         case MOLT_WANT_SEND:    molt_agent_sent(&agent, send(want.data, want.len)); break;
 *         case MOLT_WANT_RECEIVE: n = receive(buf); n > 0 ? molt_agent_received(&agent, buf, n)
 *                                                         : molt_agent_closed(&agent); break;
 *         case MOLT_WANT_CLOSE:   close(); break;
 *         case MOLT_WANT_RESTART: restart();
 *         }
 *     }
 *
 * (ports/posix.c is this loop for a PC.) Three sources of updates:
 *   MOLT_SOURCE_VERSION_FILE  any web server: GET <url><ID>.version, one decimal number; when it is greater
 *                             than version_code, GET <url><ID>.bin
 *   MOLT_SOURCE_URL           one GET of url as ESPhttpUpdate and HTTPUpdate ask; 304: nothing new
 *   MOLT_SOURCE_CHECK_IN      molt's server: checkin.h
 *
 * No heap, no recursion, no clock, no sockets; at most one flash operation a step. Not for interrupts; one
 * thread at a time. Tests: test/unit/agent*_test.c, test/e2e/posix_port_test.c. */
#ifndef MOLT_AGENT_H
#define MOLT_AGENT_H

#include "../http/http.h"
#include "../keep/keep.h"
#include "../manifest/keys.h"
#include "../manifest/seal.h"
#include "../slots/fs_slots.h"
#include "../slots/in_place.h"
#include "../update/update.h"
#include "checkin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes for the request being sent, then for the answer being read: a longest URL and the rest of a head. */
#define MOLT_AGENT_WORK_LEN   (MOLT_HTTP_URL_MAX + 1025u)
#define MOLT_AGENT_DETAIL_LEN 16u   /* first bytes kept of a version file that is none */
#define MOLT_INTERVAL_S       3600u /* seconds between checks, when the product does not say */
#define MOLT_CONFIRM_S        600u  /* seconds a new image has to prove itself */

enum molt_source { MOLT_SOURCE_CHECK_IN = 0, MOLT_SOURCE_VERSION_FILE = 1, MOLT_SOURCE_URL = 2 };

/* How <ID> is written in the names of the version file and its .bin. */
enum molt_id_spelling {
    MOLT_ID_UPPER = 0,  /* 5CCF7FC602E2 */
    MOLT_ID_LOWER = 1,  /* 5ccf7fc602e2 */
    MOLT_ID_COLONS = 2, /* 5C:CF:7F:C6:02:E2 */
};

/* What ended the last run, as far as the chip can tell. */
enum molt_reset {
    MOLT_RESET_OTHER = 0, /* panic, watchdog, restart, or not known: a trial that it ended has failed */
    MOLT_RESET_POWER = 1, /* power-on or brown-out: a trial that it ended was interrupted */
    MOLT_RESET_CRASH = 2, /* panic or exception, and ... */
    MOLT_RESET_WATCHDOG =
        3, /* ... watchdog, when the chip tells them apart: as OTHER, and the server is told which */
};

enum molt_health { MOLT_HEALTH_UNKNOWN = 0, MOLT_HEALTH_GOOD = 1, MOLT_HEALTH_BAD = 2 };

/* What the product is and wants. Must outlive the agent, with all it points to. Zeros and NULL are usable
 * defaults but for slots, hash, url and expect.chip. Texts are NUL-terminated printable ASCII. */
struct molt_agent_config {
    struct molt_slots *slots;
    const struct molt_hash_ops *hash;
    enum molt_source source;
    const char *url; /* check-in: base of the server; version file: what stands before <ID>, "http://h/fota/";
                        URL: the whole. User and password in it become Basic authorization */
    uint8_t mac[6];  /* of the station interface: the id, and the seed of the jitter */
    const char *id;  /* NULL: the MAC. A name in its place: check-in up to MOLT_ID_MAX characters */
    enum molt_id_spelling spelling;
    struct molt_image_expect expect; /* chip, revision, real flash size, longest image */
    const char *product;             /* check-in */
    const char *version;             /* for people; URL: x-ESP*-version */
    uint32_t version_code;           /* of the running firmware, up to 2147483647 */
    uint32_t fs_start;               /* ESP8266: flash offset of the file system; 0: not said */
    uint32_t image_len;              /* of the running image, bytes; 0: not said */
    const char *sketch_md5;          /* URL: 32 hex digits of ESP.getSketchMD5(); NULL: not said */
    uint32_t interval_s;             /* between checks; 0: MOLT_INTERVAL_S */
    uint32_t spread_s;      /* the first check comes within so many seconds of the start; 0: at once */
    uint32_t confirm_s;     /* a trial's deadline after the start; 0: MOLT_CONFIRM_S */
    uint8_t *window;        /* for gzip: window_len bytes; NULL: gzip is not taken */
    uint32_t window_len;    /* a power of two, 256 to 32768; 4096 does for what molt's server makes */
    struct molt_pack *pack; /* for packs: the decoder's memory; NULL: packs are not taken */
    const struct molt_unpacker *unpacker; /* with it: &molt_unpacker (update.h) */
    /* NULL: a new image goes beside the running one, or is refused. Else, on an ESP8266 with molt-boot, a signed one that has
     * no room there may be written over it (slots/in_place.h), when the server offers that; needs trust. */
    struct molt_in_place_slots *in_place;
    /* NULL: unsigned images are taken. Else nothing is installed that no manifest (manifest.h) signed by one of these
     * keys names: <ID>.suit beside <ID>.bin, a URL's with .suit for .bin, a check-in's as the answer says. */
    const struct molt_trust *trust;
    /* NULL: encrypted images are refused. Else what opens them (manifest/seal.h), with the device's private key. */
    const struct molt_seal_ops *seal;
    /* MOLT_PRIVATE_KEY_LEN bytes; a port may keep them in efuse or encrypted flash */
    const uint8_t *seal_key;
    /* 0: no alarm. Else so many hours of uptime, up to 65535, without a newer signed release are reported as MOLT_STALE,
     * and again each day from then on: a server that only says "nothing new" looks like that. The count survives restarts
     * where there is a keep store. */
    uint32_t stale_h;
    /* Of the running firmware's manifest; 0: version_code, what molt sign writes. A signed file system must be of a manifest
     * with this very number. */
    uint64_t sequence;
    /* NULL: what failed, what is being tried and what the server has not heard is forgotten by a restart. Else begun,
     * not loaded; outlives the agent, which alone uses it until a restart. */
    struct molt_keep *keep;
    enum molt_reset reset; /* needed with keep */
    /* NULL: file systems are not taken. Else begun; needs keep, which says what was installed. By check-in and, asking
     * once more in mode "spiffs", by URL. Mount the file system only when keep.data.fs_state (keep.h) is
     * MOLT_FS_UNKNOWN or _WHOLE; after an install the agent wants a restart. */
    struct molt_fs_slots *fs;
    /* where it cannot be staged the old content may be given up at once (MOLT_FS_IN_PLACE) */
    bool fs_in_place;
    void *ctx; /* passed to every callback below; each may be NULL */
    /* Anti-rollback: a number that survives power cuts and going back to an older firmware (0 at the factory). A
     * manifest below it, or below sequence, is refused. It lies in keep; these two are for a product that keeps it
     * elsewhere. Return 0, or negative when it cannot be read or kept: then no signed update is taken
     * (MOLT_SEQUENCE_STORE). raise is called when a firmware was confirmed, and at the start of one that runs
     * confirmed; durable when it returns; may take several flash operations. With neither keep nor these a device
     * never goes below what runs, and that is all. */
    int (*read_sequence)(void *ctx, uint64_t *sequence);
    int (*raise_sequence)(void *ctx, uint64_t sequence);
    /* May version_code (0: not known) be fetched and stored now? No: asked again at the next check. */
    bool (*may_install)(void *ctx, uint32_t version_code);
    /* May a signature be checked now? It takes the processor for its whole time (some 0.5 s on an ESP8266), twice that when
     * the root's statement came with the manifest. No: asked again each second; the connection is closed meanwhile. */
    bool (*may_verify)(void *ctx);
    /* May the file system be overwritten now? The product unmounts it and says yes; no: asked again at the next check,
     * or, when a copy is to be completed after a restart, each second. */
    bool (*may_write_fs)(void *ctx);
    /* May the device restart now? Asked each second while a restart is due. */
    bool (*may_restart)(void *ctx);
    /* Is the image on trial healthy? Asked each second. NULL: it is, once a check was answered. */
    enum molt_health (*health)(void *ctx);
    /* Told at the end of every check and trial: a reason (UP_TO_DATE, OFFERED when the image is stored,
     * FS_INSTALLED, FS_INCOMPLETE, CONFIRMED, UNHEALTHY, a refusal ...). */
    void (*report)(void *ctx, int reason);
};

enum molt_want_kind {
    MOLT_WANT_STEP = 0, /* nothing; call molt_agent_step() again, soon */
    MOLT_WANT_WAIT =
        1, /* call again at until_ms, or at next_check_ms: molt_agent_check_now() brings that forward */
    MOLT_WANT_CONNECT = 2, /* open a connection to host, port, tls; then _connected or _failed */
    MOLT_WANT_SEND = 3,    /* send some of data, len; then _sent or _failed */
    MOLT_WANT_RECEIVE = 4, /* wait for bytes; then _received, _closed or _failed */
    MOLT_WANT_CLOSE = 5,   /* close the connection; nothing to report */
    MOLT_WANT_RESTART = 6, /* restart the chip; wanted again and again until it happens */
};

struct molt_want {
    enum molt_want_kind kind;
    uint64_t until_ms; /* WAIT: when to call again. CONNECT, SEND, RECEIVE: how long this may take; call
                          molt_agent_step() then without a report, and it gives up */
    const char *host;  /* CONNECT: name or address without brackets; valid until the next call */
    uint16_t port;
    bool tls;
    const void *data; /* SEND: valid until the next call */
    size_t len;
};

enum molt_agent_phase {
    MOLT_AGENT_STARTING = 0, /* reads how the last boot stands */
    MOLT_AGENT_IDLE = 1,
    MOLT_AGENT_ASKING = 2,
    MOLT_AGENT_FETCHING = 3,
    MOLT_AGENT_CONFIRMING = 4,
    MOLT_AGENT_REJECTING = 5,
    MOLT_AGENT_RESTARTING = 6,
};

/* Caller-allocated: about 5.4 KB on a 32-bit chip, half of it the engine's (update.h). Above the line: may be
 * read. */
struct molt_agent {
    enum molt_agent_phase phase;
    struct molt_boot_state boot; /* how the last boot stands; on_trial falls when the trial ends */
    bool on_trial;               /* the running image is new and not confirmed, protected or not */
    bool has_digest;             /* of the running image */
    uint8_t digest[MOLT_SHA256_LEN];
    int last_reason;                       /* how the last check or trial ended, 0 before */
    uint16_t http_status;                  /* of the last answer, 0 when there was none */
    int port_err;                          /* the flash callback's code behind a last_reason of FLASH_* */
    uint8_t detail[MOLT_AGENT_DETAIL_LEN]; /* VERSION_MALFORMED: how the answer begins */
    uint8_t detail_len;
    uint32_t offered_code;       /* version code of the last offer, 0 when not known */
    uint32_t received, file_len; /* bytes of the image fetched, and of all */
    bool can_resume;             /* false: a power cut now would make all of it come again (update.h) */
    uint64_t next_check_ms;
    /* ---- private ---- */
    const struct molt_agent_config *config;
    uint64_t answered_ms, not_before_ms, until_ms, request_end_ms, trial_poll_ms;
    uint32_t random, failures, again_s;
    uint32_t refused_code; /* do not fetch this one again ... */
    int refused_reason;    /* ... because of this */
    int result, fault, verdict;
    uint32_t result_code;
    bool has_result_digest;
    uint8_t result_digest[MOLT_SHA256_LEN];
    uint8_t state, request, redirects, resumes;
    bool answered, asked, open, drop, is_installing, peer_closed, progressed;
    bool is_held; /* again_s is from a server that wants to be left alone until then, not just its interval */
    bool put_off; /* the product wanted no connection just now */
    bool fresh;   /* what flash holds of this image is not to be trusted: from byte 0 */
    bool unsaved, saving; /* the keep store differs from what is to be kept */
    bool save_failed;     /* the last time */
    bool is_fs;           /* what is asked for or offered is the file system */
    bool fs_found;        /* what is staged is whole */
    /* URL, not signed: CRC-32 of the ETag, which stands for the file system's version code */
    uint32_t fs_name;
    /* the offer being fetched */
    bool has_offer_digest;
    uint8_t offer_digest[MOLT_SHA256_LEN], file_digest[MOLT_SHA256_LEN]; /* identity, and of the bytes */
    enum molt_encoding encoding;
    uint32_t offer_len, image_len;
    struct molt_manifest_component signed_image; /* what the manifest says, when accepted ... */
    int accepted;                                /* ... is MOLT_MANIFEST_ACCEPTED */
    bool is_sealed;                              /* the file is encrypted ... */
    struct molt_content_key content_key;         /* ... with this one */
    uint64_t hour_ms;                            /* when the next hour of uptime is full; 0: not begun */
    uint16_t stale_hours;                        /* where there is no keep store */
    uint32_t resumed_at;
    uint32_t range_from; /* of the request for the image */
    uint32_t body_at;    /* place in the file of the next byte of the body */
    char etag[MOLT_ETAG_MAX + 1];
    /* bytes on their way */
    const uint8_t *in, *body;
    size_t in_len, body_len, work_fill, sent;
    struct molt_response response;
    char url[MOLT_HTTP_URL_MAX + 1];
    char work[MOLT_AGENT_WORK_LEN];
    struct molt_inflate inflate;
    union { /* never needed at the same time */
        struct molt_update update;
        struct molt_checkin checkin;
        struct molt_answer answer;
    } u;
};

/* Starts an agent; touches nothing but *agent. Returns 0, or -MOLT_ARG when slots, hash or url are missing,
 * or -MOLT_BAD_URL. */
int molt_agent_begin(struct molt_agent *agent, const struct molt_agent_config *config);

/* Does what there is to do, at most one flash operation, and says what it wants. now_ms: a clock that never
 * goes back, from any start. */
void molt_agent_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);

/* Reports. Each is ignored when it was not asked for. */
void molt_agent_connected(struct molt_agent *agent);
void molt_agent_sent(struct molt_agent *agent, size_t len);
/* data (len > 0) must stay as it is until the agent next wants MOLT_WANT_RECEIVE, _CONNECT or _WAIT. */
void molt_agent_received(struct molt_agent *agent, const void *data, size_t len);
void molt_agent_closed(struct molt_agent *agent); /* the peer has sent all it will */
/* To MOLT_WANT_CONNECT: the product does not want that now. It is wanted again and again, and no time-out runs. */
void molt_agent_put_off(struct molt_agent *agent);
/* The connection could not be made or is gone. reason: MOLT_DNS, MOLT_CONNECT, MOLT_TLS (or, when
 * known, _TLS_TIME, _TLS_NAME, _TLS_TRUST), MOLT_CONNECTION_LOST, MOLT_TIMEOUT. MOLT_WANT_CLOSE still follows when it had been open. */
void molt_agent_failed(struct molt_agent *agent, int reason);

/* Asks for a check as soon as is decent: at once when idle, but at least some seconds after the last one, and
 * not before the time until which the server wants to be left alone (verdict wait, or 429 and 503 with Retry-After). The interval that
 * it names with "nothing new" is for devices that nobody nudges. */
void molt_agent_check_now(struct molt_agent *agent);

#ifdef __cplusplus
}
#endif
#endif
