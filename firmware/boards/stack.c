/* stack.c - how deep the stack has been, by the paint that is gone. Tests: test/qemu. */
#include "board.h"

#define PAINT 0xA5A5A5A5u

size_t board_stack_peak(void)
{
    const uint32_t *at = board_stack_low;
    while (at < board_stack_top && *at == PAINT)
        at++;
    return (size_t)(board_stack_top - at) * sizeof *at;
}
