/* walk.c - one walk over the manifest's CBOR, front to end, no way back and no recursion.
 * Must never accept a second encoding of anything, nor read past the given bytes.
 * Tests: test/unit/manifest_test.c, test/property/manifest_property_test.c, test/fuzz/manifest_fuzz.c. */
#include <string.h>

#include "../util/text.h"
#include "manifest_parts.h"

/* CBOR major types (RFC 8949, section 3.1). */
enum { MAJOR_UINT = 0, MAJOR_NEGATIVE = 1, MAJOR_BYTES = 2, MAJOR_TEXT = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5 };

/* SUIT numbers. */
enum {
    MANIFEST_VERSION = 1,
    MANIFEST_SEQUENCE = 2,
    MANIFEST_COMMON = 3,
    MANIFEST_SET_VERSION = 6,
    MANIFEST_VALIDATE = 7,
    MANIFEST_INSTALL = 20
};
enum { COMMON_COMPONENTS = 2, COMMON_SHARED = 4 };
enum {
    CONDITION_VENDOR = 1,
    CONDITION_CLASS = 2,
    CONDITION_IMAGE = 3,
    SET_INDEX = 12,
    OVERRIDE = 20,
    FETCH = 21
};
enum {
    PARAM_VENDOR = 1,
    PARAM_CLASS = 2,
    PARAM_DIGEST = 3,
    PARAM_SIZE = 14,
    PARAM_ENCRYPTION = 19,
    PARAM_URI = 21
};

#define POLICY_MAX        15u
#define VERSION_PARTS_MAX 8u
#define COMMANDS_MAX      32u

/* What has been said of a component: bit 1 << command or parameter. */
#define SAID(number) (1u << (number))

struct cbor {
    const uint8_t *at;
    size_t left;
};

struct walk {
    struct molt_manifest *out;
    unsigned index;                       /* of the component that commands are about */
    bool indexed;                         /* this sequence has set it */
    uint32_t params[MOLT_COMPONENTS_MAX]; /* SAID(PARAM_...) */
    uint32_t done[MOLT_COMPONENTS_MAX];   /* SAID(command) of this sequence */
};

/* One head of that major type: definite length, shortest form, at most max. */
static bool get(struct cbor *r, unsigned major, uint32_t max, uint32_t *value)
{
    if (r->left == 0) return false;
    unsigned info = *r->at & 31u, bytes = 0;
    if (*r->at >> 5 != major || info > 26) return false;
    uint32_t number = info;
    if (info >= 24) {
        bytes = 1u << (info - 24);
        if (r->left <= bytes) return false;
        number = 0;
        for (unsigned i = 1; i <= bytes; i++)
            number = number << 8 | r->at[i];
        if (number < (bytes == 1 ? 24u : 1u << (bytes * 4))) return false;
    }
    r->at += 1 + bytes;
    r->left -= 1 + bytes;
    *value = number;
    return number <= max;
}

/* An unsigned integer of up to 64 bits: the only one here. */
static bool get_sequence_number(struct cbor *r, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    if (r->left < 9 || *r->at != 0x1B) {
        bool good = get(r, MAJOR_UINT, UINT32_MAX, &low);
        *value = low;
        return good;
    }
    for (unsigned i = 1; i <= 4; i++) {
        high = high << 8 | r->at[i];
        low = low << 8 | r->at[4 + i];
    }
    r->at += 9;
    r->left -= 9;
    *value = (uint64_t)high << 32 | low;
    return high != 0;
}

/* Exactly this head. */
static bool expect(struct cbor *r, unsigned major, unsigned wanted)
{
    uint32_t value;
    return get(r, major, UINT32_MAX, &value) && value == wanted;
}

/* A byte string or text of min to max bytes: *inner is what it holds. */
static bool enter(struct cbor *r, unsigned major, uint32_t min, uint32_t max, struct cbor *inner)
{
    uint32_t len;
    if (!get(r, major, max, &len) || len < min || len > r->left) return false;
    inner->at = r->at;
    inner->left = (size_t)len;
    r->at += len;
    r->left -= (size_t)len;
    return true;
}

static bool copy_bytes(struct cbor *r, uint8_t *out, uint32_t len)
{
    struct cbor bytes;
    if (!enter(r, MAJOR_BYTES, len, len, &bytes)) return false;
    memcpy(out, bytes.at, len);
    return true;
}

