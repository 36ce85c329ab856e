/* main.c - the reference application's life: start, network, agent, watchdog. Must never stop feeding the
 * agent while it runs. Tests: test/qemu. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "boards/board.h"
#include "net/netif.h"
#include "ports/bearssl.h"
#include "ports/lwip.h"
#include "target.h"

#define GZIP_WINDOW 4096u /* what molt's server makes gzip for */

static struct app_settings settings;
static struct molt_agent agent;
static struct molt_lwip net;
static struct molt_keep keep;
static uint8_t window[GZIP_WINDOW];
static uint64_t slept_ms; /* with settings.sleeps: how far the agent's clock is ahead of the board's */

static enum molt_reset last_reset(void)
{
    switch (board_cause()) {
    case BOARD_POWER_ON:
        return MOLT_RESET_POWER;
    case BOARD_PANIC:
        return MOLT_RESET_CRASH;
    case BOARD_WATCHDOG:
        return MOLT_RESET_WATCHDOG;
    case BOARD_RESTART:
        break;
    }
    return MOLT_RESET_OTHER;
}

static enum molt_health health(void *ctx)
{
    (void)ctx;
    if (app_identity.behaviour == APP_UNHEALTHY) return MOLT_HEALTH_BAD;
    if (app_identity.behaviour == APP_UNSURE) return MOLT_HEALTH_UNKNOWN;
    return net_address() != NULL && agent.http_status != 0 ? MOLT_HEALTH_GOOD : MOLT_HEALTH_UNKNOWN;
}

static void report(void *ctx, int reason)
{
    (void)ctx;
    printf("agent: %s, status %u, tcp %d, tls %d%s, stack %u\n", molt_reason_id(reason), agent.http_status,
           net.tcp_err, net.tls_err, app_tls_resumed() ? " resumed" : "", (unsigned)board_stack_peak());
}

static void misbehave(void)
{
    switch (app_identity.behaviour) {
    case APP_CRASHES:
        printf("app: crashing\n");
        *(volatile uint32_t *)(uintptr_t)BAD_ADDRESS = 1;
        break;
    case APP_HANGS_DEAF:
        board_interrupts_off();
        __attribute__((fallthrough));
    case APP_HANGS:
        printf("app: hanging\n");
        for (;;) {
        }
    case APP_READS_CODE:
        printf("app: code begins with %02x\n", *(const volatile uint8_t *)(uintptr_t)misbehave);
        break;
    default:
        break;
    }
}

/* The first line tells what an earlier try left, the others come every 32 KB and when the connection was
 * lost. */
static void tell_progress(void)
{
    static const char *const encodings[] = {"raw", "gzip", "pack"};
    static uint32_t told = UINT32_MAX;
    static int reason;
    if (agent.phase != MOLT_AGENT_FETCHING) {
        told = UINT32_MAX;
        reason = agent.last_reason;
    } else if (agent.last_reason != reason) {
        reason = agent.last_reason;
        printf("agent: interrupted, %s, after %lu bytes\n", molt_reason_id(reason),
               (unsigned long)agent.received);
    } else if (agent.file_len != 0 && (told == UINT32_MAX || agent.received >= told + 32768u)) {
        printf("agent: fetching, %lu of %lu bytes, %s\n", (unsigned long)agent.received,
               (unsigned long)agent.file_len, (unsigned)agent.encoding < 3 ? encodings[agent.encoding] : "?");
        told = agent.received;
    }
}

static void live(void)
{
    struct molt_want want = {MOLT_WANT_STEP, 0, NULL, 0, false, NULL, 0};
    bool has_address = false, has_time = settings.ntp[0] == '\0';
    for (;;) {
        board_watchdog_feed();
        bool busy = net_poll();
        if (!has_address && net_address() != NULL) {
            has_address = true;
            printf("net: address %s\n", net_address());
        }
        if (!has_time && net_time_s() != 0) {
            has_time = true;
            printf("net: time %lu\n", (unsigned long)net_time_s());
        }
        uint64_t now_ms = board_ms() + slept_ms;
        if (has_address && has_time) busy |= molt_lwip_step(&net, &agent, now_ms, &want);
        tell_progress();
        if (settings.sleeps && !busy && want.kind == MOLT_WANT_WAIT && want.until_ms > now_ms)
            slept_ms += want.until_ms - now_ms;
        if (want.kind == MOLT_WANT_RESTART) {
            printf("agent: restart\n");
            board_restart(BOARD_RESTART);
        }
        if (!busy) board_idle();
    }
}

int main(void)
{
    static struct molt_agent_config config;
    uint32_t keep_off = 0;
    board_begin();
    printf("app: %s %s, code %lu, from %06lx, after %s\n", app_identity.product, app_identity.version,
           (unsigned long)app_identity.code, (unsigned long)board_booted_from(),
           board_cause_name(board_cause()));
    board_watchdog_begin();
    misbehave();
    if (!app_settings_read(&settings)) board_panic("no settings");
    config = (struct molt_agent_config){
        .hash = &molt_bearssl_sha256,
        .source = MOLT_SOURCE_CHECK_IN,
        .url = settings.url,
        .product = app_identity.product,
        .version = app_identity.version,
        .version_code = app_identity.code,
        .interval_s = settings.interval_s,
        .confirm_s = settings.confirm_s,
        .stale_h = settings.stale_h,
        .keep = &keep,
        .reset = last_reset(),
        .window = settings.is_raw ? NULL : window,
        .window_len = settings.is_raw ? 0 : sizeof window,
        .health = health,
        .report = report,
    };
    config.pack = app_pack(&settings);
    config.unpacker = &molt_unpacker;
    app_trust_begin(&settings, &config);
    memcpy(config.mac, settings.mac, sizeof config.mac);
    config.slots = app_slots_begin(&config, &keep_off);
    if (config.slots == NULL) board_panic("no slots");
    molt_keep_begin(&keep, &board_flash, keep_off);
    if (!net_begin(settings.mac)) board_panic("no network card");
    net_ask_time(settings.ntp, (uint16_t)settings.ntp_port);
    molt_lwip_begin(&net, app_tls_begin(&settings));
    if (molt_agent_begin(&agent, &config) != 0) board_panic("bad settings");
    app_status_begin(&agent);
    live();
}
