/* store_signed_test.c - what the store keeps of signatures: who signs and who approves, manifests that take the place of older
 * ones, and the encrypted forms of an image. */
#include "store_fixture.h"

#include <sqlite3.h>

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
        TEST(a_key_has_one_role_and_an_approver_is_a_rule),
        TEST(another_manifest_of_the_same_bytes_takes_the_place_of_the_old_one),
        TEST(encrypted_forms_come_one_by_one_and_nobody_needs_the_plain_file),
        TEST(plain_and_encrypted_do_not_mix_and_no_form_is_without_a_file),
        TEST(an_image_has_so_many_forms_and_no_more),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
