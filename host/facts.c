/* facts.c - reads a file: digests, kind, content of gzip, image checks, tag.
 * Must never believe a length that the file claims. Tests: test/unit/facts_test.c. */
#include "facts.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facts_parts.h"
#include "ports/bearssl.h"
#include "util/bytes.h"

#define CLASSIFY_LEN   0x9000u /* more than molt_image_classify() looks at */
#define FIRST_READ_LEN 65536u

/* An ESP32-family application (ESP-IDF esp_app_format.h, esp_app_desc.h). */
#define IMAGE_MAGIC    0xE9
#define CHIP_ID_AT     12
#define APP_DESC_AT    0x20
#define APP_DESC_MAGIC 0xABCD5432u

int facts_verify(const uint8_t *data, size_t len, struct molt_image_info *info,
                 struct molt_image_texts *texts)
{
    static const struct molt_image_expect anything;
    struct molt_image image;
    molt_image_begin(&image, &anything, &molt_bearssl_sha256);
    memset(texts, 0, sizeof *texts);
    image.texts = texts;
    int rc = molt_image_feed(&image, data, len);
    if (rc == 0) rc = molt_image_finish(&image);
    *info = image.info;
    return rc;
}

static void digest(const EVP_MD *type, const uint8_t *data, size_t len, uint8_t *out)
{
    if (EVP_Digest(data, len, out, NULL, type, NULL) != 1) abort(); /* only without memory */
}

static enum molt_file_kind classify(const uint8_t *data, size_t len)
{
    return molt_image_classify(data, len < CLASSIFY_LEN ? len : CLASSIFY_LEN, len);
}

static bool is_filesystem(enum molt_file_kind kind)
{
    return kind == MOLT_FILE_LITTLEFS || kind == MOLT_FILE_SPIFFS || kind == MOLT_FILE_FAT;
}

static void refuse(struct facts *facts, int reason, const char *detail)
{
    facts->is_image = false;
    facts->refusal = reason;
    snprintf(facts->detail, sizeof facts->detail, "%s", detail);
}

/* An application with a descriptor, but of a chip that is not in molt_chip.def. */
static bool is_of_new_chip(const uint8_t *data, size_t len)
{
    return len >= APP_DESC_AT + 4 && data[0] == IMAGE_MAGIC &&
           molt_load32le(data + APP_DESC_AT) == APP_DESC_MAGIC &&
           molt_chip_from_image_id(molt_load16le(data + CHIP_ID_AT)) == MOLT_CHIP_UNKNOWN;
}

/* What the verifier or, for files that are none of its business, the kind says. A bare ESP8266 image goes to the
 * verifier too: it tells a cut file from one without boot stage. */
static int verdict(struct facts *facts, const uint8_t *data, size_t len)
{
    int refusal = molt_file_kind_refusal(facts->inner_kind);
    if (refusal == 0 || facts->inner_kind == MOLT_FILE_ESP8266_BARE) {
        return facts_verify(data, len, &facts->image, &facts->texts);
    }
    return -refusal;
}

const char *facts_bundle_suffix(const uint8_t *data, size_t len)
{
    static const char magic[] = "07070",
                      name[] = "sw-description"; /* cpio newc: 6 + 13 * 8 bytes, then the name */
    const size_t name_at = 110;
    if (len >= name_at + sizeof name && memcmp(data, magic, sizeof magic - 1) == 0 &&
        memcmp(data + name_at, name, sizeof name) == 0)
        return ".swu";
    return len >= 96 && memcmp(data, "hsqs", 4) == 0 ? ".raucb"
                                                     : NULL; /* squashfs: a superblock has 96 bytes */
}

