/* rom.S - entry points of the stand-in for the ESP8266's boot ROM, at the addresses of the real one. */
    .macro AT address function
    .section .at_\address, "ax"
    .align 4
    j \function
    .endm
    AT 400024cc rom_printf
    AT 400025e0 rom_reset_reason
    AT 40002be8 rom_putc
    AT 40002fa0 rom_nothing
    AT 400030f0 rom_nothing
    AT 40004678 rom_map_flash
    AT 40004a00 rom_erase_sector
    AT 40004a4c rom_write
    AT 40004b1c rom_read
    AT 4000dc88 rom_divide
    AT 4000dea8 rom_memcmp
    AT 4000df48 rom_memcpy
    AT 4000e04c rom_memmove
    AT 4000e190 rom_memset

    .section .start, "ax"
    .global rom_start
    .begin no-absolute-literals
rom_start:
    j 1f
    .align 4
    .literal_position
1:  movi a0, 0
    movi a2, 0x2f /* interrupts off, exceptions as in user mode */
    wsr a2, ps
    rsync
    movi a1, 0x3ffffff0
    movi a2, rom_main
    callx0 a2
    .end no-absolute-literals

    .section .text
    .align 4
    .global rom_exit
rom_exit: /* a2: exit status of QEMU */
    mov a3, a2
    movi a2, 1
    simcall
1:  j 1b
