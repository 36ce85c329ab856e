/* store_releases_test.c - what the store keeps of releases: every field, codes that only rise, yanking; and of signatures: who
 * signs and who approves, manifests that take the place of older ones, and the encrypted forms of an image. */
#include "store_fixture.h"

/* ---- releases ---- */

static struct model_image full_image(struct store *store, uint8_t (*variants)[16])
{
    struct model_image image = {.chip = MOLT_CHIP_ESP8266, .component = MODEL_FS, .variant = "4M2M"};
    image.variant_flash_size = 4u << 20;
    image.variant_fs_start = 0x200000;
    image.variant_min_revision = 302;
    image.header_flash_size = 1u << 20;
    image.min_revision = 3;
    image.max_revision = 0xFFFF;
    memset(image.digest, 0x77, sizeof image.digest);
    assert_int_equal(store_artifact_put(store, "raw", 3, &image.raw), 0);
    assert_int_equal(store_artifact_put(store, "gzip", 4, &image.gzip), 0);
    assert_int_equal(store_artifact_put(store, "gzip_4k", 7, &image.gzip_4k), 0);
    memset(variants, 1, 16);
    memset(variants + 1, 2, 16);
    image.md5_variants = variants;
    image.md5_variant_count = 2;
    image.md5_boot_count = 1;
    return image;
}

static void every_field_of_a_release_comes_back(void **state)
{
    struct fixture *f = *state;
    uint8_t variants[2][16];
    struct model_image want = full_image(f->store, variants);
    int64_t id = 0;
    assert_int_equal(store_publish(f->store, "gate", "1.2.3", 1002003, "beta", true, &want, &id), 0);
    reopen(f);

    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.product_count, 1);
    assert_string_equal(rules.products[0].name, "gate");
    assert_int_equal(rules.products[0].adopt_chips, 1u << MOLT_CHIP_ESP8266);
    assert_int_equal(rules.release_count, 1);
    const struct model_release *release = &rules.releases[0];
    assert_int_equal(release->id, id);
    assert_int_equal(release->product_id, rules.products[0].id);
    assert_string_equal(release->version, "1.2.3");
    assert_int_equal(release->code, 1002003);
    assert_string_equal(release->channel, "beta");
    assert_false(release->yanked);
    assert_true(release->created_ms > 1600000000000);
    assert_int_equal(release->image_count, 1);

    struct model_image got = release->images[0];
    assert_int_equal(got.release_id, id);
    assert_int_equal(got.md5_variant_count, 2);
    assert_memory_equal(got.md5_variants, variants, sizeof variants);
    want.id = got.id;
    want.release_id = got.release_id;
    want.md5_variants = got.md5_variants;
    assert_memory_equal(&got, &want, sizeof want);
    store_free_rules(&rules);
}

static void releases_come_by_product_channel_and_falling_code_with_their_images(void **state)
{
    struct fixture *f = *state;
    struct model_image a = image_of(f->store, "a"), b = image_of(f->store, "b"), c = image_of(f->store, "c");
    b.chip = MOLT_CHIP_ESP32;
    int64_t first = publish(f->store, "gate", 1, &a);
    assert_int_equal(publish(f->store, "door", 9, &a) > first, true);
    int64_t second = publish(f->store, "gate", 2, &c);
    assert_int_equal(publish(f->store, "gate", 1, &b), first); /* another chip joins an older release */

    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.release_count, 3);
    assert_int_equal(rules.releases[0].id, second);
    assert_int_equal(rules.releases[0].image_count, 1);
    assert_memory_equal(rules.releases[0].images[0].raw.sha256, c.raw.sha256, 32);
    assert_int_equal(rules.releases[1].id, first);
    assert_int_equal(rules.releases[1].image_count, 2);
    assert_memory_equal(rules.releases[1].images[1].raw.sha256, b.raw.sha256, 32);
    assert_int_equal(rules.releases[1].images[1].chip, MOLT_CHIP_ESP32);
    assert_int_equal(rules.releases[2].code, 9);
    store_free_rules(&rules);
}

