/* manifest_keys_test.c - the root's statement of who may sign, and the approver's signature: each changed byte is refused. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "host/sign/sign.h"
#include "manifest/keys.h"
#include "ports/bearssl.h"
#include "temp_dir.h"

enum { MAKER, ROOT, APPROVER, STRANGER, KEYS };

static struct temp_dir dir;
static struct sign_key *key[KEYS];
static uint8_t public_key[KEYS][MOLT_KEY_LEN];
static struct molt_trust trust;
static uint8_t envelope[MOLT_STATEMENT_MAX], statement[MOLT_KEYS_MAX];
static size_t envelope_len, statement_len;

static int make_keys(void **state)
{
    (void)state;
    char path[200], err[SIGN_ERROR_LEN];
    temp_dir_make(&dir);
    for (int i = 0; i < KEYS; i++) {
        snprintf(path, sizeof path, "%s/%d", dir.path, i);
        if (sign_key_generate(path, NULL, err) != 0 || sign_key_open(&key[i], path, NULL, err) != 0)
            return -1;
        sign_key_public(key[i], public_key[i]);
    }
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        sign_key_free(key[i]);
    temp_dir_remove(&dir);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    struct sign_release release = {.sequence = 7, .component_count = 1};
    char err[SIGN_ERROR_LEN];
    trust = (struct molt_trust){.hash = &molt_bearssl_sha256,
                                .signature = &molt_bearssl_es256_i31,
                                .keys = (const uint8_t(*)[MOLT_KEY_LEN]) & public_key[MAKER],
                                .key_count = 1,
                                .root = public_key[ROOT],
                                .accept_keys = molt_keys_accept};
    sign_vendor_id("example.com", trust.vendor);
    sign_class_id(trust.vendor, "door", MOLT_CHIP_ESP8266, trust.class_id);
    memcpy(release.vendor, trust.vendor, MOLT_UUID_LEN);
    memcpy(release.class_id, trust.class_id, MOLT_UUID_LEN);
    release.component[0].size = 1000;
    strcpy(release.component[0].uri, "x.bin");
    assert_int_equal(sign_envelope(&release, key[MAKER], envelope, &envelope_len, err), 0);
    return 0;
}

static void state_keys(int by, uint16_t epoch, unsigned count)
{
    char err[SIGN_ERROR_LEN];
    assert_int_equal(sign_keys(key[by], epoch, trust.class_id,
                               (const uint8_t(*)[MOLT_KEY_LEN]) & public_key[APPROVER], count, statement,
                               &statement_len, err),
                     0);
}

static int read_statement(uint16_t lowest, struct molt_keys *keys)
{
    return molt_keys_accept(&trust, lowest, statement, statement_len, keys);
}

static void a_statement_of_the_roots_names_the_keys(void **state)
{
    (void)state;
    struct molt_keys keys;
    for (unsigned count = 1; count <= 2; count++) {
        state_keys(ROOT, (uint16_t)(300 + count), count);
        assert_int_equal(statement_len, MOLT_KEYS_MAX - (2 - count) * MOLT_KEY_LEN);
        assert_int_equal(read_statement(0, &keys), MOLT_MANIFEST_ACCEPTED);
        assert_int_equal(keys.epoch, 300 + count);
        assert_int_equal(keys.key_count, count);
        assert_memory_equal(keys.keys[0], public_key[APPROVER], MOLT_KEY_LEN);
        if (count == 2) assert_memory_equal(keys.keys[1], public_key[STRANGER], MOLT_KEY_LEN);
    }
}

static void an_older_one_and_one_of_nobodys_are_refused(void **state)
{
    (void)state;
    struct molt_keys keys;
    state_keys(ROOT, 5, 1);
    assert_int_equal(read_statement(5, &keys), MOLT_MANIFEST_ACCEPTED);
    assert_int_equal(read_statement(6, &keys), -MOLT_KEYS_RETIRED);
    assert_int_equal(keys.key_count, 0);
    state_keys(MAKER, 9, 1); /* who signs releases says nothing of keys */
    assert_int_equal(read_statement(0, &keys), -MOLT_KEYS_INVALID);
    state_keys(ROOT, 9, 1);
    trust.class_id[3] ^= 1; /* of another product */
    assert_int_equal(read_statement(0, &keys), -MOLT_KEYS_INVALID);
    trust.class_id[3] ^= 1;
    trust.root = NULL;
    assert_int_equal(read_statement(0, &keys), -MOLT_KEYS_INVALID);
}

