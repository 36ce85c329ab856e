/* attempt.h - the life of one device's attempt at a release, as a skin drives it: who asks is written into the
 * device, decide() is called, and what became of earlier offers is concluded. Pure over (rules, device, now).
 *
 * Every function runs inside a devices_visit() with a reference to the rules, changes the device, and its answer
 * goes back to devices_visit(). Pointers in the decision belong to the rules: copy what is needed (digests, length,
 * MD5, code) before rules_release_ref().
 *
 *   GET <ID>.version            attempt_poll_version()   -> body is *code; never anything but 200 with a number
 *                                                           (404 only when decision.reason is MOLT_NOT_ASSIGNED)
 *   GET <ID>.bin                attempt_ask_bin()        -> MOLT_VERDICT_OFFER: attempt_download_begun() in the same
 *     (stock ESP8266 / ESP32)                               visit, 200 with decision.artifact, x-MD5 = artifact->md5;
 *                                                           else 304 (404 for MOLT_NOT_ASSIGNED)
 *                                                           body over or connection gone: attempt_download_ended()
 *   GET of an ESPhttpUpdate     attempt_ask_update()     -> as .bin. mode "version": answer x-version from
 *     or HTTPUpdate URL                                     decision.release->version, without _begun()
 *   esp_https_ota HEAD          attempt_ask_update()     -> length and ETag of decision.artifact, without _begun()
 *   esp_https_ota GET, no Range attempt_ask_update()     -> _begun(), 200
 *   esp_https_ota GET, bytes=0- attempt_ask_range(0)     -> _begun(), 206: the artifact that the last HEAD or GET
 *                                                           announced (10 minutes), else decided anew
 *   esp_https_ota GET, bytes=N- attempt_ask_range(N)     -> 206 of decision.artifact; else 416. Call _begun() with
 *                                                           first_byte N (it does not count as another send)
 *   POST check-in               attempt_check_in()       -> answer from the decision; a reported result is durable only
 *                                                           after devices_when_durable()
 *   GET of an offered artifact  attempt_ask_artifact()   -> OFFER: _begun(first_byte), 200 or 206; else 404
 *     (molt's own client)
 *
 * attempt_download_ended() is called once for each _begun(): complete when the artifact's last byte was taken by the
 * peer's TCP; cut when the connection went before the last byte asked for. esp_https_ota has no other way to look at
 * the version than to begin: when it had the file before and cuts it, it is presumed to run it. A range that was sent whole but ends before
 * the artifact does calls neither. */
#ifndef MOLT_SERVER_ATTEMPT_H
#define MOLT_SERVER_ATTEMPT_H

#include "../decide/decide.h"
#include "../devices.h"

#define ATTEMPT_ANNOUNCED_MS (10 * 60 * 1000) /* a .bin is served this long after its .version */
#define ATTEMPT_RANGE_MS     (60 * 60 * 1000) /* a range continues what was begun this long ago */
#define ATTEMPT_SENDS_MAX    DECIDE_SENDS_MAX /* times that one digest is sent to a device */

/* What one request of a stock client says. Zero and "" mean "not said". Borrowed. */
struct attempt_contact {
    enum model_client client;
    const struct model_product *product; /* the path names it: for a device that has none. NULL: not named */
    enum molt_chip chip; /* said without doubt: ESP8266 by User-Agent or x-ESP8266-*; else UNKNOWN */
    bool esp32_family;   /* one of the ESP32 family, it does not say which */
    enum model_component component; /* MODEL_FS for mode "spiffs" */
    bool has_chip_id;               /* x-ESP8266-Chip-ID: core 2.6 or later, may take gzip */
    bool verified;                  /* came with a valid credential */
    uint32_t free_space;            /* bytes, as x-ESP...-free-space says it */
    uint32_t sketch_size, flash_size;
    const char *core;      /* sdk-version; NULL: not said */
    const char *version;   /* x-ESP...-version; NULL: not said */
    uint32_t version_code; /* what that means as a code (facts_version_code()), 0: none */
    bool has_md5, has_digest, has_file;
    uint8_t md5[16];    /* x-ESP...-sketch-md5 */
    uint8_t digest[32]; /* x-ESP32-sketch-sha256: the identity of the running image */
    uint8_t file[32];   /* If-None-Match: SHA-256 of the file that it took last */
};