static void codes_only_rise_for_one_chip_variant_component_and_channel(void **state)
{
    struct fixture *f = *state;
    struct model_image a = image_of(f->store, "a"), b = image_of(f->store, "b");
    publish(f->store, "gate", 5, &a);
    uint64_t before = generation(f->store);
    assert_int_equal(try_publish(f->store, 5, "5", "stable", &a), -MOLT_ALREADY_PUBLISHED);
    assert_int_equal(try_publish(f->store, 5, "5", "stable", &b), -MOLT_OLDER_CODE);
    assert_int_equal(try_publish(f->store, 4, "4", "stable", &b), -MOLT_OLDER_CODE);
    assert_non_null(strstr(store_error(f->store), "code 4 is not above 5"));
    assert_int_equal(generation(f->store), before);

    assert_int_equal(try_publish(f->store, 4, "4", "beta", &b), 0);
    b.chip = MOLT_CHIP_ESP32;
    assert_int_equal(try_publish(f->store, 5, "5.0", "stable", &b), -MOLT_OLDER_CODE); /* code 5 is "5" */
    assert_int_equal(try_publish(f->store, 5, "5", "stable", &b), 0);
    b.chip = MOLT_CHIP_ESP8266;
    b.component = MODEL_FS;
    assert_int_equal(try_publish(f->store, 5, "5", "stable", &b), 0);
    b.component = MODEL_APP;
    SET_TEXT(b.variant, "4M");
    assert_int_equal(try_publish(f->store, 3, "3", "stable", &b), 0);
    assert_int_equal(try_publish(f->store, 6, "6", "stable", &a), 0);
    assert_int_equal(try_publish(f->store, 5, "5", "stable", &a), -MOLT_ALREADY_PUBLISHED);
}

static void a_refused_publish_leaves_no_product_and_no_release(void **state)
{
    struct fixture *f = *state;
    struct model_image missing = {.chip = MOLT_CHIP_ESP32, .raw.len = 3};
    assert_int_equal(try_publish(f->store, 1, "1", "stable", &missing), -MOLT_NOT_FOUND);
    struct model_image image = image_of(f->store, "a");
    assert_int_equal(try_publish(f->store, 0, "1", "stable", &image), -MOLT_ARG);
    assert_int_equal(try_publish(f->store, 2147483648, "1", "stable", &image), -MOLT_ARG);
    assert_int_equal(try_publish(f->store, 1, "", "stable", &image), -MOLT_ARG);
    struct model_artifact truncated = image.raw;
    truncated.len++;
    image.gzip = truncated;
    assert_int_equal(try_publish(f->store, 1, "1", "stable", &image), -MOLT_NOT_FOUND);
    struct model_product product;
    assert_int_equal(store_product_find(f->store, "gate", &product), -MOLT_NOT_FOUND);
    assert_int_equal(generation(f->store), 1);
}

static void adopting_is_refused_once_another_product_has_the_chip(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "a");
    int64_t id;
    assert_int_equal(store_publish(f->store, "gate", "1", 1, "stable", true, &image, &id), 0);
    assert_int_equal(store_publish(f->store, "door", "1", 1, "stable", true, &image, &id), -MOLT_ADOPT_TAKEN);
    assert_non_null(strstr(store_error(f->store), "gate"));
    struct model_product product;
    assert_int_equal(store_product_find(f->store, "door", &product), -MOLT_NOT_FOUND);
    image.chip = MOLT_CHIP_ESP32;
    assert_int_equal(store_publish(f->store, "door", "1", 1, "stable", true, &image, &id), 0);
    assert_int_equal(store_product_find(f->store, "door", &product), 0);
    assert_int_equal(product.adopt_chips, 1u << MOLT_CHIP_ESP32);
}

static void yanking_is_kept_and_can_be_undone(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "a");
    int64_t id = publish(f->store, "gate", 5, &image);
    uint64_t before = generation(f->store);
    struct store_rules rules;
    assert_int_equal(store_release_yank(f->store, id, true), 0);
    reopen(f);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_true(rules.releases[0].yanked);
    assert_int_equal(rules.generation, before + 1);
    store_free_rules(&rules);
    struct model_image other = image_of(f->store, "b");
    assert_int_equal(try_publish(f->store, 4, "4", "stable", &other), -MOLT_OLDER_CODE);
    assert_int_equal(store_release_yank(f->store, id, false), 0);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_false(rules.releases[0].yanked);
    store_free_rules(&rules);
    assert_int_equal(store_release_yank(f->store, id + 1, true), -MOLT_NOT_FOUND);
}
/* ---- who signs, who approves ---- */

