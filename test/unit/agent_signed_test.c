/* agent_signed_test.c - an agent with a trust anchor, on virtual chips with a scripted network: what is signed for it is
 * installed from all three sources, and nothing else is. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_rig.h"
#include "host/sign/sign.h"
#include "ports/bearssl.h"
#include "temp_dir.h"

#define BASE "http://10.0.0.2/fota/"
#define SUIT "GET /fota/5CCF7FC602E2.suit"
#define BIN  "GET /fota/5CCF7FC602E2.bin"

static struct rig_blob old8266, new8266, gz8266, other8266, old32, new32;
static struct agent_rig rig;
static struct temp_dir dir;
static struct sign_key *key, *stranger;
static uint8_t keys[1][MOLT_KEY_LEN];
static struct molt_trust trust;

/* the keep store */
static uint64_t kept;
static unsigned raised;
static bool broken;

static int read_kept(void *ctx, uint64_t *sequence)
{
    (void)ctx;
    *sequence = kept;
    return broken ? -1 : 0;
}

static int raise_kept(void *ctx, uint64_t sequence)
{
    (void)ctx;
    assert_true(sequence > kept);
    kept = sequence;
    raised++;
    return broken ? -1 : 0;
}

struct envelope {
    uint8_t data[MOLT_MANIFEST_MAX];
    size_t len;
};

static struct envelope sign_by(const struct sign_key *by, const struct rig_blob *image, const char *product,
                               enum molt_chip chip, uint64_t sequence)
{
    struct sign_release release = {.sequence = sequence, .component_count = 1};
    struct envelope e;
    char err[SIGN_ERROR_LEN];
    sign_vendor_id("example.com", release.vendor);
    sign_class_id(release.vendor, product, chip, release.class_id);
    rig_sha256(image, release.component[0].digest);
    release.component[0].size = (uint32_t)image->len;
    strcpy(release.component[0].uri, "x.bin");
    assert_int_equal(sign_envelope(&release, by, e.data, &e.len, err), 0);
    return e;
}

static struct envelope sign(const struct rig_blob *image, uint64_t sequence)
{
    return sign_by(key, image, "gate", rig.config.expect.chip, sequence);
}

/* A release of an application and its file system. */
static struct envelope sign_both(const struct rig_blob *app, const struct rig_blob *fs, uint64_t sequence)
{
    struct sign_release release = {.sequence = sequence, .component_count = 2};
    struct envelope e;
    char err[SIGN_ERROR_LEN];
    sign_vendor_id("example.com", release.vendor);
    sign_class_id(release.vendor, "gate", rig.config.expect.chip, release.class_id);
    rig_sha256(app, release.component[0].digest);
    rig_sha256(fs, release.component[1].digest);
    release.component[0].size = (uint32_t)app->len;
    release.component[1].size = (uint32_t)fs->len;
    strcpy(release.component[0].uri, "x.bin");
    strcpy(release.component[1].uri, "x.fs");
    assert_int_equal(sign_envelope(&release, key, e.data, &e.len, err), 0);
    return e;
}

static struct sign_key *make_key(const char *name)
{
    char path[128], err[SIGN_ERROR_LEN];
    struct sign_key *made = NULL;
    snprintf(path, sizeof path, "%s/%s", dir.path, name);
    assert_int_equal(sign_key_generate(path, NULL, err), 0);
    assert_int_equal(sign_key_open(&made, path, NULL, err), 0);
    return made;
}

static int make_all(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    key = make_key("key");
    stranger = make_key("stranger");
    sign_key_public(key, keys[0]);
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x6040, 1, 512u << 10);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 2, 512u << 10);
    other8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 3, 512u << 10);
    gz8266 = rig_gzip(&new8266, 12);
    old32 = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct rig_blob *all[] = {&old8266, &new8266, &gz8266, &other8266, &old32, &new32};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    sign_key_free(key);
    sign_key_free(stranger);
    temp_dir_remove(&dir);
    return 0;
}

static void start(enum molt_source source, const char *url, uint32_t code)
{
    trust = (struct molt_trust){.hash = &molt_bearssl_sha256,
                                .signature = &molt_bearssl_es256_i31,
                                .keys = (const uint8_t(*)[MOLT_KEY_LEN])keys,
                                .key_count = 1};
    sign_vendor_id("example.com", trust.vendor);
    sign_class_id(trust.vendor, "gate", rig.config.expect.chip, trust.class_id);
    rig.config.trust = &trust;
    rig.config.read_sequence = read_kept;
    rig.config.raise_sequence = raise_kept;
    agent_rig_start(&rig, source, url, code);
}

