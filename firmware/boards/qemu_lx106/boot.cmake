# The stand-in for the chip's ROM. The boot stage itself comes into an image by `molt image set-boot`.
set(ROM ${MOLT}/test/qemu/lx106_rom)
add_custom_command(OUTPUT rom.elf COMMAND ${CMAKE_C_COMPILER} -Os -mlongcalls -mtext-section-literals -ffreestanding -nostdlib
                   -fno-tree-loop-distribute-patterns -Wl,--no-warn-rwx-segments -T ${ROM}/rom.ld ${ROM}/rom.S ${ROM}/rom.c ${ROM}/rom_stock.c
                   -o rom.elf DEPENDS ${ROM}/rom.S ${ROM}/rom.c ${ROM}/rom_stock.c ${ROM}/rom.ld)
add_custom_target(rom ALL DEPENDS rom.elf)
