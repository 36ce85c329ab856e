/* agent_fuzz.c - any bytes as what servers answer to a whole agent: no crash, no wish that makes no sense,
 * flash touched only where it may be, at least a second between a check's end and the next, and nothing
 * installed on trial. The first byte chooses the source and the boot state; then connections: how it goes,
 * a length, the bytes. */
#include "fuzz.h"

#include <string.h>

#include "agent/agent.h"
#include "ports/bearssl.h"

#define FLASH_LEN  (128u * 1024)
#define TARGET_OFF (64u * 1024)
#define STEPS_MAX  20000 /* between two waits */
#define WAITS_MAX  20000

static uint8_t flash_bytes[FLASH_LEN], window[4096];

/* One run. */
struct world {
    struct molt_slots slots;
    struct molt_boot_state boot;
    struct molt_agent agent;
    uint64_t now_ms, ended_ms;
    bool has_ended, committed, is_open;
    const uint8_t *at, *end; /* connections to come */
    const uint8_t *data;     /* of the current one */
    size_t len, piece;
    bool is_lost;
};

static struct world world;

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(off <= FLASH_LEN && len <= FLASH_LEN - off);
    memcpy(dst, flash_bytes + off, len);
    return 0;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(off >= TARGET_OFF && off <= FLASH_LEN && len <= FLASH_LEN - off && !world.boot.on_trial);
    memcpy(flash_bytes + off, src, len);
    return 0;
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(off >= TARGET_OFF && off <= FLASH_LEN && len <= FLASH_LEN - off && !world.boot.on_trial);
    memset(flash_bytes + off, 0xFF, len);
    return 0;
}

static bool flash_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    return false;
}

static const struct molt_flash flash = {.size = FLASH_LEN,
                                        .write_unit = 4,
                                        .erase_sizes = {MOLT_SECTOR},
                                        .read = flash_read,
                                        .write = flash_write,
                                        .erase = flash_erase,
                                        .is_blank = flash_is_blank};

static int slots_target(struct molt_slots *slots, uint32_t file_len, uint32_t image_len,
                        enum molt_encoding encoding, struct molt_target *target)
{
    (void)slots;
    (void)image_len;
    if (file_len > FLASH_LEN - TARGET_OFF) return -MOLT_NO_SPACE;
    *target = (struct molt_target){
        .off = TARGET_OFF, .cap = FLASH_LEN - TARGET_OFF, .keep_encoded = encoding == MOLT_GZIP};
    return 0;
}

static int slots_commit(struct molt_slots *slots, const struct molt_target *target, uint32_t stored_len)
{
    (void)slots;
    (void)target;
    FUZZ_CHECK(!world.boot.on_trial && stored_len > 0);
    world.committed = true;
    return MOLT_DONE;
}

static int slots_mark(struct molt_slots *slots)
{
    (void)slots;
    return MOLT_DONE;
}

static int slots_state(struct molt_slots *slots, struct molt_boot_state *state)
{
    (void)slots;
    *state = world.boot;
    return 0;
}

static int slots_identity(struct molt_slots *slots, struct molt_hash *hash, uint8_t digest[MOLT_SHA256_LEN])
{
    (void)hash;
    (void)slots;
    memset(digest, 0x11, MOLT_SHA256_LEN);
    return MOLT_DONE;
}

static uint32_t slots_room(struct molt_slots *slots)
{
    (void)slots;
    return FLASH_LEN - TARGET_OFF;
}

static const struct molt_slots_ops slots_ops = {
    .format = &molt_image_esp8266,
    .target = slots_target,
    .commit_step = slots_commit,
    .confirm_step = slots_mark,
    .reject_step = slots_mark,
    .state = slots_state,
    .identity_step = slots_identity,
    .room = slots_room,
};

static void report(void *ctx, int reason)
{
    (void)ctx;
    FUZZ_CHECK(reason >= 0 && reason <= MOLT_REASON_MAX);
    world.has_ended = reason != MOLT_CONFIRMED; /* which is told at once */
    world.ended_ms = world.now_ms;
}

