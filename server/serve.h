/* serve.h - `molt serve`: opens the store, loads rules and devices, listens, and takes it all down again.
 *
 * On stderr: one line a listener once it accepts,
 *     time=... event=listening plane=device url=http://0.0.0.0:8266 port=8266
 * (plane device, admin or socket), then one line an event. On stdout, at the first start only, the admin token. */
#ifndef MOLT_SERVER_SERVE_H
#define MOLT_SERVER_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skins/skins.h"

#define SERVE_LISTEN_MAX     16
#define SERVE_NETS_MAX       32
#define SERVE_LISTEN_DEFAULT "http://0.0.0.0:8266"
#define SERVE_ADMIN_DEFAULT  "http://127.0.0.1:8267"

/* Texts are borrowed. NULL, 0 and false mean the default. */
struct serve_options {
    const char *data_dir;      /* required; made when it does not exist */
    const char *store_url;     /* store.h: postgres://...; SQLite in data_dir */
    const char *artifacts_url; /* store.h: s3://... or a folder; in data_dir only */
    const char *node;          /* nodes.h: one of several servers on store_url; NULL: the only one */
    const char *replica_url;   /* replica.h: postgres://... of a stand-by of store_url; NULL: none */
    bool redirect;             /* skins.h */
    const char *listen[SERVE_LISTEN_MAX]; /* device plane: "http://HOST:PORT", "https://HOST:PORT" */
    size_t listen_count;                  /* 0: SERVE_LISTEN_DEFAULT */
    const char *admin;                    /* admin plane: SERVE_ADMIN_DEFAULT */
    bool admin_insecure;                  /* the admin plane may be plain HTTP beyond loopback */
    const char *tls_cert, *tls_key;       /* PEM files, for every https URL */
    const char *device_ca;                /* PEM: devices may prove themselves by a certificate of it; none */
    const char *device_crl;               /* PEM: lists of those that are revoked; none */
    const char *static_dir;               /* folder of <ID>.version and <ID>.bin; none */
    const char *public_url;               /* prefix of the artifact URLs offered to libmolt */
    unsigned threads;                     /* event loops; one a CPU */
    uint32_t busy_at;                     /* skins.h */
    enum skins_enrol enrol;               /* skins.h */
    uint32_t checkin_interval_s;          /* skins.h */
    uint32_t ddi_interval_s;              /* skins.h */
    const char *config_path;              /* where these came from, for the sandbox; NULL: no file */
    const char *user;                     /* sandbox.h; for serve_run() only, as sandbox */
    bool sandbox;
    bool log_json;        /* log.h */
    uint32_t retain_days; /* ends of attempts that are older go, but the last of each device; 0: none */
    const char *proxies[SERVE_NETS_MAX]; /* http_server.h */
    size_t proxies_count;
    const char *no_limit[SERVE_NETS_MAX]; /* throttle.h */
    size_t no_limit_count;
    uint32_t device_per_minute, api_per_minute; /* 0: any number */
    const char *webhook_allow[SERVE_NETS_MAX];  /* hooks.h: networks that are not public */
    size_t webhook_allow_count;
    const char *oidc_issuer, *oidc_client, *oidc_secret; /* oidc.h; oidc_secret: a file; none */
    const char *mqtt_url;    /* a broker that devices are nudged by: nudge.h; none */
    uint32_t new_per_minute; /* new devices taken from one address in a minute: devices.h */
};

struct serve;

/* Looks at the options alone: do they go together, can the files be read? 0, or -1 with a sentence in err. */
int serve_check(const struct serve_options *options, char *err, size_t err_cap);

/* Opens and starts everything. 0 and *out; else -1 with a sentence in err, and nothing is left running. Prints the
 * admin token when there was none. Signals are the caller's; SIGPIPE must be ignored. */
int serve_start(struct serve **out, const struct serve_options *options, char *err, size_t err_cap);
/* The port of device listener idx, or of the admin plane (SERVE_ADMIN_IDX). */
#define SERVE_ADMIN_IDX SERVE_LISTEN_MAX
uint16_t serve_port(const struct serve *serve, size_t idx);
/* Reads certificate and key again. 0, or -1 with err. */
int serve_reload_tls(struct serve *serve, char *err, size_t err_cap);
/* Lets running answers finish for up to drain_ms, writes what is pending, frees. */
void serve_stop(struct serve *serve, uint32_t drain_ms);

/* Takes what CONFIG_LIVE rows of config.def say from options, whose texts must live until the next call; *restart (of cap
 * bytes): the names of other settings that differ, one blank between. */
void serve_apply(struct serve *serve, const struct serve_options *options, char *restart, size_t cap);
/* What holds now. Texts are valid until serve_apply() or serve_stop(). */
void serve_options_now(struct serve *serve, struct serve_options *out);

/* Where settings come from on SIGHUP: load() fills *out, 0, or -1 with a sentence; taken() is called once the server has applied
 * it, so what was loaded by the call before may go. */
struct serve_reload {
    int (*load)(void *ctx, struct serve_options *out, char *err, size_t err_cap);
    void (*taken)(void *ctx);
    void *ctx;
};

/* All of `molt serve`: start, wait for SIGTERM or SIGINT (stop, 0), SIGHUP (certificates and, with reload, settings are read again).
 * Returns the exit status: 0, or 1 after a line with the reason on stderr. reload: NULL: settings stay. */
int serve_run(const struct serve_options *options, const struct serve_reload *reload);

#endif
