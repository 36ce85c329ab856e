/* start.S - start of the verifier's bench on QEMU's xtensa "sim" machine. */
    .section .start, "ax"
    .global _start
_start:
    j       1f
    .align  4
    .literal_position
1:  movi    a2, 0x2F            /* no exception level, interrupts off */
    wsr     a2, ps
    rsync
    movi    a1, _stack
    call0   main
    mov     a3, a2
    movi    a2, 1               /* exit */
    simcall
