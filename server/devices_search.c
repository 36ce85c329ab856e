/* devices_search.c - finds a part in ids and addresses of devices (devices_search.h).
 * Must never read a text when its row may have changed. Tests: test/unit/devices_census_test.c. */
#include "devices_search.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_LEN sizeof((struct model_device *)NULL)->address
#define TEXT_MAX    (MODEL_ID_LEN + ADDRESS_LEN)

struct search {
    const struct device_pools *pools;
    size_t len; /* of the part; 0: it is longer than any text */
    char part[TEXT_MAX];
    char octets[256][4]; /* "249." */
    uint8_t lens[256];
    uint32_t count;
    size_t used;
    const struct device_row *rows[SEARCH_ROWS];
    size_t ends[SEARCH_ROWS]; /* of their texts */
    char text[SEARCH_ROWS * TEXT_MAX];
};

static char small(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* The same of eight at a time. */
static uint64_t small_ones(uint64_t word)
{
    const uint64_t each = 0x0101010101010101u, low = word & 0x7F * each;
    const uint64_t from_a = low + (0x80 - 'A') * each, above_z = low + (0x7F - 'Z') * each;
    return word | ((~word & (from_a ^ above_z) & 0x80 * each) >> 2);
}

struct search *search_new(const struct device_pools *pools, const char *part)
{
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL) return NULL;
    search->pools = pools;
    search->len = strlen(part) < sizeof search->part ? strlen(part) : 0;
    for (size_t i = 0; i < search->len; i++)
        search->part[i] = small(part[i]);
    for (unsigned i = 0; i < 256; i++) {
        char *at = search->octets[i];
        if (i >= 100) *at++ = (char)('0' + i / 100);
        if (i >= 10) *at++ = (char)('0' + i / 10 % 10);
        *at++ = (char)('0' + i % 10);
        *at++ = '.';
        search->lens[i] = (uint8_t)(at - search->octets[i]);
    }
    return search;
}

void search_free(struct search *search)
{
    free(search);
}

/* Each returns the place behind what it wrote, NUL included. */
static char *write_id(const struct search *search, const struct device_row *row, char *out)
{
    if (row->long_id) {
        device_row_id(search->pools, row, out);
        for (; *out != '\0'; out++)
            *out = small(*out);
        return out + 1;
    }
    uint64_t words[sizeof row->id / sizeof(uint64_t)];
    memcpy(words, row->id, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        words[i] = small_ones(words[i]);
    memcpy(out, words, sizeof words); /* with NULs at its end, more than one maybe */
    return out + sizeof words;
}

static char *write_address(const struct search *search, const struct device_row *row, char *out)
{
    if (row->address_kind == ADDRESS_V4) {
        for (int i = 0; i < 4; i++) {
            memcpy(out, search->octets[row->address[i]], 4);
            out += search->lens[row->address[i]];
        }
        out[-1] = '\0';
        return out;
    }
    memset(out, 0, ADDRESS_LEN);
    device_row_address(search->pools, row, out, ADDRESS_LEN);
    for (; *out != '\0'; out++)
        *out = small(*out);
    return out + 1;
}

bool search_add(struct search *search, const struct device_row *row)
{
    char *out = search->text + search->used;
    out = write_address(search, row, write_id(search, row, out));
    search->used = (size_t)(out - search->text);
    search->rows[search->count] = row;
    search->ends[search->count++] = search->used;
    return search->count == SEARCH_ROWS;
}

uint32_t search_find(struct search *search, const struct device_row *out[SEARCH_ROWS])
{
    uint32_t found = 0, row = 0;
    const char *at = search->text, *end = at + search->used, *hit;
    while (search->len != 0 && (hit = memmem(at, (size_t)(end - at), search->part, search->len)) != NULL) {
        while (search->ends[row] <= (size_t)(hit - search->text)) /* no part goes across a NUL */
            row++;
        out[found++] = search->rows[row];
        at = search->text + search->ends[row];
    }
    search->count = 0;
    search->used = 0;
    return found;
}
