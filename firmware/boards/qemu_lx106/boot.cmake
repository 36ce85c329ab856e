# The stand-in for the chip's ROM. The boot stage itself comes into an image by `molt image set-boot`.
set(ROM ${MOLT}/test/qemu/lx106_rom)
add_custom_command(OUTPUT rom.elf COMMAND ${CMAKE_C_COMPILER} -Os -mlongcalls -mtext-section-literals -ffreestanding -nostdlib
                   -fno-tree-loop-distribute-patterns -Wl,--no-warn-rwx-segments -T ${ROM}/rom.ld ${ROM}/rom.S ${ROM}/rom.c ${ROM}/rom_stock.c
                   -o rom.elf DEPENDS ${ROM}/rom.S ${ROM}/rom.c ${ROM}/rom_stock.c ${ROM}/rom.ld)
add_custom_target(rom ALL DEPENDS rom.elf)

# molt-boot's second stage: the application has it in itself, and libmolt writes it to flash.
set(BOOT ${MOLT}/firmware/boot/esp8266)
set(SECOND ${CMAKE_CURRENT_BINARY_DIR}/molt_second)
add_custom_command(OUTPUT ${SECOND}_chip.h
                   COMMAND ${CMAKE_C_COMPILER} -std=c99 -Os -ffreestanding -mlongcalls -fno-jump-tables -mtext-section-literals
                           -ffunction-sections -nostdlib -I${MOLT}/device/src -Wl,--gc-sections -Wl,--no-warn-rwx-segments
                           -Wl,--defsym=molt_second_entry=molt_second_check -Wl,-e,molt_second_check
                           -T ${BOOT}/second.ld ${BOOT}/second_check.c ${BOOT}/sha256.c -lgcc -o ${SECOND}.elf
                   COMMAND ${CMAKE_OBJCOPY} -O binary -j .text ${SECOND}.elf ${SECOND}.bin
                   COMMAND ${CMAKE_COMMAND} -DIN=${SECOND}.bin -DOUT=${SECOND}_chip.h -DSYMBOL=molt_second_chip
                           -P ${MOLT}/tools/cmake/embed.cmake
                   DEPENDS ${BOOT}/second_check.c ${BOOT}/sha256.c ${BOOT}/sha256.h ${BOOT}/second.h ${BOOT}/second.ld ${MOLT}/device/src/slots/boot_record.h
                           ${MOLT}/tools/cmake/embed.cmake)
set(BOARD_GENERATED ${SECOND}_chip.h)
