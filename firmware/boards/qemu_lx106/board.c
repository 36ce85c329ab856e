/* board.c - QEMU's lx60 board with the ESP8266's core: console, clock, interrupts, watchdog, restart and
 * its cause. Must never touch flash. The board has no watchdog: as the chip's software watchdog does, the
 * clock's interrupt looks as long as interrupts are on; behind it, for the chip's hardware watchdog,
 * whoever runs QEMU looks whether FED still counts, and else resets the machine. Tests: test/qemu. */
#include "../board.h"

#include "../retained.h"
#include "target.h"

#define TICK            (10u * CYCLES_PER_MS) /* of the clock's interrupt */
#define IRQ_ETH         (1u << 1)
#define IRQ_TIMER       (1u << 6)
#define CAUSE_INTERRUPT 4u
#define RESET           0xDEADu

static uint64_t cycles, fed_ms;
static uint32_t last_count;
static bool watched;

static uint32_t count_now(void)
{
    uint32_t count;
    __asm__ volatile("rsr %0, ccount" : "=a"(count));
    return count;
}

/* Again when the moment has passed: a machine that stood still meanwhile would wait for the counter to
 * come round. */
static void set_alarm(void)
{
    uint32_t at;
    do {
        at = count_now() + TICK;
        __asm__ volatile("wsr %0, ccompare0\n esync" ::"a"(at));
    } while ((int32_t)(at - count_now()) <= 0);
}

void board_putc(char c)
{
    if (c == '\n') board_putc('\r');
    while ((REG32(UART + 4 * 5) & 0x20) == 0) {
    }
    REG32(UART) = (uint8_t)c;
}

static void put_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4) {
        uint32_t digit = value >> shift & 15;
        board_putc((char)(digit < 10 ? '0' + digit : 'a' + digit - 10));
    }
}

static void put_text(const char *text)
{
    while (*text != '\0')
        board_putc(*text++);
}

/* The counter wraps after 107 s; the clock's interrupt calls this more often. */
uint64_t board_ms(void)
{
    uint32_t level, now;
    __asm__ volatile("rsil %0, 15" : "=a"(level));
    now = count_now();
    cycles += now - last_count;
    last_count = now;
    uint64_t sum = cycles;
    __asm__ volatile("wsr %0, ps\n rsync" ::"a"(level));
    return sum / CYCLES_PER_MS;
}

void board_restart(enum board_cause cause)
{
    retained_store(cause);
    REG32(FPGA + 0x10) = RESET;
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

void board_watchdog_begin(void)
{
    fed_ms = board_ms();
    watched = true;
}

void board_watchdog_feed(void)
{
    fed_ms = board_ms();
    REG32(FED)++;
}

void board_trap(uint32_t pc);

/* Called by the vector (start.S) with interrupts off. */
void board_trap(uint32_t pc)
{
    uint32_t cause, pending, address;
    __asm__ volatile("rsr %0, exccause" : "=a"(cause));
    if (cause != CAUSE_INTERRUPT) {
        __asm__ volatile("rsr %0, excvaddr" : "=a"(address));
        put_text("\nexception ");
        put_hex(cause);
        put_text(" at ");
        put_hex(pc);
        put_text(" value ");
        put_hex(address);
        board_panic("exception");
    }
    __asm__ volatile("rsr %0, interrupt" : "=a"(pending));
    if ((pending & IRQ_ETH) != 0) REG32(ETH + 4) = REG32(ETH + 4);
    if ((pending & IRQ_TIMER) != 0) {
        set_alarm();
        if (watched && board_ms() - fed_ms > BOARD_WATCHDOG_MS) {
            put_text("\nwatchdog\n");
            board_restart(BOARD_WATCHDOG);
        }
    }
}

void board_begin(void)
{
    last_count = count_now();
    retained_load();
    set_alarm();
    __asm__ volatile("wsr %0, intenable\n rsync" ::"a"(IRQ_TIMER | IRQ_ETH));
    __asm__ volatile("rsil a2, 0" ::: "a2");
}

void board_idle(void)
{
    __asm__ volatile("waiti 0");
}

void board_interrupts_off(void)
{
    __asm__ volatile("rsil a2, 15" ::: "a2");
}
