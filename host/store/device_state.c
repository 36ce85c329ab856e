/* device_state.c - a device as bytes in the log of results: the fields that are not zero, each after its number.
 * Must never read past the bytes nor believe a length in them. Tests: test/unit/store_results_test.c. */
#include <string.h>

#include "parts.h"

#define FORMAT     1
#define VARINT_MAX 10u
#define FIELDS_MAX 80u /* struct model_device has fewer */
_Static_assert(2 + sizeof(struct model_device) + FIELDS_MAX * (1 + VARINT_MAX) <= DEVICE_STATE_MAX,
               "the longest state fits");

static size_t put_varint(uint8_t *out, uint64_t v)
{
    size_t len = 0;
    for (; v >= 0x80; v >>= 7)
        out[len++] = (uint8_t)(v | 0x80);
    out[len++] = (uint8_t)v;
    return len;
}

static bool get_varint(const uint8_t *bytes, size_t len, size_t *at, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64 && *at < len; shift += 7) {
        uint8_t byte = bytes[(*at)++];
        *v |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) return true;
    }
    return false;
}

static bool is_zero(const uint8_t *field, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (field[i] != 0) return false;
    return true;
}

/* Small negative numbers are short, too. */
static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

static size_t put_field(uint8_t *out, const struct column *column, const uint8_t *field)
{
    size_t len = 0;
    if (column->kind != COLUMN_TEXT && column->kind != COLUMN_BLOB)
        return put_varint(out, zigzag(column_number(column, field)));
    size_t size = column->size;
    if (column->kind == COLUMN_TEXT) {
        size = strnlen((const char *)field, column->size - 1);
        len = put_varint(out, size);
    }
    memcpy(out + len, field, size);
    return len + size;
}

size_t device_state_write(const struct model_device *device, uint8_t out[DEVICE_STATE_MAX])
{
    size_t len = 0;
    out[len++] = FORMAT;
    out[len++] = (uint8_t)device_column_count;
    for (size_t i = 1; i < device_column_count; i++) {
        const struct column *column = &device_columns[i];
        const uint8_t *field = (const uint8_t *)device + column->offset;
        if (is_zero(field, column->kind == COLUMN_TEXT ? 1 : column->size)) continue;
        out[len++] = (uint8_t)i;
        len += put_field(out + len, column, field);
    }
    return len;
}

static bool get_field(const uint8_t *bytes, size_t len, size_t *at, const struct column *column,
                      uint8_t *field)
{
    uint64_t v = column->size;
    if (column->kind != COLUMN_BLOB && !get_varint(bytes, len, at, &v)) return false;
    if (column->kind != COLUMN_TEXT && column->kind != COLUMN_BLOB)
        return column_set_number(column, field, unzigzag(v));
    if (v > len - *at || v > column->size - (column->kind == COLUMN_TEXT)) return false;
    memcpy(field, bytes + *at, (size_t)v);
    *at += (size_t)v;
    return true;
}

bool device_state_read(const uint8_t *bytes, size_t len, struct model_device *device)
{
    if (len < 2 || bytes[0] != FORMAT || bytes[1] > device_column_count) return false;
    for (size_t i = 1; i < bytes[1]; i++)
        memset((uint8_t *)device + device_columns[i].offset, 0, device_columns[i].size);
    for (size_t at = 2; at < len;) {
        size_t i = bytes[at++];
        if (i == 0 || i >= bytes[1]) return false;
        const struct column *column = &device_columns[i];
        if (!get_field(bytes, len, &at, column, (uint8_t *)device + column->offset)) return false;
    }
    return true;
}
