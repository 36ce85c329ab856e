/* molt_boot_space_test.c - an ESP8266 with molt-boot and the server agree to the byte on what fits: less molt-boot's two
 * keep sectors, the second stage and libmolt's keep store, each with and without, and with no room at all. */
#include "molt_boot_rig.h"

#include "agent/agent_parts.h"
#include "server/attempt/attempt.h"
#include "unit/world.h"

#define ID "5ccf7fc602e2"

/* What the server says of an image of that length when the device checks in: a reason. */
static int server_says(uint32_t len)
{
    static struct world world;
    struct model_device device = {.id = ID};
    struct decision decision;
    memset(&world, 0, sizeof world);
    world_release(&world, world_product(&world, "door", 0), 2);
    world_image(&world, MOLT_CHIP_ESP8266, len);
    struct rules *rules = world_rules(&world);
    const struct molt_checkin said = {.id = ID,
                                      .chip = MOLT_CHIP_ESP8266,
                                      .product = "door",
                                      .version_code = 1,
                                      .flash_size = flash_size,
                                      .fs_start = fs_start,
                                      .stage_end = agent_stage_end(&boot.slots, (uint32_t)old.len),
                                      .image_len = (uint32_t)old.len,
                                      .can = MOLT_CAN_RAW | MOLT_CAN_EXCHANGE};
    attempt_check_in(rules, NULL, &device, &said, rules_product_named(rules, "door"), false, 1000000000000LL,
                     &decision);
    rules_destroy(rules);
    return decision.reason;
}

static int device_says(uint32_t len)
{
    return boot.slots.ops->target(&boot.slots, len, len, MOLT_RAW, &target);
}

static void agree(uint32_t len, bool fits)
{
    assert_int_equal(device_says(len), fits ? 0 : -MOLT_NO_SPACE);
    assert_int_equal(server_says(len), fits ? MOLT_OFFERED : MOLT_TOO_LARGE);
}

static void device_and_server_draw_the_edge_at_the_same_byte(void **state)
{
    (void)state;
    for (unsigned extras = 0; extras < 4; extras++) {
        const uint32_t second = (extras & 1) != 0 ? MOLT_SECTOR : 0, keep = (extras & 2) != 0 ? 8192 : 0;
        begin_slots();
        if (second > 0) boot.second = molt_boot_second(&boot.second_len);
        boot.reserved = keep;
        /* written out once more, from doc/boot.md */
        const uint32_t room = fs_start - 8192 - second - keep -
                              ((uint32_t)old.len + MOLT_SECTOR - 1) / MOLT_SECTOR * MOLT_SECTOR;
        assert_int_equal(room % MOLT_SECTOR, 0);
        agree(room - 1, true);
        agree(room, true);
        agree(room + 1, false);
        agree(room - MOLT_SECTOR, true);
        agree(room + MOLT_SECTOR, false);
    }
}

/* The sketch reaches up to where the second stage lies, or into it. */
static void where_nothing_is_free_nothing_is_offered(void **state)
{
    (void)state;
    begin_slots();
    boot.reserved = KEEP - molt_round_up((uint32_t)old.len, MOLT_SECTOR);
    agree(1, false);
    agree(5000, false);
    boot.reserved += MOLT_SECTOR;
    agree(5000, false);
    boot.reserved -= 2 * MOLT_SECTOR;
    agree(MOLT_SECTOR, true);
    agree(MOLT_SECTOR + 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(device_and_server_draw_the_edge_at_the_same_byte),
        ROW(where_nothing_is_free_nothing_is_offered),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
