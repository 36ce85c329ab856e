/* sign_test.c - keys, signers and envelopes: what is made is what devices take, and no key is ever lost or shown. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/sign/sign.h"
#include "manifest_vector.h"
#include "temp_dir.h"
#include "util/secret.h"

static struct temp_dir dir;
static char err[SIGN_ERROR_LEN];

static const char *in_dir(const char *name)
{
    static char paths[4][400];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir.path, name);
    return path;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static struct sign_release a_release(unsigned components)
{
    struct sign_release release = {.sequence = 1004000, .component_count = components};
    sign_vendor_id("example.com", release.vendor);
    sign_class_id(release.vendor, "door", MOLT_CHIP_ESP8266, release.class_id);
    for (unsigned i = 0; i < components; i++) {
        memset(release.component[i].digest, 0x11 * (int)(i + 1), MOLT_SHA256_LEN);
        release.component[i].size = 300000 + i;
        strcpy(release.component[i].uri, i == 0 ? "door.bin" : "door.littlefs.bin");
    }
    return release;
}

static void key_files_are_private_and_never_overwritten(void **state)
{
    (void)state;
    const char *path = in_dir("a.key");
    umask(0);
    assert_int_equal(sign_key_generate(path, NULL, err), 0);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(in_dir("a.key.pub")), 0644);
    uint8_t before[MOLT_KEY_LEN], after[MOLT_KEY_LEN];
    assert_int_equal(sign_public_load(in_dir("a.key.pub"), before, err), 0);
    assert_int_equal(sign_key_generate(path, NULL, err), -MOLT_KEY_EXISTS);
    unlink(path);
    assert_int_equal(sign_key_generate(path, NULL, err),
                     -MOLT_KEY_EXISTS); /* the public half is still there */
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sign_public_load(in_dir("a.key.pub"), after, err), 0);
    assert_memory_equal(before, after, MOLT_KEY_LEN);
    assert_int_equal(sign_key_generate(in_dir("no/such/folder"), NULL, err), -MOLT_STORE_FAILED);
}

static void a_passphrase_is_needed_and_must_be_right(void **state)
{
    (void)state;
    struct sign_key *key = NULL;
    const char *path = in_dir("locked.key");
    assert_int_equal(sign_key_generate(path, "correct horse", err), 0);
    assert_true(sign_key_is_encrypted(path));
    assert_int_equal(sign_key_open(&key, path, NULL, err), -MOLT_KEY_INVALID);
    assert_non_null(strstr(err, "passphrase"));
    assert_int_equal(sign_key_open(&key, path, "battery", err), -MOLT_KEY_INVALID);
    assert_int_equal(sign_key_open(&key, path, "correct horse", err), 0);
    sign_key_free(key);
}