/* Takes the next connection from the input: how it goes, a length of two bytes, the bytes. */
static void do_connect(const struct molt_want *want)
{
    FUZZ_CHECK(!world.is_open && want->host[0] != '\0' && want->port != 0 && want->until_ms > world.now_ms);
    FUZZ_CHECK(!world.has_ended || world.now_ms >= world.ended_ms + 1000);
    world.has_ended = false;
    if (world.end - world.at < 3 || (world.at[0] & 0x80) != 0) {
        world.at += world.end > world.at ? 1 : 0;
        molt_agent_failed(&world.agent, MOLT_CONNECT);
        return;
    }
    world.is_lost = (world.at[0] & 0x40) != 0;
    world.piece = 1 + (world.at[0] & 0x3F) * 8u;
    world.len = (size_t)world.at[1] << 8 | world.at[2];
    world.at += 3;
    if (world.len > (size_t)(world.end - world.at)) world.len = (size_t)(world.end - world.at);
    world.data = world.at;
    world.at += world.len;
    world.is_open = true;
    molt_agent_connected(&world.agent);
}

static void do_receive(void)
{
    FUZZ_CHECK(world.is_open);
    size_t n = world.len < world.piece ? world.len : world.piece;
    world.now_ms += 5;
    if (n > 0) {
        molt_agent_received(&world.agent, world.data, n);
        world.data += n;
        world.len -= n;
    } else if (world.is_lost) {
        molt_agent_failed(&world.agent, MOLT_CONNECTION_LOST);
    } else {
        molt_agent_closed(&world.agent);
    }
}

/* Does what the agent wants. Returns false when there is nothing more to see. */
static bool do_want(const struct molt_want *want)
{
    switch (want->kind) {
    case MOLT_WANT_STEP:
        return true;
    case MOLT_WANT_WAIT:
        FUZZ_CHECK(want->until_ms > world.now_ms);
        world.now_ms = want->until_ms;
        return world.at < world.end;
    case MOLT_WANT_CONNECT:
        do_connect(want);
        return true;
    case MOLT_WANT_SEND:
        FUZZ_CHECK(world.is_open && want->len > 0 && want->data != NULL);
        molt_agent_sent(&world.agent, want->len);
        return true;
    case MOLT_WANT_RECEIVE:
        do_receive();
        return true;
    case MOLT_WANT_CLOSE:
        FUZZ_CHECK(world.is_open);
        world.is_open = false;
        return true;
    case MOLT_WANT_RESTART:
        FUZZ_CHECK(world.committed);
        return false;
    }
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65536) return 0;
    memset(&world, 0, sizeof world);
    world.slots = (struct molt_slots){.ops = &slots_ops, .flash = &flash, .hash = &molt_bearssl_sha256};
    world.boot = (struct molt_boot_state){.on_trial = (data[0] & 4) != 0, .has_failed = (data[0] & 8) != 0};
    world.at = data + 1;
    world.end = data + size;
    const struct molt_agent_config config = {
        .slots = &world.slots,
        .hash = &molt_bearssl_sha256,
        .source = (enum molt_source)((data[0] & 3) % 3),
        .url = (data[0] & 16) != 0 ? "https://u:p@h/x/" : "http://h:81/",
        .mac = {0x5C, 0xCF, 0x7F, 0xC6, 0x02, 0xE2},
        .expect = {.chip = (data[0] & 32) != 0 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP8266,
                   .chip_revision = MOLT_REVISION_UNKNOWN},
        .version_code = 1,
        .window = (data[0] & 64) != 0 ? window : NULL,
        .window_len = (data[0] & 64) != 0 ? sizeof window : 0,
        .report = report,
    };
    FUZZ_CHECK(molt_agent_begin(&world.agent, &config) == 0);
    for (int steps = 0, waits = 0; waits < WAITS_MAX; steps++) {
        struct molt_want want;
        FUZZ_CHECK(steps < STEPS_MAX);
        molt_agent_step(&world.agent, world.now_ms, &want);
        if (!do_want(&want)) return 0;
        if (want.kind == MOLT_WANT_WAIT) {
            waits++;
            steps = 0;
        }
    }
    return 0;
}
