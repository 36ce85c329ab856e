/* publish_signed_test.c - publishing with a manifest: what belongs together is stored together, all else is refused. */
#include <stdio.h>

#include "store_fixture.h"

#include "host/image_build.h"
#include "host/publish.h"
#include "host/sign/sign.h"

static struct publish_result result; /* of the last publish */
static struct temp_dir key_dir;
static struct sign_key *key, *other_key;
static char err[SIGN_ERROR_LEN];

struct signed_image {
    uint8_t *data;
    size_t len;
    uint8_t manifest[MOLT_MANIFEST_MAX];
    size_t manifest_len;
};

static void sign(struct signed_image *image, const char *product, enum molt_chip chip, uint64_t sequence,
                 const struct sign_key *by)
{
    struct sign_release release = {.sequence = sequence, .component_count = 1};
    struct facts facts;
    facts_read(image->data, image->len, &facts, NULL, NULL);
    sign_vendor_id("example.com", release.vendor);
    sign_class_id(release.vendor, product, chip, release.class_id);
    memcpy(release.component[0].digest, facts.sha256, 32);
    release.component[0].size = (uint32_t)image->len;
    strcpy(release.component[0].uri, "x.bin");
    assert_int_equal(sign_envelope(&release, by, image->manifest, &image->manifest_len, err), 0);
}

/* An image of product door, signed as it should be. */
static struct signed_image build(const char *code)
{
    const struct image_build_tag tags[] = {{"version", code}, {"code", code}};
    const struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = 40000, .tags = tags, .tag_count = 2};
    struct signed_image image;
    assert_int_equal(image_build(&spec, &image.data, &image.len), 0);
    sign(&image, "door", MOLT_CHIP_ESP8266, strtoul(code, NULL, 10), key);
    return image;
}

static int publish_image_of(struct fixture *f, const struct signed_image *image, const char *channel)
{
    const struct publish_options options = {.product = "door",
                                            .channel = channel,
                                            .manifest = image->manifest_len > 0 ? image->manifest : NULL,
                                            .manifest_len = image->manifest_len};
    int rc = publish_file(f->store, image->data, image->len, &options, &result);
    assert_int_equal(result.reason, -rc);
    return rc;
}

static void trust(struct fixture *f, const struct sign_key *whose)
{
    uint8_t public_key[MOLT_KEY_LEN];
    sign_key_public(whose, public_key);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, public_key), 0);
}

static uint32_t releases(struct fixture *f)
{
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    uint32_t count = rules.release_count;
    store_free_rules(&rules);
    return count;
}

static void a_manifest_is_kept_with_its_image(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5");
    struct store_rules rules;
    trust(f, key);
    assert_int_equal(publish_image_of(f, &image, NULL), 0);
    reopen(f);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    const struct model_image *kept = &rules.releases[0].images[0];
    assert_int_equal(kept->sequence, 5);
    assert_int_equal(kept->manifest.len, image.manifest_len);
    uint8_t read_back[MOLT_MANIFEST_MAX];
    int fd = store_artifact_open(f->store, kept->manifest.sha256);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, read_back, sizeof read_back), image.manifest_len);
    assert_memory_equal(read_back, image.manifest, image.manifest_len);
    close(fd);
    store_free_rules(&rules);
    free(image.data);
}

static void a_product_with_a_key_takes_nothing_unsigned(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5");
    image.manifest_len = 0;
    trust(f, key);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_MISSING);
    assert_int_equal(releases(f), 0);
    free(image.data);
}

static void a_product_without_a_key_takes_no_manifest(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5");
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_SIGNATURE);
    assert_non_null(strstr(result.detail, "product trust"));
    image.manifest_len = 0; /* and unsigned ones as ever */
    assert_int_equal(publish_image_of(f, &image, NULL), 0);
    free(image.data);
}

