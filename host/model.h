/* model.h - the things that the store keeps and the server decides over: products, releases, images,
 * artifacts, devices. Plain data, no behaviour. Texts are NUL-terminated UTF-8; ids are the store's row ids,
 * 0 means "none". Times are Unix milliseconds. */
#ifndef MOLT_HOST_MODEL_H
#define MOLT_HOST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/checkin.h"
#include "image/image.h"
#include "molt_chip.h"

#define MODEL_NAME_LEN        65
#define MODEL_ID_LEN          33
#define MODEL_DETAIL_LEN      160
#define MODEL_CHANNEL_DEFAULT "stable"
#define MODEL_TAGS_LEN        128 /* bytes of all tags of a device, with spaces between and the NUL */
#define MODEL_ATTRIBUTES_LEN  256 /* the same of its attributes, name=value each */
#define MODEL_WINDOW_LEN      128 /* bytes of a maintenance window's text, with its NUL (host/filter/window.h) */
#define MODEL_FILTER_LEN      512 /* bytes of a filter's text, with its NUL (host/filter/filter.h) */

enum model_component { MODEL_APP = 0, MODEL_FS = 1 };

/* A file as stored, by its SHA-256: <data>/artifacts/<first two hex digits>/<64 hex digits>. len 0: there is none. */
struct model_artifact {
    uint8_t sha256[32];
    uint8_t md5[16]; /* of the same bytes: what x-MD5 carries */
    uint32_t len;    /* bytes */
};

/* One encrypted form of an image (device/src/manifest/seal.h), as its maker made and signed it: each form has a manifest of its
 * own. The server cannot look into it; but for file and manifest these are the maker's words. */
#define MODEL_SEALED_MAX 32u /* of an image */
struct model_sealed {
    enum molt_encoding encoding; /* of what a device decrypts */
    uint32_t window;             /* bytes that decoding takes: MOLT_GZIP of window; a delta of map; else 0 */
    bool body_only;              /* a delta that uses nothing of the base's first sector: for molt-boot */
    uint8_t base[32];            /* MOLT_PACK: identity of the image that it is a delta of; zeros: none */
    struct model_artifact file, manifest;
};

/* One image of a release: for one chip, variant and component. */
struct model_image {
    int64_t id, release_id;
    enum molt_chip chip;
    enum model_component component;
    /* "": any; else what `publish --variant` was given: a flash layout ("4M2M"), a flash size ("4M") or
     * a chip revision ("rev3") */
    char variant[MODEL_NAME_LEN];
    uint32_t variant_flash_size;   /* bytes, 0: any */
    uint32_t variant_fs_start;     /* ESP8266 flash offset of the file system, 0: any */
    uint16_t variant_min_revision; /* major * 100 + minor, 0: any */
    uint32_t header_flash_size;    /* from the image header, bytes; 0: not known */
    uint16_t min_revision, max_revision;
    uint8_t digest[32];             /* the image's identity (device/src/image/image.h) */
    struct model_artifact raw;      /* the image as published */
    struct model_artifact gzip;     /* gzip with a 32 KB window, for eboot and Tasmota; len 0: none made */
    struct model_artifact gzip_4k;  /* gzip with a 4 KB window, for libmolt; len 0: none made */
    struct model_artifact manifest; /* the signed statement of it (device/src/manifest); len 0: not signed */
    int64_t sequence;               /* that the manifest says */
    /* the manifest is signed by an approver of the product's, too (checked when it was published) */
    bool approved;
    /* Not empty: the image is encrypted. raw then names what it decrypts to, and no file has that name; gzip and gzip_4k
     * are empty, manifest is that of the form published last. Owned by whoever owns the image. */
    struct model_sealed *sealed;
    uint32_t sealed_count;
    /* MD5s that a device may report of this image; ESP8266: with header bytes 2 and 3 patched, ESP32 family: the
     * file's. The last md5_boot_count of them are of devices that have molt-boot in sector 0. Both parts are sorted; owned
     * by whoever owns the image. */
    uint8_t (*md5_variants)[16];
    uint32_t md5_variant_count, md5_boot_count;
};

