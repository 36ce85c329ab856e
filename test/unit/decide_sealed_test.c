/* decide_sealed_test.c - encrypted images: who is offered one, and which of its forms; and what a product with an approver offers:
 * one row a rule. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "host/pack/pack.h"
#include "server/decide/decide.h"
#include "world.h"

#define OPENS (MOLT_CAN_RAW | MOLT_CAN_SIGNED | MOLT_CAN_SEALED)
#define NOW   1700000000000

enum {
    RAW = 1,
    GZIP = 2,
    GZIP_32K = 4,
    WHOLE = 8,
    DELTA = 16,
    BODY = 32,
    OTHER_DELTA = 64,
    SMALL_DELTA = 128,
    ALL_FORMS = 127
};

/* Files' lengths: raw 300000, gzip 200000, with a window of 32 KB 190000, whole 180000, delta 5000, for molt-boot 7000, of
 * another base 3000, for a small decoder 6000 (in place of the delta). */
static const struct row {
    const char *name;
    uint32_t can;
    enum molt_chip chip;
    unsigned forms;
    bool no_check_in, tight, small_flash, refused, unknown_base, wide_window;
    int reason;
    uint32_t len; /* of what is offered */
} rows[] = {
    {"a device with the key gets it", .can = OPENS, .forms = RAW, .reason = MOLT_OFFERED, .len = 300000},
    {"an ESP8266, too", .can = OPENS, .chip = MOLT_CHIP_ESP8266, .forms = RAW, .reason = MOLT_OFFERED,
     .len = 300000},
    {"one without does not", .can = MOLT_CAN_RAW | MOLT_CAN_SIGNED, .forms = ALL_FORMS,
     .reason = MOLT_SEALED},
    {"nor one that looks at no manifest", .can = MOLT_CAN_RAW | MOLT_CAN_SEALED, .forms = ALL_FORMS,
     .reason = MOLT_SEALED},
    {"nor a client that does not check in, whatever was known of it", .can = OPENS, .forms = ALL_FORMS,
     .no_check_in = true, .reason = MOLT_SEALED},
    {"who inflates gets gzip", .can = OPENS | MOLT_CAN_GZIP, .forms = RAW | GZIP, .reason = MOLT_OFFERED,
     .len = 200000},
    {"but not with a larger window than it has", .can = OPENS | MOLT_CAN_GZIP, .forms = RAW | GZIP_32K,
     .reason = MOLT_OFFERED, .len = 300000},
    {"... which another has", .can = OPENS | MOLT_CAN_GZIP, .forms = RAW | GZIP_32K, .wide_window = true,
     .reason = MOLT_OFFERED, .len = 190000},
    {"who unpacks gets the pack", .can = OPENS | MOLT_CAN_GZIP | MOLT_CAN_PACK, .forms = RAW | GZIP | WHOLE,
     .reason = MOLT_OFFERED, .len = 180000},
    {"the delta of what it runs is the smallest", .can = OPENS | MOLT_CAN_PACK, .forms = ALL_FORMS,
     .reason = MOLT_OFFERED, .len = 5000},
    {"a delta of something else is none", .can = OPENS | MOLT_CAN_PACK, .forms = RAW | OTHER_DELTA,
     .reason = MOLT_OFFERED, .len = 300000},
    {"nor is any when nobody knows what runs", .can = OPENS | MOLT_CAN_PACK, .forms = ALL_FORMS,
     .unknown_base = true, .reason = MOLT_OFFERED, .len = 180000},
    {"molt-boot has its own first sector", .can = OPENS | MOLT_CAN_PACK | MOLT_CAN_EXCHANGE,
     .chip = MOLT_CHIP_ESP8266, .forms = ALL_FORMS, .reason = MOLT_OFFERED, .len = 7000},
    {"eboot has the file's", .can = OPENS | MOLT_CAN_PACK, .chip = MOLT_CHIP_ESP8266, .forms = ALL_FORMS,
     .reason = MOLT_OFFERED, .len = 5000},
    {"a small decoder takes no whole image, nor a large map", .can = OPENS | MOLT_CAN_PACK | MOLT_CAN_SMALL,
     .forms = RAW | WHOLE | DELTA, .reason = MOLT_OFFERED, .len = 300000},
    {"but a delta that was made for it", .can = OPENS | MOLT_CAN_PACK | MOLT_CAN_SMALL,
     .forms = RAW | WHOLE | SMALL_DELTA, .reason = MOLT_OFFERED, .len = 6000},
    {"as others do", .can = OPENS | MOLT_CAN_PACK, .forms = RAW | WHOLE | SMALL_DELTA, .reason = MOLT_OFFERED,
     .len = 6000},
    {"who refused what was packed gets raw", .can = OPENS | MOLT_CAN_GZIP | MOLT_CAN_PACK, .forms = ALL_FORMS,
     .refused = true, .reason = MOLT_OFFERED, .len = 300000},
    {"forms that it cannot unpack are no image", .can = OPENS, .forms = GZIP | WHOLE | DELTA,
     .reason = MOLT_NO_IMAGE},
    {"the plain size counts in the slot", .can = OPENS | MOLT_CAN_PACK, .forms = ALL_FORMS, .tight = true,
     .reason = MOLT_TOO_LARGE},
    {"and beside a sketch", .can = OPENS, .chip = MOLT_CHIP_ESP8266, .forms = RAW, .tight = true,
     .reason = MOLT_TOO_LARGE},
    {"so does the header's flash size", .can = OPENS, .forms = RAW, .small_flash = true,
     .reason = MOLT_FLASH_TOO_SMALL},
};