static void a_manifest_of_another_key_product_chip_or_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5"), other = build("6");
    trust(f, key);
    sign(&image, "door", MOLT_CHIP_ESP8266, 5, other_key);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_SIGNATURE);
    sign(&image, "gate", MOLT_CHIP_ESP8266, 5, key);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_CLASS);
    sign(&image, "door", MOLT_CHIP_ESP32, 5, key);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_CLASS);
    memcpy(image.manifest, other.manifest, other.manifest_len);
    image.manifest_len = other.manifest_len;
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_MISMATCH);
    for (size_t i = 0; i < other.manifest_len; i += 7) {
        memcpy(image.manifest, other.manifest, other.manifest_len);
        image.manifest[i] ^= 0x10;
        int rc = publish_image_of(f, &image, NULL);
        assert_true(rc == -MOLT_MANIFEST_SIGNATURE || rc == -MOLT_MANIFEST_MALFORMED);
    }
    assert_int_equal(releases(f), 0);
    trust(f, other_key); /* both keys count once both are trusted */
    sign(&image, "door", MOLT_CHIP_ESP8266, 5, other_key);
    assert_int_equal(publish_image_of(f, &image, NULL), 0);
    free(image.data);
    free(other.data);
}

static void the_order_of_sequences_is_that_of_codes(void **state)
{
    struct fixture *f = *state;
    struct signed_image five = build("5"), six = build("6"), seven = build("7");
    trust(f, key);
    assert_int_equal(publish_image_of(f, &six, "beta"), 0);
    sign(&seven, "door", MOLT_CHIP_ESP8266, 6, key);
    assert_int_equal(publish_image_of(f, &seven, "stable"), -MOLT_MANIFEST_OLDER);
    sign(&five, "door", MOLT_CHIP_ESP8266, 9, key);
    assert_int_equal(publish_image_of(f, &five, "stable"), -MOLT_MANIFEST_OLDER);
    sign(&five, "door", MOLT_CHIP_ESP8266, 2, key);
    assert_int_equal(publish_image_of(f, &five, "stable"), 0);
    sign(&seven, "door", MOLT_CHIP_ESP8266, 70, key);
    assert_int_equal(publish_image_of(f, &seven, "stable"), 0);
    free(five.data);
    free(six.data);
    free(seven.data);
}

/* One manifest for application and file system: each file is held to its own half. */
static void a_file_system_belongs_to_the_manifest_that_names_it(void **state)
{
    struct fixture *f = *state;
    struct signed_image app = build("5");
    uint8_t fs[4096];
    struct publish_options options = {
        .product = "door", .version = "5", .chip = MOLT_CHIP_ESP8266, .fs = true};
    trust(f, key);
    for (size_t i = 0; i < sizeof fs; i++)
        fs[i] = (uint8_t)(i * 37 + i / 256);
    assert_int_equal(publish_file(f->store, fs, sizeof fs, &options, &result), -MOLT_MANIFEST_MISSING);
    options.manifest = app.manifest;
    options.manifest_len = app.manifest_len;
    assert_int_equal(publish_file(f->store, fs, sizeof fs, &options, &result), -MOLT_MANIFEST_MISMATCH);

    struct sign_release release = {.sequence = 5, .component_count = 2};
    struct facts facts;
    uint8_t both[MOLT_MANIFEST_MAX];
    size_t both_len;
    sign_vendor_id("example.com", release.vendor);
    sign_class_id(release.vendor, "door", MOLT_CHIP_ESP8266, release.class_id);
    facts_read(app.data, app.len, &facts, NULL, NULL);
    memcpy(release.component[0].digest, facts.sha256, 32);
    release.component[0].size = (uint32_t)app.len;
    facts_read(fs, sizeof fs, &facts, NULL, NULL);
    memcpy(release.component[1].digest, facts.sha256, 32);
    release.component[1].size = sizeof fs;
    strcpy(release.component[0].uri, "door.bin");
    strcpy(release.component[1].uri, "fs.bin");
    assert_int_equal(sign_envelope(&release, key, both, &both_len, err), 0);
    options.manifest = both;
    options.manifest_len = both_len;
    assert_int_equal(publish_file(f->store, fs, sizeof fs, &options, &result), 0);
    assert_int_equal(result.image.sequence, 5);
    fs[7] ^= 1;
    options.variant = "4M2M";
    assert_int_equal(publish_file(f->store, fs, sizeof fs, &options, &result), -MOLT_MANIFEST_MISMATCH);
    memcpy(app.manifest, both, both_len);
    app.manifest_len = both_len;
    assert_int_equal(publish_image_of(f, &app, NULL), 0);
    free(app.data);
}

