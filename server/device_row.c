/* device_row.c - packs a device into its row and back. The part in common is struct model_device itself, without what is the
 * device's own and without its runs of zeros, so that no list of fields can forget one.
 * Must never give back anything but what was put in. Tests: test/unit/device_row_test.c. */
#include "device_row.h"

#include <arpa/inet.h>
#include <string.h>

#define WORDS (sizeof(struct model_device) / sizeof(uint64_t))
_Static_assert(sizeof(struct model_device) % sizeof(uint64_t) == 0, "it is packed by words");
_Static_assert(WORDS < 256, "runs are counted in bytes");
_Static_assert(sizeof(struct device_row) == 128,
               "two cache lines, as slab.h places them; times a million devices");

#define DEVICE_ROW_TIMED (DEVICE_ROW_LABELS - sizeof(int64_t) / sizeof(uint32_t)) /* labels beside a time */

#define LABELS_MAX (MODEL_TAGS_LEN + MODEL_ATTRIBUTES_LEN + 1)

/* ---- pools ---- */

static void drop_words(void *ctx, const void *bytes, size_t len)
{
    const uint32_t *refs = bytes;
    for (size_t i = 1; i < len / sizeof *refs; i++)
        intern_drop(ctx, refs[i]);
}

bool device_pools_open(struct device_pools *pools)
{
    pools->states = intern_new(NULL, NULL);
    pools->words = intern_new(NULL, NULL);
    pools->texts = intern_new(NULL, NULL);
    pools->labels = intern_new(drop_words, pools->words);
    return pools->states != NULL && pools->words != NULL && pools->texts != NULL && pools->labels != NULL;
}

void device_pools_close(struct device_pools *pools)
{
    intern_free(pools->states);
    intern_free(pools->labels);
    intern_free(pools->words);
    intern_free(pools->texts);
}

uint64_t device_pools_bytes(const struct device_pools *pools)
{
    struct intern *const all[] = {pools->states, pools->labels, pools->words, pools->texts};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct intern_stats stats;
        intern_stats(all[i], &stats);
        bytes += stats.bytes;
    }
    return bytes;
}

/* ---- the part in common: runs of zero words and of others, each counted by a byte; counts first, then the words ---- */

struct packed {
    uint64_t words[WORDS + WORDS / 4 + 2]; /* never longer than the counts and all words */
    size_t len;                            /* bytes */
};

static void strip(const struct model_device *from, struct model_device *to)
{
    memcpy(to, from, sizeof *to);
    memset(to->id, 0, sizeof to->id);
    memset(to->address, 0, sizeof to->address);
    memset(to->tags, 0, sizeof to->tags);
    memset(to->attributes, 0, sizeof to->attributes);
    to->first_seen_ms = to->last_seen_ms = to->last_reason_ms = to->announced_ms = to->rollout_ms =
        to->attempt_ms = 0;
}

static void pack(const struct model_device *device, struct packed *out)
{
    struct model_device common;
    uint64_t words[WORDS];
    uint8_t counts[WORDS + 4];
    size_t runs = 0, at = 0, taken = 0;
    strip(device, &common);
    memcpy(words, &common, sizeof words);
    while (at < WORDS) {
        size_t from = at;
        while (at < WORDS && words[at] == 0)
            at++;
        counts[1 + runs++] = (uint8_t)(at - from);
        from = at;
        while (at < WORDS && words[at] != 0)
            at++;
        counts[1 + runs++] = (uint8_t)(at - from);
        memmove(words + taken, words + from, (at - from) * sizeof *words);
        taken += at - from;
    }
    counts[0] = (uint8_t)(runs / 2);
    size_t head = (1 + runs + 7) / 8;
    memset(out->words, 0, head * sizeof *out->words);
    memcpy(out->words, counts, 1 + runs);
    memcpy(out->words + head, words, taken * sizeof *words);
    out->len = (head + taken) * sizeof *words;
}