static void open8266(enum molt_source source, const char *url)
{
    kept = raised = 0;
    broken = false;
    agent_rig_open(&rig, "512K", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    start(source, url, 1);
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static void expect_installed(const struct rig_blob *image)
{
    if (!agent_rig_run(&rig, rig.now_ms + 60000))
        fail_msg("not installed: %s", molt_reason_id(agent_rig_last(&rig)));
    assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, image->data, image->len));
}

static void expect_refused(int reason)
{
    agent_rig_until_reports(&rig, 1);
    if (agent_rig_last(&rig) != reason)
        fail_msg("%s, not %s", molt_reason_id(agent_rig_last(&rig)), molt_reason_id(reason));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, old8266.data, old8266.len));
    assert_int_equal(kept, 1); /* what runs, and not what was refused */
}

/* The version file says 2, then comes this envelope; the image must not be asked for. */
static void expect_envelope_refused(const struct envelope *e, int reason)
{
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e->data, e->len);
    expect_refused(reason);
    assert_int_equal(rig.connects, 2);
}

/* ---- what is signed is installed ---- */

static void a_signed_image_is_installed_from_a_version_file(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    expect_installed(&new8266);
    assert_int_equal(kept, 1); /* not before the new one is confirmed */
}

/* How often the product said no to a check of a signature, and how often it will. */
static unsigned verify_asked, verify_refusals;
static bool was_open_when_asked;

static bool may_verify(void *ctx)
{
    (void)ctx;
    was_open_when_asked = was_open_when_asked || rig.is_open;
    return ++verify_asked > verify_refusals;
}

static void a_check_of_a_signature_waits_until_the_product_lets_it(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    rig.config.may_verify = may_verify;
    verify_asked = 0;
    verify_refusals = 100000; /* longer than any time-out of a request */
    was_open_when_asked = false;
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, new8266.data, new8266.len);
    assert_false(agent_rig_run(&rig, rig.now_ms + 7200000));
    assert_in_range(verify_asked, 7000, 7300); /* each second */
    assert_false(was_open_when_asked);         /* no connection is held meanwhile */
    assert_int_equal(rig.report_count, 0);
    assert_int_equal(rig.connects, 2);
    verify_refusals = 0;
    expect_installed(&new8266);
}

static void a_packed_image_is_held_to_the_digest_of_what_is_in_it(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, gz8266.data, gz8266.len);
    expect_installed(&new8266);
}

static struct molt_answer offer(const char *manifest_url)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/a/7",
                            .file_len = (uint32_t)new8266.len,
                            .image_len = (uint32_t)new8266.len};
    rig_sha256(&new8266, a.file_digest);
    rig_sha256(
        &(struct rig_blob){new8266.data + MOLT_ESP8266_APP_OFFSET, new8266.len - MOLT_ESP8266_APP_OFFSET},
        a.image_digest);
    snprintf(a.manifest_url, sizeof a.manifest_url, "%s", manifest_url);
    return a;
}

static void a_signed_image_is_installed_from_a_check_in(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_CHECK_IN, "http://10.0.0.2:8266");
    struct envelope e = sign(&new8266, 2);
    struct molt_answer a = offer("/a/8");
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /a/8 HTTP/1.1", e.data, e.len);
    agent_rig_file(&rig, "GET /a/7 HTTP/1.1", new8266.data, new8266.len);
    expect_installed(&new8266);
}

static void a_manifest_from_another_host_leaves_the_image_where_it_was(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_CHECK_IN, "http://10.0.0.2:8266");
    struct envelope e = sign(&new8266, 2);
    struct molt_answer a = offer("/a/8");
    agent_rig_answer(&rig, &a);
    agent_rig_expect(&rig, "GET /a/8",
                     "HTTP/1.1 302 Found\r\nLocation: http://cdn/x\r\nContent-Length: 0\r\n\r\n", "", 0);
    agent_rig_file(&rig, "GET /x HTTP/1.1\r\nHost: cdn\r\n", e.data, e.len);
    agent_rig_file(&rig, "GET /a/7 HTTP/1.1\r\nHost: 10.0.0.2:8266\r\n", new8266.data, new8266.len);
    expect_installed(&new8266);
}

static void a_signed_image_is_installed_from_a_url(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_URL, "http://10.0.0.2/fw/gate.bin?x=1");
    struct envelope e = sign(&new8266, 2);
    agent_rig_file(&rig, "GET /fw/gate.suit?x=1 HTTP/1.0", e.data, e.len);
    agent_rig_file(&rig, "GET /fw/gate.bin?x=1 HTTP/1.0", new8266.data, new8266.len);
    expect_installed(&new8266);
}

