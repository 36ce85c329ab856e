/* facts_tag.c - the texts that a build leaves in its image: tag, version, code.
 * Must never read beyond the file, however a tag claims to go on. Tests: test/unit/facts_test.c. */
#include <stdio.h>
#include <string.h>

#include "facts_parts.h"
#include "util/bytes.h"

#define TAG_LEN       8u /* "moltinf" and "blnkinf", with their NUL */
#define TAG_PAIRS_MAX 32u
#define TAG_TEXT_MAX  64u
#define CODE_MAX      2147483647u

/* A NUL-terminated printable text at data[*at]; *at moves behind it. NULL when there is none. */
static const char *take_text(const uint8_t *data, size_t len, size_t *at)
{
    size_t from = *at;
    for (size_t i = from; i < len && i - from <= TAG_TEXT_MAX; i++) {
        if (data[i] == '\0') {
            *at = i + 1;
            return (const char *)data + from;
        }
        if (data[i] < 0x20 || data[i] > 0x7E) return NULL;
    }
    return NULL;
}

/* Walks the pairs at data[at]. True when they form a whole tag of at least one pair; *value is then that of key, or
 * NULL. */
static bool walk_tag(const uint8_t *data, size_t len, size_t at, const char *key, const char **value)
{
    *value = NULL;
    for (size_t pair = 0; pair <= TAG_PAIRS_MAX; pair++) {
        const char *k = take_text(data, len, &at);
        if (k == NULL) return false;
        if (*k == '\0') return pair > 0;
        const char *v = take_text(data, len, &at);
        if (v == NULL) return false;
        if (*value == NULL && strcmp(k, key) == 0) *value = v;
    }
    return false;
}

/* The first whole tag of that name. A program may also hold the name alone, as a text to search for. */
static bool find_tag(const uint8_t *data, size_t len, const char *name, const char *key, const char **value)
{
    for (size_t at = 0; len - at >= TAG_LEN; at++) {
        const uint8_t *hit = memchr(data + at, name[0], len - at - TAG_LEN + 1);
        if (hit == NULL) break;
        at = (size_t)(hit - data);
        if (memcmp(hit, name, TAG_LEN) == 0 && walk_tag(data, len, at + TAG_LEN, key, value)) return true;
    }
    *value = NULL;
    return false;
}

bool facts_tag(const uint8_t *data, size_t len, const char *key, char *value, size_t cap)
{
    const char *found = NULL;
    if (!find_tag(data, len, FACTS_TAG, key, &found) || found == NULL) {
        const char *blynk = key;
        if (strcmp(key, "version") == 0) blynk = "mcu";
        if (strcmp(key, "product") == 0) blynk = "fw-type";
        find_tag(data, len, FACTS_TAG_BLYNK, blynk, &found);
    }
    snprintf(value, cap, "%s", found != NULL ? found : "");
    return found != NULL;
}

void facts_read_tag(const uint8_t *data, size_t len, struct facts *facts)
{
    const char *none;
    char text[TAG_TEXT_MAX + 1];
    facts->has_tag =
        find_tag(data, len, FACTS_TAG, "", &none) || find_tag(data, len, FACTS_TAG_BLYNK, "", &none);
    if (!facts->has_tag) return;
    facts_tag(data, len, "version", facts->tag_version, sizeof facts->tag_version);
    facts_tag(data, len, "product", facts->tag_product, sizeof facts->tag_product);
    facts_tag(data, len, "board", facts->tag_board, sizeof facts->tag_board);
    facts->tag_confirms = facts_tag(data, len, "confirm", text, sizeof text) && strcmp(text, "1") == 0;
    if (facts_tag(data, len, "code", text, sizeof text) && strspn(text, "0123456789") == strlen(text)) {
        (void)facts_version_code(text, &facts->tag_code);
    }
}

/* ---- codes ---- */

/* Digits at *text as a number that stops growing above CODE_MAX; *text moves behind them. */
static bool take_number(const char **text, uint64_t *number)
{
    const char *from = *text;
    *number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        if (*number <= CODE_MAX) *number = *number * 10 + (uint64_t)(**text - '0');
    }
    return *text > from;
}

int facts_version_code(const char *version, uint32_t *code)
{
    uint64_t x, y, z, all;
    *code = 0;
    if (!take_number(&version, &x)) return -MOLT_CODE_NEEDED;
    all = x;
    if (*version != '\0') {
        if (*version++ != '.' || !take_number(&version, &y)) return -MOLT_CODE_NEEDED;
        if (*version++ != '.' || !take_number(&version, &z)) return -MOLT_CODE_NEEDED;
        if (*version != '\0' || y > 999 || z > 999) return -MOLT_CODE_NEEDED;
        all = x * 1000000 + y * 1000 + z;
    }
    if (all == 0 || all > CODE_MAX) return -MOLT_CODE_RANGE;
    *code = (uint32_t)all;
    return 0;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

bool facts_has_code(const uint8_t *data, size_t len, uint32_t code)
{
    uint8_t word[4];
    char text[16];
    molt_store32le(word, code);
    size_t text_len = (size_t)snprintf(text, sizeof text, "%u", code);
    for (size_t at = 0; at < len; at++) {
        if (len - at >= sizeof word && memcmp(data + at, word, sizeof word) == 0) return true;
        if (data[at] != (uint8_t)text[0] || len - at < text_len) continue;
        if (memcmp(data + at, text, text_len) != 0) continue;
        bool alone =
            (at == 0 || !is_digit(data[at - 1])) && (at + text_len == len || !is_digit(data[at + text_len]));
        if (alone) return true;
    }
    return false;
}
