/* agent_guard_test.c - an agent and who wears it down: encrypted images over broken connections, a server that drips, one that
 * has nothing new for ever, and keys that were replaced. In virtual time. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_rig.h"
#include "host/sign/sign.h"
#include "ports/bearssl.h"
#include "ports/bearssl_seal.h"
#include "temp_dir.h"

#define BASE    "http://10.0.0.2/fota/"
#define VERSION "GET /fota/5CCF7FC602E2.version"
#define SUIT    "GET /fota/5CCF7FC602E2.suit"
#define BIN     "GET /fota/5CCF7FC602E2.bin"
#define HOUR_MS 3600000u

static struct rig_blob old32, new32;
static struct agent_rig rig;
static struct temp_dir dir;
static struct sign_key *maker, *root, *next;
static uint8_t maker_key[MOLT_KEY_LEN], root_key[MOLT_KEY_LEN], next_key[MOLT_KEY_LEN];
static uint8_t fleet_key[MOLT_KEY_LEN], fleet_scalar[MOLT_PRIVATE_KEY_LEN];
static struct molt_trust trust;
static uint8_t statement[MOLT_STATEMENT_MAX];
static size_t statement_len;

static struct sign_key *make_key(const char *name, uint8_t public_key[MOLT_KEY_LEN])
{
    char path[128], err[SIGN_ERROR_LEN];
    struct sign_key *made = NULL;
    snprintf(path, sizeof path, "%s/%s", dir.path, name);
    assert_int_equal(sign_key_generate(path, NULL, err), 0);
    assert_int_equal(sign_key_open(&made, path, NULL, err), 0);
    sign_key_public(made, public_key);
    assert_int_equal(sign_private_scalar(path, fleet_scalar, err), 0); /* the last one's stays */
    return made;
}

static int make_all(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    maker = make_key("maker", maker_key);
    root = make_key("root", root_key);
    next = make_key("next", next_key);
    sign_key_free(make_key("fleet", fleet_key));
    old32 = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(old32.data);
    free(new32.data);
    sign_key_free(maker);
    sign_key_free(root);
    sign_key_free(next);
    temp_dir_remove(&dir);
    return 0;
}

static void start(void)
{
    trust = (struct molt_trust){.hash = &molt_bearssl_sha256,
                                .signature = &molt_bearssl_es256_i31,
                                .keys = (const uint8_t(*)[MOLT_KEY_LEN])maker_key,
                                .key_count = 1,
                                .root = root_key,
                                .accept_keys = molt_keys_accept};
    sign_vendor_id("example.com", trust.vendor);
    sign_class_id(trust.vendor, "gate", MOLT_CHIP_ESP32, trust.class_id);
    rig.config.trust = &trust;
    rig.config.seal = &molt_bearssl_seal;
    rig.config.seal_key = fleet_scalar;
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, BASE, 1);
}

static int open_rig(void **state)
{
    (void)state;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    rig.keep_off = 0xC000;
    start();
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static struct sign_release release_of(const struct rig_blob *image, uint64_t sequence)
{
    struct sign_release release = {.sequence = sequence, .component_count = 1};
    memcpy(release.vendor, trust.vendor, MOLT_UUID_LEN);
    memcpy(release.class_id, trust.class_id, MOLT_UUID_LEN);
    rig_sha256(image, release.component[0].digest);
    release.component[0].size = (uint32_t)image->len;
    strcpy(release.component[0].uri, "x.bin");
    return release;
}

/* The manifest in statement; keys: and what the root says of next's. */
static void sign(const struct sign_release *release, const struct sign_key *by, uint16_t epoch)
{
    char err[SIGN_ERROR_LEN];
    size_t keys_len = 0;
    assert_int_equal(sign_envelope(release, by, statement, &statement_len, err), 0);
    if (epoch == 0) return;
    assert_int_equal(sign_keys(root, epoch, trust.class_id, (const uint8_t(*)[MOLT_KEY_LEN])next_key, 1,
                               statement + statement_len, &keys_len, err),
                     0);
    statement_len += keys_len;
}

static void expect_manifest(void)
{
    agent_rig_text(&rig, VERSION, "2");
    agent_rig_file(&rig, SUIT, statement, statement_len);
}

static void expect_installed(void)
{
    if (!agent_rig_run(&rig, rig.now_ms + 600000))
        fail_msg("not installed: %s", molt_reason_id(agent_rig_last(&rig)));
    assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, new32.data, new32.len));
}

