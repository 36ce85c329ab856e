/* agent_signed_test.c - an agent with a trust anchor, on virtual chips with a scripted network: what is signed for it is
 * installed from all three sources, and nothing else is. */
#include "agent_signed_case.h"

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
    agent_rig_file(&rig, BIN, new8266_gz.data, new8266_gz.len);
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
        TEST(a_file_system_must_be_the_manifests_second_component),
        TEST(the_file_system_of_another_release_is_refused),
        TEST(by_url_the_manifest_of_what_runs_names_the_file_system_once),
        TEST(an_unsigned_image_is_refused_from_every_source),
        TEST(strangers_other_products_chips_and_older_releases_are_refused),
        TEST(an_envelope_that_is_none_or_has_no_end_is_refused),
        TEST(another_image_than_the_signed_one_is_refused),
        TEST(a_manifest_of_one_check_is_not_good_for_the_next),
    };
    return cmocka_run_group_tests(tests, make_all, free_made);
}
