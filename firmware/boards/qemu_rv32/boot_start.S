/* boot_start.S - first instructions after reset, at the start of flash: copies the whole boot stage to RAM, where flash can be
 * written from, and runs it there. Position-independent until the jump. */
    .section .reset, "ax"
    .global _reset
_reset:
    csrw    mie, zero
    csrci   mstatus, 8
    auipc   a0, 0               /* where this runs: 8 bytes behind the start of flash */
    addi    a0, a0, -8
    lui     a1, %hi(_image_start)
    addi    a1, a1, %lo(_image_start)
    lui     a2, %hi(_image_end)
    addi    a2, a2, %lo(_image_end)
1:  bgeu    a1, a2, 2f
    lw      a3, 0(a0)
    sw      a3, 0(a1)
    addi    a0, a0, 4
    addi    a1, a1, 4
    j       1b
2:  fence.i
    lui     a0, %hi(_start)
    addi    a0, a0, %lo(_start)
    jr      a0

    .section .text
    .global boot_start
boot_start:
    csrw    mie, zero
    csrci   mstatus, 8
    fence.i
    jr      a0
