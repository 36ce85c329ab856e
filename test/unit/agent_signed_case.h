/* agent_signed_case.h - an agent with a trust anchor on a virtual chip, a store of its number, and envelopes signed for it.
 * Included once a program; the group's set-up is make_all(), its end free_made(). */
#ifndef MOLT_TEST_AGENT_SIGNED_CASE_H
#define MOLT_TEST_AGENT_SIGNED_CASE_H

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent_rig.h"
#include "chip_images.h"
#include "host/sign/sign.h"
#include "ports/bearssl.h"
#include "temp_dir.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, close_rig)

#define BASE "http://10.0.0.2/fota/"
#define SUIT "GET /fota/5CCF7FC602E2.suit"
#define BIN  "GET /fota/5CCF7FC602E2.bin"

static struct rig_blob other8266;
static struct agent_rig rig;
static struct temp_dir dir;
static struct sign_key *key, *stranger;
static uint8_t keys[1][MOLT_KEY_LEN];
static struct molt_trust trust;

/* the keep store */
static uint64_t kept;
static unsigned raised;
static bool broken;

static inline int read_kept(void *ctx, uint64_t *sequence)
{
    (void)ctx;
    *sequence = kept;
    return broken ? -1 : 0;
}

static inline int raise_kept(void *ctx, uint64_t sequence)
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

static inline struct envelope sign_by(const struct sign_key *by, const struct rig_blob *image,
                                      const char *product, enum molt_chip chip, uint64_t sequence)
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

static inline struct envelope sign(const struct rig_blob *image, uint64_t sequence)
{
    return sign_by(key, image, "gate", rig.config.expect.chip, sequence);
}

static inline struct sign_key *make_key(const char *name)
{
    char path[128], err[SIGN_ERROR_LEN];
    struct sign_key *made = NULL;
    snprintf(path, sizeof path, "%s/%s", dir.path, name);
    assert_int_equal(sign_key_generate(path, NULL, err), 0);
    assert_int_equal(sign_key_open(&made, path, NULL, err), 0);
    return made;
}

static inline int make_all(void **state)
{
    temp_dir_make(&dir);
    key = make_key("key");
    stranger = make_key("stranger");
    sign_key_public(key, keys[0]);
    other8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 3, 512u << 10);
    return build_all(state);
}

static inline int free_made(void **state)
{
    free(other8266.data);
    sign_key_free(key);
    sign_key_free(stranger);
    temp_dir_remove(&dir);
    return free_all(state);
}

static inline void start(enum molt_source source, const char *url, uint32_t code)
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

static inline void open8266(enum molt_source source, const char *url)
{
    kept = raised = 0;
    broken = false;
    agent_rig_open(&rig, "512K", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    start(source, url, 1);
}

static inline int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static inline void expect_installed(const struct rig_blob *image)
{
    if (!agent_rig_run(&rig, rig.now_ms + 60000))
        fail_msg("not installed: %s", molt_reason_id(agent_rig_last(&rig)));
    assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, image->data, image->len));
}

#endif