struct model_release {
    int64_t id, product_id;
    char version[MODEL_NAME_LEN]; /* for people */
    uint32_t code;                /* 1 to 2147483647: what is compared */
    char channel[MODEL_NAME_LEN];
    bool yanked;
    /* must-pass-through: a device with a smaller code gets nothing newer before it runs this */
    bool required;
    int64_t created_ms;
    struct model_image *images; /* owned by whoever owns the release */
    uint32_t image_count;
};

/* May a device be offered a release with a lower code than the one that it runs? */
enum model_downgrade {
    MODEL_DOWNGRADE_DEFAULT = 0, /* of a product: never; of a rollout: as its product */
    MODEL_DOWNGRADE_NEVER,
    MODEL_DOWNGRADE_PINNED, /* one that an operator pinned it to */
    MODEL_DOWNGRADE_ALLOWED, /* ... and the newest that there is, when what it runs was yanked or never there */
};

struct model_product {
    int64_t id;
    char name[MODEL_NAME_LEN];
    uint32_t adopt_chips;  /* bit 1 << enum molt_chip: unknown devices of the chip get this product */
    bool stopped;          /* emergency stop: no device of the product is offered or sent anything */
    bool rollouts_only;    /* a release without a rollout is offered to nobody */
    bool trust_unverified; /* reports without a credential count in the rules of rollouts */
    bool approval;         /* a rollout waits until somebody else than its maker approves of it */
    enum model_downgrade downgrade; /* may a device be offered a lower code than it runs? */
    /* it has an approver's key: images that he did not sign are neither taken nor offered */
    bool two_signatures;
};

/* ---- rollouts: server/rollouts/rollout.h says what each field does ---- */

#define MODEL_PHASES_MAX 8
#define MODEL_BUCKETS    65536u /* a device's bucket is 0 to this, exclusive */

enum model_rollout_status {
    MODEL_ROLLOUT_RUNNING = 1,
    MODEL_ROLLOUT_PAUSED,
    MODEL_ROLLOUT_DONE,    /* every phase ended; it goes on as its last phase */
    MODEL_ROLLOUT_ABORTED, /* for good: offered to nobody */
    MODEL_ROLLOUT_WAITING, /* for approval by somebody else than created_by: offered to nobody yet */
};

struct model_phase {
    uint32_t percent; /* of the devices, in hundredths: 0 to 10000 */
    char filter[MODEL_FILTER_LEN];
};

struct model_rollout {
    int64_t id, product_id, release_id;
    enum model_rollout_status status;
    uint32_t phase; /* the current one, 0 to phase_count - 1 */
    int64_t phase_since_ms, created_ms;
    uint32_t phase_succeeded;      /* successes when the phase began */
    int64_t start_ms;              /* nothing is offered before */
    int64_t salt;                  /* of the buckets; 0: the rollout's id */
    char target[MODEL_FILTER_LEN]; /* the devices that it is for */
    char window[MODEL_WINDOW_LEN]; /* when it may begin with a device; "": at any time */
    uint32_t success_count;        /* a phase ends after that many more successes, 0: only by a person */
    uint32_t success_percent;      /* ... which are that many of the devices offered, 0 to 100 */
    uint32_t soak_s;               /* ... and this long after the last success */
    uint32_t error_count,
        error_percent;         /* pause at that share of failures, once there are error_count results */
    uint32_t timeout_s;        /* an offer without a result for this long has failed */
    uint32_t retries, retry_s; /* offers after a failure; the first after retry_s, then twice as long ... */
    uint32_t max_open;         /* devices that may be at it at a time, 0: any number */
    bool presumed_counts;      /* `presumed` is a success, else it is no result */
    uint32_t seen_succeeded, seen_failed; /* results that a person knew of when it was resumed */
    char note[MODEL_DETAIL_LEN];          /* why it is paused or aborted, for people */
    enum model_downgrade downgrade;       /* of this release */
    char created_by[MODEL_NAME_LEN];      /* "token 0123456789ab", "local user root"; "": not known */
    char approved_by[MODEL_NAME_LEN];     /* "": nobody did, or nobody had to */
    int64_t approved_ms;
    struct model_phase phases[MODEL_PHASES_MAX];
    uint32_t phase_count;
};

