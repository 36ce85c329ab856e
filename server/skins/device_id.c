/* device_id.c - every spelling of a device id, made one. Pure; must never accept a name that could leave a folder
 * or a log line (only letters, digits, '.', '-', '_'). Tests: test/unit/device_id_test.c. */
#include "device_id.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define MAC_DIGITS 12

static const uint32_t espressif[] = {
#define OUI(prefix) prefix,
#include "espressif_oui.def"
#undef OUI
};

static int hex_value(char c)
{
    static const int8_t values[256] = {
        /* one more than the value; 0: no digit */
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
        ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
        ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    return values[(uint8_t)c] - 1;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c - 'A' + 'a') : c;
}

static bool is_espressif(const uint8_t mac[6])
{
    uint32_t prefix = ((uint32_t)mac[0] << 16) | ((uint32_t)mac[1] << 8) | mac[2];
    size_t lo = 0, hi = sizeof espressif / sizeof espressif[0];
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (espressif[mid] == prefix) return true;
        if (espressif[mid] < prefix)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static void write_mac(const uint8_t mac[6], char out[MODEL_ID_LEN])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 6; i++) {
        out[2 * i] = digits[mac[i] >> 4];
        out[2 * i + 1] = digits[mac[i] & 15];
    }
    out[MAC_DIGITS] = '\0';
}

static void reverse(const uint8_t mac[6], uint8_t out[6])
{
    for (size_t i = 0; i < 6; i++)
        out[i] = mac[5 - i];
}

/* The efuse MAC as a number is byte-reversed. A station's MAC is never a group address, and a prefix of Espressif
 * on one side only decides the rest; in doubt it stands as written. */
static void put_forwards(uint8_t mac[6])
{
    uint8_t back[6];
    reverse(mac, back);
    bool group = (mac[0] & 1) != 0, back_group = (back[0] & 1) != 0;
    if (is_espressif(mac) || back_group) return;
    if (group || is_espressif(back)) memcpy(mac, back, sizeof back);
}

/* Reads 12 hex digits, in pairs joined by sep unless it is 0. Returns the characters read, 0 when they are none. */
static size_t read_mac(const char *text, size_t len, char sep, uint8_t mac[6])
{
    const size_t step = sep != 0 ? 3 : 2, need = 5 * step + 2;
    int wrong = 0; /* negative when any digit was none */
    if (len < need) return 0;
    for (size_t i = 0; i < 6; i++, text += step) {
        int hi = hex_value(text[0]), lo = hex_value(text[1]);
        if (i > 0 && sep != 0 && text[-1] != sep) return 0;
        wrong |= hi | lo;
        mac[i] = (uint8_t)(hi * 16 + lo);
    }
    return wrong < 0 ? 0 : need;
}

static bool all_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (hex_value(text[i]) < 0) return false;
    }
    return true;
}

static bool all_decimal(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
    }
    return true;
}

/* The whole text is a MAC: plain, joined, or an efuse number that lost its leading zeros. */
static bool whole_mac(const char *text, size_t len, uint8_t mac[6])
{
    if (len == 17 && (read_mac(text, len, ':', mac) == len || read_mac(text, len, '-', mac) == len))
        return true;
    if (len == MAC_DIGITS && read_mac(text, len, 0, mac) == len) return true;
    if (len < 8 || len >= MAC_DIGITS || !all_hex(text, len)) return false;
    char padded[MAC_DIGITS];
    memset(padded, '0', sizeof padded);
    memcpy(padded + MAC_DIGITS - len, text, len);
    uint8_t back[6];
    if (read_mac(padded, sizeof padded, 0, mac) == 0) return false;
    reverse(mac, back);
    return is_espressif(back);
}

/* A fixed text is glued to the MAC: it is looked for at the end, then at the start. Twelve decimal digits there are
 * a date or a serial number rather than a MAC, and so is an address that no station can have. */