static void unpack(const void *bytes, struct model_device *device)
{
    const uint8_t *counts = bytes;
    const uint64_t *from = bytes;
    char *at = (char *)device;
    memset(device, 0, sizeof *device);
    from += (1 + 2u * counts[0] + 7) / 8;
    for (unsigned run = 0; run < counts[0]; run++) {
        size_t len = counts[2 + 2 * run] * sizeof *from;
        at += counts[1 + 2 * run] * sizeof *from;
        memcpy(at, from, len);
        at += len;
        from += len / sizeof *from;
    }
}

/* ---- labels: references to words, in the row; when they are too many, in a list behind the number of them that are tags ---- */

struct labels {
    uint32_t refs[DEVICE_ROW_LABELS];
    uint8_t count, tags;
};

/* Adds the words of the text. False: memory is short. */
static bool put_words(struct intern *words, const char *text, uint32_t refs[LABELS_MAX], uint32_t *count)
{
    bool more = *text != '\0';
    while (more) {
        size_t len = strcspn(text, " ");
        uint32_t ref = *count < LABELS_MAX ? intern_put(words, text, len, NULL) : 0;
        if (ref == 0) return false;
        refs[(*count)++] = ref;
        more = text[len] == ' ';
        text += len + 1;
    }
    return true;
}

static bool put_list(struct device_pools *pools, const uint32_t *refs, uint32_t count, struct labels *out)
{
    bool made = false;
    out->refs[0] = intern_put(pools->labels, refs, count * sizeof *refs, &made);
    out->count = DEVICE_ROW_LIST;
    if (!made) drop_words(pools->words, refs, count * sizeof *refs); /* the list that is there has its own */
    return out->refs[0] != 0;
}

/* Labels that fit into the row. */
static uint32_t labels_room(const struct model_device *device)
{
    return device->attempt_ms != 0 ? DEVICE_ROW_TIMED : DEVICE_ROW_LABELS;
}

static bool put_labels(struct device_pools *pools, const struct model_device *device, struct labels *out)
{
    uint32_t refs[LABELS_MAX] = {0}, count = 1;
    bool ok = put_words(pools->words, device->tags, refs, &count);
    refs[0] = count - 1;
    ok = ok && put_words(pools->words, device->attributes, refs, &count);
    *out = (struct labels){.count = 0};
    if (!ok) {
        drop_words(pools->words, refs, count * sizeof *refs);
        return false;
    }
    if (count - 1 > labels_room(device)) return put_list(pools, refs, count, out);
    memcpy(out->refs, refs + 1, (count - 1) * sizeof *refs);
    out->count = (uint8_t)(count - 1);
    out->tags = (uint8_t)refs[0];
    return true;
}

static void drop_labels(struct device_pools *pools, const uint32_t *refs, uint8_t count)
{
    if (count == DEVICE_ROW_LIST) {
        intern_drop(pools->labels, refs[0]);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        intern_drop(pools->words, refs[i]);
}

static void get_words(const struct device_pools *pools, const uint32_t *refs, size_t count, char *at)
{
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const void *bytes = intern_get(pools->words, refs[i], &len);
        if (i > 0) *at++ = ' ';
        memcpy(at, bytes, len);
        at += len;
    }
}

const uint32_t *device_row_labels(const struct device_pools *pools, const struct device_row *row,
                                  size_t *count, size_t *tag_count)
{
    const uint32_t *refs = row->labels;
    *count = row->label_count;
    *tag_count = row->tag_count;
    if (row->label_count != DEVICE_ROW_LIST) return refs;
    size_t len;
    refs = intern_get(pools->labels, row->labels[0], &len);
    *count = len / sizeof *refs - 1;
    *tag_count = refs[0];
    return refs + 1;
}

/* Into texts that are all zero. */
static void get_labels(const struct device_pools *pools, const struct device_row *row, char *tags,
                       char *attributes)
{
    size_t count, tag_count;
    const uint32_t *refs = device_row_labels(pools, row, &count, &tag_count);
    get_words(pools, refs, tag_count, tags);
    get_words(pools, refs + tag_count, count - tag_count, attributes);
}