static void a_key_has_one_role_and_an_approver_is_a_rule(void **state)
{
    struct fixture *f = *state;
    uint8_t signer[STORE_KEY_LEN], approver[STORE_KEY_LEN], keys[STORE_TRUST_MAX][STORE_KEY_LEN];
    struct store_rules rules;
    uint32_t count;
    memset(signer, 1, sizeof signer);
    memset(approver, 2, sizeof approver);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, signer), 0);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_false(rules.products[0].two_signatures);
    store_free_rules(&rules);

    uint64_t before = generation(f->store);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_APPROVER, approver), 0);
    assert_true(generation(f->store) > before); /* a server that runs must hear of it */
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_APPROVER, signer), -MOLT_STATE);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, approver), -MOLT_STATE);
    assert_int_equal(store_trust_list(f->store, "door", STORE_TRUST_SIGNER, keys, &count), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(keys[0], signer, STORE_KEY_LEN);
    assert_int_equal(store_trust_list(f->store, "door", STORE_TRUST_APPROVER, keys, &count), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(keys[0], approver, STORE_KEY_LEN);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_true(rules.products[0].two_signatures);
    store_free_rules(&rules);
    assert_int_equal(store_trust_remove(f->store, "door", approver), 0);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_false(rules.products[0].two_signatures);
    store_free_rules(&rules);
}

/* ---- manifests ---- */

static void another_manifest_of_the_same_bytes_takes_the_place_of_the_old_one(void **state)
{
    struct fixture *f = *state;
    struct model_image image = image_of(f->store, "signed image");
    struct store_rules rules;
    image.sequence = 7;
    assert_int_equal(store_artifact_put(f->store, "first", 5, &image.manifest), 0);
    int64_t id = publish(f->store, "gate", 7, &image);
    assert_int_equal(try_publish(f->store, 7, "7", "stable", &image), -MOLT_ALREADY_PUBLISHED);
    assert_int_equal(store_artifact_put(f->store, "second", 6, &image.manifest), 0);
    image.approved = true;
    assert_int_equal(store_publish_check(f->store, "gate", "7", 7, "stable", false, &image), 0);
    assert_int_equal(publish(f->store, "gate", 7, &image), id);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.release_count, 1);
    assert_int_equal(rules.releases[0].image_count, 1);
    assert_memory_equal(rules.releases[0].images[0].manifest.sha256, image.manifest.sha256, 32);
    assert_true(rules.releases[0].images[0].approved);
    store_free_rules(&rules);
    image.manifest.len = 0; /* without one: as before */
    assert_int_equal(try_publish(f->store, 7, "7", "stable", &image), -MOLT_ALREADY_PUBLISHED);
}

/* ---- encrypted forms ---- */

/* An image of which the store has one encrypted form, in *form. */
static struct model_image sealed_of(struct store *store, const char *name, struct model_sealed *form)
{
    struct model_image image = {.chip = MOLT_CHIP_ESP32, .sequence = 3, .sealed = form, .sealed_count = 1};
    char manifest[64];
    image.raw.len = 1000;
    memset(image.raw.sha256, 0x5A, 32);
    snprintf(manifest, sizeof manifest, "manifest of %s", name);
    assert_int_equal(store_artifact_put(store, name, strlen(name), &form->file), 0);
    assert_int_equal(store_artifact_put(store, manifest, strlen(manifest), &form->manifest), 0);
    image.manifest = form->manifest;
    return image;
}