static void trusted_keys_are_few_listed_and_removable(void **state)
{
    struct fixture *f = *state;
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], one[STORE_KEY_LEN];
    uint32_t count = 9;
    assert_int_equal(store_trust_list(f->store, "nobody", STORE_TRUST_SIGNER, keys, &count), 0);
    assert_int_equal(count, 0);
    for (uint32_t i = 0; i < STORE_TRUST_MAX; i++) {
        memset(one, (int)i + 1, sizeof one);
        assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, one), 0);
        assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, one), 0); /* once */
    }
    memset(one, 0x77, sizeof one);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_SIGNER, one), -MOLT_STATE);
    assert_int_equal(store_trust_remove(f->store, "door", one), -MOLT_NOT_FOUND);
    memset(one, 2, sizeof one);
    assert_int_equal(store_trust_remove(f->store, "gate", one), -MOLT_NOT_FOUND);
    assert_int_equal(store_trust_remove(f->store, "door", one), 0);
    assert_int_equal(store_trust_list(f->store, "door", STORE_TRUST_SIGNER, keys, &count), 0);
    assert_int_equal(count, STORE_TRUST_MAX - 1);
}

static void a_product_with_an_approver_takes_what_both_signed(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5");
    uint8_t approver[MOLT_KEY_LEN], both[MOLT_STATEMENT_MAX];
    size_t len = image.manifest_len;
    trust(f, key);
    sign_key_public(other_key, approver);
    assert_int_equal(store_trust_add(f->store, "door", STORE_TRUST_APPROVER, approver), 0);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_UNAPPROVED);
    assert_non_null(strstr(result.detail, "--approve"));
    memcpy(both, image.manifest, len);
    assert_int_equal(sign_approve(both, &len, key, err), 0); /* the maker approves of himself */
    const struct publish_options options = {.product = "door", .manifest = both, .manifest_len = len};
    assert_int_equal(publish_file(f->store, image.data, image.len, &options, &result),
                     -MOLT_MANIFEST_UNAPPROVED);
    assert_int_equal(releases(f), 0);
    len = image.manifest_len;
    memcpy(both, image.manifest, len);
    assert_int_equal(sign_approve(both, &len, other_key, err), 0);
    assert_int_equal(publish_file(f->store, image.data, image.len, &options, &result), 0);
    assert_true(result.image.approved);
    image.manifest_len = 0;
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_MISSING);
    free(image.data);
}

/* An approval that came later, or new keys: the manifest is another one, the image is the same. */
static void the_same_image_is_published_again_under_another_manifest(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5");
    struct store_rules rules;
    trust(f, key);
    assert_int_equal(publish_image_of(f, &image, NULL), 0);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_ALREADY_PUBLISHED);
    sign(&image, "door", MOLT_CHIP_ESP8266, 5, key); /* ECDSA: another signature each time */
    assert_int_equal(publish_image_of(f, &image, NULL), 0);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.release_count, 1);
    assert_memory_equal(rules.releases[0].images[0].manifest.sha256, result.image.manifest.sha256, 32);
    store_free_rules(&rules);
    sign(&image, "door", MOLT_CHIP_ESP8266, 5, other_key);
    assert_int_equal(publish_image_of(f, &image, NULL), -MOLT_MANIFEST_SIGNATURE);
    free(image.data);
}

/* ---- encrypted files ---- */

static void encrypt(struct signed_image *image, const char *product, const struct sign_key *by)
{
    struct sign_release release = {.sequence = 5, .component_count = 1};
    struct facts facts;
    uint8_t recipient[MOLT_KEY_LEN];
    facts_read(image->data, image->len, &facts, NULL, NULL);
    sign_vendor_id("example.com", release.vendor);
    sign_class_id(release.vendor, product, MOLT_CHIP_ESP8266, release.class_id);
    memcpy(release.component[0].digest, facts.sha256, 32);
    release.component[0].size = (uint32_t)image->len;
    release.component[0].is_sealed = true;
    strcpy(release.component[0].uri, "x.bin");
    sign_key_public(other_key, recipient);
    assert_int_equal(sign_seal(recipient, image->data, image->len, release.component[0].seal, err), 0);
    assert_int_equal(sign_envelope(&release, by, image->manifest, &image->manifest_len, err), 0);
}