/* What became of the offers of a rollout to one device. */
enum model_outcome {
    MODEL_OUTCOME_NONE = 0,
    MODEL_OUTCOME_SUCCEEDED,
    MODEL_OUTCOME_PRESUMED,
    MODEL_OUTCOME_FAILED,
    MODEL_OUTCOME_TIMED_OUT,
};

enum model_chip_source {
    MODEL_CHIP_NOT_KNOWN = 0,
    MODEL_CHIP_SAID,    /* by the device: User-Agent of the ESP8266, check-in */
    MODEL_CHIP_SET,     /* by a person */
    MODEL_CHIP_DIGEST,  /* its running digest is that of a published image */
    MODEL_CHIP_ASSUMED, /* its product has images for no other (decide_chip()) */
};

enum model_client {
    MODEL_CLIENT_UNKNOWN = 0,
    MODEL_CLIENT_VERSION_FILE, /* only ever asked for <ID>.version / .bin without x- headers */
    MODEL_CLIENT_ESP8266,      /* ESPhttpUpdate */
    MODEL_CLIENT_ESP32,        /* HTTPUpdate */
    MODEL_CLIENT_IDF,          /* esp_https_ota */
    MODEL_CLIENT_MOLT,         /* check-in */
    MODEL_CLIENT_DDI,          /* hawkBit's protocol: SWUpdate, RAUC, Zephyr */
    MODEL_CLIENT_RAUC,         /* RAUC's own polling */
};

/* Where a device stands with the release last offered to it. */
enum model_attempt {
    MODEL_ATTEMPT_NONE = 0,
    MODEL_ATTEMPT_OFFERED,
    MODEL_ATTEMPT_DOWNLOADING,
    MODEL_ATTEMPT_DOWNLOADED,
    MODEL_ATTEMPT_TRIAL,
    MODEL_ATTEMPT_UPDATED,
    MODEL_ATTEMPT_PRESUMED,
    MODEL_ATTEMPT_FAILED,
    MODEL_ATTEMPT_ROLLED_BACK,
};

