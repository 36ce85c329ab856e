/* app.S - a firmware of a few instructions at 0x40100000: says which one it is, then ends QEMU. */
    .section .text
    .begin no-absolute-literals
    j 1f
    .align 4
letter: /* the test puts another one here */
    .word 'A'
uart:
    .word 0xfd050020
1:  l32r a3, letter
    l32r a2, uart
    s32i a3, a2, 0
    movi a3, 10
    s32i a3, a2, 0
    movi a2, 1
    movi a3, 0
    simcall
2:  j 2b
    .end no-absolute-literals
