/* publish_test.c - what a publish stores, what it refuses, and that a refusal stores nothing. */
#define ZLIB_CONST
#include "temp_dir.h"

#include <openssl/evp.h>
#include <unistd.h>

#include "host/image_build.h"
#include "host/molt_boot_image.h"
#include "host/publish.h"
#include "sim/layout.h"
#include "util/bytes.h"

struct fixture {
    struct temp_dir dir;
    struct store *store;
};

struct file {
    uint8_t *data;
    size_t len;
};

static struct publish_result result; /* of the last publish: too large for the stack's comfort */

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    temp_dir_make(&f->dir);
    assert_int_equal(store_open(f->dir.path, true, &f->store, NULL, 0), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    temp_dir_remove(&f->dir);
    free(f);
    return 0;
}

/* An image that says its version in a tag when there is one, and its code nowhere else. */
static struct file build(enum molt_chip chip, uint32_t size, const char *version, const char *code)
{
    const struct image_build_tag tags[] = {{"version", version}, {"code", code}};
    const struct image_build spec = {.chip = chip,
                                     .size = size,
                                     .seed = 3,
                                     .flash_size = 1u << 20,
                                     .flash_mode = 2,
                                     .tags = tags,
                                     .tag_count = code != NULL      ? 2
                                                  : version != NULL ? 1
                                                                    : 0};
    struct file file;
    assert_int_equal(image_build(&spec, &file.data, &file.len), 0);
    return file;
}

static int publish(struct fixture *f, struct file file, const struct publish_options *options)
{
    int rc = publish_file(f->store, file.data, file.len, options, &result);
    free(file.data);
    assert_int_equal(result.reason, -rc);
    return rc;
}

static void count_file(void *ctx, const char *path, bool folder)
{
    (void)path;
    if (!folder) ++*(uint32_t *)ctx;
}

static uint32_t count_artifacts(const struct fixture *f)
{
    char path[96];
    uint32_t count = 0;
    snprintf(path, sizeof path, "%s/artifacts", f->dir.path);
    temp_dir_walk(path, count_file, &count);
    return count;
}

static void assert_nothing_stored(const struct fixture *f)
{
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.generation, 1);
    assert_int_equal(rules.product_count, 0);
    store_free_rules(&rules);
    assert_int_equal(count_artifacts(f), 0);
}

static uint8_t *artifact_bytes(const struct fixture *f, const struct model_artifact *artifact)
{
    uint8_t *data = malloc(artifact->len), sha256[32];
    int fd = store_artifact_open(f->store, artifact->sha256);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, data, artifact->len), artifact->len);
    close(fd);
    assert_int_equal(EVP_Digest(data, artifact->len, sha256, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(sha256, artifact->sha256, 32);
    return data;
}

/* ---- what is stored ---- */

static void an_esp8266_image_is_stored_raw_and_twice_as_gzip(void **state)
{
    struct fixture *f = *state;
    struct file file = build(MOLT_CHIP_ESP8266, 278396, "2017102502", NULL);
    uint8_t *copy = malloc(file.len);
    size_t len = file.len;
    memcpy(copy, file.data, len);
    assert_int_equal(publish(f, file, &(struct publish_options){.product = "gate"}), 0);
    assert_string_equal(result.version, "2017102502");
    assert_int_equal(result.code, 2017102502);
    assert_string_equal(result.channel, "stable");
    assert_int_equal(result.warning_count, 0);

    const struct model_image *image = &result.image;
    assert_int_equal(image->chip, MOLT_CHIP_ESP8266);
    assert_int_equal(image->component, MODEL_APP);
    assert_int_equal(image->header_flash_size, 1 << 20);
    assert_int_equal(image->raw.len, len);
    assert_memory_equal(image->digest, result.facts.image.digest, 32);
    uint8_t *raw = artifact_bytes(f, &image->raw);
    assert_memory_equal(raw, copy, len);
    const struct model_artifact *gzips[] = {&image->gzip, &image->gzip_4k};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *gz = artifact_bytes(f, gzips[i]), *content;
        size_t content_len;
        struct facts facts;
        facts_read(gz, gzips[i]->len, &facts, &content, &content_len);
        assert_int_equal(content_len, len);
        assert_memory_equal(content, copy, len);
        free(content);
        free(gz);
    }
    assert_true(image->gzip.len < image->gzip_4k.len);
    assert_true(image->gzip_4k.len < image->raw.len);
    free(raw);
    free(copy);
}

