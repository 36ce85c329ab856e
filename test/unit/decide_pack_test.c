/* decide_pack_test.c - which of delta, pack, gzip and raw a device is offered, when it waits, and which pack is asked for:
 * one row a rule. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "server/decide/decide.h"
#include "world.h"

#define ALL   (MOLT_CAN_RAW | MOLT_CAN_GZIP | MOLT_CAN_PACK)
#define SMALL (ALL | MOLT_CAN_SMALL)
#define NOW   1700000000000

/* States are those of the table; the lengths of files: raw 300000 (or small), gzip 200000, whole 180000, delta 5000, for
 * molt-boot 7000, for a small decoder 6000, for both 8000. */
static const struct row {
    const char *name;
    uint32_t can;
    enum molt_chip chip;
    uint8_t delta, body, whole, tiny, tiny_body; /* enum packs_state; PACK_ABSENT: no entry */
    bool unknown_base, full, no_packs, refused, small, tight, other_chip_base;
    int reason;
    enum molt_encoding encoding;
    uint32_t len;          /* of what is offered */
    enum packs_kind wants; /* 0: nothing */
} rows[] = {
    {"a device that does not take packs gets gzip", .can = 3, .chip = MOLT_CHIP_ESP32, .delta = PACK_READY,
     .whole = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000},
    {"a server without packs offers gzip", .can = ALL, .chip = MOLT_CHIP_ESP32, .no_packs = true,
     .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000},
    {"the delta is the smallest", .can = ALL, .chip = MOLT_CHIP_ESP32, .delta = PACK_READY,
     .whole = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_PACK, .len = 5000},
    {"the first to ask waits for the delta, and has it made", .can = ALL, .chip = MOLT_CHIP_ESP32,
     .reason = MOLT_PACK_COMING, .wants = PACKS_DELTA},
    {"also when the whole pack is there", .can = ALL, .chip = MOLT_CHIP_ESP32, .whole = PACK_READY,
     .reason = MOLT_PACK_COMING, .wants = PACKS_DELTA},
    {"while it is made one waits", .can = ALL, .chip = MOLT_CHIP_ESP32, .delta = PACK_COMING,
     .reason = MOLT_PACK_COMING},
    {"nobody waits behind a long queue", .can = ALL, .chip = MOLT_CHIP_ESP32, .full = true,
     .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000},
    {"nobody waits for a delta that was tried in vain; the whole pack is made", .can = ALL,
     .chip = MOLT_CHIP_ESP32, .delta = PACK_USELESS, .reason = MOLT_OFFERED, .encoding = MOLT_GZIP,
     .len = 200000, .wants = PACKS_WHOLE},
    {"nor for a small image", .can = ALL, .chip = MOLT_CHIP_ESP32, .small = true, .reason = MOLT_OFFERED,
     .encoding = MOLT_RAW, .len = 60000, .wants = PACKS_DELTA},
    {"what runs is not known: the whole pack is made, gzip is sent meanwhile", .can = ALL,
     .chip = MOLT_CHIP_ESP32, .unknown_base = true, .reason = MOLT_OFFERED, .encoding = MOLT_GZIP,
     .len = 200000, .wants = PACKS_WHOLE},
    {"and then the whole pack", .can = ALL, .chip = MOLT_CHIP_ESP32, .unknown_base = true,
     .whole = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_PACK, .len = 180000},
    {"a whole pack that is being made is not waited for", .can = ALL, .chip = MOLT_CHIP_ESP32,
     .unknown_base = true, .whole = PACK_COMING, .reason = MOLT_OFFERED, .encoding = MOLT_GZIP,
     .len = 200000},
    {"an image of another chip is no base", .can = ALL, .chip = MOLT_CHIP_ESP32, .other_chip_base = true,
     .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000, .wants = PACKS_WHOLE},
    {"a device that refused a compressed form gets raw", .can = ALL, .chip = MOLT_CHIP_ESP32, .refused = true,
     .delta = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_RAW, .len = 300000},
    {"an ESP8266 with eboot has its first sector", .can = ALL, .chip = MOLT_CHIP_ESP8266, .delta = PACK_READY,
     .body = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_PACK, .len = 5000},
    {"with molt-boot it has not", .can = ALL | MOLT_CAN_EXCHANGE, .chip = MOLT_CHIP_ESP8266,
     .delta = PACK_READY, .body = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_PACK, .len = 7000},
    {"and has that one made", .can = ALL | MOLT_CAN_EXCHANGE, .chip = MOLT_CHIP_ESP8266, .delta = PACK_READY,
     .reason = MOLT_PACK_COMING, .wants = PACKS_BODY},
    {"a small decoder has a delta of its own made", .can = SMALL, .chip = MOLT_CHIP_ESP32,
     .delta = PACK_READY, .whole = PACK_READY, .reason = MOLT_PACK_COMING, .wants = PACKS_SMALL},
    {"and gets it", .can = SMALL, .chip = MOLT_CHIP_ESP32, .delta = PACK_READY, .tiny = PACK_READY,
     .reason = MOLT_OFFERED, .encoding = MOLT_PACK, .len = 6000},
    {"with molt-boot another one", .can = SMALL | MOLT_CAN_EXCHANGE, .chip = MOLT_CHIP_ESP8266,
     .body = PACK_READY, .tiny = PACK_READY, .reason = MOLT_PACK_COMING, .wants = PACKS_SMALL_BODY},
    {"that one", .can = SMALL | MOLT_CAN_EXCHANGE, .chip = MOLT_CHIP_ESP8266, .tiny = PACK_READY,
     .tiny_body = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_PACK, .len = 8000},
    {"it takes no pack of the whole image", .can = SMALL, .chip = MOLT_CHIP_ESP32, .unknown_base = true,
     .whole = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000},
    {"nor has it one made", .can = SMALL, .chip = MOLT_CHIP_ESP32, .tiny = PACK_USELESS,
     .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000},
    {"a pack needs the room of the image", .can = ALL, .chip = MOLT_CHIP_ESP8266, .tight = true,
     .delta = PACK_READY, .whole = PACK_READY, .reason = MOLT_OFFERED, .encoding = MOLT_GZIP, .len = 200000},
};