static bool labels_are(const struct device_pools *pools, const struct device_row *row,
                       const struct model_device *device)
{
    char tags[MODEL_TAGS_LEN] = "", attributes[MODEL_ATTRIBUTES_LEN] = "";
    get_labels(pools, row, tags, attributes);
    const bool room = row->label_count == DEVICE_ROW_LIST || row->label_count <= labels_room(device);
    return room && strcmp(tags, device->tags) == 0 && strcmp(attributes, device->attributes) == 0;
}

/* ---- address and id ---- */

/* Four numbers as inet_ntop() writes them, and nothing else; called for each poll. */
static bool read_v4(const char *text, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++)
            value = value * 10 + (unsigned)(*text - '0');
        if (digits == 0 || value > 255 || (digits > 1 && value < (digits == 2 ? 10u : 100u))) return false;
        if (*text++ != (i < 3 ? '.' : '\0')) return false;
        out[i] = (uint8_t)value;
    }
    return true;
}

static bool read_v6(const char *text, uint8_t out[16])
{
    char again[INET6_ADDRSTRLEN];
    return inet_pton(AF_INET6, text, out) == 1 && inet_ntop(AF_INET6, out, again, sizeof again) != NULL &&
           strcmp(again, text) == 0;
}

static void put_ref(uint8_t out[16], uint32_t ref)
{
    memset(out, 0, 16);
    memcpy(out, &ref, sizeof ref);
}

static const char *get_text(const struct device_pools *pools, const void *from, size_t *len)
{
    uint32_t ref;
    memcpy(&ref, from, sizeof ref);
    return intern_get(pools->texts, ref, len);
}

static void drop_address(struct device_pools *pools, struct device_row *row)
{
    uint32_t ref;
    memcpy(&ref, row->address, sizeof ref);
    if (row->address_kind == ADDRESS_TEXT) intern_drop(pools->texts, ref);
}

static void set_address(struct device_pools *pools, struct device_row *row, const char *text)
{
    uint8_t bytes[16] = {0};
    size_t len = strnlen(text, sizeof((struct model_device *)NULL)->address - 1);
    enum device_address kind = ADDRESS_NONE;
    if (read_v4(text, bytes)) {
        kind = ADDRESS_V4;
    } else if (len > 0 && read_v6(text, bytes)) {
        kind = ADDRESS_V6;
    } else if (len > 0) {
        uint32_t ref = intern_put(pools->texts, text, len, NULL);
        put_ref(bytes, ref);
        kind = ref != 0 ? ADDRESS_TEXT : ADDRESS_NONE; /* memory is short: it is seen again */
    }
    drop_address(pools, row);
    row->address_kind = (uint8_t)kind;
    memcpy(row->address, bytes, sizeof bytes);
}

