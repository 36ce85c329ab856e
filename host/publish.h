/* publish.h - from a file to a release: everything checked first, then artifacts and rows, or nothing at all.
 * Used by `molt publish`, the API's upload and --static folders.
 *
 *     struct publish_options options = {.product = "gate", .channel = "beta"};
 *     struct publish_result result;
 *     if (publish_file(store, data, len, &options, &result) < 0)
 *         printf("%s: %s\n", molt_reason_id(result.reason), result.detail); */
#ifndef MOLT_HOST_PUBLISH_H
#define MOLT_HOST_PUBLISH_H

#include "facts.h"
#include "store/store.h"

#define PUBLISH_WARNINGS 4

/* What the maker's molt says of a file that only devices can open (`molt sign --encrypt-for`); chip, size and digest of what is
 * in it are the manifest's. */
struct publish_sealed {
    enum molt_encoding encoding; /* of what decrypting gives: MOLT_RAW, MOLT_GZIP, MOLT_PACK */
    uint32_t window;             /* MOLT_GZIP: bytes of window that inflating it takes, 1 to 32768; else 0 */
    bool body_only;              /* MOLT_PACK: for devices with molt-boot */
    uint8_t base[32];            /* MOLT_PACK: identity of the image that it is a delta of; zeros: none */
    uint8_t digest[32];          /* the image's identity (image.h) */
    uint32_t header_flash_size;  /* from the image's header, 0: not known */
    uint16_t min_revision, max_revision;
};

/* Texts are borrowed; NULL and "" mean "not given". */
struct publish_options {
    const char *product; /* required: 1 to 64 of A-Z a-z 0-9 . - _, beginning with a letter or digit */
    /* printable ASCII; not given: read from the image's tag, else from its app descriptor (unless that
     * is the Arduino core's own, project "arduino-lib-builder") */
    const char *version;
    uint32_t code;       /* 0: what version says (facts_version_code), else the tag's */
    const char *channel; /* not given: MODEL_CHANNEL_DEFAULT; written like a product */
    const char *variant; /* publish_variant() */
    enum molt_chip chip; /* application: must be the image's; file system: which chip it is for, required */
    bool fs;             /* the file is a file system whatever it looks like */
    bool adopt;          /* unknown devices of the chip get this product */
    const uint8_t *manifest; /* the signed statement (host/sign/sign.h), NULL: none */
    size_t manifest_len;
    /* a file that another tool signed: the public key to verify it by, SubjectPublicKeyInfo
     * (host/sign/stock.h); NULL: the product's own keys only */
    const uint8_t *signer;
    size_t signer_len;
    const struct publish_sealed *sealed; /* the file is encrypted, and this is what it is; NULL: it is not */
};

struct publish_result {
    int reason;       /* 0: published; else why not, a positive reason */
    char detail[256]; /* the numbers or texts behind the refusal, for people; "" when none */
    char warnings[PUBLISH_WARNINGS][192];
    uint32_t warning_count;
    struct facts facts; /* of the file, as far as it was read */
    char product[MODEL_NAME_LEN], version[MODEL_NAME_LEN], channel[MODEL_NAME_LEN]; /* as published */
    uint32_t code;
    const char *signed_as; /* the format of another tool that the file was signed in, and verified; else "" */
    int64_t release_id;
    struct model_image image; /* as published; md5_variants is NULL here */
    struct model_sealed form; /* of an encrypted one: what image.sealed points to */
};

/* Publishes len bytes. A gzip file is inflated and its content published. A file that another tool signed (stock.h) is
 * verified by options->signer or by one of the product's keys, and what was signed is published, without the signature;
 * -MOLT_IMAGE_SIGNED when no key verifies it. Returns 0, or -result->reason, and then
 * nothing was stored: file refusals of facts_read(), -MOLT_NAME_INVALID, -MOLT_VERSION_NEEDED, -MOLT_CODE_NEEDED,
 * -MOLT_CODE_RANGE, -MOLT_VARIANT_INVALID, -MOLT_CHIP_NEEDED, -MOLT_WRONG_CHIP, -MOLT_FLASH_SIZE,
 * and those of store_publish(). A product with trusted keys takes signed images only (-MOLT_MANIFEST_MISSING), and a
 * manifest is taken when a trusted key signed it (-MOLT_MANIFEST_SIGNATURE, also when the product has no key) for this
 * product and chip (-MOLT_MANIFEST_CLASS) and these bytes (-MOLT_MANIFEST_MISMATCH). A product with an approver's key takes
 * approved images only (-MOLT_MANIFEST_UNAPPROVED). The same bytes with another manifest get that one.
 *
 * An encrypted file (options->sealed) is stored as it is; the manifest is needed (-MOLT_MANIFEST_MISSING), and so are version
 * or code. It is the first form of its image, or one more. */
int publish_file(struct store *store, const uint8_t *data, size_t len, const struct publish_options *options,
                 struct publish_result *result);

/* Stores what is served of a verified image and fills the rest of image: raw; for applications gzip_4k and, on the
 * ESP8266, gzip (len 0 when gzip saves nothing, and when the image brings molt-boot, which takes raw
 * files only from a stock sketch); digest, header fields and MD5 variants
 * (malloc'ed, the caller frees image->md5_variants). content: the image, inflated. facts: of it; image->chip,
 * component and the variant are the caller's. 0, -MOLT_NO_MEMORY, -MOLT_STORE_FAILED. */
int publish_image(struct store *store, const uint8_t *content, size_t len, const struct facts *facts,
                  struct model_image *image);

/* Verifies a manifest against the product's trusted keys and the image that image->chip, image->component and facts
 * describe; fills image->sequence, and image->manifest but for storing it. NULL manifest: is it needed? 0, or the refusals
 * named at publish_file() and a detail. */
int publish_manifest(struct store *store, const char *product, const uint8_t *manifest, size_t len,
                     const struct facts *facts, struct model_image *image, char *detail, size_t cap);

/* Reads what can be known of an encrypted file (options->sealed) into facts, image and *form: chip, size and digest from the
 * manifest, which publish_manifest() still has to verify. 0, -MOLT_MANIFEST_MISSING, -MOLT_MANIFEST_MALFORMED,
 * -MOLT_MANIFEST_CLASS, -MOLT_MANIFEST_MISMATCH, -MOLT_REQUEST_INVALID and a detail. */
int publish_sealed(const struct publish_options *options, size_t len, struct facts *facts,
                   struct model_image *image, struct model_sealed *form, char *detail, size_t cap);

/* The version that the build wrote into an image; NULL when it wrote none. */
const char *publish_version_of(const struct facts *facts);

/* Fills image->variant* from a text: "" (any); a flash size "512K", "1M" ... "128M"; an ESP8266 flash layout "1M64"
 * ... "4M2M" ... (Arduino core's eagle.flash.*.ld); an ESP32-family revision "rev3", "rev3.1". image->chip is
 * looked at: layouts are for the ESP8266, revisions for the others. 0 or -MOLT_VARIANT_INVALID. */
int publish_variant(const char *text, struct model_image *image);

/* The name of an ESP8266's flash layout ("4M2M"), "" when it is none of the core's. */
const char *publish_layout_name(uint32_t flash_size, uint32_t fs_start);

/* True when text is a name of a product or channel (MOLT_NAME_INVALID's rule). */
bool publish_name_ok(const char *text);

#endif