static void files_that_are_no_such_key_are_refused(void **state)
{
    (void)state;
    struct sign_key *key = NULL;
    uint8_t public_key[MOLT_KEY_LEN];
    const char *path = in_dir("kind.key");
    assert_int_equal(sign_key_generate(path, NULL, err), 0);
    assert_false(sign_key_is_encrypted(path));
    assert_int_equal(sign_public_load(path, public_key, err), -MOLT_KEY_INVALID);
    assert_non_null(strstr(err, "private"));
    assert_int_equal(sign_key_open(&key, in_dir("kind.key.pub"), NULL, err), -MOLT_KEY_INVALID);
    assert_int_equal(sign_key_open(&key, in_dir("absent"), NULL, err), -MOLT_NOT_FOUND);
    char command[600];
    snprintf(command, sizeof command, "openssl ecparam -name secp384r1 -genkey -noout -out %s",
             in_dir("p384.key"));
    assert_int_equal(system(command), 0);
    assert_int_equal(sign_key_open(&key, in_dir("p384.key"), NULL, err), -MOLT_KEY_INVALID);
    assert_int_equal(sign_public_parse("", 0, public_key), -MOLT_KEY_INVALID);
    assert_int_equal(
        sign_public_parse("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 60, public_key),
        -MOLT_KEY_INVALID);
}

static void ids_are_those_of_the_rfc_and_the_draft(void **state)
{
    (void)state;
    uint8_t vendor[MOLT_UUID_LEN], wanted[MOLT_UUID_LEN], class_id[MOLT_UUID_LEN], other[MOLT_UUID_LEN];
    sign_vendor_id("example.com", vendor);
    from_hex("cfbff0d193755685968c48ce8b15ae17", wanted, MOLT_UUID_LEN);
    assert_memory_equal(vendor, wanted, MOLT_UUID_LEN);
    sign_vendor_id("arm.com", vendor); /* the vendor of the draft's examples */
    from_hex("fa6b4a53d5ad5fdfbe9de663e4d41ffe", wanted, MOLT_UUID_LEN);
    assert_memory_equal(vendor, wanted, MOLT_UUID_LEN);
    sign_class_id(vendor, "door", MOLT_CHIP_ESP8266, class_id);
    sign_class_id(vendor, "door", MOLT_CHIP_ESP32, other);
    assert_memory_not_equal(class_id, other, MOLT_UUID_LEN);
}

/* What the library makes for each kind of release, and what a device says to it. */
static void envelopes_are_accepted_by_the_device(void **state)
{
    (void)state;
    struct sign_key *key;
    uint8_t envelope[MOLT_MANIFEST_MAX], keys[1][MOLT_KEY_LEN];
    size_t len = 0;
    assert_int_equal(sign_key_generate(in_dir("e.key"), NULL, err), 0);
    assert_int_equal(sign_key_open(&key, in_dir("e.key"), NULL, err), 0);
    sign_key_public(key, keys[0]);
    for (unsigned components = 1; components <= 2; components++) {
        struct sign_release release = a_release(components);
        struct molt_manifest manifest;
        release.version_parts = components == 1 ? 0 : 3;
        release.version[0] = 1;
        release.version[1] = 4;
        assert_int_equal(sign_envelope(&release, key, envelope, &len, err), 0);
        assert_in_range(len, 240, components == 1 ? 260 : 360);
        assert_int_equal(sign_check(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, 1, "door",
                                    MOLT_CHIP_ESP8266, &manifest),
                         0);
        assert_int_equal(manifest.sequence, release.sequence);
        assert_int_equal(manifest.component_count, components);
        for (unsigned i = 0; i < components; i++) {
            assert_int_equal(manifest.component[i].size, release.component[i].size);
            assert_memory_equal(manifest.component[i].digest, release.component[i].digest, MOLT_SHA256_LEN);
        }
        assert_int_equal(sign_check(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, 1, "door",
                                    MOLT_CHIP_ESP32, &manifest),
                         -MOLT_MANIFEST_CLASS);
        assert_int_equal(sign_check(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, 1, "gate",
                                    MOLT_CHIP_ESP8266, &manifest),
                         -MOLT_MANIFEST_CLASS);
        keys[0][5] ^= 1;
        assert_int_equal(sign_check(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, 1, "door",
                                    MOLT_CHIP_ESP8266, &manifest),
                         -MOLT_MANIFEST_SIGNATURE);
        keys[0][5] ^= 1;
    }
    sign_key_free(key);
}

/* The manifest with its byte-string head as Nordic's suit-generator writes it (revision 0a8712a, `create`) for vendor "molt",
 * class "door/esp8266", sequence 7 and a file x.bin of the bytes "abc". */
static void the_manifest_is_suit_generators_byte_for_byte(void **state)
{
    (void)state;
    static const char theirs[] =
        "587aa50101020703585da202818141000458548614a4015001ed1d239f52581d9ff8e2a6ebb2e85a0250b62ae877568b55d9"
        "9ab30b0d0276ab60035824822f5820ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0e0301"
        "0f020f074382030f144e8614a11565782e62696e1502030f";
    struct sign_release release = {.sequence = 7, .component_count = 1};
    uint8_t envelope[MOLT_MANIFEST_MAX], wanted[124];
    struct sign_key *key;
    size_t len = 0;
    assert_int_equal(sign_key_generate(in_dir("n.key"), NULL, err), 0);
    assert_int_equal(sign_key_open(&key, in_dir("n.key"), NULL, err), 0);
    sign_vendor_id("molt", release.vendor);
    sign_class_id(release.vendor, "door", MOLT_CHIP_ESP8266, release.class_id);
    from_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", release.component[0].digest,
             32);
    release.component[0].size = 3;
    strcpy(release.component[0].uri, "x.bin");
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), 0);
    from_hex(theirs, wanted, sizeof wanted);
    assert_int_equal(len, 122 + sizeof wanted);
    assert_memory_equal(envelope + 122, wanted, sizeof wanted);
    sign_key_free(key);
}

/* The same manifest, signed by suit-generator's `sign single-level --alg es-256` (revision 0a8712a, cbor2 5.9: it fails with 6),
 * with a sign script of its kind that leaves its key id out; and by its own script, which puts the id beside the algorithm. */
