/* settings.c - reads the maker's settings from flash. Must never trust them to be there or to end.
 * Tests: test/qemu. */
#include <string.h>

#include "app.h"
#include "boards/board.h"
#include "target.h"
#include "util/text.h"

#define TEXT_MAX 1024u

/* The value of key in text: from *value, returns its length; 0: not there. */
static size_t find(const char *text, const char *key, const char **value)
{
    size_t key_len = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, key_len) != 0 || line[key_len] != '=') continue;
        *value = line + key_len + 1;
        return strcspn(*value, "\n");
    }
    return 0;
}

static uint32_t number(const char *text, const char *key)
{
    const char *value = NULL;
    size_t len = find(text, key, &value);
    uint32_t sum = 0;
    for (size_t i = 0; i < len && i < 10 && value[i] >= '0' && value[i] <= '9'; i++)
        sum = sum * 10 + (uint32_t)(value[i] - '0');
    return sum;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool bytes(const char *text, const char *key, uint8_t *out, size_t len)
{
    const char *value = NULL;
    return find(text, key, &value) == 2 * len && molt_hex_decode(value, 2 * len, out, len);
}

static void read_trust(const char *text, struct app_trust *trust)
{
    trust->has_key = bytes(text, "key", trust->keys[0], MOLT_KEY_LEN);
    trust->has_key2 = bytes(text, "key2", trust->keys[1], MOLT_KEY_LEN);
    trust->has_approver = bytes(text, "approver", trust->approver, MOLT_KEY_LEN);
    trust->has_root = bytes(text, "root", trust->root, MOLT_KEY_LEN);
    (void)bytes(text, "vendor", trust->vendor, MOLT_UUID_LEN); /* without them every manifest is another's */
    (void)bytes(text, "class", trust->class_id, MOLT_UUID_LEN);
    trust->has_device_key = bytes(text, "device-key", trust->device_key, MOLT_PRIVATE_KEY_LEN);
}

bool app_settings_read(struct app_settings *settings)
{
    char text[TEXT_MAX + 1]; /* not static: needed once, while the stack is not */
    const char *value = NULL;
    memset(settings, 0, sizeof *settings);
    if (board_flash.read(NULL, SETTINGS_OFFSET, text, TEXT_MAX) != 0) return false;
    for (size_t i = 0; i < TEXT_MAX; i++) {
        if ((unsigned char)text[i] == 0xFF) text[i] = '\0'; /* never written */
    }
    text[TEXT_MAX] = '\0';
    size_t len = find(text, "url", &value);
    if (len == 0 || len >= sizeof settings->url) return false;
    memcpy(settings->url, value, len);
    if (find(text, "mac", &value) != 12) return false;
    for (size_t i = 0; i < 6; i++) {
        int high = digit(value[2 * i]), low = digit(value[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        settings->mac[i] = (uint8_t)(high << 4 | low);
    }
    settings->interval_s = number(text, "interval");
    settings->confirm_s = number(text, "confirm");
    settings->stale_h = number(text, "stale");
    settings->sleeps = number(text, "sleeps") != 0;
    settings->time_s = number(text, "time");
    settings->ntp_port = number(text, "ntp-port");
    settings->is_pinned = number(text, "pin") != 0;
    settings->is_raw = number(text, "raw") != 0;
    settings->takes_packs = number(text, "packs") != 0;
    read_trust(text, &settings->trust);
    len = find(text, "ntp", &value);
    if (len > 0 && len < sizeof settings->ntp) memcpy(settings->ntp, value, len);
    return true;
}
