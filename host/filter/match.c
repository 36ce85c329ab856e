/* match.c - does a device match a compiled filter. Must never allocate, nor take more steps than nodes x text x pattern.
 * Tests: test/unit/filter_test.c, test/property/filter_property_test.c. */
#include <stdio.h>
#include <string.h>

#include "../publish.h"
#include "filter_parts.h"
#include "molt_reason.h"

bool filter_word_ok(const char *word, size_t len)
{
    if (len == 0 || len > 32 || word[0] == '-' || word[0] == '.') return false;
    for (size_t i = 0; i < len; i++) {
        char c = word[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
        if (!ok) return false;
    }
    return true;
}

/* The first place from `at` on where a text that begins with `first` may begin; SIZE_MAX: none. */
static size_t begins_at(char first, const char *text, size_t at, size_t len)
{
    if (first == '*' || first == '?' || first == '\0') return at;
    const char *found = memchr(text + at, first, len - at);
    return found != NULL ? (size_t)(found - text) : SIZE_MAX;
}

/* * stands for any text, ? for one byte. When a part does not fit, only the last * takes one byte more: as many as it must until
 * what stands behind it can begin. */
static bool glob(const char *pattern, const char *text, size_t len)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_at = 0;
    while (t < len) {
        if (pattern[p] == '*') {
            star = p;
            star_at = t;
        } else if (pattern[p] != '\0' && (pattern[p] == '?' || pattern[p] == text[t])) {
            p++;
            t++;
            continue;
        } else if (star != SIZE_MAX) {
            star_at++;
        } else {
            return false;
        }
        p = star + 1;
        t = star_at = begins_at(pattern[p], text, star_at, len);
        if (t == SIZE_MAX) return false;
    }
    while (pattern[p] == '*')
        p++;
    return pattern[p] == '\0';
}

static bool same(const struct filter_node *node, const char *value, const char *text, size_t len)
{
    if (node->op == FILTER_LIKE) return glob(value, text, len);
    return strlen(value) == len && memcmp(value, text, len) == 0;
}

static bool compare(enum filter_op op, int64_t a, int64_t b)
{
    switch (op) {
    case FILTER_EQ:
        return a == b;
    case FILTER_NE:
        return a != b;
    case FILTER_LT:
        return a < b;
    case FILTER_LE:
        return a <= b;
    case FILTER_GT:
        return a > b;
    case FILTER_GE:
        return a >= b;
    case FILTER_LIKE:
        break;
    }
    return false;
}

static bool any_tag(const struct filter_node *node, const char *value, const char *tags)
{
    while (*tags != '\0') {
        size_t len = strcspn(tags, " ");
        if (len > 0 && same(node, value, tags, len)) return true;
        tags += len + (tags[len] == ' ');
    }
    return false;
}

/* The value of attribute `name` in "name=value name=value", and its length; NULL when it is not there. */
static const char *value_of(const char *attributes, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    while (*attributes != '\0') {
        size_t part = strcspn(attributes, " ");
        if (part > name_len && attributes[name_len] == '=' && memcmp(attributes, name, name_len) == 0) {
            *len = part - name_len - 1;
            return attributes + name_len + 1;
        }
        attributes += part + (attributes[part] == ' ');
    }
    return NULL;
}

/* A device without the attribute passes only `!=`. */
static bool attribute(const struct filter_node *node, const char *name, const char *value,
                      const char *attributes)
{
    size_t len;
    int64_t number;
    const char *text = value_of(attributes, name, &len);
    if (text == NULL) return node->op == FILTER_NE;
    if (node->op == FILTER_EQ || node->op == FILTER_LIKE) return same(node, value, text, len);
    if (node->op == FILTER_NE) return !same(node, value, text, len);
    if (node->is_number && filter_number(text, len, &number)) return compare(node->op, number, node->number);
    size_t value_len = strlen(value), shorter = len < value_len ? len : value_len;
    int order = memcmp(text, value, shorter);
    return compare(node->op, order != 0 ? order : (int64_t)len - (int64_t)value_len, 0);
}

static const char *text_of(const struct filter_subject *subject, enum filter_field field)
{
    const struct model_device *device = subject->device;
    switch (field) {
    case FILTER_F_ID:
        return device->id;
    case FILTER_F_PRODUCT:
        return subject->product;
    case FILTER_F_CHANNEL:
        return device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
    case FILTER_F_GROUP:
        return device->group_name;
    case FILTER_F_CHIP:
        return device->chip != MOLT_CHIP_UNKNOWN ? molt_chip_name(device->chip) : "";
    case FILTER_F_CLIENT:
        return model_client_name(device->client);
    case FILTER_F_VERSION:
        return device->running_version;
    case FILTER_F_CORE:
        return device->core;
    case FILTER_F_LAYOUT:
        return publish_layout_name(device->flash_size, device->fs_start);
    case FILTER_F_RESULT:
        return model_attempt_name(device->result);
    case FILTER_F_STATE:
        return model_attempt_name(device->attempt);
    case FILTER_F_REASON:
        return device->last_reason != 0 ? molt_reason_id(device->last_reason) : "";
    case FILTER_F_ADDRESS:
        return device->address;
    default:
        return "";
    }
}

