/* board.c - QEMU's riscv "virt" machine: console, clock, interrupts, restart and its cause.
 * Must never touch flash. Tests: test/qemu. */
#include "../board.h"

#include "../retained.h"
#include "target.h"

#define TICK           100000u /* of the clock's interrupt: 10 ms */
#define CAUSE_TIMER    0x80000007u
#define CAUSE_EXTERNAL 0x8000000Bu
#define RESET          0x7777u

static uint64_t started;

void board_putc(char c)
{
    if (c == '\n') board_putc('\r');
    while ((REG8(UART + 5) & 0x20) == 0) {
    }
    REG8(UART) = (uint8_t)c;
}

static void put_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        board_putc("0123456789abcdef"[(value >> shift) & 15]);
}

static void put_text(const char *text)
{
    while (*text != '\0')
        board_putc(*text++);
}

static uint64_t mtime(void)
{
    uint32_t high, low;
    do {
        high = REG32(MTIME + 4);
        low = REG32(MTIME);
    } while (high != REG32(MTIME + 4));
    return (uint64_t)high << 32 | low;
}

uint64_t board_ms(void)
{
    return (mtime() - started) / 10000u;
}

static void set_alarm(uint64_t at)
{
    REG32(MTIMECMP + 4) = 0xFFFFFFFFu;
    REG32(MTIMECMP) = (uint32_t)at;
    REG32(MTIMECMP + 4) = (uint32_t)(at >> 32);
}

void board_restart(enum board_cause cause)
{
    retained_store(cause);
    REG32(TEST) = RESET;
    for (;;) {
    }
}

void board_panic(const char *why)
{
    put_text("\npanic: ");
    put_text(why);
    put_text("\n");
    board_restart(BOARD_PANIC);
}

void board_trap(uint32_t cause, uint32_t pc, uint32_t value);

/* Called by the trap vector (start.S) with interrupts off. */
void board_trap(uint32_t cause, uint32_t pc, uint32_t value)
{
    if (cause == CAUSE_TIMER) {
        set_alarm(mtime() + TICK);
        return;
    }
    if (cause == CAUSE_EXTERNAL) {
        uint32_t source = REG32(PLIC + 0x200004); /* claim */
        if (source == 1) REG32(VIRTIO_NET + 0x64) = REG32(VIRTIO_NET + 0x60);
        REG32(PLIC + 0x200004) = source;
        return;
    }
    put_text("\nexception ");
    put_hex(cause);
    put_text(" at ");
    put_hex(pc);
    put_text(" value ");
    put_hex(value);
    board_panic("exception");
}

void board_vector(void);

void board_begin(void)
{
    started = mtime();
    retained_load();
    __asm__ volatile("csrw mtvec, %0" ::"r"(board_vector));
    set_alarm(mtime() + TICK);
    REG32(PLIC + 4) = 1;            /* priority of source 1 */
    REG32(PLIC + 0x2000) = 1u << 1; /* enabled for the core's machine mode */
    REG32(PLIC + 0x200000) = 0;     /* threshold */
    __asm__ volatile("csrs mie, %0" ::"r"((1u << 7) | (1u << 11)));
    __asm__ volatile("csrsi mstatus, 8");
}

void board_idle(void)
{
    __asm__ volatile("wfi");
}

void board_interrupts_off(void)
{
    __asm__ volatile("csrci mstatus, 8");
}
