/* retained.c - the record in RAM that tells one start from another. Must never be believed without its
 * check word: RAM holds anything after power-on. Tests: test/qemu. */
#include "retained.h"

#define MAGIC 0x6D4C7452u

struct record {
    uint32_t magic, cause, booted_from, random, check;
};

static struct record retained __attribute__((section(".retained")));
static enum board_cause cause_now;

static uint32_t check_of(const struct record *record)
{
    return ~(record->magic ^ record->cause * 3u ^ record->booted_from * 5u ^ record->random * 7u);
}

static bool is_whole(void)
{
    return retained.magic == MAGIC && retained.check == check_of(&retained);
}

static void seal(void)
{
    retained.magic = MAGIC;
    retained.check = check_of(&retained);
}

void retained_load(void)
{
    cause_now = is_whole() ? (enum board_cause)retained.cause : BOARD_POWER_ON;
    if (!is_whole()) retained.booted_from = 0xFFFFFFFFu;
    retained.cause = BOARD_WATCHDOG;
    seal();
}

void retained_store(enum board_cause cause)
{
    retained.cause = cause;
    seal();
}

void retained_set_booted(uint32_t off)
{
    retained.cause = cause_now; /* the firmware reads it again */
    retained.booted_from = off;
    seal();
}

uint32_t board_booted_from(void)
{
    return retained.booted_from;
}

enum board_cause board_cause(void)
{
    return cause_now;
}

const char *board_cause_name(enum board_cause cause)
{
    static const char *const names[] = {"power-on", "restart", "panic", "watchdog"};
    return (unsigned)cause < 4 ? names[cause] : "?";
}

/* xorshift, stirred with the clock. */
uint32_t board_random(void)
{
    uint32_t x = retained.random ^ (uint32_t)board_ms() ^ 0x9E3779B9u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    retained.random = x;
    seal();
    return x;
}