/* molt-boot takes raw files only from a stock sketch; libmolt inflates by itself. */
static void an_image_with_molt_boot_has_no_gzip_for_stock_sketches(void **state)
{
    struct fixture *f = *state;
    struct file file = build(MOLT_CHIP_ESP8266, 278396, "2017102503", NULL);
    assert_false(molt_boot_image_has(file.data, file.len));
    assert_int_equal(molt_boot_image_set(file.data, file.len, 0xEB000), 0);
    assert_true(molt_boot_image_has(file.data, file.len));
    assert_int_equal(publish(f, file, &(struct publish_options){.product = "gate"}), 0);
    assert_int_equal(result.image.gzip.len, 0);
    assert_true(result.image.gzip_4k.len > 0);
}

/* 512 KB of flash, 278,396 bytes running: 225,280 are free, so raw never fits and gzip must. */
static void the_image_of_the_small_flash_can_be_staged_as_gzip(void **state)
{
    struct fixture *f = *state;
    const uint32_t fs_start = 0x7B000, sketch = 0x44000; /* 278,396 rounded up to sectors */
    assert_int_equal(
        publish(f, build(MOLT_CHIP_ESP8266, 278396, "2", NULL), &(struct publish_options){.product = "gate"}),
        0);
    uint32_t raw = molt_round_up(result.image.raw.len, 4096), gz = molt_round_up(result.image.gzip.len, 4096);
    assert_true(raw + sketch > fs_start);
    assert_true(gz + sketch <= fs_start);
    assert_true(raw + gz <= fs_start); /* so a reset in the copy does no harm */
}

static void md5(const uint8_t *data, size_t len, uint8_t out[16])
{
    assert_int_equal(EVP_Digest(data, len, out, NULL, EVP_md5(), NULL), 1);
}

static bool has_md5(const struct model_image *image, const uint8_t *data, size_t len)
{
    uint8_t want[16];
    md5(data, len, want);
    for (uint32_t i = 0; i < image->md5_variant_count; i++) {
        if (memcmp(image->md5_variants[i], want, 16) == 0) return true;
    }
    return false;
}

static void the_md5s_of_patched_headers_are_known_and_sorted(void **state)
{
    struct fixture *f = *state;
    struct file file = build(MOLT_CHIP_ESP8266, 600000, "2", NULL);
    assert_int_equal(
        publish_file(f->store, file.data, file.len, &(struct publish_options){.product = "gate"}, &result),
        0);
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    const struct model_image *image = &rules.releases[0].images[0];
    const uint32_t first = image->md5_variant_count - image->md5_boot_count;
    assert_int_equal(first, 4 * 7 * 4); /* modes, sizes from 1 MB, speeds; as built is one */
    for (uint32_t i = 1; i < first; i++) {
        assert_true(memcmp(image->md5_variants[i - 1], image->md5_variants[i], 16) < 0);
    }
    assert_true(has_md5(image, file.data, file.len));
    file.data[2] = 3; /* Updater: the chip's own mode */
    assert_true(has_md5(image, file.data, file.len));
    file.data[3] = 0x4F; /* esptool: 4 MB, 80 MHz */
    assert_true(has_md5(image, file.data, file.len));
    file.data[3] = 0x00; /* 512 KB cannot hold it */
    assert_false(has_md5(image, file.data, file.len));
    file.data[3] = 0x40;
    file.data[100] ^= 1;
    assert_false(has_md5(image, file.data, file.len));
    store_free_rules(&rules);
    free(file.data);
}

/* True when it is one of those that say that molt-boot lies below, which are sorted too. */
static bool has_boot_md5(const struct model_image *image, const uint8_t *data, size_t len)
{
    uint8_t want[16];
    bool found = false;
    md5(data, len, want);
    for (uint32_t i = image->md5_variant_count - image->md5_boot_count; i < image->md5_variant_count; i++) {
        found |= memcmp(image->md5_variants[i], want, 16) == 0;
        if (i + 1 < image->md5_variant_count)
            assert_true(memcmp(image->md5_variants[i], image->md5_variants[i + 1], 16) <= 0);
    }
    return found;
}

/* Publishes the file; what is known of it is good until rules are freed. */
static const struct model_image *publish_and_load(struct fixture *f, const struct file *file,
                                                  struct store_rules *rules)
{
    const struct publish_options options = {.product = "gate"};
    assert_int_equal(publish_file(f->store, file->data, file->len, &options, &result), 0);
    assert_int_equal(store_load_rules(f->store, rules), 0);
    return &rules->releases[0].images[0];
}

