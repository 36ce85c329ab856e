/* seal.c - the one form of a COSE_Encrypt that says how an image is encrypted. Must never accept a second one.
 * Tests: test/unit/seal_test.c. */
#include "seal.h"

#include <string.h>

enum { AT_IV = 11, AT_X = 45, AT_Y = 80, AT_WRAPPED = 114 };

/* With holes for iv, x, y and the wrapped key. */
static const uint8_t begin[AT_IV] = {0xD8, 0x60, 0x84, 0x40, 0xA2, 0x01, 0x39, 0xFF, 0xFB, 0x05, 0x50};
static const uint8_t after_iv[] = {0xF6, 0x81, 0x83, 0x44, 0xA1, 0x01, 0x38, 0x1E, 0xA1,
                                   0x20, 0xA4, 0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 0x20};
static const uint8_t after_x[] = {0x22, 0x58, 0x20};
static const uint8_t after_y[] = {0x58, 0x28};

const uint8_t molt_seal_context[MOLT_SEAL_CONTEXT_LEN] = {
    0x84, 0x24, 0x83, 0xF6, 0xF6, 0xF6, 0x83, 0xF6, 0xF6, 0xF6, 0x83, 0x19, 0x01, 0x00, 0x44,
    0xA1, 0x01, 0x38, 0x1E, 0x57, 'S',  'U',  'I',  'T',  ' ',  'P',  'a',  'y',  'l',  'o',
    'a',  'd',  ' ',  'E',  'n',  'c',  'r',  'y',  'p',  't',  'i',  'o',  'n'};

bool molt_seal_parse(const uint8_t *info, size_t len, struct molt_seal_parts *out)
{
    if (len != MOLT_SEAL_LEN || memcmp(info, begin, sizeof begin) != 0 ||
        memcmp(info + AT_X - sizeof after_iv, after_iv, sizeof after_iv) != 0 ||
        memcmp(info + AT_Y - sizeof after_x, after_x, sizeof after_x) != 0 ||
        memcmp(info + AT_WRAPPED - sizeof after_y, after_y, sizeof after_y) != 0)
        return false;
    out->iv = info + AT_IV;
    out->wrapped = info + AT_WRAPPED;
    memcpy(out->point, info + AT_X, 32);
    memcpy(out->point + 32, info + AT_Y, 32);
    return true;
}

void molt_seal_write(const uint8_t iv[MOLT_SEAL_IV_LEN], const uint8_t point[64], const uint8_t wrapped[40],
                     uint8_t out[MOLT_SEAL_LEN])
{
    memcpy(out, begin, sizeof begin);
    memcpy(out + AT_IV, iv, MOLT_SEAL_IV_LEN);
    memcpy(out + AT_X - sizeof after_iv, after_iv, sizeof after_iv);
    memcpy(out + AT_X, point, 32);
    memcpy(out + AT_Y - sizeof after_x, after_x, sizeof after_x);
    memcpy(out + AT_Y, point + 32, 32);
    memcpy(out + AT_WRAPPED - sizeof after_y, after_y, sizeof after_y);
    memcpy(out + AT_WRAPPED, wrapped, 40);
}