static void put(struct pack_table *table, enum packs_kind kind, const struct model_image *base,
                const struct model_image *image, uint8_t state, uint32_t len)
{
    struct pack_key key = {.kind = kind};
    struct model_artifact file = {.len = len};
    if (state == PACK_ABSENT) return;
    if (base != NULL) memcpy(key.base, base->raw.sha256, 32);
    memcpy(key.image, image->raw.sha256, 32);
    memset(file.sha256, (int)kind, 32);
    assert_true(pack_table_set(table, &key, (enum packs_state)state, &file));
}

static void check(const struct row *row)
{
    struct world *world = calloc(1, sizeof *world);
    struct pack_table *table = pack_table_new();
    assert_non_null(world);
    assert_non_null(table);
    int64_t product = world_product(world, "door", 0);
    world_release(world, product, 1);
    enum molt_chip base_chip = row->other_chip_base ? MOLT_CHIP_ESP32S3 : row->chip;
    struct model_image base = *world_image(world, base_chip, 290000);
    world_release(world, product, 2);
    struct model_image *is = world_image(world, row->chip, row->small ? 60000 : 300000);
    if (!row->small) world_artifact(world, &is->gzip_4k, 200000);
    struct model_image image = *is;
    struct rules *rules = world_rules(world);

    put(table, PACKS_DELTA, &base, &image, row->delta, 5000);
    put(table, PACKS_BODY, &base, &image, row->body, 7000);
    put(table, PACKS_SMALL, &base, &image, row->tiny, 6000);
    put(table, PACKS_SMALL_BODY, &base, &image, row->tiny_body, 8000);
    put(table, PACKS_WHOLE, NULL, &image, row->whole, 180000);
    for (uint32_t i = 0; row->full && i < PACK_TABLE_COMING_MAX; i++) {
        struct pack_key key = {.kind = PACKS_WHOLE, .base = {1, (uint8_t)i}};
        assert_true(pack_table_set(table, &key, PACK_COMING, NULL));
    }
    struct model_device device = {.id = "5ccf7f000001",
                                  .product_id = product,
                                  .chip = row->chip,
                                  .chip_source = MODEL_CHIP_SAID,
                                  .running_code = 1,
                                  .can = row->can,
                                  .gzip_window = 4096,
                                  .gz_refused = row->refused,
                                  .has_digest = !row->unknown_base,
                                  .flash_size = 4u << 20,
                                  .slot_size = 1u << 20,
                                  .fs_start = row->tight ? 520000 / 4096 * 4096 : 1u << 20,
                                  .sketch_size = 290000};
    memcpy(device.digest, base.digest, sizeof device.digest);
    const struct decide_ask ask = {.molt = true, .packs = row->no_packs ? NULL : table};
    struct decision decision;
    decide(rules, &device, &ask, NOW, &decision);
    if (decision.reason != row->reason) fail_msg("%s: %s", row->name, molt_reason_id(decision.reason));
    bool offered = row->reason == MOLT_OFFERED;
    assert_int_equal(decision.verdict, offered ? MOLT_VERDICT_OFFER : MOLT_VERDICT_WAIT);
    if (decision.wanted_pack.kind != row->wants)
        fail_msg("%s: wants %d, not %d", row->name, (int)decision.wanted_pack.kind, (int)row->wants);
    if (offered && (decision.encoding != row->encoding || decision.artifact->len != row->len))
        fail_msg("%s: encoding %d, %u bytes", row->name, (int)decision.encoding, decision.artifact->len);
    if (!offered) assert_int_equal(decision.again_s, 30);
    rules_destroy(rules);
    pack_table_free(table);
    free(world);
}