/* Sector 0 is of the image that brought molt-boot, the rest of an ordinary one that came later. */
static void an_image_that_runs_above_molt_boot_is_known_in_every_layout(void **state)
{
    struct fixture *f = *state;
    struct store_rules rules;
    struct file ordinary = build(MOLT_CHIP_ESP8266, 300000, "2", NULL);
    const struct model_image *image = publish_and_load(f, &ordinary, &rules);
    assert_false(has_boot_md5(image, ordinary.data, ordinary.len));
    unsigned layouts = 0;
    for (size_t i = 0; sim_layout_at(i) != NULL; i++) {
        const struct sim_layout *layout = sim_layout_at(i);
        if (layout->is_esp32 || layout->flash_size < (1u << 20)) continue; /* it is built for 1 MB */
        struct file brings = build(MOLT_CHIP_ESP8266, 280000, "1", NULL);
        assert_int_equal(molt_boot_image_set(brings.data, brings.len, layout->fs_start), 0);
        memcpy(ordinary.data, brings.data, 4096);
        ordinary.data[2] = 3;
        assert_true(
            has_boot_md5(image, ordinary.data, ordinary.len)); /* the bringer was built for 1 MB too */
        ordinary.data[3] = layout->flash_size == 1u << 20   ? 0x2F
                           : layout->flash_size == 2u << 20 ? 0x3F
                                                            : 0x4F;
        assert_true(has_boot_md5(image, ordinary.data, ordinary.len));
        ordinary.data[4096] ^= 1;
        assert_false(has_boot_md5(image, ordinary.data, ordinary.len));
        ordinary.data[4096] ^= 1;
        free(brings.data);
        layouts++;
    }
    assert_int_equal(layouts, 8);
    store_free_rules(&rules);
    free(ordinary.data);
}

static void all_md5s_of_an_image_with_molt_boot_say_so(void **state)
{
    struct fixture *f = *state;
    struct store_rules rules;
    struct file brings = build(MOLT_CHIP_ESP8266, 280000, "1", NULL);
    assert_int_equal(molt_boot_image_set(brings.data, brings.len, 0xEB000), 0);
    const struct model_image *image = publish_and_load(f, &brings, &rules);
    assert_int_equal(image->md5_boot_count, image->md5_variant_count);
    assert_true(has_boot_md5(image, brings.data, brings.len));
    brings.data[2] = 1;
    assert_true(has_boot_md5(image, brings.data, brings.len));
    store_free_rules(&rules);
    free(brings.data);
}

static void an_esp32_image_has_one_gzip_and_its_own_md5(void **state)
{
    struct fixture *f = *state;
    struct file file = build(MOLT_CHIP_ESP32C3, 200000, "1.2.3", "1002003");
    assert_int_equal(
        publish_file(f->store, file.data, file.len, &(struct publish_options){.product = "gate"}, &result),
        0);
    assert_int_equal(result.code, 1002003);
    assert_int_equal(result.image.chip, MOLT_CHIP_ESP32C3);
    assert_int_equal(result.image.gzip.len, 0);
    assert_true(result.image.gzip_4k.len > 0);
    struct store_rules rules;
    assert_int_equal(store_load_rules(f->store, &rules), 0);
    assert_int_equal(rules.releases[0].images[0].md5_variant_count, 1);
    assert_true(has_md5(&rules.releases[0].images[0], file.data, file.len));
    store_free_rules(&rules);
    free(file.data);
}

static void the_content_of_a_gzip_file_is_published(void **state)
{
    struct fixture *f = *state;
    struct file image = build(MOLT_CHIP_ESP8266, 100000, "7", NULL), gz;
    assert_int_equal(facts_gzip(image.data, image.len, 15, &gz.data, &gz.len), 0);
    assert_int_equal(publish(f, gz, &(struct publish_options){.product = "gate"}), 0);
    uint8_t *raw = artifact_bytes(f, &result.image.raw);
    assert_int_equal(result.image.raw.len, image.len);
    assert_memory_equal(raw, image.data, image.len);
    assert_int_equal(publish(f, image, &(struct publish_options){.product = "gate"}),
                     -MOLT_ALREADY_PUBLISHED);
    free(raw);
}