/* As inet_ntop() does, without its printf(): a search by address writes a million of them. */
static void write_v4(const uint8_t bytes[4], char out[INET_ADDRSTRLEN])
{
    for (int i = 0; i < 4; i++) {
        if (bytes[i] >= 100) *out++ = (char)('0' + bytes[i] / 100);
        if (bytes[i] >= 10) *out++ = (char)('0' + bytes[i] / 10 % 10);
        *out++ = (char)('0' + bytes[i] % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

void device_row_address(const struct device_pools *pools, const struct device_row *row, char *out, size_t cap)
{
    size_t len;
    switch ((enum device_address)row->address_kind) {
    case ADDRESS_V4:
        write_v4(row->address, out);
        break;
    case ADDRESS_V6:
        inet_ntop(AF_INET6, row->address, out, (socklen_t)cap);
        break;
    case ADDRESS_TEXT: {
        const char *text = get_text(pools, row->address, &len);
        memcpy(out, text, len);
        break;
    }
    case ADDRESS_NONE:
        break;
    }
}

bool device_row_is(const struct device_pools *pools, const struct device_row *row, const char *id)
{
    if (!row->long_id) return strcmp(row->id, id) == 0;
    size_t len;
    const char *text = get_text(pools, row->id, &len);
    return strlen(id) == len && memcmp(text, id, len) == 0;
}

void device_row_id(const struct device_pools *pools, const struct device_row *row, char id[MODEL_ID_LEN])
{
    size_t len = strlen(row->id);
    const char *text = row->long_id ? get_text(pools, row->id, &len) : row->id;
    memset(id, 0, MODEL_ID_LEN);
    memcpy(id, text, len);
}

static bool put_id(struct device_pools *pools, struct device_row *row, const char *id)
{
    size_t len = strnlen(id, MODEL_ID_LEN - 1);
    row->long_id = len >= sizeof row->id;
    if (!row->long_id) {
        memcpy(row->id, id, len);
        return true;
    }
    uint32_t ref = intern_put(pools->texts, id, len, NULL);
    memcpy(row->id, &ref, sizeof ref);
    return ref != 0;
}

/* ---- the whole ---- */

void device_row_common(const struct device_pools *pools, uint32_t state, struct model_device *device)
{
    size_t len;
    unpack(intern_get(pools->states, state, &len), device);
}

void device_row_read(const struct device_pools *pools, const struct device_row *row, const char *address,
                     struct model_device *device)
{
    device_row_common(pools, row->state, device);
    device_row_id(pools, row, device->id);
    get_labels(pools, row, device->tags, device->attributes);
    device->first_seen_ms = row->first_seen_ms;
    device->last_seen_ms = row->last_seen_ms;
    device->last_reason_ms = row->last_reason_ms;
    device->announced_ms = row->announced_ms;
    device->rollout_ms = row->rollout_ms;
    if (row->timed) memcpy(&device->attempt_ms, &row->labels[DEVICE_ROW_TIMED], sizeof device->attempt_ms);
    if (address != NULL)
        memcpy(device->address, address, strnlen(address, sizeof device->address - 1));
    else
        device_row_address(pools, row, device->address, sizeof device->address);
}

bool device_row_write(struct device_pools *pools, struct device_row *row, const struct model_device *device)
{
    struct packed packed;
    struct labels labels;
    const bool relabel = !labels_are(pools, row, device);
    if (relabel && !put_labels(pools, device, &labels)) return false;
    pack(device, &packed);
    uint32_t state = intern_put(pools->states, packed.words, packed.len, NULL);
    if (state == 0) {
        if (relabel) drop_labels(pools, labels.refs, labels.count);
        return false;
    }
    intern_drop(pools->states, row->state);
    row->state = state;
    if (relabel) {
        drop_labels(pools, row->labels, row->label_count);
        memcpy(row->labels, labels.refs, sizeof row->labels);
        row->label_count = labels.count;
        row->tag_count = labels.tags;
    }
    row->first_seen_ms = device->first_seen_ms;
    row->last_reason_ms = device->last_reason_ms;
    row->announced_ms = device->announced_ms;
    row->rollout_ms = device->rollout_ms;
    row->timed = device->attempt_ms != 0;
    if (row->timed) memcpy(&row->labels[DEVICE_ROW_TIMED], &device->attempt_ms, sizeof device->attempt_ms);
    row->unassigned = device->product_id == 0;
    device_row_saw(pools, row, device->address, device->last_seen_ms);
    return true;
}

bool device_row_make(struct device_pools *pools, struct device_row *row, const struct model_device *device)
{
    if (!put_id(pools, row, device->id)) return false;
    if (device_row_write(pools, row, device)) return true;
    device_row_drop(pools, row);
    return false;
}

void device_row_saw(struct device_pools *pools, struct device_row *row, const char *address, int64_t now_ms)
{
    uint8_t v4[4];
    row->last_seen_ms = now_ms;
    bool same = row->address_kind == ADDRESS_V4 && read_v4(address, v4) && memcmp(v4, row->address, 4) == 0;
    if (!same) set_address(pools, row, address);
}

void device_row_drop(struct device_pools *pools, struct device_row *row)
{
    intern_drop(pools->states, row->state);
    drop_labels(pools, row->labels, row->label_count);
    drop_address(pools, row);
    uint32_t ref;
    memcpy(&ref, row->id, sizeof ref);
    if (row->long_id) intern_drop(pools->texts, ref);
}
