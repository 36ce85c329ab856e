/* update.h - the engine: takes a file as bytes, checks it, stores it, reads it back, makes it the next
 * boot. No heap, no clock, no sockets: the caller owns every byte of memory and every wait.
 *
 *     molt_begin(&u, &job);
 *     while ((rc = molt_step(&u)) > 0 && rc != MOLT_READY)      // at most one flash operation each
 *         if (rc == MOLT_NEED_DATA) {
 *             n = fetch(u.need_offset, buf, min(sizeof buf, u.need_len));
 *             molt_feed(&u, buf, n, &taken);
 *         }
 *     if (rc == MOLT_READY) restart();
 *
 * After a cut, begin the same job again: what the log (log.h) says is durable is read back, and need_offset starts
 * behind it. "The same job" is the same digest or strong ETag, lengths, encoding and place. What a resume costs: raw,
 * and gzip that is stored as it came, at most one sector; gzip that is stored decoded what came since the last block
 * header before that sector; a pack its header and the frame that the sector lies in.
 *
 * Nothing is erased before the first MOLT_IMAGE_HEAD_LEN bytes of the image have passed the image check (64 bytes where gzip is
 * stored as it comes: of such an image they tell the same). */
#ifndef MOLT_UPDATE_H
#define MOLT_UPDATE_H

#include "../gzip/inflate.h"
#include "../image/image.h"
#include "../pack/pack.h"
#include "../log/log.h"
#include "../slots/slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MOLT_PAGE_LEN
/* bytes written to flash at once: 256, or 512; with 256 no FAT image is recognised */
#define MOLT_PAGE_LEN 512u
#endif
#define MOLT_FEED_LEN 128u /* bytes of input buffered when the stored form is another than the fed one */

/* The engine's ways with gzip and with packs. Firmware that names one links that decoder, and no other does. */
struct molt_unpacker;
extern const struct molt_unpacker molt_ungzip, molt_unpacker;

/* One update. Copied by molt_begin(), but for what the pointers point to, which must outlive the engine. */
struct molt_job {
    struct molt_slots *slots;
    const struct molt_hash_ops *hash;
    struct molt_image_expect expect; /* what this device is */
    enum molt_encoding encoding;     /* of the file as it comes */
    uint32_t file_len;               /* bytes that will be fed; > 0 (a server must say it) */
    uint32_t image_len; /* decoded, 0 when unknown; a hint for the space rule, checked at the end */
    bool has_digest;
    /* SHA-256 of the file as it comes, when has_digest; a signed_digest says more and is looked at
     * instead */
    uint8_t digest[MOLT_SHA256_LEN];
    const uint8_t *image_digest; /* NULL, or the identity (image.h) that the image must have */
    /* NULL, or the SHA-256 that the decoded file must have (manifest.h), image_len bytes of it and not
     * one more: as it streams, and again as it is read back */
    const uint8_t *signed_digest;
    const char *etag; /* NULL, or the strong ETag that the file comes with */
    bool fresh;       /* begin at byte 0 whatever the log says */
    bool hold;        /* return MOLT_VERIFIED once, before the commit */
    /* NULL, or identities (image.h) that must not be installed: of what runs (-MOLT_SAME_DIGEST), of what failed
     * (-MOLT_FAILED_BEFORE). Compared when the image is complete, before the commit. */
    const uint8_t *running_digest, *failed_digest;
    /* for MOLT_GZIP &molt_ungzip, for MOLT_PACK &molt_unpacker, else NULL */
    const struct molt_unpacker *unpacker;
    struct molt_inflate *inflate; /* for MOLT_GZIP: the decoder's memory, else NULL */
    uint8_t *window;              /* for MOLT_GZIP: window_len bytes, else NULL */
    uint32_t window_len;          /* a power of two, 256 to 32768 */
    struct molt_pack *pack;       /* for MOLT_PACK: the decoder's memory, else NULL; image_len must be said */
};

/* Caller-allocated; must not move while in use. What is said to be public may be read; the rest is private. What is used most
 * comes first: an offset below 64 costs the least code, one above 1023 the most. */