static void a_file_system_is_published_for_the_chip_that_is_named(void **state)
{
    struct fixture *f = *state;
    struct publish_options options = {.product = "gate", .version = "5", .variant = "4M2M"};
    struct file file = {calloc(1, 65536), 65536};
    memcpy(file.data + 8, "littlefs", 8);
    assert_int_equal(publish_file(f->store, file.data, file.len, &options, &result), -MOLT_CHIP_NEEDED);
    options.chip = MOLT_CHIP_ESP8266;
    assert_int_equal(publish(f, file, &options), 0);
    assert_int_equal(result.image.component, MODEL_FS);
    assert_int_equal(result.image.variant_fs_start, 0x200000);
    assert_int_equal(result.image.gzip.len + result.image.gzip_4k.len, 0);
    assert_memory_equal(result.image.digest, result.facts.sha256, 32);
    assert_int_equal(result.warning_count, 0);

    struct file unknown = {malloc(4096), 4096};
    memset(unknown.data, 0x81, 4096);
    options.version = "6";
    assert_int_equal(publish_file(f->store, unknown.data, 4096, &options, &result), -MOLT_IMAGE_UNKNOWN);
    options.fs = true;
    assert_int_equal(publish(f, unknown, &options), 0);
    assert_int_equal(result.image.component, MODEL_FS);
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "7", NULL), &options), -MOLT_REQUEST_INVALID);
}

/* ---- versions ---- */

static void the_version_is_read_from_the_image_where_it_is(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *tag, *code, *descriptor, *project, *given;
        uint32_t given_code;
        int rc;
        const char *version;
        uint32_t as_code;
    } cases[] = {
        {"1.0.0", NULL, "9.9.9", "app", NULL, 0, 0, "1.0.0", 1000000},
        {NULL, NULL, "1.0.1", "app", NULL, 0, 0, "1.0.1", 1000001},
        {NULL, NULL, "1.0.2", "arduino-lib-builder", NULL, 0, -MOLT_VERSION_NEEDED, "", 0},
        {NULL, NULL, "", "app", NULL, 0, -MOLT_VERSION_NEEDED, "", 0},
        {NULL, NULL, "1.0.3", "arduino-lib-builder", "1.0.4", 0, 0, "1.0.4", 1000004},
        {"summer", "1000005", "", "app", NULL, 0, 0, "summer", 1000005},
        {"autumn", NULL, "", "app", NULL, 0, -MOLT_CODE_NEEDED, "", 0},
        {"autumn", NULL, "", "app", NULL, 1000006, 0, "autumn", 1000006},
        {"1.0.7", NULL, "", "app", "1.0.8", 0, 0, "1.0.8", 1000008},
        {"1.0.9", "1000009", "", "app", "winter", 0, 0, "winter", 1000009},
        {NULL, NULL, "v1.1.0-3-g1234567-dirty", "app", NULL, 0, -MOLT_CODE_NEEDED, "", 0},
        {NULL, NULL, "", "app", "1.2.0", 0x80000000, -MOLT_CODE_RANGE, "", 0},
        {NULL, NULL, "", "app", "1\n2", 5, -MOLT_NAME_INVALID, "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct image_build_tag tags[] = {{"version", cases[i].tag}, {"code", cases[i].code}};
        const struct image_build spec = {.chip = MOLT_CHIP_ESP32,
                                         .size = 50000,
                                         .version = cases[i].descriptor,
                                         .project = cases[i].project,
                                         .tags = tags,
                                         .tag_count = cases[i].code != NULL  ? 2
                                                      : cases[i].tag != NULL ? 1
                                                                             : 0};
        struct file file;
        assert_int_equal(image_build(&spec, &file.data, &file.len), 0);
        const struct publish_options options = {
            .product = "gate", .version = cases[i].given, .code = cases[i].given_code};
        assert_int_equal(publish(f, file, &options), cases[i].rc);
        if (cases[i].rc < 0) continue;
        assert_string_equal(result.version, cases[i].version);
        assert_int_equal(result.code, cases[i].as_code);
    }
}

static void a_code_that_is_not_in_the_image_is_warned_of(void **state)
{
    struct fixture *f = *state;
    struct publish_options options = {.product = "gate", .version = "2017102503"};
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, NULL, NULL), &options), 0);
    assert_int_equal(result.warning_count, 1);
    assert_non_null(strstr(result.warnings[0], "code 2017102503 stands nowhere"));

    options.version = "2017102504"; /* compiled in: as a text */
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "2017102504", NULL), &options), 0);
    assert_int_equal(result.warning_count, 0);

    options.version = "2017102506"; /* the tag says another */
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "2017102505", "2017102505"), &options), 0);
    assert_int_equal(result.warning_count, 2);
    assert_non_null(strstr(result.warnings[1], "tag says code 2017102505"));
}