/* <<[-16, h'32 bytes']>> */
static bool copy_digest(struct cbor *r, uint8_t out[MOLT_SHA256_LEN])
{
    struct cbor inner;
    return enter(r, MAJOR_BYTES, 36, 36, &inner) && expect(&inner, MAJOR_ARRAY, 2) &&
           expect(&inner, MAJOR_NEGATIVE, 15) && copy_bytes(&inner, out, MOLT_SHA256_LEN) && inner.left == 0;
}

static bool get_param(struct cbor *r, struct walk *walk, uint32_t number)
{
    struct molt_manifest_component *component = &walk->out->component[walk->index];
    struct cbor text;
    uint32_t size;
    switch (number) {
    case PARAM_VENDOR:
        return walk->index == 0 && copy_bytes(r, walk->out->vendor, MOLT_UUID_LEN);
    case PARAM_CLASS:
        return walk->index == 0 && copy_bytes(r, walk->out->class_id, MOLT_UUID_LEN);
    case PARAM_DIGEST:
        return copy_digest(r, component->digest);
    case PARAM_SIZE:
        if (!get(r, MAJOR_UINT, UINT32_MAX, &size) || size == 0) return false;
        component->size = size;
        return true;
    case PARAM_ENCRYPTION:
        if (!enter(r, MAJOR_BYTES, 1, MOLT_MANIFEST_MAX, &text)) return false;
        component->encryption = text.at;
        component->encryption_len = (uint16_t)text.left;
        return true;
    case PARAM_URI:
        return enter(r, MAJOR_TEXT, 1, MOLT_MANIFEST_URI, &text) &&
               molt_text_printable((const char *)text.at, text.left);
    default:
        return false;
    }
}

/* The map of override-parameters: keys rising, each of the allowed ones, none said before. */
static bool get_params(struct cbor *r, struct walk *walk, uint32_t allowed)
{
    uint32_t pairs, number, last = 0;
    if (!get(r, MAJOR_MAP, 4, &pairs) || pairs == 0) return false;
    for (; pairs > 0; pairs--, last = number) {
        if (!get(r, MAJOR_UINT, PARAM_URI, &number) || number <= last) return false;
        uint32_t bit = SAID(number);
        if ((allowed & bit) == 0 || (walk->params[walk->index] & bit) != 0) return false;
        walk->params[walk->index] |= bit;
        if (!get_param(r, walk, number)) return false;
    }
    return true;
}

/* What a command needs to have been said before it. */
static uint32_t needed(uint32_t command)
{
    switch (command) {
    case CONDITION_VENDOR:
        return SAID(PARAM_VENDOR);
    case CONDITION_CLASS:
        return SAID(PARAM_CLASS);
    case CONDITION_IMAGE:
        return SAID(PARAM_DIGEST) | SAID(PARAM_SIZE);
    case FETCH:
        return SAID(PARAM_URI);
    default:
        return 0;
    }
}

static bool get_index(struct cbor *r, struct walk *walk)
{
    uint32_t index, next = walk->indexed ? walk->index + 1u : 0;
    if (walk->out->component_count == 1 || !get(r, MAJOR_UINT, UINT32_MAX, &index)) return false;
    if (index != next || index >= walk->out->component_count) return false; /* each once, in order */
    walk->index = (unsigned)index;
    walk->indexed = true;
    return true;
}

static bool get_command(struct cbor *r, struct walk *walk, uint32_t commands, uint32_t params)
{
    uint32_t command, report;
    if (!get(r, MAJOR_UINT, FETCH, &command)) return false;
    if (command == SET_INDEX) return get_index(r, walk);
    uint32_t bit = SAID(command), *done = &walk->done[walk->index];
    if (walk->out->component_count > 1 && !walk->indexed) return false;
    if ((commands & bit) == 0 || (*done & bit) != 0) return false;
    *done |= bit;
    if (command == OVERRIDE) return get_params(r, walk, params);
    uint32_t need = needed(command);
    return (walk->params[walk->index] & need) == need && get(r, MAJOR_UINT, POLICY_MAX, &report);
}

/* One command sequence, wrapped in a byte string. commands: which it consists of, once for each component
 * (vendor and class for the first alone). */
