/* visit.h - one examination: what was asked, what came, what each client made of it, and what was found. */
#ifndef MOLT_CLI_DOCTOR_VISIT_H
#define MOLT_CLI_DOCTOR_VISIT_H

#include "answer.h"
#include "host/facts.h"
#include "patient.h"
#include "wire.h"

#define VISIT_URL_MAX      1024u
#define VISIT_FINDINGS_MAX 24u
#define VISIT_NOTES_MAX    96u
#define VISIT_ANCHORS_MAX  8u

/* One thing that is wrong, with its proof. */
struct finding {
    int reason;        /* of the doctor's table */
    bool fatal;        /* a client of the patient fails, or never updates, because of it */
    const char *where; /* "version", "bin", "manifest", "tls", "file", "log", "device" */
    char evidence[320];
};

/* Something that a sketch may trust so that the server is accepted. */
struct anchor {
    const char *from; /* "sent", "this machine", "key" */
    bool is_key;      /* a public key for setKnownKey(), else a certificate */
    int days;         /* until it expires; certificates only */
    char name[200];
    char *pem; /* owned */
};

/* A client of the devices, and how it fared. */
enum client_id {
    CLIENT_ESP8266,
    CLIENT_ESP32,
    CLIENT_IDF,
    CLIENT_IDF_PARTIAL,
    CLIENT_FOTA,
    CLIENT_ESPHOME,
    CLIENT_TASMOTA,
    CLIENT_COUNT
};

/* The same client in another setting, or asked another way. */
struct client_variant {
    const char *when; /* the call or the setting */
    bool minor;       /* true of every server: told by --verbose only */
    bool works;
    int code;
    char text[192];
};

#define CLIENT_VARIANTS_MAX 4u

struct client_play {
    bool played, works;
    bool relevant; /* the patient's family runs it */
    bool counts;   /* for the verdict; not those that speak https with settings of their own (ESP8266) */
    int code;      /* what the sketch would print; 0 when it printed none */
    char text[192];
    int tls;              /* getLastSSLError() of BearSSL or lastError() of mbedTLS; 0: TLS did not fail */
    const char *tls_text; /* what those print with it; never NULL once played */
    struct client_variant variants[CLIENT_VARIANTS_MAX];
    unsigned variant_count;
};

struct visit {
    struct patient patient;
    enum patient_family family; /* of the patient, from --chip, --core or the image */
    struct wire wire;
    char version_url[VISIT_URL_MAX], bin_url[VISIT_URL_MAX], manifest_url[VISIT_URL_MAX]; /* "": none */
    /* an address without a slash at its end that the MAC was glued to; "": none */
    char base_url[VISIT_URL_MAX];
    bool rehearsed;               /* the addresses are those below a molt server's molt-doctor/ */
    struct wire_tap version, bin; /* what came; their bytes are owned here */
    int32_t version_read;         /* what toInt() makes of it */
    bool version_plain;           /* the file is a number as it should be */
    uint8_t *body;                /* of the .bin, unchunked; owned */
    size_t body_len;
    struct facts facts;    /* of body, when bin_whole */
    bool bin_whole;        /* everything announced was received */
    bool bin_failed;       /* no body to speak of: network or status */
    int available_version; /* what getAvailableVersion() would give an ESP8266's sketch, 0: nothing wrong */
    bool closes_unasked;   /* the server ends connections before it was asked anything */
    char manifest_md5[33];
    char *dry_text; /* what --dry-run wrote down; owned */
    size_t dry_len;
    struct client_play plays[CLIENT_COUNT];
    struct finding findings[VISIT_FINDINGS_MAX];
    unsigned finding_count;
    struct anchor anchors[VISIT_ANCHORS_MAX]; /* of an https server, the best first */
    unsigned anchor_count;
    bool anchors_by_name;         /* certificates help: the name in the address fits */
    char fingerprint[3 * 20 + 1]; /* SHA-1 of its certificate for setFingerprint(); "": none */
    char *notes[VISIT_NOTES_MAX]; /* lines for --verbose, owned */
    unsigned note_count;
};

/* "esp8266", "idf-partial" ... */
const char *client_name(enum client_id id);

/* Empties a visit; the caller then says what is asked (the fields above), and how to connect (wire_begin()). */
void visit_begin(struct visit *visit);
/* Frees what the steps have kept, and closes the wire. */
void visit_end(struct visit *visit);