static void add(struct world *world, struct model_image *image, const struct model_sealed *form, uint32_t len)
{
    struct model_sealed *made = &image->sealed[image->sealed_count++];
    *made = *form;
    world_artifact(world, &made->file, len);
    world_artifact(world, &made->manifest, 400);
}

static void add_forms(struct world *world, struct model_image *image, unsigned forms, const uint8_t base[32])
{
    struct model_sealed form = {.encoding = MOLT_RAW};
    if (forms & RAW) add(world, image, &form, 300000);
    form = (struct model_sealed){.encoding = MOLT_GZIP, .window = 4096};
    if (forms & GZIP) add(world, image, &form, 200000);
    form.window = 32768;
    if (forms & GZIP_32K) add(world, image, &form, 190000);
    form = (struct model_sealed){.encoding = MOLT_PACK};
    if (forms & WHOLE) add(world, image, &form, 180000);
    form.window = PACK_MAP_BYTES(MOLT_PACK_ROWS_SMALL) + (uint32_t)sizeof(struct pack_row);
    form.base[0] = 1;
    if (forms & OTHER_DELTA) add(world, image, &form, 3000);
    memcpy(form.base, base, sizeof form.base);
    if (forms & DELTA) add(world, image, &form, 5000);
    form.window = PACK_MAP_BYTES(MOLT_PACK_ROWS_SMALL);
    if (forms & SMALL_DELTA) add(world, image, &form, 6000);
    form.body_only = true;
    if (forms & BODY) add(world, image, &form, 7000);
}

static void check_row(const struct row *row)
{
    struct world *world = calloc(1, sizeof *world);
    struct model_sealed forms[8] = {{0}};
    const enum molt_chip chip = row->chip != 0 ? row->chip : MOLT_CHIP_ESP32;
    assert_non_null(world);
    int64_t product = world_product(world, "door", 0);
    world_release(world, product, 1);
    const struct model_image base = *world_image(world, chip, 290000);
    world_release(world, product, 2);
    struct model_image *image = world_image(world, chip, 300000);
    image->gzip = image->gzip_4k = (struct model_artifact){.len = 0};
    image->header_flash_size = 4u << 20;
    image->sealed = forms;
    add_forms(world, image, row->forms, base.digest);
    world_artifact(world, &image->manifest, 400);
    struct rules *rules = world_rules(world);
    struct model_device device = {.id = "5ccf7f000001",
                                  .product_id = product,
                                  .chip = chip,
                                  .chip_source = MODEL_CHIP_SAID,
                                  .running_code = 1,
                                  .can = row->can,
                                  .gzip_window = row->wide_window ? 32768 : 4096,
                                  .gz_refused = row->refused,
                                  .has_digest = !row->unknown_base,
                                  .flash_size = row->small_flash ? 2u << 20 : 4u << 20,
                                  .slot_size = row->tight ? 290000 : 1u << 20,
                                  .fs_start = row->tight ? 500000 / 4096 * 4096 : 1u << 20,
                                  .sketch_size = 290000};
    memcpy(device.digest, base.digest, sizeof device.digest);
    const struct decide_ask ask = {.molt = !row->no_check_in};
    struct decision decision;
    decide(rules, &device, &ask, NOW, &decision);
    if (decision.reason != row->reason)
        fail_msg("%s: %s, %s", row->name, molt_reason_id(decision.reason), decision.detail);
    if (row->reason == MOLT_OFFERED) {
        if (decision.artifact->len != row->len) fail_msg("%s: %u bytes", row->name, decision.artifact->len);
        for (uint32_t i = 0; i < image->sealed_count; i++) {
            if (memcmp(forms[i].file.sha256, decision.artifact->sha256, 32) != 0) continue;
            assert_int_equal(decision.encoding, forms[i].encoding);
            assert_memory_equal(decision.manifest->sha256, forms[i].manifest.sha256, 32); /* its own */
        }
    } else {
        assert_null(decision.artifact);
        assert_null(decision.manifest);
    }
    rules_destroy(rules);
    free(world);
}

static void each_row_gives_its_decision(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
}

/* A plain image of a product with an approver: offered when he signed, whoever asks; else the older one that he did. */
static void what_nobody_approved_is_offered_to_nobody(void **state)
{
    (void)state;
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    int64_t product = world_product(world, "door", 0);
    world->products[0].two_signatures = true;
    for (uint32_t code = 2; code <= 4; code++) {
        world_release(world, product, code);
        struct model_image *image = world_image(world, MOLT_CHIP_ESP32, 300000);
        world_artifact(world, &image->manifest, 300);
        image->approved = code == 3;
    }
    struct rules *rules = world_rules(world);
    struct model_device device = {.id = "240ac4000001",
                                  .product_id = product,
                                  .chip = MOLT_CHIP_ESP32,
                                  .chip_source = MODEL_CHIP_SAID,
                                  .running_code = 1,
                                  .can = MOLT_CAN_RAW};
    for (int molt = 0; molt < 2; molt++) {
        const struct decide_ask ask = {.molt = molt != 0};
        struct decision decision;
        device.running_code = 1;
        decide(rules, &device, &ask, NOW, &decision);
        assert_int_equal(decision.reason, MOLT_OFFERED);
        assert_int_equal(decision.release->code, 3);
        device.running_code = 3;
        decide(rules, &device, &ask, NOW, &decision);
        assert_int_equal(decision.reason, MOLT_MANIFEST_UNAPPROVED);
    }
    rules_destroy(rules);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_gives_its_decision),
        cmocka_unit_test(what_nobody_approved_is_offered_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