static int64_t number_of(const struct model_device *device, enum filter_field field)
{
    switch (field) {
    case FILTER_F_CODE:
        return device->running_code;
    case FILTER_F_FLASH:
        return device->flash_size;
    case FILTER_F_FS:
        return device->fs_start;
    case FILTER_F_SLOT:
        return device->slot_size;
    case FILTER_F_SIZE:
        return device->sketch_size;
    case FILTER_F_PIN:
        return device->pinned_code;
    case FILTER_F_ROLLOUT:
        return device->rollout_id;
    default:
        return 0;
    }
}

/* How long ago, in ms; a time that is still to come is now, a device never seen is older than any age. */
static int64_t age_of(const struct filter_subject *subject, enum filter_field field)
{
    int64_t at = field == FILTER_F_SEEN ? subject->device->last_seen_ms : subject->device->first_seen_ms;
    if (at <= 0) return INT64_MAX;
    return subject->now_ms > at ? subject->now_ms - at : 0;
}

static bool passes(const struct filter *filter, const struct filter_node *node,
                   const struct filter_subject *subject)
{
    const char *value = filter->pool + node->value, *text;
    enum filter_field field = node->field;
    bool truth;
    switch (filter_fields[field].type) {
    case FILTER_WORDS:
        text = text_of(subject, field);
        return same(node, value, text, strlen(text)) != (node->op == FILTER_NE);
    case FILTER_TAG:
        return any_tag(node, value, subject->device->tags) != (node->op == FILTER_NE);
    case FILTER_NUMBER:
        return compare(node->op, number_of(subject->device, field), node->number);
    case FILTER_AGE:
        return compare(node->op, age_of(subject, field), node->number);
    case FILTER_ATTRIBUTE:
        return attribute(node, filter->pool + node->name, value, subject->device->attributes);
    case FILTER_TRUTH:
        truth = field == FILTER_F_HELD ? subject->device->held : subject->device->verified;
        return (truth == (strcmp(value, "yes") == 0)) == (node->op == FILTER_EQ);
    }
    return false;
}

void filter_asks(const struct filter *filter, struct filter_asks *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < filter->count; i++) {
        const enum filter_field field = filter->nodes[i].field;
        const uint64_t bit = (uint64_t)1 << i;
        if (filter->nodes[i].kind != FILTER_TEST) continue;
        out->all |= bit;
        if (field == FILTER_F_TAG) out->tags |= bit;
        if (field == FILTER_F_ATTR) out->attributes |= bit;
        if (field == FILTER_F_ID) out->id |= bit;
        if (field == FILTER_F_ADDRESS) out->address |= bit;
        if (field == FILTER_F_SEEN || field == FILTER_F_KNOWN) out->times |= bit;
    }
}

uint64_t filter_test(const struct filter *filter, const struct filter_subject *subject, uint64_t which)
{
    uint64_t answers = 0;
    for (uint32_t i = 0; i < filter->count; i++)
        if (which >> i & 1 && passes(filter, &filter->nodes[i], subject)) answers |= (uint64_t)1 << i;
    return answers;
}

void filter_word(const struct filter *filter, const char *word, struct filter_word *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        const char *value = filter->pool + node->value, *name = filter->pool + node->name;
        const uint64_t bit = (uint64_t)1 << i;
        size_t len;
        if (node->kind != FILTER_TEST) continue;
        if (node->field == FILTER_F_TAG && any_tag(node, value, word)) out->tag |= bit;
        if (node->field != FILTER_F_ATTR || value_of(word, name, &len) == NULL) continue;
        out->named |= bit;
        if (attribute(node, name, value, word)) out->holds |= bit;
    }
}

_Static_assert(FILTER_NODES_MAX <= 64, "the answer of a test is a bit");

bool filter_decide(const struct filter *filter, uint64_t answers)
{
    uint64_t truth = answers; /* of each node; its children stand before it */
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        const bool left = truth >> node->left & 1, right = i > 0 && (truth >> (i - 1) & 1);
        const uint64_t bit = (uint64_t)1 << i;
        if ((node->kind == FILTER_NOT && !right) || (node->kind == FILTER_AND && left && right) ||
            (node->kind == FILTER_OR && (left || right)))
            truth |= bit;
    }
    return filter->count == 0 || (truth >> (filter->count - 1) & 1);
}

bool filter_match(const struct filter *filter, const struct filter_subject *subject)
{
    struct filter_asks asks;
    filter_asks(filter, &asks);
    return filter_decide(filter, filter_test(filter, subject, asks.all));
}
