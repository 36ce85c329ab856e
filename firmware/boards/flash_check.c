/* flash_check.c - a program of its own: shows that the boards' flash keeps the rules of NOR, though QEMU's
 * chip does not. Must never touch more than the sectors that it names. Tests: test/qemu/flash_test.c. */
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "cfi_flash.h"
#include "target.h"

#define SCRATCH 0x3F0000u /* two sectors that nothing else uses */

static unsigned wrong;

static void expect(const char *what, int got, int wanted)
{
    printf("flash: %s: %d\n", what, got);
    if (got == wanted) return;
    printf("flash: wrong, %d was wanted\n", wanted);
    wrong++;
}

static int write_word(uint32_t off, uint32_t word)
{
    return board_flash.write(NULL, off, &word, sizeof word);
}

static uint32_t read_word(uint32_t off)
{
    uint32_t word = 0;
    if (board_flash.read(NULL, off, &word, sizeof word) != 0) wrong++;
    return word;
}

int main(void)
{
    uint8_t line[600];
    memset(line, 0x5A, sizeof line);
    board_begin();
    expect("erase two sectors", board_flash.erase(NULL, SCRATCH, 2 * MOLT_SECTOR), 0);
    expect("they are blank", board_flash.is_blank(NULL, SCRATCH, 2 * MOLT_SECTOR), 1);
    expect("write across pages", board_flash.write(NULL, SCRATCH + 200, line, sizeof line), 0);
    expect("clear more bits", write_word(SCRATCH + 200, 0x52525252u), 0);
    expect("set a bit", write_word(SCRATCH + 200, 0x5A525252u), CFI_FLASH_NOT_ERASED);
    expect("nothing was written", read_word(SCRATCH + 200) == 0x52525252u, 1);
    expect("write off the grid", write_word(SCRATCH + 2, 0), CFI_FLASH_RANGE);
    expect("write behind the end", write_word(FLASH_SIZE, 0), CFI_FLASH_RANGE);
    expect("erase half a sector", board_flash.erase(NULL, SCRATCH, MOLT_SECTOR / 2), CFI_FLASH_RANGE);
    expect("write to the second sector", write_word(SCRATCH + MOLT_SECTOR, 0x12345678u), 0);
    expect("erase the first alone", board_flash.erase(NULL, SCRATCH, MOLT_SECTOR), 0);
    expect("it is blank", board_flash.is_blank(NULL, SCRATCH, MOLT_SECTOR), 1);
    expect("the second is as it was", read_word(SCRATCH + MOLT_SECTOR) == 0x12345678u, 1);
    printf("flash: done, %u wrong\n", wrong);
    for (;;)
        board_idle();
}
