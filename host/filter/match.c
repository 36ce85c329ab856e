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

/* * stands for any text, ? for one byte. When a part does not fit, only the last * takes one byte more. */
static bool glob(const char *pattern, const char *text, size_t len)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_at = 0;
    while (t < len) {
        if (pattern[p] == '*') {
            star = p++;
            star_at = t;
        } else if (pattern[p] != '\0' && (pattern[p] == '?' || pattern[p] == text[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_at;
        } else {
            return false;
        }
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

bool filter_is_common(const struct filter *filter)
{
    for (uint32_t i = 0; i < filter->count; i++) {
        const enum filter_field field = filter->nodes[i].field;
        if (filter->nodes[i].kind != FILTER_TEST) continue;
        if (field == FILTER_F_ID || field == FILTER_F_ADDRESS || field == FILTER_F_TAG ||
            field == FILTER_F_ATTR || field == FILTER_F_SEEN || field == FILTER_F_KNOWN)
            return false;
    }
    return true;
}

bool filter_match(const struct filter *filter, const struct filter_subject *subject)
{
    bool truth[FILTER_NODES_MAX]; /* of each node; its children stand before it */
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        switch ((enum filter_kind)node->kind) {
        case FILTER_TEST:
            truth[i] = passes(filter, node, subject);
            break;
        case FILTER_NOT:
            truth[i] = !truth[i - 1];
            break;
        case FILTER_AND:
            truth[i] = truth[node->left] && truth[i - 1];
            break;
        case FILTER_OR:
            truth[i] = truth[node->left] || truth[i - 1];
            break;
        case FILTER_NOTHING:
            truth[i] = false;
            break;
        }
    }
    return filter->count == 0 || truth[filter->count - 1];
}