static void a_url_whose_manifest_is_of_what_runs_is_not_fetched(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_URL, "http://10.0.0.2/fw/gate");
    struct envelope e = sign(&old8266, 1);
    agent_rig_file(&rig, "GET /fw/gate.suit HTTP/1.0", e.data, e.len);
    expect_refused(MOLT_UP_TO_DATE);
    assert_int_equal(rig.connects, 1);
}

static void a_url_without_news_says_so_when_asked_for_the_manifest(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_URL, "http://10.0.0.2/fw/gate");
    agent_rig_expect(&rig, "GET /fw/gate.suit HTTP/1.0", "HTTP/1.1 304 Not Modified\r\n\r\n", "", 0);
    expect_refused(MOLT_UP_TO_DATE);
    assert_int_equal(rig.connects, 1);
}

/* ---- the number that never goes back ---- */

static void the_sequence_is_raised_when_the_firmware_is_confirmed(void **state)
{
    (void)state;
    kept = raised = 0;
    broken = false;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    start(MOLT_SOURCE_VERSION_FILE, BASE, 1);
    struct envelope e = sign(&new32, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    expect_installed(&new32);
    assert_int_equal(kept, 1);
    start(MOLT_SOURCE_VERSION_FILE, BASE, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_until_reports(&rig, 2);
    assert_int_equal(agent_rig_last(&rig), MOLT_CONFIRMED);
    assert_int_equal(kept, 2);
    assert_int_equal(raised, 2);

    start(MOLT_SOURCE_VERSION_FILE, BASE, 1); /* as if an older firmware were flashed by wire */
    e = sign(&old32, 1);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "3");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_OLDER);
    assert_int_equal(kept, 2);
}

static void a_trial_that_ends_badly_raises_nothing(void **state)
{
    (void)state;
    kept = raised = 0;
    broken = false;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    start(MOLT_SOURCE_VERSION_FILE, BASE, 1);
    struct envelope e = sign(&new32, 9);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "9");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    expect_installed(&new32);
    rig.has_health = true;
    rig.health = MOLT_HEALTH_BAD;
    start(MOLT_SOURCE_VERSION_FILE, BASE, 9);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, old32.data, old32.len));
    assert_int_equal(kept, 1);
    rig.has_health = false;
}

static void a_store_that_cannot_be_read_stops_all_updates(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign(&new8266, 2);
    broken = true;
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 2); /* once at the start */
    assert_int_equal(rig.reports[0], MOLT_SEQUENCE_STORE);
    assert_int_equal(agent_rig_last(&rig), MOLT_SEQUENCE_STORE);
    assert_int_equal(rig.connects, 2);
}

static void the_keep_store_holds_the_number_over_restarts(void **state)
{
    (void)state;
    static struct molt_keep keep;
    const uint32_t nvs_tail = 0xC000; /* the last two sectors of esp32-4M's nvs partition */
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    for (uint32_t code = 1; code <= 2; code++) {
        molt_keep_begin(&keep, &rig.chip.flash.port, nvs_tail);
        start(MOLT_SOURCE_VERSION_FILE, BASE, code == 1 ? 5 : 3); /* then an older one by wire */
        rig.config.read_sequence = NULL;
        rig.config.raise_sequence = NULL;
        rig.config.keep = &keep;
        struct envelope e = sign(&new32, 4);
        agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "9");
        agent_rig_file(&rig, SUIT, e.data, e.len);
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_OLDER);
        assert_int_equal(keep.data.sequence, 5);
    }
    rig.config.keep = NULL;
}

static void a_keep_store_that_cannot_be_read_stops_all_updates(void **state)
{
    (void)state;
    static struct molt_keep keep;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    molt_keep_begin(&keep, &rig.chip.flash.port, 0x3E000);
    keep.is_loaded = true; /* a load that ended badly */
    keep.port_err = -5;
    rig.config.read_sequence = NULL;
    rig.config.keep = &keep;
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 2);
    assert_int_equal(agent_rig_last(&rig), MOLT_SEQUENCE_STORE);
    assert_int_equal(rig.connects, 2);
    rig.config.keep = NULL;
}

static void without_a_store_nothing_goes_below_what_runs(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    rig.config.read_sequence = NULL;
    rig.config.raise_sequence = NULL;
    rig.config.sequence = 50; /* signed with a sequence of its own */
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, BASE, 1);
    struct envelope e = sign(&new8266, 49);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_OLDER);
    rig.config.sequence = 0;
}

