/* skins.h - the device plane: every wire protocol that a device may speak, over the one decision.
 *
 *     GET  .../ID.version                  version file                          version_file.c
 *     GET  .../ID.bin, other URLs          ESPhttpUpdate, HTTPUpdate             httpupdate.c
 *     HEAD, ranges, "ESP32 HTTP Client"    esp_https_ota                         esp_https_ota.c
 *     POST .../molt/v1/check-in            libmolt                               checkin.c
 *     GET  .../molt/v1/artifact/SHA?id=ID  libmolt's download                    artifact.c
 *     POST .../molt/v1/log?id=ID           lines that a device writes             device_log.c
 *     GET  .../molt/v1/pack/IMAGE[/BASE]   packs by their address, and by RFC 3229  pack.c
 *     GET  .../ID.json                     esp32FOTA, ESPHome                    list.c
 *     GET  /p/PRODUCT/install.json         esp-web-tools                         list.c
 *     GET  with RAUC-Serial                RAUC's polling                        rauc.c
 *     .../TENANT/controller/v1/ID/...      hawkBit DDI: SWUpdate, RAUC, Zephyr   ddi*.c
 *     GET  /health                         "ok"
 *     GET  .../molt-doctor/ID.bin          any of them, rehearsed                skins.c
 *
 * Stock clients get 200, 206, 304, 404 or 416, never a redirect, a chunked body, a text with status 200 in place of an
 * image, nor 503: a busy server says that nothing is new. */
#ifndef MOLT_SERVER_SKINS_H
#define MOLT_SERVER_SKINS_H

#include "server/decide/rules.h"
#include "server/devices.h"
#include "server/net/http_server.h"
#include "server/packs/packs.h"
#include "server/static/static_dir.h"

/* A folder of the device plane that stands in a path for no folder: what is asked below it is rehearsed. The doctor finds out by asking for
 * "health" in it whether the server knows it. */
#define SKIN_REHEARSAL       "/molt-doctor/"
#define SKIN_REHEARSAL_REPLY "molt: what is asked below molt-doctor/ is answered and not recorded\n"

struct skins;

/* Which devices are answered, besides those that are known and may be. One that is not gets 403 (DDI: 401). */
enum skins_enrol {
    SKINS_ENROL_OPEN = 0, /* every id is taken in at its first request */
    SKINS_ENROL_TOKEN,    /* whoever has a token of the device, and nobody else, known or not */
    SKINS_ENROL_LIST,     /* those that were registered (PUT /devices/{id}) */
    SKINS_ENROL_APPROVAL, /* taken in, and held until an operator releases it */
};

/* All borrowed; they must outlive the skins. */
struct skins_options {
    struct store *store;
    struct devices *devices;
    struct rules_holder *rules;
    struct static_dir *static_dir;   /* NULL: no --static */
    struct packs *packs;             /* NULL: no packs */
    const struct rules_guard *guard; /* rules.h; NULL: the only server */
    const char *public_url; /* prefix of the artifact URLs offered to libmolt, without a '/' at the end; NULL:
                                      a path on the server that was asked */
    enum skins_enrol enrol;
    bool redirect;               /* those who follow are sent to the bucket for artifacts */
    bool certificates;           /* a certificate whose common name is the device's id proves it (https) */
    uint32_t checkin_interval_s; /* how often libmolt's devices shall ask; 0: as they like */
    uint32_t ddi_interval_s;     /* how often hawkBit clients shall ask; 0: 300 */
    uint32_t busy_at; /* downloads and parked answers at once above which nothing new is offered; 0: 4000 */
};

/* What may change while they run; as in struct skins_options. */
struct skins_live {
    enum skins_enrol enrol;
    uint32_t checkin_interval_s, ddi_interval_s, busy_at;
    uint32_t device_per_minute; /* requests of one device; 0: any number */
    const struct net *exempt;   /* addresses that no limit of an address holds back; copied */
    size_t exempt_count;
};
void skins_set(struct skins *skins, const struct skins_live *live);
/* Downloads and parked answers now. */
uint64_t skins_in_flight(const struct skins *skins);

/* NULL when memory is short. */
struct skins *skins_new(const struct skins_options *options);
/* Before the HTTP server is stopped: takes no reported result any more (503; a device repeats it) and waits until those
 * that were taken are durable and on their way to be answered. */
void skins_stop(struct skins *skins);
/* After the HTTP server was stopped. */
void skins_free(struct skins *skins);

/* The handler of the device plane; ctx: struct skins. */
void skins_handle(void *ctx, struct http_exchange *x);

#endif
