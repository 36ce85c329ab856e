/* keys.c - P-256 keys in PEM files, by OpenSSL.
 * Must never overwrite a file, nor leave a private key readable by others. Tests: test/unit/sign_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ports/bearssl.h"
#include "sign_parts.h"
#include "util/secret.h"

#define KEY_FILE_MAX 16384 /* bytes of a PEM file */

int sign_fail(char err[SIGN_ERROR_LEN], int reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (err != NULL) vsnprintf(err, SIGN_ERROR_LEN, format, args);
    va_end(args);
    return -reason;
}

/* ---- points ---- */

static bool coordinate(const EVP_PKEY *key, const char *name, uint8_t out[32])
{
    BIGNUM *number = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_bn2binpad(number, out, 32) == 32;
    BN_free(number);
    return ok;
}

/* The point of a P-256 key, and of no other kind. */
static bool point_of(const EVP_PKEY *key, uint8_t out[MOLT_KEY_LEN])
{
    char group[32] = "";
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) != 1)
        return false;
    if (strcmp(group, "prime256v1") != 0 && strcmp(group, "P-256") != 0) return false;
    return coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, out) &&
           coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, out + 32);
}

int sign_public_parse(const char *pem, size_t len, uint8_t out[MOLT_KEY_LEN])
{
    if (len == 0 || len > KEY_FILE_MAX) return -MOLT_KEY_INVALID;
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    bool ok = point_of(key, out);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok ? 0 : -MOLT_KEY_INVALID;
}

/* ---- files ---- */

/* Reads a small file as text. */
static int read_pem(const char *path, char out[KEY_FILE_MAX + 1], size_t *len, char err[SIGN_ERROR_LEN])
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return sign_fail(err, errno == ENOENT ? MOLT_NOT_FOUND : MOLT_KEY_INVALID, "%s: %s", path,
                         strerror(errno));
    *len = fread(out, 1, KEY_FILE_MAX, file);
    out[*len] = '\0';
    bool bad = ferror(file) != 0 || *len == KEY_FILE_MAX;
    fclose(file);
    return bad ? sign_fail(err, MOLT_KEY_INVALID, "%s: is no key file", path) : 0;
}

int sign_public_load(const char *path, uint8_t out[MOLT_KEY_LEN], char err[SIGN_ERROR_LEN])
{
    char pem[KEY_FILE_MAX + 1];
    size_t len;
    int rc = read_pem(path, pem, &len, err);
    if (rc < 0) return rc;
    if (strstr(pem, "PRIVATE KEY") != NULL) {
        OPENSSL_cleanse(pem, sizeof pem);
        return sign_fail(err, MOLT_KEY_INVALID, "%s: is a private key; the public one is in %.150s.pub", path,
                         path);
    }
    rc = sign_public_parse(pem, len, out);
    return rc < 0 ? sign_fail(err, MOLT_KEY_INVALID, "%s: is no P-256 public key in PEM", path) : 0;
}

bool sign_key_is_encrypted(const char *path)
{
    char pem[KEY_FILE_MAX + 1];
    size_t len;
    if (read_pem(path, pem, &len, NULL) < 0) return false;
    bool encrypted = strstr(pem, "ENCRYPTED") != NULL;
    OPENSSL_cleanse(pem, sizeof pem);
    return encrypted;
}

/* Writes a file that was not there, durably. 0, -MOLT_KEY_EXISTS, -MOLT_STORE_FAILED. */
static int write_new(const char *path, mode_t mode, BIO *content, char err[SIGN_ERROR_LEN])
{
    char *data;
    long len = BIO_get_mem_data(content, &data);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST)
        return sign_fail(err, MOLT_KEY_EXISTS, "%s exists; nothing was written", path);
    if (fd < 0) return sign_fail(err, MOLT_STORE_FAILED, "%s: %s", path, strerror(errno));
    bool ok = len > 0 && fchmod(fd, mode) == 0 && write(fd, data, (size_t)len) == len && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0) ok = false;
    if (ok) return 0;
    unlink(path);
    return sign_fail(err, MOLT_STORE_FAILED, "%s: %s", path, strerror(error));
}

/* ---- the key pair ---- */

static int write_pair(EVP_PKEY *key, const char *path, const char *passphrase, char err[SIGN_ERROR_LEN])
{
    char public_path[4096];
    if (snprintf(public_path, sizeof public_path, "%s.pub", path) >= (int)sizeof public_path)
        return sign_fail(err, MOLT_STORE_FAILED, "the name is too long");
    if (access(public_path, F_OK) == 0)
        return sign_fail(err, MOLT_KEY_EXISTS, "%s exists; nothing was written", public_path);
    BIO *secret = BIO_new(BIO_s_secmem()), *public = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_256_cbc() : NULL;
    int passphrase_len = passphrase != NULL ? (int)strlen(passphrase) : 0;
    int rc = -MOLT_STORE_FAILED;
    if (secret == NULL || public == NULL ||
        PEM_write_bio_PKCS8PrivateKey(secret, key, cipher, passphrase, passphrase_len, NULL, NULL) != 1 ||
        PEM_write_bio_PUBKEY(public, key) != 1) {
        sign_fail(err, MOLT_STORE_FAILED, "OpenSSL could not write the key");
    } else {
        rc = write_new(path, 0600, secret, err);
        if (rc == 0) {
            rc = write_new(public_path, 0644, public, err);
            if (rc < 0) unlink(path);
        }
    }
    BIO_free(secret);
    BIO_free(public);
    return rc;
}