/* ---- what is not signed for this device is not taken ---- */

static void an_unsigned_image_is_refused_from_every_source(void **state)
{
    (void)state;
    static const char nothing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_expect(&rig, SUIT, nothing, "", 0);
    expect_refused(MOLT_MANIFEST_MISSING);
    assert_int_equal(rig.connects, 2);
    agent_rig_close(&rig);

    open8266(MOLT_SOURCE_URL, "http://10.0.0.2/gate.bin");
    agent_rig_expect(&rig, "GET /gate.suit", nothing, "", 0);
    expect_refused(MOLT_MANIFEST_MISSING);
    assert_int_equal(rig.connects, 1);
    agent_rig_close(&rig);

    open8266(MOLT_SOURCE_CHECK_IN, "http://10.0.0.2");
    struct molt_answer a = offer("");
    agent_rig_answer(&rig, &a);
    expect_refused(MOLT_MANIFEST_MISSING);
    assert_int_equal(rig.connects, 1);
}

static void strangers_other_products_chips_and_older_releases_are_refused(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign_by(stranger, &new8266, "gate", MOLT_CHIP_ESP8266, 2);
    expect_envelope_refused(&e, MOLT_MANIFEST_SIGNATURE);
    agent_rig_close(&rig);
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    e = sign_by(key, &new8266, "door", MOLT_CHIP_ESP8266, 2);
    expect_envelope_refused(&e, MOLT_MANIFEST_CLASS);
    agent_rig_close(&rig);
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    e = sign_by(key, &new8266, "gate", MOLT_CHIP_ESP32, 2);
    expect_envelope_refused(&e, MOLT_MANIFEST_CLASS);
    agent_rig_close(&rig);
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    e = sign(&new8266, 0);
    expect_envelope_refused(&e, MOLT_MANIFEST_OLDER);
}

static void an_envelope_that_is_none_or_has_no_end_is_refused(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = {.len = 60};
    memcpy(e.data, "<!DOCTYPE html><html><body>Please log in</body></html>      ", 60);
    expect_envelope_refused(&e, MOLT_MANIFEST_MALFORMED);
    agent_rig_close(&rig);
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, new8266.data, new8266.len);
    expect_refused(MOLT_MANIFEST_MALFORMED);
    assert_int_equal(rig.connects, 2);
}

/* A good manifest, and then other bytes than it names. */
static void expect_image_refused(const struct rig_blob *file, int reason)
{
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, file->data, file->len);
    expect_refused(reason);
    agent_rig_close(&rig);
}

static void another_image_than_the_signed_one_is_refused(void **state)
{
    (void)state;
    struct rig_blob other_gz = rig_gzip(&other8266, 12), longer = {malloc(new8266.len + 8), new8266.len + 8};
    struct rig_blob changed = {malloc(new8266.len), new8266.len};
    memcpy(longer.data, new8266.data, new8266.len);
    memset(longer.data + new8266.len, 0xFF, 8);
    memcpy(changed.data, new8266.data, new8266.len);
    changed.data[2] ^= 1; /* flash mode: what is patched in flash, and signed as published */
    assert_int_equal(other8266.len, new8266.len);
    expect_image_refused(&other8266, MOLT_DIGEST_MISMATCH);
    expect_image_refused(&other_gz, MOLT_DIGEST_MISMATCH);
    expect_image_refused(&changed, MOLT_BAD_CRC); /* the image check is there as well */
    expect_image_refused(&old8266, MOLT_LENGTH_MISMATCH);
    expect_image_refused(&longer, MOLT_LENGTH_MISMATCH);
    free(other_gz.data);
    free(longer.data);
    free(changed.data);
    open8266(MOLT_SOURCE_VERSION_FILE, BASE); /* for close_rig */
}

static void a_manifest_of_one_check_is_not_good_for_the_next(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_expect(&rig, BIN, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "", 0);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_expect(&rig, SUIT, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "", 0);
    agent_rig_until_reports(&rig, 2);
    assert_int_equal(rig.reports[0], MOLT_HTTP_STATUS);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_MISSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, close_rig)

/* ---- file systems ---- */

static void open_with_fs(enum molt_source source, const char *url)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    kept = 0;
    broken = false;
    rig.keep_off = 0xC000;
    rig.has_fs = true;
    start(source, url, 1);
}

