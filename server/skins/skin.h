/* skin.h - what the skins share: a request taken apart (struct ask), the way to a decision, and the answers.
 * Private to server/skins. */
#ifndef MOLT_SERVER_SKIN_H
#define MOLT_SERVER_SKIN_H

#include <pthread.h>
#include <stdatomic.h>

#include "client.h"
#include "credential.h"
#include "device_id.h"
#include "manifest/manifest.h"
#include "open_files.h"
#include "server/access/throttle.h"
#include "server/attempt/attempt.h"
#include "skins.h"

#define SKIN_PATH_LEN     400 /* decoded, with the NUL */
#define SKIN_HEADERS_LEN  512
#define SKIN_CHECKIN_PATH MOLT_CHECKIN_PATH
#define SKIN_ARTIFACT     "/molt/v1/artifact/"
#define SKIN_PACK         "/molt/v1/pack/"
#define SKIN_DETOOLS      "/molt/v1/detools/"
#define SKIN_LOG          "/molt/v1/log"

struct skins {
    struct skins_options options;                                   /* what does not change */
    atomic_uint enrol, checkin_interval_s, ddi_interval_s, busy_at; /* what may: struct skins_live */
    struct credential_cache *credentials;
    struct throttle *guesses; /* wrong tokens of an address */
    struct throttle *polls;   /* requests of a device */
    atomic_bool polls_limited;
    struct throttle *logs; /* texts of devices of an address */
    struct open_files *files;
    struct fetch *fetch;     /* NULL: there is no bucket */
    atomic_ullong in_flight; /* downloads and parked answers */
    struct ddi_files *ddi_files;
    atomic_llong not_recorded_ms; /* when it was last logged that new devices are too many */
    /* answers that wait for the devices' writer */
    pthread_mutex_t lock;
    pthread_cond_t none_waits;
    uint32_t waiting;
    bool stopping;
};

/* What DDI's description of an artifact needs and the store does not keep. */
struct skin_ddi_file {
    uint8_t sha256[32], sha1[20];
    char suffix[8]; /* of its name: ".swu", ".raucb", ".bin" */
    bool known;
};

enum ask_kind {
    ASK_VERSION_FILE,
    ASK_IMAGE,
    ASK_MANIFEST,
    ASK_CHECKIN,
    ASK_ARTIFACT,
    ASK_PACK,
    ASK_DDI,
    ASK_RAUC,
    ASK_LIST,
    ASK_INSTALL,
    ASK_LOG
};

/* One request. Lives on the stack of the handler, or on the heap once it waited for a worker. Zeroed up to path; what comes
 * from there on is large, and filled before it is read. */
struct ask {
    struct skins *skins;
    struct http_exchange *x;
    int64_t now_ms;
    bool on_heap;
    bool fetched;   /* the bucket was asked for what it needs */
    bool rehearsed; /* asked by `molt doctor`: answered like the device's own request, and not recorded */
    enum ask_kind kind;
    struct client client;
    bool by_header;           /* known by its MAC header; where.id, if any, is the name of a group */
    char id[MODEL_ID_LEN];    /* whose request it is */
    char group[MODEL_ID_LEN]; /* a named device whose product this one shares; "" for none */
    size_t ddi_base;          /* ASK_DDI: length of the path up to the device's id, with it */
    struct skin_ddi_file ddi; /* ... what a worker found out of the artifact */
    /* what waited for a worker */
    char token[DEVICE_TOKEN_LEN];
    bool token_checked, verified;
    bool admitted;         /* it has a token of its product, which may prove nothing */
    int64_t token_product; /* that product: the only one that it can be of; 0: no such token */
    bool static_checked, is_static;
    struct static_answer file;
    size_t manifest_len;      /* 0: it has none */
    char path[SKIN_PATH_LEN]; /* decoded */
    struct device_path where;
    struct molt_checkin said;             /* ASK_CHECKIN only */
    uint8_t manifest[MOLT_STATEMENT_MAX]; /* ASK_MANIFEST of a static file: manifest_len bytes */
};

enum skin_question {
    SKIN_VERSION, /* attempt_poll_version() */
    SKIN_BIN,     /* attempt_ask_bin() */
    SKIN_UPDATE,  /* attempt_ask_update() */
    SKIN_RANGE,   /* attempt_ask_range() */
};

/* Bytes first..last of a body; whole: everything. */
struct skin_range {
    bool present;
    uint64_t first, last; /* last UINT64_MAX: to the end */
};

/* What a visit found, copied out of rules and device. */
struct skin_result {
    enum molt_verdict verdict;
    int reason;
    uint32_t code;                            /* SKIN_VERSION: what the file says */
    char version[MODEL_NAME_LEN];             /* of the release meant; "" when there is none */
    struct model_artifact artifact, manifest; /* of an offer; manifest.len 0: not signed */
    bool beyond; /* the range begins behind the artifact's end: nothing was begun */
    bool begun;  /* attempt_download_begun() was called */
};

