/* libc.c - what picolibc asks of a board: where stdio goes, and what abort() means. Tests: test/qemu. */
#include <stdio.h>
#include <stdlib.h>

#include "board.h"

static int put(char c, FILE *file)
{
    (void)file;
    board_putc(c);
    return 0;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;

void abort(void)
{
    board_panic("abort");
}