static void a_device_is_offered_the_smallest_that_it_can_take(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i]);
}

/* ---- over what runs ---- */

#define IN_PLACE (ALL | MOLT_CAN_EXCHANGE | MOLT_CAN_SIGNED | MOLT_CAN_IN_PLACE)

/* On 512 KB, where 300000 bytes have no room beside 290000. */
static const struct over_row {
    const char *name;
    uint32_t can, pinned;
    uint8_t state; /* of the pack for that, enum packs_state */
    uint32_t len;  /* of the pack */
    bool unsigned_image;
    int reason;
    enum packs_kind wants;
} over_rows[] = {
    {"a pinned device writes it over itself", IN_PLACE, 2, PACK_READY, 9000, false, MOLT_OFFERED, 0},
    {"nobody has shown that it is good", IN_PLACE, 0, PACK_READY, 9000, false, MOLT_NO_WAY_BACK, 0},
    {"the pack is made first", IN_PLACE, 2, PACK_ABSENT, 0, false, MOLT_PACK_COMING, PACKS_IN_PLACE},
    {"and waited for", IN_PLACE, 2, PACK_COMING, 0, false, MOLT_PACK_COMING, 0},
    {"the last sector is used", IN_PLACE, 2, PACK_READY, 135168, false, MOLT_OFFERED, 0},
    {"a pack that is too long", IN_PLACE, 2, PACK_READY, 135169, false, MOLT_TOO_LARGE, 0},
    {"a pack that came to nothing", IN_PLACE, 2, PACK_USELESS, 0, false, MOLT_TOO_LARGE, 0},
    {"a device that does not do it", IN_PLACE & ~(uint32_t)MOLT_CAN_IN_PLACE, 2, PACK_READY, 9000, false,
     MOLT_TOO_LARGE, 0},
    {"what is not signed is not for it", IN_PLACE, 2, PACK_READY, 9000, true, MOLT_MANIFEST_MISSING, 0},
};

static void check_over(const struct over_row *row)
{
    struct world *world = calloc(1, sizeof *world);
    struct pack_table *table = pack_table_new();
    assert_true(world != NULL && table != NULL);
    int64_t product = world_product(world, "door", 0);
    world_release(world, product, 1);
    struct model_image base = *world_image(world, MOLT_CHIP_ESP8266, 290000);
    world_release(world, product, 2);
    struct model_image *is = world_image(world, MOLT_CHIP_ESP8266, 300000);
    if (!row->unsigned_image) is->manifest.len = 300;
    struct model_image image = *is;
    struct rules *rules = world_rules(world);
    put(table, PACKS_IN_PLACE, &base, &image, row->state, row->len);
    struct model_device device = {.id = "5ccf7f000001",
                                  .product_id = product,
                                  .chip = MOLT_CHIP_ESP8266,
                                  .chip_source = MODEL_CHIP_SAID,
                                  .running_code = 1,
                                  .pinned_code = row->pinned,
                                  .can = row->can,
                                  .has_digest = true,
                                  .flash_size = 4u << 20,
                                  .fs_start = 0x7B000,
                                  .sketch_size = 290000};
    memcpy(device.digest, base.digest, sizeof device.digest);
    const struct decide_ask ask = {.molt = true, .packs = table};
    struct decision decision;
    decide(rules, &device, &ask, NOW, &decision);
    bool same = decision.reason == row->reason && decision.wanted_pack.kind == row->wants;
    if (decision.verdict == MOLT_VERDICT_OFFER)
        same = same && decision.encoding == MOLT_IN_PLACE && decision.artifact->len == row->len;
    if (!same)
        fail_msg("%s: %s, wants %d", row->name, molt_reason_id(decision.reason),
                 (int)decision.wanted_pack.kind);
    rules_destroy(rules);
    pack_table_free(table);
    free(world);
}

static void what_has_no_room_beside_it_is_written_over_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof over_rows / sizeof over_rows[0]; i++)
        check_over(&over_rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_device_is_offered_the_smallest_that_it_can_take),
                                       cmocka_unit_test(what_has_no_room_beside_it_is_written_over_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