/* ---- refusals ---- */

static int publish_text(struct fixture *f, const char *text)
{
    struct file file = {malloc(strlen(text)), strlen(text)};
    memcpy(file.data, text, file.len);
    return publish(f, file, &(struct publish_options){.product = "gate", .version = "1"});
}

static void wrong_files_are_refused_and_nothing_is_stored(void **state)
{
    struct fixture *f = *state;
    const struct publish_options options = {.product = "gate", .version = "1"};
    assert_int_equal(publish_text(f, "<!DOCTYPE html><html>login</html>"), -MOLT_IMAGE_TEXT);
    struct file file = build(MOLT_CHIP_ESP8266, 50000, "1", NULL);
    file.data[40000] ^= 1;
    assert_int_equal(publish(f, file, &options), -MOLT_BAD_CRC);
    file = build(MOLT_CHIP_ESP32, 50000, "1", NULL);
    file.len /= 2;
    assert_int_equal(publish(f, file, &options), -MOLT_IMAGE_TRUNCATED);
    file = build(MOLT_CHIP_ESP8266, 50000, "1", NULL);
    file.len = 0;
    assert_int_equal(publish(f, file, &options), -MOLT_IMAGE_EMPTY);
    file = (struct file){calloc(1, FACTS_FILE_MAX + 1), FACTS_FILE_MAX + 1};
    assert_int_equal(publish(f, file, &options), -MOLT_FILE_TOO_LARGE);

    file = (struct file){malloc(0x9000), 0x9000}; /* a dump of a whole flash */
    memset(file.data, 0xFF, file.len);
    file.data[0x1000] = 0xE9;
    static const uint8_t table[] = {0xAA, 0x50, 1, 2, 0, 0x90, 0, 0, 0, 0x50, 0, 0};
    memcpy(file.data + 0x8000, table, sizeof table);
    assert_int_equal(publish(f, file, &options), -MOLT_IMAGE_MERGED);

    file = build(MOLT_CHIP_ESP8266, 50000, "1", NULL); /* signed by another tool */
    file.data = realloc(file.data, file.len + 260);
    memset(file.data + file.len, 0x33, 260);
    molt_store32le(file.data + file.len + 256, 256);
    file.len += 260;
    assert_int_equal(publish(f, file, &options), -MOLT_IMAGE_SIGNED);
    assert_non_null(strstr(result.detail, "Arduino ESP8266 signature"));
    assert_nothing_stored(f);
}

static void wrong_options_are_refused_and_nothing_is_stored(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct publish_options options;
        int rc;
    } cases[] = {
        {{.product = NULL}, -MOLT_NAME_INVALID},
        {{.product = ""}, -MOLT_NAME_INVALID},
        {{.product = "-gate"}, -MOLT_NAME_INVALID},
        {{.product = "ga te"}, -MOLT_NAME_INVALID},
        {{.product = "../gate"}, -MOLT_NAME_INVALID},
        {{.product = "gate\n"}, -MOLT_NAME_INVALID},
        {{.product = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
         -MOLT_NAME_INVALID},
        {{.product = "gate", .channel = "a/b"}, -MOLT_NAME_INVALID},
        {{.product = "gate", .version = "1.2"}, -MOLT_CODE_NEEDED},
        {{.product = "gate", .version = "2147483648"}, -MOLT_CODE_RANGE},
        {{.product = "gate", .version = "12", .code = 13}, -MOLT_CODE_RANGE}, /* a number is its code */
        {{.product = "gate", .variant = "5M"}, -MOLT_VARIANT_INVALID},
        {{.product = "gate", .variant = "rev3"}, -MOLT_VARIANT_INVALID},
        {{.product = "gate", .variant = "512K"}, -MOLT_FLASH_SIZE},
        {{.product = "gate", .chip = MOLT_CHIP_ESP32}, -MOLT_WRONG_CHIP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "1", NULL), &cases[i].options),
                         cases[i].rc);
    }
    assert_int_equal(
        publish(f, build(MOLT_CHIP_ESP8266, 50000, NULL, NULL), &(struct publish_options){.product = "gate"}),
        -MOLT_VERSION_NEEDED);
    assert_nothing_stored(f);
}