static bool get_sequence(struct cbor *r, struct walk *walk, uint32_t commands, uint32_t params)
{
    struct cbor inner;
    uint32_t items;
    if (!enter(r, MAJOR_BYTES, 1, MOLT_MANIFEST_MAX, &inner)) return false;
    if (!get(&inner, MAJOR_ARRAY, 2 * COMMANDS_MAX, &items) || items % 2 != 0) return false;
    walk->index = 0;
    walk->indexed = false;
    memset(walk->done, 0, sizeof walk->done);
    for (; items > 0; items -= 2) {
        if (!get_command(&inner, walk, commands, params)) return false;
    }
    const uint32_t first_only = SAID(CONDITION_VENDOR) | SAID(CONDITION_CLASS);
    for (unsigned i = 0; i < walk->out->component_count; i++) {
        if (walk->done[i] != (i == 0 ? commands : commands & ~first_only)) return false;
    }
    return inner.left == 0;
}

static bool get_components(struct cbor *r, struct molt_manifest *out)
{
    uint32_t count;
    if (!get(r, MAJOR_ARRAY, MOLT_COMPONENTS_MAX, &count) || count == 0) return false;
    out->component_count = (unsigned)count;
    for (unsigned i = 0; i < count; i++) {
        uint8_t id;
        if (!expect(r, MAJOR_ARRAY, 1) || !copy_bytes(r, &id, 1) || id != i) return false;
    }
    return true;
}

static bool get_common(struct cbor *r, struct walk *walk)
{
    const uint32_t params = SAID(PARAM_VENDOR) | SAID(PARAM_CLASS) | SAID(PARAM_DIGEST) | SAID(PARAM_SIZE);
    struct cbor inner;
    if (!enter(r, MAJOR_BYTES, 1, MOLT_MANIFEST_MAX, &inner)) return false;
    return expect(&inner, MAJOR_MAP, 2) && expect(&inner, MAJOR_UINT, COMMON_COMPONENTS) &&
           get_components(&inner, walk->out) && expect(&inner, MAJOR_UINT, COMMON_SHARED) &&
           get_sequence(&inner, walk, SAID(OVERRIDE) | SAID(CONDITION_VENDOR) | SAID(CONDITION_CLASS),
                        params) &&
           inner.left == 0;
}

/* <<[1, 4, 0]>>, negative for what comes before a release; nobody acts on it. */
static bool get_version(struct cbor *r)
{
    struct cbor inner;
    uint32_t parts, part;
    if (!enter(r, MAJOR_BYTES, 1, 64, &inner)) return false;
    if (!get(&inner, MAJOR_ARRAY, VERSION_PARTS_MAX, &parts) || parts == 0) return false;
    for (; parts > 0; parts--) {
        unsigned major = inner.left > 0 ? (unsigned)*inner.at >> 5 : MAJOR_MAP;
        if (major > MAJOR_NEGATIVE || !get(&inner, major, UINT32_MAX, &part)) return false;
    }
    return inner.left == 0;
}

bool manifest_walk(const uint8_t *body, size_t len, struct molt_manifest *out)
{
    struct walk walk = {.out = out};
    struct cbor outer = {body, len}, r;
    uint32_t pairs;
    if (!enter(&outer, MAJOR_BYTES, 1, MOLT_MANIFEST_MAX, &r) || outer.left != 0) return false;
    if (!get(&r, MAJOR_MAP, 6, &pairs) || pairs < 5) return false;
    if (!expect(&r, MAJOR_UINT, MANIFEST_VERSION) || !expect(&r, MAJOR_UINT, 1)) return false;
    if (!expect(&r, MAJOR_UINT, MANIFEST_SEQUENCE) || !get_sequence_number(&r, &out->sequence)) return false;
    if (!expect(&r, MAJOR_UINT, MANIFEST_COMMON) || !get_common(&r, &walk)) return false;
    if (pairs == 6 && (!expect(&r, MAJOR_UINT, MANIFEST_SET_VERSION) || !get_version(&r))) return false;
    return expect(&r, MAJOR_UINT, MANIFEST_VALIDATE) && get_sequence(&r, &walk, SAID(CONDITION_IMAGE), 0) &&
           expect(&r, MAJOR_UINT, MANIFEST_INSTALL) &&
           get_sequence(&r, &walk, SAID(OVERRIDE) | SAID(FETCH) | SAID(CONDITION_IMAGE),
                        SAID(PARAM_ENCRYPTION) | SAID(PARAM_URI)) &&
           r.left == 0;
}