static bool glued_mac(const char *text, size_t len, uint8_t mac[6])
{
    static const char seps[] = {':', '-', 0};
    for (size_t s = 0; s < sizeof seps; s++) {
        size_t need = seps[s] != 0 ? 17 : MAC_DIGITS;
        if (len <= need) continue;
        for (int end = 1; end >= 0; end--) {
            const char *at = end ? text + len - need : text;
            if (seps[s] == 0 && all_decimal(at, need)) continue;
            if (!end && seps[s] == 0 && is_word(text[need])) continue;
            if (read_mac(at, need, seps[s], mac) == 0) continue;
            uint8_t back[6];
            reverse(mac, back);
            if ((mac[0] & 3) == 0 || is_espressif(back)) return true;
        }
    }
    return false;
}

static bool parse_name(const char *text, size_t len, char *out, size_t cap)
{
    if (len == 0 || len >= cap || !is_word(text[0])) return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_word(text[i]) && text[i] != '.' && text[i] != '-' && text[i] != '_') return false;
        out[i] = text[i];
    }
    out[len] = '\0';
    return true;
}

bool device_id_parse(const char *text, size_t len, char out[MODEL_ID_LEN], bool *is_mac)
{
    uint8_t mac[6];
    out[0] = '\0';
    bool found = whole_mac(text, len, mac) || glued_mac(text, len, mac);
    if (is_mac != NULL) *is_mac = found;
    if (found) {
        put_forwards(mac);
        write_mac(mac, out);
        return true;
    }
    if (!parse_name(text, len, out, MODEL_ID_LEN)) {
        out[0] = '\0';
        return false;
    }
    for (size_t i = 0; i < len; i++)
        out[i] = lower(out[i]);
    return true;
}

bool device_id_from_mac(const char *text, size_t len, char out[MODEL_ID_LEN])
{
    uint8_t mac[6];
    static const uint8_t zero[6];
    out[0] = '\0';
    if (read_mac(text, len, ':', mac) != len && read_mac(text, len, '-', mac) != len &&
        read_mac(text, len, 0, mac) != len)
        return false;
    if (len == 0 || (mac[0] & 1) != 0 || memcmp(mac, zero, sizeof mac) == 0) return false;
    write_mac(mac, out);
    return true;
}

/* True for 12 lower-case hex digits. */
static bool is_mac(const char *id)
{
    for (size_t i = 0; i < MAC_DIGITS; i++) {
        if (hex_value(id[i]) < 0 || (id[i] >= 'A' && id[i] <= 'F')) return false;
    }
    return id[MAC_DIGITS] == '\0';
}

bool device_id_said(const char *text, size_t len, char out[MODEL_ID_LEN])
{
    if (len == MAC_DIGITS) {
        memcpy(out, text, len);
        out[len] = '\0';
        if (is_mac(out)) return true;
    }
    return device_id_parse(text, len, out, NULL);
}

/* Takes "/x/VALUE" off the front; false when it is there and malformed. */
static bool take_prefix(const char **path, char letter, char *out, size_t cap)
{
    const char *p = *path;
    out[0] = '\0';
    if (p[0] != '/' || p[1] != letter || p[2] != '/') return true;
    const char *value = p + 3, *end = strchr(value, '/');
    if (end == NULL || !parse_name(value, (size_t)(end - value), out, cap)) return false;
    *path = end;
    return true;
}

static bool take_suffix(const char *name, size_t *len, const char *suffix)
{
    size_t n = strlen(suffix);
    if (*len < n || strncasecmp(name + *len - n, suffix, n) != 0) return false;
    *len -= n;
    return true;
}

bool device_path_parse(const char *path, struct device_path *out)
{
    *out = (struct device_path){.rest = path};
    if (path[0] != '/') return false;
    if (!take_prefix(&out->rest, 'k', out->token, sizeof out->token) ||
        !take_prefix(&out->rest, 'p', out->product, sizeof out->product))
        return false;
    const char *name = strrchr(out->rest, '/') + 1;
    size_t len = strlen(name);
    if (take_suffix(name, &len, ".version"))
        out->kind = DEVICE_PATH_VERSION;
    else if (take_suffix(name, &len, ".bin"))
        out->kind = DEVICE_PATH_BIN;
    else if (take_suffix(name, &len, ".suit"))
        out->kind = DEVICE_PATH_SUIT;
    else if (take_suffix(name, &len, ".json"))
        out->kind = DEVICE_PATH_JSON;
    else
        return true;
    (void)device_id_parse(name, len, out->id, &out->is_mac);
    return true;
}