struct model_device {
    char id[MODEL_ID_LEN];        /* 12 lower-case hex digits of the station MAC, or a name */
    int64_t product_id;           /* 0: not assigned */
    char channel[MODEL_NAME_LEN]; /* "": the default channel */
    bool held;                    /* an operator said: offer nothing */
    bool verified;                /* the last report came with a valid credential */
    bool gz_refused, gz_proven;
    bool molt_boot; /* ESP8266: its boot stage is molt-boot, which takes raw files only from a stock sketch */
    enum molt_chip chip;
    enum model_chip_source chip_source;
    enum model_client client;
    uint32_t flash_size;       /* bytes of real flash, 0: not known */
    uint32_t fs_start;         /* ESP8266: flash offset of the file system, 0: not known */
    uint32_t slot_size;        /* ESP32: bytes of the next slot, 0: not known */
    uint32_t sketch_size;      /* bytes of the running image, 0: not known */
    uint32_t free_space;       /* as the device said it, bytes */
    char core[MODEL_NAME_LEN]; /* sdk-version as the device said it */
    uint32_t can;              /* MOLT_CAN_* of the last check-in */
    uint32_t gzip_window;
    uint32_t running_code; /* version code believed to run, 0: not known */
    char running_version[MODEL_NAME_LEN];
    bool has_digest;
    uint8_t digest[32]; /* identity of the running image, when has_digest */
    char address[46];   /* last seen from; textual IP */
    int64_t first_seen_ms, last_seen_ms;
    int last_reason;                    /* of the last decision or report: enum molt_reason */
    char last_detail[MODEL_DETAIL_LEN]; /* the numbers behind the reason, for people; "" when none */
    int64_t last_reason_ms;
    /* the attempt */
    enum model_attempt attempt;
    int64_t attempt_release_id;
    uint8_t attempt_sha256[32]; /* artifact last sent, or being sent */
    uint32_t attempt_sends;     /* times that artifact was sent whole */
    uint32_t attempt_bytes;     /* sent in this attempt so far */
    bool polled;                /* it asked for a number while that artifact was being sent; not stored */
    bool ended;                 /* an attempt ended in this visit: a line for its history; not stored */
    bool fresh; /* told by devices_watch(): it asked for the first time, its row is new; not stored */
    uint32_t attempt_from; /* version code that ran when the attempt began, 0: not known; not stored */
    int64_t announced_ms; /* when the release was last announced to this id, or a download of it last began */
    uint32_t announced_code;
    int attempt_reason; /* how it ended, 0 while it has not */
    /* how the last attempt that ended did so; stands while the next one is at it, until that has a result, too */
    enum model_attempt result; /* UPDATED, PRESUMED, FAILED, ROLLED_BACK; NONE: none has ended yet */
    int result_reason;         /* 0: not known */
    int64_t result_release_id;
    uint8_t fs_sha256[32]; /* file-system artifact last sent whole ... */
    uint32_t fs_sends; /* ... and how many times; apart from the application's, which is asked for in turn */
    /* what an operator says of it */
    char group_name[MODEL_NAME_LEN]; /* "": in none */
    char tags[MODEL_TAGS_LEN];       /* sorted, one space between */
    /* name=value, sorted by name, one space between; no value has spaces */
    char attributes[MODEL_ATTRIBUTES_LEN];
    uint32_t pinned_code; /* offer this release and no other, 0: not pinned */
    /* the rollout that last offered it something: a row that is made lazily, at the first offer */
    int64_t rollout_id;  /* 0: none did */
    bool rollout_open;   /* an offer is out, and there is no result yet */
    bool rollout_counts; /* the outcome moves the rollout's thresholds: it was verified, or is trusted */
    int64_t rollout_ms;  /* when it was offered (open), or the result came */
    uint32_t rollout_failures;
    enum model_outcome rollout_outcome;
    /* by which copies of several servers are put together (host/merge.h). All 0 where there is one server */
    uint32_t settings_rev;  /* counts what operators changed */
    uint32_t attempt_no;    /* counts attempts */
    int64_t attempt_ms;     /* when the attempt last changed */
    uint32_t rollout_round; /* counts the rollout's offers after another one had ended */
    uint32_t rollout_node;  /* the server whose slot the open offer takes; 0: nobody's */
};

/* How an attempt ended: one line of a device's history. */
struct model_attempt_end {
    char device_id[MODEL_ID_LEN];
    int64_t ended_ms;
    int64_t release_id;       /* 0: of a folder of files (--static) */
    uint32_t code, from_code; /* tried, and running before; 0: not known */
    int64_t rollout_id;       /* 0: no rollout's */
    enum model_attempt result;
    int reason;
    uint32_t bytes; /* sent to the device for it */
    bool verified;
    /* of several servers: two ends of a device with the same one are the same (merge_once()). 0: each is
     * its own */
    int64_t once;
};

/* What an operator says of a device is taken from `set`, what was observed stays. */
void model_device_keep_settings(struct model_device *device, const struct model_device *set);

/* Names as JSON and filters carry them: "esphttpupdate", "rolled-back". */
const char *model_client_name(enum model_client client);
const char *model_attempt_name(enum model_attempt attempt);

#endif