/* Adds a finding, once for each reason; fatal ones come before the others, else in order of discovery. */
void visit_find(struct visit *visit, int reason, bool fatal, const char *where, const char *evidence, ...)
    __attribute__((format(printf, 5, 6)));

/* Adds a line for --verbose. */
void visit_note(struct visit *visit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True when a client of the family counts. */
bool visit_counts(const struct visit *visit, enum patient_family family);

/* False when something fatal was found or a client that counts does not work. */
bool visit_works(const struct visit *visit);

/* Bytes as text for evidence: printable ASCII, the rest as \xNN, at most count bytes. Returns out. */
char *visit_bytes(char *out, size_t cap, const uint8_t *bytes, size_t len, size_t count);

/* What a client would print, when it is known without a server. */
void visit_foretell(struct visit *visit, enum client_id id, int code, const char *text);

/* "; as gzip it has about N and fits ...": what compressing an ESP8266's image would do; "" when memory is short. */
void visit_gzip(const uint8_t *data, size_t len, uint32_t room, char out[96]);
/* ESP8266: a file that fits, but that the boot stage would write over while it copies it. facts: of the file. */
void visit_overlap(struct visit *visit, const struct facts *facts, const char *where);

/* ---- questions that only some answers lead to; each asks, and says what came ---- */
/* 200 for a name that nobody can have made. */
bool visit_answers_everything(struct visit *visit);
/* Sends head again with its first `from` replaced by `to`; the status, -1 none. */
int visit_status_with(struct visit *visit, const char *url, const char *head, const char *from,
                      const char *to);
/* Follows a redirect to url with a plain GET; the status, -1 none. */
int visit_ask_redirected(struct visit *visit, const char *url);
/* The version file behind a slash that may be missing; the status, -1 none. */
int visit_ask_slashed(struct visit *visit);
/* "GET /" over plain TCP, where TLS failed; the status, -1 none. */
int visit_ask_plain(struct visit *visit, const struct stock_place *at);

/* Writes down everything that could be sent to url, and sends nothing. */
void visit_dry_run(struct visit *visit, const char *url);

/* The head of a request in the doctor's own name. */
void visit_own_request(const struct stock_place *at, const char *method, char head[WIRE_REQUEST_MAX]);

/* ---- the steps ---- */
/* Asks whether this is a molt server; then the addresses are moved to where it records nothing. */
void visit_rehearse(struct visit *visit);
/* Looks at the server's certificates and TLS habits; nothing for a plain address. */
void visit_tls(struct visit *visit, const char *url);
/* Collects what may be trusted: the chain's own anchors, this machine's root, the key, the fingerprint. by_name:
 * certificates help; they do not where the name in the address does not fit. */
void visit_anchors(struct visit *visit, STACK_OF(X509) * chain, bool by_name);
/* When the patient's family is not known: the first bytes of the .bin tell it. They are asked for under the doctor's own
 * name, behind the version file, as a server may send nothing that it has not announced. */
void visit_guess_family(struct visit *visit);
/* Asks for the version file and reads it. */
void visit_version(struct visit *visit);
/* Asks for the .bin as the patient's client does, reads all of it and judges answer and content. */
void visit_bin(struct visit *visit);
/* HTTP/1.1, HEAD and Range. Needs visit_bin(). */
void visit_methods(struct visit *visit);
/* Reads the manifest and sets bin_url. False when it cannot be read. */
bool visit_manifest(struct visit *visit);
/* Plays every client. */
void visit_play(struct visit *visit);
/* Plays the stock clients as other sketches set them, where the answer makes a difference. */
void visit_play_variants(struct visit *visit);
/* Fills tls and tls_text of every client from what the handshakes showed. */
void visit_play_tls(struct visit *visit);
/* True when the chip would start the body of the wire's last answer. */
bool visit_would_start(const struct visit *visit, bool esp32);
/* What only the comparison of clients and answer shows. */
void visit_conclude(struct visit *visit);

/* Judges an answer up to and without its body: network, TLS and status. True when it is a 200 (or 304). where: as in a
 * finding. base: the head that was sent, to be sent again in another way. */
bool visit_judge_head(struct visit *visit, struct wire_tap *tap, const char *url, const char *where,
                      const char *head);

/* Plays esp_https_ota (whole or partial), esp32FOTA and ESPHome on the wire (play_idf.c). */
void play_idf(struct visit *visit, bool partial, struct client_play *play);
void play_fota(struct visit *visit, struct client_play *play);
void play_esphome(struct visit *visit, bool esp32, struct client_play *play);

#endif
