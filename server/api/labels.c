/* labels.c - what operators say of devices, as JSON and back: group, tags, attributes, pin. Kept sorted, each once, so
 * that the same labels are the same text. Tests: test/unit/api_rollout_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "host/filter/filter.h"
#include "molt_reason.h"
#include "shapes.h"

#define LABELS_MAX 32

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Words joined by spaces, sorted, each once. False when they do not fit. */
static bool join(const char **words, size_t count, char *out, size_t cap)
{
    size_t len = 0;
    qsort(words, count, sizeof *words, compare);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(words[i], words[i - 1]) == 0) continue;
        size_t word = strlen(words[i]), space = len > 0;
        if (len + space + word >= cap) return false;
        if (space != 0) out[len++] = ' ';
        memcpy(out + len, words[i], word + 1);
        len += word;
    }
    return true;
}

static bool refuse(struct api_call *call, const char *sentence)
{
    api_refuse(call, MOLT_REQUEST_INVALID, "%s", sentence);
    return false;
}

static bool apply_tags(struct api_call *call, const json_t *list, struct model_device *device)
{
    const char *words[LABELS_MAX];
    char tags[MODEL_TAGS_LEN] = "";
    size_t i;
    const json_t *item;
    if (!json_is_array(list) || json_array_size(list) > LABELS_MAX)
        return refuse(call, "'tags' must be a list of at most 32 words");
    json_array_foreach(list, i, item)
    {
        words[i] = json_string_value(item);
        if (words[i] == NULL || !filter_word_ok(words[i], json_string_length(item)))
            return refuse(call, "a tag has 1 to 32 letters, digits, '.', '-' or '_'");
    }
    if (!join(words, json_array_size(list), tags, sizeof tags))
        return refuse(call, "the tags are too long together");
    memset(device->tags, 0, sizeof device->tags); /* rows are compared as bytes */
    memcpy(device->tags, tags, strlen(tags));
    return true;
}

/* A value has no spaces or control characters: attributes are kept as words. */
static bool value_ok(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL || len > FILTER_VALUE_MAX - 1 || !api_text_ok(text, len)) return false;
    return memchr(text, ' ', len) == NULL;
}

static bool apply_attributes(struct api_call *call, json_t *object, struct model_device *device)
{
    char texts[LABELS_MAX][112], attributes[MODEL_ATTRIBUTES_LEN] = "";
    const char *words[LABELS_MAX], *name;
    size_t count = 0;
    json_t *value;
    if (!json_is_object(object) || json_object_size(object) > LABELS_MAX)
        return refuse(call, "'attributes' must be an object of at most 32 texts");
    json_object_foreach(object, name, value)
    {
        if (!filter_word_ok(name, strlen(name)) || !value_ok(value))
            return refuse(call,
                          "an attribute is a word, its value a text of at most 64 bytes without spaces");
        snprintf(texts[count], sizeof texts[count], "%s=%s", name, json_string_value(value));
        words[count] = texts[count];
        count++;
    }
    if (!join(words, count, attributes, sizeof attributes))
        return refuse(call, "the attributes are too long together");
    memset(device->attributes, 0, sizeof device->attributes);
    memcpy(device->attributes, attributes, strlen(attributes));
    return true;
}

static bool apply_pin(struct api_call *call, const json_t *pin, struct model_device *device)
{
    json_int_t code = json_integer_value(pin); /* 0 for null */
    if (!json_is_null(pin) && (!json_is_integer(pin) || code < 1 || code > INT32_MAX))
        return refuse(call, "'pin' must be a version code, or null");
    device->pinned_code = (uint32_t)code;
    return true;
}

bool api_apply_labels(struct api_call *call, const json_t *body, struct model_device *device)
{
    const char *group = NULL;
    json_t *tags = json_object_get(body, "tags"), *attributes = json_object_get(body, "attributes");
    const json_t *pin = json_object_get(body, "pin");
    if (api_body_text(call, body, "group", MODEL_NAME_LEN - 1, &group) < 0) return false;
    if (group != NULL && group[0] != '\0' && !filter_word_ok(group, strlen(group)))
        return refuse(call, "a group has 1 to 32 letters, digits, '.', '-' or '_'");
    if (tags != NULL && !apply_tags(call, tags, device)) return false;
    if (attributes != NULL && !apply_attributes(call, attributes, device)) return false;
    if (pin != NULL && !apply_pin(call, pin, device)) return false;
    if (group != NULL) {
        memset(device->group_name, 0, sizeof device->group_name);
        memcpy(device->group_name, group, strlen(group));
    }
    return true;
}

/* ---- as JSON ---- */

static json_t *tags_json(const char *tags)
{
    json_t *list = json_array();
    while (*tags != '\0') {
        size_t len = strcspn(tags, " ");
        json_array_append_new(list, json_stringn(tags, len));
        tags += len + (tags[len] == ' ');
    }
    return list;
}

static json_t *attributes_json(const char *attributes)
{
    json_t *object = json_object();
    while (*attributes != '\0') {
        char name[40] = "";
        size_t len = strcspn(attributes, " "), name_len = strcspn(attributes, "= ");
        if (name_len < len && name_len < sizeof name) {
            memcpy(name, attributes, name_len);
            json_object_set_new(object, name, json_stringn(attributes + name_len + 1, len - name_len - 1));
        }
        attributes += len + (attributes[len] == ' ');
    }
    return object;
}

static json_t *rollout_json(const struct model_device *device)
{
    static const char *const outcomes[] = {"none", "succeeded", "presumed", "failed", "timed-out"};
    if (device->rollout_id == 0) return json_null();
    size_t outcome = (size_t)device->rollout_outcome;
    return json_pack("{s:I, s:b, s:s, s:b, s:I, s:I}", "id", (json_int_t)device->rollout_id, "open",
                     device->rollout_open, "outcome",
                     outcome < sizeof outcomes / sizeof outcomes[0] ? outcomes[outcome] : "none", "counts",
                     device->rollout_counts, "failures", (json_int_t)device->rollout_failures, "since_ms",
                     (json_int_t)device->rollout_ms);
}

void shape_labels(json_t *json, const struct model_device *device)
{
    json_object_set_new(json, "group", shape_text(device->group_name));
    json_object_set_new(json, "tags", tags_json(device->tags));
    json_object_set_new(json, "attributes", attributes_json(device->attributes));
    json_object_set_new(json, "pin",
                        device->pinned_code != 0 ? json_integer(device->pinned_code) : json_null());
    json_object_set_new(json, "rollout", rollout_json(device));
}