int sign_key_generate(const char *path, const char *passphrase, char err[SIGN_ERROR_LEN])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (key == NULL) return sign_fail(err, MOLT_STORE_FAILED, "OpenSSL could not make a key");
    int rc = write_pair(key, path, passphrase, err);
    EVP_PKEY_free(key);
    return rc;
}

/* Never asks on a terminal by itself. */
static int give_passphrase(char *buf, int size, int writing, void *ctx)
{
    const char *passphrase = ctx;
    (void)writing;
    if (passphrase == NULL || (int)strlen(passphrase) > size) return -1;
    memcpy(buf, passphrase, strlen(passphrase));
    return (int)strlen(passphrase);
}

int sign_private_read(EVP_PKEY **key, const char *path, const char *passphrase, char err[SIGN_ERROR_LEN])
{
    char pem[KEY_FILE_MAX + 1];
    size_t len;
    int rc = read_pem(path, pem, &len, err);
    if (rc < 0) return rc;
    union {
        const char *from;
        void *to;
    } secret = {passphrase};
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, secret.to) : NULL;
    BIO_free(bio);
    OPENSSL_cleanse(pem, sizeof pem);
    return 0;
}

int sign_public_read(EVP_PKEY **key, const char *path, char err[SIGN_ERROR_LEN])
{
    char pem[KEY_FILE_MAX + 1];
    size_t len;
    int rc = read_pem(path, pem, &len, err);
    if (rc < 0) return rc;
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    OPENSSL_cleanse(pem, sizeof pem);
    return 0;
}

int sign_key_open(struct sign_key **out, const char *path, const char *passphrase, char err[SIGN_ERROR_LEN])
{
    struct sign_key *key = calloc(1, sizeof *key);
    if (key == NULL) return sign_fail(err, MOLT_NO_MEMORY, "out of memory");
    int rc = sign_private_read(&key->private_key, path, passphrase, err);
    if (rc == 0 && point_of(key->private_key, key->public_key)) {
        *out = key;
        return 0;
    }
    sign_key_free(key);
    if (rc < 0) return rc;
    bool encrypted = sign_key_is_encrypted(path);
    if (encrypted && passphrase == NULL)
        return sign_fail(err, MOLT_KEY_INVALID, "%s: needs its passphrase", path);
    if (encrypted) return sign_fail(err, MOLT_KEY_INVALID, "%s: the passphrase is wrong", path);
    return sign_fail(err, MOLT_KEY_INVALID, "%s: is no P-256 private key in PEM", path);
}

int sign_key_external(struct sign_key **out, const char *command, const char *public_path,
                      char err[SIGN_ERROR_LEN])
{
    struct sign_key *key = calloc(1, sizeof *key);
    if (key == NULL || (key->command = strdup(command)) == NULL) {
        sign_key_free(key);
        return sign_fail(err, MOLT_NO_MEMORY, "out of memory");
    }
    int rc = sign_public_load(public_path, key->public_key, err);
    if (rc < 0)
        sign_key_free(key);
    else
        *out = key;
    return rc;
}

void sign_key_free(struct sign_key *key)
{
    if (key == NULL) return;
    EVP_PKEY_free(key->private_key);
    free(key->command);
    free(key);
}

void sign_key_public(const struct sign_key *key, uint8_t out[MOLT_KEY_LEN])
{
    memcpy(out, key->public_key, MOLT_KEY_LEN);
}

/* ---- signing ---- */

bool signature_to_raw(const uint8_t *data, size_t len, uint8_t out[MOLT_SIGNATURE_LEN])
{
    if (len == MOLT_SIGNATURE_LEN && data[0] != 0x30) {
        memcpy(out, data, len);
        return true;
    }
    const uint8_t *at = data;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
    bool ok = sig != NULL && at == data + len && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    if (!ok && len == MOLT_SIGNATURE_LEN) { /* r may begin with 0x30 too */
        memcpy(out, data, len);
        return true;
    }
    return ok;
}

static bool sign_here(EVP_PKEY *key, const uint8_t *data, size_t len, uint8_t *der, size_t *der_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(ctx, der, der_len, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

int sign_bytes(const struct sign_key *key, const uint8_t *data, size_t len,
               uint8_t signature[MOLT_SIGNATURE_LEN], char err[SIGN_ERROR_LEN])
{
    uint8_t made[512], digest[EVP_MAX_MD_SIZE];
    size_t made_len = sizeof made;
    if (key->command != NULL) {
        int rc = external_run(key->command, data, len, made, sizeof made, &made_len, err);
        if (rc < 0) return rc;
    } else if (!sign_here(key->private_key, data, len, made, &made_len)) {
        return sign_fail(err, MOLT_SIGNING_FAILED, "OpenSSL could not sign");
    }
    if (!signature_to_raw(made, made_len, signature))
        return sign_fail(err, MOLT_SIGNING_FAILED, "the signer's output is no ECDSA P-256 signature");
    EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL);
    if (molt_bearssl_es256_i31.verify(digest, key->public_key, signature) != MOLT_YES)
        return sign_fail(err, MOLT_SIGNING_FAILED, "the signature is not of this public key");
    return 0;
}
