/* main.c - how many instructions the verifier costs on the ESP8266's core: the draft's example, both multipliers, and what
 * of it is parsing. Prints lines "NAME INSTRUCTIONS". Exit code 0 when every answer was right. */
#include <string.h>

#include "manifest/manifest.h"
#include "ports/bearssl.h"
#include "util/secret.h"
#include "vector.h"

#define PER_TICK 25u /* QEMU -icount shift=0: one instruction a nanosecond; CCOUNT runs at 40 MHz */

int main(void);

static uint32_t ccount(void)
{
    uint32_t ticks;
    __asm__ volatile("rsr %0, ccount" : "=r"(ticks));
    return ticks;
}

static void put(const char *text)
{
    uint32_t count = strlen(text);
    register int call __asm__("a2") = 4;
    register int fd __asm__("a3") = 1;
    register const char *data __asm__("a4") = text;
    register uint32_t len __asm__("a5") = count;
    __asm__ volatile("simcall" : "+r"(call), "+r"(fd) : "r"(data), "r"(len) : "memory");
}

static void tell(const char *name, uint32_t ticks)
{
    char digits[12];
    uint32_t value = ticks * PER_TICK, at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(name);
    put(" ");
    put(digits + at);
    put("\n");
}

static int one(const char *name, const struct molt_signature_ops *ops)
{
    struct molt_trust trust = {
        .hash = &molt_bearssl_sha256, .signature = ops, .keys = &example_key, .key_count = 1};
    struct molt_manifest manifest;
    memcpy(trust.vendor, example_vendor, sizeof example_vendor);
    memcpy(trust.class_id, example_class, sizeof example_class);
    uint32_t begun = ccount();
    int rc = molt_manifest_accept(&trust, 0, example, sizeof example, &manifest);
    tell(name, ccount() - begun);
    return rc == MOLT_MANIFEST_ACCEPTED && manifest.component[0].size == 34768 ? 0 : 1;
}

int main(void)
{
    struct molt_manifest manifest;
    uint32_t begun = ccount();
    int bad = molt_manifest_read(example, sizeof example, &manifest) != 0;
    tell("walk", ccount() - begun);
    bad += one("accept-i15", &molt_bearssl_es256_i15);
    bad += one("accept-i31", &molt_bearssl_es256_i31);
    example[200] ^= 1;
    struct molt_trust trust = {.hash = &molt_bearssl_sha256,
                               .signature = &molt_bearssl_es256_i15,
                               .keys = &example_key,
                               .key_count = 1};
    bad += molt_manifest_accept(&trust, 0, example, sizeof example, &manifest) != -MOLT_MANIFEST_SIGNATURE;
    return bad;
}
