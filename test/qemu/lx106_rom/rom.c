/* rom.c - a stand-in for the ESP8266's boot ROM on QEMU's lx60 board: loads the image in sector 0 as the chip does, and
 * gives it the flash functions of the ROM, over the board's CFI flash. It can cut the power at any flash operation.
 * Must never be kinder than the chip: programming a bit that is 0 to 1 ends the run. Used by test/qemu/molt_boot_test.c. */
#include <stdint.h>

#define FLASH         0xF8000000u
#define UART          0xFD050020u
#define SECTOR        4096u
#define PAGE          256u
#define LINE          2048u      /* what the board's flash programs at once */
#define ORDERS        0x3FF000   /* what the test wants: words below */
#define POWERED       0x60000FFC /* RAM that a reset leaves alone; zero after power-on */
#define POWER_ON      1u
#define RESET         2u
#define NO_ORDER      0xFFFFFFFFu
#define MAPPED        0x40200000 /* RAM here, where the chip has its window to the flash */
#define MAPPED_LEN    0x100000u
#define EXIT_CUT      42
#define EXIT_NOR      43
#define EXIT_NO_IMAGE 44

struct orders {
    uint32_t cut_at; /* flash operation, from 1: an erase, or one page of a write; 0: never */
    uint32_t tear;   /* 0: nothing of it, 1: half of it, 2: all of it */
    uint32_t reset_reason;
};

void rom_exit(uint32_t status) __attribute__((noreturn));
void rom_main(void) __attribute__((noreturn));
static uint32_t operations;

static volatile uint16_t *cell(uint32_t off)
{
    return (volatile uint16_t *)(FLASH + off);
}

static const volatile struct orders *orders(void)
{
    return (const volatile struct orders *)(FLASH + ORDERS);
}

void rom_putc(uint32_t c)
{
    *(volatile uint32_t *)UART = c & 0xFF;
}

void rom_nothing(void)
{
}

uint32_t rom_reset_reason(void)
{
    volatile uint32_t *powered = (volatile uint32_t *)POWERED;
    uint32_t reason = *powered == 1 ? RESET : POWER_ON;
    *powered = 1;
    return orders()->reset_reason != NO_ORDER ? orders()->reset_reason : reason;
}

void *rom_memcpy(void *dst, const void *src, uint32_t len)
{
    uint8_t *d = dst;
    const uint8_t *s = src;
    while (len-- > 0) {
        *d++ = *s++;
        __asm__ volatile("");
    }
    return dst;
}

int rom_read(uint32_t off, uint32_t *dst, uint32_t len)
{
    for (uint32_t i = 0; i < len; i += 4)
        *dst++ = *(volatile uint32_t *)(FLASH + off + i);
    return 0;
}

/* Cache_Read_Enable: the window shows the flash from its start. */
void rom_map_flash(void)
{
    rom_read(0, (uint32_t *)MAPPED, MAPPED_LEN);
}

static void wait_ready(uint32_t off)
{
    while ((*cell(off) & 0x80) == 0)
        continue;
}

/* Programs at most a line; src NULL: all ones, which this flash takes for an erase. */
static void program(uint32_t off, const uint16_t *src, uint32_t len)
{
    if (len == 0) return;
    *cell(off) = 0x50;
    *cell(off) = 0xE8;
    wait_ready(off);
    *cell(off) = (uint16_t)(len / 2 - 1);
    for (uint32_t i = 0; i < len; i += 2)
        *cell(off + i) = src == 0 ? 0xFFFF : src[i / 2];
    *cell(off) = 0xD0;
    wait_ready(off);
    *cell(off) = 0xFF;
}

/* How much of an operation of len bytes is done; the rest of the run is not. */
static uint32_t until_the_cut(uint32_t len, uint32_t *cuts)
{
    const struct orders o = {orders()->cut_at, orders()->tear, 0};
    *cuts = ++operations == o.cut_at;
    if (!*cuts) return len;
    return o.tear == 0 ? 0 : o.tear == 1 ? len / 2 & ~3u : len;
}

int rom_write(uint32_t off, const uint16_t *src, uint32_t len)
{
    while (len > 0) {
        uint32_t n = PAGE - off % PAGE, cuts;
        if (n > len) n = len;
        for (uint32_t i = 0; i < n / 2; i++) {
            if ((src[i] & ~*cell(off + 2 * i)) != 0) rom_exit(EXIT_NOR);
        }
        program(off, src, until_the_cut(n, &cuts));
        if (cuts) rom_exit(EXIT_CUT);
        off += n;
        src += n / 2;
        len -= n;
    }
    return 0;
}

int rom_erase_sector(uint32_t sector)
{
    uint32_t cuts, len = until_the_cut(SECTOR, &cuts);
    for (uint32_t i = 0; i < len; i += LINE)
        program(sector * SECTOR + i, 0, len - i < LINE ? len - i : LINE);
    if (cuts) rom_exit(EXIT_CUT);
    return 0;
}

void rom_main(void)
{
    uint32_t header[2], segment[2], pos = sizeof header, last;
    uint8_t sum = 0xEF;
    rom_read(0, header, sizeof header);
    if ((header[0] & 0xFF) != 0xE9) rom_exit(EXIT_NO_IMAGE);
    for (uint32_t left = header[0] >> 8 & 0xFF; left > 0; left--) {
        rom_read(pos, segment, sizeof segment);
        pos += sizeof segment;
        rom_read(pos, (uint32_t *)segment[0], segment[1]);
        pos += segment[1];
        for (uint32_t i = 0; i < segment[1]; i++)
            sum ^= ((const uint8_t *)segment[0])[i];
    }
    rom_read((pos & ~15u) | 12u, &last, sizeof last); /* the checksum is the last byte of a line of sixteen */
    if (last >> 24 != sum) rom_exit(EXIT_NO_IMAGE);
    ((void (*)(void))header[1])();
    rom_exit(EXIT_NO_IMAGE);
}