/* ---- encrypted images ---- */

static uint8_t *seal_new(struct sign_release *release)
{
    char err[SIGN_ERROR_LEN];
    uint8_t *sealed = malloc(new32.len);
    assert_non_null(sealed);
    memcpy(sealed, new32.data, new32.len);
    *release = release_of(&new32, 2);
    assert_int_equal(sign_seal(fleet_key, sealed, new32.len, release->component[0].seal, err), 0);
    release->component[0].is_sealed = true;
    return sealed;
}

static void an_encrypted_image_comes_whole_over_broken_connections(void **state)
{
    struct sign_release release;
    for (size_t cut = 300; cut < new32.len; cut += 1777) { /* at any byte of a block */
        uint8_t *sealed = seal_new(&release);
        sign(&release, maker, 0);
        expect_manifest();
        agent_rig_ranges(&rig, BIN, sealed, new32.len)->cut = cut;
        agent_rig_ranges(&rig, BIN, sealed, new32.len)->cut = 5001;
        agent_rig_ranges(&rig, BIN, sealed, new32.len);
        expect_installed();
        free(sealed);
        close_rig(state);
        open_rig(state);
    }
}

static void an_encrypted_image_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct sign_release release;
    uint8_t *sealed = seal_new(&release);
    sign(&release, maker, 0);
    expect_manifest();
    agent_rig_ranges(&rig, BIN, sealed, new32.len)->silent = false;
    rig.script[rig.added - 1].cut = 20001;
    for (unsigned i = 0; i < 6; i++) /* and the network is gone */
        agent_rig_ranges(&rig, BIN, sealed, new32.len)->fail = MOLT_CONNECT;
    agent_rig_until_reports(&rig, 1);
    rig_reset(&rig.chip); /* the power is cut */
    rig.used = rig.added = 0;
    start();
    expect_manifest();
    agent_rig_ranges(&rig, BIN, sealed, new32.len);
    agent_rig_ranges(&rig, BIN, sealed, new32.len);
    rig.chip.fetched = 0;
    expect_installed();
    assert_true(rig.chip.fetched < new32.len - 12000); /* what was durable is not fetched again */
    free(sealed);
}

/* The longest manifest: application and file system encrypted, two signatures, and a statement of two keys behind them. */
static void all_that_a_manifest_may_hold_arrives(void **state)
{
    (void)state;
    struct sign_release release;
    char err[SIGN_ERROR_LEN];
    uint8_t keys[2][MOLT_KEY_LEN], fs[100] = {0}, *sealed = seal_new(&release);
    size_t keys_len = 0;
    memcpy(keys[0], maker_key, MOLT_KEY_LEN);
    memcpy(keys[1], next_key, MOLT_KEY_LEN);
    release.component_count = 2;
    release.component[1].size = sizeof fs;
    release.component[1].is_sealed = true;
    strcpy(release.component[1].uri, "fs.bin");
    assert_int_equal(sign_seal(fleet_key, fs, sizeof fs, release.component[1].seal, err), 0);
    sign(&release, maker, 0);
    assert_int_equal(sign_approve(statement, &statement_len, next, err), 0);
    assert_int_equal(sign_keys(root, 1, trust.class_id, (const uint8_t(*)[MOLT_KEY_LEN])keys, 2,
                               statement + statement_len, &keys_len, err),
                     0);
    statement_len += keys_len;
    assert_in_range(statement_len, 900, MOLT_STATEMENT_MAX);
    trust.approver = next_key;
    expect_manifest();
    agent_rig_ranges(&rig, BIN, sealed, new32.len);
    expect_installed();
    free(sealed);
}

/* ---- slow retrieval, freeze ---- */

