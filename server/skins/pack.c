/* pack.c - packs for clients that do not check in: by RFC 3229 on every address of an image ("A-IM: molt-pack" or
 * "detools", "If-None-Match: <what the client has>"; 226 with "IM" and "Delta-Base"), and by an address that names
 * both images, for caches that know no instance manipulation:
 *
 *     GET .../molt/v1/pack/IMAGE          a pack of the whole image
 *     GET .../molt/v1/pack/IMAGE/BASE     a delta; IMAGE and BASE are identities (image.h) in hex
 *     GET .../molt/v1/detools/IMAGE/BASE  the same for Espressif's esp_delta_ota
 *
 * What is not made yet is asked for: the image itself is sent meanwhile (RFC 3229), or 503 (by address). Must never
 * make a pack of files that were not published for one product. Tests: test/e2e/packs_test.c. */
#include "skin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEX_LEN     64u
#define TAGS_MAX    8                             /* of a list that are looked up */
#define NOT_KEPT    "Cache-Control: no-store\r\n" /* what is no pack now may be one tomorrow */
#define RETRY_AFTER "Retry-After: 10\r\n" NOT_KEPT

static const struct form {
    const char *path, *im;
    enum packs_kind whole, delta; /* whole 0: there is none */
} forms[] = {
    {SKIN_PACK, "molt-pack", PACKS_WHOLE, PACKS_DELTA},
    {SKIN_DETOOLS, "detools", 0, PACKS_DETOOLS},
};
#define FORMS (sizeof forms / sizeof forms[0])

/* ---- which images are meant ---- */

static const struct model_image *image_by_file(const struct rules *rules, const uint8_t sha256[32])
{
    for (uint32_t i = 0; i < rules->data.release_count; i++) {
        const struct model_release *release = &rules->data.releases[i];
        for (uint32_t k = 0; k < release->image_count; k++) {
            if (memcmp(release->images[k].raw.sha256, sha256, 32) == 0) return &release->images[k];
        }
    }
    return NULL;
}

static int64_t product_of(const struct rules *rules, const struct model_image *image)
{
    const struct model_release *release = image != NULL ? rules_release(rules, image->release_id) : NULL;
    return release != NULL ? release->product_id : 0;
}

/* Is the one a base for the other? Two applications for one chip, of one product. */
static bool go_together(const struct rules *rules, const struct model_image *base,
                        const struct model_image *image)
{
    return base != NULL && base->chip == image->chip && base->component == MODEL_APP &&
           image->component == MODEL_APP && product_of(rules, base) == product_of(rules, image) &&
           memcmp(base->raw.sha256, image->raw.sha256, 32) != 0;
}

static struct pack_key key_of(enum packs_kind kind, const struct model_image *base,
                              const struct model_image *image)
{
    struct pack_key key = {.kind = kind};
    if (base != NULL) memcpy(key.base, base->raw.sha256, sizeof key.base);
    memcpy(key.image, image->raw.sha256, sizeof key.image);
    return key;
}

/* The pack's file when it is ready; asks for it when nobody did. */
static enum packs_state look_up(struct packs *packs, const struct pack_key *key, struct model_artifact *file)
{
    const struct pack_entry *entry = pack_table_find(packs_read(packs), key);
    enum packs_state state = entry != NULL ? entry->state : PACK_ABSENT;
    if (state == PACK_READY) *file = entry->file;
    packs_read_end(packs);
    if (state == PACK_ABSENT) packs_want(packs, key);
    return state;
}

/* ---- RFC 3229 ---- */

/* Is name in the header's list? A weight of 0 is a no; other parameters are passed over. */
static bool lists(struct http_slice header, const char *name)
{
    size_t len = strlen(name);
    for (size_t at = 0; at < header.len;) {
        while (at < header.len && (header.p[at] == ' ' || header.p[at] == ','))
            at++;
        size_t end = at;
        while (end < header.len && header.p[end] != ',')
            end++;
        size_t stop = at;
        while (stop < end && header.p[stop] != ';' && header.p[stop] != ' ')
            stop++;
        if (stop - at == len && strncasecmp(header.p + at, name, len) == 0) {
            const char *q = memchr(header.p + stop, '=', end - stop);
            size_t left = q != NULL ? (size_t)(header.p + end - q - 1) : 0;
            bool zero = left > 0 && q[1] == '0' && strspn(q + 1, "0.") >= left;
            return !zero;
        }
        at = end;
    }
    return false;
}

/* What the client has, of a list: the entity tag of an image's file, or its identity, which is what a device knows. *tag: the one
 * that was taken, with its quotes. */
static const struct model_image *base_said(const struct ask *ask, const struct rules *rules,
                                           const struct model_image *image, struct http_slice *tag)
{
    struct http_slice list = http_header(ask->x, "if-none-match", 0);
    uint8_t digest[32];
    int looked = 0;
    for (size_t at = 0; at + HEX_LEN + 2 <= list.len && looked < TAGS_MAX; at++) {
        if (list.p[at] != '"' || list.p[at + HEX_LEN + 1] != '"') continue;
        if (!client_hex((struct http_slice){list.p + at + 1, HEX_LEN}, digest, sizeof digest)) continue;
        const struct model_image *base = image_by_file(rules, digest);
        if (base == NULL) base = rules_image_by_digest(rules, product_of(rules, image), digest);
        *tag = (struct http_slice){list.p + at, HEX_LEN + 2};
        if (go_together(rules, base, image)) return base;
        at += HEX_LEN + 1;
        looked++;
    }
    return NULL;
}

