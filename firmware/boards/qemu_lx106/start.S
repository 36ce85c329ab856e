/* start.S - vectors and start of the application on lx106, in instruction RAM: the flash is not mapped yet. The boot stage has
 * loaded instruction RAM and data. */
    .section .vectors, "ax"
    .begin no-absolute-literals
    .align 1024
_vectors:
    .org 0x10
    rfi     2                   /* debug */
    .org 0x20
    rfi     3                   /* NMI */
    .org 0x30
    j       save                /* kernel */
    .org 0x50
    j       save                /* user */
    .org 0x70
1:  j       1b                  /* double */
    .org 0x80
    .align 4
    .literal_position
save:
    addi    a1, a1, -96
    s32i    a0, a1, 0
    s32i    a2, a1, 4
    s32i    a3, a1, 8
    s32i    a4, a1, 12
    s32i    a5, a1, 16
    s32i    a6, a1, 20
    s32i    a7, a1, 24
    s32i    a8, a1, 28
    s32i    a9, a1, 32
    s32i    a10, a1, 36
    s32i    a11, a1, 40
    s32i    a12, a1, 44
    s32i    a13, a1, 48
    s32i    a14, a1, 52
    s32i    a15, a1, 56
    rsr     a2, sar
    s32i    a2, a1, 60
    rsr     a2, epc1
    s32i    a2, a1, 64
    rsr     a3, ps
    s32i    a3, a1, 68
    movi    a3, 0x2f            /* interrupts off while in C */
    wsr     a3, ps
    rsync
    movi    a0, board_trap
    callx0  a0
    l32i    a2, a1, 68
    wsr     a2, ps
    rsync
    l32i    a2, a1, 64
    wsr     a2, epc1
    l32i    a2, a1, 60
    wsr     a2, sar
    l32i    a0, a1, 0
    l32i    a2, a1, 4
    l32i    a3, a1, 8
    l32i    a4, a1, 12
    l32i    a5, a1, 16
    l32i    a6, a1, 20
    l32i    a7, a1, 24
    l32i    a8, a1, 28
    l32i    a9, a1, 32
    l32i    a10, a1, 36
    l32i    a11, a1, 40
    l32i    a12, a1, 44
    l32i    a13, a1, 48
    l32i    a14, a1, 52
    l32i    a15, a1, 56
    addi    a1, a1, 96
    rfe

    .align 4
    .literal_position
    .global _start
_start:
    movi    a2, 0x2f
    wsr     a2, ps
    movi    a2, 0
    wsr     a2, intenable
    movi    a2, _vectors
    wsr     a2, vecbase
    rsync
    movi    a1, board_stack_top
    movi    a2, _bss_start
    movi    a3, _bss_end
    movi    a4, 0
1:  bgeu    a2, a3, 2f
    s32i    a4, a2, 0
    addi    a2, a2, 4
    j       1b
2:  movi    a2, board_stack_low /* painted, so that the peak can be read */
    movi    a4, 0xA5A5A5A5
3:  bgeu    a2, a1, 4f
    s32i    a4, a2, 0
    addi    a2, a2, 4
    j       3b
4:  movi    a2, 0               /* map the first megabyte of flash, as the SDK's start does */
    movi    a3, 0
    movi    a4, 1
    movi    a0, Cache_Read_Enable
    callx0  a0
    movi    a0, main
    callx0  a0
5:  j       5b
    .end no-absolute-literals