static int publish_encrypted(struct fixture *f, const struct signed_image *image, size_t len,
                             const struct publish_sealed *sealed)
{
    const struct publish_options options = {.product = "door",
                                            .version = "5",
                                            .manifest = image->manifest,
                                            .manifest_len = image->manifest_len,
                                            .sealed = sealed};
    return publish_file(f->store, image->data, len, &options, &result);
}

static void an_encrypted_file_is_what_its_manifest_says(void **state)
{
    struct fixture *f = *state;
    struct signed_image image = build("5");
    const struct publish_sealed raw = {.encoding = MOLT_RAW, .digest = {7}, .header_flash_size = 4u << 20};
    struct facts plain;
    struct store_rules rules;
    facts_read(image.data, image.len, &plain, NULL, NULL);
    trust(f, key);
    encrypt(&image, "door", other_key);
    assert_int_equal(publish_encrypted(f, &image, image.len, &raw), -MOLT_MANIFEST_SIGNATURE);
    free(image.data);
    image = build("5");
    encrypt(&image, "gate", key);
    assert_int_equal(publish_encrypted(f, &image, image.len, &raw), -MOLT_MANIFEST_CLASS);
    free(image.data);
    image = build("5");
    assert_int_equal(publish_encrypted(f, &image, image.len, &raw),
                     -MOLT_MANIFEST_MISMATCH); /* a plain one's */
    encrypt(&image, "door", key);
    assert_int_equal(publish_encrypted(f, &image, image.len - 1, &raw), -MOLT_MANIFEST_MISMATCH);
    assert_true(publish_image_of(f, &image, NULL) < 0); /* nobody said that it is encrypted */
    const struct publish_sealed bad[] = {
        {.encoding = MOLT_RAW, .window = 4096},     {.encoding = MOLT_GZIP},
        {.encoding = MOLT_GZIP, .window = 65536},   {.encoding = MOLT_RAW, .base = {1}},
        {.encoding = MOLT_PACK, .body_only = true}, {.encoding = MOLT_IN_PLACE, .base = {1}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(publish_encrypted(f, &image, image.len, &bad[i]), -MOLT_REQUEST_INVALID);
    assert_int_equal(releases(f), 0);
    assert_int_equal(publish_encrypted(f, &image, image.len, &raw), 0);
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    const struct model_image *kept = &rules.releases[0].images[0];
    assert_int_equal(kept->chip, MOLT_CHIP_ESP8266);
    assert_int_equal(kept->raw.len, image.len);
    assert_memory_equal(kept->raw.sha256, plain.sha256, 32);
    assert_int_equal(kept->digest[0], 7);
    assert_int_equal(kept->sealed_count, 1);
    assert_int_equal(store_artifact_open(f->store, plain.sha256), -MOLT_NOT_FOUND);
    store_free_rules(&rules);
    free(image.data);
}

static struct sign_key *make_key(const char *name)
{
    char path[128];
    struct sign_key *made = NULL;
    snprintf(path, sizeof path, "%s/%s", key_dir.path, name);
    assert_int_equal(sign_key_generate(path, NULL, err), 0);
    assert_int_equal(sign_key_open(&made, path, NULL, err), 0);
    return made;
}

static int make_keys(void **state)
{
    (void)state;
    temp_dir_make(&key_dir);
    key = make_key("one");
    other_key = make_key("other");
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    sign_key_free(key);
    sign_key_free(other_key);
    temp_dir_remove(&key_dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_manifest_is_kept_with_its_image),
        TEST(a_product_with_a_key_takes_nothing_unsigned),
        TEST(a_product_without_a_key_takes_no_manifest),
        TEST(a_manifest_of_another_key_product_chip_or_file_is_refused),
        TEST(the_order_of_sequences_is_that_of_codes),
        TEST(a_file_system_belongs_to_the_manifest_that_names_it),
        TEST(trusted_keys_are_few_listed_and_removable),
        TEST(a_product_with_an_approver_takes_what_both_signed),
        TEST(the_same_image_is_published_again_under_another_manifest),
        TEST(an_encrypted_file_is_what_its_manifest_says),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