struct molt_update {
    uint32_t need_offset; /* public; after MOLT_NEED_DATA: first byte of the file wanted */
    uint32_t need_len;    /* public; bytes wanted at most; > 0 */
    uint32_t received;    /* public; bytes of the file taken so far, those of an earlier try included */
    uint32_t state;
    const struct molt_flash *flash;
    const struct molt_unpacker *decoder; /* what the input goes through; NULL: it is the image as it comes */
    uint32_t in_len;                     /* bytes in the input buffer */
    uint32_t in_used;                    /* of these, gone through decoder and image check */
    uint32_t fill;                       /* bytes in page that are to be stored; direct: those of the input */
    uint32_t written;                    /* bytes of the stored form that are in flash */
    uint32_t erased;                     /* end of the part that may be written, relative to target.off */
    uint32_t checked;                    /* bytes read back */
    uint32_t image_fed;                  /* decoded bytes that went through the image check */
    uint32_t crc;                        /* of what is stored */
    uint32_t skip;                       /* bytes that the decoder gives once more */
    struct molt_log_record good, next;   /* what was tried and found true; what is tried or written */
    uint32_t resumed_at;                 /* public; of received, bytes of an earlier try */
    int port_err; /* public; what the failing flash callback returned, 0 when none failed */
    /* public; false: no place for a log, or nothing names the file: after a cut all comes again */
    bool can_resume;
    bool unhashed;       /* the file's digest cannot be known: its first part was decoded before a cut */
    bool told;           /* MOLT_OVERWRITES was returned */
    bool direct;         /* the page is the input: what is stored is what was fed (or is being read back) */
    bool decode_more;    /* the decoder may hold output without further input */
    bool decoded;        /* it came to the end of the gzip member, or of the pack */
    uint8_t original[2]; /* header bytes 2 and 3 as they came, when target.patch_header */
    uint32_t block_crc;  /* of the output before `refilled` ... */
    uint32_t refilled;   /* ... which the window holds again */
    uint32_t proven;     /* MOLT_YES (util/secret.h): read back, and as signed */
    struct molt_target target; /* public */
    struct molt_job job;
    struct molt_log log;
    /* of the image as it is decoded when it is signed, else of the file as it comes; then of what flash
     * holds */
    struct molt_hash hash;
    uint8_t digest[MOLT_SHA256_LEN]; /* what the read-back must give: of the file (direct) or of the image */
    struct molt_image image;         /* public: image.info, what is known of the image (see image.h) */
    uint8_t page[MOLT_PAGE_LEN];
    uint8_t in[MOLT_FEED_LEN];
};

/* Starts an update: asks slots for the target. job->window may hold anything. Reads flash, writes nothing. Errors: -MOLT_ARG, and those of
 * molt_slots_ops.target (-MOLT_NO_SPACE, -MOLT_NO_SLOT, -MOLT_TRIAL_PENDING, -MOLT_FS_IN_PLACE ...). */
int molt_begin(struct molt_update *u, const struct molt_job *job);

/* Does at most one flash operation, then returns: MOLT_MORE (call again), MOLT_NEED_DATA (feed from
 * need_offset), MOLT_OVERWRITES (target.in_place: once, before the first erase; until then nothing was changed, and another
 * step is the consent), MOLT_VERIFIED (job.hold), MOLT_READY (committed and durable; restart), or a negative reason, which is final: an image
 * refusal (image.h), -MOLT_FLASH_MODE (gzip that eboot would unpack in another flash mode than the device's),
 * -MOLT_BAD_GZIP, -MOLT_GZIP_WINDOW, -MOLT_BAD_PACK, -MOLT_PACK_BASE (a delta for another image than
 * running_digest, told before anything is erased), -MOLT_DIGEST_MISMATCH, -MOLT_LENGTH_MISMATCH,
 * -MOLT_SAME_DIGEST, -MOLT_FAILED_BEFORE,
 * -MOLT_FLASH_READ, _WRITE, _ERASE, _VERIFY (port_err tells more), -MOLT_NO_SPACE, those of
 * molt_slots_ops.commit_step. After a failure the running firmware is untouched and the next boot is what
 * it was before; further calls are -MOLT_STATE.
 * -MOLT_BAD_GZIP also means: bytes behind the member, or a head so long that the first MOLT_PAGE_LEN
 * bytes of a file that is stored compressed do not hold the first 64 of its image. */
int molt_step(struct molt_update *u);

/* Hands over bytes of the file starting at need_offset. Copies what fits and sets *taken, 1 to len; the
 * rest stays the caller's. Never touches flash. Errors: -MOLT_STATE when not asked for, -MOLT_ARG when
 * len is 0 (nothing was taken). */
int molt_feed(struct molt_update *u, const void *data, uint32_t len, uint32_t *taken);

#ifdef __cplusplus
}
#endif
#endif