static bool manipulate(struct ask *ask, const struct rules *rules, const struct form *form,
                       const struct model_artifact *artifact, struct skin_im *im)
{
    const struct model_image *image = image_by_file(rules, artifact->sha256);
    struct http_slice tag = {0};
    const struct model_image *base = image != NULL ? base_said(ask, rules, image, &tag) : NULL;
    if (image == NULL || (base == NULL && form->whole == 0)) return false;
    const struct pack_key key = key_of(base != NULL ? form->delta : form->whole, base, image);
    if (look_up(ask->skins->options.packs, &key, &im->file) != PACK_READY) return false;
    if (base != NULL)
        (void)snprintf(im->headers, sizeof im->headers, "IM: %s\r\nDelta-Base: %.*s\r\n", form->im,
                       (int)tag.len, tag.p);
    else
        (void)snprintf(im->headers, sizeof im->headers, "IM: %s\r\n", form->im);
    return true;
}

bool skin_manipulate(struct ask *ask, const struct model_artifact *artifact, struct skin_im *im)
{
    struct http_slice wanted = http_header(ask->x, "a-im", 0);
    bool done = false;
    if (wanted.len == 0 || ask->skins->options.packs == NULL) return false;
    const struct rules *rules = rules_acquire(ask->skins->options.rules);
    for (size_t i = 0; i < FORMS && !done; i++)
        done = lists(wanted, forms[i].im) && manipulate(ask, rules, &forms[i], artifact, im);
    rules_release_ref(ask->skins->options.rules, rules);
    return done;
}

/* ---- by address ---- */

static const struct form *form_of(const struct ask *ask, const char **names)
{
    for (size_t i = 0; i < FORMS; i++) {
        const char *at = strstr(ask->where.rest, forms[i].path);
        if (at == NULL) continue;
        *names = at + strlen(forms[i].path);
        return &forms[i];
    }
    return NULL;
}

bool skin_pack_is_meant(const struct ask *ask)
{
    const char *names;
    return form_of(ask, &names) != NULL;
}

/* The key that the address names; false when it names nothing that can be made. */
static bool key_said(const struct ask *ask, struct pack_key *key)
{
    const char *names = NULL;
    uint8_t image_digest[32], base_digest[32];
    const struct form *form = form_of(ask, &names);
    size_t len = strlen(names);
    bool delta = len == 2 * HEX_LEN + 1 && names[HEX_LEN] == '/';
    if (!delta && (len != HEX_LEN || form->whole == 0)) return false;
    if (!client_hex((struct http_slice){names, HEX_LEN}, image_digest, 32)) return false;
    if (delta && !client_hex((struct http_slice){names + HEX_LEN + 1, HEX_LEN}, base_digest, 32))
        return false;
    const struct rules *rules = rules_acquire(ask->skins->options.rules);
    const struct model_image *image = rules_image_by_digest(rules, 0, image_digest);
    const struct model_image *base =
        image != NULL && delta ? rules_image_by_digest(rules, product_of(rules, image), base_digest) : NULL;
    bool good = image != NULL && image->component == MODEL_APP && (!delta || go_together(rules, base, image));
    if (good) *key = key_of(delta ? form->delta : form->whole, base, image);
    rules_release_ref(ask->skins->options.rules, rules);
    return good;
}

static void there_is_none(struct ask *ask, const char *sentence)
{
    struct http_response response = {.status = 404,
                                     .content_type = "text/plain",
                                     .headers = NOT_KEPT,
                                     .body = sentence,
                                     .body_len = strlen(sentence)};
    http_respond(ask->x, &response);
}

void skin_pack(struct ask *ask)
{
    struct pack_key key;
    struct model_artifact file = {0};
    char etag[SKIN_ETAG_LEN];
    if (ask->skins->options.packs == NULL || !key_said(ask, &key)) {
        there_is_none(ask, "no such pack can be made\n");
        return;
    }
    enum packs_state state =
        skin_busy(ask->skins) ? PACK_COMING : look_up(ask->skins->options.packs, &key, &file);
    if (state == PACK_USELESS) {
        there_is_none(ask, "this pack would not be smaller than the image\n");
        return;
    }
    if (state != PACK_READY) {
        struct http_response later = {.status = 503, .headers = RETRY_AFTER};
        http_respond(ask->x, &later);
        return;
    }
    skin_etag(file.sha256, etag);
    struct skin_range range = skin_range_if(ask, etag);
    if (range.present && range.first >= file.len) {
        char headers[96];
        (void)snprintf(headers, sizeof headers, "Content-Range: bytes */%" PRIu32 "\r\n" NOT_KEPT, file.len);
        struct http_response response = {.status = 416, .headers = headers};
        http_respond(ask->x, &response);
        return;
    }
    skin_send(ask, &file, &range, false, true);
}