/* Asks the decision for the device of the request; begin: an offer is about to be sent from range.first on. */
void skin_visit(struct ask *ask, enum skin_question question, enum model_component component,
                const struct skin_range *range, bool begin, struct skin_result *out);

/* Says, now and then, that devices are not recorded (rc of devices_visit()). */
void skin_log_not_recorded(const struct ask *ask, int rc);
/* One line that names the command which assigns the device. */
void skin_log_unassigned(const struct ask *ask);

/* The product that the request may put the device into: its token's, else the one it names ("": none). */
const struct model_product *skin_product(const struct ask *ask, const struct rules *rules, const char *named);
/* A visitor: the device's product, into an int64_t. */
enum devices_change skin_take_product(void *ctx, struct model_device *device, bool is_new);

/* True when this server hears nothing of the others, so that nobody knows what may be offered: rules_guard. */
bool skin_behind(const struct skins *skins);
/* 503: the device shall report again. */
void skin_ask_again(struct ask *ask);
/* True when the server has so much to do that nothing new is offered, or is behind. */
bool skin_busy(const struct skins *skins);

/* An answer begins to wait for the writer (false: the server stops, it must not), and no longer does. */
bool skin_wait_begin(struct skins *skins);
void skin_wait_end(struct skins *skins);

/* Answers 200 with a copy of the body (at most MOLT_CHECKIN_MAX bytes) once everything changed so far is durable; 503 when
 * that cannot be. content_type: static. */
void skin_respond_when_durable(struct ask *ask, const char *content_type, const uint8_t *body, size_t len);

/* The code that the device is believed to run, without touching it. */
uint32_t skin_running_code(struct ask *ask);

/* Answers that every stock client understands. */
void skin_nothing_new(struct ask *ask);                     /* 304 */
void skin_not_found(struct ask *ask, const char *sentence); /* 404, text */
void skin_refuse(struct ask *ask, int reason); /* 404 for not-assigned and bin-refused, else 304 */

/* "bytes=a-b" or "bytes=a-" from the Range header. Anything else, several ranges too, counts as no range. */
struct skin_range skin_range_of(const struct http_exchange *x);
/* The same, but none for HEAD and when If-Range names another entity tag. */
struct skin_range skin_range_if(const struct ask *ask, const char *etag);
/* Strong ETag of an artifact: its SHA-256 in quotes. */
#define SKIN_ETAG_LEN 67
void skin_etag(const uint8_t sha256[32], char out[SKIN_ETAG_LEN]);

/* An instance manipulation (RFC 3229): what is sent in the place of an artifact, and the headers that say so. */
struct skin_im {
    struct model_artifact file;
    char headers[192];
};
/* True when the client takes packs and the one that it could take is ready. Else it is asked for, if there can be one. */
bool skin_manipulate(struct ask *ask, const struct model_artifact *artifact, struct skin_im *im);

/* Sends an artifact, or the range of it (206), or what skin_manipulate() finds in its place (226), and reports to the
 * device's attempt how that ended when tracked.
 * immutable: the URL names the content, so that caches may keep it. The range was checked against artifact->len. */
void skin_send(struct ask *ask, const struct model_artifact *artifact, const struct skin_range *range,
               bool tracked, bool immutable);

/* False when the device is none that is taken in; it was answered then. enrol.c */
bool skin_enrols(struct ask *ask);

/* The skins. Each answers. */
void skin_version_file(struct ask *ask);
void skin_manifest(struct ask *ask);
void skin_httpupdate(struct ask *ask);
void skin_esp_https_ota(struct ask *ask);
/* False when the body is no check-in (it was answered then); fills ask->said and ask->id. */
bool skin_checkin_read(struct ask *ask);
void skin_checkin(struct ask *ask);
/* Lines of a device. skin_log_read(): false when it was answered; skin_log_keep(): false when it is not believed. */
bool skin_log_read(struct ask *ask);
void skin_log(struct ask *ask);
bool skin_log_keep(struct ask *ask, const char *text, size_t len);
bool skin_artifact_read(struct ask *ask);
void skin_artifact(struct ask *ask);
/* RAUC's polling. True when its headers are there; fills ask->id. */
bool skin_rauc_is_meant(struct ask *ask);
void skin_rauc(struct ask *ask);
/* Lists of builds. The id of an esp32FOTA in the query, if there is one. */
bool skin_list_id(const struct ask *ask, char out[MODEL_ID_LEN]);
void skin_list(struct ask *ask);
void skin_install(struct ask *ask);
/* hawkBit's DDI. True when the path is one of it; fills ask->id and ask->ddi_base. */
bool skin_ddi_is_meant(struct ask *ask);
void skin_ddi(struct ask *ask);
/* What is left to a worker before the answer: true when it must do it first. */
bool skin_ddi_must_read(struct ask *ask);
void skin_ddi_read(struct ask *ask);
struct ddi_files *ddi_files_new(void);
void ddi_files_free(struct ddi_files *files);
bool skin_pack_is_meant(const struct ask *ask);
void skin_pack(struct ask *ask);

#endif
