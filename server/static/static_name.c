/* static_name.c - the spellings of static_name.h. Pure; must never make a name that leaves the folder of the one that
 * was asked for, but to the folder itself. Tests: test/unit/static_name_test.c, test/e2e/static_dir_test.c. */
#include "static_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../skins/device_id.h"

enum {
    AS_ASKED,
    LOWER,
    UPPER,
    LOWER_COLONS,
    UPPER_COLONS,
    LOWER_DASHES,
    UPPER_DASHES,
    LOWER_BACK,
    UPPER_BACK
};

#define MAC_LEN 12

static void spell_mac(const char mac[MODEL_ID_LEN], unsigned spelling, char out[MODEL_ID_LEN])
{
    const bool back = spelling >= LOWER_BACK, upper = spelling % 2 == 0;
    const char separator = spelling <= UPPER || back ? '\0' : spelling <= UPPER_COLONS ? ':' : '-';
    size_t at = 0;
    for (size_t i = 0; i < MAC_LEN; i += 2) {
        const char *pair = mac + (back ? MAC_LEN - 2 - i : i);
        if (i > 0 && separator != '\0') out[at++] = separator;
        for (size_t digit = 0; digit < 2; digit++)
            out[at++] = (char)(upper ? toupper((unsigned char)pair[digit]) : pair[digit]);
    }
    out[at] = '\0';
}

/* The name itself in one of its spellings; false when it has no such. */
static bool spell(const char *name, unsigned spelling, char out[STATIC_STEM_LEN])
{
    char id[MODEL_ID_LEN];
    bool is_mac;
    if (spelling == AS_ASKED) return (size_t)snprintf(out, STATIC_STEM_LEN, "%s", name) < STATIC_STEM_LEN;
    if (!device_id_parse(name, strlen(name), id, &is_mac)) return false;
    if (is_mac) {
        spell_mac(id, spelling, out);
        return true;
    }
    if (spelling > UPPER) return false;
    size_t len = strlen(id);
    for (size_t i = 0; i <= len; i++)
        out[i] = (char)(spelling == UPPER ? toupper((unsigned char)id[i]) : id[i]);
    return true;
}

bool static_name(const char *path, unsigned index, char out[STATIC_STEM_LEN])
{
    const char *name = strrchr(path, '/') + 1;
    const unsigned spelling = index / 2;
    const int folder = index % 2 == 0 ? (int)(name - path) - 1 : 0;
    char spelled[STATIC_STEM_LEN];
    if (index % 2 == 1 && name == path + 1) return false; /* the same as the one before */
    if (!spell(name, spelling, spelled)) return false;
    if (spelling != AS_ASKED && strcmp(spelled, name) == 0) return false;
    int len = snprintf(out, STATIC_STEM_LEN, "%.*s%s", folder, path + 1, spelled);
    return len > 0 && len < STATIC_STEM_LEN && static_stem_ok(out);
}