static void what_suit_generator_signed_is_accepted(void **state)
{
    (void)state;
    static const char signed_hex[] =
        "d86ba2025873825824822f5820b5af6396c5dde7d279bbb004632608e48ad5a58ed1742883c3a9b988343a89db584ad2"
        "8443a10126a0f65840a4bae6f7f2c225e5d2d4e0161fdec75cc9a5f7176bdd55350b8817a74b1119881442749daaaa51"
        "97537d93286beed9b1534f7e3388bc99f1a7540435331b25b103587aa50101020703585da202818141000458548614a4"
        "015001ed1d239f52581d9ff8e2a6ebb2e85a0250b62ae877568b55d99ab30b0d0276ab60035824822f5820ba7816bf8f"
        "01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0e03010f020f074382030f144e8614a11565782e62"
        "696e1502030f";
    static const char with_key_id_hex[] =
        "d86ba2025876825824822f5820b5af6396c5dde7d279bbb004632608e48ad5a58ed1742883c3a9b988343a89db584dd2"
        "8446a20126044101a0f65840848b102dd2c6230002961ed3fe2e5d8bc60398dbe6fd1869a3621df3dfc88b76b38aa364"
        "14fbefd92d7fdca70371fbd9eb2ccbc1d6e121c5f6c82394d64f0b6e03587aa50101020703585da20281814100045854"
        "8614a4015001ed1d239f52581d9ff8e2a6ebb2e85a0250b62ae877568b55d99ab30b0d0276ab60035824822f5820ba78"
        "16bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0e03010f020f074382030f144e8614a11565"
        "782e62696e1502030f";
    static const char key_hex[] =
        "63977da3db01ab5726c647c2c2bd1f050c4d8642df2326b63c1f693055852bab0396f60ad02d13bb35f13b20d180bea3"
        "a4fd24d8103e6001ac20374bb648db42";
    uint8_t envelope[246], with_key_id[249], keys[1][MOLT_KEY_LEN];
    struct molt_manifest manifest;
    from_hex(signed_hex, envelope, sizeof envelope);
    from_hex(with_key_id_hex, with_key_id, sizeof with_key_id);
    from_hex(key_hex, keys[0], MOLT_KEY_LEN);
    const uint8_t(*trusted)[MOLT_KEY_LEN] = (const uint8_t(*)[MOLT_KEY_LEN])keys;
    assert_int_equal(sign_check(envelope, sizeof envelope, trusted, 1, "door", MOLT_CHIP_ESP8266, &manifest),
                     0);
    assert_int_equal(manifest.sequence, 7);
    assert_int_equal(manifest.component[0].size, 3);
    assert_int_equal(
        sign_check(with_key_id, sizeof with_key_id, trusted, 1, "door", MOLT_CHIP_ESP8266, &manifest),
        -MOLT_MANIFEST_MALFORMED);
    for (size_t i = 0; i < sizeof envelope; i++) {
        envelope[i] ^= 0x20;
        assert_int_not_equal(
            sign_check(envelope, sizeof envelope, trusted, 1, "door", MOLT_CHIP_ESP8266, &manifest), 0);
        envelope[i] ^= 0x20;
    }
}

static void releases_out_of_range_are_not_signed(void **state)
{
    (void)state;
    struct sign_key *key;
    uint8_t envelope[MOLT_MANIFEST_MAX];
    size_t len;
    assert_int_equal(sign_key_generate(in_dir("r.key"), NULL, err), 0);
    assert_int_equal(sign_key_open(&key, in_dir("r.key"), NULL, err), 0);
    struct sign_release release = a_release(1);
    release.component[0].size = 0;
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_ARG);
    release = a_release(1);
    release.component[0].uri[0] = '\n';
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_ARG);
    release = a_release(1);
    memset(release.component[0].uri, 'x', sizeof release.component[0].uri);
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_ARG);
    release = a_release(1);
    release.component_count = 3;
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_ARG);
    release =
        a_release(2); /* two encrypted files with names of 128 characters: longer than an envelope may be */
    for (unsigned i = 0; i < 2; i++) {
        release.component[i].is_sealed = true;
        memset(release.component[i].uri, 'x', MOLT_MANIFEST_URI);
        release.component[i].uri[MOLT_MANIFEST_URI] = '\0';
    }
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_ARG);
    sign_key_free(key);
}

static void another_program_can_hold_the_key(void **state)
{
    (void)state;
    struct sign_key *key;
    uint8_t envelope[MOLT_MANIFEST_MAX];
    size_t len = 0;
    char command[600];
    struct sign_release release = a_release(1);
    assert_int_equal(sign_key_generate(in_dir("hsm.key"), NULL, err), 0);
    assert_int_equal(sign_key_generate(in_dir("wrong.key"), NULL, err), 0);
    snprintf(command, sizeof command, "openssl dgst -sha256 -sign %s", in_dir("hsm.key"));
    assert_int_equal(sign_key_external(&key, command, in_dir("hsm.key.pub"), err), 0);
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), 0);
    assert_true(len > 240);
    sign_key_free(key);

    const char *const bad[] = {"exit 3", "true", "yes", "cat", "head -c 64 /dev/zero"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sign_key_external(&key, bad[i], in_dir("hsm.key.pub"), err), 0);
        assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_SIGNING_FAILED);
        assert_true(err[0] != '\0');
        sign_key_free(key);
    }
    assert_int_equal(sign_key_external(&key, command, in_dir("wrong.key.pub"), err), 0);
    assert_int_equal(sign_envelope(&release, key, envelope, &len, err), -MOLT_SIGNING_FAILED);
    assert_non_null(strstr(err, "public key"));
    sign_key_free(key);
}

static int make_dir(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    temp_dir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_files_are_private_and_never_overwritten),
        cmocka_unit_test(a_passphrase_is_needed_and_must_be_right),
        cmocka_unit_test(files_that_are_no_such_key_are_refused),
        cmocka_unit_test(ids_are_those_of_the_rfc_and_the_draft),
        cmocka_unit_test(envelopes_are_accepted_by_the_device),
        cmocka_unit_test(the_manifest_is_suit_generators_byte_for_byte),
        cmocka_unit_test(what_suit_generator_signed_is_accepted),
        cmocka_unit_test(releases_out_of_range_are_not_signed),
        cmocka_unit_test(another_program_can_hold_the_key),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
