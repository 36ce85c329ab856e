/* main.c - the boot stage of boards that boot like an ESP32: chooses a slot (esp32_boot.c), loads its segments, starts it.
 * Must never load a segment over itself, nor start what was not verified. Tests: test/qemu. */
#include "boards/board.h"
#include "boards/retained.h"
#include "esp32_boot.h"
#include "target.h"
#include "util/bytes.h"

#define HEADER         24u
#define SEGMENT_HEADER 8u

void boot_start(uint32_t entry) __attribute__((noreturn));

static void say(const char *text)
{
    while (*text != '\0')
        board_putc(*text++);
}

static bool within(uint32_t at, uint32_t len, uint32_t start, uint32_t room)
{
    return at >= start && len <= room && at - start <= room - len;
}

/* Loads the verified image at off. Returns its entry, 0: it does not fit this board. */
static uint32_t load(uint32_t off)
{
    uint8_t header[HEADER];
    if (board_flash.read(NULL, off, header, sizeof header) != 0) return 0;
    uint32_t at = off + HEADER;
    for (unsigned i = 0; i < header[1]; i++) {
        uint8_t segment[SEGMENT_HEADER];
        if (board_flash.read(NULL, at, segment, sizeof segment) != 0) return 0;
        uint32_t address = molt_load32le(segment), len = molt_load32le(segment + 4);
        if (!within(address, len, CODE_START, CODE_LEN) && !within(address, len, DATA_START, DATA_LEN))
            return 0;
        if (board_flash.read(NULL, at + SEGMENT_HEADER, (void *)(uintptr_t)address, len) != 0) return 0;
        at += SEGMENT_HEADER + len;
    }
    uint32_t entry = molt_load32le(header + 4);
    return within(entry, 4, CODE_START, CODE_LEN) ? entry : 0;
}

int main(void)
{
    static const struct esp32_boot boot = {.chip = MOLT_CHIP_ESP32C3, .revision = 3, .rollback = true};
    static struct esp32_boot_result result;
    board_begin();
    esp32_boot_run(&board_flash, &boot, &result);
    if (result.booted) {
        say("boot: slot ");
        board_putc(result.index < 0 ? 'f' : (char)('0' + result.index));
        say(result.wrote_otadata ? ", otadata written\n" : "\n");
        retained_set_booted(result.off);
        uint32_t entry = load(result.off);
        if (entry != 0) boot_start(entry);
    }
    say("boot: nothing to boot\n");
    board_restart(BOARD_PANIC);
}