static void an_older_code_is_refused_and_stores_nothing(void **state)
{
    struct fixture *f = *state;
    struct publish_options options = {.product = "gate"};
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "5", NULL), &options), 0);
    uint32_t before = count_artifacts(f);
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "4", NULL), &options), -MOLT_OLDER_CODE);
    assert_string_equal(result.detail, "code 4 is not above 5 (5)");
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50016, "5", NULL), &options), -MOLT_OLDER_CODE);
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "5", NULL), &options),
                     -MOLT_ALREADY_PUBLISHED);
    options = (struct publish_options){.product = "door", .adopt = true};
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "9", NULL), &options), -MOLT_ADOPT_TAKEN);
    assert_int_equal(count_artifacts(f), before);

    options = (struct publish_options){.product = "gate", .channel = "beta"};
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "4", NULL), &options), 0);
    options = (struct publish_options){.product = "gate", .variant = "1M"};
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP8266, 50000, "4", NULL), &options), 0);
    options = (struct publish_options){.product = "gate"};
    assert_int_equal(publish(f, build(MOLT_CHIP_ESP32, 50000, "4", NULL), &options), 0);
}

/* ---- variants ---- */

static void variants_are_sizes_layouts_and_revisions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum molt_chip chip;
        int rc;
        uint32_t flash_size, fs_start;
        uint16_t revision;
    } cases[] = {
        {"", MOLT_CHIP_ESP8266, 0, 0, 0, 0},
        {"4M", MOLT_CHIP_ESP8266, 0, 4u << 20, 0, 0},
        {"512K", MOLT_CHIP_ESP8266, 0, 512u << 10, 0, 0},
        {"16M", MOLT_CHIP_ESP32S3, 0, 16u << 20, 0, 0},
        {"4M2M", MOLT_CHIP_ESP8266, 0, 4u << 20, 0x200000, 0},
        {"1M64", MOLT_CHIP_ESP8266, 0, 1u << 20, 0xEB000, 0},
        {"4M3M", MOLT_CHIP_ESP8266, 0, 4u << 20, 0x100000, 0},
        {"rev3", MOLT_CHIP_ESP32, 0, 0, 0, 300},
        {"rev3.1", MOLT_CHIP_ESP32, 0, 0, 0, 301},
        {"rev0", MOLT_CHIP_ESP32C3, 0, 0, 0, 0},
        {"4M2M", MOLT_CHIP_ESP32, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"rev3", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"4m", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"3M", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"0M", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"04M", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"4096M", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"256M", MOLT_CHIP_ESP32, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"4MB", MOLT_CHIP_ESP8266, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"rev", MOLT_CHIP_ESP32, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"rev3.", MOLT_CHIP_ESP32, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"rev3.1.2", MOLT_CHIP_ESP32, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"rev300", MOLT_CHIP_ESP32, -MOLT_VARIANT_INVALID, 0, 0, 0},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", MOLT_CHIP_ESP32,
         -MOLT_VARIANT_INVALID, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_image image = {.chip = cases[i].chip};
        assert_int_equal(publish_variant(cases[i].text, &image), cases[i].rc);
        if (cases[i].rc < 0) continue;
        assert_string_equal(image.variant, cases[i].text);
        assert_int_equal(image.variant_flash_size, cases[i].flash_size);
        assert_int_equal(image.variant_fs_start, cases[i].fs_start);
        assert_int_equal(image.variant_min_revision, cases[i].revision);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_esp8266_image_is_stored_raw_and_twice_as_gzip),
        TEST(an_image_with_molt_boot_has_no_gzip_for_stock_sketches),
        TEST(the_image_of_the_small_flash_can_be_staged_as_gzip),
        TEST(the_md5s_of_patched_headers_are_known_and_sorted),
        TEST(an_image_that_runs_above_molt_boot_is_known_in_every_layout),
        TEST(all_md5s_of_an_image_with_molt_boot_say_so),
        TEST(an_esp32_image_has_one_gzip_and_its_own_md5),
        TEST(the_content_of_a_gzip_file_is_published),
        TEST(a_file_system_is_published_for_the_chip_that_is_named),
        TEST(the_version_is_read_from_the_image_where_it_is),
        TEST(a_code_that_is_not_in_the_image_is_warned_of),
        TEST(wrong_files_are_refused_and_nothing_is_stored),
        TEST(wrong_options_are_refused_and_nothing_is_stored),
        TEST(an_older_code_is_refused_and_stores_nothing),
        TEST(variants_are_sizes_layouts_and_revisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
