/* start.S - start of the application on RV32: stack, zeroed RAM, trap vector. The boot stage loaded every segment. */
    .section .start, "ax"
    .global _start
_start:
    csrw    mie, zero
    csrci   mstatus, 8
    la      sp, board_stack_top
    la      a2, _bss_start
    la      a3, _bss_end
1:  bgeu    a2, a3, 2f
    sw      zero, 0(a2)
    addi    a2, a2, 4
    j       1b
2:  la      a2, board_stack_low     /* painted, so that the peak can be read */
    li      a4, 0xA5A5A5A5
3:  bgeu    a2, sp, 4f
    sw      a4, 0(a2)
    addi    a2, a2, 4
    j       3b
4:  call    main
5:  j       5b

    .align 4
    .global board_vector
board_vector:
    addi    sp, sp, -64
    sw      ra, 0(sp)
    sw      t0, 4(sp)
    sw      t1, 8(sp)
    sw      t2, 12(sp)
    sw      a0, 16(sp)
    sw      a1, 20(sp)
    sw      a2, 24(sp)
    sw      a3, 28(sp)
    sw      a4, 32(sp)
    sw      a5, 36(sp)
    sw      a6, 40(sp)
    sw      a7, 44(sp)
    sw      t3, 48(sp)
    sw      t4, 52(sp)
    sw      t5, 56(sp)
    sw      t6, 60(sp)
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    call    board_trap
    lw      ra, 0(sp)
    lw      t0, 4(sp)
    lw      t1, 8(sp)
    lw      t2, 12(sp)
    lw      a0, 16(sp)
    lw      a1, 20(sp)
    lw      a2, 24(sp)
    lw      a3, 28(sp)
    lw      a4, 32(sp)
    lw      a5, 36(sp)
    lw      a6, 40(sp)
    lw      a7, 44(sp)
    lw      t3, 48(sp)
    lw      t4, 52(sp)
    lw      t5, 56(sp)
    lw      t6, 60(sp)
    addi    sp, sp, 64
    mret
