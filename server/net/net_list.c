/* net_list.c - networks (net_list.h). Must never take what is no address for one. Tests: test/unit/net_list_test.c. */
#include "net_list.h"

#include <arpa/inet.h>
#include <string.h>

/* *bits: of the address as it was written, 32 or 128. */
static bool read_address(const char *text, uint8_t out[16], unsigned *bits)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    *bits = 128;
    if (inet_pton(AF_INET6, text, out) == 1) return true;
    memcpy(out, mapped, sizeof mapped);
    *bits = 32;
    return inet_pton(AF_INET, text, out + 12) == 1;
}

static bool bit_of(const uint8_t address[16], unsigned bit)
{
    return (address[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

bool net_read(const char *text, struct net *out)
{
    char address[64];
    unsigned bits, prefix = 0;
    size_t len = strcspn(text, "/");
    if (len >= sizeof address) return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (!read_address(address, out->address, &bits)) return false;
    if (text[len] == '\0') {
        out->prefix = 128;
        return true;
    }
    const char *number = text + len + 1;
    size_t digits = strlen(number);
    if (digits < 1 || digits > 3 || strspn(number, "0123456789") != digits) return false;
    for (size_t i = 0; i < digits; i++)
        prefix = prefix * 10 + (unsigned)(number[i] - '0');
    if (prefix > bits) return false;
    out->prefix = (uint8_t)(prefix + 128 - bits);
    for (unsigned bit = out->prefix; bit < 128; bit++) {
        if (bit_of(out->address, bit)) return false;
    }
    return true;
}

bool net_list_ok(const char *text)
{
    struct net net;
    return net_read(text, &net);
}

bool net_list_has(const struct net *nets, size_t count, const char *address)
{
    uint8_t one[16];
    unsigned bits;
    if (!read_address(address, one, &bits)) return false;
    for (size_t i = 0; i < count; i++) {
        unsigned bit = 0;
        while (bit < nets[i].prefix && bit_of(one, bit) == bit_of(nets[i].address, bit))
            bit++;
        if (bit == nets[i].prefix) return true;
    }
    return false;
}