static void every_changed_byte_and_length_of_a_statement_is_refused(void **state)
{
    (void)state;
    struct molt_keys keys;
    for (unsigned count = 1; count <= 2; count++) {
        state_keys(ROOT, 1, count);
        for (size_t i = 0; i < statement_len; i++) {
            statement[i] ^= (uint8_t)(1u << i % 8);
            assert_int_equal(read_statement(0, &keys), -MOLT_KEYS_INVALID);
            statement[i] ^= (uint8_t)(1u << i % 8);
        }
        for (size_t len = 0; len < statement_len; len++)
            assert_int_equal(molt_keys_accept(&trust, 0, statement, len, &keys), -MOLT_KEYS_INVALID);
    }
}

/* ---- the approver ---- */

static int accept(void)
{
    struct molt_manifest manifest;
    return molt_manifest_accept(&trust, 0, envelope, envelope_len, &manifest);
}

static void approve(int by)
{
    char err[SIGN_ERROR_LEN];
    assert_int_equal(sign_approve(envelope, &envelope_len, key[by], err), 0);
}

static void an_approver_must_have_signed_where_there_is_one(void **state)
{
    (void)state;
    char err[SIGN_ERROR_LEN];
    assert_int_equal(accept(), MOLT_MANIFEST_ACCEPTED);
    trust.approver = public_key[APPROVER];
    assert_int_equal(accept(), -MOLT_MANIFEST_UNAPPROVED);
    approve(APPROVER);
    assert_int_equal(accept(), MOLT_MANIFEST_ACCEPTED);
    assert_int_equal(molt_manifest_signed(&trust, envelope, envelope_len), MOLT_MANIFEST_ACCEPTED);
    trust.approver = NULL; /* an older firmware of the fleet takes it too */
    assert_int_equal(accept(), MOLT_MANIFEST_ACCEPTED);
    assert_int_equal(sign_approve(envelope, &envelope_len, key[APPROVER], err), -MOLT_STATE);
    fresh(NULL);
    trust.approver = public_key[APPROVER];
    approve(STRANGER);
    assert_int_equal(accept(), -MOLT_MANIFEST_UNAPPROVED);
    fresh(NULL);
    trust.approver = public_key[APPROVER];
    approve(MAKER); /* one person is not two */
    assert_int_equal(accept(), -MOLT_MANIFEST_UNAPPROVED);
}