/* After a poll that changed nothing: would any device that has what is not its own in common with this one (its id, labels,
 * address and times are its own) be answered the same, as long as the rules are these? The answer then also depends on
 * whether its last announcement is older than DECIDE_REMEMBERED_MS. */
bool attempt_is_common(const struct model_device *device, const struct decision *decision);

/* The version file. *code: what the file says. Announces the release of that code to the device for ten minutes. */
enum devices_change attempt_poll_version(const struct rules *rules, struct model_device *device,
                                         const struct attempt_contact *contact, int64_t now_ms,
                                         struct decision *out, uint32_t *code);

/* <ID>.bin: serves the release last announced, never another. Refusals besides decide()'s: MOLT_NOT_ANNOUNCED. */
enum devices_change attempt_ask_bin(const struct rules *rules, struct model_device *device,
                                    const struct attempt_contact *contact, int64_t now_ms,
                                    struct decision *out);

/* A client that lets the server compare: decides over the newest release; an offer is announced. One that says that
 * it has the very file is presumed to run it. */
enum devices_change attempt_ask_update(const struct rules *rules, struct model_device *device,
                                       const struct attempt_contact *contact, int64_t now_ms,
                                       struct decision *out);

/* A ranged GET that begins at first_byte. Refusals besides decide()'s: MOLT_RANGE_UNKNOWN (answer 416). */
enum devices_change attempt_ask_range(const struct rules *rules, struct model_device *device,
                                      const struct attempt_contact *contact, uint64_t first_byte,
                                      int64_t now_ms, struct decision *out);

/* molt's own client fetches an artifact, or a pack, that it was offered. MOLT_RANGE_UNKNOWN when it was not in the last
 * hour. packs may be NULL. */
enum devices_change attempt_ask_artifact(const struct rules *rules, const struct pack_table *packs,
                                         struct model_device *device, const uint8_t sha256[32],
                                         int64_t now_ms, struct decision *out);

/* A decoded check-in: takes over what the device says and what became of the last attempt, then decides.
 * product: named by the path or by the check-in itself, NULL when neither names one that exists. packs may be NULL. */
enum devices_change attempt_check_in(const struct rules *rules, const struct pack_table *packs,
                                     struct model_device *device, const struct molt_checkin *said,
                                     const struct model_product *product, bool verified, int64_t now_ms,
                                     struct decision *out);

/* An artifact is about to be sent from first_byte on. Returns 0, or -MOLT_SAME_IMAGE_AGAIN when it was already sent
 * whole ATTEMPT_SENDS_MAX times (nothing changed; two requests raced). The device has changed: DEVICES_CHANGED. */
int attempt_download_begun(struct model_device *device, const struct decision *decision, uint64_t first_byte,
                           int64_t now_ms);
/* So many bytes of the attempt's artifact went out, whatever became of them. */
void attempt_add_bytes(struct model_device *device, uint64_t sent);
/* It ended. Only a complete one counts as a send: a bad line may cut as many as it likes. sha256: of the artifact that
 * was being sent. For a device that was deleted meanwhile use devices_peek(), which does not bring it back. */
enum devices_change attempt_download_ended(const struct rules *rules, struct model_device *device,
                                           const uint8_t sha256[32], bool complete, int64_t now_ms);

/* Sets the device's last reason (the answer of the functions above did it already; for a skin's own refusals). */
enum devices_change attempt_note(struct model_device *device, int reason, const char *detail, int64_t now_ms);

#endif