static void a_server_that_drips_is_left(void **state)
{
    (void)state;
    struct sign_release release = release_of(&new32, 2);
    sign(&release, maker, 0);
    expect_manifest();
    struct exchange *drip = agent_rig_file(&rig, BIN, new32.data, new32.len);
    drip->piece = 1;
    drip->delay_ms = 15000; /* never silent for 20 s, and 7 KB would take a day */
    uint64_t began_ms = rig.now_ms;
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_TIMEOUT);
    assert_in_range(rig.now_ms - began_ms, 3600000, 3700000); /* the hour that an image may take */
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, old32.data, old32.len));
}

static unsigned alarms(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < rig.report_count && i < RIG_REPORTS; i++)
        count += rig.reports[i] == MOLT_STALE;
    return count;
}

static void hours_of_nothing_new(unsigned hours)
{
    rig.config.interval_s = 6 * 3600;
    agent_rig_text(&rig, VERSION, "1");
    rig.endless = true;
    agent_rig_run(&rig, rig.now_ms + (uint64_t)hours * HOUR_MS);
}

static void nothing_new_for_long_is_an_alarm_each_day(void **state)
{
    (void)state;
    rig.config.stale_h = 72;
    hours_of_nothing_new(70);
    assert_int_equal(alarms(), 0);
    agent_rig_run(&rig, rig.now_ms + 10u * HOUR_MS);
    assert_int_equal(alarms(), 1);
    agent_rig_run(&rig, rig.now_ms + 48u * HOUR_MS);
    assert_int_equal(alarms(), 3);
}

static void restarts_do_not_hide_it(void **state)
{
    (void)state;
    rig.config.stale_h = 100;
    unsigned lives = 0;
    for (;;) {
        rig.used = rig.added = 0;
        hours_of_nothing_new(32); /* of which up to 23 may be forgotten */
        lives++;
        if (alarms() > 0) break;
        rig_reset(&rig.chip);
        start();
    }
    assert_in_range(lives, 4, 5);
}

static void a_newer_release_ends_it(void **state)
{
    (void)state;
    rig.config.stale_h = 48;
    hours_of_nothing_new(60);
    assert_int_equal(alarms(), 1);
    assert_true(rig.keep.data.stale_hours >= 48);
    rig.endless = false;
    rig.used = rig.added = 0;
    struct sign_release release = release_of(&new32, 2);
    sign(&release, maker, 0);
    expect_manifest();
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 12u * HOUR_MS));
    assert_int_equal(rig.keep.data.stale_hours, 0);
}

/* ---- keys ---- */

static void the_epoch_of_a_statement_outlives_the_power(void **state)
{
    (void)state;
    struct sign_release release = release_of(&new32, 2);
    sign(&release, maker, 300); /* the release is not next's: refused, and the statement counts */
    expect_manifest();
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_SIGNATURE);
    agent_rig_run(&rig, rig.now_ms + 1000);
    rig_reset(&rig.chip);
    start();
    sign(&release, maker, 0);
    expect_manifest();
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_KEYS_RETIRED);
    assert_int_equal(rig.keep.data.key_epoch, 300);
    trust.epoch = 301; /* a firmware that was built with newer keys needs no statement */
    expect_manifest();
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 12u * HOUR_MS));
}

static void without_accept_keys_nothing_may_follow_the_manifest(void **state)
{
    (void)state;
    struct sign_release release = release_of(&new32, 2);
    trust.accept_keys = NULL;
    sign(&release, maker, 1);
    expect_manifest();
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_MALFORMED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_encrypted_image_comes_whole_over_broken_connections),
        TEST(an_encrypted_image_goes_on_after_a_restart),
        TEST(all_that_a_manifest_may_hold_arrives),
        TEST(a_server_that_drips_is_left),
        TEST(nothing_new_for_long_is_an_alarm_each_day),
        TEST(restarts_do_not_hide_it),
        TEST(a_newer_release_ends_it),
        TEST(the_epoch_of_a_statement_outlives_the_power),
        TEST(without_accept_keys_nothing_may_follow_the_manifest),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