static void offer_fs(const struct envelope *e, const struct rig_blob *fs)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 1,
                            .url = "/f",
                            .component = 1,
                            .manifest_url = "/m",
                            .file_len = (uint32_t)fs->len,
                            .image_len = (uint32_t)fs->len};
    rig_sha256(fs, a.file_digest);
    rig_sha256(fs, a.image_digest);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /m ", e->data, e->len);
    agent_rig_file(&rig, "GET /f ", fs->data, fs->len);
}

static bool has_fs(const struct rig_blob *fs)
{
    return memcmp(rig.chip.flash.bytes + agent_rig_fs_off(&rig), fs->data, fs->len) == 0;
}

static void a_file_system_must_be_the_manifests_second_component(void **state)
{
    (void)state;
    struct rig_blob good = rig_fs(0x5100, 1), bad = rig_fs(0x5100, 2);
    open_with_fs(MOLT_SOURCE_CHECK_IN, "http://h");
    struct envelope one = sign(&old32, 1), both = sign_both(&old32, &good, 1);
    offer_fs(&one, &good);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_MISMATCH);
    agent_rig_close(&rig);
    open_with_fs(MOLT_SOURCE_CHECK_IN, "http://h");
    offer_fs(&both, &bad);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_DIGEST_MISMATCH);
    assert_true(rig.chip.flash.port.is_blank(&rig.chip.flash, agent_rig_fs_off(&rig), rig.fs.len));
    agent_rig_close(&rig);
    open_with_fs(MOLT_SOURCE_CHECK_IN, "http://h");
    offer_fs(&both, &good);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    assert_true(has_fs(&good));
    free(good.data);
    free(bad.data);
}

/* Mix and match: signed and newer, but of a release whose application does not run here. */
static void the_file_system_of_another_release_is_refused(void **state)
{
    (void)state;
    struct rig_blob fs = rig_fs(0x5100, 1);
    open_with_fs(MOLT_SOURCE_CHECK_IN, "http://h");
    struct envelope newer = sign_both(&new32, &fs, 2);
    offer_fs(&newer, &fs);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_MISMATCH);
    assert_true(rig.chip.flash.port.is_blank(&rig.chip.flash, agent_rig_fs_off(&rig), rig.fs.len));
    free(fs.data);
}

static void by_url_the_manifest_of_what_runs_names_the_file_system_once(void **state)
{
    (void)state;
    struct rig_blob fs = rig_fs(0x5100, 1);
    open_with_fs(MOLT_SOURCE_URL, "http://h/u.bin");
    struct envelope both = sign_both(&old32, &fs, 1);
    agent_rig_file(&rig, "GET /u.suit ", both.data, both.len);
    agent_rig_file(&rig, "GET /u.bin ", fs.data, fs.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    assert_non_null(strstr(rig.request, "x-ESP32-mode: spiffs\r\n"));
    assert_true(has_fs(&fs));
    rig_reset(&rig.chip);
    start(MOLT_SOURCE_URL, "http://h/u.bin", 1);
    agent_rig_file(&rig, "GET /u.suit ", both.data, both.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_UP_TO_DATE);
    assert_int_equal(rig.connects, 1);
    free(fs.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signed_image_is_installed_from_a_version_file),
        TEST(a_check_of_a_signature_waits_until_the_product_lets_it),
        TEST(a_packed_image_is_held_to_the_digest_of_what_is_in_it),
        TEST(a_signed_image_is_installed_from_a_check_in),
        TEST(a_manifest_from_another_host_leaves_the_image_where_it_was),
        TEST(a_signed_image_is_installed_from_a_url),
        TEST(a_url_whose_manifest_is_of_what_runs_is_not_fetched),
        TEST(a_url_without_news_says_so_when_asked_for_the_manifest),
        TEST(the_sequence_is_raised_when_the_firmware_is_confirmed),
        TEST(a_trial_that_ends_badly_raises_nothing),
        TEST(a_store_that_cannot_be_read_stops_all_updates),
        TEST(the_keep_store_holds_the_number_over_restarts),
        TEST(a_file_system_must_be_the_manifests_second_component),
        TEST(the_file_system_of_another_release_is_refused),
        TEST(by_url_the_manifest_of_what_runs_names_the_file_system_once),
        TEST(a_keep_store_that_cannot_be_read_stops_all_updates),
        TEST(without_a_store_nothing_goes_below_what_runs),
        TEST(an_unsigned_image_is_refused_from_every_source),
        TEST(strangers_other_products_chips_and_older_releases_are_refused),
        TEST(an_envelope_that_is_none_or_has_no_end_is_refused),
        TEST(another_image_than_the_signed_one_is_refused),
        TEST(a_manifest_of_one_check_is_not_good_for_the_next),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
