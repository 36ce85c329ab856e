molt_program(boot boot.ld SOURCES boot/esp32/main.c boot/esp32/esp32_boot.c boards/qemu_rv32/boot_start.S
             boards/qemu_rv32/start.S LIBS libmolt bearssl board flash)
target_include_directories(boot PRIVATE . boards/${BOARD})
add_custom_command(OUTPUT boot.bin COMMAND ${CMAKE_OBJCOPY} -O binary boot.elf boot.bin DEPENDS boot)
add_custom_target(boot-image ALL DEPENDS boot.bin)