static void every_changed_byte_of_an_approved_manifest_is_refused(void **state)
{
    (void)state;
    trust.approver = public_key[APPROVER];
    approve(APPROVER);
    for (size_t i = 0; i < envelope_len; i++) {
        envelope[i] ^= (uint8_t)(1u << i % 8);
        int rc = accept();
        assert_true(rc == -MOLT_MANIFEST_MALFORMED || rc == -MOLT_MANIFEST_SIGNATURE ||
                    rc == -MOLT_MANIFEST_UNAPPROVED);
        envelope[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(accept(), MOLT_MANIFEST_ACCEPTED);
}

/* As the agent has it: the statement behind the envelope says whose signature counts. */
static int accept_with_statement(void)
{
    struct molt_trust by = trust;
    struct molt_manifest manifest;
    struct molt_keys keys;
    size_t end = molt_manifest_end(envelope, envelope_len);
    if (end == 0) return -MOLT_MANIFEST_MALFORMED;
    int rc = molt_keys_accept(&by, 0, envelope + end, envelope_len - end, &keys);
    if (rc != MOLT_MANIFEST_ACCEPTED) return rc;
    by.keys = keys.keys;
    by.key_count = keys.key_count;
    return molt_manifest_accept(&by, 0, envelope, end, &manifest);
}

/* All that a manifest can have: two components, both encrypted, a version, an approval, and new keys behind it. */
static void every_changed_byte_of_the_largest_is_refused(void **state)
{
    (void)state;
    struct sign_release release = {.sequence = UINT64_MAX, .component_count = 2, .version_parts = 3};
    char err[SIGN_ERROR_LEN];
    uint8_t file[64] = {0};
    memcpy(release.vendor, trust.vendor, MOLT_UUID_LEN);
    memcpy(release.class_id, trust.class_id, MOLT_UUID_LEN);
    for (unsigned i = 0; i < 2; i++) {
        release.component[i].size = 100000;
        release.component[i].is_sealed = true;
        strcpy(release.component[i].uri, "x.bin");
        assert_int_equal(sign_seal(public_key[STRANGER], file, sizeof file, release.component[i].seal, err),
                         0);
    }
    trust.approver = public_key[STRANGER];
    assert_int_equal(sign_envelope(&release, key[APPROVER], envelope, &envelope_len, err), 0);
    approve(STRANGER);
    assert_in_range(envelope_len, 700, MOLT_MANIFEST_MAX);
    state_keys(ROOT, 1, 2); /* the approver of the other tests may sign from now on */
    memcpy(envelope + envelope_len, statement, statement_len);
    envelope_len += statement_len;
    assert_int_equal(accept_with_statement(), MOLT_MANIFEST_ACCEPTED);
    for (size_t i = 0; i < envelope_len; i++) {
        const uint8_t was = envelope[i];
        envelope[i] ^= (uint8_t)(1u << i % 8);
        assert_true(accept_with_statement() < 0);
        envelope[i] = (uint8_t)~was;
        assert_true(accept_with_statement() < 0);
        envelope[i] = was;
    }
    assert_int_equal(accept_with_statement(), MOLT_MANIFEST_ACCEPTED);
}

static void an_approval_leaves_the_statement_behind_it(void **state)
{
    (void)state;
    state_keys(ROOT, 1, 2);
    memcpy(envelope + envelope_len, statement, statement_len);
    envelope_len += statement_len;
    approve(APPROVER);
    size_t end = molt_manifest_end(envelope, envelope_len);
    assert_int_equal(envelope_len - end, statement_len);
    assert_memory_equal(envelope + end, statement, statement_len);
}

static void where_an_envelope_ends_is_never_behind_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(molt_manifest_end(envelope, envelope_len), envelope_len);
    for (size_t len = 0; len < envelope_len; len++)
        assert_int_equal(molt_manifest_end(envelope, len), 0);
    envelope[5] = envelope[6] = 0xFF;
    assert_int_equal(molt_manifest_end(envelope, envelope_len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_statement_of_the_roots_names_the_keys, fresh),
        cmocka_unit_test_setup(an_older_one_and_one_of_nobodys_are_refused, fresh),
        cmocka_unit_test_setup(every_changed_byte_and_length_of_a_statement_is_refused, fresh),
        cmocka_unit_test_setup(an_approver_must_have_signed_where_there_is_one, fresh),
        cmocka_unit_test_setup(every_changed_byte_of_an_approved_manifest_is_refused, fresh),
        cmocka_unit_test_setup(every_changed_byte_of_the_largest_is_refused, fresh),
        cmocka_unit_test_setup(an_approval_leaves_the_statement_behind_it, fresh),
        cmocka_unit_test_setup(where_an_envelope_ends_is_never_behind_the_bytes, fresh),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
