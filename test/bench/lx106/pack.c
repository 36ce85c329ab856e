/* pack.c - how many instructions unpacking costs on the ESP8266's core: a whole image and a delta, read from memory as from
 * mapped flash, 24 bytes a call as the engine does it. Prints lines "NAME INSTRUCTIONS". Exit code 0 when the image came out. */
#include <string.h>

#include "pack/pack.h"

#define PER_TICK 25u /* QEMU -icount shift=0: one instruction a nanosecond; CCOUNT runs at 40 MHz */

extern const uint8_t base[], base_end[], image[], image_end[], whole[], whole_end[], delta[], delta_end[];

static struct molt_pack pack;
int main(void);

static uint32_t ccount(void)
{
    uint32_t ticks;
    __asm__ volatile("rsr %0, ccount" : "=r"(ticks));
    return ticks;
}

static void put(const char *text)
{
    uint32_t count = strlen(text); /* before the registers are taken */
    register int call __asm__("a2") = 4;
    register int fd __asm__("a3") = 1;
    register const char *data __asm__("a4") = text;
    register uint32_t len __asm__("a5") = count;
    __asm__ volatile("simcall" : "+r"(call), "+r"(fd) : "r"(data), "r"(len) : "memory");
}

static void tell(const char *name, uint32_t value)
{
    char digits[12];
    uint32_t at = sizeof digits - 1;
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

static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    uint8_t *to = dst;
    (void)ctx;
    memcpy(to, base + off, len);
    for (uint32_t i = 2; i < 4; i++)
        if (i >= off && i - off < len) to[i - off] = 0;
    return 0;
}

/* What was put out equals the image, or the test has failed. */
static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    memcpy(dst, image + off, len);
    return 0;
}

static int unpack(const char *name, const uint8_t *in, const uint8_t *end)
{
    const struct molt_pack_io io = {0, read_base, read_output};
    size_t left = (size_t)(end - in), made = 0;
    uint8_t out[24];
    uint32_t ticks = 0;
    int rc;
    molt_pack_begin(&pack, &io);
    do {
        uint32_t at = pack.total_out, begun = ccount();
        rc = molt_pack_step(&pack, &in, &left, out, sizeof out, &made);
        ticks += ccount() - begun;
        if (memcmp(out, image + at, made) != 0) return 1;
    } while (rc == MOLT_PACK_MORE || rc == MOLT_PACK_HEAD);
    tell(name, (uint32_t)((uint64_t)ticks * PER_TICK * 10 / (uint32_t)(image_end - image)));
    return rc == MOLT_PACK_END && pack.total_out == (uint32_t)(image_end - image) ? 0 : 1;
}

int main(void)
{
    return unpack("whole", whole, whole_end) + unpack("delta", delta, delta_end);
}