/* Is the content something to serve, and if not, why? */
static void judge(struct facts *facts, const uint8_t *data, size_t len)
{
    if (is_filesystem(facts->inner_kind)) {
        facts->is_image = true;
        return;
    }
    if (!facts->gzip && facts_bundle_suffix(data, len) != NULL) {
        facts->is_image = true;
        facts->image.chip = MOLT_CHIP_LINUX;
        facts->image.len = (uint32_t)len;
        memcpy(facts->image.digest, facts->inner_sha256, sizeof facts->image.digest);
        return;
    }
    if (facts->gzip && facts->inner_kind == MOLT_FILE_GZIP) {
        refuse(facts, MOLT_IMAGE_UNKNOWN, "gzip inside gzip");
        return;
    }
    int rc = verdict(facts, data, len);
    facts->is_image = rc == 0;
    if (rc == 0) return;
    refuse(facts, -rc, "");
    if (facts_signature(data, len, facts->detail, sizeof facts->detail) != NULL) {
        facts->refusal = MOLT_IMAGE_SIGNED;
    } else if (is_of_new_chip(data, len)) {
        facts->refusal = MOLT_WRONG_CHIP;
        snprintf(facts->detail, sizeof facts->detail, "chip id 0x%04x is not one that molt knows",
                 molt_load16le(data + CHIP_ID_AT));
    }
}

static void read_content(struct facts *facts, const uint8_t *data, size_t len)
{
    facts->inner_len = len;
    digest(EVP_sha256(), data, len, facts->inner_sha256);
    digest(EVP_md5(), data, len, facts->inner_md5);
    facts->inner_kind = classify(data, len);
    facts_read_tag(data, len, facts);
    judge(facts, data, len);
}

static void read_gzip(struct facts *facts, const uint8_t *data, size_t len, uint8_t **inflated,
                      size_t *inflated_len)
{
    uint8_t *content = NULL;
    size_t content_len = 0;
    facts->gzip = true;
    int rc = facts_inflate(data, len, &content, &content_len, facts->detail, sizeof facts->detail);
    if (rc < 0) {
        facts->refusal = -rc;
        return;
    }
    read_content(facts, content, content_len);
    if (inflated_len != NULL) *inflated_len = content_len;
    if (inflated != NULL) {
        *inflated = content;
    } else {
        free(content);
    }
}

void facts_read(const uint8_t *data, size_t len, struct facts *facts, uint8_t **inflated,
                size_t *inflated_len)
{
    memset(facts, 0, sizeof *facts);
    if (inflated != NULL) *inflated = NULL;
    if (inflated_len != NULL) *inflated_len = 0;
    facts->len = len;
    digest(EVP_sha256(), data, len, facts->sha256);
    digest(EVP_md5(), data, len, facts->md5);
    facts->kind = len > 0 ? classify(data, len) : MOLT_FILE_EMPTY;
    if (len == 0) {
        facts->inner_kind = MOLT_FILE_EMPTY;
        refuse(facts, MOLT_IMAGE_EMPTY, "");
    } else if (len > FACTS_FILE_MAX) {
        refuse(facts, MOLT_FILE_TOO_LARGE, "");
    } else if (facts->kind == MOLT_FILE_GZIP) {
        read_gzip(facts, data, len, inflated, inflated_len);
    } else {
        read_content(facts, data, len);
    }
}

/* ---- files ---- */

/* Reads to the end of fd. What fstat would say is not asked: it may change, and pipes say nothing. */
static int read_all(int fd, uint8_t **data, size_t *len)
{
    size_t cap = FIRST_READ_LEN, at = 0;
    uint8_t *buf = malloc(cap);
    if (buf == NULL) return -MOLT_STORE_FAILED;
    for (;;) {
        ssize_t got = read(fd, buf + at, cap - at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        at += (size_t)got;
        if (got == 0 || at > FACTS_FILE_MAX) {
            *data = buf;
            *len = at;
            return 0;
        }
        if (at < cap) continue;
        uint8_t *bigger = realloc(buf, cap * 2);
        if (bigger == NULL) break;
        buf = bigger;
        cap *= 2;
    }
    int error = errno;
    free(buf);
    errno = error;
    return -MOLT_STORE_FAILED;
}

int facts_load_file(const char *path, uint8_t **data, size_t *len)
{
    *data = NULL;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? -MOLT_NOT_FOUND : -MOLT_STORE_FAILED;
    int rc = read_all(fd, data, len);
    int error = errno;
    close(fd);
    errno = error;
    if (rc == 0 && *len > FACTS_FILE_MAX) {
        free(*data);
        *data = NULL;
        *len = 0;
        rc = -MOLT_FILE_TOO_LARGE;
    }
    return rc;
}