static void encrypted_forms_come_one_by_one_and_nobody_needs_the_plain_file(void **state)
{
    struct fixture *f = *state;
    struct store_rules rules;
    struct model_sealed raw = {.encoding = MOLT_RAW}, gzip = {.encoding = MOLT_GZIP, .window = 4096};
    struct model_sealed delta = {.encoding = MOLT_PACK, .body_only = true, .base = {9, 8, 7}};
    struct model_image image = sealed_of(f->store, "the whole of it, encrypted", &raw);
    int64_t id = publish(f->store, "gate", 3, &image);
    assert_int_equal(try_publish(f->store, 3, "3", "stable", &image), -MOLT_ALREADY_PUBLISHED);
    image = sealed_of(f->store, "gzip", &gzip);
    assert_int_equal(publish(f->store, "gate", 3, &image), id);
    image = sealed_of(f->store, "a delta", &delta);
    assert_int_equal(publish(f->store, "gate", 3, &image), id);
    reopen(f);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    const struct model_image *kept = &rules.releases[0].images[0];
    assert_int_equal(rules.releases[0].image_count, 1);
    assert_int_equal(kept->sealed_count, 3);
    assert_int_equal(kept->raw.len, 1000);
    const struct model_sealed *want[] = {&gzip, &delta, &raw}; /* the smallest first */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kept->sealed[i].encoding, want[i]->encoding);
        assert_int_equal(kept->sealed[i].window, want[i]->window);
        assert_int_equal(kept->sealed[i].body_only, want[i]->body_only);
        assert_memory_equal(kept->sealed[i].base, want[i]->base, 32);
        assert_memory_equal(kept->sealed[i].file.sha256, want[i]->file.sha256, 32);
        assert_memory_equal(kept->sealed[i].manifest.sha256, want[i]->manifest.sha256, 32);
    }
    store_free_rules(&rules);

    image = sealed_of(f->store, "gzip, encrypted anew", &gzip); /* in the place of the old one */
    assert_int_equal(publish(f->store, "gate", 3, &image), id);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.releases[0].images[0].sealed_count, 3);
    store_free_rules(&rules);
}

static void plain_and_encrypted_do_not_mix_and_no_form_is_without_a_file(void **state)
{
    struct fixture *f = *state;
    struct model_sealed form = {.encoding = MOLT_RAW};
    struct model_image image = sealed_of(f->store, "encrypted", &form);
    publish(f->store, "gate", 3, &image);
    image.sealed = NULL;
    image.sealed_count = 0;
    assert_int_equal(store_artifact_put(f->store, "other manifest", 14, &image.manifest), 0);
    assert_int_equal(store_publish_check(f->store, "gate", "3", 3, "stable", false, &image),
                     -MOLT_ALREADY_PUBLISHED);

    image = sealed_of(f->store, "encrypted, too", &form);
    form.file.sha256[0] ^= 1;
    assert_int_equal(try_publish(f->store, 4, "4", "stable", &image), -MOLT_NOT_FOUND);
    form.file.sha256[0] ^= 1;
    form.manifest.sha256[0] ^= 1;
    assert_int_equal(try_publish(f->store, 4, "4", "stable", &image), -MOLT_NOT_FOUND);
    image.sealed_count = MODEL_SEALED_MAX + 1;
    assert_int_equal(try_publish(f->store, 4, "4", "stable", &image), -MOLT_ARG);
}

static void an_image_has_so_many_forms_and_no_more(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i <= MODEL_SEALED_MAX; i++) {
        struct model_sealed form = {.encoding = MOLT_PACK, .base = {1, (uint8_t)i}};
        char name[16];
        snprintf(name, sizeof name, "delta %u", i);
        struct model_image image = sealed_of(f->store, name, &form);
        assert_int_equal(try_publish(f->store, 3, "3", "stable", &image),
                         i < MODEL_SEALED_MAX ? 0 : -MOLT_STATE);
    }
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.releases[0].images[0].sealed_count, MODEL_SEALED_MAX);
    store_free_rules(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_a_release_comes_back),
        TEST(releases_come_by_product_channel_and_falling_code_with_their_images),
        TEST(codes_only_rise_for_one_chip_variant_component_and_channel),
        TEST(a_refused_publish_leaves_no_product_and_no_release),
        TEST(adopting_is_refused_once_another_product_has_the_chip),
        TEST(yanking_is_kept_and_can_be_undone),
        TEST(a_key_has_one_role_and_an_approver_is_a_rule),
        TEST(another_manifest_of_the_same_bytes_takes_the_place_of_the_old_one),
        TEST(encrypted_forms_come_one_by_one_and_nobody_needs_the_plain_file),
        TEST(plain_and_encrypted_do_not_mix_and_no_form_is_without_a_file),
        TEST(an_image_has_so_many_forms_and_no_more),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
